/*
 * The pool: where a map's shard headers and blocks come from.
 *
 * Headers and blocks are cut from chunks, which live as long as the map,
 * because a lock-free reader or a late locker may still look at them
 * (table/shard.h). A free header waits, with its block, in the list of its
 * block's size. What is cut last and what is free is the only overhead; of
 * blocks that are free the pages can be given back to the system.
 *
 * A header keeps its block for ever, but need not use all of it: the groups lie
 * downwards and the slots upwards from one address, so that a smaller block at
 * that address is a part of it, where groups are groups and slots are slots.
 * So a free block serves for any smaller size. It is never cut up, because what
 * is behind a smaller block's groups would be slots of the next one, which a
 * late reader of the whole one would take for groups; and blocks are never
 * joined.
 *
 * The first header of a map lies in the map, and so does its block, of one
 * group, if that is small: a map of a few entries is one allocation. All that
 * it takes to have more than these comes with the second header.
 *
 * Whose free memory goes back to the system has new blocks cut before larger
 * ones are used for less; whose does not, uses what it has first. A chunk's
 * size follows the pool's, so that the part not yet used stays below 1/16 of
 * the whole.
 */
#ifndef CMAP__TABLE_POOL_H
#define CMAP__TABLE_POOL_H

#include <pthread.h>

#include "table/chunk.h"
#include "table/counts.h"
#include "table/shard.h"

/* Sizes of block: none, and 2^0 and up. */
#define CMAP__POOL_SIZES (CMAP__BLOCK_LOG2_MAX + 2)

/* The free headers, by the sizes of their blocks. */
struct cmap__free_lists {
  struct cmap__shard *free[CMAP__POOL_SIZES];
  /* Free as well, their pages given back, but for those of blocks whose groups'
     counts are far apart (`high` is 0). */
  struct cmap__shard *given[CMAP__POOL_SIZES];
};

/* Parts of a map that each have a place of their own to go on from with
 * cmap_pop: two cache lines. */
#define CMAP__POP_HINTS 16

/* What a map has from its second header on. */
struct cmap__grown {
  struct cmap__source source;    /* under mutex */
  struct cmap__free_lists lists; /* under mutex */
  /* Atomic, written under mutex: bytes of the blocks in `free`. */
  _Atomic size_t idle;
  size_t given_bytes;          /* under mutex: of the blocks in `given` */
  struct cmap__region headers; /* under mutex */
  struct cmap__region blocks;  /* under mutex */
  struct cmap__replaced_counts counts;
  /* Where the next pops of the parts of these numbers begin (map/pop.c):
     atomic, by any thread; relaxed, as hints. Lines of their own, as pops write
     them. */
  CMAP__ALIGNED(CMAP__CACHE_LINE) _Atomic uint64_t pops[CMAP__POP_HINTS];
};

struct cmap__pool {
  pthread_mutex_t mutex;
  /* Atomic, written under mutex: NULL or const [G1]. */
  struct cmap__grown *_Atomic grown;
};

/* NULL: there is no second header yet. */
static inline struct cmap__grown *
cmap__pool_grown(const struct cmap__pool *pool)
{
  return cmap__load_acquire(&pool->grown); /* [G1] */
}

/* Makes an empty pool in a map that nobody else sees yet. */
enum cmap_status cmap__pool_init(struct cmap__pool *pool);

/* Frees every chunk. All shards are gone after that. */
void cmap__pool_destroy(struct cmap__pool *pool);

/*
 * The bytes of the slots that a map has in itself, behind the metadata of their
 * group: 0 if they are many.
 */
size_t cmap__pool_first_bytes(const struct cmap__layout *layout);

/*
 * Makes *shard, which lives as long as the pool, its first header, while nobody
 * else sees the pool: as cmap__pool_take has them, with a block of a group, of
 * which the slots begin at `slots`; NULL: with none.
 */
void cmap__pool_first(struct cmap__shard *shard, void *slots);

/* log2 of a block's groups for an empty shard: no block at all. */
#define CMAP__NO_BLOCK (-1)

/*
 * Takes a shard with a block of 2^g groups (or none; without memory for that it
 * may have one of a group): not live, all groups busy and without tags, its
 * lock held exclusively by the caller. NULL if out of memory. Locks the pool,
 * and waits for a late locker of a re-used header, which holds nothing else and
 * lets go at once.
 */
struct cmap__shard *cmap__pool_take(struct cmap__pool *pool,
                                    const struct cmap__layout *layout, int g);

/* Gives a shard back that is dead and unlocked, its groups busy. */
void cmap__pool_give(struct cmap__pool *pool, const struct cmap__layout *layout,
                     struct cmap__shard *shard);

/*
 * One step of giving pages of free blocks back to the system, where the pool
 * has them from there, and of memory that was never cut: some 64 KiB, or a
 * single block. Locks the pool for some 20 us. Returns how many bytes it was
 * about; 0: there were none.
 */
size_t cmap__pool_release(struct cmap__pool *pool,
                          const struct cmap__layout *layout);

/* Bytes of free blocks whose pages have not been given back; about. */
static inline size_t cmap__pool_idle(const struct cmap__pool *pool)
{
  const struct cmap__grown *grown = cmap__pool_grown(pool);

  return grown == NULL ? 0 : cmap__load_relaxed(&grown->idle);
}

/* The bytes that the pool has from the system and the allocator, and how many
 * bytes of its blocks and headers no shard uses. What was given back is in
 * neither. */
void cmap__pool_bytes(struct cmap__pool *pool, size_t *bytes, size_t *unused);

/* The first invariant of free shards that does not hold; NULL: all do. */
const char *cmap__pool_broken(struct cmap__pool *pool);

#endif
