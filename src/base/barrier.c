#include "base/barrier.h"

#include "base/atomics.h"

#if defined(__linux__)
#  include <sched.h>
#  include <stdint.h>
#  include <sys/syscall.h>
#  include <time.h>
#  include <unistd.h>
#endif

#if defined(__linux__) && defined(SYS_membarrier)

/* Of linux/membarrier.h, which not every libc comes with. */
#  define PRIVATE_EXPEDITED          (1 << 3)
#  define REGISTER_PRIVATE_EXPEDITED (1 << 4)

static bool command(int what)
{
  return syscall(SYS_membarrier, what, 0, 0) == 0;
}

bool cmap__barrier_init(void)
{
  return command(REGISTER_PRIVATE_EXPEDITED) && command(PRIVATE_EXPEDITED);
}

/* What follows is no cancellation point, and no call that could be refused. */
static void let_it_be_written(void)
{
  struct timespec begin, now;
  int64_t passed;

  (void)clock_gettime(CLOCK_MONOTONIC, &begin);
  do {
    (void)sched_yield();
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    passed = ((int64_t)now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec -
             begin.tv_nsec;
  } while (passed < CMAP__BARRIER_NAP_NS);
}

bool cmap__barrier_all(void)
{
  bool done;

  cmap__fence_seq_cst();
  done = command(PRIVATE_EXPEDITED) || cmap__barrier_init();
  if (!done)
    let_it_be_written();
  cmap__fence_seq_cst();
  return done;
}

#else

bool cmap__barrier_init(void)
{
  return false;
}

bool cmap__barrier_all(void)
{
  return false;
}

#endif
