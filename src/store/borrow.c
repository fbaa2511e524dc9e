/*
 * Borrowing objects, and giving them back.
 */
#include "store/borrow.h"

#include "store/find.h"

/* Calls `is` for what is borrowed of the store, until it is true. */
static bool look_through(struct cmap_store *store,
                         bool (*is)(const struct cmap__object *borrowed,
                                    const struct cmap__object *header),
                         const struct cmap__object *header)
{
  unsigned end = cmap__load_relaxed(&store->borrow_end); /* [N7] */

  for (unsigned i = 1; i < CMAP__COUNT_CHUNKS; i++) {
    const struct cmap__count_line *lines =
        cmap__load_acquire(&store->counts.chunks[i]); /* [N4] */
    unsigned first = cmap__count_before(i), last = cmap__count_before(i + 1);

    for (unsigned n = first; lines != NULL && n < last && n < end; n++) {
      for (unsigned k = 0; k < CMAP__BORROWED_MAX; k++) {
        /* Acquire: what was done with it comes before its end. */
        if (is(cmap__load_acquire(&lines[n - first].borrowed[k]), header))
          return true;
      }
    }
  }
  return false;
}

static bool is_same(const struct cmap__object *borrowed,
                    const struct cmap__object *header)
{
  return borrowed == header;
}

static bool is_any(const struct cmap__object *borrowed,
                   const struct cmap__object *header)
{
  (void)header;
  return borrowed != NULL;
}

/*
 * The object is the caller's to destroy, if it is retired and nobody has it.
 * Who takes `retired` away looks for those who have it: before, the header may
 * be another object's, or nobody's. Who finds one says again that it is
 * retired, and looks again: those who gave it back meanwhile have not seen it.
 */
static bool claim(struct cmap__object *header)
{
  bool retired = true;

  /* Ends: each round that goes on, another thread has given it back. */
  while (cmap__cas_strong_acq_rel(&header->retired, &retired, false)) {
    struct cmap_store *store = cmap__header_store(header);

    if (!look_through(store, is_same, header))
      return true;
    cmap__store_release(&header->retired, true);
    cmap__fence_seq_cst(); /* [N7] */
    if (look_through(store, is_same, header))
      return false;
  }
  return false;
}

bool cmap__borrowed_retire(struct cmap__object *header)
{
  /* Release, and acquire in claim: what others did with the object, and this
   * thread after they had given it back, comes before its end. */
  cmap__store_release(&header->retired, true);
  cmap__fence_seq_cst(); /* [N7] */
  return claim(header);
}

void cmap__borrowed_clear(struct cmap__object *header)
{
  if (claim(header))
    cmap__object_destroy(cmap__header_store(header), header);
}

bool cmap__borrowed_any(struct cmap_store *store)
{
  return look_through(store, is_any, NULL);
}

/* Has the thread borrowed something of the line's store? */
static bool is_borrowing(const struct cmap__count_line *line)
{
  bool any = false;

  for (unsigned k = 0; k < CMAP__BORROWED_MAX; k++)
    any |= cmap__load_relaxed(&line->borrowed[k]) != NULL; /* its own */
  return any;
}

static void unlink_line(struct cmap__count_line *line)
{
  struct cmap__count_line **at = &cmap__count_place.borrowing;

  /* Ends: it is in the list. */
  while (*at != line)
    at = &(*at)->next_borrowing;
  *at = line->next_borrowing;
}

/* Gives back what is at this place of the thread's own line. */
static void give_back(struct cmap__count_line *line,
                      struct cmap__object *_Atomic *borrowed)
{
  bool is_last = true;

  for (unsigned k = 0; k < CMAP__BORROWED_MAX; k++)
    is_last &= &line->borrowed[k] == borrowed ||
               cmap__load_relaxed(&line->borrowed[k]) == NULL; /* its own */
  if (is_last)
    unlink_line(line);
  cmap__borrowed_give(borrowed, cmap__load_relaxed(borrowed)); /* the same */
}

void cmap__borrowed_end(void)
{
  struct cmap__count_line *line;

  /* Ends: each round gives one back. */
  while ((line = cmap__count_place.borrowing) != NULL) {
    unsigned k = 0;

    while (cmap__load_relaxed(&line->borrowed[k]) == NULL) /* its own */
      k++;
    give_back(line, &line->borrowed[k]);
  }
}

/* A place for one more; NULL: there is none. */
static struct cmap__object *_Atomic *room_in(struct cmap_store *store,
                                             struct cmap__count_line *line)
{
  unsigned number =
      cmap__count_before(cmap__count_place.chunk) + cmap__count_place.line;
  unsigned end = cmap__load_relaxed(&store->borrow_end);

  /* Ends: it only grows. Relaxed: the barrier behind it is that of what is
   * borrowed. */
  while (end <= number &&
         !cmap__cas_weak_relaxed(&store->borrow_end, &end, number + 1))
    ;
  for (unsigned k = 0; k < CMAP__BORROWED_MAX; k++) {
    if (cmap__load_relaxed(&line->borrowed[k]) == NULL) /* its own */
      return &line->borrowed[k];
  }
  return NULL;
}

CMAP__ALWAYS_INLINE enum cmap_status
borrow_as(const struct cmap *map, enum cmap__shape shape,
          const struct cmap__probe *probe, struct cmap__object **header,
          struct cmap__object *_Atomic *borrowed)
{
  return cmap__find_as(map, shape, probe, header, borrowed);
}

CMAP__INSTANCES(enum cmap_status, borrow,
                (const struct cmap *map, const struct cmap__probe *probe,
                 struct cmap__object **header,
                 struct cmap__object *_Atomic *borrowed),
                (map, shape, probe, header, borrowed))

static enum cmap_status find_borrowed(const struct cmap *map,
                                      const struct cmap__probe *probe,
                                      struct cmap__object **header,
                                      struct cmap__object *_Atomic *borrowed)
{
  if (!map->table.layout.lock_free || probe->large)
    return CMAP_BUSY;
  CMAP__RETURN_INSTANCE(map->table.layout.shape, borrow,
                        (map, probe, header, borrowed));
  return CMAP_BUSY;
}

/* The thread's line, which it is given the first time that it counts. */
static struct cmap__count_line *own_line(struct cmap_store *store)
{
  struct cmap__count_line *line = cmap__count_line(&store->counts);

  if (line != NULL)
    return line;
  cmap__count(&store->counts, CMAP__COUNT_HITS, 0);
  return cmap__count_line(&store->counts);
}

/* The object is there, and nobody is in the way; else the caller looks again,
 * and counts. */
static bool borrow_at_once(struct cmap_store *store, struct cmap_key key,
                           const struct cmap_how *how,
                           struct cmap_borrowed *out)
{
  struct cmap__count_line *line = own_line(store);
  struct cmap__object *_Atomic *borrowed;
  struct cmap__object *header;
  struct cmap__request r;
  bool others;

  /* Tools are told of references that are counted. */
  if (line == NULL || cmap__watched() ||
      (borrowed = room_in(store, line)) == NULL)
    return false;
  others = is_borrowing(line);
  if (cmap__request_begin(store, key, how, &r) != CMAP_OK ||
      find_borrowed(store->map, &r.call.probe, &header, borrowed) != CMAP_OK)
    return false;
  if (store->is_cache && cmap__hit(store, header) != CMAP__FRESH) {
    cmap__borrowed_give(borrowed, header);
    return false;
  }
  if (!others) {
    line->next_borrowing = cmap__count_place.borrowing;
    cmap__count_place.borrowing = line;
  }
  cmap__count_own(line, CMAP__COUNT_HITS, 1);
  out->object = header->object;
  out->internal[0] = (uintptr_t)header;
  out->internal[1] = (uintptr_t)borrowed;
  return true;
}

/* A counted reference that a thread has borrowed. */
struct counted {
  struct cmap__record record; /* for the thread's end */
  struct cmap__object *header;
};

_Static_assert(sizeof(struct counted) <= CMAP__RECORD_BYTES,
               "a record has room for it");

/* Marks such a record in the user's struct, which has its serial as well: what
 * is borrowed lies at even addresses. */
#define COUNTED ((uintptr_t)1)

/* Never 0. */
static uintptr_t serial_of(const struct counted *counted)
{
  return cmap__load_relaxed(&counted->record.serial) << 1 | 1;
}

static void counted_thread_ended(struct cmap__record *record)
{
  cmap__record_renew(record); /* the object's destructor may have a copy */
  cmap__object_unref(((struct counted *)record)->header);
}

/* The handle's reference becomes the thread's. False: out of memory. */
static bool counted_begin(const struct cmap_handle *handle,
                          struct cmap_borrowed *borrowed)
{
  struct counted *counted = (struct counted *)cmap__record_take();

  if (counted == NULL)
    return false;
  memset(&counted->record.hold, 0, sizeof counted->record.hold);
  counted->record.hold.object = counted; /* nobody waits for it */
  counted->record.hold.mode = CMAP__READ;
  counted->record.ended = counted_thread_ended;
  counted->header = (struct cmap__object *)handle->internal[0];
  cmap__guard_link(&counted->record.hold);
  borrowed->object = handle->object;
  borrowed->internal[0] = serial_of(counted);
  borrowed->internal[1] = (uintptr_t)counted | COUNTED;
  return true;
}

static void counted_end(struct counted *counted)
{
  struct cmap__object *header = counted->header;

  cmap__guard_unlink(&counted->record.hold);
  cmap__record_give(&counted->record);
  cmap__object_unref(header);
}

enum cmap_status cmap_store_borrow(struct cmap_store *store,
                                   struct cmap_key key,
                                   struct cmap_borrowed *borrowed,
                                   const struct cmap_how *how)
{
  const struct cmap_borrowed none = CMAP_INIT;
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_status status;

  if (borrowed != NULL)
    *borrowed = none;
  if (borrowed != NULL && store != NULL &&
      borrow_at_once(store, key, how, borrowed))
    return CMAP_OK;
  status = cmap_store_get(store, key, borrowed != NULL ? &handle : NULL, how);
  if (status != CMAP_OK || counted_begin(&handle, borrowed))
    return status;
  cmap_handle_release(&handle);
  return CMAP_ENOMEM;
}

/* The line of the calling thread's own, of a store that is there, that has this
 * place; NULL: it has borrowed nothing there. */
static struct cmap__count_line *line_of(struct cmap__object *_Atomic *borrowed)
{
  struct cmap__count_line *line = cmap__count_place.borrowing;

  while (line != NULL && !(borrowed >= line->borrowed &&
                           borrowed < line->borrowed + CMAP__BORROWED_MAX))
    line = line->next_borrowing;
  return line;
}

void cmap_borrowed_release(struct cmap_borrowed *borrowed)
{
  const struct cmap_borrowed none = CMAP_INIT;
  struct cmap_borrowed given;
  struct cmap__object *_Atomic *at;
  struct cmap__count_line *line;
  struct counted *counted;

  if (borrowed == NULL || borrowed->internal[0] == 0)
    return;
  given = *borrowed;
  *borrowed = none;
  counted = (struct counted *)(given.internal[1] & ~COUNTED);
  at = (struct cmap__object * _Atomic *)given.internal[1];
  /* What is not this thread's, or was given back when it began to end, is left
   * alone. */
  if ((given.internal[1] & COUNTED) != 0) {
    if (cmap__record_is_mine(&counted->record) &&
        serial_of(counted) == given.internal[0])
      counted_end(counted);
    return;
  }
  line = line_of(at);
  if (line != NULL &&
      (uintptr_t)cmap__load_relaxed(at) == given.internal[0]) /* its own */
    give_back(line, at);
}
