/*
 * Getting an object: at once, or by building it, or by waiting for it.
 */
#include "store/build.h"
#include "store/find.h"

CMAP__ALWAYS_INLINE enum cmap_status find_as(const struct cmap *map,
                                             enum cmap__shape shape,
                                             const struct cmap__probe *probe,
                                             struct cmap__object **header)
{
  return cmap__find_as(map, shape, probe, header, NULL);
}

CMAP__INSTANCES(enum cmap_status, find,
                (const struct cmap *map, const struct cmap__probe *probe,
                 struct cmap__object **header),
                (map, shape, probe, header))

static enum cmap_status find_by_shape(const struct cmap *map,
                                      const struct cmap__probe *probe,
                                      struct cmap__object **header)
{
  CMAP__RETURN_INSTANCE(map->table.layout.shape, find, (map, probe, header));
  return CMAP_BUSY;
}

static enum cmap_status find_without_lock(struct cmap__request *r,
                                          struct cmap__object **header)
{
  struct cmap *map = r->store->map;
  const struct cmap__probe *probe = &r->call.probe;
  enum cmap_status status;

  if (!map->table.layout.lock_free || probe->large)
    return CMAP_BUSY;
  status = find_by_shape(map, probe, header);
  /* Not in its home group: is it in none? */
  if (status == CMAP_BUSY &&
      cmap__call_read(map, &r->call, NULL) == CMAP_NOT_FOUND)
    return CMAP_NOT_FOUND;
  return status;
}

/* A hit where objects have times; without more to do the reference is given
 * back. */
static CMAP__NOINLINE bool is_fresh(struct cmap_store *store,
                                    struct cmap__object *header)
{
  if (cmap__likely(cmap__hit(store, header) == CMAP__FRESH))
    return true;
  cmap__object_unref(header);
  return false;
}

/*
 * The short way: u64 keys, the object is there or is not, and nobody is in the
 * way; else CMAP_BUSY. No address of a local leaves this function.
 */
CMAP__ALWAYS_INLINE enum cmap_status get_at_once(struct cmap_store *store,
                                                 struct cmap_key key,
                                                 const struct cmap_how *how,
                                                 struct cmap_handle *handle)
{
  struct cmap__object *header;
  struct cmap__probe probe;
  enum cmap_status status;
  const struct cmap *map;

  if (cmap__unlikely(store == NULL || how != NULL || handle == NULL))
    return CMAP_BUSY;
  map = store->map;
  if (cmap__unlikely(map->table.reads != CMAP__SHAPE_WORD) ||
      cmap__unlikely(!cmap__probe_fill(&map->table.layout, CMAP__SHAPE_WORD,
                                       key, NULL, &probe)))
    return CMAP_BUSY;
  status = cmap__find_as(map, CMAP__SHAPE_WORD, &probe, &header, NULL);
  if (cmap__unlikely(status != CMAP_OK))
    return status;
  if (store->is_cache) {
    if (!store->has_times)
      cmap__use(header);
    else if (!is_fresh(store, header))
      return CMAP_BUSY;
  }
  cmap__count(&store->counts, CMAP__COUNT_HITS, 1);
  cmap__handle_fill(handle, header, CMAP_HIT);
  return CMAP_OK;
}

enum cmap_status cmap__store_peek(struct cmap__request *r,
                                  struct cmap__object **header)
{
  enum cmap_status status = find_without_lock(r, header);
  uint64_t word;
  int cancel;

  if (cmap__likely(status != CMAP_BUSY))
    return status;
  cancel = cmap__cancel_disable();
  cmap__request_lock(r, CMAP__READ);
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
  cmap__cancel_restore(cancel);
  return status;
}

enum cmap_status cmap__store_find(struct cmap__request *r,
                                  struct cmap__object **header,
                                  enum cmap__age *age)
{
  enum cmap_status status = cmap__store_peek(r, header);

  *age = CMAP__FRESH;
  if (status != CMAP_OK || !r->store->is_cache)
    return status;
  *age = cmap__hit(r->store, *header);
  if (*age != CMAP__EXPIRED)
    return CMAP_OK;
  cmap__object_unref(*header);
  return CMAP_NOT_FOUND;
}

static CMAP__NOINLINE enum cmap_status get_object(struct cmap_store *store,
                                                  struct cmap_key key,
                                                  struct cmap_handle *handle,
                                                  const struct cmap_how *how)
{
  struct cmap__object *header;
  struct cmap__request r;
  enum cmap__age age;
  enum cmap_status status = cmap__request_begin(store, key, how, &r);

  cmap__handle_clear(handle);
  if (status != CMAP_OK)
    return status;
  if (CMAP__MISSING(handle))
    return CMAP_EINVAL;
  /* Ends: it goes on if another thread has hit what was over for this one. */
  do
    status = cmap__store_find(&r, &header, &age);
  while (age == CMAP__EXPIRED && !cmap__store_expire(&r));
  cmap__count(&store->counts,
              status == CMAP_OK ? CMAP__COUNT_HITS : CMAP__COUNT_MISSES, 1);
  if (status == CMAP_OK)
    cmap__handle_fill(handle, header,
                      age == CMAP__STALE ? CMAP_STALE : CMAP_HIT);
  return status;
}

enum cmap_status cmap_store_get(struct cmap_store *store, struct cmap_key key,
                                struct cmap_handle *handle,
                                const struct cmap_how *how)
{
  if (cmap__likely(get_at_once(store, key, how, handle) == CMAP_OK))
    return CMAP_OK;
  return get_object(store, key, handle, how);
}

static CMAP__NOINLINE enum cmap_status
get_or_create_any(struct cmap_store *store, struct cmap_key key,
                  struct cmap_handle *handle, cmap_build_fn *build, void *ctx,
                  const struct cmap_how *how)
{
  struct cmap__request r;
  struct cmap__building b = {.request = &r, .build = build, .ctx = ctx};
  struct cmap__object *header;
  enum cmap__age age;
  enum cmap_status status = cmap__request_begin(store, key, how, &r);

  cmap__handle_clear(handle);
  if (status != CMAP_OK)
    return status;
  if (CMAP__MISSING(handle) || CMAP__MISSING(build))
    return CMAP_EINVAL;
  status = cmap__store_find(&r, &header, &age);
  if (cmap__likely(status == CMAP_OK)) {
    /* Relaxed: a hint; who wants to know looks with the lock. */
    if (age == CMAP__FRESH || cmap__load_relaxed(&header->refreshing)) {
      cmap__count(&store->counts, CMAP__COUNT_HITS, 1);
      cmap__handle_fill(handle, header,
                        age == CMAP__STALE ? CMAP_STALE : CMAP_HIT);
      return CMAP_OK;
    }
    b.stale = header;
  }
  cmap__count(&store->counts, CMAP__COUNT_MISSES, 1);
  status = cmap__building_create(&b, handle);
  if (b.stale == NULL)
    return status;
  if (status == CMAP_OK) {
    cmap__object_unref(b.stale);
    return CMAP_OK;
  }
  cmap__handle_fill(handle, b.stale, CMAP_STALE);
  return CMAP_OK;
}

/* The same of a key that get_at_once has not found. */
static CMAP__NOINLINE enum cmap_status
create_object(struct cmap_store *store, struct cmap_key key,
              struct cmap_handle *handle, cmap_build_fn *build, void *ctx)
{
  struct cmap__request r;
  struct cmap__building b = {.request = &r, .build = build, .ctx = ctx};

  (void)cmap__request_begin(store, key, NULL, &r); /* it fits */
  cmap__handle_clear(handle);
  cmap__count(&store->counts, CMAP__COUNT_MISSES, 1);
  return cmap__building_create(&b, handle);
}

enum cmap_status cmap_store_get_or_create(struct cmap_store *store,
                                          struct cmap_key key,
                                          struct cmap_handle *handle,
                                          cmap_build_fn *build, void *ctx,
                                          const struct cmap_how *how)
{
  enum cmap_status status =
      build != NULL ? get_at_once(store, key, how, handle) : CMAP_BUSY;

  if (cmap__likely(status == CMAP_OK))
    return CMAP_OK;
  return status == CMAP_NOT_FOUND
             ? create_object(store, key, handle, build, ctx)
             : get_or_create_any(store, key, handle, build, ctx, how);
}

size_t cmap_store_waiters(struct cmap_store *store, struct cmap_key key)
{
  struct cmap__request r;
  size_t waiters = 0;
  int cancel;

  if (cmap__request_begin(store, key, NULL, &r) != CMAP_OK)
    return 0;
  cancel = cmap__cancel_disable();
  cmap__request_lock(&r, CMAP__WRITE);
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
  cmap__cancel_restore(cancel);
  return waiters;
}
