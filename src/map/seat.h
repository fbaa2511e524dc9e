/*
 * Guards to read that have a seat instead of a record (sync/bias.h).
 */
#ifndef CMAP__MAP_SEAT_H
#define CMAP__MAP_SEAT_H

#include "map/map.h"

/*
 * The user's struct has the address of the thread's seats, which are never
 * freed while it could be used, with the seat's number and this bit; and the
 * seat's serial.
 */
#define CMAP__SEAT_NAME ((uintptr_t)1)

static inline bool cmap__is_seat_name(const uintptr_t internal[2])
{
  return (internal[0] & CMAP__SEAT_NAME) != 0;
}

static inline struct cmap__seats *cmap__seat_named(const uintptr_t internal[2],
                                                   unsigned *i)
{
  const uintptr_t low = CMAP__CACHE_LINE - 1;

  *i = (unsigned)(internal[0] & low) >> 1;
  return (struct cmap__seats *)(internal[0] & ~low);
}

/* Does it hold something in a seat of any thread's? In which? */
static inline bool cmap__seat_holds(const uintptr_t internal[2],
                                    struct cmap__seats **seats, unsigned *i)
{
  *seats = cmap__seat_named(internal, i);
  return cmap__likely(cmap__is_seat_name(internal)) &&
         cmap__likely(cmap__load_relaxed(&(*seats)->serial[*i]) == internal[1]);
}

/* In one of the calling thread's; *seats and *i. Or of another one's. */
static inline bool cmap__seat_of(const uintptr_t internal[2],
                                 struct cmap__seats **seats, unsigned *i)
{
  return cmap__seat_holds(internal, seats, i) &&
         cmap__likely(cmap__load_relaxed(&(*seats)->owner) ==
                      cmap__thread_mark());
}

static inline bool cmap__seat_is_foreign(const uintptr_t internal[2])
{
  struct cmap__seats *seats;
  unsigned i;

  return cmap__seat_holds(internal, &seats, &i) &&
         cmap__load_relaxed(&seats->owner) != cmap__thread_mark();
}

static inline struct cmap__shard *
cmap__seat_shard(const struct cmap__seats *seats, unsigned i)
{
  _Static_assert(offsetof(struct cmap__shard, lock) == 0,
                 "a lock is a shard's");
  return (struct cmap__shard *)cmap__load_relaxed(&seats->lock[i]);
}

static inline struct cmap *cmap__seat_map(const struct cmap__seats *seats,
                                          unsigned i)
{
  _Static_assert(offsetof(struct cmap, table) == 0, "a table is a map's");
  return (struct cmap *)(uintptr_t)cmap__load_relaxed(&seats->object[i]);
}

/* The shard's lock has been taken in the seat: it is a guard's, and named. */
static inline void cmap__seat_take(struct cmap__seats *seats, unsigned i,
                                   const struct cmap__table *table,
                                   const struct cmap__shard *shard,
                                   uintptr_t internal[2])
{
  cmap__seat_show_shard(seats, i, table, shard);
  internal[0] = (uintptr_t)seats | (uintptr_t)i << 1 | CMAP__SEAT_NAME;
  internal[1] = cmap__load_relaxed(&seats->serial[i]); /* the thread's own */
}

/* It is not the guard's any more, which is stale from now on. */
static inline void cmap__seat_give(struct cmap__seats *seats, unsigned i)
{
  cmap__seat_renew(seats, i);
  cmap__seat_hide(seats, i);
}

#endif
