/* cmap_fetch_add and its kin. */
#include "content.h"
#include "numbers.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

#include <string.h>

typedef enum cmap_status fetch_fn(struct cmap *map, struct cmap_key key,
                                  uint64_t operand, uint64_t *before,
                                  const struct cmap_how *how);

struct fetch {
  const char *name;
  fetch_fn *run;
  uint64_t (*model)(uint64_t value, uint64_t operand);
};

static uint64_t model_add(uint64_t value, uint64_t operand)
{
  return value + operand;
}

static uint64_t model_sub(uint64_t value, uint64_t operand)
{
  return value - operand;
}

static uint64_t model_and(uint64_t value, uint64_t operand)
{
  return value & operand;
}

static uint64_t model_or(uint64_t value, uint64_t operand)
{
  return value | operand;
}

static uint64_t model_max(uint64_t value, uint64_t operand)
{
  return value > operand ? value : operand;
}

static uint64_t model_min(uint64_t value, uint64_t operand)
{
  return value < operand ? value : operand;
}

static const struct fetch fetches[] = {
    {"add", cmap_fetch_add, model_add}, {"sub", cmap_fetch_sub, model_sub},
    {"and", cmap_fetch_and, model_and}, {"or", cmap_fetch_or, model_or},
    {"max", cmap_fetch_max, model_max}, {"min", cmap_fetch_min, model_min},
};
#define FETCHES (sizeof fetches / sizeof *fetches)

/* What the value of a key holds. */
static uint64_t read_counter(struct test_map *m, struct cmap_key key)
{
  uint32_t small = 0;
  uint64_t large = 0;

  if (m->spec.value_size == sizeof small) {
    CHECK_OK(cmap_get(m->map, key, &small, NULL));
    return small;
  }
  CHECK_OK(cmap_get(m->map, key, &large, NULL));
  return large;
}

/* Numbers at the ends of the range more often than others. */
static uint64_t draw(struct random *random, uint64_t mask)
{
  static const uint64_t ends[] = {0, 1, 2, UINT32_MAX - 1, UINT32_MAX};

  switch (random_below(random, 4)) {
  case 0:
    return ends[random_below(random, 5)] & mask;
  case 1:
    return (UINT64_MAX - random_below(random, 3)) & mask;
  default:
    return random_next(random) & mask;
  }
}

static void compare_with_models(const struct map_spec *spec)
{
  enum { IDS = 6 };
  uint64_t mask = spec->value_size == 4 ? UINT32_MAX : UINT64_MAX;
  uint64_t values[IDS] = {0};
  struct random random;
  struct key_room room;
  struct test_map m;

  checks_about(map_spec_name(spec));
  random_begin(&random, spec->value_size);
  test_map_open(&m, spec);
  for (int i = 0; i < 400; i++) {
    const struct fetch *fetch = &fetches[random_below(&random, FETCHES)];
    uint64_t id = random_below(&random, IDS);
    struct cmap_key key = key_make(spec, id, &room);
    uint64_t operand = draw(&random, mask);
    uint64_t before = 0;
    if (random_once_in(&random, 8)) {
      enum cmap_status status = cmap_remove(m.map, key, NULL, NULL);
      CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
      values[id] = 0;
    }
    CHECK_OK(fetch->run(m.map, key, operand, i % 5 ? &before : NULL, NULL));
    CHECK(i % 5 == 0 || before == values[id]);
    values[id] = fetch->model(values[id], operand) & mask;
    CHECK(read_counter(&m, key) == values[id]);
  }
  test_map_close(&m);
}

static void fetches_do_what_their_models_do(void **state)
{
  struct map_spec spec = {.keys = KEYS_U32};

  (void)state;
  for (int keys = 0; keys < KEY_SHAPES; keys++) {
    for (int hash = 0; hash < HASH_WAYS; hash++) {
      spec.keys = (enum key_shape)keys;
      spec.hash = (enum hash_way)hash;
      for (spec.value_size = 4; spec.value_size <= 8; spec.value_size += 4) {
        if (map_spec_is_valid(&spec)) {
          compare_with_models(&spec);
        }
      }
    }
  }
}

static void an_absent_key_counts_as_0(void **state)
{
  (void)state;
  for (size_t i = 0; i < FETCHES; i++) {
    struct cmap *map = numbers_open();
    uint64_t before = 99;
    uint64_t key = i;
    assert_ok(fetches[i].run(map, cmap_key_u64(&key), 12, &before, NULL));
    assert_int_equal(before, 0);
    assert_int_equal(cmap_len(map), 1);
    assert_int_equal(numbers_get(map, i), fetches[i].model(0, 12));
    cmap_destroy(map);
  }
}

static void operands_of_small_values(void **state)
{
  const struct map_spec spec = {.keys = KEYS_U32, .value_size = 4};
  uint64_t large = (UINT64_C(1) << 32) + 5;
  struct key_room room;
  struct cmap_key key = key_make(&spec, 3, &room);
  struct test_map m;

  (void)state;
  test_map_open(&m, &spec);
  for (size_t i = 0; i < FETCHES; i++) {
    uint64_t before = 99;
    enum cmap_status status = fetches[i].run(m.map, key, large, &before, NULL);
    if (i < 2) {
      assert_int_equal(status, CMAP_OK);
      assert_int_equal(read_counter(&m, key), i == 0 ? 5 : 0);
    } else {
      assert_int_equal(status, CMAP_EINVAL);
      assert_int_equal(before, 99);
      assert_int_equal(read_counter(&m, key), 0);
    }
  }
  test_map_close(&m);
}

static void only_integers_are_counted(void **state)
{
  static const struct map_spec specs[] = {
      {.keys = KEYS_U64, .value_size = 0},
      {.keys = KEYS_U64, .value_size = 1},
      {.keys = KEYS_U64, .value_size = 12},
      {.keys = KEYS_U64, .value_size = 64},
      {.keys = KEYS_U64, .value_size = 5000},
      {.keys = KEYS_U64, .value_size = 8, .care = VALUES_OWNED},
      {.keys = KEYS_U64, .value_size = 8, .care = VALUES_UNCOPYABLE},
  };

  (void)state;
  for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
    struct key_room room;
    struct cmap_key key = key_make(&specs[i], 3, &room);
    struct test_map m;
    test_map_open(&m, &specs[i]);
    for (size_t j = 0; j < FETCHES; j++) {
      uint64_t before = 99;
      assert_status(fetches[j].run(m.map, key, 1, &before, NULL), CMAP_ENOTSUP);
      assert_int_equal(before, 99);
      assert_true(cmap_is_empty(m.map));
    }
    test_map_close(&m);
  }
}

/* Every thread owns a bit and a slice of the numbers. */
static void fetch_all(unsigned index, void *ctx)
{
  struct cmap *map = ctx;
  uint64_t bit = UINT64_C(1) << index;
  uint64_t keys[FETCHES] = {0, 1, 2, 3, 4, 5};
  size_t rounds = test_scale(5000);
  uint64_t before = 0;

  for (uint64_t i = 0; i < rounds; i++) {
    uint64_t number = 1000 + i * 4 + index;
    CHECK_OK(cmap_fetch_add(map, cmap_key_u64(&keys[0]), 3, &before, NULL));
    CHECK(before % 3 == 0);
    CHECK_OK(cmap_fetch_sub(map, cmap_key_u64(&keys[1]), 1, NULL, NULL));
    CHECK_OK(cmap_fetch_and(map, cmap_key_u64(&keys[2]), ~bit, &before, NULL));
    CHECK(((before & bit) != 0) == (i == 0));
    CHECK_OK(cmap_fetch_or(map, cmap_key_u64(&keys[3]), bit, &before, NULL));
    CHECK(((before & bit) != 0) == (i != 0));
    CHECK_OK(cmap_fetch_max(map, cmap_key_u64(&keys[4]), number, NULL, NULL));
    CHECK_OK(cmap_fetch_min(map, cmap_key_u64(&keys[5]), UINT64_MAX - number,
                            NULL, NULL));
  }
}

static void several_threads_fetch(void **state)
{
  struct cmap *map = numbers_open();
  uint64_t rounds = test_scale(5000);
  uint64_t last = 1000 + (rounds - 1) * 4 + 3;

  (void)state;
  numbers_put(map, 2, UINT64_MAX);
  numbers_put(map, 5, UINT64_MAX);
  threads_run(4, fetch_all, map);
  assert_int_equal(numbers_get(map, 0), 4 * 3 * rounds);
  assert_true(numbers_get(map, 1) == 0 - 4 * rounds);
  assert_true(numbers_get(map, 2) == UINT64_MAX - 15);
  assert_int_equal(numbers_get(map, 3), 15);
  assert_int_equal(numbers_get(map, 4), last);
  assert_true(numbers_get(map, 5) == UINT64_MAX - last);
  cmap_destroy(map);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fetches_do_what_their_models_do),
      cmocka_unit_test(an_absent_key_counts_as_0),
      cmocka_unit_test(operands_of_small_values),
      cmocka_unit_test(only_integers_are_counted),
      cmocka_unit_test(several_threads_fetch),
  };

  return cmocka_run_group_tests_name("fetch", tests, NULL, NULL);
}
