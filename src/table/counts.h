/*
 * What happened to a table, counted: for cmap_get_stats.
 *
 * Written only where something rare or slow happens anyway, so that plain
 * additions will do. No read that meets no writer counts.
 */
#ifndef CMAP__TABLE_COUNTS_H
#define CMAP__TABLE_COUNTS_H

#include <stdint.h>

#include "base/atomics.h"
#include "base/compiler.h"

/* All atomic. Added to by release, read by acquire [N2]: who learns of a write
 * from them has learnt of it as from its entry. */
struct cmap__table_counts {
  _Atomic uint64_t lock_waits;
  _Atomic uint64_t lock_parks;
  _Atomic uint64_t whole_locks;
  _Atomic uint64_t read_retries;
  _Atomic uint64_t read_locks;
};

/* The same of shards that were replaced: of a table that has had two. */
struct cmap__replaced_counts {
  _Atomic uint64_t growths;  /* by larger ones */
  _Atomic uint64_t splits;   /* by several */
  _Atomic uint64_t merges;   /* two by one */
  _Atomic uint64_t rebuilds; /* by one of the same size or a smaller */
};

static inline void cmap__count_up(_Atomic uint64_t *count, uint64_t n)
{
  cmap__add_release(count, n); /* [N2] */
}

/* One of so many is written, so that readers in a storm do not meet at the
 * counter as well. */
#define CMAP__RETRY_SAMPLE 16

/* A read met a writer, or a shard that was being replaced. */
void cmap__count_retry(struct cmap__table_counts *counts);

#endif
