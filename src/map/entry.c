/*
 * The entry API: a key's place, occupied or vacant, under one write lock.
 */
#include "map/held.h"

#define OF_SEVERAL "entry is one of several keys"

/* Shows the user what the entry is now. */
static void show(struct cmap_entry *entry, struct cmap__held *held)
{
  entry->key = cmap__held_key(held);
  entry->value = cmap__held_value(held);
}

/* The write lock is taken: an entry of what was found. */
static enum cmap_status grant(struct cmap *map, struct cmap__call *call,
                              struct cmap__held *held)
{
  struct cmap__key_image key;
  enum cmap_status status = CMAP_OK;

  if (!call->found)
    status = cmap__call_make_room(map, call, &key);
  if (status != CMAP_OK)
    return status;
  cmap__held_fill(held, map, call);
  if (call->found) {
    cmap__held_open(held, call->place.group);
    return CMAP_OK;
  }
  held->key = key;
  held->has_key = true;
  return cmap__held_make_box(held);
}

static CMAP__NOINLINE enum cmap_status entry_any(struct cmap *map,
                                                 struct cmap_key key,
                                                 struct cmap_entry *entry,
                                                 const struct cmap_how *how)
{
  struct cmap__held *held;
  struct cmap__call call;
  enum cmap_status status = cmap__call_begin(map, key, how, &call);

  if (status != CMAP_OK)
    return status;
  held = cmap__held_take();
  if (held == NULL)
    return CMAP_ENOMEM;
  call.patience.soon = true;
  status = cmap__call_lock(map, &call, CMAP__WRITE);
  if (status == CMAP_OK) {
    held->has_key = false;
    status = grant(map, &call, held);
    if (status != CMAP_OK) {
      cmap__call_unlock(&call);
      if (held->has_key)
        cmap__key_words_destroy(&map->table.layout, held->key.words);
    }
  }
  if (status != CMAP_OK) {
    cmap__held_give(held);
    return status;
  }
  cmap__held_link(held);
  show(entry, held);
  cmap__held_name(held, entry->internal);
  return CMAP_OK;
}

enum cmap_status cmap_entry_begin(struct cmap *map, struct cmap_key key,
                                  struct cmap_entry *entry,
                                  const struct cmap_how *how)
{
  struct cmap_key stored;
  void *value;

  if (CMAP__MISSING(entry))
    return CMAP_EINVAL;
  if (cmap__unlikely(!cmap__held_at_once(map, key, how, CMAP__WRITE, &stored,
                                         &value, entry->internal))) {
    *entry = (struct cmap_entry)CMAP_INIT;
    return entry_any(map, key, entry, how);
  }
  entry->key = stored;
  entry->value = value;
  return CMAP_OK;
}

enum cmap_status cmap_entry_release(struct cmap_entry *entry)
{
  const struct cmap_entry none = CMAP_INIT;
  struct cmap__held *held;

  if (entry == NULL)
    return CMAP_OK;
  held = cmap__held_of(entry->internal);
  if (CMAP__WRONG(held == NULL && cmap__held_is_foreign(entry->internal),
                  "entry is another thread's"))
    return CMAP_EINVAL;
  if (CMAP__WRONG(held != NULL && held->multi != NULL, OF_SEVERAL))
    return CMAP_EINVAL; /* cmap_multi_release ends it */
  *entry = none;
  if (held != NULL)
    cmap__held_release(held);
  return CMAP_OK;
}

/* Every call that returns a status begins so: what is held, and what is still
 * to be told. */
static enum cmap_status begin(const struct cmap_entry *entry,
                              struct cmap__held **held)
{
  enum cmap_status status;

  *held = entry == NULL ? NULL : cmap__held_of(entry->internal);
  if (CMAP__WRONG(*held == NULL,
                  "entry holds nothing, or nothing of this thread"))
    return CMAP_EINVAL;
  status = (*held)->error;
  (*held)->error = CMAP_OK;
  return status;
}

struct cmap_entry *cmap_entry_and_modify(struct cmap_entry *entry,
                                         cmap_value_fn *modify, void *ctx)
{
  struct cmap__held *held =
      entry == NULL ? NULL : cmap__held_of(entry->internal);
  enum cmap_status status = CMAP_OK;

  if (held == NULL || held->error != CMAP_OK)
    return entry;
  if (CMAP__MISSING(modify))
    status = CMAP_EINVAL;
  else if (held->occupied)
    status = modify(entry->key, cmap__held_value(held), ctx);
  /* It may have released the entry. */
  if (status != CMAP_OK && cmap__held_of(entry->internal) == held)
    held->error = status;
  return entry;
}

enum cmap_status cmap_entry_status(struct cmap_entry *entry)
{
  struct cmap__held *held;

  return begin(entry, &held);
}

enum cmap_status cmap_entry_or_insert(struct cmap_entry *entry,
                                      const void *value)
{
  struct cmap__held *held;
  enum cmap_status status = begin(entry, &held);

  if (status != CMAP_OK)
    return status;
  if (cmap__value_is_missing(held->map, value))
    return CMAP_EINVAL;
  if (!held->occupied)
    cmap__held_put(held, value);
  show(entry, held);
  return CMAP_OK;
}

enum cmap_status cmap_entry_or_insert_with(struct cmap_entry *entry,
                                           cmap_value_fn *make, void *ctx)
{
  CMAP__ALIGNED(CMAP__ALIGN_MAX) uint64_t words[CMAP__VALUE_WORDS_MAX];
  struct cmap__held *held;
  enum cmap_status status = begin(entry, &held);
  void *value;

  if (status != CMAP_OK)
    return status;
  if (CMAP__MISSING(make))
    return CMAP_EINVAL;
  if (!held->occupied) {
    value = held->box.data != NULL ? held->box.data : words;
    memset(value, 0, cmap__held_layout(held)->value_size);
    status = make(entry->key, value, ctx);
    if (status != CMAP_OK)
      return status;
    if (CMAP__WRONG(cmap__held_of(entry->internal) != held || held->occupied,
                    "make has used the entry that it makes for"))
      return CMAP_EINVAL; /* make has used the entry that it makes for */
    cmap__held_put(held, value);
  }
  show(entry, held);
  return CMAP_OK;
}

static enum cmap_status make_zeroes(struct cmap_key key, void *value, void *ctx)
{
  (void)key, (void)value, (void)ctx; /* it starts zeroed */
  return CMAP_OK;
}

enum cmap_status cmap_entry_or_default(struct cmap_entry *entry)
{
  return cmap_entry_or_insert_with(entry, make_zeroes, NULL);
}

enum cmap_status cmap_entry_insert(struct cmap_entry *entry, const void *value,
                                   void *old)
{
  struct cmap__held *held;
  enum cmap_status status = begin(entry, &held);

  if (status != CMAP_OK)
    return status;
  if (cmap__value_is_missing(held->map, value))
    return CMAP_EINVAL;
  if (held->occupied)
    status = cmap__held_replace(held, value, old);
  else
    cmap__held_put(held, value);
  show(entry, held);
  return status;
}

enum cmap_status cmap_entry_remove(struct cmap_entry *entry, void *old)
{
  struct cmap__held *held;
  enum cmap_status status = begin(entry, &held);

  if (status != CMAP_OK)
    return status;
  if (!held->occupied)
    return CMAP_NOT_FOUND;
  status = cmap__held_remove(held, old);
  show(entry, held);
  return status;
}

enum cmap_status cmap_entry_remove_entry(struct cmap_entry *entry, void *key,
                                         void *old)
{
  const struct cmap__layout *layout;
  struct cmap__held *held;
  enum cmap_status status = begin(entry, &held);

  if (status != CMAP_OK)
    return status;
  layout = cmap__held_layout(held);
  if (CMAP__MISSING(key) || CMAP__WRONG(held->multi != NULL, OF_SEVERAL))
    return CMAP_EINVAL;
  if (layout->kind == CMAP_STRING || layout->kind == CMAP_BYTES)
    return CMAP_ENOTSUP;
  if (!held->occupied)
    return CMAP_NOT_FOUND;
  status = cmap__held_remove(held, old);
  if (status != CMAP_OK)
    return status;
  memcpy(key, cmap__held_key(held).data, layout->key_size);
  held->has_key = false; /* it is the caller's */
  return cmap_entry_release(entry);
}

enum cmap_status cmap_entry_replace_entry(struct cmap_entry *entry,
                                          struct cmap_key key,
                                          const void *value, void *old)
{
  struct cmap__probe probe;
  struct cmap__held *held;
  enum cmap_status status = begin(entry, &held);

  if (status != CMAP_OK)
    return status;
  if (cmap__value_is_missing(held->map, value))
    return CMAP_EINVAL;
  if (!held->occupied)
    return CMAP_NOT_FOUND;
  status = cmap__probe_init(cmap__held_layout(held), key, NULL, &probe);
  if (status != CMAP_OK)
    return status;
  if (CMAP__WRONG(!cmap__held_is_key(held, &probe), "key is not the entry's"))
    return CMAP_EINVAL;
  status = cmap__held_replace_entry(held, &probe, value, old);
  show(entry, held);
  return status;
}

enum cmap_status cmap_entry_into_guard(struct cmap_entry *entry,
                                       struct cmap_write_guard *guard)
{
  const struct cmap_entry none = CMAP_INIT;
  struct cmap__held *held;
  enum cmap_status status = begin(entry, &held);

  if (guard != NULL)
    *guard = (struct cmap_write_guard)CMAP_INIT;
  if (status != CMAP_OK)
    return status;
  if (CMAP__MISSING(guard) || CMAP__WRONG(held->multi != NULL, OF_SEVERAL))
    return CMAP_EINVAL;
  if (!held->occupied)
    return CMAP_NOT_FOUND;
  /* The copies of the entry must not end the guard. */
  cmap__record_renew(&held->record);
  guard->key = entry->key;
  guard->value = entry->value;
  cmap__held_name(held, guard->internal);
  *entry = none;
  return CMAP_OK;
}
