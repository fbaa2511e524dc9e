/*
 * Parking: a thread sleeps until a 32-bit word changes and somebody says so.
 *
 * Three implementations, one of which serves, the others are empty:
 *   park_futex.c     Linux futexes
 *   park_windows.c   WaitOnAddress
 *   park_pthread.c   a table of mutexes and condition variables, for other
 *                    systems, and with CMAP_LOCK_PTHREAD (CMake's CMAP_LOCK),
 *                    as the reference that the same tests run on
 *
 * Invariants
 *   1. No wake-up is lost: cmap__park_wait sleeps only if it finds the word
 *      as expected after a later cmap__park_wake is sure to find the sleeper.
 *      So a thread that first changes the word and then wakes reaches every
 *      thread that expected the old word.
 *   2. A wake-up may come from nowhere (a signal, a neighbour in the table, a
 *      system call that failed): callers look at the word again, in a loop.
 *   3. A wake-up of n threads reaches at least n sleepers of its classes, or
 *      all of them if there are fewer. Who gives up waiting, for whatever
 *      result, must reckon with having used up a wake-up meant for others.
 *
 * Concurrency: every function may be called by any thread at any time. A
 * word is looked at only by its waiters; a waker uses no more than its address.
 * Order: parking orders nothing for the caller; the word does.
 *
 * What a word means is left to the callers.
 */
#ifndef CMAP__SYNC_PARK_H
#define CMAP__SYNC_PARK_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#if !defined(__linux__) && !defined(_WIN32) && !defined(CMAP_LOCK_PTHREAD)
#  define CMAP_LOCK_PTHREAD 1
#endif

/* The deadline of a thread that is ready to wait for ever. */
#define CMAP__NO_DEADLINE UINT64_MAX

/* How many to wake: all. */
#define CMAP__PARK_ALL INT_MAX

#define CMAP__NS_PER_S UINT64_C(1000000000)

enum cmap__park_result {
  CMAP__PARK_WOKEN,   /* by cmap__park_wake, or by nobody (invariant 2) */
  CMAP__PARK_CHANGED, /* did not sleep: the word was not as expected */
  CMAP__PARK_TIMEDOUT /* the deadline has passed */
};

/*
 * A later deadline is taken for this one, 68 years after the system's start:
 * what every time_t can hold.
 */
#define CMAP__PARK_LATEST (INT32_MAX * CMAP__NS_PER_S)

/* The same clock, but read at once, and a tick of the system behind. */
#ifdef CLOCK_MONOTONIC_COARSE
#  define CMAP__CLOCK_COARSE CLOCK_MONOTONIC_COARSE
#else
#  define CMAP__CLOCK_COARSE CLOCK_MONOTONIC
#endif

/* Nanoseconds of CLOCK_MONOTONIC, the clock of all deadlines. */
static inline uint64_t cmap__now_ns(void)
{
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * CMAP__NS_PER_S + (uint64_t)now.tv_nsec;
}

/*
 * For tests, which wait until another thread's call waits: NULL, or called by
 * each thread that is about to sleep until another one wakes it, when it has
 * announced itself to those who will. Const while there are other threads.
 */
extern void (*cmap__park_begins)(void);

/* Says so, at every place where the library makes a thread sleep. */
static inline void cmap__park_begin(void)
{
  if (cmap__park_begins != NULL)
    cmap__park_begins();
}

/*
 * Sleeps while *word is `expected`, until a wake-up of a class in `class_mask`
 * (not 0) or the deadline, a time of cmap__now_ns(). Leaves errno alone.
 */
enum cmap__park_result cmap__park_wait(_Atomic uint32_t *word,
                                       uint32_t expected, uint32_t class_mask,
                                       uint64_t deadline_ns);

/*
 * Wakes `how_many` threads that sleep on `word` with a class in `class_mask`.
 * May wake more. The word need not have changed. Leaves errno alone.
 */
void cmap__park_wake(_Atomic uint32_t *word, uint32_t class_mask, int how_many);

/* There is no thread but the caller's, in a child of fork: nobody sleeps. */
void cmap__park_alone(void);

/* A condition variable for cmap__cond_wait, destroyed by pthread_cond_destroy.
 * False: it cannot be had. */
bool cmap__cond_init(pthread_cond_t *cond);

/* Waits once until the deadline, a time of cmap__now_ns(), with the mutex held;
 * wakes for nothing, too. False: it has passed, or will in moments. A point of
 * cancellation. */
bool cmap__cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                     uint64_t deadline_ns);

#endif
