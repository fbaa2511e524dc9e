/*
 * What each thread holds.
 *
 * A hold says: this thread has the lock of these hashes of that map, in this
 * mode. (Or something else that others may wait for: `object` is only
 * compared.) It is what tells a thread that it would wait for itself, and what
 * the deadlock detector follows from thread to thread.
 *
 * Two lists for each thread:
 *   calls    calls that run user code under a lock, or wait for a lock while
 *            they have another; the innermost first
 *   guards   those live as long as the user likes and are copied by him: a
 *            guard names its record and the record's serial, so that a stale
 *            copy is told from a good one
 * And its seats (sync/bias.h), which are the holds of most guards to read.
 *
 * The records of both are the library's own, not the stack's: a thread may end
 * inside a callback, and its cleanup handlers may use the library when the
 * stack of the call is gone. They come from the thread's free list. When a
 * thread ends, others use them; they are given back when the library is
 * unloaded. Those of calls stay linked with each other, so that a call takes
 * the one that the last one at its depth had.
 *
 * Not in the lists is the lock of a section in which the user's hash, equality
 * or clone may run: they must not call the library, so that nobody asks for it
 * but the thread's end.
 *
 * When a thread ends inside a callback, or while guards of it are out, their
 * locks are marked (cmap__shardlock_abandon), and the records of guards are
 * kept for cmap_destroy.
 *
 * Concurrency: everything belongs to one thread, and is read by the detector
 * while that thread's wait is published; loans are made by it then. The records
 * of threads that have ended are under a mutex, which comes after all other
 * locks.
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

struct cmap__seats;
struct cmap__shardlock;
struct cmap__holder;
struct cmap__record;

enum cmap__mode {
  CMAP__READ,
  CMAP__WRITE,
  CMAP__LEND /* of holds only: to read, and given up for who waits to write */
};

struct cmap__hold {
  const void *object; /* the table whose lock it is */
  uint64_t first;     /* the hashes that it covers: */
  uint64_t last;      /* from first to last */
  enum cmap__mode mode;
  struct cmap__shardlock *lock; /* of the one shard; NULL: of several, none */
  struct cmap__hold *outer;     /* the next one in the list */
};

/* The record behind a guard, of which it is the first part, or of a call. */
struct cmap__record {
  struct cmap__hold hold; /* hold.outer links free records as well */
  /* Calls: the record for a call inside this one. Guards of nobody: the one
     before this in their list. */
  struct cmap__hold *inner;
  /* Written by the owner, or when that has ended by who takes the record over.
     Atomic, because other threads may look at copies of a guard; relaxed: all
     they do is to leave a record alone that is not theirs, or to look again
     under the mutex. */
  const void *_Atomic owner;   /* cmap__thread_mark() of the thread, or NULL: it
                                  has ended; or &cmap__nobody */
  struct cmap__holder *holder; /* the owner's, which alone reads this */
  _Atomic uintptr_t serial;    /* of the guard; grows when it is released */
  /* If hold.lock is NULL: called when the thread ends, without a lock; NULL:
     there is nothing to do, of a call. */
  void (*ended)(struct cmap__record *record);
};

/* Hashes from first to last. */
struct cmap__gap {
  uint64_t first, last;
};

/* As many as a record has room for. */
#define CMAP__LENDING_GAPS 32

/*
 * A call's hold in the mode CMAP__LEND. While the thread's wait is published
 * the detector may take from it what closes a circle: when the wait is over the
 * call finds the gap, and has to lock that again.
 */
struct cmap__lending {
  struct cmap__record record; /* first: its hold covers all but the gaps */
  struct cmap__gap gaps[CMAP__LENDING_GAPS]; /* no two overlap; in any order */
  unsigned gap_count;
  /*
   * Unlocks the shard of a hash that is covered, and maybe more, for the thread
   * of `holder`, and makes a gap of it. By any thread, under the detector's
   * mutex.
   */
  void (*lend)(struct cmap__lending *lending, const struct cmap__holder *holder,
               uint64_t hash);
};

/* Bytes of a record from the free list: room for what map/ puts there. */
#define CMAP__RECORD_BYTES ((size_t)704)

/* One read hold without a seat, of so many, biases its lock, if it may
 * (table/biased.c). Tests make it as often as can be. */
#ifdef CMAP_EAGER_BIAS
#  define CMAP__BIAS_SAMPLE 1
#else
#  define CMAP__BIAS_SAMPLE 64
#endif

/* So many read holds of a thread may be without a count at a time. */
#define CMAP__SEATS 7

/*
 * The seats of a thread (sync/bias.h). Guards and calls that have one have no
 * record. They are given to another thread when this one has ended, and freed
 * when the library is unloaded.
 */
struct CMAP__ALIGNED(CMAP__CACHE_LINE) cmap__seats {
  struct cmap__shardlock *_Atomic lock[CMAP__SEATS]; /* NULL: free */
  /* Atomic: not 0: is what is left counted? [H2] */
  _Atomic uintptr_t asked;
  /* As those of a record: of the guard in a seat, and of them all. */
  _Atomic uintptr_t serial[CMAP__SEATS];
  const void *_Atomic owner;
  /* The thread's own: */
  unsigned used;  /* a bit for each seat that is not free */
  unsigned calls; /* the same of those that calls show */
  /* Of holds that others may have to know of, because user code runs under
     them, or the thread goes on with them: the object, or NULL, */
  const void *_Atomic object[CMAP__SEATS]; /* atomic: cmap__seats_release */
  /* and where its hashes stand: what they share, and the mask of that. */
  const uint64_t *hashes[CMAP__SEATS];
  struct cmap__hold *listed; /* see cmap__seats_list; others may read it while
                                the thread's wait is published */
  struct cmap__hold hold[CMAP__SEATS]; /* of those that are listed */
  /* Atomic: which holds are in their locks' words (sync/bias.c). [H4] */
  _Atomic uintptr_t counted[CMAP__SEATS];
  unsigned number; /* const: of these seats (sync/bias.c) */
};

/* One for each thread, thread-local. */
struct cmap__holder {
  struct cmap__hold *calls;
  /* The lock of a section in which the user's functions on keys and values may
     run: those that must not call the library, so that one is enough. NULL:
     none, or it is the lock of a call or a guard as well. */
  struct cmap__shardlock *section;
  struct cmap__hold *guards;
  struct cmap__hold *free; /* of records */
  /* For the next call; NULL: none yet. Not beside `calls`: compilers would join
     their stores at a call's end into one of 16 bytes, and a call takes 1 ns
     more. For `guards` and `free` that is the faster way. */
  struct cmap__hold *spare;
  struct cmap__seats *seats; /* for read holds (sync/bias.h); NULL: none */
  unsigned reads_to_bias;    /* read holds without a seat before one of them
                                looks at cmap__table_bias */
  unsigned end_rounds;       /* of the thread's end that were put off */
  bool ends;                 /* the last of them has begun */
  bool ends_early;    /* destructors of thread-local variables have run */
  bool counts_rounds; /* and the first round of those of thread-specific data
                         is still to come: the thread held something then */
  bool known;         /* it has, or had, records: its end is noticed */
  bool expects_bias;  /* the next lock to read may be biased; it has seats */
  uint64_t number;    /* of the thread; 0: nobody has asked */
};

/*
 * In a shared library it takes a call to find it, so that the library can be
 * loaded where no static thread-local storage is left: 1 to 2 ns. Who has a
 * record of his own finds it there.
 */
extern _Thread_local struct cmap__holder cmap__self;

/* An address that no other thread that runs has, and at no cost if the
 * compiler gives it: the thread pointer. */
static inline const void *cmap__thread_mark(void)
{
#ifdef CMAP__HAVE_THREAD_POINTER
  return __builtin_thread_pointer();
#else
  return &cmap__self;
#endif
}

/* A number from 1 that no other thread has, nor had one that has ended. */
uint64_t cmap__thread_number(void);

/* The owner of guards that belong to no thread. Only its address is used. */
extern const char cmap__nobody;

/* A record for one more call inside those there are; false: out of memory. */
bool cmap__hold_prepare_slow(void);

/*
 * Before a call locks what it will hold while user code runs: is there a record
 * for it? False: CMAP_ENOMEM.
 */
static inline bool cmap__hold_prepare(void)
{
  return cmap__likely(cmap__self.spare != NULL) || cmap__hold_prepare_slow();
}

/* Of a hold that is the calling thread's, the record. */
static inline struct cmap__record *cmap__hold_record(struct cmap__hold *hold)
{
  return (struct cmap__record *)hold;
}

/* The record that was prepared, to be filled before cmap__hold_begin. */
static inline struct cmap__hold *cmap__hold_next(void)
{
  return cmap__self.spare;
}

/*
 * A signal handler that asks for a lock reads the lists: a hold is filled
 * before it is in a list, and out of it before it is used again. For the
 * compiler: a handler runs in the same thread.
 */
static inline void cmap__hold_fence(void)
{
  atomic_signal_fence(memory_order_release);
}

static inline void cmap__hold_begin(struct cmap__hold *hold)
{
  struct cmap__record *record = cmap__hold_record(hold);

  cmap__hold_fence();
  record->holder->spare = record->inner;
  record->holder->calls = hold;
}

static inline void cmap__hold_end(struct cmap__hold *hold)
{
  struct cmap__holder *self = cmap__hold_record(hold)->holder;

  self->calls = hold->outer;
  self->spare = hold;
  cmap__hold_fence();
}

/* What the section holds goes on under another lock. */
static inline void cmap__section_move(const struct cmap__shardlock *from,
                                      struct cmap__shardlock *to)
{
  if (cmap__self.section == from)
    cmap__self.section = to;
}

/* Does the calling thread hold anything? */
static inline bool cmap__hold_any(void)
{
  const struct cmap__holder *self = &cmap__self;

  return self->calls != NULL || self->guards != NULL ||
         (self->seats != NULL && self->seats->used != 0);
}

/* The strongest hold of a hash of the object that the thread of `holder` has,
 * or NULL: the calling one's, or in the detector that of a published wait. */
const struct cmap__hold *cmap__hold_find_of(const struct cmap__holder *holder,
                                            const void *object, uint64_t hash);

static inline const struct cmap__hold *cmap__hold_find(const void *object,
                                                       uint64_t hash)
{
  return cmap__hold_find_of(&cmap__self, object, hash);
}

/* Does the calling thread hold anything of the object that lies in the way of a
 * lock in this mode, if hashes made no difference? */
bool cmap__hold_any_of(const void *object, enum cmap__mode mode);

/* The gap of a hold that the hash lies in, or NULL. */
const struct cmap__gap *cmap__hold_gap(const struct cmap__hold *hold,
                                       uint64_t hash);

static inline bool cmap__hold_covers(const struct cmap__hold *hold,
                                     const void *object, uint64_t hash)
{
  return hold->object == object && hold->first <= hash && hash <= hold->last &&
         (hold->mode != CMAP__LEND || cmap__hold_gap(hold, hash) == NULL);
}

/*
 * A record for a guard, not linked yet; NULL: out of memory. Of its bytes,
 * those behind struct cmap__record are as the last guard left them.
 */
struct cmap__record *cmap__record_take_slow(void);

static inline struct cmap__record *cmap__record_take(void)
{
  /* Not by a pointer to cmap__self, which gcc 12's UBSan takes for NULL. */
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
  return cmap__load_relaxed(&record->owner) == cmap__thread_mark();
}

/* Makes it so, of one that nobody else sees yet. */
static inline void cmap__record_own(struct cmap__record *record,
                                    struct cmap__holder *self)
{
  record->holder = self;
  cmap__store_relaxed(&record->owner, cmap__thread_mark());
}

/* Gives an unlinked record of the calling thread's back; guards that name it
 * are stale from now on. */
static inline void cmap__record_give(struct cmap__record *record)
{
  cmap__record_renew(record);
  record->hold.outer = record->holder->free;
  record->holder->free = &record->hold;
}

/*
 * Gives back a record that may be another thread's, not to this one, which may
 * never have made arrangements for its end.
 */
void cmap__record_give_back(struct cmap__record *record);

/* Enters a filled hold, the first part of a record of the calling thread's,
 * into its list of guards. */
static inline void cmap__guard_link(struct cmap__hold *hold)
{
  if (CMAP_DETECT) {
    struct cmap__holder *self = cmap__hold_record(hold)->holder;
    hold->outer = self->guards;
    cmap__hold_fence();
    self->guards = hold;
  }
}

void cmap__guard_unlink_slow(struct cmap__hold *hold);

static inline void cmap__guard_unlink(struct cmap__hold *hold)
{
  struct cmap__holder *self = cmap__hold_record(hold)->holder;

  if (!CMAP_DETECT)
    return;
  if (cmap__likely(self->guards == hold))
    self->guards = hold->outer;
  else
    cmap__guard_unlink_slow(hold);
  cmap__hold_fence();
}

/*
 * A linked guard of the calling thread becomes nobody's: no thread's end marks
 * its lock, and no wait for it is part of a circle.
 */
void cmap__record_detach(struct cmap__record *record);

/*
 * A guard of nobody with that serial becomes the calling thread's, and is
 * linked. All that the thread did that detached it happens before. False: it is
 * not nobody's any more.
 */
bool cmap__record_attach(struct cmap__record *record, uintptr_t serial);

/*
 * Takes the next record of the object out of the calling thread's guards, or
 * out of those of nobody and of threads that have ended; NULL: there is none.
 * For destroying the object, which nobody else uses any more. Its owner is the
 * caller then.
 */
struct cmap__record *cmap__record_orphan(const void *object);

/* Around fork: in between, nobody changes the records that are not a thread's
 * own. In the child those of the other threads stay as they are, for ever. */
void cmap__records_stop(void);
void cmap__records_go_on(void);

#endif
