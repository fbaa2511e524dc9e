/*
 * Read holds without a locked instruction: a lock that only readers have used
 * for a while is biased towards them.
 *
 * A reader of a biased lock writes the lock's address into a seat of its own
 * thread, looks at the lock's word, and if the bias is still there it holds the
 * lock: no other thread's line was written. It leaves by clearing the seat.
 *
 * A writer that finds the bias takes it away (cmap__bias_revoke): it clears the
 * bit, asks all threads, by a number beside their seats, and makes every thread
 * pass a barrier, with membarrier(2). After that a reader either is seen in its
 * seat, or sees that the bias is gone; and one that leaves its seat either is
 * seen to have left, or sees that it is asked. Those that are seen in their
 * seats are counted in the word from then on, as other readers are, and that is
 * all the difference that a bias makes: who waits for whom, who is let in next,
 * what a deadlock is or an abandoned lock, the word and the holds tell as ever.
 * A reader that is asked when it leaves takes back that it was counted, or sees
 * to it that it will not be.
 *
 * Readers pay for the barrier only that the compiler keeps the order; writers
 * pay some microseconds, and table/ sees to it that they do so seldom
 * (cmap__table_bias). Where the system has no such call, no lock is ever
 * biased.
 *
 * Concurrency: the seats, of which sync/hold.h has the struct, are written by
 * their thread; `asked` and `counted` by all. Who leaves never waits; writers
 * of a lock wait for the one that takes its bias away.
 */
#ifndef CMAP__SYNC_BIAS_H
#define CMAP__SYNC_BIAS_H

#include "sync/hold.h"
#include "sync/shardlock.h"

/* Are locks to be biased? Atomic: not any more if the barrier fails. Tests set
 * it. */
extern _Atomic bool cmap__bias_works;

/*
 * The fence of the side that is passed often: for the compiler. It orders the
 * store before it and the load behind it for those who call the heavy one.
 */
static inline void cmap__fence_light(void)
{
  atomic_signal_fence(memory_order_seq_cst);
}

/* After a seat was cleared: the thread is asked. */
void cmap__seat_leave_slow(struct cmap__seats *seats,
                           struct cmap__shardlock *lock, unsigned i);

/* Seats that are given are the calling thread's, here and below. */
static inline void cmap__seat_leave(struct cmap__seats *seats,
                                    struct cmap__shardlock *lock, unsigned i)
{
  cmap__store_release(&seats->lock[i], NULL); /* [H2] */
  cmap__fence_light();
  /* Relaxed: the barrier orders. [H2] */
  if (cmap__unlikely(cmap__load_relaxed(&seats->asked) != 0))
    cmap__seat_leave_slow(seats, lock, i);
  seats->used &= ~(1u << i);
}

/*
 * How an attempt at a read hold went. By value: callers have all they know in
 * registers.
 */
enum {
  CMAP__READ_REFUSED = -1, /* the lock is not held */
  CMAP__READ_COUNTED = 0   /* more: 1 more than the number of the hold's seat */
};

/* An attempt at a hold in a seat, by a thread that expects a bias. Refused: it
 * expects none any more, or has no seat left. */
static inline int cmap__read_try_seat(struct cmap__holder *self,
                                      struct cmap__shardlock *lock)
{
  struct cmap__seats *seats = self->seats;
  unsigned i = (unsigned)__builtin_ctz(~seats->used);

  if (cmap__unlikely(i >= CMAP__SEATS))
    return CMAP__READ_REFUSED;
  seats->used |= 1u << i;
  cmap__store_release(&seats->lock[i], lock); /* [H1] [H2] */
  cmap__fence_light();
  if (cmap__likely((cmap__load_acquire(&lock->word) & /* [L1] [H1] */
                    ~CMAP__LOCK_READERS) == CMAP__LOCK_BIASED))
    return (int)i + 1;
  cmap__seat_leave(seats, lock, i);
  self->expects_bias = false;
  return CMAP__READ_REFUSED;
}

/* The rest of an attempt whose word was not as expected. */
int cmap__read_try_slow(struct cmap__holder *self, struct cmap__shardlock *lock,
                        uint32_t word);

/*
 * One attempt at a read hold, as cmap__shardlock_try_read; `self`: &cmap__self.
 * Biased locks are expected where the last one was, so that others are not
 * looked at twice.
 */
static inline int cmap__read_try(struct cmap__holder *self,
                                 struct cmap__shardlock *lock)
{
  uint32_t word = 0;

  if (self->expects_bias) {
    int seat = cmap__read_try_seat(self, lock);
    if (cmap__likely(seat != CMAP__READ_REFUSED))
      return seat;
  }
  return cmap__likely(cmap__cas_strong_acquire(
             &lock->word, &word, CMAP__LOCK_ONE_READER)) /* [L1] */
             ? CMAP__READ_COUNTED
             : cmap__read_try_slow(self, lock, word);
}

/* Ends a read hold. */
static inline void cmap__read_end(struct cmap__shardlock *lock, int seat)
{
  if (cmap__likely(seat != CMAP__READ_COUNTED))
    cmap__seat_leave(cmap__self.seats, lock, (unsigned)seat - 1);
  else
    cmap__shardlock_read_unlock(lock);
}

/* Others may have to know of the hold in a seat. */
static inline void cmap__seat_show(struct cmap__seats *seats, unsigned i,
                                   const void *object, const uint64_t *hashes)
{
  seats->hashes[i] = hashes;
  cmap__hold_fence();
  cmap__store_relaxed(&seats->object[i], object);
}

static inline void cmap__seat_hide(struct cmap__seats *seats, unsigned i)
{
  cmap__store_relaxed(&seats->object[i], NULL);
}

/* Guards that name the seat are stale from now on. */
static inline void cmap__seat_renew(struct cmap__seats *seats, unsigned i)
{
  cmap__store_relaxed(&seats->serial[i],
                      cmap__load_relaxed(&seats->serial[i]) + 1);
}

/* Links those holds of the thread of `holder`, the calling one, whose seats
 * have not changed since the last time in the detector: the first of them. */
struct cmap__hold *cmap__seats_list(const struct cmap__holder *holder);

/* A read hold of the calling thread is counted from now on: others are to end
 * it. */
void cmap__read_count(struct cmap__shardlock *lock, int seat);

/* Biases a lock that the caller holds to read, counted, unless somebody waits
 * for it. */
void cmap__bias_give(struct cmap__shardlock *lock);

/* Takes the bias away, if there is one. While another thread does so, the lock
 * has one reader more. */
void cmap__bias_revoke(struct cmap__shardlock *lock);

/* Seats for the calling thread, which has none; it has none still without
 * memory, or if 1,024 others have some. */
void cmap__seats_begin(void);

/* The calling thread ends while calls have seats: their locks are marked. */
void cmap__seats_abandon_calls(struct cmap__holder *self);

/* The same of guards, and the thread has no seats any more. */
void cmap__seats_end(struct cmap__holder *self);

/* The object is destroyed: guards that are out, of the calling thread and of
 * threads that have ended, hold nothing of it any more. */
void cmap__seats_release(const void *object);

/* No thread has any: those of threads that have ended are freed. */
void cmap__seats_free(void);

/* When the library is loaded. */
void cmap__bias_init(void);

/* In a child of fork, which has the calling thread only. */
void cmap__seats_alone(void);

#endif
