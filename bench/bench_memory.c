/*
 * Memory: bytes per entry of maps that are grown from empty, one by one.
 *
 * Maps have their memory from different allocators, and some have threads that
 * clean up after them; what all of them can be asked for is the memory of the
 * program in RAM, in a child process that has one map and does nothing else.
 * Huge pages are off in it: they round a map's need up by whatever the system
 * sees fit. Small maps are measured many at a time.
 */
#include "harness.h"

#include <math.h>
#include <string.h>
#include <sys/prctl.h>

#define SMALL_KEYS  1000
/* So many small maps, or so many bytes of them, are measured together. */
#define MANY_MAPS   4000
#define MANY_BYTES  ((size_t)32 << 20)
/* In steps of equal ratio, both included: no two at the same place between
 * two powers of two. */
#define LARGE_SIZES 10
#define LARGE_FIRST 1e6
#define LARGE_LAST  1e7
/* Keys that are made at a time. */
#define CHUNK       1000

struct memory_input {
  const struct impl *impl;
  unsigned large_count;
};

struct memory_result {
  double empty; /* bytes */
  double small; /* per entry, as the next */
  double large[LARGE_SIZES];
  unsigned large_count;
  double average; /* of the large ones */
  bool ok;
};

static size_t size_at(unsigned i)
{
  return (size_t)llround(
      LARGE_FIRST * pow(LARGE_LAST / LARGE_FIRST, i / (LARGE_SIZES - 1.0)));
}

static void insert_range(const struct impl_u64 *ops, void *map, size_t first,
                         size_t end)
{
  static uint64_t keys[CHUNK];

  while (first < end) {
    struct trace trace = {.keys = keys};
    while (first < end && trace.count < CHUNK)
      keys[trace.count++] = bench_key(first++);
    ops->insert(map, &trace);
  }
}

/* What a map's first use costs once for the whole program is not the map's:
 * one is made and thrown away. */
static void warm_up(const struct impl_u64 *ops)
{
  void *map = ops->create(SMALL_KEYS);

  if (map != NULL) {
    insert_range(ops, map, 0, SMALL_KEYS);
    ops->destroy(map);
  }
}

/* Bytes of a map with so many keys, of as many maps as make up a few MiB;
 * below 0 on failure. */
static double measure_many(const struct impl_u64 *ops, size_t keys)
{
  size_t before = bench_resident();
  size_t bytes = 0;
  size_t count = 0;

  while (count < MANY_MAPS && bytes < MANY_BYTES) {
    void *map = ops->create(keys);
    if (map == NULL)
      return -1;
    insert_range(ops, map, 0, keys);
    count++;
    bytes = bench_resident();
    bytes = bytes > before ? bytes - before : 0;
  }
  return (double)bytes / (double)count;
}

static void measure_small(const void *arg, void *out)
{
  const struct impl *impl = ((const struct memory_input *)arg)->impl;
  double *bytes = out;

  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  warm_up(impl->u64);
  *bytes = measure_many(impl->u64, SMALL_KEYS);
}

static void measure_empty(const void *arg, void *out)
{
  const struct impl *impl = ((const struct memory_input *)arg)->impl;
  double *bytes = out;

  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  warm_up(impl->u64);
  *bytes = measure_many(impl->u64, 0);
}

static void measure_large(const void *arg, void *out)
{
  const struct memory_input *input = arg;
  const struct impl_u64 *ops = input->impl->u64;
  struct memory_result *result = out;
  unsigned count = input->large_count;
  size_t before;
  void *map;

  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  warm_up(ops);
  before = bench_resident();
  map = ops->create(size_at(count - 1));
  if (map == NULL)
    return;
  for (unsigned i = 0; i < count; i++) {
    insert_range(ops, map, i == 0 ? 0 : size_at(i - 1), size_at(i));
    result->large[i] =
        ((double)bench_resident() - (double)before) / (double)size_at(i);
    result->average += result->large[i] / count;
  }
  result->large_count = count;
  result->ok = ops->len(map) == size_at(count - 1);
}

static bool is_offered(const struct impl *impl)
{
  return impl->missing == NULL && impl->u64 != NULL && !impl->reads_only &&
         !impl->shares_only && impl->round == NULL && impl->u64->insert != NULL;
}

static void write_csv(const char *csv, const struct impl *impl, size_t keys,
                      double bytes)
{
  FILE *file = bench_csv(csv, BENCH_CSV);

  fprintf(file, "memory,%zu,1,%s,1,,,,%.2f\n", keys, impl->name, bytes);
  fclose(file);
}

static void print_row(const struct impl *impl,
                      const struct memory_result *result, const char *csv)
{
  printf("%-16s %9.0f %8.1f", impl->name, result->empty, result->small);
  for (unsigned i = 0; i < result->large_count; i++)
    printf(" %6.1f", result->large[i]);
  printf(" %8.1f\n", result->average);
  if (csv == NULL)
    return;
  write_csv(csv, impl, 0, result->empty);
  write_csv(csv, impl, SMALL_KEYS, result->small);
  for (unsigned i = 0; i < result->large_count; i++)
    write_csv(csv, impl, size_at(i), result->large[i]);
}

static bool measure(const struct memory_input *input,
                    struct memory_result *result)
{
  double empty = 0;
  double small = 0;
  bool ok;

  memset(result, 0, sizeof *result);
  ok = bench_child(measure_large, input, result, sizeof *result) && result->ok;
  ok &= bench_child(measure_empty, input, &empty, sizeof empty) && empty >= 0;
  ok &= bench_child(measure_small, input, &small, sizeof small) && small >= 0;
  result->empty = empty;
  result->small = small / SMALL_KEYS;
  return ok;
}

bool bench_memory(const struct impl *const *impls, size_t count,
                  size_t max_keys, const char *csv)
{
  struct memory_input input = {.large_count = 1};
  bool all_ok = true;

  while (input.large_count < LARGE_SIZES &&
         size_at(input.large_count) <= max_keys)
    input.large_count++;
  printf("\nmemory: bytes of an empty map, and per entry of larger ones, "
         "u64 -> u64, grown from empty\n%-16s %9s %8s",
         "map", "empty", "1 K");
  for (unsigned i = 0; i < input.large_count; i++)
    printf(" %5.2fM", (double)size_at(i) * 1e-6);
  printf(" %8s\n", "mean");
  for (size_t i = 0; i < count; i++) {
    struct memory_result result;
    bool ok;
    if (!is_offered(impls[i]))
      continue;
    input.impl = impls[i];
    bench_progress("memory: %s", impls[i]->name);
    ok = measure(&input, &result);
    bench_progress(NULL);
    if (ok)
      print_row(impls[i], &result, csv);
    else
      printf("%-16s FAILED\n", impls[i]->name);
    all_ok &= ok;
  }
  return all_ok;
}
