/*
 * Scoped guards: get_ref, get_mut, get_or_insert_ref, and their ends.
 */
#include "map/held.h"

#define NOTHING "guard holds nothing, or nothing of this thread"

/*
 * Locks the key's shard for a guard and looks for the key. A hold of one's own
 * is not borrowed: what a read guard shows must not change.
 */
static enum cmap_status
lock_for_guard(struct cmap *map, struct cmap__call *call, enum cmap__mode mode)
{
  enum cmap_status status = cmap__table_bar(&map->table, mode, &call->patience);

  if (status == CMAP_OK)
    status = cmap__call_lock(map, call, mode);
  if (status == CMAP_OK && call->locked.borrowed)
    return call->patience.try_only ? CMAP_BUSY : CMAP_EDEADLK;
  return status;
}

/* Takes a record, and the key's shard in the given mode. */
static enum cmap_status guard_begin(struct cmap *map, struct cmap_key key,
                                    const struct cmap_how *how,
                                    enum cmap__mode mode,
                                    struct cmap__call *call,
                                    struct cmap__held **held)
{
  enum cmap_status status = cmap__call_begin(map, key, how, call);

  if (status != CMAP_OK)
    return status;
  *held = cmap__held_take();
  if (*held == NULL)
    return CMAP_ENOMEM;
  call->patience.soon = true;
  status = lock_for_guard(map, call, mode);
  if (status != CMAP_OK)
    cmap__held_give(*held);
  return status;
}

/* The key is absent. */
static enum cmap_status guard_fails(const struct cmap__call *call,
                                    struct cmap__held *held,
                                    enum cmap_status status)
{
  cmap__call_unlock(call);
  cmap__held_give(held);
  return status;
}

/* The key is present, and locked to read: its guard. */
static void read_guard_fill(struct cmap *map, struct cmap__call *call,
                            struct cmap__held *held,
                            struct cmap_read_guard *guard)
{
  guard->key = cmap__call_key(map, call);
  guard->value = cmap__call_value(map, call);
  if (call->locked.seat == CMAP__READ_COUNTED) {
    cmap__held_fill(held, map, call);
    cmap__held_link(held);
    cmap__held_name(held, guard->internal);
    return;
  }
  cmap__held_give(held);
  cmap__seat_take(cmap__self.seats, (unsigned)call->locked.seat - 1,
                  &map->table, call->locked.shard, guard->internal);
  cmap__section_end(&call->locked);
}

/*
 * Reads in a frozen map need no lock: the guard is only counted. What
 * cmap_get_ref returns; or false: the map is not frozen (any more).
 */
static bool get_ref_frozen(struct cmap *map, struct cmap_key key,
                           struct cmap_read_guard *guard,
                           const struct cmap_how *how, enum cmap_status *status)
{
  struct cmap__held *held;
  struct cmap__call call;

  if (!cmap__table_is_frozen(&map->table))
    return false;
  *status = cmap__call_begin(map, key, how, &call);
  if (*status != CMAP_OK)
    return true;
  held = cmap__held_take();
  *status = held == NULL ? CMAP_ENOMEM : CMAP_NOT_FOUND;
  if (held == NULL)
    return true;
  held->map = map;
  if (!cmap__frozen_enter(map, &held->record)) {
    cmap__held_give(held);
    return false;
  }
  /* Before user code compares keys: the thread may end there. */
  cmap__guard_link(&held->record.hold);
  call.locked = (struct cmap__locked){
      .shard = cmap__directory_shard(&map->table.directory, call.probe.hash),
      .mode = CMAP__READ,
      .borrowed = true};
  call.found = cmap__shard_find(&map->table.layout, call.locked.shard,
                                &call.probe, &call.place);
  cmap__held_fill(held, map, &call);
  if (call.found) {
    guard->key = cmap__call_key(map, &call);
    guard->value = cmap__call_value(map, &call);
    cmap__held_name(held, guard->internal);
    *status = CMAP_OK;
  } else {
    cmap__held_release(held);
  }
  return true;
}

static CMAP__NOINLINE enum cmap_status
get_ref_any(struct cmap *map, struct cmap_key key,
            struct cmap_read_guard *guard, const struct cmap_how *how)
{
  struct cmap__held *held;
  struct cmap__call call;
  enum cmap_status status;

  if (map != NULL && get_ref_frozen(map, key, guard, how, &status))
    return status;
  status = guard_begin(map, key, how, CMAP__READ, &call, &held);
  if (status != CMAP_OK)
    return status;
  if (!call.found)
    return guard_fails(&call, held, CMAP_NOT_FOUND);
  read_guard_fill(map, &call, held, guard);
  return CMAP_OK;
}

enum cmap_status cmap_get_ref(struct cmap *map, struct cmap_key key,
                              struct cmap_read_guard *guard,
                              const struct cmap_how *how)
{
  void *value;

  if (CMAP__MISSING(guard))
    return CMAP_EINVAL;
  if (cmap__unlikely(!cmap__held_at_once(map, key, how, CMAP__READ, &guard->key,
                                         &value, guard->internal))) {
    *guard = (struct cmap_read_guard)CMAP_INIT;
    return get_ref_any(map, key, guard, how);
  }
  guard->value = value;
  return CMAP_OK;
}

static CMAP__NOINLINE enum cmap_status
get_mut_any(struct cmap *map, struct cmap_key key,
            struct cmap_write_guard *guard, const struct cmap_how *how)
{
  struct cmap__held *held;
  struct cmap__call call;
  enum cmap_status status =
      guard_begin(map, key, how, CMAP__WRITE, &call, &held);

  if (status != CMAP_OK)
    return status;
  if (!call.found)
    return guard_fails(&call, held, CMAP_NOT_FOUND);
  cmap__held_fill(held, map, &call);
  cmap__held_link(held);
  cmap__held_open(held, call.place.group);
  guard->key = cmap__call_key(map, &call);
  guard->value = cmap__call_value(map, &call);
  cmap__held_name(held, guard->internal);
  return CMAP_OK;
}

enum cmap_status cmap_get_mut(struct cmap *map, struct cmap_key key,
                              struct cmap_write_guard *guard,
                              const struct cmap_how *how)
{
  void *value;

  if (CMAP__MISSING(guard))
    return CMAP_EINVAL;
  if (cmap__unlikely(!cmap__held_at_once(
          map, key, how, CMAP__WRITE, &guard->key, &value, guard->internal))) {
    *guard = (struct cmap_write_guard)CMAP_INIT;
    return get_mut_any(map, key, guard, how);
  }
  guard->value = value;
  return CMAP_OK;
}

/* The key was absent under the read lock: now under the write lock. */
static enum cmap_status insert_for_guard(struct cmap *map,
                                         struct cmap__call *call,
                                         const void *value,
                                         struct cmap__held *held)
{
  struct cmap__fresh fresh;
  enum cmap_status status = lock_for_guard(map, call, CMAP__WRITE);

  if (status != CMAP_OK) {
    cmap__held_give(held);
    return status;
  }
  if (call->found)
    return CMAP_OK;
  status = cmap__value_image_move(&map->table.layout, value, &fresh.value);
  if (status != CMAP_OK)
    return guard_fails(call, held, status);
  status = cmap__call_make_room(map, call, &fresh.key);
  if (status != CMAP_OK) {
    cmap__value_image_drop(&map->table.layout, &fresh.value);
    return guard_fails(call, held, status);
  }
  cmap__call_put(map, call, &fresh.key, &fresh.value);
  return CMAP_OK;
}

enum cmap_status cmap_get_or_insert_ref(struct cmap *map, struct cmap_key key,
                                        const void *value,
                                        struct cmap_read_guard *guard,
                                        enum cmap_event *event,
                                        const struct cmap_how *how)
{
  enum cmap_event what = CMAP_FOUND;
  struct cmap__held *held;
  struct cmap__call call;
  enum cmap_status status;

  if (guard != NULL)
    *guard = (struct cmap_read_guard)CMAP_INIT;
  if (CMAP__MISSING(guard) || CMAP__MISSING(map) ||
      cmap__value_is_missing(map, value))
    return CMAP_EINVAL;
  if (get_ref_frozen(map, key, guard, how, &status)) {
    if (status == CMAP_OK)
      cmap__set_event(event, CMAP_FOUND);
    return status == CMAP_NOT_FOUND ? CMAP_FROZEN : status;
  }
  status = guard_begin(map, key, how, CMAP__READ, &call, &held);
  if (status != CMAP_OK)
    return status;
  if (!call.found) {
    cmap__call_unlock(&call);
    status = insert_for_guard(map, &call, value, held);
    if (status != CMAP_OK)
      return status;
    if (!call.found)
      what = CMAP_INSERTED;
    call.found = true;
    cmap__shardlock_downgrade(&call.locked.shard->lock);
    call.locked.mode = CMAP__READ;
  }
  read_guard_fill(map, &call, held, guard);
  cmap__set_event(event, what);
  return CMAP_OK;
}

enum cmap_status cmap_read_guard_release(struct cmap_read_guard *guard)
{
  const struct cmap_read_guard none = CMAP_INIT;
  struct cmap__seats *seats;
  struct cmap__held *held;
  unsigned i;

  if (guard == NULL)
    return CMAP_OK;
  if (cmap__seat_of(guard->internal, &seats, &i)) {
    struct cmap__shard *shard = cmap__seat_shard(seats, i);
    *guard = none;
    cmap__seat_give(seats, i);
    cmap__seat_leave(seats, &shard->lock, i);
    return CMAP_OK;
  }
  held = cmap__held_of(guard->internal);
  if (cmap__unlikely(held == NULL) &&
      cmap__held_claim(guard->internal, &held) != CMAP_OK)
    return CMAP_EINVAL;
  *guard = none;
  if (held != NULL)
    cmap__held_release(held);
  return CMAP_OK;
}

enum cmap_status cmap_write_guard_release(struct cmap_write_guard *guard)
{
  const struct cmap_write_guard none = CMAP_INIT;
  struct cmap__held *held;

  if (guard == NULL)
    return CMAP_OK;
  held = cmap__held_of(guard->internal);
  if (cmap__unlikely(held == NULL) &&
      cmap__held_claim(guard->internal, &held) != CMAP_OK)
    return CMAP_EINVAL;
  *guard = none;
  if (held != NULL)
    cmap__held_release(held);
  return CMAP_OK;
}

/* A hold in a seat gets a record. CMAP_ENOMEM: it has none. */
static enum cmap_status leave_seat(struct cmap__seats *seats, unsigned i,
                                   uintptr_t internal[2])
{
  struct cmap__held *held = cmap__held_take();
  struct cmap__shard *shard = cmap__seat_shard(seats, i);
  struct cmap *map = cmap__seat_map(seats, i);
  struct cmap__call call = {
      .locked = {.shard = shard, .mode = CMAP__READ, .seat = (int)i + 1},
      .found = true};

  if (held == NULL)
    return CMAP_ENOMEM;
  call.probe.hash = shard->prefix; /* of that shard is all that matters */
  cmap__locked_count(&call.locked);
  cmap__held_fill(held, map, &call);
  cmap__held_link(held);
  cmap__held_name(held, internal);
  cmap__seat_give(seats, i);
  return CMAP_OK;
}

/* Copies of the guard are stale afterwards. */
static enum cmap_status detach(uintptr_t internal[2])
{
  struct cmap__seats *seats;
  struct cmap__held *held;
  unsigned i;

  if (cmap__seat_of(internal, &seats, &i) &&
      leave_seat(seats, i, internal) != CMAP_OK)
    return CMAP_ENOMEM;
  held = cmap__held_of(internal);
  if (CMAP__WRONG(held == NULL, NOTHING))
    return CMAP_EINVAL;
  cmap__record_renew(&held->record);
  cmap__held_name(held, internal);
  cmap__record_detach(&held->record);
  return CMAP_OK;
}

static enum cmap_status attach(uintptr_t internal[2])
{
  struct cmap__seats *seats;
  struct cmap__held *held;
  unsigned i;

  if (cmap__seat_of(internal, &seats, &i) || cmap__held_of(internal) != NULL)
    return CMAP_OK;
  if (CMAP__WRONG(internal[0] == 0, NOTHING))
    return CMAP_EINVAL;
  if (!cmap__hold_prepare())
    return CMAP_ENOMEM;
  if (cmap__held_claim(internal, &held) != CMAP_OK ||
      CMAP__WRONG(held == NULL, NOTHING))
    return CMAP_EINVAL;
  cmap__record_renew(&held->record);
  cmap__held_name(held, internal);
  return CMAP_OK;
}

enum cmap_status cmap_read_guard_detach(struct cmap_read_guard *guard)
{
  return CMAP__MISSING(guard) ? CMAP_EINVAL : detach(guard->internal);
}

enum cmap_status cmap_write_guard_detach(struct cmap_write_guard *guard)
{
  return CMAP__MISSING(guard) ? CMAP_EINVAL : detach(guard->internal);
}

enum cmap_status cmap_read_guard_attach(struct cmap_read_guard *guard)
{
  return CMAP__MISSING(guard) ? CMAP_EINVAL : attach(guard->internal);
}

enum cmap_status cmap_write_guard_attach(struct cmap_write_guard *guard)
{
  return CMAP__MISSING(guard) ? CMAP_EINVAL : attach(guard->internal);
}

enum cmap_status cmap_write_guard_downgrade(struct cmap_write_guard *from,
                                            struct cmap_read_guard *to)
{
  const struct cmap_write_guard none = CMAP_INIT;
  struct cmap__held *held = from ? cmap__held_of(from->internal) : NULL;

  if (to != NULL)
    *to = (struct cmap_read_guard)CMAP_INIT;
  if (CMAP__WRONG(held == NULL, NOTHING) || CMAP__MISSING(to))
    return CMAP_EINVAL;
  cmap__held_close(held);
  held->opened = NULL;
  held->sweep = false;
  held->locked.mode = held->record.hold.mode = CMAP__READ;
  /* The copies of the write guard must not end the read guard. */
  cmap__record_renew(&held->record);
  to->key = from->key;
  to->value = from->value;
  cmap__held_name(held, to->internal);
  *from = none;
  cmap__shardlock_downgrade(&held->locked.shard->lock);
  return CMAP_OK;
}

enum cmap_status cmap_write_guard_remove(struct cmap_write_guard *guard,
                                         void *old)
{
  const struct cmap_write_guard none = CMAP_INIT;
  struct cmap__held *held = guard ? cmap__held_of(guard->internal) : NULL;
  const struct cmap__layout *layout;
  struct cmap__slot_image image;

  if (CMAP__WRONG(held == NULL, NOTHING))
    return CMAP_EINVAL;
  layout = cmap__held_layout(held);
  cmap__shard_take(layout, held->locked.shard, &held->place, true, image.words);
  *guard = none;
  cmap__held_release(held);
  cmap__slot_words_release(layout, image.words, old);
  return CMAP_OK;
}

static size_t shard_index(const uintptr_t internal[2])
{
  const struct cmap__held *held;
  struct cmap__seats *seats;
  unsigned i;

  /* What is held stays where it is. */
  if (cmap__seat_of(internal, &seats, &i))
    return cmap_shard_index(cmap__seat_map(seats, i),
                            cmap__seat_shard(seats, i)->prefix);
  held = cmap__held_of(internal);
  return held == NULL ? 0 : cmap_shard_index(held->map, held->hash);
}

size_t cmap_read_guard_shard_index(const struct cmap_read_guard *guard)
{
  return guard == NULL ? 0 : shard_index(guard->internal);
}

size_t cmap_write_guard_shard_index(const struct cmap_write_guard *guard)
{
  return guard == NULL ? 0 : shard_index(guard->internal);
}

size_t cmap_entry_shard_index(const struct cmap_entry *entry)
{
  return entry == NULL ? 0 : shard_index(entry->internal);
}
