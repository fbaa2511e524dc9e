/*
 * Objects: their headers, and who destroys them.
 */
#include "base/alloc.h"
#include "store/store.h"

/* Headers of one chunk. */
#define CHUNK_OBJECTS 126

struct cmap__object_chunk {
  struct cmap__object_chunk *next;
  struct cmap__object objects[CHUNK_OBJECTS];
};

/* Pool mutex held. */
static bool grow(struct cmap_store *store)
{
  struct cmap__object_chunk *chunk =
      cmap__alloc_zeroed(&store->allocator, sizeof *chunk, CMAP__CACHE_LINE);

  if (chunk == NULL)
    return false;
  chunk->next = store->chunks;
  store->chunks = chunk;
  cmap__add_relaxed(&store->chunk_count, 1); /* a statistic */
  for (size_t i = CHUNK_OBJECTS; i-- > 0;) {
    chunk->objects[i].store = store;
    chunk->objects[i].next = store->free;
    store->free = &chunk->objects[i];
  }
  return true;
}

struct cmap__object *cmap__object_new(struct cmap_store *store)
{
  struct cmap__object *header = NULL;

  pthread_mutex_lock(&store->pool_mutex);
  if (store->free != NULL || grow(store)) {
    header = store->free;
    store->free = header->next;
  }
  pthread_mutex_unlock(&store->pool_mutex);
  return header;
}

void cmap__object_free(struct cmap__object *header)
{
  struct cmap_store *store = header->store;

  pthread_mutex_lock(&store->pool_mutex);
  header->next = store->free;
  store->free = header;
  pthread_mutex_unlock(&store->pool_mutex);
}

void cmap__object_unref(struct cmap__object *header)
{
  struct cmap_store *store = header->store;

  /* Acquire and release: all uses of the object come before its end. */
  if (cmap__sub_acq_rel(&header->refs, 1) != 1)
    return;
  if (store->destroy != NULL && header->object != NULL)
    store->destroy(header->object, store->ctx);
  cmap__object_free(header);
}

void cmap__objects_destroy(struct cmap_store *store)
{
  while (store->chunks != NULL) {
    struct cmap__object_chunk *chunk = store->chunks;
    store->chunks = chunk->next;
    cmap__free(&store->allocator, chunk, sizeof *chunk, CMAP__CACHE_LINE);
  }
}

size_t cmap__objects_bytes(const struct cmap_store *store)
{
  return cmap__load_relaxed(&store->chunk_count) *
         sizeof(struct cmap__object_chunk);
}

uint64_t cmap__objects_refs(struct cmap_store *store)
{
  uint64_t refs = 0;

  pthread_mutex_lock(&store->pool_mutex);
  for (struct cmap__object_chunk *chunk = store->chunks; chunk != NULL;
       chunk = chunk->next) {
    for (size_t i = 0; i < CHUNK_OBJECTS; i++)
      refs += cmap__load_relaxed(&chunk->objects[i].refs);
  }
  pthread_mutex_unlock(&store->pool_mutex);
  return refs;
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
  if (from == NULL || to == NULL || from->internal[0] == 0)
    return CMAP_EINVAL;
  cmap__object_ref((struct cmap__object *)from->internal[0]);
  *to = *from;
  return CMAP_OK;
}
