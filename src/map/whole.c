/*
 * Walks over all entries: view_all, alter_all, retain, clear, drain.
 */
#include "map/map.h"

#include "base/alloc.h"

/* Entries that were taken out of a shard, to be released after its unlock. */
struct removed_list {
  uint64_t *words; /* slot_words each */
  size_t count;
  size_t capacity;
};

static size_t list_bytes(const struct cmap__layout *layout, size_t capacity)
{
  return capacity * cmap__layout_slot_bytes(layout);
}

/* Room for `capacity` entries. */
static bool list_alloc(const struct cmap__layout *layout,
                       struct removed_list *list, size_t capacity)
{
  list->words = NULL;
  list->count = 0;
  list->capacity = capacity;
  if (capacity == 0)
    return true;
  list->words = cmap__alloc(&layout->allocator, list_bytes(layout, capacity),
                            CMAP__CACHE_LINE);
  return list->words != NULL;
}

/* The same; nothing is needed if entries own nothing. */
static bool list_init(const struct cmap__layout *layout,
                      struct removed_list *list, size_t capacity)
{
  if (layout->owns_anything)
    return list_alloc(layout, list, capacity);
  list->words = NULL;
  list->count = 0;
  list->capacity = capacity;
  return true;
}

/* Takes an entry out of its shard into the list. */
static void list_take(const struct cmap__layout *layout,
                      struct removed_list *list, struct cmap__shard *shard,
                      const struct cmap__place *place, bool open)
{
  struct cmap__slot_image image;
  uint64_t *to = image.words;

  if (list->words != NULL)
    to = list->words + list->count * layout->slot_words;
  cmap__shard_take(layout, shard, place, open, to);
  list->count++;
}

/* Releases what is in the list; no lock of this thread's is held for it. */
static void list_release(const struct cmap__layout *layout,
                         const struct removed_list *list)
{
  for (size_t i = 0; list->words != NULL && i < list->count; i++)
    cmap__slot_words_release(layout, list->words + i * layout->slot_words,
                             NULL);
}

static void list_free(const struct cmap__layout *layout,
                      struct removed_list *list)
{
  cmap__free(&layout->allocator, list->words,
             list_bytes(layout, list->capacity), CMAP__CACHE_LINE);
}

struct view_all {
  cmap_view_fn *view;
  void *ctx;
};

static enum cmap_status view_shard(struct cmap *map, struct cmap__visit *visit,
                                   void *ctx)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__cursor cursor = cmap__visit_cursor(visit);
  const struct view_all *all = ctx;
  enum cmap_status status = CMAP_OK;
  struct cmap__place place;
  struct cmap__hold *hold;

  hold = cmap__locked_hold_begin(&map->table, &visit->locked);
  while (status == CMAP_OK && cmap__cursor_next(layout, &cursor, &place))
    status = all->view(cmap__slot_key(layout, place.slot),
                       cmap__slot_value(layout, place.slot), all->ctx);
  cmap__locked_hold_end(&visit->locked, hold);
  return status;
}

enum cmap_status cmap_view_all(struct cmap *map, cmap_view_fn *view, void *ctx,
                               const struct cmap_how *how)
{
  struct view_all all = {view, ctx};

  if (CMAP__MISSING(view))
    return CMAP_EINVAL;
  if (!cmap__hold_prepare())
    return CMAP_ENOMEM;
  return cmap__map_walk(map, CMAP__READ, how, view_shard, &all);
}

struct alter_all {
  cmap_value_fn *alter;
  void *ctx;
};

static enum cmap_status alter_shard(struct cmap *map, struct cmap__visit *visit,
                                    void *ctx)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__cursor cursor = cmap__visit_cursor(visit);
  const struct alter_all *all = ctx;
  enum cmap_status status = CMAP_OK;
  struct cmap__place place;
  struct cmap__hold *hold;

  hold = cmap__locked_hold_begin(&map->table, &visit->locked);
  while (status == CMAP_OK && cmap__cursor_next(layout, &cursor, &place)) {
    uint64_t hi = cmap__seq_open_for_user(&place.group->hi);
    status = all->alter(cmap__slot_key(layout, place.slot),
                        cmap__slot_value(layout, place.slot), all->ctx);
    cmap__seq_close(&place.group->hi, hi);
  }
  cmap__locked_hold_end(&visit->locked, hold);
  return status;
}

enum cmap_status cmap_alter_all(struct cmap *map, cmap_value_fn *alter,
                                void *ctx, const struct cmap_how *how)
{
  struct alter_all all = {alter, ctx};

  if (CMAP__MISSING(alter))
    return CMAP_EINVAL;
  if (!cmap__hold_prepare())
    return CMAP_ENOMEM;
  return cmap__map_walk(map, CMAP__WRITE, how, alter_shard, &all);
}

struct retain {
  cmap_test_fn *keep;
  void *ctx;
  size_t removed;
};

/* Unlocks the shard before the destructors run. */
static enum cmap_status retain_shard(struct cmap *map,
                                     struct cmap__visit *visit, void *ctx)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__cursor cursor = cmap__visit_cursor(visit);
  struct retain *retain = ctx;
  struct removed_list list;
  struct cmap__place place;
  struct cmap__hold *hold;

  if (!list_init(layout, &list, cmap__shard_count(visit->locked.shard)))
    return CMAP_ENOMEM;
  hold = cmap__locked_hold_begin(&map->table, &visit->locked);
  while (cmap__cursor_next(layout, &cursor, &place)) {
    _Atomic uint64_t *hi = &place.group->hi;
    (void)cmap__seq_open_for_user(hi);
    if (!retain->keep(cmap__slot_key(layout, place.slot),
                      cmap__slot_value(layout, place.slot), retain->ctx))
      list_take(layout, &list, visit->locked.shard, &place, true);
    cmap__seq_close(hi, cmap__load_relaxed(hi)); /* we hold the lock */
  }
  cmap__locked_hold_end(&visit->locked, hold);
  cmap__locked_end_removal(&map->table, &visit->locked);
  visit->locked.borrowed = true; /* not the walk's to unlock any more */
  retain->removed += list.count;
  list_release(layout, &list);
  list_free(layout, &list);
  return CMAP_OK;
}

enum cmap_status cmap_retain(struct cmap *map, cmap_test_fn *keep, void *ctx,
                             size_t *removed, const struct cmap_how *how)
{
  struct retain retain = {keep, ctx, 0};
  enum cmap_status status;

  if (CMAP__MISSING(keep))
    return CMAP_EINVAL;
  status = cmap__hold_prepare()
               ? cmap__map_walk(map, CMAP__WRITE, how, retain_shard, &retain)
               : CMAP_ENOMEM;
  if (removed != NULL && status != CMAP_EINVAL)
    *removed = retain.removed;
  return status;
}

/* Takes out up to list->capacity entries. */
static void take_some(const struct cmap__layout *layout,
                      struct cmap__shard *shard, struct removed_list *list)
{
  struct cmap__cursor cursor = cmap__cursor_begin(shard->block);
  struct cmap__place place;

  while (list->count < list->capacity &&
         cmap__cursor_next(layout, &cursor, &place))
    list_take(layout, list, shard, &place, false);
}

/* What becomes of entries that were taken out; none of this thread's locks is
 * held for it. */
struct drain {
  cmap_value_fn *take; /* NULL: they are destroyed */
  void *ctx;
  enum cmap_status status; /* the first of take's that is not CMAP_OK */
};

enum cmap_status cmap__entry_give(const struct cmap__layout *layout,
                                  uint64_t *words, cmap_value_fn *take,
                                  void *ctx)
{
  _Atomic uint64_t *slot = cmap__payload_of(words);
  enum cmap_status status;

  if (take == NULL) {
    cmap__slot_words_release(layout, words, NULL);
    return CMAP_OK;
  }
  status =
      take(cmap__slot_key(layout, slot), cmap__slot_value(layout, slot), ctx);
  if (layout->owns_anything)
    cmap__slot_words_forget(layout, words);
  return status;
}

static void give_list(const struct cmap__layout *layout, struct drain *drain,
                      const struct removed_list *list)
{
  for (size_t i = 0; i < list->count; i++) {
    enum cmap_status status = cmap__entry_give(
        layout, list->words + i * layout->slot_words, drain->take, drain->ctx);
    if (drain->status == CMAP_OK)
      drain->status = status;
  }
}

/*
 * Takes up to *left entries out of the shard that is locked; unlocks it. *left
 * is how many are left after that: some if there is no memory, and none once
 * the shard is empty.
 */
static void drain_shard(struct cmap *map, struct cmap__locked *locked,
                        struct drain *drain, size_t *left)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__slot_image one;
  struct removed_list list;
  uint64_t *allocated;

  if (drain->take == NULL && !layout->owns_anything) {
    cmap__shard_wipe(locked->shard);
    cmap__locked_end_removal(&map->table, locked);
    *left = 0;
    return;
  }
  (void)list_alloc(layout, &list, *left);
  allocated = list.words;
  if (allocated == NULL) {
    list.words = one.words; /* a slot is not larger than an image */
    list.capacity = 1;
  }
  take_some(layout, locked->shard, &list);
  cmap__locked_end_removal(&map->table, locked);
  give_list(layout, drain, &list);
  *left = list.count < list.capacity ? 0 : *left - list.count;
  if (allocated != NULL)
    list_free(layout, &list);
}

static enum cmap_status drain_map(struct cmap *map, struct drain *drain,
                                  const struct cmap_how *how)
{
  struct cmap__patience patience;
  struct cmap__locked locked;
  const uint64_t *unused;
  uint64_t hash = 0, end = 0;
  size_t left = 0; /* in this shard, of those that were there: up to `end` */

  if (CMAP__MISSING(map) || !cmap__how_read(how, &patience, &unused))
    return CMAP_EINVAL;
  /* Ends: a destructor that inserts adds nothing to `left`. */
  do {
    uint64_t next = hash;
    enum cmap_status status = cmap__table_lock_next(
        &map->table, &next, UINT64_MAX, CMAP__WRITE, &patience, &locked);
    if (status != CMAP_OK)
      return status == CMAP_NOT_FOUND ? drain->status : status;
    if (next != hash) /* others have emptied what was left */
      left = 0;
    hash = next;
    next = cmap__shard_next_hash(locked.shard);
    if (left == 0) {
      left = cmap__shard_count(locked.shard);
      end = next;
    }
    drain_shard(map, &locked, drain, &left);
    /* It may have been split or merged since they were counted. The last one
     * ends at 0. */
    if (left == 0)
      hash = next - 1 < end - 1 ? next : end;
  } while (drain->status == CMAP_OK && (left != 0 || hash != 0));
  return drain->status;
}

enum cmap_status cmap_clear(struct cmap *map, const struct cmap_how *how)
{
  struct drain drain = {NULL, NULL, CMAP_OK};

  return drain_map(map, &drain, how);
}

enum cmap_status cmap_drain(struct cmap *map, cmap_value_fn *take, void *ctx,
                            const struct cmap_how *how)
{
  struct drain drain = {take, ctx, CMAP_OK};

  return CMAP__MISSING(take) ? CMAP_EINVAL : drain_map(map, &drain, how);
}
