/*
 * The benchmark's arithmetic: medians, keys, Zipf.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "harness.h"

static void median_is_the_middle(void **state)
{
  double one[] = {7};
  double odd[] = {5, 1, 4, 2, 3};
  double even[] = {4, 1, 3, 2};
  double alike[] = {2, 2, 9, 2};

  (void)state;
  assert_float_equal(bench_median(one, 1), 7, 0);
  assert_float_equal(bench_median(odd, 5), 3, 0);
  assert_float_equal(bench_median(even, 4), 2.5, 0);
  assert_float_equal(bench_median(alike, 4), 2, 0);
  assert_float_equal(bench_median(NULL, 0), 0, 0);
}

static void median_sorts(void **state)
{
  double numbers[] = {3, 1, 2};

  (void)state;
  bench_median(numbers, 3);
  for (int i = 0; i < 3; i++)
    assert_float_equal(numbers[i], i + 1, 0);
}

static int compare(const void *a, const void *b)
{
  uint64_t x = *(const uint64_t *)a;
  uint64_t y = *(const uint64_t *)b;

  return (x > y) - (x < y);
}

static void no_two_keys_are_alike(void **state)
{
  enum { KEYS = 100000 };
  uint64_t *keys = bench_alloc(KEYS, sizeof *keys);

  (void)state;
  for (uint64_t i = 0; i < KEYS; i++)
    keys[i] = bench_key(i);
  qsort(keys, KEYS, sizeof *keys, compare);
  for (size_t i = 1; i < KEYS; i++)
    assert_true(keys[i - 1] < keys[i]);
  bench_free(keys);
}

/*
 * How often ranks come, against the formula: within 5 standard deviations of
 * the binomial distribution. The seed is fixed, so that the test is, too.
 */
static void zipf_has_its_frequencies(void **state)
{
  enum { RANKS = 1000, DRAWS = 200000 };
  static const double exponents[] = {0.5, 0.99, 1.5};
  size_t *counts = bench_alloc(RANKS, sizeof *counts);

  (void)state;
  for (size_t e = 0; e < sizeof exponents / sizeof *exponents; e++) {
    uint64_t chance = 12345;
    double sum = 0;
    for (size_t i = 0; i < RANKS; i++) {
      sum += pow((double)(i + 1), -exponents[e]);
      counts[i] = 0;
    }
    for (size_t i = 0; i < DRAWS; i++) {
      size_t rank = bench_zipf(RANKS, exponents[e], &chance);
      assert_true(rank < RANKS);
      counts[rank]++;
    }
    for (size_t i = 0; i < RANKS; i += i < 10 ? 1 : 97) {
      double p = pow((double)(i + 1), -exponents[e]) / sum;
      double want = DRAWS * p;
      double deviation = sqrt(want * (1 - p));
      assert_true(fabs((double)counts[i] - want) < 5 * deviation + 1);
    }
  }
  bench_free(counts);
}

/* Another n or exponent is another table. */
static void zipf_follows_its_arguments(void **state)
{
  uint64_t chance = 1;
  size_t first = 0;

  (void)state;
  for (int i = 0; i < 1000; i++) {
    assert_int_equal(bench_zipf(1, 0.99, &chance), 0);
    assert_true(bench_zipf(3, 0.99, &chance) < 3);
    first += bench_zipf(3, 50, &chance) == 0;
  }
  assert_int_equal(first, 1000);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(median_is_the_middle),
      cmocka_unit_test(median_sorts),
      cmocka_unit_test(no_two_keys_are_alike),
      cmocka_unit_test(zipf_has_its_frequencies),
      cmocka_unit_test(zipf_follows_its_arguments),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
