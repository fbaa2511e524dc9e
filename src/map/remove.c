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
  struct cmap__hold hold;
  bool yes = true;

  if (call->found && when->test != NULL) {
    cmap__call_open_for_user(map, call, &hold);
    yes = when->test(cmap__call_key(map, call), cmap__call_value(map, call),
                     when->ctx);
    if (yes)
      cmap__shard_take(layout, shard, &call->place, true, image.words);
    cmap__call_close_for_user(call, &hold);
  } else if (call->found) {
    if (when->expected != NULL)
      yes = cmap__value_equal(layout, cmap__call_value(map, call),
                              when->expected);
    if (yes)
      cmap__shard_take(layout, shard, &call->place, false, image.words);
  }
  cmap__unlock_after_removal(&map->table, shard);
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

  if (status == CMAP_OK)
    status = cmap__call_lock(map, &call, CMAP__WRITE);
  if (status != CMAP_OK)
    return status;
  return remove_locked(map, &call, when, old);
}

static const struct condition always = {NULL, NULL, NULL};

/* Maps with `short_strings`, keys of a short string's size. */
static CMAP__NOINLINE enum cmap_status
remove_short(struct cmap *map, struct cmap_key key, void *old)
{
  struct cmap__call call;
  enum cmap_status status = cmap__short_lock(map, key, &call);

  if (status != CMAP_OK)
    return status;
  return remove_locked(map, &call, &always, old);
}

/* What the shortest way does not do: a key that is absent, or not found at
 * once. */
static CMAP__NOINLINE enum cmap_status
remove_again(struct cmap *map, const void *key, uint64_t hash, void *old)
{
  struct cmap__plain plain = {.hash = hash};
  uint64_t value = 0;

  memcpy(&plain.key, key, sizeof plain.key);
  if (!cmap__plain_lock(map, CMAP__WRITE, &plain))
    return remove_when(map, cmap_key_u64(key), &always, old, NULL);
  if (!plain.look.decided)
    (void)cmap__plain_seek(plain.locked.shard, hash, plain.key, &plain.look);
  if (plain.look.found)
    value = cmap__plain_take(plain.locked.shard, &plain.look);
  cmap__unlock_after_removal(&map->table, plain.locked.shard);
  if (!plain.look.found)
    return CMAP_NOT_FOUND;
  if (old != NULL)
    memcpy(old, &value, sizeof value);
  return CMAP_OK;
}

CMAP__LTO_INLINE enum cmap_status cmap_remove(struct cmap *map,
                                              struct cmap_key key, void *old,
                                              const struct cmap_how *how)
{
  struct cmap__plain plain;
  uint64_t value;

  if (cmap__unlikely(!cmap__is_plain_call(map, key, how)))
    return cmap__is_short_string(map, key, how)
               ? remove_short(map, key, old)
               : remove_when(map, key, &always, old, how);
  if (!cmap__plain_hit(map, key.data, CMAP__WRITE, &plain)) {
    return cmap__plain_is_surely_absent(map, &plain)
               ? CMAP_NOT_FOUND
               : remove_again(map, key.data, plain.hash, old);
  }
  value = cmap__plain_take(plain.locked.shard, &plain.look);
  cmap__unlock_after_removal(&map->table, plain.locked.shard);
  if (old != NULL)
    memcpy(old, &value, sizeof value);
  return CMAP_OK;
}

enum cmap_status cmap_remove_if(struct cmap *map, struct cmap_key key,
                                cmap_test_fn *test, void *ctx, void *old,
                                const struct cmap_how *how)
{
  const struct condition when = {test, ctx, NULL};

  return test == NULL ? CMAP_EINVAL : remove_when(map, key, &when, old, how);
}

enum cmap_status cmap_remove_if_equal(struct cmap *map, struct cmap_key key,
                                      const void *expected,
                                      const struct cmap_how *how)
{
  const struct condition when = {NULL, NULL, expected};

  if (map == NULL || cmap__value_is_missing(map, expected))
    return CMAP_EINVAL;
  return remove_when(map, key, &when, NULL, how);
}
