/*
 * Chunks, the parts cut from them, and the pages that nobody uses.
 */
#include "table/chunk.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/compiler.h"
#include "base/pages.h"

/* Chunks of this size and more are huge pages, if these are wanted. */
#define HUGE_CHUNK_MIN ((size_t)64 * 1024)
/* A larger chunk would only make its page faults come in longer rows. */
#define CHUNK_MAX      ((size_t)4 * 1024 * 1024)
/* Pages of the smallest chunk of parts that are smaller than a page. */
#define PAGES_MIN      4

bool cmap__allocator_has_pages(const struct cmap_allocator *allocator)
{
  return allocator->alloc == NULL ||
         allocator->alloc == cmap__allocator_default.alloc;
}

void cmap__source_init(struct cmap__source *source,
                       const struct cmap_allocator *allocator, bool huge)
{
  memset(source, 0, sizeof *source);
  source->allocator = allocator;
  source->own_pages = cmap__allocator_has_pages(allocator);
  source->huge_pages = huge;
}

/* The record of a chunk with so many pages. */
static size_t record_bytes(size_t pages)
{
  return cmap__round_up(sizeof(struct cmap__chunk) + pages * sizeof(uint32_t),
                        CMAP__CHUNK_ALIGN);
}

/* Does the memory follow its record? Where neither begins at a page. */
static bool is_joined(const struct cmap__chunk *chunk)
{
  return chunk->pages == 0 && !chunk->mapped;
}

/* What a chunk takes from the allocator for its record. */
static size_t record_takes(const struct cmap__chunk *chunk)
{
  return record_bytes(chunk->pages) + (is_joined(chunk) ? chunk->size : 0);
}

/*
 * Whole pages come from the default allocator too, not from the system: it has
 * memory at hand that maps before this one used, where fresh pages cost a
 * growing insert a third of its time. Huge pages are asked for in a mapping of
 * our own, because the wish would outlive the chunk; the mapping consists of
 * whole huge pages, because the system gives no others.
 */
static char *memory_alloc(const struct cmap__source *source,
                          struct cmap__chunk *chunk)
{
  if (is_joined(chunk))
    return (char *)chunk + record_bytes(0);
  if (chunk->mapped)
    return cmap__pages_map_huge(chunk->size);
  return cmap__alloc(source->allocator, chunk->size, cmap__page_size());
}

static struct cmap__chunk *chunk_alloc(struct cmap__source *source, size_t size,
                                       bool pages)
{
  struct cmap__chunk shape = {.size = size}, *chunk;

  shape.mapped =
      source->own_pages && source->huge_pages && size >= HUGE_CHUNK_MIN;
  if (shape.mapped)
    shape.size = cmap__round_up(size, CMAP__HUGE_PAGE);
  shape.pages = pages ? shape.size / cmap__page_size() : 0;
  chunk =
      cmap__alloc(source->allocator, record_takes(&shape), CMAP__CHUNK_ALIGN);
  if (chunk == NULL)
    return NULL;
  memset(chunk, 0, record_bytes(shape.pages));
  *chunk = shape;
  chunk->memory = memory_alloc(source, chunk);
  if (chunk->memory == NULL) {
    cmap__free(source->allocator, chunk, record_takes(chunk),
               CMAP__CHUNK_ALIGN);
    return NULL;
  }
  source->bytes += chunk->size + record_bytes(chunk->pages);
  return chunk;
}

static void chunk_free(struct cmap__source *source, struct cmap__chunk *chunk)
{
  source->bytes -= chunk->size + record_bytes(chunk->pages);
  if (chunk->mapped)
    cmap__pages_unmap(chunk->memory, chunk->size);
  else if (!is_joined(chunk))
    cmap__free(source->allocator, chunk->memory, chunk->size,
               cmap__page_size());
  cmap__free(source->allocator, chunk, record_takes(chunk), CMAP__CHUNK_ALIGN);
}

bool cmap__region_grow(struct cmap__source *source, struct cmap__region *region,
                       size_t size, size_t wanted, bool returns)
{
  size_t page = cmap__page_size();
  bool pages = returns && source->own_pages && (size >= page || wanted >= page);
  struct cmap__chunk *chunk;

  if (region->left >= size)
    return true;
  if (size > PTRDIFF_MAX / 2)
    return false;
  if (pages && size < page && wanted < PAGES_MIN * page)
    wanted = PAGES_MIN * page;
  if (wanted > CHUNK_MAX)
    wanted = CHUNK_MAX;
  /* As many parts as it has room for, and no more. */
  wanted = wanted < size ? size : wanted / size * size;
  chunk = chunk_alloc(source, wanted, pages);
  if (chunk == NULL && wanted > size)
    chunk = chunk_alloc(source, size, pages);
  if (chunk == NULL)
    return false;
  chunk->next = region->chunks;
  region->chunks = chunk;
  region->at = chunk->memory;
  region->left = chunk->size;
  return true;
}

void *cmap__region_cut(struct cmap__region *region, size_t size)
{
  void *part = region->at;

  cmap__assert(region->left >= size);
  region->at += size;
  region->left -= size;
  return part;
}

void cmap__region_free(struct cmap__source *source, struct cmap__region *region)
{
  while (region->chunks != NULL) {
    struct cmap__chunk *chunk = region->chunks;
    region->chunks = chunk->next;
    chunk_free(source, chunk);
  }
}

/* A part's bytes in one page after the other. */
struct page_walk {
  size_t page; /* its number */
  size_t bytes;
  size_t offset; /* of the part's rest, from the chunk's memory */
  size_t left;
};

static struct page_walk page_walk_begin(const struct cmap__chunk *chunk,
                                        const char *part, size_t size)
{
  struct page_walk walk = {.offset = (size_t)(part - chunk->memory),
                           .left = size};

  cmap__assert(walk.offset <= chunk->size && size <= chunk->size - walk.offset);
  return walk;
}

static bool page_walk_next(const struct cmap__chunk *chunk,
                           struct page_walk *walk)
{
  size_t page = cmap__page_size();

  walk->page = walk->offset / page;
  walk->bytes = page - walk->offset % page;
  if (walk->bytes > walk->left)
    walk->bytes = walk->left;
  walk->offset += walk->bytes;
  walk->left -= walk->bytes;
  return walk->bytes > 0 && walk->page < chunk->pages;
}

bool cmap__chunk_use(struct cmap__source *source, struct cmap__chunk *chunk,
                     const char *part, size_t size)
{
  struct page_walk walk;
  size_t fresh = 0;

  if (chunk->pages == 0)
    return false;
  walk = page_walk_begin(chunk, part, size);
  while (page_walk_next(chunk, &walk)) {
    uint32_t *in_use = &chunk->in_use[walk.page];
    if (*in_use == CMAP__PAGE_GIVEN) {
      source->given_back -= cmap__page_size();
      *in_use = 0;
    }
    fresh += *in_use == 0;
    *in_use += (uint32_t)walk.bytes;
  }
  /* A single one comes as soon when it is written to. */
  return fresh > 1;
}

/* Gives back so many pages that nobody uses. */
static bool give_back_pages(struct cmap__source *source,
                            struct cmap__chunk *chunk, size_t first,
                            size_t count)
{
  size_t page = cmap__page_size();

  if (!cmap__pages_release(chunk->memory + first * page, count * page))
    return false;
  source->given_back += count * page;
  while (count-- > 0)
    chunk->in_use[first++] = CMAP__PAGE_GIVEN;
  return true;
}

void cmap__chunk_unuse(struct cmap__source *source, struct cmap__chunk *chunk,
                       const char *part, size_t size)
{
  struct page_walk walk;
  size_t first = 0, count = 0;

  if (chunk->pages == 0)
    return;
  walk = page_walk_begin(chunk, part, size);
  while (page_walk_next(chunk, &walk)) {
    chunk->in_use[walk.page] -= (uint32_t)walk.bytes;
    if (chunk->in_use[walk.page] > 0)
      continue;
    /* Only the first and the last page have others' bytes: one row. */
    if (count++ == 0)
      first = walk.page;
  }
  if (count > 0)
    (void)give_back_pages(source, chunk, first, count);
}

size_t cmap__region_release(struct cmap__source *source,
                            struct cmap__region *region, size_t most)
{
  struct cmap__chunk *chunk = region->chunks;
  size_t page = cmap__page_size();
  size_t first, count = 0;

  if (chunk == NULL || chunk->pages == 0)
    return 0;
  first = cmap__round_up((size_t)(region->at - chunk->memory), page) / page;
  while (first < chunk->pages && chunk->in_use[first] == CMAP__PAGE_GIVEN)
    first++;
  while (first + count < chunk->pages && count < most / page &&
         chunk->in_use[first + count] == 0)
    count++;
  return count > 0 && give_back_pages(source, chunk, first, count)
             ? count * page
             : 0;
}
