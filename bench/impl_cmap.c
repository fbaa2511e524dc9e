/*
 * libcmap under test, through the public header. Compiled twice, if gcc is
 * there: for a library that has the static library in it, and for the program,
 * which has the shared one (CMakeLists.txt).
 */
#include "bench.h"

#include <stdlib.h>

#include <cmap.h>

#if BENCH_WITH_EMBEDDED
#  define IMPL(name) bench_impl_##name##_shared
#  define SHAPES_OF  bench_cmap_shapes_shared
#  define SUFFIX     "_shared"
#  define LIBRARY    "libcmap, shared library"
#else
#  define IMPL(name) bench_impl_##name
#  define SHAPES_OF  bench_cmap_shapes
#  define SUFFIX     ""
#  define LIBRARY    "libcmap"
#endif
#if BENCH_EMBEDDED
#  define LINKED "libcmap_lto.a, linked with -flto"
#else
#  define LINKED "shared library"
#endif

extern const BENCH_SHOWN struct impl IMPL(cmap);
extern const struct impl_u64 *const SHAPES_OF[SHAPES];
extern const BENCH_SHOWN struct impl IMPL(cmap_fast);

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

static enum cmap_status add_one(struct cmap_key key, void *value, void *ctx)
{
  (void)key;
  (void)ctx;
  ++*(uint64_t *)value;
  return CMAP_OK;
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
    case OP_UPDATE:
      sum += cmap_alter(map, key, add_one, NULL, NULL) == CMAP_OK;
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

/* In portions, as a user would who has keys to look up as they come. */
enum { PORTION = 1000 };

static uint64_t get_batch(void *map, const struct trace *trace)
{
  struct cmap_key keys[PORTION];
  enum cmap_status statuses[PORTION];
  uint64_t values[PORTION], sum = 0;

  for (size_t at = 0; at < trace->count; at += PORTION) {
    size_t n = trace->count - at < PORTION ? trace->count - at : PORTION;
    for (size_t i = 0; i < n; i++)
      keys[i] = cmap_key_u64(&trace->keys[at + i]);
    if (cmap_get_many(map, keys, NULL, n, values, statuses, NULL) == CMAP_OK) {
      for (size_t i = 0; i < n; i++)
        sum += values[i];
      continue;
    }
    for (size_t i = 0; i < n; i++)
      if (statuses[i] == CMAP_OK)
        sum += values[i];
  }
  return sum;
}

static uint64_t insert_batch(void *map, const struct trace *trace)
{
  struct cmap_key keys[PORTION];
  enum cmap_status statuses[PORTION];

  for (size_t at = 0; at < trace->count; at += PORTION) {
    size_t n = trace->count - at < PORTION ? trace->count - at : PORTION;
    for (size_t i = 0; i < n; i++)
      keys[i] = cmap_key_u64(&trace->keys[at + i]);
    if (cmap_insert_many(map, keys, NULL, n, &trace->keys[at], statuses,
                         NULL) != CMAP_OK)
      abort();
  }
  return trace->count;
}

/* By copies of the values, a buffer full at a time. */
static uint64_t iterate(void *map)
{
  uint64_t values[4096], cursor = 0, sum = 0;
  struct cmap_scan_buffer buffer = {
      .size = sizeof buffer, .capacity = 4096, .values = values};
  enum cmap_status status;

  while ((status = cmap_scan(map, &cursor, 0, &buffer, NULL)) == CMAP_OK)
    for (size_t i = 0; i < buffer.count; i++)
      sum += values[i];
  if (status != CMAP_NOT_FOUND)
    abort();
  return sum;
}

static uint64_t read_guard(void *map, const struct trace *trace)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < trace->count; i++) {
    struct cmap_read_guard guard;
    if (cmap_get_ref(map, cmap_key_u64(&trace->keys[i]), &guard, NULL) !=
        CMAP_OK)
      continue;
    sum += *(const uint64_t *)guard.value;
    cmap_read_guard_release(&guard);
  }
  return sum;
}

static uint64_t write_guard(void *map, const struct trace *trace)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < trace->count; i++) {
    struct cmap_write_guard guard;
    if (cmap_get_mut(map, cmap_key_u64(&trace->keys[i]), &guard, NULL) !=
        CMAP_OK)
      continue;
    sum += *(const uint64_t *)guard.value;
    cmap_write_guard_release(&guard);
  }
  return sum;
}

static void *string_map(unsigned flags)
{
  struct cmap_options options;
  struct cmap *map;

  cmap_options_init(&options, CMAP_STRING, sizeof(uint64_t));
  options.flags = flags;
  return cmap_create(&options, &map) == CMAP_OK ? map : NULL;
}

static void *string_create(size_t keys)
{
  (void)keys;
  return string_map(0);
}

static void *string_create_fast(size_t keys)
{
  (void)keys;
  return string_map(CMAP_HASH_FAST);
}

static struct cmap_key string_key(const struct bench_string *string)
{
  return cmap_key_bytes(string->data, string->size);
}

static uint64_t string_get(void *map, const struct string_trace *trace)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < trace->count; i++) {
    uint64_t value;
    if (cmap_get(map, string_key(&trace->keys[i]), &value, NULL) == CMAP_OK)
      sum += value;
  }
  return sum;
}

static uint64_t string_count(void *map, const struct string_trace *trace)
{
  for (size_t i = 0; i < trace->count; i++) {
    if (cmap_fetch_add(map, string_key(&trace->keys[i]), 1, NULL, NULL) !=
        CMAP_OK)
      abort();
  }
  return trace->count;
}

static uint64_t string_entry(void *map, const struct string_trace *trace)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < trace->count; i++) {
    uint64_t value = 0;
    if (cmap_get_or_insert(map, string_key(&trace->keys[i]), &value, NULL,
                           NULL) != CMAP_OK)
      abort();
    sum += value;
  }
  return sum;
}

static uint64_t string_check_insert(void *map, const struct string_trace *trace)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < trace->count; i++) {
    struct cmap_key key = string_key(&trace->keys[i]);
    uint64_t value = 0;
    if (cmap_get(map, key, &value, NULL) == CMAP_NOT_FOUND) {
      enum cmap_status status = cmap_insert_new(map, key, &value, &value, NULL);
      if (status != CMAP_OK && status != CMAP_EXISTS)
        abort();
    }
    sum += value;
  }
  return sum;
}

static const struct impl_u64 u64 = {
    .create = create,
    .destroy = destroy,
    .len = len,
    .get = get,
    .get_batch = get_batch,
    .insert_batch = insert_batch,
    .insert = insert,
    .remove = drain,
    .mixed = mixed,
    .count = count,
    .iterate = iterate,
    .read_guard = read_guard,
    .write_guard = write_guard,
};

static const struct impl_string string = {
    .create = string_create,
    .destroy = destroy,
    .len = len,
    .get = string_get,
    .count = string_count,
    .entry = string_entry,
    .check_insert = string_check_insert,
};

static const struct impl_string string_fast = {
    .create = string_create_fast,
    .destroy = destroy,
    .len = len,
    .get = string_get,
    .count = string_count,
    .entry = string_entry,
    .check_insert = string_check_insert,
};

const struct impl IMPL(cmap) = {
    .name = "cmap" SUFFIX,
    .title = LIBRARY,
    .what = "libcmap, public header, " LINKED,
    .hash = "keyed mixer; strings SipHash-1-3",
    .u64 = &u64,
    .string = &string,
    .shapes = SHAPES_OF,
    .role = ROLE_CMAP,
};

const struct impl IMPL(cmap_fast) = {
    .name = "cmap_fast" SUFFIX,
    .title = LIBRARY ", fast string hash",
    .what = "the same with CMAP_HASH_FAST, for strings",
    .hash = "libcmap's fast hash of strings",
    .string = &string_fast,
    .role = ROLE_CMAP,
};
