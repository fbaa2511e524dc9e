/*
 * Replacing shards by others: growing, splitting, merging, rebuilding.
 *
 * All of it follows one order, which the models in docs/memory-model.md check:
 *
 *   1. The caller holds the old shards exclusively.
 *   2. Take the new shards from the pool: locked, their groups busy.
 *   3. Announce them to the directory, which grows for them. Up to here
 *      anything may fail, and nothing has changed.
 *   4. Copy the entries.
 *   5. Make the old groups busy: no reader sees a state of them after this.
 *   6. Make the new groups stable.
 *   7. Let the directory name the new shards.
 *   8. Retire the old shards: dead, unlocked (which wakes whoever waits for
 *      them; each finds them dead and looks again), back to the pool.
 *
 * Nothing here runs user code, except key_hash of integer maps, which must not
 * call the library. No pointer into the shards may be out.
 */
#ifndef CMAP__TABLE_REPLACE_H
#define CMAP__TABLE_REPLACE_H

#include "table/table.h"

/* Makes the first shard of a table that nobody else sees yet, not locked. */
void cmap__shard_first(struct cmap__table *table);

/*
 * Sees to it that *shard, which covers the hash and is held exclusively, has
 * room for one more entry with this hash. Afterwards *shard is the hash's home,
 * held exclusively. CMAP_ENOMEM: there is no room; nothing has changed.
 */
enum cmap_status cmap__make_room(struct cmap__table *table,
                                 struct cmap__shard **shard, uint64_t hash);

/*
 * One step of that: makes the shard's block larger, its range smaller, or, if
 * chance may have filled it, its limit higher. Shards that are split off are
 * unlocked. CMAP_ENOMEM
 */
enum cmap_status cmap__shard_enlarge(struct cmap__table *table,
                                     struct cmap__shard **shard, uint64_t hash);

/* Replaces the shard by one with a block of 2^g groups, of the same range. */
enum cmap_status cmap__shard_resize(struct cmap__table *table,
                                    struct cmap__shard **shard, int g);

/*
 * Have removals left overflow bits behind that make probes long? `probes` is
 * what a search in it went through. If so, a resize to its size clears them.
 */
bool cmap__shard_is_worn(const struct cmap__shard *shard, unsigned probes);

/*
 * May a shard be split to this depth? Not if the directory would be too large
 * for the number of shards, and not yet while it is being deepened, which each
 * such question helps along. Whoever splits asks first, but for cmap_reserve,
 * which ends with all shards at about that depth.
 */
bool cmap__shard_may_split(struct cmap__table *table, unsigned depth);

/*
 * Splits the shard into shards of `depth`, deeper than its own, along the path
 * to `hash`. *shard becomes the one that covers the hash; the others are
 * unlocked.
 */
enum cmap_status cmap__shard_split(struct cmap__table *table,
                                   struct cmap__shard **shard, uint64_t hash,
                                   unsigned depth);

/*
 * Merges two siblings, both held exclusively, into one. *low, whose prefix is
 * the lower one, becomes the new shard, held exclusively.
 */
enum cmap_status cmap__shard_merge(struct cmap__table *table,
                                   struct cmap__shard **low,
                                   struct cmap__shard *high);

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
