/*
 * Whole pages, for pools that are large and give memory back while readers may
 * still look at it: a page that is given back stays mapped and reads as zero.
 * Mappings of our own, for huge pages. And pages that are wanted soon.
 *
 * Thread safety: all functions may be called by any number of threads at once,
 * for memory that does not overlap.
 */
#ifndef CMAP__BASE_PAGES_H
#define CMAP__BASE_PAGES_H

#include <stdbool.h>
#include <stddef.h>

/* The size of a page in bytes, a power of two. */
size_t cmap__page_size(void);

/*
 * Maps `size` bytes, rounded up to whole pages, all zero and private to the
 * process. Begins at a page. NULL if the system refuses, or if size is 0.
 */
void *cmap__pages_map(size_t size);

/* The size of a huge page where pages are of 4 KiB. */
#define CMAP__HUGE_PAGE ((size_t)2 << 20)

/*
 * The same as cmap__pages_map for a size that is a multiple of
 * CMAP__HUGE_PAGE; begins at a multiple of it, and asks for huge pages. Only a
 * wish: nothing tells whether it is granted, when the memory is first touched.
 */
void *cmap__pages_map_huge(size_t size);

/* Unmaps all of what one of these returned for `size`. NULL is ignored. */
void cmap__pages_unmap(void *memory, size_t size);

/*
 * Gives the memory of the whole pages between memory and memory + size back to
 * the system; parts of pages at both ends are left alone. The pages stay
 * mapped. True: they read as zero from now on. False: the system refused
 * (locked memory, for example) and their contents are as before.
 */
bool cmap__pages_release(void *memory, size_t size);

/*
 * The system finds memory for all pages between memory and memory + size now,
 * at once, and not for each when it is first written to: that takes a fault,
 * and many times as long. What is there stays. False: it cannot, or will not.
 */
bool cmap__pages_populate(void *memory, size_t size);

/* The same, by a zero byte written into each page if need be: what is there is
 * lost. */
void cmap__pages_touch(void *memory, size_t size);

/*
 * A seam for tests: if not NULL, cmap__pages_map asks it first and fails when
 * it says true. NULL in production. Read relaxed: it is set before the threads
 * that a test starts, and points to code only.
 */
typedef bool cmap__pages_fail(void);
extern cmap__pages_fail *_Atomic cmap__pages_fail_hook;

#endif
