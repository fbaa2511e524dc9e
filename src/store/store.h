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
 * headers and of the failures; the detector's mutex after a flight's.
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
#include "store/counts.h"
#include "store/failure.h"
#include "store/headers.h"

/* What the low bits of a word say. */
enum cmap__word_kind {
  CMAP__WORD_OBJECT,
  CMAP__WORD_FLIGHT,
  CMAP__WORD_FAILURE,
  CMAP__WORD_MASK = 3
};

/* The header of an object. */
struct cmap__object {
  _Atomic uint64_t refs;          /* 0: free; watched: CMAP__REFS_WATCHED */
  void *object;                   /* const while refs > 0 */
  struct cmap__header_page *page; /* const */
  struct cmap__object *next;      /* of free ones, under their mutex */
};

struct cmap_store {
  struct cmap *map;
  struct cmap_allocator allocator;
  void (*destroy)(void *object, void *ctx);
  void *ctx;
  unsigned flags;
  uint64_t negative_ns;
  /* Changed by release, told to others by acquire [N3]. */
  _Atomic size_t objects; /* in the map */
  _Atomic size_t flights; /* not freed yet */
  _Atomic size_t running; /* constructions, refreshes, tickets */
  _Atomic size_t tickets; /* not used up yet */
  _Atomic size_t waiters; /* threads that wait for one, a statistic */

  struct cmap__headers headers;
  struct cmap__failures failures;
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
  struct cmap__call call; /* on store->map */
  struct cmap__policy policy;
  struct cmap__patience patience;
};

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

/* Locks the key's shard to write and looks for the key: request->call.found.
 * Cannot fail: nobody waits while holding such a lock. */
void cmap__request_lock(struct cmap__request *request);

static inline void cmap__request_unlock(struct cmap__request *request)
{
  cmap__call_unlock(&request->call);
}

/* Removes the key's entry and unlocks. */
void cmap__request_take(struct cmap__request *request);

/* Removes the entry at the place in the shard that is locked to write, and
 * unlocks. */
void cmap__store_take(struct cmap_store *store,
                      const struct cmap__locked *locked,
                      const struct cmap__place *place);

/*
 * Memory for the store's own books, zeroed, and counted in its statistics;
 * NULL: there is none.
 */
void *cmap__store_alloc(struct cmap_store *store, size_t size, size_t align);
void cmap__store_free(struct cmap_store *store, void *memory, size_t size,
                      size_t align);

/* Memory was taken, or given back, that is not counted otherwise. */
void cmap__store_count_taken(struct cmap_store *store, size_t bytes);
void cmap__store_count_given(struct cmap_store *store, size_t bytes);

/*
 * The bit of an object whose uses a tool is told of (base/watch.h). It makes
 * refs a negative number; each reference counts twice, so that who gives one
 * back tells it in between.
 */
#define CMAP__REFS_WATCHED (UINT64_C(1) << 63)

/* Gives it an object, with one reference for the caller. */
static inline void cmap__object_init(struct cmap__object *header, void *object)
{
  header->object = object;
  cmap__store_release(&header->refs, cmap__watched() ? CMAP__REFS_WATCHED | 2
                                                     : 1); /* ref_unless_free */
}

/* One more reference of an object that has one. */
static inline void cmap__object_ref(struct cmap__object *header)
{
  /* Relaxed: it cannot go away. */
  uint64_t before = cmap__add_relaxed(&header->refs, 1);

  if (cmap__unlikely((before & CMAP__REFS_WATCHED) != 0))
    cmap__add_relaxed(&header->refs, 1); /* the same */
}

/* How many there are. */
static inline uint64_t cmap__object_refs(const struct cmap__object *header)
{
  uint64_t refs = cmap__load_relaxed(&header->refs); /* a statistic */

  return (refs & CMAP__REFS_WATCHED) != 0 ? (refs & ~CMAP__REFS_WATCHED) / 2
                                          : refs;
}

/* Gives a reference back. No lock is held. */
void cmap__object_unref(struct cmap__object *header);

/* Hands a reference that the caller has to the user. */
static inline void cmap__handle_clear(struct cmap_handle *handle)
{
  if (handle != NULL)
    *handle = (struct cmap_handle)CMAP_INIT;
}

static inline void cmap__handle_fill(struct cmap_handle *handle,
                                     struct cmap__object *header)
{
  handle->object = header->object;
  handle->internal[0] = (uintptr_t)header;
  handle->internal[1] = 0;
}

/* The object of the key, without a lock if possible. CMAP_NOT_FOUND: there is
 * none; CMAP_BUSY: it takes the lock to know. */
enum cmap_status cmap__store_find(struct cmap__request *request,
                                  struct cmap__object **header);

/*
 * Lets the key have the header's object; the caller's reference becomes the
 * map's. CMAP_ENOMEM: it is still the caller's.
 */
enum cmap_status cmap__store_replace(struct cmap__request *request,
                                     struct cmap__object *header,
                                     struct cmap_handle *handle);

/* A word that was taken out of the map is given up. No lock is held. */
void cmap__word_drop(struct cmap_store *store, uint64_t word);

#endif
