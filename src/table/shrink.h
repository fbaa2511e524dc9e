/*
 * Shrinking shards: merging those that would fit into one, and smaller blocks.
 */
#ifndef CMAP__TABLE_SHRINK_H
#define CMAP__TABLE_SHRINK_H

#include "table/replace.h"

/*
 * Merges the shard, which is held exclusively, with its sibling, if that is
 * free at once and both have at most `most` entries. *shard is then the new
 * one, held. CMAP_ENOMEM: nothing has changed.
 */
enum cmap_status cmap__shard_merge_sibling(struct cmap__table *table,
                                           struct cmap__shard **shard,
                                           size_t most, bool *merged);

/* Gives the shard the smallest block that holds `entries`, if that is smaller
 * than the one it has. CMAP_ENOMEM */
enum cmap_status cmap__shard_fit(struct cmap__table *table,
                                 struct cmap__shard **shard, size_t entries);

/*
 * After a removal: the shard, which is held exclusively, has fewer entries than
 * its `floor`. Shrinks it if it can, with room left for as many again, so that
 * inserts and removals in turn do not shrink and grow it. *shard is then the
 * new one, held. No pointer into it may be out. Never waits.
 */
void cmap__shard_shrink(struct cmap__table *table, struct cmap__shard **shard);

/* The floor of a shard whose block and range are set: 0 without
 * CMAP_AUTO_SHRINK. */
uint32_t cmap__shard_floor(const struct cmap__layout *layout,
                           const struct cmap__shard *shard);

/*
 * Unlocks a shard from which something may have been removed; shrinks it before
 * that if its map wants that.
 */
void cmap__shrink_and_unlock(struct cmap__table *table,
                             struct cmap__shard *shard);

static inline void cmap__unlock_after_removal(struct cmap__table *table,
                                              struct cmap__shard *shard)
{
  if (cmap__unlikely(cmap__shard_count(shard) < shard->floor))
    cmap__shrink_and_unlock(table, shard);
  else
    cmap__shardlock_write_unlock(&shard->lock);
}

/* The same, of a lock that may be a section. */
static inline void cmap__locked_end_removal(struct cmap__table *table,
                                            const struct cmap__locked *locked)
{
  cmap__section_end(locked);
  cmap__unlock_after_removal(table, locked->shard);
}

#endif
