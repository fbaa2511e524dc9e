/*
 * A cache of a bounded size: whoever adds a page to a full one takes any other
 * out. cmap_pop finds one without a walk, and gives it to a callback, which
 * owns the value then; without a callback it is destroyed. In the end two
 * threads empty the cache, a part each. Prints
 *     left=1000 evicted=39000 saved=1000
 */
#include <cmap.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAGES = 20000, ROOM = 1000, THREADS = 2 };

CMAP_DEFINE(cache, CMAP_U64, char *); /* texts, which the cache owns */
static struct cache cache;
static atomic_size_t used; /* pages in the cache, and those about to come */
static atomic_size_t evicted, saved;

static void must(enum cmap_status status)
{
  if (status != CMAP_OK) {
    fprintf(stderr, "%s\n", cmap_status_text(status));
    exit(1);
  }
}

static void evict(void *page, void *ctx)
{
  (void)ctx;
  free(*(char **)page);
  evicted++;
}

/* Runs without a lock: it may write the page to a disk. */
static enum cmap_status save(uint64_t number, char **page, void *ctx)
{
  (void)number, (void)ctx;
  free(*page);
  saved++;
  return CMAP_OK;
}

static void add_page(uint64_t number)
{
  enum cmap_status status;
  char *page = malloc(100);

  if (page == NULL)
    exit(1);
  if (atomic_fetch_add(&used, 1) >= ROOM) {
    do /* there is none only until another thread has inserted its page */
      status = cache_pop(cache, 0, 1, NULL, NULL, NULL);
    while (status == CMAP_NOT_FOUND);
    must(status);
    atomic_fetch_sub(&used, 1);
  }
  must(cache_put(cache, number, page));
}

static void *add_pages(void *part)
{
  for (uint64_t i = 0; i < PAGES; i++)
    add_page((uint64_t)(size_t)part * PAGES + i);
  return NULL;
}

static void *save_pages(void *part)
{
  while (!cache_pop(cache, (size_t)part, THREADS, save, NULL, NULL))
    continue;
  return NULL;
}

static void run(void *(*work)(void *part))
{
  pthread_t threads[THREADS];

  for (size_t i = 0; i < THREADS; i++)
    if (pthread_create(&threads[i], NULL, work, (void *)i) != 0)
      exit(1);
  for (size_t i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
}

int main(void)
{
  struct cmap_options options;

  cmap_options_init(&options, CMAP_U64, sizeof(char *));
  options.value_destroy = evict;
  must(cache_create(&options, &cache));
  run(add_pages);
  printf("left=%zu ", cache_len(cache));
  run(save_pages);
  printf("evicted=%zu saved=%zu\n", (size_t)evicted, (size_t)saved);
  cache_destroy(cache);
  return 0;
}
