/*
 * Refreshes: flights that replace an object, which others get meanwhile.
 *
 * Such a flight is not in the map, where the object is; it is in a list, and
 * the object's header says that there is one. The list has the reference of it
 * that the map has of other flights. It is there until it ends, or until put
 * has decided it, or it was forgotten.
 *
 * Concurrency: the list under the mutex of the cache; a header's flag, and
 * whether its flight is in the list, change under the lock of its shard.
 */
#ifndef CMAP__STORE_REFRESH_H
#define CMAP__STORE_REFRESH_H

#include "store/flight.h"

/* The flight will replace the object, of which the caller has no more than the
 * map. Shard lock held. */
void cmap__refresh_begin(struct cmap__flight *flight,
                         struct cmap__object *header);

/* The flight that replaces the object, whose header says so. Shard lock held,
 * without which it may end. */
struct cmap__flight *cmap__refresh_of(struct cmap_store *store,
                                      const struct cmap__object *header);

/* It ends: the list's reference becomes the caller's. Shard lock held. */
void cmap__refresh_end(struct cmap__flight *flight);

#endif
