/*
 * Threads that take turns on one thread of the system: each has a stack and
 * thread-local variables of its own. The instrumented code is compiled with
 * -femulated-tls, so that it asks here for the address of such a variable.
 */
#ifndef CMAP_TEST_WORLD_FIBER_H
#define CMAP_TEST_WORLD_FIBER_H

#include <stdbool.h>

/* Who is running: 0 ... WORLD_THREADS - 1, or the main program. */
enum { FIBER_MAIN = 8 };

extern unsigned fiber_running;

static inline unsigned fiber_self(void)
{
  return fiber_running;
}

/* Prepares fiber `index` to run `act`, which must not return. */
void fiber_begin(unsigned index, void (*act)(void));

/* Is the address on the running one's stack? */
bool fiber_has_on_stack(const volatile void *at);

/* Goes on in the other one. */
void fiber_switch(unsigned to);

#endif
