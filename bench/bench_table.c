/*
 * The table on stdout, and the sums below it.
 */
#include "harness.h"

#include <math.h>
#include <string.h>

/* Characters of the longest bar. */
#define BAR_MAX 24

/* How libcmap stands beside the best peer, over all rows so far. */
struct standing {
  const char *title;
  const char *except; /* a peer that is left out */
  const char *only;   /* the one peer that counts */
  bool shapes;        /* of rows with a shape, not of those without */
  double log_sum;
  unsigned rows;
  unsigned behind;
  char worst[96];
  double worst_ratio;
};

/* The second says no more than the first unless the third has rows. */
static struct standing standings[] = {
    {.title = "the best peer of each row"},
    {.title = "the best peer without boost", .except = "boost"},
    {.title = "boost::concurrent_flat_map", .only = "boost"},
    {.title = "the best peer of each row of a shape", .shapes = true},
};

#define STANDINGS (sizeof standings / sizeof *standings)

static const struct result *find(const struct row *row, const char *name)
{
  for (size_t i = 0; i < row->count; i++) {
    if (strcmp(row->results[i].impl->name, name) == 0 &&
        row->results[i].fault == FAULT_NONE)
      return &row->results[i];
  }
  return NULL;
}

static void add_standing(struct standing *standing, const struct row *row)
{
  const struct result *ours = find(row, "cmap");
  const struct result *only = standing->only ? find(row, standing->only) : NULL;
  double best = standing->only == NULL ? bench_best_peer(row, standing->except)
                : only != NULL         ? only->median
                                       : 0;
  double ratio;

  if (ours == NULL || best <= 0 || standing->shapes != (row->shape != NULL))
    return;
  ratio = ours->median / best;
  standing->log_sum += log(ratio);
  standing->behind += ratio < 1;
  if (standing->rows++ == 0 || ratio < standing->worst_ratio) {
    standing->worst_ratio = ratio;
    snprintf(standing->worst, sizeof standing->worst,
             "%s, %zu keys, %u thread%s", row->name, row->keys, row->threads,
             row->threads == 1 ? "" : "s");
  }
}

static void print_result(const struct row *row, const struct result *result,
                         double best_peer, double best)
{
  const struct impl *impl = result->impl;

  printf("%-16s %9zu %7u  %-16s ", row->name, row->keys, row->threads,
         impl->name);
  if (result->fault != FAULT_NONE) {
    puts(result->fault == FAULT_FAILED ? "FAILED" : "WRONG RESULT");
    return;
  }
  printf("%8.2f %8.2f %8.2f ", result->median, result->min, result->max);
  if (best_peer > 0)
    printf("%7.2f ", result->median / best_peer);
  else
    printf("%7s ", "-");
  for (int i = 0; i < (int)(BAR_MAX * result->median / best + 0.5); i++)
    fputs(impl->role == ROLE_CMAP ? "#" : "=", stdout);
  if (impl->role == ROLE_LIMIT)
    fputs(" (limit)", stdout);
  else if (impl->mark != NULL)
    printf(" (%s)", impl->mark);
  else if (impl->reads_only)
    fputs(" (reads only)", stdout);
  putchar('\n');
}

static void write_csv(const struct row *row, const char *csv)
{
  FILE *file = bench_csv(csv, BENCH_CSV);

  for (size_t i = 0; i < row->count; i++) {
    const struct result *result = &row->results[i];
    if (result->fault != FAULT_NONE)
      continue;
    fprintf(file, "%s,%zu,%u,%s,%u,%.3f,%.3f,%.3f,", row->name, row->keys,
            row->threads, result->impl->name, row->rounds, result->median,
            result->min, result->max);
    if (result->bytes > 0)
      fprintf(file, "%.2f", result->bytes);
    fputc('\n', file);
  }
  fclose(file);
}

void bench_table_begin(void)
{
  printf("%-16s %9s %7s  %-16s %8s %8s %8s %7s\n", "workload", "keys",
         "threads", "map", "Mops/s", "min", "max", "of best");
  printf("%-16s %9s %7s  %-16s %8s %8s %8s %7s\n", "", "", "", "", "(median)",
         "", "", "peer");
}

void bench_table_row(const struct row *row, const char *csv)
{
  double best_peer = bench_best_peer(row, NULL);
  double best = 0;

  for (size_t i = 0; i < row->count; i++) {
    if (row->results[i].median > best)
      best = row->results[i].median;
  }
  putchar('\n');
  for (size_t i = 0; i < row->count; i++)
    print_result(row, &row->results[i], best_peer, best);
  for (size_t i = 0; i < STANDINGS; i++)
    add_standing(&standings[i], row);
  if (csv != NULL)
    write_csv(row, csv);
}

void bench_table_summary(void)
{
  for (size_t i = 0; i < STANDINGS; i++) {
    const struct standing *s = &standings[i];
    if (s->rows == 0 || (s->except != NULL && s[1].rows == 0))
      continue;
    printf("\ncmap beside %s: geometric mean %.2f of %u rows, behind in %u;\n"
           "  least %.2f (%s)\n",
           s->title, exp(s->log_sum / s->rows), s->rows, s->behind,
           s->worst_ratio, s->worst);
  }
}
