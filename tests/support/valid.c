#include "valid.h"

#include <stdio.h>

#define FAULT(...)                                                             \
  (fprintf(stderr, "fault: " __VA_ARGS__), fputc('\n', stderr), false)

bool block_is_busy(uintptr_t block)
{
  const struct cmap__group *groups = cmap__block_groups(block);

  for (size_t i = 0; i < (size_t)1 << cmap__block_log2(block); i++) {
    if (cmap__seq_is_stable(cmap__load_relaxed(&groups[i].hi)))
      return false;
  }
  return true;
}

/* Have all groups before the entry's, on its probe, its overflow bit? */
static bool path_is_marked(const struct cmap__shard *shard,
                           const struct cmap__group *group, uint64_t hash)
{
  size_t mask = cmap__block_mask(shard->block);
  size_t at = cmap__block_home(shard->block, hash);

  for (size_t step = 0; step <= mask; at = (at + ++step) & mask) {
    const struct cmap__group *here = cmap__block_group(shard->block, at);
    if (here == group)
      return true;
    if (!cmap__group_overflowed(cmap__load_relaxed(&here->hi), hash))
      return false;
  }
  return false;
}

static bool entry_is_valid(const struct cmap__layout *layout,
                           const struct cmap__shard *shard,
                           const struct cmap__place *place)
{
  struct cmap_key key = cmap__slot_key(layout, place->slot);
  struct cmap__probe probe;
  struct cmap__place found;

  if (cmap__probe_init(layout, key, NULL, &probe) != CMAP_OK)
    return FAULT("a stored key does not fit the table");
  if (probe.hash != cmap__slot_hash(layout, place->slot))
    return FAULT("a stored hash is not the key's");
  if (cmap__place_tag(place) != cmap__hash_tag(probe.hash))
    return FAULT("tag %u in slot %u is not the key's", cmap__place_tag(place),
                 place->index);
  if (!cmap__shard_covers(shard, probe.hash))
    return FAULT("an entry is not in its shard");
  if (!cmap__shard_find(layout, shard, &probe, &found))
    return FAULT("an entry is not found by its probe");
  if (found.slot != place->slot || found.group != place->group)
    return FAULT("a key is there twice");
  if (!path_is_marked(shard, place->group, probe.hash))
    return FAULT("a group before an entry lacks its overflow bit");
  if ((uintptr_t)(place->slot + layout->value_word) %
          (layout->value_boxed || layout->value_words == 0
               ? 8
               : layout->value_align) !=
      0)
    return FAULT("a value is not aligned");
  if (layout->kind == CMAP_CUSTOM &&
      (uintptr_t)(place->slot + layout->key_word) % layout->key_align != 0)
    return FAULT("a key is not aligned");
  return true;
}

static bool groups_are_stable(uintptr_t block)
{
  const struct cmap__group *groups = cmap__block_groups(block);

  for (size_t i = 0; i < (size_t)1 << cmap__block_log2(block); i++) {
    if (!cmap__seq_is_stable(cmap__load_relaxed(&groups[i].hi)))
      return FAULT("group %zu of a live shard is busy", i);
  }
  return true;
}

bool shard_is_valid(const struct cmap__layout *layout,
                    const struct cmap__shard *shard)
{
  const struct cmap__group *groups = cmap__block_groups(shard->block);
  struct cmap__cursor cursor = cmap__cursor_begin(shard->block);
  size_t slots = cmap__block_slot_count(shard->block);
  struct cmap__place place;
  size_t count = 0;

  if (shard->mask != cmap__depth_mask(cmap__shard_depth(shard)) ||
      (shard->prefix & ~shard->mask) != 0)
    return FAULT("prefix and mask of a live shard");
  if (!groups_are_stable(shard->block))
    return false;
  while (cmap__cursor_next(layout, &cursor, &place)) {
    count++;
    if (!entry_is_valid(layout, shard, &place))
      return false;
  }
  if (count != cmap__shard_count(shard))
    return FAULT("%zu entries, but the count is %u", count,
                 cmap__shard_count(shard));
  if (count > slots || shard->limit > slots)
    return FAULT("count %zu, limit %u, slots %zu", count, shard->limit, slots);
  if (cmap__block_is_empty(shard->block) &&
      (cmap__load_relaxed(&groups->lo) != 0 ||
       cmap__load_relaxed(&groups->hi) != CMAP__SEQ_ONE))
    return FAULT("the group of all empty shards was written");
  return true;
}

/* Entry i of the directory; *first: it is the shard's first one. */
static bool directory_entry_is_valid(const struct cmap__table *table,
                                     struct cmap__directory_array *array,
                                     size_t i, bool *first)
{
  unsigned depth = cmap__directory_depth(array);
  uint64_t hash = depth == 0 ? 0 : (uint64_t)i << (64 - depth);
  struct cmap__directory_entry *entry = cmap__directory_at(array, hash);
  const struct cmap__shard *shard = cmap__load_relaxed(&entry->shard);

  *first = shard->prefix == hash;
  if (!cmap__shard_covers(shard, hash))
    return FAULT("entry %zu names a shard of other hashes", i);
  if (cmap__shard_depth(shard) > depth)
    return FAULT("entry %zu names a shard deeper than the directory", i);
  if (cmap__load_relaxed(&entry->block) != shard->block)
    return FAULT("entry %zu names a block that is not its shard's", i);
  if (cmap__directory_shard(&table->directory, hash) != shard ||
      cmap__directory_block(&table->directory, hash) != shard->block)
    return FAULT("entry %zu is not the one for its hash", i);
  if (!*first && cmap__load_relaxed(&entry[-1].shard) != shard)
    return FAULT("entry %zu and the one before it differ in one shard", i);
  return true;
}

static bool directory_is_valid(const struct cmap__table *table)
{
  const struct cmap__directory *directory = &table->directory;
  struct cmap__directory_array *array = cmap__load_relaxed(&directory->current);
  unsigned depth = cmap__directory_depth(array);
  size_t at_depth[CMAP__DEPTH_MAX + 1] = {0};
  size_t shards = 0;

  if (depth > CMAP__DEPTH_MAX ||
      cmap__directory_array_of(directory, depth) != array)
    return FAULT("the directory's current array");
  if (cmap__load_relaxed(&directory->changes) % 2 != 0)
    return FAULT("the directory is being changed");
  for (size_t i = 0; i < (size_t)1 << depth; i++) {
    const struct cmap__shard *shard =
        cmap__load_relaxed(&cmap__directory_at(array, 0)[i].shard);
    bool first;

    if (!directory_entry_is_valid(table, array, i, &first))
      return false;
    if (!first)
      continue;
    shards++;
    at_depth[cmap__shard_depth(shard)]++;
    if (cmap__shardlock_is_locked(&shard->lock))
      return FAULT("a live shard is locked");
    if (!shard_is_valid(&table->layout, shard))
      return false;
  }
  for (unsigned d = 0; d <= CMAP__DEPTH_MAX; d++) {
    size_t counted = d <= depth ? cmap__directory_shards_at(array)[d] : 0;
    if (at_depth[d] != counted)
      return FAULT("%zu shards of depth %u, counted as %zu", at_depth[d], d,
                   counted);
  }
  if (shards != cmap__load_relaxed(&directory->shards))
    return FAULT("%zu shards, counted as %zu", shards,
                 cmap__load_relaxed(&directory->shards));
  return true;
}

static bool free_shard_is_valid(const struct cmap__shard *shard, unsigned list)
{
  bool empty = cmap__block_is_empty(shard->block);

  if (shard->mask != CMAP__DEAD_MASK || shard->prefix != CMAP__DEAD_PREFIX)
    return FAULT("a free shard is not dead");
  if (list != (shard->home == 0 ? 0 : cmap__home_log2(shard->home) + 1))
    return FAULT("a free shard is in the list of another size");
  if (cmap__shardlock_is_locked(&shard->lock))
    return FAULT("a free shard is locked");
  if (!empty && !block_is_busy(shard->block))
    return FAULT("a free shard's group is stable");
  return true;
}

bool table_is_valid(const struct cmap__table *table)
{
  const struct cmap__grown *grown = cmap__pool_grown(&table->pool);

  for (unsigned list = 0; grown != NULL && list < CMAP__POOL_SIZES; list++) {
    const struct cmap__shard *shard = grown->lists.free[list];
    for (; shard != NULL; shard = shard->next_free) {
      if (!free_shard_is_valid(shard, list))
        return false;
    }
  }
  return directory_is_valid(table);
}

size_t table_count(const struct cmap__table *table)
{
  uint64_t hash = 0;
  size_t count = 0;

  do {
    const struct cmap__shard *shard =
        cmap__directory_shard(&table->directory, hash);
    count += cmap__shard_count(shard);
    hash = cmap__shard_next_hash(shard);
  } while (hash != 0);
  return count;
}

size_t table_free_count(const struct cmap__table *table, int g)
{
  const struct cmap__grown *grown = cmap__pool_grown(&table->pool);
  const struct cmap__shard *shard =
      grown == NULL ? NULL : grown->lists.free[g + 1];
  size_t count = 0;

  for (; shard != NULL; shard = shard->next_free)
    count++;
  return count;
}
