/*
 * The lock-free read.
 *
 * A reader finds the group by the directory, looks at its count, searches,
 * copies, and looks at the count again; before it follows a slot's pointer to a
 * box, too. It writes no shared memory and runs no user code.
 * docs/memory-model.md argues why it is right; in short:
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
 * One source for all shapes: an inline body with the shape constant.
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

/* A read under way: what the hash says, and where the probe stands. */
struct cmap__read {
  const struct cmap__table *table;
  const struct cmap__probe *probe;
  uintptr_t block;
  size_t mask; /* groups of the block, less one */
  size_t at;   /* the group */
};

CMAP__ALWAYS_INLINE struct cmap__read
cmap__read_begin(const struct cmap__table *table, enum cmap__shape shape,
                 const struct cmap__probe *probe)
{
  const struct cmap__form form = cmap__form_of(&table->layout, shape);
  struct cmap__read read = {.table = table, .probe = probe};
  struct cmap__directory_array *array =
      cmap__directory_current(&table->directory);

  read.block = cmap__load_acquire(
      &cmap__directory_at(array, probe->hash)->block); /* [D2] */
  read.mask = cmap__block_mask(read.block);
  read.at = cmap__block_home(read.block, probe->hash);
  if (array->is_large)
    cmap__prefetch_preferred(cmap__block_slots(read.block) +
                                 read.at * CMAP__GROUP_SLOTS * form.slot_words,
                             form.slot_words, probe->hash);
  return read;
}

/* The value that is a word, in the caller's memory. */
CMAP__ALWAYS_INLINE void cmap__word_copy_out(const struct cmap__layout *layout,
                                             enum cmap__shape shape, void *to,
                                             uint64_t word)
{
  size_t size = layout->value_size;

  /* The sizes that nearly all have, without a call. */
  if (shape == CMAP__SHAPE_WORD || cmap__likely(size == 8))
    memcpy(to, &word, 8);
  else if (cmap__likely(size == 4))
    memcpy(to, &word, 4);
  else
    cmap__store_part(to, word, size);
}

/*
 * Copies the value of a slot to `value` (NULL: nowhere), straight to it if it
 * is larger than a word: what is there without success is anything then. True:
 * the group's word is still the one that was `seen`, so that key and value were
 * there at one moment. `boxed`: values may be in boxes.
 */
CMAP__ALWAYS_INLINE bool cmap__read_value(const struct cmap__layout *layout,
                                          enum cmap__shape shape, bool boxed,
                                          const _Atomic uint64_t *slot,
                                          const _Atomic uint64_t *hi,
                                          uint64_t seen, void *value)
{
  const struct cmap__form form = cmap__form_of(layout, shape);
  const _Atomic uint64_t *words = slot + form.value_word;
  uint64_t word = 0;

  boxed = boxed && layout->value_boxed && value != NULL;
  if (cmap__unlikely(boxed)) {
    word = cmap__payload_load(words);
    /* Relaxed, here and below: behind acquire loads. */
    if (!cmap__seq_is_stable(seen) || cmap__load_relaxed(hi) != seen)
      return false;
    words = (const _Atomic uint64_t *)(uintptr_t)word;
  }
  if (form.packed)
    word = cmap__word_of_half(cmap__payload_load_half(slot, 1));
  else if (form.value_words == 1)
    cmap__payload_copy_out(&word, words, 1);
  else if (value != NULL)
    cmap__payload_copy_bytes(value, words, layout->value_size);
  if (cmap__unlikely(cmap__load_relaxed(hi) != seen))
    return false;
  if (form.value_words == 1 && value != NULL)
    cmap__word_copy_out(layout, shape, value, word);
  return true;
}

/*
 * Looks into one group. A hit's value goes to `value` (cmap__read_value). A
 * miss is one as far as this group goes, with rule (a) kept; *hi is the word
 * that was seen.
 */
CMAP__ALWAYS_INLINE enum cmap__read_result
cmap__read_group(const struct cmap__read *read, enum cmap__shape shape,
                 void *value, uint64_t *hi)
{
  const struct cmap__layout *layout = &read->table->layout;
  const struct cmap__form form = cmap__form_of(layout, shape);
  const struct cmap__probe *probe = read->probe;
  struct cmap__group *group = cmap__block_group(read->block, read->at);
  uint64_t word = cmap__load_acquire(&group->hi); /* [Q1] */
  uint64_t lo = cmap__load_acquire(&group->lo);   /* [Q2] */
  unsigned match = cmap__group_match(lo, word, cmap__hash_tag(probe->hash));

  *hi = word;
  if (cmap__unlikely(!cmap__seq_is_stable(word)))
    return CMAP__READ_AGAIN;
  for (; match != 0; match &= match - 1) {
    unsigned index = (unsigned)__builtin_ctz(match);
    const _Atomic uint64_t *slot =
        cmap__block_slots(read->block) +
        (read->at * CMAP__GROUP_SLOTS + index) * form.slot_words;
    if (cmap__unlikely(
            !cmap__key_equal(layout, shape, &group->hi, word, slot, probe)))
      continue;
    return cmap__likely(cmap__read_value(layout, shape, true, slot, &group->hi,
                                         word, value))
               ? CMAP__READ_HIT
               : CMAP__READ_AGAIN;
  }
  /* (a): acquire, so that the look at the count comes after it. */
  if (cmap__unlikely(cmap__directory_block(&read->table->directory,
                                           probe->hash) != read->block) ||
      cmap__unlikely(cmap__load_relaxed(&group->hi) != word))
    return CMAP__READ_AGAIN;
  return CMAP__READ_MISS;
}

/*
 * Reads the first slot with the key's tag, of the group's `slots`. `hi`: its
 * word at the first look; `match`: slots with the tag. False: it is another
 * key's, or the group has changed.
 */
CMAP__ALWAYS_INLINE bool
cmap__read_first(const struct cmap__layout *layout, enum cmap__shape shape,
                 const struct cmap__group *group, uint64_t hi, unsigned match,
                 const _Atomic uint64_t *slots, const struct cmap__probe *probe,
                 void *value)
{
  const struct cmap__form form = cmap__form_of(layout, shape);
  const _Atomic uint64_t *slot =
      slots + (unsigned)__builtin_ctz(match) * form.slot_words;

  return cmap__likely(
             cmap__key_equal(layout, shape, &group->hi, hi, slot, probe)) &&
         cmap__likely(cmap__seq_is_stable(hi)) &&
         cmap__likely(cmap__read_value(layout, shape, false, slot, &group->hi,
                                       hi, value));
}

/*
 * Reads the first slot with the key's tag in the home group, which nearly
 * always is the key's; or finds that there is none, and that the key is in no
 * other group. AGAIN: anything else. `ahead`: the slot is asked for early if
 * the table is large; false if the caller has done so, and knows better which.
 * The value goes to `value` (cmap__read_value); none is in a box.
 *
 * For the short ways. Of a table that is not in a cache, a processor reads for
 * as many calls at once as it has room for instructions: the fewer, the faster
 * (docs/benchmarks.md).
 */
CMAP__ALWAYS_INLINE enum cmap__read_result
cmap__read_home(const struct cmap__table *table, enum cmap__shape shape,
                const struct cmap__probe *probe, bool ahead, void *value)
{
  const struct cmap__layout *layout = &table->layout;
  const struct cmap__form form = cmap__form_of(layout, shape);
  struct cmap__directory_array *array =
      cmap__directory_current(&table->directory);
  uintptr_t block = cmap__load_acquire(
      &cmap__directory_at(array, probe->hash)->block); /* [D2] */
  const struct cmap__group *group = cmap__block_home_group(block, probe->hash);
  const _Atomic uint64_t *slot =
      cmap__block_home_slots(block, probe->hash, form.slot_words);
  unsigned match;
  uint64_t hi;

  if (ahead && array->is_large)
    cmap__prefetch_preferred(slot, form.slot_words, probe->hash);
  hi = cmap__load_acquire(&group->hi); /* [Q1] */
  match = cmap__group_match_shared(group, hi, probe->hash);
  if (match == 0) {
    /* Rule (a): acquire, so that the look at the count comes after them. (b)
     * is the same look, as there is no other group. */
    if (cmap__unlikely(cmap__directory_block(&table->directory, probe->hash) !=
                       block) ||
        cmap__unlikely(cmap__load_relaxed(&group->hi) != hi) ||
        cmap__unlikely(!cmap__seq_is_stable(hi)) ||
        cmap__unlikely(cmap__group_overflowed(hi, probe->hash)))
      return CMAP__READ_AGAIN;
    return CMAP__READ_MISS;
  }
  return cmap__likely(cmap__read_first(layout, shape, group, hi, match, slot,
                                       probe, value))
             ? CMAP__READ_HIT
             : CMAP__READ_AGAIN;
}

/*
 * The same in pieces, for a caller that does other things in between: the
 * group, then the first look at its count and its tags, then the slot and the
 * second look. However far the looks are apart, a hit is one.
 */
struct cmap__read_ahead {
  const struct cmap__group *group;
  const _Atomic uint64_t *slot; /* the group's first; then the first with the
                                   key's tag, or NULL */
  uint64_t hi;                  /* at the first look */
};

/* Names the home group. */
CMAP__ALWAYS_INLINE void cmap__read_ahead_group(const struct cmap__table *table,
                                                enum cmap__shape shape,
                                                uint64_t hash,
                                                struct cmap__read_ahead *ahead)
{
  const struct cmap__form form = cmap__form_of(&table->layout, shape);
  uintptr_t block = cmap__directory_block(&table->directory, hash);

  ahead->group = cmap__block_home_group(block, hash);
  ahead->slot = cmap__block_home_slots(block, hash, form.slot_words);
}

/* Names the first slot with the key's tag. */
CMAP__ALWAYS_INLINE void cmap__read_ahead_slot(const struct cmap__table *table,
                                               enum cmap__shape shape,
                                               uint64_t hash,
                                               struct cmap__read_ahead *ahead)
{
  const struct cmap__form form = cmap__form_of(&table->layout, shape);
  unsigned match;

  ahead->hi = cmap__load_acquire(&ahead->group->hi); /* [Q1] */
  match = cmap__group_match_shared(ahead->group, ahead->hi, hash);
  if (match == 0 || !cmap__seq_is_stable(ahead->hi)) {
    ahead->slot = NULL;
    return;
  }
  ahead->slot += (unsigned)__builtin_ctz(match) * form.slot_words;
}

/* True: the key is there, and its value copied (cmap__read_value). Else it
 * takes another read. */
CMAP__ALWAYS_INLINE bool
cmap__read_ahead_hit(const struct cmap__table *table, enum cmap__shape shape,
                     const struct cmap__probe *probe,
                     const struct cmap__read_ahead *ahead, void *value)
{
  const struct cmap__layout *layout = &table->layout;
  const _Atomic uint64_t *hi = &ahead->group->hi;

  return cmap__likely(ahead->slot != NULL) &&
         cmap__likely(cmap__key_equal(layout, shape, hi, ahead->hi, ahead->slot,
                                      probe)) &&
         cmap__likely(cmap__read_value(layout, shape, false, ahead->slot, hi,
                                       ahead->hi, value));
}

/* Reads in as many groups as the probe has. `value`: as cmap__read_value. */
CMAP__ALWAYS_INLINE enum cmap__read_result
cmap__read_round(const struct cmap__table *table, enum cmap__shape shape,
                 const struct cmap__probe *probe, void *value)
{
  struct cmap__read read = cmap__read_begin(table, shape, probe);
  struct cmap__group *home = cmap__block_group(read.block, read.at);
  uint64_t home_hi = 0;
  size_t step = 0;

  for (;;) {
    uint64_t hi;
    enum cmap__read_result result = cmap__read_group(&read, shape, value, &hi);
    if (result != CMAP__READ_MISS)
      return result;
    if (step == 0)
      home_hi = hi;
    if (!cmap__group_overflowed(hi, probe->hash) || step == read.mask)
      break;
    step++;
    read.at = (read.at + step) & read.mask;
  }
  /* (b): relaxed, behind acquire loads. */
  return cmap__load_relaxed(&home->hi) == home_hi ? CMAP__READ_MISS
                                                  : CMAP__READ_AGAIN;
}

/*
 * A look at a key's home group before the shard is locked. Alone it says
 * nothing; cmap__peek_holds tells, under the lock, whether it is true.
 */
struct cmap__peek {
  struct cmap__place place;
  uintptr_t block;
  uint64_t hi;
  bool found;
  bool decided; /* found in the home group, or in no group */
};

CMAP__ALWAYS_INLINE struct cmap__peek
cmap__peek(const struct cmap__table *table, enum cmap__shape shape,
           const struct cmap__probe *probe)
{
  const struct cmap__layout *layout = &table->layout;
  const struct cmap__form form = cmap__form_of(layout, shape);
  struct cmap__read read = cmap__read_begin(table, shape, probe);
  struct cmap__peek peek = {.block = read.block};
  struct cmap__group *group = cmap__block_group(read.block, read.at);
  uint64_t lo;
  unsigned match;

  peek.hi = cmap__load_acquire(&group->hi); /* [Q1] */
  lo = cmap__load_acquire(&group->lo);      /* [Q2] */
  peek.place.group = group;
  peek.place.tag = cmap__hash_tag(probe->hash);
  match = cmap__group_match(lo, peek.hi, peek.place.tag);
  for (; match != 0; match &= match - 1) {
    unsigned index = (unsigned)__builtin_ctz(match);
    _Atomic uint64_t *slot =
        cmap__block_slots(read.block) +
        (read.at * CMAP__GROUP_SLOTS + index) * form.slot_words;
    if (cmap__likely(
            cmap__key_equal(layout, shape, &group->hi, peek.hi, slot, probe))) {
      peek.place.slot = slot;
      peek.place.index = index;
      peek.found = true;
      break;
    }
  }
  /* Keys that only the lock lets us compare are not decided by a miss. */
  peek.decided =
      cmap__seq_is_stable(peek.hi) &&
      (peek.found || (shape != CMAP__SHAPE_CUSTOM && !probe->large &&
                      !cmap__group_overflowed(peek.hi, probe->hash)));
  return peek;
}

/*
 * Is what the peek saw so, now that the shard is locked? The block is this
 * shard's, and its group has not changed, since counts only grow. Relaxed: the
 * lock orders it.
 */
CMAP__ALWAYS_INLINE bool cmap__peek_holds(const struct cmap__peek *peek,
                                          const struct cmap__shard *shard)
{
  return peek->decided && peek->block == shard->block &&
         cmap__load_relaxed(&peek->place.group->hi) == peek->hi;
}

/* A peek has not found the key: is that so, without the lock? Rules (a) and
 * (b), which are one look, as there is no other group. */
CMAP__ALWAYS_INLINE bool cmap__peek_is_miss(const struct cmap__table *table,
                                            const struct cmap__peek *peek,
                                            uint64_t hash)
{
  /* Acquire, so that the look at the count comes after it. */
  return peek->decided &&
         cmap__directory_block(&table->directory, hash) == peek->block &&
         cmap__load_relaxed(&peek->place.group->hi) == peek->hi;
}

#endif
