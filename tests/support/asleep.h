/*
 * Waits until another thread sleeps: in the tests, until its call waits for a
 * lock. The system says so; no time is waited for.
 */
#ifndef CMAP_TEST_ASLEEP_H
#define CMAP_TEST_ASLEEP_H

#include <stdatomic.h>

struct asleep {
  atomic_int thread; /* the system's number of it; 0: not begun */
};

void asleep_begin(struct asleep *asleep);

/* The calling thread is the one that will sleep, in nothing else from now. */
void asleep_here(struct asleep *asleep);

/* Waits until that thread sleeps, and has not been woken over several looks. */
void asleep_wait(struct asleep *asleep);

#endif
