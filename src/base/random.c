/*
 * getrandom, and the device where that is refused: by a kernel that does not
 * have it, or by a filter of system calls that does not know it.
 *
 * Other POSIX systems have getentropy. Empty on Windows: windows.c serves.
 */
#include "base/random.h"

#ifdef __linux__

#  include <errno.h>
#  include <fcntl.h>
#  include <sys/random.h>
#  include <unistd.h>

/* A part of the bytes, from the device if `fd` is one. */
static ssize_t some_bytes(int fd, void *bytes, size_t size)
{
  return fd < 0 ? getrandom(bytes, size, 0) : read(fd, bytes, size);
}

static bool fill_bytes(int fd, void *bytes, size_t size)
{
  unsigned char *next = bytes;

  /* Ends: each turn fills at least a byte, fails, or was interrupted. */
  while (size > 0) {
    ssize_t got = some_bytes(fd, next, size);

    if (got > 0) {
      next += got;
      size -= (size_t)got;
    } else if (got == 0 || errno != EINTR) {
      return false;
    }
  }
  return true;
}

bool cmap__random_bytes(void *bytes, size_t size)
{
  bool filled = fill_bytes(-1, bytes, size);
  int device;

  if (filled)
    return true;
  device = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
  if (device < 0)
    return false;
  filled = fill_bytes(device, bytes, size);
  (void)close(device);
  return filled;
}

#elif !defined(_WIN32)

#  ifdef __APPLE__
#    include <sys/random.h>
#  endif
#  include <unistd.h>

/* It gives no more at once. */
#  define ENTROPY_MOST ((size_t)256)

bool cmap__random_bytes(void *bytes, size_t size)
{
  unsigned char *next = bytes;

  while (size > 0) {
    size_t some = size < ENTROPY_MOST ? size : ENTROPY_MOST;

    if (getentropy(next, some) != 0)
      return false;
    next += some;
    size -= some;
  }
  return true;
}

#endif
