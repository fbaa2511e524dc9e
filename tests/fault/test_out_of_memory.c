/*
 * Refused memory, at every request of every operation: the status says so,
 * the map is as it was, nothing is leaked, and the next try may succeed.
 */
#include "operations.h"
#include "settings.h"

/* Ids of the maps here. */
#define UNIVERSE      150
/* No operation makes more requests than this before it succeeds. */
#define MOST_REQUESTS 3000

static const struct map_spec specs[] = {
    {.keys = KEYS_U64, .value_size = 8, .shard_groups = 1},
    {.keys = KEYS_U64, .value_size = 8},
    {.keys = KEYS_U32, .value_size = 0, .shard_groups = 2},
    {.keys = KEYS_FIXED_256, .value_size = 64, .shard_groups = 1},
    {.keys = KEYS_U64, .value_size = 5000, .shard_groups = 1},
    {.keys = KEYS_STRING, .value_size = 4, .shard_groups = 1},
    {.keys = KEYS_STRING, .value_size = 8, .shard_groups = 2},
    {.keys = KEYS_BYTES, .value_size = 300},
    {.keys = KEYS_STRING,
     .value_size = 300,
     .care = VALUES_OWNED,
     .shard_groups = 1},
    {.keys = KEYS_CUSTOM_OWNED,
     .value_size = 8,
     .care = VALUES_OWNED,
     .shard_groups = 1},
    {.keys = KEYS_CUSTOM_OWNED, .value_size = 308, .care = VALUES_UNCOPYABLE},
    {.keys = KEYS_CUSTOM, .value_size = 12, .shard_groups = 1},
    {.keys = KEYS_U64, .value_size = 8, .hash = HASH_CONSTANT},
    {.keys = KEYS_STRING,
     .value_size = 64,
     .hash = HASH_LOW_4,
     .shard_groups = 1},
    {.keys = KEYS_BYTES,
     .value_size = 8,
     .care = VALUES_OWNED,
     .hash = HASH_TOP_16,
     .shard_groups = 1},
    {.keys = KEYS_U64,
     .value_size = 12,
     .hash = HASH_GOOD_32,
     .shard_groups = 1},
};
#define SPECS (sizeof specs / sizeof *specs)

/* Numbers of entries at which an operation is tried: empty, a group nearly
   full and full, about where small shards double or split, and many. */
static const size_t fills[] = {0, 1, 9, 10, 11, 12, 20, 21, 43, 100};
#define FILLS (sizeof fills / sizeof *fills)

struct run {
  struct test_map m;
  struct oracle oracle;
  struct random random;
  struct op op;
  uint64_t version;
};

static void begin(struct run *run, const struct map_spec *spec, size_t fill)
{
  test_map_open(&run->m, spec);
  oracle_begin(&run->oracle, UNIVERSE);
  random_begin(&run->random, fill);
  run->op = (struct op){&run->m, &run->oracle, &run->random};
  run->version = 1;
  for (uint64_t id = 0; id < fill; id++) {
    op_insert(&run->op, id, run->version++);
  }
}

static void end(struct run *run)
{
  oracle_check(&run->oracle, &run->m);
  oracle_end(&run->oracle);
  test_map_close(&run->m);
}

/*
 * Fails the first, the second ... request of the operation, until it succeeds
 * without a refusal.
 */
static void fail_each_request(struct run *run, op_fn *op, uint64_t id)
{
  size_t nth = 0;
  size_t refused;

  do {
    enum cmap_status status;
    counting_alloc_fail_nth(&run->m.alloc, ++nth);
    status = op(&run->op, id, run->version++);
    refused = counting_alloc_failures(&run->m.alloc);
    counting_alloc_fail_none(&run->m.alloc);
    if (status == CMAP_ENOMEM) {
      oracle_check(&run->oracle, &run->m);
    }
  } while (refused > 0 && nth < MOST_REQUESTS && !checks_failed());
  CHECK(nth < MOST_REQUESTS);
}

static void create_without_memory(const struct map_spec *spec, void *ctx)
{
  size_t nth = 0;

  for (size_t capacity = 0; capacity <= 1000; capacity += 1000) {
    enum cmap_status status;
    struct test_map m;
    nth = 0;
    do {
      checks_about(map_spec_name(spec));
      test_map_prepare(&m, spec);
      m.options.capacity = capacity;
      counting_alloc_fail_nth(&m.alloc, ++nth);
      status = cmap_create(&m.options, &m.map);
      if (status != CMAP_OK) {
        CHECK_STATUS(status, CMAP_ENOMEM);
        CHECK(m.map == NULL);
      }
      test_map_close(&m);
    } while (status != CMAP_OK && nth < MOST_REQUESTS);
    CHECK(status == CMAP_OK);
    CHECK(nth > 1);
  }
  (void)ctx;
}

static void maps_that_cannot_be_created(void **state)
{
  (void)state;
  map_spec_each(create_without_memory, NULL);
}

static void every_request_of_every_operation(void **state)
{
  static struct run run;
  struct random random;

  (void)state;
  random_begin(&random, 1);
  for (size_t i = 0; i < SPECS; i++) {
    for (size_t j = 0; j < operations_count; j++) {
      for (size_t k = 0; k < FILLS && !checks_failed(); k++) {
        if (!random_in_scale(&random)) {
          continue;
        }
        checks_about(operations[j].name);
        begin(&run, &specs[i], fills[k]);
        /* A key that is absent, and one that is present by now. */
        fail_each_request(&run, operations[j].run, fills[k] + 1);
        fail_each_request(&run, operations[j].run, fills[k] / 2);
        end(&run);
      }
    }
  }
  checks_assert();
}

/* Between the refusals the map changes, and fails in all its states. */
static void every_request_in_turn(void **state)
{
  static struct run run;

  (void)state;
  for (size_t i = 0; i < SPECS; i++) {
    checks_about(map_spec_name(&specs[i]));
    begin(&run, &specs[i], 0);
    for (size_t j = 0; j < test_scale(150) && !checks_failed(); j++) {
      const struct operation *operation = operation_draw(&run.random);
      fail_each_request(&run, operation->run,
                        random_below(&run.random, UNIVERSE));
    }
    end(&run);
  }
}

/* There is no memory at all: what needs none goes on. */
static void no_memory_for_anything(void **state)
{
  static op_fn *const ops[] = {op_get,     op_remove, op_remove_if_equal,
                               op_alter,   op_remove, op_remove_if,
                               op_view_all};
  static struct run run;

  (void)state;
  for (size_t i = 0; i < SPECS; i++) {
    checks_about(map_spec_name(&specs[i]));
    begin(&run, &specs[i], UNIVERSE);
    counting_alloc_fail_from(&run.m.alloc, 1);
    for (size_t j = 0; j < 2 * UNIVERSE; j++) {
      uint64_t id = random_below(&run.random, UNIVERSE);
      enum cmap_status status =
          ops[j % (sizeof ops / sizeof *ops)](&run.op, id, run.version++);
      if (specs[i].care == VALUES_PLAIN) {
        CHECK(status != CMAP_ENOMEM);
      }
    }
    oracle_check_whole(&run.oracle, &run.m);
    CHECK_OK(cmap_clear(run.m.map, NULL));
    oracle_clear(&run.oracle);
    oracle_check_whole(&run.oracle, &run.m);
    counting_alloc_fail_none(&run.m.alloc);
    end(&run);
  }
}

/* From empty to some thousand entries, every n-th request refused; gives the
   number of them. */
static size_t grow(const struct map_spec *spec, size_t n)
{
  static struct run run;
  struct key_room room;
  struct value_room value;
  uint64_t ids = map_spec_is_slow(spec) ? 400 : test_scale(4000);
  size_t refused;

  checks_about(map_spec_name(spec));
  test_map_open(&run.m, spec);
  counting_alloc_fail_every(&run.m.alloc, n);
  for (uint64_t id = 0; id < ids && !checks_failed(); id++) {
    enum cmap_status status = CMAP_ENOMEM;
    size_t tries = 0;
    value_make(&run.m, id, id, value.bytes);
    while (status == CMAP_ENOMEM && tries++ < 100) {
      status = cmap_insert_new(run.m.map, key_make(spec, id, &room),
                               value.bytes, NULL, NULL);
    }
    CHECK_STATUS(status, CMAP_OK);
  }
  refused = counting_alloc_failures(&run.m.alloc);
  counting_alloc_fail_none(&run.m.alloc);
  oracle_begin(&run.oracle, (size_t)ids + 10);
  for (uint64_t id = 0; id < ids; id++) {
    oracle_put(&run.oracle, id, id);
  }
  end(&run);
  return refused;
}

static void growth_with_retries(void **state)
{
  /* More than one insertion needs, or it would never come through. */
  static const size_t every[] = {11, 17, 41};
  size_t refused = 0;

  (void)state;
  for (size_t i = 0; i < SPECS; i++) {
    for (size_t j = 0; j < sizeof every / sizeof *every; j++) {
      refused += grow(&specs[i], every[j]);
    }
  }
  assert_true(refused > 0);
}

/* Room for so many that the allocator is asked once, before all shards are:
   if it refuses, nothing has changed. And for more than there can be. */
static void reserve_asks_for_all_at_once(void **state)
{
  const struct map_spec spec = {.keys = KEYS_U64, .value_size = 8};
  struct cmap_stats stats = {.size = sizeof stats};
  struct test_map m;

  (void)state;
  test_map_open(&m, &spec);
  counting_alloc_fail_from(&m.alloc, 1);
  assert_status(cmap_reserve(m.map, (size_t)10 << 20, NULL), CMAP_ENOMEM);
  assert_int_equal(counting_alloc_failures(&m.alloc), 1);
  counting_alloc_fail_none(&m.alloc);
  assert_status(cmap_reserve(m.map, SIZE_MAX / 2, NULL), CMAP_ENOMEM);
  assert_ok(cmap_get_stats(m.map, &stats));
  assert_int_equal(stats.shards, 1);
  assert_ok(cmap_reserve(m.map, 1000, NULL));
  test_map_close(&m);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(maps_that_cannot_be_created),
      cmocka_unit_test(every_request_of_every_operation),
      cmocka_unit_test(every_request_in_turn),
      cmocka_unit_test(no_memory_for_anything),
      cmocka_unit_test(growth_with_retries),
      cmocka_unit_test(reserve_asks_for_all_at_once),
  };

  return cmocka_run_group_tests_name("out_of_memory", tests, NULL, NULL);
}
