/*
 * The benchmark: what a map under test offers, and what it gets.
 *
 * A round is one measurement of one map on one workload, size and number of
 * threads. It runs in a child process with a fresh map, so that no round sees
 * another's memory. Rounds of the maps are interleaved (A B A B ...), so that
 * a noisy minute hits all of them, and medians are compared.
 *
 * All maps get the same traces, which are made before the child is; each runs
 * its own loop over them, in its own language, so that what it can inline it
 * does. harness.h has the rest.
 */
#ifndef CMAP_BENCH_H
#define CMAP_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What an operation of a mixed trace does.
 *   OP_GET     looks the key up; a hit if it is present
 *   OP_INSERT  stores the key as its own value, over an old value if there is
 *              one; never counted as a hit
 *   OP_REMOVE  removes the key; a hit if it was present
 *   OP_UPDATE  adds 1 to the value of a present key, a hit; leaves an absent
 *              key absent
 */
enum op { OP_GET, OP_INSERT, OP_REMOVE, OP_UPDATE };

/* What one thread does in one round on integer keys. */
struct trace {
  uint64_t *keys;
  uint8_t *ops; /* enum op; only of mixed workloads, else NULL */
  size_t count;
};

/* The same on strings: not terminated, owned by the trace's maker. */
struct bench_string {
  const char *data;
  size_t size;
};
struct string_trace {
  const struct bench_string *keys;
  size_t count;
};

/*
 * The operations of one kind of map. A loop returns a checksum that depends on
 * its results. NULL: not offered, the workload is left out for it; get_batch
 * is replaced by get. create, destroy, len, get and insert are always there.
 * Loops are called by many threads at once, and with traces of a single key,
 * too (pause, memory): what a thread needs it should find out once.
 */
struct impl_u64 {
  void *(*create)(size_t keys); /* NULL on failure; `keys` is a hint that only
                                   maps of a fixed size may use */
  void (*destroy)(void *map);
  size_t (*len)(void *map);
  uint64_t (*get)(void *map, const struct trace *trace); /* sum of values */
  /* Value = key; returns trace->count. */
  uint64_t (*insert)(void *map, const struct trace *trace);
  uint64_t (*remove)(void *map, const struct trace *trace); /* removed */
  uint64_t (*mixed)(void *map, const struct trace *trace);  /* hits, see op */
  /* Adds 1, or inserts 1; returns trace->count. */
  uint64_t (*count)(void *map, const struct trace *trace);
  /* As get and insert, many keys a call; NULL: by those. */
  uint64_t (*get_batch)(void *map, const struct trace *trace);
  uint64_t (*insert_batch)(void *map, const struct trace *trace);
  uint64_t (*iterate)(void *map); /* sum of values, one pass */
  /* Pairs of taking and releasing a guard, with a look at the value: the sum
   * of the values. */
  uint64_t (*read_guard)(void *map, const struct trace *trace);
  uint64_t (*write_guard)(void *map, const struct trace *trace);
  /* Gets or creates shared objects, which are worth key | 1 and take
   * BENCH_BUILD_NS to build; insert and get put and find such objects. The sum
   * of what they are worth. */
  uint64_t (*share)(void *map, const struct trace *trace);
};

#define BENCH_BUILD_NS 1000000

/* String keys to 64-bit values. get and count are always there. */
struct impl_string {
  void *(*create)(size_t keys);
  void (*destroy)(void *map);
  size_t (*len)(void *map);
  uint64_t (*get)(void *map, const struct string_trace *trace);
  uint64_t (*count)(void *map, const struct string_trace *trace);
  /* Insert 0 if absent: by the entry API, and by a look-up and an insert of
   * what was not found. Return the sum of the values. */
  uint64_t (*entry)(void *map, const struct string_trace *trace);
  uint64_t (*check_insert)(void *map, const struct string_trace *trace);
};

struct bench_job;
struct sample;

/* Whose map it is: peers are what libcmap is compared with. */
enum role { ROLE_PEER, ROLE_CMAP, ROLE_LIMIT };

/* Of impls, which the program may find in a library. */
#define BENCH_SHOWN __attribute__((visibility("default")))

/* A map under test. */
struct impl {
  const char *name;
  const char *title;          /* the name in words, for people */
  const char *what;           /* one line for --list, with the version */
  const char *hash;           /* the hash function that it uses */
  const char *missing;        /* why it is not built; NULL: it is */
  const struct impl_u64 *u64; /* NULL: none */
  const struct impl_string *string;
  unsigned max_threads; /* for get; 0: any */
  bool reads_only;      /* filled by one thread, then only read */
  bool shares_only;     /* of shared objects: for `share` */
  enum role role;
  /* A map in another process, such as a virtual machine, takes whole rounds
   * instead of single loops: sets seconds, checksum, len, content and ok of
   * the sample, as bench_run() does. Its tables then say what it offers by
   * pointers that are not NULL, which nobody calls. NULL: an ordinary map. */
  void (*round)(const struct bench_job *job, struct sample *sample);
  const char *mark; /* a remark for its rows, such as "JVM"; NULL: none */
};

/* The loops that a thread may run. */
enum loop {
  LOOP_GET,
  LOOP_INSERT,
  LOOP_REMOVE,
  LOOP_MIXED,
  LOOP_COUNT,
  LOOP_GET_BATCH,
  LOOP_INSERT_BATCH,
  LOOP_ITERATE,
  LOOP_READ_GUARD,
  LOOP_WRITE_GUARD,
  LOOP_SHARE,
  LOOP_STRING_GET,
  LOOP_STRING_COUNT,
  LOOP_STRING_ENTRY,
  LOOP_STRING_CHECK_INSERT
};

/*
 * One round, the same for every map: `maps` times make a fresh map, fill it,
 * and let the threads run `loop` over their traces, `passes` times each.
 * LOOP_ITERATE has no traces. Of the members of the other key kind, counts are
 * 0 and pointers NULL.
 */
struct bench_job {
  enum loop loop;
  unsigned threads;
  size_t keys;        /* the hint for create */
  size_t maps;        /* at least 1 */
  size_t passes;      /* at least 1 */
  struct trace fill;  /* by `insert`, one thread; not timed */
  struct trace check; /* by `get`, after the last map's run; not timed */
  const struct trace *traces;      /* one of each thread */
  struct string_trace string_fill; /* by `count`: each key once, so that its
                                      value is 1 */
  struct string_trace string_check;
  const struct string_trace *string_traces;
};

/* What a round gives. */
struct sample {
  double seconds;
  uint64_t ops;
  uint64_t checksum; /* of the loops, all threads, passes and maps */
  uint64_t len;      /* of the last map after its run */
  uint64_t content;  /* what `get` says of job->check after the last run */
  double bytes;      /* memory per entry at the end; 0: not measured */
  bool ok;
};

/* All maps; ends with NULL. Those that are missing are there, too. */
extern const struct impl *const bench_impls[];

/* Key i of the benchmark's keys: spread over 64 bits, the same every run. */
uint64_t bench_key(uint64_t i);

/* The next number of a generator (xorshift); *state is not 0. */
uint64_t bench_random(uint64_t *state);

/* Nanoseconds of the monotonic clock. */
uint64_t bench_now_ns(void);

#ifdef __cplusplus
}
#endif

#endif
