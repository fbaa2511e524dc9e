/*
 * Refreshes: flights that replace an object, which others get meanwhile.
 *
 * Such a flight is not in the map, where the object is; it is in a table by the
 * address of the object's header, which says that there is one. The table has
 * the reference of it that the map has of other flights. It is there until it
 * ends, or until put has decided it, or it was forgotten.
 *
 * Concurrency: the table has a mutex, held for moments; a header's flag, and
 * whether its flight is in the table, change under the lock of its shard.
 */
#ifndef CMAP__STORE_REFRESH_H
#define CMAP__STORE_REFRESH_H

#include "store/flight.h"

/* False: no mutex. */
bool cmap__refreshes_begin(struct cmap__refreshes *refreshes);

/* There are none. */
void cmap__refreshes_end(struct cmap_store *store);

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
