/*
 * The default allocator on malloc. Empty with CMAP_WITH_JEMALLOC:
 * alloc_jemalloc.c serves then.
 */
#include "base/alloc.h"

#include <stdalign.h>
#include <stdlib.h>

#if !defined(CMAP_WITH_JEMALLOC) && !defined(_WIN32)

/*
 * malloc aligns for every type that fits into the size, and for no more: an
 * object of 8 bytes need not lie at a multiple of 16. So a small size is
 * raised to the alignment, and malloc serves all alignments of basic types.
 */
static void *libc_alloc(size_t size, size_t align, void *ctx)
{
  void *memory;

  (void)ctx;
  if (align <= alignof(max_align_t))
    return malloc(size < align ? align : size);

  /* Not aligned_alloc: it would want the size rounded up to the alignment. */
  return posix_memalign(&memory, align, size) == 0 ? memory : NULL;
}

static void libc_free(void *memory, size_t size, size_t align, void *ctx)
{
  (void)size;
  (void)align;
  (void)ctx;
  free(memory);
}

const struct cmap_allocator cmap__allocator_default = {
    .alloc = libc_alloc,
    .free = libc_free,
};

/* As glibc's malloc: a word in front, rounded up to 16 bytes, and 32 at least;
 * other libraries differ by little. */
size_t cmap__allocator_default_takes(size_t size, size_t align)
{
  size_t whole = (size + sizeof(size_t) + 15) & ~(size_t)15;

  (void)align;
  return whole < 32 ? 32 : whole;
}

#endif
