/*
 * Parking on Linux futexes.
 *
 * The kernel compares the word and queues the thread in one step under the
 * lock of its hash bucket, which a wake-up takes as well: invariant 1 of
 * park.h. The classes are the kernel's bit sets, so that a wake-up of one
 * writer never goes to a reader.
 *
 * The numbers below are the kernel's binary interface. They stand here because
 * <linux/futex.h> is not on the include path of every C library (musl-gcc).
 *
 * Empty with CMAP_LOCK_PTHREAD, and where there is no Linux.
 */
#include "sync/park.h"

#if !defined(CMAP_LOCK_PTHREAD) && defined(__linux__)

#  include <errno.h>
#  include <sched.h>
#  include <stddef.h>
#  include <sys/syscall.h>
#  include <unistd.h>

#  define FUTEX_OP_WAIT_BITSET 9
#  define FUTEX_OP_WAKE_BITSET 10
#  define FUTEX_OP_PRIVATE     128

/*
 * The time that the system call reads: C's struct timespec may be wider where
 * long has 32 bits. x32 passes 64 bits; newer 32-bit systems know only the
 * call with 64 bits. A monotonic clock does not reach 2^31 seconds.
 */
#  ifndef SYS_futex
#    define SYS_futex  SYS_futex_time64
#    define FUTEX_LONG int64_t
#  elif defined(__x86_64__)
#    define FUTEX_LONG int64_t
#  else
#    define FUTEX_LONG long
#  endif

struct futex_time {
  FUTEX_LONG seconds;
  FUTEX_LONG nanoseconds;
};

enum cmap__park_result cmap__park_wait(_Atomic uint32_t *word,
                                       uint32_t expected, uint32_t class_mask,
                                       uint64_t deadline_ns)
{
  uint64_t ns =
      deadline_ns < CMAP__PARK_LATEST ? deadline_ns : CMAP__PARK_LATEST;
  struct futex_time until = {.seconds = (FUTEX_LONG)(ns / CMAP__NS_PER_S),
                             .nanoseconds = (FUTEX_LONG)(ns % CMAP__NS_PER_S)};
  enum cmap__park_result result = CMAP__PARK_WOKEN;
  int saved_errno = errno;

  cmap__park_begin();
  /* The bit-set form takes an absolute time of CLOCK_MONOTONIC. */
  if (syscall(SYS_futex, word, FUTEX_OP_WAIT_BITSET | FUTEX_OP_PRIVATE,
              expected, deadline_ns == CMAP__NO_DEADLINE ? NULL : &until, NULL,
              class_mask) != 0) {
    if (errno == EAGAIN)
      result = CMAP__PARK_CHANGED;
    else if (errno == ETIMEDOUT)
      result = CMAP__PARK_TIMEDOUT;
    else if (errno != EINTR)
      sched_yield(); /* refused: the caller's loop becomes a patient poll */
  }
  errno = saved_errno;
  return result;
}

void cmap__park_alone(void)
{
  /* The kernel knows the child's threads only. */
}

void cmap__park_wake(_Atomic uint32_t *word, uint32_t class_mask, int how_many)
{
  int saved_errno = errno;

  /*
   * Fails only for an address that is not mapped; then nobody sleeps there.
   */
  syscall(SYS_futex, word, FUTEX_OP_WAKE_BITSET | FUTEX_OP_PRIVATE, how_many,
          NULL, NULL, class_mask);
  errno = saved_errno;
}

#endif
