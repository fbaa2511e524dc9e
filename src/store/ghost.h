/*
 * Ghosts: which keys were evicted not long ago, in two bytes each.
 *
 * A bucket is eight fingerprints in the order in which they came; the ninth
 * pushes the first one out. That is nearly a queue for all, since hashes are
 * spread evenly. There are ghosts for nine tenths of the objects that there
 * were when the table was made; it is made anew, and empty, when there are
 * twice as many. Without memory there are none.
 *
 * Concurrency: under the cache's mutex, but for making one.
 */
#ifndef CMAP__STORE_GHOST_H
#define CMAP__STORE_GHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CMAP__GHOST_WAYS 8

struct cmap__ghosts {
  uint16_t (*buckets)[CMAP__GHOST_WAYS]; /* a fingerprint of 0: none */
  size_t count;                          /* of buckets */
};

/* How many buckets `objects` need. */
static inline size_t cmap__ghosts_for(size_t objects)
{
  return objects * 9 / 10 / CMAP__GHOST_WAYS + 1;
}

/* Are there too few for so many objects? */
static inline bool cmap__ghosts_are_few(const struct cmap__ghosts *ghosts,
                                        size_t objects)
{
  return ghosts->count < cmap__ghosts_for(objects / 2);
}

void cmap__ghost_put(struct cmap__ghosts *ghosts, uint64_t hash);

/* Takes the ghost of this hash away, if there is one. */
bool cmap__ghost_take(struct cmap__ghosts *ghosts, uint64_t hash);

#endif
