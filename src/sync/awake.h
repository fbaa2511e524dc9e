/*
 * How a thread waits for a shard lock before it parks: awake, for a time that
 * depends on how hot the lock is. Part of shardlock.c.
 */
#ifndef CMAP__SYNC_AWAKE_H
#define CMAP__SYNC_AWAKE_H

#include <sched.h>
#include <stdbool.h>

#include "base/compiler.h"
#include "sync/shardlock.h"

/*
 * Before parking: rounds of 1, 2, 4, ... pauses, then yields. Sections are
 * tens of nanoseconds long and a pause 5 to 50, so that the pauses outlast a
 * holder that runs; a yield lets one run that does not. With 64 threads on
 * 2 processors, parking without yields halved the throughput; 2 to 8 yields
 * after 3 to 7 rounds were alike.
 */
#ifndef CMAP__PAUSE_ROUNDS
#  define CMAP__PAUSE_ROUNDS 5
#  define CMAP__YIELD_ROUNDS 12
#endif

/*
 * How hot the lock is that this thread last did not get at once: grows while it
 * is the same one again and again. Who waits longer before it looks lets the
 * other thread do many operations in a row, with the cache lines at
 * hand; where locks are met by chance a short wait is best.
 */
static _Thread_local struct {
  const struct cmap__shardlock *lock;
  unsigned degree;
} cmap__lock_hot;

/* The top; and from where on a lock is hot. */
#define CMAP__LOCK_HOTTEST 6
#define CMAP__LOCK_HOT     3

/* For so many pauses a writer keeps a hot lock that it waited for. */
#define CMAP__NOTICE_PAUSES 10

static inline unsigned cmap__lock_heat(const struct cmap__shardlock *lock)
{
  if (cmap__lock_hot.lock != lock) {
    cmap__lock_hot.lock = lock;
    cmap__lock_hot.degree = 0;
  } else if (cmap__lock_hot.degree < CMAP__LOCK_HOTTEST) {
    cmap__lock_hot.degree++;
  }
  return cmap__lock_hot.degree;
}

/* All rounds of waiting awake that there are before a thread parks. */
#define CMAP__LOCK_ROUNDS (CMAP__PAUSE_ROUNDS + CMAP__YIELD_ROUNDS)

/* One round of waiting awake; false when it is time to park. */
static inline bool cmap__lock_spin(unsigned *rounds, unsigned degree)
{
  if (*rounds >= CMAP__LOCK_ROUNDS)
    return false;
  if (*rounds < CMAP__PAUSE_ROUNDS) {
    for (unsigned i = 0; i < 1u << (*rounds + degree); i++)
      cmap__pause();
  } else {
    sched_yield();
  }
  ++*rounds;
  return true;
}

/*
 * A writer has got a hot lock that it waited for. The thread that had it will
 * be back in some nanoseconds, and shall find it locked and wait in its turn,
 * for long. Else both go on by turns, each operation with the lines that the
 * other one has just written, for hundreds of operations until one happens to
 * find the other inside. One counter, two threads: 23 to 77 Mops/s without
 * this, 55 to 77 with it. Not where writers are parked: with so many the lock
 * is found locked anyway, and the idle time is everybody's.
 */
static inline void cmap__lock_notice(void)
{
  for (unsigned i = 0; i < CMAP__NOTICE_PAUSES; i++)
    cmap__pause();
}

#endif
