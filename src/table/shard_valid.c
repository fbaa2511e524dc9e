/*
 * The invariants of a shard, checked entry by entry: for cmap_check, and for
 * assertions (CMAP_CHECK 2).
 */
#include "table/shard.h"

size_t cmap__shard_probe(const struct cmap__shard *shard, uint64_t hash,
                         const struct cmap__group *group)
{
  size_t mask = cmap__block_mask(shard->block);
  size_t at = cmap__block_home(shard->block, hash);

  for (size_t step = 0; step <= mask; at = (at + ++step) & mask) {
    const struct cmap__group *here = cmap__block_group(shard->block, at);
    uint64_t hi = cmap__load_relaxed(&here->hi); /* the lock is held */
    if (here == group)
      return step + 1;
    if (!cmap__group_overflowed(hi, hash))
      return 0;
  }
  return 0;
}

/* What is wrong with the key of a slot: its box, or its hash. */
static const char *key_broken(const struct cmap__layout *layout,
                              const _Atomic uint64_t *slot,
                              struct cmap__probe *probe)
{
  struct cmap_key key = cmap__slot_key(layout, slot);

  if (key.data == NULL)
    return "key: its box is missing";
  if (cmap__probe_init(layout, key, NULL, probe) != CMAP_OK)
    return "key: it is not valid for this map";
  if (probe->hash != cmap__slot_hash(layout, slot))
    return "key: its hash is not the one it was stored by";
  return NULL;
}

/* What is wrong with an entry, if anything. */
static const char *entry_broken(const struct cmap__layout *layout,
                                const struct cmap__shard *shard,
                                const struct cmap__place *place)
{
  struct cmap__place found = {.group = NULL};
  struct cmap__probe probe;
  const char *broken = key_broken(layout, place->slot, &probe);

  if (broken != NULL)
    return broken;
  if (layout->value_boxed &&
      cmap__load_relaxed(place->slot + layout->value_word) == 0) /* lock held */
    return "value: its box is missing";
  if (!cmap__shard_covers(shard, probe.hash))
    return "shard: an entry belongs to another one";
  if (cmap__place_tag(place) != cmap__hash_tag(probe.hash))
    return "group: a tag is not its key's";
  if (cmap__shard_probe(shard, probe.hash, place->group) == 0)
    return "group: a search for an entry ends before it";
  if (!cmap__shard_find(layout, shard, &probe, &found))
    return "key: it is not equal to itself";
  if (found.slot != place->slot)
    return "shard: a key is in it twice";
  return NULL;
}

/* Are all groups stable, or all busy? */
static bool groups_are(const struct cmap__shard *shard, bool stable)
{
  const struct cmap__group *group = cmap__block_groups(shard->block);

  for (size_t n = (size_t)1 << cmap__block_log2(shard->block); n > 0; n--)
    if (cmap__seq_is_stable(cmap__load_relaxed(&group++->hi)) != stable)
      return false;
  return true;
}

const char *cmap__shard_broken(const struct cmap__layout *layout,
                               const struct cmap__shard *shard)
{
  struct cmap__cursor cursor = cmap__cursor_begin(shard->block);
  size_t slots = cmap__block_slot_count(shard->block);
  struct cmap__place place;
  size_t count = 0;

  while (cmap__cursor_next(layout, &cursor, &place)) {
    const char *broken = entry_broken(layout, shard, &place);
    if (broken != NULL)
      return broken;
    count++;
  }
  if (count != cmap__shard_count(shard))
    return "shard: it does not hold as many entries as it counts";
  if (shard->limit > slots)
    return "shard: its limit is above its slots";
  return NULL;
}

const char *cmap__live_shard_broken(const struct cmap__shard *shard)
{
  if ((shard->prefix & ~shard->mask) != 0)
    return "shard: its prefix has bits beyond its mask";
  if (!groups_are(shard, true))
    return "group: it is busy, and nobody writes";
  return NULL;
}

const char *cmap__free_shard_broken(const struct cmap__shard *shard)
{
  if (shard->mask != CMAP__DEAD_MASK || shard->prefix != CMAP__DEAD_PREFIX)
    return "pool: a free shard covers hashes";
  if (!cmap__block_is_empty(shard->block) && !groups_are(shard, false))
    return "pool: a group of a free block is stable";
  return NULL;
}
