/*
 * Statistics that cost no shared write, and what a thread keeps for its next
 * construction.
 *
 * Each thread has a place, and in each store the line at that place, which it
 * alone writes, by plain loads and stores. Lines come in chunks. The first lies
 * in the store; the others are made when a thread with a line there first
 * counts, and stay as long as the store. One line is shared, and counted in by
 * atomic additions: by threads that are ending, and by those that have no place
 * or no memory for their line. Sums are exact when nobody counts meanwhile.
 */
#ifndef CMAP__STORE_COUNTS_H
#define CMAP__STORE_COUNTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/compiler.h"
#include "cmap.h"

struct cmap__flight;
struct cmap__object;

enum cmap__count {
  CMAP__COUNT_HITS,
  CMAP__COUNT_MISSES,
  CMAP__COUNT_DONE,
  CMAP__COUNT_FAILED,
  CMAP__COUNT_ABANDONED,
  CMAP__COUNT_OVERTAKEN,
  CMAP__COUNT_BUILD_NS,
  /* Modulo 2^64: one thread adds, another subtracts. */
  CMAP__COUNT_BYTES,
  CMAP__COUNT_RUNNING, /* constructions, refreshes, tickets */
  CMAP__COUNT_FLIGHTS, /* that are in use */
  CMAP__COUNT_EVICTED,
  CMAP__COUNTS
};

/* So many objects of a store a thread may have borrowed: a line is two of the
 * cache's. */
#define CMAP__BORROWED_MAX 2

/* Of the first chunk, the shared one among them. Each other chunk has as many
 * lines as there are before it. */
#define CMAP__COUNT_LINES 64

/* Chunk 0 is none. In all they have more lines than a process has threads by
 * default: kernel.pid_max is 32,768. */
#define CMAP__COUNT_CHUNKS 12

struct CMAP__ALIGNED(CMAP__CACHE_LINE) cmap__count_line {
  _Atomic uint64_t counts[CMAP__COUNTS];
  /* Of the thread that has the line, which it hands on with it; NULL: none. Not
   * in the shared one. */
  struct cmap__flight *flight; /* that nobody uses */
  struct cmap__object *header; /* that is free */
  /* Of what the thread has borrowed (store/borrow.h): atomic, written by it */
  struct cmap__object *_Atomic borrowed[CMAP__BORROWED_MAX];
  struct cmap__count_line *next_borrowing; /* of this thread, while there is
                                              something */
};

struct cmap__counts {
  struct cmap__count_line lines[CMAP__COUNT_LINES]; /* the first is shared */
  /* Atomic, each written once [N4]. NULL: nobody has counted there. */
  struct cmap__count_line *_Atomic chunks[CMAP__COUNT_CHUNKS];
  const struct cmap_allocator *allocator; /* const */
};

/* Where the calling thread counts. Chunk 0: in the shared line, or, with line 0
 * as well, it is not known yet. */
struct cmap__count_place {
  unsigned chunk;
  unsigned line;                      /* of the chunk */
  struct cmap__count_line *borrowing; /* where the thread has borrowed */
};

extern _Thread_local struct cmap__count_place cmap__count_place;

/* The counts are zero. */
void cmap__counts_begin(struct cmap__counts *counts,
                        const struct cmap_allocator *allocator);

/* Frees the chunks. Nobody counts any more. */
void cmap__counts_end(struct cmap__counts *counts);

/* The lines of all chunks before this one, which is not 0. */
static inline unsigned cmap__count_before(unsigned chunk)
{
  return chunk == 1 ? 0 : (unsigned)CMAP__COUNT_LINES << (chunk - 2);
}

/* Where there is no line yet. */
void cmap__count_first(struct cmap__counts *counts, enum cmap__count what,
                       uint64_t n);

/* In a line of the thread's own. */
static inline void cmap__count_own(struct cmap__count_line *line,
                                   enum cmap__count what, uint64_t n)
{
  _Atomic uint64_t *count = &line->counts[what];

  /* Release: who learns from a sum what others did sees it [N3]. */
  cmap__store_release(count, cmap__load_relaxed(count) + n);
}

/* The line of the thread's own; NULL: it has none, or has not counted yet. */
static inline struct cmap__count_line *
cmap__count_line(struct cmap__counts *counts)
{
  struct cmap__count_line *lines =
      cmap__load_acquire(&counts->chunks[cmap__count_place.chunk]); /* [N4] */

  return cmap__likely(lines != NULL) ? &lines[cmap__count_place.line] : NULL;
}

static inline void cmap__count(struct cmap__counts *counts,
                               enum cmap__count what, uint64_t n)
{
  struct cmap__count_line *line = cmap__count_line(counts);

  if (cmap__likely(line != NULL))
    cmap__count_own(line, what, n);
  else
    cmap__count_first(counts, what, n);
}

uint64_t cmap__counts_sum(const struct cmap__counts *counts,
                          enum cmap__count what);

/* Calls `visit` with each line that a thread has or had. The caller is alone.
 */
void cmap__counts_visit(struct cmap__counts *counts,
                        void (*visit)(struct cmap__count_line *line, void *ctx),
                        void *ctx);

#endif
