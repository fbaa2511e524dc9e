/*
 * The workloads, and which of them a map offers.
 */
#include "harness.h"

/* Exponent of the unevenly distributed keys: YCSB's. */
#define ZIPF 0.99

const struct workload bench_workloads[] = {
    {.name = "get",
     .what = "reads of present keys",
     .loop = LOOP_GET,
     .pattern = PATTERN_CHANCE},
    {.name = "get_zipf",
     .what = "reads of present keys, some far more often (Zipf 0.99)",
     .loop = LOOP_GET,
     .pattern = PATTERN_CHANCE,
     .zipf = ZIPF},
    {.name = "miss",
     .what = "reads of absent keys",
     .loop = LOOP_GET,
     .pattern = PATTERN_CHANCE,
     .miss = true},
    {.name = "get_batch",
     .what = "reads of present keys by a call for many, if there is one",
     .loop = LOOP_GET_BATCH,
     .pattern = PATTERN_CHANCE},
    {.name = "read_heavy",
     .what = "98 % get, 1 % insert, 1 % remove over twice the keys",
     .loop = LOOP_MIXED,
     .pattern = PATTERN_MIX,
     .pct = {98, 1, 1, 0}},
    {.name = "read_heavy_zipf",
     .what = "98 % get, 1 % insert, 1 % remove, some keys far more often",
     .loop = LOOP_MIXED,
     .pattern = PATTERN_MIX,
     .zipf = ZIPF,
     .pct = {98, 1, 1, 0}},
    {.name = "mixed",
     .what = "50 % get, 25 % insert, 25 % remove over twice the keys",
     .loop = LOOP_MIXED,
     .pattern = PATTERN_MIX,
     .pct = {50, 25, 25, 0}},
    {.name = "mixed_zipf",
     .what = "50 % get, 25 % insert, 25 % remove, some keys far more often",
     .loop = LOOP_MIXED,
     .pattern = PATTERN_MIX,
     .zipf = ZIPF,
     .pct = {50, 25, 25, 0}},
    {.name = "overwrite",
     .what = "inserts over present keys",
     .loop = LOOP_INSERT,
     .pattern = PATTERN_CHANCE},
    {.name = "grow",
     .what = "inserts of new keys, from empty",
     .loop = LOOP_INSERT,
     .pattern = PATTERN_PARTS,
     .from_empty = true},
    {.name = "grow_batch",
     .what = "inserts of new keys by a call for many, if there is one",
     .loop = LOOP_INSERT_BATCH,
     .pattern = PATTERN_PARTS,
     .from_empty = true},
    {.name = "remove",
     .what = "removals of all keys",
     .loop = LOOP_REMOVE,
     .pattern = PATTERN_PARTS},
    {.name = "count_zipf",
     .what = "counters, from empty: add 1 or insert 1 (Zipf 0.99)",
     .loop = LOOP_COUNT,
     .pattern = PATTERN_CHANCE,
     .from_empty = true,
     .zipf = ZIPF},
    {.name = "count_hot",
     .what = "one counter for all threads",
     .loop = LOOP_COUNT,
     .pattern = PATTERN_CHANCE,
     .from_empty = true,
     .hot = true},
    {.name = "iterate",
     .what = "visits of all entries, one after the other",
     .loop = LOOP_ITERATE,
     .pattern = PATTERN_NONE},
    {.name = "cmb_read_heavy",
     .what = "conc-map-bench's ReadHeavy: 98 % get, 1 % insert, 1 % remove",
     .loop = LOOP_MIXED,
     .pattern = PATTERN_SEQUENCE,
     .pct = {98, 1, 1, 0},
     .fill_pct = 75},
    {.name = "cmb_exchange",
     .what =
         "conc-map-bench's Exchange: 10 % get, 40 insert, 40 remove, 10 update",
     .loop = LOOP_MIXED,
     .pattern = PATTERN_SEQUENCE,
     .pct = {10, 40, 40, 10},
     .fill_pct = 75},
    {.name = "cmb_rapid_grow",
     .what =
         "conc-map-bench's RapidGrow: 5 % get, 80 insert, 5 remove, 10 update",
     .loop = LOOP_MIXED,
     .pattern = PATTERN_SEQUENCE,
     .pct = {5, 80, 5, 10}},
    {.name = "read_guard",
     .what = "a read guard taken and released around a look at the value",
     .loop = LOOP_READ_GUARD,
     .pattern = PATTERN_CHANCE},
    {.name = "write_guard",
     .what = "a write guard taken and released around a look at the value",
     .loop = LOOP_WRITE_GUARD,
     .pattern = PATTERN_CHANCE},
    {.name = "store_hit",
     .what = "get or create of shared objects that are there",
     .loop = LOOP_SHARE,
     .pattern = PATTERN_CHANCE},
    {.name = "store_hit_bound",
     .what = "the same in a cache that has room for all",
     .loop = LOOP_SHARE,
     .pattern = PATTERN_CHANCE,
     .bound_pct = 100},
    {.name = "store_hit_one",
     .what = "get or create of one shared object",
     .loop = LOOP_SHARE,
     .pattern = PATTERN_CHANCE,
     .hot = true},
    {.name = "store_borrow_one",
     .what = "one shared object, borrowed",
     .loop = LOOP_BORROW,
     .pattern = PATTERN_CHANCE,
     .hot = true},
    {.name = "cache_zipf",
     .what = "get or create in a cache of 10 % of the keys (Zipf 0.9)",
     .loop = LOOP_CACHE,
     .pattern = PATTERN_CHANCE,
     .zipf = 0.9,
     .bound_pct = 10},
    {.name = "cache_zipf_1",
     .what = "the same with 1 %",
     .loop = LOOP_CACHE,
     .pattern = PATTERN_CHANCE,
     .zipf = 0.9,
     .bound_pct = 1},
    {.name = "cache_zipf_50",
     .what = "the same with 50 %",
     .loop = LOOP_CACHE,
     .pattern = PATTERN_CHANCE,
     .zipf = 0.9,
     .bound_pct = 50},
    {.name = "cache_zipf07",
     .what = "the same with 10 %, Zipf 0.7",
     .loop = LOOP_CACHE,
     .pattern = PATTERN_CHANCE,
     .zipf = 0.7,
     .bound_pct = 10},
    {.name = "cache_zipf11",
     .what = "the same with 10 %, Zipf 1.1",
     .loop = LOOP_CACHE,
     .pattern = PATTERN_CHANCE,
     .zipf = 1.1,
     .bound_pct = 10},
    {.name = "cache_scan",
     .what = "cache_zipf beside a walk over all keys, one call in four",
     .loop = LOOP_CACHE,
     .pattern = PATTERN_SCAN,
     .zipf = 0.9,
     .bound_pct = 10},
    {.name = "store_stampede",
     .what = "get or create of 64 objects that take 1 ms each to build",
     .loop = LOOP_SHARE,
     .pattern = PATTERN_CHANCE,
     .from_empty = true,
     .own_keys = 64,
     .own_threads = 8},
    {.name = "str_get",
     .what = "reads of present strings like \"key123\"",
     .loop = LOOP_STRING_GET,
     .pattern = PATTERN_KEY123},
    {.name = "str_count",
     .what = "counters of strings like \"key123\", from empty",
     .loop = LOOP_STRING_COUNT,
     .pattern = PATTERN_KEY123,
     .from_empty = true},
    {.name = "str_get_words",
     .what = "reads of the words of /usr/include, as they come there",
     .loop = LOOP_STRING_GET,
     .pattern = PATTERN_WORDS},
    {.name = "str_count_words",
     .what = "counts of the words of /usr/include, from empty",
     .loop = LOOP_STRING_COUNT,
     .pattern = PATTERN_WORDS,
     .from_empty = true},
    {.name = "str_entry",
     .what = "entry(\"key{i}\").or_insert(0) of 10 threads x 1000 present keys",
     .loop = LOOP_STRING_ENTRY,
     .pattern = PATTERN_ARTICLE,
     .own_keys = 1000,
     .own_threads = 10},
    {.name = "str_check_insert",
     .what = "10 threads x 1000 look-ups, and inserts of what is not found",
     .loop = LOOP_STRING_CHECK_INSERT,
     .pattern = PATTERN_ARTICLE,
     .own_keys = 1000,
     .own_threads = 10},
    {.name = NULL},
};

static bool has_integer_loop(const struct impl_u64 *map, enum loop loop)
{
  switch (loop) {
  case LOOP_GET:
  case LOOP_GET_BATCH:
    return map->get != NULL;
  case LOOP_INSERT:
  case LOOP_INSERT_BATCH:
    return map->insert != NULL;
  case LOOP_REMOVE:
    return map->remove != NULL;
  case LOOP_MIXED:
    return map->mixed != NULL;
  case LOOP_COUNT:
    return map->count != NULL;
  case LOOP_ITERATE:
    return map->iterate != NULL;
  case LOOP_READ_GUARD:
    return map->read_guard != NULL;
  case LOOP_WRITE_GUARD:
    return map->write_guard != NULL;
  case LOOP_SHARE:
    return map->share != NULL;
  case LOOP_CACHE:
    return map->cache != NULL;
  case LOOP_BORROW:
    return map->borrow != NULL;
  default:
    return false;
  }
}

static bool has_string_loop(const struct impl_string *map, enum loop loop)
{
  switch (loop) {
  case LOOP_STRING_GET:
    return map->get != NULL && map->count != NULL;
  case LOOP_STRING_COUNT:
    return map->count != NULL;
  case LOOP_STRING_ENTRY:
    return map->entry != NULL && map->count != NULL;
  case LOOP_STRING_CHECK_INSERT:
    return map->check_insert != NULL && map->count != NULL;
  default:
    return false;
  }
}

const struct impl_u64 *bench_operations(const struct impl *impl,
                                        const struct bench_shape *shape)
{
  if (shape == NULL)
    return impl->u64;
  return impl->shapes == NULL ? NULL : impl->shapes[shape - bench_shapes];
}

bool bench_is_offered(const struct impl *impl, const struct workload *workload,
                      const struct bench_shape *shape, unsigned threads)
{
  const struct impl_u64 *operations = bench_operations(impl, shape);
  enum loop loop = workload->loop;
  bool reads = loop == LOOP_GET || loop == LOOP_GET_BATCH ||
               loop == LOOP_ITERATE || loop == LOOP_READ_GUARD ||
               loop == LOOP_STRING_GET;

  if (impl->missing != NULL || (impl->reads_only && !reads) ||
      (impl->shares_only && loop != LOOP_SHARE && loop != LOOP_CACHE &&
       loop != LOOP_BORROW) ||
      (workload->bound_pct != 0 &&
       (operations == NULL || operations->create_cache == NULL)) ||
      (impl->max_threads != 0 && threads > impl->max_threads))
    return false;
  if (loop >= LOOP_STRING_GET)
    return shape == NULL && impl->string != NULL &&
           has_string_loop(impl->string, loop);
  return operations != NULL && has_integer_loop(operations, loop);
}
