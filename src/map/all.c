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

/* The thread has ended in user code while all that the hold says is locked. */
static void abandon_all(struct cmap__record *record)
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

/* On success the hold stays for as long as they are locked. */
static enum cmap_status lock_all(struct cmap *map,
                                 const struct cmap__patience *patience,
                                 enum cmap__mode mode, size_t *entries)
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
  hold->mode = CMAP__READ;
  hold->lock = NULL;
  ((struct cmap__record *)hold)->ended = abandon_all;
  cmap__hold_begin(hold);
  do {
    status = cmap__table_lock(&map->table, hash, mode, patience, &locked);
    if (status != CMAP_OK)
      break;
    if (mode == CMAP__WRITE)
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
  cmap__hold_end(cmap__self.calls);
  unlock_below(map, 0);
}

void cmap__all_thaw(struct cmap *map)
{
  unlock_below(map, 0);
}

enum cmap_status cmap__all_freeze(struct cmap *map,
                                  const struct cmap__patience *patience)
{
  size_t entries;
  enum cmap_status status = lock_all(map, patience, CMAP__WRITE, &entries);

  if (status == CMAP_OK) /* nobody's from now on */
    cmap__hold_end(cmap__self.calls);
  return status;
}
