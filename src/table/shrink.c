/*
 * Shrinking shards.
 */
#include "table/shrink.h"

#include "base/check.h"

/* With that much storage unused, a map that shrinks by itself gives it back, in
 * steps larger than what one merge frees. */
#define IDLE_BYTES ((size_t)1024 * 1024)

enum cmap_status cmap__shard_merge_sibling(struct cmap__table *table,
                                           struct cmap__shard **shard,
                                           size_t most, bool *merged)
{
  unsigned depth = cmap__shard_depth(*shard);
  uint64_t bit = depth == 0 ? 0 : UINT64_C(1) << (64 - depth);
  uint64_t prefix = (*shard)->prefix ^ bit;
  enum cmap_status status = CMAP_OK;
  struct cmap__shard *sibling;

  *merged = false;
  if (depth == 0)
    return CMAP_OK;
  sibling = cmap__directory_shard(&table->directory, prefix);
  if (!cmap__hold_prepare())
    return CMAP_ENOMEM;
  /* Never waits: whoever holds the sibling may be waiting for us. */
  if (sibling == *shard || !cmap__table_try_write(table, sibling))
    return CMAP_OK;
  if (sibling->mask == (*shard)->mask && sibling->prefix == prefix &&
      cmap__shard_count(*shard) + cmap__shard_count(sibling) <= most) {
    struct cmap__locked locked = {.shard = sibling, .mode = CMAP__WRITE};
    bool is_low = (prefix & bit) != 0;
    struct cmap__shard *low = is_low ? *shard : sibling;
    /* The user's key_hash may run, and end the thread, with both locked. */
    struct cmap__hold *hold = cmap__locked_hold_begin(table, &locked);
    status = cmap__shard_merge(table, &low, is_low ? sibling : *shard);
    cmap__locked_hold_end(&locked, hold);
    *merged = status == CMAP_OK;
    if (*merged)
      *shard = low;
  }
  if (!*merged)
    cmap__shardlock_write_unlock(&sibling->lock);
  return status;
}

enum cmap_status cmap__shard_fit(struct cmap__table *table,
                                 struct cmap__shard **shard, size_t entries)
{
  uintptr_t block = (*shard)->block;
  int now = cmap__block_is_empty(block) ? CMAP__NO_BLOCK
                                        : (int)cmap__block_log2(block);
  int fit = cmap__block_log2_for(entries);

  return fit < now ? cmap__shard_resize(table, shard, fit) : CMAP_OK;
}

uint32_t cmap__shard_floor(const struct cmap__layout *layout,
                           const struct cmap__shard *shard)
{
  size_t quarter = cmap__full_at(cmap__block_slot_count(shard->block)) / 4;

  if ((layout->flags & CMAP_AUTO_SHRINK) == 0)
    return 0;
  /* The last block stays: a map that has one entry now and then keeps it. */
  return cmap__shard_depth(shard) == 0 && quarter < CMAP__GROUP_SLOTS / 4 + 1
             ? 0
             : (uint32_t)quarter;
}

void cmap__shard_shrink(struct cmap__table *table, struct cmap__shard **shard)
{
  size_t largest = (size_t)CMAP__GROUP_SLOTS << table->layout.block_limit;
  size_t before = cmap__shard_count(*shard);
  const struct cmap__shard *old = *shard;
  bool merged;

  /* Without memory it stays as it is. */
  (void)cmap__shard_merge_sibling(
      table, shard, largest * CMAP__SPLIT_LEAST / 16 / 2, &merged);
  if (!merged && before > 0)
    (void)cmap__shard_fit(table, shard, 2 * before);
  if (*shard == old)
    (*shard)->floor /= 2; /* not at every removal from now on */
}

CMAP__NOINLINE void cmap__shrink_and_unlock(struct cmap__table *table,
                                            struct cmap__shard *shard)
{
  struct cmap__locked locked = {.shard = shard, .mode = CMAP__WRITE};

  cmap__section_begin(table->layout.runs_user_code, &locked);
  cmap__shard_shrink(table, &locked.shard);
  cmap__table_unlock(&locked);
  cmap__directory_shrink(&table->directory, &table->layout, 2);
  if (cmap__pool_idle(&table->pool) + cmap__boxes_idle(&table->boxes) >=
      IDLE_BYTES)
    (void)cmap__table_release(table);
}
