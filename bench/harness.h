/*
 * The benchmark's harness: what its parts share.
 *
 *   numbers    keys, chance, Zipf, medians      options  the command line
 *   workloads  the table of workloads           table    results on stdout
 *   job        their traces, integer keys       csv      results in a file
 *   job_string the same, string keys            pause    single inserts
 *   words      the words of a folder            memory   bytes per entry
 *   selection  what bench/run runs              shape    keys of all shapes
 *   round      one map, one job, one child
 *   measure    all maps on a workload, and whether they agree
 */
#ifndef CMAP_BENCH_HARNESS_H
#define CMAP_BENCH_HARNESS_H

#include "bench.h"

#include <stdio.h>

/* -------------------------------------------------------------------------
 * Numbers
 * ------------------------------------------------------------------------- */

/* The median of n numbers, which it sorts; 0 if there are none. */
double bench_median(double *numbers, size_t n);

/*
 * A rank below n, the first ones the most frequent: rank r comes with a chance
 * in proportion to 1 / (r + 1)^exponent. The table behind it is kept for the
 * next call with the same n and exponent. One thread at a time.
 */
size_t bench_zipf(size_t n, double exponent, uint64_t *state);

/* Memory of the program in RAM, in bytes. */
size_t bench_resident(void);

/*
 * Zeroed memory for the harness; ends the program if there is none. Large
 * parts are mapped, and unmapped by bench_free: what the harness has freed
 * must not be what a map gets from malloc next, with its pages at hand.
 */
void *bench_alloc(size_t count, size_t size);
void bench_free(const void *memory);

/* -------------------------------------------------------------------------
 * Workloads
 * ------------------------------------------------------------------------- */

/* How the traces of a workload are made. */
enum pattern {
  PATTERN_CHANCE,   /* keys by chance: reads, counters */
  PATTERN_PARTS,    /* each thread its own part of the keys, once */
  PATTERN_MIX,      /* operations by chance over twice the keys */
  PATTERN_SEQUENCE, /* conc-map-bench's: each thread its own keys */
  PATTERN_SCAN,     /* keys by chance, and one in four of a walk over all */
  PATTERN_NONE,     /* no keys: the loop goes over the map */
  PATTERN_KEY123,   /* strings "key123", by chance */
  PATTERN_ARTICLE,  /* strings "key0", "key1", ..., in turn */
  PATTERN_WORDS     /* the words of a folder, as they come */
};

struct workload {
  const char *name;
  const char *what;
  enum loop loop;
  enum pattern pattern;
  bool from_empty;      /* the map is not filled first */
  bool miss;            /* keys that are absent */
  bool hot;             /* one key only */
  double zipf;          /* exponent of the keys' distribution; 0: even */
  unsigned pct[4];      /* of each enum op */
  unsigned fill_pct;    /* of PATTERN_SEQUENCE: part of the keys at first */
  unsigned bound_pct;   /* of a cache: so much of the keys; 0: no bound */
  size_t own_keys;      /* unless the user says otherwise; 0: as others */
  unsigned own_threads; /* the same */
};

extern const struct workload bench_workloads[]; /* ends with name NULL */

/* Does the map offer the workload, for so many threads? */
bool bench_is_offered(const struct impl *impl, const struct workload *workload,
                      const struct bench_shape *shape, unsigned threads);

/* The operations on a shape; NULL: the ordinary ones, u64 to u64. */
const struct impl_u64 *bench_operations(const struct impl *impl,
                                        const struct bench_shape *shape);

/* -------------------------------------------------------------------------
 * Jobs: the traces of a workload
 * ------------------------------------------------------------------------- */

/* A job with what the harness alone needs to know of it. */
struct plan_job {
  struct bench_job job;
  bool exact;        /* every map must come to the same result */
  uint64_t ops;      /* of all threads, passes and maps */
  size_t len_max;    /* of a map after its run */
  bool owns_strings; /* those of a folder stay */
  char *text;        /* of a shape's strings */
};

/*
 * The traces for about `ops` operations; `keys` comes out as the number of
 * keys there are, which a folder's words decide themselves.
 */
struct plan_job *bench_job_make(const struct workload *workload,
                                const struct bench_shape *shape, size_t *keys,
                                unsigned threads, size_t ops, uint64_t seed);
void bench_job_free(struct plan_job *plan);

/*
 * Turns a trace of numbers into one of the shape's keys. `text` has the
 * characters of all strings below `numbers`, one after the other; of other keys
 * it is NULL.
 */
char *bench_shape_text(const struct bench_shape *shape, size_t numbers);
void bench_shape_trace(const struct bench_shape *shape, const char *text,
                       struct trace *trace);

/* The part for strings. */
void bench_job_strings(struct plan_job *plan, const struct workload *workload,
                       size_t *keys, size_t ops, uint64_t seed);
void bench_job_strings_free(struct plan_job *plan);

/* The words of a folder as they come, and each once. */
struct bench_words {
  struct bench_string *all;
  size_t count;
  struct bench_string *distinct;
  size_t distinct_count;
  const char *folder;
};

/* Those of CMAP_BENCH_TREE, or of /usr/include; read once. */
const struct bench_words *bench_words(void);

/* -------------------------------------------------------------------------
 * Rounds
 * ------------------------------------------------------------------------- */

/* Runs the job on the map, in this process. sample->ops is left alone. */
void bench_run(const struct impl *impl, const struct bench_job *job,
               struct sample *sample);

/* The same in a child process. */
struct sample bench_round(const struct impl *impl, const struct plan_job *plan);

/* Runs `work` in a child process, which fills `size` bytes of *result; false
 * if the child did not come to its end. */
bool bench_child(void (*work)(const void *input, void *result),
                 const void *input, void *result, size_t size);

/* -------------------------------------------------------------------------
 * Measuring
 * ------------------------------------------------------------------------- */

#define BENCH_IMPLS_MAX 32

/* What is wrong with a map's results. */
enum fault { FAULT_NONE, FAULT_FAILED, FAULT_DISAGREES };

struct result {
  const struct impl *impl;
  double median, min, max; /* Mops/s */
  double bytes;            /* per entry; 0: not measured */
  enum fault fault;
};

/* A workload with a size and a number of threads, on all maps. */
struct row {
  const struct workload *workload;
  const struct bench_shape *shape; /* NULL: none */
  char name[40]; /* the workload's; of a shape "workload@shape" */
  size_t keys;
  unsigned threads;
  unsigned rounds;
  struct result results[BENCH_IMPLS_MAX];
  size_t count;
};

/*
 * Says of each sample whether its results are those of most (of the first, if
 * there is a draw), or, if the job is not exact, whether they can be. Samples
 * that are not ok are passed over. Returns how many are at fault.
 */
size_t bench_compare(const struct sample *samples, size_t n,
                     const struct plan_job *plan, bool *at_fault);

/* Runs the rounds of a row whose maps, workload, keys, threads and rounds are
 * set; keys may come out changed. False if a map is at fault. */
bool bench_measure(struct row *row, size_t ops, uint64_t seed);

/* Does libcmap stand beside it in the sums: is it a peer, a whole map, and in
 * this process? */
bool bench_is_peer(const struct impl *impl);

/* The best median of such peers; 0 if none is there. `except`: a name to leave
 * out, or NULL. */
double bench_best_peer(const struct row *row, const char *except);

/* Percentiles of single inserts; bytes per entry of maps of up to max_keys.
 * False on a failure. */
bool bench_pause(const struct impl *const *impls, size_t count, size_t keys,
                 unsigned rounds, const char *csv);
bool bench_memory(const struct impl *const *impls, size_t count,
                  size_t max_keys, const char *csv);

/* -------------------------------------------------------------------------
 * Output
 * ------------------------------------------------------------------------- */

#define BENCH_CSV                                                              \
  "workload,keys,threads,impl,rounds,median_mops,min_mops,max_mops,"           \
  "bytes_per_entry"
#define BENCH_CSV_PAUSE "workload,keys,impl,p50_ns,p999_ns,p99999_ns,max_ns"

/*
 * Opens the CSV file for appending. A header line is written if the file is
 * empty or what was written last had other columns.
 */
FILE *bench_csv(const char *path, const char *header);

/* What is done just now, on stderr; NULL: nothing any more. */
void bench_progress(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Prints a row's results; adds to the summary; writes the CSV if not NULL. */
void bench_table_begin(void);
void bench_table_row(const struct row *row, const char *csv);
void bench_table_summary(void);

/* -------------------------------------------------------------------------
 * Options
 * ------------------------------------------------------------------------- */

#define BENCH_LIST_MAX 16

/* Workloads, each with all of the sizes and numbers of threads. Empty lists
 * and zeros: what the workload itself says, or the usual. */
struct part {
  const char *workloads; /* comma-separated names; NULL: ends the parts */
  const char *shapes;    /* the same, of shapes, or "all"; NULL: none */
  size_t keys[BENCH_LIST_MAX];
  size_t threads[BENCH_LIST_MAX];
  unsigned rounds;
  size_t ops;
};

/* What bench/run does, bench/run --full, and bench/run --shapes; they end with
 * workloads NULL. */
extern const struct part bench_quick[];
extern const struct part bench_full[];
extern const struct part bench_shaped[];
extern const char *const bench_shaped_workloads;

/* What was asked for. Lists end with 0; what the user has not said is empty,
 * 0 or NULL. What he says goes before what the parts say. */
struct plan {
  const struct part *parts;
  const char *workloads; /* only these of the parts */
  const char *shapes;    /* the same */
  const char *impls;
  size_t keys[BENCH_LIST_MAX + 1];
  size_t threads[BENCH_LIST_MAX + 1];
  unsigned rounds;
  size_t ops;
  uint64_t seed;
  double limit; /* seconds */
  const char *csv;
  bool append;
};

/* Reads the command line; ends the program if that is all, or if it is wrong.*/
void bench_options(int argc, char **argv, struct plan *plan);

/* Is the name in a comma-separated list? NULL is the list of all. */
bool bench_is_listed(const char *names, const char *name);

#endif
