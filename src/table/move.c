/*
 * Moving entries.
 *
 * A group's entries nearly all go to few groups of the new blocks, and nobody
 * else's entries do: in a block with more groups, those whose numbers begin
 * with the bits of its own. So each new group is written once. What does not
 * belong to the group by its hash (it was full when that came) is put by itself
 * when all others have their places; the overflow bits begin anew.
 */
#include "table/move.h"

#include "base/check.h"

/* Groups of the new blocks for one of the old; masks of 16 bits in a word. */
#define WAYS 4

/* Blocks with more groups are moved entry by entry: what is noted of each group
 * lies on the stack. Shards have 64 groups unless the options say otherwise. */
#define GROUPS_MAX 256

/* Slots of so many words keep their places in a group. */
#define SMALL_WORDS 2

/* Where the entries of a block go; the new blocks have none. */
struct scatter {
  const struct cmap__layout *layout;
  struct cmap__hash_key hash_key; /* the layout's: no store could change it */
  enum cmap__shape shape;         /* a constant, see scatter_by_shape */
  unsigned slot_words;
  bool halves; /* to two blocks of the same size; else to one of `ways` times */
  unsigned ways;
  uintptr_t from;
  uintptr_t to[2];
  struct cmap__halving halving; /* if it halves */
};

/* The hash of an entry whose first word is this. */
CMAP__ALWAYS_INLINE uint64_t hash_of(const struct scatter *scatter,
                                     const _Atomic uint64_t *slot,
                                     uint64_t first)
{
  const struct cmap__layout *layout = scatter->layout;

  switch (scatter->shape) {
  case CMAP__SHAPE_PLAIN:
  case CMAP__SHAPE_INTEGER:
    return cmap__hash_u64(&scatter->hash_key, cmap__word_number(layout, first));
  case CMAP__SHAPE_PACKED:
  case CMAP__SHAPE_PAIR:
    return cmap__slot_hash_of(layout, scatter->shape, slot);
  default:
    return first;
  }
}

CMAP__ALWAYS_INLINE unsigned way_of(const struct scatter *scatter,
                                    uint64_t hash)
{
  if (scatter->halves)
    return cmap__half_of(&scatter->halving, hash);
  return (unsigned)cmap__block_home(scatter->to[0], hash) & (scatter->ways - 1);
}

/* The block of a way, and in it the group for one of the old block. */
CMAP__ALWAYS_INLINE uintptr_t block_of(const struct scatter *scatter,
                                       unsigned way)
{
  return scatter->to[scatter->halves ? way : 0];
}

CMAP__ALWAYS_INLINE size_t group_of(const struct scatter *scatter, unsigned way,
                                    size_t at)
{
  return scatter->halves ? at : at * scatter->ways + way;
}

/* The first slot of a group. */
CMAP__ALWAYS_INLINE _Atomic uint64_t *slots_at(const struct scatter *scatter,
                                               uintptr_t block, size_t at)
{
  return cmap__block_slots(block) +
         at * CMAP__GROUP_SLOTS * scatter->slot_words;
}

/* The first slot of the group of a way. */
CMAP__ALWAYS_INLINE _Atomic uint64_t *slots_of(const struct scatter *scatter,
                                               unsigned way, size_t at)
{
  return slots_at(scatter, block_of(scatter, way), group_of(scatter, way, at));
}

/* Gives the group of a way its tags; it has none. */
CMAP__ALWAYS_INLINE void set_tags(const struct scatter *scatter, unsigned way,
                                  size_t at, uint64_t lo, uint64_t hi)
{
  struct cmap__group *group =
      cmap__block_group(block_of(scatter, way), group_of(scatter, way, at));
  uint64_t count = cmap__load_relaxed(&group->hi); /* the block is held */

  cmap__payload_store(&group->lo, lo);
  cmap__store_relaxed(&group->hi, count | hi); /* busy: cmap__block_close */
}

/* 8 bits as 8 bytes of 0 or 0xff. */
static inline uint64_t spread(unsigned bits)
{
  const uint64_t every = UINT64_C(0x0101010101010101);
  uint64_t one_each = bits * every & UINT64_C(0x8040201008040201);

  return (((one_each + 0x7f * every) >> 7) & every) * 0xff;
}

/*
 * Moves the entries of one group that belong to it; returns the others. Of
 * small slots, four or more of which share a line, each keeps its place: no
 * free one is looked for, and the new groups' tags are the old ones under a
 * mask.
 */
CMAP__ALWAYS_INLINE unsigned scatter_small(const struct scatter *scatter,
                                           size_t at, uint32_t counts[WAYS])
{
  const struct cmap__group *group = cmap__block_group(scatter->from, at);
  const _Atomic uint64_t *slots = slots_at(scatter, scatter->from, at);
  _Atomic uint64_t *const halves[2] = {slots_of(scatter, 0, at),
                                       slots_of(scatter, 1, at)};
  /* Relaxed, here and below: the block is held. */
  uint64_t lo = cmap__load_relaxed(&group->lo);
  uint64_t hi = cmap__load_relaxed(&group->hi);
  unsigned full = cmap__group_full(lo, hi);
  unsigned moved = 0;
  uint64_t masks = 0;

  for (unsigned left = full; left != 0; left &= left - 1) {
    unsigned index = (unsigned)__builtin_ctz(left);
    size_t word = index * scatter->slot_words;
    uint64_t first = cmap__load_relaxed(slots + word);
    uint64_t hash = hash_of(scatter, slots + word, first);
    unsigned way = way_of(scatter, hash);
    _Atomic uint64_t *to =
        word + (scatter->halves ? halves[way] : slots_of(scatter, way, at));
    uint64_t home = cmap__block_home(scatter->from, hash) == at;

    /* A stray's place stays unused, as it gets no tag. */
    cmap__payload_store(to, first);
    if (scatter->slot_words > 1)
      cmap__payload_store(to + 1, cmap__load_relaxed(slots + word + 1));
    masks |= home << (16 * way + index);
  }
  for (unsigned way = 0; way < scatter->ways; way++, masks >>= 16) {
    unsigned bits = (unsigned)masks & 0xffff;

    moved |= bits;
    counts[way] += cmap__group_count(bits);
    set_tags(scatter, way, at, lo & spread(bits & 0xff),
             hi & spread(bits >> 8) & 0xffffff);
  }
  return full & ~moved;
}

/* The same of larger slots: each gets the place that it prefers, if it can. */
CMAP__ALWAYS_INLINE unsigned scatter_large(const struct scatter *scatter,
                                           size_t at, uint32_t counts[WAYS])
{
  const struct cmap__group *group = cmap__block_group(scatter->from, at);
  const _Atomic uint64_t *slots = slots_at(scatter, scatter->from, at);
  uint64_t lo[WAYS] = {0}, hi[WAYS] = {0};
  unsigned taken[WAYS] = {0};
  unsigned strays = 0;
  /* Relaxed, here and below: the block is held. */
  unsigned left = cmap__group_full(cmap__load_relaxed(&group->lo),
                                   cmap__load_relaxed(&group->hi));

  for (; left != 0; left &= left - 1) {
    unsigned index = (unsigned)__builtin_ctz(left);
    const _Atomic uint64_t *slot = slots + (size_t)index * scatter->slot_words;
    uint64_t hash = hash_of(scatter, slot, cmap__load_relaxed(slot));
    unsigned way = way_of(scatter, hash);
    _Atomic uint64_t *to = slots_of(scatter, way, at);
    unsigned place;

    if (cmap__unlikely(cmap__block_home(scatter->from, hash) != at)) {
      strays |= 1u << index;
      continue;
    }
    place =
        cmap__choose_slot(scatter->slot_words, scatter->layout->slot_inverse,
                          to, CMAP__GROUP_MASK & ~taken[way], hash);
    taken[way] |= 1u << place;
    cmap__payload_move(to + (size_t)place * scatter->slot_words, slot,
                       scatter->slot_words);
    cmap__group_set_tag(&lo[way], &hi[way], place, cmap__hash_tag(hash));
  }
  for (unsigned way = 0; way < scatter->ways; way++) {
    counts[way] += cmap__group_count(taken[way]);
    set_tags(scatter, way, at, lo[way], hi[way]);
  }
  return strays;
}

/* Puts an entry into a block that has room for all. */
static void fill_block(const struct cmap__layout *layout, uintptr_t block,
                       const _Atomic uint64_t *slot, uint64_t hash)
{
  bool room = cmap__block_fill(layout, block, slot, hash);

  cmap__assert(room);
  (void)room;
}

/* Puts the entries of a mask one by one, wherever they belong. */
CMAP__ALWAYS_INLINE void put_strays(const struct scatter *scatter, size_t at,
                                    unsigned strays, uint32_t counts[WAYS])
{
  for (; strays != 0; strays &= strays - 1) {
    const _Atomic uint64_t *slot =
        slots_at(scatter, scatter->from, at) +
        (size_t)(unsigned)__builtin_ctz(strays) * scatter->slot_words;
    uint64_t first = cmap__load_relaxed(slot); /* the block is held */
    uint64_t hash = hash_of(scatter, slot, first);
    unsigned way = way_of(scatter, hash);

    fill_block(scatter->layout, block_of(scatter, way), slot, hash);
    counts[way]++;
  }
}

/* Moves all. */
CMAP__ALWAYS_INLINE void scatter_all(const struct scatter *scatter,
                                     uint32_t counts[WAYS])
{
  uint16_t strays[GROUPS_MAX]; /* of the groups that have any */
  uint64_t has[GROUPS_MAX / 64] = {0};
  size_t n = (size_t)1 << cmap__block_log2(scatter->from);

  for (size_t at = 0; at < n; at++) {
    unsigned left = scatter->slot_words <= SMALL_WORDS
                        ? scatter_small(scatter, at, counts)
                        : scatter_large(scatter, at, counts);
    strays[at] = (uint16_t)left;
    has[at / 64] |= (uint64_t)(left != 0) << (at % 64);
  }
  for (size_t i = 0; i * 64 < n; i++)
    for (; has[i] != 0; has[i] &= has[i] - 1) {
      size_t at = i * 64 + (size_t)__builtin_ctzll(has[i]);
      put_strays(scatter, at, strays[at], counts);
    }
}

CMAP__ALWAYS_INLINE void scatter_as(struct scatter *scatter,
                                    enum cmap__shape shape,
                                    uint32_t counts[WAYS])
{
  scatter->shape = shape;
  scatter->slot_words = cmap__form_of(scatter->layout, shape).slot_words;
  scatter_all(scatter, counts);
}

/* The same with constants where they are known. */
CMAP__ALWAYS_INLINE void scatter_by_shape(struct scatter scatter, bool halves,
                                          uint32_t counts[WAYS])
{
  scatter.halves = halves;
  scatter.hash_key = scatter.layout->hash_key;
  switch (scatter.layout->shape) {
  case CMAP__SHAPE_WORD:
  case CMAP__SHAPE_PLAIN:
    scatter_as(&scatter, CMAP__SHAPE_PLAIN, counts);
    break;
  case CMAP__SHAPE_PACKED:
    scatter_as(&scatter, CMAP__SHAPE_PACKED, counts);
    break;
  case CMAP__SHAPE_INTEGER:
    scatter_as(&scatter, CMAP__SHAPE_INTEGER, counts);
    break;
  case CMAP__SHAPE_PAIR:
    scatter_as(&scatter, CMAP__SHAPE_PAIR, counts);
    break;
  default: /* with a stored hash, all are alike */
    scatter_as(&scatter, CMAP__SHAPE_WORDS, counts);
  }
}

void cmap__move_among(const struct cmap__layout *layout, uintptr_t from,
                      uintptr_t to)
{
  struct cmap__cursor cursor = cmap__cursor_begin(from);
  struct cmap__place place;

  while (cmap__cursor_next(layout, &cursor, &place))
    fill_block(layout, to, place.slot, cmap__slot_hash(layout, place.slot));
}

/* Is what is noted of its groups not too much for the stack? */
static bool is_small(uintptr_t block)
{
  return cmap__block_mask(block) < GROUPS_MAX;
}

void cmap__move(const struct cmap__layout *layout, uintptr_t from, uintptr_t to)
{
  size_t ways = ((size_t)1 << cmap__block_log2(to)) >> cmap__block_log2(from);
  const struct scatter scatter = {
      .layout = layout, .ways = (unsigned)ways, .from = from, .to = {to, to}};
  uint32_t counts[WAYS] = {0};

  /* To a block without slots nothing is written: its group is everybody's. */
  if (ways < 1 || ways > WAYS || !is_small(from) || cmap__block_is_empty(to))
    cmap__move_among(layout, from, to);
  else
    scatter_by_shape(scatter, false, counts);
}

bool cmap__move_can_halve(uintptr_t from)
{
  return !cmap__block_is_empty(from) && is_small(from);
}

void cmap__move_halves(const struct cmap__layout *layout, uintptr_t from,
                       const uintptr_t to[2],
                       const struct cmap__halving *halving, uint32_t counts[2])
{
  const struct scatter scatter = {.layout = layout,
                                  .ways = 2,
                                  .from = from,
                                  .to = {to[0], to[1]},
                                  .halving = *halving};
  uint32_t both[WAYS] = {0};

  cmap__assert(cmap__move_can_halve(from));
  for (unsigned side = 0; side < 2; side++)
    cmap__assert(!cmap__block_is_empty(to[side]) &&
                 cmap__block_log2(to[side]) == cmap__block_log2(from));
  scatter_by_shape(scatter, true, both);
  counts[0] = both[0];
  counts[1] = both[1];
}

/* Groups by which a halving guesses how even it will be. */
#define SAMPLED_GROUPS 2

bool cmap__move_looks_even(const struct cmap__layout *layout, uintptr_t from,
                           const struct cmap__halving *halving)
{
  struct cmap__cursor cursor = cmap__cursor_begin(from);
  uint32_t counts[2] = {0, 0};
  struct cmap__place place;

  while (cmap__cursor_next(layout, &cursor, &place) &&
         cursor.at < SAMPLED_GROUPS) {
    uint64_t hash = cmap__slot_hash(layout, place.slot);
    counts[cmap__half_of(halving, hash)]++;
  }
  return counts[0] >= (counts[0] + counts[1]) / 8 &&
         counts[1] >= (counts[0] + counts[1]) / 8;
}
