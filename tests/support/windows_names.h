/*
 * Included before all tests on Windows: what they use of POSIX besides.
 */
#ifndef CMAP_TEST_WINDOWS_NAMES_H
#define CMAP_TEST_WINDOWS_NAMES_H

#include <pthread.h>

/* Only told apart. */
static inline int gettid(void)
{
  return (int)pthread_self();
}

/* ctest has a limit, too. */
static inline unsigned alarm(unsigned seconds)
{
  (void)seconds;
  return 0;
}

#endif
