#include "step.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* The threads of mingw-w64 know one clock for waits. */
#ifdef _WIN32
#  define STEP_CLOCK CLOCK_REALTIME
#else
#  define STEP_CLOCK CLOCK_MONOTONIC
#endif

void step_begin(struct step *step)
{
  pthread_condattr_t attributes;

  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, STEP_CLOCK);
  pthread_mutex_init(&step->mutex, NULL);
  pthread_cond_init(&step->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  step->done = 0;
}

void step_end(struct step *step)
{
  pthread_cond_destroy(&step->changed);
  pthread_mutex_destroy(&step->mutex);
}

void step_wait(struct step *step, unsigned n)
{
  struct timespec end;
  int error = 0;

  clock_gettime(STEP_CLOCK, &end);
  end.tv_sec += STEP_SECONDS;
  pthread_mutex_lock(&step->mutex);
  /* Ends: each pass follows a change of the count, or the time is over. */
  while (step->done < n && error == 0) {
    error = pthread_cond_timedwait(&step->changed, &step->mutex, &end);
  }
  if (step->done < n) {
    fprintf(stderr, "step %u did not come within %d s (at step %u)\n", n,
            STEP_SECONDS, step->done);
    abort();
  }
  pthread_mutex_unlock(&step->mutex);
}

void step_done(struct step *step, unsigned n)
{
  pthread_mutex_lock(&step->mutex);
  if (step->done < n) {
    step->done = n;
  }
  /* Not signal: several threads may wait, for different steps. */
  pthread_cond_broadcast(&step->changed);
  pthread_mutex_unlock(&step->mutex);
}
