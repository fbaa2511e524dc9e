/*
 * The checks between the library and an allocator. They stand here once, so
 * that allocators, the user's too, need none.
 */
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

void *cmap__alloc(const struct cmap_allocator *allocator, size_t size,
                  size_t align)
{
  cmap__assert(cmap__is_power_of_two(align));

  /* PTRDIFF_MAX: pointers into a larger object could not be subtracted. */
  if (size == 0 || size > PTRDIFF_MAX || align > PTRDIFF_MAX - size)
    return NULL;

  void *memory = allocator->alloc(size, align, allocator->ctx);

  cmap__assert(((uintptr_t)memory & (align - 1)) == 0);
  return memory;
}

void *cmap__alloc_zeroed(const struct cmap_allocator *allocator, size_t size,
                         size_t align)
{
  void *memory = cmap__alloc(allocator, size, align);

  if (memory != NULL)
    memset(memory, 0, size);
  return memory;
}

void cmap__free(const struct cmap_allocator *allocator, void *memory,
                size_t size, size_t align)
{
  if (memory != NULL)
    allocator->free(memory, size, align, allocator->ctx);
}

size_t cmap__alloc_takes(const struct cmap_allocator *allocator, size_t size,
                         size_t align)
{
  return allocator->alloc == cmap__allocator_default.alloc
             ? cmap__allocator_default_takes(size, align)
             : size;
}
