/*
 * Making room in advance, and giving room up: reserve, shrink_to_fit.
 */
#include "map/map.h"

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

/*
 * The entries that a shard may expect so that chance rarely fills it: the
 * number in it is spread with the square root of the mean; four of those are
 * passed by one shard in 30,000.
 */
static size_t comfortable(size_t slots)
{
  size_t limit = slots * CMAP__SPLIT_LEAST / 16;
  size_t root = 1;

  while (root * root < limit)
    root++;
  return limit > 4 * root ? limit - 4 * root : limit / 4;
}

static struct plan plan_for(const struct cmap__layout *layout, size_t entries)
{
  struct plan plan = {0, 0};
  size_t largest = (size_t)CMAP__GROUP_SLOTS << layout->block_limit;

  while (plan.depth < CMAP__DEPTH_MAX &&
         entries >> plan.depth > comfortable(largest))
    plan.depth++;
  while (plan.g < layout->block_limit &&
         (entries >> plan.depth) + 1 >
             comfortable((size_t)CMAP__GROUP_SLOTS << plan.g))
    plan.g++;
  return plan;
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
  if (table->pool.own_pages) {
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
  return CMAP_OK;
}

/* Two siblings are merged up to this part of a full shard, in sixteenths. */
#define MERGE_SIXTEENTHS 12

/*
 * Merges the shard, which is held, with the sibling above it if that is free
 * at once and both fit into one shard.
 */
static enum cmap_status merge_up(struct cmap__table *table,
                                 struct cmap__shard **low, bool *merged)
{
  const struct cmap__layout *layout = &table->layout;
  unsigned depth = cmap__shard_depth(*low);
  size_t most = ((size_t)CMAP__GROUP_SLOTS << layout->block_limit) *
                MERGE_SIXTEENTHS / 16;
  uint64_t bit = depth == 0 ? 0 : UINT64_C(1) << (64 - depth);
  enum cmap_status status = CMAP_OK;
  struct cmap__shard *high;

  *merged = false;
  if (depth == 0 || ((*low)->prefix & bit) != 0)
    return CMAP_OK;
  high = cmap__directory_shard(&table->directory, (*low)->prefix | bit);
  /* Never waits: whoever holds the sibling may be waiting for us. */
  if (high == *low || !cmap__shardlock_try_write(&high->lock))
    return CMAP_OK;
  if (high->mask == (*low)->mask && high->prefix == ((*low)->prefix | bit) &&
      cmap__shard_count(*low) + cmap__shard_count(high) <= most) {
    status = cmap__shard_merge(table, low, high);
    *merged = status == CMAP_OK;
  }
  if (!*merged)
    cmap__shardlock_write_unlock(&high->lock);
  return status;
}

/* Gives the shard the smallest block that its entries need. */
static enum cmap_status fit_block(struct cmap__table *table,
                                  struct cmap__shard **shard)
{
  uintptr_t block = (*shard)->block;
  int now = cmap__block_is_empty(block) ? CMAP__NO_BLOCK
                                        : (int)cmap__block_log2(block);
  int fit = cmap__block_log2_for(cmap__shard_count(*shard));

  return fit < now ? cmap__shard_resize(table, shard, fit) : CMAP_OK;
}

/*
 * One pass in hash order: merges siblings of `depth`, and with depth 0 fits
 * the blocks.
 */
static enum cmap_status shrink_pass(struct cmap *map,
                                    const struct cmap__patience *patience,
                                    unsigned depth)
{
  struct cmap__table *table = &map->table;
  struct cmap__locked locked;
  uint64_t hash = 0;

  do {
    bool merged;
    enum cmap_status status =
        cmap__table_lock(table, hash, CMAP__WRITE, patience, &locked);
    if (status != CMAP_OK)
      return status;
    if (depth == 0)
      status = fit_block(table, &locked.shard);
    else if (cmap__shard_depth(locked.shard) == depth)
      status = merge_up(table, &locked.shard, &merged);
    hash = cmap__shard_next_hash(locked.shard);
    cmap__table_unlock(&locked);
    if (status != CMAP_OK)
      return status;
  } while (hash != 0);
  return CMAP_OK;
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
  depth = cmap__directory_depth_of(cmap__directory_word(&map->table.directory));
  for (; depth > 0 && status == CMAP_OK; depth--)
    status = shrink_pass(map, &patience, depth);
  if (status == CMAP_OK)
    status = shrink_pass(map, &patience, 0);
  cmap__directory_shrink(&map->table.directory, &map->table.layout);
  cmap__pool_release(&map->table.pool, &map->table.layout, true);
  return status;
}
