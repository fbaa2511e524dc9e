/*
 * A cache that counts: an entry tells a hit from a miss and fills the cache
 * under one lock; fetch_add counts in one call.
 *
 * Eight threads look up the digit sums of a hundred numbers, ten times each.
 * Prints what was counted:
 *     lookups=8000 hits=7900 misses=100 uses=8000
 */
#include <cmap.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 8, NUMBERS = 100, ROUNDS = 10 };

struct answer {
  uint32_t digit_sum;
  uint32_t uses;
};

CMAP_DEFINE(cache, CMAP_U32, struct answer);
CMAP_DEFINE(counters, CMAP_STRING, uint64_t);

static struct cache cache;
static struct counters counters; /* "hit", "miss" */

static void must(enum cmap_status status)
{
  if (status == CMAP_OK)
    return;
  fprintf(stderr, "%s\n", cmap_status_text(status));
  exit(1);
}

/* Runs under the write lock: once per number, but it must be quick. For a slow
   one see cache_get_or_insert_with_unlocked. */
static enum cmap_status sum_digits(uint32_t number, struct answer *answer,
                                   void *ctx)
{
  (void)ctx;
  for (; number != 0; number /= 10)
    answer->digit_sum += number % 10; /* *answer starts zeroed */
  return CMAP_OK;
}

static uint32_t look_up(uint32_t number)
{
  CMAP_AUTO(cache_entry, entry);
  uint32_t digit_sum;
  bool hit;

  must(cache_entry_begin(cache, number, &entry, NULL)); /* write lock */
  hit = entry.value != NULL;
  must(cache_entry_or_insert_with(&entry, sum_digits, NULL));
  entry.value->uses++; /* there is a value now, whether hit or miss */
  digit_sum = entry.value->digit_sum;
  cache_entry_release(&entry); /* unlocked: as early as it may be */

  /* An absent counter counts as 0. The write lock is held inside the call. */
  must(counters_increase(counters, hit ? "hit" : "miss", 1));
  return digit_sum;
}

static void *look_up_all(void *unused)
{
  for (int round = 0; round < ROUNDS; round++)
    for (uint32_t number = 0; number < NUMBERS; number++)
      if (look_up(number) != number / 10 + number % 10)
        exit(1);
  return unused;
}

/* What a counter has come to; it begins again at 0. No count is lost between
   the reading and the reset, because they are one call. */
static uint64_t take(const char *counter)
{
  uint64_t count = 0;

  must(counters_swap(counters, counter, &count, NULL, NULL));
  return count;
}

static enum cmap_status add_uses(uint32_t number, const struct answer *answer,
                                 void *sum)
{
  (void)number;
  *(uint64_t *)sum += answer->uses;
  return CMAP_OK;
}

int main(void)
{
  const uint64_t lookups = (uint64_t)THREADS * NUMBERS * ROUNDS;
  pthread_t threads[THREADS];
  uint64_t hits, misses, uses = 0;

  must(cache_create(NULL, &cache));
  must(counters_create(NULL, &counters));
  for (int i = 0; i < THREADS; i++)
    if (pthread_create(&threads[i], NULL, look_up_all, NULL) != 0)
      exit(1);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  hits = take("hit");
  misses = take("miss");
  must(cache_view_all(cache, add_uses, &uses, NULL));
  printf("lookups=%" PRIu64 " hits=%" PRIu64 " misses=%" PRIu64 " uses=%" PRIu64
         "\n",
         lookups, hits, misses, uses);
  counters_destroy(counters);
  cache_destroy(cache);
  return misses == NUMBERS && hits == lookups - NUMBERS && uses == lookups ? 0
                                                                           : 1;
}
