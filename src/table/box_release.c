/*
 * Giving the pages of empty slabs back to the system, what the boxes take, and
 * boxes around fork.
 */
#include "base/check.h"
#include "table/box.h"

size_t cmap__boxes_idle(const struct cmap__boxes *boxes)
{
  struct cmap__box_heaps *heaps = cmap__load_acquire(&boxes->heaps); /* [B1] */

  return heaps == NULL ? 0 : cmap__load_relaxed(&heaps->idle_bytes);
}

/* Gives back the pages of the first slab of a list. The boxes are locked. */
static size_t give_back_slab(struct cmap__box_heaps *heaps, unsigned list)
{
  struct cmap__slab *slab = heaps->idle[list];

  heaps->idle[list] = slab->next;
  cmap__sub_relaxed(&heaps->idle_bytes, slab->bytes);
  cmap__chunk_unuse(&heaps->source, slab->chunk, slab->memory, slab->bytes);
  slab->next = heaps->given[list];
  heaps->given[list] = slab;
  heaps->given_bytes += slab->bytes;
  return slab->bytes;
}

size_t cmap__boxes_release(struct cmap__boxes *boxes)
{
  struct cmap__box_heaps *heaps = cmap__load_acquire(&boxes->heaps); /* [B1] */
  size_t bytes = 0;

  if (heaps == NULL)
    return 0;
  pthread_mutex_lock(&heaps->mutex);
  if (heaps->source.own_pages) {
    for (unsigned list = CMAP__SLAB_LISTS; list-- > 0;)
      while (bytes < CMAP__RELEASE_STEP && heaps->idle[list] != NULL)
        bytes += give_back_slab(heaps, list);
    if (bytes < CMAP__RELEASE_STEP)
      bytes += cmap__region_release(&heaps->source, &heaps->memory,
                                    CMAP__RELEASE_STEP - bytes);
  }
  pthread_mutex_unlock(&heaps->mutex);
  return bytes;
}

void cmap__boxes_bytes(struct cmap__boxes *boxes, size_t *bytes, size_t *unused)
{
  struct cmap__box_heaps *heaps = cmap__load_acquire(&boxes->heaps); /* [B1] */
  size_t not_used, given;

  *bytes = cmap__load_relaxed(&boxes->large_bytes);
  *unused = 0;
  if (heaps == NULL)
    return;
  pthread_mutex_lock(&heaps->mutex);
  given = heaps->source.given_back;
  *bytes += heaps->source.bytes - given + cmap__load_relaxed(&heaps->own_bytes);
  not_used = cmap__load_relaxed(&heaps->idle_bytes) + heaps->given_bytes +
             heaps->slabs.left + heaps->memory.left;
  *unused = not_used > given ? not_used - given : 0;
  pthread_mutex_unlock(&heaps->mutex);
}

size_t cmap__boxes_used(struct cmap__boxes *boxes)
{
  struct cmap__box_heaps *heaps = cmap__load_acquire(&boxes->heaps); /* [B1] */
  size_t used = 0;

  for (unsigned i = 0; heaps != NULL && i < CMAP__BOX_HEAPS; i++) {
    struct cmap__box_heap *heap =
        cmap__load_acquire(&heaps->heaps[i]); /* [B1] */
    if (heap == NULL)
      continue;
    pthread_mutex_lock(&heap->mutex);
    used += cmap__load_relaxed(&heap->used);
    pthread_mutex_unlock(&heap->mutex);
  }
  return used;
}

/* What is wrong with a slab of a heap's list for this class. */
static const char *slab_broken(const struct cmap__box_heap *heap,
                               const struct cmap__slab *slab, unsigned class)
{
  const _Atomic uint64_t *box = slab->free;
  uint32_t n = slab->used;

  if (slab->heap != heap || cmap__box_class(slab->box) != class)
    return "boxes: a slab is in the wrong list";
  for (; box != NULL && n <= slab->cut; n++)
    box = (const _Atomic uint64_t *)(uintptr_t)cmap__load_relaxed(box);
  if (n != slab->cut || slab->cut > slab->boxes)
    return "boxes: those in use and the free ones are not all";
  return slab->used == 0 || slab->used == slab->boxes
             ? "boxes: an empty or full slab is in a heap's list"
             : NULL;
}

static const char *heap_broken(struct cmap__box_heap *heap)
{
  const char *broken = NULL;

  pthread_mutex_lock(&heap->mutex);
  for (unsigned i = 0; i < heap->classes; i++)
    for (const struct cmap__slab *slab = heap->lists[i].partial;
         slab != NULL && broken == NULL; slab = slab->next)
      broken = slab_broken(heap, slab, i);
  pthread_mutex_unlock(&heap->mutex);
  return broken;
}

const char *cmap__boxes_broken(struct cmap__boxes *boxes)
{
  struct cmap__box_heaps *heaps = cmap__load_acquire(&boxes->heaps); /* [B1] */
  const char *broken = NULL;

  for (unsigned i = 0; heaps != NULL && i < CMAP__BOX_HEAPS && broken == NULL;
       i++) {
    struct cmap__box_heap *heap =
        cmap__load_acquire(&heaps->heaps[i]); /* [B1] */
    if (heap != NULL)
      broken = heap_broken(heap);
  }
  return broken;
}

/* The first heap before all others: no more of them are made then. */
void cmap__boxes_stop(struct cmap__boxes *boxes)
{
  struct cmap__box_heaps *heaps = cmap__load_acquire(&boxes->heaps); /* [B1] */

  boxes->stopped = heaps;
  if (heaps == NULL)
    return;
  pthread_mutex_lock(&heaps->first.mutex);
  for (unsigned i = 0; i < CMAP__BOX_HEAPS; i++) {
    struct cmap__box_heap *heap =
        cmap__load_acquire(&heaps->heaps[i]); /* [B1] */
    if (heap != NULL && heap != &heaps->first)
      pthread_mutex_lock(&heap->mutex);
  }
  pthread_mutex_lock(&heaps->mutex);
}

void cmap__boxes_go_on(struct cmap__boxes *boxes, bool alone)
{
  struct cmap__box_heaps *heaps = boxes->stopped;

  if (alone && heaps == NULL)
    cmap__store_relaxed(&boxes->heaps, NULL); /* nobody else is there */
  if (heaps == NULL)
    return;
  pthread_mutex_unlock(&heaps->mutex);
  for (unsigned i = 0; i < CMAP__BOX_HEAPS; i++) {
    struct cmap__box_heap *heap =
        cmap__load_acquire(&heaps->heaps[i]); /* [B1] */
    if (heap != NULL && heap != &heaps->first)
      pthread_mutex_unlock(&heap->mutex);
  }
  pthread_mutex_unlock(&heaps->first.mutex);
}
