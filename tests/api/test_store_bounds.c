/*
 * A cache's bound and times where many keys, costs, and threads come into it:
 * what is evicted, how far the bound is kept, what walks leave there.
 */
#include <stdio.h>

#include "random.h"
#include "settings.h"
#include "store_objects.h"
#include "threads.h"

static struct test_store t;

#define KEY(id) cmap_key_u64(&(uint64_t){id})

static uint64_t cost_of(struct cmap_key key, const void *object, void *ctx)
{
  (void)key, (void)ctx;
  return ((const struct tracked *)object)->version;
}

/* The version is the cost. */
static void put(uint64_t id, uint64_t version)
{
  CHECK_OK(cmap_store_put(t.store, KEY(id), tracked_new(&t.lives, id, version),
                          NULL, NULL));
}

static bool is_there(uint64_t id)
{
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_status status = cmap_store_get(t.store, KEY(id), &handle, NULL);

  if (status == CMAP_OK)
    store_object(&handle, id);
  cmap_handle_release(&handle);
  return status == CMAP_OK;
}

static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  uint64_t id;

  memcpy(&id, key.data, sizeof id);
  *object = tracked_new(&t.lives, id, ctx == NULL ? 1 : *(uint64_t *)ctx);
  return CMAP_OK;
}

static void costs(void **state)
{
  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.max_cost = 100;
  t.options.cost = cost_of;
  test_store_create(&t);
  put(1, 40);
  put(2, 40);
  put(3, 20);
  assert_int_equal(store_stats(t.store).cost, 100);
  assert_int_equal(store_stats(t.store).evicted, 0);
  put(4, 50); /* room for it takes two of them */
  assert_false(is_there(1));
  assert_false(is_there(2));
  assert_int_equal(store_stats(t.store).cost, 70);
  put(3, 60); /* dearer than before */
  assert_true(store_stats(t.store).cost <= 100);
  assert_true(is_there(3));
  put(5, 0);
  put(6, 100); /* the whole bound */
  assert_true(is_there(6));
  assert_int_equal(store_stats(t.store).cost, 100);
  test_store_close(&t);
}

/* Dearer than the bound: handed out, and not kept. */
static void too_dear(void **state)
{
  struct cmap_handle handle = CMAP_INIT;
  uint64_t version = 101;

  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.max_cost = 100;
  t.options.cost = cost_of;
  test_store_create(&t);
  put(1, 50);
  assert_ok(cmap_store_get_or_create(t.store, KEY(2), &handle, build, &version,
                                     NULL));
  store_object(&handle, 2);
  assert_int_equal(cmap_handle_origin(&handle), CMAP_BUILT);
  cmap_handle_release(&handle);
  assert_false(is_there(2));
  assert_true(is_there(1));
  assert_ok(cmap_store_put(t.store, KEY(1), tracked_new(&t.lives, 1, 101),
                           &handle, NULL));
  store_object(&handle, 1);
  assert_false(is_there(1)); /* it has replaced what was there */
  cmap_handle_release(&handle);
  put(3, 50);
  put(3, 101);
  assert_false(is_there(3));
  put(3, 50);
  assert_ok(
      cmap_store_refresh(t.store, KEY(3), &handle, build, &version, NULL));
  assert_false(is_there(3));
  cmap_handle_release(&handle);
  assert_int_equal(store_stats(t.store).too_dear, 4);
  assert_int_equal(store_stats(t.store).replaced, 3);
  assert_int_equal(cmap_store_len(t.store), 0);
  test_store_close(&t);
}

/* A walk over ten times the bound leaves what is asked for again and again. */
static void walks(void **state)
{
  enum { MOST = 1000, HOT = 300 };
  size_t found = 0;

  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.max_objects = MOST;
  test_store_create(&t);
  for (int round = 0; round < 3; round++)
    for (uint64_t id = 0; id < HOT; id++) {
      struct cmap_handle handle = CMAP_INIT;
      assert_ok(cmap_store_get_or_create(t.store, KEY(id), &handle, build, NULL,
                                         NULL));
      cmap_handle_release(&handle);
    }
  for (uint64_t id = 0; id < (uint64_t)10 * MOST; id++)
    put(HOT + id, 1);
  for (uint64_t id = 0; id < HOT; id++)
    found += is_there(id);
  assert_true(found >= HOT - HOT / 100);
  assert_int_equal(cmap_store_len(t.store), MOST);
  test_store_close(&t);
}

/* Who comes back soon after it was evicted stays: its ghost is known. */
static void ghosts(void **state)
{
  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.max_objects = 100;
  test_store_create(&t);
  for (uint64_t id = 0; id < 201; id++) /* ghosts are made with the first */
    put(id, 1);
  assert_false(is_there(100));
  put(100, 1);
  for (uint64_t id = 300; id < 1000; id++)
    put(id, 1);
  assert_true(is_there(100));
  assert_false(is_there(300));
  test_store_close(&t);
}

static uint64_t show_clock(void *ctx)
{
  return *(uint64_t *)ctx;
}

/* Odd versions live as long as their number, even ones for ever. */
static void own_time(struct cmap_key key, const void *object,
                     struct cmap_lifetime *lifetime, void *ctx)
{
  uint64_t version = ((const struct tracked *)object)->version;

  (void)key, (void)ctx;
  CHECK(lifetime->ttl_ns == 1000 && lifetime->idle_ns == 0 &&
        lifetime->refresh_ns == 0);
  lifetime->ttl_ns = version % 2 ? version : 0;
}

static void own_times(void **state)
{
  uint64_t now = 5;

  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.ttl_ns = 1000;
  t.options.lifetime = own_time;
  t.options.clock = show_clock;
  t.options.clock_ctx = &now;
  test_store_create(&t);
  put(1, 7);
  put(2, 2);
  put(3, 1001);
  now = 11;
  assert_true(is_there(1));
  now = 12;
  assert_false(is_there(1));
  now = 1005;
  assert_true(is_there(3));
  now = 1006;
  assert_false(is_there(3));
  now = UINT64_MAX - 1;
  assert_true(is_there(2));
  test_store_close(&t);
}

/* By the system's clock. */
static void in_earnest(void **state)
{
  uint64_t begin = test_now();

  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.ttl_ns = 30 * UINT64_C(1000000);
  test_store_create(&t);
  put(1, 1);
  while (is_there(1))
    assert_true(test_now() - begin < UINT64_C(60000000000));
  assert_true(test_now() - begin >= 30 * UINT64_C(1000000));
  assert_int_equal(store_stats(t.store).expired, 1);
  test_store_close(&t);
}

/* maintain goes on where it was, and looks at all. */
static void maintain_in_pieces(void **state)
{
  enum { MANY = 1000 };
  struct cmap_how try = cmap_how_try(), late = cmap_how_until(1);
  uint64_t now = 0, calls = 0;

  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.ttl_ns = 10;
  t.options.max_objects = MANY;
  t.options.clock = show_clock;
  t.options.clock_ctx = &now;
  test_store_create(&t);
  for (uint64_t id = 0; id < MANY; id++)
    put(id, 1);
  for (uint64_t id = 0; id < MANY; id += 3)
    assert_true(is_there(id));
  assert_status(cmap_store_maintain(t.store, &late), CMAP_TIMEDOUT);
  assert_int_equal(cmap_store_len(t.store), MANY);
  now = 10;
  while (cmap_store_len(t.store) > 0) {
    size_t before = cmap_store_len(t.store);
    enum cmap_status status = cmap_store_maintain(t.store, &try);
    assert_true(status == CMAP_BUSY || status == CMAP_OK);
    assert_true(before - cmap_store_len(t.store) <= 32);
    assert_true(++calls <= MANY / 32 + 2);
  }
  for (uint64_t id = 0; id < MANY; id++)
    put(id, 1);
  now = 20;
  assert_ok(cmap_store_maintain(t.store, NULL));
  assert_int_equal(cmap_store_len(t.store), 0);
  assert_int_equal(store_stats(t.store).expired, 2 * MANY);
  test_store_close(&t);
}

/* Visits pass over what is out of date. */
static enum cmap_status visit(struct cmap_key key, void *object, void *ctx)
{
  (void)key, (void)object;
  ++*(int *)ctx;
  return CMAP_OK;
}

static void visits(void **state)
{
  uint64_t now = 0;
  int calls = 0;

  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.ttl_ns = 10;
  t.options.clock = show_clock;
  t.options.clock_ctx = &now;
  test_store_create(&t);
  put(1, 1);
  now = 9;
  put(2, 1);
  now = 10;
  assert_ok(cmap_store_for_each(t.store, visit, &calls));
  assert_int_equal(calls, 1);
  assert_int_equal(cmap_store_len(t.store), 1 + (calls == 1));
  test_store_close(&t);
}

/* ------------------------------------------------------------------------
 * Threads
 * ------------------------------------------------------------------------ */

#define MOST    50
#define THREADS 8

static atomic_size_t largest;

static void insert(unsigned index, void *ctx)
{
  struct random random;

  random_begin(&random, index);
  for (int i = 0; i < 20000 && !checks_failed(); i++) {
    uint64_t id = random_below(&random, 4 * (uint64_t)MOST);
    struct cmap_handle handle = CMAP_INIT;
    size_t len;
    if (random_once_in(&random, 8))
      put(id, 1);
    else if (random_once_in(&random, 8))
      (void)!cmap_store_remove(t.store, KEY(id), NULL);
    else
      CHECK_OK(cmap_store_get_or_create(t.store, KEY(id), &handle, build, ctx,
                                        NULL));
    cmap_handle_release(&handle);
    len = cmap_store_len(t.store);
    if (len > atomic_load(&largest))
      atomic_store(&largest, len);
  }
}

/* No more than an object for each thread above the bound, and none at last. */
static void threads_keep_the_bound(void **state)
{
  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.max_objects = MOST;
  test_store_create(&t);
  threads_run(THREADS, insert, NULL);
  assert_true(atomic_load(&largest) <= MOST + THREADS);
  assert_true(cmap_store_len(t.store) <= MOST);
  assert_int_equal(store_stats(t.store).cost, cmap_store_len(t.store));
  test_store_close(&t);
}

/* A header of a cache, with the ghosts and the keys. */
static void memory(void **state)
{
  enum { MANY = 100000 };
  uint64_t bytes;

  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.max_objects = MANY;
  test_store_create(&t);
  for (uint64_t id = 0; id < 3 * (uint64_t)MANY; id++)
    put(id, 1);
  bytes = store_stats(t.store).bytes / MANY;
  fprintf(stderr, "%llu bytes an object\n", (unsigned long long)bytes);
  assert_true(bytes <= 90);
  test_store_close(&t);
}

static enum cmap_status fail_now(struct cmap_key key, void **object, void *ctx)
{
  (void)key, (void)object, (void)ctx;
  return cmap_status_user(7);
}

/* So it is with failures: no call that does not wait goes through all. */
static void failures_in_pieces(void **state)
{
  const struct cmap_how try = cmap_how_try(), late = cmap_how_until(1);
  struct cmap_handle handle = CMAP_INIT;
  const uint64_t n = 200, piece = 32;
  uint64_t now = 1;

  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.negative_ns = 100;
  t.options.clock = show_clock;
  t.options.clock_ctx = &now;
  test_store_create(&t);
  for (uint64_t id = 0; id < n; id++)
    CHECK_STATUS(cmap_store_get_or_create(t.store, cmap_key_u64(&id), &handle,
                                          fail_now, NULL, NULL),
                 cmap_status_user(7));
  now = 101;
  for (uint64_t left = n - piece; left > 0;) {
    assert_status(cmap_store_maintain(t.store, &try), CMAP_BUSY);
    assert_int_equal(store_stats(t.store).remembered, left);
    left = left > piece ? left - piece : 0;
    if (left == 0)
      break;
    assert_status(cmap_store_maintain(t.store, &late), CMAP_TIMEDOUT);
    assert_int_equal(store_stats(t.store).remembered, left);
    left = left > piece ? left - piece : 0;
  }
  assert_ok(cmap_store_maintain(t.store, &try));
  assert_int_equal(store_stats(t.store).remembered, 0);
  test_store_close(&t);
}

/* More refreshes at a time than the first table has room for: each is found by
 * its object, whatever ends it, with and without memory for more room. */
static void many_refreshes(void **state)
{
  enum { N = 300 };
  static struct cmap_ticket tickets[N];
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_begin outcome;

  (void)state;
  for (int without = 0; without < 2; without++) {
    uint64_t now = 1;
    test_store_prepare(&t, KEYS_U64);
    t.options.refresh_ns = 10;
    t.options.clock = show_clock;
    t.options.clock_ctx = &now;
    test_store_create(&t);
    for (uint64_t id = 0; id < N; id++)
      CHECK_OK(cmap_store_put(t.store, cmap_key_u64(&id),
                              tracked_new(&t.lives, id, 1), NULL, NULL));
    now = 20;
    for (uint64_t id = 0; id < N; id++) {
      /* Its ticket, its flight, and more room for the 16th. */
      if (without && id == 15)
        counting_alloc_fail_nth(&t.keys.alloc, 3);
      CHECK_OK(cmap_store_begin(t.store, cmap_key_u64(&id), &handle,
                                &tickets[id], &outcome, NULL, NULL, NULL));
      CHECK(outcome == CMAP_YOURS);
    }
    CHECK(counting_alloc_failures(&t.keys.alloc) == (size_t)without);
    for (uint64_t id = 0; id < N; id += 3) {
      CHECK_OK(cmap_store_forget(t.store, cmap_key_u64(&id), NULL));
      CHECK_STATUS(cmap_store_forget(t.store, cmap_key_u64(&id), NULL),
                   CMAP_NOT_FOUND);
    }
    for (uint64_t id = 1; id < N; id += 3)
      CHECK_OK(cmap_store_put(t.store, cmap_key_u64(&id),
                              tracked_new(&t.lives, id, 2), NULL, NULL));
    for (uint64_t id = 0; id < N; id++) {
      CHECK_OK(cmap_ticket_complete(&tickets[id], tracked_new(&t.lives, id, 3),
                                    &handle));
      CHECK(store_object(&handle, id)->version == (id % 3 == 1 ? 2 : 3));
      cmap_handle_release(&handle);
      CHECK_OK(cmap_store_get(t.store, cmap_key_u64(&id), &handle, NULL));
      CHECK(store_object(&handle, id)->version == id % 3 + 1);
      cmap_handle_release(&handle);
    }
    test_store_close(&t);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(costs),
      cmocka_unit_test(too_dear),
      cmocka_unit_test(walks),
      cmocka_unit_test(ghosts),
      cmocka_unit_test(own_times),
      cmocka_unit_test(in_earnest),
      cmocka_unit_test(maintain_in_pieces),
      cmocka_unit_test(failures_in_pieces),
      cmocka_unit_test(many_refreshes),
      cmocka_unit_test(visits),
      cmocka_unit_test(threads_keep_the_bound),
      cmocka_unit_test(memory),
  };

  return cmocka_run_group_tests_name("store_bounds", tests, NULL, NULL);
}
