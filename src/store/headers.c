/*
 * Pages of headers, and the extents of memory that they lie in.
 */
#include "store/headers.h"

#include "base/alloc.h"
#include "base/pages.h"
#include "store/store.h"

/* From so many pages on an extent is whole pages of the system's. */
#define WHOLE_MIN ((size_t)16)

/* The pages of the largest extent. */
#define EXTENT_MAX ((size_t)1024)

/* Whole pages that stay although they are empty: a store whose size goes up
 * and down a little asks the system for nothing. */
#define KEEP_EMPTY ((size_t)16)

/* An extent of a few pages leaves so many bytes to malloc's own books: with
 * them it has the size of whole units, and the next one adjoins. */
#define MALLOC_BYTES ((size_t)16)

/* Memory for some pages; this lies behind them, or in the end of the last. */
struct cmap__header_extent {
  struct cmap__header_extent *next;
  char *memory;
  size_t size; /* of the whole */
  size_t align;
  size_t count; /* of pages */
  struct cmap__header_page pages[];
};

/* A page's header of this number, from its front. */
static struct cmap__object *header_at(const struct cmap__headers *headers,
                                      const struct cmap__header_page *page,
                                      unsigned number)
{
  char *end =
      page->memory + (number / headers->in_unit + 1) * CMAP__HEADER_UNIT;

  return (struct cmap__object *)(void *)end - headers->in_unit +
         number % headers->in_unit;
}

static void push_page(struct cmap__header_page **list,
                      struct cmap__header_page *page)
{
  page->previous = NULL;
  page->next = *list;
  if (*list != NULL)
    (*list)->previous = page;
  *list = page;
}

static void unlink_page(struct cmap__header_page **list,
                        struct cmap__header_page *page)
{
  if (page->next != NULL)
    page->next->previous = page->previous;
  if (page->previous != NULL)
    page->previous->next = page->next;
  else
    *list = page->next;
}

bool cmap__headers_begin(struct cmap__headers *headers)
{
  return pthread_mutex_init(&headers->mutex, NULL) == 0;
}

void cmap__headers_end(struct cmap_store *store)
{
  struct cmap__headers *headers = &store->headers;

  while (headers->extents != NULL) {
    struct cmap__header_extent *extent = headers->extents;
    headers->extents = extent->next;
    cmap__free(&store->allocator, extent->memory, extent->size, extent->align);
  }
  (void)pthread_mutex_destroy(&headers->mutex);
}

/* An extent of so many pages, their memory as it comes; NULL: none. Mutex held:
 * nobody may be cancelled in the allocator. */
static struct cmap__header_extent *extent_new(struct cmap_store *store,
                                              size_t count)
{
  bool few = count < WHOLE_MIN;
  bool whole = !few && store->allocator.alloc == cmap__allocator_default.alloc;
  size_t page_size = whole ? cmap__page_size() : CMAP__HEADER_UNIT;
  size_t room = page_size / CMAP__HEADER_UNIT * store->headers.in_unit;
  size_t known = sizeof(struct cmap__header_extent) +
                 count * sizeof(struct cmap__header_page);
  size_t bytes = count * page_size;
  size_t size = few ? bytes - MALLOC_BYTES : bytes + known;
  struct cmap__header_extent *extent;
  int cancel = cmap__cancel_disable();
  char *memory = cmap__alloc(&store->allocator, size, page_size);

  cmap__cancel_restore(cancel);
  if (memory == NULL)
    return NULL;
  extent = (void *)(memory + size - known);
  extent->memory = memory;
  extent->size = size;
  extent->align = page_size;
  extent->count = count;
  memset(extent->pages, 0, count * sizeof *extent->pages);
  for (size_t i = 0; i < count; i++) {
    struct cmap__header_page *page = &extent->pages[i];
    page->memory = memory + i * page_size;
    page->room = (uint16_t)room;
    page->whole = whole;
  }
  if (few) /* the last page ends where this begins */
    extent->pages[count - 1].room -=
        (uint16_t)((bytes - size + known + sizeof(struct cmap__object) - 1) /
                   sizeof(struct cmap__object));
  return extent;
}

/* Gets new pages: as many as there are, but a 32nd of them once there are
 * many. Mutex held. */
static bool grow(struct cmap_store *store)
{
  struct cmap__headers *headers = &store->headers;
  size_t count =
      headers->page_count < WHOLE_MIN ? headers->page_count : WHOLE_MIN;
  struct cmap__header_extent *extent;

  if (count < headers->page_count / 32)
    count = headers->page_count / 32;
  if (count > EXTENT_MAX)
    count = EXTENT_MAX;
  extent = extent_new(store, count > 0 ? count : 1);
  if (extent == NULL && count > 1)
    extent = extent_new(store, 1);
  if (extent == NULL)
    return false;
  extent->next = headers->extents;
  headers->extents = extent;
  headers->page_count += extent->count;
  cmap__add_relaxed(&headers->bytes, extent->size); /* a statistic */
  for (size_t i = extent->count; i-- > 0;) {
    push_page(&headers->empty, &extent->pages[i]);
    headers->empty_count += extent->pages[i].whole;
    headers->room += extent->pages[i].room;
  }
  return true;
}

/* A page with a free header, in the list of those that have some. Mutex held.
 * NULL: out of memory. */
static struct cmap__header_page *page_with_some(struct cmap_store *store)
{
  struct cmap__headers *headers = &store->headers;
  struct cmap__header_page *page = headers->some;

  if (page != NULL)
    return page;
  if (headers->empty == NULL && headers->given != NULL) {
    page = headers->given;
    unlink_page(&headers->given, page);
    cmap__add_relaxed(&headers->bytes, cmap__page_size()); /* a statistic */
  } else if (headers->empty != NULL || grow(store)) {
    page = headers->empty;
    unlink_page(&headers->empty, page);
    headers->empty_count -= page->whole;
  } else {
    return NULL;
  }
  push_page(&headers->some, page);
  return page;
}

/* The next header of a page that was not taken yet. Mutex held. */
static struct cmap__object *begin_header(struct cmap_store *store,
                                         struct cmap__header_page *page)
{
  unsigned number = page->begun++;
  struct cmap__object *header = header_at(&store->headers, page, number);

  if (number % store->headers.in_unit == 0)
    *cmap__header_unit(header) =
        (struct cmap__header_unit){.page = page, .store = store};
  /* Relaxed: it has none for a late reader, if there is one, either. */
  cmap__store_relaxed(&header->refs, 0);
  cmap__store_relaxed(&header->used, 0);
  cmap__store_relaxed(&header->queue, CMAP__QUEUE_NONE);
  cmap__store_relaxed(&header->refreshing, false);
  cmap__store_relaxed(&header->retired, false);
  return header;
}

/* A header of a page; NULL: out of memory. */
static struct cmap__object *take_from_page(struct cmap_store *store)
{
  struct cmap__headers *headers = &store->headers;
  struct cmap__object *header = NULL;
  struct cmap__header_page *page;

  pthread_mutex_lock(&headers->mutex);
  page = page_with_some(store);
  if (page != NULL) {
    header = page->free;
    if (header != NULL)
      page->free = header->next;
    else
      header = begin_header(store, page);
    if (++page->taken == page->room)
      unlink_page(&headers->some, page);
  }
  pthread_mutex_unlock(&headers->mutex);
  return header;
}

struct cmap__object *cmap__header_take(struct cmap_store *store)
{
  struct cmap__count_line *line = cmap__count_line(&store->counts);
  struct cmap__object *header = line != NULL ? line->header : NULL;

  if (header == NULL)
    return take_from_page(store);
  line->header = NULL;
  return header;
}

/*
 * Gives an empty page, which is in no list, to the system; or keeps it, if that
 * does not want it. No lock is held.
 */
static void page_give(struct cmap__headers *headers,
                      struct cmap__header_page *page)
{
  size_t size = cmap__page_size();
  bool given = cmap__pages_release(page->memory, size);

  pthread_mutex_lock(&headers->mutex);
  page->free = NULL;
  page->begun = 0;
  push_page(given ? &headers->given : &headers->empty, page);
  if (given)
    cmap__sub_relaxed(&headers->bytes, size); /* a statistic */
  else
    headers->empty_count++;
  pthread_mutex_unlock(&headers->mutex);
}

static void give_to_page(struct cmap__headers *headers,
                         struct cmap__object *header)
{
  struct cmap__header_page *page = cmap__header_unit(header)->page;
  bool give = false;

  pthread_mutex_lock(&headers->mutex);
  header->next = page->free;
  page->free = header;
  if (page->taken-- == page->room)
    push_page(&headers->some, page);
  if (page->taken == 0) {
    unlink_page(&headers->some, page);
    give = page->whole && headers->empty_count >= KEEP_EMPTY;
    if (!give) {
      push_page(&headers->empty, page);
      headers->empty_count += page->whole;
    }
  }
  pthread_mutex_unlock(&headers->mutex);
  if (give)
    page_give(headers, page);
}

void cmap__header_give(struct cmap_store *store, struct cmap__object *header)
{
  struct cmap__count_line *line = cmap__count_line(&store->counts);

  if (line != NULL && line->header == NULL)
    line->header = header;
  else
    give_to_page(&store->headers, header);
}

bool cmap__headers_reserve(struct cmap_store *store, size_t count)
{
  struct cmap__headers *headers = &store->headers;
  bool grown = true;
  size_t room;

  /* Ends: each round adds room. Others get the mutex in between. */
  do {
    pthread_mutex_lock(&headers->mutex);
    room = headers->room;
    if (room < count)
      grown = grow(store);
    pthread_mutex_unlock(&headers->mutex);
  } while (room < count && grown);
  return grown;
}

void cmap__headers_shrink(struct cmap_store *store)
{
  struct cmap__headers *headers = &store->headers;
  struct cmap__count_line *line = cmap__count_line(&store->counts);
  struct cmap__header_page *page, *whole = NULL;

  if (line != NULL && line->header != NULL) {
    give_to_page(headers, line->header);
    line->header = NULL;
  }
  pthread_mutex_lock(&headers->mutex);
  for (struct cmap__header_page *next = headers->empty; next != NULL;) {
    page = next;
    next = page->next;
    if (page->whole) {
      unlink_page(&headers->empty, page);
      push_page(&whole, page);
    }
  }
  headers->empty_count = 0;
  pthread_mutex_unlock(&headers->mutex);
  while (whole != NULL) {
    page = whole;
    whole = page->next;
    page_give(headers, page);
  }
}

uint64_t cmap__headers_refs(struct cmap_store *store)
{
  uint64_t refs = 0;

  pthread_mutex_lock(&store->headers.mutex);
  for (struct cmap__header_extent *extent = store->headers.extents;
       extent != NULL; extent = extent->next) {
    for (size_t i = 0; i < extent->count; i++) {
      const struct cmap__header_page *page = &extent->pages[i];
      for (unsigned h = 0; h < page->begun; h++)
        refs += cmap__object_refs(header_at(&store->headers, page, h));
    }
  }
  pthread_mutex_unlock(&store->headers.mutex);
  return refs;
}
