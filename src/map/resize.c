/*
 * Making room in advance, and giving room up: reserve, shrink_to_fit.
 */
#include "map/map.h"
#include "table/shrink.h"

#include "base/alloc.h"
#include "base/pages.h"

/* Less than this is asked for as it is needed. */
#define THINKABLE_BYTES ((size_t)64 * 1024 * 1024)

/*
 * How a table for n evenly spread entries looks: 2^depth shards of 2^g groups.
 */
struct plan {
  unsigned depth;
  int g;
};

/* The entries that a shard with 2^g groups takes before it grows or splits. */
static size_t room_of(const struct cmap__layout *layout, int g)
{
  size_t slots = (size_t)CMAP__GROUP_SLOTS << g;

  return g < layout->block_limit ? cmap__full_at(slots)
                                 : slots * CMAP__SPLIT_LEAST / 16;
}

/*
 * The entries that a shard may expect so that chance rarely fills it: the
 * number in it is spread with the square root of the mean; three of those are
 * passed by one shard in 700. A shard that has all entries has no chance.
 */
static size_t comfortable(const struct cmap__layout *layout,
                          const struct plan *plan, int g)
{
  size_t room = room_of(layout, g);
  size_t root = 1;

  if (plan->depth == 0)
    return room;
  while (root * root < room)
    root++;
  return room > 3 * root ? room - 3 * root : room / 4;
}

static struct plan plan_for(const struct cmap__layout *layout, size_t entries)
{
  struct plan plan = {0, 0};

  while (plan.depth < CMAP__DEPTH_MAX &&
         entries >> plan.depth >
             comfortable(layout, &plan, layout->block_limit))
    plan.depth++;
  while (plan.g < layout->block_limit &&
         (entries >> plan.depth) + 1 > comfortable(layout, &plan, plan.g))
    plan.g++;
  return plan;
}

/* Of so many shards, one is filled by chance after all: blocks for these. */
#define SPARE_PART 64

/* Gets what the few splits after a reserve will need. */
static enum cmap_status reserve_spare(struct cmap__table *table,
                                      const struct plan *plan)
{
  const struct cmap__layout *layout = &table->layout;
  size_t spare = 2 + (((size_t)1 << plan->depth) / SPARE_PART);
  int g = plan->g < layout->block_limit ? plan->g + 1 : plan->g;

  if (plan->depth == 0)
    return CMAP_OK;
  if (!cmap__pool_reserve(&table->pool, layout, g, spare))
    return CMAP_ENOMEM;
  return cmap__directory_prepare(&table->directory, layout, plan->depth + 1);
}

/*
 * Could the system give that much memory at all? Asked once for all, because
 * it would grant one shard after the other and then kill the process.
 */
static bool is_thinkable(const struct cmap__table *table, size_t entries)
{
  const struct cmap__layout *layout = &table->layout;
  const struct cmap_allocator *allocator = &layout->options.allocator;
  size_t bytes;
  void *trial;

  if (!cmap__size_mul(entries, cmap__layout_slot_bytes(layout), &bytes) ||
      bytes > PTRDIFF_MAX)
    return false;
  if (bytes < THINKABLE_BYTES)
    return true;
  if (table->pool.source.own_pages) {
    trial = cmap__pages_map(bytes);
    if (trial != NULL)
      cmap__pages_unmap(trial, bytes);
  } else {
    trial = cmap__alloc(allocator, bytes, CMAP__CACHE_LINE);
    cmap__free(allocator, trial, bytes, CMAP__CACHE_LINE);
  }
  return trial != NULL;
}

/* Splits and grows the shard at `hash`, which is held, as planned. */
static enum cmap_status reserve_shard(struct cmap__table *table,
                                      struct cmap__shard **shard, uint64_t hash,
                                      const struct plan *plan)
{
  enum cmap_status status = CMAP_OK;
  uintptr_t block;

  while (status == CMAP_OK && cmap__shard_depth(*shard) < plan->depth)
    status =
        cmap__shard_split(table, shard, hash, cmap__shard_depth(*shard) + 1);
  block = (*shard)->block;
  if (status == CMAP_OK &&
      (cmap__block_is_empty(block) || (int)cmap__block_log2(block) < plan->g))
    status = cmap__shard_resize(table, shard, plan->g);
  return status;
}

enum cmap_status cmap_reserve(struct cmap *map, size_t entries,
                              const struct cmap_how *how)
{
  struct cmap__patience patience;
  struct cmap__locked locked;
  const uint64_t *unused;
  uint64_t hash = 0;
  struct plan plan;

  if (map == NULL || !cmap__how_read(how, &patience, &unused))
    return CMAP_EINVAL;
  if (entries == 0)
    return CMAP_OK;
  if (!is_thinkable(&map->table, entries))
    return CMAP_ENOMEM;
  plan = plan_for(&map->table.layout, entries);
  do {
    enum cmap_status status =
        cmap__table_lock(&map->table, hash, CMAP__WRITE, &patience, &locked);
    if (status != CMAP_OK)
      return status;
    status = reserve_shard(&map->table, &locked.shard, hash, &plan);
    hash = cmap__shard_next_hash(locked.shard);
    cmap__table_unlock(&locked);
    if (status != CMAP_OK)
      return status;
  } while (hash != 0);
  return reserve_spare(&map->table, &plan);
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

  cmap__pool_bytes(&table->pool, &bytes, &unused);
  do {
    step = cmap__pool_release(&table->pool, &table->layout);
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

  if (map == NULL || !cmap__how_read(how, &patience, &unused))
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
