/*
 * Batches: as many single calls in the order of the index.
 */
#include "content.h"
#include "maps.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1000 };

static struct cmap *plain_map(void)
{
  struct cmap_options options;
  struct cmap *map;

  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  assert_ok(cmap_create(&options, &map));
  return map;
}

static void arguments(void **state)
{
  const struct cmap_how wrong = {.size = 1};
  struct cmap *map = plain_map();
  enum cmap_status status = CMAP_MISMATCH;
  uint64_t number = 1, value = 2;
  struct cmap_key key = cmap_key_u64(&number);

  (void)state;
  assert_status(cmap_get_many(NULL, &key, NULL, 1, &value, &status, NULL),
                CMAP_EINVAL);
  assert_status(cmap_get_many(map, NULL, NULL, 1, &value, &status, NULL),
                CMAP_EINVAL);
  assert_status(cmap_get_many(map, &key, NULL, 1, &value, NULL, NULL),
                CMAP_EINVAL);
  assert_status(cmap_get_many(map, &key, NULL, 1, &value, &status, &wrong),
                CMAP_EINVAL);
  assert_status(cmap_contains_many(map, NULL, NULL, 1, &status, NULL),
                CMAP_EINVAL);
  assert_status(cmap_insert_many(map, &key, NULL, 1, NULL, &status, NULL),
                CMAP_EINVAL);
  assert_status(cmap_remove_many(map, &key, NULL, 1, &value, NULL, NULL),
                CMAP_EINVAL);
  assert_status(status, CMAP_MISMATCH);
  assert_ok(cmap_get_many(map, NULL, NULL, 0, NULL, NULL, NULL));
  assert_ok(cmap_insert_many(map, NULL, NULL, 0, NULL, NULL, NULL));
  cmap_destroy(map);
}

/* Keys that are not valid lie between others, which are served. */
static void keys_that_are_not_valid(void **state)
{
  struct cmap *map = plain_map();
  enum cmap_status statuses[60];
  struct cmap_key keys[60];
  uint64_t numbers[60], values[60];

  (void)state;
  for (uint64_t i = 0; i < 60; i++) {
    numbers[i] = values[i] = i;
    keys[i] = i % 7 == 3 ? cmap_key_bytes(NULL, 8) : cmap_key_u64(&numbers[i]);
    if (i % 7 == 5)
      keys[i].size = 4;
  }
  assert_status(cmap_insert_many(map, keys, NULL, 60, values, statuses, NULL),
                CMAP_EINVAL);
  for (uint64_t i = 0; i < 60; i++)
    assert_status(statuses[i],
                  i % 7 == 3 || i % 7 == 5 ? CMAP_EINVAL : CMAP_OK);
  assert_int_equal(cmap_len(map), 60 - 9 - 8);
  assert_status(cmap_get_many(map, keys + 6, NULL, 54, values, statuses, NULL),
                CMAP_EINVAL);
  cmap_destroy(map);
}

static void equal_keys_act_in_order(void **state)
{
  struct cmap *map = plain_map();
  uint64_t number = 5, other = 6;
  struct cmap_key k = cmap_key_u64(&number), o = cmap_key_u64(&other);
  const struct cmap_key keys[6] = {k, o, k, k, o, k};
  const uint64_t values[6] = {1, 2, 3, 4, 5, 6};
  enum cmap_status statuses[6];
  uint64_t olds[6] = {0};

  (void)state;
  assert_ok(cmap_insert_many(map, keys, NULL, 6, values, statuses, NULL));
  assert_int_equal(cmap_len(map), 2);
  assert_status(cmap_remove_many(map, keys, NULL, 6, olds, statuses, NULL),
                CMAP_NOT_FOUND);
  assert_ok(statuses[0]);
  assert_ok(statuses[1]);
  for (size_t i = 2; i < 6; i++) {
    assert_status(statuses[i], CMAP_NOT_FOUND);
    assert_int_equal(olds[i], 0);
  }
  assert_int_equal(olds[0], 6);
  assert_int_equal(olds[1], 5);
  cmap_destroy(map);
}

/* Counters: 1 each by default; a key that comes twice is added to twice; of
 * other values, nothing happens. */
static void counters(void **state)
{
  uint64_t number = 1, other = 2;
  struct cmap_key k = cmap_key_u64(&number), o = cmap_key_u64(&other);
  const struct cmap_key bad = {NULL, 3};
  const struct cmap_key keys[5] = {k, o, k, bad, k};
  const uint64_t operands[5] = {10, 20, 30, 40, UINT64_MAX};
  uint64_t befores[5] = {7, 7, 7, 7, 7}, value;
  enum cmap_status statuses[5];
  struct cmap_options options;
  struct cmap *map = plain_map(), *wide;

  (void)state;
  assert_status(cmap_fetch_add_many(map, keys, NULL, 5, operands, befores,
                                    statuses, NULL),
                CMAP_EINVAL);
  assert_status(statuses[3], CMAP_EINVAL);
  assert_true(befores[0] == 0 && befores[1] == 0 && befores[2] == 10);
  assert_true(befores[3] == 7 && befores[4] == 40);
  assert_ok(
      cmap_fetch_add_many(map, keys, NULL, 3, NULL, NULL, statuses, NULL));
  assert_ok(cmap_get(map, k, &value, NULL));
  assert_int_equal(value, 41);
  assert_ok(cmap_get(map, o, &value, NULL));
  assert_int_equal(value, 21);
  assert_status(
      cmap_fetch_add_many(map, NULL, NULL, 1, NULL, NULL, statuses, NULL),
      CMAP_EINVAL);
  assert_status(cmap_fetch_add_many(map, keys, NULL, 1, NULL, NULL, NULL, NULL),
                CMAP_EINVAL);
  assert_ok(cmap_fetch_add_many(map, NULL, NULL, 0, NULL, NULL, NULL, NULL));
  cmap_destroy(map);

  cmap_options_init(&options, CMAP_U64, 16);
  assert_ok(cmap_create(&options, &wide));
  assert_status(
      cmap_fetch_add_many(wide, keys, NULL, 2, NULL, befores, statuses, NULL),
      CMAP_ENOTSUP);
  assert_status(statuses[1], CMAP_ENOTSUP);
  assert_true(cmap_is_empty(wide));
  cmap_destroy(wide);
}

/* In a map so large that the steps run ahead; each key thrice, in turn. */
static void counters_in_a_large_map(void **state)
{
  enum { KEYS = 100000, EACH = 3, N = 1000 };
  static uint64_t numbers[N];
  static struct cmap_key keys[N];
  static enum cmap_status statuses[N];
  static uint64_t befores[N];
  struct cmap *map = plain_map();

  (void)state;
  for (size_t begin = 0; begin < (size_t)KEYS * EACH; begin += N) {
    for (size_t i = 0; i < N; i++) {
      numbers[i] = (begin + i) % KEYS * 7919;
      keys[i] = cmap_key_u64(&numbers[i]);
    }
    assert_ok(
        cmap_fetch_add_many(map, keys, NULL, N, NULL, befores, statuses, NULL));
    for (size_t i = 0; i < N; i++)
      assert_int_equal(befores[i], (begin + i) / KEYS);
  }
  assert_int_equal(cmap_len(map), KEYS);
  cmap_destroy(map);
}

static void hashes_and_how(void **state)
{
  struct cmap_options options;
  struct cmap_how how = {.size = sizeof how, .flags = CMAP_HASHED, .hash = 77};
  struct cmap_how try_only = cmap_how_try();
  CMAP_AUTO(cmap_write_guard, guard);
  char texts[40][40];
  struct cmap_key keys[40];
  uint64_t hashes[40];
  uint32_t values[40], out[40];
  enum cmap_status statuses[40];
  struct cmap *map;

  (void)state;
  cmap_options_init(&options, CMAP_STRING, sizeof(uint32_t));
  assert_ok(cmap_create(&options, &map));
  for (uint32_t i = 0; i < 40; i++) {
    (void)snprintf(texts[i], sizeof texts[i], "%s%u",
                   i % 2 ? "a key that is longer than its slot " : "", i);
    keys[i] = cmap_key_string(texts[i]);
    assert_ok(cmap_hash(map, keys[i], &hashes[i]));
    values[i] = i;
  }
  assert_ok(cmap_insert_many(map, keys, hashes, 40, values, statuses, NULL));
  /* The one hash of `how` is not for these keys. */
  assert_ok(cmap_get_many(map, keys, NULL, 40, out, statuses, &how));
  assert_memory_equal(out, values, sizeof out);
  memset(out, 0, sizeof out);
  assert_ok(cmap_get_many(map, keys, hashes, 40, out, statuses, NULL));
  assert_memory_equal(out, values, sizeof out);
  assert_ok(cmap_contains_many(map, keys, hashes, 40, statuses, &try_only));
  assert_ok(cmap_get_mut(map, keys[3], &guard, NULL));
  assert_status(
      cmap_remove_many(map, keys, NULL, 40, NULL, statuses, &try_only),
      CMAP_BUSY);
  assert_status(statuses[3], CMAP_BUSY);
  assert_status(cmap_remove_many(map, keys + 3, NULL, 1, NULL, statuses, NULL),
                CMAP_EDEADLK);
  cmap_write_guard_release(&guard);
  assert_ok(cmap_freeze(map, NULL));
  assert_status(cmap_insert_many(map, keys, NULL, 40, values, statuses, NULL),
                CMAP_FROZEN);
  cmap_destroy(map);
}

static void drop_nothing(void *value, void *ctx)
{
  (void)value;
  (void)ctx;
}

/* Values that nobody can copy: asked for, but not taken out. */
static void values_that_cannot_be_copied(void **state)
{
  uint64_t number = 3, value = 0;
  struct cmap_key key = cmap_key_u64(&number);
  enum cmap_status status = CMAP_OK;
  struct cmap_options options;
  struct cmap *map;

  (void)state;
  cmap_options_init(&options, CMAP_U64, sizeof value);
  options.value_destroy = drop_nothing;
  assert_ok(cmap_create(&options, &map));
  assert_ok(cmap_insert_many(map, &key, NULL, 1, &number, &status, NULL));
  assert_status(cmap_get_many(map, &key, NULL, 1, &value, &status, NULL),
                CMAP_ENOTSUP);
  assert_status(status, CMAP_ENOTSUP);
  assert_ok(cmap_get_many(map, &key, NULL, 1, NULL, &status, NULL));
  assert_ok(cmap_remove_many(map, &key, NULL, 1, &value, &status, NULL));
  assert_int_equal(value, 3);
  cmap_destroy(map);
}

/* A batch and single calls on two maps, for any kind of map: the same comes
 * out. */
static void check_against_single(const struct map_spec *spec, uint64_t seed)
{
  static struct test_map a, b;
  struct random random;
  struct key_room *rooms = calloc(MOST, sizeof *rooms);
  struct cmap_key *keys = calloc(MOST, sizeof *keys);
  enum cmap_status *statuses = calloc(MOST, sizeof *statuses);

  assert_true(rooms != NULL && keys != NULL && statuses != NULL);
  random_begin(&random, seed);
  test_map_open(&a, spec);
  test_map_open(&b, spec);
  for (unsigned round = 0; round < 30; round++) {
    static const size_t sizes[] = {1, 7, 10, 11, 29, 30, 31, 32, 33, 200};
    size_t n = sizes[round % 10];
    size_t size = spec->value_size;
    unsigned char *values = calloc(n, size + 1);
    assert_non_null(values);
    for (size_t i = 0; i < n; i++)
      keys[i] = key_make(spec, random_below(&random, 150), &rooms[i]);
    if (round % 3 == 0) {
      for (size_t i = 0; i < n; i++) {
        struct value_room room;
        value_make(&a, i, round, room.bytes);
        memcpy(values + i * size, room.bytes, size);
        value_make(&b, i, round, room.bytes);
        CHECK_OK(cmap_insert(b.map, keys[i], room.bytes, NULL, NULL, NULL));
      }
      CHECK_OK(cmap_insert_many(a.map, keys, NULL, n, values, statuses, NULL));
    } else if (round % 3 == 1) {
      (void)!cmap_remove_many(a.map, keys, NULL, n, NULL, statuses, NULL);
      for (size_t i = 0; i < n; i++)
        CHECK(cmap_remove(b.map, keys[i], NULL, NULL) == statuses[i]);
    } else {
      (void)!cmap_contains_many(a.map, keys, NULL, n, statuses, NULL);
      for (size_t i = 0; i < n; i++)
        CHECK(cmap_contains(b.map, keys[i], NULL) == statuses[i]);
    }
    CHECK(cmap_len(a.map) == cmap_len(b.map));
    free(values);
  }
  test_map_close(&a);
  test_map_close(&b);
  free(rooms);
  free(keys);
  free(statuses);
}

static void as_single_calls(void **state)
{
  (void)state;
  for (unsigned shape = 0; shape < KEY_SHAPES; shape++) {
    for (unsigned care = 0; care < VALUE_CARES; care++) {
      struct map_spec spec = {.keys = (enum key_shape)shape,
                              .value_size = 24,
                              .care = (enum value_care)care};
      if (map_spec_is_valid(&spec))
        check_against_single(&spec, shape * 10 + care + 1);
      checks_assert();
    }
  }
}

/* Several threads: each key is added up by its own thread only. */
enum { THREADS = 4, OWN = 300 };

static struct cmap *shared;

static void count_batches(unsigned index, void *ctx)
{
  uint64_t numbers[OWN], values[OWN];
  struct cmap_key keys[OWN];
  enum cmap_status statuses[OWN];

  (void)ctx;
  for (uint64_t i = 0; i < OWN; i++) {
    numbers[i] = i * THREADS + index;
    keys[i] = cmap_key_u64(&numbers[i]);
    values[i] = 0;
  }
  CHECK_OK(cmap_insert_many(shared, keys, NULL, OWN, values, statuses, NULL));
  for (uint64_t round = 1; round <= test_scale(300); round++) {
    CHECK_OK(cmap_get_many(shared, keys, NULL, OWN, values, statuses, NULL));
    for (size_t i = 0; i < OWN; i++) {
      CHECK(values[i] == (round - 1) * (i + 1));
      values[i] += i + 1;
    }
    if (round % 3 == 0)
      CHECK_OK(cmap_remove_many(shared, keys, NULL, OWN, NULL, statuses, NULL));
    CHECK_OK(cmap_insert_many(shared, keys, NULL, OWN, values, statuses, NULL));
  }
}

static void several_threads(void **state)
{
  (void)state;
  shared = plain_map();
  threads_run(THREADS, count_batches, NULL);
  assert_int_equal(cmap_len(shared), THREADS * OWN);
  assert_ok(cmap_check(shared, NULL, NULL));
  cmap_destroy(shared);
}

/* Where memory runs out, keys fail and others do not; nothing is lost. */
static void no_memory(void **state)
{
  struct counting_alloc alloc;
  struct cmap_options options;
  char texts[60][60];
  struct cmap_key keys[60];
  uint64_t values[60] = {0};
  enum cmap_status statuses[60];

  (void)state;
  for (unsigned i = 0; i < 60; i++) {
    (void)snprintf(texts[i], sizeof texts[i], "a key that needs memory: %u", i);
    keys[i] = cmap_key_string(texts[i]);
  }
  for (size_t nth = 1; nth < 80; nth++) {
    struct cmap *map;
    size_t stored = 0;
    enum cmap_status status;
    counting_alloc_begin(&alloc);
    cmap_options_init(&options, CMAP_STRING, sizeof(uint64_t));
    options.allocator = counting_alloc_hook(&alloc);
    assert_ok(cmap_create(&options, &map));
    counting_alloc_fail_nth(&alloc, nth);
    status = cmap_insert_many(map, keys, NULL, 60, values, statuses, NULL);
    for (size_t i = 0; i < 60; i++) {
      assert_true(statuses[i] == CMAP_OK || statuses[i] == CMAP_ENOMEM);
      assert_status(cmap_contains(map, keys[i], NULL),
                    statuses[i] == CMAP_OK ? CMAP_OK : CMAP_NOT_FOUND);
      stored += statuses[i] == CMAP_OK;
    }
    assert_status(status, stored == 60 ? CMAP_OK : CMAP_ENOMEM);
    assert_int_equal(cmap_len(map), stored);
    assert_ok(cmap_check(map, NULL, NULL));
    cmap_destroy(map);
    assert_true(counting_alloc_is_empty(&alloc));
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arguments),
      cmocka_unit_test(keys_that_are_not_valid),
      cmocka_unit_test(equal_keys_act_in_order),
      cmocka_unit_test(counters),
      cmocka_unit_test(counters_in_a_large_map),
      cmocka_unit_test(hashes_and_how),
      cmocka_unit_test(values_that_cannot_be_copied),
      cmocka_unit_test(as_single_calls),
      cmocka_unit_test(several_threads),
      cmocka_unit_test(no_memory),
  };

  return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
