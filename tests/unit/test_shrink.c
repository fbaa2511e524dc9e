/*
 * shrink.h: maps that shrink by themselves give memory back in small steps.
 */
#include "checks.h"
#include "map/map.h"
#include "valid.h"

enum { ENTRIES = 200000, STEP = 128 * 1024, IDLE = 1024 * 1024 };

static size_t given_back_of(const struct cmap__pool *pool)
{
  const struct cmap__grown *grown = cmap__pool_grown(pool);

  return grown == NULL ? 0 : grown->source.given_back;
}

/* However much becomes free, no removal gives back more than a little. */
static void a_removal_gives_back_little(void **state)
{
  const struct cmap__pool *pool;
  struct cmap_options options;
  struct cmap *map;
  size_t given = 0;

  (void)state;
  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  options.flags = CMAP_AUTO_SHRINK;
  assert_ok(cmap_create(&options, &map));
  pool = &map->table.pool;
  for (uint64_t i = 0; i < ENTRIES; i++)
    assert_ok(cmap_insert(map, cmap_key_u64(&i), &i, NULL, NULL, NULL));
  for (uint64_t i = 0; i < ENTRIES; i++) {
    assert_ok(cmap_remove(map, cmap_key_u64(&i), NULL, NULL));
    if (given_back_of(pool) > given + STEP)
      fail_msg("removal %llu gave back %zu bytes", (unsigned long long)i,
               given_back_of(pool) - given);
    given = given_back_of(pool);
    assert_true(cmap__pool_idle(pool) < IDLE + STEP);
  }
  assert_true(given > pool_takes(pool) / 2);
  cmap_destroy(map);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_removal_gives_back_little),
  };

  return cmocka_run_group_tests_name("shrink", tests, NULL, NULL);
}
