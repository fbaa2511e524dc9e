/*
 * Which thread counts where.
 */
#include "store/counts.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"
#include "store/borrow.h"
#include "store/cancel.h"
#include "sync/hold.h"

_Thread_local struct cmap__count_place cmap__count_place;

static const struct cmap__count_place shared = {.chunk = 0, .line = 1};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key; /* written once */

/*
 * Places are numbered through all chunks; 0 is the shared line's. Atomic: a bit
 * for each that a thread has. The lowest free one is taken, so that chunks are
 * as few as threads allow.
 */
#define WORDS ((CMAP__COUNT_LINES << (CMAP__COUNT_CHUNKS - 2)) / 64)
static _Atomic uint64_t used[WORDS];

static uint64_t bit_of(unsigned number)
{
  return UINT64_C(1) << (number % 64);
}

/* A thread ends: another may have its place. */
static void give_number(void *given)
{
  unsigned number = (unsigned)(uintptr_t)given;

  cmap__borrowed_end();
  /* What is counted later goes to the shared line: a place taken now would be
   * given back when ThreadSanitizer has ended the thread already. */
  cmap__count_place = shared;
  /* Release, and acquire in take_number: the next one adds to our counts. */
  cmap__and_release(&used[number / 64], ~bit_of(number));
}

static void make_key(void)
{
  /* Relaxed: it guards nothing. */
  (void)cmap__or_relaxed(&used[0], bit_of(0));
  has_key = pthread_key_create(&key, give_number) == 0;
}

/* A free place's number; 0 if there is none. */
static unsigned take_number(void)
{
  for (unsigned i = 0; i < WORDS; i++) {
    uint64_t word = cmap__load_relaxed(&used[i]);

    /* Ends: a failure means that another thread got a place, or gave it. */
    while (~word != 0) {
      unsigned number = 64 * i + (unsigned)__builtin_ctzll(~word);
      if (cmap__cas_weak_acquire(&used[i], &word, word | bit_of(number)))
        return number;
    }
  }
  return 0;
}

static void find_place(void)
{
  unsigned number = 0;
  unsigned chunk = 1;

  cmap__count_place = shared;
  /* No new destructor at so late a time: ThreadSanitizer has ended the thread
   * before it would run. */
  if (cmap__self.ends)
    return;
  if (pthread_once(&once, make_key) == 0 && has_key)
    number = take_number();
  if (number == 0)
    return;
  if (pthread_setspecific(key, (void *)(uintptr_t)number) != 0) {
    give_number((void *)(uintptr_t)number);
    return;
  }
  while (chunk + 1 < CMAP__COUNT_CHUNKS &&
         number >= cmap__count_before(chunk + 1))
    chunk++;
  cmap__count_place.chunk = chunk;
  cmap__count_place.line = number - cmap__count_before(chunk);
}

static size_t chunk_lines(unsigned chunk)
{
  return chunk == 1 ? CMAP__COUNT_LINES : cmap__count_before(chunk);
}

static size_t chunk_bytes(unsigned chunk)
{
  return chunk_lines(chunk) * sizeof(struct cmap__count_line);
}

void cmap__counts_begin(struct cmap__counts *counts,
                        const struct cmap_allocator *allocator)
{
  counts->allocator = allocator;
  /* Relaxed: the caller is alone. */
  cmap__store_relaxed(&counts->chunks[1], counts->lines);
}

void cmap__counts_end(struct cmap__counts *counts)
{
  for (unsigned i = 2; i < CMAP__COUNT_CHUNKS; i++) {
    /* Relaxed: the caller is alone. */
    cmap__free(counts->allocator, cmap__load_relaxed(&counts->chunks[i]),
               chunk_bytes(i), CMAP__CACHE_LINE);
  }
}

/* Makes the chunk of the thread's place, or finds that another thread has;
 * NULL: no memory. */
static CMAP__COLD struct cmap__count_line *
make_chunk(struct cmap__counts *counts)
{
  const struct cmap__count_place place = cmap__count_place;
  struct cmap__count_line *before = NULL;
  size_t bytes = chunk_bytes(place.chunk);
  int cancel = cmap__cancel_disable();
  struct cmap__count_line *lines =
      cmap__alloc_zeroed(counts->allocator, bytes, CMAP__CACHE_LINE);

  cmap__cancel_restore(cancel);
  if (lines == NULL)
    return NULL;
  if (cmap__cas_strong_acq_rel(&counts->chunks[place.chunk], &before,
                               lines)) { /* [N4] */
    cmap__count_own(
        &lines[place.line], CMAP__COUNT_BYTES,
        cmap__alloc_takes(counts->allocator, bytes, CMAP__CACHE_LINE));
    return lines;
  }
  cancel = cmap__cancel_disable();
  cmap__free(counts->allocator, lines, bytes, CMAP__CACHE_LINE);
  cmap__cancel_restore(cancel);
  return cmap__load_acquire(&counts->chunks[place.chunk]); /* [N4] */
}

CMAP__NOINLINE void cmap__count_first(struct cmap__counts *counts,
                                      enum cmap__count what, uint64_t n)
{
  struct cmap__count_line *lines = NULL;

  if (cmap__count_place.chunk == 0 && cmap__count_place.line == 0)
    find_place();
  if (cmap__count_place.chunk != 0) {
    lines = cmap__load_acquire(&counts->chunks[cmap__count_place.chunk]);
    if (lines == NULL)
      lines = make_chunk(counts);
  }
  if (lines != NULL)
    cmap__count_own(&lines[cmap__count_place.line], what, n);
  else
    cmap__add_release(&counts->lines[0].counts[what], n); /* [N3] */
}

static uint64_t sum_of(const struct cmap__count_line *lines, size_t n,
                       enum cmap__count what)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < n; i++)
    sum += cmap__load_acquire(&lines[i].counts[what]); /* [N3] */
  return sum;
}

uint64_t cmap__counts_sum(const struct cmap__counts *counts,
                          enum cmap__count what)
{
  uint64_t sum = 0;

  for (unsigned i = 1; i < CMAP__COUNT_CHUNKS; i++) {
    const struct cmap__count_line *lines =
        cmap__load_acquire(&counts->chunks[i]); /* [N4] */
    if (lines != NULL)
      sum += sum_of(lines, chunk_lines(i), what);
  }
  return sum;
}

void cmap__counts_visit(struct cmap__counts *counts,
                        void (*visit)(struct cmap__count_line *line, void *ctx),
                        void *ctx)
{
  for (unsigned i = 1; i < CMAP__COUNT_CHUNKS; i++) {
    struct cmap__count_line *lines =
        cmap__load_acquire(&counts->chunks[i]); /* [N4] */
    for (size_t k = 0; lines != NULL && k < chunk_lines(i); k++)
      visit(&lines[k], ctx);
  }
}
