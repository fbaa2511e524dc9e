/*
 * Jobs on integer keys: what is in the map, and what the threads do.
 *
 * Keys are numbered; the map of a workload with `keys` keys holds those of
 * even numbers below twice that, those of odd numbers are absent.
 */
#include "harness.h"

#include <stdlib.h>

/* Where a run uses up its map, small maps are made again until this part of
 * the operations is done: enough for the clock, and not too much for maps that
 * take milliseconds to be destroyed. */
#define FRESH_PART 16
/* Keys that are looked up when the run is over. */
#define CHECK_MAX  ((size_t)100000)

static size_t smaller(size_t a, size_t b)
{
  return a < b ? a : b;
}

static size_t larger(size_t a, size_t b)
{
  return a > b ? a : b;
}

/* A shape's keys are made of their numbers, when all are there. */
static uint64_t key_of(const struct bench_job *job, uint64_t number)
{
  return job->shape != NULL ? number : bench_key(number);
}

static struct trace trace_make(size_t count, bool with_ops)
{
  struct trace trace = {.count = count};

  trace.keys = bench_alloc(count, sizeof *trace.keys);
  if (with_ops)
    trace.ops = bench_alloc(count, sizeof *trace.ops);
  return trace;
}

static void trace_free(struct trace *trace)
{
  bench_free(trace->keys);
  bench_free(trace->ops);
}

/* A thread's own chance, of which no two are alike. */
static uint64_t chance_of(uint64_t seed, unsigned thread)
{
  return bench_key(seed * 65536 + thread) | 1;
}

static uint8_t choose_op(const unsigned *pct, uint64_t *chance)
{
  unsigned dice = (unsigned)((bench_random(chance) >> 32) % 100);
  unsigned op = OP_GET;

  while (op < OP_UPDATE && dice >= pct[op])
    dice -= pct[op++];
  return (uint8_t)op;
}

/* The number of the key of an operation, of keys by chance. */
static uint64_t choose_key(const struct workload *w, size_t keys,
                           uint64_t *chance)
{
  size_t range = w->pattern == PATTERN_MIX ? 2 * keys : keys;
  uint64_t number;

  if (w->hot)
    return 0;
  number = w->zipf > 0 ? bench_zipf(range, w->zipf, chance)
                       : (bench_random(chance) >> 16) % range;
  return w->pattern == PATTERN_MIX ? number : 2 * number + w->miss;
}

static struct trace make_chance(const struct bench_job *job,
                                const struct workload *w, size_t keys,
                                size_t ops, uint64_t chance)
{
  bool mix = w->pattern == PATTERN_MIX;
  struct trace trace = trace_make(ops, mix);

  for (size_t i = 0; i < ops; i++) {
    trace.keys[i] = key_of(job, choose_key(w, keys, &chance));
    if (mix)
      trace.ops[i] = choose_op(w->pct, &chance);
  }
  return trace;
}

/* The walk begins anywhere. */
static void walk_between(const struct bench_job *job, size_t keys,
                         struct trace *trace, uint64_t chance)
{
  size_t at = (bench_random(&chance) >> 16) % keys;

  for (size_t i = 3; i < trace->count; i += 4)
    trace->keys[i] = key_of(job, 2 * (at++ % keys));
}

static struct trace make_part(const struct bench_job *job, size_t first,
                              size_t end)
{
  struct trace trace = trace_make(end - first, false);

  for (size_t i = first; i < end; i++)
    trace.keys[i - first] = key_of(job, 2 * i);
  return trace;
}

/*
 * conc-map-bench's way, which it has from libcuckoo's benchmark: a thread has
 * numbers of its own from `base` on. It inserts them in turn, removes them in
 * the same turn, and reads and updates any. For every 4 keys of the map's size
 * there are 3 operations.
 */
static struct trace make_sequence(const struct workload *w, size_t base,
                                  size_t size, size_t ops, uint64_t chance)
{
  struct trace trace = trace_make(ops, true);
  size_t inserted = size * w->fill_pct / 100;
  size_t range = inserted + size;
  size_t removed = 0;

  for (size_t i = 0; i < ops; i++) {
    size_t number = (bench_random(&chance) >> 16) % range;
    trace.ops[i] = choose_op(w->pct, &chance);
    if (trace.ops[i] == OP_INSERT)
      number = inserted++;
    else if (trace.ops[i] == OP_REMOVE && removed < inserted)
      number = removed++;
    trace.keys[i] = bench_key(base + number);
  }
  return trace;
}

/* All traces of a job whose threads have keys of their own. */
static void fill_sequence(struct plan_job *plan, const struct workload *w,
                          size_t keys, struct trace *traces, size_t ops,
                          uint64_t seed)
{
  struct bench_job *job = &plan->job;
  size_t size = larger(keys / job->threads, 4);
  size_t filled = size * w->fill_pct / 100;
  size_t range = filled + size;
  size_t each = size / 4 * 3;

  job->fill = trace_make(filled * job->threads, false);
  for (unsigned t = 0; t < job->threads; t++) {
    for (size_t i = 0; i < filled; i++)
      job->fill.keys[t * filled + i] = bench_key(t * range + i);
    traces[t] = make_sequence(w, t * range, size, each, chance_of(seed, t));
  }
  job->maps = larger(ops / FRESH_PART / (each * job->threads), 1);
  plan->len_max = range * job->threads;
}

static void fill_others(struct plan_job *plan, const struct workload *w,
                        size_t keys, struct trace *traces, size_t ops,
                        uint64_t seed)
{
  struct bench_job *job = &plan->job;

  job->bound = keys * w->bound_pct / 100;
  if (!w->from_empty)
    job->fill = make_part(job, 0, w->bound_pct != 0 ? job->bound : keys);
  for (unsigned t = 0; t < job->threads; t++) {
    if (w->pattern == PATTERN_PARTS)
      traces[t] = make_part(job, keys * t / job->threads,
                            keys * (t + 1) / job->threads);
    else if (w->pattern != PATTERN_NONE)
      traces[t] =
          make_chance(job, w, keys, ops / job->threads + 1, chance_of(seed, t));
    if (w->pattern == PATTERN_SCAN)
      walk_between(job, keys, &traces[t], chance_of(seed, t));
  }
  if (w->pattern == PATTERN_PARTS)
    job->maps = larger(ops / FRESH_PART / keys, 1);
  if (w->pattern == PATTERN_NONE)
    job->passes = larger(ops / keys / job->threads, 1);
  plan->len_max = 2 * keys;
}

/* From numbers to keys of the job's shape. */
static void make_shaped(struct plan_job *plan, struct trace *traces)
{
  struct bench_job *job = &plan->job;

  plan->text = bench_shape_text(job->shape, plan->len_max);
  bench_shape_trace(job->shape, plan->text, &job->fill);
  bench_shape_trace(job->shape, plan->text, &job->check);
  for (unsigned t = 0; t < job->threads; t++)
    bench_shape_trace(job->shape, plan->text, &traces[t]);
}

struct plan_job *bench_job_make(const struct workload *workload,
                                const struct bench_shape *shape, size_t *keys,
                                unsigned threads, size_t ops, uint64_t seed)
{
  struct plan_job *plan = bench_alloc(1, sizeof *plan);
  struct bench_job *job = &plan->job;
  struct trace *traces;
  size_t checked;

  job->loop = workload->loop;
  job->shape = shape;
  job->threads = threads;
  job->maps = 1;
  job->passes = 1;
  plan->exact = workload->loop != LOOP_CACHE &&
                (workload->pattern != PATTERN_MIX || threads == 1);
  if (workload->loop >= LOOP_STRING_GET) {
    bench_job_strings(plan, workload, keys, ops, seed);
    return plan;
  }
  job->keys = *keys;
  job->traces = traces = bench_alloc(threads, sizeof *traces);
  if (workload->pattern == PATTERN_SEQUENCE)
    fill_sequence(plan, workload, *keys, traces, ops, seed);
  else
    fill_others(plan, workload, *keys, traces, ops, seed);
  checked = smaller(plan->len_max, CHECK_MAX);
  job->check = trace_make(checked, false);
  for (size_t i = 0; i < checked; i++)
    job->check.keys[i] = key_of(job, i);
  for (unsigned t = 0; t < threads; t++)
    plan->ops += workload->pattern == PATTERN_NONE ? *keys : traces[t].count;
  plan->ops *= job->maps * job->passes;
  if (shape != NULL)
    make_shaped(plan, traces);
  return plan;
}

void bench_job_free(struct plan_job *plan)
{
  struct bench_job *job = &plan->job;

  trace_free(&job->fill);
  trace_free(&job->check);
  for (unsigned t = 0; job->traces != NULL && t < job->threads; t++) {
    bench_free(job->traces[t].keys);
    bench_free(job->traces[t].ops);
  }
  bench_free(job->traces);
  bench_job_strings_free(plan);
  bench_free(plan->text);
  bench_free(plan);
}
