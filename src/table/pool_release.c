/*
 * Giving the pages of free blocks back to the system, and what the pool has.
 */
#include "base/check.h"
#include "table/pool.h"

/*
 * Groups that lag behind the block's highest by more than this keep their
 * counts, and their pages. It bounds how much one release can add to a count
 * that a late reader has seen (docs/memory-model.md 2).
 */
#define MOST_LAG (UINT32_C(1) << 30)

/* Of a free block, whose groups are nobody's: hence relaxed. */
static uint32_t count_of(const struct cmap__group *group)
{
  uint32_t count = (uint32_t)(cmap__load_relaxed(&group->hi) >> 32);

  cmap__assert((count & 1) == 0);
  return count;
}

/* Notes how far the counts of the shard's groups have come; false: they are
 * too far apart. */
static bool mark(struct cmap__shard *shard)
{
  uintptr_t whole = cmap__shard_whole_block(shard);
  const struct cmap__group *group = cmap__block_groups(whole);
  size_t n = (size_t)1 << cmap__block_log2(whole);
  uint32_t high = count_of(group);

  for (size_t i = 1; i < n; i++)
    if ((int32_t)(count_of(&group[i]) - high) > 0) /* they wrap around */
      high = count_of(&group[i]);
  for (size_t i = 0; i < n; i++)
    if (high - count_of(&group[i]) > MOST_LAG)
      return false;
  shard->high = high | CMAP__GIVEN_BACK;
  return true;
}

/* Moves a free shard from one list to the other, also if its pages stay: it is
 * not asked again. The pool is locked, so that nobody begins to use the pages
 * meanwhile. */
static size_t give_back_block(struct cmap__grown *grown,
                              const struct cmap__layout *layout, unsigned list)
{
  size_t bytes = cmap__layout_block_bytes(layout, list - 1);
  struct cmap__free_lists *lists = &grown->lists;
  struct cmap__shard *shard = lists->free[list];

  lists->free[list] = shard->next_free;
  cmap__sub_relaxed(&grown->idle, bytes);
  if (mark(shard))
    cmap__chunk_unuse(&grown->source, cmap__home_chunk(shard->home),
                      cmap__shard_memory(shard), bytes);
  shard->next_free = lists->given[list];
  lists->given[list] = shard;
  grown->given_bytes += bytes;
  return bytes;
}

size_t cmap__pool_release(struct cmap__pool *pool,
                          const struct cmap__layout *layout)
{
  struct cmap__grown *grown = cmap__pool_grown(pool);
  size_t bytes = 0;

  if (grown == NULL || !grown->source.own_pages)
    return 0;
  pthread_mutex_lock(&pool->mutex);
  for (unsigned list = CMAP__POOL_SIZES - 1; list > 0; list--)
    while (bytes < CMAP__RELEASE_STEP && grown->lists.free[list] != NULL)
      bytes += give_back_block(grown, layout, list);
  if (bytes < CMAP__RELEASE_STEP)
    bytes += cmap__region_release(&grown->source, &grown->blocks,
                                  CMAP__RELEASE_STEP - bytes);
  pthread_mutex_unlock(&pool->mutex);
  return bytes;
}

void cmap__pool_bytes(struct cmap__pool *pool, size_t *bytes, size_t *unused)
{
  const struct cmap__grown *grown = cmap__pool_grown(pool);
  const struct cmap__source *source;
  size_t not_used;

  *bytes = *unused = 0;
  if (grown == NULL)
    return;
  pthread_mutex_lock(&pool->mutex);
  source = &grown->source;
  *bytes = source->bytes - source->given_back;
  not_used = cmap__load_relaxed(&grown->idle) + grown->given_bytes +
             grown->headers.left + grown->blocks.left;
  /* Ends of chunks, too short to be cut, may have been given back with them. */
  *unused = not_used > source->given_back ? not_used - source->given_back : 0;
  pthread_mutex_unlock(&pool->mutex);
}

const char *cmap__pool_broken(struct cmap__pool *pool)
{
  const struct cmap__grown *grown = cmap__pool_grown(pool);
  const char *broken = NULL;

  if (grown == NULL)
    return NULL;
  pthread_mutex_lock(&pool->mutex);
  for (unsigned i = 0; i < 2 * CMAP__POOL_SIZES && broken == NULL; i++) {
    unsigned size = i / 2;
    const struct cmap__shard *shard =
        i % 2 == 0 ? grown->lists.free[size] : grown->lists.given[size];
    for (; shard != NULL && broken == NULL; shard = shard->next_free) {
      if (size != (shard->home == 0 ? 0 : cmap__home_log2(shard->home) + 1))
        broken = "pool: a free block is in the list of another size";
      else
        broken = cmap__free_shard_broken(shard);
    }
  }
  pthread_mutex_unlock(&pool->mutex);
  return broken;
}
