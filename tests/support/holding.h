/*
 * Ways to hold a key of a map of calls.h, and calls that keep what they take.
 */
#ifndef CMAP_TEST_HOLDING_H
#define CMAP_TEST_HOLDING_H

#include "calls.h"

/* clang-format off */
enum way {
  GET_REF, GET_OR_INSERT_REF, DOWNGRADE, GET_MUT, ENTRY, MANY_READ, MANY_WRITE,
  MANY_ENTRY, ITER_READ,
  ITER_WRITE, /* up to here: until the release, the rest while a callback runs */
  ADD_OR_UPDATE, ADD_UNLOCKED, RENAME, SWAP_VALUES, NO_LOCK_AT_ALL, BY_VIEW,
  BY_VIEW_ALL, BY_ALTER, BY_ALTER_ALL, BY_COMPUTE, BY_MAKE, BY_ENTRY
};
/* clang-format on */

/* What is held, and what is done meanwhile; once. */
struct holding {
  struct cmap *map;
  uint64_t id;                     /* the key that is held */
  void (*then)(struct holding *h); /* NULL: nothing */
  void *ctx;
  bool done;
  struct cmap_read_guard read;
  struct cmap_write_guard write;
  struct cmap_entry entry;
  struct cmap_multi many;
  struct cmap_iter iter;
};

/* Makes the call; what it takes is in `h`. Callbacks call holding_now. */
enum cmap_status holding_call(enum way way, struct holding *h,
                              struct cmap_key key, const struct cmap_how *how);

/* The key is held: does what is to be done meanwhile. */
void holding_now(struct holding *h, struct cmap_key key);

void holding_release(struct holding *h);

#endif
