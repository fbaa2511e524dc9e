#include "next_alloc.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

void *next_aligned_alloc(size_t align, size_t size)
{
  void *symbol = dlsym(RTLD_NEXT, "aligned_alloc");
  void *(*next)(size_t, size_t);

  if (symbol == NULL)
    abort();
  memcpy(&next, &symbol, sizeof next); /* ISO C has no cast for it */
  return next(align, size);
}
