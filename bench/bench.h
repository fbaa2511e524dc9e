/*
 * The benchmark: what its parts share.
 *
 * A round is one measurement of one implementation on one workload, keys and
 * threads. It runs in a child process with a fresh map, so that no round sees
 * another's memory. Rounds of the implementations are interleaved (A B A B
 * ...), so that a noisy minute hits all of them, and medians are compared.
 *
 * All implementations get the same trace; each runs its own loop over it, so
 * that what it can inline it does.
 */
#ifndef CMAP_BENCH_H
#define CMAP_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an operation of a mixed trace does. */
enum op { OP_GET, OP_INSERT, OP_REMOVE };

/* What one thread does in one round. */
struct trace {
  uint64_t *keys;
  uint8_t *ops; /* enum op; only of mixed workloads */
  size_t count;
};

/* A map under test. A loop returns a checksum that depends on its results. */
struct impl {
  const char *name;
  const char *what;             /* one line for --list */
  void *(*create)(size_t keys); /* NULL on failure; `keys` is a hint */
  void (*destroy)(void *map);
  size_t (*len)(void *map);
  uint64_t (*get)(void *map, const struct trace *trace);
  /* NULL: not offered, the workload is left out for it. */
  uint64_t (*insert)(void *map, const struct trace *trace);
  uint64_t (*remove)(void *map, const struct trace *trace);
  uint64_t (*mixed)(void *map, const struct trace *trace);
  uint64_t (*count)(void *map, const struct trace *trace);
  unsigned max_threads; /* for get; 0: any */
};

extern const struct impl bench_impl_cmap;
extern const struct impl bench_impl_raw;
extern const struct impl *const bench_impls[]; /* ends with NULL */

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

/* What a round gives. */
struct sample {
  double seconds;
  uint64_t ops;
  uint64_t checksum; /* comparable between implementations if `exact` */
  uint64_t len;
  bool ok;
};

/*
 * Runs one round in a child process. `exact` comes out true if checksum and
 * len must be the same for every implementation.
 */
struct sample bench_round(const struct impl *impl,
                          const struct workload *workload, size_t keys,
                          unsigned threads, uint64_t seed, bool *exact);

/* Key i of the benchmark's keys: spread over 64 bits, the same every run. */
uint64_t bench_key(uint64_t i);

/* The next number of a generator (xorshift); *state is not 0. */
uint64_t bench_random(uint64_t *state);

/* Seconds and nanoseconds of the monotonic clock. */
uint64_t bench_now_ns(void);

/* The median of n numbers, which it sorts. */
double bench_median(double *numbers, size_t n);

/* The two measurements that are no loops. False if something went wrong. */
bool bench_pause(size_t keys, unsigned rounds, const char *csv);
bool bench_memory(const char *csv);

/* Opens the CSV file for appending; writes the header line if it is empty. */
void *bench_csv(const char *path, const char *header);

#endif
