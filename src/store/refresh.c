/*
 * The table of refreshes; and building an object anew.
 */
#include "store/refresh.h"

#include "store/build.h"

bool cmap__refreshes_begin(struct cmap__refreshes *refreshes)
{
  refreshes->buckets = refreshes->few;
  refreshes->bits = CMAP__REFRESH_BITS;
  return pthread_mutex_init(&refreshes->mutex, NULL) == 0;
}

static size_t table_bytes(unsigned bits)
{
  return sizeof(struct cmap__flight *) << bits;
}

void cmap__refreshes_end(struct cmap_store *store)
{
  struct cmap__refreshes *refreshes = &store->refreshes;

  if (refreshes->buckets != refreshes->few)
    cmap__store_free(store, refreshes->buckets, table_bytes(refreshes->bits),
                     CMAP__CACHE_LINE);
  (void)pthread_mutex_destroy(&refreshes->mutex);
}

/* Where flights of the header hang. Mutex held, here and below. */
static struct cmap__flight **
refresh_bucket(const struct cmap__refreshes *refreshes,
               const struct cmap__object *header)
{
  /* 2^64 divided by the golden ratio: spreads addresses (Knuth, TAOCP 6.4). */
  uint64_t spread =
      (uint64_t)(uintptr_t)header * UINT64_C(11400714819323198485);

  return &refreshes->buckets[spread >> (64 - refreshes->bits)];
}

static void hang(struct cmap__refreshes *refreshes, struct cmap__flight *flight)
{
  struct cmap__flight **bucket = refresh_bucket(refreshes, flight->replaces);

  flight->next_refresh = *bucket;
  *bucket = flight;
}

/* Four times as many buckets. Without memory they stay what they are. */
static void spread_out(struct cmap_store *store)
{
  struct cmap__refreshes *refreshes = &store->refreshes;
  struct cmap__flight **old = refreshes->buckets, **fresh;
  unsigned bits = refreshes->bits;

  fresh = cmap__store_alloc(store, table_bytes(bits + 2), CMAP__CACHE_LINE);
  if (fresh == NULL)
    return;
  refreshes->buckets = fresh;
  refreshes->bits = bits + 2;
  for (size_t i = 0; i < (size_t)1 << bits; i++) {
    while (old[i] != NULL) {
      struct cmap__flight *flight = old[i];
      old[i] = flight->next_refresh;
      hang(refreshes, flight);
    }
  }
  if (old != refreshes->few)
    cmap__store_free(store, old, table_bytes(bits), CMAP__CACHE_LINE);
}

void cmap__refresh_begin(struct cmap__flight *flight,
                         struct cmap__object *header)
{
  struct cmap__refreshes *refreshes = &flight->store->refreshes;

  cmap__object_ref(header);
  flight->replaces = header;
  flight->is_listed = true;
  cmap__store_relaxed(&header->refreshing, true); /* a hint without the lock */
  pthread_mutex_lock(&refreshes->mutex);
  if (++refreshes->count >> refreshes->bits > 0)
    spread_out(flight->store);
  hang(refreshes, flight);
  pthread_mutex_unlock(&refreshes->mutex);
}

struct cmap__flight *cmap__refresh_of(struct cmap_store *store,
                                      const struct cmap__object *header)
{
  struct cmap__flight *flight;

  pthread_mutex_lock(&store->refreshes.mutex);
  flight = *refresh_bucket(&store->refreshes, header);
  while (flight != NULL && flight->replaces != header)
    flight = flight->next_refresh;
  pthread_mutex_unlock(&store->refreshes.mutex);
  return flight;
}

void cmap__refresh_end(struct cmap__flight *flight)
{
  struct cmap__refreshes *refreshes = &flight->store->refreshes;
  struct cmap__flight **at;

  pthread_mutex_lock(&refreshes->mutex);
  at = refresh_bucket(refreshes, flight->replaces);
  while (*at != flight)
    at = &(*at)->next_refresh;
  *at = flight->next_refresh;
  refreshes->count--;
  pthread_mutex_unlock(&refreshes->mutex);
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
    cmap__header_give(store, b->header);
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
