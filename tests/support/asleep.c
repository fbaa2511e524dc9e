#include "asleep.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

/* In a row, with the same number of switches. */
#define LOOKS 5

void asleep_begin(struct asleep *asleep)
{
  atomic_init(&asleep->thread, 0);
}

void asleep_here(struct asleep *asleep)
{
  atomic_store(&asleep->thread, (int)gettid());
}

/* Does the thread sleep, and how often has it done so? */
static int sleeps(int thread, unsigned long *times)
{
  char path[64], line[128], state = '?';
  FILE *file;

  snprintf(path, sizeof path, "/proc/self/task/%d/status", thread);
  file = fopen(path, "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    (void)sscanf(line, "State: %c", &state);
    (void)sscanf(line, "voluntary_ctxt_switches: %lu", times);
  }
  if (file != NULL)
    fclose(file);
  return state == 'S';
}

void asleep_wait(struct asleep *asleep)
{
  unsigned long times = 0, before = 0;
  unsigned looks = 0;

  /* Ends: the test has seen to it that the thread's call waits. */
  while (looks < LOOKS) {
    int thread = atomic_load(&asleep->thread);
    looks = thread != 0 && sleeps(thread, &times) && times == before ? looks + 1
                                                                     : 0;
    before = times;
    sched_yield();
  }
}
