/*
 * Inserting a value that is made if the key is absent: get_or_insert_with, and
 * its relative that makes it without the lock.
 */
#include "map/map.h"

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
    struct cmap__hold *hold =
        cmap__locked_hold_begin(&map->table, &call->locked);
    status = make(call->probe.key, fresh.value.data, ctx);
    cmap__locked_hold_end(&call->locked, hold);
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
  if (CMAP__MISSING(make))
    return CMAP_EINVAL;
  if (cmap__cannot_copy(map, value))
    return CMAP_ENOTSUP;
  status = cmap__call_read_hit(map, call, value);
  call->found = status == CMAP_OK;
  return status == CMAP_NOT_FOUND ? CMAP_OK : status;
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
    if (!cmap__hold_prepare())
      return CMAP_ENOMEM;
    status = cmap__call_lock(map, &call, CMAP__WRITE);
    if (status != CMAP_OK)
      return status;
    if (call.found) {
      status = cmap__call_copy_present(map, &call, value);
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
    status = cmap__call_copy_present(map, call, value);
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
      status = cmap__call_copy_present(map, &call, value);
    } else {
      cmap__call_unlock(&call);
      if (cmap__table_is_frozen(&map->table))
        return CMAP_FROZEN; /* rather than when make has run */
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
