/*
 * Giving the pages of free blocks back to the system.
 *
 * A page may lie across several blocks, so that these are sorted by address,
 * and those that adjoin each other go together. The lists are taken out of the
 * pool for that: who needs a block meanwhile cuts a new one, and waits for
 * nobody.
 */
#include "base/check.h"
#include "base/pages.h"
#include "table/pool.h"

static uintptr_t begin_of(const struct cmap__shard *shard)
{
  return cmap__block_begin(shard->block);
}

static size_t bytes_of(const struct cmap__layout *layout,
                       const struct cmap__shard *shard)
{
  return cmap__layout_block_bytes(layout, cmap__block_log2(shard->block));
}

/* Prepends one list to another. */
static void join(struct cmap__shard **list, struct cmap__shard *more)
{
  struct cmap__shard *last = more;

  if (more == NULL)
    return;
  while (last->next_free != NULL)
    last = last->next_free;
  last->next_free = *list;
  *list = more;
}

/* Takes all free blocks out of the pool; `all`: also those that have been given
 * back. */
static struct cmap__shard *detach(struct cmap__pool *pool, bool all)
{
  struct cmap__shard *lists[2 * CMAP__POOL_SIZES] = {NULL};
  struct cmap__shard *list = NULL;

  pthread_mutex_lock(&pool->mutex);
  for (unsigned i = 1; i < CMAP__POOL_SIZES; i++) {
    lists[2 * i] = pool->free[i];
    pool->free[i] = NULL;
    if (all) {
      lists[2 * i + 1] = pool->given[i];
      pool->given[i] = NULL;
    }
  }
  cmap__store_relaxed(&pool->idle, 0);
  if (all)
    pool->given_back = 0;
  pthread_mutex_unlock(&pool->mutex);
  for (unsigned i = 0; i < 2 * CMAP__POOL_SIZES; i++)
    join(&list, lists[i]);
  return list;
}

/* Merges two lists that are sorted by address. */
static struct cmap__shard *merge(struct cmap__shard *a, struct cmap__shard *b)
{
  struct cmap__shard *first = NULL;
  struct cmap__shard **end = &first;

  while (a != NULL && b != NULL) {
    struct cmap__shard **lower = begin_of(a) < begin_of(b) ? &a : &b;
    *end = *lower;
    end = &(*lower)->next_free;
    *lower = *end;
  }
  *end = a != NULL ? a : b;
  return first;
}

/* Sorts a list by address: sorted[i] has 2^i shards or none. */
static struct cmap__shard *sort(struct cmap__shard *list)
{
  struct cmap__shard *sorted[64] = {NULL};
  struct cmap__shard *result = NULL;

  while (list != NULL) {
    struct cmap__shard *run = list;
    unsigned i = 0;
    list = list->next_free;
    run->next_free = NULL;
    for (; sorted[i] != NULL; i++) {
      run = merge(sorted[i], run);
      sorted[i] = NULL;
    }
    sorted[i] = run;
  }
  for (unsigned i = 0; i < 64; i++)
    result = merge(sorted[i], result);
  return result;
}

/* Is it in a chunk of whole pages? The chunks that were there when
 * the block was cut do not change. */
static bool is_in_pages(const struct cmap__pool_chunk *chunks,
                        uintptr_t address)
{
  for (; chunks != NULL; chunks = chunks->next) {
    uintptr_t begin = (uintptr_t)chunks;
    if (begin <= address && address < begin + chunks->size)
      return chunks->pages;
  }
  return false;
}

/* Notes how far the counts of the block have come. */
static void mark(struct cmap__shard *shard)
{
  const struct cmap__group *group = cmap__block_groups(shard->block);
  size_t n = (size_t)1 << cmap__block_log2(shard->block);
  uint32_t high = 0;

  if (shard->high != 0)
    return;
  for (size_t i = 0; i < n; i++) {
    /* Relaxed: free blocks are nobody's. */
    uint32_t count = (uint32_t)(cmap__load_relaxed(&group[i].hi) >> 32);
    cmap__assert((count & 1) == 0);
    if (i == 0 || (int32_t)(count - high) > 0) /* they wrap around */
      high = count;
  }
  shard->high = high | CMAP__GIVEN_BACK;
}

/* Gives back what lies between two addresses, as far as it is whole pages. */
static void give_back(uintptr_t begin, uintptr_t end)
{
  (void)cmap__pages_release((void *)begin, end - begin);
}

/* Back into the pool: blocks whose pages have been given back, or not. */
static void attach(struct cmap__pool *pool, const struct cmap__layout *layout,
                   struct cmap__shard *first, const struct cmap__shard *end)
{
  pthread_mutex_lock(&pool->mutex);
  while (first != end) {
    struct cmap__shard *next = first->next_free;
    unsigned list = cmap__block_log2(first->block) + 1;
    struct cmap__shard **lists = first->high != 0 ? pool->given : pool->free;
    if (first->high != 0)
      pool->given_back += bytes_of(layout, first);
    else
      cmap__add_relaxed(&pool->idle, bytes_of(layout, first));
    first->next_free = lists[list];
    lists[list] = first;
    first = next;
  }
  pthread_mutex_unlock(&pool->mutex);
}

void cmap__pool_release(struct cmap__pool *pool,
                        const struct cmap__layout *layout, bool all)
{
  const struct cmap__pool_chunk *chunks;
  struct cmap__shard *list;

  if (!pool->own_pages)
    return;
  list = sort(detach(pool, all));
  pthread_mutex_lock(&pool->mutex);
  chunks = pool->blocks.chunks;
  pthread_mutex_unlock(&pool->mutex);
  while (list != NULL) {
    struct cmap__shard *first = list;
    uintptr_t begin = begin_of(first), end = begin;
    bool pages = is_in_pages(chunks, begin);
    bool fresh = false;
    /* Those that adjoin each other; chunks never do, for their headers. */
    for (; list != NULL && begin_of(list) == end; list = list->next_free) {
      fresh |= list->high == 0;
      end += bytes_of(layout, list);
      if (pages)
        mark(list);
    }
    if (pages && fresh)
      give_back(begin, end);
    attach(pool, layout, first, list);
  }
  cmap__store_relaxed(&pool->stuck, cmap__load_relaxed(&pool->idle));
}

bool cmap__pool_is_mostly_given(struct cmap__pool *pool)
{
  bool mostly;

  pthread_mutex_lock(&pool->mutex);
  mostly = pool->given_back / 3 >= pool->bytes / 4;
  pthread_mutex_unlock(&pool->mutex);
  return mostly;
}

void cmap__pool_bytes(struct cmap__pool *pool, size_t *bytes, size_t *unused)
{
  pthread_mutex_lock(&pool->mutex);
  *bytes = pool->bytes - pool->given_back;
  *unused =
      cmap__load_relaxed(&pool->idle) + pool->headers.left + pool->blocks.left;
  pthread_mutex_unlock(&pool->mutex);
}

const char *cmap__pool_broken(struct cmap__pool *pool)
{
  const char *broken = NULL;

  pthread_mutex_lock(&pool->mutex);
  for (unsigned i = 0; i < 2 * CMAP__POOL_SIZES && broken == NULL; i++) {
    unsigned size = i / 2;
    const struct cmap__shard *shard =
        i % 2 == 0 ? pool->free[size] : pool->given[size];
    for (; shard != NULL && broken == NULL; shard = shard->next_free) {
      bool empty = cmap__block_is_empty(shard->block);
      if (size != (empty ? 0 : cmap__block_log2(shard->block) + 1))
        broken = "pool: a free block is in the list of another size";
      else
        broken = cmap__free_shard_broken(shard);
    }
  }
  pthread_mutex_unlock(&pool->mutex);
  return broken;
}
