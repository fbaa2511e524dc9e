/*
 * Condition variables whose deadlines are times of the monotonic clock; where
 * one cannot ask for that (macOS, the threads of mingw-w64), waits are for the
 * time that is left.
 */
#include <errno.h>
#include <time.h>

#include "sync/park.h"

static struct timespec timespec_of(uint64_t ns)
{
  uint64_t latest = ns < CMAP__PARK_LATEST ? ns : CMAP__PARK_LATEST;
  struct timespec time = {.tv_sec = (time_t)(latest / CMAP__NS_PER_S),
                          .tv_nsec = (long)(latest % CMAP__NS_PER_S)};

  return time;
}

#if defined(__APPLE__) || defined(_WIN32)

bool cmap__cond_init(pthread_cond_t *cond)
{
  return pthread_cond_init(cond, NULL) == 0;
}

static int wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t ns)
{
  uint64_t now = cmap__now_ns();
  struct timespec left = timespec_of(ns > now ? ns - now : 0);

  return pthread_cond_timedwait_relative_np(cond, mutex, &left);
}

#else

bool cmap__cond_init(pthread_cond_t *cond)
{
  pthread_condattr_t attributes;
  bool made;

  if (pthread_condattr_init(&attributes) != 0)
    return false;
  made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
         pthread_cond_init(cond, &attributes) == 0;
  (void)pthread_condattr_destroy(&attributes);
  return made;
}

static int wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t ns)
{
  struct timespec until = timespec_of(ns);

  return pthread_cond_timedwait(cond, mutex, &until);
}

#endif

bool cmap__cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                     uint64_t deadline_ns)
{
  if (deadline_ns == CMAP__NO_DEADLINE)
    return pthread_cond_wait(cond, mutex) == 0;
  return wait_until(cond, mutex, deadline_ns) != ETIMEDOUT;
}
