/* Several keys at once; operations_guards.h says the rest. */
#include "operations_guards.h"

#define MOST_WANTS 8
#define NO_STATUS  ((enum cmap_status)9999)

struct wanted {
  struct key_room key;
  uint64_t id;
  enum cmap_mode strongest; /* of all wants of the key */
};

/* Some keys, of which some are the same, in all modes. */
static void make_wants(struct op *op, uint64_t id, size_t n,
                       struct cmap_want *wants, struct wanted *wanted)
{
  for (size_t i = 0; i < n; i++) {
    struct wanted *w = &wanted[i];
    w->id = i == 0 ? id : random_below(op->random, op->oracle->universe);
    if (i > 0 && random_once_in(op->random, 3)) {
      w->id = wanted[random_below(op->random, i)].id;
    }
    wants[i].map = op->m->map;
    wants[i].key = key_make(&op->m->spec, w->id, &w->key);
    wants[i].mode = (enum cmap_mode)(1 + random_below(op->random, 3));
    wants[i].status = NO_STATUS;
  }
  for (size_t i = 0; i < n; i++) {
    wanted[i].strongest = wants[i].mode;
    for (size_t j = 0; j < n; j++) {
      if (wanted[j].id == wanted[i].id && wants[j].mode > wanted[i].strongest) {
        wanted[i].strongest = wants[j].mode;
      }
    }
  }
}

/* What must come of a want. */
static enum cmap_status foretell(struct op *op, const struct wanted *w)
{
  return w->strongest != CMAP_ENTRY && !oracle_has(op->oracle, w->id)
             ? CMAP_NOT_FOUND
             : CMAP_OK;
}

static void check_values(struct op *op, const struct cmap_multi *held, size_t n,
                         const struct wanted *wanted)
{
  CHECK(held->count == n);
  for (size_t i = 0; i < n; i++) {
    const struct wanted *w = &wanted[i];
    const void *value = cmap_multi_value(held, i);
    const struct cmap_entry *entry = cmap_multi_entry(held, i);
    CHECK((value != NULL) == oracle_has(op->oracle, w->id));
    CHECK(value == NULL ||
          value_is(op->m, w->id, oracle_version(op->oracle, w->id), value));
    CHECK((entry != NULL) == (w->strongest != CMAP_READ));
    if (entry != NULL) {
      CHECK(entry->value == value);
      CHECK(key_id(&op->m->spec, entry->key) == w->id);
      key_check_stored(&op->m->spec, entry->key);
    }
  }
  CHECK(cmap_multi_value(held, n) == NULL);
  CHECK(cmap_multi_entry(held, n) == NULL);
}

/* Changes what want i may change. */
static void change(struct op *op, struct cmap_multi *held, size_t i,
                   const struct wanted *w, uint64_t version)
{
  struct cmap_entry *entry = cmap_multi_entry(held, i);
  struct value_room value;
  enum cmap_status status;

  if (w->strongest == CMAP_READ || entry == NULL) {
    return;
  }
  if (w->strongest == CMAP_WRITE) {
    value_change(op->m, w->id, version, cmap_multi_value(held, i));
    oracle_put(op->oracle, w->id, version);
  } else if (entry->value == NULL || random_once_in(op->random, 2)) {
    value_make(op->m, w->id, version, value.bytes);
    status = cmap_entry_insert(entry, value.bytes, NULL);
    if (status == CMAP_OK) {
      oracle_put(op->oracle, w->id, version);
    } else {
      CHECK_STATUS(status, CMAP_ENOMEM);
      CHECK(entry->value != NULL && op->m->spec.care != VALUES_PLAIN);
      value_drop(op->m, value.bytes);
    }
  } else {
    status = cmap_entry_remove(entry, NULL);
    if (status == CMAP_OK) {
      oracle_remove(op->oracle, w->id);
    } else {
      CHECK_STATUS(status, CMAP_ENOMEM);
      CHECK(op->m->spec.care != VALUES_PLAIN);
    }
  }
}

enum cmap_status op_lock_many(struct op *op, uint64_t id, uint64_t version)
{
  size_t n = 1 + (size_t)random_below(op->random, MOST_WANTS);
  struct wanted wanted[MOST_WANTS];
  struct cmap_want wants[MOST_WANTS];
  struct cmap_multi held = CMAP_INIT;
  enum cmap_status expected = CMAP_OK;
  enum cmap_status status;
  struct op_room room;
  size_t failed = 0;

  op_prepare(op, id, &room);
  make_wants(op, id, n, wants, wanted);
  for (size_t i = 0; i < n && expected == CMAP_OK; i++) {
    expected = foretell(op, &wanted[i]);
  }
  status = cmap_lock_many(wants, n, &held, room.how);
  if (op_settled(op, &room, status, expected)) {
    for (size_t i = 0; i < n; i++) {
      CHECK_STATUS(wants[i].status, foretell(op, &wanted[i]));
    }
  } else {
    for (size_t i = 0; i < n; i++) {
      failed += wants[i].status == CMAP_ENOMEM;
    }
    CHECK(failed <= 1);
  }
  if (status == CMAP_OK) {
    check_values(op, &held, n, wanted);
    for (size_t i = 0; i < n; i++) {
      change(op, &held, i, &wanted[i], version + i);
    }
    check_values(op, &held, n, wanted);
    cmap_multi_release(&held);
  }
  CHECK(held.count == 0 && held.internal[0] == 0 && held.internal[1] == 0);
  return status;
}

/* Takes away the entry of `id`, which has the value of `of`. */
static void take_moved(struct op *op, struct op_room *room, uint64_t id,
                       uint64_t of, uint64_t version)
{
  struct cmap_write_guard guard = CMAP_INIT;
  struct key_room bytes;

  CHECK_OK(cmap_get_mut(op->m->map, key_make(&op->m->spec, id, &bytes), &guard,
                        NULL));
  CHECK(key_id(&op->m->spec, guard.key) == id);
  key_check_stored(&op->m->spec, guard.key);
  CHECK_OK(cmap_write_guard_remove(&guard, room->out.bytes));
  op_came_out(op, room, of, version);
}

/* What has moved is taken away: values know the id of their key. */
enum cmap_status op_rename(struct op *op, uint64_t id, uint64_t version)
{
  uint64_t other = random_below(op->random, op->oracle->universe);
  enum cmap_status expected = CMAP_OK;
  struct key_room bytes;
  struct op_room room;
  enum cmap_status status;

  (void)version;
  op_prepare(op, id, &room);
  if (random_once_in(op->random, 8)) {
    other = id;
  }
  if (!room.present) {
    expected = CMAP_NOT_FOUND;
  } else if (other != id && oracle_has(op->oracle, other)) {
    expected = CMAP_EXISTS;
  }
  status = cmap_rename(op->m->map, room.key,
                       key_make(&op->m->spec, other, &bytes), room.how);
  if (op_settled(op, &room, status, expected) && status == CMAP_OK &&
      other != id) {
    CHECK_STATUS(cmap_contains(op->m->map, room.key, NULL), CMAP_NOT_FOUND);
    take_moved(op, &room, other, id, room.was);
    oracle_remove(op->oracle, id);
  }
  return status;
}

/* Swaps there and back. */
enum cmap_status op_swap_values(struct op *op, uint64_t id, uint64_t version)
{
  uint64_t other = random_below(op->random, op->oracle->universe);
  uint64_t others = oracle_version(op->oracle, other);
  struct cmap_read_guard guard = CMAP_INIT;
  struct key_room bytes;
  struct cmap_key key = key_make(&op->m->spec, other, &bytes);
  struct op_room room;
  enum cmap_status status;
  int tries = 0;

  (void)version;
  op_prepare(op, id, &room);
  status = cmap_swap_values(op->m->map, room.key, key, room.how);
  if (!op_settled(op, &room, status,
                  room.present && oracle_has(op->oracle, other)
                      ? CMAP_OK
                      : CMAP_NOT_FOUND) ||
      status != CMAP_OK) {
    return status;
  }
  CHECK_OK(cmap_get_ref(op->m->map, room.key, &guard, NULL));
  CHECK(key_id(&op->m->spec, guard.key) == id);
  CHECK(value_is(op->m, other, others, guard.value));
  cmap_read_guard_release(&guard);
  CHECK_OK(cmap_get_ref(op->m->map, key, &guard, NULL));
  CHECK(key_id(&op->m->spec, guard.key) == other);
  CHECK(value_is(op->m, id, room.was, guard.value));
  cmap_read_guard_release(&guard);
  do {
    status = cmap_swap_values(op->m->map, key, room.key, NULL);
  } while (status == CMAP_ENOMEM && tries++ < 100);
  CHECK_STATUS(status, CMAP_OK);
  return status;
}
