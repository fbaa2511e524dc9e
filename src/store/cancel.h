/*
 * Cancellation is put off while the store's own books are kept.
 *
 * A thread that is cancelled between two steps of ours, in a destructor or a
 * notice that makes a system call, say, would leave references behind. It is
 * cancelled afterwards instead. Constructors may be cancelled: their end is a
 * failure.
 */
#ifndef CMAP__STORE_CANCEL_H
#define CMAP__STORE_CANCEL_H

#include <pthread.h>

/* Returns what cmap__cancel_restore gets. */
static inline int cmap__cancel_disable(void)
{
  int before;

  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
  return before;
}

static inline void cmap__cancel_restore(int before)
{
  (void)pthread_setcancelstate(before, NULL);
}

#endif
