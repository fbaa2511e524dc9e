/*
 * Inserting: insert, insert_new, swap, get_or_insert and its relatives.
 */
#include "map/map.h"

/*
 * Write lock taken, key looked for. Stores the value, whether the key is
 * present or not; old value words come out on CMAP_UPDATED. `value` stays the
 * caller's unless CMAP_OK.
 */
static enum cmap_status store(struct cmap *map, struct cmap__call *call,
                              const void *value, uint64_t *old)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__fresh fresh;
  enum cmap_status status = cmap__value_image_move(layout, value, &fresh.value);

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

/* Maps with `short_strings`, keys of a short string's size. */
static CMAP__NOINLINE enum cmap_status
insert_short(struct cmap *map, struct cmap_key key, const void *value,
             void *old, enum cmap_event *event)
{
  struct cmap__call call;
  _Atomic uint64_t *word;
  uint64_t fresh, before;
  enum cmap_status status = cmap__short_lock(map, key, &call);

  if (cmap__unlikely(status != CMAP_OK))
    return status;
  if (!call.found)
    return insert_locked(map, &call, value, old, event);
  memcpy(&fresh, value, sizeof fresh);
  word = call.place.slot + CMAP__SHORT_VALUE;
  before = cmap__load_relaxed(word); /* lock held */
  cmap__payload_store(word, fresh);
  cmap__shardlock_write_unlock(&call.locked.shard->lock);
  if (old != NULL)
    memcpy(old, &before, sizeof before);
  cmap__set_event(event, CMAP_UPDATED);
  return CMAP_OK;
}

/* Any map, any `how`. */
static CMAP__NOINLINE enum cmap_status
insert_any(struct cmap *map, struct cmap_key key, const void *value, void *old,
           enum cmap_event *event, const struct cmap_how *how)
{
  struct cmap__call call;
  enum cmap_status status;

  if (cmap__is_short_string(map, key, how) && value != NULL)
    return insert_short(map, key, value, old, event);
  status = cmap__call_begin(map, key, how, &call);
  if (status != CMAP_OK)
    return status;
  if (cmap__value_is_missing(map, value))
    return CMAP_EINVAL;
  status = cmap__call_lock(map, &call, CMAP__WRITE);
  if (status != CMAP_OK)
    return status;
  return insert_locked(map, &call, value, old, event);
}

/* The home group of a plain key did not do. The shard is locked. */
static CMAP__NOINLINE enum cmap_status
insert_far(struct cmap *map, uint64_t hash, struct cmap__shard *shard,
           uint64_t key, uint64_t fresh, void *old, enum cmap_event *event)
{
  struct cmap__plain_look look;
  struct cmap__call call;
  uint64_t before = 0;

  if (!cmap__plain_look_far(shard, hash, key, &look)) {
    cmap__call_resume(map, cmap_key_u64(&key), hash, shard, &call);
    return insert_locked(map, &call, &fresh, old, event);
  }
  if (look.found) {
    before = cmap__load_relaxed(look.slot + 1); /* lock held */
    cmap__payload_store(look.slot + 1, fresh);
  } else {
    (void)cmap__plain_put(shard, &look, hash, key, fresh); /* there is room */
  }
  cmap__shardlock_write_unlock(&shard->lock);
  if (look.found && old != NULL)
    memcpy(old, &before, sizeof before);
  cmap__set_event(event, look.found ? CMAP_UPDATED : CMAP_INSERTED);
  return CMAP_OK;
}

/* What the shortest ways do not do: a lock that is taken, a key that is not
 * decided at once. */
static CMAP__NOINLINE enum cmap_status
insert_again(struct cmap *map, const void *key, uint64_t hash,
             const void *value, void *old, enum cmap_event *event)
{
  struct cmap__plain plain = {.hash = hash};
  uint64_t fresh;

  memcpy(&plain.key, key, sizeof plain.key);
  memcpy(&fresh, value, sizeof fresh);
  if (cmap__unlikely(!cmap__plain_lock(map, CMAP__WRITE, &plain)))
    return insert_any(map, cmap_key_u64(key), value, old, event, NULL);
  if (cmap__unlikely(plain.look.found || !plain.look.decided) ||
      cmap__unlikely(!cmap__plain_put(plain.locked.shard, &plain.look, hash,
                                      plain.key, fresh)))
    return insert_far(map, hash, plain.locked.shard, plain.key, fresh, old,
                      event);
  cmap__shardlock_write_unlock(&plain.locked.shard->lock);
  cmap__set_event(event, CMAP_INSERTED);
  return CMAP_OK;
}

/* No slot of the home group has the key's tag. */
CMAP__ALWAYS_INLINE enum cmap_status
insert_absent(struct cmap *map, struct cmap__plain *plain, const void *key,
              const void *value, void *old, enum cmap_event *event)
{
  struct cmap__shard *shard = plain->locked.shard;
  uint64_t word, fresh;

  if (cmap__unlikely(!cmap__plain_lock_gap(shard, plain->block, plain->hash,
                                           &plain->look)))
    return insert_again(map, key, plain->hash, value, old, event);
  memcpy(&word, key, sizeof word);
  memcpy(&fresh, value, sizeof fresh);
  if (cmap__unlikely(
          !cmap__plain_put(shard, &plain->look, plain->hash, word, fresh)))
    return insert_far(map, plain->hash, shard, word, fresh, old, event);
  cmap__shardlock_write_unlock(&shard->lock);
  cmap__set_event(event, CMAP_INSERTED);
  return CMAP_OK;
}

/* On maps with `plain_u64` the value is one word, which one store changes. */
CMAP__LTO_INLINE enum cmap_status
cmap_insert(struct cmap *map, struct cmap_key key, const void *value, void *old,
            enum cmap_event *event, const struct cmap_how *how)
{
  struct cmap__plain plain;
  uint64_t fresh, before;

  if (cmap__unlikely(!cmap__is_plain_call(map, key, how)) ||
      cmap__unlikely(value == NULL))
    return insert_any(map, key, value, old, event, how);
  if (!cmap__plain_hit(map, key.data, CMAP__WRITE, &plain))
    return plain.look.match == 0
               ? insert_absent(map, &plain, key.data, value, old, event)
               : insert_again(map, key.data, plain.hash, value, old, event);
  memcpy(&fresh, value, sizeof fresh);
  before = cmap__load_relaxed(plain.look.slot + 1); /* lock held */
  cmap__payload_store(plain.look.slot + 1, fresh);
  cmap__shardlock_write_unlock(&plain.locked.shard->lock);
  if (old != NULL)
    memcpy(old, &before, sizeof before);
  cmap__set_event(event, CMAP_UPDATED);
  return CMAP_OK;
}

enum cmap_status cmap_swap(struct cmap *map, struct cmap_key key, void *value,
                           enum cmap_event *event, const struct cmap_how *how)
{
  return cmap_insert(map, key, value, value, event, how);
}

/*
 * Where reads are lock-free, but the key's group is busy by a hold of this
 * thread's own: reads under that. CMAP_OK with the value words, or
 * CMAP_NOT_FOUND.
 */
static CMAP__NOINLINE enum cmap_status
read_own(struct cmap *map, struct cmap__call *call, uint64_t *words)
{
  const struct cmap__layout *layout = &map->table.layout;

  if (!layout->lock_free || call->probe.boxed ||
      cmap__hold_find(&map->table, call->probe.hash) == NULL ||
      cmap__call_lock(map, call, CMAP__READ) != CMAP_OK)
    return CMAP_NOT_FOUND;
  if (call->found)
    cmap__payload_copy_out(words, call->place.slot + layout->value_word,
                           layout->value_words);
  cmap__call_unlock(call);
  return call->found ? CMAP_OK : CMAP_NOT_FOUND;
}

/*
 * A hit of a call that would insert: read without a lock if possible. CMAP_OK
 * with the value copied out (NULL: not), or CMAP_NOT_FOUND: take the lock.
 */
static enum cmap_status read_hit(struct cmap *map, struct cmap__call *call,
                                 void *value)
{
  uint64_t words[CMAP__VALUE_WORDS_MAX];
  enum cmap_status status = cmap__call_read(map, call, words);

  if (status == CMAP_BUSY && cmap__hold_any())
    status = read_own(map, call, words);
  if (status != CMAP_OK)
    return CMAP_NOT_FOUND;
  if (value != NULL)
    memcpy(value, words, map->table.layout.options.value_size);
  return CMAP_OK;
}

/* The key is present and its shard is locked: copies the value, and unlocks. */
static enum cmap_status copy_present(struct cmap *map, struct cmap__call *call,
                                     void *value)
{
  enum cmap_status status = CMAP_OK;

  if (value != NULL)
    status = cmap__value_copy_out(&map->table.layout,
                                  cmap__call_value(map, call), value);
  cmap__call_unlock(call);
  return status;
}

enum cmap_status cmap_insert_new(struct cmap *map, struct cmap_key key,
                                 const void *value, void *present,
                                 const struct cmap_how *how)
{
  uint64_t unused[CMAP__VALUE_WORDS_MAX];
  struct cmap__call call;
  enum cmap_status status = cmap__call_begin(map, key, how, &call);

  if (status != CMAP_OK)
    return status;
  if (cmap__value_is_missing(map, value))
    return CMAP_EINVAL;
  if (cmap__cannot_copy(map, present))
    return CMAP_ENOTSUP;
  if (read_hit(map, &call, present) == CMAP_OK)
    return CMAP_EXISTS;
  status = cmap__call_lock(map, &call, CMAP__WRITE);
  if (status != CMAP_OK)
    return status;
  if (call.found) {
    status = copy_present(map, &call, present);
    return status == CMAP_OK ? CMAP_EXISTS : status;
  }
  status = store(map, &call, value, unused);
  cmap__call_unlock(&call);
  return status;
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
  uint64_t unused[CMAP__VALUE_WORDS_MAX];
  const void *source = call->found ? cmap__call_value(map, call) : value;
  enum cmap_status status = cmap__value_image_copy(layout, source, &clone);

  if (status == CMAP_OK) {
    /* On a hit `given` becomes the caller's value, to be destroyed. */
    status = call->found ? cmap__value_image_move(layout, value, &given)
                         : store(map, call, value, unused);
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

enum cmap_status cmap_get_or_insert(struct cmap *map, struct cmap_key key,
                                    void *value, enum cmap_event *event,
                                    const struct cmap_how *how)
{
  uint64_t unused[CMAP__VALUE_WORDS_MAX];
  struct cmap__call call;
  enum cmap_status status;
  bool quick = map != NULL && value != NULL && how == NULL &&
               (map->plain_u64 || cmap__is_short_string(map, key, how));

  /* A hit of the commonest maps, by the shortest way. */
  if (quick) {
    status = cmap_get(map, key, value, NULL);
    if (status == CMAP_OK)
      cmap__set_event(event, CMAP_FOUND);
    if (status != CMAP_NOT_FOUND)
      return status;
  }
  status = cmap__call_begin(map, key, how, &call);
  if (status != CMAP_OK)
    return status;
  if (cmap__value_is_missing(map, value))
    return CMAP_EINVAL;
  if (!map->copies_values)
    return CMAP_ENOTSUP;
  call.found = !quick && read_hit(map, &call, value) == CMAP_OK;
  if (!call.found) {
    status = cmap__call_lock(map, &call, CMAP__WRITE);
    if (status != CMAP_OK)
      return status;
    if (map->table.layout.owns_values) {
      status = get_or_insert_owned(map, &call, value);
    } else if (call.found) {
      status = copy_present(map, &call, value);
    } else {
      status = store(map, &call, value, unused);
      cmap__call_unlock(&call);
    }
  }
  if (status == CMAP_OK)
    cmap__set_event(event, call.found ? CMAP_FOUND : CMAP_INSERTED);
  return status;
}

/*
 * Write lock taken, key absent: makes the value, stores it, and unlocks. Not
 * NULL, `source` is a value that was made before, and is moved in. A copy goes
 * to value_out (NULL: not) before anything is visible.
 */
static enum cmap_status make_and_put(struct cmap *map, struct cmap__call *call,
                                     cmap_value_fn *make, void *ctx,
                                     const void *source, void *value_out)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__fresh fresh;
  bool made = false;
  enum cmap_status status =
      source != NULL ? cmap__value_image_move(layout, source, &fresh.value)
                     : cmap__value_image_init(layout, &fresh.value);

  if (status != CMAP_OK) {
    cmap__call_unlock(call);
    return status;
  }
  status = cmap__call_make_room(map, call, &fresh.key);
  if (status != CMAP_OK) {
    cmap__call_unlock(call);
    cmap__value_image_drop(layout, &fresh.value);
    return status;
  }
  if (source == NULL) {
    struct cmap__hold hold;
    cmap__locked_hold_begin(&map->table, &call->locked, &hold);
    status = make(call->probe.key, fresh.value.data, ctx);
    cmap__hold_end(&hold);
    made = status == CMAP_OK;
  }
  if (status == CMAP_OK && value_out != NULL)
    status = cmap__value_copy_out(layout, fresh.value.data, value_out);
  if (status == CMAP_OK)
    cmap__call_put(map, call, &fresh.key, &fresh.value);
  cmap__call_unlock(call);
  if (status == CMAP_OK)
    return CMAP_OK;
  cmap__key_words_destroy(layout, fresh.key.words);
  if (made)
    cmap__value_words_release(layout, fresh.value.words, NULL);
  else
    cmap__value_image_drop(layout, &fresh.value);
  return status;
}

/*
 * Begins a call that makes a value if the key is absent. call->found: it is
 * present, and its value has been copied out without a lock.
 */
static enum cmap_status make_begin(struct cmap *map, struct cmap_key key,
                                   void *value, cmap_value_fn *make,
                                   const struct cmap_how *how,
                                   struct cmap__call *call)
{
  enum cmap_status status = cmap__call_begin(map, key, how, call);

  if (status != CMAP_OK)
    return status;
  if (make == NULL)
    return CMAP_EINVAL;
  if (cmap__cannot_copy(map, value))
    return CMAP_ENOTSUP;
  call->found = read_hit(map, call, value) == CMAP_OK;
  return CMAP_OK;
}

enum cmap_status cmap_get_or_insert_with(struct cmap *map, struct cmap_key key,
                                         void *value, enum cmap_event *event,
                                         cmap_value_fn *make, void *ctx,
                                         const struct cmap_how *how)
{
  struct cmap__call call;
  enum cmap_status status = make_begin(map, key, value, make, how, &call);

  if (status != CMAP_OK)
    return status;
  if (!call.found) {
    status = cmap__call_lock(map, &call, CMAP__WRITE);
    if (status != CMAP_OK)
      return status;
    if (call.found) {
      status = copy_present(map, &call, value);
    } else {
      status = make_and_put(map, &call, make, ctx, NULL, value);
    }
  }
  if (status == CMAP_OK)
    cmap__set_event(event, call.found ? CMAP_FOUND : CMAP_INSERTED);
  return status;
}

/* Inserts a value that was made outside; a loser's is destroyed. */
static enum cmap_status settle_race(struct cmap *map, struct cmap__call *call,
                                    struct cmap__value_image *made, void *value)
{
  const struct cmap__layout *layout = &map->table.layout;
  enum cmap_status status = cmap__call_lock(map, call, CMAP__WRITE);
  bool stored = false;

  if (status == CMAP_OK && call->found) {
    status = copy_present(map, call, value);
  } else if (status == CMAP_OK) {
    status = make_and_put(map, call, NULL, NULL, made->data, value);
    stored = status == CMAP_OK;
  }
  if (stored)
    cmap__value_image_drop(layout, made);
  else
    cmap__value_words_release(layout, made->words, NULL);
  return status;
}

enum cmap_status cmap_get_or_insert_with_unlocked(
    struct cmap *map, struct cmap_key key, void *value, enum cmap_event *event,
    cmap_value_fn *make, void *ctx, const struct cmap_how *how)
{
  struct cmap__value_image made;
  struct cmap__call call;
  enum cmap_status status = make_begin(map, key, value, make, how, &call);

  if (status != CMAP_OK)
    return status;
  if (!call.found) {
    /* The read above may have given up; a read lock knows. */
    status = cmap__call_lock(map, &call, CMAP__READ);
    if (status != CMAP_OK)
      return status;
    if (call.found) {
      status = copy_present(map, &call, value);
    } else {
      cmap__call_unlock(&call);
      status = cmap__value_image_init(&map->table.layout, &made);
      if (status != CMAP_OK)
        return status;
      status = make(key, made.data, ctx);
      if (status != CMAP_OK)
        cmap__value_image_drop(&map->table.layout, &made);
      else
        status = settle_race(map, &call, &made, value);
    }
  }
  if (status == CMAP_OK)
    cmap__set_event(event, call.found ? CMAP_FOUND : CMAP_INSERTED);
  return status;
}
