/*
 * The memory of maps that were reserved, or whose entries come and go, against
 * that of maps that have grown to the same size.
 */
#include "checks.h"

/* Sizes at which shards are about to be split, or have been. */
static const size_t odd_sizes[] = {895, 1700, 3400, 6800, 13000, 27000};
enum { ODD_SIZES = sizeof odd_sizes / sizeof *odd_sizes };

static struct cmap *make_seeded(void)
{
  struct cmap_options options;
  struct cmap *map;

  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  options.flags = CMAP_FIXED_SEED;
  assert_ok(cmap_create(&options, &map));
  return map;
}

static void add_numbers(struct cmap *map, uint64_t from, uint64_t to)
{
  for (; from < to; from++)
    assert_ok(cmap_insert(map, cmap_key_u64(&from), &from, NULL, NULL, NULL));
}

static uint64_t bytes_of(struct cmap *map)
{
  struct cmap_stats stats = {.size = sizeof stats};

  assert_ok(cmap_get_stats(map, &stats));
  return stats.bytes;
}

static void reserve_takes_as_much_as_growing(void **state)
{
  (void)state;
  for (size_t i = 0; i < ODD_SIZES; i++) {
    struct cmap *grown = make_seeded(), *reserved = make_seeded();
    add_numbers(grown, 0, odd_sizes[i]);
    assert_ok(cmap_reserve(reserved, odd_sizes[i], NULL));
    add_numbers(reserved, 0, odd_sizes[i]);
    assert_true(bytes_of(reserved) * 100 <= bytes_of(grown) * 135);
    /* Of a map that has that room, nothing changes. */
    assert_ok(cmap_reserve(grown, 10, NULL));
    cmap_destroy(reserved);
    reserved = make_seeded();
    add_numbers(reserved, 0, 2 * odd_sizes[i]);
    add_numbers(grown, odd_sizes[i], 2 * odd_sizes[i]);
    assert_int_equal(bytes_of(reserved), bytes_of(grown));
    cmap_destroy(reserved);
    cmap_destroy(grown);
  }
}

/* The oldest goes, and a new one comes. */
static void constant_size_is_constant_memory(void **state)
{
  (void)state;
  for (size_t i = 0; i < ODD_SIZES; i++) {
    struct cmap *map = make_seeded();
    uint64_t before, n = odd_sizes[i];
    add_numbers(map, 0, n);
    before = bytes_of(map);
    for (uint64_t old = 0; old < 10 * n; old++) {
      assert_ok(cmap_remove(map, cmap_key_u64(&old), NULL, NULL));
      add_numbers(map, n + old, n + old + 1);
    }
    assert_true(bytes_of(map) * 100 <= before * 130);
    assert_ok(cmap_check(map, NULL, NULL));
    cmap_destroy(map);
  }
}

/* One block more is much to a small map: many maps are looked at. */
static void small_maps_of_constant_size_on_average(void **state)
{
  static const uint64_t sizes[] = {86, 132, 992, 1042, 2100};
  enum { MAPS = 6, TURNS = 50 };

  (void)state;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    uint64_t before = 0, after = 0, n = sizes[i];
    for (uint64_t m = 0; m < MAPS; m++) {
      struct cmap *map = make_seeded();
      uint64_t first = m << 32;
      add_numbers(map, first, first + n);
      before += bytes_of(map);
      for (uint64_t old = first; old < first + TURNS * n; old++) {
        assert_ok(cmap_remove(map, cmap_key_u64(&old), NULL, NULL));
        add_numbers(map, n + old, n + old + 1);
      }
      after += bytes_of(map);
      assert_ok(cmap_check(map, NULL, NULL));
      cmap_destroy(map);
    }
    assert_true(after * 100 <= before * 130);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reserve_takes_as_much_as_growing),
      cmocka_unit_test(constant_size_is_constant_memory),
      cmocka_unit_test(small_maps_of_constant_size_on_average),
  };

  return cmocka_run_group_tests_name("memory_grown", tests, NULL, NULL);
}
