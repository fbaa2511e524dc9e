/*
 * Growing, splitting, merging, rebuilding: see the header for the order.
 */
#include "table/replace.h"

#include "base/check.h"
#include "base/probe.h"
#include "table/move.h"
#include "table/shrink.h"

/*
 * A shard is rebuilt when a key went past this many groups, which a fresh block
 * makes about one in ten thousand do, and when removals can be the cause.
 */
#define WORN_PROBES   3
#define WORN_REMOVALS 8

/* log2 of the groups below which a block grows by 4 instead of 2. */
#define SMALL_BLOCK 4

/* Removals as many as this part of a shard's entries: what it has does not only
 * grow. */
#define CHURN_PART 8

/* Such a map has as many times as many small shards. */
#define EARLY_BY_CHANCE 4

/* Gives a taken shard its range, and `count` entries that are filled in. */
static void settle(const struct cmap__layout *layout, struct cmap__shard *shard,
                   uint64_t prefix, unsigned depth, uint32_t count)
{
  uint32_t inserted = cmap__load_relaxed(&shard->inserted) + count;

  shard->mask = cmap__depth_mask(depth);
  shard->prefix = prefix & shard->mask;
  /* Release: a late walker may look at the header already. `inserted` never
   * goes back: cmap_is_empty. */
  cmap__store_release(&shard->inserted, inserted);        /* [N1] */
  cmap__store_release(&shard->removed, inserted - count); /* [N1] */
  shard->rebuilt_at = inserted - count;
  cmap__shard_forget_waits(shard);
  shard->limit = cmap__shard_limit(layout, cmap__block_slot_count(shard->block),
                                   shard->prefix);
  shard->floor = cmap__shard_floor(layout, shard);
}

void cmap__shard_first(const struct cmap__layout *layout,
                       struct cmap__shard *shard, void *slots)
{
  cmap__pool_first(shard, slots);
  settle(layout, shard, 0, 0, 0);
  cmap__block_publish(shard->block);
  cmap__shardlock_write_unlock(&shard->lock);
}

/* Of a table whose first header was replaced, or has a key that has passed more
 * groups than a small map has: there has been a second header. */
static struct cmap__replaced_counts *counts_of(const struct cmap__table *table)
{
  struct cmap__grown *grown = cmap__pool_grown(&table->pool);

  cmap__assert(grown != NULL);
  return &grown->counts;
}

/* Step 8, and for shards that were taken in vain. */
static void retire(struct cmap__table *table, struct cmap__shard *shard)
{
  shard->mask = CMAP__DEAD_MASK;
  shard->prefix = CMAP__DEAD_PREFIX;
  shard->high = 0; /* where the limit was kept */
  cmap__shardlock_write_unlock(&shard->lock);
  cmap__pool_give(&table->pool, &table->layout, shard);
}

/* Replaces `count` old shards by one of the given range, holding them all. */
static enum cmap_status replace_by_one(struct cmap__table *table,
                                       struct cmap__shard *const *old,
                                       size_t count, unsigned depth, int g,
                                       struct cmap__shard **fresh)
{
  const struct cmap__layout *layout = &table->layout;
  unsigned old_depth = cmap__shard_depth(old[0]);
  uint32_t entries = 0;
  struct cmap__shard *shard = cmap__pool_take(&table->pool, layout, g);

  if (shard == NULL)
    return CMAP_ENOMEM;
  if (cmap__directory_announce(&table->directory, layout, depth, 1) !=
      CMAP_OK) {
    retire(table, shard);
    return CMAP_ENOMEM;
  }
  for (size_t i = 0; i < count; i++) {
    entries += cmap__shard_count(old[i]);
    (count == 1 ? cmap__move : cmap__move_among)(layout, old[i]->block,
                                                 shard->block);
  }
  settle(layout, shard, old[0]->prefix, depth, entries);
  cmap__assert_valid(cmap__shard_broken(layout, shard) == NULL);
  for (size_t i = 0; i < count; i++)
    cmap__block_close(old[i]->block);
  cmap__block_publish(shard->block);
  cmap__directory_publish(&table->directory, &shard, 1);
  cmap__directory_withdraw(&table->directory, old_depth, count);
  for (size_t i = 0; i < count; i++) {
    cmap__section_move(&old[i]->lock, &shard->lock);
    retire(table, old[i]);
  }
  *fresh = shard;
  return CMAP_OK;
}

enum cmap_status cmap__shard_resize(struct cmap__table *table,
                                    struct cmap__shard **shard, int g)
{
  struct cmap__shard *old = *shard;
  uintptr_t block = old->block;
  bool grows = cmap__block_is_empty(block) || g > (int)cmap__block_log2(block);
  enum cmap_status status =
      replace_by_one(table, &old, 1, cmap__shard_depth(old), g, shard);

  if (status == CMAP_OK)
    cmap__count_up(
        grows ? &counts_of(table)->growths : &counts_of(table)->rebuilds, 1);
  return status;
}

void cmap__shard_rehome(struct cmap__table *table, struct cmap__shard *shard)
{
  cmap__block_rehome(&table->layout, shard->block);
  cmap__assert_valid(cmap__shard_broken(&table->layout, shard) == NULL);
  shard->rebuilt_at = cmap__load_relaxed(&shard->removed); /* held */
  cmap__count_up(&counts_of(table)->rebuilds, 1);
  /* It was worn by insertions and removals in turn. */
  (void)cmap__shard_stretch(&table->layout, shard);
}

enum cmap_status cmap__shard_merge(struct cmap__table *table,
                                   struct cmap__shard **low,
                                   struct cmap__shard *high)
{
  struct cmap__shard *old[2] = {*low, high};
  size_t count = cmap__shard_count(*low) + cmap__shard_count(high);
  enum cmap_status status =
      replace_by_one(table, old, 2, cmap__shard_depth(*low) - 1,
                     cmap__block_log2_for(count), low);

  if (status == CMAP_OK)
    cmap__count_up(&counts_of(table)->merges, 1);
  return status;
}

/*
 * A split under way. shards[0] and shards[1] are the two of the final depth,
 * the one that covers the hash and its sibling; the others are the siblings on
 * the path to them, one of each depth between.
 */
struct split {
  struct cmap__table *table;
  struct cmap__shard *old;
  uint64_t hash;
  unsigned from; /* depth of the old shard */
  unsigned to;
  bool even; /* into two shards with blocks of the old one's size */
  struct cmap__shard *shards[CMAP__DEPTH_MAX + 1];
  uint32_t counts[CMAP__DEPTH_MAX + 1];
  size_t n;
};

/* Which of the split's shards covers the hash. */
static size_t side_of(const struct split *split, uint64_t hash)
{
  uint64_t differ = (hash ^ split->hash) & cmap__depth_mask(split->to);
  unsigned bit; /* the first, from the top, that tells them apart */

  /* A hash outside the old shard's range (see parting_depth) goes along. */
  if (differ == 0 || (differ & cmap__depth_mask(split->from)) != 0)
    return 0;
  bit = (unsigned)__builtin_clzll(differ) + 1;
  return bit == split->to ? 1 : 1 + bit - split->from;
}

/* The prefix and depth of shard i. */
static uint64_t side_prefix(const struct split *split, size_t i,
                            unsigned *depth)
{
  *depth = i < 2 ? split->to : split->from + (unsigned)i - 1;
  if (i == 0)
    return split->hash;
  return split->hash ^ (UINT64_C(1) << (64 - *depth));
}

static struct cmap__halving halving_of(const struct split *split)
{
  struct cmap__halving halving = {split->hash, cmap__depth_mask(split->from),
                                  64 - split->to};
  return halving;
}

/* log2 of the groups at which a shard is split. A map has a few small shards
 * before it has large ones, so that threads meet less often; and some more if
 * chance has filled them, since a block of half the size is less to add. */
static int split_size(const struct cmap__table *table, bool churned)
{
  int limit = table->layout.block_limit;
  size_t early = table->early_shards * (churned ? EARLY_BY_CHANCE : 1);

  /* Relaxed: about how many will do. */
  if (limit > SMALL_BLOCK &&
      cmap__load_relaxed(&table->directory.shards) < early)
    return SMALL_BLOCK;
  return limit;
}

/* Sides with fewer entries need not start with a full-size block. */
static size_t next_to_nothing(const struct split *split)
{
  return cmap__full_at(cmap__block_slot_count(split->old->block)) / 8;
}

/*
 * Do both sides get a block of the old one's size, which holds whatever that
 * did? A guess, after a look at some entries, that need not come true, and is
 * right nearly always.
 */
static bool is_even(const struct split *split)
{
  const struct cmap__layout *layout = &split->table->layout;
  uintptr_t block = split->old->block;
  struct cmap__halving halving;

  if (split->n != 2 || !cmap__move_can_halve(block) ||
      cmap__block_log2(block) > layout->block_limit ||
      cmap__shard_count(split->old) / 2 < next_to_nothing(split))
    return false;
  halving = halving_of(split);
  return cmap__move_looks_even(layout, block, &halving);
}

static void count_sides(struct split *split)
{
  const struct cmap__layout *layout = &split->table->layout;
  struct cmap__cursor cursor = cmap__cursor_begin(split->old->block);
  struct cmap__place place;

  while (cmap__cursor_next(layout, &cursor, &place))
    split->counts[side_of(split, cmap__slot_hash(layout, place.slot))]++;
}

/* log2 of the groups that side i gets. */
static int size_of_side(const struct split *split, size_t i)
{
  uintptr_t block = split->old->block;
  int limit = split->table->layout.block_limit;
  int now = cmap__block_is_empty(block) ? CMAP__NO_BLOCK
                                        : (int)cmap__block_log2(block);
  int fit;

  if (split->even)
    return now;
  fit = cmap__block_log2_for(split->counts[i]);
  if (now > limit)
    now = limit;
  return fit < now && split->counts[i] >= next_to_nothing(split) ? now : fit;
}

/* Steps 2 and 3. On failure all is given back. */
static enum cmap_status take_sides(struct split *split)
{
  struct cmap__table *table = split->table;
  const struct cmap__layout *layout = &table->layout;
  enum cmap_status status = CMAP_OK;
  size_t taken;

  for (taken = 0; taken < split->n; taken++) {
    split->shards[taken] =
        cmap__pool_take(&table->pool, layout, size_of_side(split, taken));
    if (split->shards[taken] == NULL) {
      status = CMAP_ENOMEM;
      break;
    }
  }
  for (size_t i = 0; status == CMAP_OK && i < split->n; i++) {
    unsigned depth;
    (void)side_prefix(split, i, &depth);
    status = cmap__directory_announce(&table->directory, layout, depth, 1);
    /* The deepest comes first: after that the directory is deep enough. */
    cmap__assert(status == CMAP_OK || i == 0);
  }
  while (status != CMAP_OK && taken > 0)
    retire(table, split->shards[--taken]);
  return status;
}

/*
 * Puts an entry on its side; or, if that has no room, on another one: the sides
 * have room for all. It comes to that if a user's hash said something else when
 * the sides were counted. The entry may not be found then, but is not lost.
 */
static void copy_to_side(struct split *split, const _Atomic uint64_t *slot)
{
  const struct cmap__layout *layout = &split->table->layout;
  uint64_t hash = cmap__slot_hash(layout, slot);
  size_t side = side_of(split, hash);

  /* Ends: one of them has room. */
  while (!cmap__block_fill(layout, split->shards[side]->block, slot, hash))
    side = (side + 1) % split->n;
  split->counts[side]++;
}

/* Step 4: counts are those of the sides' entries now. */
static void copy_to_sides(struct split *split)
{
  const struct cmap__layout *layout = &split->table->layout;
  struct cmap__cursor cursor = cmap__cursor_begin(split->old->block);
  struct cmap__place place;

  memset(split->counts, 0, sizeof split->counts);
  if (split->even) {
    struct cmap__halving halving = halving_of(split);
    const uintptr_t blocks[2] = {split->shards[0]->block,
                                 split->shards[1]->block};
    cmap__move_halves(layout, split->old->block, blocks, &halving,
                      split->counts);
    return;
  }
  while (cmap__cursor_next(layout, &cursor, &place))
    copy_to_side(split, place.slot);
}

/* Steps 4 to 7. */
static void move_to_sides(struct split *split)
{
  const struct cmap__layout *layout = &split->table->layout;

  copy_to_sides(split);
  for (size_t i = 0; i < split->n; i++) {
    unsigned depth;
    uint64_t prefix = side_prefix(split, i, &depth);
    settle(layout, split->shards[i], prefix, depth, split->counts[i]);
    cmap__assert_valid(cmap__shard_broken(layout, split->shards[i]) == NULL);
  }
  cmap__block_close(split->old->block);
  for (size_t i = 0; i < split->n; i++)
    cmap__block_publish(split->shards[i]->block);
  cmap__directory_publish(&split->table->directory, split->shards, split->n);
}

enum cmap_status cmap__shard_split(struct cmap__table *table,
                                   struct cmap__shard **shard, uint64_t hash,
                                   unsigned depth)
{
  struct split split = {
      .table = table,
      .old = *shard,
      .hash = hash,
      .from = cmap__shard_depth(*shard),
      .to = depth,
  };

  cmap__assert(depth > split.from);
  split.n = 1 + depth - split.from;
  split.even = is_even(&split);
  if (!split.even)
    count_sides(&split);
  if (take_sides(&split) != CMAP_OK)
    return CMAP_ENOMEM;
  move_to_sides(&split);
  cmap__directory_withdraw(&table->directory, split.from, 1);
  cmap__section_move(&split.old->lock, &split.shards[0]->lock);
  retire(table, split.old);
  for (size_t i = 1; i < split.n; i++)
    cmap__shardlock_write_unlock(&split.shards[i]->lock);
  *shard = split.shards[0];
  cmap__count_up(&counts_of(table)->splits, 1);
  cmap__probe(split, table, split.to);
  return CMAP_OK;
}

/*
 * The bits in which the hashes of a block's entries differ from `hash`; if
 * `bit` is among them, the others may be missing.
 */
static uint64_t differing(const struct cmap__layout *layout, uintptr_t block,
                          uint64_t hash, uint64_t bit)
{
  struct cmap__cursor cursor = cmap__cursor_begin(block);
  struct cmap__place place;
  uint64_t differ = 0;

  while ((differ & bit) == 0 && cmap__cursor_next(layout, &cursor, &place))
    differ |= cmap__slot_hash(layout, place.slot) ^ hash;
  return differ;
}

/*
 * The depth at which the shard's hashes, and the new one, part; 0 if they are
 * all alike as far as a directory can see.
 */
static unsigned parting_depth(const struct cmap__layout *layout,
                              const struct cmap__shard *shard, uint64_t hash)
{
  unsigned depth = cmap__shard_depth(shard);
  uint64_t next_bit = UINT64_C(1) << (63 - depth); /* the first that may */
  uint64_t differ = differing(layout, shard->block, hash, next_bit);

  /* After a wrong prehash an entry may lie in a shard that is not its own. */
  differ &= ~cmap__depth_mask(depth);
  return differ == 0 ? 0 : (unsigned)__builtin_clzll(differ) + 1;
}

/* log2 of the groups after 2^g. Small blocks grow fourfold: half as many
 * entries are copied. */
static int next_size(const struct cmap__layout *layout, int g)
{
  int next = g + (g < SMALL_BLOCK ? 2 : 1);

  return g < layout->block_limit && next > layout->block_limit
             ? layout->block_limit
             : next;
}

bool cmap__shard_may_split(struct cmap__table *table, unsigned depth)
{
  return cmap__directory_may_reach(&table->directory, depth) &&
         cmap__directory_deepen(&table->directory, &table->layout, depth);
}

/* The removals since the shard's block was new. */
static uint32_t removals_of(const struct cmap__shard *shard)
{
  return cmap__load_relaxed(&shard->removed) - shard->rebuilt_at; /* held */
}

enum cmap_status cmap__shard_enlarge(struct cmap__table *table,
                                     struct cmap__shard **shard, uint64_t hash)
{
  const struct cmap__layout *layout = &table->layout;
  uintptr_t block = (*shard)->block;
  int g = (int)cmap__block_log2(block);
  bool churned = removals_of(*shard) > cmap__shard_count(*shard) / CHURN_PART;
  unsigned depth;

  if ((*shard)->kept_limit != 0) {
    cmap__table_note_occupied(table, *shard);
    return CMAP_OK;
  }
  if (cmap__block_is_empty(block))
    return cmap__shard_resize(table, shard, 0);
  if (churned && cmap__shard_stretch(layout, *shard))
    return CMAP_OK;
  if (g >= split_size(table, churned)) {
    depth = parting_depth(layout, *shard, hash);
    if (depth != 0 && cmap__shard_may_split(table, depth))
      return cmap__shard_split(table, shard, hash, depth);
  }
  return cmap__shard_resize(table, shard, next_size(layout, g));
}

bool cmap__shard_is_worn(const struct cmap__shard *shard, unsigned probes)
{
  uint32_t removals = removals_of(shard);

  return probes >= WORN_PROBES && removals >= WORN_REMOVALS &&
         removals >= cmap__shard_count(shard) / 2;
}

enum cmap_status cmap__make_room(struct cmap__table *table,
                                 struct cmap__shard **shard, uint64_t hash)
{
  /* Ends: each round makes the block larger, its range smaller, or its limit
   * higher, which it does once. */
  while (cmap__shard_count(*shard) >= (*shard)->limit) {
    if (cmap__shard_enlarge(table, shard, hash) != CMAP_OK) {
      size_t slots = cmap__block_slot_count((*shard)->block);
      /* Better fuller than its limit than no insert at all. */
      return cmap__shard_count(*shard) < slots ? CMAP_OK : CMAP_ENOMEM;
    }
  }
  return CMAP_OK;
}
