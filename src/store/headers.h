/*
 * Headers of objects: where they come from, and how their memory goes back.
 *
 * A header may be looked at by a late reader at any time (store/store.h): what
 * was one stays mapped, and reads as a header without references. So headers
 * lie in pages, and what is known of a page lies outside of it. A page all of
 * whose headers are free gives its memory back to the system: its contents are
 * zero then, which are headers without references. Only the default allocator's
 * memory is whole pages of ours; an allocator of the user's keeps what it gave
 * until the store is destroyed, and the store uses it again.
 *
 * A page is one unit of 4 KiB, or as many as make a page of the system. A unit
 * begins at a multiple of its size, with a word for its page and one for its
 * store; the second parts of its headers follow, and the headers are its end.
 * So a header's address says where its unit is, which may be looked at while
 * one of its headers is taken, and where its second part is. The last unit of a
 * few has no end: what is known of these pages lies there.
 *
 * A page is
 *   full   all its headers are taken; in no list
 *   some   some are
 *   empty  none is; its memory is kept for the next ones
 *   given  none is, and its memory was given back
 * Headers come from pages that have some first, so that others become empty.
 * One that is free each thread keeps for itself (store/counts.h).
 *
 * Concurrency: any thread; one mutex, held for moments.
 */
#ifndef CMAP__STORE_HEADERS_H
#define CMAP__STORE_HEADERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"

struct cmap_store;
struct cmap__object;
struct cmap__header_extent;

/* The system's smallest page. */
#define CMAP__HEADER_UNIT ((size_t)4096)

/* The begin of a unit. */
struct cmap__header_unit {
  struct cmap__header_page *page; /* const while a header is taken, and below */
  struct cmap_store *store;
};

/* Headers of a unit, with second parts of this size. */
#define CMAP__HEADERS_IN_UNIT(kept_size)                                       \
  ((unsigned)((CMAP__HEADER_UNIT - sizeof(struct cmap__header_unit)) /         \
              (sizeof(struct cmap__object) + (kept_size))))

/* What is known of a page; it lives as long as the store. The system's pages
 * have fewer headers than 16 bits count. */
struct cmap__header_page {
  char *memory; /* const */
  /* Under the mutex: */
  struct cmap__object *free;                 /* that have been taken before */
  struct cmap__header_page *next, *previous; /* in its list */
  uint16_t taken;
  uint16_t begun; /* the first that were taken since the page was given */
  uint16_t room;  /* const: headers in all */
  bool whole;     /* const: a page of the system's */
};

struct cmap__headers {
  unsigned in_unit;      /* const */
  pthread_mutex_t mutex; /* guards all below */
  struct cmap__header_extent *extents;
  struct cmap__header_page *some, *empty, *given;
  size_t empty_count; /* of whole pages in `empty` */
  size_t page_count;
  size_t room;          /* headers of all pages */
  _Atomic size_t bytes; /* atomic, written under mutex: taken, not given back */
};

/* False: no mutex. */
bool cmap__headers_begin(struct cmap__headers *headers);

/* Frees all memory. All headers are free. */
void cmap__headers_end(struct cmap_store *store);

/* A free header, which has no references; NULL: out of memory. */
struct cmap__object *cmap__header_take(struct cmap_store *store);

/* Gives back a header without references. May give a page to the system. */
void cmap__header_give(struct cmap_store *store, struct cmap__object *header);

/* Of a header that is taken, as is its store. */
static inline struct cmap__header_unit *
cmap__header_unit(const struct cmap__object *header)
{
  return (void *)((uintptr_t)header & ~(uintptr_t)(CMAP__HEADER_UNIT - 1));
}

static inline struct cmap_store *
cmap__header_store(const struct cmap__object *header)
{
  return cmap__header_unit(header)->store;
}

/* Pages for so many headers in all. False: out of memory. */
bool cmap__headers_reserve(struct cmap_store *store, size_t count);

/* Gives all empty pages to the system, and the caller's own header back. */
void cmap__headers_shrink(struct cmap_store *store);

/* The references of all objects. */
uint64_t cmap__headers_refs(struct cmap_store *store);

#endif
