/*
 * The readers' turn lapses: a reader that was woken and does not run keeps
 * nobody out of a lock that is free.
 *
 * A reader is "stopped" in the function that the lock calls after it has slept:
 * it has been woken, and it is its turn, but it does nothing until the test
 * lets it. A turn that does not lapse is a hang, which alarm() turns into a
 * failure.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "asleep.h"
#include "step.h"
#include "sync/shardlock.h"

/* Far beyond any run, ThreadSanitizer on a busy machine included. */
#define HANG_SECONDS 110

/* All tests leave the lock free and its word 0. */
static struct cmap__shardlock lock;

static uint32_t word_now(void)
{
  return cmap__load_relaxed(&lock.word);
}

/* Waits until all of these bits are set in the lock word. */
static void until_set(uint32_t bits)
{
  while ((word_now() & bits) != bits)
    sched_yield();
}

static enum cmap__lock_result try_to_write(void)
{
  struct cmap__lock_wait wait = {.deadline_ns = CMAP__NO_DEADLINE,
                                 .try_only = true};
  enum cmap__lock_result result = cmap__shardlock_write(&lock, &wait);

  assert_false(wait.waited);
  return result;
}

/*
 * A thread that takes the lock once, to read. Each time that it has slept it
 * does step 2 n - 1 and waits for step 2 n.
 */
struct reader {
  struct cmap__lock_wait wait; /* first */
  pthread_t thread;
  struct step step;
  struct asleep asleep;
  unsigned at; /* owner thread */
};

static enum cmap__lock_result may_park(struct cmap__lock_wait *wait)
{
  (void)wait;
  return CMAP__LOCK_OK;
}

static void stop_here(struct cmap__lock_wait *wait)
{
  struct reader *reader = (struct reader *)wait;

  step_done(&reader->step, ++reader->at);
  step_wait(&reader->step, ++reader->at);
}

static void *reader_main(void *argument)
{
  struct reader *reader = argument;

  asleep_here(&reader->asleep);
  if (cmap__shardlock_read(&lock, &reader->wait) == CMAP__LOCK_OK)
    cmap__shardlock_read_unlock(&lock);
  return NULL;
}

/* The caller holds the lock, and the reader parks. */
static void reader_park(struct reader *reader)
{
  *reader = (struct reader){.wait = {.deadline_ns = CMAP__NO_DEADLINE,
                                     .before_park = may_park,
                                     .after_park = stop_here}};
  step_begin(&reader->step);
  asleep_begin(&reader->asleep);
  assert_int_equal(pthread_create(&reader->thread, NULL, reader_main, reader),
                   0);
  until_set(CMAP__LOCK_READERS_WAIT);
}

/* From now on it stops for nothing. */
static void reader_end(struct reader *reader)
{
  step_done(&reader->step, UINT32_MAX);
  pthread_join(reader->thread, NULL);
  step_end(&reader->step);
  assert_int_equal(word_now(), 0);
}

/* Makes it the turn of a reader that is stopped. */
static void give_turn(struct reader *reader)
{
  assert_int_equal(cmap__shardlock_write(&lock, NULL), CMAP__LOCK_OK);
  reader_park(reader);
  cmap__shardlock_write_unlock(&lock);
  step_wait(&reader->step, 1);
  assert_int_equal(word_now(), CMAP__LOCK_READERS_NEXT);
}

/* Who only tries, or whose deadline is over, takes the free lock at once. */
static void test_tries_pass(void **state)
{
  struct cmap__lock_wait past = {.deadline_ns = 0};
  struct reader reader;

  (void)state;
  give_turn(&reader);
  assert_int_equal(try_to_write(), CMAP__LOCK_OK);
  assert_int_equal(word_now(), CMAP__LOCK_WRITER);
  cmap__shardlock_write_unlock(&lock);
  assert_int_equal(word_now(), 0);
  reader_end(&reader);

  give_turn(&reader);
  assert_int_equal(cmap__shardlock_write(&lock, &past), CMAP__LOCK_OK);
  cmap__shardlock_write_unlock(&lock);
  reader_end(&reader);
}

/* Who waits takes it in the end, and the next one without waiting. */
static void test_writer_waits_it_out(void **state)
{
  struct cmap__lock_wait wait = {.deadline_ns = CMAP__NO_DEADLINE};
  struct reader reader;

  (void)state;
  give_turn(&reader);
  assert_int_equal(cmap__shardlock_write(&lock, &wait), CMAP__LOCK_OK);
  assert_true(wait.waited);
  cmap__shardlock_write_unlock(&lock);
  assert_true(cmap__shardlock_try_write(&lock));
  cmap__shardlock_write_unlock(&lock);
  reader_end(&reader);
}

static void *writer_main(void *count)
{
  if (cmap__shardlock_write(&lock, NULL) == CMAP__LOCK_OK) {
    ++*(unsigned *)count;
    cmap__shardlock_write_unlock(&lock);
  }
  return NULL;
}

/* Writers that parked before the turn began. */
static void test_parked_writers(void **state)
{
  enum { WRITERS = 3 };
  pthread_t writers[WRITERS];
  struct reader reader;
  unsigned count = 0;

  (void)state;
  assert_int_equal(cmap__shardlock_write(&lock, NULL), CMAP__LOCK_OK);
  for (int i = 0; i < WRITERS; i++)
    assert_int_equal(pthread_create(&writers[i], NULL, writer_main, &count), 0);
  until_set(CMAP__LOCK_WRITERS_WAIT);
  reader_park(&reader);
  cmap__shardlock_write_unlock(&lock);
  for (int i = 0; i < WRITERS; i++)
    pthread_join(writers[i], NULL);
  assert_int_equal(count, WRITERS);
  step_wait(&reader.step, 1);
  reader_end(&reader);
}

/* The detector gives a turn while others read; its reader does not come. */
static void test_admitted_reader(void **state)
{
  struct reader reader;
  unsigned count = 0;
  pthread_t writer;

  (void)state;
  assert_int_equal(cmap__shardlock_read(&lock, NULL), CMAP__LOCK_OK);
  assert_int_equal(pthread_create(&writer, NULL, writer_main, &count), 0);
  until_set(CMAP__LOCK_WRITERS_WAIT);
  reader_park(&reader);
  cmap__shardlock_admit_readers(&lock);
  step_wait(&reader.step, 1);
  cmap__shardlock_read_unlock(&lock);
  pthread_join(writer, NULL);
  assert_int_equal(count, 1);
  reader_end(&reader);
}

/*
 * A reader that was passed by, and waits again, has a firm turn: who only tries
 * is refused. But that lapses as well.
 */
static void test_firm_turn(void **state)
{
  enum cmap__lock_result result;
  struct reader reader;
  uint64_t given;

  (void)state;
  do { /* again if this thread was away for the length of the turn */
    give_turn(&reader);
    assert_int_equal(try_to_write(), CMAP__LOCK_OK);
    step_done(&reader.step, 2);
    until_set(CMAP__LOCK_READERS_WAIT | CMAP__LOCK_PASSED_BY);
    given = cmap__now_ns();
    cmap__shardlock_write_unlock(&lock);
    result = try_to_write();
    if (result == CMAP__LOCK_OK)
      cmap__shardlock_write_unlock(&lock);
    assert_true(result == CMAP__LOCK_BUSY ||
                cmap__now_ns() - given >= CMAP__LOCK_TURN_NS);
    step_wait(&reader.step, 3);
    if (result != CMAP__LOCK_BUSY)
      reader_end(&reader);
  } while (result != CMAP__LOCK_BUSY);

  /* Ends: when the turn has lapsed. */
  while (try_to_write() != CMAP__LOCK_OK)
    sched_yield();
  assert_true(cmap__now_ns() - given >= CMAP__LOCK_TURN_NS);
  assert_int_equal(word_now(), CMAP__LOCK_WRITER);
  cmap__shardlock_write_unlock(&lock);
  reader_end(&reader);
}

/* A firm turn ends as others do when the reader comes, or gives up. */
static void test_firm_turn_is_taken(void **state)
{
  struct reader reader;

  (void)state;
  for (int gives_up = 0; gives_up < 2; gives_up++) {
    give_turn(&reader);
    assert_int_equal(try_to_write(), CMAP__LOCK_OK);
    step_done(&reader.step, 2);
    until_set(CMAP__LOCK_READERS_WAIT | CMAP__LOCK_PASSED_BY);
    cmap__shardlock_write_unlock(&lock);
    step_wait(&reader.step, 3);
    if (gives_up)
      reader.wait.deadline_ns = 0;
    reader_end(&reader);
  }
}

/*
 * A reader that has parked comes between the two steps of a write unlock: it
 * takes the lock, and it is for it to wake the other one, which the second step
 * does not find any more.
 */
static void test_between_the_steps_of_an_unlock(void **state)
{
  struct reader first, other;

  (void)state;
  assert_int_equal(cmap__shardlock_write(&lock, NULL), CMAP__LOCK_OK);
  reader_park(&first);
  asleep_wait_in_kernel(&first.asleep);
  cmap__park_wake(&lock.word, ~0u, CMAP__PARK_ALL); /* as if by a signal */
  step_wait(&first.step, 1);
  reader_park(&other);
  asleep_wait_in_kernel(&other.asleep);
  cmap__sub_acq_rel(&lock.word, CMAP__LOCK_WRITER);
  assert_int_equal(word_now(), CMAP__LOCK_READERS_WAIT);
  step_done(&first.step, UINT32_MAX);
  pthread_join(first.thread, NULL);
  step_end(&first.step);
  step_wait(&other.step, 1);
  cmap__shardlock_grant(&lock);
  reader_end(&other);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tries_pass),
      cmocka_unit_test(test_writer_waits_it_out),
      cmocka_unit_test(test_parked_writers),
      cmocka_unit_test(test_admitted_reader),
      cmocka_unit_test(test_firm_turn),
      cmocka_unit_test(test_firm_turn_is_taken),
      cmocka_unit_test(test_between_the_steps_of_an_unlock),
  };

  alarm(HANG_SECONDS);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
