/*
 * The limits of shards, and what chance adds to them.
 */
#include "table/limit.h"

#include "base/check.h"
#include "table/pool.h"

/* What chance may add to a limit: so many times its square root are passed by
 * one shard in some million; and at most so many of 32 parts of the slots. */
#define STRETCH_ROOTS 5
#define STRETCH_MOST  31

int cmap__block_log2_for(size_t count)
{
  int g = 0;

  if (count == 0)
    return CMAP__NO_BLOCK;
  while (cmap__full_at((size_t)CMAP__GROUP_SLOTS << g) < count)
    g++;
  return g;
}

uint32_t cmap__shard_limit(const struct cmap__layout *layout, size_t slots,
                           uint64_t prefix)
{
  uint64_t spread;

  if (slots < (size_t)CMAP__GROUP_SLOTS << layout->block_limit)
    return (uint32_t)cmap__full_at(slots);
  spread = ((prefix >> 16) * CMAP__HASH_MULTIPLIER_A) >> 60;
  return (uint32_t)(slots * CMAP__SPLIT_LEAST / 16 +
                    ((slots * CMAP__SPLIT_SPREAD / 16 * spread) >> 4));
}

uint32_t cmap__shard_most(const struct cmap__layout *layout, size_t slots,
                          uint64_t prefix)
{
  size_t limit = cmap__shard_limit(layout, slots, prefix);
  size_t most = slots * STRETCH_MOST / 32;

  limit += STRETCH_ROOTS * cmap__root(limit);
  return (uint32_t)(limit < most ? limit : most);
}

bool cmap__shard_stretch(const struct cmap__layout *layout,
                         struct cmap__shard *shard)
{
  uint32_t most = cmap__shard_most(layout, cmap__block_slot_count(shard->block),
                                   shard->prefix);

  cmap__assert(shard->kept_limit == 0);
  if (shard->limit >= most)
    return false;
  shard->limit = most;
  return true;
}
