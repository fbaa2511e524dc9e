/*
 * A price list that is built, frozen, and then read by two threads: with guards
 * that cost no lock, and with batches. Who tries to write is told.
 */
#include <cmap.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { ARTICLES = 50000, THREADS = 2, BATCH = 100 };

CMAP_DEFINE(prices, CMAP_U64, uint64_t);

static struct prices prices;

struct reader {
  pthread_t thread;
  uint64_t first; /* article */
  uint64_t by_guards, by_batches;
};

static void must(enum cmap_status status)
{
  if (status == CMAP_OK)
    return;
  fprintf(stderr, "%s\n", cmap_status_text(status));
  exit(1);
}

static uint64_t price(uint64_t article)
{
  CMAP_AUTO(prices_read_guard, guard);

  must(prices_get_ref(prices, article, &guard, NULL));
  return *guard.value;
}

static uint64_t sum_of_batch(uint64_t first)
{
  enum cmap_status statuses[BATCH];
  uint64_t articles[BATCH], found[BATCH], sum = 0;

  for (uint64_t i = 0; i < BATCH; i++)
    articles[i] = first + i;
  must(prices_get_many(prices, articles, BATCH, found, statuses, NULL));
  for (size_t i = 0; i < BATCH; i++)
    sum += found[i];
  return sum;
}

static void *read_prices(void *arg)
{
  struct reader *reader = arg;
  uint64_t end = reader->first + ARTICLES / THREADS;

  for (uint64_t i = reader->first; i < end; i++)
    reader->by_guards += price(i);
  for (uint64_t i = reader->first; i < end; i += BATCH)
    reader->by_batches += sum_of_batch(i);
  return NULL;
}

int main(void)
{
  struct reader readers[THREADS] = {{.first = 0},
                                    {.first = ARTICLES / THREADS}};
  uint64_t by_guards = 0, by_batches = 0;

  must(prices_create(NULL, &prices));
  for (uint64_t i = 0; i < ARTICLES; i++)
    must(prices_put(prices, i, 100 + i % 10));
  must(prices_freeze(prices, NULL));
  for (int i = 0; i < THREADS; i++)
    if (pthread_create(&readers[i].thread, NULL, read_prices, &readers[i]) != 0)
      return 1;
  printf("insert: %s\n", cmap_status_name(prices_put(prices, 1, 1)));
  for (int i = 0; i < THREADS; i++) {
    pthread_join(readers[i].thread, NULL); /* their guards are gone */
    by_guards += readers[i].by_guards;
    by_batches += readers[i].by_batches;
  }
  must(prices_thaw(prices));
  printf("guards=%" PRIu64 " batches=%" PRIu64 " insert: %s\n", by_guards,
         by_batches, cmap_status_name(prices_put(prices, 1, 1)));
  prices_destroy(prices);
  return 0;
}
