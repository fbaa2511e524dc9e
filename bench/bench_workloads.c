/*
 * The workloads, the keys and the clock.
 */
#include "harness.h"

#include <stdlib.h>
#include <time.h>

const struct workload bench_workloads[] = {
    {.name = "get", .what = "reads of present keys", .shape = SHAPE_GET},
    {.name = "get_zipf",
     .what = "the same, some keys far more often (Zipf 0.99)",
     .shape = SHAPE_GET,
     .zipf = 0.99},
    {.name = "miss",
     .what = "reads of absent keys",
     .shape = SHAPE_GET,
     .miss = true},
    {.name = "grow",
     .what = "inserts of new keys, from empty",
     .shape = SHAPE_GROW},
    {.name = "remove", .what = "removals of all keys", .shape = SHAPE_DRAIN},
    {.name = "read_heavy",
     .what = "98 % get, 1 % insert, 1 % remove over twice the keys",
     .shape = SHAPE_MIXED,
     .get_pct = 98},
    {.name = "mixed",
     .what = "50 % get, 25 % insert, 25 % remove over twice the keys",
     .shape = SHAPE_MIXED,
     .get_pct = 50},
    {.name = "count_zipf",
     .what = "counters (Zipf 0.99), from empty",
     .shape = SHAPE_COUNT,
     .zipf = 0.99},
    {.name = "count_hot",
     .what = "one counter for all threads",
     .shape = SHAPE_COUNT,
     .hot = true},
    {.name = NULL},
};

/*
 * Odd multipliers and shifts are bijections: no two keys are alike. Keys of
 * even and odd i are the present and the absent ones.
 */
uint64_t bench_key(uint64_t i)
{
  i *= UINT64_C(0x9e3779b97f4a7c15);
  i ^= i >> 32;
  i *= UINT64_C(0xd6e8feb86659fd93);
  return i ^ i >> 29;
}

uint64_t bench_random(uint64_t *state)
{
  uint64_t x = *state;

  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return *state = x;
}

uint64_t bench_now_ns(void)
{
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
  double x = *(const double *)a;
  double y = *(const double *)b;

  return (x > y) - (x < y);
}

double bench_median(double *numbers, size_t n)
{
  qsort(numbers, n, sizeof *numbers, compare);
  if (n % 2 == 1)
    return numbers[n / 2];
  return (numbers[n / 2 - 1] + numbers[n / 2]) / 2;
}
