#include "asleep.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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
  asleep->thread = gettid();
  mine = asleep;
}

unsigned asleep_times(const struct asleep *asleep)
{
  return atomic_load(&asleep->times);
}

/* Waits until `done` says so. A minute without ends the process. */
static void wait_until(bool (*done)(const struct asleep *asleep),
                       const struct asleep *asleep)
{
  uint64_t end = cmap__now_ns() + STEP_SECONDS * CMAP__NS_PER_S;

  /* Ends: the test has seen to it that the thread's call waits. */
  while (!done(asleep)) {
    if (cmap__now_ns() > end) {
      fprintf(stderr, "no call waited within %d s\n", STEP_SECONDS);
      abort();
    }
    sched_yield();
  }
}

static bool has_begun(const struct asleep *asleep)
{
  return asleep_times(asleep) != 0;
}

#ifdef _WIN32
static bool sleeps_in_kernel(const struct asleep *asleep)
{
  (void)asleep; /* nothing says so, and there is no POSIX mutex in the way */
  return true;
}
#else
static bool sleeps_in_kernel(const struct asleep *asleep)
{
  char path[64];
  char state = 0;
  FILE *file;

  (void)snprintf(path, sizeof path, "/proc/self/task/%d/stat",
                 (int)asleep->thread);
  file = fopen(path, "r");
  if (file != NULL) {
    /* The name between the parentheses is the program's, without a space. */
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
      state = 0;
    (void)fclose(file);
  }
  return state == 'S';
}
#endif

void asleep_wait(const struct asleep *asleep)
{
  wait_until(has_begun, asleep);
}

void asleep_wait_in_kernel(const struct asleep *asleep)
{
  wait_until(has_begun, asleep);
  wait_until(sleeps_in_kernel, asleep);
}
