/*
 * What POSIX has for system.h. Empty on Windows: windows.c serves there.
 */
#include "base/system.h"

#ifndef _WIN32

#  include <errno.h>
#  include <fcntl.h>
#  include <pthread.h>
#  include <stdint.h>
#  include <stdlib.h>
#  include <unistd.h>

#  include "base/atomics.h"

/* Asked for once: it takes glibc some 6 us to read it from /sys. */
size_t cmap__processors(void)
{
  static _Atomic long known; /* 0: not yet */
  long count = cmap__load_relaxed(&known);

  if (count == 0) {
    count = sysconf(_SC_NPROCESSORS_ONLN);
    count = count < 1 ? 1 : count;
    cmap__store_relaxed(&known, count); /* the same by every thread */
  }
  return (size_t)count;
}

void *cmap__aligned_alloc(size_t align, size_t size)
{
  return aligned_alloc(align, size);
}

void cmap__aligned_free(void *memory)
{
  free(memory);
}

bool cmap__at_fork(void (*prepare)(void), void (*parent)(void),
                   void (*child)(void))
{
  return pthread_atfork(prepare, parent, child) == 0;
}

#  ifdef __linux__
#    include <sys/eventfd.h>

/* One descriptor is both ends. */
bool cmap__event_open(struct cmap__event *event)
{
  event->seen = event->set = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return event->seen >= 0;
}

#  else

bool cmap__event_open(struct cmap__event *event)
{
  int ends[2];

  if (pipe(ends) != 0)
    return false;
  for (int i = 0; i < 2; i++) {
    (void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[i], F_SETFL, O_NONBLOCK);
  }
  event->seen = ends[0];
  event->set = ends[1];
  return true;
}

#  endif

/* Does not block: it is written to once. */
void cmap__event_set(const struct cmap__event *event)
{
  const uint64_t one = 1;
  ssize_t written;

  do
    written = write(event->set, &one, sizeof one);
  while (written < 0 && errno == EINTR);
}

void cmap__event_close(const struct cmap__event *event)
{
  (void)close(event->seen);
  if (event->set != event->seen)
    (void)close(event->set);
}

#endif
