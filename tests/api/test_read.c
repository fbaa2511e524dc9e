/* cmap_get, cmap_contains, cmap_view. */
#include "numbers.h"
#include "operations.h"
#include "settings.h"
#include "threads.h"

#include <string.h>

static void reads_on_every_kind_of_map(void **state)
{
  static op_fn *const ops[] = {op_insert, op_get, op_remove, op_get};

  (void)state;
  op_exercise(ops, sizeof ops / sizeof *ops);
}

static void get_may_only_ask(void **state)
{
  struct cmap *map = numbers_open();
  uint64_t key = 5;

  (void)state;
  assert_status(cmap_get(map, cmap_key_u64(&key), NULL, NULL), CMAP_NOT_FOUND);
  numbers_put(map, 5, 50);
  assert_ok(cmap_get(map, cmap_key_u64(&key), NULL, NULL));
  cmap_destroy(map);
}

static void get_does_not_touch_the_output_of_an_absent_key(void **state)
{
  struct cmap *map = numbers_open();
  uint64_t key = 5;
  uint64_t out = 123;

  (void)state;
  assert_status(cmap_get(map, cmap_key_u64(&key), &out, NULL), CMAP_NOT_FOUND);
  assert_int_equal(out, 123);
  numbers_put(map, 6, 1);
  assert_status(cmap_get(map, cmap_key_u64(&key), &out, NULL), CMAP_NOT_FOUND);
  assert_int_equal(out, 123);
  cmap_destroy(map);
}

static void a_part_of_a_string_is_a_key(void **state)
{
  const char *text = "one two three";
  struct cmap_options options;
  struct cmap *map = NULL;
  uint32_t value = 2;
  uint32_t out = 0;

  (void)state;
  cmap_options_init(&options, CMAP_STRING, sizeof value);
  assert_ok(cmap_create(&options, &map));
  assert_ok(cmap_insert(map, cmap_key_string("two"), &value, NULL, NULL, NULL));
  assert_ok(cmap_get(map, cmap_key_bytes(text + 4, 3), &out, NULL));
  assert_int_equal(out, 2);
  assert_status(cmap_contains(map, cmap_key_bytes(text + 4, 4), NULL),
                CMAP_NOT_FOUND);
  assert_status(cmap_contains(map, cmap_key_bytes(text + 4, 2), NULL),
                CMAP_NOT_FOUND);
  assert_status(cmap_contains(map, cmap_key_bytes(text, 0), NULL),
                CMAP_NOT_FOUND);
  cmap_destroy(map);
}

/* Keys that differ in one bit only, anywhere. */
static void keys_are_compared_to_the_last_bit(void **state)
{
  enum { SIZE = 90 };
  struct cmap_options options;
  struct cmap *map = NULL;
  unsigned char bytes[SIZE];

  (void)state;
  cmap_options_init(&options, CMAP_BYTES, 0);
  assert_ok(cmap_create(&options, &map));
  memset(bytes, 'x', sizeof bytes);
  for (size_t size = 0; size <= SIZE; size++) {
    assert_ok(
        cmap_insert_new(map, cmap_key_bytes(bytes, size), NULL, NULL, NULL));
  }
  for (size_t size = 1; size <= SIZE; size++) {
    for (size_t bit = 0; bit < 8 * size; bit++) {
      bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
      assert_status(cmap_contains(map, cmap_key_bytes(bytes, size), NULL),
                    CMAP_NOT_FOUND);
      bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
  }
  cmap_destroy(map);
}

struct seen {
  uint64_t key;
  uint64_t value;
  size_t calls;
  enum cmap_status status;
};

static enum cmap_status see(struct cmap_key key, const void *value, void *ctx)
{
  struct seen *seen = ctx;

  CHECK(key.size == sizeof seen->key);
  memcpy(&seen->key, key.data, sizeof seen->key);
  memcpy(&seen->value, value, sizeof seen->value);
  seen->calls++;
  return seen->status;
}

static void view_shows_key_and_value(void **state)
{
  struct cmap *map = numbers_open();
  struct seen seen = {.status = CMAP_OK};
  uint64_t key = 5;

  (void)state;
  assert_status(cmap_view(map, cmap_key_u64(&key), see, &seen, NULL),
                CMAP_NOT_FOUND);
  assert_int_equal(seen.calls, 0);
  numbers_put(map, 5, 50);
  assert_ok(cmap_view(map, cmap_key_u64(&key), see, &seen, NULL));
  assert_int_equal(seen.calls, 1);
  assert_int_equal(seen.key, 5);
  assert_int_equal(seen.value, 50);
  seen.status = (enum cmap_status)USER_STATUS;
  assert_status(cmap_view(map, cmap_key_u64(&key), see, &seen, NULL),
                (enum cmap_status)USER_STATUS);
  assert_int_equal(seen.calls, 2);
  cmap_destroy(map);
  checks_assert();
}

static void values_that_cannot_be_copied(void **state)
{
  const struct map_spec spec = {
      .keys = KEYS_STRING, .value_size = 8, .care = VALUES_UNCOPYABLE};
  struct value_room value;
  struct key_room room;
  struct cmap_key key = key_make(&spec, 3, &room);
  struct test_map m;

  (void)state;
  test_map_open(&m, &spec);
  value_make(&m, 3, 1, value.bytes);
  assert_ok(cmap_insert(m.map, key, value.bytes, NULL, NULL, NULL));
  value_mark(&m, &value);
  assert_status(cmap_get(m.map, key, value.bytes, NULL), CMAP_ENOTSUP);
  assert_true(value_is_marked(&m, &value));
  assert_ok(cmap_get(m.map, key, NULL, NULL));
  assert_ok(cmap_contains(m.map, key, NULL));
  test_map_close(&m);
}

static void cloned_values_are_the_callers(void **state)
{
  const struct map_spec spec = {
      .keys = KEYS_U64, .value_size = 300, .care = VALUES_OWNED};
  struct value_room value;
  struct key_room room;
  struct cmap_key key = key_make(&spec, 3, &room);
  struct test_map m;

  (void)state;
  test_map_open(&m, &spec);
  value_make(&m, 3, 1, value.bytes);
  assert_ok(cmap_insert(m.map, key, value.bytes, NULL, NULL, NULL));
  assert_ok(cmap_get(m.map, key, value.bytes, NULL));
  assert_int_equal(lifetimes_alive(m.lives), 2);
  assert_ok(cmap_remove(m.map, key, NULL, NULL));
  assert_int_equal(lifetimes_alive(m.lives), 1);
  assert_true(value_is(&m, 3, 1, value.bytes));
  value_drop(&m, value.bytes);
  test_map_close(&m);
}

struct crowd {
  struct test_map *m;
  size_t ids;
  size_t rounds;
};

static enum cmap_status see_whole(struct cmap_key key, const void *value,
                                  void *ctx)
{
  struct test_map *m = ctx;

  CHECK(value_is(m, key_id(&m->spec, key), 1, value));
  return CMAP_OK;
}

static void read_all(unsigned index, void *ctx)
{
  struct crowd *crowd = ctx;
  struct test_map *m = crowd->m;
  struct value_room value;
  struct key_room room;

  for (size_t i = 0; i < crowd->rounds; i++) {
    uint64_t id = (i + index * 17) % (2 * crowd->ids);
    struct cmap_key key = key_make(&m->spec, id, &room);
    enum cmap_status status = id < crowd->ids ? CMAP_OK : CMAP_NOT_FOUND;
    CHECK_STATUS(cmap_contains(m->map, key, NULL), status);
    CHECK_STATUS(cmap_view(m->map, key, see_whole, m, NULL), status);
    if (CHECK_STATUS(cmap_get(m->map, key, value.bytes, NULL), status) ==
        CMAP_OK) {
      CHECK(value_is(m, id, 1, value.bytes));
      value_drop(m, value.bytes);
    }
  }
}

static void several_threads_read(void **state)
{
  static const struct map_spec specs[] = {
      {.keys = KEYS_U64, .value_size = 64, .shard_groups = 1},
      {.keys = KEYS_STRING, .value_size = 300, .shard_groups = 1},
      {.keys = KEYS_CUSTOM_OWNED, .value_size = 8, .care = VALUES_OWNED},
  };

  (void)state;
  for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
    struct value_room value;
    struct key_room room;
    struct test_map m;
    struct crowd crowd = {&m, 100, test_scale(5000)};
    test_map_open(&m, &specs[i]);
    for (uint64_t id = 0; id < crowd.ids; id++) {
      value_make(&m, id, 1, value.bytes);
      assert_ok(cmap_insert(m.map, key_make(&specs[i], id, &room), value.bytes,
                            NULL, NULL, NULL));
    }
    threads_run(4, read_all, &crowd);
    test_map_close(&m);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_on_every_kind_of_map),
      cmocka_unit_test(get_may_only_ask),
      cmocka_unit_test(get_does_not_touch_the_output_of_an_absent_key),
      cmocka_unit_test(a_part_of_a_string_is_a_key),
      cmocka_unit_test(keys_are_compared_to_the_last_bit),
      cmocka_unit_test(view_shows_key_and_value),
      cmocka_unit_test(values_that_cannot_be_copied),
      cmocka_unit_test(cloned_values_are_the_callers),
      cmocka_unit_test(several_threads_read),
  };

  return cmocka_run_group_tests_name("read", tests, NULL, NULL);
}
