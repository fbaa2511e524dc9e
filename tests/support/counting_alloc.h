/*
 * An allocator that counts, checks, and fails on demand.
 *
 * 1. What is freed was allocated here with the same size and alignment, once,
 *    and nothing was written right before or behind it (CHECK).
 * 2. Memory begins as garbage, ends as poison, and is aligned to what was
 *    asked for and to no more.
 * 3. Requests are counted from 1, and any of them can be made to fail.
 *
 * Concurrency: any thread. All counters are relaxed, so that the allocator
 * orders nothing which ThreadSanitizer should see unordered.
 */
#ifndef CMAP_TEST_COUNTING_ALLOC_H
#define CMAP_TEST_COUNTING_ALLOC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmap.h>

struct counting_alloc {
  atomic_size_t live_blocks;
  atomic_size_t live_bytes;
  atomic_size_t requests;   /* since the last plan */
  atomic_size_t failures;   /* refused requests since the last plan */
  atomic_size_t fail_nth;   /* 0: none */
  atomic_size_t fail_from;  /* 0: none */
  atomic_size_t fail_every; /* 0: none */
};

void counting_alloc_begin(struct counting_alloc *counting);

/* The hook for cmap_options. */
struct cmap_allocator counting_alloc_hook(struct counting_alloc *counting);

/* Plans, counting requests from now: fail none, only the n-th, all from the
   n-th on, or every n-th. Each replaces the plan before. */
void counting_alloc_fail_none(struct counting_alloc *counting);
void counting_alloc_fail_nth(struct counting_alloc *counting, size_t n);
void counting_alloc_fail_from(struct counting_alloc *counting, size_t n);
void counting_alloc_fail_every(struct counting_alloc *counting, size_t n);

/* Requests refused since the last plan. */
size_t counting_alloc_failures(struct counting_alloc *counting);
size_t counting_alloc_live_bytes(struct counting_alloc *counting);

/* Is everything freed? */
bool counting_alloc_is_empty(struct counting_alloc *counting);

#endif
