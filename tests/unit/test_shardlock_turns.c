/*
 * Turns lapse: a reader or writer that was woken and does not run keeps nobody
 * out of a lock that is free.
 *
 * A thread is "stopped" in the function that the lock calls after it has slept:
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

static struct cmap_token *token; /* of the sleepers; NULL: none */

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
 * A thread that takes the lock once. Each time that it has slept it does step
 * 2 n - 1 and waits for step 2 n.
 */
struct sleeper {
  struct cmap__lock_wait wait; /* first */
  bool writes;
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
  struct sleeper *sleeper = (struct sleeper *)wait;

  step_done(&sleeper->step, ++sleeper->at);
  step_wait(&sleeper->step, ++sleeper->at);
}

static void *sleeper_main(void *argument)
{
  struct sleeper *sleeper = argument;

  asleep_here(&sleeper->asleep);
  if (sleeper->writes) {
    if (cmap__shardlock_write(&lock, &sleeper->wait) == CMAP__LOCK_OK)
      cmap__shardlock_write_unlock(&lock);
  } else if (cmap__shardlock_read(&lock, &sleeper->wait) == CMAP__LOCK_OK) {
    cmap__shardlock_read_unlock(&lock);
  }
  return NULL;
}

/* The caller holds the lock, and the thread parks. */
static void sleeper_park(struct sleeper *sleeper, bool writes)
{
  *sleeper = (struct sleeper){.wait = {.deadline_ns = CMAP__NO_DEADLINE,
                                       .token = token,
                                       .before_park = may_park,
                                       .after_park = stop_here},
                              .writes = writes};
  step_begin(&sleeper->step);
  asleep_begin(&sleeper->asleep);
  assert_int_equal(
      pthread_create(&sleeper->thread, NULL, sleeper_main, sleeper), 0);
  until_set(writes ? CMAP__LOCK_WRITERS_WAIT : CMAP__LOCK_READERS_WAIT);
}

/* From now on it stops for nothing. */
static void sleeper_end(struct sleeper *sleeper)
{
  step_done(&sleeper->step, UINT32_MAX);
  pthread_join(sleeper->thread, NULL);
  step_end(&sleeper->step);
  assert_int_equal(word_now(), 0);
}

/* Makes it the turn of a reader that is stopped. */
static void give_turn(struct sleeper *reader)
{
  assert_int_equal(cmap__shardlock_write(&lock, NULL), CMAP__LOCK_OK);
  sleeper_park(reader, false);
  cmap__shardlock_write_unlock(&lock);
  step_wait(&reader->step, 1);
  assert_int_equal(word_now(), CMAP__LOCK_READERS_NEXT);
}

/* Who only tries, or whose deadline is over, takes the free lock at once. */
static void test_tries_pass(void **state)
{
  struct cmap__lock_wait past = {.deadline_ns = 0};
  struct sleeper reader;

  (void)state;
  give_turn(&reader);
  assert_int_equal(try_to_write(), CMAP__LOCK_OK);
  assert_int_equal(word_now(), CMAP__LOCK_WRITER);
  cmap__shardlock_write_unlock(&lock);
  assert_int_equal(word_now(), 0);
  sleeper_end(&reader);

  give_turn(&reader);
  assert_int_equal(cmap__shardlock_write(&lock, &past), CMAP__LOCK_OK);
  cmap__shardlock_write_unlock(&lock);
  sleeper_end(&reader);
}

/* Who waits takes it in the end, and the next one without waiting. */
static void test_writer_waits_it_out(void **state)
{
  struct cmap__lock_wait wait = {.deadline_ns = CMAP__NO_DEADLINE};
  struct sleeper reader;

  (void)state;
  give_turn(&reader);
  assert_int_equal(cmap__shardlock_write(&lock, &wait), CMAP__LOCK_OK);
  assert_true(wait.waited);
  cmap__shardlock_write_unlock(&lock);
  assert_true(cmap__shardlock_try_write(&lock));
  cmap__shardlock_write_unlock(&lock);
  sleeper_end(&reader);
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
  struct sleeper reader;
  unsigned count = 0;

  (void)state;
  assert_int_equal(cmap__shardlock_write(&lock, NULL), CMAP__LOCK_OK);
  for (int i = 0; i < WRITERS; i++)
    assert_int_equal(pthread_create(&writers[i], NULL, writer_main, &count), 0);
  until_set(CMAP__LOCK_WRITERS_WAIT);
  sleeper_park(&reader, false);
  cmap__shardlock_write_unlock(&lock);
  for (int i = 0; i < WRITERS; i++)
    pthread_join(writers[i], NULL);
  assert_int_equal(count, WRITERS);
  step_wait(&reader.step, 1);
  sleeper_end(&reader);
}

/* The detector gives a turn while others read; its reader does not come. */
static void test_admitted_reader(void **state)
{
  struct sleeper reader;
  unsigned count = 0;
  pthread_t writer;

  (void)state;
  assert_int_equal(cmap__shardlock_read(&lock, NULL), CMAP__LOCK_OK);
  assert_int_equal(pthread_create(&writer, NULL, writer_main, &count), 0);
  until_set(CMAP__LOCK_WRITERS_WAIT);
  sleeper_park(&reader, false);
  cmap__shardlock_admit_readers(&lock);
  step_wait(&reader.step, 1);
  cmap__shardlock_read_unlock(&lock);
  pthread_join(writer, NULL);
  assert_int_equal(count, 1);
  sleeper_end(&reader);
}

/*
 * A reader that was passed by, and waits again, has a firm turn: who only tries
 * is refused. But that lapses as well.
 */
static void test_firm_turn(void **state)
{
  enum cmap__lock_result result;
  struct sleeper reader;
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
      sleeper_end(&reader);
  } while (result != CMAP__LOCK_BUSY);

  /* Ends: when the turn has lapsed. */
  while (try_to_write() != CMAP__LOCK_OK)
    sched_yield();
  assert_true(cmap__now_ns() - given >= CMAP__LOCK_TURN_NS);
  assert_int_equal(word_now(), CMAP__LOCK_WRITER);
  cmap__shardlock_write_unlock(&lock);
  sleeper_end(&reader);
}

/* A firm turn ends as others do when the reader comes, or gives up. */
static void test_firm_turn_is_taken(void **state)
{
  struct sleeper reader;

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
    sleeper_end(&reader);
  }
}

/*
 * A reader that has parked comes between the two steps of a write unlock: it
 * takes the lock, and it is for it to wake the other one, which the second step
 * does not find any more.
 */
static void test_between_the_steps_of_an_unlock(void **state)
{
  struct sleeper first, other;

  (void)state;
  assert_int_equal(cmap__shardlock_write(&lock, NULL), CMAP__LOCK_OK);
  sleeper_park(&first, false);
  asleep_wait_in_kernel(&first.asleep);
  cmap__park_wake(&lock.word, ~0u, CMAP__PARK_ALL); /* as if by a signal */
  step_wait(&first.step, 1);
  sleeper_park(&other, false);
  asleep_wait_in_kernel(&other.asleep);
  cmap__sub_acq_rel(&lock.word, CMAP__LOCK_WRITER);
  assert_int_equal(word_now(), CMAP__LOCK_READERS_WAIT);
  step_done(&first.step, UINT32_MAX);
  pthread_join(first.thread, NULL);
  step_end(&first.step);
  step_wait(&other.step, 1);
  cmap__shardlock_grant(&lock);
  sleeper_end(&other);
}

/* ------------------------------------------------------------------------
 * The writers' turn
 * ------------------------------------------------------------------------ */

/* The lock is held to read, and a writer parks. */
static void keep_writer_waiting(struct sleeper *writer)
{
  assert_int_equal(cmap__shardlock_read(&lock, NULL), CMAP__LOCK_OK);
  sleeper_park(writer, true);
  asleep_wait_in_kernel(&writer->asleep);
}

/* Makes it the turn of that writer, which is stopped: when, at the earliest. */
static uint64_t give_writer_turn(struct sleeper *writer)
{
  uint64_t given = cmap__now_ns();

  cmap__shardlock_read_unlock(&lock);
  step_wait(&writer->step, 1);
  return given;
}

static enum cmap__lock_result read_now(bool try_only)
{
  struct cmap__lock_wait wait = {.deadline_ns = 0, .try_only = try_only};

  return cmap__shardlock_read(&lock, &wait);
}

/* Who waits takes the lock in the end, and then others do at once. */
static void test_reader_waits_it_out(void **state)
{
  struct cmap__lock_wait wait = {.deadline_ns = CMAP__NO_DEADLINE};
  struct sleeper writer;

  (void)state;
  keep_writer_waiting(&writer);
  (void)give_writer_turn(&writer);
  assert_int_equal(word_now(), CMAP__LOCK_WRITERS_WAIT);
  assert_int_equal(cmap__shardlock_read(&lock, &wait), CMAP__LOCK_OK);
  assert_true(wait.waited);
  assert_int_equal(word_now(), CMAP__LOCK_ONE_READER);
  assert_int_equal(read_now(true), CMAP__LOCK_OK);
  cmap__shardlock_read_unlock(&lock);
  cmap__shardlock_read_unlock(&lock);
  sleeper_end(&writer);
}

/* Who only tries, or whose deadline is over, is refused while the turn is
 * young, and not after. */
static void test_firm_for_readers(void **state)
{
  struct sleeper writer;

  (void)state;
  for (int tries = 0; tries < 2; tries++) {
    enum cmap__lock_result result;
    uint64_t given;

    keep_writer_waiting(&writer);
    given = give_writer_turn(&writer);
    /* Ends: when the turn has lapsed. */
    while ((result = read_now(tries)) != CMAP__LOCK_OK) {
      assert_int_equal(result, tries ? CMAP__LOCK_BUSY : CMAP__LOCK_TIMEDOUT);
      sched_yield();
    }
    assert_true(cmap__now_ns() - given >= CMAP__LOCK_TRY_NS);
    cmap__shardlock_read_unlock(&lock);
    sleeper_end(&writer);
  }
}

/* Readers that parked before the turn began, and another writer. */
static void test_parked_readers(void **state)
{
  enum { READERS = 3 };
  struct sleeper writer, readers[READERS];
  unsigned count = 0;
  pthread_t other;

  (void)state;
  keep_writer_waiting(&writer);
  for (int i = 0; i < READERS; i++) {
    sleeper_park(&readers[i], false);
    step_done(&readers[i].step, UINT32_MAX); /* it stops for nothing */
  }
  (void)give_writer_turn(&writer);
  for (int i = 0; i < READERS; i++) {
    pthread_join(readers[i].thread, NULL);
    step_end(&readers[i].step);
  }
  assert_int_equal(pthread_create(&other, NULL, writer_main, &count), 0);
  pthread_join(other, NULL);
  assert_int_equal(count, 1);
  sleeper_end(&writer);
}

/* One of several writers is woken, and stopped; the other comes through. */
static void test_parked_writer_behind_another(void **state)
{
  struct sleeper writers[2];

  (void)state;
  for (int reads = 0; reads < 2; reads++) {
    assert_int_equal(reads ? cmap__shardlock_read(&lock, NULL)
                           : cmap__shardlock_write(&lock, NULL),
                     CMAP__LOCK_OK);
    for (int i = 0; i < 2; i++) {
      sleeper_park(&writers[i], true);
      asleep_wait_in_kernel(&writers[i].asleep);
    }
    if (reads)
      cmap__shardlock_read_unlock(&lock);
    else
      cmap__shardlock_write_unlock(&lock);
    step_wait(&writers[0].step, 1);
    step_done(&writers[1].step, UINT32_MAX);
    pthread_join(writers[1].thread, NULL);
    step_end(&writers[1].step);
    sleeper_end(&writers[0]);
  }
}

/* While others read it is no turn that could lapse. */
static void test_no_turn_among_readers(void **state)
{
  struct cmap__lock_wait wait = {.deadline_ns =
                                     cmap__now_ns() + 3 * CMAP__LOCK_TURN_NS};
  struct sleeper writer;

  (void)state;
  keep_writer_waiting(&writer);
  assert_int_equal(cmap__shardlock_read(&lock, &wait), CMAP__LOCK_TIMEDOUT);
  assert_int_equal(read_now(true), CMAP__LOCK_BUSY);
  cmap__shardlock_read_unlock(&lock);
  sleeper_end(&writer);
}

/* Who waits has its token also between two sleeps. */
static void test_token_stays(void **state)
{
  struct sleeper reader;

  (void)state;
  assert_int_equal(cmap_token_create(&token), CMAP_OK);
  give_turn(&reader);
  assert_int_equal(cmap_token_destroy(token), CMAP_BUSY);
  sleeper_end(&reader);
  assert_int_equal(cmap_token_destroy(token), CMAP_OK);
  token = NULL;
}

/* Who finds only a turn in its way needs no look to come through in time. */
static uint64_t look_ns;

static int stop_looking(void **state)
{
  (void)state;
  look_ns = cmap__lock_look_ns;
  cmap__lock_look_ns = CMAP__NO_DEADLINE;
  return 0;
}

static int look_again(void **state)
{
  (void)state;
  cmap__lock_look_ns = look_ns;
  return 0;
}

#define WITHOUT_LOOKS(test)                                                    \
  cmocka_unit_test_setup_teardown(test, stop_looking, look_again)

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tries_pass),
      WITHOUT_LOOKS(test_writer_waits_it_out),
      cmocka_unit_test(test_parked_writers),
      cmocka_unit_test(test_admitted_reader),
      cmocka_unit_test(test_firm_turn),
      cmocka_unit_test(test_firm_turn_is_taken),
      cmocka_unit_test(test_between_the_steps_of_an_unlock),
      WITHOUT_LOOKS(test_reader_waits_it_out),
      cmocka_unit_test(test_firm_for_readers),
      cmocka_unit_test(test_parked_readers),
      cmocka_unit_test(test_parked_writer_behind_another),
      cmocka_unit_test(test_no_turn_among_readers),
      cmocka_unit_test(test_token_stays),
  };

  alarm(HANG_SECONDS);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
