/*
 * Chunks, the headers and blocks cut from them, and the lists of free ones.
 */
#include "table/pool.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/pages.h"

/* Chunks of this size and more are whole pages, if the memory is ours. */
#define PAGES_CHUNK_MIN ((size_t)64 * 1024)
/* A larger chunk would only make its page faults come in longer rows. */
#define CHUNK_MAX       ((size_t)4 * 1024 * 1024)
/* The first chunk of headers: an empty map stays small. */
#define FIRST_HEADERS   8

#define CHUNK_HEADER cmap__round_up(sizeof(struct cmap__pool_chunk), 64)

enum cmap_status cmap__pool_init(struct cmap__pool *pool,
                                 const struct cmap__layout *layout)
{
  memset(pool, 0, sizeof *pool);
  pool->own_pages =
      layout->options.allocator.alloc == NULL ||
      layout->options.allocator.alloc == cmap__allocator_default.alloc;
  pool->huge_pages = (layout->options.flags & CMAP_HUGE_PAGES) != 0;
  if (pthread_mutex_init(&pool->mutex, NULL) != 0)
    return CMAP_ENOMEM;
  return CMAP_OK;
}

static size_t chunk_align(bool pages)
{
  return pages ? cmap__page_size() : CMAP__CACHE_LINE;
}

static void chunk_free(const struct cmap__layout *layout,
                       struct cmap__pool_chunk *chunk)
{
  size_t size = chunk->size;

  if (chunk->mapped)
    cmap__pages_unmap(chunk, size);
  else
    cmap__free(&layout->options.allocator, chunk, size,
               chunk_align(chunk->pages));
}

static void region_free(const struct cmap__layout *layout,
                        struct cmap__pool_region *region)
{
  while (region->chunks != NULL) {
    struct cmap__pool_chunk *chunk = region->chunks;
    region->chunks = chunk->next;
    chunk_free(layout, chunk);
  }
}

void cmap__pool_destroy(struct cmap__pool *pool,
                        const struct cmap__layout *layout)
{
  region_free(layout, &pool->headers);
  region_free(layout, &pool->blocks);
  pthread_mutex_destroy(&pool->mutex);
}

/* What comes before the room of a chunk: in one of whole pages a page, so that
 * blocks of whole pages lie in whole pages. */
static size_t chunk_header(bool pages)
{
  return pages ? cmap__page_size() : CHUNK_HEADER;
}

/*
 * Whole pages come from the default allocator too, not from the system: it has
 * memory at hand that maps before this one used, where fresh pages cost a
 * growing insert a third of its time. Huge pages are asked for in a mapping of
 * our own, because the wish would outlive the chunk; the mapping consists of
 * whole huge pages, because the system gives no others.
 */
static struct cmap__pool_chunk *chunk_alloc(struct cmap__pool *pool,
                                            const struct cmap__layout *layout,
                                            size_t room)
{
  bool pages = pool->own_pages && room >= PAGES_CHUNK_MIN;
  bool mapped = pages && pool->huge_pages;
  size_t size = room + chunk_header(pages);
  struct cmap__pool_chunk *chunk;

  if (pages)
    size = cmap__round_up(size, cmap__page_size());
  if (mapped) {
    size = cmap__round_up(size, CMAP__HUGE_PAGE);
    chunk = cmap__pages_map_huge(size);
  } else {
    chunk = cmap__alloc(&layout->options.allocator, size, chunk_align(pages));
  }
  if (chunk == NULL)
    return NULL;
  chunk->size = size;
  chunk->pages = pages;
  chunk->mapped = mapped;
  return chunk;
}

/* Room for `size` bytes more in the region; at least `wanted` if need be. */
static bool region_grow(struct cmap__pool *pool,
                        const struct cmap__layout *layout,
                        struct cmap__pool_region *region, size_t size,
                        size_t wanted)
{
  struct cmap__pool_chunk *chunk;

  if (region->left >= size)
    return true;
  if (size > PTRDIFF_MAX / 2)
    return false;
  if (wanted > CHUNK_MAX)
    wanted = CHUNK_MAX;
  if (wanted < size)
    wanted = size;
  chunk = chunk_alloc(pool, layout, wanted);
  if (chunk == NULL && wanted > size)
    chunk = chunk_alloc(pool, layout, size);
  if (chunk == NULL)
    return false;
  chunk->next = region->chunks;
  region->chunks = chunk;
  region->at = (char *)chunk + chunk_header(chunk->pages);
  region->left = chunk->size - chunk_header(chunk->pages);
  pool->bytes += chunk->size;
  return true;
}

static void *region_cut(struct cmap__pool_region *region, size_t size)
{
  void *part = region->at;

  cmap__assert(region->left >= size);
  region->at += size;
  region->left -= size;
  return part;
}

/* A new header with its block; its lock is free. The pool is locked. */
static struct cmap__shard *cut_shard(struct cmap__pool *pool,
                                     const struct cmap__layout *layout, int g)
{
  size_t grow = pool->bytes / 16;
  size_t headers = sizeof(struct cmap__shard) * FIRST_HEADERS;
  struct cmap__shard *shard;

  if (headers < grow / 16)
    headers = cmap__round_up(grow / 16, sizeof *shard);
  if (!region_grow(pool, layout, &pool->headers, sizeof *shard, headers))
    return NULL;
  if (g != CMAP__NO_BLOCK) {
    size_t bytes = cmap__layout_block_bytes(layout, (unsigned)g);
    size_t blocks = bytes * (grow / bytes);
    if (!region_grow(pool, layout, &pool->blocks, bytes, blocks))
      return NULL;
  }
  shard = region_cut(&pool->headers, sizeof *shard);
  memset(shard, 0, sizeof *shard);
  shard->mask = CMAP__DEAD_MASK;
  shard->prefix = CMAP__DEAD_PREFIX;
  shard->block =
      cmap__block_word((uintptr_t)(cmap__empty_groups + CMAP__EMPTY_GROUPS), 0);
  if (g != CMAP__NO_BLOCK) {
    size_t meta = cmap__layout_meta_bytes((unsigned)g);
    void *block = region_cut(&pool->blocks,
                             cmap__layout_block_bytes(layout, (unsigned)g));
    /* Counts of 0 are busy; nobody has seen this memory as groups before. */
    memset(block, 0, meta);
    shard->block = cmap__block_word((uintptr_t)block + meta, (unsigned)g);
  }
  return shard;
}

/* Empties a re-used block's groups; they are busy, and stay so. Their counts
 * never go back. */
static void wipe(struct cmap__shard *shard)
{
  struct cmap__group *group = cmap__block_groups(shard->block);
  size_t n = (size_t)1 << cmap__block_log2(shard->block);
  uint64_t high = (uint64_t)(shard->high & ~CMAP__GIVEN_BACK) << 32;

  for (; n > 0; n--, group++) {
    uint64_t count = cmap__load_relaxed(&group->hi) & ~UINT64_C(0xffffffff);
    if (shard->high != 0)
      count = high;
    cmap__assert(!cmap__seq_is_stable(count));
    /* Release, for a late reader who may see them [Q2]. */
    cmap__store_release(&group->lo, 0);
    cmap__store_release(&group->hi, count);
  }
  shard->high = 0;
}

/* Takes the first of a list; NULL: it is empty. The pool is locked. */
static struct cmap__shard *pop(struct cmap__shard **list)
{
  struct cmap__shard *shard = *list;

  if (shard != NULL)
    *list = shard->next_free;
  return shard;
}

struct cmap__shard *cmap__pool_take(struct cmap__pool *pool,
                                    const struct cmap__layout *layout, int g)
{
  struct cmap__shard *shard;
  bool reused;

  if (g + 1 >= CMAP__POOL_SIZES)
    return NULL;
  pthread_mutex_lock(&pool->mutex);
  shard = pop(&pool->free[g + 1]);
  if (shard != NULL && g != CMAP__NO_BLOCK)
    cmap__sub_relaxed(&pool->idle,
                      cmap__layout_block_bytes(layout, (unsigned)g));
  if (shard == NULL) {
    shard = pop(&pool->given[g + 1]);
    if (shard != NULL)
      pool->given_back -= cmap__layout_block_bytes(layout, (unsigned)g);
  }
  reused = shard != NULL;
  if (!reused)
    shard = cut_shard(pool, layout, g);
  pthread_mutex_unlock(&pool->mutex);
  if (shard == NULL)
    return NULL;
  /* Re-use acquires the lock and never initialises it: see the header. */
  cmap__shardlock_write(&shard->lock, NULL);
  if (reused && g != CMAP__NO_BLOCK)
    wipe(shard);
  return shard;
}

void cmap__pool_give(struct cmap__pool *pool, const struct cmap__layout *layout,
                     struct cmap__shard *shard)
{
  bool empty = cmap__block_is_empty(shard->block);
  unsigned list = empty ? 0 : cmap__block_log2(shard->block) + 1;

  pthread_mutex_lock(&pool->mutex);
  if (!empty)
    cmap__add_relaxed(&pool->idle, cmap__layout_block_bytes(layout, list - 1));
  shard->next_free = pool->free[list];
  pool->free[list] = shard;
  pthread_mutex_unlock(&pool->mutex);
}

bool cmap__pool_reserve(struct cmap__pool *pool,
                        const struct cmap__layout *layout, int g, size_t count)
{
  struct cmap__shard *list = NULL;
  size_t have = 0;
  bool ok = true;

  pthread_mutex_lock(&pool->mutex);
  for (list = pool->free[g + 1]; list != NULL && have < count;
       list = list->next_free)
    have++;
  for (; ok && have < count; have++) {
    struct cmap__shard *shard = cut_shard(pool, layout, g);
    ok = shard != NULL;
    if (ok) {
      shard->next_free = pool->free[g + 1];
      pool->free[g + 1] = shard;
      if (g != CMAP__NO_BLOCK)
        cmap__add_relaxed(&pool->idle,
                          cmap__layout_block_bytes(layout, (unsigned)g));
    }
  }
  pthread_mutex_unlock(&pool->mutex);
  return ok;
}
