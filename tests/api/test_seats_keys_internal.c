/*
 * Guards of keys that the short way does not find have seats as well
 * (sync/bias.h).
 */
#include "seats_fixture.h"

/* In other slots than the first with their tag, in other groups than their
 * home. */
static void keys_of_all_places(void **state)
{
  enum { KEYS = 1000 };
  struct cmap_read_guard guard;
  struct cmap *map;

  (void)state;
  if (!works)
    skip();
  map = numbers_open();
  for (uint64_t key = 0; key < KEYS; key++)
    numbers_put(map, key, key);
  for (uint64_t key = 0; key < KEYS; key++) {
    bias_at(map, key);
    guard = guard_at(map, key);
    CHECK(has_seat(&guard));
    CHECK(*(const uint64_t *)guard.value == key);
    release(&guard);
    CHECK_OK(cmap_get_or_insert_ref(map, cmap_key_u64(&key), &key, &guard, NULL,
                                    NULL));
    CHECK(has_seat(&guard));
    CHECK(*(const uint64_t *)guard.value == key);
    release(&guard);
    assert_int_equal(cmap__self.seats->used, 0);
  }
  cmap_destroy(map);
  checks_assert();
}

static uint64_t hash_of_number(struct cmap_key key, void *ctx)
{
  uint64_t number;

  (void)ctx;
  memcpy(&number, key.data, sizeof number);
  return number * UINT64_C(0x9e3779b97f4a7c15);
}

static _Thread_local bool ends_here;

static bool same_number(struct cmap_key a, struct cmap_key b, void *ctx)
{
  (void)ctx;
  if (ends_here) {
    CHECK(cmap__self.seats->used != 0);
    pthread_exit(NULL);
  }
  return memcmp(a.data, b.data, sizeof(uint64_t)) == 0;
}

static void end_in_equality(unsigned index, void *map)
{
  (void)index;
  bias(map);
  ends_here = true;
  (void)guard_of(map);
  CHECK_NEVER("the guard is there");
}

/* Their guards have seats, though user code looks for the keys. */
static void keys_of_the_user(void **state)
{
  struct cmap_options options;
  struct cmap_read_guard guard;
  struct cmap *map;
  uint64_t value = 1;

  (void)state;
  if (!works)
    skip();
  cmap_options_init(&options, CMAP_CUSTOM, sizeof value);
  options.key_size = sizeof(uint64_t);
  options.key_hash = hash_of_number;
  options.key_equal = same_number;
  assert_ok(cmap_create(&options, &map));
  numbers_put(map, KEY, value);
  bias(map);
  guard = guard_of(map);
  assert_true(has_seat(&guard));
  assert_status(write_at_once(map), CMAP_BUSY);
  release(&guard);
  assert_ok(cmap_get_or_insert_ref(map, cmap_key_u64(&(uint64_t){KEY + 1}),
                                   &value, &guard, NULL, NULL));
  assert_false(has_seat(&guard)); /* it was inserted under its write lock */
  release(&guard);
  on_another_thread(end_in_equality, map);
  assert_status(cmap_insert(map, cmap_key_u64(&(uint64_t){KEY}), &value, NULL,
                            NULL, NULL),
                CMAP_EABANDONED);
  cmap_destroy(map);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keys_of_all_places),
      cmocka_unit_test(keys_of_the_user),
  };

  works = cmap__load_relaxed(&cmap__bias_works);
  return cmocka_run_group_tests_name("seats_keys_internal", tests, NULL, NULL);
}
