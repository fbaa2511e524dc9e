#include "latency.h"

#include <string.h>

static unsigned bucket_of(uint64_t ns)
{
  unsigned log2, bucket;

  if (ns < 8)
    return (unsigned)ns;
  log2 = 63 - (unsigned)__builtin_clzll(ns);
  bucket = 8 * (log2 - 2) + (unsigned)(ns >> (log2 - 3) & 7);
  return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/* The longest time that is counted there. */
static uint64_t end_of(unsigned bucket)
{
  if (bucket < 8)
    return bucket;
  return ((UINT64_C(8) + bucket % 8 + 1) << (bucket / 8 - 1)) - 1;
}

void latency_add(struct latency *latency, uint64_t ns)
{
  _Atomic uint64_t *count = &latency->counts[bucket_of(ns)];

  /* One thread writes it. */
  atomic_store_explicit(count,
                        atomic_load_explicit(count, memory_order_relaxed) + 1,
                        memory_order_relaxed);
}

void latency_sum_begin(struct latency_sum *sum)
{
  memcpy(sum->before, sum->now, sizeof sum->before);
  memset(sum->now, 0, sizeof sum->now);
}

void latency_sum_add(struct latency_sum *sum, const struct latency *latency)
{
  for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
    sum->now[i] +=
        atomic_load_explicit(&latency->counts[i], memory_order_relaxed);
}

uint64_t latency_count(const struct latency_sum *sum)
{
  uint64_t count = 0;

  for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
    count += sum->now[i] - sum->before[i];
  return count;
}

uint64_t latency_at(const struct latency_sum *sum, double share)
{
  double wanted = share * (double)latency_count(sum);
  uint64_t count = 0, at = 0;

  for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
    uint64_t more = sum->now[i] - sum->before[i];
    count += more;
    if (more > 0)
      at = end_of(i);
    if ((double)count >= wanted)
      break;
  }
  return at;
}
