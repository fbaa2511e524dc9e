/* cmap_clone, cmap_equal, cmap_merge. */
#include "numbers.h"
#include "operations.h"
#include "settings.h"
#include "threads.h"

#include <string.h>

static void copies_on_every_kind_of_map(void **state)
{
  static op_fn *const ops[] = {op_insert, op_insert, op_merge,  op_remove,
                               op_insert, op_insert, op_clone,  op_remove,
                               op_insert, op_merge,  op_shrink, op_insert};

  (void)state;
  op_exercise(ops, sizeof ops / sizeof *ops);
}

static bool are_equal(struct cmap *a, struct cmap *b)
{
  bool equal = false;
  bool turned = true;

  assert_ok(cmap_equal(a, b, &equal, NULL));
  assert_ok(cmap_equal(b, a, &turned, NULL));
  assert_int_equal(equal, turned);
  return equal;
}

static void a_clone_goes_its_own_way(void **state)
{
  struct cmap *map = numbers_open_small();
  struct cmap *copy = NULL;

  (void)state;
  for (uint64_t id = 0; id < 100; id++) {
    numbers_put(map, id, id);
  }
  assert_ok(cmap_clone(map, &copy, NULL));
  assert_true(are_equal(map, copy));
  numbers_put(copy, 5, 55);
  numbers_drop(map, 6);
  assert_int_equal(numbers_get(map, 5), 5);
  assert_int_equal(numbers_get(copy, 6), 6);
  assert_false(are_equal(map, copy));
  cmap_destroy(map);
  assert_int_equal(cmap_len(copy), 100);
  assert_int_equal(numbers_get(copy, 5), 55);
  cmap_destroy(copy);
  checks_assert();
}

static void equal_maps_have_equal_keys_and_values(void **state)
{
  struct cmap *a = numbers_open();
  struct cmap *b = numbers_open_small();

  (void)state;
  assert_true(are_equal(a, b));
  assert_true(are_equal(a, a));
  numbers_put(a, 1, 10);
  assert_false(are_equal(a, b));
  numbers_put(b, 2, 10);
  assert_false(are_equal(a, b));
  numbers_drop(b, 2);
  numbers_put(b, 1, 11);
  assert_false(are_equal(a, b));
  numbers_put(b, 1, 10);
  assert_true(are_equal(a, b));
  for (uint64_t id = 2; id < 300; id++) {
    numbers_put(a, id, id);
    numbers_put(b, 301 - id, 301 - id);
  }
  assert_true(are_equal(a, b));
  numbers_put(b, 150, 0);
  assert_false(are_equal(a, b));
  assert_true(are_equal(b, b));
  cmap_destroy(a);
  cmap_destroy(b);
  checks_assert();
}

/* Options that keep the entries of two maps apart. */
static void maps_of_different_kinds(void **state)
{
  static const struct map_spec specs[] = {
      {.keys = KEYS_U64, .value_size = 8},
      {.keys = KEYS_U32, .value_size = 8},
      {.keys = KEYS_U64, .value_size = 12},
      {.keys = KEYS_FIXED_3, .value_size = 8},
      {.keys = KEYS_FIXED_16, .value_size = 8},
      {.keys = KEYS_STRING, .value_size = 8},
      {.keys = KEYS_BYTES, .value_size = 8},
  };
  enum { SPECS = sizeof specs / sizeof *specs };
  static struct test_map maps[SPECS];

  (void)state;
  for (size_t i = 0; i < SPECS; i++) {
    test_map_open(&maps[i], &specs[i]);
  }
  for (size_t i = 0; i < SPECS; i++) {
    for (size_t j = 0; j < SPECS; j++) {
      bool equal = false;
      if (i != j) {
        assert_status(cmap_equal(maps[i].map, maps[j].map, &equal, NULL),
                      CMAP_EINVAL);
        assert_false(equal);
        assert_status(cmap_merge(maps[i].map, maps[j].map, NULL, NULL, NULL),
                      CMAP_EINVAL);
      }
    }
  }
  for (size_t i = 0; i < SPECS; i++) {
    test_map_close(&maps[i]);
  }
}

static uint64_t other_hash(struct cmap_key key, void *ctx)
{
  (void)ctx;
  return key.size;
}

static void custom_keys_must_be_hashed_alike(void **state)
{
  const struct map_spec spec = {.keys = KEYS_CUSTOM, .value_size = 8};
  struct test_map a;
  struct test_map b;
  bool equal = false;

  (void)state;
  test_map_open(&a, &spec);
  test_map_prepare(&b, &spec);
  b.options.key_hash = other_hash;
  assert_ok(cmap_create(&b.options, &b.map));
  assert_status(cmap_equal(a.map, b.map, &equal, NULL), CMAP_EINVAL);
  assert_status(cmap_merge(a.map, b.map, NULL, NULL, NULL), CMAP_EINVAL);
  test_map_close(&b);
  test_map_close(&a);
}

static void a_map_is_not_merged_into_itself(void **state)
{
  struct cmap *map = numbers_open();

  (void)state;
  numbers_put(map, 1, 10);
  assert_status(cmap_merge(map, map, NULL, NULL, NULL), CMAP_EINVAL);
  assert_int_equal(cmap_len(map), 1);
  cmap_destroy(map);
}

struct conflict {
  size_t calls;
  enum cmap_status status;
};

static enum cmap_status add(struct cmap_key key, void *value,
                            const void *from_value, void *ctx)
{
  struct conflict *conflict = ctx;
  uint64_t sum;
  uint64_t other;

  CHECK(key.size == 8);
  memcpy(&sum, value, sizeof sum);
  memcpy(&other, from_value, sizeof other);
  sum += other;
  memcpy(value, &sum, sizeof sum);
  conflict->calls++;
  return conflict->status;
}

static void merge_replaces_or_asks(void **state)
{
  struct conflict conflict = {0, CMAP_OK};

  (void)state;
  for (int asks = 0; asks < 2; asks++) {
    struct cmap *into = numbers_open_small();
    struct cmap *from = numbers_open();
    for (uint64_t id = 0; id < 100; id++) {
      numbers_put(into, id, 1000);
      numbers_put(from, id + 50, id + 50);
    }
    assert_ok(cmap_merge(into, from, asks ? add : NULL, &conflict, NULL));
    assert_int_equal(cmap_len(into), 150);
    assert_int_equal(cmap_len(from), 100);
    for (uint64_t id = 0; id < 150; id++) {
      uint64_t expected = id < 50 ? 1000 : id;
      if (asks && id >= 50 && id < 100) {
        expected += 1000;
      }
      assert_int_equal(numbers_get(into, id), expected);
    }
    cmap_destroy(into);
    cmap_destroy(from);
  }
  assert_int_equal(conflict.calls, 50);
  checks_assert();
}

static void a_conflict_may_end_the_merge(void **state)
{
  struct conflict conflict = {0, (enum cmap_status)USER_STATUS};
  struct cmap *into = numbers_open();
  struct cmap *from = numbers_open();

  (void)state;
  for (uint64_t id = 0; id < 10; id++) {
    numbers_put(into, id, 1);
    numbers_put(from, id, 2);
  }
  assert_status(cmap_merge(into, from, add, &conflict, NULL),
                (enum cmap_status)USER_STATUS);
  assert_int_equal(conflict.calls, 1);
  assert_int_equal(cmap_len(into), 10);
  cmap_destroy(into);
  cmap_destroy(from);
  checks_assert();
}

static void a_failed_clone_leaves_nothing(void **state)
{
  const struct map_spec spec = {.keys = KEYS_STRING,
                                .value_size = 300,
                                .care = VALUES_OWNED,
                                .shard_groups = 1};
  struct value_room value;
  struct key_room room;
  struct cmap *copy = NULL;
  struct test_map m;

  (void)state;
  test_map_open(&m, &spec);
  for (uint64_t id = 0; id < 50; id++) {
    value_make(&m, id, 1, value.bytes);
    assert_ok(cmap_insert(m.map, key_make(&spec, id, &room), value.bytes, NULL,
                          NULL, NULL));
  }
  atomic_store(&m.lives->clone_status, USER_STATUS);
  assert_status(cmap_clone(m.map, &copy, NULL), (enum cmap_status)USER_STATUS);
  assert_null(copy);
  assert_int_equal(lifetimes_alive(m.lives), 50);
  test_map_close(&m);
}

struct pair {
  struct cmap *maps[2];
};

/* Merges both ways, compares both ways, clones, and writes. */
static void cross(unsigned index, void *ctx)
{
  struct pair *pair = ctx;
  struct cmap *mine = pair->maps[index % 2];
  struct cmap *other = pair->maps[1 - index % 2];

  for (uint64_t i = 0; i < test_scale(60); i++) {
    struct cmap *copy = NULL;
    bool equal = false;
    CHECK_OK(cmap_merge(mine, other, NULL, NULL, NULL));
    CHECK_OK(cmap_equal(mine, other, &equal, NULL));
    CHECK_OK(cmap_clone(mine, &copy, NULL));
    CHECK(cmap_len(copy) >= 100);
    cmap_destroy(copy);
    numbers_put(mine, 1000 + i % 50, i);
  }
}

static void several_threads(void **state)
{
  struct pair pair = {.maps = {numbers_open_small(), numbers_open_small()}};

  (void)state;
  for (uint64_t id = 0; id < 100; id++) {
    numbers_put(pair.maps[id % 2], id, id);
  }
  assert_ok(cmap_merge(pair.maps[0], pair.maps[1], NULL, NULL, NULL));
  assert_ok(cmap_merge(pair.maps[1], pair.maps[0], NULL, NULL, NULL));
  threads_run(4, cross, &pair);
  for (uint64_t id = 0; id < 100; id++) {
    assert_int_equal(numbers_get(pair.maps[0], id), id);
    assert_int_equal(numbers_get(pair.maps[1], id), id);
  }
  cmap_destroy(pair.maps[0]);
  cmap_destroy(pair.maps[1]);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(copies_on_every_kind_of_map),
      cmocka_unit_test(a_clone_goes_its_own_way),
      cmocka_unit_test(equal_maps_have_equal_keys_and_values),
      cmocka_unit_test(maps_of_different_kinds),
      cmocka_unit_test(custom_keys_must_be_hashed_alike),
      cmocka_unit_test(a_map_is_not_merged_into_itself),
      cmocka_unit_test(merge_replaces_or_asks),
      cmocka_unit_test(a_conflict_may_end_the_merge),
      cmocka_unit_test(a_failed_clone_leaves_nothing),
      cmocka_unit_test(several_threads),
  };

  return cmocka_run_group_tests_name("clone_equal_merge", tests, NULL, NULL);
}
