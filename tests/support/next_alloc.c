#include "next_alloc.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* A sanitizer's, whose free() is the one that is called. Where its code is part
   of the program nothing is behind the program's own function but the C
   library's. */
__attribute__((weak)) void *__interceptor_aligned_alloc(size_t align,
                                                        size_t size);

void *next_aligned_alloc(size_t align, size_t size)
{
  void *symbol = dlsym(RTLD_NEXT, "aligned_alloc");
  void *(*next)(size_t, size_t);

  if (__interceptor_aligned_alloc != NULL)
    return __interceptor_aligned_alloc(align, size);
  if (symbol == NULL)
    abort();
  memcpy(&next, &symbol, sizeof next); /* ISO C has no cast for it */
  return next(align, size);
}
