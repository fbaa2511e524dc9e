/*
 * libcmap under test: through the public header and the shared library.
 */
#include "bench.h"

#include <stdlib.h>

#include <cmap.h>

const struct impl *const bench_impls[] = {&bench_impl_cmap, &bench_impl_raw,
                                          NULL};

static void *create(size_t keys)
{
  struct cmap_options options;
  struct cmap *map;

  (void)keys;
  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  return cmap_create(&options, &map) == CMAP_OK ? map : NULL;
}

static void destroy(void *map)
{
  cmap_destroy(map);
}

static size_t len(void *map)
{
  size_t n;

  if (cmap_len_exact(map, &n, NULL) != CMAP_OK)
    abort();
  return n;
}

static uint64_t get(void *map, const struct trace *trace)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < trace->count; i++) {
    uint64_t value;
    if (cmap_get(map, cmap_key_u64(&trace->keys[i]), &value, NULL) == CMAP_OK)
      sum += value;
  }
  return sum;
}

static uint64_t insert(void *map, const struct trace *trace)
{
  for (size_t i = 0; i < trace->count; i++) {
    if (cmap_insert(map, cmap_key_u64(&trace->keys[i]), &trace->keys[i], NULL,
                    NULL, NULL) != CMAP_OK)
      abort();
  }
  return trace->count;
}

static uint64_t drain(void *map, const struct trace *trace)
{
  uint64_t removed = 0;

  for (size_t i = 0; i < trace->count; i++)
    removed +=
        cmap_remove(map, cmap_key_u64(&trace->keys[i]), NULL, NULL) == CMAP_OK;
  return removed;
}

static uint64_t mixed(void *map, const struct trace *trace)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < trace->count; i++) {
    struct cmap_key key = cmap_key_u64(&trace->keys[i]);
    uint64_t value;
    switch (trace->ops[i]) {
    case OP_GET:
      sum += cmap_get(map, key, &value, NULL) == CMAP_OK;
      break;
    case OP_INSERT:
      if (cmap_insert(map, key, key.data, NULL, NULL, NULL) != CMAP_OK)
        abort();
      break;
    default:
      sum += cmap_remove(map, key, NULL, NULL) == CMAP_OK;
    }
  }
  return sum;
}

static uint64_t count(void *map, const struct trace *trace)
{
  for (size_t i = 0; i < trace->count; i++) {
    if (cmap_fetch_add(map, cmap_key_u64(&trace->keys[i]), 1, NULL, NULL) !=
        CMAP_OK)
      abort();
  }
  return trace->count;
}

const struct impl bench_impl_cmap = {
    .name = "cmap",
    .what = "libcmap, public header, shared library",
    .create = create,
    .destroy = destroy,
    .len = len,
    .get = get,
    .insert = insert,
    .remove = drain,
    .mixed = mixed,
    .count = count,
};
