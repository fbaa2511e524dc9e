/*
 * Locking a whole map.
 */
#include "map/all.h"

/*
 * Lets go of the shards below the hash `end`; 0: of all. What the calling
 * thread itself holds to write had been borrowed.
 */
static void unlock_below(struct cmap *map, uint64_t end)
{
  uint64_t hash = 0;

  do {
    /* What is locked cannot be replaced: the directory still names it. */
    const struct cmap__hold *own = cmap__hold_find(&map->table, hash);
    struct cmap__shard *shard = cmap__all_next(map, &hash);
    if (own == NULL || own->mode != CMAP__WRITE)
      cmap__shardlock_read_unlock(&shard->lock);
  } while (hash != end);
}

static enum cmap_status lock_all(struct cmap *map,
                                 const struct cmap__patience *patience,
                                 enum cmap__mode mode, size_t *entries)
{
  /* What is locked so far: nothing yet. */
  struct cmap__hold hold = {.mode = CMAP__READ};
  enum cmap_status status;
  struct cmap__locked locked;
  uint64_t hash = 0;

  *entries = 0;
  cmap__hold_begin(&hold);
  do {
    status = cmap__table_lock(&map->table, hash, mode, patience, &locked);
    if (status != CMAP_OK)
      break;
    if (mode == CMAP__WRITE)
      cmap__shardlock_downgrade(&locked.shard->lock);
    *entries += cmap__shard_count(locked.shard);
    hash = cmap__shard_next_hash(locked.shard);
    hold.object = &map->table;
    hold.last = hash - 1;
  } while (hash != 0);
  cmap__hold_end(&hold);
  if (status == CMAP_OK)
    cmap__count_up(&map->table.counts.whole_locks, 1);
  if (status != CMAP_OK && hash != 0)
    unlock_below(map, hash);
  return status;
}

enum cmap_status cmap__all_lock(struct cmap *map,
                                const struct cmap__patience *patience,
                                size_t *entries)
{
  return lock_all(map, patience, CMAP__READ, entries);
}

void cmap__all_unlock(struct cmap *map)
{
  unlock_below(map, 0);
}

enum cmap_status cmap__all_freeze(struct cmap *map,
                                  const struct cmap__patience *patience)
{
  size_t entries;

  return lock_all(map, patience, CMAP__WRITE, &entries);
}
