#include "store_objects.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings.h"
#include "step.h"

static void destroy_object(void *object, void *ctx)
{
  struct tracked *tracked = object;

  CHECK(tracked != NULL && tracked->owner == ctx);
  tracked_destroy(tracked);
}

void test_store_prepare(struct test_store *t, enum key_shape keys)
{
  const struct map_spec spec = {.keys = keys};

  memset(t, 0, sizeof *t);
  test_map_prepare(&t->keys, &spec);
  lifetimes_begin(&t->lives, 0);
  cmap_store_options_init(&t->options, CMAP_U64, destroy_object);
  t->options.keys = t->keys.options;
  t->options.object_ctx = &t->lives;
}

void test_store_create(struct test_store *t)
{
  assert_ok(cmap_store_create(&t->options, &t->store));
}

void test_store_open(struct test_store *t, enum key_shape keys)
{
  test_store_prepare(t, keys);
  test_store_create(t);
}

void test_store_close(struct test_store *t)
{
  CHECK_OK(cmap_store_destroy(t->store));
  t->store = NULL;
  CHECK(counting_alloc_is_empty(&t->keys.alloc));
  CHECK(lifetimes_balanced(&t->lives));
  CHECK(lifetimes_balanced(&t->keys.own_lives));
  lifetimes_end(&t->lives);
  lifetimes_end(&t->keys.own_lives);
  checks_assert();
}

struct tracked *store_object(const struct cmap_handle *handle, uint64_t id)
{
  struct tracked *object = handle->object;

  CHECK(tracked_is_alive(object) && object->id == id);
  return object;
}

struct cmap_store_stats store_stats(struct cmap_store *store)
{
  struct cmap_store_stats stats = {.size = sizeof stats};

  CHECK_OK(cmap_store_get_stats(store, &stats));
  CHECK(stats.size == sizeof stats);
  return stats;
}

void store_until_waiting(struct cmap_store *store, struct cmap_key key,
                         size_t count)
{
  uint64_t end = test_now() + STEP_SECONDS * UINT64_C(1000000000);

  /* Ends: they come, or the time is over. */
  while (cmap_store_waiters(store, key) < count) {
    if (test_now() > end) {
      fprintf(stderr, "%zu waiters did not come\n", count);
      abort();
    }
    sched_yield();
  }
}
