/*
 * Walking over the shards of a map without a lock.
 *
 * The walk goes over one directory array. A shard is named by neighbouring
 * entries, so that a change of the header tells it from the last. Headers are
 * never freed: a stale one gives a stale number, no more.
 */
#ifndef CMAP__MAP_SHARDS_H
#define CMAP__MAP_SHARDS_H

#include "map/map.h"

struct cmap__shard_walk {
  struct cmap__directory_array *array; /* of the directory */
  size_t next;                         /* entry */
  size_t end;
  struct cmap__shard *shard;
  uintptr_t block; /* of the entry, like the shard; not loaded together */
};

static inline struct cmap__shard_walk
cmap__shard_walk_begin(const struct cmap *map)
{
  struct cmap__shard_walk walk;

  walk.array = cmap__directory_current(&map->table.directory);
  walk.next = 0;
  walk.end = (size_t)1 << cmap__directory_depth(walk.array);
  walk.shard = NULL;
  walk.block = 0;
  return walk;
}

static inline bool cmap__shard_walk_next(struct cmap__shard_walk *walk)
{
  const struct cmap__directory_entry *entries =
      cmap__directory_at(walk->array, 0);

  while (walk->next < walk->end) {
    const struct cmap__directory_entry *entry = &entries[walk->next++];
    struct cmap__shard *shard = cmap__load_acquire(&entry->shard); /* [D2] */
    if (shard != walk->shard) {
      walk->shard = shard;
      walk->block = cmap__load_acquire(&entry->block); /* [D2] */
      return true;
    }
  }
  return false;
}

#endif
