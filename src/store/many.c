/*
 * Many keys at once: those that are absent are built by one call of the
 * constructor.
 *
 *   1. Each key is looked up. Of those that are absent this call builds what
 *      nobody builds, and joins the others' constructions.
 *   2. The constructor is called for all of the first kind, and ends them.
 *   3. Then, holding nothing, the call waits for the others. If one fails, and
 *      it is this call that goes on, it builds that key alone, at once.
 *
 * So two batches that want each other's keys do not wait in a circle. For the
 * deadlock detector the call holds, while it builds, one thing that stands for
 * all its flights: a number that is no address.
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
  uintptr_t batch;
  /* One block, NULL before the first key that is absent; n of each: */
  struct item *items;
  struct cmap_key *own_keys; /* what is built here */
  void **own_objects;
  size_t *own_indexes;
  enum cmap_status *own_statuses;
  size_t own_count;
  struct cmap__hold *hold; /* while it is built */
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

/* A flight of this very call: the key comes twice. */
static void copy_later(struct item *item, struct cmap__flight *flight)
{
  const struct cmap__patience no_wait = {.try_only = true};
  struct cmap__object *header;
  bool mine;

  item->same = flight->index;
  item->role = ROLE_COPY;
  /* Leaves it again: it runs, or put was there meanwhile. */
  if (cmap__flight_wait(flight, &no_wait, &header, &mine) == CMAP_OK)
    cmap__object_unref(header);
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
  status = cmap__store_enter(r, CMAP__WANT_ANY, true, &in);
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
    copy_later(item, in.flight);
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
  /* It was right before. */
  (void)cmap__request_begin(m->store, m->keys[i], &m->how, &r);
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
  m->hold =
      cmap__construction_begin(m->store, (const void *)m->batch, m->own_count);
  status = m->build(m->own_keys, m->own_count, m->own_objects, m->own_statuses,
                    m->ctx);
  cmap__hold_end(m->hold);
  m->hold = NULL;
  cmap__construction_end(m->store, m->own_count, m->since_ns);
  finish_own(m, status);
}

/* The constructor for a single key. */
static enum cmap_status build_one(struct cmap_key key, void **object, void *ctx)
{
  const struct many *m = ctx;
  enum cmap_status own = CMAP_OK;
  enum cmap_status status = m->build(&key, 1, object, &own, m->ctx);

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

  item->role = ROLE_NONE;
  /* It was right before. */
  (void)cmap__request_begin(m->store, m->keys[i], &m->how, &r);
  settle_key(m, i, cmap__building_end(&b, false, &m->handles[i]), item->stale);
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

/* Leaves a flight that was joined; it may be this call's turn to build. */
static void give_up_one(struct many *m, size_t i)
{
  const struct cmap__patience no_wait = {.try_only = true};
  struct cmap__object *header;
  struct cmap__request r;
  bool mine;

  if (cmap__flight_wait(m->items[i].flight, &no_wait, &header, &mine) !=
      CMAP_OK)
    return;
  if (mine) {
    header = NULL;
    (void)cmap__request_begin(m->store, m->keys[i], &m->how, &r);
    if (cmap__flight_end(&r, m->items[i].flight, CMAP_EABANDONED, false,
                         &header) != CMAP_OK)
      return;
  }
  cmap__object_unref(header);
}

/* The thread ends inside the constructor. */
static void abandon_many(void *ctx)
{
  struct many *m = ctx;

  if (m->hold != NULL) {
    m->hold->object = NULL; /* nobody will wait for it any more */
    cmap__construction_end(m->store, m->own_count, m->since_ns);
  }
  for (size_t i = 0; i < m->n; i++) {
    if (m->items[i].role == ROLE_BUILDER)
      finish_one(m, i, CMAP_EABANDONED, NULL);
    else if (m->items[i].role == ROLE_WAITER)
      give_up_one(m, i);
    if (m->items[i].role != ROLE_NONE && m->items[i].stale != NULL)
      cmap__object_unref(m->items[i].stale);
    cmap_handle_release(&m->handles[i]);
  }
  many_end(m);
}

/* What is not there. */
static void get_absent(struct many *m)
{
  pthread_cleanup_push(abandon_many, m);
  if (m->own_count > 0)
    build_own(m);
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
  for (size_t i = 0; i < n; i++)
    look_up_one(&m, i);
  if (m.items != NULL) {
    get_absent(&m);
    many_end(&m);
  }
  for (size_t i = 0; i < n; i++) {
    if (statuses[i] != CMAP_OK)
      return statuses[i];
  }
  return CMAP_OK;
}
