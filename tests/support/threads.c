#include "threads.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "settings.h"
#include "step.h"

/* Seconds that threads_run waits beyond the soak time. */
#define RUN_SECONDS   300
/* Looks at a meeting before the processor is offered to others. */
#define MEETING_SPINS 2000

static void *thread_main(void *thread)
{
  struct thread *t = thread;

  t->run(t->index, t->ctx);
  return NULL;
}

void thread_start(struct thread *thread, thread_fn *run, unsigned index,
                  void *ctx)
{
  thread->run = run;
  thread->ctx = ctx;
  thread->index = index;
  if (pthread_create(&thread->id, NULL, thread_main, thread) != 0) {
    fprintf(stderr, "no thread\n");
    abort();
  }
}

/* Windows has no such call: a test that hangs there ends with ctest's limit. */
#ifdef _WIN32
static int join_until(pthread_t id, const struct timespec *end)
{
  (void)end;
  return pthread_join(id, NULL);
}
#else
static int join_until(pthread_t id, const struct timespec *end)
{
  return pthread_timedjoin_np(id, NULL, end);
}
#endif

static void join_within(struct thread *thread, uint64_t seconds)
{
  struct timespec end;
  int error;

  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += (time_t)seconds;
  error = join_until(thread->id, &end);
  if (error != 0) {
    fprintf(stderr, "thread %u did not end within %llu s: it hangs\n",
            thread->index, (unsigned long long)seconds);
    abort();
  }
}

void thread_join(struct thread *thread)
{
  join_within(thread, STEP_SECONDS);
}

struct run {
  struct meeting start;
  thread_fn *run;
  void *ctx;
};

static void start_together(unsigned index, void *ctx)
{
  struct run *run = ctx;

  meeting_wait(&run->start);
  run->run(index, run->ctx);
}

void threads_run(unsigned count, thread_fn *run, void *ctx)
{
  struct thread threads[THREADS_MAX];
  struct run all = {.run = run, .ctx = ctx};

  meeting_begin(&all.start, count);
  for (unsigned i = 0; i < count; i++) {
    thread_start(&threads[i], start_together, i, &all);
  }
  for (unsigned i = 0; i < count; i++) {
    join_within(&threads[i], RUN_SECONDS + test_soak_seconds());
  }
  checks_assert();
}

void meeting_begin(struct meeting *meeting, unsigned count)
{
  meeting->count = count;
  atomic_init(&meeting->arrived, 0);
  atomic_init(&meeting->finished, 0);
}

void meeting_wait(struct meeting *meeting)
{
  unsigned round = atomic_load(&meeting->finished);

  if (atomic_fetch_add(&meeting->arrived, 1) + 1 == meeting->count) {
    atomic_store(&meeting->arrived, 0);
    atomic_fetch_add(&meeting->finished, 1);
    return;
  }
  /* Ends when the last thread arrives. */
  for (unsigned spins = 0; atomic_load(&meeting->finished) == round; spins++) {
    if (spins >= MEETING_SPINS) {
      sched_yield();
    }
  }
}
