/*
 * Freezing: all shards are locked to read, by nobody, until cmap_thaw.
 *
 * So a writer finds its shard locked, comes to table.c's slow path, and is told
 * CMAP_FROZEN there instead of waiting. Readers share the locks as ever; only
 * guards and iterators do without, and are counted (map/frozen.h).
 */
#include "map/all.h"
#include "map/frozen.h"

enum cmap_status cmap_freeze(struct cmap *map, const struct cmap_how *how)
{
  struct cmap__patience patience;
  unsigned state = CMAP__TABLE_LIVE;
  const uint64_t *unused;
  enum cmap_status status;

  if (CMAP__MISSING(map) || !cmap__how_read(how, &patience, &unused))
    return CMAP_EINVAL;
  /* From now on no writer begins to wait; the locks order all else. */
  if (!cmap__cas_strong_acquire(&map->table.state, &state,
                                CMAP__TABLE_CHANGING))
    return state == CMAP__TABLE_FROZEN ? CMAP_FROZEN : CMAP_BUSY;
  patience.freezes = true;
  status = cmap__frozen_begin(map);
  if (status == CMAP_OK)
    status = cmap__all_freeze(map, &patience);
  if (status != CMAP_OK) {
    cmap__store_release(&map->table.state, CMAP__TABLE_LIVE);
    return status;
  }
  cmap__open_short_ways(map, false);
  /* Release: who sees it sees all that was written before [F1]. */
  cmap__store_release(&map->table.state, CMAP__TABLE_FROZEN);
  return CMAP_OK;
}

enum cmap_status cmap_thaw(struct cmap *map)
{
  unsigned state = CMAP__TABLE_FROZEN;
  enum cmap_status status;

  if (CMAP__MISSING(map))
    return CMAP_EINVAL;
  if (!cmap__cas_strong_seq_cst(&map->table.state, &state,
                                CMAP__TABLE_CHANGING)) /* [F2] */
    return CMAP__WRONG(state == CMAP__TABLE_LIVE, "map is not frozen")
               ? CMAP_EINVAL
               : CMAP_BUSY;
  status = cmap__frozen_wait(map);
  if (status != CMAP_OK) {
    cmap__store_release(&map->table.state, CMAP__TABLE_FROZEN); /* [F1] */
    return status;
  }
  cmap__open_short_ways(map, true);
  cmap__all_thaw(map);
  cmap__store_release(&map->table.state, CMAP__TABLE_LIVE);
  return CMAP_OK;
}
