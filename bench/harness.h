/*
 * The benchmark's harness: what its parts share.
 */
#ifndef CMAP_BENCH_HARNESS_H
#define CMAP_BENCH_HARNESS_H

#include "bench.h"

/* How a workload runs. */
enum shape {
  SHAPE_GET,   /* reads on a map with all keys */
  SHAPE_GROW,  /* disjoint inserts into an empty map */
  SHAPE_DRAIN, /* disjoint removals from a map with all keys */
  SHAPE_MIXED, /* reads, inserts, removals over twice the keys */
  SHAPE_COUNT  /* counters, from an empty map */
};

struct workload {
  const char *name;
  const char *what;
  enum shape shape;
  double zipf;      /* exponent of the keys' distribution; 0: even */
  bool miss;        /* reads of absent keys */
  bool hot;         /* one key only */
  unsigned get_pct; /* of SHAPE_MIXED; the rest is half insert, half remove */
};

extern const struct workload bench_workloads[]; /* ends with name NULL */

struct sample bench_round(const struct impl *impl,
                          const struct workload *workload, size_t keys,
                          unsigned threads, uint64_t seed, bool *exact);

/* The median of n numbers, which it sorts. */
double bench_median(double *numbers, size_t n);

/* The two measurements that are no loops. False if something went wrong. */
bool bench_pause(size_t keys, unsigned rounds, const char *csv);
bool bench_memory(const char *csv);

/* Opens the CSV file for appending; writes the header line if it is empty. */
void *bench_csv(const char *path, const char *header);

#endif
