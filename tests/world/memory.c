#include "memory.h"

#include <stdlib.h>
#include <sys/mman.h>

/* Address space; pages come as they are used. */
#define MEMORY_BYTES ((size_t)1 << 30)

static char *memory;
static size_t used;

void memory_begin(void)
{
  if (memory == NULL) {
    memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
      abort();
  }
  used = 0;
}

void *memory_take(size_t size)
{
  void *taken = memory + used;

  used += (size + 15) & ~(size_t)15;
  if (used > MEMORY_BYTES)
    abort();
  return taken;
}
