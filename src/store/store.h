/*
 * The store: shared objects by key, each built once.
 *
 * A map of its own leads from a key to one word: a live object, a construction
 * in flight, or a failure that is remembered for a time. The low bits of the
 * word say which.
 *
 * Locks. The words are changed under the map's shard lock, which is held for
 * moments only: no user code runs under it. A flight has a mutex of its own.
 * LOCK ORDER: shard lock, then one flight's mutex, then the mutexes of the
 * cache, the headers and the failures; the detector's mutex after a flight's.
 *
 * Invariants
 *   1. At most one flight of a key is in the map; a flight that was taken out
 *      of it (remove, clear, forget, put) still ends, for those who wait.
 *   2. An object has one reference for being in the map, one for each handle,
 *      and one for each flight that it is the result of. It is destroyed by
 *      whoever gives the last one back, outside every lock.
 *   3. Headers of objects stay headers as long as the store: a reader may look
 *      at the count of one that was freed, or lives again. What of them goes
 *      back to the system reads as free (store/headers.h).
 */
#ifndef CMAP__STORE_STORE_H
#define CMAP__STORE_STORE_H

#include <pthread.h>

#include "base/watch.h"
#include "map/map.h"
#include "store/cache.h"
#include "store/cancel.h"
#include "store/counts.h"
#include "store/failure.h"
#include "store/headers.h"
#include "store/object.h"

/* A word under the shard lock, of an entry that is about to be removed. */
#define CMAP__WORD_NOTHING ((uint64_t)CMAP__WORD_FAILURE)

/* What the low bits of a word say. */
enum cmap__word_kind {
  CMAP__WORD_OBJECT,
  CMAP__WORD_FLIGHT,
  CMAP__WORD_FAILURE,
  CMAP__WORD_MASK = 3
};

struct cmap__flight;

/* The first table of refreshes has so many buckets, as a power of two. */
#define CMAP__REFRESH_BITS 4

/* Flights that replace objects (store/refresh.h). */
struct cmap__refreshes {
  pthread_mutex_t mutex; /* guards all below */
  struct cmap__flight **buckets;
  unsigned bits; /* of their number */
  size_t count;  /* of flights */
  struct cmap__flight *few[1 << CMAP__REFRESH_BITS];
};

struct cmap_store {
  /* Const, down to `life`: */
  struct cmap *map;
  bool is_cache;  /* objects are queued: there is a bound, or they have times */
  bool has_times; /* objects may be stale, or expire */
  unsigned flags;
  size_t kept_size;             /* of the second part of a header; 0: none */
  uint64_t (*clock)(void *ctx); /* NULL: the system's */
  void *clock_ctx;
  struct cmap_allocator allocator;
  void (*destroy)(void *object, void *ctx);
  void *ctx;
  uint64_t negative_ns;
  uint64_t (*cost)(struct cmap_key key, const void *object, void *ctx);
  void (*lifetime)(struct cmap_key key, const void *object,
                   struct cmap_lifetime *lifetime, void *ctx);
  void (*on_remove)(struct cmap_key key, void *object, enum cmap_removal reason,
                    void *ctx);
  struct cmap_lifetime life; /* unless `lifetime` says something else */
  /* Changed by release, told to others by acquire [N3]. */
  _Atomic size_t objects; /* in the map, if it is no cache */
  _Atomic size_t tickets; /* not used up yet */
  _Atomic size_t waiters; /* threads that wait for one, a statistic */
  /* By their reasons; evictions are counted by threads. */
  _Atomic uint64_t removals[CMAP_CLEARED + 1];
  _Atomic uint64_t too_dear;   /* objects that were not kept; a statistic */
  _Atomic unsigned borrow_end; /* no thread of this place or a higher one has
                                  borrowed anything (store/borrow.h) */

  struct cmap__cache cache;
  struct cmap__headers headers;
  struct cmap__failures failures;
  struct cmap__refreshes refreshes;
  struct cmap__counts counts;
};

/* How a construction fails. */
struct cmap__policy {
  bool share;           /* all who wait get the status; else one goes on */
  uint64_t negative_ns; /* how long the failure is remembered; 0: not */
};

/* One call. */
struct cmap__request {
  struct cmap_store *store;
  struct cmap_key key;    /* the caller's */
  struct cmap__call call; /* on store->map */
  struct cmap__policy policy;
  struct cmap__patience patience;
  uintptr_t batch; /* of a flight that it begins, as there; 0: none */
  size_t index;    /* the same */
};

/* What of `how` is for the map, and the policy for failures, or 0. False: it is
 * not valid. */
bool cmap__store_how_read(const struct cmap_how *how, struct cmap_how *for_map,
                          unsigned *flags);

/* Reads `how`, hashes the key. CMAP_EINVAL */
enum cmap_status cmap__request_begin(struct cmap_store *store,
                                     struct cmap_key key,
                                     const struct cmap_how *how,
                                     struct cmap__request *request);

static inline enum cmap__word_kind cmap__word_kind(uint64_t word)
{
  return (enum cmap__word_kind)(word & CMAP__WORD_MASK);
}

static inline void *cmap__word_pointer(uint64_t word)
{
  return (void *)(uintptr_t)(word & ~(uint64_t)CMAP__WORD_MASK);
}

static inline uint64_t cmap__word_of(const void *pointer,
                                     enum cmap__word_kind kind)
{
  return (uint64_t)(uintptr_t)pointer | (uint64_t)kind;
}

/* The word of the key, under the shard lock. */
static inline _Atomic uint64_t *
cmap__request_word(const struct cmap__request *r)
{
  return r->call.place.slot + r->store->map->table.layout.value_word;
}

/* Locks the shard of a hash to write. Cannot fail, as below. */
void cmap__store_lock_hash(struct cmap_store *store, uint64_t hash,
                           struct cmap__locked *locked);

/*
 * Locks the key's shard and looks for the key: request->call.found. Cannot
 * fail: nobody waits while holding such a lock, nor ends with one: the user's
 * functions on keys run under it, and so the caller has put off cancellation.
 */
void cmap__request_lock(struct cmap__request *request, enum cmap__mode mode);

static inline void cmap__request_unlock(struct cmap__request *request)
{
  cmap__call_unlock(&request->call);
}

/* Removes the key's entry and unlocks. */
void cmap__request_take(struct cmap__request *request);

/* A slot of a store's map, outside of it. */
struct cmap__taken {
  uint64_t words[1 + CMAP__KEY_WORDS_MAX + 1];
};

/* Removes the entry at the place in the shard that is locked to write, and
 * unlocks; the stored key becomes the caller's. */
void cmap__store_take(struct cmap_store *store,
                      const struct cmap__locked *locked,
                      const struct cmap__place *place,
                      struct cmap__taken *taken);

/*
 * Memory for the store's own books, zeroed, and counted in its statistics;
 * NULL: there is none. Who is cancelled in the allocator is so afterwards.
 */
void *cmap__store_alloc(struct cmap_store *store, size_t size, size_t align);
void cmap__store_free(struct cmap_store *store, void *memory, size_t size,
                      size_t align);

/* Memory was taken, or given back, that is not counted otherwise. */
void cmap__store_count_taken(struct cmap_store *store, size_t bytes);
void cmap__store_count_given(struct cmap_store *store, size_t bytes);

/* Hands a reference that the caller has to the user. */
static inline void cmap__handle_clear(struct cmap_handle *handle)
{
  if (handle != NULL)
    *handle = (struct cmap_handle)CMAP_INIT;
}

static inline void cmap__handle_fill(struct cmap_handle *handle,
                                     struct cmap__object *header,
                                     enum cmap_origin origin)
{
  handle->object = header->object;
  handle->internal[0] = (uintptr_t)header;
  handle->internal[1] = origin;
}

/* The time by the user's clock: the caller may have references. */
uint64_t cmap__store_clock(const struct cmap_store *store);

/* The time by the store's clock. It may be the user's: no lock is held. */
static inline uint64_t cmap__store_now(const struct cmap_store *store)
{
  return store->clock != NULL ? cmap__store_clock(store) : cmap__now_ns();
}

/* The same, or a tick of the system before, but at once. */
static inline uint64_t cmap__store_about_now(const struct cmap_store *store)
{
  struct timespec now;

  if (store->clock != NULL)
    return cmap__store_clock(store);
  clock_gettime(CMAP__CLOCK_COARSE, &now);
  return (uint64_t)now.tv_sec * CMAP__NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Is the object's time over, and nobody builds it anew? Shard lock held. */
static inline bool cmap__object_is_over(const struct cmap_store *store,
                                        const struct cmap__object *header,
                                        uint64_t now)
{
  return store->has_times && cmap__object_age(header, now) == CMAP__EXPIRED &&
         !cmap__load_relaxed(&header->refreshing); /* lock held */
}

/* The object of the key, without a lock if possible, and its age. It is hit.
 * CMAP_NOT_FOUND: there is none, or it has expired. */
enum cmap_status cmap__store_find(struct cmap__request *request,
                                  struct cmap__object **header,
                                  enum cmap__age *age);

/* The same of any object, which is not hit. */
enum cmap_status cmap__store_peek(struct cmap__request *request,
                                  struct cmap__object **header);

/*
 * Lets the key have the header's object, if it is to be kept; the caller's
 * reference is used up. CMAP_ENOMEM: it is still the caller's.
 */
enum cmap_status cmap__store_replace(struct cmap__request *request,
                                     struct cmap__object *header, bool keep,
                                     struct cmap_handle *handle);

/* What is no object, and was taken out of the map, is given up. No lock is
 * held. */
void cmap__word_drop(struct cmap_store *store, uint64_t word);

/* Takes the key's object out if its time is over. False: there is one whose
 * time is not, which was hit meanwhile. No lock is held. */
bool cmap__store_expire(struct cmap__request *request);

/* An object that was taken out of the map, of which nobody was told yet. */
struct cmap__evicted {
  struct cmap__evicted *next;
  struct cmap__object *header;
  enum cmap_removal reason;
  struct cmap__taken taken;
};

/* Objects that were evicted to make room, the first of which needs no memory of
 * its own. */
struct cmap__evictions {
  struct cmap__evicted *list, **end;
  struct cmap__evicted first;
};

static inline void cmap__evictions_begin(struct cmap__evictions *evictions)
{
  evictions->list = NULL;
  evictions->end = &evictions->list;
}

/* Tells of them, and frees the list. No lock is held. */
void cmap__evictions_tell(struct cmap_store *store,
                          struct cmap__evictions *evictions);

/*
 * An object is about to be stored; with `flight` it is that one's, and is
 * queued then. If it will be one more there is room for it then, but for what
 * others put in meanwhile. Of what has gone for it nobody is told yet: who is
 * told may ask for the key. No lock is held.
 */
void cmap__store_make_room(struct cmap__request *request,
                           const struct cmap__flight *flight,
                           struct cmap__object *header,
                           struct cmap__evictions *evictions);

/* Takes out the object, which is known by its hash and its header only, if it
 * is still there; for CMAP_EXPIRED, if its time is over. True: the caller tells
 * of it; until then cancellation is off. No lock is held. */
bool cmap__store_evict(struct cmap_store *store, uint64_t hash,
                       struct cmap__object *header, enum cmap_removal reason,
                       uint64_t now, struct cmap__evicted *evicted);

/* Tells of it, as cmap__object_left. */
void cmap__evicted_tell(struct cmap_store *store,
                        struct cmap__evicted *evicted);

/* After an insertion: the bound, and a few of what is out of date. No lock is
 * held. */
void cmap__store_tidy(struct cmap_store *store);

#endif
