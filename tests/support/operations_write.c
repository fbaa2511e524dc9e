/* The operations that read, store and remove; operations.h says the rest. */
#include "operations.h"

enum cmap_status op_get(struct op *op, uint64_t id, uint64_t version)
{
  struct op_room room;
  enum cmap_status expected;
  enum cmap_status status;
  bool out;

  op_prepare(op, id, &room);
  out = version % 2 && op->m->spec.care != VALUES_UNCOPYABLE;
  expected = room.present ? CMAP_OK : CMAP_NOT_FOUND;
  CHECK_STATUS(cmap_contains(op->m->map, room.key, room.how), expected);
  status =
      cmap_get(op->m->map, room.key, out ? room.out.bytes : NULL, room.how);
  if (op_settled(op, &room, status, expected) && status == CMAP_OK && out) {
    op_came_out(op, &room, id, room.was);
  }
  return status;
}

enum cmap_status op_insert(struct op *op, uint64_t id, uint64_t version)
{
  struct op_room room;
  enum cmap_status status;
  bool out;

  op_prepare(op, id, &room);
  out = version % 2;
  value_make(op->m, id, version, room.value.bytes);
  status = cmap_insert(op->m->map, room.key, room.value.bytes,
                       out ? room.out.bytes : NULL, &room.event, room.how);
  if (!op_settled(op, &room, status, CMAP_OK)) {
    value_drop(op->m, room.value.bytes);
    return status;
  }
  CHECK(room.event == (room.present ? CMAP_UPDATED : CMAP_INSERTED));
  if (room.present && out) {
    op_came_out(op, &room, id, room.was);
  } else {
    CHECK(value_is_marked(op->m, &room.out));
  }
  oracle_put(op->oracle, id, version);
  return status;
}

enum cmap_status op_insert_new(struct op *op, uint64_t id, uint64_t version)
{
  struct op_room room;
  enum cmap_status status;
  bool out;

  op_prepare(op, id, &room);
  out = version % 2 && op->m->spec.care != VALUES_UNCOPYABLE;
  value_make(op->m, id, version, room.value.bytes);
  status = cmap_insert_new(op->m->map, room.key, room.value.bytes,
                           out ? room.out.bytes : NULL, room.how);
  if (!op_settled(op, &room, status, room.present ? CMAP_EXISTS : CMAP_OK) ||
      status == CMAP_EXISTS) {
    value_drop(op->m, room.value.bytes);
    if (status == CMAP_EXISTS && out) {
      op_came_out(op, &room, id, room.was);
    }
    return status;
  }
  CHECK(value_is_marked(op->m, &room.out));
  oracle_put(op->oracle, id, version);
  return status;
}

/* After a call that found or inserted, and gave the value to room->out. */
static void got_or_inserted(struct op *op, struct op_room *room, uint64_t id,
                            uint64_t version, bool out)
{
  CHECK(room->event == (room->present ? CMAP_FOUND : CMAP_INSERTED));
  if (!room->present) {
    oracle_put(op->oracle, id, version);
  }
  if (out) {
    op_came_out(op, room, id, oracle_version(op->oracle, id));
  }
}

enum cmap_status op_get_or_insert(struct op *op, uint64_t id, uint64_t version)
{
  bool copies = op->m->spec.care != VALUES_UNCOPYABLE;
  struct op_room room;
  enum cmap_status status;

  op_prepare(op, id, &room);
  value_make(op->m, id, version, room.out.bytes);
  status = cmap_get_or_insert(op->m->map, room.key, room.out.bytes, &room.event,
                              room.how);
  if (status != CMAP_OK) {
    CHECK(value_is(op->m, id, version, room.out.bytes));
    value_drop(op->m, room.out.bytes);
    value_mark(op->m, &room.out);
  }
  if (op_settled(op, &room, status, copies ? CMAP_OK : CMAP_ENOTSUP) &&
      status == CMAP_OK) {
    got_or_inserted(op, &room, id, version, true);
  }
  return status;
}

struct maker {
  struct op *op;
  uint64_t id;
  uint64_t version;
  size_t calls;
};

static enum cmap_status make_value(struct cmap_key key, void *value, void *ctx)
{
  struct maker *maker = ctx;
  const unsigned char *bytes = value;

  maker->calls++;
  CHECK(key_id(&maker->op->m->spec, key) == maker->id);
  for (size_t i = 0; i < maker->op->m->spec.value_size; i++) {
    if (bytes[i] != 0) {
      CHECK_NEVER("the value to be made does not start zeroed");
      break;
    }
  }
  value_make(maker->op->m, maker->id, maker->version, value);
  return CMAP_OK;
}

enum cmap_status op_get_or_insert_with(struct op *op, uint64_t id,
                                       uint64_t version)
{
  struct maker maker = {.op = op, .id = id, .version = version};
  struct op_room room;
  enum cmap_status status;
  bool out;

  op_prepare(op, id, &room);
  out = version % 2 && op->m->spec.care != VALUES_UNCOPYABLE;
  status =
      cmap_get_or_insert_with(op->m->map, room.key, out ? room.out.bytes : NULL,
                              &room.event, make_value, &maker, room.how);
  CHECK(maker.calls <= !room.present);
  if (op_settled(op, &room, status, CMAP_OK)) {
    CHECK(maker.calls == !room.present);
    got_or_inserted(op, &room, id, version, out);
  }
  return status;
}

enum cmap_status op_get_or_insert_unlocked(struct op *op, uint64_t id,
                                           uint64_t version)
{
  struct maker maker = {.op = op, .id = id, .version = version};
  struct op_room room;
  enum cmap_status status;
  bool out;

  op_prepare(op, id, &room);
  out = version % 2 && op->m->spec.care != VALUES_UNCOPYABLE;
  status = cmap_get_or_insert_with_unlocked(
      op->m->map, room.key, out ? room.out.bytes : NULL, &room.event,
      make_value, &maker, room.how);
  if (op_settled(op, &room, status, CMAP_OK)) {
    CHECK(maker.calls == !room.present);
    got_or_inserted(op, &room, id, version, out);
  }
  return status;
}

enum cmap_status op_remove(struct op *op, uint64_t id, uint64_t version)
{
  bool plain = op->m->spec.care == VALUES_PLAIN;
  struct op_room room;
  enum cmap_status status;
  bool out;

  op_prepare(op, id, &room);
  out = version % 2;
  status =
      cmap_remove(op->m->map, room.key, out ? room.out.bytes : NULL, room.how);
  CHECK(!plain || status != CMAP_ENOMEM);
  if (op_settled(op, &room, status, room.present ? CMAP_OK : CMAP_NOT_FOUND) &&
      room.present) {
    oracle_remove(op->oracle, id);
    if (out) {
      op_came_out(op, &room, id, room.was);
    }
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
  key_check_stored(&tester->op->m->spec, key);
  CHECK(value_is(tester->op->m, tester->id, tester->was, value));
  if (!tester->answer) {
    value_change(tester->op->m, tester->id, tester->fresh, value);
  }
  return tester->answer;
}

enum cmap_status op_remove_if(struct op *op, uint64_t id, uint64_t version)
{
  struct tester tester = {.op = op, .id = id, .fresh = version};
  struct op_room room;
  enum cmap_status expected;
  enum cmap_status status;
  bool out;

  op_prepare(op, id, &room);
  tester.was = room.was;
  tester.answer = random_once_in(op->random, 2);
  out = version % 2;
  expected = !room.present   ? CMAP_NOT_FOUND
             : tester.answer ? CMAP_OK
                             : CMAP_MISMATCH;
  status = cmap_remove_if(op->m->map, room.key, test_value, &tester,
                          out ? room.out.bytes : NULL, room.how);
  CHECK(tester.calls <= room.present);
  if (tester.calls && !tester.answer) {
    oracle_put(op->oracle, id, version);
  }
  if (op_settled(op, &room, status, expected)) {
    CHECK(tester.calls == room.present);
  }
  if (status == CMAP_OK) {
    oracle_remove(op->oracle, id);
    if (out) {
      op_came_out(op, &room, id, room.was);
    }
  }
  return status;
}

enum cmap_status op_remove_if_equal(struct op *op, uint64_t id,
                                    uint64_t version)
{
  struct op_room room;
  enum cmap_status expected = CMAP_NOT_FOUND;
  enum cmap_status status;
  bool same;

  op_prepare(op, id, &room);
  if (version % 2 && room.present) {
    version = room.was;
  }
  value_make(op->m, id, version, room.value.bytes);
  same = version == room.was || op->m->spec.value_size == 0;
  if (op->m->spec.value_size == 1) {
    struct value_room other;
    value_make(op->m, id, room.was, other.bytes);
    same = other.bytes[0] == room.value.bytes[0];
  }
  if (room.present) {
    expected = same ? CMAP_OK : CMAP_MISMATCH;
  }
  status =
      cmap_remove_if_equal(op->m->map, room.key, room.value.bytes, room.how);
  value_drop(op->m, room.value.bytes);
  if (op_settled(op, &room, status, expected) && status == CMAP_OK) {
    oracle_remove(op->oracle, id);
  }
  return status;
}
