/*
 * The reader/writer lock of a shard: one 32-bit word.
 *
 * Many readers or one writer. Threads that cannot have the lock spin for a
 * moment, yield a few times, then park on the word. There is no queue and no
 * hand-over: whoever comes at the right moment takes the lock, because to wait
 * for a thread that is not running costs a time slice.
 *
 * Invariants
 *   1. Zeroed memory is an unlocked lock. A lock is never re-initialised and
 *      needs no destruction; its memory outlives every call on it.
 *   2. The word alone decides: a thread parks only on a word whose bits make
 *      somebody wake it.
 *   3. No lost wake-up: whoever clears a bit that says "somebody is parked"
 *      wakes as the bit's description below demands, and whoever gives up
 *      after having set one repairs what it leaves behind.
 *   4. Neither mode starves the other (Policy).
 *   5. Taking a write lock acquires what the releases of earlier write [L1]
 *      and read [L2] holds released; taking a read lock what write holds did
 *      [L1]. Ending a write hold is a full barrier for the caller.
 *
 * The word, from bit 0. "Parked" includes about to park.
 *
 *   WRITER         A writer holds the lock. Set on taking it in write mode,
 *                  cleared on unlock or downgrade. Exact.
 *
 *   WRITERS_WAIT   Writers are parked. Keeps new readers out.
 *                  Set by a writer before it parks; set together with WRITER
 *                  by a writer that has parked, since there may be more;
 *                  cleared by the write unlock or downgrade, which then wakes
 *                  one writer: that one sets it again, for itself or for the
 *                  others. The last reader's unlock wakes one writer and
 *                  leaves the bit set, so that no reader slips in.
 *                  While WRITER is set: legal to set it for nobody (costs a
 *                  wasted wake-up). While WRITER is not set: illegal to leave
 *                  it set when no writer that set it still waits (readers
 *                  would be late). Illegal to clear it without waking a writer,
 *                  as the reader does for whom the writers' turn has lapsed.
 *
 *   READERS_WAIT   Readers are parked. Set by a reader before it parks;
 *                  cleared by the write unlock, by the downgrade and by a
 *                  waiter that gives up, which then wakes all readers; and by
 *                  a reader that has parked and comes before the unlock's
 *                  second step, which wakes them too.
 *                  Illegal to be set when no reader that set it still waits:
 *                  READERS_NEXT would be granted to nobody and writers would
 *                  hang. Illegal without WRITER or WRITERS_WAIT: nobody would
 *                  wake the readers.
 *
 *   READERS_NEXT   It is the readers' turn: writers keep out for a while, and
 *                  readers pass WRITERS_WAIT. Set by the write unlock or
 *                  downgrade that finds READERS_WAIT, and by the deadlock
 *                  detector, instead of it; cleared by the first of those
 *                  readers that takes the lock or gives up, and by a writer
 *                  for whom the turn has lapsed (Policy). Never together
 *                  with WRITER. Legal to clear it early (costs fairness);
 *                  illegal to set it when no reader waits.
 *
 *   PASSED_BY      A reader that was woken once has come too late, and waits
 *                  again: the turn to come, or this one, is a firm one
 *                  (Policy). Set with READERS_WAIT by such a reader; means
 *                  nothing without READERS_WAIT or READERS_NEXT, and goes with
 *                  them. Legal to clear it early (costs fairness).
 *
 *   ABANDONED      A thread ended while it held the lock, in either mode: it
 *                  will never be free again. Set by that thread's end, which
 *                  wakes everybody; never cleared. Writers give up on seeing
 *                  it; readers do if WRITER is set too, and else pay no heed
 *                  to the waiting writers.
 *
 *   WATCHED        A tool that looks for races is told of this lock
 *                  (base/watch.h). Set before anybody sees the lock, and never
 *                  cleared. It is in the way of all short ways, so that every
 *                  call on the lock comes to shardlock.c. A read hold counts
 *                  twice in READERS: its unlock takes one away, tells the tool,
 *                  and takes away the other.
 *
 *   LEAVING        Set and cleared with a write hold of a watched lock, but
 *                  cleared by the unlock's second step, when the tool has been
 *                  told: whoever comes is to be ordered after that. In the way
 *                  of everybody, as WRITER is.
 *
 *   A write unlock has two steps: it takes WRITER away, which is all if no
 *   other bit was set; else it grants what it found to those who waited. In
 *   between the bits lie in a word without WRITER, maybe for nobody, and others
 *   may take the lock. docs/model/lock_word.pml goes through the cases.
 *
 *   BIASED         Readers may hold the lock without being counted here
 *                  (sync/bias.h, which sets and clears it). In the way of
 *                  writers: who finds it has it taken away first. Never
 *                  together with WRITER.
 *
 *   READERS        The number of read holds, from bit 9, but for those that a
 *                  bias hides. Exact.
 *   FULL           Bit 31, the top bit of READERS: no more read holds. There
 *                  can be fewer threads than that; only nested holds get here.
 *
 * Policy
 *   Writers are not starved: once one is parked, new readers park too, also
 *   those that only try; the last reader wakes a writer, whose turn it is.
 *   Readers are not starved: a write unlock that finds parked readers lets
 *   them in, and keeps writers out until one of them has come. (A writer that
 *   comes between its two steps is before them; that one's unlock does it.)
 *   But nobody holds the lock meanwhile, and those whose turn it is may not be
 *   running: a turn lapses. Who waits takes the lock when it has seen nothing
 *   but the others' turn in its way for CMAP__LOCK_TURN_NS. A writer that only
 *   tries, or whose deadline is over, takes it at once, unless the turn is a
 *   firm one that was given less than that time ago; a reader of that kind if
 *   the writers' turn was given CMAP__LOCK_TRY_NS ago. So a reader or writer
 *   that is stopped costs one such time, and one that runs within that time
 *   after being woken comes through, whatever the others do. Who is asleep
 *   when a writer's turn begins looks again by itself: its wait is twice as
 *   long at most, or a tenth of a second longer.
 *   Among writers, and among readers, nobody has a claim to be next.
 *   A reader that holds the lock in read mode already (`already_reads`)
 *   passes waiting writers: they cannot have the lock before it lets go.
 *
 * LOCK ORDER
 *   1. Shard locks, these. Several only in the order of (address of the map,
 *      hash), by try, or with those that are held recorded (sync/hold.h), so
 *      that the deadlock detector sees them.
 *   2. The mutex of a flight of a store; one at a time.
 *   3. The directory mutex of a map; one at a time.
 *   4. The pool mutex of a map or of a store; one at a time.
 *   5. The mutex of the deadlock detector, and that of the records of threads
 *      that have ended; one of them, or in this order.
 *   A thread waits for a lock of a number not below those it holds. User
 *   callbacks run with at most locks of number 1 held. The buckets of
 *   park_pthread.c come after all of these.
 *
 * clang's thread-safety attributes do not express "held in a mode that is
 * known at run time", which guards need, so that they are left out.
 */
#ifndef CMAP__SYNC_SHARDLOCK_H
#define CMAP__SYNC_SHARDLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/compiler.h"
#include "sync/park.h"
#include "sync/token.h"

#define CMAP__LOCK_WRITER       UINT32_C(0x00000001)
#define CMAP__LOCK_WRITERS_WAIT UINT32_C(0x00000002)
#define CMAP__LOCK_READERS_WAIT UINT32_C(0x00000004)
#define CMAP__LOCK_READERS_NEXT UINT32_C(0x00000008)
#define CMAP__LOCK_ABANDONED    UINT32_C(0x00000010)
#define CMAP__LOCK_PASSED_BY    UINT32_C(0x00000020)
#define CMAP__LOCK_WATCHED      UINT32_C(0x00000040)
#define CMAP__LOCK_LEAVING      UINT32_C(0x00000080)
#define CMAP__LOCK_BIASED       UINT32_C(0x00000100)
#define CMAP__LOCK_ONE_READER   UINT32_C(0x00000200)
#define CMAP__LOCK_READERS      UINT32_C(0xfffffe00)
#define CMAP__LOCK_FULL         UINT32_C(0x80000000)

/*
 * How long writers leave a free lock to the readers whose turn it is: 20 times
 * what it takes to wake a thread, and about a time slice, so that most readers
 * come in time where others keep the processors busy.
 */
#define CMAP__LOCK_TURN_NS UINT64_C(2000000)

/*
 * And how long readers that only try leave it to a writer. There is always one
 * that comes just then, and where many threads share a processor a writer may
 * be that late each time.
 */
#define CMAP__LOCK_TRY_NS UINT64_C(100000000)

/*
 * When a thread that has parked looks again by itself for the first time.
 * Const: CMAP__LOCK_TURN_NS; tests of who wakes whom set CMAP__NO_DEADLINE:
 * never.
 */
extern uint64_t cmap__lock_look_ns;

/* On x86 every locked instruction is a full barrier; elsewhere it takes one,
 * and in the world of tests/world, which knows C11 only. */
#if (defined(__x86_64__) || defined(__i386__)) && !defined(CMAP_TEST_WORLD)
#  define cmap__fence_after_rmw() atomic_signal_fence(memory_order_seq_cst)
#else
#  define cmap__fence_after_rmw() cmap__fence_seq_cst()
#endif

struct cmap__shardlock {
  _Atomic uint32_t word; /* as above */
};

enum cmap__lock_result {
  CMAP__LOCK_OK,
  CMAP__LOCK_BUSY,     /* only if try_only; or FULL and already_reads */
  CMAP__LOCK_TIMEDOUT, /* the deadline has passed and the lock is not to be had
                        */
  CMAP__LOCK_CANCELED, /* the token was cancelled, the same */
  CMAP__LOCK_GIVEN_UP, /* a thread ended that held it */
  CMAP__LOCK_DEADLOCK, /* waiting would never have ended: from before_park */
  CMAP__LOCK_MOVED,    /* it protects something else by now: the same */
  CMAP__LOCK_FROZEN,   /* nobody may have it to write: the same */
  CMAP__LOCK_BIAS,     /* to write: the bias is to be taken away first */
  CMAP__LOCK_AGAIN     /* look again, do not park: the same */
};

/* How to wait, and how it went. Belongs to the calling thread. */
struct cmap__lock_wait {
  uint64_t deadline_ns;     /* of cmap__now_ns(), or CMAP__NO_DEADLINE */
  struct cmap_token *token; /* ends the wait when it is cancelled; or NULL */
  bool try_only;            /* do not wait at all */
  bool already_reads;       /* the caller holds this lock in read mode */
  bool soon; /* look again soon, however hot the lock is: what others do with it
                may be what the caller waits for */
  bool announce_soon; /* a writer parks without waiting awake before, so that
                          no reader biases the lock anew meanwhile */
  bool waited;        /* out: set if the call spun or parked, else untouched */
  /*
   * Both NULL, or both given: called before and after the thread parks, with
   * its announcement in the word. Unless before_park says CMAP__LOCK_OK the
   * thread does not park: CMAP__LOCK_AGAIN makes it look at the word again,
   * any other result is the call's.
   */
  enum cmap__lock_result (*before_park)(struct cmap__lock_wait *wait);
  void (*after_park)(struct cmap__lock_wait *wait);
};

/*
 * The calls that may wait. `wait` may be NULL: wait for ever. Without a try, a
 * deadline or before_park the result is CMAP__LOCK_OK, but for
 * CMAP__LOCK_GIVEN_UP, CMAP__LOCK_BIAS and the one case of CMAP__LOCK_BUSY
 * named above.
 */
enum cmap__lock_result cmap__shardlock_write_slow(struct cmap__shardlock *lock,
                                                  struct cmap__lock_wait *wait);
enum cmap__lock_result cmap__shardlock_read_slow(struct cmap__shardlock *lock,
                                                 struct cmap__lock_wait *wait);

/* The rest of unlock and downgrade when the word showed waiters. */
void cmap__shardlock_grant(struct cmap__shardlock *lock);
void cmap__shardlock_read_unlock_slow(struct cmap__shardlock *lock,
                                      uint32_t before);
void cmap__shardlock_downgrade_slow(struct cmap__shardlock *lock);

/*
 * Makes it the readers' turn, if readers are parked and no writer holds the
 * lock: they pass the writers that wait.
 */
void cmap__shardlock_admit_readers(struct cmap__shardlock *lock);

/* The thread that held it has ended. Wakes everybody. */
void cmap__shardlock_abandon(struct cmap__shardlock *lock);

/* One attempt, also at a watched lock; not for a short way, which has no call
 * in it. */
bool cmap__shardlock_try_any(struct cmap__shardlock *lock, bool write);

/* Before anybody else sees the lock, which is free. */
static inline void cmap__shardlock_watch(struct cmap__shardlock *lock)
{
  cmap__store_relaxed(&lock->word, CMAP__LOCK_WATCHED);
}

/* There is no thread but the caller's: nobody waits for the lock, and nobody
 * has it; or `held`: the caller has it to write. */
static inline void cmap__shardlock_alone(struct cmap__shardlock *lock,
                                         bool held)
{
  /* Relaxed: there is nobody to see it. */
  uint32_t word = cmap__load_relaxed(&lock->word) & CMAP__LOCK_WATCHED;

  if (held)
    word |= CMAP__LOCK_WRITER | (word != 0 ? CMAP__LOCK_LEAVING : 0);
  cmap__store_relaxed(&lock->word, word);
}

/*
 * One attempt at the write lock. Fails also when the lock is watched, or free
 * but awaited;
 * cmap__shardlock_write with try_only takes it then, unless it is the readers'
 * firm turn.
 */
static inline bool cmap__shardlock_try_write(struct cmap__shardlock *lock)
{
  uint32_t word = 0;

  return cmap__likely(cmap__cas_strong_acquire(
      &lock->word, &word, CMAP__LOCK_WRITER)); /* [L1] [L2] */
}

/* Takes the lock in write mode. */
static inline enum cmap__lock_result
cmap__shardlock_write(struct cmap__shardlock *lock,
                      struct cmap__lock_wait *wait)
{
  if (cmap__shardlock_try_write(lock))
    return CMAP__LOCK_OK;
  return cmap__shardlock_write_slow(lock, wait);
}

/*
 * Ends a write hold; a full barrier for the caller. A subtraction, and what it
 * leaves to be cleared is cleared in a second step: with a compare-and-swap
 * that did both at once writes were 3 to 15 % slower (docs/design.md).
 */
static inline void cmap__shardlock_write_unlock(struct cmap__shardlock *lock)
{
  uint32_t before =
      cmap__sub_release(&lock->word, CMAP__LOCK_WRITER); /* [L1] */

  if (cmap__unlikely(before != CMAP__LOCK_WRITER))
    cmap__shardlock_grant(lock);
  cmap__fence_after_rmw();
}

/*
 * One attempt at the read lock. Fails when a writer holds it or waits, or when
 * it is watched, and may fail when other readers come or go at the same moment.
 * No load comes first: it would fetch the line to read, and then the
 * compare-and-swap once more to write. What that guesses wrong it has read.
 */
static inline bool cmap__shardlock_try_read_seen(struct cmap__shardlock *lock,
                                                 uint32_t word)
{
  if (cmap__unlikely((word & (CMAP__LOCK_WRITER | CMAP__LOCK_WRITERS_WAIT |
                              CMAP__LOCK_FULL | CMAP__LOCK_WATCHED)) != 0))
    return false;
  return cmap__likely(cmap__cas_weak_acquire(
      &lock->word, &word, word + CMAP__LOCK_ONE_READER)); /* [L1] */
}

static inline bool cmap__shardlock_try_read(struct cmap__shardlock *lock)
{
  uint32_t word = 0;

  return cmap__likely(cmap__cas_strong_acquire(
             &lock->word, &word, CMAP__LOCK_ONE_READER)) || /* [L1] */
         cmap__shardlock_try_read_seen(lock, word);
}

/*
 * Takes the lock in read mode. A try is refused when a writer waits, else
 * threads that try again and again would starve it; not with already_reads.
 */
static inline enum cmap__lock_result
cmap__shardlock_read(struct cmap__shardlock *lock, struct cmap__lock_wait *wait)
{
  if (cmap__shardlock_try_read(lock))
    return CMAP__LOCK_OK;
  return cmap__shardlock_read_slow(lock, wait);
}

/* Ends a read hold. */
static inline void cmap__shardlock_read_unlock(struct cmap__shardlock *lock)
{
  uint32_t before =
      cmap__sub_release(&lock->word, CMAP__LOCK_ONE_READER); /* [L2] */

  if (cmap__unlikely(
          (before & (CMAP__LOCK_WRITERS_WAIT | CMAP__LOCK_WATCHED)) != 0))
    cmap__shardlock_read_unlock_slow(lock, before);
}

/*
 * Turns a write hold into a read hold; no writer comes in between. Lets the
 * readers in that wait. A full barrier like the write unlock.
 */
static inline void cmap__shardlock_downgrade(struct cmap__shardlock *lock)
{
  uint32_t word = CMAP__LOCK_WRITER;

  if (cmap__unlikely(!cmap__cas_strong_release(
          &lock->word, &word, CMAP__LOCK_ONE_READER))) /* [L1] */
    cmap__shardlock_downgrade_slow(lock);
  cmap__fence_after_rmw();
}

/* For assertions. Relaxed: exact for the caller's own hold, else a guess. */
static inline bool
cmap__shardlock_is_write_locked(const struct cmap__shardlock *lock)
{
  return (cmap__load_relaxed(&lock->word) & CMAP__LOCK_WRITER) != 0;
}

static inline bool cmap__shardlock_is_biased(const struct cmap__shardlock *lock)
{
  return (cmap__load_relaxed(&lock->word) & CMAP__LOCK_BIASED) != 0;
}

static inline bool cmap__shardlock_is_locked(const struct cmap__shardlock *lock)
{
  return (cmap__load_relaxed(&lock->word) &
          (CMAP__LOCK_WRITER | CMAP__LOCK_READERS)) != 0;
}

#endif
