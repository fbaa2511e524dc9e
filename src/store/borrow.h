/*
 * Borrowed objects: references that are not counted.
 *
 * A thread says in its own line of the store (store/counts.h) which objects it
 * has borrowed. So threads that use one object write no memory that others
 * read, but for who gives up the object's last reference: that one looks
 * through all lines, and if the object is there it leaves it retired. Who gives
 * a borrowed object back looks whether it is retired, and if nobody has it any
 * more destroys it.
 *
 *   1. Who borrows says so, and then looks whether the object is still in the
 *      map. Who takes it out of the map does that before it gives the map's
 *      reference up, and looks at the lines after that. With a full barrier in
 *      each, one of the two sees the other [N7].
 *   2. Who retires says so, and then looks at the lines; who gives back does
 *      so, and then looks whether the object is retired: the same. So the last
 *      of them sees that it is to go.
 *   3. Who sees that takes `retired` away, which one thread does at a time, and
 *      then looks for others who have it; if there are any, it says so again as
 *      in 2, and looks again. Only who has taken it away knows which object the
 *      header is of: what was given back may have been destroyed, and the
 *      header be another one's, or its page with the system, where it reads as
 *      not retired.
 *
 * A thread has room for a few; beyond that, and where objects are found under a
 * lock, a borrowed handle is a counted reference, with a record as a guard has
 * one, for the thread's end.
 */
#ifndef CMAP__STORE_BORROW_H
#define CMAP__STORE_BORROW_H

#include "store/counts.h"
#include "store/object.h"
#include "sync/shardlock.h"

/* Says that the object is borrowed. Not valid before it was looked for again.
 */
static inline void cmap__borrow(struct cmap__object *_Atomic *borrowed,
                                struct cmap__object *header)
{
  (void)cmap__exchange_seq_cst(borrowed, header);
  cmap__fence_after_rmw(); /* [N7] */
}

/* It is retired, and this thread has just given it back. */
void cmap__borrowed_clear(struct cmap__object *header);

/* Gives the object back. */
static inline void cmap__borrowed_give(struct cmap__object *_Atomic *borrowed,
                                       struct cmap__object *header)
{
  (void)cmap__exchange_seq_cst(borrowed, NULL);
  cmap__fence_after_rmw(); /* [N7] */
  /* Relaxed: behind the barrier. */
  if (cmap__unlikely(cmap__load_relaxed(&header->retired)))
    cmap__borrowed_clear(header);
}

/* The object has no reference any more. True: nobody has borrowed it either. */
bool cmap__borrowed_retire(struct cmap__object *header);

/* Has any thread borrowed anything of the store? */
bool cmap__borrowed_any(struct cmap_store *store);

/* The calling thread ends: gives all back that it has borrowed. */
void cmap__borrowed_end(void);

#endif
