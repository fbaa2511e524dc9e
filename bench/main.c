/*
 * cmap_bench: the rows that were asked for, one after the other.
 */
#include "harness.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Keys of `pause`, unless the user says otherwise. */
#define PAUSE_KEYS 5000000

/* What is being done. */
struct run {
  struct plan plan;
  const struct impl *impls[BENCH_IMPLS_MAX]; /* those asked for */
  size_t impl_count;
  uint64_t begin_ns;
  size_t done; /* rows */
  bool ok;
};

/* Has the time that was given passed? Says what is left out for it. */
static bool is_late(const struct run *run, const char *what, size_t keys,
                    unsigned threads)
{
  double seconds = (double)(bench_now_ns() - run->begin_ns) * 1e-9;

  if (run->plan.limit <= 0 || seconds < run->plan.limit)
    return false;
  fprintf(stderr, "cmap_bench: no time left for %s, %zu keys, %u threads\n",
          what, keys, threads);
  return true;
}

/* Where stderr is no terminal, a line for each row is the progress. */
static void announce(struct run *run, const char *what, size_t keys,
                     unsigned threads)
{
  run->done++;
  if (!isatty(STDERR_FILENO))
    fprintf(stderr, "[%4.0f s] row %zu: %s, %zu keys, %u threads\n",
            (double)(bench_now_ns() - run->begin_ns) * 1e-9, run->done, what,
            keys, threads);
}

static void run_row(struct run *run, const struct workload *workload,
                    size_t keys, unsigned threads)
{
  struct row *row;

  if (is_late(run, workload->name, keys, threads))
    return;
  row = bench_alloc(1, sizeof *row);
  row->workload = workload;
  row->keys = keys;
  row->threads = threads;
  row->rounds = run->plan.rounds;
  for (size_t i = 0; i < run->impl_count; i++) {
    if (bench_is_offered(run->impls[i], workload, threads))
      row->results[row->count++].impl = run->impls[i];
  }
  if (row->count > 0) {
    announce(run, workload->name, keys, threads);
    run->ok &= bench_measure(row, run->plan.ops, run->plan.seed);
    bench_table_row(row, run->plan.csv);
  }
  free(row);
}

/* All sizes and numbers of threads of a workload. */
static void run_workload(struct run *run, const struct workload *workload)
{
  const struct plan *plan = &run->plan;
  bool own_keys = workload->pattern == PATTERN_WORDS ||
                  (workload->own_keys != 0 && !plan->keys_given);
  bool own_threads = workload->own_threads != 0 && !plan->threads_given;

  for (size_t k = 0; k < (own_keys ? 1 : plan->key_count); k++) {
    for (size_t t = 0; t < (own_threads ? 1 : plan->thread_count); t++)
      run_row(run, workload, own_keys ? workload->own_keys : plan->keys[k],
              own_threads ? workload->own_threads : (unsigned)plan->threads[t]);
  }
}

static void run_pause(struct run *run)
{
  size_t default_keys = PAUSE_KEYS;
  const size_t *keys = run->plan.keys_given ? run->plan.keys : &default_keys;
  size_t count = run->plan.keys_given ? run->plan.key_count : 1;

  for (size_t k = 0; k < count; k++) {
    if (is_late(run, "pause", keys[k], 1))
      continue;
    announce(run, "pause", keys[k], 1);
    run->ok &= bench_pause(run->impls, run->impl_count, keys[k],
                           run->plan.rounds, run->plan.csv);
  }
}

static void choose_impls(struct run *run)
{
  for (const struct impl *const *i = bench_impls; *i != NULL; i++) {
    if (!bench_is_listed(run->plan.impls, (*i)->name))
      continue;
    if (run->impl_count == BENCH_IMPLS_MAX) {
      fputs("cmap_bench: too many maps\n", stderr);
      exit(1);
    }
    if ((*i)->missing == NULL)
      run->impls[run->impl_count++] = *i;
  }
}

/* Which maps take part, with which hash; which do not, and why. */
static void print_impls(const struct run *run)
{
  for (size_t i = 0; i < run->impl_count; i++)
    printf("%-16s %s; hash: %s\n", run->impls[i]->name, run->impls[i]->what,
           run->impls[i]->hash ? run->impls[i]->hash : "its own");
  for (const struct impl *const *i = bench_impls; *i != NULL; i++) {
    if ((*i)->missing != NULL && bench_is_listed(run->plan.impls, (*i)->name))
      printf("%-16s is missing: %s\n", (*i)->name, (*i)->missing);
  }
  putchar('\n');
}

int main(int argc, char **argv)
{
  static struct run run = {.plan = {.workloads = "get,miss,grow,remove,mixed,"
                                                 "count_zipf,pause,memory",
                                    .keys = {1000, 1000000},
                                    .key_count = 2,
                                    .threads = {1, 2},
                                    .thread_count = 2,
                                    .rounds = 5,
                                    .ops = 4000000,
                                    .seed = 1},
                           .ok = true};

  bench_options(argc, argv, &run.plan);
  setvbuf(stdout, NULL, _IOLBF, 0);
  choose_impls(&run);
  if (run.plan.csv != NULL && !run.plan.append) {
    FILE *file = fopen(run.plan.csv, "w");
    if (file == NULL) {
      perror(run.plan.csv);
      return 1;
    }
    fclose(file);
  }
  run.begin_ns = bench_now_ns();
  print_impls(&run);
  bench_table_begin();
  for (const struct workload *w = bench_workloads; w->name != NULL; w++) {
    if (bench_is_listed(run.plan.workloads, w->name))
      run_workload(&run, w);
  }
  if (bench_is_listed(run.plan.workloads, "pause"))
    run_pause(&run);
  if (bench_is_listed(run.plan.workloads, "memory") &&
      !is_late(&run, "memory", 10000000, 1)) {
    announce(&run, "memory", 10000000, 1);
    run.ok &= bench_memory(run.impls, run.impl_count, run.plan.csv);
  }
  bench_table_summary();
  if (!run.ok)
    fputs("cmap_bench: not all of it succeeded\n", stderr);
  return run.ok ? 0 : 1;
}
