/*
 * add_or_update: the callback under the lock, or outside of it with retries.
 */
#include "map/map.h"

/* The two callbacks, in the shape of cmap_compute_fn. */
struct add_or_update {
  cmap_value_fn *add;
  cmap_update_fn *update;
  void *ctx;
};

static enum cmap_status add_or_update(struct cmap_key key, const void *old,
                                      void *fresh, enum cmap_action *action,
                                      void *ctx)
{
  const struct add_or_update *both = ctx;

  *action = CMAP_PUT;
  return old == NULL ? both->add(key, fresh, both->ctx)
                     : both->update(key, old, fresh, both->ctx);
}

enum cmap_status cmap_add_or_update(struct cmap *map, struct cmap_key key,
                                    void *value, enum cmap_event *event,
                                    cmap_value_fn *add, cmap_update_fn *update,
                                    void *ctx, const struct cmap_how *how)
{
  struct add_or_update both = {add, update, ctx};

  if (CMAP__MISSING(add) || CMAP__MISSING(update))
    return CMAP_EINVAL;
  return cmap_compute(map, key, value, event, add_or_update, &both, how);
}

#define MAX_ATTEMPTS 100000

/* An unlocked call under way. */
struct unlocked {
  struct cmap *map;
  struct cmap_key key;
  const struct add_or_update *both;
  struct cmap_how how; /* the caller's, with the hash */
  struct cmap__value_image old, fresh;
  struct cmap_attempts attempts;
  void *value;
  enum cmap_event event;
  bool overtaken; /* the last attempt, by another thread's change */
};

static void destroy_value(const struct unlocked *u, void *value)
{
  const struct cmap__user *user = u->map->table.layout.user;

  if (user->value_destroy != NULL)
    user->value_destroy(value, user->value_ctx);
}

/*
 * Stores u->fresh, if nothing has changed; u->overtaken: it has. The copy for
 * the caller is made before, while the value is still ours.
 */
static enum cmap_status try_to_store(struct unlocked *u, bool found)
{
  const struct cmap__layout *layout = &u->map->table.layout;
  struct cmap__value_image copy;
  enum cmap_status status = CMAP_OK;

  if (u->value != NULL)
    status = cmap__value_image_copy(layout, u->fresh.data, &copy);
  if (status != CMAP_OK)
    return status;
  status = found
               ? cmap_compare_exchange(u->map, u->key, u->old.data,
                                       u->fresh.data, &u->how)
               : cmap_insert_new(u->map, u->key, u->fresh.data, NULL, &u->how);
  if (status == CMAP_OK)
    u->event = found ? CMAP_UPDATED : CMAP_INSERTED;
  else if (found)
    u->overtaken = status == CMAP_MISMATCH || status == CMAP_NOT_FOUND;
  else
    u->overtaken = status == CMAP_EXISTS;
  if (u->value != NULL)
    cmap__value_words_release(layout, copy.words,
                              status == CMAP_OK ? u->value : NULL);
  return status;
}

/* One look, one callback, one attempt to store. */
static enum cmap_status attempt(struct unlocked *u)
{
  const struct cmap__layout *layout = &u->map->table.layout;
  size_t size = layout->value_size;
  enum cmap_status status = cmap_get(u->map, u->key, u->old.data, &u->how);
  bool found = status == CMAP_OK;

  if (cmap__table_is_frozen(&u->map->table)) {
    if (found)
      destroy_value(u, u->old.data);
    return CMAP_FROZEN; /* rather than when a callback has run */
  }
  if (!found && status != CMAP_NOT_FOUND)
    return status;
  /* *fresh starts as in cmap_compute. */
  if (found && !layout->owns_values && size > 0)
    memcpy(u->fresh.data, u->old.data, size);
  else
    memset(u->fresh.data, 0, size);
  if (found) {
    u->attempts.updates++;
    status = u->both->update(u->key, u->old.data, u->fresh.data, u->both->ctx);
  } else {
    u->attempts.adds++;
    status = u->both->add(u->key, u->fresh.data, u->both->ctx);
  }
  if (status == CMAP_OK) {
    status = try_to_store(u, found);
    if (status != CMAP_OK)
      destroy_value(u, u->fresh.data);
  }
  if (found)
    destroy_value(u, u->old.data);
  return status;
}

/* May it try again? */
static enum cmap_status look_at_time(const struct unlocked *u)
{
  if ((u->how.flags & CMAP_TRY) != 0)
    return CMAP_OK; /* it waits for nothing that could be given up */
  if ((u->how.flags & CMAP_DEADLINE) != 0 &&
      cmap__now_ns() >= u->how.deadline_ns)
    return CMAP_TIMEDOUT;
  return (u->how.flags & CMAP_TOKEN) != 0 &&
                 cmap__token_is_canceled(u->how.token)
             ? CMAP_ECANCELED
             : CMAP_OK;
}

/* Attempts until one is not overtaken by another thread's change. */
static enum cmap_status attempt_all(struct unlocked *u)
{
  unsigned max = u->attempts.max == 0 ? MAX_ATTEMPTS : u->attempts.max;

  for (unsigned i = 0; i < max; i++) {
    enum cmap_status status = i > 0 ? look_at_time(u) : CMAP_OK;
    if (status != CMAP_OK)
      return status;
    status = attempt(u);
    if (!u->overtaken)
      return status;
    u->overtaken = false;
  }
  return CMAP_BUSY;
}

enum cmap_status cmap_add_or_update_unlocked(
    struct cmap *map, struct cmap_key key, void *value, enum cmap_event *event,
    cmap_value_fn *add, cmap_update_fn *update, void *ctx,
    struct cmap_attempts *attempts, const struct cmap_how *how)
{
  struct add_or_update both = {add, update, ctx};
  struct unlocked u = {.map = map, .key = key, .both = &both, .value = value};
  const struct cmap__layout *layout;
  struct cmap__call call;
  enum cmap_status status = cmap__call_begin(map, key, how, &call);

  if (attempts != NULL) {
    attempts->adds = attempts->updates = 0;
    u.attempts = *attempts;
  }
  if (status != CMAP_OK)
    return status;
  if (CMAP__MISSING(add) || CMAP__MISSING(update))
    return CMAP_EINVAL;
  layout = &map->table.layout;
  if (layout->user->value_destroy != NULL &&
      (layout->user->value_clone == NULL || layout->user->value_equal == NULL))
    return CMAP_ENOTSUP;
  (void)cmap__how_copy(how, &u.how); /* it was read before */
  u.how.flags |= CMAP_HASHED;
  u.how.hash = call.probe.hash;
  status = cmap__value_image_init(layout, &u.old);
  if (status == CMAP_OK) {
    status = cmap__value_image_init(layout, &u.fresh);
    if (status == CMAP_OK) {
      status = attempt_all(&u);
      cmap__value_image_drop(layout, &u.fresh);
    }
    cmap__value_image_drop(layout, &u.old);
  }
  if (attempts != NULL)
    *attempts = u.attempts;
  if (status == CMAP_OK)
    cmap__set_event(event, u.event);
  return status;
}
