/*
 * The shard lock alone: writers exclude all, readers exclude writers (what they
 * guard is plain, so that any gap is a data race); nobody sleeps for ever,
 * whoever gives up: by a try, by a deadline, by before_park. (That all of them
 * end, the scheduler sees to: threads that wait for each other are a failure.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sync/shardlock.h"
#include "world.h"

enum { TURNS = 3 };

static bool searching; /* one turn, with less to choose from */

static struct cmap__shardlock lock;
static uint64_t guarded[2]; /* equal, when no writer is at work */
static uint64_t writes;     /* hidden */

static void begin(void)
{
  lock.word = 0;
  guarded[0] = guarded[1] = writes = 0;
  world_hide(&writes, sizeof writes);
}

static enum cmap__lock_result maybe_park(struct cmap__lock_wait *wait)
{
  (void)wait;
  switch (world_choose(4)) {
  case 0:
    return CMAP__LOCK_AGAIN;
  case 1:
    return CMAP__LOCK_DEADLOCK;
  default:
    return CMAP__LOCK_OK;
  }
}

static void has_parked(struct cmap__lock_wait *wait)
{
  (void)wait;
}

static struct cmap__lock_wait how(void)
{
  struct cmap__lock_wait wait = {.deadline_ns = CMAP__NO_DEADLINE};

  switch (world_choose(searching ? 2 : 6)) {
  case 0:
    wait.try_only = true;
    break;
  case 2:
    wait.deadline_ns = cmap__now_ns() + world_choose(3000000);
    break;
  case 3:
    wait.before_park = maybe_park;
    wait.after_park = has_parked;
    break;
  default:
    break;
  }
  return wait;
}

static void check_read(void)
{
  WORLD_CHECK(guarded[0] == guarded[1]);
}

static void write(void)
{
  guarded[0]++;
  /* A step, before and after which others come. */
  WORLD_CHECK(cmap__shardlock_is_write_locked(&lock));
  guarded[1]++;
  writes++;
}

static void act(unsigned thread)
{
  (void)thread;
  for (unsigned i = 0; i < (searching ? 1 : TURNS); i++) {
    struct cmap__lock_wait wait = how();

    if (world_choose(2) == 0) {
      if (cmap__shardlock_read(&lock, &wait) != CMAP__LOCK_OK)
        continue;
      check_read();
      if (world_choose(searching ? 2 : 3) == 0) {
        struct cmap__lock_wait again = {.deadline_ns = CMAP__NO_DEADLINE,
                                        .already_reads = true};
        WORLD_CHECK(cmap__shardlock_read(&lock, &again) == CMAP__LOCK_OK);
        check_read();
        cmap__shardlock_read_unlock(&lock);
      }
      cmap__shardlock_read_unlock(&lock);
    } else {
      if (cmap__shardlock_write(&lock, &wait) != CMAP__LOCK_OK)
        continue;
      write();
      if (world_choose(searching ? 2 : 3) == 0) {
        cmap__shardlock_downgrade(&lock);
        check_read();
        cmap__shardlock_read_unlock(&lock);
      } else {
        cmap__shardlock_write_unlock(&lock);
      }
    }
  }
}

static void end(void)
{
  WORLD_CHECK(guarded[0] == writes && guarded[1] == writes);
  WORLD_CHECK(!cmap__shardlock_is_locked(&lock));
}

static void readers_and_writers_exclude_each_other(void **state)
{
  static const struct scenario three = {
      .name = "lock", .threads = 3, .begin = begin, .end = end, .act = act};
  static const struct scenario five = {.name = "lock, five",
                                       .threads = 5,
                                       .begin = begin,
                                       .end = end,
                                       .act = act};

  (void)state;
  world_play(&three, world_runs());
  world_play(&five, world_runs());
}

static void so_do_two_in_every_schedule(void **state)
{
  static const struct scenario scenario = {.name = "lock, two",
                                           .threads = 2,
                                           .begin = begin,
                                           .end = end,
                                           .act = act};

  (void)state;
  searching = true;
  world_search(&scenario, 3);
  searching = false;
}

/* A thread that has the lock ends: everybody is told, and nobody waits on. */
static void act_abandoned(unsigned thread)
{
  struct cmap__lock_wait wait = how();
  bool to_write = world_choose(2) == 0;
  enum cmap__lock_result result = to_write ? cmap__shardlock_write(&lock, &wait)
                                           : cmap__shardlock_read(&lock, &wait);

  if (result != CMAP__LOCK_OK)
    return;
  if (to_write)
    write();
  else
    check_read();
  if (thread == 0)
    cmap__shardlock_abandon(&lock);
  else if (to_write)
    cmap__shardlock_write_unlock(&lock);
  else
    cmap__shardlock_read_unlock(&lock);
}

static void an_abandoned_lock_holds_nobody_up(void **state)
{
  static const struct scenario scenario = {
      .name = "abandoned", .threads = 4, .begin = begin, .act = act_abandoned};

  (void)state;
  world_play(&scenario, world_runs());
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(readers_and_writers_exclude_each_other),
      cmocka_unit_test(so_do_two_in_every_schedule),
      cmocka_unit_test(an_abandoned_lock_holds_nobody_up),
  };

  cmap__lock_look_ns = CMAP__NO_DEADLINE; /* a lost wake-up is a hang */
  return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
