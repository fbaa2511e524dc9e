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
 * Shapes of keys and values: X(id, keys, bytes of a key, bytes of a value); of
 * strings all have so many characters. A trace of a shape has an array of such
 * keys behind `keys`: uint64_t, uint32_t, struct bench_fixed16 or struct
 * bench_string. A value is the key's word again and again, which is the key
 * (FIXED16: its first half; STRING: its last 8 characters), and comes out as
 * that; of no bytes it is 1. Strings are hashed by the fast hash that each
 * map's language or library has.
 */
#define BENCH_SHAPES(X)                                                        \
  X(u64_8, U64, 8, 8)                                                          \
  X(u64_4, U64, 8, 4)                                                          \
  X(u64_16, U64, 8, 16)                                                        \
  X(u64_24, U64, 8, 24)                                                        \
  X(u64_64, U64, 8, 64)                                                        \
  X(u64_0, U64, 8, 0)                                                          \
  X(u32_4, U32, 4, 4)                                                          \
  X(u32_8, U32, 4, 8)                                                          \
  X(fixed16_8, FIXED16, 16, 8)                                                 \
  X(fixed16_16, FIXED16, 16, 16)                                               \
  X(str12_8, STRING, 12, 8)                                                    \
  X(str12_16, STRING, 12, 16)                                                  \
  X(str36_8, STRING, 36, 8)                                                    \
  X(str36_16, STRING, 36, 16)                                                  \
  X(str100_8, STRING, 100, 8)

#define BENCH_SHAPE_ID(id, keys, key_size, value_size) SHAPE_##id,
enum shape { BENCH_SHAPES(BENCH_SHAPE_ID) SHAPES };
#undef BENCH_SHAPE_ID

enum key_class { KEYS_U64, KEYS_U32, KEYS_FIXED16, KEYS_STRING };

struct bench_fixed16 {
  uint64_t word[2];
};

struct bench_shape {
  const char *name; /* as "u32:4" */
  const char *what; /* its keys in a word */
  enum key_class keys;
  size_t key_size;
  size_t value_size;
};
extern const struct bench_shape bench_shapes[SHAPES];

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
  /* The same of objects that take no time, in a cache of so many objects. The
   * hits. */
  void *(*create_cache)(size_t bound);
  uint64_t (*cache)(void *map, const struct trace *trace);
  /* Borrows objects that are there: the sum of what they are worth. */
  uint64_t (*borrow)(void *map, const struct trace *trace);
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
  const struct impl_u64 *const *shapes; /* of each shape, or NULL; of all: NULL.
                                           Without mixed, iterate, batches,
                                           write_guard and share */
  unsigned max_threads;                 /* for get; 0: any */
  bool reads_only;  /* filled by one thread, then only read */
  bool shares_only; /* of shared objects: for `share`, `cache`, `borrow` */
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
  LOOP_CACHE,
  LOOP_BORROW,
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
  const struct bench_shape *shape; /* of keys and values; NULL: none */
  unsigned threads;
  size_t keys;        /* the hint for create */
  size_t bound;       /* for create_cache; 0: by create */
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
