/*
 * cmap_is_empty: beside renames, and when the directory does not keep still,
 * which is made so by its number of changes.
 */
#include "map/map.h"

#include "calls.h"
#include "numbers.h"
#include "settings.h"
#include "threads.h"

enum { KEYS = 200 };

/* One entry that is given one key after the other. */
static struct {
  struct cmap *map;
  uint64_t keys[2];
  atomic_bool stop;
} scene;

static void rename_or_look(unsigned index, void *ctx)
{
  size_t renames = test_scale(20000);

  (void)ctx;
  if (index == 0) {
    for (size_t i = 0; i < renames; i++)
      CHECK_OK(cmap_rename(scene.map, cmap_key_u64(&scene.keys[i % 2]),
                           cmap_key_u64(&scene.keys[(i + 1) % 2]), NULL));
    atomic_store(&scene.stop, true);
  } else {
    while (!atomic_load(&scene.stop))
      CHECK(!cmap_is_empty(scene.map));
  }
}

static void never_empty(struct cmap *map, uint64_t a, uint64_t b)
{
  scene.map = map;
  scene.keys[0] = a;
  scene.keys[1] = b;
  atomic_store(&scene.stop, false);
  threads_run(2, rename_or_look, NULL);
  cmap_destroy(map);
}

static void beside_renames_in_one_shard(void **state)
{
  struct cmap *map = numbers_open();

  (void)state;
  numbers_put(map, 0, 7);
  never_empty(map, 0, 1);
}

/* All shards but one are empty. */
static void beside_renames_across_shards(void **state)
{
  struct cmap *map = calls_map(KEYS);
  uint64_t other = calls_other_shard(map, KEYS, 0);

  (void)state;
  for (uint64_t i = 1; i < KEYS; i++)
    numbers_drop(map, i);
  never_empty(map, 0, other);
}

static void leave_entry(unsigned index, void *ctx)
{
  struct cmap_entry entry = CMAP_INIT;
  uint64_t key = 0;

  (void)index;
  CHECK_OK(cmap_entry_begin(ctx, cmap_key_u64(&key), &entry, NULL));
}

/* A directory that changes all the time, and a shard that nobody can lock. */
static void beside_a_thread_that_has_ended(void **state)
{
  struct cmap *map = numbers_open();
  uint64_t key = 0, value = 7;
  struct thread thread;
  size_t len = 4711;

  (void)state;
  thread_start(&thread, leave_entry, 0, map);
  thread_join(&thread);
  assert_status(cmap_len_exact(map, &len, NULL), CMAP_EABANDONED);
  assert_true(cmap_is_empty(map));
  (void)atomic_fetch_add(&map->table.directory.changes, 1);
  assert_true(cmap_is_empty(map));
  (void)atomic_fetch_add(&map->table.directory.changes, 1);
  assert_true(cmap_is_empty(map));
  assert_status(cmap_insert(map, cmap_key_u64(&key), &value, NULL, NULL, NULL),
                CMAP_EABANDONED);
  cmap_destroy(map);
  checks_assert();
}

/* The same under a hold of one's own. */
static void under_a_hold(void **state)
{
  CMAP_AUTO(cmap_entry, entry);
  struct cmap *map = numbers_open();
  uint64_t key = 0, value = 7;

  (void)state;
  (void)atomic_fetch_add(&map->table.directory.changes, 1);
  assert_ok(cmap_entry_begin(map, cmap_key_u64(&key), &entry, NULL));
  assert_true(cmap_is_empty(map));
  assert_ok(cmap_entry_insert(&entry, &value, NULL));
  assert_false(cmap_is_empty(map));
  assert_ok(cmap_entry_remove(&entry, NULL));
  assert_true(cmap_is_empty(map));
  cmap_entry_release(&entry);
  (void)atomic_fetch_add(&map->table.directory.changes, 1);
  cmap_destroy(map);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(beside_renames_in_one_shard),
      cmocka_unit_test(beside_renames_across_shards),
      cmocka_unit_test(beside_a_thread_that_has_ended),
      cmocka_unit_test(under_a_hold),
  };

  return cmocka_run_group_tests_name("is_empty", tests, NULL, NULL);
}
