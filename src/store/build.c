/*
 * Constructors: running one, and getting what comes of it.
 */
#include "store/build.h"

#include "base/probe.h"

static void end_timing(struct cmap__building *b)
{
  struct cmap_store *store = b->request->store;

  cmap__count(&store->counts, CMAP__COUNT_BUILD_NS,
              cmap__now_ns() - b->since_ns);
  cmap__count(&store->counts, CMAP__COUNT_RUNNING, -(uint64_t)1);
}

/* The thread ends inside the constructor. */
static void abandon(void *building)
{
  struct cmap__building *b = building;
  struct cmap__object *none = NULL;

  b->hold->object = NULL; /* nobody will wait for it any more */
  end_timing(b);
  cmap__header_give(b->header);
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
  b->hold = cmap__hold_next();
  b->hold->object = b->flight;
  b->hold->first = b->hold->last = 0;
  b->hold->mode = CMAP__WRITE;
  b->hold->lock = NULL;
  ((struct cmap__record *)b->hold)->ended = NULL; /* abandon() does it */
  cmap__hold_begin(b->hold);
  pthread_cleanup_push(abandon, b);
  cmap__probe(build, b, r->key.data);
  b->status = b->build(r->key, &b->object, b->ctx);
  cmap__probe(built, b, b->status);
  pthread_cleanup_pop(0);
  cmap__hold_end(b->hold);
  end_timing(b);
  if (CMAP__WRONG(b->status == CMAP_OK && b->object == NULL,
                  "build has returned CMAP_OK without an object"))
    b->status = CMAP_EINVAL;
  if (b->status == CMAP_OK)
    b->keep = cmap__object_init(r->store, r->key, b->header, b->object);
}

/* Builds what the flight is for. */
static enum cmap_status construct(struct cmap__building *b,
                                  struct cmap_handle *handle)
{
  struct cmap__object *own = NULL, *header;
  enum cmap_status status;

  b->status = CMAP_ENOMEM;
  if (b->header != NULL)
    cmap__building_run(b);
  if (b->status == CMAP_OK)
    own = b->header;
  else if (b->header != NULL)
    cmap__header_give(b->header);
  header = own;
  status = cmap__flight_end(b->request, b->flight, b->status, b->keep, &header);
  if (status == CMAP_OK)
    cmap__handle_fill(handle, header, header == own ? CMAP_BUILT : CMAP_WAITED);
  return status;
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
