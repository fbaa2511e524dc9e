/*
 * Headers of objects: where they come from, and how their memory goes back.
 *
 * A header may be looked at by a late reader at any time (store/store.h): what
 * was one stays mapped, and reads as a header without references. So headers
 * lie in pages, a page of a thousand or more bytes of them at a time, and what
 * is known of a page lies outside of it. A page all of whose headers are free
 * gives its memory back to the system: its contents are zero then, which are
 * headers without references. Only the default allocator's memory is whole
 * pages of ours; an allocator of the user's keeps what it gave until the store
 * is destroyed, and the store uses it again.
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

/* What is known of a page; it lives as long as the store. */
struct cmap__header_page {
  struct cmap_store *store;     /* const */
  struct cmap__object *objects; /* const: the page */
  void *kept;                   /* const: in it, their second parts */
  size_t kept_size;             /* const: of each of those; 0: there are none */
  bool whole;                   /* const: a page of the system's */
  /* Under the mutex: */
  struct cmap__object *free; /* that have been taken before */
  unsigned taken;
  unsigned begun; /* the first that were taken since the page was given */
  struct cmap__header_page *next, *previous; /* in its list */
};

struct cmap__headers {
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
void cmap__header_give(struct cmap__object *header);

/* Pages for so many headers in all. False: out of memory. */
bool cmap__headers_reserve(struct cmap_store *store, size_t count);

/* Gives all empty pages to the system, and the caller's own header back. */
void cmap__headers_shrink(struct cmap_store *store);

/* The references of all objects. */
uint64_t cmap__headers_refs(struct cmap_store *store);

#endif
