/*
 * How long calls took: counts in buckets that are an eighth of a power of two
 * wide, so that a percentile is right to 13 %.
 */
#ifndef CMAP_TEST_LATENCY_H
#define CMAP_TEST_LATENCY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define LATENCY_BUCKETS (8 * 40) /* up to 2^40 ns, 18 minutes */

/* Of one thread, which writes it; others may read meanwhile. */
struct latency {
  _Atomic uint64_t counts[LATENCY_BUCKETS];
};

void latency_add(struct latency *latency, uint64_t ns);

/* What several threads have counted, and what is new since the last time. */
struct latency_sum {
  uint64_t now[LATENCY_BUCKETS];
  uint64_t before[LATENCY_BUCKETS];
};

void latency_sum_begin(struct latency_sum *sum); /* forgets what was new */
void latency_sum_add(struct latency_sum *sum, const struct latency *latency);

/* Of what is new: how many, and the time in ns that `share` of them, 0 to 1,
 * did not exceed. */
uint64_t latency_count(const struct latency_sum *sum);
uint64_t latency_at(const struct latency_sum *sum, double share);

#endif
