/*
 * How many entries a shard holds before it makes room.
 */
#ifndef CMAP__TABLE_LIMIT_H
#define CMAP__TABLE_LIMIT_H

#include "table/shard.h"

/*
 * Entries that a block may hold before it makes room: three quarters of its
 * slots, but all of a single group, which nothing overflows from. At 15/16
 * every sixth entry was not in its home group, and growing to 100,000 entries
 * took 15 to 20 % longer.
 */
static inline size_t cmap__full_at(size_t slots)
{
  return slots <= CMAP__GROUP_SLOTS ? slots : slots * 3 / 4;
}

/* Shards of the upper size split at as many sixteenths of their slots, */
#define CMAP__SPLIT_LEAST  12
/* and up to as many more, by their place in the hash order. */
#define CMAP__SPLIT_SPREAD 2

/*
 * The entries at which a shard with so many slots and this prefix makes room.
 * Of the upper size, shards are staggered by their prefix, so that evenly
 * filled ones do not all split at one moment: the memory per entry would swing
 * by a factor of two.
 */
uint32_t cmap__shard_limit(const struct cmap__layout *layout, size_t slots,
                           uint64_t prefix);

/*
 * The same of a shard that chance may have filled so far: one in which removals
 * and insertions take turns, or that was reserved. The numbers in evenly spread
 * shards differ by the square root of their mean, and each comes to its limit
 * one day; if that split it, a map of constant size would have twice the memory
 * of a new one in the end.
 */
uint32_t cmap__shard_most(const struct cmap__layout *layout, size_t slots,
                          uint64_t prefix);

/* Raises the limit of a shard, which is held exclusively, to that; false if it
 * is there already. */
bool cmap__shard_stretch(const struct cmap__layout *layout,
                         struct cmap__shard *shard);

/* The square root, rounded up. Cost: as many steps. */
static inline size_t cmap__root(size_t n)
{
  size_t root = 0;

  while (root * root < n)
    root++;
  return root;
}

/* log2 of the groups that hold `count` entries, or CMAP__NO_BLOCK for none. */
int cmap__block_log2_for(size_t count);

#endif
