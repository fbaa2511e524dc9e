/*
 * Plain entries beyond their home group.
 */
#include "table/plain_far.h"

static struct cmap__plain_look look_at(uintptr_t block, size_t at)
{
  struct cmap__plain_look look = {.group = cmap__block_group(block, at)};

  look.hi = cmap__load_relaxed(&look.group->hi); /* we hold the lock */
  look.slots =
      cmap__block_slots(block) + at * CMAP__GROUP_SLOTS * CMAP__PLAIN_WORDS;
  return look;
}

unsigned cmap__plain_seek(const struct cmap__shard *shard, uint64_t hash,
                          uint64_t key, struct cmap__plain_look *look)
{
  size_t mask = cmap__block_mask(shard->block);
  size_t at = cmap__block_home(shard->block, hash);
  size_t step = 0;

  for (;;) {
    *look = look_at(shard->block, at);
    look->match = cmap__group_match_shared(look->group, look->hi, hash);
    cmap__plain_compare(look, hash, key);
    if (look->decided || step == mask)
      break;
    step++;
    at = (at + step) & mask;
  }
  look->decided = true;
  return (unsigned)step;
}

bool cmap__plain_make_way(struct cmap__shard *shard, uint64_t hash,
                          struct cmap__plain_look *look)
{
  size_t mask = cmap__block_mask(shard->block);
  size_t at = cmap__block_home(shard->block, hash);
  uint64_t overflow = (uint64_t)cmap__hash_overflow_bit(hash)
                      << CMAP__OVERFLOW_SHIFT;

  if (cmap__block_is_empty(shard->block))
    return false;
  for (size_t step = 1; step <= mask + 1; step++) {
    *look = look_at(shard->block, at);
    if (cmap__group_empty(cmap__load_relaxed(&look->group->lo), /* as above */
                          look->hi) != 0)
      return true;
    /* By one store, without a section: see table/shard.c. */
    cmap__store_release(&look->group->hi, look->hi | overflow); /* [Q1] */
    at = (at + step) & mask;
  }
  return false;
}
