/*
 * Changing what the store has: put, remove, forget, clear; and walking it.
 */
#include "store/refresh.h"

/* Letting the key have another object. */
struct putting {
  struct cmap__request *request;
  struct cmap__object *header; /* with a reference */
  bool keep;
  struct cmap__object *old;    /* that was there */
  uint64_t failure;            /* the word of one that was there, or 0 */
  struct cmap__flight *flight; /* that was decided, with its map's reference */
};

/* The key's word is there, and is given up. Shard lock held. */
static void put_over(struct putting *p)
{
  struct cmap_store *store = p->request->store;
  uint64_t word = cmap__load_relaxed(cmap__request_word(p->request)); /* held */

  if (cmap__word_kind(word) == CMAP__WORD_FAILURE) {
    p->failure = word;
  } else if (cmap__word_kind(word) == CMAP__WORD_FLIGHT) {
    p->flight = cmap__word_pointer(word);
    cmap__store_relaxed(&p->flight->is_out, true); /* a hint */
  } else {
    p->old = cmap__word_pointer(word);
    if (cmap__load_relaxed(&p->old->refreshing)) { /* lock held */
      p->flight = cmap__refresh_of(store, p->old);
      cmap__refresh_end(p->flight);
    }
    cmap__object_out(store, p->old);
  }
  /* Before anybody is told of the new one nobody finds the old one. */
  cmap__payload_store(cmap__request_word(p->request),
                      p->keep ? cmap__word_of(p->header, CMAP__WORD_OBJECT)
                              : CMAP__WORD_NOTHING);
  if (p->flight != NULL)
    (void)cmap__flight_decide(p->flight, p->header);
}

/* A flight that is there is decided: the object is what its builder and those
 * who wait get. */
static enum cmap_status store_word(struct putting *p)
{
  struct cmap__request *r = p->request;
  enum cmap_status status = CMAP_OK;

  cmap__request_lock(r, CMAP__WRITE);
  if (r->call.found)
    put_over(p);
  else if (p->keep)
    status = cmap__call_put_word(r->store->map, &r->call,
                                 cmap__word_of(p->header, CMAP__WORD_OBJECT));
  if (status == CMAP_OK && p->keep)
    cmap__object_in(r->store, p->header, r->call.probe.hash);
  if (r->call.found && !p->keep)
    cmap__request_take(r);
  else
    cmap__request_unlock(r);
  return status;
}

/* What comes after it, without a lock. */
static void end_putting(struct putting *p)
{
  struct cmap_store *store = p->request->store;

  if (p->flight != NULL) {
    cmap__flight_tell(p->flight);
    cmap__flight_unref(p->flight, 1);
  }
  if (p->failure != 0)
    cmap__word_drop(store, p->failure);
  if (p->old != NULL)
    cmap__object_left(store, p->request->key, p->old, CMAP_REPLACED);
  if (!p->keep) {
    cmap__add_relaxed(&store->too_dear, 1); /* a statistic */
    cmap__object_unref(p->header);
  }
  if (store->is_cache)
    cmap__store_tidy(store);
}

enum cmap_status cmap__store_replace(struct cmap__request *r,
                                     struct cmap__object *header, bool keep,
                                     struct cmap_handle *handle)
{
  struct putting p = {.request = r, .header = header, .keep = keep};
  struct cmap__evictions evictions;
  int cancel = cmap__cancel_disable();
  enum cmap_status status;

  cmap__evictions_begin(&evictions);
  if (keep)
    cmap__store_make_room(r, NULL, header, &evictions);
  cmap__object_begin(header, handle != NULL ? 2 : 1);
  status = store_word(&p);
  if (status == CMAP_OK)
    end_putting(&p);
  cmap__evictions_tell(r->store, &evictions);
  cmap__cancel_restore(cancel);
  if (status != CMAP_OK) {
    if (handle != NULL)
      cmap__object_unref(header);
    return status;
  }
  if (handle != NULL)
    cmap__handle_fill(handle, header, CMAP_HIT);
  return CMAP_OK;
}

enum cmap_status cmap_store_put(struct cmap_store *store, struct cmap_key key,
                                void *object, struct cmap_handle *handle,
                                const struct cmap_how *how)
{
  struct cmap__object *header;
  struct cmap__request r;
  bool keep;
  enum cmap_status status = cmap__request_begin(store, key, how, &r);

  cmap__handle_clear(handle);
  if (status != CMAP_OK)
    return status;
  if (CMAP__MISSING(object))
    return CMAP_EINVAL;
  header = cmap__header_take(store);
  if (header == NULL)
    return CMAP_ENOMEM;
  keep = cmap__object_init(store, key, header, object);
  status = cmap__store_replace(&r, header, keep, handle);
  if (status != CMAP_OK) {
    header->object = NULL; /* it stays the caller's */
    cmap__object_unref(header);
  }
  return status;
}

/* Takes the key's object out. Shard lock held, and given up. An object whose
 * time is over was not there. */
static enum cmap_status take_object(struct cmap__request *r,
                                    struct cmap__object *header, uint64_t now)
{
  struct cmap_store *store = r->store;
  bool over = cmap__object_is_over(store, header, now);

  cmap__object_out(store, header);
  cmap__request_take(r);
  cmap__object_left(store, r->key, header, over ? CMAP_EXPIRED : CMAP_DELETED);
  return over ? CMAP_NOT_FOUND : CMAP_OK;
}

/* Takes out a flight or a failure. Shard lock held, and given up. */
static void take_other(struct cmap__request *r, uint64_t word)
{
  cmap__request_take(r);
  cmap__word_drop(r->store, word);
}

/* Lets the object's refresh go on outside the store, if there is one. Shard
 * lock held, and given up. */
static enum cmap_status forget_refresh(struct cmap__request *r,
                                       const struct cmap__object *header)
{
  struct cmap__flight *flight = NULL;

  if (cmap__load_relaxed(&header->refreshing)) { /* lock held */
    flight = cmap__refresh_of(r->store, header);
    cmap__refresh_end(flight);
  }
  cmap__request_unlock(r);
  if (flight == NULL)
    return CMAP_NOT_FOUND;
  cmap__flight_unref(flight, 1);
  return CMAP_OK;
}

/* Takes the key's word out of the map, objects only if wanted. */
static enum cmap_status take_word(struct cmap_store *store, struct cmap_key key,
                                  const struct cmap_how *how, bool objects)
{
  struct cmap__request r;
  enum cmap_status status = cmap__request_begin(store, key, how, &r);
  enum cmap__word_kind kind = CMAP__WORD_OBJECT;
  uint64_t word = 0, now;
  int cancel;

  if (status != CMAP_OK)
    return status;
  now = store->has_times ? cmap__store_now(store) : 0;
  cancel = cmap__cancel_disable(); /* keys have destructors, too */
  cmap__request_lock(&r, CMAP__WRITE);
  if (r.call.found) {
    word = cmap__load_relaxed(cmap__request_word(&r)); /* lock held */
    kind = cmap__word_kind(word);
  }
  status = CMAP_NOT_FOUND;
  if (word != 0 && kind != CMAP__WORD_OBJECT) {
    take_other(&r, word);
    if (!objects || kind == CMAP__WORD_FLIGHT)
      status = CMAP_OK;
  } else if (word != 0 && objects) {
    status = take_object(&r, cmap__word_pointer(word), now);
  } else if (word != 0) {
    status = forget_refresh(&r, cmap__word_pointer(word));
  } else {
    cmap__request_unlock(&r);
  }
  cmap__cancel_restore(cancel);
  return status;
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
  uint64_t now;
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
    if (cmap__word_kind(word) != CMAP__WORD_OBJECT ||
        cmap__object_is_over(walk->store, cmap__word_pointer(word), walk->now))
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
  cancel = cmap__cancel_disable();
  walk->count = 0;
  walk->entries = cmap__store_alloc(walk->store, size, CMAP__CACHE_LINE);
  if (walk->entries == NULL) {
    cmap__cancel_restore(cancel);
    return CMAP_ENOMEM;
  }
  status = copy_shard(layout, visit, walk);
  cmap__locked_release(&visit->locked);
  for (size_t i = 0; i < walk->count; i++) {
    struct copied_entry *entry = &walk->entries[i];
    if (status == CMAP_OK)
      status = walk->visit(
          cmap__slot_key(layout, cmap__payload_of(entry->key.words)),
          entry->header->object, walk->ctx);
    cmap__object_unref(entry->header);
    cmap__key_words_destroy(layout, entry->key.words);
  }
  cmap__store_free(walk->store, walk->entries, size, CMAP__CACHE_LINE);
  cmap__cancel_restore(cancel);
  return status;
}

enum cmap_status cmap_store_for_each(struct cmap_store *store,
                                     cmap_object_fn *visit, void *ctx)
{
  struct object_walk walk = {.store = store, .visit = visit, .ctx = ctx};

  if (CMAP__MISSING(store) || CMAP__MISSING(visit))
    return CMAP_EINVAL;
  walk.now = store->has_times ? cmap__store_now(store) : 0;
  return cmap__map_walk(store->map, CMAP__READ, NULL, visit_shard, &walk);
}

/* Drops a word that was taken out of the map. */
static enum cmap_status drop_word(struct cmap_key key, void *value, void *store)
{
  uint64_t word;

  memcpy(&word, value, sizeof word);
  if (cmap__word_kind(word) == CMAP__WORD_OBJECT) {
    cmap__object_out(store, cmap__word_pointer(word));
    cmap__object_left(store, key, cmap__word_pointer(word), CMAP_CLEARED);
  } else {
    cmap__word_drop(store, word);
  }
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
