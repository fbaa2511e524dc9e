/*
 * shard.h: where an entry goes: the probe, overflow bits, preferred lines.
 */
#include "one_shard.h"

/* A hash with these fields, in a shard of 2^g groups. */
static uint64_t hash_of(unsigned g, uint64_t group, unsigned position,
                        unsigned over, unsigned tag)
{
  return group << (32 - g) | (uint64_t)position << 11 | (uint64_t)over << 8 |
         tag;
}

static struct cmap__group *group_of(const struct one_shard *f, size_t at)
{
  return cmap__block_group(f->shard->block, at);
}

/* The home group is the top of a hash's lower half; groups lie downwards from
 * the slots, and these in the order of the groups. */
static void home_groups_read_their_own_bits(void **state)
{
  static struct cmap__group groups[(1 << 10) + 4] CMAP__ALIGNED(64);
  uintptr_t slots = (uintptr_t)(groups + (1 << 10));

  (void)state;
  for (unsigned g = 0; g <= 10; g++) {
    uintptr_t block = cmap__block_word(slots, g);

    assert_int_equal(cmap__block_log2(block), g);
    assert_int_equal(cmap__block_mask(block), (1u << g) - 1);
    for (unsigned bit = 0; bit < 64; bit++) {
      uint64_t hash = UINT64_C(1) << bit;
      size_t at = bit < 32 && bit >= 32 - g ? (size_t)1 << (bit - (32 - g)) : 0;

      assert_int_equal(cmap__block_home(block, hash), at);
      assert_int_equal(cmap__block_home(block, ~hash),
                       cmap__block_mask(block) - at);
      assert_ptr_equal(cmap__block_home_group(block, hash),
                       groups + (1 << 10) - 1 - at);
      for (size_t words = 2; words < 6; words++)
        assert_int_equal((uintptr_t)cmap__block_home_slots(block, hash, words) -
                             slots,
                         at * CMAP__GROUP_SLOTS * words * sizeof(uint64_t));
    }
  }
}

/* A full group sends keys on and remembers their overflow bit, no other. */
static void full_groups_set_overflow_bits(void **state)
{
  struct cmap__place place;
  struct one_shard f;

  (void)state;
  one_shard_begin(&f, CMAP_U64, SPREAD_GOOD, 2);
  group_of(&f, 1)->lo = UINT64_MAX;
  group_of(&f, 1)->hi |= 0xffffff;
  for (unsigned over = 0; over < 8; over += 3) {
    uint64_t hi = group_of(&f, 1)->hi;

    assert_false(cmap__group_overflowed(hi, hash_of(2, 1, 0, over, 9)));
    assert_true(cmap__shard_vacancy(&f.layout, f.shard,
                                    hash_of(2, 1, 0, over, 9), &place));
    assert_ptr_equal(place.group, group_of(&f, 2));
    assert_int_equal(place.probes, 1);
    assert_int_equal(group_of(&f, 1)->hi, hi | UINT64_C(1) << (24 + over));
    /* A group with room passes nothing on. */
    assert_int_equal(group_of(&f, 2)->hi, CMAP__SEQ_ONE);
  }
  /* Triangular steps from group 1 of 4: 1, 2, 0, 3. */
  group_of(&f, 2)->lo = group_of(&f, 0)->lo = UINT64_MAX;
  group_of(&f, 2)->hi |= 0xffffff;
  group_of(&f, 0)->hi |= 0xffffff;
  assert_true(
      cmap__shard_vacancy(&f.layout, f.shard, hash_of(2, 1, 0, 7, 9), &place));
  assert_ptr_equal(place.group, group_of(&f, 3));
  assert_int_equal(place.probes, 3);
  group_of(&f, 3)->lo = UINT64_MAX;
  group_of(&f, 3)->hi |= 0xffffff;
  assert_false(
      cmap__shard_vacancy(&f.layout, f.shard, hash_of(2, 1, 0, 7, 9), &place));
  one_shard_end(&f);
}

/* A miss walks only as far as overflow bits lead it. */
static void misses_follow_overflow_bits(void **state)
{
  struct cmap__place place;
  struct cmap__probe probe;
  struct tables_key key;
  struct cmap__group *home;
  struct one_shard f;
  uint64_t hash;

  (void)state;
  one_shard_begin(&f, CMAP_U64, SPREAD_CONSTANT, 2);
  one_shard_probe(&f, 1, &key, &probe);
  hash = probe.hash;
  assert_false(cmap__shard_find(&f.layout, f.shard, &probe, &place));
  assert_int_equal(place.probes, 0);
  home = cmap__block_home_group(f.shard->block, hash);
  home->hi |= (uint64_t)cmap__hash_overflow_bit(hash) << CMAP__OVERFLOW_SHIFT;
  assert_false(cmap__shard_find(&f.layout, f.shard, &probe, &place));
  assert_int_equal(place.probes, 1);
  home->hi ^= UINT64_C(0xff) << CMAP__OVERFLOW_SHIFT;
  assert_false(cmap__shard_find(&f.layout, f.shard, &probe, &place));
  assert_int_equal(place.probes, 0);
  one_shard_end(&f);
}

static size_t line_of(const _Atomic uint64_t *slot)
{
  return (uintptr_t)slot / CMAP__CACHE_LINE;
}

/* For each set of empty slots and each position: the preferred line if it has
   room, else the first empty slot. */
static void preferred_lines_are_chosen(void **state)
{
  (void)state;
  for (unsigned kind = CMAP_U64; kind <= CMAP_STRING; kind += 2) {
    struct cmap__group *group;
    _Atomic uint64_t *slots;
    struct cmap__place place;
    struct one_shard f;

    one_shard_begin(&f, kind, SPREAD_GOOD, 1);
    group = group_of(&f, 1);
    slots = cmap__block_slots(f.shard->block) +
            (size_t)CMAP__GROUP_SLOTS * f.layout.slot_words;
    for (unsigned empty = 1; empty <= CMAP__GROUP_MASK; empty++) {
      group->lo = 0;
      group->hi = CMAP__SEQ_ONE;
      for (unsigned i = 0; i < CMAP__GROUP_SLOTS; i++) {
        if ((empty & (1u << i)) == 0 && i < 8)
          group->lo |= UINT64_C(1) << (8 * i);
        else if ((empty & (1u << i)) == 0)
          group->hi |= UINT64_C(1) << (8 * (i - 8));
      }
      for (unsigned position = 0; position < 32; position++) {
        uint64_t hash = hash_of(1, 1, position, 0, 0);
        unsigned want = cmap__preferred_slot(hash);
        size_t line = line_of(slots + want * f.layout.slot_words);
        bool room = false;

        assert_true(want < CMAP__GROUP_SLOTS);
        for (unsigned i = 0; i < CMAP__GROUP_SLOTS; i++) {
          if ((empty & (1u << i)) != 0 &&
              line_of(slots + i * f.layout.slot_words) == line)
            room = true;
        }
        assert_true(cmap__shard_vacancy(&f.layout, f.shard, hash, &place));
        assert_ptr_equal(place.group, group);
        assert_ptr_equal(place.slot, slots + place.index * f.layout.slot_words);
        assert_int_not_equal(empty & (1u << place.index), 0);
        if (room)
          assert_int_equal(line_of(place.slot), line);
        else
          assert_int_equal(place.index, __builtin_ctz(empty));
      }
    }
    one_shard_end(&f);
  }
}

static void every_slot_is_preferred_by_some_hash(void **state)
{
  unsigned met = 0;

  (void)state;
  for (unsigned position = 0; position < 32; position++)
    met |= 1u << cmap__preferred_slot(hash_of(1, 0, position, 0, 0));
  assert_int_equal(met, CMAP__GROUP_MASK);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(home_groups_read_their_own_bits),
      cmocka_unit_test(full_groups_set_overflow_bits),
      cmocka_unit_test(misses_follow_overflow_bits),
      cmocka_unit_test(preferred_lines_are_chosen),
      cmocka_unit_test(every_slot_is_preferred_by_some_hash),
  };

  return cmocka_run_group_tests_name("shard_places", tests, NULL, NULL);
}
