/* Checked misuse of every call on a map: CMAP_EINVAL, and nothing happens. */
#include "calls.h"
#include "content.h"
#include "numbers.h"

#include <string.h>

#define KEYS 50
#define KEY  UINT64_C(7)

static void no_map(void **state)
{
  uint64_t id = KEY;

  (void)state;
  for (size_t i = 0; i < calls_count; i++) {
    checks_about(calls[i].name);
    CHECK_STATUS(calls[i].run(NULL, cmap_key_u64(&id), NULL), CMAP_EINVAL);
  }
  checks_assert();
  assert_int_equal(cmap_len(NULL), 0);
  assert_true(cmap_is_empty(NULL));
  assert_int_equal(cmap_capacity(NULL), 0);
  assert_int_equal(cmap_shard_count(NULL), 0);
  assert_int_equal(cmap_shard_index(NULL, 5), 0);
}

/* The map of the calls is as calls_map made it. */
static void check_untouched(struct cmap *map)
{
  CHECK(cmap_len(map) == KEYS);
  for (uint64_t id = 0; id < KEYS; id++) {
    CHECK(numbers_get(map, id) == calls_value(cmap_key_u64(&id)));
  }
}

static void keys_that_do_not_fit(void **state)
{
  static const uint64_t bytes[4] = {1, 2, 3, 4};
  struct cmap *map = calls_map(KEYS);
  uint64_t hash = 77;

  (void)state;
  for (size_t i = 0; i < calls_count; i++) {
    if (!call_has(&calls[i], CALL_KEYED)) {
      continue;
    }
    checks_about(calls[i].name);
    for (size_t size = 0; size <= sizeof bytes; size++) {
      if (size != sizeof *bytes) {
        CHECK_STATUS(calls[i].run(map, cmap_key_bytes(bytes, size), NULL),
                     CMAP_EINVAL);
      }
      CHECK_STATUS(calls[i].run(map, cmap_key_bytes(NULL, size), NULL),
                   CMAP_EINVAL);
    }
  }
  checks_about("cmap_hash");
  CHECK_STATUS(cmap_hash(map, cmap_key_bytes(bytes, 4), &hash), CMAP_EINVAL);
  CHECK_STATUS(cmap_hash(map, cmap_key_bytes(NULL, 8), &hash), CMAP_EINVAL);
  CHECK_STATUS(cmap_hash(map, cmap_key_bytes(bytes, 8), NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_hash(NULL, cmap_key_bytes(bytes, 8), &hash), CMAP_EINVAL);
  CHECK(hash == 77);
  check_untouched(map);
  cmap_destroy(map);
  checks_assert();
}

/* The same for every kind of key; with a set, to have no value to care for. */
static void keys_of_every_kind(void **state)
{
  static const struct {
    enum key_shape keys;
    size_t right; /* the one size; SIZE_MAX: all sizes are right */
  } kinds[] = {
      {KEYS_U32, 4},
      {KEYS_U64, 8},
      {KEYS_FIXED_3, 3},
      {KEYS_FIXED_16, 16},
      {KEYS_FIXED_256, 256},
      {KEYS_CUSTOM, sizeof(struct tracked_key)},
      {KEYS_CUSTOM_OWNED, sizeof(struct tracked_key)},
      {KEYS_STRING, SIZE_MAX},
      {KEYS_BYTES, SIZE_MAX},
  };
  static const unsigned char bytes[512] = "a long key, or a part of it";

  (void)state;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    const struct map_spec spec = {.keys = kinds[i].keys};
    struct test_map m;
    uint64_t hash = 77;
    checks_about(map_spec_name(&spec));
    test_map_open(&m, &spec);
    CHECK_STATUS(
        cmap_insert(m.map, cmap_key_bytes(NULL, 0), NULL, NULL, NULL, NULL),
        CMAP_EINVAL);
    CHECK_STATUS(cmap_contains(m.map, cmap_key_bytes(NULL, 3), NULL),
                 CMAP_EINVAL);
    for (size_t size = 0; size <= 300; size++) {
      struct cmap_key key = cmap_key_bytes(bytes, size);
      if (kinds[i].right == SIZE_MAX || kinds[i].right == size) {
        continue;
      }
      CHECK_STATUS(cmap_insert(m.map, key, NULL, NULL, NULL, NULL),
                   CMAP_EINVAL);
      CHECK_STATUS(cmap_contains(m.map, key, NULL), CMAP_EINVAL);
      CHECK_STATUS(cmap_remove(m.map, key, NULL, NULL), CMAP_EINVAL);
      CHECK_STATUS(cmap_hash(m.map, key, &hash), CMAP_EINVAL);
    }
    CHECK(hash == 77);
    CHECK(cmap_is_empty(m.map));
    test_map_close(&m);
  }
}

/* Values of 8 bytes: calls on short keys have paths of their own. */
static void strings_do_not_contain_0(void **state)
{
  const struct map_spec spec = {.keys = KEYS_STRING, .value_size = 8};
  unsigned char bytes[100];
  uint64_t value = 1;
  struct test_map m;

  (void)state;
  test_map_open(&m, &spec);
  for (size_t size = 1; size <= sizeof bytes; size++) {
    for (size_t at = 0; at < size; at++) {
      struct cmap_key key = cmap_key_bytes(bytes, size);
      memset(bytes, 'x', sizeof bytes);
      bytes[at] = 0;
      CHECK_STATUS(cmap_insert(m.map, key, &value, NULL, NULL, NULL),
                   CMAP_EINVAL);
      CHECK_STATUS(cmap_contains(m.map, key, NULL), CMAP_EINVAL);
      CHECK_STATUS(cmap_fetch_add(m.map, key, 1, NULL, NULL), CMAP_EINVAL);
      CHECK_STATUS(cmap_remove(m.map, key, NULL, NULL), CMAP_EINVAL);
    }
  }
  CHECK(cmap_is_empty(m.map));
  CHECK_STATUS(cmap_contains(m.map, cmap_key_string(NULL), NULL), CMAP_EINVAL);
  CHECK_STATUS(
      cmap_insert(m.map, cmap_key_string("key"), NULL, NULL, NULL, NULL),
      CMAP_EINVAL);
  test_map_close(&m);
}

static void how_that_is_not_valid(void **state)
{
  struct {
    struct cmap_how how;
    uint64_t tail[2];
  } large;
  static const size_t sizes[] = {
      0,      1,       sizeof(struct cmap_how) - 1, sizeof(struct cmap_how) + 8,
      100000, SIZE_MAX};
  static const unsigned flags[] = {8, 9, 0x80000000u, ~0u};
  struct cmap *map = calls_map(KEYS);
  uint64_t id = KEY;

  (void)state;
  for (size_t i = 0; i < calls_count; i++) {
    checks_about(calls[i].name);
    for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
      memset(&large, 0, sizeof large);
      large.how.size = sizes[j];
      large.tail[0] = 1;
      CHECK_STATUS(calls[i].run(map, cmap_key_u64(&id), &large.how),
                   CMAP_EINVAL);
    }
    for (size_t j = 0; j < sizeof flags / sizeof *flags; j++) {
      memset(&large, 0, sizeof large);
      large.how.size = sizeof large.how;
      large.how.flags = flags[j];
      CHECK_STATUS(calls[i].run(map, cmap_key_u64(&id), &large.how),
                   CMAP_EINVAL);
    }
  }
  check_untouched(map);
  cmap_destroy(map);
  checks_assert();
}

/* Callbacks that must not be called. */
static enum cmap_status no_view(struct cmap_key key, const void *value,
                                void *ctx)
{
  (void)key;
  (void)value;
  (void)ctx;
  CHECK_NEVER("a callback is called although the call is refused");
  return CMAP_OK;
}

static bool no_test(struct cmap_key key, void *value, void *ctx)
{
  return no_view(key, value, ctx) == CMAP_OK;
}

static void no_callback(void **state)
{
  struct cmap *map = calls_map(KEYS);
  enum cmap_event event = NO_EVENT;
  uint64_t id = KEY;
  struct cmap_key key = cmap_key_u64(&id);
  uint64_t value = 1;
  uint64_t out = 2;
  size_t removed = 3;

  (void)state;
  for (; id <= KEYS; id += KEYS - KEY) {
    CHECK_STATUS(cmap_view(map, key, NULL, NULL, NULL), CMAP_EINVAL);
    CHECK_STATUS(
        cmap_get_or_insert_with(map, key, &out, &event, NULL, NULL, NULL),
        CMAP_EINVAL);
    CHECK_STATUS(cmap_get_or_insert_with_unlocked(map, key, &out, &event, NULL,
                                                  NULL, NULL),
                 CMAP_EINVAL);
    CHECK_STATUS(cmap_remove_if(map, key, NULL, NULL, &out, NULL), CMAP_EINVAL);
    CHECK_STATUS(cmap_replace_if(map, key, NULL, NULL, &value, &out, NULL),
                 CMAP_EINVAL);
    CHECK_STATUS(cmap_compute(map, key, &out, &event, NULL, NULL, NULL),
                 CMAP_EINVAL);
    CHECK_STATUS(cmap_alter(map, key, NULL, NULL, NULL), CMAP_EINVAL);
  }
  CHECK_STATUS(cmap_view_all(map, NULL, NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_alter_all(map, NULL, NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_retain(map, NULL, NULL, &removed, NULL), CMAP_EINVAL);
  CHECK(event == NO_EVENT && out == 2 && removed == 3);
  check_untouched(map);
  cmap_destroy(map);
  checks_assert();
}

static void no_value(void **state)
{
  struct cmap *map = calls_map(KEYS);
  enum cmap_event event = NO_EVENT;
  uint64_t id = KEY;
  struct cmap_key key = cmap_key_u64(&id);
  uint64_t value = 1;
  uint64_t out = 2;

  (void)state;
  for (; id <= KEYS; id += KEYS - KEY) {
    CHECK_STATUS(cmap_insert(map, key, NULL, &out, &event, NULL), CMAP_EINVAL);
    CHECK_STATUS(cmap_insert_new(map, key, NULL, &out, NULL), CMAP_EINVAL);
    CHECK_STATUS(cmap_get_or_insert(map, key, NULL, &event, NULL), CMAP_EINVAL);
    CHECK_STATUS(cmap_remove_if_equal(map, key, NULL, NULL), CMAP_EINVAL);
    CHECK_STATUS(cmap_compare_exchange(map, key, NULL, &value, NULL),
                 CMAP_EINVAL);
    CHECK_STATUS(cmap_compare_exchange(map, key, &value, NULL, NULL),
                 CMAP_EINVAL);
    CHECK_STATUS(cmap_replace_if(map, key, no_test, NULL, NULL, &out, NULL),
                 CMAP_EINVAL);
    CHECK_STATUS(cmap_swap(map, key, NULL, &event, NULL), CMAP_EINVAL);
  }
  CHECK(event == NO_EVENT && out == 2);
  check_untouched(map);
  cmap_destroy(map);
  checks_assert();
}

/* Where values have no bytes no value is needed. */
static void no_value_of_0_bytes(void **state)
{
  const struct map_spec spec = {.keys = KEYS_U64, .value_size = 0};
  enum cmap_event event = NO_EVENT;
  struct key_room room;
  struct cmap_key key = key_make(&spec, KEY, &room);
  struct test_map m;

  (void)state;
  test_map_open(&m, &spec);
  assert_ok(cmap_insert_new(m.map, key, NULL, NULL, NULL));
  assert_status(cmap_insert_new(m.map, key, NULL, NULL, NULL), CMAP_EXISTS);
  assert_ok(cmap_insert(m.map, key, NULL, NULL, &event, NULL));
  assert_int_equal(event, CMAP_UPDATED);
  assert_ok(cmap_get_or_insert(m.map, key, NULL, &event, NULL));
  assert_int_equal(event, CMAP_FOUND);
  assert_ok(cmap_swap(m.map, key, NULL, NULL, NULL));
  assert_ok(cmap_compare_exchange(m.map, key, NULL, NULL, NULL));
  assert_ok(cmap_get(m.map, key, NULL, NULL));
  assert_ok(cmap_remove_if_equal(m.map, key, NULL, NULL));
  assert_true(cmap_is_empty(m.map));
  assert_ok(cmap_get_or_insert(m.map, key, NULL, &event, NULL));
  assert_int_equal(event, CMAP_INSERTED);
  test_map_close(&m);
}

static void no_output(void **state)
{
  struct cmap *map = calls_map(KEYS);
  struct cmap *other = calls_map(KEYS);
  struct cmap_options options;
  bool equal = false;

  (void)state;
  CHECK_STATUS(cmap_len_exact(map, NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_clone(map, NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_equal(map, other, NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_equal(map, NULL, &equal, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_equal(NULL, map, &equal, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_merge(map, NULL, NULL, NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_merge(NULL, map, NULL, NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_get_options(map, NULL), CMAP_EINVAL);
  options.size = sizeof options;
  CHECK_STATUS(cmap_get_options(NULL, &options), CMAP_EINVAL);
  options.size = 0;
  CHECK_STATUS(cmap_get_options(map, &options), CMAP_EINVAL);
  CHECK(!equal);
  check_untouched(map);
  cmap_destroy(map);
  cmap_destroy(other);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_map),
      cmocka_unit_test(keys_that_do_not_fit),
      cmocka_unit_test(keys_of_every_kind),
      cmocka_unit_test(strings_do_not_contain_0),
      cmocka_unit_test(how_that_is_not_valid),
      cmocka_unit_test(no_callback),
      cmocka_unit_test(no_value),
      cmocka_unit_test(no_value_of_0_bytes),
      cmocka_unit_test(no_output),
  };

  return cmocka_run_group_tests_name("bad_args", tests, NULL, NULL);
}
