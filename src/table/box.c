/*
 * Classes, slabs and heaps of boxes.
 */
#include "table/box.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/compiler.h"
#include "sync/hold.h"
#include "sync/seqcount.h"

/* A heap has no more spare boxes of a class than this, or this much of them;
 * then half of them go. */
#define SPARES_MOST ((size_t)64)
#define SPARE_BYTES ((size_t)32 * 1024)
/* More than this part of the boxes in use are many. */
#define SPARE_PART  8

/*
 * Classes: multiples of a word up to 32 words, then 16 sizes for each power of
 * two. Of a size that is a multiple of an alignment, so is the class's.
 */
unsigned cmap__box_class(size_t size)
{
  size_t words = (size + 7) / 8, last = words - 1;
  unsigned k;

  if (words <= 32)
    return (unsigned)last;
  k = 63 - (unsigned)__builtin_clzll(last);
  return 32 + (k - 5) * 16 + (unsigned)((last - ((size_t)1 << k)) >> (k - 4));
}

static size_t class_bytes(unsigned class)
{
  unsigned k = 5 + (class - 32) / 16;

  if (class < 32)
    return 8 * ((size_t) class + 1);
  return 8 * (((size_t)1 << k) + (((size_t)(class - 32) % 16 + 1) << (k - 4)));
}

/* Of large boxes, too: they are written as words. A free box has two. */
static size_t box_words(size_t size, size_t *align)
{
  if (*align < sizeof(uint64_t))
    *align = sizeof(uint64_t);
  size = cmap__round_up(size, *align);
  return size < 2 * sizeof(uint64_t) ? 2 * sizeof(uint64_t) : size;
}

void cmap__boxes_init(struct cmap__boxes *boxes,
                      const struct cmap_allocator *allocator, bool huge)
{
  boxes->allocator = allocator;
  boxes->huge = huge;
  cmap__store_relaxed(&boxes->heaps, NULL); /* nobody else sees it yet */
  cmap__store_relaxed(&boxes->large_bytes, 0);
}

static void heaps_free(const struct cmap__boxes *boxes,
                       struct cmap__box_heaps *heaps)
{
  for (unsigned i = 0; i < CMAP__BOX_HEAPS; i++) {
    /* Relaxed: nobody else sees them any more. */
    struct cmap__box_heap *heap = cmap__load_relaxed(&heaps->heaps[i]);
    if (heap == NULL)
      continue;
    cmap__free(boxes->allocator, heap->lists,
               heap->classes * sizeof heap->lists[0],
               _Alignof(struct cmap__box_list));
    pthread_mutex_destroy(&heap->mutex);
    if (heap != &heaps->first)
      cmap__free(boxes->allocator, heap, sizeof *heap,
                 _Alignof(struct cmap__box_heap));
  }
  cmap__region_free(&heaps->source, &heaps->memory);
  cmap__region_free(&heaps->source, &heaps->slabs);
  pthread_mutex_destroy(&heaps->mutex);
  cmap__free(boxes->allocator, heaps, sizeof *heaps,
             _Alignof(struct cmap__box_heaps));
}

void cmap__boxes_destroy(struct cmap__boxes *boxes)
{
  struct cmap__box_heaps *heaps = cmap__load_relaxed(&boxes->heaps);

  if (heaps != NULL)
    heaps_free(boxes, heaps);
}

/* The calling thread's stripe. */
static unsigned stripe(void)
{
  return (unsigned)((uint64_t)(uintptr_t)cmap__thread_mark() *
                        UINT64_C(0x9e3779b97f4a7c15) >>
                    60) %
         CMAP__BOX_HEAPS;
}

/* Makes the heaps, of which the first is the calling thread's. */
static CMAP__NOINLINE struct cmap__box_heaps *
make_heaps(struct cmap__boxes *boxes)
{
  struct cmap__box_heaps *heaps = cmap__alloc_zeroed(
      boxes->allocator, sizeof *heaps, _Alignof(struct cmap__box_heaps));
  struct cmap__box_heaps *others = NULL;

  if (heaps == NULL)
    return NULL;
  cmap__source_init(&heaps->source, boxes->allocator, boxes->huge);
  cmap__store_relaxed(&heaps->own_bytes, sizeof *heaps); /* not seen yet */
  pthread_mutex_init(&heaps->mutex, NULL);
  pthread_mutex_init(&heaps->first.mutex, NULL);
  cmap__store_relaxed(&heaps->heaps[stripe()],
                      &heaps->first); /* not seen yet */
  if (cmap__cas_strong_acq_rel(&boxes->heaps, &others, heaps)) /* [B1] */
    return heaps;
  heaps_free(boxes, heaps);
  return cmap__load_acquire(&boxes->heaps); /* [B1] */
}

static CMAP__NOINLINE struct cmap__box_heap *
make_heap(struct cmap__boxes *boxes, struct cmap__box_heaps *heaps, unsigned i)
{
  struct cmap__box_heap *heap;

  pthread_mutex_lock(&heaps->first.mutex);
  heap = cmap__load_relaxed(&heaps->heaps[i]); /* written under the mutex */
  if (heap == NULL) {
    heap = cmap__alloc_zeroed(boxes->allocator, sizeof *heap,
                              _Alignof(struct cmap__box_heap));
    if (heap != NULL) {
      pthread_mutex_init(&heap->mutex, NULL);
      cmap__add_relaxed(&heaps->own_bytes, sizeof *heap); /* a statistic */
      cmap__store_release(&heaps->heaps[i], heap);        /* [B1] */
    }
  }
  pthread_mutex_unlock(&heaps->first.mutex);
  return heap;
}

/* Room for the class in the heap's lists. The heap is locked. */
static bool make_box_lists(const struct cmap__boxes *boxes,
                           struct cmap__box_heaps *heaps,
                           struct cmap__box_heap *heap, unsigned class)
{
  unsigned classes = (class + 8) & ~7u;
  struct cmap__box_list *lists;

  if (cmap__likely(class < heap->classes))
    return true;
  lists = cmap__alloc_zeroed(boxes->allocator, classes * sizeof lists[0],
                             _Alignof(struct cmap__box_list));
  if (lists == NULL)
    return false;
  if (heap->classes > 0)
    memcpy(lists, heap->lists, heap->classes * sizeof lists[0]);
  cmap__free(boxes->allocator, heap->lists, heap->classes * sizeof lists[0],
             _Alignof(struct cmap__box_list));
  cmap__add_relaxed(&heaps->own_bytes, /* a statistic */
                    (classes - heap->classes) * sizeof lists[0]);
  heap->lists = lists;
  heap->classes = classes;
  return true;
}

static void link_slab(struct cmap__box_heap *heap, struct cmap__slab *slab)
{
  struct cmap__slab **list = &heap->lists[cmap__box_class(slab->box)].partial;

  slab->prev = NULL;
  slab->next = *list;
  if (*list != NULL)
    (*list)->prev = slab;
  *list = slab;
}

static void unlink_slab(struct cmap__box_heap *heap, struct cmap__slab *slab)
{
  if (slab->next != NULL)
    slab->next->prev = slab->prev;
  if (slab->prev != NULL)
    slab->prev->next = slab->next;
  else
    heap->lists[cmap__box_class(slab->box)].partial = slab->next;
}

/* A slab for the heap, which is locked. NULL: no memory. */
static struct cmap__slab *new_slab(struct cmap__box_heaps *heaps,
                                   struct cmap__box_heap *heap, size_t box)
{
  struct cmap__slab *slab = cmap__slab_take(heaps, box);

  if (slab != NULL) {
    slab->heap = heap;
    link_slab(heap, slab);
  }
  return slab;
}

static _Atomic uint64_t *pointer_of(uint64_t word)
{
  return (_Atomic uint64_t *)(uintptr_t)word;
}

/* Relaxed: the heap is locked, and who asks without takes what there is. */
static void add_spares(struct cmap__box_heap *heap, size_t n)
{
  cmap__store_relaxed(&heap->spares, cmap__load_relaxed(&heap->spares) + n);
}

static void add_used(struct cmap__box_heap *heap, size_t n)
{
  cmap__store_relaxed(&heap->used, cmap__load_relaxed(&heap->used) + n);
}

/* Takes a box that is spare, or one of a slab. The heap is locked. */
static bool take_box(struct cmap__box_heaps *heaps, struct cmap__box_heap *heap,
                     unsigned class, struct cmap__box *box)
{
  struct cmap__box_list *list = &heap->lists[class];
  struct cmap__slab *slab = list->partial;
  _Atomic uint64_t *words = list->spare;

  if (words != NULL) { /* relaxed: the heap is locked */
    list->spare = pointer_of(cmap__load_relaxed(words));
    list->spares--;
    add_spares(heap, (size_t)-1);
    box->slab = (struct cmap__slab *)(uintptr_t)cmap__load_relaxed(words + 1);
    box->data = cmap__payload_plain(words);
    return true;
  }
  if (slab == NULL)
    slab = new_slab(heaps, heap, class_bytes(class));
  if (slab == NULL)
    return false;
  words = slab->free;
  if (words != NULL)
    slab->free = pointer_of(cmap__load_relaxed(words));
  else
    words = pointer_of((uintptr_t)(slab->memory + slab->cut++ * slab->box));
  slab->used++;
  if (slab->used == slab->boxes)
    unlink_slab(heap, slab);
  box->slab = slab;
  box->data = cmap__payload_plain(words);
  return true;
}

static bool take_large(struct cmap__boxes *boxes, size_t size, size_t align,
                       struct cmap__box *box)
{
  box->slab = NULL;
  box->data = cmap__alloc(boxes->allocator, size, align);
  if (box->data == NULL)
    return false;
  /* Relaxed: a statistic; and whoever destroys the map sees it all. */
  cmap__add_relaxed(&boxes->large_bytes,
                    cmap__alloc_takes(boxes->allocator, size, align));
  return true;
}

/* The calling thread's heap, locked, with lists for the class; NULL: no memory.
 */
static struct cmap__box_heap *lock_heap(struct cmap__boxes *boxes,
                                        unsigned class,
                                        struct cmap__box_heaps **heaps)
{
  struct cmap__box_heap *heap;
  unsigned i = stripe();

  *heaps = cmap__load_acquire(&boxes->heaps); /* [B1] */
  if (cmap__unlikely(*heaps == NULL))
    *heaps = make_heaps(boxes);
  if (cmap__unlikely(*heaps == NULL))
    return NULL;
  heap = cmap__load_acquire(&(*heaps)->heaps[i]); /* [B1] */
  if (cmap__unlikely(heap == NULL))
    heap = make_heap(boxes, *heaps, i);
  if (cmap__unlikely(heap == NULL))
    return NULL;
  pthread_mutex_lock(&heap->mutex);
  if (cmap__likely(make_box_lists(boxes, *heaps, heap, class)))
    return heap;
  pthread_mutex_unlock(&heap->mutex);
  return NULL;
}

/* Is there one without a new slab? The heap is locked. */
static bool has_box(const struct cmap__box_heap *heap, unsigned class)
{
  return heap->lists[class].spare != NULL || heap->lists[class].partial != NULL;
}

static bool spares_are_many(const struct cmap__box_heaps *heaps)
{
  size_t spares = 0, used = 0;

  for (unsigned i = 0; i < CMAP__BOX_HEAPS; i++) {
    const struct cmap__box_heap *heap =
        cmap__load_acquire(&heaps->heaps[i]); /* [B1] */
    if (heap == NULL)
      continue;
    spares += cmap__load_relaxed(&heap->spares); /* see add_spares */
    used += cmap__load_relaxed(&heap->used);
  }
  return spares > used / SPARE_PART;
}

bool cmap__box_take(struct cmap__boxes *boxes, size_t size, size_t align,
                    struct cmap__box *box)
{
  struct cmap__box_heaps *heaps;
  struct cmap__box_heap *heap;
  unsigned class;
  bool taken;

  size = box_words(size, &align);
  if (cmap__unlikely(cmap__box_is_large(size)))
    return take_large(boxes, size, align, box);
  class = cmap__box_class(size);
  heap = lock_heap(boxes, class, &heaps);
  if (cmap__unlikely(heap != NULL && !has_box(heap, class)) &&
      spares_are_many(heaps)) {
    pthread_mutex_unlock(&heap->mutex);
    cmap__boxes_trim(boxes);
    heap = lock_heap(boxes, class, &heaps);
  }
  if (cmap__unlikely(heap == NULL))
    return false;
  taken = take_box(heaps, heap, class, box);
  add_used(heap, taken);
  pthread_mutex_unlock(&heap->mutex);
  /* [B2]: a late reader that sees what the caller stores must see that the
   * entry which had the box before has gone. */
  cmap__fence_release();
  return taken;
}

/* Gives a box back to its slab, whose heap is locked. */
static void send_home(struct cmap__box_heaps *heaps, _Atomic uint64_t *words,
                      struct cmap__slab *slab)
{
  struct cmap__box_heap *heap = slab->heap;

  if (slab->used == slab->boxes)
    link_slab(heap, slab);
  /* By release, for a late reader [Q2]. */
  cmap__payload_store(words, (uintptr_t)slab->free);
  slab->free = words;
  slab->used--;
  if (slab->used == 0) {
    unlink_slab(heap, slab);
    cmap__slab_give(heaps, slab);
  }
}

static struct cmap__slab *slab_of_spare(const _Atomic uint64_t *words)
{
  return (struct cmap__slab *)(uintptr_t)cmap__load_relaxed(words + 1);
}

/* Gives boxes that were spare, and now are ours, back to their slabs. No heap
 * is locked. */
static void send_all_home(struct cmap__box_heaps *heaps,
                          _Atomic uint64_t *words)
{
  while (words != NULL) {
    /* Its slab's as long as we have a box of it. */
    struct cmap__box_heap *heap = slab_of_spare(words)->heap;

    pthread_mutex_lock(&heap->mutex);
    while (words != NULL && slab_of_spare(words)->heap == heap) {
      /* Relaxed: they are ours. */
      _Atomic uint64_t *next = pointer_of(cmap__load_relaxed(words));
      send_home(heaps, words, slab_of_spare(words));
      words = next;
    }
    pthread_mutex_unlock(&heap->mutex);
  }
}

/* Parts the spare boxes beyond the first `n` from a list of the heap, which is
 * locked. */
static _Atomic uint64_t *part_spares(struct cmap__box_heap *heap,
                                     struct cmap__box_list *list, size_t n)
{
  _Atomic uint64_t *last = NULL, *rest = list->spare;

  for (size_t i = 0; i < n; i++) { /* relaxed: the heap is locked */
    last = rest;
    rest = pointer_of(cmap__load_relaxed(rest));
  }
  if (last == NULL)
    list->spare = NULL;
  else
    cmap__payload_store(last, 0);
  add_spares(heap, n - list->spares);
  list->spares = n;
  return rest;
}

static void trim_heap(struct cmap__box_heaps *heaps,
                      struct cmap__box_heap *heap)
{
  _Atomic uint64_t *words = NULL;

  for (unsigned class = 0;; class ++) {
    bool more;
    pthread_mutex_lock(&heap->mutex);
    more = class < heap->classes && cmap__load_relaxed(&heap->spares) > 0;
    if (more)
      words = part_spares(heap, &heap->lists[class], 0);
    pthread_mutex_unlock(&heap->mutex);
    if (!more)
      break;
    send_all_home(heaps, words);
  }
}

void cmap__boxes_trim(struct cmap__boxes *boxes)
{
  struct cmap__box_heaps *heaps = cmap__load_acquire(&boxes->heaps); /* [B1] */

  for (unsigned i = 0; heaps != NULL && i < CMAP__BOX_HEAPS; i++) {
    struct cmap__box_heap *heap =
        cmap__load_acquire(&heaps->heaps[i]); /* [B1] */
    if (heap != NULL)
      trim_heap(heaps, heap);
  }
}

/* Of a class. */
static size_t most_spares(size_t box)
{
  return SPARE_BYTES / box < SPARES_MOST ? SPARE_BYTES / box : SPARES_MOST;
}

void cmap__box_give(struct cmap__boxes *boxes, const struct cmap__box *box,
                    size_t size, size_t align)
{
  struct cmap__slab *slab = box->slab;
  _Atomic uint64_t *words = box->data, *rest = NULL;
  struct cmap__box_heaps *heaps;
  struct cmap__box_heap *heap;
  struct cmap__box_list *list;
  unsigned class;

  size = box_words(size, &align);
  if (cmap__unlikely(slab == NULL)) {
    cmap__sub_relaxed(&boxes->large_bytes,
                      cmap__alloc_takes(boxes->allocator, size, align));
    cmap__free(boxes->allocator, box->data, size, align);
    return;
  }
  class = cmap__box_class(size);
  heap = lock_heap(boxes, class, &heaps);
  if (cmap__unlikely(heap == NULL)) { /* not without memory */
    heap = slab->heap;                /* as long as we have a box of it */
    pthread_mutex_lock(&heap->mutex);
    add_used(heap, (size_t)-1);
    send_home(heaps, words, slab);
    pthread_mutex_unlock(&heap->mutex);
    return;
  }
  list = &heap->lists[class];
  add_used(heap, (size_t)-1);
  /* By release, for a late reader [Q2]. */
  cmap__payload_store(words, (uintptr_t)list->spare);
  cmap__payload_store(words + 1, (uintptr_t)slab);
  list->spare = words;
  add_spares(heap, 1);
  if (++list->spares > most_spares(slab->box))
    rest = part_spares(heap, list, list->spares / 2);
  pthread_mutex_unlock(&heap->mutex);
  send_all_home(heaps, rest);
}
