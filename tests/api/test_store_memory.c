/*
 * The memory of stores: that the statistics tell what the allocator gave, that
 * remembered failures go, and that a store which has become small gives memory
 * back.
 */
#include "settings.h"
#include "store_objects.h"
#include "threads.h"

#define HOUR_NS (UINT64_C(3600) * 1000000000)
#define OBJECTS UINT64_C(100000)
#define KEPT    50
#define HEADER  (sizeof(void *) == 8 ? 32 : 24) /* of an object, in bytes */

static struct test_store t;

static struct cmap_key key_of(uint64_t id)
{
  static _Thread_local struct key_room room;

  return key_make(&t.keys.spec, id, &room);
}

static enum cmap_status fail_now(struct cmap_key key, void **object, void *ctx)
{
  (void)key, (void)object;
  ++*(unsigned *)ctx;
  return (enum cmap_status)USER_STATUS;
}

static enum cmap_status make(struct cmap_key key, void **object, void *ctx)
{
  *object = tracked_new(&t.lives, key_id(&t.keys.spec, key), 1);
  ++*(unsigned *)ctx;
  return CMAP_OK;
}

/* Asks for the key, which cannot be made; was the constructor called? */
static bool fails_anew(uint64_t id)
{
  struct cmap_handle handle = CMAP_INIT;
  unsigned calls = 0;

  CHECK_STATUS(cmap_store_get_or_create(t.store, key_of(id), &handle, fail_now,
                                        &calls, NULL),
               (enum cmap_status)USER_STATUS);
  return calls == 1;
}

static void put(uint64_t id)
{
  CHECK_OK(cmap_store_put(t.store, key_of(id), tracked_new(&t.lives, id, 1),
                          NULL, NULL));
}

/* ------------------------------------------------------------------------
 * Statistics
 * ------------------------------------------------------------------------ */

static void check_bytes(void)
{
  double bytes = (double)store_stats(t.store).bytes;
  double real = (double)counting_alloc_live_bytes(&t.keys.alloc);

  if (bytes < real * 0.95 || bytes > real * 1.05)
    fail_msg("%.0f bytes, and %.0f were allocated", bytes, real);
}

static void no_notice(enum cmap_status status, struct cmap_handle *handle,
                      void *ctx)
{
  (void)status, (void)ctx;
  cmap_handle_release(handle);
}

/* Tickets for some keys, each with somebody who is to be told. */
static void begin_all(uint64_t first, struct cmap_ticket *tickets, size_t count)
{
  struct cmap_handle handle = CMAP_INIT;
  struct cmap_ticket none = CMAP_INIT;
  enum cmap_begin outcome;

  for (uint64_t i = 0; i < count; i++) {
    assert_ok(cmap_store_begin(t.store, key_of(first + i), &handle, &tickets[i],
                               &outcome, NULL, NULL, NULL));
    assert_int_equal(outcome, CMAP_YOURS);
    assert_ok(cmap_store_begin(t.store, key_of(first + i), &handle, &none,
                               &outcome, no_notice, NULL, NULL));
    assert_int_equal(outcome, CMAP_PENDING);
  }
}

static void bytes_are_what_the_allocator_gave(enum key_shape keys)
{
  static struct cmap_ticket tickets[1000];
  const size_t count = sizeof tickets / sizeof *tickets;

  test_store_prepare(&t, keys);
  t.options.negative_ns = HOUR_NS;
  test_store_create(&t);
  check_bytes();
  for (uint64_t id = 0; id < count; id++)
    assert_true(fails_anew(id));
  assert_int_equal(store_stats(t.store).remembered, count);
  check_bytes();
  begin_all(count, tickets, count);
  check_bytes();
  for (uint64_t id = 2 * count; id < 3 * count; id++)
    put(id);
  check_bytes();
  for (size_t i = 0; i < count; i++)
    cmap_ticket_abandon(&tickets[i]);
  check_bytes();
  assert_ok(cmap_store_clear(t.store));
  assert_int_equal(store_stats(t.store).remembered, 0);
  check_bytes();
  test_store_close(&t);
}

static void bytes_of_all_kinds(void **state)
{
  (void)state;
  bytes_are_what_the_allocator_gave(KEYS_U64);
  bytes_are_what_the_allocator_gave(KEYS_FIXED_256);
  bytes_are_what_the_allocator_gave(KEYS_STRING);
}

/* ------------------------------------------------------------------------
 * Failures
 * ------------------------------------------------------------------------ */

static void out_of_date(enum key_shape keys)
{
  const uint64_t count = 4000;
  size_t bytes = 0;

  test_store_prepare(&t, keys);
  t.options.negative_ns = 1; /* over before the next call */
  test_store_create(&t);
  for (uint64_t id = 0; id < count; id++) {
    assert_true(fails_anew(id));
    assert_true(store_stats(t.store).remembered <= 2);
    if (id == count / 8)
      bytes = counting_alloc_live_bytes(&t.keys.alloc);
  }
  assert_true(counting_alloc_live_bytes(&t.keys.alloc) <= bytes + 16384);
  test_store_close(&t);
}

static void failures_out_of_date_go(void **state)
{
  (void)state;
  for (int keys = 0; keys < KEY_SHAPES; keys++)
    if (keys != KEYS_FIXED_3)
      out_of_date((enum key_shape)keys);
}

/* When no more come, successes let them go, or who asks for it. */
static void failures_go_later(void **state)
{
  struct cmap_handle handle = CMAP_INIT;
  const uint64_t brief = 20000000, count = 400;
  unsigned calls = 0;
  uint64_t since;

  (void)state;
  for (int shrink = 0; shrink < 2; shrink++) {
    test_store_prepare(&t, KEYS_U64);
    t.options.negative_ns = brief;
    test_store_create(&t);
    for (uint64_t id = 0; id < count; id++)
      (void)fails_anew(id);
    since = test_now();
    while (test_now() <= since + brief)
      continue;
    if (shrink == 1)
      assert_ok(cmap_store_shrink_to_fit(t.store));
    for (uint64_t id = count; shrink == 0 && id < 2 * count; id++) {
      CHECK_OK(cmap_store_get_or_create(t.store, key_of(id), &handle, make,
                                        &calls, NULL));
      cmap_handle_release(&handle);
    }
    assert_int_equal(store_stats(t.store).remembered, 0);
    test_store_close(&t);
  }
}

static void failures_are_bounded(void **state)
{
  const uint64_t most = 100, count = 1000;

  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.negative_ns = UINT64_MAX;
  t.options.max_failures = most;
  test_store_create(&t);
  for (uint64_t id = 0; id < count; id++) {
    assert_true(fails_anew(id));
    assert_int_equal(store_stats(t.store).remembered,
                     id < most ? id + 1 : most);
  }
  for (uint64_t id = count - most; id < count; id++)
    assert_false(fails_anew(id));
  assert_true(fails_anew(count - most - 1)); /* and so the oldest goes */
  assert_true(fails_anew(count - most));
  /* One that goes otherwise makes room. */
  assert_ok(cmap_store_forget(t.store, key_of(count - 1), NULL));
  put(count - 2);
  assert_int_equal(store_stats(t.store).remembered, most - 2);
  assert_true(fails_anew(count));
  assert_false(fails_anew(count - most + 2));
  test_store_close(&t);
}

static void failures_have_a_default_bound(void **state)
{
  const uint64_t most = 65536;

  (void)state;
  if (test_scale(100) < 50)
    skip();
  test_store_prepare(&t, KEYS_U64);
  t.options.negative_ns = UINT64_MAX;
  test_store_create(&t);
  for (uint64_t id = 0; id < most + 100; id++)
    (void)fails_anew(id);
  assert_int_equal(store_stats(t.store).remembered, most);
  test_store_close(&t);
}

/* Failures come and go in all ways at once. */
static void fail_and_forget(unsigned index, void *ctx)
{
  const uint64_t rounds = *(uint64_t *)ctx;

  for (uint64_t i = 0; i < rounds; i++) {
    uint64_t id = (i * 7 + index) % 64;
    (void)fails_anew(id);
    if (i % 5 == index)
      (void)!cmap_store_forget(t.store, key_of(id / 2), NULL);
    if (i % 64 == 0)
      CHECK_OK(index == 0 ? cmap_store_clear(t.store)
                          : cmap_store_shrink_to_fit(t.store));
    CHECK(store_stats(t.store).remembered <= 20 + 4);
  }
}

static void failures_of_many_threads(void **state)
{
  uint64_t rounds = test_scale(4000);

  (void)state;
  test_store_prepare(&t, KEYS_STRING);
  t.options.negative_ns = 20000;
  t.options.max_failures = 20;
  test_store_create(&t);
  threads_run(4, fail_and_forget, &rounds);
  test_store_close(&t);
}

/* ------------------------------------------------------------------------
 * Giving back
 * ------------------------------------------------------------------------ */

static void open_with_default_allocator(unsigned flags)
{
  const struct cmap_allocator none = CMAP_INIT;

  test_store_prepare(&t, KEYS_U64);
  t.options.keys.allocator = none;
  t.options.keys.flags |= flags;
  test_store_create(&t);
}

static void fill(uint64_t count, struct cmap_handle *kept)
{
  for (uint64_t id = 0; id < count; id++)
    put(id);
  for (uint64_t i = 0; kept != NULL && i < KEPT; i++)
    CHECK_OK(
        cmap_store_get(t.store, key_of(i * (count / KEPT)), &kept[i], NULL));
}

static void release(uint64_t count, struct cmap_handle *kept)
{
  for (uint64_t i = 0; i < KEPT; i++) {
    (void)store_object(&kept[i], i * (count / KEPT));
    cmap_handle_release(&kept[i]);
  }
}

/* What objects cost beside their keys goes as they go. */
static void headers_go_with_their_objects(void **state)
{
  struct cmap_handle kept[KEPT] = {CMAP_INIT};
  uint64_t full, clear;

  (void)state;
  open_with_default_allocator(0);
  for (int round = 0; round < 2; round++) {
    fill(OBJECTS, kept);
    full = store_stats(t.store).bytes;
    assert_ok(cmap_store_clear(t.store));
    /* Those of objects with handles keep a page each. */
    clear = store_stats(t.store).bytes;
    assert_true(clear + OBJECTS * HEADER <= full + (16 + KEPT + 20) * 4096);
    release(OBJECTS, kept);
    assert_true(store_stats(t.store).bytes <= clear);
  }
  test_store_close(&t);
}

static void by_itself(void **state)
{
  uint64_t full, clear;

  (void)state;
  for (int each = 0; each < 2; each++) {
    open_with_default_allocator(CMAP_AUTO_SHRINK);
    fill(OBJECTS, NULL);
    full = store_stats(t.store).bytes;
    if (each == 0)
      assert_ok(cmap_store_clear(t.store));
    for (uint64_t id = 0; each == 1 && id < OBJECTS; id++)
      assert_ok(cmap_store_remove(t.store, key_of(id), NULL));
    clear = store_stats(t.store).bytes;
    if (clear > full / 2)
      fail_msg("%zu bytes of %zu are left", (size_t)clear, (size_t)full);
    test_store_close(&t);
  }
}

static void when_told_to(void **state)
{
  struct cmap_handle kept[KEPT] = {CMAP_INIT};
  uint64_t full, small;

  (void)state;
  open_with_default_allocator(0);
  for (int round = 0; round < 2; round++) {
    fill(OBJECTS, kept);
    full = store_stats(t.store).bytes;
    assert_ok(cmap_store_clear(t.store));
    release(OBJECTS, kept);
    assert_ok(cmap_store_shrink_to_fit(t.store));
    small = store_stats(t.store).bytes;
    if (small > full / 2)
      fail_msg("%zu bytes of %zu are left", (size_t)small, (size_t)full);
  }
  test_store_close(&t);
}

/* What was reserved is there: objects come in without a request for memory. Of
 * a cache no more than it may have. */
static void reserved(void **state)
{
  const uint64_t n = 1000;

  (void)state;
  for (int bound = 0; bound < 2; bound++) {
    size_t before;

    test_store_prepare(&t, KEYS_U64);
    if (bound)
      t.options.max_objects = n;
    test_store_create(&t);
    assert_status(cmap_store_reserve(t.store, 0), CMAP_OK);
    assert_status(cmap_store_reserve(t.store, bound ? 100 * n : n), CMAP_OK);
    before = counting_alloc_live_bytes(&t.keys.alloc);
    assert_true(before < 200 * n);
    check_bytes();
    counting_alloc_fail_from(&t.keys.alloc, 1);
    for (uint64_t id = 0; id < n; id++)
      put(id);
    assert_int_equal(counting_alloc_failures(&t.keys.alloc), 0);
    counting_alloc_fail_none(&t.keys.alloc);
    assert_int_equal(counting_alloc_live_bytes(&t.keys.alloc), before);
    assert_int_equal(cmap_store_len(t.store), n);
    test_store_close(&t);
  }
}

/* What was made of it stays, and the store works on. */
static void reserving_fails(void **state)
{
  enum cmap_status status = CMAP_ENOMEM;

  (void)state;
  /* Ends: with the call that gets all it asks for. */
  for (size_t nth = 1; status == CMAP_ENOMEM; nth++) {
    test_store_open(&t, KEYS_U64);
    counting_alloc_fail_nth(&t.keys.alloc, nth);
    status = cmap_store_reserve(t.store, 5000);
    assert_true(status == CMAP_OK || status == CMAP_ENOMEM);
    counting_alloc_fail_none(&t.keys.alloc);
    put(1);
    test_store_close(&t);
  }
  test_store_open(&t, KEYS_U64);
  assert_status(cmap_store_reserve(t.store, SIZE_MAX / 2), CMAP_ENOMEM);
  assert_status(cmap_store_reserve(NULL, 1), CMAP_EINVAL);
  test_store_close(&t);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bytes_of_all_kinds),
      cmocka_unit_test(failures_out_of_date_go),
      cmocka_unit_test(failures_go_later),
      cmocka_unit_test(failures_are_bounded),
      cmocka_unit_test(failures_have_a_default_bound),
      cmocka_unit_test(failures_of_many_threads),
      cmocka_unit_test(headers_go_with_their_objects),
      cmocka_unit_test(by_itself),
      cmocka_unit_test(when_told_to),
      cmocka_unit_test(reserved),
      cmocka_unit_test(reserving_fails),
  };

  return cmocka_run_group_tests_name("store_memory", tests, NULL, NULL);
}
