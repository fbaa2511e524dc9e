/*
 * Slabs of boxes: cut from chunks, empty ones used again.
 */
#include <string.h>

#include "base/pages.h"
#include "table/box.h"

/* Boxes in a slab, at the least: the unused rest of it is below such a part. */
#define SLAB_BOXES 32
#define SLAB_MIN   ((size_t)4096)
/* But no slab is larger than this part of what there is, beyond the least. */
#define SLAB_PART  8

/* An empty one is used again, also if smaller, where that many find room. */
#define SLAB_LEAST_BOXES 8

/* The first chunk of their structs. */
#define SLABS_FIRST 4

_Static_assert(CMAP__BOX_MOST *SLAB_BOXES == (size_t)1 << CMAP__SLAB_LOG2_MOST,
               "the largest slabs have boxes of the largest class");

static unsigned log2_of_bytes(size_t n)
{
  return 63 - (unsigned)__builtin_clzll(n);
}

/* What a slab for such boxes should have. */
static size_t slab_bytes(size_t box, size_t pool)
{
  size_t bytes = (size_t)2 << log2_of_bytes(SLAB_BOXES * box - 1);
  size_t part = pool / SLAB_PART;

  if (bytes < SLAB_MIN)
    bytes = SLAB_MIN;
  while (bytes > part && bytes / 2 >= box &&
         bytes > (size_t)1 << CMAP__SLAB_LOG2_LEAST)
    bytes /= 2;
  return bytes;
}

/* Of slabs with so many bytes. */
static unsigned list_of_bytes(size_t bytes)
{
  return log2_of_bytes(bytes) - CMAP__SLAB_LOG2_LEAST;
}

static struct cmap__slab *pop_slab(struct cmap__slab **list)
{
  struct cmap__slab *slab = *list;

  if (slab != NULL)
    *list = slab->next;
  return slab;
}

static void use_slab(struct cmap__box_heaps *heaps, struct cmap__slab *slab)
{
  slab->fresh =
      cmap__chunk_use(&heaps->source, slab->chunk, slab->memory, slab->bytes);
}

/* An empty slab of a list. */
static struct cmap__slab *reuse_slab(struct cmap__box_heaps *heaps,
                                     unsigned list)
{
  struct cmap__slab *slab = pop_slab(&heaps->idle[list]);

  if (slab != NULL) {
    cmap__sub_relaxed(&heaps->idle_bytes, slab->bytes);
    return slab;
  }
  slab = pop_slab(&heaps->given[list]);
  if (slab != NULL) {
    heaps->given_bytes -= slab->bytes;
    use_slab(heaps, slab);
  }
  return slab;
}

static void push_slab(struct cmap__box_heaps *heaps, struct cmap__slab *slab)
{
  unsigned list = list_of_bytes(slab->bytes);

  slab->next = heaps->idle[list];
  heaps->idle[list] = slab;
  cmap__add_relaxed(&heaps->idle_bytes, slab->bytes);
}

/* The struct of a slab. NULL: no memory. */
static struct cmap__slab *name_slab(struct cmap__box_heaps *heaps,
                                    struct cmap__chunk *chunk, char *memory,
                                    size_t bytes)
{
  size_t structs = SLABS_FIRST * sizeof(struct cmap__slab);
  struct cmap__slab *slab;

  if (structs < heaps->source.bytes / 1024)
    structs = heaps->source.bytes / 1024;
  if (!cmap__region_grow(&heaps->source, &heaps->slabs, sizeof *slab, structs,
                         false))
    return NULL;
  slab = cmap__region_cut(&heaps->slabs, sizeof *slab);
  memset(slab, 0, sizeof *slab);
  slab->chunk = chunk;
  slab->memory = memory;
  slab->bytes = bytes;
  return slab;
}

/* Cuts a slab from the newest chunk, which has room for it. */
static struct cmap__slab *cut_slab(struct cmap__box_heaps *heaps, size_t bytes)
{
  struct cmap__region *region = &heaps->memory;
  struct cmap__slab *slab = name_slab(heaps, region->chunks, region->at, bytes);

  if (slab != NULL) {
    (void)cmap__region_cut(region, bytes);
    use_slab(heaps, slab);
  }
  return slab;
}

/* Of memory that no slab has had. What is left of a chunk, and too small,
 * becomes slabs that are empty. */
static struct cmap__slab *fresh_slab(struct cmap__box_heaps *heaps,
                                     size_t bytes)
{
  struct cmap__region *region = &heaps->memory;
  struct cmap__slab *slab;

  while (region->left < bytes && region->left >= (size_t)1
                                                     << CMAP__SLAB_LOG2_LEAST) {
    slab = cut_slab(heaps, (size_t)1 << log2_of_bytes(region->left));
    if (slab == NULL)
      return NULL;
    push_slab(heaps, slab);
  }
  return cmap__region_grow(&heaps->source, region, bytes,
                           heaps->source.bytes / 16, true)
             ? cut_slab(heaps, bytes)
             : NULL;
}

/* An empty slab of `bytes`, or the first part of a larger one, whose other
 * parts are empty slabs from now on. */
static struct cmap__slab *split_slab(struct cmap__box_heaps *heaps,
                                     size_t bytes)
{
  struct cmap__slab *slab = NULL, *half;

  for (unsigned list = list_of_bytes(bytes);
       slab == NULL && list < CMAP__SLAB_LISTS; list++)
    slab = reuse_slab(heaps, list);
  while (slab != NULL && slab->bytes > bytes) {
    half = name_slab(heaps, slab->chunk, slab->memory + slab->bytes / 2,
                     slab->bytes / 2);
    if (half == NULL)
      break; /* it does as it is */
    slab->bytes /= 2;
    half->fresh = slab->fresh;
    push_slab(heaps, half);
  }
  return slab;
}

struct cmap__slab *cmap__slab_take(struct cmap__box_heaps *heaps, size_t box)
{
  struct cmap__slab *slab;
  size_t bytes, least;

  pthread_mutex_lock(&heaps->mutex);
  bytes = slab_bytes(box, heaps->source.bytes - heaps->source.given_back);
  slab = split_slab(heaps, bytes);
  /* A smaller one that is empty has room for some boxes, too. */
  for (least = bytes / 2; slab == NULL && least >= SLAB_LEAST_BOXES * box &&
                          least >= (size_t)1 << CMAP__SLAB_LOG2_LEAST;
       least /= 2)
    slab = reuse_slab(heaps, list_of_bytes(least));
  if (slab == NULL)
    slab = fresh_slab(heaps, bytes);
  /* Without memory, any that has room for a box. */
  least = slab_bytes(box, 0);
  if (slab == NULL)
    slab = split_slab(heaps, least);
  if (slab == NULL && least < bytes)
    slab = fresh_slab(heaps, least);
  pthread_mutex_unlock(&heaps->mutex);
  if (slab == NULL)
    return NULL;
  if (slab->fresh)
    (void)cmap__pages_populate(slab->memory, slab->bytes);
  slab->fresh = false;
  slab->box = box;
  slab->boxes = (uint32_t)(slab->bytes / box);
  slab->cut = 0;
  slab->free = NULL;
  return slab;
}

void cmap__slab_give(struct cmap__box_heaps *heaps, struct cmap__slab *slab)
{
  pthread_mutex_lock(&heaps->mutex);
  push_slab(heaps, slab);
  pthread_mutex_unlock(&heaps->mutex);
}
