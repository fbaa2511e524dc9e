/*
 * What happens when an assertion fails.
 *
 * The line goes out by one write(2): it is whole when several threads fail at
 * once, and needs neither memory nor a stream lock, since the failure may be
 * in whoever holds them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/atomics.h"
#include "base/check.h"

static void write_and_abort(const char *file, int line, const char *text)
{
  char message[512];

  if (CMAP_CHECK == 0)
    return;

  int size = snprintf(message, sizeof message - 1,
                      "libcmap: %s:%d: assertion failed: %s", file, line, text);
  size_t used = size < 0 ? 0 : (size_t)size;

  if (used > sizeof message - 2)
    used = sizeof message - 2;
  message[used++] = '\n';

  /* Where nothing can be written, abort() still tells of the failure. */
  ssize_t written = write(STDERR_FILENO, message, (unsigned)used);

  (void)written;
  abort();
}

/* NULL is the default. Relaxed: it points to code, and orders nothing else. */
static cmap__check_handler *_Atomic check_handler;

void cmap__check_failed(const char *file, int line, const char *text)
{
  cmap__check_handler *handler = cmap__load_relaxed(&check_handler);

  if (handler == NULL)
    handler = write_and_abort;
  handler(file, line, text);
}

cmap__check_handler *cmap__check_set_handler(cmap__check_handler *handler)
{
  cmap__check_handler *former = cmap__load_relaxed(&check_handler);

  /* Two steps, not an exchange: only one thread of a test sets handlers. */
  cmap__store_relaxed(&check_handler, handler);
  return former;
}
