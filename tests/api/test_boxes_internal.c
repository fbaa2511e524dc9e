/*
 * Boxes of maps: after every operation there are as many in use as the entries
 * of the map have.
 */
#include "map/map.h"

#include "operations.h"
#include "settings.h"

enum { IDS = 24, STEPS = 150 };

static size_t boxes_of(const struct cmap__layout *in_force,
                       const struct map_spec *spec, uint64_t id)
{
  struct key_room room;
  struct cmap_key key = key_make(spec, id, &room);
  bool key_boxed = (spec->keys == KEYS_STRING || spec->keys == KEYS_BYTES) &&
                   key.size > in_force->inline_key;
  bool value_boxed = spec->value_size > in_force->inline_value &&
                     !cmap__box_is_large(spec->value_size);

  return (size_t)key_boxed + value_boxed;
}

static void check_boxes(const struct oracle *oracle, struct test_map *m)
{
  const struct cmap__layout *in_force = &m->map->table.layout;
  const char *broken = NULL;
  size_t boxes = 0;

  for (uint64_t id = 0; id < oracle->universe; id++)
    if (oracle_has(oracle, id))
      boxes += boxes_of(in_force, &m->spec, id);
  CHECK(cmap__boxes_used(&m->map->table.boxes) == boxes);
  CHECK_OK(cmap_check(m->map, &broken, NULL));
}

/* `refuse`: memory is refused now and then. */
static void exercise(const struct map_spec *spec, bool refuse)
{
  static struct test_map m;
  struct oracle oracle;
  struct random random;
  struct op op = {&m, &oracle, &random};
  uint64_t version = 1;

  test_map_open(&m, spec);
  oracle_begin(&oracle, IDS);
  random_begin(&random, refuse);
  for (size_t i = 0; i < operations_count + test_scale(STEPS); i++) {
    /* Each once, then as they come. */
    const struct operation *operation =
        i < operations_count ? &operations[i] : operation_draw(&random);
    checks_about(operation->name);
    for (uint64_t k = 0; k < 8 && !checks_failed(); k++) {
      if (refuse && random_once_in(&random, 2))
        counting_alloc_fail_nth(&m.alloc, 1 + (size_t)random_below(&random, 3));
      operation->run(&op, random_below(&random, IDS), version++ & 0xfffff);
      counting_alloc_fail_none(&m.alloc);
      check_boxes(&oracle, &m);
    }
  }
  oracle_check(&oracle, &m);
  CHECK_OK(cmap_clear(m.map, NULL));
  oracle_clear(&oracle);
  check_boxes(&oracle, &m);
  oracle_end(&oracle);
  test_map_close(&m);
}

static void boxes_are_those_of_the_entries(void **state)
{
  static const struct map_spec specs[] = {
      {.keys = KEYS_STRING, .value_size = 8, .shard_groups = 1},
      {.keys = KEYS_STRING, .value_size = 300, .shard_groups = 1},
      {.keys = KEYS_BYTES, .value_size = 300, .care = VALUES_OWNED},
      {.keys = KEYS_BYTES, .value_size = 300, .care = VALUES_UNCOPYABLE},
      {.keys = KEYS_U64, .value_size = 300, .shard_groups = 1},
      {.keys = KEYS_U32, .value_size = 5000},
      {.keys = KEYS_FIXED_16, .value_size = 300, .care = VALUES_OWNED},
      {.keys = KEYS_CUSTOM_OWNED, .value_size = 300, .care = VALUES_OWNED},
      {.keys = KEYS_STRING, .value_size = 64, .hash = HASH_CONSTANT},
  };

  (void)state;
  for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
    for (int refuse = 0; refuse <= 1; refuse++)
      exercise(&specs[i], refuse != 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(boxes_are_those_of_the_entries),
  };

  return cmocka_run_group_tests_name("boxes_internal", tests, NULL, NULL);
}
