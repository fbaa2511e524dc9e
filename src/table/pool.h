/*
 * The pool: where a map's shard headers and blocks come from.
 *
 * Headers and blocks are cut from chunks and never given back before the map
 * is destroyed, because a lock-free reader or a late locker may still look at
 * them (table/shard.h). A free header waits, with its block, in the list of
 * its block's size. What is cut last and what is free is the only overhead.
 *
 * Chunks come from the map's allocator; large ones, if the user gave no
 * allocator, from the system. A chunk's size follows the pool's, so that the
 * part not yet used stays below 1/16 of the whole.
 */
#ifndef CMAP__TABLE_POOL_H
#define CMAP__TABLE_POOL_H

#include <pthread.h>

#include "table/shard.h"

/* Sizes of block: none, and 2^0 ... 2^40 groups. */
#define CMAP__POOL_SIZES 42

struct cmap__pool_chunk;

struct cmap__pool_region {
  struct cmap__pool_chunk *chunks; /* all of them, newest first */
  char *at;                        /* the unused rest of the newest */
  size_t left;
};

struct cmap__pool {
  pthread_mutex_t mutex;
  bool own_pages;  /* const: large chunks are mapped by the pool itself */
  bool huge_pages; /* const */
  struct cmap__shard *free[CMAP__POOL_SIZES]; /* under mutex */
  struct cmap__pool_region headers;           /* under mutex */
  struct cmap__pool_region blocks;            /* under mutex */
  size_t bytes;                               /* under mutex: of all chunks */
};

/* Makes an empty pool in a map that nobody else sees yet. */
enum cmap_status cmap__pool_init(struct cmap__pool *pool,
                                 const struct cmap__layout *layout);

/* Frees every chunk. All shards are gone after that. */
void cmap__pool_destroy(struct cmap__pool *pool,
                        const struct cmap__layout *layout);

/* log2 of a block's groups for an empty shard: no block at all. */
#define CMAP__NO_BLOCK (-1)

/*
 * Takes a shard with a block of 2^g groups (or none): not live, all groups
 * busy and without tags, its lock held exclusively by the caller. NULL if out
 * of memory. Locks the pool, and waits for a late locker of a re-used header,
 * which holds nothing else and lets go at once.
 */
struct cmap__shard *cmap__pool_take(struct cmap__pool *pool,
                                    const struct cmap__layout *layout, int g);

/* Gives a shard back that is dead and unlocked, its groups busy. */
void cmap__pool_give(struct cmap__pool *pool, struct cmap__shard *shard);

/* Makes sure that `count` takes of this size need no memory. */
bool cmap__pool_reserve(struct cmap__pool *pool,
                        const struct cmap__layout *layout, int g, size_t count);

#endif
