/*
 * cmap_bench: the rows that were asked for, one after the other.
 */
#include "harness.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What neither the user nor the part says. */
#define PAUSE_KEYS  5000000
#define MEMORY_KEYS 10000000
#define ROUNDS      5
#define OPS         4000000

/* What is being done. */
struct run {
  struct plan plan;
  const struct impl *impls[BENCH_IMPLS_MAX]; /* those asked for */
  size_t impl_count;
  uint64_t begin_ns;
  size_t done; /* rows */
  bool ok;
};

/* The first that is not 0: the user's, the part's, the usual. */
static size_t first_size(size_t a, size_t b, size_t c)
{
  return a != 0 ? a : b != 0 ? b : c;
}

static unsigned first_of(unsigned a, unsigned b, unsigned c)
{
  return (unsigned)first_size(a, b, c);
}

static bool is_wanted(const struct run *run, const struct part *part,
                      const char *workload)
{
  return bench_is_listed(part->workloads, workload) &&
         bench_is_listed(run->plan.workloads, workload);
}

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

static void run_row(struct run *run, const struct part *part,
                    const struct workload *workload,
                    const struct bench_shape *shape, size_t keys,
                    unsigned threads)
{
  struct row *row;

  if (is_late(run, workload->name, keys, threads))
    return;
  row = bench_alloc(1, sizeof *row);
  row->workload = workload;
  row->shape = shape;
  snprintf(row->name, sizeof row->name, "%s%s%s", workload->name,
           shape ? "@" : "", shape ? shape->name : "");
  row->keys = keys;
  row->threads = threads;
  row->rounds = first_of(run->plan.rounds, part->rounds, ROUNDS);
  for (size_t i = 0; i < run->impl_count; i++) {
    if (bench_is_offered(run->impls[i], workload, shape, threads))
      row->results[row->count++].impl = run->impls[i];
  }
  if (row->count > 0) {
    announce(run, row->name, keys, threads);
    run->ok &= bench_measure(row, first_size(run->plan.ops, part->ops, OPS),
                             run->plan.seed);
    bench_table_row(row, run->plan.csv);
  }
  bench_free(row);
}

/* All sizes and numbers of threads of a workload. What the workload wants for
 * itself goes before the part's lists, and the user's before both. */
static void run_workload(struct run *run, const struct part *part,
                         const struct workload *workload,
                         const struct bench_shape *shape)
{
  const struct plan *plan = &run->plan;
  bool words = workload->pattern == PATTERN_WORDS;
  size_t own_keys[2] = {words ? bench_words()->distinct_count
                              : workload->own_keys};
  size_t own_threads[2] = {workload->own_threads};
  const size_t *keys = plan->keys[0] && !words ? plan->keys
                       : own_keys[0]           ? own_keys
                                               : part->keys;
  const size_t *threads = plan->threads[0] ? plan->threads
                          : own_threads[0] ? own_threads
                                           : part->threads;

  for (size_t k = 0; k < BENCH_LIST_MAX && keys[k] != 0; k++) {
    for (size_t t = 0; t < BENCH_LIST_MAX && threads[t] != 0; t++)
      run_row(run, part, workload, shape, keys[k], (unsigned)threads[t]);
  }
}

/* The lists of the two that are no loops; --threads says nothing to them. */
static void run_pause(struct run *run, const struct part *part)
{
  size_t usual[2] = {first_size(part->keys[0], PAUSE_KEYS, 0)};
  const size_t *keys = run->plan.keys[0] ? run->plan.keys : usual;

  for (size_t k = 0; k < BENCH_LIST_MAX && keys[k] != 0; k++) {
    if (is_late(run, "pause", keys[k], 1))
      continue;
    announce(run, "pause", keys[k], 1);
    run->ok &= bench_pause(run->impls, run->impl_count, keys[k],
                           first_of(run->plan.rounds, part->rounds, ROUNDS),
                           run->plan.csv);
  }
}

static void run_memory(struct run *run, const struct part *part)
{
  size_t keys = first_size(part->keys[0], MEMORY_KEYS, 0);

  for (size_t k = 0; k < BENCH_LIST_MAX && run->plan.keys[k] != 0; k++) {
    if (k == 0 || run->plan.keys[k] > keys)
      keys = run->plan.keys[k];
  }
  if (is_late(run, "memory", keys, 1))
    return;
  announce(run, "memory", keys, 1);
  run->ok &= bench_memory(run->impls, run->impl_count, keys, run->plan.csv);
}

/* The workload as it is, or on each shape of the part. */
static void run_shapes(struct run *run, const struct part *part,
                       const struct workload *workload)
{
  if (part->shapes == NULL) {
    run_workload(run, part, workload, NULL);
    return;
  }
  for (size_t i = 0; i < SHAPES; i++) {
    const char *name = bench_shapes[i].name;
    if (bench_is_listed(run->plan.shapes, name) &&
        (strcmp(part->shapes, "all") == 0 ||
         bench_is_listed(part->shapes, name)))
      run_workload(run, part, workload, &bench_shapes[i]);
  }
}

static void run_part(struct run *run, const struct part *part)
{
  for (const struct workload *w = bench_workloads; w->name != NULL; w++) {
    if (is_wanted(run, part, w->name))
      run_shapes(run, part, w);
  }
  if (is_wanted(run, part, "pause"))
    run_pause(run, part);
  if (is_wanted(run, part, "memory"))
    run_memory(run, part);
}

/* A virtual machine takes seconds to start for every round: not for the quick
 * selection, unless it is named. */
static bool is_too_slow(const struct plan *plan, const struct impl *impl)
{
  return impl->round != NULL && plan->impls == NULL &&
         plan->parts == bench_quick;
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
    if ((*i)->missing == NULL && !is_too_slow(&run->plan, *i))
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
    else if ((*i)->missing == NULL && is_too_slow(&run->plan, *i))
      printf("%-16s is left out of the quick selection\n", (*i)->name);
  }
  putchar('\n');
}

int main(int argc, char **argv)
{
  static struct run run = {.plan = {.seed = 1}, .ok = true};

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
  for (const struct part *part = run.plan.parts; part->workloads; part++)
    run_part(&run, part);
  bench_table_summary();
  if (!run.ok)
    fputs("cmap_bench: not all of it succeeded\n", stderr);
  return run.ok ? 0 : 1;
}
