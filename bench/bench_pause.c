/*
 * Pauses: how long single inserts into a growing map take, the slowest above
 * all.
 *
 * One thread inserts key after key and reads the clock around each. The clock
 * and the call through a table are in every number, some 30 ns; that the
 * machine did something else meanwhile is in some, so that medians of rounds
 * are shown here, too.
 */
#include "harness.h"

#include <stdlib.h>

enum { P50, P999, P99999, SLOWEST, COLUMNS };

struct pause_input {
  const struct impl *impl;
  size_t keys;
};

struct pause_result {
  uint32_t ns[COLUMNS];
  bool ok;
};

static int compare(const void *a, const void *b)
{
  uint32_t x = *(const uint32_t *)a;
  uint32_t y = *(const uint32_t *)b;

  return (x > y) - (x < y);
}

static void pause_round(const void *arg, void *out)
{
  const struct pause_input *input = arg;
  struct pause_result *result = out;
  const struct impl_u64 *ops = input->impl->u64;
  size_t keys = input->keys;
  uint32_t *ns = bench_alloc(keys, sizeof *ns);
  void *map = ops->create(keys);

  if (map == NULL)
    return;
  for (size_t i = 0; i < keys; i++)
    ns[i] = 1; /* no page faults while measuring */
  for (size_t i = 0; i < keys; i++) {
    uint64_t key = bench_key(i);
    struct trace one = {.keys = &key, .count = 1};
    uint64_t begin = bench_now_ns();
    uint64_t took;
    ops->insert(map, &one);
    took = bench_now_ns() - begin;
    ns[i] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
  }
  result->ok = ops->len(map) == keys;
  qsort(ns, keys, sizeof *ns, compare);
  result->ns[P50] = ns[keys / 2];
  result->ns[P999] = ns[keys - 1 - keys / 1000];
  result->ns[P99999] = ns[keys - 1 - keys / 100000];
  result->ns[SLOWEST] = ns[keys - 1];
}

static bool is_offered(const struct impl *impl)
{
  return impl->missing == NULL && impl->u64 != NULL && !impl->reads_only &&
         !impl->shares_only && impl->round == NULL && impl->u64->insert != NULL;
}

static void print_row(const struct impl *impl, size_t keys,
                      const double *median, const char *csv)
{
  printf("%-16s %9zu          %-16s %8.0f %8.0f %9.0f %11.0f\n", "pause", keys,
         impl->name, median[P50], median[P999], median[P99999],
         median[SLOWEST]);
  if (csv != NULL) {
    FILE *file = bench_csv(csv, BENCH_CSV_PAUSE);
    fprintf(file, "pause,%zu,%s,%.0f,%.0f,%.0f,%.0f\n", keys, impl->name,
            median[P50], median[P999], median[P99999], median[SLOWEST]);
    fclose(file);
  }
}

/* Room for every round's columns of every map. */
struct samples {
  double *ns[BENCH_IMPLS_MAX][COLUMNS];
};

static bool measure(const struct impl *const *impls, size_t count, size_t keys,
                    unsigned rounds, bool *failed, struct samples *samples)
{
  bool ok = true;

  for (unsigned r = 0; r < rounds; r++) {
    for (size_t i = 0; i < count; i++) {
      struct pause_input input = {impls[i], keys};
      struct pause_result result = {.ok = false};
      if (!is_offered(impls[i]) || failed[i])
        continue;
      bench_progress("pause, %zu keys: round %u of %u, %s", keys, r + 1, rounds,
                     impls[i]->name);
      failed[i] = !bench_child(pause_round, &input, &result, sizeof result) ||
                  !result.ok;
      ok &= !failed[i];
      for (int c = 0; c < COLUMNS; c++)
        samples->ns[i][c][r] = result.ns[c];
    }
  }
  bench_progress(NULL);
  return ok;
}

bool bench_pause(const struct impl *const *impls, size_t count, size_t keys,
                 unsigned rounds, const char *csv)
{
  struct samples *samples = bench_alloc(1, sizeof *samples);
  bool failed[BENCH_IMPLS_MAX] = {false};
  bool ok;

  for (size_t i = 0; i < count; i++) {
    for (int c = 0; c < COLUMNS; c++)
      samples->ns[i][c] = bench_alloc(rounds, sizeof(double));
  }
  ok = measure(impls, count, keys, rounds, failed, samples);
  printf("\n%-16s %9s          %-16s %8s %8s %9s %11s\n", "single inserts, ns",
         "keys", "map", "p50", "p99.9", "p99.999", "slowest");
  for (size_t i = 0; i < count; i++) {
    double median[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) {
      median[c] = bench_median(samples->ns[i][c], rounds);
      bench_free(samples->ns[i][c]);
    }
    if (failed[i])
      printf("%-16s %9zu          %-16s FAILED\n", "pause", keys,
             impls[i]->name);
    else if (is_offered(impls[i]))
      print_row(impls[i], keys, median, csv);
  }
  bench_free(samples);
  return ok;
}
