/*
 * What the system gives, on Windows: memory, pages, random bytes, the number of
 * processors. Empty elsewhere.
 *
 * Pages are never given back while they stay mapped: what Windows drops it does
 * not promise to read as zero, and what it decommits cannot be read.
 */
#ifdef _WIN32

#  include <malloc.h>
#  include <stdint.h>

#  define WIN32_LEAN_AND_MEAN
#  include <windows.h>

/* After windows.h. */
#  include <ntsecapi.h>

#  include "base/alloc.h"
#  include "base/atomics.h"
#  include "base/pages.h"
#  include "base/random.h"
#  include "base/system.h"

/* ------------------------------------------------------------------------
 * Memory
 * ------------------------------------------------------------------------ */

void *cmap__aligned_alloc(size_t align, size_t size)
{
  return _aligned_malloc(size, align);
}

void cmap__aligned_free(void *memory)
{
  _aligned_free(memory);
}

#  ifndef CMAP_WITH_JEMALLOC

static void *windows_alloc(size_t size, size_t align, void *ctx)
{
  (void)ctx;
  return _aligned_malloc(size, align);
}

static void windows_free(void *memory, size_t size, size_t align, void *ctx)
{
  (void)size;
  (void)align;
  (void)ctx;
  _aligned_free(memory);
}

const struct cmap_allocator cmap__allocator_default = {
    .alloc = windows_alloc,
    .free = windows_free,
};

/* A block's head of 16 bytes, and the pointer and the gap in front of what is
 * aligned. */
size_t cmap__allocator_default_takes(size_t size, size_t align)
{
  return (size + 16 + sizeof(void *) + align + 15) & ~(size_t)15;
}

#  endif

/* ------------------------------------------------------------------------
 * Pages
 * ------------------------------------------------------------------------ */

/* Others may take an address between two steps of ours: so often it is tried
 * anew. */
#  define TRIES 8

cmap__pages_fail *_Atomic cmap__pages_fail_hook;

size_t cmap__page_size(void)
{
  SYSTEM_INFO info;

  GetSystemInfo(&info);
  return info.dwPageSize;
}

void *cmap__pages_map(size_t size)
{
  cmap__pages_fail *refuse = cmap__load_relaxed(&cmap__pages_fail_hook);

  if (refuse != NULL && refuse())
    return NULL;
  return VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

/* Reserved to find an aligned address, which is then taken by itself: a part
 * of what was reserved cannot be given back. */
void *cmap__pages_map_huge(size_t size)
{
  cmap__pages_fail *refuse = cmap__load_relaxed(&cmap__pages_fail_hook);
  size_t more = size + CMAP__HUGE_PAGE; /* less than size if it wraps around */
  void *memory = NULL;

  if (size == 0 || more < size || (refuse != NULL && refuse()))
    return NULL;
  for (int i = 0; i < TRIES && memory == NULL; i++) {
    char *room = VirtualAlloc(NULL, more, MEM_RESERVE, PAGE_NOACCESS);
    size_t before;
    if (room == NULL)
      return NULL;
    before = (size_t)(-(uintptr_t)room & (CMAP__HUGE_PAGE - 1));
    (void)VirtualFree(room, 0, MEM_RELEASE);
    memory = VirtualAlloc(room + before, size, MEM_RESERVE | MEM_COMMIT,
                          PAGE_READWRITE);
  }
  return memory;
}

void cmap__pages_unmap(void *memory, size_t size)
{
  (void)size;
  if (memory != NULL)
    (void)VirtualFree(memory, 0, MEM_RELEASE);
}

bool cmap__pages_populate(void *memory, size_t size)
{
  (void)memory;
  (void)size;
  return false;
}

bool cmap__pages_release(void *memory, size_t size)
{
  size_t page = cmap__page_size();
  size_t before = (size_t)(-(uintptr_t)memory & (page - 1));

  return size < before || size - before < page; /* no whole page */
}

/* ------------------------------------------------------------------------
 * The rest
 * ------------------------------------------------------------------------ */

bool cmap__random_bytes(void *bytes, size_t size)
{
  unsigned char *next = bytes;

  for (size_t some; size > 0; next += some, size -= some) {
    some = size < INT32_MAX ? size : INT32_MAX;
    if (!RtlGenRandom(next, (ULONG)some))
      return false;
  }
  return true;
}

size_t cmap__processors(void)
{
  DWORD count = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);

  return count < 1 ? 1 : count;
}

/* Nothing forks. */
bool cmap__at_fork(void (*prepare)(void), void (*parent)(void),
                   void (*child)(void))
{
  (void)prepare, (void)parent, (void)child;
  return true;
}

/* Its poll is for sockets only. */
bool cmap__event_open(struct cmap__event *event)
{
  event->seen = event->set = -1;
  return false;
}

void cmap__event_set(const struct cmap__event *event)
{
  (void)event;
}

void cmap__event_close(const struct cmap__event *event)
{
  (void)event;
}

#else

/* ISO C wants a declaration in each file. */
typedef int cmap__not_windows;

#endif
