/* cmap_remove, cmap_remove_if, cmap_remove_if_equal. */
#include "numbers.h"
#include "operations.h"
#include "settings.h"
#include "threads.h"

#include <string.h>

static void removes_on_every_kind_of_map(void **state)
{
  static op_fn *const ops[] = {op_insert,    op_remove, op_insert,
                               op_remove_if, op_insert, op_remove_if_equal};

  (void)state;
  op_exercise(ops, sizeof ops / sizeof *ops);
}

static void remove_moves_the_value_out(void **state)
{
  struct cmap *map = numbers_open();
  uint64_t key = 5;
  uint64_t old = 1;

  (void)state;
  assert_status(cmap_remove(map, cmap_key_u64(&key), &old, NULL),
                CMAP_NOT_FOUND);
  assert_int_equal(old, 1);
  numbers_put(map, 5, 50);
  assert_ok(cmap_remove(map, cmap_key_u64(&key), &old, NULL));
  assert_int_equal(old, 50);
  assert_status(cmap_remove(map, cmap_key_u64(&key), NULL, NULL),
                CMAP_NOT_FOUND);
  assert_true(cmap_is_empty(map));
  cmap_destroy(map);
}

static void what_nobody_takes_is_destroyed(void **state)
{
  const struct map_spec spec = {
      .keys = KEYS_CUSTOM_OWNED, .value_size = 300, .care = VALUES_UNCOPYABLE};
  struct value_room value;
  struct key_room room;
  struct cmap_key key = key_make(&spec, 3, &room);
  struct test_map m;

  (void)state;
  test_map_open(&m, &spec);
  value_make(&m, 3, 1, value.bytes);
  assert_ok(cmap_insert(m.map, key, value.bytes, NULL, NULL, NULL));
  assert_int_equal(lifetimes_alive(m.lives), 2);
  assert_ok(cmap_remove(m.map, key, NULL, NULL));
  assert_int_equal(lifetimes_alive(m.lives), 0);
  value_make(&m, 3, 2, value.bytes);
  assert_ok(cmap_insert(m.map, key, value.bytes, NULL, NULL, NULL));
  assert_ok(cmap_remove(m.map, key, value.bytes, NULL));
  assert_int_equal(lifetimes_alive(m.lives), 1);
  value_drop(&m, value.bytes);
  test_map_close(&m);
}

struct tester {
  bool answer;
  size_t calls;
};

static bool add_one(struct cmap_key key, void *value, void *ctx)
{
  struct tester *tester = ctx;
  uint64_t number;

  CHECK(key.size == 8);
  memcpy(&number, value, sizeof number);
  number++;
  memcpy(value, &number, sizeof number);
  tester->calls++;
  return tester->answer;
}

static void remove_if_may_change_the_value(void **state)
{
  struct cmap *map = numbers_open();
  struct tester tester = {false, 0};
  uint64_t key = 5;
  uint64_t old = 1;

  (void)state;
  assert_status(
      cmap_remove_if(map, cmap_key_u64(&key), add_one, &tester, &old, NULL),
      CMAP_NOT_FOUND);
  assert_int_equal(tester.calls, 0);
  numbers_put(map, 5, 50);
  assert_status(
      cmap_remove_if(map, cmap_key_u64(&key), add_one, &tester, &old, NULL),
      CMAP_MISMATCH);
  assert_int_equal(tester.calls, 1);
  assert_int_equal(old, 1);
  assert_int_equal(numbers_get(map, 5), 51);
  tester.answer = true;
  assert_ok(
      cmap_remove_if(map, cmap_key_u64(&key), add_one, &tester, &old, NULL));
  assert_int_equal(tester.calls, 2);
  assert_int_equal(old, 52);
  assert_false(numbers_has(map, 5));
  numbers_put(map, 5, 60);
  assert_ok(
      cmap_remove_if(map, cmap_key_u64(&key), add_one, &tester, NULL, NULL));
  assert_true(cmap_is_empty(map));
  cmap_destroy(map);
  checks_assert();
}

static void remove_if_equal_compares(void **state)
{
  struct cmap *map = numbers_open();
  uint64_t key = 5;
  uint64_t value = 50;

  (void)state;
  assert_status(cmap_remove_if_equal(map, cmap_key_u64(&key), &value, NULL),
                CMAP_NOT_FOUND);
  numbers_put(map, 5, 51);
  assert_status(cmap_remove_if_equal(map, cmap_key_u64(&key), &value, NULL),
                CMAP_MISMATCH);
  assert_int_equal(numbers_get(map, 5), 51);
  numbers_put(map, 5, 50);
  assert_ok(cmap_remove_if_equal(map, cmap_key_u64(&key), &value, NULL));
  assert_true(cmap_is_empty(map));
  cmap_destroy(map);
}

/* Every byte of a large value counts, also beyond what lies in the slot. */
static void remove_if_equal_compares_every_byte(void **state)
{
  static const size_t sizes[] = {1, 7, 12, 64, 300, 5000};

  (void)state;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const struct map_spec spec = {.keys = KEYS_U32, .value_size = sizes[i]};
    struct value_room value;
    struct key_room room;
    struct cmap_key key = key_make(&spec, 3, &room);
    struct test_map m;
    test_map_open(&m, &spec);
    value_make(&m, 3, 1, value.bytes);
    assert_ok(cmap_insert(m.map, key, value.bytes, NULL, NULL, NULL));
    for (size_t byte = 0; byte < sizes[i]; byte++) {
      value.bytes[byte] ^= 1;
      assert_status(cmap_remove_if_equal(m.map, key, value.bytes, NULL),
                    CMAP_MISMATCH);
      value.bytes[byte] ^= 1;
    }
    assert_ok(cmap_remove_if_equal(m.map, key, value.bytes, NULL));
    test_map_close(&m);
  }
}

struct game {
  struct test_map m;
  atomic_size_t taken;
};

/* Each thread removes what it can get: nothing comes out twice. */
static void remove_what_is_there(unsigned index, void *ctx)
{
  struct game *game = ctx;
  struct test_map *m = &game->m;
  struct value_room old;
  struct key_room room;

  (void)index;
  for (uint64_t id = 0; id < test_scale(2000); id++) {
    enum cmap_status status =
        cmap_remove(m->map, key_make(&m->spec, id, &room), old.bytes, NULL);
    if (status == CMAP_OK) {
      CHECK(value_is(m, id, 1, old.bytes));
      value_drop(m, old.bytes);
      atomic_fetch_add_explicit(&game->taken, 1, memory_order_relaxed);
    } else {
      CHECK_STATUS(status, CMAP_NOT_FOUND);
    }
  }
}

static void several_threads_remove(void **state)
{
  static const struct map_spec specs[] = {
      {.keys = KEYS_U64, .value_size = 64, .shard_groups = 1},
      {.keys = KEYS_STRING, .value_size = 300, .care = VALUES_OWNED},
      {.keys = KEYS_CUSTOM_OWNED, .value_size = 8, .care = VALUES_UNCOPYABLE},
  };

  (void)state;
  for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
    struct value_room value;
    struct key_room room;
    struct game game;
    atomic_init(&game.taken, 0);
    test_map_open(&game.m, &specs[i]);
    for (uint64_t id = 0; id < test_scale(2000); id++) {
      value_make(&game.m, id, 1, value.bytes);
      assert_ok(cmap_insert(game.m.map, key_make(&specs[i], id, &room),
                            value.bytes, NULL, NULL, NULL));
    }
    threads_run(4, remove_what_is_there, &game);
    assert_int_equal(atomic_load(&game.taken), test_scale(2000));
    assert_true(cmap_is_empty(game.m.map));
    test_map_close(&game.m);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(removes_on_every_kind_of_map),
      cmocka_unit_test(remove_moves_the_value_out),
      cmocka_unit_test(what_nobody_takes_is_destroyed),
      cmocka_unit_test(remove_if_may_change_the_value),
      cmocka_unit_test(remove_if_equal_compares),
      cmocka_unit_test(remove_if_equal_compares_every_byte),
      cmocka_unit_test(several_threads_remove),
  };

  return cmocka_run_group_tests_name("remove", tests, NULL, NULL);
}
