/*
 * shard.h: entries of one shard, and blocks being filled, closed, published.
 * Which slot an entry gets is test_shard_places.c's question.
 */
#include <string.h>

#include "one_shard.h"
#include "random.h"
#include "settings.h"
#include "valid.h"

static void take(struct one_shard *f, const struct cmap__place *place)
{
  uint64_t words[CMAP__SLOT_WORDS_MAX];

  cmap__shard_take(&f->layout, f->shard, place, false, words);
  cmap__key_words_destroy(&f->layout, words);
}

static void take_all(struct one_shard *f)
{
  struct cmap__cursor cursor = cmap__cursor_begin(f->shard->block);
  struct cmap__place place;

  while (cmap__cursor_next(&f->layout, &cursor, &place))
    take(f, &place);
  assert_int_equal(cmap__shard_count(f->shard), 0);
}

/* -------------------------------------------------------------------------
 * Entries
 * ------------------------------------------------------------------------- */

/* Puts keys until there is no room: as many as there are slots. */
static void check_fill(unsigned kind, enum spread spread, int g)
{
  struct cmap__place at, found;
  struct one_shard f;
  size_t slots;
  uint64_t n = 0;

  one_shard_begin(&f, kind, spread, g);
  slots = cmap__block_slot_count(f.shard->block);
  for (; one_shard_put(&f, n, &at); n++) {
    assert_true(one_shard_find(&f, n, &found));
    assert_ptr_equal(found.slot, at.slot);
    assert_ptr_equal(found.group, at.group);
    assert_int_equal(found.index, at.index);
    assert_int_equal(found.tag, at.tag);
    assert_int_equal(found.probes, at.probes);
    assert_int_equal(cmap__shard_count(f.shard), n + 1);
  }
  assert_int_equal(n, slots);
  assert_true(shard_is_valid(&f.layout, f.shard));
  for (uint64_t i = 0; i < 2 * n; i++) {
    assert_int_equal(one_shard_find(&f, i, &found), i < n);
    if (i < n)
      assert_int_equal(found.slot[f.layout.value_word], i + 1);
  }
  /* Every second goes; the others stay, and the room is there again. */
  for (uint64_t i = 0; i < n; i += 2) {
    assert_true(one_shard_find(&f, i, &found));
    take(&f, &found);
    assert_false(one_shard_find(&f, i, &found));
  }
  assert_int_equal(cmap__shard_count(f.shard), n / 2);
  assert_true(shard_is_valid(&f.layout, f.shard));
  for (uint64_t i = 0; i < n; i += 2)
    assert_true(one_shard_put(&f, i, &at));
  assert_true(shard_is_valid(&f.layout, f.shard));
  take_all(&f);
  assert_true(shard_is_valid(&f.layout, f.shard));
  one_shard_end(&f);
}

static void shards_fill_to_the_last_slot(void **state)
{
  (void)state;
  for (unsigned kind = CMAP_U32; kind <= CMAP_CUSTOM; kind++) {
    for (unsigned spread = 0; spread < SPREADS; spread++) {
      for (int g = 0; g <= 3; g++)
        check_fill(kind, (enum spread)spread, g);
    }
  }
}

static void random_entries_come_and_go(void **state)
{
  enum { KEYS = 200, STEPS = 20000 };
  static bool present[KEYS];
  size_t steps = test_scale(STEPS);
  struct random random;
  struct one_shard f;

  (void)state;
  random_begin(&random, 1);
  memset(present, 0, sizeof present);
  one_shard_begin(&f, CMAP_BYTES, SPREAD_GOOD, 4);
  for (size_t i = 0; i < steps; i++) {
    uint64_t key = random_below(&random, KEYS);
    struct cmap__place place;

    assert_int_equal(one_shard_find(&f, key, &place), present[key]);
    if (present[key])
      take(&f, &place);
    else if (!one_shard_put(&f, key, &place))
      continue;
    present[key] = !present[key];
    if (i % 64 == 0)
      assert_true(shard_is_valid(&f.layout, f.shard));
  }
  take_all(&f);
  one_shard_end(&f);
}

/* What take copies out is what put stored. */
static void take_gives_the_words(void **state)
{
  uint64_t words[CMAP__SLOT_WORDS_MAX];
  struct cmap__key_image image;
  struct cmap__place place;
  struct cmap__probe probe;
  struct tables_key key;
  struct one_shard f;

  (void)state;
  one_shard_begin(&f, CMAP_STRING, SPREAD_GOOD, 0);
  one_shard_probe(&f, 7, &key, &probe);
  assert_ok(cmap__key_image_init(&f.layout, &probe, &image));
  assert_true(one_shard_put(&f, 7, &place));
  /* In a section that the caller has opened, and that stays open. */
  for (unsigned open = 0; open < 2; open++) {
    uint64_t before = place.group->hi;

    if (open)
      (void)cmap__seq_open_for_user(&place.group->hi);
    cmap__shard_take(&f.layout, f.shard, &place, open, words);
    assert_int_equal(cmap__seq_is_stable(place.group->hi), !open);
    assert_int_equal((place.group->hi >> 32) - (before >> 32), open ? 1 : 2);
    assert_memory_equal(words, image.words, 8u * (1u + f.layout.key_words));
    assert_int_equal(words[f.layout.value_word], 8);
    if (open)
      cmap__seq_close(&place.group->hi, place.group->hi);
    else
      assert_true(one_shard_put(&f, 7, &place));
  }
  assert_true(shard_is_valid(&f.layout, f.shard));
  one_shard_end(&f);
}

/* -------------------------------------------------------------------------
 * Whole blocks
 * ------------------------------------------------------------------------- */

static void cursors_meet_every_entry_once(void **state)
{
  enum { KEYS = 150 };
  unsigned met[KEYS] = {0};
  struct cmap__cursor cursor;
  struct cmap__place place;
  struct one_shard f;
  size_t n = 0;

  (void)state;
  one_shard_begin(&f, CMAP_U64, SPREAD_GOOD, 4);
  cursor = cmap__cursor_begin(f.shard->block);
  assert_false(cmap__cursor_next(&f.layout, &cursor, &place));
  for (uint64_t i = 0; i < KEYS; i++)
    assert_true(one_shard_put(&f, i, &place));
  cursor = cmap__cursor_begin(f.shard->block);
  while (cmap__cursor_next(&f.layout, &cursor, &place)) {
    struct cmap__place found;
    uint64_t i = place.slot[0];

    assert_true(i < KEYS);
    met[i]++;
    assert_true(one_shard_find(&f, i, &found));
    assert_ptr_equal(found.slot, place.slot);
    assert_ptr_equal(found.group, place.group);
    assert_int_equal(found.index, place.index);
    assert_int_equal(found.tag, cmap__place_tag(&place));
    if (n++ % 3 == 0)
      take(&f, &place);
  }
  for (unsigned i = 0; i < KEYS; i++)
    assert_int_equal(met[i], 1);
  assert_int_equal(cmap__shard_count(f.shard), KEYS - KEYS / 3);
  assert_true(shard_is_valid(&f.layout, f.shard));
  one_shard_end(&f);
}

/* A wipe leaves every group stable and empty, without overflow bits, and its
   count two further; also where every entry was taken before, one by one. */
static void check_wipe(bool taken)
{
  struct cmap__group *groups;
  struct cmap__place place;
  uint64_t before[4];
  struct one_shard f;

  one_shard_begin(&f, CMAP_U64, SPREAD_CONSTANT, 2);
  for (uint64_t i = 0; one_shard_put(&f, i, &place); i++)
    continue;
  if (taken)
    take_all(&f);
  groups = cmap__block_groups(f.shard->block);
  for (unsigned i = 0; i < 4; i++)
    before[i] = groups[i].hi >> 32;
  cmap__shard_wipe(f.shard);
  cmap__shard_wipe(f.shard); /* there is nothing to wipe */
  for (unsigned i = 0; i < 4; i++) {
    assert_int_equal(groups[i].lo, 0);
    assert_int_equal(groups[i].hi, (before[i] + 2) << 32);
  }
  assert_int_equal(cmap__shard_count(f.shard), 0);
  assert_false(one_shard_find(&f, 1, &place));
  assert_true(one_shard_put(&f, 1, &place));
  assert_int_equal(place.probes, 0);
  assert_true(shard_is_valid(&f.layout, f.shard));
  one_shard_end(&f);
}

static void wipe_empties_and_counts_on(void **state)
{
  (void)state;
  check_wipe(false);
  check_wipe(true);
}

static void blocks_close_fill_and_publish(void **state)
{
  struct cmap__shard *fresh;
  struct cmap__cursor cursor;
  struct cmap__place place;
  struct one_shard f;

  (void)state;
  one_shard_begin(&f, CMAP_U64, SPREAD_GOOD, 1);
  for (uint64_t i = 0; i < 20; i++)
    assert_true(one_shard_put(&f, i, &place));
  fresh = cmap__pool_take(&f.pool, &f.layout, 2);
  assert_non_null(fresh);
  assert_true(block_is_busy(fresh->block));
  cursor = cmap__cursor_begin(f.shard->block);
  while (cmap__cursor_next(&f.layout, &cursor, &place))
    cmap__block_fill(&f.layout, fresh->block, place.slot,
                     cmap__slot_hash(&f.layout, place.slot));
  assert_true(block_is_busy(fresh->block));
  fresh->mask = fresh->prefix = 0;
  fresh->inserted = 20;
  cmap__block_close(f.shard->block);
  assert_true(block_is_busy(f.shard->block));
  cmap__block_publish(fresh->block);
  assert_true(shard_is_valid(&f.layout, fresh));
  tables_unlock(f.shard);
  f.shard = fresh;
  for (uint64_t i = 0; i < 20; i++) {
    assert_true(one_shard_find(&f, i, &place));
    assert_int_equal(place.slot[f.layout.value_word], i + 1);
  }
  one_shard_end(&f);
}

/* Shards without a block share one group, which nothing may change. */
static void empty_shards_take_everything(void **state)
{
  struct cmap__cursor cursor;
  struct cmap__place place;
  struct one_shard f;

  (void)state;
  one_shard_begin(&f, CMAP_U64, SPREAD_GOOD, CMAP__NO_BLOCK);
  assert_true(cmap__block_is_empty(f.shard->block));
  assert_int_equal(cmap__block_slot_count(f.shard->block), 0);
  for (uint64_t i = 0; i < 100; i++) {
    assert_false(one_shard_find(&f, i, &place));
    assert_false(one_shard_put(&f, i, &place));
  }
  cursor = cmap__cursor_begin(f.shard->block);
  assert_false(cmap__cursor_next(&f.layout, &cursor, &place));
  cmap__shard_wipe(f.shard);
  cmap__block_close(f.shard->block);
  cmap__block_publish(f.shard->block);
  assert_true(shard_is_valid(&f.layout, f.shard));
  one_shard_end(&f);
}

static void prefixes_cover_their_hashes(void **state)
{
  struct cmap__shard shard;

  (void)state;
  memset(&shard, 0, sizeof shard);
  for (unsigned depth = 0; depth <= 40; depth++) {
    uint64_t last = UINT64_MAX >> depth;

    shard.mask = cmap__depth_mask(depth);
    shard.prefix = UINT64_C(0xb5b5b5b5b5b5b5b5) & shard.mask;
    assert_int_equal(cmap__shard_depth(&shard), depth);
    assert_true(cmap__shard_covers(&shard, shard.prefix));
    assert_true(cmap__shard_covers(&shard, shard.prefix | last));
    if (depth > 0) {
      assert_false(cmap__shard_covers(&shard, shard.prefix + last + 1));
      assert_false(cmap__shard_covers(&shard, shard.prefix - 1));
    }
  }
  shard.mask = CMAP__DEAD_MASK;
  shard.prefix = CMAP__DEAD_PREFIX;
  assert_false(cmap__shard_covers(&shard, 0));
  assert_false(cmap__shard_covers(&shard, 1));
  assert_false(cmap__shard_covers(&shard, UINT64_MAX));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shards_fill_to_the_last_slot),
      cmocka_unit_test(random_entries_come_and_go),
      cmocka_unit_test(take_gives_the_words),
      cmocka_unit_test(cursors_meet_every_entry_once),
      cmocka_unit_test(wipe_empties_and_counts_on),
      cmocka_unit_test(blocks_close_fill_and_publish),
      cmocka_unit_test(empty_shards_take_everything),
      cmocka_unit_test(prefixes_cover_their_hashes),
  };

  return cmocka_run_group_tests_name("shard", tests, NULL, NULL);
}
