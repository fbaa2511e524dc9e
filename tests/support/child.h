/*
 * Children of fork that check something, in a process of their own.
 */
#ifndef CMAP_TEST_CHILD_H
#define CMAP_TEST_CHILD_H

#include <stdbool.h>

/* In a child: ends it, with a message, unless the condition holds. */
#define CHILD_CHECK(condition)                                                 \
  ((condition) ? (void)0 : child_failed(__FILE__, __LINE__, #condition))

/* The same for calls that return CMAP_OK. */
#define CHILD_OK(call) CHILD_CHECK((call) == CMAP_OK)

_Noreturn void child_failed(const char *file, int line, const char *what);

/*
 * What a child of a process with threads may do. The locks of
 * AddressSanitizer's allocator may be held by threads that were allocating;
 * ThreadSanitizer allows a child no threads, and qemu's emulation fails.
 */
extern const bool child_may_allocate;
bool child_may_start_threads(void);

/*
 * Forks; the child calls run(ctx) and ends. Returns in the parent, with the
 * child's number; < 0: the fork failed. A child that runs for a minute is
 * killed.
 */
int child_start(void (*run)(void *ctx), void *ctx);

/* Waits for the child; asserts that it has come to its end. */
void child_assert(int child);

#endif
