/*
 * Statistics that cost no shared write.
 *
 * Each thread counts in a line of its own, which it alone writes, by plain
 * loads and stores; threads beyond the number of lines share one, and count by
 * atomic additions. Sums are exact when nobody counts meanwhile.
 */
#ifndef CMAP__STORE_COUNTS_H
#define CMAP__STORE_COUNTS_H

#include <stdint.h>

#include "base/atomics.h"
#include "base/compiler.h"

enum cmap__count {
  CMAP__COUNT_HITS,
  CMAP__COUNT_MISSES,
  CMAP__COUNT_DONE,
  CMAP__COUNT_FAILED,
  CMAP__COUNT_ABANDONED,
  CMAP__COUNT_OVERTAKEN,
  CMAP__COUNT_BUILD_NS,
  CMAP__COUNT_BYTES, /* modulo 2^64: one thread takes, another gives back */
  CMAP__COUNTS
};

/* The last line is shared. */
#define CMAP__COUNT_LINES 64

struct CMAP__ALIGNED(CMAP__CACHE_LINE) cmap__count_line {
  _Atomic uint64_t counts[CMAP__COUNTS];
};

struct cmap__counts {
  struct cmap__count_line lines[CMAP__COUNT_LINES];
};

/* The number of the calling thread's line, from 1; 0: not known yet. */
extern _Thread_local unsigned cmap__count_line
    __attribute__((tls_model("initial-exec")));

/* Finds it. */
unsigned cmap__count_line_find(void);

static inline void cmap__count(struct cmap__counts *counts,
                               enum cmap__count what, uint64_t n)
{
  unsigned line = cmap__count_line;
  _Atomic uint64_t *count;

  if (cmap__unlikely(line == 0))
    line = cmap__count_line_find();
  count = &counts->lines[line - 1].counts[what];
  /* Release: who learns from a sum what others did sees it [N3]. */
  if (cmap__likely(line < CMAP__COUNT_LINES))
    cmap__store_release(count, cmap__load_relaxed(count) + n);
  else
    cmap__add_release(count, n);
}

uint64_t cmap__counts_sum(const struct cmap__counts *counts,
                          enum cmap__count what);

#endif
