/*
 * Objects: their references, and who destroys them.
 */
#include "store/cancel.h"
#include "store/store.h"

/* The second half of giving back a watched reference. Was it the last? */
static CMAP__COLD bool leave_watched(struct cmap__object *header)
{
  cmap__watch_release(header);
  if (cmap__sub_acq_rel(&header->refs, 1) != (CMAP__REFS_WATCHED | 1))
    return false;
  cmap__watch_acquire(header);
  cmap__store_relaxed(&header->refs, 0); /* it is nobody else's any more */
  return true;
}

void cmap__object_unref(struct cmap__object *header)
{
  int64_t before;
  struct cmap_store *store;

  /* Acquire and release: all uses of the object come before its end. */
  before = (int64_t)cmap__sub_acq_rel(&header->refs, 1);
  if (before > 1 || (cmap__unlikely(before < 0) && !leave_watched(header)))
    return;
  store = header->page->store;
  if (store->destroy != NULL && header->object != NULL) {
    int cancel = cmap__cancel_disable();
    store->destroy(header->object, store->ctx);
    cmap__cancel_restore(cancel);
  }
  cmap__header_give(header);
}

void cmap_handle_release(struct cmap_handle *handle)
{
  const struct cmap_handle none = CMAP_INIT;
  struct cmap__object *header;

  if (handle == NULL)
    return;
  header = (struct cmap__object *)handle->internal[0];
  *handle = none;
  if (header != NULL)
    cmap__object_unref(header);
}

enum cmap_status cmap_handle_copy(const struct cmap_handle *from,
                                  struct cmap_handle *to)
{
  if (CMAP__MISSING(from) || CMAP__MISSING(to) ||
      CMAP__WRONG(from->internal[0] == 0, "from has no object")) {
    cmap__handle_clear(to);
    return CMAP_EINVAL;
  }
  cmap__object_ref((struct cmap__object *)from->internal[0]);
  *to = *from;
  return CMAP_OK;
}
