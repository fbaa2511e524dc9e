/*
 * Read holds in seats: readers of a biased lock, and writers that take the bias
 * away. What the lock protects is a plain variable: a reader that is not waited
 * for is a data race.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sync/bias.h"
#include "world.h"

enum { READS = 3, WRITES = 2 };

static struct cmap__shardlock lock;
static unsigned guarded;         /* what the lock protects */
static _Atomic unsigned written; /* times */

static void begin(void)
{
  cmap__seats_free(); /* each time anew: threads that are new to revokers */
  cmap__store_relaxed(&lock.word, CMAP__LOCK_BIASED);
  cmap__store_relaxed(&cmap__bias_works, true);
  guarded = 0;
  written = 0;
}

static void is_free(void)
{
  WORLD_CHECK((lock.word & ~CMAP__LOCK_BIASED) == 0);
  WORLD_CHECK(guarded == written);
}

static void read_once(bool counts)
{
  int seat = cmap__read_try(&cmap__self, &lock);
  unsigned before;

  if (seat == CMAP__READ_REFUSED)
    return;
  before = guarded;
  if (seat == CMAP__READ_COUNTED && world_choose(2) == 0)
    cmap__bias_give(&lock);
  if (counts) {
    cmap__read_count(&lock, seat);
    seat = CMAP__READ_COUNTED;
  }
  WORLD_CHECK(guarded == before);
  cmap__read_end(&lock, seat);
}

static void read_often(bool counts)
{
  cmap__seats_begin();
  cmap__self.expects_bias = true;
  for (int i = 0; i < READS; i++)
    read_once(counts && world_choose(2) == 0);
  cmap__seats_end(&cmap__self);
}

static bool lock_to_write(struct cmap__lock_wait *wait)
{
  enum cmap__lock_result result;

  while ((result = cmap__shardlock_write(&lock, wait)) == CMAP__LOCK_BIAS)
    cmap__bias_revoke(&lock);
  return result == CMAP__LOCK_OK;
}

static void write_often(void)
{
  for (int i = 0; i < WRITES; i++) {
    struct cmap__lock_wait wait = {.deadline_ns = CMAP__NO_DEADLINE,
                                   .try_only = world_choose(2) == 0};
    if (!lock_to_write(&wait))
      continue;
    guarded++;
    cmap__add_relaxed(&written, 1);
    cmap__shardlock_write_unlock(&lock);
  }
}

static void one_writer(unsigned thread)
{
  if (thread == 0)
    write_often();
  else
    read_often(false);
}

static void two_writers(unsigned thread)
{
  if (thread < 2)
    write_often();
  else
    read_often(thread == 2);
}

static void readers_and_a_writer(void **state)
{
  static const struct scenario scenario = {"bias, one writer", 2, begin,
                                           is_free, one_writer};

  (void)state;
  world_play(&scenario, world_runs());
}

static void writers_meet(void **state)
{
  static const struct scenario scenario = {"bias, two writers", 4, begin,
                                           is_free, two_writers};

  (void)state;
  world_play(&scenario, world_runs());
}

/* A thread ends with a hold in a seat: whoever waits for it is told. */
static void end_with_it(unsigned thread)
{
  if (thread == 0) {
    write_often();
    return;
  }
  cmap__seats_begin();
  cmap__self.expects_bias = true;
  if (cmap__read_try(&cmap__self, &lock) == CMAP__READ_COUNTED)
    cmap__read_end(&lock, CMAP__READ_COUNTED);
  cmap__seats_end(&cmap__self);
}

static void is_abandoned_or_free(void)
{
  WORLD_CHECK(guarded == written);
  if ((lock.word & CMAP__LOCK_ABANDONED) != 0)
    WORLD_CHECK((lock.word & CMAP__LOCK_READERS) == CMAP__LOCK_ONE_READER);
  else
    WORLD_CHECK((lock.word & ~CMAP__LOCK_BIASED) == 0);
}

static void a_reader_ends(void **state)
{
  static const struct scenario scenario = {"bias, a reader ends", 2, begin,
                                           is_abandoned_or_free, end_with_it};

  (void)state;
  world_play(&scenario, world_runs());
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(readers_and_a_writer),
      cmocka_unit_test(writers_meet),
      cmocka_unit_test(a_reader_ends),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
