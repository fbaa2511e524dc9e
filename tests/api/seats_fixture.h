/*
 * Maps whose locks are biased: of the tests of holds in seats (sync/bias.h).
 */
#ifndef SEATS_FIXTURE_H
#define SEATS_FIXTURE_H

#include "map/seat.h"

#include "numbers.h"
#include "settings.h"
#include "threads.h"

#define KEY UINT64_C(7)

static bool works; /* the system has the barrier */

static inline struct cmap__shardlock *lock_of(struct cmap *map)
{
  return &cmap__directory_shard(&map->table.directory, 0)->lock;
}

static inline uint32_t word_of(struct cmap *map)
{
  return cmap__load_relaxed(&lock_of(map)->word);
}

static inline struct cmap_read_guard guard_at(struct cmap *map, uint64_t key)
{
  struct cmap_read_guard guard = CMAP_INIT;

  CHECK_OK(cmap_get_ref(map, cmap_key_u64(&key), &guard, NULL));
  return guard;
}

static inline struct cmap_read_guard guard_of(struct cmap *map)
{
  return guard_at(map, KEY);
}

static inline void release(struct cmap_read_guard *guard)
{
  CHECK_OK(cmap_read_guard_release(guard));
}

static inline bool has_seat(const struct cmap_read_guard *guard)
{
  return cmap__is_seat_name(guard->internal);
}

/* The key's lock is biased, and the calling thread expects that. */
static inline void bias_at(struct cmap *map, uint64_t key)
{
  uint64_t end = test_now() + 10 * UINT64_C(1000000000);

  while (test_now() < end) {
    struct cmap_read_guard guard = guard_at(map, key);
    bool done = has_seat(&guard);
    release(&guard);
    if (done)
      return;
  }
  CHECK_NEVER("no guard has a seat");
}

static inline void bias(struct cmap *map)
{
  bias_at(map, KEY);
}

static inline struct cmap *open_biased(void)
{
  struct cmap *map;

  if (!works)
    skip();
  map = numbers_open();
  numbers_put(map, KEY, 1);
  bias(map);
  return map;
}

static inline enum cmap_status write_at_once(struct cmap *map)
{
  const struct cmap_how try_it = {.size = sizeof try_it, .flags = CMAP_TRY};
  uint64_t value = 2;

  return cmap_insert(map, cmap_key_u64(&(uint64_t){KEY}), &value, NULL, NULL,
                     &try_it);
}

static inline void on_another_thread(thread_fn *run, void *ctx)
{
  struct thread thread;

  thread_start(&thread, run, 0, ctx);
  thread_join(&thread);
}

#endif
