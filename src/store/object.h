/*
 * Objects: their headers, their references, and their time.
 *
 * A hit comes to the header, which has 32 bytes. In a store that is a cache an
 * object has a second part, in the same page: the hash of its key, and, if
 * objects cost more than one or have a time, what they cost and when their time
 * is over. A hit looks there when there may be something to do: the header
 * says from when on.
 *
 * Times are of the store's clock (cmap__store_now). A hit asks a clock that is
 * fast and a tick of the system behind (cmap__store_about_now), so that it may
 * find what has been out of date for a tick, and never the other way round. An
 * object that is hit again and again notes that once in a sixteenth of its
 * idle time, which is then as much longer.
 */
#ifndef CMAP__STORE_OBJECT_H
#define CMAP__STORE_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/compiler.h"
#include "cmap.h"
#include "store/headers.h"

struct cmap_store;

/* The header of an object. */
struct cmap__object {
  _Atomic uint32_t refs;         /* 0: free; watched: CMAP__REFS_WATCHED */
  _Atomic uint8_t used;          /* atomic: hits, up to CMAP__USED_MAX */
  _Atomic uint8_t queue;         /* atomic, enum cmap__queue_name: written
                                    under the cache's mutex; from PICKED on,
                                    under the shard lock, or while nobody else
                                    has it */
  _Atomic bool refreshing;       /* atomic, written under the shard lock: a
                                    flight replaces it (store/refresh.h) */
  _Atomic bool retired;          /* atomic: without references, but borrowed
                                    when that was looked at */
  void *object;                  /* const while refs > 0, or retired */
  struct cmap__object *previous; /* under the cache's mutex: older */
  union {
    struct cmap__object *next; /* of free ones, under their mutex; of queued
                                  ones without a time, under the cache's */
    _Atomic uint64_t look_ns;  /* atomic: before that it has neither expired
                                  nor become stale, nor is a hit to be noted */
  };
};

/* The second part. */
struct cmap__kept {
  uint64_t hash; /* of the key; const while queued */
  /* Only in stores with costs or times: */
  struct cmap__object *next; /* under the cache's mutex: newer */
  uint64_t cost;             /* const while refs > 0 */
  uint64_t idle_ns; /* const while refs > 0: it is out of date so long after the
                       last hit; UINT64_MAX: no */
  /* Atomic: */
  _Atomic uint64_t until_ns;   /* it is out of date then; UINT64_MAX: never */
  _Atomic uint64_t hit_ns;     /* when it was hit, or made */
  _Atomic uint64_t refresh_ns; /* it is to be built anew then */
};

#define CMAP__KEPT_BY_COUNT offsetof(struct cmap__kept, next)

enum cmap__age { CMAP__FRESH, CMAP__STALE, CMAP__EXPIRED };

/* The second part of a header, where they have so many bytes each: the first
 * one in the unit is that of the unit's last header. */
static inline struct cmap__kept *
cmap__kept_of(const struct cmap__object *header, size_t kept_size)
{
  struct cmap__header_unit *unit = cmap__header_unit(header);
  size_t behind = CMAP__HEADER_UNIT - ((uintptr_t)header - (uintptr_t)unit);

  return (void *)((char *)(unit + 1) +
                  (behind / sizeof *header - 1) * kept_size);
}

/* The same in a store with costs or times. */
static inline struct cmap__kept *cmap__kept(const struct cmap__object *header)
{
  return cmap__kept_of(header, sizeof(struct cmap__kept));
}

/* The sum, but no more than there is. */
static inline uint64_t cmap__later(uint64_t ns, uint64_t more)
{
  return more < UINT64_MAX - ns ? ns + more : UINT64_MAX;
}

/* Of an object that the caller has a reference of, in a store with times.
 * Relaxed, here and below: no order is needed. */
static inline enum cmap__age cmap__object_age(const struct cmap__object *header,
                                              uint64_t now)
{
  const struct cmap__kept *kept = cmap__kept(header);
  uint64_t hit = cmap__load_relaxed(&kept->hit_ns);

  if (now >= cmap__load_relaxed(&kept->until_ns) ||
      now >= cmap__later(hit, cmap__later(kept->idle_ns, kept->idle_ns / 16)))
    return CMAP__EXPIRED;
  return now >= cmap__load_relaxed(&kept->refresh_ns) ? CMAP__STALE
                                                      : CMAP__FRESH;
}

/* The same of an object that is hit now, which is noted. */
enum cmap__age cmap__object_look(struct cmap__object *header, uint64_t now);

/* The same, by the header alone if there is nothing to do. */
static inline enum cmap__age cmap__object_hit(struct cmap__object *header,
                                              uint64_t now)
{
  return now < cmap__load_relaxed(&header->look_ns)
             ? CMAP__FRESH
             : cmap__object_look(header, now);
}

/* Its time is over, whatever late hits say. */
static inline void cmap__object_end(struct cmap__object *header)
{
  cmap__store_relaxed(&cmap__kept(header)->until_ns, 0);
  cmap__store_release(&header->look_ns, 0); /* [N6] */
}

/*
 * The bit of an object whose uses a tool is told of (base/watch.h). It makes
 * refs a negative number; each reference counts twice, so that who gives one
 * back tells it in between.
 */
#define CMAP__REFS_WATCHED (UINT32_C(1) << 31)

/* One more reference of an object that has one. */
static inline void cmap__object_ref(struct cmap__object *header)
{
  /* Relaxed: it cannot go away. */
  uint32_t before = cmap__add_relaxed(&header->refs, 1);

  if (cmap__unlikely((before & CMAP__REFS_WATCHED) != 0))
    cmap__add_relaxed(&header->refs, 1); /* the same */
}

/* How many there are. */
static inline uint32_t cmap__object_refs(const struct cmap__object *header)
{
  uint32_t refs = cmap__load_relaxed(&header->refs); /* a statistic */

  return (refs & CMAP__REFS_WATCHED) != 0 ? (refs & ~CMAP__REFS_WATCHED) / 2
                                          : refs;
}

/* Gives a reference back. No lock is held. */
void cmap__object_unref(struct cmap__object *header);

/* Nobody has the object any more. */
void cmap__object_destroy(struct cmap_store *store,
                          struct cmap__object *header);

/*
 * Gives the header an object of the key, and asks the user for its cost and its
 * time. No lock is held. False: it costs more than the bound, and is not to be
 * kept. It has no references yet: cmap__flight_end and cmap__store_replace give
 * it some, as it is their caller's.
 */
bool cmap__object_init(struct cmap_store *store, struct cmap_key key,
                       struct cmap__object *header, void *object);

/* From now on it has so many, at least one. */
void cmap__object_begin(struct cmap__object *header, uint32_t refs);

/* Its word was stored in the map, or taken out of it, under the shard lock;
 * or is one of those that clear has taken out. */
void cmap__object_in(struct cmap_store *store, struct cmap__object *header,
                     uint64_t hash);
void cmap__object_out(struct cmap_store *store, struct cmap__object *header);

/* It was taken out of the map: on_remove is told, and the map's reference given
 * back. No lock is held. */
void cmap__object_left(struct cmap_store *store, struct cmap_key key,
                       struct cmap__object *header, enum cmap_removal reason);

#endif
