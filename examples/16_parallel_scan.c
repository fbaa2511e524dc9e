/*
 * To walk over a map with several threads, give each of them one part: every
 * entry is in exactly one. With cmap_for_each a callback gets copies, and may
 * take its time; an iterator to write changes and removes in place.
 *
 * A sale in a shop: every seventh article is taken out, the price of the others
 * is halved. Prints the same for one thread and for two:
 *     threads=1 articles=10000 total=99990000 removed=1429 left=8571 ...
 */
#include <cmap.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { ARTICLES = 10000, THREADS = 2 };

CMAP_DEFINE(shop, CMAP_U32, uint64_t); /* prices by article number */

static struct shop shop;

static void must(enum cmap_status status)
{
  if (status == CMAP_OK)
    return;
  fprintf(stderr, "%s\n", cmap_status_text(status));
  exit(1);
}

struct work { /* of one thread: its part, and what it has found there */
  pthread_t thread;
  size_t part, parts;
  uint64_t articles, total;
};

/* Runs without a lock: it could also use the map. */
static enum cmap_status count(struct cmap_key key, const void *value, void *ctx)
{
  struct work *work = ctx;

  (void)key;
  work->articles++;
  work->total += *(const uint64_t *)value;
  return CMAP_OK;
}

static void *take_stock(void *ctx)
{
  struct work *work = ctx;

  must(cmap_for_each(shop.map, work->part, work->parts, count, work, NULL));
  return NULL;
}

/* While the iterator is at an entry, nobody else gets at that shard. */
static void *hold_sale(void *ctx)
{
  struct work *work = ctx;
  CMAP_AUTO(cmap_iter, iter);
  enum cmap_status status;

  must(cmap_iter_begin(shop.map, CMAP_WRITE, work->part, work->parts, &iter));
  while ((status = cmap_iter_next(&iter, NULL)) == CMAP_OK) {
    if (*(const uint32_t *)iter.key.data % 7 == 0) {
      must(cmap_iter_remove(&iter, NULL));
      work->articles++;
    } else {
      *(uint64_t *)iter.value /= 2;
    }
  }
  must(status == CMAP_NOT_FOUND ? CMAP_OK : status); /* that is the end */
  return NULL;
}

/* One thread for each part; what they have found, added up. */
static struct work in_parts(void *(*run)(void *), size_t parts)
{
  struct work works[THREADS] = {{.part = 0}}, all = {.part = 0};

  for (size_t i = 0; i < parts; i++) {
    works[i].part = i;
    works[i].parts = parts;
    if (pthread_create(&works[i].thread, NULL, run, &works[i]) != 0)
      exit(1);
  }
  for (size_t i = 0; i < parts; i++) {
    pthread_join(works[i].thread, NULL);
    all.articles += works[i].articles;
    all.total += works[i].total;
  }
  return all;
}

int main(void)
{
  for (size_t threads = 1; threads <= THREADS; threads++) {
    struct work before, sale, after;
    must(shop_create(NULL, &shop));
    for (uint32_t i = 0; i < ARTICLES; i++)
      must(shop_put(shop, i, 2 * (uint64_t)i));
    before = in_parts(take_stock, threads);
    sale = in_parts(hold_sale, threads);
    after = in_parts(take_stock, threads);
    printf("threads=%zu articles=%" PRIu64 " total=%" PRIu64, threads,
           before.articles, before.total);
    printf(" removed=%" PRIu64 " left=%" PRIu64 " total=%" PRIu64 "\n",
           sale.articles, after.articles, after.total);
    shop_destroy(shop);
  }
  return 0;
}
