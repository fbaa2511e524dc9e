/*
 * Constructors: running one, and getting what comes of it.
 */
#include "store/build.h"

#include "base/probe.h"

struct cmap__hold *cmap__construction_hold(const void *held)
{
  struct cmap__hold *hold = cmap__hold_next();

  hold->object = held;
  hold->first = hold->last = 0;
  hold->mode = CMAP__WRITE;
  hold->lock = NULL;
  ((struct cmap__record *)hold)->ended = NULL; /* cleanup handlers do it */
  cmap__hold_begin(hold);
  return hold;
}

void cmap__construction_end(struct cmap_store *store, size_t n,
                            uint64_t since_ns)
{
  cmap__count(&store->counts, CMAP__COUNT_BUILD_NS, cmap__now_ns() - since_ns);
  cmap__count(&store->counts, CMAP__COUNT_RUNNING, -(uint64_t)n);
}

/* The thread ends inside the constructor. */
static void abandon(void *building)
{
  struct cmap__building *b = building;
  struct cmap__object *none = NULL;

  b->hold->object = NULL; /* nobody will wait for it any more */
  cmap__construction_end(b->request->store, 1, b->since_ns);
  cmap__header_give(b->request->store, b->header);
  if (b->flight == NULL)
    cmap__count(&b->request->store->counts, CMAP__COUNT_ABANDONED, 1);
  else if (cmap__flight_end(b->request, b->flight, CMAP_EABANDONED, false,
                            &none) == CMAP_OK)
    cmap__object_unref(none);
  if (b->stale != NULL)
    cmap__object_unref(b->stale);
}

void cmap__building_run(struct cmap__building *b)
{
  struct cmap__request *r = b->request;

  b->object = NULL;
  b->since_ns = cmap__now_ns();
  cmap__count(&r->store->counts, CMAP__COUNT_RUNNING, 1);
  b->hold = cmap__construction_hold(b->flight);
  pthread_cleanup_push(abandon, b);
  cmap__probe(build, b, r->key.data);
  b->status = b->build(r->key, &b->object, b->ctx);
  cmap__probe(built, b, b->status);
  pthread_cleanup_pop(0);
  cmap__hold_end(b->hold);
  cmap__construction_end(r->store, 1, b->since_ns);
  cmap__building_made(b);
}

void cmap__building_made(struct cmap__building *b)
{
  struct cmap__request *r = b->request;

  if (CMAP__WRONG(b->status == CMAP_OK && b->object == NULL,
                  "build has returned CMAP_OK without an object"))
    b->status = CMAP_EINVAL;
  if (b->status == CMAP_OK)
    b->keep = cmap__object_init(r->store, r->key, b->header, b->object);
}

enum cmap_status cmap__building_finish(struct cmap__building *b,
                                       struct cmap_handle *handle)
{
  struct cmap__object *own = NULL, *header;
  enum cmap_status status;

  if (b->status == CMAP_OK)
    own = b->header;
  else if (b->header != NULL)
    cmap__header_give(b->request->store, b->header);
  header = own;
  status = cmap__flight_end(b->request, b->flight, b->status, b->keep, &header);
  if (status == CMAP_OK)
    cmap__handle_fill(handle, header, header == own ? CMAP_BUILT : CMAP_WAITED);
  return status;
}

/* Builds what the flight is for. */
static enum cmap_status construct(struct cmap__building *b,
                                  struct cmap_handle *handle)
{
  b->status = CMAP_ENOMEM;
  if (b->header != NULL)
    cmap__building_run(b);
  return cmap__building_finish(b, handle);
}

enum cmap_status cmap__building_end(struct cmap__building *b, bool mine,
                                    struct cmap_handle *handle)
{
  struct cmap__object *header;
  enum cmap_status status;

  if (!mine) {
    status =
        cmap__flight_wait(b->flight, &b->request->patience, &header, &mine);
    if (status != CMAP_OK)
      return status;
    if (!mine) {
      cmap__handle_fill(handle, header, CMAP_WAITED);
      return CMAP_OK;
    }
    b->header = cmap__header_take(b->request->store);
  }
  return construct(b, handle);
}

enum cmap_status cmap__building_create(struct cmap__building *b,
                                       struct cmap_handle *handle)
{
  struct cmap__entered in;
  enum cmap_status status;

  if (!cmap__hold_prepare())
    return CMAP_ENOMEM;
  status = cmap__store_enter(b->request, CMAP__WANT_ANY, true, &in);
  if (status != CMAP_OK)
    return status;
  if (in.flight == NULL) {
    cmap__handle_fill(handle, in.header, in.origin);
    return CMAP_OK;
  }
  b->flight = in.flight;
  b->header = in.header;
  return cmap__building_end(b, in.mine, handle);
}
