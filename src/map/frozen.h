/*
 * What is held of a frozen map: read guards, and iterators at an entry. They
 * lock nothing, and are counted, so that cmap_thaw can wait for them.
 *
 * Each thread counts in the line of its number: those of one line are few, and
 * no reader writes what all readers look at.
 *
 *   a guard is taken                  thaw
 *   count + 1         (seq_cst)       state: CHANGING   (seq_cst)
 *   state: FROZEN?    (seq_cst)       all counts 0?     (seq_cst)
 *
 *   If the guard finds the map frozen, thaw finds the guard. When a guard goes,
 *   it is the same again: if thaw still sees it, it sees thaw, and wakes it.
 */
#ifndef CMAP__MAP_FROZEN_H
#define CMAP__MAP_FROZEN_H

#include "map/map.h"

#define CMAP__FROZEN_LINES 32

struct cmap__frozen {
  /* Grows when thaw is to look again; parked on. Its address is the object of
     holds and waits. */
  _Atomic uint32_t looks;
  _Atomic bool abandoned; /* atomic: set when a thread ends with a guard */
  struct {
    CMAP__ALIGNED(CMAP__CACHE_LINE) _Atomic uint32_t count; /* atomic [F2] */
  } line[CMAP__FROZEN_LINES];
};

/* Makes sure that the map can count; the caller freezes it. CMAP_ENOMEM. */
enum cmap_status cmap__frozen_begin(struct cmap *map);

/* For destroying the map. */
void cmap__frozen_end(struct cmap *map);

/*
 * Counts one more, and fills the record's hold, which the caller links; what it
 * belongs to is a struct cmap__held of this map. False: the map is not frozen
 * (any more), and nothing is done.
 */
bool cmap__frozen_enter(struct cmap *map, struct cmap__record *record);

/* The hold is as it was filled; any thread may have it by now. */
void cmap__frozen_leave(struct cmap *map, const struct cmap__record *record);

/* Waits until all have left. No more enter, since the map's state says that it
 * is changing. CMAP_EDEADLK, CMAP_EABANDONED. */
enum cmap_status cmap__frozen_wait(struct cmap *map);

#endif
