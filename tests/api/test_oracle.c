/*
 * Random operations on maps of every kind, compared with the oracle through
 * every access path.
 */
#include "operations.h"
#include "settings.h"

struct run {
  struct test_map m;
  struct oracle oracle;
  struct random random;
  struct op op;
  uint64_t version;
};

static void begin(struct run *run, const struct map_spec *spec, size_t universe,
                  uint64_t stream)
{
  checks_about(map_spec_name(spec));
  test_map_open(&run->m, spec);
  oracle_begin(&run->oracle, universe);
  random_begin(&run->random, stream);
  run->op = (struct op){&run->m, &run->oracle, &run->random};
  run->version = 1;
}

static void end(struct run *run)
{
  oracle_check(&run->oracle, &run->m);
  oracle_end(&run->oracle);
  test_map_close(&run->m);
}

static void step(struct run *run)
{
  const struct operation *operation = operation_draw(&run->random);
  uint64_t id = random_below(&run->random, run->oracle.universe);

  operation->run(&run->op, id, run->version++ & 0xfffff);
}

/* Few ids, everything compared after each step. */
static void run_small(const struct map_spec *spec, void *ctx)
{
  enum { IDS = 24, STEPS = 80 };
  static struct run run;

  if (!random_in_scale(ctx)) {
    return;
  }
  begin(&run, spec, IDS, random_next(ctx));
  for (size_t i = 0; i < STEPS && !checks_failed(); i++) {
    step(&run);
    oracle_check(&run.oracle, &run.m);
  }
  end(&run);
}

static void small_maps_of_every_kind(void **state)
{
  struct random random;

  (void)state;
  random_begin(&random, 1);
  map_spec_each(run_small, &random);
}

/* Many ids, a sample compared after each step. */
static void run_large(const struct map_spec *spec, void *ctx)
{
  enum { IDS = 3000, SLOW_IDS = 300, STEPS = 300 };
  static struct run run;
  bool slow = map_spec_is_slow(spec);

  if (!random_in_scale(ctx) || (spec->value_size > 300 && slow)) {
    return;
  }
  begin(&run, spec, slow ? SLOW_IDS : IDS, random_next(ctx));
  for (uint64_t id = 0; id < run.oracle.universe; id += 2) {
    op_insert(&run.op, id, 1);
  }
  for (size_t i = 0; i < STEPS && !checks_failed(); i++) {
    step(&run);
    if (i % 25 == 0) {
      oracle_check_sample(&run.oracle, &run.m, &run.random, 20);
    }
  }
  end(&run);
}

static void large_maps_of_every_kind(void **state)
{
  struct random random;

  (void)state;
  random_begin(&random, 2);
  map_spec_each(run_large, &random);
}

/* One operation at a time, over and over, on a map that grows and shrinks:
   what a random mix reaches too rarely. */
static void waves(void **state)
{
  static const struct map_spec specs[] = {
      {.keys = KEYS_U64, .value_size = 8, .shard_groups = 1},
      {.keys = KEYS_U64, .value_size = 8},
      {.keys = KEYS_STRING, .value_size = 64, .shard_groups = 2},
      {.keys = KEYS_STRING, .value_size = 8, .shard_groups = 2},
      {.keys = KEYS_U32, .value_size = 4, .shard_groups = 1},
      {.keys = KEYS_U64, .value_size = 12, .hash = HASH_GOOD_32},
      {.keys = KEYS_BYTES, .value_size = 0, .hash = HASH_LOW_4},
      {.keys = KEYS_CUSTOM_OWNED,
       .value_size = 300,
       .care = VALUES_OWNED,
       .shard_groups = 1},
  };
  static op_fn *const ops[] = {op_insert,  op_remove,  op_shrink,
                               op_compute, op_swap,    op_clear,
                               op_retain,  op_reserve, op_fetch_add};
  static struct run run;
  size_t length = test_scale(400);

  (void)state;
  for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
    begin(&run, &specs[i], map_spec_is_slow(&specs[i]) ? 300 : 2000, i);
    for (size_t wave = 0; wave < test_scale(60); wave++) {
      op_fn *op = ops[random_below(&run.random, 9)];
      bool whole = op == op_shrink || op == op_clear || op == op_retain ||
                   op == op_reserve;
      uint64_t id = random_below(&run.random, run.oracle.universe);
      for (size_t j = 0; j < (whole ? 1 : length); j++) {
        op(&run.op, (id + j) % run.oracle.universe, run.version++ & 0xfffff);
      }
      oracle_check_sample(&run.oracle, &run.m, &run.random, 50);
    }
    end(&run);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(small_maps_of_every_kind),
      cmocka_unit_test(large_maps_of_every_kind),
      cmocka_unit_test(waves),
  };

  return cmocka_run_group_tests_name("oracle", tests, NULL, NULL);
}
