/*
 * Maps destroyed after a thread that held several of them has ended: by two
 * threads at once, and by a thread that never had a guard itself.
 */
#include "counting_alloc.h"
#include "threads.h"

#include <stdlib.h>

enum { MAPS = 2 };

static struct cmap *maps[MAPS];
static struct counting_alloc alloc;

/* Where two destructors meet, so that both maps are being destroyed. */
static pthread_barrier_t both;
static bool they_meet;

/* Strings on the heap: what is destroyed twice or never, sanitizers see. */
static void drop(void *value, void *ctx)
{
  (void)ctx;
  free(*(char **)value);
  if (they_meet)
    pthread_barrier_wait(&both);
}

static void make_maps(void)
{
  counting_alloc_begin(&alloc);
  for (unsigned i = 0; i < MAPS; i++) {
    struct cmap_options options;
    uint64_t key = 1;
    char *value = malloc(8);
    assert_non_null(value);
    cmap_options_init(&options, CMAP_U64, sizeof(char *));
    options.value_destroy = drop;
    options.allocator = counting_alloc_hook(&alloc);
    assert_ok(cmap_create(&options, &maps[i]));
    assert_ok(
        cmap_insert(maps[i], cmap_key_u64(&key), &value, NULL, NULL, NULL));
  }
}

/* Holds a key of each map, removes both, and ends. */
static void leave(unsigned index, void *ctx)
{
  uint64_t key = 1;
  struct cmap_want wants[MAPS];
  struct cmap_multi held = CMAP_INIT;

  (void)index;
  (void)ctx;
  for (unsigned i = 0; i < MAPS; i++)
    wants[i] =
        (struct cmap_want){maps[i], cmap_key_u64(&key), CMAP_ENTRY, CMAP_OK};
  CHECK_OK(cmap_lock_many(wants, MAPS, &held, NULL));
  for (size_t i = 0; i < MAPS; i++)
    CHECK_OK(cmap_entry_remove(cmap_multi_entry(&held, i), NULL));
}

static void destroy_one(unsigned index, void *ctx)
{
  (void)ctx;
  cmap_destroy(maps[index]);
}

static void two_destroy_at_once(void **state)
{
  (void)state;
  assert_int_equal(pthread_barrier_init(&both, NULL, MAPS), 0);
  they_meet = true;
  for (unsigned round = 0; round < 30; round++) {
    struct thread thread;
    make_maps();
    thread_start(&thread, leave, 0, NULL);
    thread_join(&thread);
    threads_run(MAPS, destroy_one, NULL);
    assert_true(counting_alloc_is_empty(&alloc));
  }
  they_meet = false;
  assert_int_equal(pthread_barrier_destroy(&both), 0);
}

/* Destroys a map of an ended thread, its first call of all; then leaves a guard
 * of the other map behind. */
static void destroy_and_leave(unsigned index, void *ctx)
{
  struct cmap_write_guard guard = CMAP_INIT;
  uint64_t key = 1;

  (void)index;
  (void)ctx;
  cmap_destroy(maps[0]);
  CHECK_OK(cmap_get_mut(maps[1], cmap_key_u64(&key), &guard, NULL));
}

static void leave_guard(unsigned index, void *ctx)
{
  struct cmap_write_guard guard = CMAP_INIT;
  uint64_t key = 1;

  (void)index;
  (void)ctx;
  CHECK_OK(cmap_get_mut(maps[0], cmap_key_u64(&key), &guard, NULL));
}

static void destroyers_end_as_others(void **state)
{
  struct cmap_how soon = cmap_how_within(UINT64_C(20000000000));
  struct thread thread;
  uint64_t key = 1;

  (void)state;
  make_maps();
  thread_start(&thread, leave_guard, 0, NULL);
  thread_join(&thread);
  thread_start(&thread, destroy_and_leave, 0, NULL);
  thread_join(&thread);
  checks_assert();
  assert_status(cmap_remove(maps[1], cmap_key_u64(&key), NULL, &soon),
                CMAP_EABANDONED);
  cmap_destroy(maps[1]);
  assert_true(counting_alloc_is_empty(&alloc));
}

/* A destructor that releases a copy of the guard whose value it destroys. */
static struct cmap_entry copy;
static unsigned drops;

static void drop_and_release(void *value, void *ctx)
{
  struct cmap_entry again = copy;

  (void)value;
  (void)ctx;
  drops++;
  cmap_entry_release(&again);
}

static void copies_are_stale_in_destructors(void **state)
{
  struct cmap_options options;
  struct cmap_entry entry = CMAP_INIT;
  struct cmap_how try_only = cmap_how_try();
  struct cmap *map;
  uint64_t key = 1;

  (void)state;
  cmap_options_init(&options, CMAP_U64, 8);
  options.value_destroy = drop_and_release;
  assert_ok(cmap_create(&options, &map));
  assert_ok(cmap_insert(map, cmap_key_u64(&key), &key, NULL, NULL, NULL));
  assert_ok(cmap_entry_begin(map, cmap_key_u64(&key), &entry, NULL));
  assert_ok(cmap_entry_remove(&entry, NULL));
  copy = entry;
  cmap_entry_release(&entry);
  assert_int_equal(drops, 1);
  /* The lock is free, and not freer than that. */
  assert_ok(cmap_entry_begin(map, cmap_key_u64(&key), &entry, &try_only));
  assert_status(
      cmap_insert(map, cmap_key_u64(&key), &key, NULL, NULL, &try_only),
      CMAP_BUSY);
  cmap_entry_release(&entry);
  cmap_destroy(map);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(two_destroy_at_once),
      cmocka_unit_test(destroyers_end_as_others),
      cmocka_unit_test(copies_are_stale_in_destructors),
  };

  return cmocka_run_group_tests_name("destroy_abandoned", tests, NULL, NULL);
}
