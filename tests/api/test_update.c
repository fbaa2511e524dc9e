/* cmap_compare_exchange, cmap_swap, cmap_replace_if. */
#include "numbers.h"
#include "operations.h"
#include "settings.h"
#include "threads.h"

#include <sched.h>
#include <string.h>

static void updates_on_every_kind_of_map(void **state)
{
  static op_fn *const ops[] = {op_insert, op_compare_exchange, op_swap,
                               op_replace_if, op_remove};

  (void)state;
  op_exercise(ops, sizeof ops / sizeof *ops);
}

static void compare_exchange_compares(void **state)
{
  struct cmap *map = numbers_open();
  uint64_t key = 5;
  uint64_t expected = 50;
  uint64_t value = 60;

  (void)state;
  assert_status(
      cmap_compare_exchange(map, cmap_key_u64(&key), &expected, &value, NULL),
      CMAP_NOT_FOUND);
  assert_true(cmap_is_empty(map));
  numbers_put(map, 5, 51);
  assert_status(
      cmap_compare_exchange(map, cmap_key_u64(&key), &expected, &value, NULL),
      CMAP_MISMATCH);
  assert_int_equal(numbers_get(map, 5), 51);
  numbers_put(map, 5, 50);
  assert_ok(
      cmap_compare_exchange(map, cmap_key_u64(&key), &expected, &value, NULL));
  assert_int_equal(numbers_get(map, 5), 60);
  cmap_destroy(map);
}

static void compare_exchange_asks_value_equal(void **state)
{
  const struct map_spec spec = {
      .keys = KEYS_BYTES, .value_size = 8, .care = VALUES_UNCOPYABLE};
  struct value_room expected;
  struct value_room value;
  struct key_room room;
  struct cmap_key key = key_make(&spec, 3, &room);
  struct test_map m;

  (void)state;
  test_map_open(&m, &spec);
  value_make(&m, 3, 1, value.bytes);
  assert_ok(cmap_insert(m.map, key, value.bytes, NULL, NULL, NULL));
  /* Another object, but an equal value. */
  value_make(&m, 3, 1, expected.bytes);
  value_make(&m, 3, 2, value.bytes);
  assert_ok(
      cmap_compare_exchange(m.map, key, expected.bytes, value.bytes, NULL));
  assert_int_equal(lifetimes_alive(m.lives), 2);
  assert_status(
      cmap_compare_exchange(m.map, key, expected.bytes, expected.bytes, NULL),
      CMAP_MISMATCH);
  assert_int_equal(lifetimes_alive(m.lives), 2);
  value_drop(&m, expected.bytes);
  test_map_close(&m);
}

static void swap_exchanges(void **state)
{
  const struct map_spec spec = {
      .keys = KEYS_STRING, .value_size = 300, .care = VALUES_UNCOPYABLE};
  enum cmap_event event = NO_EVENT;
  struct value_room value;
  struct key_room room;
  struct cmap_key key = key_make(&spec, 3, &room);
  struct test_map m;

  (void)state;
  test_map_open(&m, &spec);
  value_make(&m, 3, 1, value.bytes);
  assert_ok(cmap_swap(m.map, key, value.bytes, &event, NULL));
  assert_int_equal(event, CMAP_INSERTED);
  assert_true(value_is(&m, 3, 1, value.bytes));
  value_make(&m, 3, 2, value.bytes);
  assert_ok(cmap_swap(m.map, key, value.bytes, &event, NULL));
  assert_int_equal(event, CMAP_UPDATED);
  assert_true(value_is(&m, 3, 1, value.bytes));
  assert_int_equal(lifetimes_alive(m.lives), 2);
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

static void replace_if_asks(void **state)
{
  struct cmap *map = numbers_open();
  struct tester tester = {false, 0};
  uint64_t key = 5;
  uint64_t value = 70;
  uint64_t old = 1;

  (void)state;
  assert_status(cmap_replace_if(map, cmap_key_u64(&key), add_one, &tester,
                                &value, &old, NULL),
                CMAP_NOT_FOUND);
  assert_int_equal(tester.calls, 0);
  assert_true(cmap_is_empty(map));
  numbers_put(map, 5, 50);
  assert_status(cmap_replace_if(map, cmap_key_u64(&key), add_one, &tester,
                                &value, &old, NULL),
                CMAP_MISMATCH);
  assert_int_equal(old, 1);
  assert_int_equal(numbers_get(map, 5), 51);
  tester.answer = true;
  assert_ok(cmap_replace_if(map, cmap_key_u64(&key), add_one, &tester, &value,
                            &old, NULL));
  assert_int_equal(old, 52);
  assert_int_equal(numbers_get(map, 5), 70);
  assert_int_equal(tester.calls, 2);
  assert_ok(cmap_replace_if(map, cmap_key_u64(&key), add_one, &tester, &value,
                            NULL, NULL));
  cmap_destroy(map);
  checks_assert();
}

static bool yes(struct cmap_key key, void *value, void *ctx)
{
  (void)key;
  (void)value;
  (void)ctx;
  return true;
}

static void a_replaced_value_is_moved_or_destroyed(void **state)
{
  const struct map_spec spec = {
      .keys = KEYS_U32, .value_size = 300, .care = VALUES_UNCOPYABLE};
  struct value_room value;
  struct key_room room;
  struct cmap_key key = key_make(&spec, 3, &room);
  struct test_map m;

  (void)state;
  test_map_open(&m, &spec);
  value_make(&m, 3, 1, value.bytes);
  assert_ok(cmap_insert(m.map, key, value.bytes, NULL, NULL, NULL));
  value_make(&m, 3, 2, value.bytes);
  assert_ok(cmap_replace_if(m.map, key, yes, NULL, value.bytes, NULL, NULL));
  assert_int_equal(lifetimes_alive(m.lives), 1);
  value_make(&m, 3, 3, value.bytes);
  assert_ok(
      cmap_replace_if(m.map, key, yes, NULL, value.bytes, value.bytes, NULL));
  assert_true(value_is(&m, 3, 2, value.bytes));
  value_drop(&m, value.bytes);
  test_map_close(&m);
}

/* Threads pass values round by swap: each value is in one place only. */
static void swap_round(unsigned index, void *ctx)
{
  struct test_map *m = ctx;
  struct value_room value;
  struct key_room room;
  uint64_t version = 0;

  value_make(m, 3, index, value.bytes);
  for (size_t i = 0; i < test_scale(20000); i++) {
    enum cmap_event event = NO_EVENT;
    CHECK_OK(cmap_swap(m->map, key_make(&m->spec, 3, &room), value.bytes,
                       &event, NULL));
    if (event == CMAP_INSERTED) {
      value_make(m, 3, index + 100, value.bytes);
    }
    CHECK(value_is_whole(m, 3, value.bytes, &version));
  }
  value_drop(m, value.bytes);
}

static void several_threads_swap(void **state)
{
  static const struct map_spec specs[] = {
      {.keys = KEYS_U64, .value_size = 64},
      {.keys = KEYS_U64, .value_size = 8, .care = VALUES_UNCOPYABLE},
      {.keys = KEYS_STRING, .value_size = 300, .care = VALUES_OWNED},
  };

  (void)state;
  for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
    struct test_map m;
    test_map_open(&m, &specs[i]);
    threads_run(4, swap_round, &m);
    test_map_close(&m);
  }
}

/* A lock of one's own: 0 is free. */
static void take_turns(unsigned index, void *ctx)
{
  struct cmap *map = ctx;
  uint64_t lock = 1;
  uint64_t counter = 2;

  for (size_t i = 0; i < test_scale(2000); i++) {
    uint64_t free = 0;
    uint64_t mine = index + 1;
    uint64_t count;
    while (cmap_compare_exchange(map, cmap_key_u64(&lock), &free, &mine,
                                 NULL) != CMAP_OK) {
      /* Ends when the thread that has the lock gives it back. */
      sched_yield();
    }
    count = numbers_get(map, counter);
    numbers_put(map, counter, count + 1);
    CHECK_OK(
        cmap_compare_exchange(map, cmap_key_u64(&lock), &mine, &free, NULL));
  }
}

static void several_threads_compare_and_exchange(void **state)
{
  struct cmap *map = numbers_open();

  (void)state;
  numbers_put(map, 1, 0);
  numbers_put(map, 2, 0);
  threads_run(3, take_turns, map);
  assert_int_equal(numbers_get(map, 2), 3 * test_scale(2000));
  cmap_destroy(map);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(updates_on_every_kind_of_map),
      cmocka_unit_test(compare_exchange_compares),
      cmocka_unit_test(compare_exchange_asks_value_equal),
      cmocka_unit_test(swap_exchanges),
      cmocka_unit_test(replace_if_asks),
      cmocka_unit_test(a_replaced_value_is_moved_or_destroyed),
      cmocka_unit_test(several_threads_swap),
      cmocka_unit_test(several_threads_compare_and_exchange),
  };

  return cmocka_run_group_tests_name("update", tests, NULL, NULL);
}
