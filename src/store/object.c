/*
 * Objects: their references, and who destroys them.
 */
#include "store/cancel.h"
#include "store/store.h"

void cmap__object_unref(struct cmap__object *header)
{
  struct cmap_store *store;

  /* Acquire and release: all uses of the object come before its end. */
  if (cmap__sub_acq_rel(&header->refs, 1) != 1)
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
