/*
 * Read-modify-write of one key: compare_exchange, replace_if, alter, compute.
 */
#include "map/map.h"

/* Checks a call that replaces a value, and locks its key for writing. */
static enum cmap_status replace_begin(struct cmap *map, struct cmap_key key,
                                      const void *value,
                                      const struct cmap_how *how,
                                      struct cmap__call *call,
                                      struct cmap__value_image *fresh)
{
  enum cmap_status status = cmap__call_begin(map, key, how, call);

  if (status != CMAP_OK)
    return status;
  if (cmap__value_is_missing(map, value))
    return CMAP_EINVAL;
  status = cmap__value_image_move(&map->table.layout, value, fresh);
  if (status != CMAP_OK)
    return status;
  status = cmap__call_lock(map, call, CMAP__WRITE);
  if (status != CMAP_OK)
    cmap__value_image_drop(&map->table.layout, fresh);
  return status;
}

/* Ends it: unlocked; `replaced` tells whether `fresh` went in. */
static enum cmap_status replace_end(struct cmap *map,
                                    const struct cmap__call *call,
                                    bool replaced,
                                    struct cmap__value_image *fresh,
                                    struct cmap__value_image *before, void *old)
{
  const struct cmap__layout *layout = &map->table.layout;

  if (replaced) {
    cmap__value_words_release(layout, before->words, old);
    return CMAP_OK;
  }
  cmap__value_image_drop(layout, fresh);
  return call->found ? CMAP_MISMATCH : CMAP_NOT_FOUND;
}

enum cmap_status cmap_compare_exchange(struct cmap *map, struct cmap_key key,
                                       const void *expected, const void *value,
                                       const struct cmap_how *how)
{
  struct cmap__value_image fresh, before;
  struct cmap__call call;
  bool equal = false;
  enum cmap_status status;

  if (CMAP__MISSING(map) || cmap__value_is_missing(map, expected))
    return CMAP_EINVAL;
  status = replace_begin(map, key, value, how, &call, &fresh);
  if (status != CMAP_OK)
    return status;
  if (call.found) {
    equal = cmap__call_value_equals(map, &call, expected);
    if (equal)
      cmap__slot_exchange(&map->table.layout, &call.place, false, fresh.words,
                          before.words);
  }
  cmap__call_unlock(&call);
  return replace_end(map, &call, equal, &fresh, &before, NULL);
}

enum cmap_status cmap_replace_if(struct cmap *map, struct cmap_key key,
                                 cmap_test_fn *test, void *ctx,
                                 const void *value, void *old,
                                 const struct cmap_how *how)
{
  struct cmap__value_image fresh, before;
  struct cmap__call call;
  struct cmap__hold *hold;
  bool yes = false;
  enum cmap_status status;

  if (CMAP__MISSING(test))
    return CMAP_EINVAL;
  if (!cmap__hold_prepare())
    return CMAP_ENOMEM;
  status = replace_begin(map, key, value, how, &call, &fresh);
  if (status != CMAP_OK)
    return status;
  if (call.found) {
    hold = cmap__call_open_for_user(map, &call);
    yes = test(cmap__call_key(map, &call), cmap__call_value(map, &call), ctx);
    if (yes)
      cmap__slot_exchange(&map->table.layout, &call.place, true, fresh.words,
                          before.words);
    cmap__call_close_for_user(&call, hold);
  }
  cmap__call_unlock(&call);
  return replace_end(map, &call, yes, &fresh, &before, old);
}

/* The key is locked: alters it, and unlocks. */
static enum cmap_status alter_locked(struct cmap *map, struct cmap__call *call,
                                     cmap_value_fn *alter, void *ctx)
{
  enum cmap_status status = CMAP_NOT_FOUND;
  struct cmap__hold *hold;

  if (call->found) {
    hold = cmap__call_open_for_user(map, call);
    status = alter(cmap__call_key(map, call), cmap__call_value(map, call), ctx);
    cmap__call_close_for_user(call, hold);
  }
  cmap__call_unlock(call);
  return status;
}

/* Any map, any `how`. */
static CMAP__NOINLINE enum cmap_status
alter_any(struct cmap *map, struct cmap_key key, cmap_value_fn *alter,
          void *ctx, const struct cmap_how *how)
{
  struct cmap__call call;
  enum cmap_status status = cmap__call_begin(map, key, how, &call);

  if (status != CMAP_OK)
    return status;
  if (CMAP__MISSING(alter))
    return CMAP_EINVAL;
  if (!cmap__hold_prepare())
    return CMAP_ENOMEM;
  call.patience.soon = true;
  status = cmap__call_lock(map, &call, CMAP__WRITE);
  if (status != CMAP_OK)
    return status;
  return alter_locked(map, &call, alter, ctx);
}

/* The short way, as in map/insert.c. */
CMAP__ALWAYS_INLINE enum cmap_status
alter_as(struct cmap *map, enum cmap__shape shape, struct cmap_key key,
         cmap_value_fn *alter, void *ctx, const struct cmap_how *how)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__locked locked = {.mode = CMAP__WRITE};
  struct cmap__probe probe;
  struct cmap__hold *hold;
  struct cmap__call call;
  struct cmap__aim aim;
  enum cmap_status status;

  if (cmap__unlikely(
          !cmap__probe_fill(layout, shape, key, cmap__how_hash(how), &probe)))
    return alter_any(map, key, alter, ctx, how);
  switch (cmap__aim_hit(&map->table, shape, &probe, CMAP__WRITE, NULL, &aim)) {
  case CMAP__HIT:
    break;
  case CMAP__GAP:
    /* A try says whether the lock is free. */
    if ((how == NULL || (how->flags & CMAP_TRY) == 0) &&
        cmap__is_surely_absent(map, &aim, probe.hash))
      return CMAP_NOT_FOUND;
    return alter_any(map, key, alter, ctx, how);
  case CMAP__FAR:
    cmap__call_resume(map, key, probe.hash, aim.shard, false, &call);
    return alter_locked(map, &call, alter, ctx);
  default:
    return alter_any(map, key, alter, ctx, how);
  }
  locked.shard = aim.shard;
  (void)cmap__seq_open_for_user(&aim.group->hi);
  hold = cmap__locked_hold_begin(&map->table, &locked);
  status = alter(cmap__slot_key(layout, aim.slot),
                 cmap__slot_value(layout, aim.slot), ctx);
  cmap__hold_end(hold);
  cmap__seq_close(&aim.group->hi,
                  cmap__load_relaxed(&aim.group->hi)); /* lock held */
  cmap__aim_unlock(&aim, CMAP__WRITE);
  return status;
}

CMAP__INSTANCES(enum cmap_status, alter,
                (struct cmap * map, struct cmap_key key, cmap_value_fn *alter,
                 void *ctx, const struct cmap_how *how),
                (map, shape, key, alter, ctx, how))

enum cmap_status cmap_alter(struct cmap *map, struct cmap_key key,
                            cmap_value_fn *alter, void *ctx,
                            const struct cmap_how *how)
{
  if (cmap__likely(map != NULL) && cmap__likely(alter != NULL) &&
      cmap__likely(cmap__how_is_quick(how)) &&
      cmap__likely(cmap__hold_prepare()))
    CMAP__RETURN_INSTANCE(cmap__load_relaxed(&map->table.writes), alter,
                          (map, key, alter, ctx, how));
  return alter_any(map, key, alter, ctx, how);
}

/* A compute under way. */
struct computation {
  struct cmap__call call;
  struct cmap__fresh fresh; /* fresh.key: only if the key is absent */
  struct cmap__slot_image removed;
  enum cmap_action action;
  bool computed; /* fresh.value was made by the callback and must go in */
  bool stored;
};

/*
 * Under the write lock: room and memory first, so that what the callback
 * computed cannot be lost. CMAP_OK: fresh.value, and fresh.key if absent.
 */
static enum cmap_status compute_prepare(struct cmap *map, struct computation *c)
{
  const struct cmap__layout *layout = &map->table.layout;
  bool copy = c->call.found && !layout->owns_values;
  enum cmap_status status =
      copy ? cmap__value_image_copy(layout, cmap__call_value(map, &c->call),
                                    &c->fresh.value)
           : cmap__value_image_init(layout, &c->fresh.value);

  if (status != CMAP_OK || c->call.found)
    return status;
  status = cmap__call_make_room(map, &c->call, &c->fresh.key);
  if (status != CMAP_OK)
    cmap__value_image_drop(layout, &c->fresh.value);
  return status;
}

/* Calls the callback, and copies the result out before anything changes. */
static enum cmap_status compute_run(struct cmap *map, struct computation *c,
                                    cmap_compute_fn *compute, void *ctx,
                                    void *value)
{
  const struct cmap__layout *layout = &map->table.layout;
  bool found = c->call.found;
  const void *present = found ? cmap__call_value(map, &c->call) : NULL;
  struct cmap_key key =
      found ? cmap__call_key(map, &c->call) : c->call.probe.key;
  struct cmap__hold *hold;
  enum cmap_status status;

  c->action = CMAP_KEEP;
  hold = cmap__locked_hold_begin(&map->table, &c->call.locked);
  status = compute(key, present, c->fresh.value.data, &c->action, ctx);
  cmap__locked_hold_end(&c->call.locked, hold);
  if (status != CMAP_OK)
    return status;
  if (CMAP__WRONG(c->action != CMAP_KEEP && c->action != CMAP_PUT &&
                      c->action != CMAP_REMOVE,
                  "compute has set an unknown action"))
    return CMAP_EINVAL;
  c->computed = c->action == CMAP_PUT;
  if (!c->computed && !found)
    return CMAP_NOT_FOUND;
  if (value == NULL || c->action == CMAP_REMOVE)
    return CMAP_OK;
  return cmap__value_copy_out(
      layout, c->computed ? c->fresh.value.data : present, value);
}

/* Does what the callback said. */
static enum cmap_event compute_apply(struct cmap *map, struct computation *c)
{
  const struct cmap__layout *layout = &map->table.layout;

  switch (c->action) {
  case CMAP_PUT:
    c->stored = true;
    if (!c->call.found) {
      cmap__call_put(map, &c->call, &c->fresh.key, &c->fresh.value);
      return CMAP_INSERTED;
    }
    cmap__slot_exchange(layout, &c->call.place, false, c->fresh.value.words,
                        c->removed.words + layout->value_word);
    return CMAP_UPDATED;
  case CMAP_REMOVE:
    cmap__shard_take(layout, c->call.locked.shard, &c->call.place, false,
                     c->removed.words);
    return CMAP_REMOVED;
  default:
    return CMAP_FOUND;
  }
}

/* Unlocked: releases what did not go in, and what came out. */
static void compute_release(struct cmap *map, struct computation *c,
                            enum cmap_status status, enum cmap_event event,
                            void *value)
{
  const struct cmap__layout *layout = &map->table.layout;

  if (!c->call.found && !c->stored)
    cmap__key_words_destroy(layout, c->fresh.key.words);
  if (c->computed && !c->stored)
    cmap__value_words_release(layout, c->fresh.value.words, NULL);
  else if (!c->stored)
    cmap__value_image_drop(layout, &c->fresh.value);
  if (status != CMAP_OK)
    return;
  if (event == CMAP_UPDATED)
    cmap__value_words_release(layout, c->removed.words + layout->value_word,
                              NULL);
  else if (event == CMAP_REMOVED)
    cmap__slot_words_release(layout, c->removed.words, value);
}

enum cmap_status cmap_compute(struct cmap *map, struct cmap_key key,
                              void *value, enum cmap_event *event,
                              cmap_compute_fn *compute, void *ctx,
                              const struct cmap_how *how)
{
  struct computation c;
  enum cmap_event what = CMAP_FOUND;
  enum cmap_status status = cmap__call_begin(map, key, how, &c.call);

  if (status != CMAP_OK)
    return status;
  if (CMAP__MISSING(compute))
    return CMAP_EINVAL;
  if (cmap__cannot_copy(map, value))
    return CMAP_ENOTSUP;
  if (!cmap__hold_prepare())
    return CMAP_ENOMEM;
  c.call.patience.soon = true;
  status = cmap__call_lock(map, &c.call, CMAP__WRITE);
  if (status != CMAP_OK)
    return status;
  c.computed = c.stored = false;
  status = compute_prepare(map, &c);
  if (status != CMAP_OK) {
    cmap__call_unlock(&c.call);
    return status;
  }
  status = compute_run(map, &c, compute, ctx, value);
  if (status == CMAP_OK)
    what = compute_apply(map, &c);
  cmap__locked_end_removal(&map->table, &c.call.locked);
  compute_release(map, &c, status, what, value);
  if (status == CMAP_OK)
    cmap__set_event(event, what);
  return status;
}
