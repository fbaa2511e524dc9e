/*
 * What happens before what: a clock for each thread, and one for each fence.
 *
 * Every step of a thread has a number; a clock says of each thread up to which
 * step one knows of it.
 *
 *   before   what happens before, by C11
 *   seen     that, and what seq_cst fences have ordered before: a thread must
 *            not read anything older than what was stored or read there, but it
 *            is not synchronized with it
 *   fence    when the latest seq_cst fence was that happens before, in the
 * total order of seq_cst: all seq_cst accesses up to it have been seen
 */
#ifndef CMAP_TEST_WORLD_CLOCK_H
#define CMAP_TEST_WORLD_CLOCK_H

#include <stdint.h>

#include "world.h"

struct clock {
  uint32_t at[WORLD_THREADS];
};

struct stamp {
  struct clock before;
  struct clock seen;
  uint32_t fence;
};

/* Of one thread. */
struct clocks {
  struct stamp now;      /* before its next step */
  struct stamp pending;  /* read by relaxed loads: for an acquire fence */
  struct stamp released; /* at its last release fence: for relaxed stores */
};

/* Of a C11 order, which is also the number that the compiler passes. */
enum order {
  ORDER_RELAXED,
  ORDER_CONSUME,
  ORDER_ACQUIRE,
  ORDER_RELEASE,
  ORDER_ACQ_REL,
  ORDER_SEQ_CST
};

static inline bool order_acquires(enum order order)
{
  return order == ORDER_ACQUIRE || order == ORDER_CONSUME ||
         order >= ORDER_ACQ_REL;
}

static inline bool order_releases(enum order order)
{
  return order >= ORDER_RELEASE;
}

/* Before a run. All threads know what was before. */
void clock_begin(void);

extern struct clocks thread_clocks[WORLD_THREADS];

static inline struct clocks *clock_of(unsigned thread)
{
  return &thread_clocks[thread];
}

/* A new step of the running thread; its number. */
uint32_t clock_step(void);

static inline void clock_join(struct clock *to, const struct clock *from)
{
  for (unsigned i = 0; i < WORLD_THREADS; i++)
    to->at[i] = to->at[i] > from->at[i] ? to->at[i] : from->at[i];
}

static inline void stamp_join(struct stamp *to, const struct stamp *from)
{
  clock_join(&to->before, &from->before);
  clock_join(&to->seen, &from->seen);
  to->fence = to->fence > from->fence ? to->fence : from->fence;
}

/* The running thread has read a store with this stamp. */
void clock_read(enum order order, const struct stamp *stamp);

/* The stamp of a store of the running thread. */
void clock_write(enum order order, struct stamp *stamp);

void clock_fence(enum order order);

/* A seq_cst fence of any thread. */
void clock_fence_of(unsigned thread);

/* The next place in the total order of seq_cst, and the one that was last. */
uint32_t clock_next_sc(void);

/* What was seen before any seq_cst fence so far. */
const struct clock *clock_all_fences(void);

#endif
