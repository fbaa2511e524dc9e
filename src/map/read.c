/*
 * Reading one key: get, contains, view.
 */
#include "map/map.h"

/* Under the read lock: copies the value out (NULL: not). */
static CMAP__NOINLINE enum cmap_status
get_locked(struct cmap *map, struct cmap__call *call, void *value)
{
  enum cmap_status status = cmap__call_lock(map, call, CMAP__READ);

  if (status != CMAP_OK)
    return status;
  status = call->found ? CMAP_OK : CMAP_NOT_FOUND;
  if (call->found && value != NULL)
    status = cmap__value_copy_out(&map->table.layout,
                                  cmap__call_value(map, call), value);
  cmap__call_unlock(call);
  return status;
}

/* Any map, any `how`. */
static CMAP__NOINLINE enum cmap_status get_any(struct cmap *map,
                                               struct cmap_key key, void *value,
                                               const struct cmap_how *how)
{
  struct cmap__call call;
  enum cmap_status status = cmap__call_begin(map, key, how, &call);

  if (status != CMAP_OK)
    return status;
  if (cmap__cannot_copy(map, value))
    return CMAP_ENOTSUP;
  status = cmap__call_read(map, &call, value);
  return status == CMAP_BUSY ? get_locked(map, &call, value) : status;
}

/* What the home group does not know, of the commonest map: some keys in a
 * hundred, for which a call would take twice as long. */
static CMAP__NOINLINE enum cmap_status
get_word_far(struct cmap *map, const void *key, uint64_t hash, void *value)
{
  struct cmap__probe probe;

  if (!cmap__probe_fill(&map->table.layout, CMAP__SHAPE_WORD, cmap_key_u64(key),
                        &hash, &probe))
    return CMAP_EINVAL;
  switch (cmap__read_round(&map->table, CMAP__SHAPE_WORD, &probe, value)) {
  case CMAP__READ_HIT:
    return CMAP_OK;
  case CMAP__READ_MISS:
    return CMAP_NOT_FOUND;
  default:
    cmap__count_retry(&map->table.counts);
    return get_any(map, cmap_key_u64(key), value, NULL);
  }
}

/*
 * The short way: the first slot with the key's tag in its home group, or none.
 * Of maps with CMAP__SHAPE_WORD all sizes are constants, and few registers
 * are saved: the only calls are the last.
 */
CMAP__ALWAYS_INLINE enum cmap_status
get_how_as(struct cmap *map, enum cmap__shape shape, struct cmap_key key,
           void *value, const struct cmap_how *how)
{
  struct cmap__probe probe;

  if (cmap__unlikely(!cmap__probe_fill(&map->table.layout, shape, key,
                                       cmap__how_hash(how), &probe)))
    return get_any(map, key, value, how);
  switch (cmap__read_home(&map->table, shape, &probe, true, value)) {
  case CMAP__READ_HIT:
    return CMAP_OK;
  case CMAP__READ_MISS:
    return CMAP_NOT_FOUND;
  default:
    return shape == CMAP__SHAPE_WORD && how == NULL
               ? get_word_far(map, key.data, probe.hash, value)
               : get_any(map, key, value, how);
  }
}

CMAP__INSTANCES(enum cmap_status, get_how,
                (struct cmap * map, struct cmap_key key, void *value,
                 const struct cmap_how *how),
                (map, shape, key, value, how))

/* Without a `how`, which would take a register. */
CMAP__ALWAYS_INLINE enum cmap_status get_as(struct cmap *map,
                                            enum cmap__shape shape,
                                            struct cmap_key key, void *value)
{
  return get_how_as(map, shape, key, value, NULL);
}

CMAP__INSTANCES(enum cmap_status, get,
                (struct cmap * map, struct cmap_key key, void *value),
                (map, shape, key, value))

/* Not the commonest map. In a function of its own: what it asks would be asked
 * early in the shortest way, too. */
static CMAP__NOINLINE enum cmap_status
get_other(struct cmap *map, struct cmap_key key, void *value)
{
  CMAP__RETURN_INSTANCE(map->table.reads, get, (map, key, value));
  return get_any(map, key, value, NULL);
}

static CMAP__NOINLINE enum cmap_status get_with_how(struct cmap *map,
                                                    struct cmap_key key,
                                                    void *value,
                                                    const struct cmap_how *how)
{
  if (map != NULL && cmap__how_is_quick(how))
    CMAP__RETURN_INSTANCE(map->table.reads, get_how, (map, key, value, how));
  return get_any(map, key, value, how);
}

CMAP__LTO_INLINE enum cmap_status cmap_get(struct cmap *map,
                                           struct cmap_key key, void *value,
                                           const struct cmap_how *how)
{
  if (cmap__unlikely(map == NULL) || cmap__unlikely(how != NULL))
    return get_with_how(map, key, value, how);
  /* The load in the middle keeps the compiler from computing two conditions
   * and branching once, which takes longer. */
  if (cmap__unlikely(key.size != sizeof(uint64_t)) ||
      cmap__unlikely(map->table.reads != CMAP__SHAPE_WORD) ||
      cmap__unlikely(key.data == NULL))
    return get_other(map, key, value);
  return get_as(map, CMAP__SHAPE_WORD, key, value);
}

/*
 * Is a hit a read under the lock? On a frozen map, whose values are all there
 * to be read; where reads are lock-free, but the key's group is busy by a hold
 * of this thread's own; and where they would be, but for a tool that watches.
 */
static bool hit_is_locked_read(const struct cmap *map,
                               const struct cmap__call *call)
{
  return cmap__table_is_frozen(&map->table) ||
         (map->table.layout.looks_free && !call->probe.large &&
          (!map->table.layout.lock_free ||
           (cmap__hold_any() &&
            cmap__hold_find(&map->table, call->probe.hash) != NULL)));
}

enum cmap_status cmap__call_read_hit(struct cmap *map, struct cmap__call *call,
                                     void *value)
{
  const struct cmap__layout *layout = &map->table.layout;
  /* Nothing but a hit's value comes to `value`, which may be what is to be
   * inserted: of a value in a box, a read under the lock. */
  bool copies = value != NULL && !layout->value_boxed;
  uint64_t words[CMAP__VALUE_WORDS_MAX];
  enum cmap_status status = CMAP_BUSY;

  if (value == NULL || copies)
    status = cmap__call_read(map, call, copies ? words : NULL);
  if (status == CMAP_BUSY)
    return hit_is_locked_read(map, call) ? get_locked(map, call, value)
                                         : CMAP_NOT_FOUND;
  if (status == CMAP_OK && copies)
    memcpy(value, words, layout->value_size);
  return status;
}

enum cmap_status cmap__call_frozen_hit(struct cmap *map,
                                       struct cmap__call *call, void *value)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__value_image given;
  enum cmap_status status = cmap__value_image_move(layout, value, &given);

  if (status != CMAP_OK)
    return status;
  status = cmap__call_read_hit(map, call, value);
  cmap__value_words_release(layout, given.words,
                            status == CMAP_OK ? NULL : value);
  return status;
}

enum cmap_status cmap__call_copy_present(struct cmap *map,
                                         struct cmap__call *call, void *value)
{
  enum cmap_status status = CMAP_OK;

  if (value != NULL)
    status = cmap__value_copy_out(&map->table.layout,
                                  cmap__call_value(map, call), value);
  cmap__call_unlock(call);
  return status;
}

enum cmap_status cmap_contains(struct cmap *map, struct cmap_key key,
                               const struct cmap_how *how)
{
  return cmap_get(map, key, NULL, how);
}

/*
 * The short way, of a hit in a shard whose lock is biased: a seat is the hold.
 * CMAP_NOT_FOUND: nothing was done. What the callback returns goes to *result.
 */
CMAP__ALWAYS_INLINE enum cmap_status
view_as(struct cmap *map, enum cmap__shape shape, struct cmap_key key,
        cmap_view_fn *view, void *ctx, const struct cmap_how *how,
        enum cmap_status *result)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__locked locked = {.mode = CMAP__READ};
  struct cmap__probe probe;
  struct cmap__aim aim;
  enum cmap__hit hit;

  if (cmap__unlikely(
          !cmap__probe_fill(layout, shape, key, cmap__how_hash(how), &probe)))
    return CMAP_NOT_FOUND;
  hit =
      cmap__aim_hit(&map->table, shape, &probe, CMAP__READ, &cmap__self, &aim);
  if (cmap__unlikely(hit != CMAP__HIT || aim.seat == 0)) {
    if (hit == CMAP__HIT || hit == CMAP__FAR)
      cmap__aim_unlock(&aim, CMAP__READ);
    return CMAP_NOT_FOUND;
  }
  locked.shard = aim.shard;
  locked.seat = aim.seat;
  (void)cmap__locked_hold_begin(&map->table, &locked);
  *result = view(cmap__slot_key(layout, aim.slot),
                 cmap__slot_value(layout, aim.slot), ctx);
  cmap__locked_hold_end(&locked, NULL);
  cmap__read_end(&locked.shard->lock, locked.seat);
  return CMAP_OK;
}

CMAP__INSTANCES(enum cmap_status, view,
                (struct cmap * map, struct cmap_key key, cmap_view_fn *view,
                 void *ctx, const struct cmap_how *how,
                 enum cmap_status *result),
                (map, shape, key, view, ctx, how, result))

static enum cmap_status view_at_once(struct cmap *map, struct cmap_key key,
                                     cmap_view_fn *view, void *ctx,
                                     const struct cmap_how *how,
                                     enum cmap_status *result)
{
  if (!cmap__self.expects_bias || map == NULL || view == NULL ||
      !cmap__how_is_quick(how))
    return CMAP_NOT_FOUND;
  CMAP__RETURN_INSTANCE(cmap__load_relaxed(&map->table.holds), view,
                        (map, key, view, ctx, how, result));
  return CMAP_NOT_FOUND;
}

enum cmap_status cmap_view(struct cmap *map, struct cmap_key key,
                           cmap_view_fn *view, void *ctx,
                           const struct cmap_how *how)
{
  struct cmap__hold *hold;
  struct cmap__call call;
  enum cmap_status status;

  if (view_at_once(map, key, view, ctx, how, &status) == CMAP_OK)
    return status;
  status = cmap__call_begin(map, key, how, &call);
  if (status != CMAP_OK)
    return status;
  if (CMAP__MISSING(view))
    return CMAP_EINVAL;
  if (!cmap__hold_prepare())
    return CMAP_ENOMEM;
  status = cmap__call_lock(map, &call, CMAP__READ);
  if (status != CMAP_OK)
    return status;
  status = CMAP_NOT_FOUND;
  if (call.found) {
    hold = cmap__locked_hold_begin(&map->table, &call.locked);
    status =
        view(cmap__call_key(map, &call), cmap__call_value(map, &call), ctx);
    cmap__locked_hold_end(&call.locked, hold);
  }
  cmap__call_unlock(&call);
  return status;
}
