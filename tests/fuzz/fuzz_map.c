/*
 * One map of any kind, shape and options, beside the oracle: the operations of
 * tests/support, in any order, with any request for memory refused.
 *
 * The input: the map's spec, then five bytes a step: which operation, the first
 * id, how many ids, what the operation draws, the request that is refused.
 */
#include "input.h"
#include "operations_guards.h"

#define MOST_STEPS 60
#define REFUSING   128 /* of 256 plans */

static const size_t sizes[] = {0,   1,   2,    3,    4,    7,    8,    9,
                               12,  16,  40,   64,   100,  255,  256,  257,
                               300, 512, 1000, 1024, 1025, 3000, 5000, 8};
static const size_t aligns[] = {0, 8, 16, 32, 64, 0, 0, 1};
static const unsigned flags[] = {0, CMAP_AUTO_SHRINK, CMAP_HASH_SIPHASH,
                                 CMAP_AUTO_SHRINK | CMAP_HASH_SIPHASH};

/* False: there is no such map. */
static bool read_spec(struct input *input, struct map_spec *spec)
{
  spec->keys = (enum key_shape)input_below(input, KEY_SHAPES);
  spec->value_size = sizes[input_below(input, sizeof sizes / sizeof *sizes)];
  spec->care = (enum value_care)input_below(input, VALUE_CARES);
  spec->hash = (enum hash_way)input_below(input, HASH_WAYS);
  spec->shard_groups = (size_t)1 << input_below(input, 8);
  if (spec->shard_groups > 64)
    spec->shard_groups = 0;
  spec->flags = flags[input_below(input, 4)] | CMAP_FIXED_SEED;
  if (spec->hash != HASH_DEFAULT || spec->keys >= KEYS_CUSTOM)
    spec->flags &= ~(unsigned)CMAP_HASH_SIPHASH;
  spec->seed = input_byte(input);
  spec->value_align = aligns[input_below(input, 8)];
  if (spec->keys == KEYS_STRING || spec->keys == KEYS_BYTES)
    spec->inline_key_size = input_below(input, 64);
  spec->inline_value_size = 4 * (size_t)input_byte(input);
  spec->capacity = 4 * (size_t)input_byte(input);
  return map_spec_is_valid(spec);
}

static bool is_of_whole_map(op_fn *run)
{
  static op_fn *const whole[] = {
      op_view_all, op_alter_all,   op_retain, op_clear,      op_reserve,
      op_shrink,   op_clone,       op_merge,  op_len_exact,  op_insert_many,
      op_get_many, op_remove_many, op_iter,   op_scan,       op_for_each,
      op_pop,      op_lock_many,   op_rename, op_swap_values};

  for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
    if (whole[i] == run)
      return true;
  }
  return false;
}

static void check_storage(struct test_map *m)
{
  const char *broken = NULL;

  CHECK_STATUS(cmap_check(m->map, &broken, NULL), CMAP_OK);
  if (broken != NULL)
    CHECK_NEVER(broken);
}

static void step(struct op *op, struct input *input, uint64_t *version)
{
  size_t which =
      input_below(input, (unsigned)(operations_count + guard_operations_count));
  op_fn *run = which < operations_count
                   ? operations[which].run
                   : guard_operations[which - operations_count].run;
  uint64_t id = input_byte(input);
  size_t times = 1 + input_below(input, 64);
  unsigned plan;

  random_begin(op->random, input_byte(input));
  plan = input_byte(input);
  if (is_of_whole_map(run))
    times = 1 + times % 3;
  if (plan >= REFUSING)
    counting_alloc_fail_nth(&op->m->alloc, 1 + plan - REFUSING);
  for (size_t i = 0; i < times; i++)
    (void)run(op, (id + i) % op->oracle->universe, (*version)++ & 0xfffff);
  counting_alloc_fail_none(&op->m->alloc);
  CHECK(cmap_len(op->m->map) == op->oracle->len);
  oracle_check_id(op->oracle, op->m, id % op->oracle->universe);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct input input = {data, data + size};
  static struct test_map m;
  struct oracle oracle;
  struct random random;
  struct op op = {&m, &oracle, &random};
  struct map_spec spec = {.shard_groups = 0};
  uint64_t version = 1;
  size_t universe = 1 + (size_t)input_byte(&input);

  if (!read_spec(&input, &spec))
    return -1;
  if (map_spec_is_slow(&spec) || spec.value_size > 300)
    universe = 1 + universe % 40;
  checks_about(map_spec_name(&spec));
  test_map_open(&m, &spec);
  oracle_begin(&oracle, universe);
  for (int i = 0; i < MOST_STEPS && !input_is_over(&input); i++) {
    step(&op, &input, &version);
    if (i % 8 == 7)
      check_storage(&m);
    fuzz_end();
  }
  check_storage(&m);
  oracle_check(&oracle, &m);
  oracle_end(&oracle);
  test_map_close(&m);
  fuzz_end();
  return 0;
}
