/*
 * Changing what the store has: put, remove, forget, clear; and walking it.
 */
#include "store/flight.h"

/*
 * Lets the key have the object, whose one reference is the map's; *old is the
 * word that was there, or 0. A flight that was there is decided: the object is
 * what its builder and those who wait get.
 */
static enum cmap_status store_word(struct cmap__request *r,
                                   struct cmap__object *header, uint64_t *old)
{
  uint64_t word = cmap__word_of(header, CMAP__WORD_OBJECT);
  enum cmap_status status = CMAP_OK;

  *old = 0;
  cmap__request_lock(r);
  if (r->call.found) {
    *old = cmap__load_relaxed(cmap__request_word(r)); /* lock held */
    cmap__payload_store(cmap__request_word(r), word);
    if (cmap__word_kind(*old) == CMAP__WORD_FLIGHT)
      (void)cmap__flight_decide(cmap__word_pointer(*old), header);
  } else {
    status = cmap__call_put_word(r->store->map, &r->call, word);
  }
  if (status == CMAP_OK)
    cmap__add_release(&r->store->objects, 1);
  cmap__request_unlock(r);
  return status;
}

enum cmap_status cmap__store_replace(struct cmap__request *r,
                                     struct cmap__object *header,
                                     struct cmap_handle *handle)
{
  enum cmap_status status;
  uint64_t old;
  int cancel;

  if (handle != NULL)
    cmap__object_ref(header);
  status = store_word(r, header, &old);
  if (status != CMAP_OK) {
    if (handle != NULL)
      cmap__object_unref(header);
    return status;
  }
  cancel = cmap__cancel_disable();
  if (old != 0 && cmap__word_kind(old) == CMAP__WORD_FLIGHT)
    cmap__flight_tell(cmap__word_pointer(old));
  if (old != 0)
    cmap__word_drop(r->store, old);
  cmap__cancel_restore(cancel);
  if (handle != NULL)
    cmap__handle_fill(handle, header);
  return CMAP_OK;
}

enum cmap_status cmap_store_put(struct cmap_store *store, struct cmap_key key,
                                void *object, struct cmap_handle *handle,
                                const struct cmap_how *how)
{
  struct cmap__object *header;
  struct cmap__request r;
  enum cmap_status status = cmap__request_begin(store, key, how, &r);

  cmap__handle_clear(handle);
  if (status != CMAP_OK)
    return status;
  if (CMAP__MISSING(object))
    return CMAP_EINVAL;
  header = cmap__header_take(store);
  if (header == NULL)
    return CMAP_ENOMEM;
  cmap__object_init(header, object);
  status = cmap__store_replace(&r, header, handle);
  if (status != CMAP_OK) {
    header->object = NULL; /* it stays the caller's */
    cmap__object_unref(header);
  }
  return status;
}

/* Takes the key's word out of the map, objects only if wanted. */
static enum cmap_status take_word(struct cmap_store *store, struct cmap_key key,
                                  const struct cmap_how *how, bool objects)
{
  struct cmap__request r;
  enum cmap_status status = cmap__request_begin(store, key, how, &r);
  uint64_t word;
  int cancel;

  if (status != CMAP_OK)
    return status;
  cmap__request_lock(&r);
  if (r.call.found) {
    word = cmap__load_relaxed(cmap__request_word(&r)); /* lock held */
    if (objects || cmap__word_kind(word) != CMAP__WORD_OBJECT) {
      cancel = cmap__cancel_disable(); /* keys have destructors, too */
      cmap__request_take(&r);
      cmap__word_drop(store, word);
      cmap__cancel_restore(cancel);
      return objects && cmap__word_kind(word) == CMAP__WORD_FAILURE
                 ? CMAP_NOT_FOUND
                 : CMAP_OK;
    }
  }
  cmap__request_unlock(&r);
  return CMAP_NOT_FOUND;
}

enum cmap_status cmap_store_remove(struct cmap_store *store,
                                   struct cmap_key key,
                                   const struct cmap_how *how)
{
  return take_word(store, key, how, true);
}

enum cmap_status cmap_store_forget(struct cmap_store *store,
                                   struct cmap_key key,
                                   const struct cmap_how *how)
{
  return take_word(store, key, how, false);
}

/* The entries of one shard, copied for use without the lock. */
struct copied_entry {
  struct cmap__object *header;
  struct cmap__key_image key;
};

struct object_walk {
  struct cmap_store *store;
  cmap_object_fn *visit;
  void *ctx;
  struct copied_entry *entries;
  size_t count;
};

static enum cmap_status copy_object(const struct cmap__layout *layout,
                                    const struct cmap__place *place,
                                    struct copied_entry *entry)
{
  uint64_t hash = cmap__slot_hash(layout, place->slot);
  struct cmap__probe probe;
  enum cmap_status status = cmap__probe_init(
      layout, cmap__slot_key(layout, place->slot), &hash, &probe);

  if (status == CMAP_OK)
    status = cmap__key_image_init(layout, &probe, &entry->key);
  if (status == CMAP_OK)
    cmap__object_ref(entry->header); /* the map has one */
  return status;
}

/* Copies the objects of a shard that is held to read. */
static enum cmap_status copy_shard(const struct cmap__layout *layout,
                                   const struct cmap__visit *visit,
                                   struct object_walk *walk)
{
  struct cmap__cursor cursor = cmap__visit_cursor(visit);
  struct cmap__place place;
  enum cmap_status status = CMAP_OK;

  while (status == CMAP_OK && cmap__cursor_next(layout, &cursor, &place)) {
    uint64_t word =
        cmap__load_relaxed(place.slot + layout->value_word); /* lock held */
    if (cmap__word_kind(word) != CMAP__WORD_OBJECT)
      continue;
    walk->entries[walk->count].header = cmap__word_pointer(word);
    status = copy_object(layout, &place, &walk->entries[walk->count]);
    if (status == CMAP_OK)
      walk->count++;
  }
  return status;
}

static enum cmap_status visit_shard(struct cmap *map, struct cmap__visit *visit,
                                    void *ctx)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct object_walk *walk = ctx;
  size_t size = cmap__shard_count(visit->locked.shard) * sizeof *walk->entries;
  enum cmap_status status;
  int cancel;

  if (size == 0)
    return CMAP_OK;
  walk->count = 0;
  walk->entries = cmap__store_alloc(walk->store, size, CMAP__CACHE_LINE);
  if (walk->entries == NULL)
    return CMAP_ENOMEM;
  status = copy_shard(layout, visit, walk);
  cmap__locked_release(&visit->locked);
  cancel = cmap__cancel_disable();
  for (size_t i = 0; i < walk->count; i++) {
    struct copied_entry *entry = &walk->entries[i];
    if (status == CMAP_OK)
      status = walk->visit(
          cmap__slot_key(layout, cmap__payload_of(entry->key.words)),
          entry->header->object, walk->ctx);
    cmap__object_unref(entry->header);
    cmap__key_words_destroy(layout, entry->key.words);
  }
  cmap__cancel_restore(cancel);
  cmap__store_free(walk->store, walk->entries, size, CMAP__CACHE_LINE);
  return status;
}

enum cmap_status cmap_store_for_each(struct cmap_store *store,
                                     cmap_object_fn *visit, void *ctx)
{
  struct object_walk walk = {.store = store, .visit = visit, .ctx = ctx};

  if (CMAP__MISSING(store) || CMAP__MISSING(visit))
    return CMAP_EINVAL;
  return cmap__map_walk(store->map, CMAP__READ, NULL, visit_shard, &walk);
}

/* Drops a word that was taken out of the map. */
static enum cmap_status drop_word(struct cmap_key key, void *value, void *store)
{
  uint64_t word;

  (void)key;
  memcpy(&word, value, sizeof word);
  cmap__word_drop(store, word);
  return CMAP_OK;
}

enum cmap_status cmap_store_clear(struct cmap_store *store)
{
  enum cmap_status status;
  int cancel;

  if (CMAP__MISSING(store))
    return CMAP_EINVAL;
  cancel = cmap__cancel_disable();
  /* Refuses no wait: see cmap__request_lock. */
  status = cmap_drain(store->map, drop_word, store, NULL);
  cmap__cancel_restore(cancel);
  return status;
}
