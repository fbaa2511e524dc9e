/*
 * cmap_len while a thread is between its two loads of a shard's numbers: what
 * it sees then is put there.
 */
#include "map/map.h"

#include "numbers.h"

static void no_more_than_there_is_room_for(void **state)
{
  struct cmap *map = numbers_open();
  struct cmap__shard *shard;
  uint32_t inserted, removed;

  (void)state;
  for (uint64_t id = 0; id < 5; id++)
    numbers_put(map, id, id);
  shard = cmap__directory_shard(&map->table.directory, 0);
  inserted = cmap__load_relaxed(&shard->inserted);
  removed = cmap__load_relaxed(&shard->removed);
  assert_int_equal(cmap_len(map), 5);
  /* Much came and went after its first load. */
  cmap__store_relaxed(&shard->inserted, inserted + 1000000000);
  assert_int_equal(cmap_len(map), cmap__block_slot_count(shard->block));
  cmap__store_relaxed(&shard->inserted, inserted);
  /* A writer is between its two numbers. */
  cmap__store_relaxed(&shard->removed, removed + 6);
  assert_int_equal(cmap_len(map), 0);
  cmap__store_relaxed(&shard->removed, removed);
  assert_int_equal(cmap_len(map), 5);
  cmap_destroy(map);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_more_than_there_is_room_for)};

  return cmocka_run_group_tests_name("len_internal", tests, NULL, NULL);
}
