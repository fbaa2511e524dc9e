#include "asleep.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "step.h"
#include "sync/park.h"

static _Thread_local struct asleep *mine; /* NULL: nobody wants to know */

static void count(void)
{
  if (mine != NULL)
    atomic_fetch_add(&mine->times, 1);
}

/* Before there are threads, as the hook has it. */
__attribute__((constructor)) static void install(void)
{
  cmap__park_begins = count;
}

void asleep_begin(struct asleep *asleep)
{
  atomic_init(&asleep->times, 0);
}

void asleep_here(struct asleep *asleep)
{
  mine = asleep;
}

unsigned asleep_times(const struct asleep *asleep)
{
  return atomic_load(&asleep->times);
}

void asleep_wait(const struct asleep *asleep)
{
  uint64_t end = cmap__now_ns() + STEP_SECONDS * CMAP__NS_PER_S;

  /* Ends: the test has seen to it that the thread's call waits. */
  while (asleep_times(asleep) == 0) {
    if (cmap__now_ns() > end) {
      fprintf(stderr, "no call waited within %d s\n", STEP_SECONDS);
      abort();
    }
    sched_yield();
  }
}
