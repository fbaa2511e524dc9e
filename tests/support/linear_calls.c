#include "linear.h"

#include <sched.h>
#include <string.h>

#include "checks.h"
#include "settings.h"

static enum cmap_status toggle(struct cmap_key key, const void *old,
                               void *fresh, enum cmap_action *action, void *ctx)
{
  struct linear_call *call = ctx;

  (void)key;
  if (old != NULL)
    memcpy(&call->out, old, sizeof call->out);
  else
    memcpy(fresh, &call->value, sizeof call->value);
  *action = old != NULL ? CMAP_REMOVE : CMAP_PUT;
  return CMAP_OK;
}

static void look_twice(struct cmap *map, struct cmap_key key,
                       struct linear_call *call)
{
  struct cmap_read_guard guard = CMAP_INIT;

  call->status = cmap_get_ref(map, key, &guard, NULL);
  if (call->status == CMAP_OK) {
    uint64_t again;
    memcpy(&call->out, guard.value, sizeof call->out);
    sched_yield();
    memcpy(&again, guard.value, sizeof again);
    CHECK(again == call->out);
  }
  cmap_read_guard_release(&guard);
}

static enum cmap_status one_more(struct cmap_key key, void *value, void *ctx)
{
  uint64_t now;

  (void)key;
  (void)ctx;
  memcpy(&now, value, sizeof now);
  now++;
  memcpy(value, &now, sizeof now);
  return CMAP_OK;
}

static void by_entry(struct cmap *map, struct cmap_key key,
                     struct linear_call *call)
{
  struct cmap_entry entry = CMAP_INIT;

  call->status = cmap_entry_begin(map, key, &entry, NULL);
  if (call->status == CMAP_OK) {
    (void)cmap_entry_and_modify(&entry, one_more, NULL);
    call->status = cmap_entry_or_insert(
        cmap_entry_and_modify(&entry, one_more, NULL), &call->value);
    memcpy(&call->out, entry.value, sizeof call->out);
  }
  cmap_entry_release(&entry);
}

static void call_one(struct cmap *map, struct cmap_key key,
                     struct linear_call *call)
{
  enum cmap_event event = CMAP_FOUND;
  uint64_t value = call->value, expected = call->expected;
  uint64_t *out = &call->out;

  switch (call->kind) {
  case LINEAR_INSERT:
    call->status = cmap_insert(map, key, &value, out, &event, NULL);
    CHECK((event == CMAP_UPDATED) == (*out != LINEAR_NONE));
    break;
  case LINEAR_INSERT_NEW:
    call->status = cmap_insert_new(map, key, &value, out, NULL);
    break;
  case LINEAR_GET_OR_INSERT:
    *out = value;
    call->status = cmap_get_or_insert(map, key, out, &event, NULL);
    break;
  case LINEAR_GET:
    call->status = cmap_get(map, key, out, NULL);
    break;
  case LINEAR_CONTAINS:
    call->status = cmap_contains(map, key, NULL);
    break;
  case LINEAR_REMOVE:
    call->status = cmap_remove(map, key, out, NULL);
    break;
  case LINEAR_COMPARE_EXCHANGE:
    call->status = cmap_compare_exchange(map, key, &expected, &value, NULL);
    break;
  case LINEAR_FETCH_ADD:
    call->status = cmap_fetch_add(map, key, value, out, NULL);
    break;
  case LINEAR_COMPUTE:
    call->status = cmap_compute(map, key, NULL, NULL, toggle, call, NULL);
    break;
  case LINEAR_GUARD:
    look_twice(map, key, call);
    break;
  case LINEAR_ENTRY:
    by_entry(map, key, call);
    break;
  default:
    call->status = cmap_swap(map, key, &value, &event, NULL);
    *out = event == CMAP_UPDATED ? value : LINEAR_NONE;
    break;
  }
}

static void read_both(struct cmap_want *wants, struct linear_call *call)
{
  struct cmap_multi held = CMAP_INIT;
  uint64_t *outs[LINEAR_KEYS] = {&call->out, &call->other};

  call->status = cmap_lock_many(wants, LINEAR_KEYS, &held, NULL);
  for (unsigned i = 0; i < LINEAR_KEYS; i++) {
    if (call->status == CMAP_OK)
      memcpy(outs[i], cmap_multi_value(&held, i), sizeof *outs[i]);
    else if (wants[i].status == CMAP_OK)
      *outs[i] = 0;
  }
  cmap_multi_release(&held);
}

static void hand_on(struct cmap_want *wants, struct linear_call *call)
{
  struct cmap_multi held = CMAP_INIT;
  struct cmap_entry *a, *b;

  call->status = cmap_lock_many(wants, LINEAR_KEYS, &held, NULL);
  if (CHECK_OK(call->status) == CMAP_OK) {
    a = cmap_multi_entry(&held, 0);
    b = cmap_multi_entry(&held, 1);
    if (b->value != NULL)
      memcpy(&call->other, b->value, sizeof call->other);
    if (a->value != NULL) {
      CHECK_OK(cmap_entry_remove(a, &call->out));
      CHECK_OK(cmap_entry_insert(b, &call->out, NULL));
    } else {
      CHECK_OK(cmap_entry_insert(a, &call->value, NULL));
    }
  }
  cmap_multi_release(&held);
}

static bool same_key(struct cmap_key a, struct cmap_key b)
{
  return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static void copy_all(struct cmap *map, struct cmap_key first,
                     struct cmap_key second, struct linear_call *call)
{
  struct cmap_snapshot *snapshot = NULL;

  call->status =
      cmap_snapshot_create(map, CMAP_KEYS_AND_VALUES, &snapshot, NULL);
  for (size_t i = 0; i < cmap_snapshot_count(snapshot); i++) {
    struct cmap_key key = cmap_snapshot_key(snapshot, i);
    uint64_t *out = same_key(key, first)    ? &call->out
                    : same_key(key, second) ? &call->other
                                            : NULL;
    if (out != NULL)
      memcpy(out, cmap_snapshot_value(snapshot, i), sizeof *out);
  }
  cmap_snapshot_destroy(snapshot);
}

static void call_both(struct cmap *map, struct cmap_key first,
                      struct cmap_key second, struct linear_call *call)
{
  enum cmap_mode mode = call->kind == LINEAR_HAND_ON ? CMAP_ENTRY : CMAP_READ;
  struct cmap_want wants[LINEAR_KEYS] = {{map, first, mode, CMAP_OK},
                                         {map, second, mode, CMAP_OK}};

  switch (call->kind) {
  case LINEAR_RENAME:
    call->status = cmap_rename(map, first, second, NULL);
    break;
  case LINEAR_SWAP_VALUES:
    call->status = cmap_swap_values(map, first, second, NULL);
    break;
  case LINEAR_READ_BOTH:
    read_both(wants, call);
    break;
  case LINEAR_HAND_ON:
    hand_on(wants, call);
    break;
  default:
    copy_all(map, first, second, call);
    break;
  }
}

/* Two calls of a batch. */
static void call_batch(struct cmap *map, const struct cmap_key *keys,
                       struct linear_call *calls)
{
  uint64_t values[LINEAR_KEYS] = {LINEAR_NONE, LINEAR_NONE};
  enum cmap_status statuses[LINEAR_KEYS], status;

  switch (calls[0].kind) {
  case LINEAR_GET_MANY:
    status =
        cmap_get_many(map, keys, NULL, LINEAR_KEYS, values, statuses, NULL);
    break;
  case LINEAR_CONTAINS_MANY:
    status = cmap_contains_many(map, keys, NULL, LINEAR_KEYS, statuses, NULL);
    break;
  case LINEAR_INSERT_MANY:
    for (unsigned i = 0; i < LINEAR_KEYS; i++)
      values[i] = calls[i].value;
    status =
        cmap_insert_many(map, keys, NULL, LINEAR_KEYS, values, statuses, NULL);
    values[0] = values[1] = LINEAR_NONE;
    break;
  case LINEAR_FETCH_ADD_MANY: {
    uint64_t operands[LINEAR_KEYS];
    for (unsigned i = 0; i < LINEAR_KEYS; i++)
      operands[i] = calls[i].value;
    status = cmap_fetch_add_many(map, keys, NULL, LINEAR_KEYS, operands, values,
                                 statuses, NULL);
    break;
  }
  default:
    status =
        cmap_remove_many(map, keys, NULL, LINEAR_KEYS, values, statuses, NULL);
    break;
  }
  for (unsigned i = 0; i < LINEAR_KEYS; i++) {
    calls[i].status = statuses[i];
    calls[i].out = values[i];
  }
  CHECK(status == (statuses[0] != CMAP_OK ? statuses[0] : statuses[1]));
}

unsigned linear_make(struct cmap *map, const struct cmap_key *keys,
                     struct linear_call *call, bool has_room)
{
  const struct cmap_key mine[LINEAR_KEYS] = {keys[call->key], keys[!call->key]};

  if (call->kind >= LINEAR_GET_MANY && !has_room)
    call->kind = LINEAR_GET;
  if (call->kind >= LINEAR_GET_MANY) {
    call[1] = call[0];
    call[1].key = !call->key;
    call[0].begin = call[1].begin = test_now();
    call_batch(map, mine, call);
    call[0].end = call[1].end = test_now();
    return 2;
  }
  call->begin = test_now();
  if (call->kind >= LINEAR_RENAME)
    call_both(map, mine[0], mine[1], call);
  else
    call_one(map, mine[0], call);
  call->end = test_now();
  return 1;
}
