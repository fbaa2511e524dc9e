/*
 * Splitting a shard that is often waited for, before it is full; and splits of
 * small maps, before anybody waits.
 *
 * The main thread holds the shard until the other one is seen to wait for it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <sched.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "map/map.h"
#include "table/replace.h"
#include "table_room.h"
#include "threads.h"

/* More than the waits that it takes. */
#define ROUNDS 50

#define LOWER_HALF UINT64_C(0)
#define UPPER_HALF (UINT64_C(1) << 63)

struct contest {
  struct cmap__table table;
  struct table_room room;
  uint64_t hash; /* that the other thread locks */
};

static void contest_begin(struct contest *contest)
{
  struct cmap_options options;

  cmap_options_init(&options, CMAP_U64, 8);
  options.allocator = cmap__allocator_default;
  assert_int_equal(table_begin(&contest->table, &contest->room, &options),
                   CMAP_OK);
}

static void lock_once(unsigned index, void *ctx)
{
  struct contest *contest = ctx;
  struct cmap__locked locked;

  (void)index;
  CHECK(cmap__table_lock(&contest->table, contest->hash, CMAP__WRITE, NULL,
                         &locked) == CMAP_OK);
  CHECK(cmap__shard_covers(locked.shard, contest->hash));
  cmap__table_unlock(&locked);
}

/* Makes another thread wait for the shard of `hash`. */
static void make_wait(struct contest *contest, uint64_t hash)
{
  struct cmap__locked locked;
  struct thread other;

  contest->hash = hash;
  assert_int_equal(
      cmap__table_lock(&contest->table, hash, CMAP__WRITE, NULL, &locked),
      CMAP_OK);
  thread_start(&other, lock_once, 0, contest);
  while ((cmap__load_relaxed(&locked.shard->lock.word) &
          CMAP__LOCK_WRITERS_WAIT) == 0)
    sched_yield();
  cmap__table_unlock(&locked);
  thread_join(&other);
  checks_assert();
}

static size_t shards(struct contest *contest)
{
  return cmap__load_relaxed(&contest->table.directory.shards);
}

static void one_hot_half_is_not_split(void **state)
{
  struct contest contest;

  (void)state;
  contest_begin(&contest);
  for (unsigned i = 0; i < ROUNDS; i++)
    make_wait(&contest, UPPER_HALF);
  assert_int_equal(shards(&contest), 1);
  cmap__table_destroy(&contest.table);
}

static void two_hot_halves_are_parted(void **state)
{
  struct contest contest;

  (void)state;
  contest_begin(&contest);
  for (unsigned i = 0; i < ROUNDS; i++) {
    make_wait(&contest, LOWER_HALF);
    make_wait(&contest, UPPER_HALF);
  }
  assert_int_equal(shards(&contest), 2);
  assert_ptr_not_equal(
      cmap__directory_shard(&contest.table.directory, LOWER_HALF),
      cmap__directory_shard(&contest.table.directory, UPPER_HALF));
  cmap__table_destroy(&contest.table);
}

static void the_number_of_shards_is_bounded(void **state)
{
  struct contest contest;

  (void)state;
  contest_begin(&contest);
  contest.table.contention_shards = 1;
  for (unsigned i = 0; i < ROUNDS; i++) {
    make_wait(&contest, LOWER_HALF);
    make_wait(&contest, UPPER_HALF);
  }
  assert_int_equal(shards(&contest), 1);
  cmap__table_destroy(&contest.table);
}

/* However long its hashes are alike: no more than 8 entries a shard and 64. */
static void the_directory_is_bounded(void **state)
{
  const unsigned most = 14;
  struct contest contest;
  unsigned depth;

  (void)state;
  contest_begin(&contest);
  contest.table.contention_shards = 1000;
  for (unsigned i = 0; i < most * 15; i++) {
    const struct cmap__shard *shard =
        cmap__directory_shard(&contest.table.directory, LOWER_HALF);
    uint64_t bit = UPPER_HALF >> cmap__shard_depth(shard);
    if (cmap__shard_depth(shard) == most)
      break;
    make_wait(&contest, LOWER_HALF);
    make_wait(&contest, bit);
  }
  depth =
      cmap__directory_depth(cmap__directory_current(&contest.table.directory));
  assert_in_range(depth, 6, most);
  assert_true((size_t)1 << depth <= 8 * shards(&contest) + 64);
  cmap__table_destroy(&contest.table);
}

/* A thousand keys would fit into two shards. */
static void small_maps_have_several_shards(void **state)
{
  struct cmap_options options;
  struct cmap *map;

  (void)state;
  cmap_options_init(&options, CMAP_U64, 8);
  assert_int_equal(cmap_create(&options, &map), CMAP_OK);
  for (uint64_t i = 0; i < 1000; i++)
    assert_int_equal(cmap_insert(map, cmap_key_u64(&i), &i, NULL, NULL, NULL),
                     CMAP_OK);
  assert_true(cmap_shard_count(map) >= 4); /* for each processor, up to 8 */
  cmap_destroy(map);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(small_maps_have_several_shards),
      cmocka_unit_test(one_hot_half_is_not_split),
      cmocka_unit_test(two_hot_halves_are_parted),
      cmocka_unit_test(the_number_of_shards_is_bounded),
      cmocka_unit_test(the_directory_is_bounded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
