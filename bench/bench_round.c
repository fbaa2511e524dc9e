/*
 * One round: traces, threads, the clock, in a child process.
 */
#include "harness.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Operations of a round, over all threads; a map as large as that or larger
 * is gone through once. */
#define ROUND_OPS   ((size_t)4000000)
/* Where the map is rebuilt for every repetition, there are this many. */
#define REBUILD_OPS ((size_t)1000000)

/* What the threads of a round share. */
struct round {
  const struct impl *impl;
  const struct workload *workload;
  void *map;
  pthread_barrier_t barrier; /* the threads and the one that measures */
  bool more;                 /* written before the barrier */
};

struct worker {
  struct round *round;
  struct trace trace;
  uint64_t checksum;
  pthread_t thread;
};

static uint64_t run_trace(const struct round *round, const struct trace *trace)
{
  const struct impl *impl = round->impl;

  switch (round->workload->shape) {
  case SHAPE_GET:
    return impl->u64->get(round->map, trace);
  case SHAPE_GROW:
    return impl->u64->insert(round->map, trace);
  case SHAPE_DRAIN:
    return impl->u64->remove(round->map, trace);
  case SHAPE_MIXED:
    return impl->u64->mixed(round->map, trace);
  default:
    return impl->u64->count(round->map, trace);
  }
}

static void *work(void *arg)
{
  struct worker *worker = arg;
  struct round *round = worker->round;

  for (;;) {
    pthread_barrier_wait(&round->barrier);
    if (!round->more)
      return NULL;
    worker->checksum += run_trace(round, &worker->trace);
    pthread_barrier_wait(&round->barrier);
  }
}

/* Ranks below n, the first ones the most frequent: a table, searched. */
static double *zipf_table(size_t n, double exponent)
{
  double *sums = malloc(n * sizeof *sums);
  double sum = 0;

  if (sums == NULL)
    abort();
  for (size_t i = 0; i < n; i++)
    sums[i] = sum += 1 / pow((double)(i + 1), exponent);
  return sums;
}

static size_t zipf_rank(const double *sums, size_t n, uint64_t *state)
{
  double want = (double)(bench_random(state) >> 11) * 0x1p-53 * sums[n - 1];
  size_t low = 0;
  size_t high = n - 1;

  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (sums[middle] < want)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Which of the keys an operation is for; `n` even numbers are present. */
static uint64_t choose(const struct workload *workload, size_t n,
                       const double *zipf, uint64_t *state)
{
  if (workload->hot)
    return bench_key(0);
  if (zipf != NULL)
    return bench_key(2 * (uint64_t)zipf_rank(zipf, n, state));
  if (workload->shape == SHAPE_MIXED)
    return bench_key(bench_random(state) % (2 * n));
  return bench_key(2 * (bench_random(state) % n) + workload->miss);
}

/* Thread `index` of `threads` gets its own part of the keys, or of chance. */
static void make_trace(struct trace *trace, const struct workload *workload,
                       size_t keys, unsigned index, unsigned threads,
                       uint64_t seed)
{
  bool parts = workload->shape == SHAPE_GROW || workload->shape == SHAPE_DRAIN;
  double *zipf = workload->zipf > 0 ? zipf_table(keys, workload->zipf) : NULL;
  uint64_t state = seed * 0x9e3779b9u + index + 1;
  size_t first = keys * index / threads;
  size_t end = keys * (index + 1) / threads;

  trace->count = parts ? end - first : ROUND_OPS / threads;
  trace->keys = malloc((trace->count + 1) * sizeof *trace->keys);
  trace->ops = malloc(trace->count + 1);
  if (trace->keys == NULL || trace->ops == NULL)
    abort();
  for (size_t i = 0; i < trace->count; i++) {
    unsigned dice = (unsigned)(bench_random(&state) % 200);
    trace->keys[i] = parts ? bench_key(2 * (first + i))
                           : choose(workload, keys, zipf, &state);
    trace->ops[i] = dice < 2 * workload->get_pct ? OP_GET
                    : dice % 2 == 0              ? OP_INSERT
                                                 : OP_REMOVE;
  }
  free(zipf);
}

/* Makes the map as the workload finds it. */
static bool prepare(struct round *round, size_t keys)
{
  struct trace all = {.count = keys};

  round->map = round->impl->u64->create(keys);
  if (round->map == NULL)
    return false;
  if (round->workload->shape == SHAPE_GROW ||
      round->workload->shape == SHAPE_COUNT)
    return true;
  all.keys = malloc(keys * sizeof *all.keys);
  if (all.keys == NULL)
    return false;
  for (size_t i = 0; i < keys; i++)
    all.keys[i] = bench_key(2 * i);
  round->impl->u64->insert(round->map, &all);
  free(all.keys);
  return true;
}

static struct sample run(struct round *round, size_t keys, unsigned threads,
                         uint64_t seed)
{
  bool rebuilt = round->workload->shape == SHAPE_GROW ||
                 round->workload->shape == SHAPE_DRAIN;
  size_t repeat = rebuilt && keys < REBUILD_OPS ? REBUILD_OPS / keys : 1;
  struct worker *workers = calloc(threads, sizeof *workers);
  struct sample sample = {.ok = workers != NULL};
  uint64_t ns = 0;

  if (!sample.ok)
    return sample;
  pthread_barrier_init(&round->barrier, NULL, threads + 1);
  for (unsigned i = 0; i < threads; i++) {
    workers[i].round = round;
    make_trace(&workers[i].trace, round->workload, keys, i, threads, seed);
    if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
      abort();
  }
  round->more = true;
  for (size_t r = 0; r < repeat && sample.ok; r++) {
    uint64_t begin;
    sample.ok = prepare(round, keys);
    if (!sample.ok)
      break;
    begin = bench_now_ns();
    pthread_barrier_wait(&round->barrier); /* off they go */
    pthread_barrier_wait(&round->barrier); /* all are done */
    ns += bench_now_ns() - begin;
    sample.len = round->impl->u64->len(round->map);
    round->impl->u64->destroy(round->map);
  }
  round->more = false;
  pthread_barrier_wait(&round->barrier);
  for (unsigned i = 0; i < threads; i++) {
    pthread_join(workers[i].thread, NULL);
    sample.checksum += workers[i].checksum;
    sample.ops += workers[i].trace.count * repeat;
  }
  sample.seconds = (double)ns * 1e-9;
  return sample;
}

struct sample bench_round(const struct impl *impl,
                          const struct workload *workload, size_t keys,
                          unsigned threads, uint64_t seed, bool *exact)
{
  struct sample sample = {.ok = false};
  int ends[2];
  pid_t child;

  /* What threads do to each other in a mix depends on their timing. */
  *exact = workload->shape != SHAPE_MIXED || threads == 1;
  if (pipe(ends) != 0)
    return sample;
  child = fork();
  if (child == 0) {
    struct round round = {.impl = impl, .workload = workload};
    sample = run(&round, keys, threads, seed);
    _exit(write(ends[1], &sample, sizeof sample) != sizeof sample);
  }
  close(ends[1]);
  if (child < 0 || read(ends[0], &sample, sizeof sample) != sizeof sample)
    sample.ok = false;
  close(ends[0]);
  if (child > 0)
    waitpid(child, NULL, 0);
  return sample;
}
