/*
 * The shard lock in crowds: exclusion, no lost wake-up, no starvation, on
 * whichever way to park was built.
 *
 * Workers count failures in `failures`; the main thread asserts after joining
 * them. A lost wake-up or a starved thread is a hang, which alarm() turns into
 * a failure.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "random.h"
#include "settings.h"
#include "sync/shardlock.h"

/* Far beyond any run, ThreadSanitizer on a busy machine included. */
#define HANG_SECONDS 110

/* All tests leave the lock free, and its word as it was: 0, or that of a lock
 * that is watched. */
static struct cmap__shardlock lock;
static uint32_t free_word;

/* What the lock guards: plain, so that ThreadSanitizer checks the lock. */
static struct {
  uint64_t first, second; /* always equal outside of write holds */
} guarded;

static _Atomic uint64_t failures;
static _Atomic int stop;
static _Atomic uint64_t streams; /* of random numbers, one a thread */

/* Never more than the usual, because of HANG_SECONDS. */
static uint64_t scaled(uint64_t n)
{
  uint64_t less = test_scale((size_t)n);

  return less < n ? less : n;
}

static void expect(bool ok)
{
  if (!ok)
    cmap__add_relaxed(&failures, 1); /* read after joining */
}

static struct cmap__lock_wait within(uint64_t ns)
{
  return (struct cmap__lock_wait){.deadline_ns = cmap__now_ns() + ns};
}

static void assert_free(void)
{
  assert_int_equal(cmap__load_relaxed(&lock.word), free_word);
  assert_int_equal(failures, 0);
}

/* A crowd of threads that take the lock again and again. */
struct crowd {
  uint64_t operations; /* of each thread, at the usual scale */
  unsigned writes;     /* in a hundred */
  bool timed;          /* mix in tries, deadlines, downgrades, nested reads */
  bool yields;         /* within the sections, so that others must park */
  _Atomic uint64_t written; /* write sections, counted outside of the lock */
};

static void crowd_write(struct crowd *crowd, uint64_t dice)
{
  guarded.first++;
  if (crowd->yields && dice % 4 == 0)
    sched_yield();
  guarded.second++;
  cmap__add_relaxed(&crowd->written, 1); /* read after joining */
  if (crowd->timed && dice % 8 == 1) {
    uint64_t seen = guarded.first;

    cmap__shardlock_downgrade(&lock);
    if (crowd->yields)
      sched_yield();
    expect(guarded.first == seen && guarded.second == seen);
    cmap__shardlock_read_unlock(&lock);
  } else {
    cmap__shardlock_write_unlock(&lock);
  }
}

static void crowd_read(struct crowd *crowd, uint64_t dice)
{
  uint64_t seen = guarded.first;

  if (crowd->yields && dice % 4 == 0)
    sched_yield();
  if (crowd->timed && dice % 8 == 1) {
    struct cmap__lock_wait again = {.deadline_ns = CMAP__NO_DEADLINE,
                                    .already_reads = true};

    expect(cmap__shardlock_read(&lock, &again) == CMAP__LOCK_OK);
    cmap__shardlock_read_unlock(&lock);
  }
  expect(guarded.first == seen && guarded.second == seen);
  cmap__shardlock_read_unlock(&lock);
}

static void *crowd_main(void *argument)
{
  struct crowd *crowd = argument;
  struct random random;

  random_begin(&random, cmap__add_relaxed(&streams, 1));
  for (uint64_t i = 0; i < crowd->operations; i++) {
    uint64_t dice = random_next(&random);
    bool write = dice % 100 < crowd->writes;
    struct cmap__lock_wait wait = {.deadline_ns = CMAP__NO_DEADLINE};
    enum cmap__lock_result result;

    dice >>= 32;
    if (crowd->timed && dice % 2 == 0)
      wait = within((dice >> 8) % 32768); /* up to a few yields and a park */
    wait.try_only = crowd->timed && dice % 16 == 0;
    result = write ? cmap__shardlock_write(&lock, &wait)
                   : cmap__shardlock_read(&lock, &wait);
    if (result == CMAP__LOCK_OK && write)
      crowd_write(crowd, dice >> 4);
    else if (result == CMAP__LOCK_OK)
      crowd_read(crowd, dice >> 4);
    else
      expect(result ==
                 (wait.try_only ? CMAP__LOCK_BUSY : CMAP__LOCK_TIMEDOUT) &&
             wait.deadline_ns != CMAP__NO_DEADLINE);
  }
  return NULL;
}

static void crowd_run(struct crowd crowd, int threads)
{
  pthread_t thread[64];

  crowd.operations = scaled(crowd.operations);
  guarded.first = guarded.second = 0;
  for (int i = 0; i < threads; i++)
    assert_int_equal(pthread_create(&thread[i], NULL, crowd_main, &crowd), 0);
  for (int i = 0; i < threads; i++)
    pthread_join(thread[i], NULL);
  assert_true(guarded.first == crowd.written);
  assert_true(guarded.second == crowd.written);
  assert_free();
}

/* Without deadlines nothing repairs a lost wake-up. */
static void test_no_lost_wakeups(void **state)
{
  (void)state;
  crowd_run((struct crowd){.operations = 100000, .writes = 100}, 4);
  crowd_run((struct crowd){.operations = 40000, .writes = 10}, 8);
  crowd_run((struct crowd){.operations = 10000, .writes = 100, .yields = true},
            6);
  crowd_run((struct crowd){.operations = 10000, .writes = 30, .yields = true},
            6);
}

static void test_64_threads(void **state)
{
  (void)state;
  crowd_run((struct crowd){.operations = 2000, .writes = 10}, 64);
  crowd_run((struct crowd){.operations = 1000, .writes = 50, .yields = true},
            64);
}

static void test_deadlines_mixed_in(void **state)
{
  (void)state;
  crowd_run((struct crowd){.operations = 50000, .writes = 30, .timed = true},
            4);
  crowd_run(
      (struct crowd){
          .operations = 10000, .writes = 30, .timed = true, .yields = true},
      8);
}

/*
 * Rounds of one call a thread, after each of which the lock is free. In a
 * crowd the next call repairs what a lost wake-up or a stale bit spoils; here
 * nobody comes. Thread 0 opens a round when all have finished the last.
 */
#define ROUND_THREADS 5
#define ROUNDS        2000

static _Atomic uint32_t round_open;
static _Atomic uint32_t round_finished;

static void round_section(bool write, uint64_t dice)
{
  for (uint64_t i = dice % 12; i > 0; i--)
    sched_yield();
  if (!write) {
    cmap__shardlock_read_unlock(&lock);
  } else if (dice % 16 < 3) {
    cmap__shardlock_downgrade(&lock);
    sched_yield();
    cmap__shardlock_read_unlock(&lock);
  } else {
    cmap__shardlock_write_unlock(&lock);
  }
}

static void round_call(uint64_t dice)
{
  struct cmap__lock_wait wait = {.deadline_ns = CMAP__NO_DEADLINE};
  bool write = dice % 2 == 0;
  enum cmap__lock_result result;

  if (dice % 8 < 5)
    wait = within((dice >> 8) % 65536); /* long enough to park, mostly */
  result = write ? cmap__shardlock_write(&lock, &wait)
                 : cmap__shardlock_read(&lock, &wait);
  if (result == CMAP__LOCK_OK)
    round_section(write, dice >> 32);
}

static void *round_main(void *number)
{
  struct random random;

  random_begin(&random, cmap__add_relaxed(&streams, 1));
  for (uint32_t i = 1; i <= scaled(ROUNDS); i++) {
    if (*(uint32_t *)number == 0) {
      while (round_finished != (i - 1) * ROUND_THREADS)
        sched_yield();
      expect(cmap__load_relaxed(&lock.word) == free_word); /* nobody is at it */
      round_open = i;
    } else {
      while (round_open != i)
        sched_yield();
    }
    round_call(random_next(&random));
    round_finished++;
  }
  return NULL;
}

static void test_rounds(void **state)
{
  pthread_t thread[ROUND_THREADS];
  uint32_t number[ROUND_THREADS];

  (void)state;
  round_open = round_finished = 0;
  for (uint32_t i = 0; i < ROUND_THREADS; i++) {
    number[i] = i;
    assert_int_equal(pthread_create(&thread[i], NULL, round_main, &number[i]),
                     0);
  }
  for (int i = 0; i < ROUND_THREADS; i++)
    pthread_join(thread[i], NULL);
  assert_free();
}

/* How a greedy thread takes the lock. */
enum greed { READS, TRIES_TO_READ, WRITES, TRIES_TO_WRITE };

/* A thread that holds the lock as much of the time as it can get it. */
static void *greedy_main(void *greed)
{
  struct cmap__lock_wait wait = {.deadline_ns = CMAP__NO_DEADLINE};
  enum greed how = *(enum greed *)greed;

  wait.try_only = how == TRIES_TO_READ || how == TRIES_TO_WRITE;
  while (!stop) {
    if (how <= TRIES_TO_READ) {
      if (cmap__shardlock_read(&lock, &wait) != CMAP__LOCK_OK)
        continue;
      sched_yield();
      cmap__shardlock_read_unlock(&lock);
    } else if (cmap__shardlock_write(&lock, &wait) == CMAP__LOCK_OK) {
      guarded.first++;
      sched_yield();
      cmap__shardlock_write_unlock(&lock);
    }
  }
  return NULL;
}

/* One thread of the other mode gets the lock against four of these. */
static void run_against(enum greed greed, uint64_t times)
{
  pthread_t thread[4];

  stop = 0;
  for (int i = 0; i < 4; i++)
    assert_int_equal(pthread_create(&thread[i], NULL, greedy_main, &greed), 0);
  for (uint64_t i = 0; i < scaled(times); i++) {
    if (greed <= TRIES_TO_READ) {
      cmap__shardlock_write(&lock, NULL);
      cmap__shardlock_write_unlock(&lock);
    } else {
      cmap__shardlock_read(&lock, NULL);
      cmap__shardlock_read_unlock(&lock);
    }
    sched_yield();
  }
  stop = 1;
  for (int i = 0; i < 4; i++)
    pthread_join(thread[i], NULL);
  assert_free();
}

static void test_writer_not_starved(void **state)
{
  (void)state;
  run_against(READS, 300);
}

static void test_writer_not_starved_by_tries(void **state)
{
  (void)state;
  run_against(TRIES_TO_READ, 30);
}

static void test_reader_not_starved(void **state)
{
  (void)state;
  run_against(WRITES, 300);
}

/* The readers' turn lasts for two milliseconds. Valgrind runs one thread after
   the other, each for longer than that, so that a reader comes too late. */
static void test_reader_not_starved_by_tries(void **state)
{
  (void)state;
  if (test_under_valgrind())
    skip();
  run_against(TRIES_TO_WRITE, 100);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_no_lost_wakeups),
      cmocka_unit_test(test_64_threads),
      cmocka_unit_test(test_deadlines_mixed_in),
      cmocka_unit_test(test_rounds),
      cmocka_unit_test(test_writer_not_starved),
      cmocka_unit_test(test_writer_not_starved_by_tries),
      cmocka_unit_test(test_reader_not_starved),
      cmocka_unit_test(test_reader_not_starved_by_tries),
  };

  const struct CMUnitTest watched[] = {
      cmocka_unit_test(test_deadlines_mixed_in),
      cmocka_unit_test(test_rounds),
      cmocka_unit_test(test_writer_not_starved),
  };
  int failed;

  (void)test_seed();
  cmap__lock_look_ns = CMAP__NO_DEADLINE; /* a lost wake-up is a hang */
  alarm(HANG_SECONDS);
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  cmap__shardlock_watch(&lock);
  free_word = CMAP__LOCK_WATCHED;
  return failed + cmocka_run_group_tests(watched, NULL, NULL);
}
