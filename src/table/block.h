/*
 * A block: groups and their slots, named by one word.
 */
#ifndef CMAP__TABLE_BLOCK_H
#define CMAP__TABLE_BLOCK_H

#include "table/group.h"
#include "table/layout.h"

/*
 * A block word: the address of the block's slots, which begin a cache line, and
 * in its low bits 28 - g, of 2^g groups. The groups lie before the slots and
 * downwards, group 0 last, so that both are found without knowing how many
 * bytes the groups take; and the lower half of a hash, shifted right by the low
 * bits, is how far down the home group is, in bytes but for the last four bits.
 */
#define CMAP__BLOCK_BITS     ((uintptr_t)(CMAP__CACHE_LINE - 1))
/* The largest g. */
#define CMAP__BLOCK_LOG2_MAX 28

/* The group that all empty shards share: stable, without a tag. The last of
 * these; no slots follow. */
#define CMAP__EMPTY_GROUPS (CMAP__CACHE_LINE / sizeof(struct cmap__group))
extern struct cmap__group cmap__empty_groups[CMAP__EMPTY_GROUPS];

static inline unsigned cmap__block_log2(uintptr_t block)
{
  return CMAP__BLOCK_LOG2_MAX - (unsigned)(block & CMAP__BLOCK_BITS);
}

/* The block word of 2^g groups whose slots begin here. */
static inline uintptr_t cmap__block_word(uintptr_t slots, unsigned g)
{
  return slots | (CMAP__BLOCK_LOG2_MAX - g);
}

static inline _Atomic uint64_t *cmap__block_slots(uintptr_t block)
{
  return (_Atomic uint64_t *)(block & ~CMAP__BLOCK_BITS);
}

/* All its groups, the last one first: for those who go through them all. */
static inline struct cmap__group *cmap__block_groups(uintptr_t block)
{
  struct cmap__group *end = (struct cmap__group *)(block & ~CMAP__BLOCK_BITS);
  return end - ((size_t)1 << cmap__block_log2(block));
}

static inline struct cmap__group *cmap__block_group(uintptr_t block, size_t at)
{
  struct cmap__group *end = (struct cmap__group *)(block & ~CMAP__BLOCK_BITS);
  return end - 1 - at;
}

/* The number of groups less one. */
static inline size_t cmap__block_mask(uintptr_t block)
{
  return ((size_t)1 << cmap__block_log2(block)) - 1;
}

/* How far below group 0 a hash's home group is, in bytes. */
static inline size_t cmap__block_home_down(uintptr_t block, uint64_t hash)
{
  _Static_assert(sizeof(struct cmap__group) == 1 << (32 - CMAP__BLOCK_LOG2_MAX),
                 "the low bits of a block word shift to bytes");
  return (size_t)((hash & UINT32_MAX) >> (block & CMAP__BLOCK_BITS)) &
         ~(sizeof(struct cmap__group) - 1);
}

/* The home group of a hash. */
static inline size_t cmap__block_home(uintptr_t block, uint64_t hash)
{
  return cmap__block_home_down(block, hash) / sizeof(struct cmap__group);
}

/* The same as an address. */
static inline struct cmap__group *cmap__block_home_group(uintptr_t block,
                                                         uint64_t hash)
{
  char *first =
      (char *)((block & ~CMAP__BLOCK_BITS) - sizeof(struct cmap__group));
  return (struct cmap__group *)(void *)(first -
                                        cmap__block_home_down(block, hash));
}

/* Its first slot. */
CMAP__ALWAYS_INLINE _Atomic uint64_t *
cmap__block_home_slots(uintptr_t block, uint64_t hash, size_t slot_words)
{
  /* So many bytes of slots for each two bytes of groups; of a constant, for
   * each byte, if that is a whole number. */
  char *slots = (char *)(uintptr_t)cmap__block_slots(block);
  size_t down = cmap__block_home_down(block, hash);
  size_t bytes = __builtin_constant_p(slot_words) && slot_words % 2 == 0
                     ? down * (CMAP__GROUP_SLOTS * (slot_words / 2))
                     : down * (CMAP__GROUP_SLOTS * slot_words) / 2;

  _Static_assert(2 * sizeof(uint64_t) == sizeof(struct cmap__group),
                 "the bytes of a group are two slots' words");

  return (_Atomic uint64_t *)(void *)(slots + bytes);
}

/* Where the block's memory begins. */
static inline uintptr_t cmap__block_begin(uintptr_t block)
{
  return (block & ~CMAP__BLOCK_BITS) -
         cmap__layout_meta_bytes(cmap__block_log2(block));
}

/* The block of every shard that has none. */
static inline uintptr_t cmap__block_none(void)
{
  return cmap__block_word((uintptr_t)(cmap__empty_groups + CMAP__EMPTY_GROUPS),
                          0);
}

static inline bool cmap__block_is_empty(uintptr_t block)
{
  return block == cmap__block_none();
}

static inline size_t cmap__block_slot_count(uintptr_t block)
{
  if (cmap__block_is_empty(block))
    return 0;
  return (size_t)CMAP__GROUP_SLOTS << cmap__block_log2(block);
}

#endif
