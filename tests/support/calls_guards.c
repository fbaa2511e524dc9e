/* The calls that hold keys, and add_or_update; calls.h says the rest. */
#include "calls.h"

#include <string.h>

/* What outputs are set to before a call. */
#define UNSET     UINT64_C(0xeeeeeeeeeeeeeeee)
#define NO_STATUS ((enum cmap_status)9999)

static uint64_t number_at(const void *value)
{
  uint64_t number;

  memcpy(&number, value, sizeof number);
  return number;
}

static bool same_key(struct cmap_key a, struct cmap_key b)
{
  return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static enum cmap_status add(struct cmap_key key, void *value, void *ctx)
{
  uint64_t made = calls_value(key);

  CHECK(number_at(value) == 0);
  memcpy(value, &made, sizeof made);
  ++*(size_t *)ctx;
  return CMAP_OK;
}

static enum cmap_status update(struct cmap_key key, const void *old,
                               void *fresh, void *ctx)
{
  CHECK(number_at(old) == calls_value(key));
  memcpy(fresh, old, sizeof(uint64_t));
  ++*(size_t *)ctx;
  return CMAP_OK;
}

static void check_updated(enum cmap_status status, uint64_t out, uint64_t right,
                          enum cmap_event event)
{
  CHECK(out == (status == CMAP_OK ? right : UNSET));
  CHECK(status == CMAP_OK ? event == CMAP_INSERTED || event == CMAP_UPDATED
                          : event == NO_EVENT);
}

enum cmap_status run_add_or_update(struct cmap *map, struct cmap_key key,
                                   const struct cmap_how *how)
{
  enum cmap_event event = NO_EVENT;
  uint64_t out = UNSET;
  size_t made = 0;
  enum cmap_status status =
      cmap_add_or_update(map, key, &out, &event, add, update, &made, how);

  check_updated(status, out, calls_value(key), event);
  CHECK(made == (status == CMAP_OK));
  return status;
}

enum cmap_status run_add_or_update_unlocked(struct cmap *map,
                                            struct cmap_key key,
                                            const struct cmap_how *how)
{
  struct cmap_attempts attempts = CMAP_INIT;
  enum cmap_event event = NO_EVENT;
  uint64_t out = UNSET;
  size_t made = 0;
  enum cmap_status status = cmap_add_or_update_unlocked(
      map, key, &out, &event, add, update, &made, &attempts, how);

  check_updated(status, out, calls_value(key), event);
  CHECK(made == attempts.adds + attempts.updates);
  CHECK(status != CMAP_OK || made > 0);
  return status;
}

/* A guard or an entry that was refused is still CMAP_INIT. */
static void check_none(struct cmap_key key, const void *value,
                       const uintptr_t internal[2])
{
  CHECK(key.data == NULL && key.size == 0 && value == NULL);
  CHECK(internal[0] == 0 && internal[1] == 0);
}

static enum cmap_status check_ref(enum cmap_status status, struct cmap_key key,
                                  struct cmap_read_guard *guard)
{
  if (status == CMAP_OK) {
    CHECK(same_key(guard->key, key));
    CHECK(number_at(guard->value) == calls_value(key));
    cmap_read_guard_release(guard);
  }
  check_none(guard->key, guard->value, guard->internal);
  return status;
}

static enum cmap_status run_get_ref(struct cmap *map, struct cmap_key key,
                                    const struct cmap_how *how)
{
  struct cmap_read_guard guard = CMAP_INIT;

  return check_ref(cmap_get_ref(map, key, &guard, how), key, &guard);
}

static enum cmap_status run_get_or_insert_ref(struct cmap *map,
                                              struct cmap_key key,
                                              const struct cmap_how *how)
{
  struct cmap_read_guard guard = CMAP_INIT;
  enum cmap_event event = NO_EVENT;
  uint64_t value = calls_value(key);
  enum cmap_status status =
      cmap_get_or_insert_ref(map, key, &value, &guard, &event, how);

  CHECK(status == CMAP_OK ? event == CMAP_FOUND || event == CMAP_INSERTED
                          : event == NO_EVENT);
  return check_ref(status, key, &guard);
}

enum cmap_status run_get_mut(struct cmap *map, struct cmap_key key,
                             const struct cmap_how *how)
{
  struct cmap_write_guard guard = CMAP_INIT;
  enum cmap_status status = cmap_get_mut(map, key, &guard, how);

  if (status == CMAP_OK) {
    uint64_t value = calls_value(key);
    CHECK(same_key(guard.key, key));
    memcpy(guard.value, &value, sizeof value);
    cmap_write_guard_release(&guard);
  }
  check_none(guard.key, guard.value, guard.internal);
  return status;
}

enum cmap_status run_guard_remove(struct cmap *map, struct cmap_key key,
                                  const struct cmap_how *how)
{
  struct cmap_write_guard guard = CMAP_INIT;
  uint64_t old = UNSET;
  enum cmap_status status = cmap_get_mut(map, key, &guard, how);

  if (status == CMAP_OK) {
    CHECK_OK(cmap_write_guard_remove(&guard, &old));
    CHECK(old == calls_value(key));
  }
  check_none(guard.key, guard.value, guard.internal);
  return status;
}

enum cmap_status run_entry(struct cmap *map, struct cmap_key key,
                           const struct cmap_how *how)
{
  struct cmap_entry entry = CMAP_INIT;
  uint64_t value = calls_value(key);
  enum cmap_status status = cmap_entry_begin(map, key, &entry, how);

  if (status == CMAP_OK) {
    CHECK(same_key(entry.key, key));
    CHECK_OK(cmap_entry_or_insert(&entry, &value));
    CHECK(entry.value != NULL);
    memcpy(entry.value, &value, sizeof value);
    cmap_entry_release(&entry);
  }
  check_none(entry.key, entry.value, entry.internal);
  return status;
}

enum cmap_status run_entry_remove(struct cmap *map, struct cmap_key key,
                                  const struct cmap_how *how)
{
  struct cmap_entry entry = CMAP_INIT;
  uint64_t old = UNSET;
  enum cmap_status status = cmap_entry_begin(map, key, &entry, how);

  if (status == CMAP_OK) {
    status = cmap_entry_remove(&entry, &old);
    CHECK(old == (status == CMAP_OK ? calls_value(key) : UNSET));
    CHECK(entry.value == NULL);
    cmap_entry_release(&entry);
  }
  check_none(entry.key, entry.value, entry.internal);
  return status;
}

/* The key twice, so that the second one follows the first. */
static enum cmap_status lock_many(struct cmap *map, struct cmap_key key,
                                  enum cmap_mode mode,
                                  const struct cmap_how *how)
{
  struct cmap_want wants[2] = {{map, key, mode, NO_STATUS},
                               {map, key, mode, NO_STATUS}};
  struct cmap_multi held = CMAP_INIT;
  uint64_t value = calls_value(key);
  enum cmap_status status = cmap_lock_many(wants, 2, &held, how);

  if (status == CMAP_EINVAL)
    CHECK(wants[0].status == NO_STATUS && wants[1].status == NO_STATUS);
  else if (status != CMAP_ENOMEM)
    CHECK(wants[0].status == status || wants[1].status == status);
  if (status == CMAP_OK) {
    CHECK(held.count == 2);
    CHECK(cmap_multi_value(&held, 0) == cmap_multi_value(&held, 1));
    if (mode == CMAP_ENTRY)
      CHECK_OK(cmap_entry_or_insert(cmap_multi_entry(&held, 0), &value));
    CHECK(number_at(cmap_multi_value(&held, 1)) == value ||
          mode == CMAP_WRITE || mode == CMAP_ENTRY);
    if (mode != CMAP_READ)
      memcpy(cmap_multi_value(&held, 1), &value, sizeof value);
    cmap_multi_release(&held);
  }
  CHECK(held.count == 0 && held.internal[0] == 0 && held.internal[1] == 0);
  return status;
}

static enum cmap_status run_lock_many_read(struct cmap *map,
                                           struct cmap_key key,
                                           const struct cmap_how *how)
{
  return lock_many(map, key, CMAP_READ, how);
}

enum cmap_status run_lock_many_write(struct cmap *map, struct cmap_key key,
                                     const struct cmap_how *how)
{
  return lock_many(map, key, CMAP_WRITE, how);
}

enum cmap_status run_lock_many_entry(struct cmap *map, struct cmap_key key,
                                     const struct cmap_how *how)
{
  return lock_many(map, key, CMAP_ENTRY, how);
}

enum cmap_status run_lock_keys(struct cmap *map, struct cmap_key key,
                               const struct cmap_how *how)
{
  const struct cmap_key slices[2] = {key, key};
  struct cmap_options options = {.size = sizeof options};
  struct cmap_multi held = CMAP_INIT;
  uint64_t keys[2], value = calls_value(key);
  enum cmap_status status;

  if (key.data == NULL || key.size != sizeof *keys)
    return CMAP_EINVAL; /* an array has none of those */
  keys[0] = keys[1] = cmap_key_as_u64(key);
  if (map != NULL)
    CHECK_OK(cmap_get_options(map, &options));
  if (options.key_kind == CMAP_BYTES)
    status = cmap_lock_keys(map, slices, 2, CMAP_WRITE, &held, how);
  else
    status = cmap_lock_keys(map, keys, 2, CMAP_WRITE, &held, how);
  if (status == CMAP_OK) {
    CHECK(cmap_multi_value(&held, 0) == cmap_multi_value(&held, 1));
    memcpy(cmap_multi_value(&held, 1), &value, sizeof value);
    cmap_multi_release(&held);
  }
  CHECK(held.count == 0 && held.internal[0] == 0 && held.internal[1] == 0);
  return status;
}

/* To itself: the value of a key must be its own. */
enum cmap_status run_rename(struct cmap *map, struct cmap_key key,
                            const struct cmap_how *how)
{
  return cmap_rename(map, key, key, how);
}

enum cmap_status run_swap_values(struct cmap *map, struct cmap_key key,
                                 const struct cmap_how *how)
{
  return cmap_swap_values(map, key, key, how);
}

const struct call ref_calls[] = {
    {"get_ref", CALL_KEYED, CMAP_OK, CMAP_NOT_FOUND, run_get_ref},
    {"get_or_insert_ref", CALL_KEYED | CALL_MAY_ADD, CMAP_OK, CMAP_OK,
     run_get_or_insert_ref},
    {"lock_many to read", CALL_KEYED, CMAP_OK, CMAP_NOT_FOUND,
     run_lock_many_read},
};
const size_t ref_calls_count = sizeof ref_calls / sizeof *ref_calls;
