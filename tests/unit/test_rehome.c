/*
 * replace.h: worn shards, whose entries find their groups anew where they are.
 */
#include "replace_fixture.h"

/* Removals leave overflow bits, which are cleared where the shard is. */
static void worn_shards_are_rehomed(void **state)
{
  struct cmap__shard *shard;
  struct cmap__probe probe;
  struct cmap__place place;
  struct tables_key key;
  struct fixture f;

  (void)state;
  begin(&f, CMAP_U64, SPREAD_CONSTANT, 8);
  put_until(&f, 80);
  shard = tables_lock(&f.table, 0);
  tables_key(&key, CMAP_U64, 1000);
  assert_ok(cmap__probe_init(&f.table.layout, key.key, NULL, &probe));
  assert_false(cmap__shard_find(&f.table.layout, shard, &probe, &place));
  /* Long probes alone do not help: nothing was removed. */
  assert_true(place.probes >= 7);
  assert_false(cmap__shard_is_worn(shard, place.probes));
  tables_unlock(shard);
  take_until(&f, 10);
  shard = tables_lock(&f.table, 0);
  assert_false(cmap__shard_find(&f.table.layout, shard, &probe, &place));
  assert_true(place.probes >= 7);
  assert_true(cmap__shard_is_worn(shard, place.probes));
  assert_false(cmap__shard_is_worn(shard, 0));
  cmap__shard_rehome(&f.table, shard);
  assert_null(cmap__shard_broken(&f.table.layout, shard));
  assert_false(cmap__shard_find(&f.table.layout, shard, &probe, &place));
  assert_int_equal(place.probes, 0);
  assert_false(cmap__shard_is_worn(shard, 7));
  tables_unlock(shard);
  check(&f);
  end(&f);
}

static void rehome(struct fixture *f)
{
  struct cmap__shard *shard = tables_lock(&f->table, 0);
  struct cmap__group *group = cmap__block_groups(shard->block);
  uint64_t before = cmap__load_relaxed(&group->hi);
  uintptr_t block = shard->block;

  cmap__shard_rehome(&f->table, shard);
  assert_int_equal(shard->block, block);
  /* One section for whoever reads meanwhile. */
  if (!cmap__block_is_empty(block))
    assert_int_equal(cmap__load_relaxed(&group->hi) >> 32, (before >> 32) + 2);
  tables_unlock(shard);
  check(f);
}

static void rehoming_keeps_all_entries(void **state)
{
  (void)state;
  FOR_ALL_SETTINGS(kind, spread)
  {
    struct fixture f;

    begin(&f, kind, (enum spread)spread, 8);
    put_until(&f, CMAP__GROUP_SLOTS + 1); /* no single group needs it */
    rehome(&f);
    put_until(&f, 60);
    rehome(&f);
    take_until(&f, 20);
    rehome(&f);
    put_until(&f, 50);
    take_until(&f, 1);
    rehome(&f);
    end(&f);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(worn_shards_are_rehomed),
      cmocka_unit_test(rehoming_keeps_all_entries),
  };

  return cmocka_run_group_tests_name("rehome", tests, NULL, NULL);
}
