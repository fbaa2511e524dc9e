/*
 * Every call on stores works on the smallest stack that a thread may have, and
 * constructors may be nested there.
 */
#include <string.h>

#include "small_stack.h"

#define LEVELS 4

static struct cmap_store *store;
static int value;

/* Each needs the next one. */
static enum cmap_status build(struct cmap_key k, void **object, void *ctx)
{
  struct cmap_handle next = CMAP_INIT;
  uint64_t level;

  (void)ctx;
  memcpy(&level, k.data, sizeof level);
  level++;
  *object = &value;
  if (level < LEVELS)
    CHECK_OK(cmap_store_get_or_create(store, cmap_key_u64(&level), &next, build,
                                      NULL, NULL));
  cmap_handle_release(&next);
  return CMAP_OK;
}

static enum cmap_status build_many(const struct cmap_key *keys, size_t n,
                                   void **objects, enum cmap_status *statuses,
                                   void *ctx)
{
  (void)statuses;
  for (size_t i = 0; i < n; i++)
    CHECK_OK(build(keys[i], &objects[i], ctx));
  return CMAP_OK;
}

static void many(void)
{
  uint64_t ids[] = {0, 9, 0};
  struct cmap_key keys[3];
  struct cmap_handle handles[3];
  enum cmap_status statuses[3];

  for (int i = 0; i < 3; i++)
    keys[i] = cmap_key_u64(&ids[i]);
  CHECK_OK(cmap_store_get_many(store, keys, 3, handles, statuses, build_many,
                               NULL, NULL));
  for (int i = 0; i < 3; i++)
    cmap_handle_release(&handles[i]);
}

static enum cmap_status fail_now(struct cmap_key k, void **object, void *ctx)
{
  (void)k, (void)object, (void)ctx;
  return (enum cmap_status)USER_STATUS;
}

static void let_go(void *object, void *ctx)
{
  (void)object, (void)ctx;
}

static void see_off(struct cmap_key k, void *object, enum cmap_removal reason,
                    void *ctx)
{
  (void)k, (void)object, (void)reason, (void)ctx;
}

static enum cmap_status visit(struct cmap_key k, void *object, void *ctx)
{
  (void)object, (void)ctx;
  return cmap_store_remove(store, k, NULL);
}

static void told(enum cmap_status status, struct cmap_handle *given, void *ctx)
{
  (void)status, (void)ctx;
  cmap_handle_release(given);
}

static void create_and_get(void)
{
  static struct cmap_store_options options;
  struct cmap_handle handle = CMAP_INIT, copy = CMAP_INIT;
  uint64_t id = 0;

  cmap_store_options_init(&options, CMAP_U64, let_go);
  options.negative_ns = UINT64_MAX;
  options.max_failures = 10;
  options.max_objects = 1000;
  options.ttl_ns = UINT64_MAX / 2;
  options.on_remove = see_off;
  options.keys.allocator = small_stack_allocator();
  options.keys.flags = CMAP_AUTO_SHRINK;
  CHECK_OK(cmap_store_create(&options, &store));
  many();
  CHECK_OK(cmap_store_clear(store));
  CHECK_OK(cmap_store_get_or_create(store, cmap_key_u64(&id), &handle, build,
                                    NULL, NULL));
  CHECK_OK(cmap_handle_copy(&handle, &copy));
  cmap_handle_release(&copy);
  cmap_handle_release(&handle);
  CHECK_OK(cmap_store_get(store, cmap_key_u64(&id), &handle, NULL));
  cmap_handle_release(&handle);
  CHECK_OK(
      cmap_store_refresh(store, cmap_key_u64(&id), NULL, build, NULL, NULL));
  for (id = LEVELS; id < 3000; id++)
    CHECK_OK(cmap_store_put(store, cmap_key_u64(&id), &value, NULL, NULL));
  for (; id < 3030; id++)
    CHECK_STATUS(cmap_store_get_or_create(store, cmap_key_u64(&id), &handle,
                                          fail_now, NULL, NULL),
                 (enum cmap_status)USER_STATUS);
}

static void begin_and_complete(void)
{
  struct cmap_ticket ticket = CMAP_INIT, none = CMAP_INIT;
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_begin outcome;
  uint64_t id = 5000;

  for (int end = 0; end < 3; end++, id++) {
    CHECK_OK(cmap_store_begin(store, cmap_key_u64(&id), &handle, &ticket,
                              &outcome, NULL, NULL, NULL));
    CHECK_OK(cmap_store_begin(store, cmap_key_u64(&id), &handle, &none,
                              &outcome, told, NULL, NULL));
    CHECK_OK(cmap_ticket_bind(&ticket));
    CHECK_STATUS(cmap_store_get_or_create(store, cmap_key_u64(&id), &handle,
                                          build, NULL, NULL),
                 CMAP_EDEADLK);
    CHECK_OK(cmap_ticket_unbind(&ticket));
    if (end == 0)
      CHECK_OK(cmap_ticket_complete(&ticket, &value, &handle));
    else if (end == 1)
      CHECK_OK(cmap_ticket_fail(&ticket, (enum cmap_status)USER_STATUS));
    else
      cmap_ticket_abandon(&ticket);
    cmap_handle_release(&handle);
  }
}

static void forget_and_destroy(void)
{
  static struct cmap_store_stats stats;
  uint64_t id = 3029, hash;

  stats.size = sizeof stats;
  CHECK_OK(cmap_store_get_stats(store, &stats));
  CHECK(stats.remembered == 10 && stats.evicted > 0);
  CHECK_OK(cmap_store_maintain(store, NULL));
  CHECK_OK(cmap_store_hash(store, cmap_key_u64(&id), &hash));
  CHECK(cmap_store_waiters(store, cmap_key_u64(&id)) == 0);
  CHECK_OK(cmap_store_forget(store, cmap_key_u64(&id), NULL));
  id = 2999;
  CHECK_OK(cmap_store_remove(store, cmap_key_u64(&id), NULL));
  CHECK_OK(cmap_store_for_each(store, visit, NULL));
  CHECK(cmap_store_len(store) == 0);
  for (id = 0; id < 100; id++)
    CHECK_OK(cmap_store_put(store, cmap_key_u64(&id), &value, NULL, NULL));
  CHECK_OK(cmap_store_clear(store));
  CHECK_OK(cmap_store_reserve(store, 5000));
  CHECK_OK(cmap_store_shrink_to_fit(store));
  CHECK_OK(cmap_store_destroy(store));
}

static void stores(void **state)
{
  (void)state;
  if (!small_stack_works())
    skip();
  on_small_stack("store: create and get", create_and_get);
  on_small_stack("store: begin and complete", begin_and_complete);
  on_small_stack("store: forget and destroy", forget_and_destroy);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(stores),
  };

  return cmocka_run_group_tests_name("store_small_stack", tests, NULL, NULL);
}
