/*
 * counts.h: every count is in the sum, and no two threads at once have the same
 * line, however many they are; places of threads that have ended are used
 * again; without memory for a line its threads count in the shared one.
 */
#include <stdlib.h>
#include <string.h>

#include "counting_alloc.h"
#include "step.h"
#include "store/counts.h"
#include "settings.h"
#include "threads.h"

#define MANY (3 * CMAP__COUNT_LINES)

static unsigned each; /* how often each thread counts */
static struct counting_alloc counting;
static struct cmap_allocator allocator;
static struct cmap__counts counts;
static struct meeting meeting;
static atomic_uint owners[MANY + 1]; /* threads with that line of all */

static void begin(void)
{
  counting_alloc_begin(&counting);
  allocator = counting_alloc_hook(&counting);
  memset(&counts, 0, sizeof counts);
  cmap__counts_begin(&counts, &allocator);
}

static void end(void)
{
  checks_assert();
  cmap__counts_end(&counts);
  assert_true(counting_alloc_is_empty(&counting));
}

static uint64_t sum_of(enum cmap__count what)
{
  return cmap__counts_sum(&counts, what);
}

static uint64_t shared(enum cmap__count what)
{
  return cmap__load_relaxed(&counts.lines[0].counts[what]);
}

/* Counts the thread at its place. */
static void own(void)
{
  struct cmap__count_place place = cmap__count_place;
  unsigned number;

  CHECK(place.chunk != 0);
  if (place.chunk == 0)
    return;
  number = cmap__count_before(place.chunk) + place.line;
  CHECK(number >= 1 && number <= MANY);
  if (number <= MANY)
    atomic_fetch_add(&owners[number], 1);
}

static void count_along(unsigned index, void *ctx)
{
  (void)ctx;
  CHECK(cmap__count_place.chunk == 0 && cmap__count_place.line == 0);
  for (unsigned i = 0; i < each; i++) {
    cmap__count(&counts, CMAP__COUNT_HITS, 1);
    cmap__count(&counts, CMAP__COUNT_BUILD_NS, index);
    if (i == 0) {
      own();
      meeting_wait(&meeting);
    }
  }
}

/* The threads are alive together. */
static void run(unsigned threads)
{
  static struct thread all[MANY];

  for (size_t i = 0; i <= MANY; i++)
    atomic_store(&owners[i], 0);
  meeting_begin(&meeting, threads);
  for (unsigned i = 0; i < threads; i++)
    thread_start(&all[i], count_along, i, NULL);
  for (unsigned i = 0; i < threads; i++)
    thread_join(&all[i]);
  checks_assert();
  assert_int_equal(sum_of(CMAP__COUNT_HITS), threads * each);
  assert_int_equal(sum_of(CMAP__COUNT_BUILD_NS),
                   (uint64_t)threads * (threads - 1) / 2 * each);
  assert_int_equal(sum_of(CMAP__COUNT_MISSES), 0);
  /* All have come back, and the lowest are taken first. */
  for (size_t i = 1; i <= MANY; i++)
    assert_int_equal(atomic_load(&owners[i]), i <= threads);
}

static void few_threads(void **state)
{
  (void)state;
  for (size_t i = 0; i < test_scale(40); i++) {
    begin();
    run(4);
    assert_int_equal(counting_alloc_live_bytes(&counting), 0);
    end();
  }
}

static void more_threads_than_first_lines(void **state)
{
  (void)state;
  for (size_t i = 0; i < test_scale(3); i++) {
    begin();
    run(MANY);
    assert_int_equal(shared(CMAP__COUNT_HITS), 0);
    assert_int_equal(sum_of(CMAP__COUNT_BYTES),
                     counting_alloc_live_bytes(&counting));
    end();
    begin();
    run(8);
    assert_int_equal(counting_alloc_live_bytes(&counting), 0);
    end();
  }
}

static void without_memory(void **state)
{
  (void)state;
  begin();
  counting_alloc_fail_from(&counting, 1);
  run(MANY);
  assert_int_equal(shared(CMAP__COUNT_HITS),
                   (MANY - (CMAP__COUNT_LINES - 1)) * each);
  assert_int_equal(sum_of(CMAP__COUNT_BYTES), 0);
  end();
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
  begin();
  assert_int_equal(pthread_key_create(&late, count_late), 0);
  for (int i = 0; i < MANY; i++) {
    thread_start(&thread, count_until_the_end, 0, NULL);
    thread_join(&thread);
  }
  assert_int_equal(sum_of(CMAP__COUNT_DONE), MANY * 4);
  pthread_key_delete(late);
  end();
  begin();
  run(CMAP__COUNT_LINES);
  end();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(few_threads),
      cmocka_unit_test(more_threads_than_first_lines),
      cmocka_unit_test(without_memory),
      cmocka_unit_test(threads_that_count_while_they_end),
  };

  each = (unsigned)test_scale(1000);
  return cmocka_run_group_tests_name("store_counts", tests, NULL, NULL);
}
