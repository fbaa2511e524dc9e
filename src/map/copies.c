/*
 * Copying entries out of held shards.
 */
#include "map/copies.h"

#include "base/alloc.h"

bool cmap__copies_keys(const struct cmap *map)
{
  const struct cmap__user *user = map->table.layout.user;

  return user->key_destroy == NULL || user->key_copy != NULL;
}

enum cmap_status cmap__copies_init(const struct cmap__layout *layout,
                                   struct cmap__copies *copies, size_t capacity,
                                   enum cmap_snapshot_parts parts)
{
  copies->words = NULL;
  copies->count = 0;
  copies->capacity = capacity;
  copies->half = false;
  copies->bytes = capacity * cmap__layout_slot_bytes(layout);
  copies->parts = parts;
  if (copies->bytes == 0)
    return CMAP_OK;
  copies->words =
      cmap__alloc(&layout->allocator, copies->bytes, CMAP__CACHE_LINE);
  return copies->words == NULL ? CMAP_ENOMEM : CMAP_OK;
}

/* The stored key, made anew. */
static enum cmap_status copy_key(const struct cmap__layout *layout,
                                 const _Atomic uint64_t *slot, uint64_t *to)
{
  unsigned key_end = (unsigned)layout->key_word + layout->key_words;
  uint64_t hash = cmap__slot_hash(layout, slot);
  struct cmap__key_image key;
  struct cmap__probe probe;
  enum cmap_status status =
      cmap__probe_init(layout, cmap__slot_key(layout, slot), &hash, &probe);

  if (status == CMAP_OK)
    status = cmap__key_image_init(layout, &probe, &key);
  for (unsigned i = 0; status == CMAP_OK && i < key_end;
       i = cmap__key_next(layout, i))
    to[i] = key.words[i];
  return status;
}

static enum cmap_status copy_value(const struct cmap__layout *layout,
                                   _Atomic uint64_t *slot, uint64_t *to)
{
  struct cmap__value_image value;
  enum cmap_status status =
      cmap__value_image_copy(layout, cmap__slot_value(layout, slot), &value);

  if (status == CMAP_OK)
    cmap__value_words_store(layout, cmap__payload_of(to), value.words);
  return status;
}

enum cmap_status cmap__copy_entry(const struct cmap__layout *layout,
                                  _Atomic uint64_t *slot, uint64_t *to,
                                  enum cmap_snapshot_parts parts, bool *half)
{
  enum cmap_status status = CMAP_OK;

  if (layout->shape == CMAP__SHAPE_WORD && !layout->owns_anything) {
    to[0] = cmap__load_relaxed(slot); /* lock held */
    to[1] = cmap__load_relaxed(slot + 1);
    return CMAP_OK;
  }
  if (parts != CMAP_VALUES_ONLY)
    status = copy_key(layout, slot, to);
  if (status == CMAP_OK && parts != CMAP_KEYS_ONLY) {
    status = copy_value(layout, slot, to);
    *half = status != CMAP_OK && parts != CMAP_VALUES_ONLY;
  }
  return status;
}

enum cmap_status cmap__copies_add(const struct cmap__layout *layout,
                                  struct cmap__copies *copies,
                                  struct cmap__cursor *cursor)
{
  enum cmap_status status = CMAP_OK;
  struct cmap__place place;

  while (status == CMAP_OK && cmap__cursor_next(layout, cursor, &place)) {
    status = cmap__copy_entry(
        layout, place.slot, copies->words + copies->count * layout->slot_words,
        copies->parts, &copies->half);
    if (status == CMAP_OK)
      copies->count++;
  }
  return status;
}

enum cmap_status cmap__copies_take(const struct cmap__layout *layout,
                                   const struct cmap__visit *visit,
                                   struct cmap__copies *copies)
{
  struct cmap__cursor cursor = cmap__visit_cursor(visit);
  enum cmap_status status =
      cmap__copies_init(layout, copies, cmap__shard_count(visit->locked.shard),
                        CMAP_KEYS_AND_VALUES);

  return status == CMAP_OK ? cmap__copies_add(layout, copies, &cursor) : status;
}

void cmap__copies_free(const struct cmap__layout *layout,
                       struct cmap__copies *copies, size_t first)
{
  for (size_t i = first; i < copies->count && layout->owns_anything; i++) {
    uint64_t *words = copies->words + i * layout->slot_words;
    if (copies->parts == CMAP_KEYS_AND_VALUES)
      cmap__slot_words_release(layout, words, NULL);
    else if (copies->parts == CMAP_KEYS_ONLY)
      cmap__key_words_destroy(layout, words);
    else
      cmap__value_words_release(layout, cmap__copied_value(layout, words),
                                NULL);
  }
  if (copies->half)
    cmap__key_words_destroy(layout,
                            copies->words + copies->count * layout->slot_words);
  cmap__free(&layout->allocator, copies->words, copies->bytes,
             CMAP__CACHE_LINE);
}
