/*
 * cmap_bench: options, the rounds in turn, the table.
 */
#include "harness.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST_MAX 16

/* What was asked for. */
struct plan {
  char *workloads; /* comma-separated names */
  char *impls;
  size_t keys[LIST_MAX];
  size_t key_count;
  size_t threads[LIST_MAX];
  size_t thread_count;
  unsigned rounds;
  const char *csv;
  uint64_t seed;
};

void *bench_csv(const char *path, const char *header)
{
  FILE *file = fopen(path, "a");

  if (file == NULL) {
    perror(path);
    exit(1);
  }
  fseek(file, 0, SEEK_END);
  if (ftell(file) == 0)
    fprintf(file, "%s\n", header);
  return file;
}

static void usage(FILE *to)
{
  fputs("Usage: cmap_bench [OPTION ...]\n"
        "  --workload LIST  which workloads (default: a quick selection)\n"
        "  --impl LIST      which maps (default: all)\n"
        "  --keys LIST      sizes (default: 1000,1000000)\n"
        "  --threads LIST   numbers of threads (default: 1,2)\n"
        "  --rounds N       rounds of each (default: 5)\n"
        "  --seed N         of the traces (default: 1)\n"
        "  --csv FILE       append the results to FILE\n"
        "  --list           name all workloads and maps\n"
        "  --help           this text\n",
        to);
}

static void list(void)
{
  puts("workloads:");
  for (const struct workload *w = bench_workloads; w->name != NULL; w++)
    printf("  %-12s %s\n", w->name, w->what);
  puts("  pause        percentiles of single inserts into a growing map");
  puts("  memory       bytes per entry");
  puts("maps:");
  for (const struct impl *const *i = bench_impls; *i != NULL; i++)
    printf("  %-12s %s\n", (*i)->name, (*i)->what);
}

/* Is the name in a comma-separated list? */
static bool is_listed(const char *names, const char *name)
{
  size_t n = strlen(name);

  for (const char *p = names; (p = strstr(p, name)) != NULL; p += n) {
    if ((p == names || p[-1] == ',') && (p[n] == ',' || p[n] == '\0'))
      return true;
  }
  return false;
}

static void check_names(const char *names, bool impls)
{
  char *copy = strdup(names);

  for (char *name = strtok(copy, ","); name; name = strtok(NULL, ",")) {
    bool known = false;
    if (impls) {
      for (const struct impl *const *i = bench_impls; *i != NULL; i++)
        known |= strcmp((*i)->name, name) == 0;
    } else {
      known = is_listed("pause,memory", name);
      for (const struct workload *w = bench_workloads; w->name != NULL; w++)
        known |= strcmp(w->name, name) == 0;
    }
    if (!known) {
      fprintf(stderr, "cmap_bench: there is no '%s'; see --list\n", name);
      exit(2);
    }
  }
  free(copy);
}

static size_t parse_numbers(const char *text, size_t *numbers)
{
  size_t n = 0;

  for (;;) {
    char *end;
    unsigned long long number = strtoull(text, &end, 10);
    if (end == text || number == 0 || n == LIST_MAX ||
        (*end != ',' && *end != '\0')) {
      fprintf(stderr, "cmap_bench: '%s' is no list of numbers\n", text);
      exit(2);
    }
    numbers[n++] = (size_t)number;
    if (*end == '\0')
      return n;
    text = end + 1;
  }
}

static void parse(int argc, char **argv, struct plan *plan)
{
  static const struct option options[] = {
      {"workload", required_argument, NULL, 'w'},
      {"impl", required_argument, NULL, 'i'},
      {"keys", required_argument, NULL, 'k'},
      {"threads", required_argument, NULL, 't'},
      {"rounds", required_argument, NULL, 'r'},
      {"seed", required_argument, NULL, 's'},
      {"csv", required_argument, NULL, 'c'},
      {"list", no_argument, NULL, 'l'},
      {"help", no_argument, NULL, 'h'},
      {NULL, 0, NULL, 0},
  };
  size_t number[LIST_MAX];
  int option;

  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    switch (option) {
    case 'w':
      check_names(plan->workloads = optarg, false);
      break;
    case 'i':
      check_names(plan->impls = optarg, true);
      break;
    case 'k':
      plan->key_count = parse_numbers(optarg, plan->keys);
      break;
    case 't':
      plan->thread_count = parse_numbers(optarg, plan->threads);
      break;
    case 'r':
      parse_numbers(optarg, number);
      plan->rounds = (unsigned)number[0];
      break;
    case 's':
      parse_numbers(optarg, number);
      plan->seed = number[0];
      break;
    case 'c':
      plan->csv = optarg;
      break;
    case 'l':
      list();
      exit(0);
    case 'h':
      usage(stdout);
      exit(0);
    default:
      usage(stderr);
      exit(2);
    }
  }
  if (optind != argc) {
    usage(stderr);
    exit(2);
  }
}

/* Does the map offer the workload for so many threads? */
static bool is_offered(const struct impl *impl, const struct workload *w,
                       size_t threads)
{
  if (impl->u64 == NULL || impl->missing != NULL)
    return false;
  if (impl->max_threads != 0 && threads > impl->max_threads)
    return false;
  switch (w->shape) {
  case SHAPE_GET:
    return true;
  case SHAPE_GROW:
    /* `raw` can insert, to be filled, but does not grow. */
    return impl->u64->remove != NULL;
  case SHAPE_DRAIN:
    return impl->u64->remove != NULL;
  case SHAPE_MIXED:
    return impl->u64->mixed != NULL;
  default:
    return impl->u64->count != NULL;
  }
}

static void show_progress(const struct workload *w, size_t keys, size_t threads,
                          unsigned round)
{
  if (isatty(STDERR_FILENO))
    fprintf(stderr, "\r\033[K%s, %zu keys, %zu threads, round %u", w->name,
            keys, threads, round + 1);
}

static void clear_progress(void)
{
  if (isatty(STDERR_FILENO))
    fputs("\r\033[K", stderr);
}

/* One row of one map: the median of its rounds, with the extremes. */
static void print_row(const struct plan *plan, const struct impl *impl,
                      const struct workload *w, size_t keys, size_t threads,
                      double *mops, double best)
{
  double median = bench_median(mops, plan->rounds); /* sorts */

  printf("%-12s %9zu %7zu  %-8s %9.2f %9.2f %9.2f %7.2f\n", w->name, keys,
         threads, impl->name, median, mops[0], mops[plan->rounds - 1],
         median / best);
  if (plan->csv != NULL) {
    FILE *file =
        bench_csv(plan->csv, "workload,keys,threads,impl,rounds,median_mops,"
                             "min_mops,max_mops,bytes_per_entry");
    fprintf(file, "%s,%zu,%zu,%s,%u,%.3f,%.3f,%.3f,\n", w->name, keys, threads,
            impl->name, plan->rounds, median, mops[0], mops[plan->rounds - 1]);
    fclose(file);
  }
}

/* All maps on one workload, rounds interleaved. False on a mismatch. */
static bool run_workload(const struct plan *plan, const struct workload *w,
                         size_t keys, size_t threads)
{
  const struct impl *impls[LIST_MAX];
  double *mops[LIST_MAX];
  double best = 0;
  size_t n = 0;
  bool ok = true;

  for (const struct impl *const *i = bench_impls; *i != NULL; i++) {
    if ((plan->impls == NULL || is_listed(plan->impls, (*i)->name)) &&
        is_offered(*i, w, threads)) {
      mops[n] = calloc(plan->rounds, sizeof *mops[n]);
      impls[n++] = *i;
    }
  }
  for (unsigned r = 0; r < plan->rounds && ok; r++) {
    struct sample first = {.ok = false};
    for (size_t i = 0; i < n && ok; i++) {
      bool exact;
      struct sample sample;
      show_progress(w, keys, threads, r);
      sample = bench_round(impls[i], w, keys, (unsigned)threads, plan->seed + r,
                           &exact);
      ok = sample.ok;
      if (ok && i == 0)
        first = sample;
      if (ok && exact &&
          (sample.checksum != first.checksum || sample.len != first.len))
        ok = false;
      mops[i][r] = (double)sample.ops / sample.seconds * 1e-6;
    }
  }
  clear_progress();
  if (!ok)
    fprintf(stderr, "cmap_bench: %s failed, or two maps do not agree\n",
            w->name);
  for (size_t i = 0; i < n; i++) {
    double median = bench_median(mops[i], plan->rounds);
    best = median > best ? median : best;
  }
  for (size_t i = 0; i < n; i++) {
    if (ok)
      print_row(plan, impls[i], w, keys, threads, mops[i], best);
    free(mops[i]);
  }
  return ok;
}

int main(int argc, char **argv)
{
  static char quick[] = "get,miss,grow,remove,mixed,pause,memory";
  struct plan plan = {.workloads = quick,
                      .keys = {1000, 1000000},
                      .key_count = 2,
                      .threads = {1, 2},
                      .thread_count = 2,
                      .rounds = 5,
                      .seed = 1};
  bool ok = true;

  parse(argc, argv, &plan);
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("%-12s %9s %7s  %-8s %9s %9s %9s %7s\n", "workload", "keys", "threads",
         "map", "Mops/s", "min", "max", "of best");
  for (const struct workload *w = bench_workloads; w->name != NULL; w++) {
    if (!is_listed(plan.workloads, w->name))
      continue;
    for (size_t k = 0; k < plan.key_count; k++) {
      for (size_t t = 0; t < plan.thread_count; t++)
        ok &= run_workload(&plan, w, plan.keys[k], plan.threads[t]);
    }
  }
  puts("");
  if (is_listed(plan.workloads, "pause"))
    ok &= bench_pause(5000000, plan.rounds, plan.csv);
  if (is_listed(plan.workloads, "memory"))
    ok &= bench_memory(plan.csv);
  if (!ok)
    fputs("cmap_bench: not all of it succeeded\n", stderr);
  return ok ? 0 : 1;
}
