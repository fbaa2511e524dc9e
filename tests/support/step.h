/*
 * Orders threads exactly, by states and not by time.
 *
 * Steps are counted from 1. A thread that has reached a state says
 * step_done(n); a thread that needs it says step_wait(n). Each number is
 * done once, and doing n does every smaller number too.
 *
 * A step that does not come within a minute ends the process with a message:
 * its thread hangs in the library, so nothing could be cleaned up.
 */
#ifndef CMAP_TEST_STEP_H
#define CMAP_TEST_STEP_H

#include <pthread.h>

/* Seconds until a test that waits is taken for hung. */
#define STEP_SECONDS 60

struct step {
  pthread_mutex_t mutex; /* guards done */
  pthread_cond_t changed;
  unsigned done; /* the greatest step that was done */
};

void step_begin(struct step *step);
void step_end(struct step *step);

void step_wait(struct step *step, unsigned n);
void step_done(struct step *step, unsigned n);

#endif
