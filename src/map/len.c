/*
 * Counting entries, room and shards.
 */
#include "map/all.h"
#include "map/shards.h"

size_t cmap_len(const struct cmap *map)
{
  struct cmap__shard_walk walk;
  size_t len = 0;

  if (map == NULL)
    return 0;
  walk = cmap__shard_walk_begin(map);
  while (cmap__shard_walk_next(&walk))
    len += cmap__shard_count_near(&walk);
  return len;
}

size_t cmap_shard_count(const struct cmap *map)
{
  struct cmap__shard_walk walk;
  size_t count = 0;

  if (map == NULL)
    return 0;
  walk = cmap__shard_walk_begin(map);
  while (cmap__shard_walk_next(&walk))
    count++;
  return count;
}

size_t cmap_shard_index(const struct cmap *map, uint64_t hash)
{
  const struct cmap__shard *home;
  struct cmap__shard_walk walk;
  size_t index = 0;

  if (map == NULL)
    return 0;
  walk = cmap__shard_walk_begin(map);
  home = cmap__load_acquire(&cmap__directory_at(walk.array, hash)->shard);
  while (cmap__shard_walk_next(&walk) && walk.shard != home)
    index++;
  return index;
}

size_t cmap_capacity(const struct cmap *map)
{
  struct cmap__shard_walk walk;
  size_t capacity = 0;

  if (map == NULL)
    return 0;
  walk = cmap__shard_walk_begin(map);
  while (cmap__shard_walk_next(&walk)) {
    capacity += cmap__shard_limit(&map->table.layout,
                                  cmap__block_slot_count(walk.block),
                                  cmap__shard_walk_prefix(&walk));
  }
  return capacity;
}

/*
 * Sums up `inserted` over all shards; false if one has entries. While the
 * directory does not change, the sum grows with every insert.
 */
static bool all_are_empty(const struct cmap *map, uint64_t *inserted)
{
  struct cmap__shard_walk walk = cmap__shard_walk_begin(map);

  *inserted = 0;
  while (cmap__shard_walk_next(&walk)) {
    struct cmap__shard_numbers numbers = cmap__shard_numbers(walk.shard);
    if (numbers.inserted != numbers.removed)
      return false;
    *inserted += numbers.inserted;
  }
  return true;
}

/*
 * Two walks that find all shards empty, and nothing inserted between them: at
 * the moment between the walks all of them were empty, if the directory was the
 * same for both. If something was inserted meanwhile, "not empty" is right as
 * of that moment.
 */
static bool looks_empty(const struct cmap *map)
{
  uint64_t inserted, again;

  return all_are_empty(map, &inserted) && all_are_empty(map, &again) &&
         inserted == again;
}

/* Looks at a directory that keeps changing, before it is made to stay. */
#define EMPTY_LOOKS 100

bool cmap_is_empty(const struct cmap *map)
{
  struct cmap__directory *directory;
  bool empty;

  if (map == NULL)
    return true;
  /* The mutex changes nothing that a user can see: the map is const to him. */
  directory = &((struct cmap *)(uintptr_t)map)->table.directory;
  for (unsigned look = 0; look < EMPTY_LOOKS; look++) {
    uint64_t changes = cmap__load_acquire(&directory->changes); /* [D3] */
    if (!looks_empty(map))
      return false;
    /* Relaxed: behind the acquire loads of the entries [D2]. */
    if ((changes & 1) == 0 &&
        cmap__load_relaxed(&directory->changes) == changes)
      return true;
    cmap__pause();
  }
  /* Shards' locks could be refused; under the mutex nobody waits for one. */
  pthread_mutex_lock(&directory->mutex);
  empty = looks_empty(map);
  pthread_mutex_unlock(&directory->mutex);
  return empty;
}

enum cmap_status cmap_len_exact(struct cmap *map, size_t *len,
                                const struct cmap_how *how)
{
  struct cmap__patience patience;
  const uint64_t *unused;
  enum cmap_status status;
  size_t entries;

  if (CMAP__MISSING(map) || CMAP__MISSING(len) ||
      !cmap__how_read(how, &patience, &unused))
    return CMAP_EINVAL;
  status = cmap__all_lock(map, &patience, &entries);
  if (status != CMAP_OK)
    return status;
  cmap__all_unlock();
  *len = entries;
  return CMAP_OK;
}
