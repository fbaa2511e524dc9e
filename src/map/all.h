/*
 * All shards of a map at once: it stands still.
 *
 * The shards are locked in hash order, and recorded as one hold with gaps, so
 * that the deadlock detector sees what is locked so far while more is waited
 * for, and lends it to a writer where a circle would be closed: then it is
 * locked once more. So nobody is refused for the sake of such a call; it is
 * itself refused for what its thread holds otherwise. What is locked to write
 * and kept so is not lent: that hold has no gaps, it grows.
 */
#ifndef CMAP__MAP_ALL_H
#define CMAP__MAP_ALL_H

#include "map/map.h"

/*
 * Locks all shards to read. *entries is their number. On failure nothing is
 * locked. A shard that the calling thread holds to write is borrowed.
 */
enum cmap_status cmap__all_lock(struct cmap *map,
                                const struct cmap__patience *patience,
                                size_t *entries);

/* Ends that; the thread's last call to lock a map so. */
void cmap__all_unlock(void);

/*
 * Locks all shards to read, each after everybody has left it and all who wait
 * to write have been woken, and leaves them locked by nobody. On failure
 * nothing is locked.
 */
enum cmap_status cmap__all_freeze(struct cmap *map,
                                  const struct cmap__patience *patience);

/* Ends that, by any thread. */
void cmap__all_thaw(struct cmap *map);

/*
 * Locks all shards to write; on failure none. Their holder is to be recorded by
 * the caller.
 */
enum cmap_status cmap__all_take(struct cmap *map,
                                const struct cmap__patience *patience);

/* Ends that. */
void cmap__all_give(struct cmap *map);

/* Of a hold of shards: its thread has ended while it had them. */
void cmap__all_abandon(struct cmap__record *record);

/* The next shard of a map that is locked as a whole; *hash begins at 0, and is
 * 0 again after the last. */
static inline struct cmap__shard *cmap__all_next(const struct cmap *map,
                                                 uint64_t *hash)
{
  struct cmap__shard *shard =
      cmap__directory_shard(&map->table.directory, *hash);

  *hash = cmap__shard_next_hash(shard);
  return shard;
}

#endif
