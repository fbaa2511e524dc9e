/*
 * Many keys at once: those that are absent are built by one call of the
 * constructor.
 *
 *   1. Each key is looked up. Of those that are absent this call builds what
 *      nobody builds, and joins the others' constructions.
 *   2. The constructor is called for all of the first kind, and ends them.
 *   3. Then, holding nothing, the call waits for the others. If one fails, and
 *      it is this call that goes on, it builds that key alone, at once. One
 *      that has failed before is begun anew: nobody counts on a call that does
 *      not wait yet.
 *
 * So two batches that want each other's keys do not wait in a circle. For the
 * deadlock detector the call holds, from its first flight until all have ended,
 * one thing that stands for them: a number that is no address. In between it
 * runs not the constructor alone but also whoever is told of what has left.
 *
 * Cancellation is put off but in the constructor.
 */
#include "store/build.h"

#include "base/alloc.h"

/* What is to be done for a key. */
enum role {
  ROLE_NONE,
  ROLE_BUILDER, /* the flight is ours; also header, stale */
  ROLE_WAITER,  /* for the flight, which was joined; also stale */
  ROLE_COPY     /* it is the same key as another one that is built here */
};

struct item {
  enum role role;
  struct cmap__flight *flight;
  struct cmap__object *header; /* to be used */
  struct cmap__object *stale;  /* what the caller has instead; or NULL */
  size_t same;                 /* ROLE_COPY: the index of that */
  uint64_t hash;               /* of the key */
};

struct many {
  struct cmap_store *store;
  const struct cmap_key *keys;
  size_t n;
  struct cmap_handle *handles;
  enum cmap_status *statuses;
  cmap_build_many_fn *build;
  void *ctx;
  struct cmap_how how; /* the caller's, without a hash */
  int cancel;          /* what cancellation was when the call began */
  uintptr_t batch;
  /* One block, NULL before the first key that is absent; n of each: */
  struct item *items;
  struct cmap_key *own_keys; /* what is built here */
  void **own_objects;
  size_t *own_indexes;
  enum cmap_status *own_statuses;
  size_t own_count;
  struct cmap__hold *hold; /* of the batch; NULL: none, or no more */
  uint64_t since_ns;
};

/* Odd, and of no other call. */
static uintptr_t new_batch(void)
{
  static _Atomic uintptr_t last = 1;

  return cmap__add_relaxed(&last, 2); /* only unique */
}

static bool many_bytes(size_t n, size_t *bytes)
{
  return cmap__size_mul(n,
                        sizeof(struct item) + sizeof(struct cmap_key) +
                            sizeof(void *) + sizeof(size_t) +
                            sizeof(enum cmap_status),
                        bytes);
}

/* Memory for what is absent. False: there is none. */
static bool many_begin(struct many *m)
{
  size_t bytes;

  if (m->items != NULL)
    return true;
  if (!many_bytes(m->n, &bytes) || !cmap__hold_prepare())
    return false;
  m->items = cmap__store_alloc(m->store, bytes, CMAP__CACHE_LINE);
  if (m->items == NULL)
    return false;
  m->own_keys = (struct cmap_key *)(m->items + m->n);
  m->own_objects = (void **)(m->own_keys + m->n);
  m->own_indexes = (size_t *)(m->own_objects + m->n);
  m->own_statuses = (enum cmap_status *)(m->own_indexes + m->n);
  m->batch = new_batch();
  m->hold = cmap__construction_hold((const void *)m->batch);
  return true;
}

static void many_end(struct many *m)
{
  size_t bytes;

  if (m->items != NULL && many_bytes(m->n, &bytes))
    cmap__store_free(m->store, m->items, bytes, CMAP__CACHE_LINE);
}

/* What came of a key, which may have had a stale object. */
static void settle_key(struct many *m, size_t i, enum cmap_status status,
                       struct cmap__object *stale)
{
  m->statuses[i] = status;
  if (stale == NULL)
    return;
  if (status == CMAP_OK) {
    cmap__object_unref(stale);
  } else {
    cmap__handle_fill(&m->handles[i], stale, CMAP_STALE);
    m->statuses[i] = CMAP_OK;
  }
}

/* The request of a key that was right before. */
static void begin_again(struct many *m, size_t i, struct cmap__request *r)
{
  struct cmap_how how = m->how;

  how.flags |= CMAP_HASHED;
  how.hash = m->items[i].hash;
  (void)cmap__request_begin(m->store, m->keys[i], &how, r);
}

/* The object is absent, or it is stale and nobody replaces it yet. */
static enum cmap_status enter_one(struct many *m, size_t i,
                                  struct cmap__request *r,
                                  struct cmap__object *stale)
{
  struct item *item;
  struct cmap__entered in;
  enum cmap_status status;

  if (!many_begin(m))
    return CMAP_ENOMEM;
  item = &m->items[i];
  r->batch = m->batch;
  r->index = i;
  item->hash = r->call.probe.hash;
  status = cmap__store_enter(r, CMAP__WANT_ANY, false, &in);
  if (status != CMAP_OK)
    return status;
  item->flight = in.flight;
  item->header = in.header;
  item->stale = stale;
  if (in.flight == NULL) {
    cmap__handle_fill(&m->handles[i], in.header, in.origin);
  } else if (in.mine) {
    item->role = ROLE_BUILDER;
    m->own_keys[m->own_count] = m->keys[i];
    m->own_indexes[m->own_count++] = i;
  } else if (cmap__load_relaxed(&in.flight->batch) == m->batch) { /* our own */
    item->role = ROLE_COPY; /* the key comes twice */
    item->same = in.flight->index;
    cmap__flight_unref(in.flight, 1);
  } else {
    item->role = ROLE_WAITER;
  }
  return CMAP_OK;
}

/* The first step. */
static void look_up_one(struct many *m, size_t i)
{
  struct cmap__object *header;
  struct cmap__request r;
  enum cmap__age age;
  enum cmap_status status =
      cmap__request_begin(m->store, m->keys[i], &m->how, &r);

  cmap__handle_clear(&m->handles[i]);
  m->statuses[i] = status;
  if (status != CMAP_OK)
    return;
  status = cmap__store_find(&r, &header, &age);
  if (status != CMAP_OK)
    header = NULL;
  /* Relaxed: a hint; who wants to know looks with the lock. */
  if (header != NULL &&
      (age == CMAP__FRESH || cmap__load_relaxed(&header->refreshing))) {
    cmap__count(&m->store->counts, CMAP__COUNT_HITS, 1);
    cmap__handle_fill(&m->handles[i], header,
                      age == CMAP__STALE ? CMAP_STALE : CMAP_HIT);
    return;
  }
  cmap__count(&m->store->counts, CMAP__COUNT_MISSES, 1);
  status = enter_one(m, i, &r, header);
  if (status != CMAP_OK || m->items[i].role == ROLE_NONE)
    settle_key(m, i, status, header);
}

/* Ends what the call builds for a key. */
static void finish_one(struct many *m, size_t i, enum cmap_status status,
                       void *object)
{
  struct item *item = &m->items[i];
  struct cmap__request r;
  struct cmap__building b = {.request = &r,
                             .flight = item->flight,
                             .header = item->header,
                             .object = object,
                             .status = status};

  item->role = ROLE_NONE;
  begin_again(m, i, &r);
  cmap__building_made(&b);
  settle_key(m, i, cmap__building_finish(&b, &m->handles[i]), item->stale);
}

/* The second step: `all` is what the constructor has returned. */
static void finish_own(struct many *m, enum cmap_status all)
{
  for (size_t k = 0; k < m->own_count; k++) {
    enum cmap_status status = m->own_statuses[k];

    if (m->own_objects[k] != NULL)
      status = CMAP_OK;
    else if (status == CMAP_OK)
      status = all;
    finish_one(m, m->own_indexes[k], status, m->own_objects[k]);
  }
}

static void build_own(struct many *m)
{
  enum cmap_status status;

  m->since_ns = cmap__now_ns();
  cmap__count(&m->store->counts, CMAP__COUNT_RUNNING, m->own_count);
  cmap__cancel_restore(m->cancel);
  status = m->build(m->own_keys, m->own_count, m->own_objects, m->own_statuses,
                    m->ctx);
  (void)cmap__cancel_disable();
  cmap__construction_end(m->store, m->own_count, m->since_ns);
  finish_own(m, status);
}

/* The constructor for a single key. */
static enum cmap_status build_one(struct cmap_key key, void **object, void *ctx)
{
  const struct many *m = ctx;
  enum cmap_status own = CMAP_OK, status;

  cmap__cancel_restore(m->cancel);
  status = m->build(&key, 1, object, &own, m->ctx);
  (void)cmap__cancel_disable();
  if (*object != NULL)
    return CMAP_OK;
  return own != CMAP_OK ? own : status;
}

/* The third step. */
static void wait_for_one(struct many *m, size_t i)
{
  struct item *item = &m->items[i];
  struct cmap__request r;
  struct cmap__building b = {.request = &r,
                             .flight = item->flight,
                             .stale = item->stale,
                             .build = build_one,
                             .ctx = m};
  enum cmap_status status;

  item->role = ROLE_NONE;
  begin_again(m, i, &r);
  if (cmap__flight_await(item->flight))
    status = cmap__building_end(&b, false, &m->handles[i]);
  else
    status = cmap__building_create(&b, &m->handles[i]);
  settle_key(m, i, status, item->stale);
}

static void copy_one(struct many *m, size_t i)
{
  struct item *item = &m->items[i];
  struct cmap_handle *handle = &m->handles[i];

  if (m->statuses[item->same] == CMAP_OK) {
    *handle = m->handles[item->same];
    cmap__object_ref((struct cmap__object *)handle->internal[0]);
    if (handle->internal[1] == CMAP_BUILT)
      handle->internal[1] = CMAP_WAITED;
  }
  settle_key(m, i, m->statuses[item->same], item->stale);
}

/* The thread ends inside the constructor: for the batch if that is held, else
 * for a key alone, of which all is settled. */
static void abandon_many(void *ctx)
{
  struct many *m = ctx;

  if (m->hold != NULL)
    cmap__construction_end(m->store, m->own_count, m->since_ns);
  for (size_t i = 0; i < m->n; i++) {
    if (m->items[i].role == ROLE_BUILDER)
      finish_one(m, i, CMAP_EABANDONED, NULL);
    else if (m->items[i].role == ROLE_WAITER)
      cmap__flight_unref(m->items[i].flight, 1);
    if (m->items[i].role != ROLE_NONE && m->items[i].stale != NULL)
      cmap__object_unref(m->items[i].stale);
    cmap_handle_release(&m->handles[i]);
  }
  if (m->hold != NULL)
    m->hold->object = NULL; /* nobody will wait for it any more */
  many_end(m);
}

/* What is not there. */
static void get_absent(struct many *m)
{
  pthread_cleanup_push(abandon_many, m);
  if (m->own_count > 0)
    build_own(m);
  cmap__hold_end(m->hold);
  m->hold = NULL;
  for (size_t i = 0; i < m->n; i++) {
    if (m->items[i].role == ROLE_WAITER)
      wait_for_one(m, i);
    else if (m->items[i].role == ROLE_COPY)
      copy_one(m, i);
  }
  pthread_cleanup_pop(0);
}

enum cmap_status cmap_store_get_many(struct cmap_store *store,
                                     const struct cmap_key *keys, size_t n,
                                     struct cmap_handle *handles,
                                     enum cmap_status *statuses,
                                     cmap_build_many_fn *build, void *ctx,
                                     const struct cmap_how *how)
{
  struct many m = {.store = store,
                   .keys = keys,
                   .n = n,
                   .handles = handles,
                   .statuses = statuses,
                   .build = build,
                   .ctx = ctx};
  unsigned flags;

  if (CMAP__MISSING(store) || CMAP__MISSING(build) ||
      (n > 0 && (CMAP__MISSING(keys) || CMAP__MISSING(handles) ||
                 CMAP__MISSING(statuses))) ||
      !cmap__store_how_read(how, &m.how, &flags))
    return CMAP_EINVAL;
  m.how.flags = (m.how.flags & ~(unsigned)CMAP_HASHED) | flags;
  m.cancel = cmap__cancel_disable();
  for (size_t i = 0; i < n; i++)
    look_up_one(&m, i);
  if (m.items != NULL) {
    get_absent(&m);
    many_end(&m);
  }
  cmap__cancel_restore(m.cancel);
  for (size_t i = 0; i < n; i++) {
    if (statuses[i] != CMAP_OK)
      return statuses[i];
  }
  return CMAP_OK;
}
