/*
 * Locking a whole map.
 */
#include "map/all.h"

/*
 * Lets go of the shards below the hash `end`; 0: of all. What the calling
 * thread itself holds to write had been borrowed, to read.
 */
static void unlock_below(struct cmap *map, enum cmap__mode mode, uint64_t end)
{
  uint64_t hash = 0;

  do {
    /* What is locked cannot be replaced: the directory still names it. */
    const struct cmap__hold *own = cmap__hold_find(&map->table, hash);
    struct cmap__shard *shard = cmap__all_next(map, &hash);
    if (mode == CMAP__WRITE)
      cmap__shardlock_write_unlock(&shard->lock);
    else if (own == NULL || own->mode != CMAP__WRITE)
      cmap__shardlock_read_unlock(&shard->lock);
  } while (hash != end);
}

void cmap__all_abandon(struct cmap__record *record)
{
  struct cmap__table *table = (void *)(uintptr_t)record->hold.object;
  uint64_t hash = 0;

  if (table == NULL)
    return;
  do {
    struct cmap__shard *shard = cmap__directory_shard(&table->directory, hash);
    cmap__shardlock_abandon(&shard->lock);
    hash = cmap__shard_next_hash(shard);
  } while (hash != 0 && hash <= record->hold.last);
}

/* Each to be had in one mode and kept in the same, or to read. On success the
 * hold stays for as long as they are locked. */
static enum cmap_status lock_all(struct cmap *map,
                                 const struct cmap__patience *patience,
                                 enum cmap__mode mode, enum cmap__mode kept,
                                 size_t *entries)
{
  struct cmap__hold *hold;
  enum cmap_status status;
  struct cmap__locked locked;
  uint64_t hash = 0;

  *entries = 0;
  if (!cmap__hold_prepare())
    return CMAP_ENOMEM;
  hold = cmap__hold_next();
  hold->object = NULL; /* what is locked so far: nothing yet */
  hold->first = 0;
  hold->mode = kept;
  hold->lock = NULL;
  ((struct cmap__record *)hold)->ended = cmap__all_abandon;
  cmap__hold_begin(hold);
  do {
    status = cmap__table_lock(&map->table, hash, mode, patience, &locked);
    if (status != CMAP_OK)
      break;
    if (mode != kept)
      cmap__shardlock_downgrade(&locked.shard->lock);
    *entries += cmap__shard_count(locked.shard);
    hash = cmap__shard_next_hash(locked.shard);
    hold->object = &map->table;
    hold->last = hash - 1;
    cmap__section_end(&locked); /* no user code runs before all are locked */
  } while (hash != 0);
  if (status == CMAP_OK) {
    cmap__count_up(&map->table.counts.whole_locks, 1);
    return CMAP_OK;
  }
  cmap__hold_end(hold);
  if (hash != 0)
    unlock_below(map, kept, hash);
  return status;
}

enum cmap_status cmap__all_lock(struct cmap *map,
                                const struct cmap__patience *patience,
                                size_t *entries)
{
  return lock_all(map, patience, CMAP__READ, CMAP__READ, entries);
}

void cmap__all_unlock(struct cmap *map)
{
  cmap__hold_end(cmap__self.calls);
  unlock_below(map, CMAP__READ, 0);
}

/* The same, but they are nobody's in the end. */
static enum cmap_status take_all(struct cmap *map,
                                 const struct cmap__patience *patience,
                                 enum cmap__mode kept)
{
  size_t entries;
  enum cmap_status status =
      lock_all(map, patience, CMAP__WRITE, kept, &entries);

  if (status == CMAP_OK)
    cmap__hold_end(cmap__self.calls);
  return status;
}

enum cmap_status cmap__all_freeze(struct cmap *map,
                                  const struct cmap__patience *patience)
{
  return take_all(map, patience, CMAP__READ);
}

void cmap__all_thaw(struct cmap *map)
{
  unlock_below(map, CMAP__READ, 0);
}

enum cmap_status cmap__all_take(struct cmap *map,
                                const struct cmap__patience *patience)
{
  return take_all(map, patience, CMAP__WRITE);
}

void cmap__all_give(struct cmap *map)
{
  unlock_below(map, CMAP__WRITE, 0);
}
