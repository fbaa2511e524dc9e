/*
 * Flights: waiting for a construction, and ending one.
 */
#include "store/flight.h"

#include "store/refresh.h"

struct cmap__flight *cmap__flight_new(struct cmap_store *store)
{
  struct cmap__flight *flight =
      cmap__store_alloc(store, sizeof *flight, CMAP__CACHE_LINE);
  pthread_condattr_t monotonic;

  if (flight == NULL)
    return NULL;
  /* None of these can fail on Linux; a deadline needs the clock. */
  if (pthread_condattr_init(&monotonic) != 0 ||
      pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) != 0 ||
      pthread_cond_init(&flight->changed, &monotonic) != 0 ||
      pthread_mutex_init(&flight->mutex, NULL) != 0) {
    cmap__store_free(store, flight, sizeof *flight, CMAP__CACHE_LINE);
    return NULL;
  }
  (void)pthread_condattr_destroy(&monotonic);
  flight->store = store;
  flight->refs = 2;
  cmap__add_relaxed(&store->flights, 1);
  return flight;
}

/* Nobody has it any more. */
static void flight_free(struct cmap__flight *flight)
{
  struct cmap_store *store = flight->store;

  if (flight->result != NULL)
    cmap__object_unref(flight->result);
  if (flight->replaces != NULL)
    cmap__object_unref(flight->replaces);
  (void)pthread_cond_destroy(&flight->changed);
  (void)pthread_mutex_destroy(&flight->mutex);
  cmap__store_free(store, flight, sizeof *flight, CMAP__CACHE_LINE);
  cmap__sub_release(&store->flights, 1);
}

/* Mutex held; unlocks it. */
static void unref_and_unlock(struct cmap__flight *flight, unsigned n)
{
  bool last = (flight->refs -= n) == 0;

  pthread_mutex_unlock(&flight->mutex);
  if (last)
    flight_free(flight);
}

void cmap__flight_unref(struct cmap__flight *flight, unsigned n)
{
  pthread_mutex_lock(&flight->mutex);
  unref_and_unlock(flight, n);
}

static struct timespec timespec_of(uint64_t ns)
{
  uint64_t latest = ns < CMAP__PARK_LATEST ? ns : CMAP__PARK_LATEST;
  struct timespec time;

  time.tv_sec = (time_t)(latest / CMAP__NS_PER_S);
  time.tv_nsec = (long)(latest % CMAP__NS_PER_S);
  return time;
}

/* Waits once, mutex held. */
static void wait_once(struct cmap__flight *flight, uint64_t deadline_ns)
{
  cmap__park_begin();
  if (deadline_ns == CMAP__NO_DEADLINE) {
    pthread_cond_wait(&flight->changed, &flight->mutex);
  } else {
    struct timespec until = timespec_of(deadline_ns);
    pthread_cond_timedwait(&flight->changed, &flight->mutex, &until);
  }
}

/* Is it the calling thread that builds? Mutex held. */
static bool is_own(const struct cmap__flight *flight)
{
  return flight->beginner != 0 ? flight->beginner == cmap__self.number
                               : cmap__hold_find(flight, 0) != NULL;
}

/* Waits while somebody builds, mutex held; *published: `wait` is. */
static enum cmap_status
wait_while_running(struct cmap__flight *flight,
                   const struct cmap__patience *patience,
                   struct cmap__wait *wait, bool *published)
{
  /* Ends: when the builder does, or with the deadline. */
  while (flight->state == CMAP__FLIGHT_RUNNING) {
    if (patience->try_only)
      return CMAP_BUSY;
    if (is_own(flight))
      return CMAP_EDEADLK;
    if (wait->timed && cmap__now_ns() >= patience->deadline_ns)
      return CMAP_TIMEDOUT;
    if (!*published && cmap__hold_any()) {
      if (cmap__deadlock_enter(wait) == CMAP__LOCK_DEADLOCK)
        return CMAP_EDEADLK;
      *published = true; /* it is no lock that readers may be let in to */
    }
    wait_once(flight, patience->deadline_ns);
  }
  return CMAP_OK;
}

enum cmap_status cmap__flight_wait(struct cmap__flight *flight,
                                   const struct cmap__patience *patience,
                                   struct cmap__object **header, bool *mine)
{
  struct cmap__wait wait = {
      .object = flight,
      .mode = CMAP__WRITE,
      .timed = patience->deadline_ns < CMAP__PARK_LATEST,
      .over = &flight->decided,
  };
  enum cmap_status status;
  bool published = false;
  int cancel;

  *mine = false;
  *header = NULL;
  /* A thread that is cancelled here would leave the counts wrong. */
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  cmap__add_release(&flight->store->waiters, 1);
  pthread_mutex_lock(&flight->mutex);
  status = wait_while_running(flight, patience, &wait, &published);
  if (published)
    cmap__deadlock_leave(&wait);
  flight->waiters--;
  cmap__sub_release(&flight->store->waiters, 1);
  if (status == CMAP_OK && flight->state == CMAP__FLIGHT_OPEN) {
    flight->state = CMAP__FLIGHT_RUNNING;
    *mine = true;
    pthread_mutex_unlock(&flight->mutex);
  } else {
    if (status == CMAP_OK && flight->state == CMAP__FLIGHT_DONE) {
      *header = flight->result;
      cmap__object_ref(*header);
    } else if (status == CMAP_OK) {
      status = flight->status;
    }
    unref_and_unlock(flight, 1);
  }
  (void)pthread_setcancelstate(cancel, &cancel);
  return status;
}

static bool is_decided(const struct cmap__flight *flight)
{
  return flight->state == CMAP__FLIGHT_DONE ||
         flight->state == CMAP__FLIGHT_FAILED;
}

/* Mutex held. */
static void decide(struct cmap__flight *flight, struct cmap__object *header)
{
  cmap__object_ref(header);
  flight->result = header;
  flight->state = CMAP__FLIGHT_DONE;
  cmap__store_release(&flight->decided, true);
  pthread_cond_broadcast(&flight->changed);
}

bool cmap__flight_decide(struct cmap__flight *flight,
                         struct cmap__object *header)
{
  bool open;

  pthread_mutex_lock(&flight->mutex);
  open = !is_decided(flight);
  if (open)
    decide(flight, header);
  pthread_mutex_unlock(&flight->mutex);
  return open;
}

/* What a notice is told: a handle, or the status of the failure. */
static void tell(struct cmap__flight *flight, const struct cmap__notice *notice)
{
  struct cmap_handle handle = CMAP_INIT;

  if (flight->state == CMAP__FLIGHT_DONE) {
    cmap__object_ref(flight->result);
    cmap__handle_fill(&handle, flight->result, CMAP_WAITED);
    notice->notify(CMAP_OK, &handle, notice->ctx);
  } else {
    notice->notify(flight->status, &handle, notice->ctx);
  }
}

void cmap__flight_tell(struct cmap__flight *flight)
{
  struct cmap__notice *notices = NULL;
  int cancel = cmap__cancel_disable();
  unsigned told = 0;

  pthread_mutex_lock(&flight->mutex);
  if (is_decided(flight)) {
    notices = flight->notices;
    flight->notices = NULL;
  }
  pthread_mutex_unlock(&flight->mutex);
  while (notices != NULL) {
    struct cmap__notice *notice = notices;
    notices = notice->next;
    tell(flight, notice); /* decided: it changes no more */
    cmap__store_free(flight->store, notice, sizeof *notice,
                     _Alignof(struct cmap__notice));
    told++;
  }
  if (told > 0)
    cmap__flight_unref(flight, told);
  cmap__cancel_restore(cancel);
}

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
  unsigned done;  /* the flight's references that are done with */
  struct cmap__object *replaced; /* was taken out of the map */
  struct cmap__evicted *evicted; /* the same */
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

/* Shard lock and mutex held, here and below. */
static void succeed(struct ending *e)
{
  struct cmap_store *store = e->flight->store;

  decide(e->flight, e->header);
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
  cmap__object_ref(e->header);
  cmap__payload_store(cmap__request_word(e->request),
                      cmap__word_of(e->header, CMAP__WORD_OBJECT));
  cmap__object_in(store, e->header, e->request->call.probe.hash);
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

/* False: one of those who wait goes on. */
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
    pthread_cond_broadcast(&flight->changed);
    return false;
  }
  flight->state = CMAP__FLIGHT_FAILED;
  flight->status = e->status;
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
  e->done = 1;
  pthread_mutex_lock(&flight->mutex);
  e->overtaken = is_decided(flight);
  if (e->overtaken)
    cmap__count(&flight->store->counts, CMAP__COUNT_OVERTAKEN, 1);
  else if (e->header != NULL)
    succeed(e);
  else
    is_over = fail(e);
  pthread_mutex_unlock(&flight->mutex);
  if (!is_over)
    return;
  if (flight->is_listed)
    cmap__refresh_end(flight);
  else if (flight->replaces != NULL || !e->is_in_map)
    return;
  e->done = 2;
}

/*
 * Locks the shard. If a new object is about to be stored there is room for it,
 * but for what others put in meanwhile. Of what has gone for it nobody is told
 * before the flight is decided: who is told may ask for its key.
 */
static void lock_with_room(struct ending *e)
{
  struct cmap__cache *cache = &e->flight->store->cache;
  uint64_t cost;

  cmap__request_lock(e->request);
  if (!e->keep || e->flight->replaces != NULL || !is_in_map(e))
    return;
  cost = cmap__cache_cost(cache, e->header);
  if (!cmap__cache_is_full(cache, cost))
    return;
  cmap__request_unlock(e->request);
  cmap__cache_make_room(e->flight->store, cost, &e->evicted);
  cmap__request_lock(e->request);
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
  int cancel = cmap__cancel_disable();

  if (e.header == NULL)
    e.now = cmap__store_now(store);
  lock_with_room(&e);
  end(&e);
  if (e.take)
    cmap__request_take(request);
  else
    cmap__request_unlock(request);
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
  cmap__flight_tell(flight);
  cmap__flight_unref(flight, e.done);
  cmap__cache_tell(store, e.evicted);
  cmap__store_tidy(store);
  cmap__cancel_restore(cancel);
  return status;
}
