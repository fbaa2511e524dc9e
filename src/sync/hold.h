/*
 * What each thread holds.
 *
 * A hold says: this thread has the lock of these hashes of that map, in this
 * mode. (Or something else that others may wait for: `object` is only
 * compared.) It is what tells a thread that it would wait for itself, and what
 * the deadlock detector follows from thread to thread.
 *
 * Two lists for each thread:
 *   calls    records on the stack of calls that run user code under a lock, or
 *            wait for a lock while they have another
 *   guards   records of the library's own, since guards live as long as the
 *            user likes and are copied by him: a guard names its record and
 *            the record's serial, so that a stale copy is told from a good one
 *
 * Records of guards come from the thread's free list. When a thread ends,
 * others use them; they are given back when the library is unloaded.
 *
 * When a thread ends while guards of it are out, their locks are marked
 * (cmap__shardlock_abandon), and the records are kept for cmap_destroy.
 *
 * Concurrency: everything belongs to one thread, and is read by the detector
 * while that thread's wait is published. The records of threads that have
 * ended are under a mutex, which comes after all other locks.
 */
#ifndef CMAP__SYNC_HOLD_H
#define CMAP__SYNC_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/compiler.h"

/* 0 leaves out what only the detector needs, to measure what it costs. */
#ifndef CMAP_DETECT
#  define CMAP_DETECT 1
#endif

struct cmap__shardlock;
struct cmap__holder;
struct cmap__record;

enum cmap__mode { CMAP__READ, CMAP__WRITE };

struct cmap__hold {
  const void *object; /* the table whose lock it is */
  uint64_t first;     /* the hashes that it covers: */
  uint64_t last;      /* from first to last */
  enum cmap__mode mode;
  struct cmap__shardlock *lock; /* of the one shard; NULL: of several, none */
  struct cmap__hold *outer;     /* the next one in the list */
};

/* The record behind a guard; the first part of struct cmap__guard. */
struct cmap__record {
  struct cmap__hold hold; /* hold.outer links free records as well */
  /* Written by the owner, or when that has ended by who takes the record over.
     Atomic, because other threads may look at copies of a guard; relaxed: all
     they do is to leave a record alone that is not theirs. */
  struct cmap__holder *_Atomic owner; /* the thread, or NULL: it has ended */
  _Atomic uintptr_t serial; /* of the guard; grows when it is released */
  /* If hold.lock is NULL: called when the thread ends, without a lock. */
  void (*ended)(struct cmap__record *record);
};

/* Bytes of a record from the free list: room for what map/ puts there. */
#define CMAP__RECORD_BYTES ((size_t)640)

/* One for each thread, thread-local. */
struct cmap__holder {
  struct cmap__hold *calls;
  struct cmap__hold *guards;
  struct cmap__hold *free; /* of records */
  unsigned end_rounds;     /* of the thread's end that were put off */
  bool ends;               /* the last of them has begun */
  bool ends_early;         /* destructors of thread-local variables have run */
  bool known;              /* it has, or had, records: its end is noticed */
  uint64_t number;         /* of the thread; 0: nobody has asked */
};

extern _Thread_local struct cmap__holder cmap__self
    __attribute__((tls_model("initial-exec")));

/* A number from 1 that no other thread has, nor had one that has ended. */
uint64_t cmap__thread_number(void);

/* A call's hold, filled by the caller; pairs with cmap__hold_end. */
static inline void cmap__hold_begin(struct cmap__hold *hold)
{
  hold->outer = cmap__self.calls;
  cmap__self.calls = hold;
}

static inline void cmap__hold_end(struct cmap__hold *hold)
{
  cmap__self.calls = hold->outer;
}

/* Does the calling thread hold anything? */
static inline bool cmap__hold_any(void)
{
  return cmap__self.calls != NULL || cmap__self.guards != NULL;
}

/* The calling thread's strongest hold of a hash of the object, or NULL. */
const struct cmap__hold *cmap__hold_find(const void *object, uint64_t hash);

static inline bool cmap__hold_covers(const struct cmap__hold *hold,
                                     const void *object, uint64_t hash)
{
  return hold->object == object && hold->first <= hash && hash <= hold->last;
}

/*
 * A record for a guard, not linked yet; NULL: out of memory. Of its bytes,
 * those behind struct cmap__record are as the last guard left them.
 */
struct cmap__record *cmap__record_take_slow(void);

static inline struct cmap__record *cmap__record_take(void)
{
  struct cmap__hold *hold = cmap__self.free;

  if (cmap__unlikely(hold == NULL))
    return cmap__record_take_slow();
  cmap__self.free = hold->outer;
  return (struct cmap__record *)hold;
}

/* Guards that name the record are stale from now on. */
static inline void cmap__record_renew(struct cmap__record *record)
{
  cmap__store_relaxed(&record->serial, cmap__load_relaxed(&record->serial) + 1);
}

/* Is it the calling thread's? */
static inline bool cmap__record_is_mine(const struct cmap__record *record)
{
  return cmap__load_relaxed(&record->owner) == &cmap__self;
}

/* Gives an unlinked record back; guards that name it are stale from now on. */
static inline void cmap__record_give(struct cmap__record *record)
{
  cmap__record_renew(record);
  record->hold.outer = cmap__self.free;
  cmap__self.free = &record->hold;
}

/*
 * Gives back a record that may be another thread's, not to this one, which may
 * never have made arrangements for its end.
 */
void cmap__record_give_back(struct cmap__record *record);

/* Enters a filled hold into the list of guards. */
static inline void cmap__guard_link(struct cmap__hold *hold)
{
  if (CMAP_DETECT) {
    hold->outer = cmap__self.guards;
    cmap__self.guards = hold;
  }
}

void cmap__guard_unlink_slow(struct cmap__hold *hold);

static inline void cmap__guard_unlink(struct cmap__hold *hold)
{
  if (!CMAP_DETECT)
    return;
  if (cmap__likely(cmap__self.guards == hold))
    cmap__self.guards = hold->outer;
  else
    cmap__guard_unlink_slow(hold);
}

/*
 * Takes the next record of the object out of the calling thread's guards, or
 * out of those of threads that have ended; NULL: there is none. For destroying
 * the object, which nobody else uses any more. Its owner is the caller then.
 */
struct cmap__record *cmap__record_orphan(const void *object);

#endif
