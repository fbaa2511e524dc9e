/*
 * counts.h: every count is in the sum, whichever line its thread has; lines of
 * threads that have ended are used again.
 */
#include <stdlib.h>
#include <string.h>

#include "step.h"
#include "store/counts.h"
#include "threads.h"

#define MANY   (3 * CMAP__COUNT_LINES)
#define COUNTS 1000

static struct cmap__counts counts;
static struct meeting meeting;
static atomic_uint owners[CMAP__COUNT_LINES + 1]; /* threads with that line */

static void count_along(unsigned index, void *ctx)
{
  (void)ctx;
  CHECK(cmap__count_line == 0);
  for (unsigned i = 0; i < COUNTS; i++) {
    cmap__count(&counts, CMAP__COUNT_HITS, 1);
    cmap__count(&counts, CMAP__COUNT_BUILD_NS, index);
    if (i == 0) {
      CHECK(cmap__count_line >= 1 && cmap__count_line <= CMAP__COUNT_LINES);
      if (cmap__count_line >= 1 && cmap__count_line <= CMAP__COUNT_LINES)
        atomic_fetch_add(&owners[cmap__count_line], 1);
      meeting_wait(&meeting);
    }
  }
}

static void run(unsigned threads)
{
  static struct thread all[MANY];

  memset(&counts, 0, sizeof counts);
  for (size_t i = 0; i <= CMAP__COUNT_LINES; i++)
    atomic_store(&owners[i], 0);
  meeting_begin(&meeting, threads);
  for (unsigned i = 0; i < threads; i++)
    thread_start(&all[i], count_along, i, NULL);
  for (unsigned i = 0; i < threads; i++)
    thread_join(&all[i]);
  checks_assert();
  assert_int_equal(cmap__counts_sum(&counts, CMAP__COUNT_HITS),
                   threads * COUNTS);
  assert_int_equal(cmap__counts_sum(&counts, CMAP__COUNT_BUILD_NS),
                   (uint64_t)threads * (threads - 1) / 2 * COUNTS);
  assert_int_equal(cmap__counts_sum(&counts, CMAP__COUNT_MISSES), 0);
  for (size_t i = 1; i < CMAP__COUNT_LINES; i++)
    assert_in_range(atomic_load(&owners[i]), 0, 1);
}

static void few_threads(void **state)
{
  (void)state;
  for (int i = 0; i < 40; i++) {
    run(4);
    assert_int_equal(atomic_load(&owners[CMAP__COUNT_LINES]), 0);
  }
}

static void more_threads_than_lines(void **state)
{
  (void)state;
  for (int i = 0; i < 3; i++) {
    run(MANY);
    assert_in_range(atomic_load(&owners[CMAP__COUNT_LINES]),
                    MANY - (CMAP__COUNT_LINES - 1),
                    MANY - (CMAP__COUNT_LINES - 2));
    run(8);
    assert_int_equal(atomic_load(&owners[CMAP__COUNT_LINES]), 0);
  }
}

/* A destructor of thread-specific data that counts after its line went. */
static pthread_key_t late;

static void count_late(void *times)
{
  uintptr_t left = (uintptr_t)times;

  cmap__count(&counts, CMAP__COUNT_DONE, 1);
  if (left > 1)
    pthread_setspecific(late, (void *)(left - 1));
}

static void count_until_the_end(unsigned index, void *ctx)
{
  (void)index, (void)ctx;
  pthread_setspecific(late, (void *)3);
  cmap__count(&counts, CMAP__COUNT_DONE, 1);
}

static void threads_that_count_while_they_end(void **state)
{
  struct thread thread;

  (void)state;
  memset(&counts, 0, sizeof counts);
  assert_int_equal(pthread_key_create(&late, count_late), 0);
  for (int i = 0; i < 2 * CMAP__COUNT_LINES; i++) {
    thread_start(&thread, count_until_the_end, 0, NULL);
    thread_join(&thread);
  }
  assert_int_equal(cmap__counts_sum(&counts, CMAP__COUNT_DONE),
                   2 * CMAP__COUNT_LINES * 4);
  pthread_key_delete(late);
  /* All lines have come back. */
  run(CMAP__COUNT_LINES - 2);
  assert_int_equal(atomic_load(&owners[CMAP__COUNT_LINES]), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(few_threads),
      cmocka_unit_test(more_threads_than_lines),
      cmocka_unit_test(threads_that_count_while_they_end),
  };

  return cmocka_run_group_tests_name("store_counts", tests, NULL, NULL);
}
