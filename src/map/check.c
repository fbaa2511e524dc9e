/*
 * The self-check.
 */
#include "map/map.h"

/* Does the directory name the shard, which is held, and its block, for all
 * hashes that it covers? */
static const char *directory_broken(const struct cmap__directory *directory,
                                    const struct cmap__shard *shard)
{
  struct cmap__directory_array *array = cmap__directory_current(directory);
  unsigned depth = cmap__directory_depth(array);
  unsigned own = cmap__shard_depth(shard);
  const struct cmap__directory_entry *entry;

  if (own > depth)
    return "directory: a shard is deeper than it";
  entry = cmap__directory_at(array, shard->prefix);
  /* Acquire, as everybody; they do not change while the shard is held. */
  for (size_t n = (size_t)1 << (depth - own); n > 0; n--, entry++) {
    if (cmap__load_acquire(&entry->shard) != shard) /* [D2] */
      return "directory: an entry names another shard";
    if (cmap__load_acquire(&entry->block) != shard->block) /* [D2] */
      return "directory: an entry names another block";
  }
  return NULL;
}

/* Do walks pass over a shard, which is held, that may have entries? */
static bool is_passed_over(const struct cmap__directory *directory,
                           const struct cmap__shard *shard)
{
  return cmap__directory_passes(directory, shard->prefix) &&
         (shard->kept_limit == 0 || shard->limit > 0 ||
          cmap__shard_count(shard) > 0);
}

/* What is wrong with a shard that is held, if anything. */
static const char *shard_broken(const struct cmap *map,
                                const struct cmap__locked *locked)
{
  const struct cmap__shard *shard = locked->shard;
  const char *broken = directory_broken(&map->table.directory, shard);

  if (broken == NULL && is_passed_over(&map->table.directory, shard))
    broken = "directory: an occupied shard is noted as empty";
  /* Under a write hold of this thread's own, groups may be busy. */
  if (broken == NULL && !locked->borrowed)
    broken = cmap__live_shard_broken(shard);
  return broken == NULL ? cmap__shard_broken(&map->table.layout, shard)
                        : broken;
}

enum cmap_status cmap_check(struct cmap *map, const char **broken,
                            const struct cmap_how *how)
{
  struct cmap__patience patience;
  struct cmap__locked locked;
  const uint64_t *unused;
  const char *found;
  uint64_t hash = 0;

  if (CMAP__MISSING(map) || !cmap__how_read(how, &patience, &unused))
    return CMAP_EINVAL;
  /* Every shard, also those that are empty. */
  do {
    enum cmap_status status =
        cmap__table_lock(&map->table, hash, CMAP__READ, &patience, &locked);
    if (status != CMAP_OK)
      return status;
    found = shard_broken(map, &locked);
    hash = cmap__shard_next_hash(locked.shard);
    cmap__table_unlock(&locked);
  } while (found == NULL && hash != 0);
  if (found == NULL)
    found = cmap__pool_broken(&map->table.pool);
  if (found == NULL)
    found = cmap__boxes_broken(&map->table.boxes);
  if (found != NULL && broken != NULL)
    *broken = found;
  return found == NULL ? CMAP_OK : CMAP_EBROKEN;
}
