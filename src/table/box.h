/*
 * Boxes: the memory of keys and values that do not lie in their slot.
 *
 * A late reader may follow the pointer of a slot that is not the slot's any
 * more: so the memory of boxes stays mapped until the map is destroyed, like
 * that of blocks (table/chunk.h), and is used again for boxes only. What such a
 * reader finds is anything, and it throws it away (docs/memory-model.md); all
 * that it needs is that a box of a size that was stored can be read as so many
 * words.
 *
 * Large boxes are an allocation each, which ends with the entry: they are read
 * under the lock. The others are of classes.
 *
 * Boxes of a class, which are of one size, are cut from slabs. A slab belongs
 * to a heap as long as it has boxes in use, and its free boxes are used again
 * for its class; an empty one waits for any heap and any class, and its pages
 * can be given back to the system. Threads use the heap of their stripe, so
 * that they seldom meet: what they give up waits there, up to some boxes of
 * each class, to be taken again, and only beyond that goes home to its slab; or
 * when a slab is wanted, and those that wait are many for what is in use.
 *
 * A map that has no boxes has none of this: it is made for the first box.
 *
 * LOCK ORDER: the mutex of a heap, then that of the boxes (4 in
 * sync/shardlock.h); other heaps are made under that of the first one.
 */
#ifndef CMAP__TABLE_BOX_H
#define CMAP__TABLE_BOX_H

#include <pthread.h>

#include "base/atomics.h"
#include "base/compiler.h"
#include "table/chunk.h"

/* Threads beyond this number share heaps: a power of two. */
#define CMAP__BOX_HEAPS 16

/* Larger boxes are large. */
#define CMAP__BOX_MOST ((size_t)8 * 1024)

/* Log2 of a slab's bytes; there is a list of empty ones for each. */
#define CMAP__SLAB_LOG2_LEAST 9
#define CMAP__SLAB_LOG2_MOST  18
#define CMAP__SLAB_LISTS      (CMAP__SLAB_LOG2_MOST - CMAP__SLAB_LOG2_LEAST + 1)

struct cmap__slab {
  /* In its heap's list, if it has free boxes; or in a list of empty ones. */
  struct cmap__slab *next, *prev; /* prev: in the heap's list only */
  struct cmap__chunk *chunk;      /* const */
  char *memory;                   /* const */
  size_t bytes;                   /* const: a power of two */
  /* While it belongs to a heap, under the heap's mutex. */
  struct cmap__box_heap *heap;
  size_t box;     /* bytes of a box; const for that time */
  uint32_t boxes; /* that it has room for; const for that time */
  uint32_t cut;   /* so many have been in use once */
  uint32_t used;  /* in use, or spare */
  bool fresh;     /* its pages may not be there yet: who takes it asks for them.
                     Until then under the mutex of all heaps */
  _Atomic uint64_t *free; /* the others: each names the next */
};

/* A heap's free boxes of a class. */
struct cmap__box_list {
  struct cmap__slab *partial; /* its slabs that have any */
  _Atomic uint64_t *spare;    /* given up by its threads: each names the next,
                                 and its slab, whose it is still */
  size_t spares;
};

struct cmap__box_heap {
  pthread_mutex_t mutex;
  struct cmap__box_list *lists; /* by class */
  unsigned classes;             /* that there is room for in `lists` */
  /* Atomic, written under the mutex: of all classes. */
  _Atomic size_t spares;
  _Atomic size_t used; /* taken by its threads, less those that they gave:
                          below 0, modulo 2^n, where they give more */
} CMAP__ALIGNED(CMAP__CACHE_LINE);

struct cmap__box_heaps {
  struct cmap__box_heap first; /* of CMAP__BOX_HEAPS, what others wait for */
  _Atomic(struct cmap__box_heap *)
      heaps[CMAP__BOX_HEAPS]; /* atomic: NULL or const [B1] */
  pthread_mutex_t mutex;      /* for all below */
  struct cmap__source source;
  struct cmap__region slabs;                  /* the structs */
  struct cmap__region memory;                 /* theirs */
  struct cmap__slab *idle[CMAP__SLAB_LISTS];  /* empty ones */
  struct cmap__slab *given[CMAP__SLAB_LISTS]; /* whose pages were given back */
  _Atomic size_t idle_bytes;                  /* written under the mutex */
  size_t given_bytes;
  _Atomic size_t own_bytes; /* atomic: of the heaps and their lists */
};

/* Where a map's boxes come from. */
struct cmap__boxes {
  const struct cmap_allocator *allocator;  /* const */
  bool huge;                               /* const: as cmap__source_init */
  _Atomic(struct cmap__box_heaps *) heaps; /* atomic: NULL or const [B1] */
  _Atomic size_t large_bytes;              /* atomic: of large boxes in use */
  struct cmap__box_heaps *stopped;         /* by the thread that forks */
};

/* A box in use; `slab` says where it goes when it is free: NULL, it is large.
 */
struct cmap__box {
  void *data;
  struct cmap__slab *slab;
};

void cmap__boxes_init(struct cmap__boxes *boxes,
                      const struct cmap_allocator *allocator, bool huge);

/* Has any box been taken, but for large ones? */
static inline bool cmap__boxes_exist(const struct cmap__boxes *boxes)
{
  return cmap__load_relaxed(&boxes->heaps) != NULL; /* only asked */
}

/* Frees the memory of all boxes, in use or not, but of large ones. Nobody else
 * sees them. */
void cmap__boxes_destroy(struct cmap__boxes *boxes);

/*
 * A box of at least `size` bytes, more than 0, at a multiple of `align`, a
 * power of two up to 64. It can be read and written as words, and the caller's
 * plain stores come after whatever made its memory free [B2]. False: no memory.
 * Locks a heap, for some 20 ns; calls the allocator now and then.
 */
bool cmap__box_take(struct cmap__boxes *boxes, size_t size, size_t align,
                    struct cmap__box *box);

/* Gives a box back, of that size and alignment, that no slot names any more.
 * Locks its heap. */
void cmap__box_give(struct cmap__boxes *boxes, const struct cmap__box *box,
                    size_t size, size_t align);

static inline bool cmap__box_is_large(size_t size)
{
  return size > CMAP__BOX_MOST;
}

/* The number of a size's class. */
unsigned cmap__box_class(size_t size);

/* Sends all spare boxes home, so that slabs can be given back. */
void cmap__boxes_trim(struct cmap__boxes *boxes);

/*
 * One step of giving pages of empty slabs back to the system, where they come
 * from there: some 64 KiB, or a single slab. Returns how many bytes it was
 * about; 0: there were none.
 */
size_t cmap__boxes_release(struct cmap__boxes *boxes);

/* Bytes of empty slabs whose pages have not been given back; about. */
size_t cmap__boxes_idle(const struct cmap__boxes *boxes);

/* The bytes that are taken from the system and the allocator, and how many of
 * these are in no slab with boxes in use. */
void cmap__boxes_bytes(struct cmap__boxes *boxes, size_t *bytes,
                       size_t *unused);

/* A slab for boxes of that many bytes, of no heap yet (NULL: no memory), and an
 * empty one back. Locks the boxes. */
struct cmap__slab *cmap__slab_take(struct cmap__box_heaps *heaps, size_t box);
void cmap__slab_give(struct cmap__box_heaps *heaps, struct cmap__slab *slab);

/* How many boxes are in use. */
size_t cmap__boxes_used(struct cmap__boxes *boxes);

/* The first invariant that does not hold; NULL: all do. */
const char *cmap__boxes_broken(struct cmap__boxes *boxes);

/*
 * Around fork: nobody changes anything in between. `alone`: in the child. Heaps
 * that another thread made meanwhile, and may have locked, have no box of an
 * entry, since all shards are locked; the child loses them.
 */
void cmap__boxes_stop(struct cmap__boxes *boxes);
void cmap__boxes_go_on(struct cmap__boxes *boxes, bool alone);

#endif
