/*
 * Waits until another thread's call waits: for a lock, or for a construction.
 * The library says so, by its hook for tests (sync/park.h): the wait is
 * announced and published, and what the thread does in between, a page fault
 * or a mutex that it must have first, is not taken for it. Whether it sleeps by
 * then is no matter: it will not go on before another thread lets it.
 *
 * The programs that are linked with the library's objects have the hook, and
 * for the others the shared library for tests exports these functions.
 */
#ifndef CMAP_TEST_ASLEEP_H
#define CMAP_TEST_ASLEEP_H

#include <stdatomic.h>
#include <sys/types.h>

#define ASLEEP_EXPORT __attribute__((visibility("default")))

struct asleep {
  atomic_uint times; /* that the thread has begun to wait in the library */
  pid_t thread;      /* its number in the kernel */
};

ASLEEP_EXPORT void asleep_begin(struct asleep *asleep);

/* From now on the calling thread's waits are counted here. */
ASLEEP_EXPORT void asleep_here(struct asleep *asleep);

/* How often that thread has begun to wait. */
ASLEEP_EXPORT unsigned asleep_times(const struct asleep *asleep);

/* Waits until it has for the first time. A minute without ends the process. */
ASLEEP_EXPORT void asleep_wait(const struct asleep *asleep);

/*
 * Waits until it has, and the kernel says that the thread sleeps: it has no
 * mutex of the library then, which it has for a moment before with POSIX
 * mutexes. Only where nothing else wakes it.
 */
ASLEEP_EXPORT void asleep_wait_in_kernel(const struct asleep *asleep);

#endif
