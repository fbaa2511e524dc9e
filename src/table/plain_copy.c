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
  const struct cmap__halving *halving; /* NULL: to one block */
  unsigned ways;
  uintptr_t to[2];
  /* By way: that group of the new blocks that is for group 0 of the old one,
   * and its slots. */
  struct cmap__group *groups[WAYS];
  _Atomic uint64_t *slots[WAYS];
  size_t stride; /* from there, to those for the next group of the old one */
};

CMAP__ALWAYS_INLINE unsigned way_of(const struct scatter *scatter,
                                    uint64_t hash)
{
  if (scatter->halving != NULL)
    return cmap__half_of(scatter->halving, hash);
  return (unsigned)cmap__block_home(scatter->to[0], hash) & (scatter->ways - 1);
}

/* False: the entries are to be moved one by one. Of a block that has no slots
 * nothing is written, not even what it has already. */
static bool scatter_begin(struct scatter *scatter, uintptr_t from)
{
  bool halves = scatter->halving != NULL;

  if (cmap__block_is_empty(scatter->to[0]) ||
      (halves && cmap__block_is_empty(scatter->to[1])))
    return false;
  scatter->stride = halves ? 1 : scatter->ways;
  for (unsigned way = 0; way < scatter->ways; way++) {
    uintptr_t to = scatter->to[halves ? way : 0];
    size_t first = halves ? 0 : way;
    scatter->groups[way] = cmap__block_group(to, first);
    scatter->slots[way] =
        cmap__block_slots(to) + first * CMAP__GROUP_SLOTS * CMAP__PLAIN_WORDS;
  }
  return cmap__block_mask(from) < GROUPS_MAX;
}

/* 8 bits as 8 bytes of 0 or 0xff. */
static inline uint64_t spread(unsigned bits)
{
  const uint64_t every = UINT64_C(0x0101010101010101);
  uint64_t one_each = bits * every & UINT64_C(0x8040201008040201);

  return (((one_each + 0x7f * every) >> 7) & every) * 0xff;
}

/* Moves the entries of one group that belong to it; returns the others. */
CMAP__ALWAYS_INLINE unsigned scatter_group(const struct cmap__layout *layout,
                                           const struct scatter *scatter,
                                           uintptr_t from, size_t at,
                                           uint32_t counts[WAYS])
{
  const struct cmap__group *group = cmap__block_group(from, at);
  size_t first = at * CMAP__GROUP_SLOTS * CMAP__PLAIN_WORDS;
  size_t to_first = first * scatter->stride;
  /* Relaxed: both blocks are held. */
  uint64_t lo = cmap__load_relaxed(&group->lo);
  uint64_t hi = cmap__load_relaxed(&group->hi);
  unsigned full = cmap__group_full(lo, hi);
  unsigned moved = 0;
  uint64_t masks = 0;

  for (unsigned left = full; left != 0; left &= left - 1) {
    unsigned index = (unsigned)__builtin_ctz(left);
    size_t word = index * CMAP__PLAIN_WORDS;
    const _Atomic uint64_t *slot = cmap__block_slots(from) + first + word;
    uint64_t key = cmap__load_relaxed(slot);
    uint64_t value = cmap__load_relaxed(slot + 1);
    uint64_t hash = cmap__hash_u64(&layout->hash_key, key);
    unsigned way = way_of(scatter, hash);
    _Atomic uint64_t *to = scatter->slots[way] + to_first + word;
    uint64_t home = cmap__block_home(from, hash) == at;

    /* A stray's place stays unused, as it gets no tag. */
    cmap__payload_store(to, key);
    cmap__payload_store(to + 1, value);
    masks |= home << (16 * way + index);
  }
  for (unsigned way = 0; way < scatter->ways; way++, masks >>= 16) {
    struct cmap__group *to = scatter->groups[way] - at * scatter->stride;
    unsigned bits = (unsigned)masks & 0xffff;
    uint64_t count = cmap__load_relaxed(&to->hi);

    moved |= bits;
    counts[way] += (unsigned)__builtin_popcount(bits);
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
    cmap__plain_fill(scatter->to[scatter->halving != NULL ? way : 0], hash, key,
                     value);
    counts[way]++;
  }
}

/* Moves all; false if it cannot. */
CMAP__ALWAYS_INLINE bool scatter_all(const struct cmap__layout *layout,
                                     struct scatter *scatter, uintptr_t from,
                                     uint32_t counts[WAYS])
{
  uint16_t strays[GROUPS_MAX]; /* of the groups that have any */
  uint64_t has[GROUPS_MAX / 64] = {0};
  size_t n = (size_t)1 << cmap__block_log2(from);

  if (!scatter_begin(scatter, from))
    return false;
  for (size_t at = 0; at < n; at++) {
    unsigned left = scatter_group(layout, scatter, from, at, counts);
    strays[at] = (uint16_t)left;
    has[at / 64] |= (uint64_t)(left != 0) << (at % 64);
  }
  for (size_t i = 0; i * 64 < n; i++)
    for (; has[i] != 0; has[i] &= has[i] - 1) {
      size_t at = i * 64 + (size_t)__builtin_ctzll(has[i]);
      put_strays(layout, scatter, from, at, strays[at], counts);
    }
  return true;
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
  struct scatter scatter = {.ways = (unsigned)ways, .to = {to}};
  uint32_t counts[WAYS] = {0};

  if (ways < 1 || ways > WAYS || !scatter_all(layout, &scatter, from, counts))
    cmap__plain_merge(layout, from, to);
}

void cmap__plain_halve(const struct cmap__layout *layout, uintptr_t from,
                       const uintptr_t to[2],
                       const struct cmap__halving *halving, uint32_t counts[2])
{
  struct scatter scatter = {
      .halving = halving, .ways = 2, .to = {to[0], to[1]}};
  size_t n = (size_t)1 << cmap__block_log2(from);
  uint32_t both[WAYS] = {0};

  if (cmap__block_log2(to[0]) != cmap__block_log2(from) ||
      cmap__block_log2(to[1]) != cmap__block_log2(from) ||
      !scatter_all(layout, &scatter, from, both)) {
    for (size_t at = 0; at < n; at++)
      put_strays(layout, &scatter, from, at, cmap__plain_group(from, at).full,
                 both);
  }
  counts[0] = both[0];
  counts[1] = both[1];
}

/* Groups by which a halving guesses how even it will be. */
#define SAMPLE 4

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
