/*
 * cmap_clone copies shards as they are: what of them is the copy's, and what
 * it does when they change on its way.
 */
#include "map/shards.h"

#include "numbers.h"
#include "threads.h"

#include <sched.h>

#define KEYS 5000

static struct cmap *map_of(enum cmap_key_kind kind)
{
  struct cmap_options options;
  struct cmap *map = NULL;

  cmap_options_init(&options, kind, 8);
  assert_ok(cmap_create(&options, &map));
  return map;
}

static struct cmap *clone_of(struct cmap *map)
{
  struct cmap *copy = NULL;
  bool equal = false;

  assert_ok(cmap_clone(map, &copy, NULL));
  assert_ok(cmap_check(copy, NULL, NULL));
  assert_ok(cmap_equal(map, copy, &equal, NULL));
  assert_true(equal);
  return copy;
}

static size_t bytes_of(struct cmap *map)
{
  struct cmap_stats stats = {.size = sizeof stats};

  assert_ok(cmap_get_stats(map, &stats));
  return (size_t)stats.bytes;
}

static void a_copy_hashes_as_its_source(void **state)
{
  struct cmap *map = map_of(CMAP_STRING), *copy;
  struct cmap_options options = {.size = sizeof options};
  uint64_t hash, other;

  (void)state;
  copy = clone_of(map);
  assert_ok(cmap_hash(map, cmap_key_string("key"), &hash));
  assert_ok(cmap_hash(copy, cmap_key_string("key"), &other));
  assert_int_equal(hash, other);
  /* Which is no option that the user gave. */
  assert_ok(cmap_get_options(copy, &options));
  assert_int_equal(options.flags, 0);
  assert_int_equal(options.seed[0], 0);
  cmap_destroy(copy);
  cmap_destroy(map);
}

/* Removes the entries of every other group that are at home there. */
static void empty_every_other_group(struct cmap *map)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__shard_walk walk = cmap__shard_walk_begin(map);
  uint64_t keys[KEYS];
  size_t count = 0;

  while (cmap__shard_walk_next(&walk)) {
    struct cmap__cursor cursor = cmap__cursor_begin(walk.block);
    struct cmap__place place;
    while (cmap__cursor_next(layout, &cursor, &place)) {
      uint64_t hash = cmap__slot_hash(layout, place.slot);
      if (cursor.at % 2 == 0 &&
          cmap__shard_probe(walk.shard, hash, place.group) == 1)
        keys[count++] = cmap__payload_load(place.slot);
    }
  }
  while (count > 0)
    numbers_drop(map, keys[--count]);
}

/* Groups that have been full send searches on, also when they are empty. */
static void a_copy_has_the_places_of_its_source(void **state)
{
  struct cmap *map = numbers_open(), *copy;

  (void)state;
  for (uint64_t id = 0; id < KEYS; id++)
    numbers_put(map, id, id);
  empty_every_other_group(map);
  copy = clone_of(map);
  assert_int_equal(cmap_shard_count(copy), cmap_shard_count(map));
  for (uint64_t id = 0; id < KEYS; id++) {
    assert_int_equal(numbers_has(copy, id), numbers_has(map, id));
    if (numbers_has(map, id))
      numbers_drop(copy, id);
  }
  assert_true(cmap_is_empty(copy));
  assert_ok(cmap_check(copy, NULL, NULL));
  cmap_destroy(copy);
  cmap_destroy(map);
  checks_assert();
}

/* A map that was much fuller has a small copy. */
static void a_copy_takes_what_its_entries_need(void **state)
{
  struct cmap *map = numbers_open(), *copy;

  (void)state;
  for (uint64_t id = 0; id < 20 * KEYS; id++)
    numbers_put(map, id, id);
  for (uint64_t id = 0; id < 20 * KEYS; id++)
    if (id % KEYS != 0)
      numbers_drop(map, id);
  copy = clone_of(map);
  assert_true(bytes_of(copy) < bytes_of(map) / 16);
  cmap_destroy(copy);
  cmap_destroy(map);
}

static void clone_into(unsigned index, void *ctx)
{
  struct cmap **maps = ctx;

  (void)index;
  CHECK_OK(cmap_clone(maps[0], &maps[1], NULL));
}

static struct cmap__shard *lock(struct cmap *map, uint64_t hash)
{
  struct cmap__locked locked;

  assert_ok(cmap__table_lock(&map->table, hash, CMAP__WRITE, NULL, &locked));
  return locked.shard;
}

/* The clone has met the first of two shards, and waits for the second, when
 * they become one. */
static void shards_are_merged_on_the_way(void **state)
{
  struct cmap *maps[2] = {numbers_open(), NULL};
  struct cmap__shard *first, *second;
  struct thread thread;
  bool equal = false;

  (void)state;
  for (uint64_t id = 0; id < 100; id++)
    numbers_put(maps[0], id, id);
  first = lock(maps[0], 0);
  assert_ok(cmap__shard_split(&maps[0]->table, &first, 0, 1));
  second = lock(maps[0], cmap__shard_next_hash(first));
  cmap__shardlock_write_unlock(&first->lock);
  thread_start(&thread, clone_into, 0, maps);
  while (!cmap__shard_is_awaited(second))
    sched_yield();
  first = lock(maps[0], 0);
  assert_ok(cmap__shard_merge(&maps[0]->table, &first, second));
  cmap__shardlock_write_unlock(&first->lock);
  thread_join(&thread);
  checks_assert();
  assert_ok(cmap_check(maps[1], NULL, NULL));
  assert_int_equal(cmap_len(maps[1]), 100);
  assert_ok(cmap_equal(maps[0], maps[1], &equal, NULL));
  assert_true(equal);
  cmap_destroy(maps[0]);
  cmap_destroy(maps[1]);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_copy_hashes_as_its_source),
      cmocka_unit_test(a_copy_has_the_places_of_its_source),
      cmocka_unit_test(a_copy_takes_what_its_entries_need),
      cmocka_unit_test(shards_are_merged_on_the_way),
  };

  return cmocka_run_group_tests_name("clone_internal", tests, NULL, NULL);
}
