#include "kernel.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>

#include "clock.h"
#include "fiber.h"
#include "history.h"
#include "memory.h"
#include "recording.h"
#include "report.h"
#include "schedule.h"
#include "shadow.h"
#include "world.h"

static struct {
  bool playing;
  uint64_t random;
  struct futex *futexes;
} now;

static uint64_t heavy_fences;

void kernel_begin(uint64_t seed)
{
  now.playing = true;
  now.random = seed;
  now.futexes = NULL;
  threads_begin();
}

void kernel_end(void)
{
  now.futexes = NULL;
}

void kernel_give_back(void)
{
  now.playing = false;
  heap_give_back();
}

/* -------------------------------------------------------------------------
 * Futexes
 * ------------------------------------------------------------------------- */

/*
 * What is known to who puts himself to sleep: all that happened before the
 * wake-ups so far, which found him not asleep yet. The kernel's barriers on
 * both sides see to that, and to nothing else.
 */
struct futex {
  const void *word;
  struct clock wakers;
  struct futex *next;
};

static struct clock *wakers_of(const void *word)
{
  struct futex *futex = now.futexes;

  while (futex != NULL && futex->word != word)
    futex = futex->next;
  if (futex == NULL) {
    futex = memory_take(sizeof *futex);
    *futex = (struct futex){.word = word, .next = now.futexes};
    now.futexes = futex;
  }
  return &futex->wakers;
}

static long refuse(int error)
{
  errno = error;
  return -1;
}

static long futex_wait(const void *word, uint32_t expected,
                       const struct timespec *until, uint32_t classes)
{
  uint64_t deadline = until == NULL ? SCHEDULE_NO_DEADLINE
                                    : (uint64_t)until->tv_sec * 1000000000 +
                                          (uint64_t)until->tv_nsec;

  if (schedule_once_in(200))
    return refuse(EINTR);
  shadow_access(word, sizeof expected, SHADOW_ATOMIC_READ, report_base());
  if (history_load_seeing(word, wakers_of(word)) != expected)
    return refuse(EAGAIN);
  return schedule_wait(word, classes, deadline) ? 0 : refuse(ETIMEDOUT);
}

static long futex_wake(const void *word, int n, uint32_t classes)
{
  clock_join(wakers_of(word), &clock_of(fiber_self())->now.before);
  return (long)schedule_wake(word, classes, (unsigned)n);
}

/* -------------------------------------------------------------------------
 * membarrier
 * ------------------------------------------------------------------------- */

/* Each thread has its fence at some moment, and none between two of the
 * caller's. */
static void fence_all(void)
{
  unsigned count = schedule_threads(), first = (unsigned)schedule_below(count);

  heavy_fences++;
  clock_fence_of(fiber_self());
  for (unsigned i = 0; i < count; i++) {
    schedule_point();
    clock_fence_of((first + i) % count);
  }
  clock_fence_of(fiber_self());
}

void world_heavy_fence(void)
{
  if (!world_recording)
    return;
  world_enter("heavy fence", NULL, -1, WORLD_SITE);
  fence_all();
  world_leave();
}

uint64_t world_heavy_fences(void)
{
  return heavy_fences;
}

/* The kernel's numbers. */
enum {
  MEMBARRIER_QUERY = 0,
  MEMBARRIER_GLOBAL = 1,
  MEMBARRIER_EXPEDITED = 8,
  MEMBARRIER_REGISTER = 16
};

static long membarrier(long command)
{
  switch (command) {
  case MEMBARRIER_QUERY:
    return MEMBARRIER_GLOBAL | MEMBARRIER_EXPEDITED | MEMBARRIER_REGISTER;
  case MEMBARRIER_REGISTER:
    return 0;
  case MEMBARRIER_GLOBAL:
  case MEMBARRIER_EXPEDITED:
    if (world_recording) {
      world_enter("membarrier", NULL, -1, report_base());
      fence_all();
      world_leave();
    }
    return 0;
  default:
    return refuse(EINVAL);
  }
}

/* -------------------------------------------------------------------------
 * System calls by number
 * ------------------------------------------------------------------------- */

/* linux/futex.h, less FUTEX_PRIVATE_FLAG. */
enum { FUTEX_PRIVATE_BIT = 128, FUTEX_WAIT_BITS = 9, FUTEX_WAKE_BITS = 10 };

long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
  va_list list;
  long args[6], result;

  va_start(list, number);
  for (unsigned i = 0; i < 6; i++)
    args[i] = va_arg(list, long);
  va_end(list);
  if (number == SYS_membarrier)
    return membarrier(args[0]);
  if (number != SYS_futex)
    return refuse(ENOSYS);
  if (!world_recording)
    return 0;
  switch ((int)args[1] & ~FUTEX_PRIVATE_BIT) {
  case FUTEX_WAIT_BITS:
    world_enter("futex wait", (const void *)args[0], -1, WORLD_SITE);
    result = futex_wait((const void *)args[0], (uint32_t)args[2],
                        (const struct timespec *)args[3], (uint32_t)args[5]);
    break;
  case FUTEX_WAKE_BITS:
    world_enter("futex wake", (const void *)args[0], -1, WORLD_SITE);
    result = futex_wake((const void *)args[0], (int)args[2], (uint32_t)args[5]);
    break;
  default:
    world_failed(__FILE__, __LINE__, "this operation of futexes is not known");
  }
  world_leave();
  return result;
}

/* -------------------------------------------------------------------------
 * Time, random bytes, and who runs
 * ------------------------------------------------------------------------- */

int __real_clock_gettime(clockid_t clock, struct timespec *to);
int __wrap_clock_gettime(clockid_t clock, struct timespec *to);
int __wrap_clock_gettime(clockid_t clock, struct timespec *to)
{
  uint64_t ns;

  if (!now.playing)
    return __real_clock_gettime(clock, to);
  ns = schedule_now();
  to->tv_sec = (time_t)(ns / 1000000000);
  to->tv_nsec = (long)(ns % 1000000000);
  return 0;
}

ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned flags)
{
  (void)flags;
  for (size_t i = 0; i < size; i++) {
    now.random = now.random * UINT64_C(6364136223846793005) + 1;
    ((unsigned char *)bytes)[i] = (unsigned char)(now.random >> 56);
  }
  return (ssize_t)size;
}

int __wrap_sched_yield(void);
int __wrap_sched_yield(void)
{
  if (!world_recording)
    return 0;
  world_recording = false;
  history_settle();
  schedule_yield();
  report_step("yield", NULL, -1, WORLD_SITE);
  world_leave();
  return 0;
}
