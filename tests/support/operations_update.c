/* The operations that read, modify and write; operations.h says the rest. */
#include "operations.h"

#include <string.h>

/* Have the values of two versions the same bytes? */
static bool same_value(struct op *op, uint64_t id, uint64_t one, uint64_t other)
{
  struct value_room room;

  if (one == other || op->m->spec.value_size == 0) {
    return true;
  }
  if (op->m->spec.care != VALUES_PLAIN) {
    return false;
  }
  value_make(op->m, id, one, room.bytes);
  return value_is(op->m, id, other, room.bytes);
}

enum cmap_status op_compare_exchange(struct op *op, uint64_t id,
                                     uint64_t version)
{
  struct value_room wanted;
  struct op_room room;
  enum cmap_status expected = CMAP_NOT_FOUND;
  enum cmap_status status;
  uint64_t guess = version + 1;

  op_prepare(op, id, &room);
  if (room.present) {
    guess = random_once_in(op->random, 3) ? version + 1 : room.was;
    expected = same_value(op, id, guess, room.was) ? CMAP_OK : CMAP_MISMATCH;
  }
  value_make(op->m, id, guess, wanted.bytes);
  value_make(op->m, id, version, room.value.bytes);
  status = cmap_compare_exchange(op->m->map, room.key, wanted.bytes,
                                 room.value.bytes, room.how);
  value_drop(op->m, wanted.bytes);
  if (op_settled(op, &room, status, expected) && status == CMAP_OK) {
    oracle_put(op->oracle, id, version);
  } else {
    value_drop(op->m, room.value.bytes);
  }
  return status;
}

struct tester {
  struct op *op;
  uint64_t id;
  uint64_t was;
  uint64_t fresh; /* what the test changes the value to, if it says false */
  size_t calls;
  bool answer;
};

static bool test_value(struct cmap_key key, void *value, void *ctx)
{
  struct tester *tester = ctx;

  tester->calls++;
  CHECK(key_id(&tester->op->m->spec, key) == tester->id);
  CHECK(value_is(tester->op->m, tester->id, tester->was, value));
  if (!tester->answer) {
    value_change(tester->op->m, tester->id, tester->fresh, value);
  }
  return tester->answer;
}

enum cmap_status op_replace_if(struct op *op, uint64_t id, uint64_t version)
{
  struct tester tester = {.op = op, .id = id, .fresh = version + 1};
  struct op_room room;
  enum cmap_status expected;
  enum cmap_status status;
  bool out;

  op_prepare(op, id, &room);
  tester.was = room.was;
  tester.answer = random_once_in(op->random, 2);
  out = version % 2;
  value_make(op->m, id, version, room.value.bytes);
  expected = !room.present   ? CMAP_NOT_FOUND
             : tester.answer ? CMAP_OK
                             : CMAP_MISMATCH;
  status =
      cmap_replace_if(op->m->map, room.key, test_value, &tester,
                      room.value.bytes, out ? room.out.bytes : NULL, room.how);
  CHECK(tester.calls <= room.present);
  if (tester.calls && !tester.answer) {
    oracle_put(op->oracle, id, tester.fresh);
  }
  if (op_settled(op, &room, status, expected)) {
    CHECK(tester.calls == room.present);
  }
  if (status == CMAP_OK) {
    oracle_put(op->oracle, id, version);
    if (out) {
      op_came_out(op, &room, id, room.was);
    }
  } else {
    value_drop(op->m, room.value.bytes);
  }
  return status;
}

enum cmap_status op_swap(struct op *op, uint64_t id, uint64_t version)
{
  struct op_room room;
  enum cmap_status status;

  op_prepare(op, id, &room);
  value_make(op->m, id, version, room.out.bytes);
  status =
      cmap_swap(op->m->map, room.key, room.out.bytes, &room.event, room.how);
  if (status != CMAP_OK) {
    CHECK(value_is(op->m, id, version, room.out.bytes));
    value_drop(op->m, room.out.bytes);
    value_mark(op->m, &room.out);
    op_settled(op, &room, status, CMAP_OK);
    return status;
  }
  CHECK(room.event == (room.present ? CMAP_UPDATED : CMAP_INSERTED));
  if (room.present) {
    op_came_out(op, &room, id, room.was);
  } else {
    CHECK(value_is(op->m, id, version, room.out.bytes));
  }
  oracle_put(op->oracle, id, version);
  return status;
}

struct computer {
  struct op *op;
  uint64_t id;
  uint64_t version;
  size_t calls;
  bool present;
  uint64_t was;
  unsigned action; /* enum cmap_action, or 3: a status */
};

static void check_fresh(const struct computer *computer, const void *old,
                        const unsigned char *fresh)
{
  const struct map_spec *spec = &computer->op->m->spec;
  bool copied = old && spec->care == VALUES_PLAIN;

  if (copied) {
    CHECK(value_is(computer->op->m, computer->id, computer->was, fresh));
    return;
  }
  for (size_t i = 0; i < spec->value_size; i++) {
    if (fresh[i] != 0) {
      CHECK_NEVER("fresh does not start zeroed");
      break;
    }
  }
}

static enum cmap_status compute_value(struct cmap_key key, const void *old,
                                      void *fresh, enum cmap_action *action,
                                      void *ctx)
{
  struct computer *computer = ctx;
  struct op *op = computer->op;

  computer->calls++;
  CHECK(key_id(&op->m->spec, key) == computer->id);
  CHECK((old != NULL) == computer->present);
  if (old) {
    CHECK(value_is(op->m, computer->id, computer->was, old));
  }
  CHECK(*action == CMAP_KEEP);
  check_fresh(computer, old, fresh);
  if (computer->action > CMAP_REMOVE) {
    *action = CMAP_REMOVE; /* must not matter */
    return (enum cmap_status)USER_STATUS;
  }
  if (computer->action == CMAP_PUT) {
    value_make(op->m, computer->id, computer->version, fresh);
  }
  *action = (enum cmap_action)computer->action;
  return CMAP_OK;
}

static void computed(struct op *op, struct op_room *room,
                     const struct computer *computer, bool out)
{
  static const enum cmap_event events[] = {CMAP_FOUND, CMAP_UPDATED,
                                           CMAP_REMOVED};
  uint64_t id = computer->id;

  if (computer->action == CMAP_PUT) {
    CHECK(room->event == (room->present ? CMAP_UPDATED : CMAP_INSERTED));
    oracle_put(op->oracle, id, computer->version);
  } else {
    CHECK(room->event == events[computer->action]);
  }
  if (out) {
    op_came_out(op, room, id, oracle_version(op->oracle, id));
  }
  if (computer->action == CMAP_REMOVE) {
    oracle_remove(op->oracle, id);
  }
}

enum cmap_status op_compute(struct op *op, uint64_t id, uint64_t version)
{
  struct computer computer = {.op = op, .id = id, .version = version};
  struct op_room room;
  enum cmap_status expected = CMAP_OK;
  enum cmap_status status;
  bool out;

  op_prepare(op, id, &room);
  computer.present = room.present;
  computer.was = room.was;
  computer.action = (unsigned)random_below(op->random, 4);
  out = version % 2 && op->m->spec.care != VALUES_UNCOPYABLE;
  if (computer.action > CMAP_REMOVE) {
    expected = (enum cmap_status)USER_STATUS;
  } else if (computer.action != CMAP_PUT && !room.present) {
    expected = CMAP_NOT_FOUND;
  }
  status = cmap_compute(op->m->map, room.key, out ? room.out.bytes : NULL,
                        &room.event, compute_value, &computer, room.how);
  CHECK(computer.calls <= 1);
  if (op_settled(op, &room, status, expected)) {
    CHECK(computer.calls == 1);
    if (status == CMAP_OK) {
      computed(op, &room, &computer, out);
    }
  }
  return status;
}

static enum cmap_status alter_value(struct cmap_key key, void *value, void *ctx)
{
  struct tester *tester = ctx;
  struct op *op = tester->op;

  tester->calls++;
  CHECK(key_id(&op->m->spec, key) == tester->id);
  key_check_stored(&op->m->spec, key);
  CHECK(value_is(op->m, tester->id, tester->was, value));
  value_change(op->m, tester->id, tester->fresh, value);
  return tester->answer ? CMAP_OK : (enum cmap_status)USER_STATUS;
}

enum cmap_status op_alter(struct op *op, uint64_t id, uint64_t version)
{
  struct tester tester = {.op = op, .id = id, .fresh = version};
  struct op_room room;
  enum cmap_status expected;
  enum cmap_status status;

  op_prepare(op, id, &room);
  tester.was = room.was;
  tester.answer = !random_once_in(op->random, 3);
  expected = !room.present   ? CMAP_NOT_FOUND
             : tester.answer ? CMAP_OK
                             : (enum cmap_status)USER_STATUS;
  status = cmap_alter(op->m->map, room.key, alter_value, &tester, room.how);
  if (tester.calls) {
    oracle_put(op->oracle, id, version);
  }
  if (op_settled(op, &room, status, expected)) {
    CHECK(tester.calls == room.present);
  }
  return status;
}

/* A value of 4 or 8 bytes as the integer that it is to cmap_fetch_add. */
bool op_counts(const struct op *op)
{
  const struct map_spec *spec = &op->m->spec;

  return spec->care == VALUES_PLAIN &&
         (spec->value_size == 4 || spec->value_size == 8);
}

uint64_t op_as_integer(struct op *op, uint64_t id, uint64_t version)
{
  struct value_room room;
  uint32_t small;
  uint64_t large;

  value_make(op->m, id, version, room.bytes);
  memcpy(&small, room.bytes, sizeof small);
  memcpy(&large, room.bytes, sizeof large);
  return op->m->spec.value_size == sizeof small ? small : large;
}

enum cmap_status op_fetch_add(struct op *op, uint64_t id, uint64_t version)
{
  bool counts = op_counts(op);
  struct op_room room;
  enum cmap_status status;
  uint64_t before = 17;
  uint64_t was = 0;
  uint64_t operand = 1;

  op_prepare(op, id, &room);
  if (counts) {
    was = room.present ? op_as_integer(op, id, room.was) : 0;
    operand = op_as_integer(op, id, version) - was;
  }
  status = cmap_fetch_add(op->m->map, room.key, operand, &before, room.how);
  if (op_settled(op, &room, status, counts ? CMAP_OK : CMAP_ENOTSUP) &&
      status == CMAP_OK) {
    CHECK(before == was);
    oracle_put(op->oracle, id, version);
  } else {
    CHECK(before == 17);
  }
  return status;
}
