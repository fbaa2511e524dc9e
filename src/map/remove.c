/*
 * Removing one key: remove, remove_if, remove_if_equal.
 */
#include "map/map.h"

/* What decides whether a present entry is removed; neither: it is. */
struct condition {
  cmap_test_fn *test;
  void *ctx;
  const void *expected;
};

/* The write lock is taken, and the key looked for. */
static enum cmap_status remove_locked(struct cmap *map, struct cmap__call *call,
                                      const struct condition *when, void *old)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__shard *shard = call->locked.shard;
  struct cmap__slot_image image;
  struct cmap__hold *hold;
  bool yes = true;

  if (call->found && when->test != NULL) {
    hold = cmap__call_open_for_user(map, call);
    yes = when->test(cmap__call_key(map, call), cmap__call_value(map, call),
                     when->ctx);
    if (yes)
      cmap__shard_take(layout, shard, &call->place, true, image.words);
    cmap__call_close_for_user(call, hold);
  } else if (call->found) {
    if (when->expected != NULL)
      yes = cmap__call_value_equals(map, call, when->expected);
    if (yes)
      cmap__shard_take(layout, shard, &call->place, false, image.words);
  }
  cmap__locked_end_removal(&map->table, &call->locked);
  if (!call->found)
    return CMAP_NOT_FOUND;
  if (!yes)
    return CMAP_MISMATCH;
  if (layout->owns_anything || old != NULL)
    cmap__slot_words_release(layout, image.words, old);
  return CMAP_OK;
}

static CMAP__NOINLINE enum cmap_status
remove_when(struct cmap *map, struct cmap_key key, const struct condition *when,
            void *old, const struct cmap_how *how)
{
  struct cmap__call call;
  enum cmap_status status = cmap__call_begin(map, key, how, &call);

  if (status == CMAP_OK && when->test != NULL && !cmap__hold_prepare())
    status = CMAP_ENOMEM;
  if (status == CMAP_OK)
    status = cmap__call_lock(map, &call, CMAP__WRITE);
  if (status != CMAP_OK)
    return status;
  return remove_locked(map, &call, when, old);
}

static const struct condition always = {NULL, NULL, NULL};

/* What the first look at the home group does not decide. The shard is locked.
 */
static CMAP__NOINLINE enum cmap_status
remove_far(struct cmap *map, struct cmap_key key, uint64_t hash,
           struct cmap__shard *shard, void *old)
{
  struct cmap__call call;

  cmap__call_resume(map, key, hash, shard, false, &call);
  return remove_locked(map, &call, &always, old);
}

/* The same of the commonest map, as in map/insert.c: `shard` is locked, or
 * NULL. */
static CMAP__NOINLINE enum cmap_status
remove_word_far(struct cmap *map, const void *key, uint64_t hash,
                struct cmap__shard *shard, void *old)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__locked locked = {.shard = shard};
  enum cmap_status status = CMAP_NOT_FOUND;
  struct cmap__probe probe;
  struct cmap__place place;

  if (!cmap__probe_fill(layout, CMAP__SHAPE_WORD, cmap_key_u64(key), &hash,
                        &probe) ||
      (shard == NULL &&
       !cmap__table_lock_at_once(&map->table, hash, CMAP__WRITE, &locked)))
    return remove_when(map, cmap_key_u64(key), &always, old, NULL);
  if (cmap__shard_find(layout, locked.shard, &probe, &place)) {
    const struct cmap__aim aim = {
        .shard = locked.shard,
        .group = place.group,
        .hi = cmap__load_relaxed(&place.group->hi), /* lock held */
        .index = place.index};
    if (old != NULL)
      cmap__payload_copy_bytes(old, place.slot + 1, sizeof(uint64_t));
    cmap__aim_take(&aim);
    status = CMAP_OK;
  }
  cmap__unlock_after_removal(&map->table, locked.shard);
  return status;
}

/* The short way, as in map/insert.c. What is found owns no more than its key's
 * box. */
CMAP__ALWAYS_INLINE enum cmap_status remove_as(struct cmap *map,
                                               enum cmap__shape shape,
                                               struct cmap_key key, void *old,
                                               const struct cmap_how *how)
{
  const struct cmap__layout *layout = &map->table.layout;
  const struct cmap__form form = cmap__form_of(layout, shape);
  struct cmap__probe probe;
  struct cmap__aim aim;
  struct cmap__box box;
  uint64_t word = 0;

  if (cmap__unlikely(
          !cmap__probe_fill(layout, shape, key, cmap__how_hash(how), &probe)))
    return remove_when(map, key, &always, old, how);
  switch (cmap__aim_hit(&map->table, shape, &probe, CMAP__WRITE, NULL, &aim)) {
  case CMAP__HIT:
    if (cmap__unlikely(probe.boxed))
      box = cmap__slot_box(layout, aim.slot);
    if (form.value_words == 1)
      word = cmap__value_word(&form, aim.slot);
    else if (old != NULL)
      cmap__payload_copy_bytes(old, aim.slot + form.value_word,
                               layout->value_size);
    cmap__aim_take(&aim);
    cmap__unlock_after_removal(&map->table, aim.shard);
    if (cmap__unlikely(probe.boxed))
      cmap__box_give(layout->boxes, &box, key.size + 1, 1);
    if (form.value_words == 1 && old != NULL)
      cmap__word_copy_out(layout, shape, old, word);
    return CMAP_OK;
  case CMAP__GAP:
    /* A try says whether the lock is free. */
    if ((how == NULL || (how->flags & CMAP_TRY) == 0) &&
        cmap__is_surely_absent(map, &aim, probe.hash))
      return CMAP_NOT_FOUND;
    break;
  case CMAP__FAR:
    if (shape == CMAP__SHAPE_WORD)
      return remove_word_far(map, key.data, probe.hash, aim.shard, old);
    return remove_far(map, key, probe.hash, aim.shard, old);
  default:
    break;
  }
  if (shape == CMAP__SHAPE_WORD && how == NULL)
    return remove_word_far(map, key.data, probe.hash, NULL, old);
  return remove_when(map, key, &always, old, how);
}

CMAP__INSTANCES(enum cmap_status, remove,
                (struct cmap * map, struct cmap_key key, void *old,
                 const struct cmap_how *how),
                (map, shape, key, old, how))

/* Not the commonest map, as in map/read.c. */
static CMAP__NOINLINE enum cmap_status remove_other(struct cmap *map,
                                                    struct cmap_key key,
                                                    void *old,
                                                    const struct cmap_how *how)
{
  if (cmap__unlikely(map == NULL) || cmap__unlikely(!cmap__how_is_quick(how)))
    return remove_when(map, key, &always, old, how);
  CMAP__RETURN_INSTANCE(cmap__load_relaxed(&map->table.writes), remove,
                        (map, key, old, how));
  return remove_when(map, key, &always, old, how);
}

CMAP__LTO_INLINE enum cmap_status cmap_remove(struct cmap *map,
                                              struct cmap_key key, void *old,
                                              const struct cmap_how *how)
{
  if (cmap__unlikely(!cmap__is_word_call(map, key, how)))
    return remove_other(map, key, old, how);
  return remove_as(map, CMAP__SHAPE_WORD, key, old, NULL);
}

enum cmap_status cmap_remove_if(struct cmap *map, struct cmap_key key,
                                cmap_test_fn *test, void *ctx, void *old,
                                const struct cmap_how *how)
{
  const struct condition when = {test, ctx, NULL};

  return CMAP__MISSING(test) ? CMAP_EINVAL
                             : remove_when(map, key, &when, old, how);
}

enum cmap_status cmap_remove_if_equal(struct cmap *map, struct cmap_key key,
                                      const void *expected,
                                      const struct cmap_how *how)
{
  const struct condition when = {NULL, NULL, expected};

  if (CMAP__MISSING(map) || cmap__value_is_missing(map, expected))
    return CMAP_EINVAL;
  return remove_when(map, key, &when, NULL, how);
}
