/*
 * Running a constructor.
 */
#ifndef CMAP__STORE_BUILD_H
#define CMAP__STORE_BUILD_H

#include "store/flight.h"

/*
 * What a call that wants the key's object is to do, decided in one step:
 *   CMAP_OK, *header    it is there; with a reference
 *   CMAP_OK, *flight    *mine: build it, *header is a header to use;
 *                       else wait for it: joined
 *   another status      a failure that is remembered, or CMAP_ENOMEM
 * `waits`: the caller is a thread that will wait, and is counted as one.
 */
enum cmap_status cmap__store_enter(struct cmap__request *request, bool waits,
                                   struct cmap__object **header,
                                   struct cmap__flight **flight, bool *mine);

#endif
