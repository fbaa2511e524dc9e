/*
 * Getting an object: at once, or by building it, or by waiting for it.
 */
#include "store/build.h"

/*
 * One more reference, unless it has none. No load comes first, as in
 * cmap__shardlock_try_read: most objects have the map's reference alone.
 */
static bool ref_unless_free(struct cmap__object *header)
{
  uint64_t refs = 1;

  /* Ends: a failure means that the guess was wrong, or that another thread got
   * on. Acquire: the object was made before its first reference. */
  do {
    if (cmap__likely(cmap__cas_weak_acquire(&header->refs, &refs, refs + 1)))
      return true;
  } while (refs != 0);
  return false;
}

/*
 * Read, take a reference, look again: if the entry still says the same, the
 * reference is one of the key's object; else it is of whatever the header has
 * become, and is given back. CMAP_BUSY: this look does not tell.
 *
 * A word changes by one store, without a section. So the second look compares
 * the word, and the group's count: with the same count it is the same entry.
 */
CMAP__ALWAYS_INLINE enum cmap_status find_as(const struct cmap *map,
                                             enum cmap__shape shape,
                                             const struct cmap__probe *probe,
                                             struct cmap__object **header)
{
  struct cmap__peek peek = cmap__peek(&map->table, shape, probe);
  const _Atomic uint64_t *hi = &peek.place.group->hi;
  const _Atomic uint64_t *at;
  uint64_t word;

  if (cmap__unlikely(!peek.found || !cmap__seq_is_stable(peek.hi)))
    return CMAP_BUSY;
  at = peek.place.slot + map->table.layout.value_word;
  word = cmap__payload_load(at);
  /* Relaxed, here and below: behind acquire loads. */
  if (cmap__unlikely(cmap__load_relaxed(hi) != peek.hi))
    return CMAP_BUSY;
  if (cmap__unlikely(cmap__word_kind(word) != CMAP__WORD_OBJECT))
    return CMAP_NOT_FOUND;
  *header = cmap__word_pointer(word);
  if (cmap__unlikely(!ref_unless_free(*header)))
    return CMAP_BUSY;
  if (cmap__likely(cmap__payload_load(at) == word &&
                   cmap__load_relaxed(hi) == peek.hi))
    return CMAP_OK;
  cmap__object_unref(*header);
  return CMAP_BUSY;
}

static enum cmap_status find_without_lock(struct cmap__request *r,
                                          struct cmap__object **header)
{
  struct cmap *map = r->store->map;
  const struct cmap__probe *probe = &r->call.probe;
  enum cmap_status status = CMAP_BUSY;

  if (!map->table.layout.lock_free || probe->large)
    return CMAP_BUSY;
  switch (map->table.layout.shape) {
  case CMAP__SHAPE_WORD:
  case CMAP__SHAPE_INTEGER:
    status = find_as(map, CMAP__SHAPE_INTEGER, probe, header);
    break;
  case CMAP__SHAPE_PAIR:
    status = find_as(map, CMAP__SHAPE_PAIR, probe, header);
    break;
  case CMAP__SHAPE_SHORT:
    status = find_as(map, CMAP__SHAPE_SHORT, probe, header);
    break;
  default:
    status = find_as(map, CMAP__SHAPE_WORDS, probe, header);
  }
  /* Not in its home group: is it in none? */
  if (status == CMAP_BUSY &&
      cmap__call_read(map, &r->call, NULL) == CMAP_NOT_FOUND)
    return CMAP_NOT_FOUND;
  return status;
}

/*
 * The short way: u64 keys, the object is there, and nobody is in the way.
 * No address of a local leaves this function.
 */
CMAP__ALWAYS_INLINE bool get_at_once(struct cmap_store *store,
                                     struct cmap_key key,
                                     const struct cmap_how *how,
                                     struct cmap_handle *handle)
{
  struct cmap__object *header;
  struct cmap__probe probe;
  const struct cmap *map;

  if (cmap__unlikely(store == NULL || how != NULL || handle == NULL))
    return false;
  map = store->map;
  if (cmap__unlikely(map->reads != CMAP__SHAPE_WORD) ||
      cmap__unlikely(!cmap__probe_fill(&map->table.layout, CMAP__SHAPE_WORD,
                                       key, NULL, &probe)) ||
      cmap__unlikely(find_as(map, CMAP__SHAPE_WORD, &probe, &header) !=
                     CMAP_OK))
    return false;
  cmap__count(&store->counts, CMAP__COUNT_HITS, 1);
  cmap__handle_fill(handle, header);
  return true;
}

enum cmap_status cmap__store_find(struct cmap__request *r,
                                  struct cmap__object **header)
{
  enum cmap_status status = find_without_lock(r, header);
  uint64_t word;

  if (cmap__likely(status != CMAP_BUSY))
    return status;
  while (cmap__call_lock(r->store->map, &r->call, CMAP__READ) != CMAP_OK)
    cmap__pause(); /* see cmap__request_lock */
  status = CMAP_NOT_FOUND;
  if (r->call.found) {
    word = cmap__load_relaxed(cmap__request_word(r)); /* lock held */
    if (cmap__word_kind(word) == CMAP__WORD_OBJECT) {
      *header = cmap__word_pointer(word);
      cmap__object_ref(*header); /* the map has one */
      status = CMAP_OK;
    }
  }
  cmap__request_unlock(r);
  return status;
}

static CMAP__NOINLINE enum cmap_status get_object(struct cmap_store *store,
                                                  struct cmap_key key,
                                                  struct cmap_handle *handle,
                                                  const struct cmap_how *how)
{
  struct cmap__object *header;
  struct cmap__request r;
  enum cmap_status status = cmap__request_begin(store, key, how, &r);

  cmap__handle_clear(handle);
  if (status != CMAP_OK)
    return status;
  if (CMAP__MISSING(handle))
    return CMAP_EINVAL;
  status = cmap__store_find(&r, &header);
  cmap__count(&store->counts,
              status == CMAP_OK ? CMAP__COUNT_HITS : CMAP__COUNT_MISSES, 1);
  if (status == CMAP_OK)
    cmap__handle_fill(handle, header);
  return status;
}

enum cmap_status cmap_store_get(struct cmap_store *store, struct cmap_key key,
                                struct cmap_handle *handle,
                                const struct cmap_how *how)
{
  if (cmap__likely(get_at_once(store, key, how, handle)))
    return CMAP_OK;
  return get_object(store, key, handle, how);
}

/*
 * The key is in the map. Shard lock held. False: what is there is a failure
 * that is out of date. The results are those of cmap__store_enter.
 */
static bool enter_present(struct cmap__request *r, bool waits,
                          struct cmap__object **header,
                          struct cmap__flight **flight,
                          enum cmap_status *status)
{
  uint64_t word = cmap__load_relaxed(cmap__request_word(r)); /* lock held */
  void *pointer = cmap__word_pointer(word);
  const struct cmap__failure *failure;

  *status = CMAP_OK;
  switch (cmap__word_kind(word)) {
  case CMAP__WORD_OBJECT:
    *header = pointer;
    cmap__object_ref(*header);
    return true;
  case CMAP__WORD_FLIGHT:
    *flight = pointer;
    pthread_mutex_lock(&(*flight)->mutex);
    (*flight)->refs++;
    (*flight)->waiters += waits;
    pthread_mutex_unlock(&(*flight)->mutex);
    return true;
  default:
    failure = pointer;
    *status = failure->status;
    return cmap__now_ns() < failure->until_ns;
  }
}

/* Puts a flight there. Shard lock held. CMAP_ENOMEM */
static enum cmap_status launch(struct cmap__request *r,
                               struct cmap__flight *flight, uint64_t *old)
{
  uint64_t word = cmap__word_of(flight, CMAP__WORD_FLIGHT);

  if (!r->call.found)
    return cmap__call_put_word(r->store->map, &r->call, word);
  *old = cmap__load_relaxed(cmap__request_word(r)); /* lock held */
  cmap__payload_store(cmap__request_word(r), word);
  return CMAP_OK;
}

enum cmap_status cmap__store_enter(struct cmap__request *r, bool waits,
                                   struct cmap__object **header,
                                   struct cmap__flight **flight, bool *mine)
{
  struct cmap__object *fresh = cmap__header_take(r->store);
  struct cmap__flight *own = fresh ? cmap__flight_new(r->store) : NULL;
  enum cmap_status status;
  uint64_t old = 0;

  *header = NULL;
  *flight = NULL;
  *mine = false;
  cmap__request_lock(r);
  if (!r->call.found || !enter_present(r, waits, header, flight, &status)) {
    status = own == NULL ? CMAP_ENOMEM : launch(r, own, &old);
    *mine = status == CMAP_OK;
  }
  cmap__request_unlock(r);
  if (old != 0)
    cmap__word_drop(r->store, old);
  if (*mine) {
    *header = fresh;
    *flight = own;
    return CMAP_OK;
  }
  if (own != NULL)
    cmap__flight_unref(own, 2);
  if (fresh != NULL)
    cmap__header_give(fresh);
  return status;
}

/* A constructor at work. */
struct building {
  struct cmap__request *request;
  struct cmap__flight *flight; /* NULL: of a refresh */
  struct cmap__object *header; /* to be used; NULL: no memory */
  struct cmap_key key;
  cmap_build_fn *build;
  void *ctx;
  void *object;
  enum cmap_status status;
  uint64_t since_ns;
  struct cmap__hold *hold; /* that others may wait for the flight */
};

static void end_timing(struct building *b)
{
  struct cmap_store *store = b->request->store;

  cmap__count(&store->counts, CMAP__COUNT_BUILD_NS,
              cmap__now_ns() - b->since_ns);
  cmap__sub_release(&store->running, 1);
}

/* The thread ends inside the constructor. */
static void abandon(void *building)
{
  struct building *b = building;
  struct cmap__object *none = NULL;

  b->hold->object = NULL; /* nobody will wait for it any more */
  end_timing(b);
  cmap__header_give(b->header);
  if (b->flight == NULL)
    cmap__count(&b->request->store->counts, CMAP__COUNT_ABANDONED, 1);
  else if (cmap__flight_end(b->request, b->flight, CMAP_EABANDONED, &none) ==
           CMAP_OK)
    cmap__object_unref(none);
}

/* Calls the constructor; no lock is held. */
static void run(struct building *b)
{
  b->object = NULL;
  b->since_ns = cmap__now_ns();
  cmap__add_release(&b->request->store->running, 1);
  b->hold = cmap__hold_next();
  b->hold->object = b->flight;
  b->hold->first = b->hold->last = 0;
  b->hold->mode = CMAP__WRITE;
  b->hold->lock = NULL;
  ((struct cmap__record *)b->hold)->ended = NULL; /* abandon() does it */
  cmap__hold_begin(b->hold);
  pthread_cleanup_push(abandon, b);
  b->status = b->build(b->key, &b->object, b->ctx);
  pthread_cleanup_pop(0);
  cmap__hold_end(b->hold);
  end_timing(b);
  if (CMAP__WRONG(b->status == CMAP_OK && b->object == NULL,
                  "build has returned CMAP_OK without an object"))
    b->status = CMAP_EINVAL;
  if (b->status == CMAP_OK)
    cmap__object_init(b->header, b->object);
}

/* Builds what the flight is for. */
static enum cmap_status construct(struct building *b,
                                  struct cmap_handle *handle)
{
  struct cmap__object *header = NULL;
  enum cmap_status status;

  b->status = CMAP_ENOMEM;
  if (b->header != NULL)
    run(b);
  if (b->status == CMAP_OK)
    header = b->header;
  else if (b->header != NULL)
    cmap__header_give(b->header);
  status = cmap__flight_end(b->request, b->flight, b->status, &header);
  if (status == CMAP_OK)
    cmap__handle_fill(handle, header);
  return status;
}

static CMAP__NOINLINE enum cmap_status
get_or_create_any(struct cmap_store *store, struct cmap_key key,
                  struct cmap_handle *handle, cmap_build_fn *build, void *ctx,
                  const struct cmap_how *how)
{
  struct cmap__request r;
  struct building b = {.request = &r, .key = key, .build = build, .ctx = ctx};
  struct cmap__object *header;
  bool mine;
  enum cmap_status status = cmap__request_begin(store, key, how, &r);

  cmap__handle_clear(handle);
  if (status != CMAP_OK)
    return status;
  if (CMAP__MISSING(handle) || CMAP__MISSING(build))
    return CMAP_EINVAL;
  if (cmap__likely(cmap__store_find(&r, &header) == CMAP_OK)) {
    cmap__count(&store->counts, CMAP__COUNT_HITS, 1);
    cmap__handle_fill(handle, header);
    return CMAP_OK;
  }
  cmap__count(&store->counts, CMAP__COUNT_MISSES, 1);
  if (!cmap__hold_prepare())
    return CMAP_ENOMEM;
  status = cmap__store_enter(&r, true, &header, &b.flight, &mine);
  if (status != CMAP_OK)
    return status;
  if (b.flight != NULL && !mine) {
    status = cmap__flight_wait(b.flight, &r.patience, &header, &mine);
    if (status != CMAP_OK)
      return status;
    if (mine)
      header = cmap__header_take(store);
  }
  if (!mine) {
    cmap__handle_fill(handle, header);
    return CMAP_OK;
  }
  b.header = header;
  return construct(&b, handle);
}

enum cmap_status cmap_store_get_or_create(struct cmap_store *store,
                                          struct cmap_key key,
                                          struct cmap_handle *handle,
                                          cmap_build_fn *build, void *ctx,
                                          const struct cmap_how *how)
{
  if (cmap__likely(build != NULL && get_at_once(store, key, how, handle)))
    return CMAP_OK;
  return get_or_create_any(store, key, handle, build, ctx, how);
}

enum cmap_status cmap_store_refresh(struct cmap_store *store,
                                    struct cmap_key key,
                                    struct cmap_handle *handle,
                                    cmap_build_fn *build, void *ctx,
                                    const struct cmap_how *how)
{
  struct cmap__request r;
  struct building b = {.request = &r, .key = key, .build = build, .ctx = ctx};
  enum cmap_status status = cmap__request_begin(store, key, how, &r);

  cmap__handle_clear(handle);
  if (status != CMAP_OK)
    return status;
  if (CMAP__MISSING(build))
    return CMAP_EINVAL;
  if (!cmap__hold_prepare())
    return CMAP_ENOMEM;
  b.header = cmap__header_take(store);
  if (b.header == NULL)
    return CMAP_ENOMEM;
  run(&b);
  if (b.status != CMAP_OK) {
    cmap__count(&store->counts, CMAP__COUNT_FAILED, 1);
    cmap__header_give(b.header);
    return b.status;
  }
  cmap__count(&store->counts, CMAP__COUNT_DONE, 1);
  status = cmap__store_replace(&r, b.header, handle);
  if (status != CMAP_OK)
    cmap__object_unref(b.header);
  return status;
}

size_t cmap_store_waiters(struct cmap_store *store, struct cmap_key key)
{
  struct cmap__request r;
  size_t waiters = 0;

  if (cmap__request_begin(store, key, NULL, &r) != CMAP_OK)
    return 0;
  cmap__request_lock(&r);
  if (r.call.found) {
    uint64_t word = cmap__load_relaxed(cmap__request_word(&r)); /* held */
    if (cmap__word_kind(word) == CMAP__WORD_FLIGHT) {
      struct cmap__flight *flight = cmap__word_pointer(word);
      pthread_mutex_lock(&flight->mutex);
      waiters = flight->waiters;
      pthread_mutex_unlock(&flight->mutex);
    }
  }
  cmap__request_unlock(&r);
  return waiters;
}
