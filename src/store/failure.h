/*
 * Failures that a store remembers.
 *
 * The key's word in the map leads to the failure; who takes it out of the map
 * drops it. A list has all of them, in the order in which they came, so that
 * the oldest go: those that are out of date, and those above the bound. The
 * constructions that end see to that, a few at a time. They know of a failure
 * its hash and its word, and look for it in the map: if it is not there, who
 * took it is about to drop it.
 *
 * Concurrency: any thread; one mutex for the list.
 */
#ifndef CMAP__STORE_FAILURE_H
#define CMAP__STORE_FAILURE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "cmap.h"

struct cmap__request;

struct cmap__failure {
  enum cmap_status status; /* const, and the next two */
  uint64_t until_ns;
  uint64_t hash;                         /* of the key */
  struct cmap__failure *next, *previous; /* under the mutex */
};

struct cmap__failures {
  pthread_mutex_t mutex;
  struct cmap__failure *first, *last; /* under the mutex */
  _Atomic size_t count;               /* atomic, written under the mutex */
  size_t most;                        /* const: the bound */
};

/* How many may go when a construction ends: more than one comes, so that their
 * number falls after many were remembered; and few, since the caller waits. */
#define CMAP__FAILURE_STEPS 4

/* `most` of 0: the default. False: no mutex. */
bool cmap__failures_begin(struct cmap__failures *failures, size_t most);

/* There are none. */
void cmap__failures_end(struct cmap__failures *failures);

/*
 * The construction of the key has failed: lets the key's word, which is there,
 * lead to a failure. False: no memory, or not wanted. Shard lock held.
 */
bool cmap__failure_remember(struct cmap__request *request,
                            enum cmap_status status, uint64_t now);

/* A failure that was taken out of the map is freed. */
void cmap__failure_drop(struct cmap_store *store,
                        struct cmap__failure *failure);

/* Takes up to `steps` failures out that are out of date or above the bound. No
 * lock is held. Returns how many were not looked at, and may have to go. */
size_t cmap__failures_sweep(struct cmap_store *store, size_t steps);

#endif
