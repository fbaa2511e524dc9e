/*
 * The lock-free read.
 *
 * A reader finds the group by the directory, looks at its count, searches,
 * copies, and looks at the count again. It writes no shared memory, follows no
 * pointer out of a slot, and runs no user code. docs/memory-model.md argues why
 * it is right; in short:
 *
 *   Hit.  The group was stable and the same at both looks, so key and value
 *         belong together and were there at one moment. A stable block that
 *         holds the key is the key's home.
 *   Miss. (a) In each group, between the two looks at its count, the directory
 *         as it is then still names this block for the hash; (b) after the
 *         last group the home group is still as it was first seen.
 *         Without (a), or with it outside the two looks, and without (b) when
 *         the probe crosses groups, a present key can be missed: the entries
 *         may have moved to another block, or this block may live again.
 *
 * One source for all key kinds: an inline body with the kind constant.
 */
#ifndef CMAP__TABLE_READ_H
#define CMAP__TABLE_READ_H

#include "table/table.h"

enum cmap__read_result {
  CMAP__READ_HIT,
  CMAP__READ_MISS,
  CMAP__READ_AGAIN /* a writer was met */
};

/*
 * Rounds before a reader takes the lock. A section of the library lasts a few
 * nanoseconds, a guard any time; the lock parks, a reader does not.
 */
#define CMAP__READ_ROUNDS 16

/*
 * One round. On a hit value_words words are copied to `value` from the slot
 * (kind and value_words are constants in the callers that matter).
 */
CMAP__ALWAYS_INLINE enum cmap__read_result
cmap__read_round(const struct cmap__table *table, unsigned kind,
                 unsigned slot_words, unsigned value_word, unsigned value_words,
                 const struct cmap__probe *probe, uint64_t *value)
{
  const struct cmap__layout *layout = &table->layout;
  uint64_t hash = probe->hash;
  uintptr_t word = cmap__directory_word(&table->directory);
  const struct cmap__directory_entry *entry = cmap__directory_at(word, hash);
  uintptr_t block = cmap__load_acquire(&entry->block); /* [D2] */
  struct cmap__group *groups = cmap__block_groups(block);
  const _Atomic uint64_t *slots = cmap__block_slots(block);
  size_t mask = ((size_t)1 << cmap__block_log2(block)) - 1;
  size_t at = (size_t)cmap__hash_group(hash) & mask;
  struct cmap__group *home = &groups[at];
  uint64_t home_hi = 0;
  uint8_t tag = cmap__hash_tag(hash);
  uint8_t overflow = cmap__hash_overflow_bit(hash);

  cmap__prefetch(slots + (at * CMAP__GROUP_SLOTS + cmap__preferred_slot(hash)) *
                             slot_words);
  for (size_t step = 0;;) {
    struct cmap__group *group = &groups[at];
    uint64_t hi = cmap__load_acquire(&group->hi); /* [Q1] */
    uint64_t lo = cmap__load_acquire(&group->lo); /* [Q2] */
    unsigned match = cmap__group_match(lo, hi, tag);

    if (cmap__unlikely(!cmap__seq_is_stable(hi)))
      return CMAP__READ_AGAIN;
    for (; match != 0; match &= match - 1) {
      unsigned index = (unsigned)__builtin_ctz(match);
      const _Atomic uint64_t *slot =
          slots + (at * CMAP__GROUP_SLOTS + index) * slot_words;
      if (cmap__unlikely(!cmap__key_equal(layout, kind, false, slot, probe)))
        continue;
      cmap__payload_copy_out(value, slot + value_word, value_words);
      /* Relaxed: the loads above are acquire loads and come first. */
      return cmap__likely(cmap__load_relaxed(&group->hi) == hi)
                 ? CMAP__READ_HIT
                 : CMAP__READ_AGAIN;
    }
    if (step == 0)
      home_hi = hi;
    /* (a): acquire, so that the look at the count comes after it. */
    if (cmap__directory_block(&table->directory, hash) != block ||
        cmap__load_relaxed(&group->hi) != hi)
      return CMAP__READ_AGAIN;
    if (cmap__likely(!cmap__group_overflowed(hi, overflow)) || step == mask)
      break;
    step++;
    at = (at + step) & mask;
  }
  /* (b): relaxed, behind acquire loads. */
  return cmap__load_relaxed(&home->hi) == home_hi ? CMAP__READ_MISS
                                                  : CMAP__READ_AGAIN;
}

#endif
