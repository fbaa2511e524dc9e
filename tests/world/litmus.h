/*
 * Litmus tests: which outcomes there are, of many schedules.
 */
#ifndef CMAP_TEST_WORLD_LITMUS_H
#define CMAP_TEST_WORLD_LITMUS_H

#include <stdatomic.h>

/* What the threads of a test share; zero at first. */
extern _Atomic int x, y, z;

/* What they have seen; each has its own. */
extern int r[4];

/* The orders of a test's accesses: what they are is said where it is run. */
extern memory_order o1, o2;

/* A fence between two accesses, or none. */
extern void (*between)(void);

#define RELAXED memory_order_relaxed
#define ACQUIRE memory_order_acquire
#define RELEASE memory_order_release
#define ACQ_REL memory_order_acq_rel
#define SEQ_CST memory_order_seq_cst

/* Accesses with these orders, and relaxed ones; fences. */
static inline int get(_Atomic int *at)
{
  return atomic_load_explicit(at, o2);
}

static inline void set(_Atomic int *at, int value)
{
  atomic_store_explicit(at, value, o1);
}

static inline int get_relaxed(_Atomic int *at)
{
  return atomic_load_explicit(at, RELAXED);
}

static inline void set_relaxed(_Atomic int *at, int value)
{
  atomic_store_explicit(at, value, RELAXED);
}

static inline void fence_sc(void)
{
  atomic_thread_fence(SEQ_CST);
}

static inline void fence_acq_rel(void)
{
  atomic_thread_fence(ACQ_REL);
}

struct litmus {
  const char *name;
  void (*act)(unsigned thread);
  unsigned threads;
  /* Of the outcome: digits of r, then of x, y, z at the end. */
  unsigned digits, ends;
};

/*
 * Plays the test with these orders and this fence (NULL: none), by many
 * schedules that are drawn and by all with few interruptions. The outcomes must
 * be those of `expected`, "01 10 11", or with "!" in front all that its
 * digits can make but those.
 */
void litmus(const struct litmus *test, memory_order first, memory_order second,
            void (*fence)(void), const char *expected);

#endif
