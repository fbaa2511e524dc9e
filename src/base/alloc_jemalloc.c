/*
 * The default allocator on jemalloc's own interface, which is told size and
 * alignment again at the free and so need not look them up. Empty without
 * CMAP_WITH_JEMALLOC: alloc_libc.c serves then.
 */
#include "base/alloc.h"

#ifdef CMAP_WITH_JEMALLOC

#  include <jemalloc/jemalloc.h>

/* mallocx leaves size 0 undefined; alloc.h never asks for it. */
static void *jemalloc_alloc(size_t size, size_t align, void *ctx)
{
  (void)ctx;
  return mallocx(size, MALLOCX_ALIGN(align));
}

static void jemalloc_free(void *memory, size_t size, size_t align, void *ctx)
{
  (void)ctx;
  sdallocx(memory, size, MALLOCX_ALIGN(align));
}

const struct cmap_allocator cmap__allocator_default = {
    .alloc = jemalloc_alloc,
    .free = jemalloc_free,
};

size_t cmap__allocator_default_takes(size_t size, size_t align)
{
  return nallocx(size, MALLOCX_ALIGN(align));
}

#endif
