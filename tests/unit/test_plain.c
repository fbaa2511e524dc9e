/*
 * plain.h: what the code for plain entries does is what the general code does.
 */
#include "one_shard.h"
#include "random.h"
#include "table/plain.h"

/* Two shards alike, one for each code. Their maps have a hash of their own, but
 * these functions are given hashes. */
struct pair {
  struct one_shard general, plain;
};

static void pair_begin(struct pair *pair, int g)
{
  one_shard_begin(&pair->general, CMAP_U64, SPREAD_GOOD, g);
  one_shard_begin(&pair->plain, CMAP_U64, SPREAD_GOOD, g);
}

static void pair_end(struct pair *pair)
{
  one_shard_end(&pair->general);
  one_shard_end(&pair->plain);
}

/* The same tags, overflow bits, and entries. */
static void assert_same(const struct pair *pair)
{
  uintptr_t a = pair->general.shard->block, b = pair->plain.shard->block;
  size_t n = (size_t)1 << cmap__block_log2(a);
  const struct cmap__group *x = cmap__block_groups(a);
  const struct cmap__group *y = cmap__block_groups(b);

  assert_int_equal(cmap__block_log2(a), cmap__block_log2(b));
  for (size_t i = 0; i < n; i++) {
    struct cmap__plain_group left = cmap__plain_group(a, i);
    struct cmap__plain_group right = cmap__plain_group(b, i);
    assert_int_equal(x[i].lo, y[i].lo);
    assert_int_equal(x[i].hi, y[i].hi);
    assert_int_equal(left.full, right.full);
    for (; left.full != 0; left.full &= left.full - 1) {
      unsigned word = 2 * (unsigned)__builtin_ctz(left.full);
      assert_int_equal(left.slots[word], right.slots[word]);
      assert_int_equal(left.slots[word + 1], right.slots[word + 1]);
    }
  }
}

/* Entries for whole blocks, of hashes that fill some groups more than others.
 */
static void blocks_are_filled_alike(void **state)
{
  struct random random;

  (void)state;
  random_begin(&random, 1);
  for (int g = 0; g <= 4; g++) {
    size_t slots = (size_t)CMAP__GROUP_SLOTS << g;
    struct pair pair;

    pair_begin(&pair, g);
    cmap__block_close(pair.general.shard->block);
    cmap__block_close(pair.plain.shard->block);
    for (size_t i = 0; i < slots; i++) {
      uint64_t hash = random_next(&random) & ~(uint64_t)0x30000;
      _Atomic uint64_t slot[2] = {random_next(&random), random_next(&random)};
      cmap__block_fill(&pair.general.layout, pair.general.shard->block, slot,
                       hash);
      cmap__plain_fill(pair.plain.shard->block, hash, slot[0], slot[1]);
      assert_same(&pair);
    }
    pair_end(&pair);
  }
}

/* Puts and takes in random order; a full home group is left to others. */
static void entries_come_and_go_alike(void **state)
{
  struct random random;
  uint64_t hashes[40];
  struct pair pair;
  size_t n = 0;

  (void)state;
  random_begin(&random, 2);
  pair_begin(&pair, 2);
  for (unsigned round = 0; round < 4000; round++) {
    struct cmap__shard *general = pair.general.shard;
    struct cmap__shard *plain = pair.plain.shard;
    uint64_t hash = random_next(&random);
    struct cmap__plain_look look = cmap__plain_find(plain, hash, hash ^ 1);

    assert_false(look.found);
    if (n < 40 && random_below(&random, 2) == 0) {
      struct cmap__key_image image = {.words = {hash ^ 1}};
      bool room =
          cmap__group_empty(cmap__load_relaxed(&look.group->lo), look.hi) != 0;
      struct cmap__place place;

      assert_int_equal(cmap__plain_put(plain, &look, hash, hash ^ 1, hash + 1),
                       room);
      if (!room)
        continue;
      assert_true(
          cmap__shard_vacancy(&pair.general.layout, general, hash, &place));
      hash++;
      cmap__shard_put(&pair.general.layout, general, &place, false, &image,
                      &hash);
      hashes[n++] = hash - 1;
    } else if (n > 0) {
      size_t i = (size_t)random_below(&random, n);
      struct cmap__place place = {.probes = 0};
      uint64_t words[2];

      look = cmap__plain_find(plain, hashes[i], hashes[i] ^ 1);
      assert_true(look.found);
      assert_true(look.decided);
      place.index = look.index;
      place.group = cmap__block_group(general->block, 0) +
                    (look.group - cmap__block_group(plain->block, 0));
      place.slot = cmap__block_slots(general->block) +
                   (look.slot - cmap__block_slots(plain->block));
      assert_int_equal(cmap__plain_take(plain, &look), hashes[i] + 1);
      cmap__shard_take(&pair.general.layout, general, &place, false, words);
      assert_int_equal(words[1], hashes[i] + 1);
      hashes[i] = hashes[--n];
    }
    assert_int_equal(general->inserted, plain->inserted);
    assert_int_equal(general->removed, plain->removed);
    assert_same(&pair);
  }
  pair_end(&pair);
}

/* A shard that has reached its limit, and the block that all empty ones share,
 * take nothing. */
static void a_full_shard_takes_nothing(void **state)
{
  struct cmap__plain_look look;
  struct one_shard f;

  (void)state;
  one_shard_begin(&f, CMAP_U64, SPREAD_GOOD, 0);
  look = cmap__plain_find(f.shard, 0, 0);
  assert_false(look.found);
  assert_true(look.decided);
  f.shard->limit = cmap__shard_count(f.shard);
  assert_false(cmap__plain_put(f.shard, &look, 0, 0, 0));
  one_shard_end(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(blocks_are_filled_alike),
      cmocka_unit_test(entries_come_and_go_alike),
      cmocka_unit_test(a_full_shard_takes_nothing),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
