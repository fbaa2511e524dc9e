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

#include "table/limit.h"
#include "table/table.h"

/* Makes the first shard of a table that nobody else sees yet, not locked, with
 * a block at these slots, or NULL. */
void cmap__shard_first(const struct cmap__layout *layout,
                       struct cmap__shard *shard, void *slots);

/*
 * Sees to it that *shard, which covers the hash and is held exclusively, has
 * room for one more entry with this hash. Afterwards *shard is the hash's home,
 * held exclusively. CMAP_ENOMEM: there is no room; nothing has changed.
 */
enum cmap_status cmap__make_room(struct cmap__table *table,
                                 struct cmap__shard **shard, uint64_t hash);

/*
 * One step of that: makes the shard's block larger, its range smaller, or, if
 * chance may have filled it, its limit higher; or lets walks look at it. Shards
 * that are split off are unlocked. CMAP_ENOMEM
 */
enum cmap_status cmap__shard_enlarge(struct cmap__table *table,
                                     struct cmap__shard **shard, uint64_t hash);

/* Replaces the shard by one with a block of 2^g groups, of the same range. */
enum cmap_status cmap__shard_resize(struct cmap__table *table,
                                    struct cmap__shard **shard, int g);

/*
 * Have removals left overflow bits behind that make probes long? `probes` is
 * what a search in it went through.
 */
bool cmap__shard_is_worn(const struct cmap__shard *shard, unsigned probes);

/* Clears them where the shard is, which is held exclusively. */
void cmap__shard_rehome(struct cmap__table *table, struct cmap__shard *shard);

/*
 * May a shard be split to this depth? Not if the directory would be too large
 * for the number of shards, and not yet while it is being deepened, which each
 * such question helps along. Whoever splits asks first, but for cmap_reserve,
 * which ends with all shards at about that depth, and cmap_clone, which ends
 * with those of its source.
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

#endif
