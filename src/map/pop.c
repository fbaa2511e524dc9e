/*
 * Taking any one entry out.
 *
 * Pops of a part go round it like the hand of a clock: of each shard they take
 * what lies in slot 0 of its groups, then what lies in slot 1, and so on. So
 * shards and groups lose entries in proportion to what they have, as by random
 * removals. Whole groups or shards would be empty while others fill up to twice
 * the mean, and are split; and one entry of each, whether it has many or few,
 * would let some grow.
 *
 * Where the hand is, is a hint: a wrong hash or group costs time, no more.
 *
 * The first round waits for nobody: it passes over shards that are in use. The
 * second one takes every lock, and so finds an entry that is there from begin
 * to end.
 */
#include "map/map.h"

/* A hint: the upper half of a hash, the number of a slot, and of a group. */
#define HINT_HASH  UINT64_C(0xffffffff00000000)
#define HINT_GROUP ((UINT64_C(1) << CMAP__BLOCK_LOG2_MAX) - 1)
#define HINT_SLOT  UINT64_C(15)

struct pop {
  struct cmap *map;
  struct cmap__range range;
  /* Where it begins to look, and then where the next one does. */
  uint64_t hash;
  size_t group;
  unsigned slot;
  struct cmap__slot_image taken; /* the entry */
};

static void read_hint(struct pop *pop, uint64_t hint)
{
  pop->hash = hint & HINT_HASH;
  if (pop->hash < pop->range.first || pop->hash > pop->range.last)
    pop->hash = pop->range.first;
  pop->group = (size_t)(hint & HINT_GROUP);
  pop->slot = (unsigned)(hint >> CMAP__BLOCK_LOG2_MAX & HINT_SLOT);
  cmap__assert(pop->slot < CMAP__GROUP_SLOTS);
}

static uint64_t make_hint(const struct pop *pop)
{
  return (pop->hash & HINT_HASH) | (uint64_t)pop->slot << CMAP__BLOCK_LOG2_MAX |
         pop->group;
}

/* Is an entry, of a shard that is held, one of the part? */
static bool pop_wants(const struct pop *pop, const struct cmap__shard *shard,
                      const _Atomic uint64_t *slot)
{
  const struct cmap__range *range = &pop->range;
  uint64_t hash;

  if (cmap__likely(range->first <= shard->prefix &&
                   (shard->prefix | ~shard->mask) <= range->last))
    return true;
  hash = cmap__slot_hash(&pop->map->table.layout, slot);
  return range->first <= hash && hash <= range->last;
}

/* Is there an entry of the part in that slot of a shard that is held? */
static bool look_at(const struct pop *pop, const struct cmap__shard *shard,
                    size_t group, unsigned slot, struct cmap__place *place)
{
  place->group = cmap__block_group(shard->block, group);
  place->index = slot;
  if (cmap__place_tag(place) == 0)
    return false;
  place->slot =
      cmap__block_slots(shard->block) +
      (group * CMAP__GROUP_SLOTS + slot) * pop->map->table.layout.slot_words;
  return pop_wants(pop, shard, place->slot);
}

/* The first group from this one on that has an entry of the part in the slot
 * whose turn it is; the number of groups if none has. */
static size_t go_on(const struct pop *pop, const struct cmap__shard *shard,
                    size_t group, struct cmap__place *place)
{
  size_t groups = cmap__block_mask(shard->block) + 1;

  while (group < groups && !look_at(pop, shard, group, pop->slot, place))
    group++;
  return group < groups ? group : groups;
}

/* Any entry of the part in a shard that is held. */
static bool find_any(const struct pop *pop, const struct cmap__shard *shard,
                     struct cmap__place *place)
{
  struct cmap__cursor cursor =
      cmap__cursor_between(shard, pop->range.first, pop->range.last);

  return cmap__cursor_next(&pop->map->table.layout, &cursor, place);
}

/* The next pop is to look at this group of the shard; if there is no such one,
 * at the next shard, or at the first one and the next slot. */
static void move_hand(struct pop *pop, const struct cmap__shard *shard,
                      size_t group)
{
  pop->group = 0;
  if (group <= cmap__block_mask(shard->block)) {
    pop->hash = shard->prefix;
    pop->group = group;
    return;
  }
  pop->hash = cmap__shard_next_hash(shard);
  if (pop->hash == 0 || pop->hash > pop->range.last) {
    pop->hash = pop->range.first;
    pop->slot = (pop->slot + 1) % CMAP__GROUP_SLOTS;
  }
}

/* Takes an entry of the part out of a shard that is held to write: that is
 * unlocked then. */
static bool take_out(struct pop *pop, const struct cmap__locked *locked)
{
  struct cmap__shard *shard = locked->shard;
  struct cmap__place place, next;
  size_t group;

  if (cmap__shard_count(shard) == 0)
    return false;
  group = go_on(pop, shard, pop->group, &place);
  if (group > cmap__block_mask(shard->block) && !find_any(pop, shard, &place))
    return false;
  move_hand(pop, shard, go_on(pop, shard, group + 1, &next));
  cmap__shard_take(&pop->map->table.layout, shard, &place, false,
                   pop->taken.words);
  cmap__locked_end_removal(&pop->map->table, locked);
  return true;
}

/* The shards of the hashes from `from` to `to`: the first round. */
static bool look_around(struct pop *pop, uint64_t from, uint64_t to)
{
  struct cmap__table *table = &pop->map->table;
  struct cmap__locked locked;
  uint64_t hash = from;

  /* Ends: each round goes on to the next shard, or entry of the directory. */
  do {
    if (cmap__table_lock_now(table, hash, CMAP__WRITE, &locked)) {
      hash = cmap__shard_next_hash(locked.shard);
      if (take_out(pop, &locked))
        return true;
      if (cmap__shard_count(locked.shard) == 0)
        cmap__table_note_empty(table, locked.shard);
      cmap__table_unlock(&locked);
    } else {
      hash = cmap__directory_next_hash(&table->directory, hash);
    }
  } while (hash != 0 && cmap__directory_seek(&table->directory, &hash) &&
           hash <= to);
  return false;
}

/* The second round. */
static enum cmap_status visit(struct cmap *map, struct cmap__visit *visit,
                              void *ctx)
{
  (void)map;
  if (!take_out(ctx, &visit->locked))
    return CMAP_OK;
  visit->locked.borrowed = true; /* not the walk's to unlock any more */
  return CMAP_EXISTS;
}

/* CMAP_EXISTS: an entry was taken out. CMAP_OK: there is none. */
static enum cmap_status pop_of_part(struct pop *pop, const struct cmap_how *how)
{
  const struct cmap__range *range = &pop->range;
  uint64_t from = pop->hash;

  if (look_around(pop, from, range->last) ||
      (from > range->first && look_around(pop, range->first, from - 1)))
    return CMAP_EXISTS;
  return cmap__map_walk_range(pop->map, CMAP__WRITE, range, how, visit, pop);
}

static _Atomic uint64_t *hint_of(struct cmap *map, size_t part)
{
  struct cmap__grown *grown = cmap__pool_grown(&map->table.pool);

  return grown == NULL ? &map->pop : &grown->pops[part % CMAP__POP_HINTS];
}

enum cmap_status cmap_pop(struct cmap *map, size_t part, size_t parts,
                          cmap_value_fn *take, void *ctx,
                          const struct cmap_how *how)
{
  struct cmap__patience patience;
  _Atomic uint64_t *hint;
  enum cmap_status status;
  const uint64_t *unused;
  struct pop pop;

  if (CMAP__MISSING(map) || !cmap__how_read(how, &patience, &unused) ||
      !cmap__range_part(part, parts, &pop.range))
    return CMAP_EINVAL;
  status = cmap__table_bar(&map->table, CMAP__WRITE, &patience);
  if (status != CMAP_OK)
    return status;
  pop.map = map;
  hint = hint_of(map, part);
  read_hint(&pop, cmap__load_relaxed(hint)); /* a hint */
  status = pop_of_part(&pop, how);
  if (status != CMAP_EXISTS)
    return status == CMAP_OK ? CMAP_NOT_FOUND : status;
  cmap__store_relaxed(hint, make_hint(&pop)); /* a hint */
  return cmap__entry_give(&map->table.layout, pop.taken.words, take, ctx);
}
