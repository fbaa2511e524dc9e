/*
 * Running a constructor.
 */
#ifndef CMAP__STORE_BUILD_H
#define CMAP__STORE_BUILD_H

#include "store/flight.h"

/* What a call is after. */
enum cmap__want {
  CMAP__WANT_ANY, /* an object; one that is stale if somebody replaces it */
  CMAP__WANT_NEW  /* one that somebody builds for a refresh */
};

/*
 * What a call is to do, decided in one step:
 *   flight, mine  build it; header is one to use
 *   flight        wait for it: joined
 *   header        it is there; with a reference
 *   neither       WANT_NEW: somebody builds, but for no refresh
 */
struct cmap__entered {
  struct cmap__object *header;
  struct cmap__flight *flight;
  bool mine;
  enum cmap_origin origin; /* of a header that is there */
};

/*
 * `waits`: the caller is a thread that will wait, and is counted as one. The
 * status of a failure that is remembered, or CMAP_ENOMEM.
 */
enum cmap_status cmap__store_enter(struct cmap__request *request,
                                   enum cmap__want want, bool waits,
                                   struct cmap__entered *entered);

/* A constructor at work. */
struct cmap__building {
  struct cmap__request *request;
  struct cmap__flight *flight; /* NULL: of a refresh beside a flight */
  struct cmap__object *header; /* to be used; NULL: no memory */
  struct cmap__object *stale;  /* what the caller has instead; or NULL */
  cmap_build_fn *build;
  void *ctx;
  void *object;
  enum cmap_status status;
  bool keep;
  uint64_t since_ns;
  struct cmap__hold *hold; /* that others may wait for the flight */
};

/* The calling thread holds `held`, which others may wait for, until
 * cmap__hold_end; after a cmap__hold_prepare. */
struct cmap__hold *cmap__construction_hold(const void *held);

/* It has constructed n objects, which it has added to those that run. */
void cmap__construction_end(struct cmap_store *store, size_t n,
                            uint64_t since_ns);

/* Calls the constructor; no lock is held. status; header and keep if CMAP_OK.
 */
void cmap__building_run(struct cmap__building *b);

/* A constructor has ended with status and object: the same comes of it. */
void cmap__building_made(struct cmap__building *b);

/* Ends the flight, by what cmap__building_made or a failure has left. */
enum cmap_status cmap__building_finish(struct cmap__building *b,
                                       struct cmap_handle *handle);

/* Builds what the flight is for, if it is `mine`; else waits for it. */
enum cmap_status cmap__building_end(struct cmap__building *b, bool mine,
                                    struct cmap_handle *handle);

/*
 * The object was absent, or stale and nobody replaced it: builds it, or waits
 * for who does so now, or takes what is there now. One that is stale is the
 * caller's in any case: it has a reference.
 */
enum cmap_status cmap__building_create(struct cmap__building *b,
                                       struct cmap_handle *handle);

#endif
