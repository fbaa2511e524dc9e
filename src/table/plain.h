/*
 * Plain entries: a u64 key with our own hash, and one word of value, so that a
 * slot is two words. What most maps are made of gets code of its own where it
 * counts: storing, taking, and moving an entry to another block.
 *
 * Each function does what its namesake in table/shard.h does, and the rules
 * there hold: the caller has the write lock, or is the only one to have the
 * block.
 */
#ifndef CMAP__TABLE_PLAIN_H
#define CMAP__TABLE_PLAIN_H

#include "base/check.h"
#include "table/table.h"

#define CMAP__PLAIN_WORDS 2
/* Slots in a cache line. */
#define CMAP__PLAIN_LINE                                                       \
  (CMAP__CACHE_LINE / (CMAP__PLAIN_WORDS * (unsigned)sizeof(uint64_t)))

/* What the home group of a key has, in a shard that is held. */
struct cmap__plain_look {
  struct cmap__group *group;
  _Atomic uint64_t *slots; /* of the group */
  uint64_t hi;
  _Atomic uint64_t *slot; /* the key's, if found */
  unsigned match;         /* slots with the key's tag, not yet compared */
  unsigned index;
  bool found;
  bool decided; /* found here, or in no group */
};

/*
 * The first half of a look: finds the home group, and asks its tags. Without
 * the lock it is a hint, and cmap__plain_aim_holds tells under the lock whether
 * it is true.
 */
CMAP__ALWAYS_INLINE struct cmap__plain_look cmap__plain_aim(uintptr_t block,
                                                            uint64_t hash)
{
  struct cmap__plain_look look = {
      .group = cmap__block_home_group(block, hash),
      .slots = cmap__block_home_slots(block, hash, CMAP__PLAIN_WORDS),
  };

  look.hi = cmap__load_acquire(&look.group->hi); /* [Q1] */
  look.match = cmap__group_match_shared(look.group, look.hi, hash);
  return look;
}

/*
 * The block is the shard's, which is held, and its group is live and has not
 * changed since, as counts only grow.
 */
CMAP__ALWAYS_INLINE bool
cmap__plain_aim_holds(const struct cmap__plain_look *look,
                      const struct cmap__shard *shard, uintptr_t block)
{
  /* Relaxed: the lock orders it. */
  return cmap__likely(shard->block == block) &&
         cmap__likely(cmap__load_relaxed(&look->group->hi) == look->hi) &&
         cmap__likely(cmap__seq_is_stable(look->hi));
}

/*
 * After an aim without the lock whose match is 0: locks the shard to write, if
 * it is free and the key is absent indeed: the shard is the key's, and its
 * group is as it was seen, and has not sent such a key on to another group.
 * False: nothing is held.
 */
CMAP__ALWAYS_INLINE bool cmap__plain_lock_gap(struct cmap__shard *shard,
                                              uintptr_t block, uint64_t hash,
                                              struct cmap__plain_look *look)
{
  if (cmap__unlikely(cmap__group_overflowed(look->hi, hash)) ||
      cmap__unlikely(!cmap__shardlock_try_write(&shard->lock)))
    return false;
  look->found = false;
  look->decided = true;
  if (cmap__plain_aim_holds(look, shard, block) &&
      cmap__likely(cmap__shard_covers(shard, hash)))
    return true;
  cmap__shardlock_write_unlock(&shard->lock);
  return false;
}

/*
 * After an aim whose match is 0, at a block that the directory named: is the
 * key absent, as a reader would find (table/read.h)? False: it takes the lock
 * to know.
 */
CMAP__ALWAYS_INLINE bool
cmap__plain_is_absent(const struct cmap__table *table, uintptr_t block,
                      uint64_t hash, const struct cmap__plain_look *look)
{
  /* Rule (a): the second look at the count comes after the acquire loads of the
   * directory. (b) is the same look, as there is no other group. */
  return cmap__likely(cmap__directory_block(&table->directory, hash) ==
                      block) &&
         cmap__likely(cmap__load_relaxed(&look->group->hi) == look->hi) &&
         cmap__likely(cmap__seq_is_stable(look->hi)) &&
         cmap__likely(!cmap__group_overflowed(look->hi, hash));
}

/* The second half: compares the keys. */
CMAP__ALWAYS_INLINE void cmap__plain_compare(struct cmap__plain_look *look,
                                             uint64_t hash, uint64_t key)
{
  for (; look->match != 0; look->match &= look->match - 1) {
    look->index = (unsigned)__builtin_ctz(look->match);
    look->slot = look->slots + look->index * CMAP__PLAIN_WORDS;
    /* Relaxed: we hold the lock. */
    if (cmap__likely(cmap__load_relaxed(look->slot) == key)) {
      look->found = true;
      break;
    }
  }
  look->decided = look->found || !cmap__group_overflowed(look->hi, hash);
}

CMAP__ALWAYS_INLINE struct cmap__plain_look
cmap__plain_find(const struct cmap__shard *shard, uint64_t hash, uint64_t key)
{
  struct cmap__plain_look look = cmap__plain_aim(shard->block, hash);

  cmap__plain_compare(&look, hash, key);
  return look;
}

/* Of the empty slots of a group (at least one), one in the preferred line if
 * there is one; `slots` is the group's first. */
static inline unsigned cmap__plain_choose(const _Atomic uint64_t *slots,
                                          unsigned empty, uint64_t hash)
{
  const unsigned all = (1u << CMAP__PLAIN_LINE) - 1;
  unsigned before =
      (unsigned)((uintptr_t)slots / sizeof(uint64_t) / CMAP__PLAIN_WORDS) %
      CMAP__PLAIN_LINE; /* slots of the line before the first */
  unsigned want = before + cmap__preferred_slot(hash);
  /* The line's slots as a mask that begins `before` bits early. */
  unsigned line = all << (want - want % CMAP__PLAIN_LINE) >> before;
  unsigned near = empty & line;

  return (unsigned)__builtin_ctz(near != 0 ? near : empty);
}

/* The tag words of a group with the slot's tag set; the slot's was 0. Without a
 * branch, which would be guessed wrong for every fourth entry. */
static inline void cmap__plain_set_tag(uint64_t *lo, uint64_t *hi,
                                       unsigned index, unsigned tag)
{
  uint64_t bits = (uint64_t)tag << (8 * (index & 7));
  uint64_t high = (uint64_t)0 - (index >> 3); /* 0, or all ones */

  *lo |= bits & ~high;
  *hi |= bits & high;
}

/*
 * Stores an absent key into its home group. False: it has no free slot, or the
 * shard is full.
 */
CMAP__ALWAYS_INLINE bool cmap__plain_put(struct cmap__shard *shard,
                                         const struct cmap__plain_look *look,
                                         uint64_t hash, uint64_t key,
                                         uint64_t value)
{
  struct cmap__group *group = look->group;
  unsigned empty = cmap__group_empty_held(group);
  /* Relaxed, here and below: we hold the lock. */
  uint32_t inserted = cmap__load_relaxed(&shard->inserted);
  _Atomic uint64_t *slot;
  unsigned index;

  if (cmap__unlikely(empty == 0 ||
                     inserted - cmap__load_relaxed(&shard->removed) >=
                         shard->limit))
    return false;
  cmap__assert(!cmap__block_is_empty(shard->block)); /* its limit is 0 */
  index = cmap__plain_choose(look->slots, empty, hash);
  slot = look->slots + index * CMAP__PLAIN_WORDS;
  cmap__group_open(group, look->hi);
  cmap__store_relaxed(&shard->inserted, inserted + 1);
  cmap__payload_store(slot, key);
  cmap__payload_store(slot + 1, value);
  cmap__group_close(group, look->hi, index, cmap__hash_tag(hash));
  return true;
}

/* Takes the entry that was found; returns its value. */
CMAP__ALWAYS_INLINE uint64_t
cmap__plain_take(struct cmap__shard *shard, const struct cmap__plain_look *look)
{
  /* Relaxed, here and below: we hold the lock. */
  uint64_t value = cmap__load_relaxed(look->slot + 1);

  cmap__group_open(look->group, look->hi);
  cmap__group_close(look->group, look->hi, look->index, 0);
  cmap__store_relaxed(&shard->removed, cmap__load_relaxed(&shard->removed) + 1);
  return value;
}

/* Puts an entry into a block that is being filled; there must be room. */
static inline void cmap__plain_fill(uintptr_t block, uint64_t hash,
                                    uint64_t key, uint64_t value)
{
  size_t mask = cmap__block_mask(block);
  size_t at = cmap__block_home(block, hash);
  uint64_t overflow = (uint64_t)cmap__hash_overflow_bit(hash)
                      << CMAP__OVERFLOW_SHIFT;

  for (size_t step = 1; step <= mask + 1; step++) {
    struct cmap__group *group = cmap__block_group(block, at);
    uint64_t lo = cmap__load_relaxed(&group->lo);
    uint64_t hi = cmap__load_relaxed(&group->hi);
    unsigned empty = cmap__group_empty(lo, hi);

    if (cmap__likely(empty != 0)) {
      _Atomic uint64_t *slots =
          cmap__block_slots(block) + at * CMAP__GROUP_SLOTS * CMAP__PLAIN_WORDS;
      unsigned index = cmap__plain_choose(slots, empty, hash);
      cmap__payload_store(slots + index * CMAP__PLAIN_WORDS, key);
      cmap__payload_store(slots + index * CMAP__PLAIN_WORDS + 1, value);
      cmap__plain_set_tag(&lo, &hi, index, cmap__hash_tag(hash));
      cmap__payload_store(&group->lo, lo);
      /* A late reader may look here: like all else, by release [Q1]. */
      cmap__store_release(&group->hi, hi);
      return;
    }
    cmap__store_release(&group->hi, hi | overflow); /* [Q1] */
    at = (at + step) & mask;
  }
  cmap__assert(!"there is room");
}

/* The entries of one group of a block that the caller holds. */
struct cmap__plain_group {
  const _Atomic uint64_t *slots;
  unsigned full; /* those that are taken, as a mask */
};

static inline struct cmap__plain_group cmap__plain_group(uintptr_t block,
                                                         size_t at)
{
  const struct cmap__group *group = cmap__block_group(block, at);
  struct cmap__plain_group entries = {
      cmap__block_slots(block) + at * CMAP__GROUP_SLOTS * CMAP__PLAIN_WORDS,
      cmap__group_full(cmap__load_relaxed(&group->lo),
                       cmap__load_relaxed(&group->hi))};

  return entries;
}

#endif
