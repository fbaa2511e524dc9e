/*
 * Inserting: insert, insert_new, swap, get_or_insert.
 */
#include "map/map.h"

/* An absent key that lies inline, with a value that does: no memory of its own
 * is needed. Write lock. CMAP_ENOMEM */
static enum cmap_status put_inline(struct cmap *map, struct cmap__call *call,
                                   const void *value)
{
  const struct cmap__layout *layout = &map->table.layout;
  enum cmap_status status = cmap__call_find_slot(map, call);
  const struct cmap__place *place = &call->place;

  if (status == CMAP_OK)
    cmap__shard_put_inline(
        layout, (enum cmap__shape)layout->shape, call->locked.shard,
        place->group, cmap__load_relaxed(&place->group->hi), /* lock held */
        place->slot, place->index, &call->probe, value);
  return status;
}

/*
 * Write lock taken, key looked for. Stores the value, whether the key is
 * present or not; old value words come out if it is (else NULL will do).
 * `value` stays the caller's unless CMAP_OK.
 */
static enum cmap_status store(struct cmap *map, struct cmap__call *call,
                              const void *value, uint64_t *old)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__fresh fresh;
  enum cmap_status status;

  if (!call->found && !layout->value_boxed && !call->probe.boxed &&
      layout->shape != CMAP__SHAPE_CUSTOM)
    return put_inline(map, call, value);
  status = cmap__value_image_move(layout, value, &fresh.value);
  if (status != CMAP_OK)
    return status;
  if (call->found) {
    cmap__slot_exchange(layout, &call->place, false, fresh.value.words, old);
    return CMAP_OK;
  }
  status = cmap__call_make_room(map, call, &fresh.key);
  if (status == CMAP_OK)
    cmap__call_put(map, call, &fresh.key, &fresh.value);
  else
    cmap__value_image_drop(layout, &fresh.value);
  return status;
}

/* The write lock is taken, and the key looked for. */
static enum cmap_status insert_locked(struct cmap *map, struct cmap__call *call,
                                      const void *value, void *old,
                                      enum cmap_event *event)
{
  struct cmap__value_image before;
  enum cmap_status status = store(map, call, value, before.words);

  cmap__call_unlock(call);
  if (status != CMAP_OK)
    return status;
  if (call->found)
    cmap__value_words_release(&map->table.layout, before.words, old);
  cmap__set_event(event, call->found ? CMAP_UPDATED : CMAP_INSERTED);
  return CMAP_OK;
}

/* Any map, any `how`. */
static CMAP__NOINLINE enum cmap_status
insert_any(struct cmap *map, struct cmap_key key, const void *value, void *old,
           enum cmap_event *event, const struct cmap_how *how)
{
  struct cmap__call call;
  enum cmap_status status = cmap__call_begin(map, key, how, &call);

  if (status != CMAP_OK)
    return status;
  if (cmap__value_is_missing(map, value))
    return CMAP_EINVAL;
  status = cmap__call_lock(map, &call, CMAP__WRITE);
  if (status != CMAP_OK)
    return status;
  return insert_locked(map, &call, value, old, event);
}

/* What the first look at the home group does not decide. The shard is locked.
 */
static CMAP__NOINLINE enum cmap_status
insert_far(struct cmap *map, struct cmap_key key, uint64_t hash,
           struct cmap__shard *shard, bool absent, const void *value, void *old,
           enum cmap_event *event)
{
  struct cmap__call call;

  cmap__call_resume(map, key, hash, shard, absent, &call);
  return insert_locked(map, &call, value, old, event);
}

/* The key is where it was aimed at. A value of one word is changed by one
 * store, others in a section. */
CMAP__ALWAYS_INLINE enum cmap_status
overwrite(struct cmap *map, enum cmap__shape shape, const struct cmap__aim *aim,
          const void *value, void *old, enum cmap_event *event)
{
  const struct cmap__layout *layout = &map->table.layout;
  const struct cmap__form form = cmap__form_of(layout, shape);
  uint64_t before;

  if (form.value_words == 1) {
    uint64_t fresh = cmap__word_copy_in(layout, shape, value);

    before = cmap__value_word(&form, aim->slot);
    cmap__value_word_store(&form, aim->slot, fresh);
    cmap__aim_unlock(aim, CMAP__WRITE);
    if (old != NULL)
      cmap__word_copy_out(layout, shape, old, before);
  } else {
    cmap__aim_overwrite(layout, &form, aim, value, old);
    cmap__aim_unlock(aim, CMAP__WRITE);
  }
  cmap__set_event(event, CMAP_UPDATED);
  return CMAP_OK;
}

/*
 * The same of the commonest map, a twentieth of whose keys are found no sooner:
 * `shard` is locked, or NULL. A call would take twice as long.
 */
static CMAP__NOINLINE enum cmap_status
insert_word_far(struct cmap *map, const void *key, uint64_t hash,
                struct cmap__shard *shard, const void *value, void *old,
                enum cmap_event *event)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__locked locked = {.shard = shard};
  struct cmap__probe probe;
  struct cmap__place place;

  if (!cmap__probe_fill(layout, CMAP__SHAPE_WORD, cmap_key_u64(key), &hash,
                        &probe) ||
      (shard == NULL &&
       !cmap__table_lock_at_once(&map->table, hash, CMAP__WRITE, &locked)))
    return insert_any(map, cmap_key_u64(key), value, old, event, NULL);
  if (cmap__shard_find(layout, locked.shard, &probe, &place)) {
    const struct cmap__aim aim = {.shard = locked.shard, .slot = place.slot};
    return overwrite(map, CMAP__SHAPE_WORD, &aim, value, old, event);
  }
  if (cmap__unlikely(cmap__shard_count(locked.shard) >= locked.shard->limit) ||
      cmap__unlikely(cmap__shard_is_worn(locked.shard, place.probes)) ||
      cmap__unlikely(!cmap__shard_vacancy(layout, locked.shard, hash, &place)))
    return insert_far(map, cmap_key_u64(key), hash, locked.shard, false, value,
                      old, event);
  cmap__shard_put_inline(layout, CMAP__SHAPE_WORD, locked.shard, place.group,
                         cmap__load_relaxed(&place.group->hi), /* lock held */
                         place.slot, place.index, &probe, value);
  cmap__shardlock_write_unlock(&locked.shard->lock);
  cmap__set_event(event, CMAP_INSERTED);
  return CMAP_OK;
}

/* The short way: the key is behind the first tag of its own in its home group,
 * or no slot there has its tag. */
CMAP__ALWAYS_INLINE enum cmap_status
insert_as(struct cmap *map, enum cmap__shape shape, struct cmap_key key,
          const void *value, void *old, enum cmap_event *event,
          const struct cmap_how *how)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__probe probe;
  struct cmap__aim aim;

  if (cmap__unlikely(
          !cmap__probe_fill(layout, shape, key, cmap__how_hash(how), &probe)))
    return insert_any(map, key, value, old, event, how);
  switch (cmap__aim_hit(&map->table, shape, &probe, CMAP__WRITE, NULL, &aim)) {
  case CMAP__HIT:
    return overwrite(map, shape, &aim, value, old, event);
  case CMAP__GAP:
    if (cmap__unlikely(!cmap__aim_lock_gap(&aim, probe.hash)))
      break;
    if (cmap__unlikely(!cmap__aim_put(layout, shape, &aim, &probe, value)))
      return insert_far(map, key, probe.hash, aim.shard, true, value, old,
                        event);
    cmap__aim_unlock(&aim, CMAP__WRITE);
    cmap__set_event(event, CMAP_INSERTED);
    return CMAP_OK;
  case CMAP__FAR:
    if (shape == CMAP__SHAPE_WORD)
      return insert_word_far(map, key.data, probe.hash, aim.shard, value, old,
                             event);
    return insert_far(map, key, probe.hash, aim.shard, false, value, old,
                      event);
  default:
    break;
  }
  if (shape == CMAP__SHAPE_WORD && how == NULL)
    return insert_word_far(map, key.data, probe.hash, NULL, value, old, event);
  return insert_any(map, key, value, old, event, how);
}

CMAP__INSTANCES(enum cmap_status, insert,
                (struct cmap * map, struct cmap_key key, const void *value,
                 void *old, enum cmap_event *event, const struct cmap_how *how),
                (map, shape, key, value, old, event, how))

/* Not the commonest map, as in map/read.c. */
static CMAP__NOINLINE enum cmap_status
insert_other(struct cmap *map, struct cmap_key key, const void *value,
             void *old, enum cmap_event *event, const struct cmap_how *how)
{
  if (cmap__unlikely(map == NULL) || cmap__unlikely(!cmap__how_is_quick(how)) ||
      cmap__unlikely(cmap__value_is_missing(map, value)))
    return insert_any(map, key, value, old, event, how);
  CMAP__RETURN_INSTANCE(cmap__load_relaxed(&map->table.writes), insert,
                        (map, key, value, old, event, how));
  return insert_any(map, key, value, old, event, how);
}

CMAP__LTO_INLINE enum cmap_status
cmap_insert(struct cmap *map, struct cmap_key key, const void *value, void *old,
            enum cmap_event *event, const struct cmap_how *how)
{
  if (cmap__unlikely(!cmap__is_word_call(map, key, how)) ||
      cmap__unlikely(value == NULL))
    return insert_other(map, key, value, old, event, how);
  return insert_as(map, CMAP__SHAPE_WORD, key, value, old, event, NULL);
}

enum cmap_status cmap_swap(struct cmap *map, struct cmap_key key, void *value,
                           enum cmap_event *event, const struct cmap_how *how)
{
  return cmap_insert(map, key, value, value, event, how);
}

static CMAP__NOINLINE enum cmap_status
insert_new_any(struct cmap *map, struct cmap_key key, const void *value,
               void *present, const struct cmap_how *how)
{
  struct cmap__call call;
  enum cmap_status status = cmap__call_begin(map, key, how, &call);

  if (status != CMAP_OK)
    return status;
  if (cmap__value_is_missing(map, value))
    return CMAP_EINVAL;
  if (cmap__cannot_copy(map, present))
    return CMAP_ENOTSUP;
  status = cmap__call_read_hit(map, &call, present);
  if (status != CMAP_NOT_FOUND)
    return status == CMAP_OK ? CMAP_EXISTS : status;
  status = cmap__call_lock(map, &call, CMAP__WRITE);
  if (status != CMAP_OK)
    return status;
  if (call.found) {
    status = cmap__call_copy_present(map, &call, present);
    return status == CMAP_OK ? CMAP_EXISTS : status;
  }
  status = store(map, &call, value, NULL);
  cmap__call_unlock(&call);
  return status;
}

/* The key seems to be there. Its value is read to `present`, which may be where
 * the value to insert lies, and is left alone if this is false. */
CMAP__ALWAYS_INLINE bool read_present(const struct cmap *map,
                                      enum cmap__shape shape,
                                      const struct cmap__aim *aim,
                                      const struct cmap__probe *probe,
                                      void *present)
{
  const struct cmap__layout *layout = &map->table.layout;
  uint64_t copy[CMAP__VALUE_WORDS_MAX];
  /* A single word comes whole, or not at all. */
  bool copies = cmap__form_of(layout, shape).value_words > 1 && present != NULL;

  if (map->table.reads == CMAP__SHAPE_CUSTOM ||
      cmap__unlikely(!cmap__read_first(layout, shape, aim->group, aim->hi,
                                       aim->match, aim->slots, probe,
                                       copies ? copy : present)))
    return false;
  if (copies)
    memcpy(present, copy, layout->value_size);
  return true;
}

/*
 * The short way to store an absent key. CMAP_OK; CMAP_EXISTS: it is there, and
 * its value was read to `present` (NULL: not), which may be where the value to
 * insert lies; CMAP_BUSY: nothing was done; or a failure of the insertion.
 */
CMAP__ALWAYS_INLINE enum cmap_status
put_absent_as(struct cmap *map, enum cmap__shape shape, struct cmap_key key,
              const void *value, void *present, const struct cmap_how *how)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__probe probe;
  struct cmap__aim aim;

  if (cmap__unlikely(
          !cmap__probe_fill(layout, shape, key, cmap__how_hash(how), &probe)))
    return CMAP_BUSY;
  if (!cmap__aim_gap(&map->table, shape, probe.hash, &aim))
    return read_present(map, shape, &aim, &probe, present) ? CMAP_EXISTS
                                                           : CMAP_BUSY;
  if (cmap__unlikely(!cmap__aim_lock_gap(&aim, probe.hash)))
    return CMAP_BUSY;
  if (cmap__unlikely(!cmap__aim_put(layout, shape, &aim, &probe, value)))
    return insert_far(map, key, probe.hash, aim.shard, true, value, NULL, NULL);
  cmap__aim_unlock(&aim, CMAP__WRITE);
  return CMAP_OK;
}

CMAP__INSTANCES(enum cmap_status, put_absent,
                (struct cmap * map, struct cmap_key key, const void *value,
                 void *present, const struct cmap_how *how),
                (map, shape, key, value, present, how))

CMAP__ALWAYS_INLINE enum cmap_status
put_absent(struct cmap *map, struct cmap_key key, const void *value,
           void *present, const struct cmap_how *how)
{
  if (cmap__unlikely(map == NULL) || cmap__unlikely(!cmap__how_is_quick(how)) ||
      cmap__unlikely(cmap__value_is_missing(map, value)))
    return CMAP_BUSY;
  /* The commonest map, in line. */
  if (cmap__load_relaxed(&map->table.writes) == CMAP__SHAPE_WORD)
    return put_absent_as(map, CMAP__SHAPE_WORD, key, value, present, how);
  CMAP__RETURN_INSTANCE(cmap__load_relaxed(&map->table.writes), put_absent,
                        (map, key, value, present, how));
  return CMAP_BUSY;
}

enum cmap_status cmap_insert_new(struct cmap *map, struct cmap_key key,
                                 const void *value, void *present,
                                 const struct cmap_how *how)
{
  enum cmap_status status = put_absent(map, key, value, present, how);

  return status == CMAP_BUSY ? insert_new_any(map, key, value, present, how)
                             : status;
}

/*
 * get_or_insert with owned values: what comes out is a clone of what the map
 * holds, and the caller's value is consumed. Write lock taken.
 */
static enum cmap_status
get_or_insert_owned(struct cmap *map, struct cmap__call *call, void *value)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__value_image clone, given;
  const void *source = call->found ? cmap__call_value(map, call) : value;
  enum cmap_status status = cmap__value_image_copy(layout, source, &clone);

  if (status == CMAP_OK) {
    /* On a hit `given` becomes the caller's value, to be destroyed. */
    status = call->found ? cmap__value_image_move(layout, value, &given)
                         : store(map, call, value, NULL);
    if (status != CMAP_OK) {
      cmap__call_unlock(call);
      cmap__value_words_release(layout, clone.words, NULL);
      return status;
    }
  }
  cmap__call_unlock(call);
  if (status != CMAP_OK)
    return status;
  if (call->found)
    cmap__value_words_release(layout, given.words, NULL);
  cmap__value_words_release(layout, clone.words, value);
  return CMAP_OK;
}

/* Any map, any `how`. */
static CMAP__NOINLINE enum cmap_status
get_or_insert_any(struct cmap *map, struct cmap_key key, void *value,
                  enum cmap_event *event, const struct cmap_how *how)
{
  struct cmap__call call;
  enum cmap_status status = cmap__call_begin(map, key, how, &call);

  if (status != CMAP_OK)
    return status;
  if (cmap__value_is_missing(map, value))
    return CMAP_EINVAL;
  if (!map->table.copies_values)
    return CMAP_ENOTSUP;
  status = map->table.layout.owns_values && cmap__table_is_frozen(&map->table)
               ? cmap__call_frozen_hit(map, &call, value)
               : cmap__call_read_hit(map, &call, value);
  if (status != CMAP_OK && status != CMAP_NOT_FOUND)
    return status;
  call.found = status == CMAP_OK;
  if (!call.found) {
    status = cmap__call_lock(map, &call, CMAP__WRITE);
    if (status != CMAP_OK)
      return status;
    if (map->table.layout.owns_values) {
      status = get_or_insert_owned(map, &call, value);
    } else if (call.found) {
      status = cmap__call_copy_present(map, &call, value);
    } else {
      status = store(map, &call, value, NULL);
      cmap__call_unlock(&call);
    }
  }
  if (status == CMAP_OK)
    cmap__set_event(event, call.found ? CMAP_FOUND : CMAP_INSERTED);
  return status;
}

enum cmap_status cmap_get_or_insert(struct cmap *map, struct cmap_key key,
                                    void *value, enum cmap_event *event,
                                    const struct cmap_how *how)
{
  enum cmap_status status = put_absent(map, key, value, value, how);

  if (status == CMAP_BUSY)
    return get_or_insert_any(map, key, value, event, how);
  if (status == CMAP_OK || status == CMAP_EXISTS)
    cmap__set_event(event, status == CMAP_OK ? CMAP_INSERTED : CMAP_FOUND);
  return status == CMAP_EXISTS ? CMAP_OK : status;
}
