/*
 * Jobs on string keys.
 *
 * The strings of a trace lie in memory in the order of their use, as they do
 * in a buffer that is read from somewhere: what is measured is the map, not
 * the way to the keys.
 */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

/* Strings cost more than numbers, in the maps and here. */
#define OPS_DIVISOR 2
/* Keys that are looked up when the run is over. */
#define CHECK_MAX   ((size_t)100000)
/* Bytes of "key" and a number below 10^10. */
#define KEY_MAX     14

/* Strings that a job owns: one block of them, one block of their bytes. */
struct strings {
  struct bench_string *keys;
  char *end; /* of the bytes so far */
  size_t count;
};

static struct strings strings_make(size_t count)
{
  struct strings strings = {.count = 0};

  strings.keys = bench_alloc(count + 1, sizeof *strings.keys);
  strings.end = bench_alloc(count + 1, KEY_MAX);
  /* Also of none: its first string is where the bytes begin. */
  strings.keys[0].data = strings.end;
  return strings;
}

static void strings_add(struct strings *strings, size_t number)
{
  struct bench_string *key = &strings->keys[strings->count++];
  char digits[KEY_MAX];
  char *first = digits + sizeof digits;

  do {
    *--first = (char)('0' + number % 10);
    number /= 10;
  } while (number != 0);
  key->data = strings->end;
  memcpy(strings->end, "key", 3);
  memcpy(strings->end + 3, first, (size_t)(digits + sizeof digits - first));
  strings->end += 3 + (digits + sizeof digits - first);
  key->size = (size_t)(strings->end - key->data);
}

static struct string_trace strings_trace(const struct strings *strings)
{
  struct string_trace trace = {strings->keys, strings->count};

  return trace;
}

/* "key{first}" up to "key{end - 1}". */
static struct string_trace make_range(size_t first, size_t end)
{
  struct strings strings = strings_make(end - first);

  for (size_t i = first; i < end; i++)
    strings_add(&strings, i);
  return strings_trace(&strings);
}

static struct string_trace make_chance(size_t keys, size_t ops, uint64_t seed)
{
  struct strings strings = strings_make(ops);

  for (size_t i = 0; i < ops; i++)
    strings_add(&strings, (bench_random(&seed) >> 16) % keys);
  return strings_trace(&strings);
}

static void fill_numbered(struct plan_job *plan, const struct workload *w,
                          size_t keys, struct string_trace *traces, size_t ops,
                          uint64_t seed)
{
  struct bench_job *job = &plan->job;
  size_t half = keys < CHECK_MAX / 2 ? keys : CHECK_MAX / 2;
  size_t each = ops / OPS_DIVISOR / job->threads + 1;

  if (!w->from_empty)
    job->string_fill = make_range(0, keys);
  job->string_check = make_range(keys - half, keys + half);
  for (unsigned t = 0; t < job->threads; t++) {
    if (w->pattern == PATTERN_ARTICLE)
      traces[t] = make_range(0, keys);
    else
      traces[t] = make_chance(keys, each, bench_key(seed * 65536 + t) | 1);
  }
  if (w->pattern == PATTERN_ARTICLE && each > keys)
    job->passes = each / keys;
}

/* Thread after thread gets the next part of the text. */
static void fill_words(struct plan_job *plan, const struct workload *w,
                       struct string_trace *traces)
{
  const struct bench_words *words = bench_words();
  struct bench_job *job = &plan->job;

  if (!w->from_empty) {
    job->string_fill.keys = words->distinct;
    job->string_fill.count = words->distinct_count;
  }
  job->string_check.keys = words->distinct;
  job->string_check.count = words->distinct_count;
  for (unsigned t = 0; t < job->threads; t++) {
    size_t first = words->count * t / job->threads;
    traces[t].keys = words->all + first;
    traces[t].count = words->count * (t + 1) / job->threads - first;
  }
}

void bench_job_strings(struct plan_job *plan, const struct workload *workload,
                       size_t *keys, size_t ops, uint64_t seed)
{
  struct bench_job *job = &plan->job;
  struct string_trace *traces = bench_alloc(job->threads, sizeof *traces);

  job->string_traces = traces;
  if (workload->pattern == PATTERN_WORDS) {
    fill_words(plan, workload, traces);
    *keys = bench_words()->distinct_count;
  } else {
    fill_numbered(plan, workload, *keys, traces, ops, seed);
    plan->owns_strings = true;
  }
  job->keys = *keys;
  plan->len_max = *keys;
  for (unsigned t = 0; t < job->threads; t++)
    plan->ops += traces[t].count * job->passes;
}

static void trace_free(const struct string_trace *trace)
{
  if (trace->keys != NULL) {
    bench_free(trace->keys[0].data);
    bench_free(trace->keys);
  }
}

void bench_job_strings_free(struct plan_job *plan)
{
  struct bench_job *job = &plan->job;

  if (job->string_traces == NULL)
    return;
  if (plan->owns_strings) {
    trace_free(&job->string_fill);
    trace_free(&job->string_check);
    for (unsigned t = 0; t < job->threads; t++)
      trace_free(&job->string_traces[t]);
  }
  bench_free(job->string_traces);
}
