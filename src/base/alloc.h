/*
 * Memory from a map's allocator, and arithmetic on sizes that cannot wrap.
 *
 * 1. An allocator is asked only for sizes from 1 to PTRDIFF_MAX, with room
 *    left below PTRDIFF_MAX for rounding up to the alignment, and only for
 *    alignments that are powers of two.
 * 2. It gets memory back with the size and alignment that it was asked for.
 *
 * Thread safety: these functions have no state; the allocator's functions may
 * be called by any number of threads at once, under a shard's lock too.
 *
 * Neighbours: alloc_jemalloc.c, alloc_libc.c or windows.c defines the default
 * allocator.
 * Memory that is mapped from the system without an allocator is in pages.h.
 */
#ifndef CMAP__BASE_ALLOC_H
#define CMAP__BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

#include "cmap.h"

/* jemalloc where the build has it, else libc; `ctx` is unused. */
extern const struct cmap_allocator cmap__allocator_default;

/* The bytes that it takes for such a request, its own included. */
size_t cmap__allocator_default_takes(size_t size, size_t align);

/* The same of any allocator; of the user's we know what was asked for. */
size_t cmap__alloc_takes(const struct cmap_allocator *allocator, size_t size,
                         size_t align);

/*
 * Memory of `size` bytes at a multiple of `align`, a power of two from 1.
 * NULL if there is none, if size is 0 (the table has no empty objects, so a
 * size of 0 is a sum that went wrong), or if size or align is so large that
 * rounding up could wrap. The contents are unspecified.
 */
void *cmap__alloc(const struct cmap_allocator *allocator, size_t size,
                  size_t align);

/* As cmap__alloc, with all bytes 0. */
void *cmap__alloc_zeroed(const struct cmap_allocator *allocator, size_t size,
                         size_t align);

/*
 * Gives back what cmap__alloc or cmap__alloc_zeroed returned for the same
 * allocator, size and align. Does nothing with NULL.
 */
void cmap__free(const struct cmap_allocator *allocator, void *memory,
                size_t size, size_t align);

static inline bool cmap__is_power_of_two(size_t n)
{
  return n != 0 && (n & (n - 1)) == 0;
}

/* *out = a * b, or false and *out unchanged if that does not fit. */
static inline bool cmap__size_mul(size_t a, size_t b, size_t *out)
{
  size_t product;

  if (__builtin_mul_overflow(a, b, &product))
    return false;
  *out = product;
  return true;
}

/* *out = a + b, or false and *out unchanged if that does not fit. */
static inline bool cmap__size_add(size_t a, size_t b, size_t *out)
{
  size_t sum;

  if (__builtin_add_overflow(a, b, &sum))
    return false;
  *out = sum;
  return true;
}

#endif
