/*
 * Moving entries from one block to others.
 *
 * The caller holds the shard of `from`; the blocks that are filled are his
 * alone, their groups busy, and have room.
 */
#ifndef CMAP__TABLE_MOVE_H
#define CMAP__TABLE_MOVE_H

#include "table/shard.h"

/* Copies all entries to a block without entries. */
void cmap__move(const struct cmap__layout *layout, uintptr_t from,
                uintptr_t to);

/* The same to a block that may have others, one by one. */
void cmap__move_among(const struct cmap__layout *layout, uintptr_t from,
                      uintptr_t to);

/* How a split into two tells the side of an entry. */
struct cmap__halving {
  uint64_t hash;    /* of the key that is to be on side 0 */
  uint64_t outside; /* the bits that all hashes of the shard share: entries
                       that differ in them, after a wrong prehash, go along */
  unsigned shift;   /* of the bit that tells the sides apart */
};

/* The side, 0 or 1. */
static inline unsigned cmap__half_of(const struct cmap__halving *halving,
                                     uint64_t hash)
{
  uint64_t differ = hash ^ halving->hash;

  return (differ & halving->outside) != 0
             ? 0
             : (unsigned)(differ >> halving->shift) & 1;
}

/* Can cmap__move_halves do it? Else it is done entry by entry. */
bool cmap__move_can_halve(uintptr_t from);

/* Copies every entry to its side, a block of the old one's size without
 * entries, and counts them. */
void cmap__move_halves(const struct cmap__layout *layout, uintptr_t from,
                       const uintptr_t to[2],
                       const struct cmap__halving *halving, uint32_t counts[2]);

/* Are about half of the entries on each side, as far as some groups tell? */
bool cmap__move_looks_even(const struct cmap__layout *layout, uintptr_t from,
                           const struct cmap__halving *halving);

#endif
