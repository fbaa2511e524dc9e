/*
 * table/seed: no two seeds of a process are alike, whichever threads ask first.
 */
#include <stdlib.h>

#include "checks.h"
#include "table/seed.h"
#include "threads.h"

#define THREADS 8
#define EACH    1000

static struct cmap__hash_key seeds[THREADS * EACH];

static void make(unsigned index, void *ctx)
{
  (void)ctx;
  for (size_t i = 0; i < EACH; i++)
    CHECK(cmap__seed_next(&seeds[index * EACH + i]));
}

static int compare(const void *a, const void *b)
{
  const struct cmap__hash_key *x = a, *y = b;

  return x->k0 < y->k0 ? -1 : x->k0 > y->k0;
}

static void seeds_differ(void **state)
{
  uint64_t bits = 0;

  (void)state;
  threads_run(THREADS, make, NULL);
  checks_assert();
  qsort(seeds, THREADS * EACH, sizeof *seeds, compare);
  for (size_t i = 0; i < THREADS * EACH; i++) {
    assert_true(i == 0 || seeds[i].k0 != seeds[i - 1].k0);
    assert_true(seeds[i].k0 != seeds[i].k1);
    bits |= seeds[i].k0 ^ seeds[0].k0;
  }
  assert_true(bits == UINT64_MAX); /* each of them is used */
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(seeds_differ),
  };

  return cmocka_run_group_tests_name("seed", tests, NULL, NULL);
}
