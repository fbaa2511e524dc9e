#include "holding.h"

#include <string.h>

void holding_now(struct holding *h, struct cmap_key key)
{
  if (!h->done && h->then != NULL) {
    h->done = true;
    memcpy(&h->id, key.data, sizeof h->id);
    h->then(h);
  }
}

static enum cmap_status in_view(struct cmap_key key, const void *value,
                                void *ctx)
{
  (void)value;
  holding_now(ctx, key);
  return CMAP_OK;
}

static enum cmap_status in_value(struct cmap_key key, void *value, void *ctx)
{
  uint64_t made = calls_value(key);

  holding_now(ctx, key);
  memcpy(value, &made, sizeof made);
  return CMAP_OK;
}

static enum cmap_status in_update(struct cmap_key key, const void *old,
                                  void *fresh, void *ctx)
{
  (void)old;
  return in_value(key, fresh, ctx);
}

static enum cmap_status in_compute(struct cmap_key key, const void *old,
                                   void *fresh, enum cmap_action *action,
                                   void *ctx)
{
  (void)old, (void)fresh, (void)action;
  holding_now(ctx, key);
  return CMAP_OK;
}

static enum cmap_status lock_many(struct holding *h, struct cmap_key key,
                                  enum cmap_mode mode,
                                  const struct cmap_how *how)
{
  struct cmap_want wants[2] = {{h->map, key, mode, CMAP_OK},
                               {h->map, key, mode, CMAP_OK}};
  enum cmap_status status = cmap_lock_many(wants, 2, &h->many, how);

  CHECK(wants[0].status == status || wants[1].status == status);
  return status;
}

/* At the entry of the key, or, if it is absent, past all of the map. */
static enum cmap_status iterate(struct holding *h, struct cmap_key key,
                                enum cmap_mode mode, const struct cmap_how *how)
{
  enum cmap_status status = cmap_iter_begin(h->map, mode, 0, 1, &h->iter);

  while (status == CMAP_OK &&
         (status = cmap_iter_next(&h->iter, how)) == CMAP_OK &&
         memcmp(h->iter.key.data, key.data, key.size) != 0)
    CHECK(h->iter.value != NULL);
  return status;
}

static enum cmap_status no_lock(struct cmap *map, struct cmap_key key)
{
  uint64_t hash = 0;

  CHECK(cmap_len(map) > 0 && !cmap_is_empty(map) && cmap_capacity(map) > 0);
  CHECK(cmap_shard_index(map, hash) < cmap_shard_count(map));
  return cmap_hash(map, key, &hash);
}

/* clang-format off */
enum cmap_status holding_call(enum way way, struct holding *h,
                                struct cmap_key k, const struct cmap_how *how)
{
  struct cmap *m = h->map;
  uint64_t value = calls_value(k);
  enum cmap_status status;

  switch (way) {
  case GET_REF:        return cmap_get_ref(m, k, &h->read, how);
  case GET_OR_INSERT_REF:
    return cmap_get_or_insert_ref(m, k, &value, &h->read, NULL, how);
  case DOWNGRADE:
    status = cmap_get_mut(m, k, &h->write, how);
    return status ? status : cmap_write_guard_downgrade(&h->write, &h->read);
  case GET_MUT:        return cmap_get_mut(m, k, &h->write, how);
  case ENTRY:          return cmap_entry_begin(m, k, &h->entry, how);
  case MANY_READ:      return lock_many(h, k, CMAP_READ, how);
  case MANY_WRITE:     return lock_many(h, k, CMAP_WRITE, how);
  case MANY_ENTRY:     return lock_many(h, k, CMAP_ENTRY, how);
  case ITER_READ:      return iterate(h, k, CMAP_READ, how);
  case ITER_WRITE:     return iterate(h, k, CMAP_WRITE, how);
  case ADD_OR_UPDATE:
    return cmap_add_or_update(m, k, NULL, NULL, in_value, in_update, h, how);
  case ADD_UNLOCKED:
    return cmap_add_or_update_unlocked(m, k, NULL, NULL, in_value, in_update, h,
                                       NULL, how);
  case RENAME:         return cmap_rename(m, k, k, how);
  case SWAP_VALUES:    return cmap_swap_values(m, k, k, how);
  case NO_LOCK_AT_ALL: return no_lock(m, k);
  case BY_VIEW:        return cmap_view(m, k, in_view, h, how);
  case BY_VIEW_ALL:    return cmap_view_all(m, in_view, h, how);
  case BY_ALTER:       return cmap_alter(m, k, in_value, h, how);
  case BY_ALTER_ALL:   return cmap_alter_all(m, in_value, h, how);
  case BY_COMPUTE:
    return cmap_compute(m, k, NULL, NULL, in_compute, h, how);
  case BY_MAKE:
    return cmap_get_or_insert_with(m, k, NULL, NULL, in_value, h, how);
  default: /* an occupied entry's modify, or a vacant one's make */
    CHECK_OK(cmap_entry_begin(m, k, &h->entry, NULL));
    return cmap_entry_or_insert_with(
        cmap_entry_and_modify(&h->entry, in_value, h), in_value, h);
  }
}
/* clang-format on */

void holding_release(struct holding *h)
{
  cmap_read_guard_release(&h->read);
  cmap_write_guard_release(&h->write);
  cmap_entry_release(&h->entry);
  cmap_multi_release(&h->many);
  cmap_iter_release(&h->iter);
}
