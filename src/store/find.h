/*
 * Finding an object without a lock.
 */
#ifndef CMAP__STORE_FIND_H
#define CMAP__STORE_FIND_H

#include "store/borrow.h"
#include "store/store.h"

/*
 * One more reference, unless it has none. No load comes first, as in
 * cmap__shardlock_try_read: most objects have the map's reference alone.
 */
static inline bool cmap__ref_unless_free(struct cmap__object *header)
{
  uint32_t refs = 1;

  /* Ends: a failure means that the guess was wrong, or that another thread got
   * on. Acquire: the object was made before its first reference. */
  do {
    if (cmap__likely(cmap__cas_weak_acquire(&header->refs, &refs, refs + 1)))
      return true;
  } while (refs != 0);
  return false;
}

/*
 * Read, take a reference or borrow, look again: if the entry still says the
 * same, the reference is one of the key's object; else it is of whatever the
 * header has become, and is given back. CMAP_NOT_FOUND: the key has no object,
 * as in cmap__read_home. CMAP_BUSY: this look does not tell.
 *
 * A word changes by one store, without a section. So the second look compares
 * the word, and the group's count: with the same count it is the same entry.
 */
CMAP__ALWAYS_INLINE enum cmap_status
cmap__find_as(const struct cmap *map, enum cmap__shape shape,
              const struct cmap__probe *probe, struct cmap__object **header,
              struct cmap__object *_Atomic *borrowed)
{
  struct cmap__peek peek = cmap__peek(&map->table, shape, probe);
  const _Atomic uint64_t *hi = &peek.place.group->hi;
  const _Atomic uint64_t *at;
  uint64_t word;

  if (cmap__unlikely(!peek.found))
    return cmap__peek_is_miss(&map->table, &peek, probe->hash) ? CMAP_NOT_FOUND
                                                               : CMAP_BUSY;
  if (cmap__unlikely(!cmap__seq_is_stable(peek.hi)))
    return CMAP_BUSY;
  at = peek.place.slot + map->table.layout.value_word;
  word = cmap__payload_load(at);
  /* Relaxed, here and below: behind acquire loads. */
  if (cmap__unlikely(cmap__load_relaxed(hi) != peek.hi))
    return CMAP_BUSY;
  if (cmap__unlikely(cmap__word_kind(word) != CMAP__WORD_OBJECT))
    return CMAP_NOT_FOUND;
  *header = cmap__word_pointer(word);
  if (borrowed != NULL)
    cmap__borrow(borrowed, *header);
  else if (cmap__unlikely(!cmap__ref_unless_free(*header)))
    return CMAP_BUSY;
  if (cmap__likely(cmap__payload_load(at) == word &&
                   cmap__load_relaxed(hi) == peek.hi)) {
    if (borrowed != NULL) /* as the compare-and-swap of a reference acquires */
      (void)cmap__load_acquire(&(*header)->refs);
    return CMAP_OK;
  }
  if (borrowed != NULL)
    cmap__borrowed_give(borrowed, *header);
  else
    cmap__object_unref(*header);
  return CMAP_BUSY;
}

/* The object is used once more. */
static inline void cmap__use(struct cmap__object *header)
{
  uint8_t used = cmap__load_relaxed(&header->used); /* a hint */

  if (used < CMAP__USED_MAX)
    cmap__store_relaxed(&header->used, (uint8_t)(used + 1)); /* a hint */
}

/* What a hit does in a cache: at most a store into the object's own header, and
 * some more once in a sixteenth of its idle time. */
static inline enum cmap__age cmap__hit(struct cmap_store *store,
                                       struct cmap__object *header)
{
  cmap__use(header);
  return store->has_times
             ? cmap__object_hit(header, cmap__store_about_now(store))
             : CMAP__FRESH;
}

#endif
