/*
 * What a call is to do that wants an object: take what is there, build it, or
 * wait for it.
 */
#include "store/build.h"
#include "store/refresh.h"

/* An attempt, with what may be used for it. */
struct attempt {
  struct cmap__request *request;
  enum cmap__want want;
  bool waits;
  uint64_t now;
  struct cmap__object *fresh; /* NULL, and so own: no memory */
  struct cmap__flight *own;
  bool expired;              /* what is there, and is to be taken out first */
  struct cmap__failure *old; /* was taken out of the map */
  enum cmap_status status;
  struct cmap__entered *out;
};

/* Shard lock held, here and below. A refresh joins no other construction: that
 * may be of what was so before. */
static void join_flight(struct attempt *a, struct cmap__flight *flight)
{
  if (a->want == CMAP__WANT_NEW && !flight->refreshes)
    return;
  pthread_mutex_lock(&flight->mutex);
  flight->is_joined = true;
  flight->refs++;
  flight->waiters += a->waits;
  pthread_mutex_unlock(&flight->mutex);
  a->out->flight = flight;
}

static void take_present(struct attempt *a, struct cmap__object *header,
                         enum cmap__age age)
{
  cmap__object_ref(header);
  a->out->header = header;
  a->out->origin = age == CMAP__STALE ? CMAP_STALE : CMAP_HIT;
}

/* The flight is this call's to build. */
static void begin_own(struct attempt *a)
{
  a->own->refreshes = a->want == CMAP__WANT_NEW;
  a->out->header = a->fresh;
  a->out->flight = a->own;
  a->out->mine = true;
}

/* Puts a flight there, in place of what the key has. */
static void launch(struct attempt *a)
{
  struct cmap__request *r = a->request;

  if (a->own == NULL) {
    a->status = CMAP_ENOMEM;
    return;
  }
  if (r->call.found)
    cmap__payload_store(cmap__request_word(r),
                        cmap__word_of(a->own, CMAP__WORD_FLIGHT));
  else
    a->status = cmap__call_put_word(r->store->map, &r->call,
                                    cmap__word_of(a->own, CMAP__WORD_FLIGHT));
  if (a->status == CMAP_OK)
    begin_own(a);
}

/* There is an object that is not what the caller wants, or soon will not be. */
static void enter_old(struct attempt *a, struct cmap__object *header,
                      enum cmap__age age)
{
  bool stale_will_do = a->want == CMAP__WANT_ANY && age == CMAP__STALE;

  if (cmap__load_relaxed(&header->refreshing)) { /* lock held */
    if (stale_will_do)
      take_present(a, header, age);
    else
      join_flight(a, cmap__refresh_of(a->request->store, header));
  } else if (age == CMAP__EXPIRED) {
    a->expired = true;
  } else if (a->own != NULL) {
    cmap__refresh_begin(a->own, header);
    begin_own(a);
  } else if (stale_will_do) {
    take_present(a, header, age);
  } else {
    a->status = CMAP_ENOMEM;
  }
}

static void enter_object(struct attempt *a, struct cmap__object *header)
{
  enum cmap__age age = a->request->store->has_times
                           ? cmap__object_age(header, a->now)
                           : CMAP__FRESH;

  if (a->want == CMAP__WANT_ANY && age == CMAP__FRESH)
    take_present(a, header, age);
  else
    enter_old(a, header, age);
}

static void enter_present(struct attempt *a)
{
  uint64_t word = cmap__load_relaxed(cmap__request_word(a->request)); /* held */
  void *pointer = cmap__word_pointer(word);
  struct cmap__flight *flight = pointer;
  struct cmap__failure *failure = pointer;

  switch (cmap__word_kind(word)) {
  case CMAP__WORD_OBJECT:
    enter_object(a, pointer);
    break;
  case CMAP__WORD_FLIGHT:
    join_flight(a, flight);
    break;
  default:
    if (a->want == CMAP__WANT_ANY && a->now < failure->until_ns) {
      a->status = failure->status;
    } else {
      launch(a);
      if (a->status == CMAP_OK)
        a->old = failure;
    }
  }
}

/* The same of an absent key in the commonest map, if nobody is in the way. No
 * lock is held. */
static bool launch_at_once(struct attempt *a)
{
  struct cmap__table *table = &a->request->store->map->table;
  struct cmap__probe *probe = &a->request->call.probe;
  uint64_t word = cmap__word_of(a->own, CMAP__WORD_FLIGHT);
  struct cmap__aim aim;
  bool put;

  if (a->own == NULL ||
      cmap__load_relaxed(&a->request->store->map->table.writes) !=
          CMAP__SHAPE_WORD || /* a hint */
      !cmap__aim_gap(table, CMAP__SHAPE_WORD, probe->hash, &aim) ||
      !cmap__aim_lock_gap(&aim, probe->hash))
    return false;
  put = cmap__aim_put(&table->layout, CMAP__SHAPE_WORD, &aim, probe, &word);
  if (put)
    begin_own(a);
  cmap__aim_unlock(&aim, CMAP__WRITE);
  return put;
}

static void look(struct attempt *a)
{
  struct cmap__request *r = a->request;

  a->expired = false;
  cmap__request_lock(r, CMAP__WRITE);
  if (r->call.found)
    enter_present(a);
  else
    launch(a);
  cmap__request_unlock(r);
}

enum cmap_status cmap__store_enter(struct cmap__request *r,
                                   enum cmap__want want, bool waits,
                                   struct cmap__entered *entered)
{
  struct cmap_store *store = r->store;
  struct attempt a = {.request = r, .want = want, .waits = waits};
  int cancel;

  memset(entered, 0, sizeof *entered);
  a.out = entered;
  a.fresh = cmap__header_take(store);
  a.own = a.fresh != NULL ? cmap__flight_new(store) : NULL;
  if (a.own != NULL && r->batch != 0) {
    cmap__store_relaxed(&a.own->batch, r->batch); /* nobody knows it yet */
    a.own->index = r->index;
  }
  if (launch_at_once(&a))
    return CMAP_OK;
  cancel = cmap__cancel_disable();
  /* Relaxed: a failure that comes after this look is not out of date. */
  if (store->has_times || cmap__load_relaxed(&store->failures.count) != 0)
    a.now = cmap__store_now(store);
  look(&a);
  /* Who is told of it may want the key, and so there is no flight yet. Ends:
   * what comes meanwhile has not expired at the time of `now`. */
  while (a.expired) {
    (void)cmap__store_expire(r);
    look(&a);
  }
  if (a.old != NULL)
    cmap__failure_drop(store, a.old);
  if (!entered->mine && a.own != NULL)
    cmap__flight_unref(a.own, 2);
  if (!entered->mine && a.fresh != NULL)
    cmap__header_give(store, a.fresh);
  cmap__cancel_restore(cancel);
  return a.status;
}
