/*
 * What makes a store a cache: a bound, and the policy that says who goes.
 *
 * The policy is S3-FIFO (Yang et al., SOSP 2023). New objects queue in `young`,
 * a seventh of the bound; those that were hit there go on to `main` when they
 * get to its end, others leave, and a ghost of them stays: 16 bits of their
 * hash. Who comes back while its ghost is there begins in `main`, where an
 * object that was hit is let through again, three times at most. So a hit is a
 * store into the object's own header, and only until it has three of them; a
 * walk over many keys passes through `young` alone.
 *
 * Queues have the objects of the map, in the order in which they came, oldest
 * first. An object is put there under its shard's lock, just after its word was
 * stored, and leaves when its word was taken out; or before, when it is picked
 * to be evicted: PICKED. Who picks one knows its hash and its word only, looks
 * for that in the map, and takes it out; if it is not there another thread has
 * taken it, and tells of it.
 *
 * The bound. An insertion makes room first, and if others have used that up it
 * evicts when its object is there. So there are never more objects above the
 * bound than there are threads that insert, and none when they are done. What
 * was constructed is queued where room is made for it, which takes the mutex
 * once, and so before it is in the map: who picks it meanwhile does not find it
 * there, and it is queued anew.
 *
 * Concurrency: any thread; one mutex, held for moments, below the shard lock.
 */
#ifndef CMAP__STORE_CACHE_H
#define CMAP__STORE_CACHE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "cmap.h"
#include "store/ghost.h"
#include "store/object.h"

struct cmap__evictions;
struct cmap__flight;

/* Where an object is. */
enum cmap__queue_name {
  CMAP__QUEUE_NONE,
  CMAP__QUEUE_YOUNG,
  CMAP__QUEUE_MAIN,
  CMAP__QUEUE_PICKED /* in none, but still in the map */
};

/* So many hits are told from one another. */
#define CMAP__USED_MAX 3

struct cmap__queue {
  struct cmap__object *oldest, *newest;
  uint64_t cost;
};

struct cmap__cache {
  pthread_mutex_t mutex; /* guards what is not const */
  uint64_t most;         /* const: the bound; UINT64_MAX: none */
  uint64_t most_young;   /* const: the part of it that new objects have */
  bool by_cost;          /* const: else each object costs 1 */
  bool has_times;        /* const: of the store */
  _Atomic uint64_t cost; /* of the queues' objects; written under the mutex */
  _Atomic size_t count;  /* of them; the same [N3] */
  struct cmap__queue young, main;
  struct cmap__object *hand; /* the next that is asked whether it is out of
                                date; NULL: the oldest of the other queue */
  bool hand_in_main;
  struct cmap__ghosts ghosts;
};

static inline uint64_t cmap__cache_cost(const struct cmap__cache *cache,
                                        const struct cmap__object *header)
{
  return cache->by_cost ? cmap__kept(header)->cost : 1;
}

/* Is there no room for so much more? Without the mutex a hint. */
static inline bool cmap__cache_is_full(const struct cmap__cache *cache,
                                       uint64_t cost)
{
  return cmap__load_relaxed(&cache->cost) > cache->most - cost; /* [N5] */
}

/* False: no mutex. */
bool cmap__cache_begin(struct cmap_store *store,
                       const struct cmap_store_options *options);

/* Nothing is in the queues. */
void cmap__cache_end(struct cmap_store *store);

/* The object's word was stored in the map: it is queued, if it is not yet.
 * Shard lock held. */
void cmap__cache_add(struct cmap_store *store, struct cmap__object *header,
                     uint64_t hash);

/* The object's word was taken out of the map, or was never there. */
void cmap__cache_remove(struct cmap_store *store, struct cmap__object *header);

/* Evicts until the bound holds. No lock is held. */
void cmap__cache_keep_bound(struct cmap_store *store);

/* Is the object, whose word is in the map, the one that was picked? Its header
 * may have got another one since. Shard lock held, under which an object that
 * is not in the map does not become one that is. */
static inline bool cmap__cache_is_picked(const struct cmap__object *header)
{
  return cmap__load_acquire(&header->queue) == CMAP__QUEUE_PICKED; /* [N8] */
}

/*
 * Asks the next `steps` objects whether they are out of date, and takes them
 * out. No lock is held. Returns how many objects there are.
 */
size_t cmap__cache_sweep(struct cmap_store *store, uint64_t now,
                         unsigned steps);

/* Objects that are looked at by who inserts, and by cmap_store_maintain before
 * it looks at the clock. */
#define CMAP__SWEEP_STEPS 4
#define CMAP__SWEEP_MAX   32

#endif
