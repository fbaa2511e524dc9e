/*
 * Iterators: one shard is held at a time.
 *
 * Between two shards an iterator is nothing but a hash: all entries with lower
 * hashes have been met. Others may split or merge shards meanwhile; a shard
 * that was merged with one that was visited comes again, and its entries below
 * that hash are passed over.
 *
 * Its record is among the thread's guards from begin to release, also while it
 * holds nothing, so that it does not get lost when the thread ends, or when the
 * map is destroyed.
 */
#include "map/held.h"

struct iter {
  struct cmap__held held; /* first; the present entry, if it is occupied */
  struct cmap__range range;
  struct cmap__cursor cursor; /* in the shard that is held */
  uint64_t next;              /* the hash to go on from after that shard */
  enum cmap__mode mode;
  bool in_shard; /* a shard is held */
  bool done;     /* there is no shard after this one */
};

_Static_assert(sizeof(struct iter) <= CMAP__RECORD_BYTES,
               "a record has room for it");

/* Before the first entry. */
static void to_begin(struct iter *it)
{
  it->next = it->range.first;
  it->done = false;
}

/* The thread has ended while nothing was held: there is nothing to do. */
static void iter_thread_ended(struct cmap__record *record)
{
  (void)record;
}

/* The hold of no hash. */
static void hold_nothing(struct iter *it)
{
  struct cmap__hold *hold = &it->held.record.hold;

  hold->object = &it->held.map->table;
  hold->first = 1;
  hold->last = 0;
  hold->mode = CMAP__READ;
  hold->lock = NULL;
  it->held.record.ended = iter_thread_ended;
}

enum cmap_status cmap_iter_begin(struct cmap *map, enum cmap_mode mode,
                                 size_t part, size_t parts,
                                 struct cmap_iter *iter)
{
  struct cmap__range range;
  struct iter *it;

  if (iter != NULL)
    *iter = (struct cmap_iter)CMAP_INIT;
  if (CMAP__MISSING(map) || CMAP__MISSING(iter) ||
      CMAP__WRONG(mode != CMAP_READ && mode != CMAP_WRITE,
                  "mode is neither CMAP_READ nor CMAP_WRITE") ||
      !cmap__range_part(part, parts, &range))
    return CMAP_EINVAL;
  it = (struct iter *)cmap__held_take();
  if (it == NULL)
    return CMAP_ENOMEM;
  cmap__held_clear(&it->held);
  it->held.map = map;
  it->held.occupied = false;
  it->range = range;
  it->mode = mode == CMAP_WRITE ? CMAP__WRITE : CMAP__READ;
  it->in_shard = false;
  to_begin(it);
  hold_nothing(it);
  cmap__guard_link(&it->held.record.hold);
  cmap__held_name(&it->held, iter->internal);
  return CMAP_OK;
}

/* Locks the next shard that has entries, from it->next on, and begins with it.
 * CMAP_NOT_FOUND: there is none. */
static enum cmap_status enter_shard(struct iter *it,
                                    const struct cmap__patience *patience)
{
  struct cmap__held *held = &it->held;
  struct cmap__table *table = &held->map->table;
  const struct cmap__shard *shard;

  if (it->mode == CMAP__READ && cmap__frozen_enter(held->map, &held->record)) {
    held->locked.shard = cmap__directory_shard(&table->directory, it->next);
    held->locked.mode = CMAP__READ;
    held->locked.borrowed = true;
  } else {
    enum cmap_status status = cmap__table_bar(table, it->mode, patience);
    if (status == CMAP_OK)
      status = cmap__table_lock_next(table, &it->next, it->range.last, it->mode,
                                     patience, &held->locked);
    it->done = status == CMAP_NOT_FOUND;
    if (status != CMAP_OK)
      return status;
    /* As with guards: what an iterator shows must not change. */
    if (held->locked.borrowed)
      return patience->try_only ? CMAP_BUSY : CMAP_EDEADLK;
    cmap__locked_hold(table, &held->locked, &held->record.hold);
    cmap__section_end(&held->locked);
    held->locked.section = false;
  }
  shard = held->locked.shard;
  it->cursor = cmap__cursor_between(shard, it->next, it->range.last);
  it->cursor.ahead = cmap__table_ahead(table, shard, it->range.last);
  it->next = cmap__shard_next_hash(shard);
  it->done = it->next == 0 || it->next > it->range.last;
  it->in_shard = true;
  return CMAP_OK;
}

/* The group that was made busy for the entry before becomes stable. */
static void close_entry(struct cmap__held *held)
{
  cmap__held_close(held);
  held->opened = NULL;
}

/* Lets go of the shard, and releases what was removed from it. */
static void leave_shard(struct iter *it)
{
  if (!it->in_shard)
    return;
  it->in_shard = false;
  it->held.occupied = false;
  close_entry(&it->held);
  if (it->mode == CMAP__WRITE) {
    hold_nothing(it);
    cmap__unlock_after_removal(&it->held.map->table, it->held.locked.shard);
  } else {
    cmap__held_read_unlock(&it->held); /* which may ask the hold */
    hold_nothing(it);
  }
  cmap__held_bury(&it->held);
}

/* The next entry of the shard that is held; false: there is none. */
static bool next_in_shard(struct iter *it)
{
  struct cmap__held *held = &it->held;

  held->occupied =
      cmap__cursor_next(cmap__held_layout(held), &it->cursor, &held->place);
  if (!held->occupied)
    return false;
  if (it->mode == CMAP__WRITE) {
    if (held->opened != NULL && held->opened != held->place.group)
      close_entry(held);
    cmap__held_open(held, held->place.group);
  }
  return true;
}

static struct iter *iter_of(const struct cmap_iter *iter)
{
  struct cmap__held *held = iter == NULL ? NULL : cmap__held_of(iter->internal);

  (void)CMAP__WRONG(held == NULL, "iter is released, or another thread's");
  return (struct iter *)held;
}

/* At no entry. */
static void show_none(struct cmap_iter *iter)
{
  iter->key = cmap_key_bytes(NULL, 0);
  iter->value = NULL;
}

enum cmap_status cmap_iter_next(struct cmap_iter *iter,
                                const struct cmap_how *how)
{
  struct iter *it = iter_of(iter);
  struct cmap__patience patience;
  const uint64_t *unused;

  if (it == NULL || !cmap__how_read(how, &patience, &unused))
    return CMAP_EINVAL;
  patience.counted = true;
  show_none(iter);
  /* Ends: each round but the last goes on to the next shard. */
  for (;;) {
    enum cmap_status status;
    if (it->in_shard && next_in_shard(it)) {
      iter->key = cmap__held_key(&it->held);
      iter->value = cmap__held_value(&it->held);
      return CMAP_OK;
    }
    leave_shard(it);
    if (it->done)
      return CMAP_NOT_FOUND;
    status = enter_shard(it, &patience);
    if (status != CMAP_OK)
      return status;
  }
}

enum cmap_status cmap_iter_remove(struct cmap_iter *iter, void *old)
{
  struct iter *it = iter_of(iter);
  enum cmap_status status;

  if (it == NULL || CMAP__WRONG(!it->held.occupied, "iter is at no entry") ||
      CMAP__WRONG(it->mode != CMAP__WRITE, "iter is to read"))
    return CMAP_EINVAL;
  status = cmap__held_discard(&it->held, old);
  if (status == CMAP_OK)
    show_none(iter);
  return status;
}

/* The iterator that can become a guard of this mode, or NULL. */
static struct iter *future_guard(const struct cmap_iter *iter,
                                 enum cmap__mode mode)
{
  struct iter *it = iter_of(iter);

  return it == NULL || CMAP__WRONG(!it->held.occupied, "iter is at no entry") ||
                 CMAP__WRONG(it->mode != mode, "iter is of the other mode")
             ? NULL
             : it;
}

/* Gives back the record of an iterator that holds nothing. */
static void give_record(struct iter *it)
{
  cmap__guard_unlink(&it->held.record.hold);
  cmap__held_give(&it->held);
}

/*
 * The record is a guard's from now on, under a name of its own: copies of the
 * iterator must not end it.
 */
static void into_guard(struct iter *it, uintptr_t internal[2])
{
  struct cmap__held *held = &it->held;

  held->hash = cmap__slot_hash(cmap__held_layout(held), held->place.slot);
  cmap__record_renew(&held->record);
  cmap__held_name(held, internal);
}

enum cmap_status cmap_iter_into_read_guard(struct cmap_iter *iter,
                                           struct cmap_read_guard *guard)
{
  const struct cmap_iter none = CMAP_INIT;
  struct iter *it = future_guard(iter, CMAP__READ);

  if (guard != NULL)
    *guard = (struct cmap_read_guard)CMAP_INIT;
  if (it == NULL || CMAP__MISSING(guard))
    return CMAP_EINVAL;
  guard->key = cmap__held_key(&it->held);
  guard->value = cmap__held_value(&it->held);
  into_guard(it, guard->internal);
  *iter = none;
  return CMAP_OK;
}

enum cmap_status cmap_iter_into_write_guard(struct cmap_iter *iter,
                                            struct cmap_write_guard *guard)
{
  const struct cmap_iter none = CMAP_INIT;
  struct iter *it = future_guard(iter, CMAP__WRITE);

  if (guard != NULL)
    *guard = (struct cmap_write_guard)CMAP_INIT;
  if (it == NULL || CMAP__MISSING(guard))
    return CMAP_EINVAL;
  guard->key = cmap__held_key(&it->held);
  guard->value = cmap__held_value(&it->held);
  into_guard(it, guard->internal);
  *iter = none;
  return CMAP_OK;
}

enum cmap_status cmap_iter_restart(struct cmap_iter *iter)
{
  struct iter *it = iter_of(iter);

  if (it == NULL)
    return CMAP_EINVAL;
  leave_shard(it);
  to_begin(it);
  show_none(iter);
  return CMAP_OK;
}

enum cmap_status cmap_iter_release(struct cmap_iter *iter)
{
  const struct cmap_iter none = CMAP_INIT;
  struct iter *it = iter_of(iter);

  if (iter == NULL)
    return CMAP_OK;
  if (it == NULL && cmap__held_is_foreign(iter->internal))
    return CMAP_EINVAL;
  *iter = none;
  if (it == NULL)
    return CMAP_OK;
  leave_shard(it);
  give_record(it);
  return CMAP_OK;
}
