/*
 * Moving plain entries (table/plain.h) from one block to others.
 *
 * The caller holds the shard of `from`; the blocks that are filled are his
 * alone, their groups busy, and have room.
 */
#ifndef CMAP__TABLE_PLAIN_COPY_H
#define CMAP__TABLE_PLAIN_COPY_H

#include "table/plain.h"

/* Copies all entries to an empty block, and to one that may have others. */
void cmap__plain_copy(const struct cmap__layout *layout, uintptr_t from,
                      uintptr_t to);
void cmap__plain_merge(const struct cmap__layout *layout, uintptr_t from,
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

/* Copies every entry to its side, and counts them. */
void cmap__plain_halve(const struct cmap__layout *layout, uintptr_t from,
                       const uintptr_t to[2],
                       const struct cmap__halving *halving, uint32_t counts[2]);

/* Are about half of the entries on each side, as far as some groups tell? */
bool cmap__plain_halves_look_even(const struct cmap__layout *layout,
                                  uintptr_t from,
                                  const struct cmap__halving *halving);

/*
 * The bits in which the hashes of a block's entries differ from `hash`; if
 * `bit` is among them, the others may be missing.
 */
uint64_t cmap__plain_differing(const struct cmap__layout *layout,
                               uintptr_t block, uint64_t hash, uint64_t bit);

#endif
