/*
 * The pool: where a map's shard headers and blocks come from.
 *
 * Headers and blocks are cut from chunks, which live as long as the map,
 * because a lock-free reader or a late locker may still look at them
 * (table/shard.h). A free header waits, with its block, in the list of its
 * block's size. What is cut last and what is free is the only overhead; of
 * blocks that are free the pages can be given back to the system.
 *
 * Chunks come from the map's allocator. If that is the default one, large
 * chunks are whole pages, of which those of free blocks can be given back to
 * the system: malloc's memory is private to the process, and what lies in our
 * pages is ours. A chunk's size follows the pool's, so that the part not yet
 * used stays below 1/16 of the whole. With CMAP_HUGE_PAGES large chunks are
 * mappings of our own instead, and whole huge pages.
 */
#ifndef CMAP__TABLE_POOL_H
#define CMAP__TABLE_POOL_H

#include <pthread.h>

#include "table/shard.h"

/* Sizes of block: none, and 2^0 and up. */
#define CMAP__POOL_SIZES (CMAP__BLOCK_LOG2_MAX + 2)

/* Memory from the allocator or the system; const once it is in a list. */
struct cmap__pool_chunk {
  struct cmap__pool_chunk *next;
  size_t size; /* of the whole, this header included */
  bool pages;  /* whole pages, which can be given back */
  bool mapped; /* from the system, not from the allocator */
};

struct cmap__pool_region {
  struct cmap__pool_chunk *chunks; /* all of them, newest first */
  char *at;                        /* the unused rest of the newest */
  size_t left;
};

struct cmap__pool {
  pthread_mutex_t mutex;
  bool own_pages;  /* const: large chunks are pages that can be given back */
  bool huge_pages; /* const */
  struct cmap__shard *free[CMAP__POOL_SIZES]; /* under mutex */
  /* Under mutex: free as well, their pages given back. */
  struct cmap__shard *given[CMAP__POOL_SIZES];
  /* Atomic, written under mutex: bytes of the blocks in `free`. */
  _Atomic size_t idle;
  _Atomic size_t stuck; /* the same, after the last release: cannot go */
  size_t given_back;    /* under mutex: bytes of the blocks in `given` */
  struct cmap__pool_region headers; /* under mutex */
  struct cmap__pool_region blocks;  /* under mutex */
  size_t bytes;                     /* under mutex: of all chunks */
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
void cmap__pool_give(struct cmap__pool *pool, const struct cmap__layout *layout,
                     struct cmap__shard *shard);

/*
 * Gives the pages of free blocks back to the system, where the pool has them
 * from there; `all`: also those that could not go before because a page was
 * shared with a block in use. Nobody waits for it.
 */
void cmap__pool_release(struct cmap__pool *pool,
                        const struct cmap__layout *layout, bool all);

/* Bytes of blocks that have become free since the last release. */
static inline size_t cmap__pool_idle(const struct cmap__pool *pool)
{
  size_t idle = cmap__load_relaxed(&pool->idle); /* about */
  size_t stuck = cmap__load_relaxed(&pool->stuck);

  return idle > stuck ? idle - stuck : 0;
}

/* Has most of its memory been given back? Then what is left of it, pages that
 * blocks share, is worth a look. */
bool cmap__pool_is_mostly_given(struct cmap__pool *pool);

/* The bytes that the pool has from the system and the allocator, and how many
 * of those no shard uses. What was given back is in neither. */
void cmap__pool_bytes(struct cmap__pool *pool, size_t *bytes, size_t *unused);

/* The first invariant of free shards that does not hold; NULL: all do. */
const char *cmap__pool_broken(struct cmap__pool *pool);

/* Makes sure that `count` takes of this size need no memory. */
bool cmap__pool_reserve(struct cmap__pool *pool,
                        const struct cmap__layout *layout, int g, size_t count);

#endif
