/*
 * Traces: which keys, in whose, and in what proportion.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness.h"

enum { KEYS = 1000, THREADS = 3, OPS = 30000 };

static const struct workload *named(const char *name)
{
  const struct workload *workload = bench_workloads;

  while (workload->name != NULL && strcmp(workload->name, name) != 0)
    workload++;
  assert_non_null(workload->name);
  return workload;
}

static struct plan_job *make(const char *name, unsigned threads, uint64_t seed)
{
  size_t keys = KEYS;
  struct plan_job *plan =
      bench_job_make(named(name), NULL, &keys, threads, OPS, seed);

  assert_int_equal(keys, KEYS);
  assert_int_equal(plan->job.threads, threads);
  return plan;
}

/* The number of a key below `end`, which it must have. */
static size_t number_of(uint64_t key, size_t end)
{
  for (size_t i = 0; i < end; i++) {
    if (bench_key(i) == key)
      return i;
  }
  fail();
  return 0;
}

static void parts_are_all_keys_once(void **state)
{
  struct plan_job *plan = make("grow", THREADS, 1);
  bool seen[2 * KEYS] = {false};
  size_t count = 0;

  (void)state;
  for (unsigned t = 0; t < THREADS; t++) {
    const struct trace *trace = &plan->job.traces[t];
    for (size_t i = 0; i < trace->count; i++) {
      size_t number = number_of(trace->keys[i], 2 * KEYS);
      assert_int_equal(number % 2, 0);
      assert_false(seen[number]);
      seen[number] = true;
      count++;
    }
  }
  assert_int_equal(count, KEYS);
  assert_int_equal(plan->ops, KEYS * plan->job.maps);
  assert_int_equal(plan->job.fill.count, 0);
  bench_job_free(plan);
}

static void reads_hit_and_misses_miss(void **state)
{
  static const char *const names[] = {"get", "miss", "get_zipf"};

  (void)state;
  for (size_t n = 0; n < 3; n++) {
    struct plan_job *plan = make(names[n], 1, 1);
    assert_int_equal(plan->job.fill.count, KEYS);
    for (size_t i = 0; i < KEYS; i++)
      assert_int_equal(number_of(plan->job.fill.keys[i], 2 * KEYS), 2 * i);
    for (size_t i = 0; i < 1000; i++)
      assert_int_equal(number_of(plan->job.traces[0].keys[i], 2 * KEYS) % 2,
                       n == 1);
    bench_job_free(plan);
  }
}

static void mixes_have_their_proportions(void **state)
{
  static const char *const names[] = {"mixed", "read_heavy", "cmb_exchange",
                                      "cmb_rapid_grow"};

  (void)state;
  for (size_t n = 0; n < 4; n++) {
    const struct workload *workload = named(names[n]);
    size_t counts[4] = {0};
    size_t total = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
      struct plan_job *plan = make(names[n], 1, seed);
      const struct trace *trace = &plan->job.traces[0];
      total += trace->count;
      for (size_t i = 0; i < trace->count; i++)
        counts[trace->ops[i]]++;
      bench_job_free(plan);
    }
    /* Within 2 per cent, over 6 deviations of the 30,000 that are drawn. */
    for (int op = 0; op < 4; op++) {
      double pct = 100.0 * (double)counts[op] / (double)total;
      assert_float_equal(pct, workload->pct[op], 2);
    }
  }
}

/* Threads have their own keys, insert each once, and remove what is there. */
static void sequences_are_of_disjoint_keys(void **state)
{
  struct plan_job *plan = make("cmb_exchange", THREADS, 1);
  size_t range = plan->len_max / THREADS;
  bool *present = bench_alloc(plan->len_max, sizeof *present);

  (void)state;
  for (size_t i = 0; i < plan->job.fill.count; i++)
    present[number_of(plan->job.fill.keys[i], plan->len_max)] = true;
  for (unsigned t = 0; t < THREADS; t++) {
    const struct trace *trace = &plan->job.traces[t];
    for (size_t i = 0; i < trace->count; i++) {
      size_t number = number_of(trace->keys[i], plan->len_max);
      assert_int_equal(number / range, t);
      if (trace->ops[i] == OP_INSERT) {
        assert_false(present[number]);
        present[number] = true;
      } else if (trace->ops[i] == OP_REMOVE) {
        assert_true(present[number]);
        present[number] = false;
      }
    }
  }
  bench_free(present);
  bench_job_free(plan);
}

static void seeds_decide(void **state)
{
  struct plan_job *first = make("get", 2, 1);
  struct plan_job *same = make("get", 2, 1);
  struct plan_job *other = make("get", 2, 2);
  size_t size = first->job.traces[0].count * sizeof(uint64_t);

  (void)state;
  for (unsigned t = 0; t < 2; t++) {
    assert_memory_equal(first->job.traces[t].keys, same->job.traces[t].keys,
                        size);
    assert_memory_not_equal(first->job.traces[t].keys,
                            other->job.traces[t].keys, size);
  }
  assert_memory_not_equal(first->job.traces[0].keys, first->job.traces[1].keys,
                          size);
  bench_job_free(first);
  bench_job_free(same);
  bench_job_free(other);
}

static void assert_string(const struct bench_string *got, const char *want)
{
  assert_int_equal(got->size, strlen(want));
  assert_memory_equal(got->data, want, got->size);
}

static void strings_are_key_and_number(void **state)
{
  struct plan_job *plan = make("str_entry", THREADS, 1);

  (void)state;
  for (unsigned t = 0; t < THREADS; t++) {
    assert_int_equal(plan->job.string_traces[t].count, KEYS);
    assert_string(&plan->job.string_traces[t].keys[0], "key0");
    assert_string(&plan->job.string_traces[t].keys[KEYS - 1], "key999");
  }
  assert_int_equal(plan->job.string_fill.count, KEYS);
  assert_string(&plan->job.string_fill.keys[10], "key10");
  assert_int_equal(plan->ops, plan->job.passes * KEYS * THREADS);
  bench_job_free(plan);

  plan = make("str_count", 1, 1);
  assert_int_equal(plan->job.string_fill.count, 0);
  for (size_t i = 0; i < plan->job.string_traces[0].count; i++) {
    const struct bench_string *key = &plan->job.string_traces[0].keys[i];
    assert_in_range(key->size, 4, 6);
    assert_memory_equal(key->data, "key", 3);
  }
  bench_job_free(plan);
}

static void iteration_has_enough_passes(void **state)
{
  struct plan_job *plan = make("iterate", THREADS, 1);

  (void)state;
  assert_int_equal(plan->job.passes, OPS / KEYS / THREADS);
  assert_int_equal(plan->ops, plan->job.passes * KEYS * THREADS);
  bench_job_free(plan);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(parts_are_all_keys_once),
      cmocka_unit_test(reads_hit_and_misses_miss),
      cmocka_unit_test(mixes_have_their_proportions),
      cmocka_unit_test(sequences_are_of_disjoint_keys),
      cmocka_unit_test(seeds_decide),
      cmocka_unit_test(strings_are_key_and_number),
      cmocka_unit_test(iteration_has_enough_passes),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
