/*
 * Who runs next.
 *
 * Before each step that others can see, schedule_point() decides. A run has one
 * of these ways, drawn from its seed:
 *
 *   random   the same thread goes on, or any other does, by odds of the run's
 *   PCT      each thread has a priority and the highest that can runs; at 1 to
 *            3 steps, drawn beforehand, who runs falls behind all others
 *            (Burckhardt et al., ASPLOS 2010)
 *   search   all that there is, one run after the other (search.h), with at
 *            most so many interruptions
 *
 * Who yields, or makes very many steps, falls behind as well: loops that wait
 * for others end.
 *
 * Time is made up: a step takes some nanoseconds, now and then it leaps, and
 * the deadline of a wait may be over at any moment, or when nothing else can
 * happen.
 */
#ifndef CMAP_TEST_WORLD_SCHEDULE_H
#define CMAP_TEST_WORLD_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "search.h"

#define SCHEDULE_NO_DEADLINE UINT64_MAX

/* The run's random numbers. */
uint64_t schedule_random(void);

/* n < 2^32. */
static inline uint64_t schedule_below(uint64_t n)
{
  return search_on ? search_below(n) : (schedule_random() >> 32) * n >> 32;
}

/* Once in `n` times; n = 0: never. In a search only what is always so. */
static inline bool schedule_once_in(uint64_t n)
{
  return n == 1 || (n != 0 && !search_on && schedule_below(n) == 0);
}

/* Of searches: how often a thread may be interrupted that could go on. */
void schedule_interrupt(unsigned at_most);

/* Begins a run: its random numbers. */
void schedule_begin(uint64_t seed);

/* Runs fibers 0 ... threads - 1, each by `act`, to their ends. */
void schedule_run(unsigned threads, void (*act)(unsigned));

void schedule_point(void);
void schedule_yield(void);

/*
 * Waits until another thread wakes those who wait for `object` with a class in
 * `classes`. False: the deadline is over.
 */
bool schedule_wait(const void *object, uint32_t classes, uint64_t deadline);

/* Wakes up to `n` of them, any; how many. */
unsigned schedule_wake(const void *object, uint32_t classes, unsigned n);

/* Nanoseconds. */
uint64_t schedule_now(void);

/* Steps of this run; threads of it. */
uint64_t schedule_steps(void);
unsigned schedule_threads(void);

/* "random 1/4", "PCT 2". */
const char *schedule_way(void);

#endif
