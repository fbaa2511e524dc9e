/*
 * The list of refreshes; and building an object anew.
 */
#include "store/refresh.h"

#include "store/build.h"

void cmap__refresh_begin(struct cmap__flight *flight,
                         struct cmap__object *header)
{
  struct cmap__cache *cache = &flight->store->cache;

  cmap__object_ref(header);
  flight->replaces = header;
  flight->is_listed = true;
  cmap__store_relaxed(&header->refreshing, true); /* a hint without the lock */
  pthread_mutex_lock(&cache->mutex);
  flight->next_refresh = cache->refreshes;
  cache->refreshes = flight;
  pthread_mutex_unlock(&cache->mutex);
}

struct cmap__flight *cmap__refresh_of(struct cmap_store *store,
                                      const struct cmap__object *header)
{
  struct cmap__flight *flight;

  pthread_mutex_lock(&store->cache.mutex);
  flight = store->cache.refreshes;
  while (flight != NULL && flight->replaces != header)
    flight = flight->next_refresh;
  pthread_mutex_unlock(&store->cache.mutex);
  return flight;
}

void cmap__refresh_end(struct cmap__flight *flight)
{
  struct cmap__cache *cache = &flight->store->cache;
  struct cmap__flight **at = &cache->refreshes;

  pthread_mutex_lock(&cache->mutex);
  while (*at != flight)
    at = &(*at)->next_refresh;
  *at = flight->next_refresh;
  pthread_mutex_unlock(&cache->mutex);
  flight->is_listed = false;
  cmap__store_relaxed(&flight->replaces->refreshing, false);
}

/*
 * Somebody else builds what a call of get_or_create wants, perhaps from what
 * was so before this call: this one builds on its own, and puts what it built.
 */
static enum cmap_status build_and_put(struct cmap__building *b,
                                      struct cmap_handle *handle)
{
  struct cmap_store *store = b->request->store;
  enum cmap_status status;

  b->header = cmap__header_take(store);
  if (b->header == NULL)
    return CMAP_ENOMEM;
  b->flight = NULL;
  cmap__building_run(b);
  if (b->status != CMAP_OK) {
    cmap__count(&store->counts, CMAP__COUNT_FAILED, 1);
    cmap__header_give(b->header);
    return b->status;
  }
  cmap__count(&store->counts, CMAP__COUNT_DONE, 1);
  status = cmap__store_replace(b->request, b->header, b->keep, handle);
  if (status != CMAP_OK)
    cmap__object_unref(b->header);
  else if (handle != NULL)
    handle->internal[1] = CMAP_BUILT;
  return status;
}

static enum cmap_status refresh(struct cmap__building *b,
                                struct cmap_handle *handle)
{
  struct cmap__entered in;
  enum cmap_status status =
      cmap__store_enter(b->request, CMAP__WANT_NEW, true, &in);

  if (status != CMAP_OK)
    return status;
  if (in.flight == NULL)
    return build_and_put(b, handle);
  b->flight = in.flight;
  b->header = in.header;
  return cmap__building_end(b, in.mine, handle);
}

enum cmap_status cmap_store_refresh(struct cmap_store *store,
                                    struct cmap_key key,
                                    struct cmap_handle *handle,
                                    cmap_build_fn *build, void *ctx,
                                    const struct cmap_how *how)
{
  struct cmap__request r;
  struct cmap__building b = {.request = &r, .build = build, .ctx = ctx};
  struct cmap_handle unwanted = CMAP_INIT;
  enum cmap_status status = cmap__request_begin(store, key, how, &r);

  cmap__handle_clear(handle);
  if (status != CMAP_OK)
    return status;
  if (CMAP__MISSING(build))
    return CMAP_EINVAL;
  if (!cmap__hold_prepare())
    return CMAP_ENOMEM;
  status = refresh(&b, handle != NULL ? handle : &unwanted);
  cmap_handle_release(&unwanted);
  return status;
}
