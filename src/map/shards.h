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

/* The prefix of the walk's shard, by the directory: the header's is under the
 * lock. */
static inline uint64_t
cmap__shard_walk_prefix(const struct cmap__shard_walk *walk)
{
  /* In two steps: there may be one entry. */
  return (uint64_t)(walk->next - 1) << walk->array->shift << CMAP__ENTRY_LOG2;
}

/*
 * The two numbers for those without the lock. Who learns of a write by them has
 * learnt of it as by reading the entry: acquire, from the release stores of
 * those who count [N1]. `removed` comes first: if both are equal, the shard was
 * empty when that was loaded.
 */
struct cmap__shard_numbers {
  uint32_t removed;
  uint32_t inserted;
};

static inline struct cmap__shard_numbers
cmap__shard_numbers(const struct cmap__shard *shard)
{
  struct cmap__shard_numbers numbers;

  numbers.removed = cmap__load_acquire(&shard->removed);   /* [N1] */
  numbers.inserted = cmap__load_acquire(&shard->inserted); /* [N1] */
  return numbers;
}

/*
 * The number of entries of the walk's shard: near the truth, and not more than
 * there is room for. The two numbers belong to different moments.
 */
static inline size_t cmap__shard_count_near(const struct cmap__shard_walk *walk)
{
  struct cmap__shard_numbers numbers = cmap__shard_numbers(walk->shard);
  size_t slots = cmap__block_slot_count(walk->block);
  int32_t count = (int32_t)(numbers.inserted - numbers.removed);

  if (count <= 0)
    return 0;
  return (size_t)count < slots ? (size_t)count : slots;
}

#endif
