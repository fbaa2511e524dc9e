/*
 * A freezer that gets a shard before the writers do that sleep for it: they
 * wake up, find it locked for good, and must be told so instead of sleeping
 * again.
 */
#include "asleep.h"
#include "calls.h"
#include "map/map.h"
#include "threads.h"

#include <string.h>

enum { KEYS = 60, WRITERS = 3, ROUNDS = 30 };

static struct {
  struct cmap *map;
  uint64_t low, high; /* keys of two shards, in hash order */
  struct asleep asleep[WRITERS + 1];
  enum cmap_status status[WRITERS + 1];
} scene;

static void write_high(unsigned index, void *ctx)
{
  uint64_t value = calls_value(cmap_key_u64(&scene.high));

  (void)ctx;
  asleep_here(&scene.asleep[index]);
  scene.status[index] = cmap_insert(scene.map, cmap_key_u64(&scene.high),
                                    &value, NULL, NULL, NULL);
}

static void freeze(unsigned index, void *ctx)
{
  (void)ctx;
  asleep_here(&scene.asleep[index]);
  scene.status[index] = cmap_freeze(scene.map, NULL);
}

static void begin(void)
{
  uint64_t a = 7, b, hash_a, hash_b;

  scene.map = calls_map(KEYS);
  b = calls_other_shard(scene.map, KEYS, a);
  assert_ok(cmap_hash(scene.map, cmap_key_u64(&a), &hash_a));
  assert_ok(cmap_hash(scene.map, cmap_key_u64(&b), &hash_b));
  scene.low = hash_a < hash_b ? a : b;
  scene.high = hash_a < hash_b ? b : a;
  for (unsigned i = 0; i <= WRITERS; i++)
    asleep_begin(&scene.asleep[i]);
}

static _Atomic uint32_t *lock_word(uint64_t key)
{
  uint64_t hash;

  assert_ok(cmap_hash(scene.map, cmap_key_u64(&key), &hash));
  return &cmap__directory_shard(&scene.map->table.directory, hash)->lock.word;
}

/* True if the freezer came before a writer. */
static bool one_round(void)
{
  struct cmap_write_guard low = CMAP_INIT, high = CMAP_INIT;
  struct thread threads[WRITERS + 1];
  _Atomic uint32_t *word;
  bool told = false;

  begin();
  word = lock_word(scene.low);
  assert_ok(cmap_get_mut(scene.map, cmap_key_u64(&scene.low), &low, NULL));
  assert_ok(cmap_get_mut(scene.map, cmap_key_u64(&scene.high), &high, NULL));
  for (unsigned i = 0; i < WRITERS; i++) {
    thread_start(&threads[i], write_high, i, NULL);
    asleep_wait(&scene.asleep[i]);
  }
  thread_start(&threads[WRITERS], freeze, WRITERS, NULL);
  asleep_wait(&scene.asleep[WRITERS]);
  cmap_write_guard_release(&low);
  /* The freezer has the low shard, and is on its way to the high one. */
  while ((cmap__load_relaxed(word) & CMAP__LOCK_READERS) == 0)
    cmap__pause();
  cmap_write_guard_release(&high);
  for (unsigned i = 0; i <= WRITERS; i++)
    thread_join(&threads[i]);
  assert_ok(scene.status[WRITERS]);
  for (unsigned i = 0; i < WRITERS; i++) {
    assert_true(scene.status[i] == CMAP_OK || scene.status[i] == CMAP_FROZEN);
    told |= scene.status[i] == CMAP_FROZEN;
  }
  assert_ok(cmap_thaw(scene.map));
  assert_ok(cmap_clear(scene.map, NULL));
  cmap_destroy(scene.map);
  return told;
}

static void sleepers_are_told(void **state)
{
  unsigned told = 0;

  (void)state;
  for (unsigned round = 0; round < ROUNDS; round++)
    told += one_round();
  print_message("in %u of %u rounds the freezer came first\n", told, ROUNDS);
}

/* A frozen map's read guards leave the shard's header alone: all of it, lock
 * and counts. */
static void guards_write_nothing_shared(void **state)
{
  CMAP_AUTO(cmap_read_guard, guard);
  struct cmap__shard before;
  const struct cmap__shard *shard;
  uint64_t key = 7, value, hash;

  (void)state;
  scene.map = calls_map(KEYS);
  assert_ok(cmap_hash(scene.map, cmap_key_u64(&key), &hash));
  assert_ok(cmap_freeze(scene.map, NULL));
  shard = cmap__directory_shard(&scene.map->table.directory, hash);
  memcpy(&before, shard, sizeof before);
  assert_ok(cmap_get_ref(scene.map, cmap_key_u64(&key), &guard, NULL));
  assert_memory_equal(shard, &before, sizeof before);
  assert_ok(cmap_get(scene.map, cmap_key_u64(&key), &value, NULL));
  assert_ok(cmap_contains(scene.map, cmap_key_u64(&key), NULL));
  assert_memory_equal(shard, &before, sizeof before);
  cmap_read_guard_release(&guard);
  assert_memory_equal(shard, &before, sizeof before);
  assert_ok(cmap_thaw(scene.map));
  /* And of one that is not frozen they do not. */
  memcpy(&before, shard, sizeof before);
  assert_ok(cmap_get_ref(scene.map, cmap_key_u64(&key), &guard, NULL));
  assert_true(memcmp(shard, &before, sizeof before) != 0);
  cmap_read_guard_release(&guard);
  cmap_destroy(scene.map);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sleepers_are_told),
      cmocka_unit_test(guards_write_nothing_shared),
  };

  return cmocka_run_group_tests_name("freeze_internal", tests, NULL, NULL);
}
