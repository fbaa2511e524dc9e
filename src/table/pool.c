/*
 * Headers and blocks, the lists of free ones, and how one begins another life.
 */
#include "table/pool.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/pages.h"
#include "base/watch.h"

/* The first chunk of headers. */
#define FIRST_HEADERS 8
/* A map has no larger block in itself. */
#define FIRST_BLOCK   1024

/* Stands for the chunk of a block that lies in the map: it has no pages. */
static CMAP__ALIGNED(CMAP__CHUNK_ALIGN) struct cmap__chunk in_the_map;

/* The list of a free shard. */
static unsigned list_of(const struct cmap__shard *shard)
{
  return shard->home == 0 ? 0 : cmap__home_log2(shard->home) + 1;
}

static size_t bytes_of_list(const struct cmap__layout *layout, unsigned list)
{
  return list == 0 ? 0 : cmap__layout_block_bytes(layout, list - 1);
}

enum cmap_status cmap__pool_init(struct cmap__pool *pool)
{
  cmap__store_relaxed(&pool->grown, NULL); /* nobody else sees it yet */
  return pthread_mutex_init(&pool->mutex, NULL) != 0 ? CMAP_ENOMEM : CMAP_OK;
}

/* The pool is locked, or nobody else sees it: hence relaxed. */
static struct cmap__grown *grown_of(const struct cmap__pool *pool)
{
  return cmap__load_relaxed(&pool->grown);
}

void cmap__pool_destroy(struct cmap__pool *pool)
{
  struct cmap__grown *grown = grown_of(pool);

  if (grown != NULL) {
    cmap__region_free(&grown->source, &grown->headers);
    cmap__region_free(&grown->source, &grown->blocks);
    cmap__free(grown->source.allocator, grown, sizeof *grown,
               _Alignof(struct cmap__grown));
  }
  pthread_mutex_destroy(&pool->mutex);
}

/* What it takes to have more than the first header; NULL: there is no memory
 * for it. The pool is locked. */
static struct cmap__grown *make_grown(struct cmap__pool *pool,
                                      const struct cmap__layout *layout)
{
  const struct cmap_allocator *allocator = &layout->allocator;
  struct cmap__grown *grown = grown_of(pool);

  if (grown != NULL)
    return grown;
  grown = cmap__alloc_zeroed(allocator, sizeof *grown,
                             _Alignof(struct cmap__grown));
  if (grown == NULL)
    return NULL;
  cmap__source_init(&grown->source, allocator,
                    (layout->flags & CMAP_HUGE_PAGES) != 0);
  grown->source.bytes = sizeof *grown;
  cmap__store_release(&pool->grown, grown); /* [G1] */
  return grown;
}

/* Room for a new header, and for its block. The pool is locked. */
static bool grow_regions(struct cmap__grown *grown,
                         const struct cmap__layout *layout, int g)
{
  size_t more = grown->source.bytes / 16;
  size_t headers = CMAP__SHARD_BYTES * FIRST_HEADERS;

  if (headers < more / 16)
    headers = more / 16;
  if (!cmap__region_grow(&grown->source, &grown->headers, CMAP__SHARD_BYTES,
                         headers, false))
    return false;
  return g == CMAP__NO_BLOCK ||
         cmap__region_grow(&grown->source, &grown->blocks,
                           cmap__layout_block_bytes(layout, (unsigned)g), more,
                           true);
}

/* A new header; its lock is free. */
static void begin_shard(struct cmap__shard *shard)
{
  memset(shard, 0, sizeof *shard);
  shard->mask = CMAP__DEAD_MASK;
  shard->prefix = CMAP__DEAD_PREFIX;
  if (cmap__watched())
    cmap__shardlock_watch(&shard->lock);
  shard->block =
      cmap__block_word((uintptr_t)(cmap__empty_groups + CMAP__EMPTY_GROUPS), 0);
}

/* A new header has 2^g groups before these slots from now on. */
static void name_block(struct cmap__shard *shard, struct cmap__chunk *chunk,
                       void *slots, unsigned g)
{
  shard->block = cmap__block_word((uintptr_t)slots, g);
  shard->home = cmap__home_word(chunk, g);
}

/* Counts of 0 are busy; nobody has seen this memory as groups before. */
static void begin_block(struct cmap__shard *shard)
{
  memset(cmap__block_groups(shard->block), 0,
         sizeof(struct cmap__group) << cmap__block_log2(shard->block));
}

/* Cuts the block of a new header; there is room. As cmap__chunk_use. The pool
 * is locked. */
static bool cut_block(struct cmap__grown *grown,
                      const struct cmap__layout *layout, unsigned g,
                      struct cmap__shard *shard)
{
  size_t bytes = cmap__layout_block_bytes(layout, g);
  char *block = cmap__region_cut(&grown->blocks, bytes);
  struct cmap__chunk *chunk = grown->blocks.chunks;

  name_block(shard, chunk, block + cmap__layout_meta_bytes(g), g);
  return cmap__chunk_use(&grown->source, chunk, block, bytes);
}

size_t cmap__pool_first_bytes(const struct cmap__layout *layout)
{
  size_t bytes = CMAP__GROUP_SLOTS * cmap__layout_slot_bytes(layout);

  return bytes <= FIRST_BLOCK - CMAP__CACHE_LINE ? bytes : 0;
}

void cmap__pool_first(struct cmap__shard *shard, void *slots)
{
  begin_shard(shard);
  (void)cmap__shardlock_try_any(&shard->lock, true);
  if (slots != NULL) {
    name_block(shard, &in_the_map, slots, 0);
    begin_block(shard);
  }
}

/* A new header, which names its block. *fresh: of cmap__chunk_use. The pool
 * is locked. */
static struct cmap__shard *cut_shard(struct cmap__pool *pool,
                                     const struct cmap__layout *layout, int g,
                                     bool *fresh)
{
  struct cmap__grown *grown = make_grown(pool, layout);
  struct cmap__shard *shard;

  if (grown == NULL || !grow_regions(grown, layout, g))
    return NULL;
  shard = cmap__region_cut(&grown->headers, CMAP__SHARD_BYTES);
  begin_shard(shard);
  if (g != CMAP__NO_BLOCK)
    *fresh = cut_block(grown, layout, (unsigned)g, shard);
  return shard;
}

/* Empties all groups of a re-used header's memory, also those that this life
 * does not use; they are busy, and stay so. Their counts never go back. */
static void wipe(struct cmap__shard *shard)
{
  uintptr_t whole = cmap__shard_whole_block(shard);
  struct cmap__group *group = cmap__block_groups(whole);
  size_t n = (size_t)1 << cmap__block_log2(whole);
  uint64_t high = (uint64_t)(shard->high & ~CMAP__GIVEN_BACK) << 32;

  for (; n > 0; n--, group++) {
    uint64_t count = cmap__load_relaxed(&group->hi) & ~UINT64_C(0xffffffff);
    if (shard->high != 0)
      count = high;
    cmap__assert(!cmap__seq_is_stable(count));
    /* Release, for a late reader, who may see the tags [Q2]. */
    cmap__store_release(&group->lo, 0);
    cmap__store_relaxed(&group->hi, count); /* busy: see cmap__block_close */
  }
  shard->high = 0;
}

/* Takes the first of a list that nobody sleeps at; NULL: there is none. The
 * pool is locked. */
static struct cmap__shard *pop(struct cmap__shard **list)
{
  struct cmap__shard *shard;

  cmap__fence_seq_cst(); /* [W1] */
  while (*list != NULL && cmap__shard_is_awaited(*list))
    list = &(*list)->next_free;
  shard = *list;
  if (shard != NULL)
    *list = shard->next_free;
  return shard;
}

/* The pool is locked. */
static void push_shard(struct cmap__shard **list, struct cmap__shard *shard)
{
  shard->next_free = *list;
  *list = shard;
}

/* Takes a free shard from the first of these lists that has any. *fresh:
 * of cmap__chunk_use. */
static struct cmap__shard *reuse(struct cmap__grown *grown,
                                 const struct cmap__layout *layout,
                                 unsigned list, unsigned last, bool *fresh)
{
  for (; list <= last; list++) {
    size_t bytes = bytes_of_list(layout, list);
    struct cmap__shard *shard = pop(&grown->lists.free[list]);
    if (shard != NULL) {
      cmap__sub_relaxed(&grown->idle, bytes);
      return shard;
    }
    shard = pop(&grown->lists.given[list]);
    if (shard != NULL) {
      grown->given_bytes -= bytes;
      if (shard->high != 0)
        *fresh = cmap__chunk_use(&grown->source, cmap__home_chunk(shard->home),
                                 cmap__shard_memory(shard), bytes);
      return shard;
    }
  }
  return NULL;
}

struct cmap__shard *cmap__pool_take(struct cmap__pool *pool,
                                    const struct cmap__layout *layout, int g)
{
  unsigned exact = (unsigned)(g + 1), last = CMAP__POOL_SIZES - 1;
  struct cmap__shard *shard, *old = NULL;
  enum cmap__lock_result result;
  struct cmap__grown *grown;
  bool fresh = false;

  if (exact >= CMAP__POOL_SIZES)
    return NULL;
  pthread_mutex_lock(&pool->mutex);
  grown = grown_of(pool);
  if (grown != NULL)
    old = reuse(grown, layout, exact,
                g == CMAP__NO_BLOCK || grown->source.own_pages ? exact : last,
                &fresh);
  shard = old != NULL ? old : cut_shard(pool, layout, g, &fresh);
  if (shard == NULL && grown != NULL)
    shard = old = reuse(grown, layout, exact + 1, last, &fresh);
  pthread_mutex_unlock(&pool->mutex);
  if (shard == NULL)
    return NULL;
  if (fresh)
    (void)cmap__pages_populate(cmap__shard_memory(shard),
                               bytes_of_list(layout, list_of(shard)));
  if (old == NULL && g != CMAP__NO_BLOCK)
    begin_block(shard);
  /* Re-use acquires the lock and never initialises it: see the header. */
  /* Never biased: only live shards' are. */
  result = cmap__shardlock_write(&shard->lock, NULL);
  cmap__assert(result == CMAP__LOCK_OK);
  (void)result;
  shard->limit = 0; /* where the link was */
  shard->rebuilt_at = 0;
  if (old != NULL && shard->home != 0) {
    wipe(shard);
    shard->block = cmap__block_word((uintptr_t)cmap__block_slots(shard->block),
                                    g == CMAP__NO_BLOCK ? 0 : (unsigned)g);
  }
  return shard;
}

void cmap__pool_give(struct cmap__pool *pool, const struct cmap__layout *layout,
                     struct cmap__shard *shard)
{
  unsigned list = list_of(shard);
  struct cmap__grown *grown;

  pthread_mutex_lock(&pool->mutex);
  grown = grown_of(pool);
  cmap__assert(grown != NULL); /* this is not the only header */
  cmap__add_relaxed(&grown->idle, bytes_of_list(layout, list));
  push_shard(&grown->lists.free[list], shard);
  pthread_mutex_unlock(&pool->mutex);
}
