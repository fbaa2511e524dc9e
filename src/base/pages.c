/*
 * Whole pages mapped from the system, where that is POSIX; on Windows that is
 * in windows.c.
 */
#include "base/pages.h"

#ifndef _WIN32

#  include <errno.h>
#  include <stdint.h>
#  include <sys/mman.h>
#  include <unistd.h>

#  include "base/atomics.h"
#  include "base/compiler.h"

/* Advice that every madvise refuses: then nothing is given back. */
#  define ADVICE_NONE (-1)

cmap__pages_fail *_Atomic cmap__pages_fail_hook;

/* Relaxed everywhere: whoever finds 0 computes the same value again. */
static _Atomic size_t page_size;

size_t cmap__page_size(void)
{
  size_t size = cmap__load_relaxed(&page_size);

  if (cmap__unlikely(size == 0)) {
    size = (size_t)sysconf(_SC_PAGESIZE);
    cmap__store_relaxed(&page_size, size);
  }
  return size;
}

void *cmap__pages_map(size_t size)
{
  cmap__pages_fail *refuse = cmap__load_relaxed(&cmap__pages_fail_hook);

  if (cmap__unlikely(refuse != NULL) && refuse())
    return NULL;

  /* A size of 0 or beyond the address space is mmap's to refuse. */
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  return memory == MAP_FAILED ? NULL : memory;
}

void cmap__pages_unmap(void *memory, size_t size)
{
  /* It fails only for what is not mapped, or when the process has too many
   * mappings to split one: the system may have joined this one with others. */
  if (memory != NULL)
    (void)munmap(memory, size);
}

/* Linux promises that such pages read as zero; of others, whose readers would
 * see what was there before, all pages are kept. */
#  ifdef __linux__
#    define ADVICE_RELEASE MADV_DONTNEED
#  else
#    define ADVICE_RELEASE ADVICE_NONE
#  endif

bool cmap__pages_release(void *memory, size_t size)
{
  unsigned char *start = memory;
  size_t page = cmap__page_size();
  size_t before = (size_t)(-(uintptr_t)start & (page - 1));

  if (size < before)
    return true;

  /* madvise would round the end up, into what is not ours. */
  size_t whole = (size - before) & ~(page - 1);

  if (whole == 0)
    return true;
  return madvise(start + before, whole, ADVICE_RELEASE) == 0;
}

#  ifdef MADV_POPULATE_WRITE /* Linux 5.14 */
#    define ADVICE_POPULATE MADV_POPULATE_WRITE
#  else
#    define ADVICE_POPULATE ADVICE_NONE
#  endif

bool cmap__pages_populate(void *memory, size_t size)
{
  size_t before = (uintptr_t)memory & (cmap__page_size() - 1);
  int saved_errno = errno;
  bool populated =
      madvise((char *)memory - before, before + size, ADVICE_POPULATE) == 0;

  errno = saved_errno; /* an insert on an older kernel is no failure */
  return populated;
}

#  ifdef MADV_HUGEPAGE
#    define ADVICE_HUGE MADV_HUGEPAGE
#  else
#    define ADVICE_HUGE ADVICE_NONE
#  endif

void *cmap__pages_map_huge(size_t size)
{
  size_t more = size + CMAP__HUGE_PAGE; /* less than size if it wraps around */
  char *memory = size > 0 && more > size ? cmap__pages_map(more) : NULL;
  size_t before, after;

  if (memory == NULL)
    return NULL;
  /* As late as can be: the system maps downwards, and the next one adjoins. */
  after = (uintptr_t)(memory + more) & (CMAP__HUGE_PAGE - 1);
  before = CMAP__HUGE_PAGE - after;
  cmap__pages_unmap(memory, before);
  if (after > 0)
    cmap__pages_unmap(memory + before + size, after);
  (void)madvise(memory + before, size, ADVICE_HUGE);
  return memory + before;
}

#endif

void cmap__pages_touch(void *memory, size_t size)
{
  volatile char *start = memory;
  size_t page = cmap__page_size();

  if (cmap__pages_populate(memory, size))
    return;
  for (size_t i = 0; i < size; i += page)
    start[i] = 0;
  if (size > 0)
    start[size - 1] = 0; /* memory need not begin at a page */
}
