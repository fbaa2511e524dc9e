/*
 * Making room in advance, and giving room up: reserve, shrink_to_fit.
 */
#include "map/map.h"
#include "table/shrink.h"

#include "base/alloc.h"
#include "base/pages.h"

/* Less than this is asked for as it is needed. */
#define THINKABLE_BYTES ((size_t)64 * 1024 * 1024)

/* So many square roots of its part of the entries a shard has room for beyond
 * it: chance brings more than that to one in some ten thousand. */
#define SPARE_ROOTS 4

/* The part of evenly spread entries that a shard of this depth gets. */
static size_t mean_of(unsigned depth, size_t entries)
{
  return depth == 0 ? entries : (entries >> depth) + 1;
}

/* What it may get. One that gets all of them has no chance. */
static size_t most_of(unsigned depth, size_t entries)
{
  size_t mean = mean_of(depth, entries);

  return depth == 0 ? entries : mean + SPARE_ROOTS * cmap__root(mean);
}

/* Has a shard with this prefix, and 2^g groups, room for that? */
static bool has_room(const struct cmap__layout *layout, uint64_t prefix,
                     unsigned depth, int g, size_t entries)
{
  size_t slots = (size_t)CMAP__GROUP_SLOTS << g;

  return mean_of(depth, entries) <= cmap__shard_limit(layout, slots, prefix) &&
         most_of(depth, entries) <= cmap__shard_most(layout, slots, prefix);
}

/*
 * Could the system give that much memory at all? Asked once for all, because
 * it would grant one shard after the other and then kill the process.
 */
static bool is_thinkable(const struct cmap__table *table, size_t entries)
{
  const struct cmap__layout *layout = &table->layout;
  const struct cmap_allocator *allocator = &layout->allocator;
  size_t bytes;
  void *trial;

  if (!cmap__size_mul(entries, cmap__layout_slot_bytes(layout), &bytes) ||
      bytes > PTRDIFF_MAX)
    return false;
  if (bytes < THINKABLE_BYTES)
    return true;
  if (cmap__allocator_has_pages(allocator)) {
    trial = cmap__pages_map(bytes);
    if (trial != NULL)
      cmap__pages_unmap(trial, bytes);
  } else {
    trial = cmap__alloc(allocator, bytes, CMAP__CACHE_LINE);
    cmap__free(allocator, trial, bytes, CMAP__CACHE_LINE);
  }
  return trial != NULL;
}

/* Splits and grows the shard at `hash`, which is held, as it would be in a map
 * that has grown to so many entries; and lets chance fill it. */
static enum cmap_status reserve_shard(struct cmap__table *table,
                                      struct cmap__shard **shard, uint64_t hash,
                                      size_t entries)
{
  const struct cmap__layout *layout = &table->layout;
  unsigned depth = cmap__shard_depth(*shard);
  enum cmap_status status = CMAP_OK;
  int largest = layout->block_limit;
  int g = 0;

  cmap__table_note_occupied(table, *shard);
  while (depth < CMAP__DEPTH_MAX &&
         !has_room(layout, (*shard)->prefix, depth, largest, entries)) {
    status = cmap__shard_split(table, shard, hash, ++depth);
    if (status != CMAP_OK)
      return status;
  }
  while (g < largest && !has_room(layout, (*shard)->prefix, depth, g, entries))
    g++;
  if (cmap__block_is_empty((*shard)->block) ||
      (int)cmap__block_log2((*shard)->block) < g)
    status = cmap__shard_resize(table, shard, g);
  if (status == CMAP_OK && (*shard)->limit < most_of(depth, entries))
    (void)cmap__shard_stretch(layout, *shard);
  return status;
}

enum cmap_status cmap_reserve(struct cmap *map, size_t entries,
                              const struct cmap_how *how)
{
  struct cmap__patience patience;
  struct cmap__locked locked;
  const uint64_t *unused;
  uint64_t hash = 0;

  if (CMAP__MISSING(map) || !cmap__how_read(how, &patience, &unused))
    return CMAP_EINVAL;
  if (entries == 0)
    return CMAP_OK;
  if (!is_thinkable(&map->table, entries))
    return CMAP_ENOMEM;
  do {
    enum cmap_status status =
        cmap__table_lock(&map->table, hash, CMAP__WRITE, &patience, &locked);
    if (status != CMAP_OK)
      return status;
    status = reserve_shard(&map->table, &locked.shard, hash, entries);
    hash = cmap__shard_next_hash(locked.shard);
    cmap__table_unlock(&locked);
    if (status != CMAP_OK)
      return status;
  } while (hash != 0);
  return CMAP_OK;
}

/* Two siblings are merged up to this part of a full shard, in sixteenths. */
#define MERGE_SIXTEENTHS 10

/*
 * One pass in hash order: merges siblings of `depth`, and with depth 0 fits
 * the blocks.
 */
static enum cmap_status shrink_pass(struct cmap *map,
                                    const struct cmap__patience *patience,
                                    unsigned depth)
{
  struct cmap__table *table = &map->table;
  size_t largest = (size_t)CMAP__GROUP_SLOTS << table->layout.block_limit;
  size_t most = largest * MERGE_SIXTEENTHS / 16;
  struct cmap__locked locked;
  uint64_t hash = 0;

  do {
    bool merged;
    enum cmap_status status =
        cmap__table_lock(table, hash, CMAP__WRITE, patience, &locked);
    if (status != CMAP_OK)
      return status;
    if (depth == 0)
      status = cmap__shard_fit(table, &locked.shard,
                               cmap__shard_count(locked.shard));
    else if (cmap__shard_depth(locked.shard) == depth)
      status = cmap__shard_merge_sibling(table, &locked.shard, most, &merged);
    hash = cmap__shard_next_hash(locked.shard);
    cmap__table_unlock(&locked);
    if (status != CMAP_OK)
      return status;
  } while (hash != 0);
  return CMAP_OK;
}

/* Gives back the pages that nobody uses now. */
static void release_all(struct cmap__table *table)
{
  size_t bytes, unused, step, done = 0;

  cmap__boxes_trim(&table->boxes);
  cmap__table_bytes(table, &bytes, &unused);
  do {
    step = cmap__table_release(table);
    done += step;
  } while (step > 0 && done < unused);
}

enum cmap_status cmap_shrink_to_fit(struct cmap *map,
                                    const struct cmap_how *how)
{
  struct cmap__patience patience;
  const uint64_t *unused;
  enum cmap_status status = CMAP_OK;
  unsigned depth;

  if (CMAP__MISSING(map) || !cmap__how_read(how, &patience, &unused))
    return CMAP_EINVAL;
  /* From the deepest up: what was merged may be merged again. */
  depth = cmap__directory_depth(cmap__directory_current(&map->table.directory));
  for (; depth > 0 && status == CMAP_OK; depth--)
    status = shrink_pass(map, &patience, depth);
  if (status == CMAP_OK)
    status = shrink_pass(map, &patience, 0);
  cmap__directory_shrink(&map->table.directory, &map->table.layout, 1);
  release_all(&map->table);
  return status;
}
