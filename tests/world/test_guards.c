/*
 * Guards and what they lead to: circles of threads that wait for each other
 * (one is refused, nobody hangs), guards handed from thread to thread, threads
 * that end with a guard, lent locks.
 */
#include "play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>

/* Keys in two shards. */
static uint64_t key_of(unsigned i)
{
  return i % 2 == 0 ? LOW(i) : HIGH(i);
}

/* -------------------------------------------------------------------------
 * Circles
 * ------------------------------------------------------------------------- */

enum { KEYS = 2 };

static struct {
  unsigned refused;
  struct cmap_write_guard passed; /* for others, once it is nobody's */
  bool is_passed;
} counts; /* hidden: by this, threads do not know of each other */

static void begin(void)
{
  struct cmap_options options = play_options(sizeof(uint64_t));

  play_begin(&options, 7);
  for (unsigned i = 0; i < KEYS; i++)
    put(key_of(i), 1);
  counts.refused = 0;
  counts.is_passed = false;
  world_hide(&counts, sizeof counts);
}

static struct cmap_how patience(void)
{
  static const uint64_t times[] = {1000, 100000, 3000000};

  return cmap_how_within(times[world_choose(3)]);
}

/* Takes a guard, to read or to write. */
static enum cmap_status take(uint64_t key, bool write,
                             struct cmap_read_guard *reads,
                             struct cmap_write_guard *writes,
                             const struct cmap_how *how)
{
  return write ? cmap_get_mut(map, cmap_key_u64(&key), writes, how)
               : cmap_get_ref(map, cmap_key_u64(&key), reads, how);
}

/* Two guards, in the thread's order; a write to what is held to write. */
static void act_circle(unsigned thread)
{
  struct cmap_read_guard reads[2] = {CMAP_INIT, CMAP_INIT};
  struct cmap_write_guard writes[2] = {CMAP_INIT, CMAP_INIT};
  struct cmap_how within = patience();
  bool write[2] = {world_choose(3) != 0, world_choose(3) != 0};
  const struct cmap_how *how = world_choose(4) == 0 ? &within : NULL;
  enum cmap_status status = CMAP_OK;

  for (unsigned i = 0; i < 2 && status == CMAP_OK; i++) {
    status =
        take(key_of((i + thread) % KEYS), write[i], &reads[i], &writes[i], how);
    WORLD_CHECK(status == CMAP_OK || status == CMAP_EDEADLK ||
                (status == CMAP_TIMEDOUT && how != NULL));
    if (status == CMAP_OK && write[i])
      ++*(uint64_t *)writes[i].value;
    else if (status == CMAP_OK)
      WORLD_CHECK(*(const uint64_t *)reads[i].value > 0);
  }
  counts.refused += status == CMAP_EDEADLK;
  for (unsigned i = 0; i < 2; i++) {
    WORLD_OK(cmap_read_guard_release(&reads[i]));
    WORLD_OK(cmap_write_guard_release(&writes[i]));
  }
}

static void end_circle(void)
{
  WORLD_CHECK(counts.refused < 3);
  play_end();
}

static void circles_are_refused(void **state)
{
  static const struct scenario scenario = {.name = "circles",
                                           .threads = 3,
                                           .begin = begin,
                                           .end = end_circle,
                                           .act = act_circle};

  (void)state;
  world_play(&scenario, world_runs());
}

/* Calls on the whole map lend what they have locked, beside guards in any
 * order: they are not refused. */
static void act_lent(unsigned thread)
{
  struct cmap_snapshot *snapshot = NULL;
  struct cmap_write_guard guards[2] = {CMAP_INIT, CMAP_INIT};
  size_t len = 0;

  if (thread == 0) {
    WORLD_OK(cmap_len_exact(map, &len, NULL));
    WORLD_CHECK(len == 14 + KEYS);
  } else if (thread == 1) {
    WORLD_OK(cmap_snapshot_create(map, CMAP_KEYS_AND_VALUES, &snapshot, NULL));
    WORLD_CHECK(cmap_snapshot_count(snapshot) == 14 + KEYS);
    cmap_snapshot_destroy(snapshot);
  } else {
    uint64_t first = world_choose(2),
             keys[2] = {key_of((unsigned)first), key_of(1 - (unsigned)first)};
    WORLD_OK(cmap_get_mut(map, cmap_key_u64(&keys[0]), &guards[0], NULL));
    WORLD_OK(cmap_get_mut(map, cmap_key_u64(&keys[1]), &guards[1], NULL));
    ++*(uint64_t *)guards[1].value;
    WORLD_OK(cmap_write_guard_release(&guards[0]));
    WORLD_OK(cmap_write_guard_release(&guards[1]));
  }
}

static void whole_maps_refuse_nobody(void **state)
{
  static const struct scenario scenario = {.name = "lent",
                                           .threads = 3,
                                           .begin = begin,
                                           .end = play_end,
                                           .act = act_lent};

  (void)state;
  world_play(&scenario, world_runs());
}

/* -------------------------------------------------------------------------
 * Handed over
 * ------------------------------------------------------------------------- */

static uint64_t secret; /* plain: of who has the guard */

static void begin_passed(void)
{
  begin();
  secret = 0;
}

static void act_passed(unsigned thread)
{
  struct cmap_write_guard guard = CMAP_INIT;
  uint64_t key = key_of(0);

  if (thread == 0) {
    WORLD_OK(cmap_get_mut(map, cmap_key_u64(&key), &guard, NULL));
    secret = 7;
    *(uint64_t *)guard.value = 7;
    WORLD_OK(cmap_write_guard_detach(&guard));
    counts.passed = guard;
    counts.is_passed = true;
  } else if (thread == 1) {
    /* Ends: the other thread gets on. */
    while (!counts.is_passed)
      sched_yield();
    guard = counts.passed;
    WORLD_OK(cmap_write_guard_attach(&guard));
    WORLD_CHECK(secret == 7 && *(uint64_t *)guard.value == 7);
    *(uint64_t *)guard.value = 8;
    WORLD_OK(cmap_write_guard_release(&guard));
  } else {
    struct cmap_how how = patience();
    uint64_t value;
    enum cmap_status status = cmap_get(map, cmap_key_u64(&key), &value, &how);

    WORLD_CHECK(status == CMAP_TIMEDOUT || value == 1 || value == 8);
  }
}

/* -------------------------------------------------------------------------
 * Ended threads
 * ------------------------------------------------------------------------- */

static void act_ended(unsigned thread)
{
  struct cmap_read_guard reads = CMAP_INIT;
  struct cmap_write_guard writes = CMAP_INIT;
  bool write = world_choose(2) == 0;
  enum cmap_status status =
      take(key_of((unsigned)world_choose(2)), write, &reads, &writes, NULL);

  WORLD_CHECK(status == CMAP_OK || status == CMAP_EABANDONED);
  if (status == CMAP_OK && write)
    ++*(uint64_t *)writes.value;
  if (thread == 0)
    return; /* and ends, with the guard */
  WORLD_OK(cmap_read_guard_release(&reads));
  WORLD_OK(cmap_write_guard_release(&writes));
}

static void end_ended(void)
{
  cmap_destroy(map);
}

static void ended_threads_hold_nobody_up(void **state)
{
  static const struct scenario scenario = {.name = "ended threads",
                                           .threads = 3,
                                           .begin = begin,
                                           .end = end_ended,
                                           .act = act_ended};

  (void)state;
  world_play(&scenario, world_runs());
}

/* A guard that nobody has attached stays, until the map goes. */
static void guards_are_handed_over(void **state)
{
  static const struct scenario scenario = {.name = "handed over",
                                           .threads = 3,
                                           .begin = begin_passed,
                                           .end = end_ended,
                                           .act = act_passed};

  (void)state;
  world_play(&scenario, world_runs());
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(circles_are_refused),
      cmocka_unit_test(whole_maps_refuse_nobody),
      cmocka_unit_test(guards_are_handed_over),
      cmocka_unit_test(ended_threads_hold_nobody_up),
  };

  return cmocka_run_group_tests_name("guards", tests, NULL, NULL);
}
