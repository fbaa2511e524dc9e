/*
 * Deadlock detection: a wait that could never end is refused.
 *
 * Threads that hold something publish what they wait for, and search, in one
 * step under one mutex, before they park. A thread that holds nothing does
 * neither: it cannot close a cycle.
 *
 *   Exact     The search follows waits to those who hold, now, what is waited
 *             for, and goes only through threads whose wait is published:
 *             their holds do not change before it is taken back, under the
 *             mutex, but for what is lent there. All members of a cycle but the
 *             last are in that state when the last one searches, so that it
 *             sees the whole cycle; and what it sees is one: each of its
 *             members would wait again for the next.
 *   Refused   The one who closes the cycle, if no other member has a deadline:
 *             else that member's wait ends, and the cycle with it.
 *   Admitted  A reader that only a waiting writer keeps out of a lock that
 *             others read does not conflict with those who hold it. A cycle
 *             through it is resolved by making it the readers' turn at that
 *             lock, and nobody is refused.
 *   Lent      A call that only reads, and can begin again, lends what it holds
 *             while it waits for more (struct cmap__lending). A cycle through
 *             a writer that waits for such a hold is resolved by taking that
 *             away, whoever closes the cycle, and nobody is refused. A read
 *             lock can be ended by any thread, and the call looks at what it
 *             holds only when its wait is taken back, under the mutex: so it
 *             sleeps on.
 *
 * What is waited for is a hash of an object: a table, whose lock of that hash
 * is meant, or anything else that can be held (sync/hold.h). So a shard may
 * be split or merged while somebody waits for it, and the wait says what it
 * said.
 *
 * Cost: nothing for threads that hold nothing, and nothing without waiting.
 * The search is quadratic in the number of threads that wait while they hold.
 *
 * LOCK ORDER: the mutex comes after all locks but those of parking.
 */
#ifndef CMAP__SYNC_DEADLOCK_H
#define CMAP__SYNC_DEADLOCK_H

#include "sync/hold.h"
#include "sync/shardlock.h"

/* A wait, on the stack of the thread that waits. */
struct cmap__wait {
  /* What for; the caller fills these. */
  const void *object;
  uint64_t hash;
  enum cmap__mode mode;
  bool timed;                   /* the wait has a deadline */
  struct cmap__shardlock *lock; /* NULL: it is not a shard's */
  /* Not NULL: set when there is nothing to wait for any more, though who holds
     the object may not know yet. */
  const _Atomic bool *over;

  /* Of the detector, under its mutex. */
  struct cmap__holder *holder;
  struct cmap__wait *next, *prev; /* the published waits */
  struct cmap__wait *queued;      /* next in the search */
  struct cmap__wait *soluble;     /* on the way here, that can be ended: its
                                     reader let in past a writer, or its writer
                                     lent the lock; or NULL */
  bool seen, seen_soft, admitted;
};

/*
 * The calling thread is about to park.
 *   CMAP__LOCK_OK        the wait is published, until cmap__deadlock_leave
 *   CMAP__LOCK_DEADLOCK  it would never end; not published
 *   CMAP__LOCK_AGAIN     the lock may be had now: look again; not published
 *
 * Published it stays while the thread wakes up, looks, and parks again: to
 * enter anew would make it the one who closes a circle that another has closed
 * meanwhile. That it runs in between is no matter: what it holds, and what it
 * wants, stays the same.
 */
enum cmap__lock_result cmap__deadlock_enter(struct cmap__wait *wait);

/*
 * The thread of a published wait is about to park once more. CMAP__LOCK_OK, or
 * CMAP__LOCK_AGAIN as above, but still published.
 */
enum cmap__lock_result cmap__deadlock_again(struct cmap__wait *wait);

void cmap__deadlock_leave(struct cmap__wait *wait);

/* Around fork: in between, nobody publishes a wait or takes it back. `alone`:
 * in the child, whose only thread does not wait. */
void cmap__deadlock_stop(void);
void cmap__deadlock_go_on(bool alone);

#endif
