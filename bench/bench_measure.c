/*
 * All maps on one workload: rounds in turn, results held against each other.
 */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

static bool is_same(const struct sample *a, const struct sample *b)
{
  return a->checksum == b->checksum && a->len == b->len &&
         a->content == b->content;
}

/* The sample with which most agree, the first of these; n if none is ok. */
static size_t most_common(const struct sample *samples, size_t n)
{
  size_t best = n;
  size_t best_votes = 0;

  for (size_t i = 0; i < n; i++) {
    size_t votes = 0;
    for (size_t j = 0; j < n && samples[i].ok; j++)
      votes += samples[j].ok && is_same(&samples[i], &samples[j]);
    if (votes > best_votes) {
      best = i;
      best_votes = votes;
    }
  }
  return best;
}

size_t bench_compare(const struct sample *samples, size_t n,
                     const struct plan_job *plan, bool *at_fault)
{
  size_t model = most_common(samples, n);
  size_t faults = 0;

  for (size_t i = 0; i < n; i++) {
    if (!samples[i].ok)
      at_fault[i] = false;
    else if (plan->exact)
      at_fault[i] = !is_same(&samples[i], &samples[model]);
    else
      at_fault[i] =
          samples[i].len > plan->len_max || samples[i].checksum > plan->ops;
    faults += at_fault[i];
  }
  return faults;
}

static void complain(const struct row *row, size_t i, const struct sample *got,
                     enum fault fault)
{
  bench_progress(NULL);
  fprintf(stderr, "cmap_bench: %s, %zu keys, %u threads: %s ", row->name,
          row->keys, row->threads, row->results[i].impl->name);
  if (fault == FAULT_FAILED)
    fputs("failed\n", stderr);
  else
    fprintf(stderr,
            "does not agree with the others: checksum %llu, "
            "length %llu, content %llu\n",
            (unsigned long long)got->checksum, (unsigned long long)got->len,
            (unsigned long long)got->content);
}

/* One round of every map that is not out already. */
static void measure_round(struct row *row, const struct plan_job *plan,
                          unsigned round, double (*mops)[BENCH_IMPLS_MAX])
{
  struct sample samples[BENCH_IMPLS_MAX];
  bool at_fault[BENCH_IMPLS_MAX];

  memset(samples, 0, sizeof samples);
  for (size_t i = 0; i < row->count; i++) {
    struct result *result = &row->results[i];
    if (result->fault != FAULT_NONE)
      continue;
    bench_progress("%s, %zu keys, %u threads: round %u of %u, %s", row->name,
                   row->keys, row->threads, round + 1, row->rounds,
                   result->impl->name);
    samples[i] = bench_round(result->impl, plan);
    if (!samples[i].ok) {
      result->fault = FAULT_FAILED;
      complain(row, i, &samples[i], result->fault);
      continue;
    }
    mops[round][i] = (double)samples[i].ops / samples[i].seconds * 1e-6;
    if (round == 0)
      result->bytes = samples[i].bytes;
  }
  bench_compare(samples, row->count, plan, at_fault);
  for (size_t i = 0; i < row->count; i++) {
    if (at_fault[i]) {
      row->results[i].fault = FAULT_DISAGREES;
      complain(row, i, &samples[i], FAULT_DISAGREES);
    }
  }
}

static void summarise(struct row *row, double (*mops)[BENCH_IMPLS_MAX])
{
  double *column = bench_alloc(row->rounds, sizeof *column);

  for (size_t i = 0; i < row->count; i++) {
    struct result *result = &row->results[i];
    if (result->fault != FAULT_NONE)
      continue;
    for (unsigned r = 0; r < row->rounds; r++)
      column[r] = mops[r][i];
    result->median = bench_median(column, row->rounds); /* sorts */
    result->min = column[0];
    result->max = column[row->rounds - 1];
  }
  bench_free(column);
}

bool bench_measure(struct row *row, size_t ops, uint64_t seed)
{
  double(*mops)[BENCH_IMPLS_MAX] = bench_alloc(row->rounds, sizeof *mops);
  bool ok = true;

  for (unsigned r = 0; r < row->rounds; r++) {
    struct plan_job *plan;
    bench_progress("%s, %zu keys, %u threads: making the traces", row->name,
                   row->keys, row->threads);
    plan = bench_job_make(row->workload, row->shape, &row->keys, row->threads,
                          ops, seed + r);
    measure_round(row, plan, r, mops);
    bench_job_free(plan);
  }
  bench_progress(NULL);
  summarise(row, mops);
  bench_free(mops);
  for (size_t i = 0; i < row->count; i++)
    ok &= row->results[i].fault == FAULT_NONE;
  return ok;
}

bool bench_is_peer(const struct impl *impl)
{
  return impl->role == ROLE_PEER && !impl->reads_only && impl->round == NULL;
}

double bench_best_peer(const struct row *row, const char *except)
{
  double best = 0;

  for (size_t i = 0; i < row->count; i++) {
    const struct result *result = &row->results[i];
    const struct impl *impl = result->impl;
    if (!bench_is_peer(impl) || result->fault != FAULT_NONE ||
        (except != NULL && strcmp(impl->name, except) == 0))
      continue;
    if (result->median > best)
      best = result->median;
  }
  return best;
}
