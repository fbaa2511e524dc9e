/* Guards and add_or_update; operations_guards.h says the rest. */
#include "operations_guards.h"

const struct operation guard_operations[] = {
    {"get_ref", op_get_ref, 1},
    {"get_mut", op_get_mut, 1},
    {"get_or_insert_ref", op_get_or_insert_ref, 1},
    {"write_guard_remove", op_guard_remove, 1},
    {"add_or_update", op_add_or_update, 1},
    {"add_or_update_unlocked", op_add_or_update_unlocked, 1},
    {"entry", op_entry, 3},
    {"lock_many", op_lock_many, 3},
    {"rename", op_rename, 2},
    {"swap_values", op_swap_values, 1},
    {"iter", op_iter, 2},
    {"scan", op_scan, 1},
    {"for_each", op_for_each, 1},
    {"pop", op_pop, 2},
};
const size_t guard_operations_count =
    sizeof guard_operations / sizeof *guard_operations;

void op_check_shown(struct op *op, uint64_t id, uint64_t version,
                    struct cmap_key key, const void *value)
{
  CHECK(key_id(&op->m->spec, key) == id);
  key_check_stored(&op->m->spec, key);
  CHECK(value != NULL);
  CHECK(value_is(op->m, id, version, value));
}

static void check_no_read_guard(const struct cmap_read_guard *guard)
{
  CHECK(guard->key.data == NULL && guard->key.size == 0);
  CHECK(guard->value == NULL);
  CHECK(guard->internal[0] == 0 && guard->internal[1] == 0);
}

static void check_no_write_guard(const struct cmap_write_guard *guard)
{
  CHECK(guard->key.data == NULL && guard->key.size == 0);
  CHECK(guard->value == NULL);
  CHECK(guard->internal[0] == 0 && guard->internal[1] == 0);
}

enum cmap_status op_get_ref(struct op *op, uint64_t id, uint64_t version)
{
  struct cmap_read_guard guard = CMAP_INIT;
  struct op_room room;
  enum cmap_status status;

  (void)version;
  op_prepare(op, id, &room);
  status = cmap_get_ref(op->m->map, room.key, &guard, room.how);
  if (op_settled(op, &room, status, room.present ? CMAP_OK : CMAP_NOT_FOUND) &&
      status == CMAP_OK) {
    op_check_shown(op, id, room.was, guard.key, guard.value);
    cmap_read_guard_release(&guard);
  }
  check_no_read_guard(&guard);
  return status;
}

/* Changes the value in place; may make a read guard of it. */
enum cmap_status op_get_mut(struct op *op, uint64_t id, uint64_t version)
{
  struct cmap_write_guard guard = CMAP_INIT;
  struct cmap_read_guard weaker = CMAP_INIT;
  struct op_room room;
  enum cmap_status status;

  op_prepare(op, id, &room);
  status = cmap_get_mut(op->m->map, room.key, &guard, room.how);
  if (op_settled(op, &room, status, room.present ? CMAP_OK : CMAP_NOT_FOUND) &&
      status == CMAP_OK) {
    op_check_shown(op, id, room.was, guard.key, guard.value);
    value_change(op->m, id, version, guard.value);
    oracle_put(op->oracle, id, version);
    if (random_once_in(op->random, 2)) {
      CHECK_OK(cmap_write_guard_downgrade(&guard, &weaker));
      op_check_shown(op, id, version, weaker.key, weaker.value);
    }
  }
  cmap_write_guard_release(&guard);
  cmap_read_guard_release(&weaker);
  check_no_write_guard(&guard);
  check_no_read_guard(&weaker);
  return status;
}

enum cmap_status op_guard_remove(struct op *op, uint64_t id, uint64_t version)
{
  struct cmap_write_guard guard = CMAP_INIT;
  struct op_room room;
  enum cmap_status status;
  bool out;

  op_prepare(op, id, &room);
  out = version % 2;
  status = cmap_get_mut(op->m->map, room.key, &guard, room.how);
  if (op_settled(op, &room, status, room.present ? CMAP_OK : CMAP_NOT_FOUND) &&
      status == CMAP_OK) {
    CHECK_OK(cmap_write_guard_remove(&guard, out ? room.out.bytes : NULL));
    oracle_remove(op->oracle, id);
    if (out) {
      op_came_out(op, &room, id, room.was);
    }
  }
  check_no_write_guard(&guard);
  return status;
}

enum cmap_status op_get_or_insert_ref(struct op *op, uint64_t id,
                                      uint64_t version)
{
  struct cmap_read_guard guard = CMAP_INIT;
  struct op_room room;
  enum cmap_status status;

  op_prepare(op, id, &room);
  value_make(op->m, id, version, room.value.bytes);
  status = cmap_get_or_insert_ref(op->m->map, room.key, room.value.bytes,
                                  &guard, &room.event, room.how);
  if (op_settled(op, &room, status, CMAP_OK)) {
    CHECK(room.event == (room.present ? CMAP_FOUND : CMAP_INSERTED));
    op_check_shown(op, id, room.present ? room.was : version, guard.key,
                   guard.value);
    cmap_read_guard_release(&guard);
  }
  if (room.event == CMAP_INSERTED) {
    oracle_put(op->oracle, id, version);
  } else {
    value_drop(op->m, room.value.bytes);
  }
  check_no_read_guard(&guard);
  return status;
}

/* ------------------------------------------------------------------------
 * add_or_update
 * ------------------------------------------------------------------------ */

struct adder {
  struct op *op;
  uint64_t id;
  uint64_t was;
  uint64_t version;
  unsigned adds;
  unsigned updates;
};

static void check_zeroed(struct op *op, const unsigned char *value)
{
  for (size_t i = 0; i < op->m->spec.value_size; i++) {
    if (value[i] != 0) {
      CHECK_NEVER("the value to be made does not start zeroed");
      break;
    }
  }
}

static enum cmap_status add(struct cmap_key key, void *value, void *ctx)
{
  struct adder *adder = ctx;

  adder->adds++;
  CHECK(key_id(&adder->op->m->spec, key) == adder->id);
  check_zeroed(adder->op, value);
  value_make(adder->op->m, adder->id, adder->version, value);
  return CMAP_OK;
}

static enum cmap_status update(struct cmap_key key, const void *old,
                               void *fresh, void *ctx)
{
  struct adder *adder = ctx;
  struct test_map *m = adder->op->m;

  adder->updates++;
  CHECK(key_id(&m->spec, key) == adder->id);
  CHECK(value_is(m, adder->id, adder->was, old));
  if (m->spec.care == VALUES_PLAIN) {
    CHECK(value_is(m, adder->id, adder->was, fresh));
  } else {
    check_zeroed(adder->op, fresh);
  }
  value_make(m, adder->id, adder->version, fresh);
  return CMAP_OK;
}

static void updated(struct op *op, struct op_room *room,
                    const struct adder *adder, bool out)
{
  CHECK(adder->adds == !room->present && adder->updates == room->present);
  CHECK(room->event == (room->present ? CMAP_UPDATED : CMAP_INSERTED));
  oracle_put(op->oracle, adder->id, adder->version);
  if (out) {
    op_came_out(op, room, adder->id, adder->version);
  }
}

enum cmap_status op_add_or_update(struct op *op, uint64_t id, uint64_t version)
{
  struct adder adder = {.op = op, .id = id, .version = version};
  struct op_room room;
  enum cmap_status status;
  bool out;

  op_prepare(op, id, &room);
  adder.was = room.was;
  out = version % 2 && op->m->spec.care != VALUES_UNCOPYABLE;
  status = cmap_add_or_update(op->m->map, room.key, out ? room.out.bytes : NULL,
                              &room.event, add, update, &adder, room.how);
  CHECK(adder.adds + adder.updates <= 1);
  if (op_settled(op, &room, status, CMAP_OK)) {
    updated(op, &room, &adder, out);
  }
  return status;
}

enum cmap_status op_add_or_update_unlocked(struct op *op, uint64_t id,
                                           uint64_t version)
{
  struct adder adder = {.op = op, .id = id, .version = version};
  struct cmap_attempts attempts = {.max = 3, .adds = 99, .updates = 99};
  bool copies = op->m->spec.care != VALUES_UNCOPYABLE;
  struct op_room room;
  enum cmap_status status;
  bool out;

  op_prepare(op, id, &room);
  adder.was = room.was;
  out = version % 2 && copies;
  status = cmap_add_or_update_unlocked(
      op->m->map, room.key, out ? room.out.bytes : NULL, &room.event, add,
      update, &adder, &attempts, room.how);
  CHECK(attempts.max == 3);
  CHECK(attempts.adds == adder.adds && attempts.updates == adder.updates);
  if (op_settled(op, &room, status, copies ? CMAP_OK : CMAP_ENOTSUP) &&
      copies) {
    updated(op, &room, &adder, out);
  }
  return status;
}
