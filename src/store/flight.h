/*
 * A construction in flight: one per key, with a mutex and a condition variable
 * of its own, so that nobody is woken who waits for another key.
 *
 *   running   somebody builds
 *   open      the one who built has failed, and one of those who wait goes on
 *   done      there is an object
 *   failed    there is a status
 *
 * For the deadlock detector, who builds holds the flight, and who waits for it
 * waits for that; who builds many at once holds their batch. A ticket is held
 * by the thread that is bound to it. One that no thread is bound to has no
 * holder; but the thread that has begun it is told that it would wait for
 * itself.
 *
 * References: one for being in the map, one for the builder or the ticket, one
 * for each who waits or is to be told.
 */
#ifndef CMAP__STORE_FLIGHT_H
#define CMAP__STORE_FLIGHT_H

#include "store/cancel.h"
#include "store/store.h"

enum cmap__flight_state {
  CMAP__FLIGHT_RUNNING,
  CMAP__FLIGHT_OPEN,
  CMAP__FLIGHT_DONE,
  CMAP__FLIGHT_FAILED
};

/* Somebody who is told when the flight is decided. */
struct cmap__notice {
  struct cmap__notice *next;
  cmap_notify_fn *notify;
  void *ctx;
};

struct cmap__flight {
  pthread_mutex_t mutex; /* guards all below */
  pthread_cond_t changed;
  struct cmap_store *store; /* const */
  _Atomic bool decided;     /* atomic, written under mutex: for the detector */
  enum cmap__flight_state state;
  unsigned refs;
  unsigned waiters;            /* threads */
  struct cmap__object *result; /* done: with a reference of the flight's */
  enum cmap_status status;     /* failed */
  bool shares;                 /* the same: it is so for all who wait */
  /* Of the thread that has begun it by a ticket, and will end it for all that
     is known; 0: none, or a thread's hold tells. */
  uint64_t beginner;
  struct cmap__notice *notices;
  /* Atomic, relaxed: the call that builds it with others (store/many.c), and
     which of its keys it is; 0: none, or no more, which is said under mutex. */
  _Atomic uintptr_t batch;
  size_t index;   /* const while there is a batch */
  bool refreshes; /* begun by cmap_store_refresh; const once others know it */
  bool is_joined; /* under the shard lock: others than its builder have been
                     told of it */
  _Atomic bool is_out; /* atomic, written once: it was taken out of the map, or
                          decided by put. A hint for who does not look there */
  /* Of one that replaces an object (store/refresh.h): */
  bool is_listed;                    /* under the shard lock */
  struct cmap__object *replaces;     /* const, with a reference; NULL: none */
  struct cmap__flight *next_refresh; /* in the list, under its mutex */
};

/* What its builder holds. */
static inline const void *
cmap__flight_held_as(const struct cmap__flight *flight)
{
  uintptr_t batch = cmap__load_relaxed(&flight->batch);

  return batch != 0 ? (const void *)batch : flight;
}

/* A running flight with two references, the map's and the builder's. NULL: out
 * of memory. */
struct cmap__flight *cmap__flight_new(struct cmap_store *store);

/* Nobody has it any more: the thread keeps it for its next construction. */
void cmap__flight_give(struct cmap__flight *flight);

/* Frees the memory of one that nobody uses. */
void cmap__flight_free(struct cmap__flight *flight);

void cmap__flight_unref(struct cmap__flight *flight, unsigned n);

/*
 * Who has joined the flight, but did not wait, waits from now on. False: it has
 * failed meanwhile, and nobody who waited went on; it is left.
 */
bool cmap__flight_await(struct cmap__flight *flight);

/*
 * Waits until the flight is decided; the caller has joined it (counted in refs
 * and waiters), and leaves it. CMAP_OK: *header with a reference, or *mine: the
 * caller builds now, and has kept its reference.
 */
enum cmap_status cmap__flight_wait(struct cmap__flight *flight,
                                   const struct cmap__patience *patience,
                                   struct cmap__object **header, bool *mine);

/*
 * The flight has an object, which gets a reference of the flight's. False: it
 * was decided before. Notices are told by the next call. Locks may be held.
 */
bool cmap__flight_decide(struct cmap__flight *flight,
                         struct cmap__object *header);

/* The same of one that is not decided, whose mutex is held. */
void cmap__flight_decide_locked(struct cmap__flight *flight,
                                struct cmap__object *header);

/* Mutex held. */
static inline bool cmap__flight_is_decided(const struct cmap__flight *flight)
{
  return flight->state == CMAP__FLIGHT_DONE ||
         flight->state == CMAP__FLIGHT_FAILED;
}

/* Tells those who are to be told of a decided flight. No lock is held. */
void cmap__flight_tell(struct cmap__flight *flight);

/*
 * The end of a construction; the builder's reference is used up. Without
 * `header` it has failed with `status`. The result is what the builder gets:
 * CMAP_OK and *header with a reference, which may be another object; its own
 * is destroyed then. With `keep` the store has the object from now on. No lock
 * is held.
 */
enum cmap_status cmap__flight_end(struct cmap__request *request,
                                  struct cmap__flight *flight,
                                  enum cmap_status status, bool keep,
                                  struct cmap__object **header);

#endif
