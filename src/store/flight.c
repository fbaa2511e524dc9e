/*
 * Flights: waiting for a construction, and telling of its end.
 */
#include "store/flight.h"

static struct cmap__flight *flight_alloc(struct cmap_store *store)
{
  struct cmap__flight *flight =
      cmap__store_alloc(store, sizeof *flight, CMAP__CACHE_LINE);

  if (flight == NULL)
    return NULL;
  /* Neither can fail on Linux. */
  if (!cmap__cond_init(&flight->changed) ||
      pthread_mutex_init(&flight->mutex, NULL) != 0) {
    cmap__store_free(store, flight, sizeof *flight, CMAP__CACHE_LINE);
    return NULL;
  }
  flight->store = store;
  return flight;
}

struct cmap__flight *cmap__flight_new(struct cmap_store *store)
{
  struct cmap__count_line *line = cmap__count_line(&store->counts);
  struct cmap__flight *flight = line != NULL ? line->flight : NULL;

  if (flight != NULL)
    line->flight = NULL;
  else
    flight = flight_alloc(store);
  if (flight == NULL)
    return NULL;
  cmap__store_relaxed(&flight->decided, false); /* nobody knows it yet */
  cmap__store_relaxed(&flight->is_out, false);  /* the same */
  flight->state = CMAP__FLIGHT_RUNNING;
  flight->refs = 2;
  flight->waiters = 0;
  flight->result = NULL;
  flight->beginner = 0;
  cmap__store_relaxed(&flight->batch, 0); /* the same */
  flight->notices = NULL;
  flight->refreshes = flight->is_joined = flight->is_listed = false;
  flight->replaces = NULL;
  cmap__count(&store->counts, CMAP__COUNT_FLIGHTS, 1);
  return flight;
}

void cmap__flight_free(struct cmap__flight *flight)
{
  (void)pthread_cond_destroy(&flight->changed);
  (void)pthread_mutex_destroy(&flight->mutex);
  cmap__store_free(flight->store, flight, sizeof *flight, CMAP__CACHE_LINE);
}

void cmap__flight_give(struct cmap__flight *flight)
{
  struct cmap_store *store = flight->store;
  struct cmap__count_line *line = cmap__count_line(&store->counts);

  if (flight->result != NULL)
    cmap__object_unref(flight->result);
  if (flight->replaces != NULL)
    cmap__object_unref(flight->replaces);
  if (line != NULL && line->flight == NULL)
    line->flight = flight;
  else
    cmap__flight_free(flight);
  cmap__count(&store->counts, CMAP__COUNT_FLIGHTS, -(uint64_t)1);
}

void cmap__flight_unref(struct cmap__flight *flight, unsigned n)
{
  bool last;

  pthread_mutex_lock(&flight->mutex);
  last = (flight->refs -= n) == 0;
  pthread_mutex_unlock(&flight->mutex);
  if (last)
    cmap__flight_give(flight);
}

bool cmap__flight_await(struct cmap__flight *flight)
{
  bool waits;

  pthread_mutex_lock(&flight->mutex);
  waits = flight->state != CMAP__FLIGHT_FAILED || flight->shares;
  flight->waiters += waits;
  pthread_mutex_unlock(&flight->mutex);
  if (!waits)
    cmap__flight_unref(flight, 1);
  return waits;
}

/* Waits once, mutex held. */
static void wait_once(struct cmap__flight *flight, uint64_t deadline_ns)
{
  cmap__park_begin();
  (void)cmap__cond_wait(&flight->changed, &flight->mutex, deadline_ns);
}

/* Is it the calling thread that builds? Mutex held. */
static bool is_own(const struct cmap__flight *flight)
{
  return flight->beginner != 0
             ? flight->beginner == cmap__self.number
             : cmap__hold_find(cmap__flight_held_as(flight), 0) != NULL;
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
    if (cmap__token_is_canceled(patience->token))
      return CMAP_ECANCELED;
    /* Another one has begun to build, who holds something else. */
    if (*published && wait->object != cmap__flight_held_as(flight)) {
      cmap__deadlock_leave(wait);
      *published = false;
    }
    if (!*published && cmap__hold_any()) {
      wait->object = cmap__flight_held_as(flight);
      if (cmap__deadlock_enter(wait) == CMAP__LOCK_DEADLOCK)
        return CMAP_EDEADLK;
      *published = true; /* it is no lock that readers may be let in to */
    }
    wait_once(flight, patience->deadline_ns);
  }
  return CMAP_OK;
}

static void wake_waiters(struct cmap__sleeper *sleeper)
{
  struct cmap__flight *flight = sleeper->at;

  pthread_mutex_lock(&flight->mutex);
  pthread_cond_broadcast(&flight->changed);
  pthread_mutex_unlock(&flight->mutex);
}

enum cmap_status cmap__flight_wait(struct cmap__flight *flight,
                                   const struct cmap__patience *patience,
                                   struct cmap__object **header, bool *mine)
{
  struct cmap__wait wait = {
      .mode = CMAP__WRITE,
      .timed = patience->deadline_ns < CMAP__PARK_LATEST,
      .over = &flight->decided,
  };
  struct cmap__sleeper sleeper = {.wake = wake_waiters, .at = flight};
  enum cmap_status status;
  bool published = false;
  int cancel;

  *mine = false;
  *header = NULL;
  /* A thread that is cancelled here would leave the counts wrong. */
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  cmap__add_release(&flight->store->waiters, 1);
  if (patience->token != NULL)
    cmap__token_enter(patience->token, &sleeper);
  pthread_mutex_lock(&flight->mutex);
  status = wait_while_running(flight, patience, &wait, &published);
  if (published)
    cmap__deadlock_leave(&wait);
  flight->waiters--;
  cmap__sub_release(&flight->store->waiters, 1);
  if (status == CMAP_OK && flight->state == CMAP__FLIGHT_OPEN) {
    flight->state = CMAP__FLIGHT_RUNNING;
    *mine = true;
  } else if (status == CMAP_OK && flight->state == CMAP__FLIGHT_DONE) {
    *header = flight->result;
    cmap__object_ref(*header);
  } else if (status == CMAP_OK) {
    status = flight->status;
  }
  pthread_mutex_unlock(&flight->mutex);
  if (patience->token != NULL)
    cmap__token_leave(patience->token, &sleeper);
  if (!*mine)
    cmap__flight_unref(flight, 1);
  (void)pthread_setcancelstate(cancel, &cancel);
  return status;
}

void cmap__flight_decide_locked(struct cmap__flight *flight,
                                struct cmap__object *header)
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
  open = !cmap__flight_is_decided(flight);
  if (open)
    cmap__flight_decide_locked(flight, header);
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
  if (cmap__flight_is_decided(flight)) {
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
