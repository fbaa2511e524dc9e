/*
 * What the files of 07_add_or_update share: what an add is, and the step helper
 * that stops one thread in the middle of a callback until others have added.
 */
#ifndef STEP_H
#define STEP_H

#include <cmap.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 10, ADDS = 1000, SUM = THREADS * (ADDS * (ADDS - 1) / 2) };

/* One call of one thread: what the callbacks get as ctx. */
struct add {
  int thread;
  long i;
};

/* How often an update callback has run. */
static atomic_int update_calls;

static inline void must(enum cmap_status status)
{
  if (status == CMAP_OK)
    return;
  fprintf(stderr, "%s\n", cmap_status_text(status));
  exit(1);
}

/* Where a callback can be stopped. */
enum place { NOWHERE, IN_ADD, IN_UPDATE };

static enum place stop_at;   /* const while threads run */
static bool has_stopped;     /* the first thread's */
static sem_t stopped, go_on; /* posted by the first thread; for it */

static inline void step_wait(sem_t *step)
{
  while (sem_wait(step) != 0)
    ; /* a signal came */
}

/* Stops the first thread, the first time that it comes to stop_at. */
static inline void stop_here(enum place here, const struct add *add)
{
  if (here != stop_at || add->thread != 0 || has_stopped)
    return;
  has_stopped = true;
  sem_post(&stopped);
  step_wait(&go_on);
}

#endif
