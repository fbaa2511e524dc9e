/*
 * The cross-check: maps that are right agree, a map that is wrong is found,
 * and rows are compared with the best peer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness.h"
#include "naive_map.h"

enum { KEYS = 500, OPS = 4000, ROUNDS = 2 };

static const struct workload *named(const char *name)
{
  const struct workload *workload = bench_workloads;

  while (workload->name != NULL && strcmp(workload->name, name) != 0)
    workload++;
  assert_non_null(workload->name);
  return workload;
}

/* Measures two right maps and, unless it is NULL, a third one. */
static bool measure(struct row *row, const char *name, unsigned threads,
                    const struct impl *third)
{
  memset(row, 0, sizeof *row);
  row->workload = named(name);
  row->keys = KEYS;
  row->threads = threads;
  row->rounds = ROUNDS;
  row->results[row->count++].impl = &naive_right;
  if (third != NULL)
    row->results[row->count++].impl = third;
  row->results[row->count++].impl = &naive_right_too;
  return bench_measure(row, OPS, 1);
}

static void right_maps_agree(void **state)
{
  static const char *const names[] = {"get",           "get_zipf",
                                      "miss",          "get_batch",
                                      "mixed",         "grow",
                                      "grow_batch",    "remove",
                                      "iterate",       "cmb_read_heavy",
                                      "cmb_exchange",  "count_zipf",
                                      "count_hot",     "read_heavy_zipf",
                                      "cmb_rapid_grow"};

  (void)state;
  for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
    for (unsigned threads = 1; threads <= 3; threads++) {
      struct row row;
      assert_true(measure(&row, names[n], threads, NULL));
      for (size_t i = 0; i < row.count; i++) {
        assert_int_equal(row.results[i].fault, FAULT_NONE);
        assert_true(row.results[i].min > 0);
        assert_true(row.results[i].min <= row.results[i].median);
        assert_true(row.results[i].median <= row.results[i].max);
      }
    }
  }
}

/* The wrong one stands out, the others keep their results. */
static void assert_found(const char *name, unsigned threads,
                         const struct impl *wrong, enum fault fault)
{
  struct row row;

  assert_false(measure(&row, name, threads, wrong));
  assert_int_equal(row.results[0].fault, FAULT_NONE);
  assert_int_equal(row.results[1].fault, fault);
  assert_int_equal(row.results[2].fault, FAULT_NONE);
  assert_true(row.results[0].median > 0);
}

static void wrong_maps_are_found(void **state)
{
  (void)state;
  for (unsigned threads = 1; threads <= 2; threads++) {
    assert_found("get", threads, &naive_wrong_value, FAULT_DISAGREES);
    assert_found("grow", threads, &naive_loses_key, FAULT_DISAGREES);
    assert_found("remove", threads, &naive_never_removes, FAULT_DISAGREES);
    assert_found("get", threads, &naive_crashes, FAULT_FAILED);
  }
}

static void most_decide(void **state)
{
  struct plan_job exact = {.exact = true};
  struct plan_job loose = {.exact = false, .ops = 100, .len_max = 10};
  bool at_fault[4];
  struct sample samples[4] = {
      {.ok = true, .checksum = 1, .len = 5, .content = 7},
      {.ok = true, .checksum = 2, .len = 5, .content = 7},
      {.ok = false},
      {.ok = true, .checksum = 2, .len = 5, .content = 7},
  };

  (void)state;
  assert_int_equal(bench_compare(samples, 4, &exact, at_fault), 1);
  assert_true(at_fault[0] && !at_fault[1] && !at_fault[2] && !at_fault[3]);
  samples[1].len = 6; /* no two agree: the first is the model */
  assert_int_equal(bench_compare(samples, 4, &exact, at_fault), 2);
  assert_true(!at_fault[0] && at_fault[1] && at_fault[3]);
  assert_int_equal(bench_compare(samples, 4, &loose, at_fault), 0);
  samples[0].len = 11;
  samples[3].checksum = 101;
  assert_int_equal(bench_compare(samples, 4, &loose, at_fault), 2);
  assert_true(at_fault[0] && at_fault[3]);
  assert_int_equal(bench_compare(samples, 0, &exact, at_fault), 0);
}

static void best_peer_is_a_whole_map(void **state)
{
  static const struct impl ours = {.name = "cmap", .role = ROLE_CMAP};
  static const struct impl limit = {.name = "raw", .role = ROLE_LIMIT};
  static const struct impl reader = {.name = "reader", .reads_only = true};
  static const struct impl slow = {.name = "slow"};
  static const struct impl fast = {.name = "fast"};
  static const struct impl broken = {.name = "broken"};
  struct row row = {
      .results = {{.impl = &ours, .median = 9},
                  {.impl = &limit, .median = 20},
                  {.impl = &reader, .median = 12},
                  {.impl = &slow, .median = 3},
                  {.impl = &fast, .median = 5},
                  {.impl = &broken, .median = 50, .fault = FAULT_DISAGREES}},
      .count = 6};

  (void)state;
  assert_float_equal(bench_best_peer(&row, NULL), 5, 0);
  assert_float_equal(bench_best_peer(&row, "fast"), 3, 0);
  row.count = 3;
  assert_float_equal(bench_best_peer(&row, NULL), 0, 0);
}

/* A header stands above lines of its kind, also if kinds alternate. */
static void csv_has_headers(void **state)
{
  char path[] = "/tmp/cmap_test_csv_XXXXXX";
  int fd = mkstemp(path);
  char text[512] = {0};
  FILE *file;

  (void)state;
  assert_true(fd >= 0);
  close(fd);
  for (int i = 0; i < 4; i++) {
    file = bench_csv(path, i < 2 ? "workload,a" : "workload,b");
    fprintf(file, "%d\n", i);
    fclose(file);
  }
  file = fopen(path, "r");
  assert_non_null(file);
  assert_true(fread(text, 1, sizeof text - 1, file) > 0);
  fclose(file);
  unlink(path);
  assert_string_equal(text, "workload,a\n0\n1\nworkload,b\n2\n3\n");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(right_maps_agree),
      cmocka_unit_test(wrong_maps_are_found),
      cmocka_unit_test(most_decide),
      cmocka_unit_test(best_peer_is_a_whole_map),
      cmocka_unit_test(csv_has_headers),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
