#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "history.h"
#include "kernel.h"
#include "recording.h"
#include "report.h"
#include "shadow.h"

/* What is given up in a run is given back after it. */
enum { KEPT_MAX = 1 << 16, WATCHED_BYTES = 8192 };

static struct {
  void *memory;
  size_t mapped; /* 0: of malloc */
} kept[KEPT_MAX];
static unsigned kept_count;

void __real_free(void *memory);
int __real_munmap(void *memory, size_t size);

void heap_give_back(void)
{
  while (kept_count > 0) {
    kept_count--;
    if (kept[kept_count].mapped != 0)
      (void)__real_munmap(kept[kept_count].memory, kept[kept_count].mapped);
    else
      __real_free(kept[kept_count].memory);
  }
}

static void keep(void *memory, size_t mapped)
{
  if (kept_count == KEPT_MAX)
    abort();
  kept[kept_count].memory = memory;
  kept[kept_count++].mapped = mapped;
}

static void give_up(void *memory, size_t size, uintptr_t site)
{
  world_recording = false;
  report_step("free", memory, -1, site);
  shadow_access(memory, size < WATCHED_BYTES ? size : WATCHED_BYTES,
                SHADOW_FREE, site);
  world_recording = true;
}

void __wrap_free(void *memory);
void __wrap_free(void *memory)
{
  if (!world_recording) {
    __real_free(memory);
  } else if (memory != NULL) {
    give_up(memory, malloc_usable_size(memory), WORLD_SITE);
    keep(memory, 0);
  }
}

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size)
{
  size_t before = memory == NULL ? 0 : malloc_usable_size(memory);
  char *fresh;

  if (!world_recording)
    return __real_realloc(memory, size);
  fresh = malloc(size);
  if (fresh == NULL)
    return NULL;
  for (size_t i = 0; i < before && i < size; i++)
    fresh[i] = ((char *)memory)[i];
  __wrap_free(memory);
  return fresh;
}

int __wrap_munmap(void *memory, size_t size);
int __wrap_munmap(void *memory, size_t size)
{
  if (!world_recording)
    return __real_munmap(memory, size);
  give_up(memory, size, WORLD_SITE);
  keep(memory, size);
  return 0;
}

/* Pages that are given back read as zero from now on: the system's stores. */
int __real_madvise(void *memory, size_t size, int advice);
int __wrap_madvise(void *memory, size_t size, int advice);
int __wrap_madvise(void *memory, size_t size, int advice)
{
  int result;

  if (!world_recording || advice != MADV_DONTNEED)
    return __real_madvise(memory, size, advice);
  world_enter("pages given back", memory, -1, WORLD_SITE);
  history_plain_write(memory, size);
  result = __real_madvise(memory, size, advice);
  world_leave();
  return result;
}
