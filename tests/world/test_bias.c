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

/* Two, so that a seat goes from one to the other. */
static struct place {
  struct cmap__shardlock lock;
  unsigned guarded;         /* what the lock protects */
  _Atomic unsigned written; /* times */
} places[2];

static struct place *any_place(void)
{
  return &places[world_choose(2)];
}

static void begin(void)
{
  cmap__seats_free(); /* each time anew: threads that are new to revokers */
  cmap__store_relaxed(&cmap__bias_works, true);
  for (unsigned i = 0; i < 2; i++) {
    cmap__store_relaxed(&places[i].lock.word, CMAP__LOCK_BIASED);
    places[i].guarded = 0;
    places[i].written = 0;
  }
}

static void is_free(void)
{
  for (unsigned i = 0; i < 2; i++) {
    WORLD_CHECK((places[i].lock.word & ~CMAP__LOCK_BIASED) == 0);
    WORLD_CHECK(places[i].guarded == places[i].written);
  }
}

static void read_once(bool counts)
{
  struct place *place = any_place();
  int seat = cmap__read_try(&cmap__self, &place->lock);
  unsigned before;

  if (seat == CMAP__READ_REFUSED)
    return;
  before = place->guarded;
  if (seat == CMAP__READ_COUNTED && world_choose(2) == 0)
    cmap__bias_give(&place->lock);
  if (counts) {
    cmap__read_count(&place->lock, seat);
    seat = CMAP__READ_COUNTED;
  }
  WORLD_CHECK(place->guarded == before);
  cmap__read_end(&place->lock, seat);
}

static void read_often(bool counts)
{
  cmap__seats_begin();
  cmap__self.expects_bias = true;
  for (int i = 0; i < READS; i++)
    read_once(counts && world_choose(2) == 0);
  cmap__seats_end(&cmap__self);
}

static bool lock_to_write(struct cmap__shardlock *lock)
{
  struct cmap__lock_wait wait = {.deadline_ns = CMAP__NO_DEADLINE,
                                 .try_only = world_choose(2) == 0};
  enum cmap__lock_result result;

  while ((result = cmap__shardlock_write(lock, &wait)) == CMAP__LOCK_BIAS)
    cmap__bias_revoke(lock);
  return result == CMAP__LOCK_OK;
}

static void write_often(void)
{
  for (int i = 0; i < WRITES; i++) {
    struct place *place = any_place();
    if (!lock_to_write(&place->lock))
      continue;
    place->guarded++;
    cmap__add_relaxed(&place->written, 1);
    cmap__shardlock_write_unlock(&place->lock);
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
  if (cmap__read_try(&cmap__self, &places[0].lock) == CMAP__READ_COUNTED)
    cmap__read_end(&places[0].lock, CMAP__READ_COUNTED);
  cmap__seats_end(&cmap__self);
}

static void is_abandoned_or_free(void)
{
  uint32_t word = places[0].lock.word;

  WORLD_CHECK(places[0].guarded == places[0].written);
  if ((word & CMAP__LOCK_ABANDONED) != 0)
    WORLD_CHECK((word & CMAP__LOCK_READERS) == CMAP__LOCK_ONE_READER);
  else
    WORLD_CHECK((word & ~CMAP__LOCK_BIASED) == 0);
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

  cmap__lock_look_ns = CMAP__NO_DEADLINE; /* a lost wake-up is a hang */
  return cmocka_run_group_tests(tests, NULL, NULL);
}
