/*
 * Tickets: constructions that no thread waits for, and that belong to none
 * until one binds itself to them.
 */
#include "store/build.h"

/* What is behind a user's ticket. */
struct cmap__ticket {
  struct cmap_store *store;
  struct cmap__flight *flight;
  struct cmap__object *header; /* to be used */
  struct cmap__policy policy;
  /* Under the mutex of the store's headers, which is at hand: */
  struct cmap__record *bound; /* of the thread that is bound to it, or NULL */
  bool abandoned;             /* that thread ends, or has ended */
  unsigned refs; /* of who has it, and of such a thread while it ends it */
  uint64_t hash;
  struct cmap__key_image key; /* a stored key of its own */
};

/* A hold of a thread that is bound to a ticket. */
struct bound {
  struct cmap__record record;
  struct cmap__ticket *ticket;
};

_Static_assert(sizeof(struct bound) <= CMAP__RECORD_BYTES,
               "a record has room for it");

static struct cmap__ticket *ticket_of(const struct cmap_ticket *ticket)
{
  return ticket == NULL ? NULL : (struct cmap__ticket *)ticket->internal[0];
}

static void ticket_free(struct cmap__ticket *ticket)
{
  struct cmap_store *store = ticket->store;

  cmap__key_words_destroy(&store->map->table.layout, ticket->key.words);
  cmap__store_free(store, ticket, sizeof *ticket, CMAP__CACHE_LINE);
  cmap__sub_release(&store->tickets, 1);
}

static void ticket_unref(struct cmap__ticket *ticket)
{
  pthread_mutex_t *mutex = &ticket->store->headers.mutex;
  bool last;

  pthread_mutex_lock(mutex);
  last = --ticket->refs == 0;
  pthread_mutex_unlock(mutex);
  if (last)
    ticket_free(ticket);
}

/* A ticket for the request's key, without a flight yet. */
static enum cmap_status ticket_new(const struct cmap__request *r,
                                   struct cmap__ticket **out)
{
  struct cmap_store *store = r->store;
  struct cmap__ticket *ticket =
      cmap__store_alloc(store, sizeof *ticket, CMAP__CACHE_LINE);
  enum cmap_status status;

  if (ticket == NULL)
    return CMAP_ENOMEM;
  status = cmap__key_image_init(&store->map->table.layout, &r->call.probe,
                                &ticket->key);
  if (status != CMAP_OK) {
    cmap__store_free(store, ticket, sizeof *ticket, CMAP__CACHE_LINE);
    return status;
  }
  ticket->store = store;
  ticket->refs = 1;
  ticket->policy = r->policy;
  ticket->hash = r->call.probe.hash;
  cmap__add_relaxed(&store->tickets, 1);
  *out = ticket;
  return CMAP_OK;
}

/*
 * The flight was joined (refs): is the caller told later? If it is decided:
 * *header or *status, which may be any.
 */
static bool join(struct cmap__flight *flight, struct cmap__notice *notice,
                 struct cmap__object **header, enum cmap_status *status)
{
  bool later;

  pthread_mutex_lock(&flight->mutex);
  if (flight->state == CMAP__FLIGHT_DONE) {
    *header = flight->result;
    cmap__object_ref(*header);
  } else if (flight->state == CMAP__FLIGHT_FAILED) {
    *status = flight->status;
  }
  later = flight->state == CMAP__FLIGHT_RUNNING ||
          flight->state == CMAP__FLIGHT_OPEN;
  if (later && notice != NULL) {
    notice->next = flight->notices;
    flight->notices = notice; /* with our reference */
  }
  pthread_mutex_unlock(&flight->mutex);
  if (!later || notice == NULL)
    cmap__flight_unref(flight, 1);
  return later;
}

static void notice_free(struct cmap_store *store, struct cmap__notice *notice)
{
  cmap__store_free(store, notice, sizeof *notice,
                   _Alignof(struct cmap__notice));
}

/* What cmap_store_begin needs before it looks. */
struct beginning {
  struct cmap__ticket *ticket;
  struct cmap__notice *notice; /* NULL: nobody is to be told */
};

static enum cmap_status beginning_new(const struct cmap__request *r,
                                      cmap_notify_fn *notify, void *ctx,
                                      struct beginning *b)
{
  enum cmap_status status = ticket_new(r, &b->ticket);

  b->notice = NULL;
  if (status != CMAP_OK || notify == NULL)
    return status;
  b->notice = cmap__store_alloc(r->store, sizeof *b->notice,
                                _Alignof(struct cmap__notice));
  if (b->notice == NULL) {
    ticket_free(b->ticket);
    return CMAP_ENOMEM;
  }
  b->notice->notify = notify;
  b->notice->ctx = ctx;
  return CMAP_OK;
}

static void begins(struct cmap__flight *flight, uint64_t thread)
{
  pthread_mutex_lock(&flight->mutex);
  flight->beginner = thread;
  pthread_mutex_unlock(&flight->mutex);
}

/* The key is absent, or somebody builds it. */
static enum cmap_status begin_absent(struct cmap__request *r,
                                     struct beginning *b,
                                     struct cmap_handle *handle,
                                     enum cmap_begin *outcome)
{
  struct cmap__entered in;
  enum cmap_status status = cmap__store_enter(r, CMAP__WANT_ANY, false, &in);

  *outcome = CMAP_PRESENT;
  if (status == CMAP_OK && in.flight == NULL)
    cmap__handle_fill(handle, in.header, in.origin);
  if (status != CMAP_OK || in.flight == NULL)
    return status;
  if (in.mine) {
    b->ticket->flight = in.flight;
    b->ticket->header = in.header;
    b->ticket = NULL;
    begins(in.flight, cmap__thread_number());
    cmap__count(&r->store->counts, CMAP__COUNT_RUNNING, 1);
    *outcome = CMAP_YOURS;
    return CMAP_OK;
  }
  if (join(in.flight, b->notice, &in.header, &status)) {
    b->notice = NULL;
    *outcome = CMAP_PENDING;
  } else if (status == CMAP_OK) {
    cmap__handle_fill(handle, in.header, CMAP_HIT);
  }
  return status;
}

/* What cmap_store_begin gives out. */
struct begun {
  struct cmap_handle *handle;
  struct cmap_ticket *ticket;
  enum cmap_begin *outcome;
};

/* There is no object, or it is stale and nobody replaces it yet. */
static enum cmap_status begin_new(struct cmap__request *r,
                                  cmap_notify_fn *notify, void *ctx,
                                  const struct begun *out)
{
  struct cmap__ticket *fresh;
  struct beginning b;
  enum cmap_begin outcome;
  enum cmap_status status = beginning_new(r, notify, ctx, &b);

  if (status != CMAP_OK)
    return status;
  fresh = b.ticket;
  status = begin_absent(r, &b, out->handle, &outcome);
  if (status == CMAP_OK) {
    *out->outcome = outcome;
    if (outcome == CMAP_YOURS)
      out->ticket->internal[0] = (uintptr_t)fresh;
  }
  if (b.ticket != NULL)
    ticket_free(b.ticket);
  if (b.notice != NULL)
    notice_free(r->store, b.notice);
  return status;
}

enum cmap_status cmap_store_begin(struct cmap_store *store, struct cmap_key key,
                                  struct cmap_handle *handle,
                                  struct cmap_ticket *ticket,
                                  enum cmap_begin *outcome,
                                  cmap_notify_fn *notify, void *ctx,
                                  const struct cmap_how *how)
{
  const struct begun out = {handle, ticket, outcome};
  struct cmap__object *header = NULL;
  struct cmap__request r;
  enum cmap__age age;
  enum cmap_status status = cmap__request_begin(store, key, how, &r);

  cmap__handle_clear(handle);
  if (ticket != NULL)
    *ticket = (struct cmap_ticket)CMAP_INIT;
  if (status != CMAP_OK)
    return status;
  if (CMAP__MISSING(handle) || CMAP__MISSING(ticket) || CMAP__MISSING(outcome))
    return CMAP_EINVAL;
  if (cmap__store_find(&r, &header, &age) != CMAP_OK)
    header = NULL;
  /* Relaxed: a hint; who wants to know looks with the lock. */
  if (header == NULL ||
      (age == CMAP__STALE && !cmap__load_relaxed(&header->refreshing))) {
    int cancel = cmap__cancel_disable(); /* keys are copied */
    cmap__count(&store->counts, CMAP__COUNT_MISSES, 1);
    status = begin_new(&r, notify, ctx, &out);
    if (status == CMAP_OK && header != NULL)
      cmap__object_unref(header);
    cmap__cancel_restore(cancel);
    if (status == CMAP_OK || header == NULL)
      return status;
  } else {
    cmap__count(&store->counts, CMAP__COUNT_HITS, 1);
  }
  cmap__handle_fill(handle, header, age == CMAP__STALE ? CMAP_STALE : CMAP_HIT);
  *outcome = CMAP_PRESENT;
  return CMAP_OK;
}

static struct cmap_key ticket_key(struct cmap__ticket *ticket)
{
  return cmap__slot_key(&ticket->store->map->table.layout,
                        cmap__payload_of(ticket->key.words));
}

/* Ends the ticket's flight; the result is that of cmap__flight_end. */
static enum cmap_status end_flight(struct cmap__ticket *ticket,
                                   enum cmap_status status, bool keep,
                                   struct cmap__object **header)
{
  const struct cmap__layout *layout = &ticket->store->map->table.layout;
  struct cmap__request r = {.store = ticket->store, .policy = ticket->policy};

  r.key = ticket_key(ticket);
  /* It was a key of the map before. */
  (void)cmap__probe_init(layout, r.key, &ticket->hash, &r.call.probe);
  r.call.patience.try_only = false;
  r.call.patience.deadline_ns = CMAP__NO_DEADLINE;
  cmap__count(&ticket->store->counts, CMAP__COUNT_RUNNING, -(uint64_t)1);
  return cmap__flight_end(&r, ticket->flight, status, keep, header);
}

/* The thread that is bound to the ticket has ended. */
static void ticket_thread_ended(struct cmap__record *record)
{
  struct cmap__ticket *ticket = ((struct bound *)record)->ticket;
  pthread_mutex_t *mutex = &ticket->store->headers.mutex;
  struct cmap__object *header = NULL;

  /* From now on it is to be used up only, also by this thread: who is told of
   * the end may do so. */
  pthread_mutex_lock(mutex);
  ticket->abandoned = true;
  ticket->bound = NULL;
  ticket->refs++;
  pthread_mutex_unlock(mutex);
  cmap__header_give(ticket->store, ticket->header);
  if (end_flight(ticket, CMAP_EABANDONED, false, &header) == CMAP_OK)
    cmap__object_unref(header);
  ticket_unref(ticket);
}

enum cmap_status cmap_ticket_bind(struct cmap_ticket *user_ticket)
{
  struct cmap__ticket *ticket = ticket_of(user_ticket);
  struct bound *bound;
  bool is_free;

  if (CMAP__MISSING(ticket))
    return CMAP_EINVAL;
  bound = (struct bound *)cmap__record_take();
  if (bound == NULL)
    return CMAP_ENOMEM;
  pthread_mutex_lock(&ticket->store->headers.mutex);
  is_free = ticket->bound == NULL && !ticket->abandoned;
  if (is_free)
    ticket->bound = &bound->record;
  pthread_mutex_unlock(&ticket->store->headers.mutex);
  if (CMAP__WRONG(!is_free, "ticket is bound to a thread")) {
    cmap__record_give(&bound->record);
    return CMAP_EINVAL;
  }
  memset(&bound->record.hold, 0, sizeof bound->record.hold);
  bound->record.hold.object = ticket->flight;
  bound->record.hold.mode = CMAP__WRITE;
  bound->record.ended = ticket_thread_ended;
  bound->ticket = ticket;
  begins(ticket->flight, 0);
  cmap__guard_link(&bound->record.hold);
  return CMAP_OK;
}

/*
 * Makes the ticket one that no thread is bound to. CMAP_EINVAL: there is none,
 * or another thread is bound to it; CMAP_EABANDONED: that thread has ended.
 */
static enum cmap_status loosen(struct cmap__ticket *ticket)
{
  struct cmap__record *bound;
  bool abandoned, mine;

  if (CMAP__MISSING(ticket))
    return CMAP_EINVAL;
  pthread_mutex_lock(&ticket->store->headers.mutex);
  abandoned = ticket->abandoned;
  bound = ticket->bound;
  /* As long as it is bound to it, the thread has not given the record back. */
  mine = bound != NULL && cmap__record_is_mine(bound);
  if (mine)
    ticket->bound = NULL;
  pthread_mutex_unlock(&ticket->store->headers.mutex);
  if (abandoned)
    return CMAP_EABANDONED;
  if (CMAP__WRONG(bound != NULL && !mine, "ticket is another thread's"))
    return CMAP_EINVAL;
  if (bound != NULL) {
    cmap__guard_unlink(&bound->hold);
    cmap__record_give(bound);
  }
  return CMAP_OK;
}

enum cmap_status cmap_ticket_unbind(struct cmap_ticket *user_ticket)
{
  struct cmap__ticket *ticket = ticket_of(user_ticket);
  enum cmap_status status = loosen(ticket);

  if (status == CMAP_OK)
    begins(ticket->flight, 0);
  return status;
}

/* The ticket is about to be used up. As loosen; with CMAP_EABANDONED it is. */
static enum cmap_status use_up(struct cmap_ticket *user_ticket,
                               struct cmap__ticket **out)
{
  struct cmap__ticket *ticket = ticket_of(user_ticket);
  enum cmap_status status = loosen(ticket);

  if (status == CMAP_EINVAL)
    return status;
  user_ticket->internal[0] = 0;
  *out = ticket;
  if (status == CMAP_EABANDONED)
    ticket_unref(ticket);
  return status;
}

enum cmap_status cmap_ticket_complete(struct cmap_ticket *user_ticket,
                                      void *object, struct cmap_handle *handle)
{
  struct cmap__ticket *ticket;
  struct cmap__object *header;
  enum cmap_status status;
  bool keep;

  cmap__handle_clear(handle);
  if (CMAP__MISSING(object) || CMAP__MISSING(handle))
    return CMAP_EINVAL;
  status = use_up(user_ticket, &ticket);
  if (status != CMAP_OK)
    return status;
  header = ticket->header;
  keep = cmap__object_init(ticket->store, ticket_key(ticket), header, object);
  status = end_flight(ticket, CMAP_OK, keep, &header);
  cmap__handle_fill(handle, header,
                    header == ticket->header ? CMAP_BUILT : CMAP_WAITED);
  ticket_free(ticket);
  return status;
}

enum cmap_status cmap_ticket_fail(struct cmap_ticket *user_ticket,
                                  enum cmap_status why)
{
  struct cmap__object *header = NULL;
  struct cmap__ticket *ticket;
  enum cmap_status status;

  if (CMAP__WRONG(why == CMAP_OK, "why is CMAP_OK"))
    return CMAP_EINVAL;
  status = use_up(user_ticket, &ticket);
  if (status != CMAP_OK)
    return status;
  cmap__header_give(ticket->store, ticket->header);
  if (end_flight(ticket, why, false, &header) == CMAP_OK)
    cmap__object_unref(header);
  ticket_free(ticket);
  return CMAP_OK;
}

void cmap_ticket_abandon(struct cmap_ticket *ticket)
{
  enum cmap_status status = cmap_ticket_fail(ticket, CMAP_EABANDONED);

  (void)status; /* no ticket, or not this thread's: nothing to abandon */
}
