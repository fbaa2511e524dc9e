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

/* Returned by the walk when it has found something. */
static enum cmap_status check_shard(struct cmap *map, struct cmap__visit *visit,
                                    void *ctx)
{
  const struct cmap__shard *shard = visit->locked.shard;
  const char **broken = ctx;

  *broken = directory_broken(&map->table.directory, shard);
  /* Under a write hold of this thread's own, groups may be busy. */
  if (*broken == NULL && !visit->locked.borrowed)
    *broken = cmap__live_shard_broken(shard);
  if (*broken == NULL)
    *broken = cmap__shard_broken(&map->table.layout, shard);
  return *broken == NULL ? CMAP_OK : CMAP_EBROKEN;
}

enum cmap_status cmap_check(struct cmap *map, const char **broken,
                            const struct cmap_how *how)
{
  const char *found = NULL;
  enum cmap_status status =
      cmap__map_walk(map, CMAP__READ, how, check_shard, &found);

  if (status == CMAP_OK) {
    found = cmap__pool_broken(&map->table.pool);
    status = found == NULL ? CMAP_OK : CMAP_EBROKEN;
  }
  if (status == CMAP_EBROKEN && broken != NULL)
    *broken = found;
  return status;
}
