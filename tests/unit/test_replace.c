/*
 * replace.h: growing, splitting, merging and rebuilding shards, for all kinds
 * of keys and of hashes. After each step the whole table is checked.
 */
#include "random.h"
#include "replace_fixture.h"

enum { KEYS = 120 };

static size_t shards_at(const struct fixture *f, unsigned depth)
{
  return cmap__directory_shards_at(
      cmap__directory_current(&f->table.directory))[depth];
}

static int block_log2(const struct cmap__shard *shard)
{
  return cmap__block_is_empty(shard->block)
             ? CMAP__NO_BLOCK
             : (int)cmap__block_log2(shard->block);
}

/* -------------------------------------------------------------------------
 * One replacement at a time
 * ------------------------------------------------------------------------- */

static enum cmap_status resize(struct fixture *f, uint64_t hash, int g)
{
  struct cmap__shard *old = tables_lock(&f->table, hash);
  struct cmap__shard *shard = old;
  enum cmap_status status = cmap__shard_resize(&f->table, &shard, g);

  assert_int_equal(shard == old, status != CMAP_OK);
  assert_true(cmap__shardlock_is_write_locked(&shard->lock));
  assert_true(cmap__shard_covers(shard, hash));
  if (status == CMAP_OK)
    assert_int_equal(block_log2(shard), g);
  tables_unlock(shard);
  return status;
}

static enum cmap_status split(struct fixture *f, uint64_t hash, unsigned levels)
{
  struct cmap__shard *old = tables_lock(&f->table, hash);
  struct cmap__shard *shard = old;
  unsigned depth = cmap__shard_depth(old) + levels;
  enum cmap_status status = cmap__shard_split(&f->table, &shard, hash, depth);

  assert_int_equal(shard == old, status != CMAP_OK);
  assert_true(cmap__shardlock_is_write_locked(&shard->lock));
  assert_true(cmap__shard_covers(shard, hash));
  if (status == CMAP_OK)
    assert_int_equal(cmap__shard_depth(shard), depth);
  tables_unlock(shard);
  return status;
}

/* Merges the two shards of one depth that part at the last bit of `hash`. */
static enum cmap_status merge(struct fixture *f, uint64_t hash)
{
  struct cmap__shard *low = tables_lock(&f->table, hash);
  unsigned depth = cmap__shard_depth(low);
  uint64_t bit = UINT64_C(1) << (64 - depth);
  struct cmap__shard *high = tables_lock(&f->table, low->prefix | bit);
  struct cmap__shard *merged = low;
  enum cmap_status status;

  assert_int_equal(low->prefix & bit, 0);
  assert_int_equal(cmap__shard_depth(high), depth);
  status = cmap__shard_merge(&f->table, &merged, high);
  assert_int_equal(merged == low, status != CMAP_OK);
  if (status == CMAP_OK)
    assert_int_equal(cmap__shard_depth(merged), depth - 1);
  else
    tables_unlock(high);
  tables_unlock(merged);
  return status;
}

/* The depth of the deepest shard, and one of its hashes with last bit 0. */
static unsigned deepest(const struct fixture *f, uint64_t *hash)
{
  uint64_t at = 0;
  unsigned depth = 0;

  *hash = 0;
  do {
    const struct cmap__shard *shard =
        cmap__directory_shard(&f->table.directory, at);
    if (cmap__shard_depth(shard) > depth) {
      depth = cmap__shard_depth(shard);
      *hash = shard->prefix;
    }
    at = cmap__shard_next_hash(shard);
  } while (at != 0);
  return depth;
}

static void merge_all(struct fixture *f)
{
  uint64_t hash;

  while (deepest(f, &hash) > 0) {
    assert_ok(merge(f, hash));
    assert_true(table_is_valid(&f->table));
  }
  cmap__directory_shrink(&f->table.directory, &f->table.layout, 1);
  check(f);
}

static void shards_are_resized(void **state)
{
  (void)state;
  FOR_ALL_SETTINGS(kind, spread)
  {
    struct fixture f;

    begin(&f, kind, (enum spread)spread, 64);
    assert_ok(resize(&f, 0, 0));
    assert_ok(resize(&f, 0, CMAP__NO_BLOCK));
    check(&f);
    put_until(&f, KEYS);
    check(&f);
    for (int g = 7; g >= 4; g--) {
      assert_ok(resize(&f, 12345, g));
      check(&f);
      assert_ok(resize(&f, 12345, g)); /* the same size again */
      check(&f);
    }
    end(&f);
  }
}

static void shards_are_split_and_merged(void **state)
{
  (void)state;
  FOR_ALL_SETTINGS(kind, spread)
  {
    for (unsigned levels = 1; levels <= 6; levels++) {
      struct fixture f;
      uint64_t hash;

      begin(&f, kind, (enum spread)spread, 64);
      put_until(&f, KEYS);
      hash = tables_hash(&f.table, levels);
      assert_ok(split(&f, hash, levels));
      check(&f);
      assert_ok(split(&f, ~hash, levels));
      check(&f);
      assert_ok(split(&f, hash, 1));
      check(&f);
      merge_all(&f);
      assert_int_equal(shards_at(&f, 0), 1);
      end(&f);
    }
  }
}

static void empty_shards_are_split_and_merged(void **state)
{
  struct fixture f;

  (void)state;
  begin(&f, CMAP_U64, SPREAD_GOOD, 64);
  assert_ok(split(&f, 0, 1));
  assert_ok(split(&f, UINT64_MAX, 5));
  check(&f);
  assert_int_equal(shards_at(&f, 1), 1);
  assert_int_equal(shards_at(&f, 6), 2);
  merge_all(&f);
  end(&f);
}

/* -------------------------------------------------------------------------
 * Tables that grow and shrink
 * ------------------------------------------------------------------------- */

static void tables_grow_key_by_key(void **state)
{
  (void)state;
  FOR_ALL_SETTINGS(kind, spread)
  {
    for (size_t groups = 1; groups <= 4; groups *= 4) {
      struct fixture f;

      begin(&f, kind, (enum spread)spread, groups);
      for (uint64_t keys = 1; keys <= 3 * KEYS; keys += 1 + keys / 8) {
        put_until(&f, keys);
        check(&f);
      }
      for (uint64_t keys = f.keys; keys > 0; keys -= 1 + keys / 4) {
        take_until(&f, keys);
        check(&f);
      }
      merge_all(&f);
      end(&f);
    }
  }
}

/* Hashes that no split can part do not make the directory deep. */
static void directories_stay_small(void **state)
{
  (void)state;
  for (unsigned spread = 0; spread < SPREADS; spread++) {
    struct cmap__directory *directory;
    struct fixture f;
    struct cmap__directory_array *array;
    size_t entries;

    begin(&f, CMAP_U64, (enum spread)spread, 1);
    directory = &f.table.directory;
    put_until(&f, 2000);
    check(&f);
    array = cmap__directory_current(directory);
    entries = (size_t)1 << cmap__directory_depth(array);
    assert_true(entries <= 8 * cmap__load_relaxed(&directory->shards) + 64);
    if (spread == SPREAD_CONSTANT)
      assert_int_equal(cmap__load_relaxed(&directory->shards), 1);
    if (spread == SPREAD_GOOD || spread == SPREAD_HIGH_16)
      assert_true(cmap__load_relaxed(&directory->shards) > 100);
    end(&f);
  }
}

/* -------------------------------------------------------------------------
 * Refused memory
 * ------------------------------------------------------------------------- */

enum change { RESIZE, SPLIT, MERGE, CHANGES };

static enum cmap_status change(struct fixture *f, enum change what)
{
  switch (what) {
  case RESIZE:
    return resize(f, 0, 9);
  case SPLIT:
    return split(f, UINT64_MAX, 7);
  default:
    return merge(f, 0);
  }
}

/* What the pool has not cut into parts yet. */
static size_t uncut(const struct fixture *f)
{
  const struct cmap__grown *grown = cmap__pool_grown(&f->table.pool);

  return grown == NULL ? 0 : grown->headers.left + grown->blocks.left;
}

/*
 * All requests from the n-th on are refused. CMAP_ENOMEM: nothing has changed,
 * and parts that were taken are used by the next attempt: of two attempts
 * without any memory, the second takes nothing new.
 */
static enum cmap_status try_refused(struct fixture *f, enum change what,
                                    size_t n)
{
  size_t shards = cmap__load_relaxed(&f->table.directory.shards);
  enum cmap_status status = CMAP_ENOMEM;
  size_t left = 0;

  for (unsigned i = 0; i < 3 && status != CMAP_OK; i++) {
    counting_alloc_fail_from(&f->alloc, i == 0 ? n : 1);
    status = change(f, what);
    counting_alloc_fail_none(&f->alloc);
    check(f);
    if (status == CMAP_OK)
      break;
    assert_int_equal(status, CMAP_ENOMEM);
    assert_int_equal(cmap__load_relaxed(&f->table.directory.shards), shards);
    if (i == 2)
      assert_int_equal(uncut(f), left);
    left = uncut(f);
  }
  return status;
}

static void check_refusals(unsigned kind, enum change what)
{
  struct fixture f;
  size_t n = 1;

  begin(&f, kind, SPREAD_GOOD, 64);
  put_until(&f, KEYS);
  if (what == MERGE)
    assert_ok(split(&f, 0, 1));
  while (try_refused(&f, what, n) != CMAP_OK)
    assert_true(++n < 100);
  if (what != MERGE)
    assert_true(n > 1);
  merge_all(&f);
  end(&f);
}

static void refused_changes_change_nothing(void **state)
{
  (void)state;
  for (unsigned kind = CMAP_U32; kind <= CMAP_CUSTOM; kind++) {
    for (unsigned what = 0; what < CHANGES; what++)
      check_refusals(kind, (enum change)what);
  }
}

/* The same for whole inserts: each is refused as often as it takes. */
static void refused_inserts_change_nothing(void **state)
{
  (void)state;
  FOR_ALL_SETTINGS(kind, spread)
  {
    struct fixture f;

    begin(&f, kind, (enum spread)spread, 2);
    while (f.keys < KEYS) {
      size_t bytes = counting_alloc_live_bytes(&f.alloc);
      size_t pool = pool_takes(&f.table.pool);

      for (size_t n = 1;; n++) {
        enum cmap_status status;

        counting_alloc_fail_from(&f.alloc, n);
        status = tables_put(&f.table, f.keys, f.keys);
        counting_alloc_fail_none(&f.alloc);
        if (status == CMAP_OK)
          break;
        assert_int_equal(status, CMAP_ENOMEM);
        /* Nothing but the pool and the directory may have grown. */
        if (pool_takes(&f.table.pool) == pool && n == 1)
          assert_int_equal(counting_alloc_live_bytes(&f.alloc), bytes);
        check(&f);
      }
      f.keys++;
    }
    check(&f);
    end(&f);
  }
}

/* Without memory a shard takes entries beyond its limit, to the last slot. */
static void full_shards_use_their_last_slots(void **state)
{
  struct fixture f;

  (void)state;
  begin(&f, CMAP_U64, SPREAD_GOOD, 4);
  assert_ok(resize(&f, 0, 2));
  counting_alloc_fail_from(&f.alloc, 1);
  /* What the pool has left over may still do for a split or two. */
  while (tables_put(&f.table, f.keys, f.keys) == CMAP_OK)
    f.keys++;
  check(&f);
  assert_true(f.keys >= 44);
  for (uint64_t i = 0; i < 30; i++)
    assert_status(tables_put(&f.table, i, 0), CMAP_EXISTS);
  check(&f);
  counting_alloc_fail_none(&f.alloc);
  put_until(&f, f.keys + 100);
  check(&f);
  end(&f);
}

static void block_sizes_hold_their_entries(void **state)
{
  (void)state;
  assert_int_equal(cmap__block_log2_for(0), CMAP__NO_BLOCK);
  for (size_t count = 1; count < 100000; count += 1 + count / 50) {
    int g = cmap__block_log2_for(count);

    assert_true(count < (size_t)CMAP__GROUP_SLOTS << g ||
                count == CMAP__GROUP_SLOTS);
    /* And no more than twice what they need, and a sixteenth. */
    assert_true(g == 0 || count * 16 / 10 >= (size_t)CMAP__GROUP_SLOTS
                                                 << (g - 1));
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shards_are_resized),
      cmocka_unit_test(shards_are_split_and_merged),
      cmocka_unit_test(empty_shards_are_split_and_merged),
      cmocka_unit_test(tables_grow_key_by_key),
      cmocka_unit_test(directories_stay_small),
      cmocka_unit_test(refused_changes_change_nothing),
      cmocka_unit_test(refused_inserts_change_nothing),
      cmocka_unit_test(full_shards_use_their_last_slots),
      cmocka_unit_test(block_sizes_hold_their_entries),
  };

  return cmocka_run_group_tests_name("replace", tests, NULL, NULL);
}
