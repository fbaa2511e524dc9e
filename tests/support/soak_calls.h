/*
 * One call of any kind on a map and a store that many threads use, and what
 * must be true of both afterwards. The soak's; see stress/test_soak_internal.c.
 */
#ifndef CMAP_TEST_SOAK_CALLS_H
#define CMAP_TEST_SOAK_CALLS_H

#include "checks.h"
#include "latency.h"
#include "random.h"
#include "threads.h"

enum soak_class {
  SOAK_READ,  /* without a lock */
  SOAK_WRITE, /* of one key, counters and guards among them */
  SOAK_SEVERAL,
  SOAK_WHOLE, /* walks, and calls on the whole map */
  SOAK_STORE,
  SOAK_CLASSES
};

/* In `parts`: the call is one of SOAK_READ. */
#define SOAK_READS UINT32_C(0x80000000)

extern const char *const soak_class_names[SOAK_CLASSES];

struct soak_worker {
  struct thread thread;
  _Atomic int tid;
  struct random random; /* owner thread */
  uint64_t added;       /* owner thread: to the counters */
  struct latency latency[SOAK_CLASSES];
  _Atomic uint64_t calls; /* that have ended */
  _Atomic uint32_t parts; /* what the call may lock, as bits; 0: no call */
  /* Of the controller: */
  int gate[2]; /* a pipe */
  atomic_bool stopped;
  uint64_t calls_then, calls_seen; /* at the stop; at the last look since */
  bool excused;
};

struct soak_scene {
  struct cmap *map;
  struct cmap_store *store;
  atomic_uint_fast64_t made, destroyed; /* objects */
};

void soak_begin_scene(struct soak_scene *scene);

/* Ends both; checks that all objects were destroyed. */
void soak_end_scene(struct soak_scene *scene);

/* One call, its time in w->latency. */
void soak_call(struct soak_scene *scene, struct soak_worker *w);

/* One of each kind: afterwards the thread has all that the library keeps for
 * it, which is under a mutex that all threads share. */
void soak_call_each(struct soak_scene *scene, struct soak_worker *w);

/* When no thread runs: checks the map and the sums; gives memory back. Returns
 * the bytes that the map has then. */
size_t soak_check(struct soak_scene *scene, const struct soak_worker *workers,
                  unsigned count);

size_t soak_map_bytes(const struct soak_scene *scene);
size_t soak_store_bytes(const struct soak_scene *scene);

#endif
