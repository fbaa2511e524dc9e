/*
 * group.h: both forms of the search against a loop over the bytes, and the
 * words of a group.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "random.h"
#include "settings.h"
#include "table/group.h"
#include "table/hash.h"

#define RANDOM_GROUPS 20000
#define HI_BYTES      8

/* A group as bytes: 11 tags, overflow, count. */
struct bytes {
  uint8_t at[16];
};

static uint64_t word_of(const uint8_t *bytes)
{
  uint64_t word = 0;

  for (unsigned i = 0; i < 8; i++)
    word |= (uint64_t)bytes[i] << (8 * i);
  return word;
}

static unsigned reference(const struct bytes *bytes, uint8_t tag)
{
  unsigned mask = 0;

  for (unsigned i = 0; i < CMAP__GROUP_SLOTS; i++)
    mask |= (unsigned)(bytes->at[i] == tag) << i;
  return mask;
}

/* All searches for one tag; true if each is right. Not assertions: a cmocka
   assertion costs more than the search. */
static bool agrees(const struct bytes *bytes, uint8_t tag)
{
  uint64_t lo = word_of(bytes->at);
  uint64_t hi = word_of(bytes->at + HI_BYTES);
  unsigned expected = reference(bytes, tag);

  /* By a hash: its low byte is the tag, but 0 is 1. */
  if (tag != 0 && cmap__group_match_hash(lo, hi, lo << 8 | tag) != expected)
    return false;
  if (tag == 1 && cmap__group_match_hash(lo, hi, hi << 8) != expected)
    return false;
  return cmap__group_match(lo, hi, tag) == expected &&
         cmap__group_match_swar(lo, hi, tag) == expected;
}

static void fill(struct bytes *bytes, uint8_t value)
{
  for (unsigned i = 0; i < sizeof bytes->at; i++)
    bytes->at[i] = value;
}

static void randomise(struct bytes *bytes, struct random *random)
{
  uint64_t a = random_next(random);
  uint64_t b = random_next(random);

  for (unsigned i = 0; i < 8; i++) {
    bytes->at[i] = (uint8_t)(a >> (8 * i));
    bytes->at[8 + i] = (uint8_t)(b >> (8 * i));
  }
}

/* One byte stands out from fifteen others, at each place. */
static void every_tag_is_found_at_every_slot(void **state)
{
  (void)state;
  for (unsigned other = 0; other < 256; other++) {
    for (unsigned tag = 0; tag < 256; tag++) {
      struct bytes bytes;

      fill(&bytes, (uint8_t)other);
      for (unsigned slot = 0; slot < sizeof bytes.at; slot++) {
        bytes.at[slot] = (uint8_t)tag;
        assert_true(agrees(&bytes, (uint8_t)tag));
        assert_true(agrees(&bytes, (uint8_t)other));
        bytes.at[slot] = (uint8_t)other;
      }
    }
  }
}

/*
 * Arithmetic on whole words carries and borrows from byte to byte: a match
 * below, above, and on both sides of each byte that could pass one on.
 */
static void neighbours_do_not_disturb_each_other(void **state)
{
  static const uint8_t tags[] = {0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff};

  (void)state;
  for (size_t t = 0; t < sizeof tags; t++) {
    for (unsigned a = 0; a < 256; a++) {
      for (unsigned b = 0; b < 256; b++) {
        struct bytes bytes;
        bool right = true;

        for (unsigned i = 0; i < sizeof bytes.at; i++)
          bytes.at[i] = (uint8_t)(i % 2 ? a : b);
        right = right && agrees(&bytes, tags[t]);
        for (unsigned i = 0; i < sizeof bytes.at; i++)
          bytes.at[i] = (uint8_t)(i % 3 == 0 ? a : i % 3 == 1 ? b : tags[t]);
        right = right && agrees(&bytes, tags[t]);
        assert_true(right);
      }
    }
  }
}

/* Each set of matching slots, between bytes that are nearly the tag. */
static void every_set_of_slots_is_found(void **state)
{
  static const uint8_t nearly[] = {0x01, 0x80, 0xff, 0x7f};

  (void)state;
  for (unsigned set = 0; set <= CMAP__GROUP_MASK; set++) {
    for (unsigned tag = 0; tag < 256; tag += 5) {
      for (size_t n = 0; n < sizeof nearly; n++) {
        struct bytes bytes;

        fill(&bytes, (uint8_t)(tag ^ nearly[n]));
        for (unsigned i = 0; i < CMAP__GROUP_SLOTS; i++) {
          if (set & (1u << i))
            bytes.at[i] = (uint8_t)tag;
        }
        assert_int_equal(reference(&bytes, (uint8_t)tag), set);
        assert_true(agrees(&bytes, (uint8_t)tag));
      }
    }
  }
}

static void every_set_of_slots_is_counted(void **state)
{
  (void)state;
  for (unsigned mask = 0; mask <= CMAP__GROUP_MASK; mask++) {
    unsigned count = 0;
    for (unsigned slot = 0; slot < CMAP__GROUP_SLOTS; slot++)
      count += mask >> slot & 1;
    assert_int_equal(cmap__group_count(mask), count);
  }
}

static void random_groups_agree(void **state)
{
  size_t groups = test_scale(RANDOM_GROUPS);
  struct random random;

  (void)state;
  random_begin(&random, 1);
  for (size_t i = 0; i < groups; i++) {
    struct bytes bytes;
    bool right = true;

    randomise(&bytes, &random);
    for (unsigned j = random_once_in(&random, 2) ? 0 : 8; j-- > 0;)
      bytes.at[random_below(&random, 16)] = bytes.at[j];
    for (unsigned tag = 0; tag < 256; tag++)
      right = right && agrees(&bytes, (uint8_t)tag);
    assert_true(right);
  }
}

static void empty_and_full_slots_are_told_apart(void **state)
{
  CMAP__ALIGNED(sizeof(struct cmap__group)) struct cmap__group group;
  struct random random;

  (void)state;
  random_begin(&random, 2);
  for (unsigned set = 0; set <= CMAP__GROUP_MASK; set++) {
    struct bytes bytes;
    uint64_t lo, hi;

    randomise(&bytes, &random);
    for (unsigned i = 0; i < CMAP__GROUP_SLOTS; i++) {
      if ((set & (1u << i)) == 0)
        bytes.at[i] = 0;
      else if (bytes.at[i] == 0)
        bytes.at[i] = 0x80;
    }
    lo = word_of(bytes.at);
    hi = word_of(bytes.at + HI_BYTES);
    assert_int_equal(cmap__group_full(lo, hi), set);
    assert_int_equal(cmap__group_empty(lo, hi), set ^ CMAP__GROUP_MASK);
    cmap__store_relaxed(&group.lo, lo);
    cmap__store_relaxed(&group.hi, hi);
    assert_int_equal(cmap__group_empty_held(&group), set ^ CMAP__GROUP_MASK);
  }
  assert_int_equal(cmap__group_empty(0, UINT64_MAX << 24), CMAP__GROUP_MASK);
}

/* A tag changes its own byte and nothing else, the count least of all. */
static void tags_are_set_and_got(void **state)
{
  struct random random;

  (void)state;
  random_begin(&random, 3);
  for (unsigned slot = 0; slot < CMAP__GROUP_SLOTS; slot++) {
    for (unsigned tag = 0; tag < 256; tag++) {
      struct bytes bytes;
      uint64_t lo, hi;

      randomise(&bytes, &random);
      lo = word_of(bytes.at);
      hi = word_of(bytes.at + HI_BYTES);
      for (unsigned i = 0; i < CMAP__GROUP_SLOTS; i++)
        assert_int_equal(cmap__group_tag(lo, hi, i), bytes.at[i]);
      bytes.at[slot] = (uint8_t)tag;
      if (slot < 8)
        lo = cmap__group_with_tag(lo, slot, (uint8_t)tag);
      else
        hi = cmap__group_with_tag(hi, slot, (uint8_t)tag);
      assert_int_equal(lo, word_of(bytes.at));
      assert_int_equal(hi, word_of(bytes.at + HI_BYTES));
      assert_int_equal(cmap__group_tag(lo, hi, slot), tag);
    }
  }
}

static void overflow_bits_are_apart(void **state)
{
  (void)state;
  for (unsigned set = 0; set < 256; set++) {
    uint64_t hi = (uint64_t)set << CMAP__OVERFLOW_SHIFT;

    for (unsigned bit = 0; bit < 8; bit++) {
      bool expected = (set & (1u << bit)) != 0;
      uint64_t rest = ~(UINT64_C(7) << 8); /* no other bit of the hash counts */
      uint64_t hash = (uint64_t)bit << 8;

      assert_int_equal(cmap__hash_overflow_bit(hash), 1u << bit);
      assert_int_equal(cmap__group_overflowed(hi, hash), expected);
      assert_int_equal(cmap__group_overflowed(hi, hash | rest), expected);
      assert_int_equal(
          cmap__group_overflowed(hi ^ ~(UINT64_C(0xff) << 24), hash), expected);
    }
    /* Nor are they taken for tags. */
    assert_int_equal(cmap__group_full(0, hi), 0);
  }
}

static void every_hash_finds_its_own_tag_and_bit(void **state)
{
  (void)state;
  for (uint64_t hash = 0; hash < 2048; hash++) {
    uint8_t tag = (uint8_t)cmap__hash_tag(hash);
    uint64_t hi = cmap__group_with_tag(0, 10, tag);

    assert_int_equal(cmap__group_match(0, hi, tag), 1u << 10);
    hi |= (uint64_t)cmap__hash_overflow_bit(hash) << CMAP__OVERFLOW_SHIFT;
    assert_true(cmap__group_overflowed(hi, hash));
    assert_int_equal(cmap__group_match(0, hi, tag), 1u << 10);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_tag_is_found_at_every_slot),
      cmocka_unit_test(neighbours_do_not_disturb_each_other),
      cmocka_unit_test(every_set_of_slots_is_found),
      cmocka_unit_test(every_set_of_slots_is_counted),
      cmocka_unit_test(random_groups_agree),
      cmocka_unit_test(empty_and_full_slots_are_told_apart),
      cmocka_unit_test(tags_are_set_and_got),
      cmocka_unit_test(overflow_bits_are_apart),
      cmocka_unit_test(every_hash_finds_its_own_tag_and_bit),
  };

  return cmocka_run_group_tests_name("group", tests, NULL, NULL);
}
