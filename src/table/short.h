/*
 * Short strings: keys of up to 23 bytes with our hash, in slots of five words:
 * hash, three words of key, one of value. What most maps of strings are made of
 * gets code of its own where it counts: no loop over words, no branch on the
 * length. Longer keys of such maps go the general way.
 */
#ifndef CMAP__TABLE_SHORT_H
#define CMAP__TABLE_SHORT_H

#include "table/key.h"
#include "table/shard.h"

/* Index of the value's word in a slot. */
#define CMAP__SHORT_VALUE (CMAP__SHORT_SLOT_WORDS - 1)

/*
 * Fills the probe with a key of up to CMAP__SHORT_SIZE bytes, in a layout with
 * CMAP__SHORT_STRING. False: it is not a string, it has a byte of 0.
 */
CMAP__ALWAYS_INLINE bool cmap__short_probe(const struct cmap__layout *layout,
                                           struct cmap_key key,
                                           struct cmap__probe *probe)
{
  uint64_t *words = probe->words;
  bool zero = cmap__short_words(words, key.data, key.size);

  probe->key = key;
  probe->boxed = false;
  if ((layout->options.flags & CMAP_HASH_FAST) == 0)
    probe->hash =
        cmap__hash_siphash13_words(&layout->hash_key, words, key.size);
  else if (cmap__likely(CMAP__LITTLE_ENDIAN && key.size <= 16))
    probe->hash =
        cmap__hash_fast_words(&layout->hash_key, words[0], words[1], key.size);
  else
    probe->hash = cmap__hash_fast(&layout->hash_key, key.data, key.size);
  words[CMAP__SHORT_WORDS - 1] |=
      cmap__last_byte_word((unsigned)(CMAP__SHORT_SIZE - key.size));
  return !zero || layout->kind != CMAP_STRING;
}

/* Is the key in its home group, and where? The caller has the write lock. */
CMAP__ALWAYS_INLINE bool cmap__short_find(const struct cmap__layout *layout,
                                          const struct cmap__shard *shard,
                                          const struct cmap__probe *probe,
                                          struct cmap__place *place)
{
  uintptr_t block = shard->block;
  struct cmap__group *group = cmap__block_home_group(block, probe->hash);
  /* Relaxed: we hold the lock. */
  uint64_t hi = cmap__load_relaxed(&group->hi);
  uint64_t lo = cmap__load_relaxed(&group->lo);
  unsigned match = cmap__group_match_hash(lo, hi, probe->hash);
  _Atomic uint64_t *slots =
      cmap__block_home_slots(block, probe->hash, CMAP__SHORT_SLOT_WORDS);

  for (; match != 0; match &= match - 1) {
    unsigned index = (unsigned)__builtin_ctz(match);
    _Atomic uint64_t *slot = slots + index * CMAP__SHORT_SLOT_WORDS;
    if (cmap__likely(
            cmap__key_equal(layout, CMAP__SHORT_STRING, true, slot, probe))) {
      place->group = group;
      place->slot = slot;
      place->index = index;
      return true;
    }
  }
  return false;
}

#endif
