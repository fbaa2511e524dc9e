/*
 * libcmap under test with keys and values of many shapes: one body for each
 * loop, instantiated for each shape, as a user's typed layer is. Compiled
 * twice, as impl_cmap.c.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include <cmap.h>

#if BENCH_WITH_EMBEDDED
#  define TABLES bench_cmap_shapes_shared
#else
#  define TABLES bench_cmap_shapes
#endif

extern const struct impl_u64 *const TABLES[SHAPES];

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE struct cmap_key key_at(const struct trace *trace, size_t i,
                                     enum key_class keys)
{
  const void *all = trace->keys;

  switch (keys) {
  case KEYS_U64:
    return cmap_key_u64((const uint64_t *)all + i);
  case KEYS_U32:
    return cmap_key_u32((const uint32_t *)all + i);
  case KEYS_FIXED16:
    return cmap_key_bytes((const struct bench_fixed16 *)all + i,
                          sizeof(struct bench_fixed16));
  default:
    return cmap_key_bytes(((const struct bench_string *)all)[i].data,
                          ((const struct bench_string *)all)[i].size);
  }
}

/* Fills a value with what belongs to the key. */
ALWAYS_INLINE void fill(void *value, struct cmap_key key, enum key_class keys,
                        size_t size)
{
  uint64_t word = 0;

  if (keys == KEYS_U32)
    memcpy(&word, key.data, sizeof(uint32_t));
  else
    memcpy(&word,
           (const char *)key.data +
               (keys == KEYS_STRING ? key.size - sizeof word : 0),
           sizeof word);
  for (size_t at = 0; at < size; at += sizeof word)
    memcpy((char *)value + at, &word, size < sizeof word ? size : sizeof word);
}

ALWAYS_INLINE uint64_t word_of(const void *value, size_t size)
{
  uint64_t word = size == 0;

  memcpy(&word, value, size < sizeof word ? size : sizeof word);
  return word;
}

ALWAYS_INLINE void *create_shape(enum key_class keys, size_t key_size,
                                 size_t value_size)
{
  struct cmap_options options;
  struct cmap *map;

  cmap_options_init(&options,
                    keys == KEYS_U64       ? CMAP_U64
                    : keys == KEYS_U32     ? CMAP_U32
                    : keys == KEYS_FIXED16 ? CMAP_FIXED
                                           : CMAP_STRING,
                    value_size);
  if (keys == KEYS_FIXED16)
    options.key_size = key_size;
  if (keys == KEYS_STRING)
    options.flags = CMAP_HASH_FAST;
  return cmap_create(&options, &map) == CMAP_OK ? map : NULL;
}

static void destroy(void *map)
{
  cmap_destroy(map);
}

static size_t len(void *map)
{
  return cmap_len(map);
}

/* As large as the largest value, and never of no bytes. */
#define VALUE_MAX 64

ALWAYS_INLINE uint64_t get_shape(void *map, const struct trace *trace,
                                 enum key_class keys, size_t size)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < trace->count; i++) {
    uint64_t value[VALUE_MAX / sizeof(uint64_t)];
    if (cmap_get(map, key_at(trace, i, keys), size == 0 ? NULL : value, NULL) ==
        CMAP_OK)
      sum += word_of(value, size);
  }
  return sum;
}

ALWAYS_INLINE uint64_t insert_shape(void *map, const struct trace *trace,
                                    enum key_class keys, size_t size)
{
  for (size_t i = 0; i < trace->count; i++) {
    struct cmap_key key = key_at(trace, i, keys);
    uint64_t value[VALUE_MAX / sizeof(uint64_t)];
    fill(value, key, keys, size);
    if (cmap_insert(map, key, size == 0 ? NULL : value, NULL, NULL, NULL) !=
        CMAP_OK)
      abort();
  }
  return trace->count;
}

ALWAYS_INLINE uint64_t remove_shape(void *map, const struct trace *trace,
                                    enum key_class keys)
{
  uint64_t removed = 0;

  for (size_t i = 0; i < trace->count; i++)
    removed += cmap_remove(map, key_at(trace, i, keys), NULL, NULL) == CMAP_OK;
  return removed;
}

ALWAYS_INLINE uint64_t count_shape(void *map, const struct trace *trace,
                                   enum key_class keys)
{
  for (size_t i = 0; i < trace->count; i++) {
    if (cmap_fetch_add(map, key_at(trace, i, keys), 1, NULL, NULL) != CMAP_OK)
      abort();
  }
  return trace->count;
}

ALWAYS_INLINE uint64_t read_guard_shape(void *map, const struct trace *trace,
                                        enum key_class keys, size_t size)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < trace->count; i++) {
    struct cmap_read_guard guard;
    if (cmap_get_ref(map, key_at(trace, i, keys), &guard, NULL) != CMAP_OK)
      continue;
    sum += size == 0 ? 1 : word_of(guard.value, size);
    cmap_read_guard_release(&guard);
  }
  return sum;
}

#define OPERATIONS(id, keys, key_size, value_size)                             \
  static void *create_##id(size_t hint)                                        \
  {                                                                            \
    (void)hint;                                                                \
    return create_shape(KEYS_##keys, key_size, value_size);                    \
  }                                                                            \
  static uint64_t get_##id(void *map, const struct trace *trace)               \
  {                                                                            \
    return get_shape(map, trace, KEYS_##keys, value_size);                     \
  }                                                                            \
  static uint64_t insert_##id(void *map, const struct trace *trace)            \
  {                                                                            \
    return insert_shape(map, trace, KEYS_##keys, value_size);                  \
  }                                                                            \
  static uint64_t remove_##id(void *map, const struct trace *trace)            \
  {                                                                            \
    return remove_shape(map, trace, KEYS_##keys);                              \
  }                                                                            \
  static uint64_t count_##id(void *map, const struct trace *trace)             \
  {                                                                            \
    return count_shape(map, trace, KEYS_##keys);                               \
  }                                                                            \
  static uint64_t read_guard_##id(void *map, const struct trace *trace)        \
  {                                                                            \
    return read_guard_shape(map, trace, KEYS_##keys, value_size);              \
  }                                                                            \
  static const struct impl_u64 table_##id = {                                  \
      .create = create_##id,                                                   \
      .destroy = destroy,                                                      \
      .len = len,                                                              \
      .get = get_##id,                                                         \
      .insert = insert_##id,                                                   \
      .remove = remove_##id,                                                   \
      .count = (value_size) == 4 || (value_size) == 8 ? count_##id : NULL,     \
      .read_guard = read_guard_##id,                                           \
  };
BENCH_SHAPES(OPERATIONS)

#define TABLE(id, keys, key_size, value_size) &table_##id,
const struct impl_u64 *const TABLES[SHAPES] = {BENCH_SHAPES(TABLE)};
