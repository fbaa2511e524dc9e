/*
 * The shard lock, state by state, on whichever way to park was built. What
 * crowds of threads do to it is in test_shardlock_crowd.c.
 *
 * Threads are ordered by waiting for bits of the lock word, never by time.
 * Helpers record what happened to them; the main thread asserts. A lost wake-up
 * is a hang, which alarm() turns into a failure.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "sync/shardlock.h"

/* Far beyond any run, ThreadSanitizer on a busy machine included. */
#define HANG_SECONDS 110

#define MILLISECOND UINT64_C(1000000)

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

static struct cmap__lock_wait within(uint64_t ns)
{
  return (struct cmap__lock_wait){.deadline_ns = cmap__now_ns() + ns};
}

static enum cmap__lock_result try_to(bool write)
{
  struct cmap__lock_wait wait = {.deadline_ns = CMAP__NO_DEADLINE,
                                 .try_only = true};
  enum cmap__lock_result result = write ? cmap__shardlock_write(&lock, &wait)
                                        : cmap__shardlock_read(&lock, &wait);

  assert_false(wait.waited);
  return result;
}

static void assert_free(void)
{
  assert_int_equal(word_now(), 0);
}

static enum cmap__lock_result refuse_to_park(struct cmap__lock_wait *wait)
{
  (void)wait;
  return CMAP__LOCK_DEADLOCK;
}

static void not_parked(struct cmap__lock_wait *wait)
{
  (void)wait;
  fail_msg("it did not park");
}

/* Under a writer: another one announces itself and gives up, so that its bit
 * stands for nobody. */
static void leave_nobodys_bit(void)
{
  struct cmap__lock_wait wait = {.deadline_ns = CMAP__NO_DEADLINE,
                                 .before_park = refuse_to_park,
                                 .after_park = not_parked};

  assert_int_equal(cmap__shardlock_write(&lock, &wait), CMAP__LOCK_DEADLOCK);
  assert_int_equal(word_now(), CMAP__LOCK_WRITER | CMAP__LOCK_WRITERS_WAIT);
}

/* One thread that takes the lock once, with `wait`, and then lets go. */
struct helper {
  pthread_t thread;
  bool write;
  struct cmap__lock_wait wait;
  enum cmap__lock_result result; /* read after joining */
  _Atomic bool entered;
  _Atomic bool may_leave;
  _Atomic bool refused;
};

static void *helper_main(void *argument)
{
  struct helper *helper = argument;

  helper->result = helper->write ? cmap__shardlock_write(&lock, &helper->wait)
                                 : cmap__shardlock_read(&lock, &helper->wait);
  if (helper->result != CMAP__LOCK_OK) {
    helper->refused = true;
    return NULL;
  }
  helper->entered = true;
  while (!helper->may_leave)
    sched_yield();
  if (helper->write)
    cmap__shardlock_write_unlock(&lock);
  else
    cmap__shardlock_read_unlock(&lock);
  return NULL;
}

static void helper_start(struct helper *helper, bool write, uint64_t deadline)
{
  *helper = (struct helper){.write = write, .wait = {.deadline_ns = deadline}};
  assert_int_equal(pthread_create(&helper->thread, NULL, helper_main, helper),
                   0);
}

static void helper_until_entered(struct helper *helper)
{
  while (!helper->entered)
    sched_yield();
}

static enum cmap__lock_result helper_join(struct helper *helper)
{
  helper->may_leave = true;
  pthread_join(helper->thread, NULL);
  return helper->result;
}

static void test_plain_states(void **state)
{
  (void)state;
  assert_false(cmap__shardlock_is_locked(&lock));
  assert_int_equal(cmap__shardlock_write(&lock, NULL), CMAP__LOCK_OK);
  assert_true(cmap__shardlock_is_write_locked(&lock));
  assert_true(cmap__shardlock_is_locked(&lock));
  assert_false(cmap__shardlock_try_write(&lock));
  assert_false(cmap__shardlock_try_read(&lock));
  cmap__shardlock_write_unlock(&lock);

  assert_int_equal(cmap__shardlock_read(&lock, NULL), CMAP__LOCK_OK);
  assert_true(cmap__shardlock_try_read(&lock));
  assert_false(cmap__shardlock_is_write_locked(&lock));
  assert_true(cmap__shardlock_is_locked(&lock));
  assert_false(cmap__shardlock_try_write(&lock));
  cmap__shardlock_read_unlock(&lock);
  cmap__shardlock_read_unlock(&lock);
  assert_free();
}

static void test_try_and_deadline(void **state)
{
  struct cmap__lock_wait past = {.deadline_ns = 0};
  struct cmap__lock_wait soon;

  (void)state;
  assert_int_equal(cmap__shardlock_write(&lock, &past), CMAP__LOCK_OK);
  assert_int_equal(try_to(true), CMAP__LOCK_BUSY);
  assert_int_equal(try_to(false), CMAP__LOCK_BUSY);
  assert_int_equal(cmap__shardlock_write(&lock, &past), CMAP__LOCK_TIMEDOUT);
  assert_int_equal(cmap__shardlock_read(&lock, &past), CMAP__LOCK_TIMEDOUT);
  assert_false(past.waited);
  do { /* again if this thread was away for the whole of it */
    soon = within(MILLISECOND);
    assert_int_equal(cmap__shardlock_read(&lock, &soon), CMAP__LOCK_TIMEDOUT);
  } while (!soon.waited);
  /* The reader that gave up left nothing behind. */
  assert_int_equal(word_now(), CMAP__LOCK_WRITER);
  soon = within(MILLISECOND);
  assert_int_equal(cmap__shardlock_write(&lock, &soon), CMAP__LOCK_TIMEDOUT);
  cmap__shardlock_write_unlock(&lock);
  assert_free();

  assert_int_equal(try_to(false), CMAP__LOCK_OK);
  assert_int_equal(try_to(false), CMAP__LOCK_OK);
  assert_int_equal(try_to(true), CMAP__LOCK_BUSY);
  cmap__shardlock_read_unlock(&lock);
  cmap__shardlock_read_unlock(&lock);
  assert_int_equal(try_to(true), CMAP__LOCK_OK);
  cmap__shardlock_write_unlock(&lock);
  assert_free();
}

static void test_downgrade(void **state)
{
  struct helper reader, writer;

  (void)state;
  cmap__shardlock_write(&lock, NULL);
  cmap__shardlock_downgrade(&lock);
  assert_int_equal(word_now(), CMAP__LOCK_ONE_READER);
  cmap__shardlock_read_unlock(&lock);

  /* Waiting readers come in, waiting writers do not. */
  cmap__shardlock_write(&lock, NULL);
  helper_start(&reader, false, CMAP__NO_DEADLINE);
  until_set(CMAP__LOCK_READERS_WAIT);
  cmap__shardlock_downgrade(&lock);
  helper_until_entered(&reader);
  helper_start(&writer, true, CMAP__NO_DEADLINE);
  until_set(CMAP__LOCK_WRITERS_WAIT);
  assert_int_equal(helper_join(&reader), CMAP__LOCK_OK);
  assert_false(writer.entered);
  cmap__shardlock_read_unlock(&lock);
  assert_int_equal(helper_join(&writer), CMAP__LOCK_OK);
  assert_free();

  /* A bit that a writer set for nobody does not outlive the downgrade. */
  cmap__shardlock_write(&lock, NULL);
  leave_nobodys_bit();
  cmap__shardlock_downgrade(&lock);
  assert_int_equal(try_to(false), CMAP__LOCK_OK);
  cmap__shardlock_read_unlock(&lock);
  cmap__shardlock_read_unlock(&lock);
  assert_free();
}

static void test_already_reads(void **state)
{
  struct helper writer;
  struct cmap__lock_wait soon;
  struct cmap__lock_wait again = {.deadline_ns = CMAP__NO_DEADLINE,
                                  .already_reads = true};

  (void)state;
  cmap__shardlock_read(&lock, NULL);
  helper_start(&writer, true, CMAP__NO_DEADLINE);
  until_set(CMAP__LOCK_WRITERS_WAIT);
  assert_int_equal(try_to(false), CMAP__LOCK_BUSY);
  soon = within(MILLISECOND);
  assert_int_equal(cmap__shardlock_read(&lock, &soon), CMAP__LOCK_TIMEDOUT);
  assert_int_equal(cmap__shardlock_read(&lock, &again), CMAP__LOCK_OK);
  again.try_only = true;
  assert_int_equal(cmap__shardlock_read(&lock, &again), CMAP__LOCK_OK);
  assert_false(again.waited);
  assert_false(writer.entered);
  cmap__shardlock_read_unlock(&lock);
  cmap__shardlock_read_unlock(&lock);
  cmap__shardlock_read_unlock(&lock);
  assert_int_equal(helper_join(&writer), CMAP__LOCK_OK);
  assert_true(writer.wait.waited);
  assert_free();
}

/* The first step of a write unlock that finds waiters; the second one is
 * cmap__shardlock_grant. */
static void first_step(void)
{
  (void)cmap__sub_acq_rel(&lock.word, CMAP__LOCK_WRITER);
}

/* A reader comes between the steps; the one that is parked comes in all the
 * same, though the lock is not free any more when it is its turn. */
static void test_reader_between_the_steps(void **state)
{
  struct helper parked;

  (void)state;
  cmap__shardlock_write(&lock, NULL);
  helper_start(&parked, false, CMAP__NO_DEADLINE);
  until_set(CMAP__LOCK_READERS_WAIT);
  first_step();
  assert_int_equal(try_to(false), CMAP__LOCK_OK);
  cmap__shardlock_grant(&lock);
  helper_until_entered(&parked);
  assert_int_equal(word_now(), 2 * CMAP__LOCK_ONE_READER);
  cmap__shardlock_read_unlock(&lock);
  assert_int_equal(helper_join(&parked), CMAP__LOCK_OK);
  assert_free();
}

/* A writer comes between the steps, before those who wait could: the second
 * step is nothing then, and the writer's own unlock is for them. */
static void test_writer_between_the_steps(void **state)
{
  struct helper reader, writer;

  (void)state;
  cmap__shardlock_write(&lock, NULL);
  helper_start(&reader, false, CMAP__NO_DEADLINE);
  helper_start(&writer, true, CMAP__NO_DEADLINE);
  until_set(CMAP__LOCK_READERS_WAIT | CMAP__LOCK_WRITERS_WAIT);
  cmap__shardlock_grant(&lock);
  assert_int_equal(word_now(), CMAP__LOCK_WRITER | CMAP__LOCK_WRITERS_WAIT |
                                   CMAP__LOCK_READERS_WAIT);
  cmap__shardlock_write_unlock(&lock);
  writer.may_leave = true; /* either may be the first */
  assert_int_equal(helper_join(&reader), CMAP__LOCK_OK);
  assert_int_equal(helper_join(&writer), CMAP__LOCK_OK);
  assert_free();
}

/* A bit that a writer set for nobody does not outlive the second step, whoever
 * has the lock then. */
static void test_nobodys_bit_between_the_steps(void **state)
{
  struct cmap__lock_wait again = {.deadline_ns = CMAP__NO_DEADLINE,
                                  .already_reads = true};

  (void)state;
  for (int readers = 0; readers < 2; readers++) {
    cmap__shardlock_write(&lock, NULL);
    leave_nobodys_bit();
    first_step();
    if (readers > 0)
      assert_int_equal(cmap__shardlock_read(&lock, &again), CMAP__LOCK_OK);
    cmap__shardlock_grant(&lock);
    assert_int_equal(try_to(false), CMAP__LOCK_OK);
    for (int i = 0; i <= readers; i++)
      cmap__shardlock_read_unlock(&lock);
    assert_free();
  }
}

/* Under a reader: a writer gives up, and the reader behind it comes in. */
static void test_writer_gives_up(void **state)
{
  struct helper writer, reader;

  (void)state;
  cmap__shardlock_read(&lock, NULL);
  helper_start(&writer, true, cmap__now_ns() + 100 * MILLISECOND);
  while ((word_now() & CMAP__LOCK_WRITERS_WAIT) == 0 && !writer.refused)
    sched_yield();
  helper_start(&reader, false, CMAP__NO_DEADLINE);
  assert_int_equal(helper_join(&writer), CMAP__LOCK_TIMEDOUT);
  helper_until_entered(&reader);
  assert_int_equal(word_now(), 2 * CMAP__LOCK_ONE_READER);
  assert_int_equal(try_to(false), CMAP__LOCK_OK);
  cmap__shardlock_read_unlock(&lock);
  assert_int_equal(helper_join(&reader), CMAP__LOCK_OK);
  cmap__shardlock_read_unlock(&lock);
  assert_free();
}

/* Under a writer: a parked reader gives up, and it is nobody's turn. */
static void test_reader_gives_up(void **state)
{
  struct helper reader;

  (void)state;
  cmap__shardlock_write(&lock, NULL);
  helper_start(&reader, false, cmap__now_ns() + 20 * MILLISECOND);
  assert_int_equal(helper_join(&reader), CMAP__LOCK_TIMEDOUT);
  assert_int_equal(word_now(), CMAP__LOCK_WRITER);
  cmap__shardlock_write_unlock(&lock);
  assert_free();
}

static void test_turns(void **state)
{
  struct helper readers[3], writer;
  enum cmap__lock_result result;
  uint64_t before;

  (void)state;
  /* A writer's unlock lets all parked readers in. */
  cmap__shardlock_write(&lock, NULL);
  for (int i = 0; i < 3; i++)
    helper_start(&readers[i], false, CMAP__NO_DEADLINE);
  until_set(CMAP__LOCK_READERS_WAIT);
  cmap__shardlock_write_unlock(&lock);
  for (int i = 0; i < 3; i++)
    helper_until_entered(&readers[i]);
  /* The last reader's unlock lets a parked writer in, and no reader first,
   * unless the writer does not run for a long time. */
  helper_start(&writer, true, CMAP__NO_DEADLINE);
  until_set(CMAP__LOCK_WRITERS_WAIT);
  before = cmap__now_ns();
  for (int i = 0; i < 3; i++)
    assert_int_equal(helper_join(&readers[i]), CMAP__LOCK_OK);
  result = try_to(false);
  if (result == CMAP__LOCK_OK)
    cmap__shardlock_read_unlock(&lock);
  assert_true(result == CMAP__LOCK_BUSY ||
              cmap__now_ns() - before >= CMAP__LOCK_TRY_NS);
  helper_until_entered(&writer);
  assert_int_equal(helper_join(&writer), CMAP__LOCK_OK);
  assert_free();
}

static void test_full(void **state)
{
  struct cmap__lock_wait again = {.deadline_ns = CMAP__NO_DEADLINE,
                                  .already_reads = true};
  struct cmap__lock_wait soon = within(3 * MILLISECOND);
  struct helper reader;

  (void)state;
  atomic_store(&lock.word, CMAP__LOCK_FULL - CMAP__LOCK_ONE_READER);
  assert_int_equal(try_to(false), CMAP__LOCK_OK);
  assert_int_equal(word_now(), CMAP__LOCK_FULL);
  assert_int_equal(try_to(false), CMAP__LOCK_BUSY);
  assert_int_equal(cmap__shardlock_read(&lock, &again), CMAP__LOCK_BUSY);
  assert_int_equal(cmap__shardlock_read(&lock, &soon), CMAP__LOCK_TIMEDOUT);
  helper_start(&reader, false, CMAP__NO_DEADLINE);
  cmap__shardlock_read_unlock(&lock);
  helper_until_entered(&reader);
  assert_int_equal(helper_join(&reader), CMAP__LOCK_OK);
  atomic_store(&lock.word, 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_plain_states),
      cmocka_unit_test(test_try_and_deadline),
      cmocka_unit_test(test_downgrade),
      cmocka_unit_test(test_already_reads),
      cmocka_unit_test(test_reader_between_the_steps),
      cmocka_unit_test(test_writer_between_the_steps),
      cmocka_unit_test(test_nobodys_bit_between_the_steps),
      cmocka_unit_test(test_writer_gives_up),
      cmocka_unit_test(test_reader_gives_up),
      cmocka_unit_test(test_turns),
      cmocka_unit_test(test_full),
  };
  cmap__lock_look_ns = CMAP__NO_DEADLINE; /* who wakes whom is tested */
  alarm(HANG_SECONDS);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
