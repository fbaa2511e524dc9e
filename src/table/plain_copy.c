/*
 * Moving plain entries.
 *
 * A group's entries nearly all go to few groups of the new blocks: those with
 * the same low bits of their number. So they are sorted by these first, and
 * then put into one after the other, which is held in registers meanwhile: a
 * store of a group's words and the load for the next entry would follow each
 * other too closely. What belongs elsewhere, or finds its group full, is put by
 * itself afterwards.
 */
#include "table/plain_copy.h"

/* The entries of a group. */
struct batch {
  uint64_t keys[CMAP__GROUP_SLOTS];
  uint64_t values[CMAP__GROUP_SLOTS];
  uint64_t hashes[CMAP__GROUP_SLOTS];
  unsigned count;
};

static inline void batch_read(const struct cmap__layout *layout,
                              uintptr_t block, size_t at, struct batch *batch)
{
  struct cmap__plain_group entries = cmap__plain_group(block, at);
  unsigned n = 0;

  while (cmap__plain_next(&entries, &batch->keys[n], &batch->values[n])) {
    batch->hashes[n] = cmap__hash_u64(&layout->hash_key, batch->keys[n]);
    n++;
  }
  batch->count = n;
}

/*
 * Puts the entries of a mask into one group of a block that is being filled.
 * Returns those for which it had no room.
 */
static inline unsigned put_into_group(uintptr_t block, size_t at,
                                      const struct batch *batch, unsigned mask)
{
  struct cmap__group *group = cmap__block_groups(block) + at;
  _Atomic uint64_t *slots =
      cmap__block_slots(block) + at * CMAP__GROUP_SLOTS * CMAP__PLAIN_WORDS;
  /* Relaxed: the block is the caller's. */
  uint64_t lo = cmap__load_relaxed(&group->lo);
  uint64_t hi = cmap__load_relaxed(&group->hi);
  unsigned empty = cmap__group_empty(lo, hi);

  if (mask == 0)
    return 0;
  for (; mask != 0 && empty != 0; mask &= mask - 1) {
    unsigned i = (unsigned)__builtin_ctz(mask);
    unsigned slot = cmap__plain_choose(slots, empty, batch->hashes[i]);
    empty &= ~(1u << slot);
    cmap__payload_store(slots + slot * CMAP__PLAIN_WORDS, batch->keys[i]);
    cmap__payload_store(slots + slot * CMAP__PLAIN_WORDS + 1, batch->values[i]);
    cmap__plain_set_tag(&lo, &hi, slot, cmap__hash_tag(batch->hashes[i]));
  }
  cmap__payload_store(&group->lo, lo);
  /* A late reader may look here: like all else, by release [Q1]. */
  cmap__store_release(&group->hi, hi);
  return mask;
}

/* Puts the entries of a mask one by one, wherever they belong. */
static inline void put_strays(uintptr_t block, const struct batch *batch,
                              unsigned mask)
{
  for (; mask != 0; mask &= mask - 1) {
    unsigned i = (unsigned)__builtin_ctz(mask);
    cmap__plain_fill(block, batch->hashes[i], batch->keys[i], batch->values[i]);
  }
}

/* Groups of a new block that a group's entries may go to; as many masks of
 * 16 bits are in a word. */
#define WAYS 4

void cmap__plain_copy(const struct cmap__layout *layout, uintptr_t from,
                      uintptr_t to)
{
  unsigned log2 = cmap__block_log2(from);
  size_t n = (size_t)1 << log2;
  size_t to_mask = ((size_t)1 << cmap__block_log2(to)) - 1;
  size_t ways = (to_mask >> log2) + 1;

  for (size_t at = 0; at < n; at++) {
    unsigned strays = 0;
    uint64_t masks = 0;
    struct batch batch;

    batch_read(layout, from, at, &batch);
    for (unsigned i = 0; i < batch.count; i++) {
      size_t group = (size_t)cmap__hash_group(batch.hashes[i]);
      size_t way = (group & to_mask) >> log2;
      if (cmap__likely((group & (n - 1)) == at && way < WAYS))
        masks |= UINT64_C(1) << (16 * way + i);
      else
        strays |= 1u << i;
    }
    for (size_t way = 0; way < ways && way < WAYS; way++)
      strays |= put_into_group(to, (at + (way << log2)) & to_mask, &batch,
                               (unsigned)(masks >> (16 * way)) & 0xffff);
    put_strays(to, &batch, strays);
  }
}

void cmap__plain_halve(const struct cmap__layout *layout, uintptr_t from,
                       const uintptr_t to[2],
                       const struct cmap__halving *halving, uint32_t counts[2])
{
  const size_t masks[2] = {((size_t)1 << cmap__block_log2(to[0])) - 1,
                           ((size_t)1 << cmap__block_log2(to[1])) - 1};
  size_t n = (size_t)1 << cmap__block_log2(from);

  counts[0] = counts[1] = 0;
  for (size_t at = 0; at < n; at++) {
    unsigned upper = 0, home = 0;
    struct batch batch;

    batch_read(layout, from, at, &batch);
    for (unsigned i = 0; i < batch.count; i++) {
      uint64_t hash = batch.hashes[i];
      unsigned half = cmap__half_of(halving, hash);
      size_t differ = (size_t)cmap__hash_group(hash) ^ at;
      upper |= half << i;
      counts[1] += half;
      home |= (unsigned)((differ & masks[half]) == 0) << i;
    }
    for (unsigned half = 0; half < 2; half++) {
      unsigned all = (half == 0 ? ~upper : upper) & ((1u << batch.count) - 1);
      unsigned left =
          put_into_group(to[half], at & masks[half], &batch, all & home);
      put_strays(to[half], &batch, left | (all & ~home));
    }
    counts[0] += batch.count;
  }
  counts[0] -= counts[1];
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
