/*
 * Moving plain entries.
 *
 * A group's entries nearly all go to few groups of the new blocks, and nobody
 * else's entries do: in a block with more groups, those whose numbers begin
 * with the bits of its own. So an entry keeps its place in the group, no free
 * one is looked for, and the new group's tags are the old ones under a mask.
 * What does not belong to the group by its hash (it was full when that came) is
 * put by itself when all others have their places; the overflow bits begin
 * anew.
 */
#include "table/plain_copy.h"

/* Groups of the new blocks for one of the old; masks of 16 bits in a word. */
#define WAYS 4

/* Blocks with more groups are moved entry by entry: what is noted of each group
 * lies on the stack. Shards have 64 groups unless the options say otherwise. */
#define GROUPS_MAX 512

/* Where the entries of a block go; the new blocks are empty. */
struct scatter {
  bool halves; /* to two blocks of the same size; else to one of `ways` times */
  unsigned ways;
  uintptr_t to[2];
  struct cmap__halving halving; /* if it halves */
};

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

/* The first slot of that group. */
CMAP__ALWAYS_INLINE _Atomic uint64_t *slots_of(const struct scatter *scatter,
                                               unsigned way, size_t at)
{
  return cmap__block_slots(block_of(scatter, way)) +
         group_of(scatter, way, at) * CMAP__GROUP_SLOTS * CMAP__PLAIN_WORDS;
}

/* 8 bits as 8 bytes of 0 or 0xff. */
static inline uint64_t spread(unsigned bits)
{
  const uint64_t every = UINT64_C(0x0101010101010101);
  uint64_t one_each = bits * every & UINT64_C(0x8040201008040201);

  return (((one_each + 0x7f * every) >> 7) & every) * 0xff;
}

/* Moves the entries of one group that belong to it; returns the others. */
CMAP__ALWAYS_INLINE unsigned scatter_group(struct cmap__hash_key hash_key,
                                           const struct scatter *scatter,
                                           uintptr_t from, size_t at,
                                           uint32_t counts[WAYS])
{
  const struct cmap__group *group = cmap__block_group(from, at);
  const _Atomic uint64_t *slots =
      cmap__block_slots(from) + at * CMAP__GROUP_SLOTS * CMAP__PLAIN_WORDS;
  _Atomic uint64_t *const halves[2] = {slots_of(scatter, 0, at),
                                       slots_of(scatter, 1, at)};
  /* Relaxed: both blocks are held. */
  uint64_t lo = cmap__load_relaxed(&group->lo);
  uint64_t hi = cmap__load_relaxed(&group->hi);
  unsigned full = cmap__group_full(lo, hi);
  unsigned moved = 0;
  uint64_t masks = 0;

  for (unsigned left = full; left != 0; left &= left - 1) {
    unsigned index = (unsigned)__builtin_ctz(left);
    size_t word = index * CMAP__PLAIN_WORDS;
    uint64_t key = cmap__load_relaxed(slots + word);
    uint64_t value = cmap__load_relaxed(slots + word + 1);
    uint64_t hash = cmap__hash_u64(&hash_key, key);
    unsigned way = way_of(scatter, hash);
    _Atomic uint64_t *to =
        word + (scatter->halves ? halves[way] : slots_of(scatter, way, at));
    uint64_t home = cmap__block_home(from, hash) == at;

    /* A stray's place stays unused, as it gets no tag. */
    cmap__payload_store(to, key);
    cmap__payload_store(to + 1, value);
    masks |= home << (16 * way + index);
  }
  for (unsigned way = 0; way < scatter->ways; way++, masks >>= 16) {
    struct cmap__group *to =
        cmap__block_group(block_of(scatter, way), group_of(scatter, way, at));
    unsigned bits = (unsigned)masks & 0xffff;
    uint64_t count = cmap__load_relaxed(&to->hi);

    moved |= bits;
    counts[way] += cmap__group_count(bits);
    cmap__payload_store(&to->lo, lo & spread(bits & 0xff));
    /* A late reader may look here: like all else, by release [Q1]. */
    cmap__store_release(&to->hi, count | (hi & spread(bits >> 8) & 0xffffff));
  }
  return full & ~moved;
}

/* Puts the entries of a mask one by one, wherever they belong. */
static void put_strays(const struct cmap__layout *layout,
                       const struct scatter *scatter, uintptr_t from, size_t at,
                       unsigned strays, uint32_t counts[WAYS])
{
  struct cmap__plain_group entries = cmap__plain_group(from, at);
  uint64_t key, value;

  entries.full = strays;
  while (cmap__plain_next(&entries, &key, &value)) {
    uint64_t hash = cmap__hash_u64(&layout->hash_key, key);
    unsigned way = way_of(scatter, hash);
    cmap__plain_fill(block_of(scatter, way), hash, key, value);
    counts[way]++;
  }
}

/* Moves all. `halves` is the scatter's, as a constant. */
CMAP__ALWAYS_INLINE void scatter_all(const struct cmap__layout *layout,
                                     const struct scatter *given, bool halves,
                                     uintptr_t from, uint32_t counts[WAYS])
{
  uint16_t strays[GROUPS_MAX]; /* of the groups that have any */
  uint64_t has[GROUPS_MAX / 64] = {0};
  size_t n = (size_t)1 << cmap__block_log2(from);
  struct scatter scatter = *given; /* nothing that a store could change */

  scatter.halves = halves;
  for (size_t at = 0; at < n; at++) {
    unsigned left = scatter_group(layout->hash_key, &scatter, from, at, counts);
    strays[at] = (uint16_t)left;
    has[at / 64] |= (uint64_t)(left != 0) << (at % 64);
  }
  for (size_t i = 0; i * 64 < n; i++)
    for (; has[i] != 0; has[i] &= has[i] - 1) {
      size_t at = i * 64 + (size_t)__builtin_ctzll(has[i]);
      put_strays(layout, given, from, at, strays[at], counts);
    }
}

void cmap__plain_merge(const struct cmap__layout *layout, uintptr_t from,
                       uintptr_t to)
{
  size_t n = (size_t)1 << cmap__block_log2(from);
  uint64_t key, value;

  for (size_t at = 0; at < n; at++) {
    struct cmap__plain_group entries = cmap__plain_group(from, at);
    while (cmap__plain_next(&entries, &key, &value))
      cmap__plain_fill(to, cmap__hash_u64(&layout->hash_key, key), key, value);
  }
}

void cmap__plain_copy(const struct cmap__layout *layout, uintptr_t from,
                      uintptr_t to)
{
  size_t ways = ((size_t)1 << cmap__block_log2(to)) >> cmap__block_log2(from);
  const struct scatter scatter = {.ways = (unsigned)ways, .to = {to, to}};
  uint32_t counts[WAYS] = {0};

  /* Of a block without slots nothing is written, not even what it has. */
  if (ways < 1 || ways > WAYS || cmap__block_mask(from) >= GROUPS_MAX ||
      cmap__block_is_empty(to))
    cmap__plain_merge(layout, from, to);
  else
    scatter_all(layout, &scatter, false, from, counts);
}

void cmap__plain_halve(const struct cmap__layout *layout, uintptr_t from,
                       const uintptr_t to[2],
                       const struct cmap__halving *halving, uint32_t counts[2])
{
  const struct scatter scatter = {
      .halves = true, .ways = 2, .to = {to[0], to[1]}, .halving = *halving};
  size_t n = (size_t)1 << cmap__block_log2(from);
  uint32_t both[WAYS] = {0};

  if (cmap__block_log2(to[0]) == cmap__block_log2(from) &&
      cmap__block_log2(to[1]) == cmap__block_log2(from) &&
      cmap__block_mask(from) < GROUPS_MAX && !cmap__block_is_empty(to[0]) &&
      !cmap__block_is_empty(to[1]))
    scatter_all(layout, &scatter, true, from, both);
  else
    for (size_t at = 0; at < n; at++)
      put_strays(layout, &scatter, from, at, cmap__plain_group(from, at).full,
                 both);
  counts[0] = both[0];
  counts[1] = both[1];
}

/* Groups by which a halving guesses how even it will be. */
#define SAMPLE 2

bool cmap__plain_halves_look_even(const struct cmap__layout *layout,
                                  uintptr_t from,
                                  const struct cmap__halving *halving)
{
  size_t n = (size_t)1 << cmap__block_log2(from);
  uint32_t counts[2] = {0, 0};
  uint64_t key, value;

  for (size_t at = 0; at < n && at < SAMPLE; at++) {
    struct cmap__plain_group entries = cmap__plain_group(from, at);
    while (cmap__plain_next(&entries, &key, &value))
      counts[cmap__half_of(halving, cmap__hash_u64(&layout->hash_key, key))]++;
  }
  return counts[0] >= (counts[0] + counts[1]) / 8 &&
         counts[1] >= (counts[0] + counts[1]) / 8;
}

uint64_t cmap__plain_differing(const struct cmap__layout *layout,
                               uintptr_t block, uint64_t hash, uint64_t bit)
{
  size_t n = (size_t)1 << cmap__block_log2(block);
  uint64_t key, value, differ = 0;

  for (size_t at = 0; at < n && (differ & bit) == 0; at++) {
    struct cmap__plain_group entries = cmap__plain_group(block, at);
    while (cmap__plain_next(&entries, &key, &value))
      differ |= cmap__hash_u64(&layout->hash_key, key) ^ hash;
  }
  return differ;
}
