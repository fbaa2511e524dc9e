/*
 * directory.h: which shard is named for a hash, while the directory grows,
 * shrinks, and shards come and go.
 *
 * The shards have no blocks here: what they hold is of no concern.
 */
#include <string.h>

#include "random.h"
#include "table_room.h"
#include "tables.h"
#include "valid.h"

struct fixture {
  struct counting_alloc alloc;
  struct tables_setting setting;
  struct cmap__table table;
  struct table_room room;
  struct cmap__directory *directory;
  const struct cmap__layout *layout;
};

static void begin(struct fixture *f)
{
  struct cmap_options options;

  counting_alloc_begin(&f->alloc);
  f->setting = (struct tables_setting){CMAP_U64, SPREAD_GOOD, &f->alloc};
  options = tables_options(&f->setting, 1);
  assert_ok(table_begin(&f->table, &f->room, &options));
  f->directory = &f->table.directory;
  f->layout = &f->table.layout;
}

static void end(struct fixture *f)
{
  assert_true(table_is_valid(&f->table));
  cmap__table_destroy(&f->table);
  assert_true(counting_alloc_is_empty(&f->alloc));
  checks_assert();
}

static unsigned depth_of(const struct fixture *f)
{
  return cmap__directory_depth(cmap__directory_current(f->directory));
}

/* A shard with this range, that nobody names yet and nobody holds. */
static struct cmap__shard *fresh(struct fixture *f, uint64_t prefix,
                                 unsigned depth)
{
  struct cmap__shard *shard =
      cmap__pool_take(&f->table.pool, f->layout, CMAP__NO_BLOCK);

  assert_non_null(shard);
  shard->mask = cmap__depth_mask(depth);
  shard->prefix = prefix & shard->mask;
  tables_unlock(shard);
  return shard;
}

/* Replaces the shard of `prefix` by its two halves. */
static void halve(struct fixture *f, uint64_t prefix)
{
  struct cmap__shard *old = cmap__directory_shard(f->directory, prefix);
  unsigned depth = cmap__shard_depth(old);
  struct cmap__shard *halves[2];

  assert_ok(cmap__directory_announce(f->directory, f->layout, depth + 1, 2));
  halves[0] = fresh(f, old->prefix, depth + 1);
  halves[1] = fresh(f, old->prefix | UINT64_C(1) << (63 - depth), depth + 1);
  cmap__directory_publish(f->directory, halves, 2);
  cmap__directory_withdraw(f->directory, depth, 1);
  if (!cmap__block_is_empty(old->block)) /* of the first shard */
    cmap__block_close(old->block);
  old->mask = CMAP__DEAD_MASK;
  old->prefix = CMAP__DEAD_PREFIX;
  cmap__pool_give(&f->table.pool, &f->table.layout, old);
}

/* Replaces the two halves around `prefix` by one shard. */
static void join(struct fixture *f, uint64_t prefix)
{
  struct cmap__shard *old = cmap__directory_shard(f->directory, prefix);
  unsigned depth = cmap__shard_depth(old);
  struct cmap__shard *both[2] = {
      cmap__directory_shard(f->directory, prefix & cmap__depth_mask(depth - 1)),
      cmap__directory_shard(f->directory, prefix | UINT64_C(1)
                                                       << (64 - depth))};
  struct cmap__shard *one = fresh(f, prefix, depth - 1);

  assert_int_equal(cmap__shard_depth(both[0]), depth);
  assert_int_equal(cmap__shard_depth(both[1]), depth);
  assert_ok(cmap__directory_announce(f->directory, f->layout, depth - 1, 1));
  cmap__directory_publish(f->directory, &one, 1);
  cmap__directory_withdraw(f->directory, depth, 2);
  for (unsigned i = 0; i < 2; i++) {
    both[i]->mask = CMAP__DEAD_MASK;
    both[i]->prefix = CMAP__DEAD_PREFIX;
    cmap__pool_give(&f->table.pool, &f->table.layout, both[i]);
  }
}

static void one_shard_is_named_for_all(void **state)
{
  struct cmap__shard *shard;
  struct random random;
  struct fixture f;

  (void)state;
  random_begin(&random, 1);
  begin(&f);
  assert_int_equal(depth_of(&f), 0);
  shard = cmap__directory_shard(f.directory, 0);
  assert_true(cmap__shard_covers(shard, 0));
  for (unsigned i = 0; i < 100; i++) {
    uint64_t hash = random_next(&random);

    assert_ptr_equal(cmap__directory_shard(f.directory, hash), shard);
    assert_int_equal(cmap__directory_block(f.directory, hash), shard->block);
  }
  end(&f);
}

/* A table that begins without a block needs no memory for that. */
static void tables_begin_without_memory(void **state)
{
  struct cmap_options options;
  struct cmap__layout layout;
  struct cmap__table table;
  struct cmap__shard *shard;
  struct fixture f;

  (void)state;
  counting_alloc_begin(&f.alloc);
  f.setting = (struct tables_setting){CMAP_U64, SPREAD_GOOD, &f.alloc};
  options = tables_options(&f.setting, 1);
  counting_alloc_fail_from(&f.alloc, 1);
  assert_ok(cmap__layout_init(&layout, &options, &f.room.user));
  assert_ok(cmap__table_init(&table, &layout, NULL));
  assert_true(table_is_valid(&table));
  shard = cmap__directory_shard(&table.directory, 0);
  assert_true(cmap__block_is_empty(shard->block));
  assert_int_equal(cmap__shardlock_write(&shard->lock, NULL), CMAP__LOCK_OK);
  assert_status(cmap__make_room(&table, &shard, 0), CMAP_ENOMEM);
  counting_alloc_fail_none(&f.alloc);
  assert_ok(cmap__make_room(&table, &shard, 0));
  assert_false(cmap__block_is_empty(shard->block));
  tables_unlock(shard);
  cmap__table_destroy(&table);
  assert_true(counting_alloc_is_empty(&f.alloc));
  checks_assert();
}

/* Halves and joins at random; validity is checked after each. */
static void shards_are_halved_and_joined(void **state)
{
  struct random random;
  struct fixture f;

  (void)state;
  random_begin(&random, 2);
  begin(&f);
  for (unsigned i = 0; i < 400; i++) {
    uint64_t hash = random_next(&random);
    struct cmap__shard *shard = cmap__directory_shard(f.directory, hash);
    unsigned depth = cmap__shard_depth(shard);
    bool grow = random_below(&random, 400) > i;

    if (grow && depth < 10) {
      halve(&f, hash);
    } else if (!grow && depth > 0) {
      uint64_t bit = UINT64_C(1) << (64 - depth);
      if (cmap__shard_depth(
              cmap__directory_shard(f.directory, shard->prefix ^ bit)) == depth)
        join(&f, hash & ~bit);
    }
    assert_true(table_is_valid(&f.table));
  }
  end(&f);
}

/* One array a depth: shrunk and deepened again, nothing is allocated. */
static void arrays_are_used_again(void **state)
{
  const struct cmap__directory_array *newest;
  struct fixture f;

  (void)state;
  begin(&f);
  for (unsigned depth = 1; depth <= 8; depth++)
    halve(&f, UINT64_MAX);
  assert_int_equal(depth_of(&f), 8);
  newest = f.directory->arrays;
  for (unsigned round = 0; round < 3; round++) {
    counting_alloc_fail_from(&f.alloc, 1);
    for (unsigned depth = 8; depth > 0; depth--) {
      join(&f, ~(UINT64_C(1) << (64 - depth)));
      assert_true(table_is_valid(&f.table));
      if (depth % 2 == 0)
        continue;
      cmap__directory_shrink(f.directory, f.layout, 1);
      assert_int_equal(depth_of(&f), depth - 1);
      assert_true(table_is_valid(&f.table));
    }
    for (unsigned depth = 0; depth < 8; depth++) {
      halve(&f, UINT64_MAX);
      assert_true(table_is_valid(&f.table));
    }
    assert_int_equal(counting_alloc_failures(&f.alloc), 0);
    assert_ptr_equal(f.directory->arrays, newest);
  }
  end(&f);
}

/* Announced shards keep the directory deep until they are withdrawn. */
static void announced_depth_is_kept(void **state)
{
  struct fixture f;

  (void)state;
  begin(&f);
  assert_ok(cmap__directory_announce(f.directory, f.layout, 5, 2));
  assert_int_equal(depth_of(&f), 5);
  assert_int_equal(cmap__load_relaxed(&f.directory->shards), 3);
  cmap__directory_shrink(f.directory, f.layout, 1);
  assert_int_equal(depth_of(&f), 5);
  cmap__directory_withdraw(f.directory, 5, 1);
  cmap__directory_shrink(f.directory, f.layout, 1);
  assert_int_equal(depth_of(&f), 5);
  cmap__directory_withdraw(f.directory, 5, 1);
  cmap__directory_shrink(f.directory, f.layout, 1);
  assert_int_equal(depth_of(&f), 0);
  end(&f);
}

static void announcements_fail_without_memory(void **state)
{
  struct cmap__directory_array *array;
  struct fixture f;

  (void)state;
  begin(&f);
  halve(&f, 0);
  array = cmap__directory_current(f.directory);
  counting_alloc_fail_from(&f.alloc, 1);
  assert_status(cmap__directory_announce(f.directory, f.layout, 3, 1),
                CMAP_ENOMEM);
  assert_status(
      cmap__directory_announce(f.directory, f.layout, CMAP__DEPTH_MAX + 1, 1),
      CMAP_ENOMEM);
  assert_ptr_equal(cmap__directory_current(f.directory), array);
  assert_true(table_is_valid(&f.table));
  counting_alloc_fail_none(&f.alloc);
  assert_ok(cmap__directory_announce(f.directory, f.layout, 3, 1));
  cmap__directory_withdraw(f.directory, 3, 1);

  /* Without memory for a smaller array, the large one stays. */
  counting_alloc_fail_from(&f.alloc, 1);
  assert_null(cmap__directory_array_of(f.directory, 2));
  halve(&f, 0);
  cmap__directory_shrink(f.directory, f.layout, 1);
  assert_int_equal(depth_of(&f), 3);
  assert_true(table_is_valid(&f.table));
  counting_alloc_fail_none(&f.alloc);
  cmap__directory_shrink(f.directory, f.layout, 1);
  assert_int_equal(depth_of(&f), 2);
  end(&f);
}

/* The entries of a depth in steps, and a few more. */
static unsigned steps_for(unsigned depth)
{
  return (unsigned)(((size_t)1 << depth) / CMAP__DIRECTORY_STEP);
}

/* Do all entries name the shard that covers them? */
static void all_are_named(const struct fixture *f)
{
  struct cmap__directory_array *array = cmap__directory_current(f->directory);
  unsigned depth = cmap__directory_depth(array);

  for (uint64_t i = 0; i < UINT64_C(1) << depth; i++) {
    uint64_t hash = depth == 0 ? 0 : i << (64 - depth);
    struct cmap__directory_entry *entry = cmap__directory_at(array, hash);
    struct cmap__shard *shard = cmap__load_relaxed(&entry->shard);
    assert_true(cmap__shard_covers(shard, hash));
    assert_int_equal(cmap__load_relaxed(&entry->block), shard->block);
  }
}

/* Halves and joins in what is filled already, and in what is not. */
static void change_some(struct fixture *f, struct random *random)
{
  for (unsigned i = 0; i < 4; i++) {
    uint64_t hash = random_next(random) >> 1 | (uint64_t)(i % 2) << 63;
    if (cmap__shard_depth(cmap__directory_shard(f->directory, hash)) < 9)
      halve(f, hash);
  }
  all_are_named(f);
}

/* What changes shards meanwhile does steps, too: not these, which only look. */
static void large_arrays_are_filled_in_steps(void **state)
{
  const unsigned large = 14, small = 12;
  struct random random;
  struct fixture f;
  unsigned steps = 0, least = steps_for(large);

  (void)state;
  random_begin(&random, 3);
  begin(&f);
  change_some(&f, &random);
  while (!cmap__directory_deepen(f.directory, f.layout, large)) {
    assert_true(depth_of(&f) < large);
    steps++;
  }
  assert_int_equal(steps + 1, least);
  assert_int_equal(depth_of(&f), large);
  all_are_named(&f);

  /* The same while shards change, which goes on with it. */
  cmap__directory_shrink(f.directory, f.layout, 1);
  assert_true(depth_of(&f) < small);
  assert_false(cmap__directory_deepen(f.directory, f.layout, large));
  for (steps = 0; depth_of(&f) < large && steps < least; steps++)
    change_some(&f, &random);
  assert_int_equal(depth_of(&f), large);
  assert_in_range(steps, 1, least / 2);
  all_are_named(&f);

  /* And when it is halved, which announcements go on with. */
  assert_ok(cmap__directory_announce(f.directory, f.layout, small, 1));
  cmap__directory_shrink(f.directory, f.layout, 2);
  assert_int_equal(depth_of(&f), large);
  change_some(&f, &random);
  assert_int_equal(depth_of(&f), small);
  all_are_named(&f);
  cmap__directory_withdraw(f.directory, small, 1);
  end(&f);
}

/* A halving that has begun is dropped for a shard that is too deep for it. */
static void what_was_begun_gives_way(void **state)
{
  const unsigned large = 14, small = 12;
  struct fixture f;

  (void)state;
  begin(&f);
  assert_ok(cmap__directory_announce(f.directory, f.layout, large, 0));
  assert_ok(cmap__directory_announce(f.directory, f.layout, small, 1));
  cmap__directory_shrink(f.directory, f.layout, 2);
  assert_non_null(f.directory->next);
  assert_ok(cmap__directory_announce(f.directory, f.layout, small + 1, 1));
  assert_null(f.directory->next);
  assert_int_equal(depth_of(&f), large);
  cmap__directory_withdraw(f.directory, small + 1, 1);
  cmap__directory_shrink(f.directory, f.layout, 1);
  assert_int_equal(depth_of(&f), small);
  all_are_named(&f);
  cmap__directory_withdraw(f.directory, small, 1);
  end(&f);
}

/* At most 8 entries a shard, and 64 more. */
static void depth_is_bounded_by_the_shards(void **state)
{
  static struct cmap__directory directory;

  (void)state;
  for (size_t shards = 1; shards < 100000; shards = shards * 3 + 1) {
    cmap__store_relaxed(&directory.shards, shards);
    for (unsigned depth = 0; depth <= 63; depth++)
      assert_int_equal(cmap__directory_may_reach(&directory, depth),
                       UINT64_C(1) << depth <= 8 * shards + 64);
  }
  cmap__store_relaxed(&directory.shards, SIZE_MAX / 16);
  assert_true(cmap__directory_may_reach(&directory, CMAP__DEPTH_MAX));
  assert_false(cmap__directory_may_reach(&directory, CMAP__DEPTH_MAX + 1));
}

/* The number of changes is even at rest, and grows with each. */
static void changes_are_counted(void **state)
{
  struct fixture f;
  uint64_t before;

  (void)state;
  begin(&f);
  for (unsigned i = 0; i < 5; i++) {
    before = cmap__load_relaxed(&f.directory->changes);
    halve(&f, 0);
    assert_true(cmap__load_relaxed(&f.directory->changes) > before);
    assert_int_equal(cmap__load_relaxed(&f.directory->changes) % 2, 0);
  }
  end(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_shard_is_named_for_all),
      cmocka_unit_test(tables_begin_without_memory),
      cmocka_unit_test(shards_are_halved_and_joined),
      cmocka_unit_test(arrays_are_used_again),
      cmocka_unit_test(announced_depth_is_kept),
      cmocka_unit_test(announcements_fail_without_memory),
      cmocka_unit_test(large_arrays_are_filled_in_steps),
      cmocka_unit_test(what_was_begun_gives_way),
      cmocka_unit_test(depth_is_bounded_by_the_shards),
      cmocka_unit_test(changes_are_counted),
  };

  return cmocka_run_group_tests_name("directory", tests, NULL, NULL);
}
