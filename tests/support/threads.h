/*
 * Threads of a test: started at once, joined with a watchdog.
 *
 * Failures on these threads are recorded by CHECK; threads_run and
 * thread_join leave it to the caller to call checks_assert after the join,
 * except that threads_run does it itself.
 */
#ifndef CMAP_TEST_THREADS_H
#define CMAP_TEST_THREADS_H

#include <pthread.h>
#include <stdatomic.h>

#include "checks.h"

typedef void thread_fn(unsigned index, void *ctx);

/* No test has more threads. */
#define THREADS_MAX 64

/*
 * Runs `count` threads that begin run(0 ... count - 1, ctx) together, joins
 * them and asserts that no check has failed. A run that takes longer than
 * five minutes more than the soak time ends the process.
 */
void threads_run(unsigned count, thread_fn *run, void *ctx);

/* One thread. */
struct thread {
  pthread_t id;
  thread_fn *run;
  void *ctx;
  unsigned index;
};

void thread_start(struct thread *thread, thread_fn *run, unsigned index,
                  void *ctx);

/* Joins; after STEP_SECONDS without success it ends the process. */
void thread_join(struct thread *thread);

/*
 * A meeting point of `count` threads, for many short rounds: it spins, then
 * yields, so that the threads leave it as close together as can be.
 */
struct meeting {
  unsigned count;       /* const after meeting_begin */
  atomic_uint arrived;  /* threads in this round */
  atomic_uint finished; /* rounds; all that was done before a round happens
                           before all that is done after it */
};

void meeting_begin(struct meeting *meeting, unsigned count);
void meeting_wait(struct meeting *meeting);

#endif
