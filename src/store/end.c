/*
 * The end of a construction: its object goes into the map, or its failure is
 * remembered, or another waiter builds.
 */
#include "store/refresh.h"

/* The end of a construction. */
struct ending {
  struct cmap__request *request;
  struct cmap__flight *flight;
  struct cmap__object *header; /* it has succeeded, with a reference */
  enum cmap_status status;     /* it has failed */
  bool keep;
  uint64_t now;   /* by the store's clock, if it has failed */
  bool overtaken; /* it was decided before */
  bool is_in_map; /* the key's word is the flight's, or that of the object which
                     it replaces, and it was not forgotten */
  bool take;      /* the map's entry is to be removed */
  bool is_kept;   /* the map has the object */
  unsigned done;  /* the flight's references that are done with */
  bool alone;     /* nobody else knows the flight: it need not be decided */
  bool tells;     /* there are notices */
  struct cmap__object *replaced; /* was taken out of the map */
};

/* Shard lock held. */
static bool is_in_map(const struct ending *e)
{
  const struct cmap__flight *flight = e->flight;

  if (!e->request->call.found ||
      (flight->replaces != NULL && !flight->is_listed))
    return false;
  return cmap__load_relaxed(cmap__request_word(e->request)) == /* lock held */
         (flight->replaces == NULL
              ? cmap__word_of(flight, CMAP__WORD_FLIGHT)
              : cmap__word_of(flight->replaces, CMAP__WORD_OBJECT));
}

/* Shard lock held. The builder has one reference, the map the other. */
static bool is_alone(const struct ending *e)
{
  return e->is_in_map && e->header != NULL && !e->flight->is_joined &&
         e->flight->replaces == NULL;
}

/* The object goes into the map, if it may. Shard lock held. */
static void publish(struct ending *e)
{
  struct cmap_store *store = e->flight->store;

  cmap__count(&store->counts, CMAP__COUNT_DONE, 1);
  if (!e->is_in_map)
    return;
  e->replaced = e->flight->replaces;
  if (e->replaced != NULL)
    cmap__object_out(store, e->replaced);
  e->take = !e->keep;
  if (e->take) {
    cmap__payload_store(cmap__request_word(e->request), CMAP__WORD_NOTHING);
    cmap__add_relaxed(&store->too_dear, 1); /* a statistic */
    return;
  }
  cmap__payload_store(cmap__request_word(e->request),
                      cmap__word_of(e->header, CMAP__WORD_OBJECT));
  cmap__object_in(store, e->header, e->request->call.probe.hash);
  e->is_kept = true;
}

/* Shard lock and mutex held. */
static void succeed(struct ending *e)
{
  cmap__flight_decide_locked(e->flight, e->header);
  publish(e);
}

/* A refresh that was due has failed: after a while the next call tries it
 * again. */
static void put_off_refresh(struct ending *e)
{
  struct cmap_store *store = e->flight->store;
  struct cmap__kept *kept;

  if (!store->has_times || e->request->policy.negative_ns == 0)
    return;
  kept = cmap__kept(e->flight->replaces);
  if (cmap__load_relaxed(&kept->refresh_ns) <= e->now) /* lock held */
    cmap__store_relaxed(&kept->refresh_ns,
                        cmap__later(e->now, e->request->policy.negative_ns));
}

/* Shard lock and mutex held. False: one of those who wait goes on. */
static bool fail(struct ending *e)
{
  struct cmap__flight *flight = e->flight;

  cmap__count(&flight->store->counts,
              e->status == CMAP_EABANDONED ? CMAP__COUNT_ABANDONED
                                           : CMAP__COUNT_FAILED,
              1);
  if (!e->request->policy.share && flight->waiters > 0) {
    flight->state = CMAP__FLIGHT_OPEN;
    flight->beginner = 0;
    cmap__store_relaxed(&flight->batch, 0); /* mutex held */
    pthread_cond_broadcast(&flight->changed);
    return false;
  }
  flight->state = CMAP__FLIGHT_FAILED;
  flight->status = e->status;
  flight->shares = e->request->policy.share;
  cmap__store_release(&flight->decided, true);
  pthread_cond_broadcast(&flight->changed);
  if (e->is_in_map && flight->replaces != NULL)
    put_off_refresh(e);
  else if (e->is_in_map)
    e->take = !cmap__failure_remember(e->request, e->status, e->now);
  return true;
}

/* Ends it, unless it was decided before; then it is overtaken. */
static void end(struct ending *e)
{
  struct cmap__flight *flight = e->flight;
  bool is_over = true;

  e->is_in_map = is_in_map(e);
  e->alone = is_alone(e);
  if (e->alone) {
    publish(e);
    return;
  }
  e->done = 1;
  pthread_mutex_lock(&flight->mutex);
  e->overtaken = cmap__flight_is_decided(flight);
  if (e->overtaken)
    cmap__count(&flight->store->counts, CMAP__COUNT_OVERTAKEN, 1);
  else if (e->header != NULL)
    succeed(e);
  else
    is_over = fail(e);
  e->tells = flight->notices != NULL;
  pthread_mutex_unlock(&flight->mutex);
  if (!is_over)
    return;
  if (flight->is_listed)
    cmap__refresh_end(flight);
  else if (flight->replaces != NULL || !e->is_in_map)
    return;
  e->done = 2;
}

enum cmap_status cmap__flight_end(struct cmap__request *request,
                                  struct cmap__flight *flight,
                                  enum cmap_status status, bool keep,
                                  struct cmap__object **header)
{
  struct ending e = {.request = request,
                     .flight = flight,
                     .header = *header,
                     .status = status,
                     .keep = keep && *header != NULL};
  struct cmap_store *store = request->store;
  struct cmap__evictions evictions;
  int cancel = cmap__cancel_disable();

  if (e.header == NULL)
    e.now = cmap__store_now(store);
  else
    cmap__object_begin(e.header, e.keep ? 2 : 1); /* one is the map's */
  cmap__evictions_begin(&evictions);
  if (e.keep)
    cmap__store_make_room(request, flight, e.header, &evictions);
  cmap__request_lock(request, CMAP__WRITE);
  end(&e);
  if (e.take)
    cmap__request_take(request);
  else
    cmap__request_unlock(request);
  if (e.keep && !e.is_kept) {
    if (store->is_cache)
      cmap__cache_remove(store, e.header);
    cmap__object_unref(e.header);
  }
  if (e.replaced != NULL)
    cmap__object_left(store, request->key, e.replaced, CMAP_REPLACED);
  if (e.overtaken) {
    /* A put came first: it is what everybody gets. */
    if (e.header != NULL)
      cmap__object_unref(e.header);
    cmap__object_ref(flight->result);
    *header = flight->result;
    status = CMAP_OK;
  }
  if (e.alone) {
    cmap__flight_give(flight);
  } else {
    if (e.tells)
      cmap__flight_tell(flight);
    cmap__flight_unref(flight, e.done);
  }
  cmap__evictions_tell(store, &evictions);
  cmap__store_tidy(store);
  cmap__cancel_restore(cancel);
  return status;
}
