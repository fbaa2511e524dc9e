/*
 * What the calling thread holds: the locks under which it is running user code.
 *
 * A hold is a record on the stack of the call that runs a callback; the records
 * of a thread are a list, innermost first. They are looked at only when a lock
 * is not free at once, so that a call from inside a callback that needs the
 * very lock the thread holds is told so, instead of waiting for itself.
 *
 * Concurrency: everything here belongs to one thread.
 */
#ifndef CMAP__SYNC_HOLD_H
#define CMAP__SYNC_HOLD_H

#include <stdbool.h>
#include <stddef.h>

struct cmap__shardlock;

enum cmap__mode { CMAP__READ, CMAP__WRITE };

struct cmap__hold {
  const struct cmap__shardlock *lock;
  enum cmap__mode mode;
  struct cmap__hold *outer;
};

extern _Thread_local struct cmap__hold *cmap__holds
    __attribute__((tls_model("initial-exec")));

/* User code is about to run under the lock; pairs with cmap__hold_end. */
static inline void cmap__hold_begin(struct cmap__hold *hold,
                                    const struct cmap__shardlock *lock,
                                    enum cmap__mode mode)
{
  hold->lock = lock;
  hold->mode = mode;
  hold->outer = cmap__holds;
  cmap__holds = hold;
}

static inline void cmap__hold_end(struct cmap__hold *hold)
{
  cmap__holds = hold->outer;
}

/* The calling thread's strongest hold of the lock, or NULL. */
static inline const struct cmap__hold *
cmap__hold_find(const struct cmap__shardlock *lock)
{
  const struct cmap__hold *found = NULL;

  for (const struct cmap__hold *h = cmap__holds; h != NULL; h = h->outer) {
    if (h->lock == lock && (found == NULL || h->mode == CMAP__WRITE))
      found = h;
  }
  return found;
}

#endif
