/*
 * The get-or-create store: shared objects, built once for each key.
 */
#include "bench.h"

#include <stdlib.h>
#include <time.h>

#include <cmap.h>

extern const BENCH_SHOWN struct impl bench_impl_cmap_store;

/* An object is its key's number; nobody frees it. */
static void *object_of(uint64_t key)
{
  return (void *)(uintptr_t)(key | 1);
}

static void *create_cache(size_t bound)
{
  struct cmap_store_options options;
  struct cmap_store *store;

  cmap_store_options_init(&options, CMAP_U64, NULL);
  options.max_objects = bound;
  return cmap_store_create(&options, &store) == CMAP_OK ? store : NULL;
}

static void *create(size_t keys)
{
  (void)keys;
  return create_cache(0);
}

static void destroy(void *store)
{
  if (cmap_store_destroy(store) != CMAP_OK)
    abort();
}

static size_t len(void *store)
{
  return cmap_store_len(store);
}

static uint64_t get(void *store, const struct trace *trace)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < trace->count; i++) {
    struct cmap_handle handle;
    if (cmap_store_get(store, cmap_key_u64(&trace->keys[i]), &handle, NULL) !=
        CMAP_OK)
      continue;
    sum += (uintptr_t)handle.object;
    cmap_handle_release(&handle);
  }
  return sum;
}

static uint64_t insert(void *store, const struct trace *trace)
{
  for (size_t i = 0; i < trace->count; i++) {
    if (cmap_store_put(store, cmap_key_u64(&trace->keys[i]),
                       object_of(trace->keys[i]), NULL, NULL) != CMAP_OK)
      abort();
  }
  return trace->count;
}

/* As if it asked a server. */
static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  const struct timespec time = {.tv_nsec = BENCH_BUILD_NS};
  uint64_t number;

  (void)ctx;
  memcpy(&number, key.data, sizeof number);
  (void)nanosleep(&time, NULL);
  *object = object_of(number);
  return CMAP_OK;
}

static uint64_t share(void *store, const struct trace *trace)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < trace->count; i++) {
    struct cmap_handle handle;
    if (cmap_store_get_or_create(store, cmap_key_u64(&trace->keys[i]), &handle,
                                 build, NULL, NULL) != CMAP_OK)
      abort();
    sum += (uintptr_t)handle.object;
    cmap_handle_release(&handle);
  }
  return sum;
}

/* One that takes no time. */
static enum cmap_status build_at_once(struct cmap_key key, void **object,
                                      void *misses)
{
  ++*(uint64_t *)misses;
  *object = object_of(cmap_key_as_u64(key));
  return CMAP_OK;
}

static uint64_t cache(void *store, const struct trace *trace)
{
  uint64_t misses = 0;

  for (size_t i = 0; i < trace->count; i++) {
    struct cmap_handle handle;
    if (cmap_store_get_or_create(store, cmap_key_u64(&trace->keys[i]), &handle,
                                 build_at_once, &misses, NULL) != CMAP_OK)
      abort();
    cmap_handle_release(&handle);
  }
  return trace->count - misses;
}

static uint64_t borrow(void *store, const struct trace *trace)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < trace->count; i++) {
    struct cmap_borrowed borrowed;
    if (cmap_store_borrow(store, cmap_key_u64(&trace->keys[i]), &borrowed,
                          NULL) != CMAP_OK)
      abort();
    sum += (uintptr_t)borrowed.object;
    cmap_borrowed_release(&borrowed);
  }
  return sum;
}

static const struct impl_u64 u64 = {
    .create = create,
    .destroy = destroy,
    .len = len,
    .get = get,
    .insert = insert,
    .share = share,
    .create_cache = create_cache,
    .cache = cache,
    .borrow = borrow,
};

const struct impl bench_impl_cmap_store = {
    .name = "cmap_store",
    .title = "libcmap's store",
    .what = "libcmap's get-or-create store",
    .hash = "keyed mixer",
    .u64 = &u64,
    .shares_only = true,
    .role = ROLE_CMAP,
};
