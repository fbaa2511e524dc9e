/*
 * Parking on Windows: WaitOnAddress, which compares the word and queues the
 * thread in one step, as a wake-up sees it: invariant 1 of park.h.
 *
 * It has no classes, and no absolute time. So a wake-up reaches all sleepers of
 * the word, and a wait is for what is left in whole milliseconds, rounded up.
 *
 * Empty elsewhere, and with CMAP_LOCK_PTHREAD: park_pthread.c serves then.
 */
#include "sync/park.h"

#if defined(_WIN32) && !defined(CMAP_LOCK_PTHREAD)

#  define WIN32_LEAN_AND_MEAN
#  include <windows.h>

#  include "base/atomics.h"

#  define NS_PER_MS UINT64_C(1000000)

/* A longer wait ends before, and the caller waits again. */
#  define LONGEST_MS UINT64_C(0x7fffffff)

/* Not by a cast from atomic to plain, which compilers warn of. */
static void *address_of(_Atomic uint32_t *word)
{
  return (void *)(uintptr_t)word;
}

static DWORD ms_until(uint64_t deadline_ns)
{
  uint64_t now, ms;

  if (deadline_ns == CMAP__NO_DEADLINE)
    return INFINITE;
  now = cmap__now_ns();
  if (now >= deadline_ns)
    return 0;
  ms = (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS;
  return (DWORD)(ms < LONGEST_MS ? ms : LONGEST_MS);
}

enum cmap__park_result cmap__park_wait(_Atomic uint32_t *word,
                                       uint32_t expected, uint32_t class_mask,
                                       uint64_t deadline_ns)
{
  DWORD saved_error = GetLastError();
  enum cmap__park_result result = CMAP__PARK_WOKEN;

  (void)class_mask; /* every wake-up reaches every class */
  cmap__park_begin();
  /* Relaxed: WaitOnAddress looks again, in order with wake-ups. */
  if (cmap__load_relaxed(word) != expected)
    result = CMAP__PARK_CHANGED;
  else if (!WaitOnAddress(address_of(word), &expected, sizeof expected,
                          ms_until(deadline_ns)) &&
           GetLastError() == ERROR_TIMEOUT && cmap__now_ns() >= deadline_ns)
    result = CMAP__PARK_TIMEDOUT;
  SetLastError(saved_error);
  return result;
}

void cmap__park_alone(void)
{
  /* Nothing forks. */
}

void cmap__park_wake(_Atomic uint32_t *word, uint32_t class_mask, int how_many)
{
  (void)class_mask;
  (void)how_many;
  WakeByAddressAll(address_of(word));
}

#endif
