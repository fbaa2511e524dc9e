/*
 * DashMap: shards of a SwissTable (hashbrown), each under a reader-writer spin
 * lock. Its loops are in dashmap/, in Rust; here they become tables.
 *
 * With Rust's default hasher (SipHash-1-3 with a random key) and with fast
 * ones: for integers that of hash.h, for strings ahash. And with the default
 * number of shards, four a processor, and with 64, which helps where threads
 * are many.
 */
#include "peers.h"

#include "hash.h"

#define MANY_SHARDS 64

/* The functions that dashmap/src/lib.rs exports for a hasher. Zero shards: as
 * many as DashMap likes. */
#define DECLARE_MAP(prefix)                                                    \
  void *prefix##_create(size_t shards);                                        \
  void prefix##_destroy(void *map);                                            \
  size_t prefix##_len(void *map)
#define DECLARE_INT_LOOP(name) uint64_t name(void *map, const struct trace *)
#define DECLARE_STRING_LOOP(name)                                              \
  uint64_t name(void *map, const struct string_trace *)
#define DECLARE_INTS(prefix)                                                   \
  DECLARE_MAP(prefix);                                                         \
  uint64_t prefix##_iterate(void *map);                                        \
  DECLARE_INT_LOOP(prefix##_get);                                              \
  DECLARE_INT_LOOP(prefix##_insert);                                           \
  DECLARE_INT_LOOP(prefix##_remove);                                           \
  DECLARE_INT_LOOP(prefix##_mixed);                                            \
  DECLARE_INT_LOOP(prefix##_count);                                            \
  DECLARE_INT_LOOP(prefix##_read_guard);                                       \
  DECLARE_INT_LOOP(prefix##_write_guard)
#define DECLARE_STRINGS(prefix)                                                \
  DECLARE_MAP(prefix);                                                         \
  DECLARE_STRING_LOOP(prefix##_get);                                           \
  DECLARE_STRING_LOOP(prefix##_count);                                         \
  DECLARE_STRING_LOOP(prefix##_entry);                                         \
  DECLARE_STRING_LOOP(prefix##_check_insert)

DECLARE_INTS(dashmap_u64);
DECLARE_INTS(dashmap_fast_u64);
DECLARE_STRINGS(dashmap_string);
DECLARE_STRINGS(dashmap_fast_string);

/* create of each table: the hint is not for maps that grow. */
static void *u64_create(size_t keys)
{
  (void)keys;
  return dashmap_u64_create(0);
}

static void *u64_create_64(size_t keys)
{
  (void)keys;
  return dashmap_u64_create(MANY_SHARDS);
}

static void *fast_u64_create(size_t keys)
{
  (void)keys;
  return dashmap_fast_u64_create(0);
}

static void *fast_u64_create_64(size_t keys)
{
  (void)keys;
  return dashmap_fast_u64_create(MANY_SHARDS);
}

static void *string_create(size_t keys)
{
  (void)keys;
  return dashmap_string_create(0);
}

static void *string_create_64(size_t keys)
{
  (void)keys;
  return dashmap_string_create(MANY_SHARDS);
}

static void *fast_string_create(size_t keys)
{
  (void)keys;
  return dashmap_fast_string_create(0);
}

static void *fast_string_create_64(size_t keys)
{
  (void)keys;
  return dashmap_fast_string_create(MANY_SHARDS);
}

/* The rest of the tables. */
#define INT_LOOPS(prefix)                                                      \
  .destroy = prefix##_destroy, .len = prefix##_len, .get = prefix##_get,       \
  .insert = prefix##_insert, .remove = prefix##_remove,                        \
  .mixed = prefix##_mixed, .count = prefix##_count,                            \
  .iterate = prefix##_iterate, .read_guard = prefix##_read_guard,              \
  .write_guard = prefix##_write_guard
#define STRING_LOOPS(prefix)                                                   \
  .destroy = prefix##_destroy, .len = prefix##_len, .get = prefix##_get,       \
  .count = prefix##_count, .entry = prefix##_entry,                            \
  .check_insert = prefix##_check_insert

static const struct impl_u64 u64 = {.create = u64_create,
                                    INT_LOOPS(dashmap_u64)};
static const struct impl_u64 u64_64 = {.create = u64_create_64,
                                       INT_LOOPS(dashmap_u64)};
static const struct impl_u64 fast_u64 = {.create = fast_u64_create,
                                         INT_LOOPS(dashmap_fast_u64)};
static const struct impl_u64 fast_u64_64 = {.create = fast_u64_create_64,
                                            INT_LOOPS(dashmap_fast_u64)};
static const struct impl_string string = {.create = string_create,
                                          STRING_LOOPS(dashmap_string)};
static const struct impl_string string_64 = {.create = string_create_64,
                                             STRING_LOOPS(dashmap_string)};
static const struct impl_string fast_string = {
    .create = fast_string_create, STRING_LOOPS(dashmap_fast_string)};
static const struct impl_string fast_string_64 = {
    .create = fast_string_create_64, STRING_LOOPS(dashmap_fast_string)};

/* Of each shape, with a fast hasher. */
#define DECLARE_SHAPE(id, keys, key_size, value_size)                          \
  DECLARE_MAP(dashmap_##id);                                                   \
  DECLARE_INT_LOOP(dashmap_##id##_get);                                        \
  DECLARE_INT_LOOP(dashmap_##id##_insert);                                     \
  DECLARE_INT_LOOP(dashmap_##id##_remove);                                     \
  DECLARE_INT_LOOP(dashmap_##id##_count);                                      \
  DECLARE_INT_LOOP(dashmap_##id##_read_guard);
BENCH_SHAPES(DECLARE_SHAPE)

#define SHAPE_LOOPS(id, value_size, create_shape)                              \
  {                                                                            \
    .create = create_shape, .destroy = dashmap_##id##_destroy,                 \
    .len = dashmap_##id##_len, .get = dashmap_##id##_get,                      \
    .insert = dashmap_##id##_insert, .remove = dashmap_##id##_remove,          \
    .count =                                                                   \
        (value_size) == 4 || (value_size) == 8 ? dashmap_##id##_count : NULL,  \
    .read_guard = dashmap_##id##_read_guard                                    \
  }
#define SHAPE_TABLES(id, keys, key_size, value_size)                           \
  static void *create_##id(size_t hint)                                        \
  {                                                                            \
    (void)hint;                                                                \
    return dashmap_##id##_create(0);                                           \
  }                                                                            \
  static void *create_##id##_64(size_t hint)                                   \
  {                                                                            \
    (void)hint;                                                                \
    return dashmap_##id##_create(MANY_SHARDS);                                 \
  }                                                                            \
  static const struct impl_u64 table_##id =                                    \
      SHAPE_LOOPS(id, value_size, create_##id);                                \
  static const struct impl_u64 table_##id##_64 =                               \
      SHAPE_LOOPS(id, value_size, create_##id##_64);
BENCH_SHAPES(SHAPE_TABLES)

#define SHAPE_TABLE(id, keys, key_size, value_size)    &table_##id,
#define SHAPE_TABLE_64(id, keys, key_size, value_size) &table_##id##_64,
static const struct impl_u64 *const shapes[] = {BENCH_SHAPES(SHAPE_TABLE)};
static const struct impl_u64 *const shapes_64[] = {
    BENCH_SHAPES(SHAPE_TABLE_64)};

#define WHAT      "DashMap " PEER_VERSION
#define SIPHASH   "SipHash-1-3"
#define FAST_HASH PEER_HASH_NAME "; strings: ahash"

const struct impl bench_impl_dashmap = {
    .name = "dashmap",
    .title = "DashMap",
    .what = WHAT ", default hasher and shards",
    .hash = SIPHASH,
    .u64 = &u64,
    .string = &string,
};

const struct impl bench_impl_dashmap_64 = {
    .name = "dashmap_64",
    .title = "DashMap, 64 shards",
    .what = WHAT ", default hasher, 64 shards",
    .hash = SIPHASH,
    .u64 = &u64_64,
    .string = &string_64,
};

const struct impl bench_impl_dashmap_fast = {
    .name = "dashmap_fast",
    .title = "DashMap, fast hash",
    .what = WHAT ", fast hasher, default shards",
    .hash = FAST_HASH,
    .u64 = &fast_u64,
    .string = &fast_string,
    .shapes = shapes,
};

const struct impl bench_impl_dashmap_fast_64 = {
    .name = "dashmap_fast_64",
    .title = "DashMap, fast hash, 64 shards",
    .what = WHAT ", fast hasher, 64 shards",
    .hash = FAST_HASH,
    .u64 = &fast_u64_64,
    .string = &fast_string_64,
    .shapes = shapes_64,
};
