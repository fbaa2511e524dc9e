/*
 * Chunks: memory that a map keeps until it is destroyed, because a late reader
 * may still look at parts of it that were given up long ago.
 *
 * A region cuts parts from its newest chunk and never joins them again: what
 * the free parts are used for next is its owner's to say (table/pool.h).
 *
 * Chunks come from the map's allocator. If that is the default one, those for
 * parts that come and go are whole pages, and the pages that nobody uses can be
 * given back to the system: malloc's memory is private to the process, and what
 * lies in our pages is ours. They stay mapped then and read as zero. A page may
 * lie across several parts, so that for each page it is known how many of its
 * bytes are in use; what was never cut is not.
 *
 * All fields and functions: under the owner's mutex, unless said otherwise.
 */
#ifndef CMAP__TABLE_CHUNK_H
#define CMAP__TABLE_CHUNK_H

#include <stdbool.h>
#include <stdint.h>

#include "cmap.h"

/* What the record of a chunk is aligned to; low bits of its address are free
 * for its owner's use. */
#define CMAP__CHUNK_ALIGN 64

struct cmap__chunk {
  struct cmap__chunk *next; /* const once it is in a list */
  char *memory;             /* const */
  size_t size;              /* const: of the memory */
  bool mapped;              /* const: from the system, not the allocator */
  size_t pages;             /* const: that can be given back, from `memory` */
  uint32_t in_use[];        /* for each of them; see CMAP__PAGE_GIVEN */
};

/* The page has been given back; else its bytes in use. */
#define CMAP__PAGE_GIVEN UINT32_MAX

/* A step of giving pages back ends with this much. */
#define CMAP__RELEASE_STEP ((size_t)64 * 1024)

/* Where chunks come from, and how much of that there is. */
struct cmap__source {
  const struct cmap_allocator *allocator; /* const */
  bool own_pages;                         /* const: pages can be given back */
  bool huge_pages;                        /* const */
  size_t bytes;                           /* of all chunks and their records */
  size_t given_back; /* of these, in pages that have been given back */
};

struct cmap__region {
  struct cmap__chunk *chunks; /* all of them, newest first */
  char *at;                   /* the unused rest of the newest */
  size_t left;
};

/* Can pages of its memory be given back? The default one's, as above. */
bool cmap__allocator_has_pages(const struct cmap_allocator *allocator);

/* `huge`: large chunks are mappings of our own, of whole huge pages. */
void cmap__source_init(struct cmap__source *source,
                       const struct cmap_allocator *allocator, bool huge);

/*
 * Sees to it that `size` bytes can be cut. A new chunk has `wanted` bytes if
 * that is more and can be had. `returns`: the region's parts will be given up
 * one day. False: no memory.
 */
bool cmap__region_grow(struct cmap__source *source, struct cmap__region *region,
                       size_t size, size_t wanted, bool returns);

/* Cuts a part for which there is room. It is not yet in use. */
void *cmap__region_cut(struct cmap__region *region, size_t size);

/* Gives back some pages, of `most` bytes, from which nothing was cut yet.
 * Returns their bytes. */
size_t cmap__region_release(struct cmap__source *source,
                            struct cmap__region *region, size_t most);

/* Frees all chunks. */
void cmap__region_free(struct cmap__source *source,
                       struct cmap__region *region);

/* The part is in use from now on. True: pages of it may not be there yet, and
 * come by one call (cmap__pages_populate), best without the mutex. */
bool cmap__chunk_use(struct cmap__source *source, struct cmap__chunk *chunk,
                     const char *part, size_t size);

/*
 * The part is not in use any more: pages that no other part in use lies in are
 * given back to the system. Everything in it may read as zero from now on.
 */
void cmap__chunk_unuse(struct cmap__source *source, struct cmap__chunk *chunk,
                       const char *part, size_t size);

#endif
