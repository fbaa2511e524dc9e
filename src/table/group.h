/*
 * A bucket group: 16 bytes of metadata for 11 slots.
 *
 *   lo   tags of slots 0 ... 7, slot 0 in the lowest byte
 *   hi   bits 0-23   tags of slots 8, 9, 10
 *        bits 24-31  overflow: a Bloom filter of one byte. Bit h % 8 says that
 *                    some key with this bit found the group full and went on
 *                    to the next one of its probe; a miss stops where the bit
 *                    is clear. Cleared by cmap__block_rehome alone.
 *        bits 32-63  sequence count (sync/seqcount.h)
 *
 * A tag of 0 is an empty slot, 1 ... 255 come from the hash (table/hash.h).
 *
 * The search has two forms, SSE2 and 64-bit arithmetic, which is that of other
 * processors and of CMAP_GROUP_WORDS. Both give a mask with bit i for slot i;
 * tests/unit/test_group.c holds them against each other.
 */
#ifndef CMAP__TABLE_GROUP_H
#define CMAP__TABLE_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__SSE2__) && !defined(CMAP_GROUP_WORDS)
#  define CMAP__GROUP_SSE2 1
#  include <emmintrin.h>
#else
#  define CMAP__GROUP_SSE2 0
#endif

#include "base/atomics.h"
#include "base/compiler.h"
#include "sync/seqcount.h"
#include "table/hash.h"

#define CMAP__GROUP_SLOTS    11
#define CMAP__GROUP_MASK     0x7ffu /* one bit per slot */
#define CMAP__OVERFLOW_SHIFT 24

/* Are the words of a group that others may be reading or writing accessed one
 * by one? Where there is no other way, for ThreadSanitizer, and for tests that
 * count loads. */
#ifndef CMAP__GROUP_BY_WORDS
#  if CMAP__GROUP_SSE2 && !CMAP__TSAN
#    define CMAP__GROUP_BY_WORDS 0
#  else
#    define CMAP__GROUP_BY_WORDS 1
#  endif
#endif

struct cmap__group {
  _Atomic uint64_t lo; /* atomic, written under the shard's write lock */
  _Atomic uint64_t hi; /* the same */
};

/* Bit 8i + 7 of each byte i that is zero becomes bit i; exact, no carries. */
static inline unsigned cmap__zero_bytes(uint64_t word)
{
  const uint64_t low7 = UINT64_C(0x7f7f7f7f7f7f7f7f);
  uint64_t zero = ~(((word & low7) + low7) | word | low7);
  return (unsigned)(((zero >> 7) * UINT64_C(0x0102040810204080)) >> 56);
}

static inline unsigned cmap__group_match_swar(uint64_t lo, uint64_t hi,
                                              unsigned tag)
{
  const uint64_t every = UINT64_C(0x0101010101010101) * tag;
  return (cmap__zero_bytes(lo ^ every) | (cmap__zero_bytes(hi ^ every) << 8)) &
         CMAP__GROUP_MASK;
}

/* The slots whose tag is `tag`, as a mask. */
static inline unsigned cmap__group_match(uint64_t lo, uint64_t hi, unsigned tag)
{
#if CMAP__GROUP_SSE2
  __m128i tags = _mm_set_epi64x((long long)hi, (long long)lo);
  __m128i same = _mm_cmpeq_epi8(tags, _mm_set1_epi8((char)tag));
  return (unsigned)_mm_movemask_epi8(same) & CMAP__GROUP_MASK;
#else
  return cmap__group_match_swar(lo, hi, tag);
#endif
}

/* The slots with the tag of a hash (cmap__hash_tag): the same, but the tag is
 * only made where all its copies are. */
static inline unsigned cmap__group_match_hash(uint64_t lo, uint64_t hi,
                                              uint64_t hash)
{
#if CMAP__GROUP_SSE2
  __m128i tags = _mm_set_epi64x((long long)hi, (long long)lo);
  __m128i tag = _mm_max_epu8(_mm_set1_epi8((char)hash), _mm_set1_epi8(1));
  return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(tags, tag)) &
         CMAP__GROUP_MASK;
#else
  return cmap__group_match_swar(lo, hi, cmap__hash_tag(hash));
#endif
}

/*
 * The same of a group that others may be writing, whose `hi` the caller has
 * loaded before and looks at again afterwards: one load of both words, where
 * two would take three instructions more, and go by way of the slower
 * registers. Tags change only in sections, so that a piece of a later one shows
 * at the caller's second look, by the order in which x86 loads [Q2]; the
 * assembly is there because C11 has no such load.
 */
CMAP__ALWAYS_INLINE unsigned
cmap__group_match_shared(const struct cmap__group *group, uint64_t hi,
                         uint64_t hash)
{
#if !CMAP__GROUP_BY_WORDS
  __m128i tag = _mm_max_epu8(_mm_set1_epi8((char)hash), _mm_set1_epi8(1));
  (void)hi;
  __asm__ volatile("pcmpeqb %1, %0" : "+x"(tag) : "m"(*group) : "memory");
  return (unsigned)_mm_movemask_epi8(tag) & CMAP__GROUP_MASK;
#else
  return cmap__group_match_hash(cmap__load_acquire(&group->lo), /* [Q2] */
                                hi, hash);
#endif
}

/* The empty slots, as a mask. */
static inline unsigned cmap__group_empty(uint64_t lo, uint64_t hi)
{
  return cmap__group_match(lo, hi, 0);
}

/* The same of a group that the caller holds and has not written to just now:
 * one load, where the words would go from register to register. */
CMAP__ALWAYS_INLINE unsigned
cmap__group_empty_held(const struct cmap__group *group)
{
#if !CMAP__GROUP_BY_WORDS
  __m128i none = _mm_setzero_si128();
  __asm__("pcmpeqb %1, %0" : "+x"(none) : "m"(*group));
  return (unsigned)_mm_movemask_epi8(none) & CMAP__GROUP_MASK;
#else
  return cmap__group_empty(cmap__load_relaxed(&group->lo),
                           cmap__load_relaxed(&group->hi));
#endif
}

/* The occupied slots, as a mask. */
static inline unsigned cmap__group_full(uint64_t lo, uint64_t hi)
{
  return cmap__group_empty(lo, hi) ^ CMAP__GROUP_MASK;
}

/* How many slots a mask has. (The compiler's way is a call where the processor
 * may have no instruction for it.) Four copies of the mask, each of which has
 * other bits at the ends of nibbles; then the sum of the nibbles. */
static inline unsigned cmap__group_count(unsigned mask)
{
  const uint64_t ends = UINT64_C(0x1111111111111111);
  uint64_t copies = mask * UINT64_C(0x0000200040008001);

  return (unsigned)((copies & ends) * ends >> 60);
}

/* The tag of a slot. */
static inline unsigned cmap__group_tag(uint64_t lo, uint64_t hi, unsigned slot)
{
  return (unsigned)(slot < 8 ? lo >> (8 * slot) : hi >> (8 * (slot - 8))) &
         0xff;
}

/* The word with the slot's tag replaced; for slots 0-7 lo, else hi. */
static inline uint64_t cmap__group_with_tag(uint64_t word, unsigned slot,
                                            unsigned tag)
{
  unsigned shift = 8 * (slot & 7);
  return (word & ~(UINT64_C(0xff) << shift)) | ((uint64_t)tag << shift);
}

/* The tag words of a group with the slot's tag set; the slot's was 0. Without a
 * branch, which would be guessed wrong for every fourth entry. */
static inline void cmap__group_set_tag(uint64_t *lo, uint64_t *hi,
                                       unsigned index, unsigned tag)
{
  uint64_t bits = (uint64_t)tag << (8 * (index & 7));
  uint64_t high = (uint64_t)0 - (index >> 3); /* 0, or all ones */

  *lo |= bits & ~high;
  *hi |= bits & high;
}

/*
 * A change of one slot of a group that the caller holds: opened, the slot's
 * words stored (cmap__payload_store), and closed with the slot's new tag, 0 if
 * it is free now. `hi` is the word as it was before.
 *
 * On x86 the count and the tag are stored as what they are, 4 bytes and one,
 * where whole words would first have to be put together, of which two
 * instructions in three are saved. Its stores become visible in their order,
 * and readers look at the count before and after all else, so that they need
 * not know. (Whoever loads a word that he has just stored a byte of waits; a
 * lock lies between.)
 */
CMAP__ALWAYS_INLINE void cmap__group_open(struct cmap__group *group,
                                          uint64_t hi)
{
#if !CMAP__GROUP_BY_WORDS
  uint32_t *count = (uint32_t *)(void *)group + 3;
  __asm__ volatile("movl %1, %0"
                   : "=m"(*count)
                   : "r"((uint32_t)(hi >> 32) + 1)
                   : "memory");
#else
  cmap__store_relaxed(&group->hi, hi + CMAP__SEQ_ONE); /* [Q2] follows */
#endif
}

CMAP__ALWAYS_INLINE void cmap__group_close(struct cmap__group *group,
                                           uint64_t hi, unsigned index,
                                           unsigned tag)
{
#if !CMAP__GROUP_BY_WORDS
  unsigned char *tags = (unsigned char *)group;
  uint32_t *count = (uint32_t *)(void *)group + 3;

  __asm__ volatile("movb %b1, %0"
                   : "=m"(tags[index])
                   : "q"(tag)
                   : "memory"); /* [Q2] */
  __asm__ volatile("movl %1, %0"
                   : "=m"(*count)
                   : "r"((uint32_t)(hi >> 32) + 2)
                   : "memory"); /* [Q1] */
#else
  hi += CMAP__SEQ_ONE;
  if (index < 8)
    cmap__payload_store(
        &group->lo,
        cmap__group_with_tag(cmap__load_relaxed(&group->lo), index, tag));
  else
    hi = cmap__group_with_tag(hi, index, tag);
  cmap__seq_close(&group->hi, hi);
#endif
}

/* The same without a change of tags. */
CMAP__ALWAYS_INLINE void cmap__group_close_same(struct cmap__group *group,
                                                uint64_t hi)
{
#if !CMAP__GROUP_BY_WORDS
  uint32_t *count = (uint32_t *)(void *)group + 3;
  __asm__ volatile("movl %1, %0"
                   : "=m"(*count)
                   : "r"((uint32_t)(hi >> 32) + 2)
                   : "memory"); /* [Q1] */
#else
  cmap__seq_close(&group->hi, hi + CMAP__SEQ_ONE);
#endif
}

/* Did a key with this hash's overflow bit go on to the next group? The bit of
 * the lower half of `hi` has a number of five bits, of which two are set. */
static inline bool cmap__group_overflowed(uint64_t hi, uint64_t hash)
{
  unsigned bit = ((unsigned)(hash >> 8) | CMAP__OVERFLOW_SHIFT) & 31;

  return (((uint32_t)hi >> bit) & 1) != 0;
}

#endif
