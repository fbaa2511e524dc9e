/*
 * The invariants of a shard, checked entry by entry (CMAP_CHECK 2).
 */
#include "table/shard.h"

/* Is the place in the probe of its hash, behind groups that overflowed? */
static bool is_reachable(const struct cmap__shard *shard, uint64_t hash,
                         const struct cmap__place *place)
{
  struct cmap__group *groups = cmap__block_groups(shard->block);
  size_t mask = ((size_t)1 << cmap__block_log2(shard->block)) - 1;
  size_t at = (size_t)cmap__hash_group(hash) & mask;

  for (size_t step = 0; step <= mask; at = (at + ++step) & mask) {
    uint64_t hi = cmap__load_relaxed(&groups[at].hi); /* the lock is held */
    if (&groups[at] == place->group)
      return true;
    if (!cmap__group_overflowed(hi, cmap__hash_overflow_bit(hash)))
      return false;
  }
  return false;
}

bool cmap__shard_is_valid(const struct cmap__layout *layout,
                          const struct cmap__shard *shard)
{
  struct cmap__cursor cursor = cmap__cursor_begin(shard->block);
  struct cmap__place place;
  size_t count = 0;

  while (cmap__cursor_next(layout, &cursor, &place)) {
    uint64_t hash = cmap__slot_hash(layout, place.slot);
    if (!cmap__shard_covers(shard, hash) || place.tag != cmap__hash_tag(hash) ||
        !is_reachable(shard, hash, &place))
      return false;
    count++;
  }
  return count == cmap__shard_count(shard) &&
         count <= cmap__block_slot_count(shard->block);
}
