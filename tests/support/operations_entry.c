/* Chains of calls on one entry; operations_guards.h says the rest. */
#include "operations_guards.h"

#include <string.h>

#define USER       ((enum cmap_status)USER_STATUS)
/* Calls in a chain, at the most. */
#define MOST_STEPS 6

/* An entry, and what it must be. */
struct chain {
  struct op *op;
  uint64_t id;
  uint64_t version; /* of the next value */
  struct cmap_entry entry;
  bool held;
  bool present;
  uint64_t was;
  enum cmap_status status; /* of the last step; from callbacks, too */
};

static bool chance(struct chain *c)
{
  return random_once_in(c->op->random, 2);
}

/* The entry now has the version. */
static void stored(struct chain *c, uint64_t version)
{
  c->present = true;
  c->was = version;
  oracle_put(c->op->oracle, c->id, version);
}

static void removed(struct chain *c)
{
  c->present = false;
  oracle_remove(c->op->oracle, c->id);
}

/* Is the status right? CMAP_ENOMEM may come where values or keys own. */
static bool settled(struct chain *c, enum cmap_status expected)
{
  const struct map_spec *spec = &c->op->m->spec;

  if (c->status == CMAP_ENOMEM) {
    CHECK(counting_alloc_failures(&c->op->m->alloc) > 0);
    CHECK(spec->care != VALUES_PLAIN || spec->keys == KEYS_CUSTOM_OWNED);
  } else {
    CHECK_STATUS(c->status, expected);
  }
  return c->status == expected;
}

static void step_or_insert(struct chain *c)
{
  struct test_map *m = c->op->m;
  struct value_room value;

  value_make(m, c->id, c->version, value.bytes);
  c->status = cmap_entry_or_insert(&c->entry, value.bytes);
  /* Room was made when the entry was taken. */
  CHECK_STATUS(c->status, CMAP_OK);
  if (c->present) {
    value_drop(m, value.bytes);
  } else {
    stored(c, c->version);
  }
}

static enum cmap_status make(struct cmap_key key, void *value, void *ctx)
{
  struct chain *c = ctx;
  const unsigned char *bytes = value;
  enum cmap_status status = chance(c) ? CMAP_OK : USER;

  CHECK(!c->present);
  CHECK(key_id(&c->op->m->spec, key) == c->id);
  for (size_t i = 0; i < c->op->m->spec.value_size; i++) {
    CHECK(bytes[i] == 0);
  }
  if (status == CMAP_OK) {
    value_make(c->op->m, c->id, c->version, value);
    stored(c, c->version);
  } else if (c->op->m->spec.care == VALUES_PLAIN) {
    value_make(c->op->m, c->id, c->version, value); /* must not be stored */
  }
  c->status = status;
  return status;
}

static void step_or_insert_with(struct chain *c)
{
  bool was_present = c->present;
  enum cmap_status expected;

  c->status = CMAP_OK;
  expected = cmap_entry_or_insert_with(&c->entry, make, c);
  CHECK_STATUS(expected, c->status);
  CHECK(c->present || (!was_present && expected == USER));
}

/* Zeroes are no value of a version: they are overwritten in place. */
static void step_or_default(struct chain *c)
{
  struct test_map *m = c->op->m;
  unsigned char *bytes;

  CHECK_STATUS(cmap_entry_or_default(&c->entry), CMAP_OK);
  if (c->present || c->entry.value == NULL) {
    CHECK(c->present);
    return;
  }
  bytes = c->entry.value;
  for (size_t i = 0; i < m->spec.value_size; i++) {
    CHECK(bytes[i] == 0);
  }
  value_make(m, c->id, c->version, bytes);
  stored(c, c->version);
}

static void step_insert(struct chain *c)
{
  struct test_map *m = c->op->m;
  bool out = chance(c);
  struct value_room value;
  struct op_room room;

  value_mark(m, &room.out);
  value_make(m, c->id, c->version, value.bytes);
  c->status =
      cmap_entry_insert(&c->entry, value.bytes, out ? room.out.bytes : NULL);
  if (out || !c->present) {
    CHECK_STATUS(c->status, CMAP_OK);
  }
  if (!settled(c, CMAP_OK)) {
    value_drop(m, value.bytes);
    return;
  }
  if (c->present && out) {
    op_came_out(c->op, &room, c->id, c->was);
  } else {
    CHECK(value_is_marked(m, &room.out));
  }
  stored(c, c->version);
}

static void step_remove(struct chain *c)
{
  bool out = chance(c);
  struct op_room room;

  value_mark(c->op->m, &room.out);
  c->status = cmap_entry_remove(&c->entry, out ? room.out.bytes : NULL);
  if (!settled(c, c->present ? CMAP_OK : CMAP_NOT_FOUND) || !c->present) {
    CHECK(value_is_marked(c->op->m, &room.out));
    return;
  }
  if (out) {
    op_came_out(c->op, &room, c->id, c->was);
  }
  removed(c);
}

static void step_replace_entry(struct chain *c)
{
  struct test_map *m = c->op->m;
  bool out = chance(c);
  bool right = !random_once_in(c->op->random, 4);
  struct key_room key_bytes;
  struct value_room value;
  struct op_room room;

  value_mark(m, &room.out);
  value_make(m, c->id, c->version, value.bytes);
  c->status = cmap_entry_replace_entry(
      &c->entry, key_make(&m->spec, right ? c->id : c->id + 1, &key_bytes),
      value.bytes, out ? room.out.bytes : NULL);
  if (!settled(c, !c->present ? CMAP_NOT_FOUND
                  : right     ? CMAP_OK
                              : CMAP_EINVAL) ||
      c->status != CMAP_OK) {
    CHECK(value_is_marked(m, &room.out));
    value_drop(m, value.bytes);
    return;
  }
  if (out) {
    op_came_out(c->op, &room, c->id, c->was);
  }
  stored(c, c->version);
}

static enum cmap_status modify(struct cmap_key key, void *value, void *ctx)
{
  struct chain *c = ctx;

  CHECK(c->present);
  CHECK(key_id(&c->op->m->spec, key) == c->id);
  CHECK(value_is(c->op->m, c->id, c->was, value));
  value_change(c->op->m, c->id, c->version, value);
  stored(c, c->version);
  c->status = chance(c) ? CMAP_OK : USER;
  return c->status;
}

/* A status of modify comes out of the next call, which does nothing else. */
static void step_and_modify(struct chain *c)
{
  struct value_room out;
  enum cmap_status kept;

  c->status = CMAP_OK;
  CHECK(cmap_entry_and_modify(&c->entry, modify, c) == &c->entry);
  kept = c->status;
  if (kept == CMAP_OK) {
    return;
  }
  value_mark(c->op->m, &out);
  CHECK(cmap_entry_and_modify(&c->entry, modify, c) == &c->entry);
  switch (random_below(c->op->random, 4)) {
  case 0:
    CHECK_STATUS(cmap_entry_remove(&c->entry, out.bytes), kept);
    break;
  case 1:
    CHECK_STATUS(cmap_entry_insert(&c->entry, out.bytes, NULL), kept);
    break;
  case 2:
    CHECK_STATUS(cmap_entry_or_default(&c->entry), kept);
    break;
  default:
    CHECK_STATUS(cmap_entry_remove_entry(&c->entry, out.bytes, NULL), kept);
    break;
  }
  CHECK(value_is_marked(c->op->m, &out));
}

/* What has ended is CMAP_INIT, and good for nothing. */
static void ended(struct chain *c)
{
  c->held = false;
  CHECK(c->entry.key.data == NULL && c->entry.value == NULL);
  CHECK(c->entry.internal[0] == 0 && c->entry.internal[1] == 0);
  CHECK_STATUS(cmap_entry_remove(&c->entry, NULL), CMAP_EINVAL);
}

static void step_remove_entry(struct chain *c)
{
  const struct map_spec *spec = &c->op->m->spec;
  bool text = spec->keys == KEYS_STRING || spec->keys == KEYS_BYTES;
  size_t size = c->entry.key.size;
  bool out = chance(c);
  struct key_room key;
  struct op_room room;

  memset(&key, 0, sizeof key);
  value_mark(c->op->m, &room.out);
  c->status = cmap_entry_remove_entry(&c->entry, key.bytes,
                                      out ? room.out.bytes : NULL);
  if (!settled(c, text         ? CMAP_ENOTSUP
                  : c->present ? CMAP_OK
                               : CMAP_NOT_FOUND) ||
      c->status != CMAP_OK) {
    CHECK(value_is_marked(c->op->m, &room.out));
    return;
  }
  CHECK(key_id(spec, cmap_key_bytes(key.bytes, size)) == c->id);
  if (spec->keys == KEYS_CUSTOM_OWNED) {
    lifetimes_key_destroy(key.bytes, c->op->m->lives);
  }
  if (out) {
    op_came_out(c->op, &room, c->id, c->was);
  }
  removed(c);
  ended(c);
}

static void step_into_guard(struct chain *c)
{
  struct cmap_write_guard guard = CMAP_INIT;
  struct cmap_entry copy = c->entry;

  c->status = cmap_entry_into_guard(&c->entry, &guard);
  CHECK_STATUS(c->status, c->present ? CMAP_OK : CMAP_NOT_FOUND);
  if (c->status != CMAP_OK) {
    return;
  }
  ended(c);
  op_check_shown(c->op, c->id, c->was, guard.key, guard.value);
  cmap_entry_release(&copy); /* does not end the guard */
  value_change(c->op->m, c->id, c->version, guard.value);
  stored(c, c->version);
  cmap_write_guard_release(&guard);
}

static void check(struct chain *c)
{
  CHECK((c->entry.value != NULL) == c->present);
  CHECK(key_id(&c->op->m->spec, c->entry.key) == c->id);
  key_check_stored(&c->op->m->spec, c->entry.key);
  if (c->present && c->entry.value != NULL) {
    CHECK(value_is(c->op->m, c->id, c->was, c->entry.value));
  }
}

typedef void step_fn(struct chain *c);

/* or_insert twice: what was removed is most often filled again. */
static step_fn *const steps[] = {
    step_or_insert,  step_or_insert_with, step_or_default, step_or_insert,
    step_insert,     step_insert,         step_remove,     step_remove,
    step_and_modify, step_replace_entry,  step_into_guard, step_remove_entry};

enum cmap_status op_entry(struct op *op, uint64_t id, uint64_t version)
{
  struct chain c = {.op = op, .id = id, .version = version};
  struct op_room room;
  enum cmap_status status;
  uint64_t left;

  op_prepare(op, id, &room);
  status = cmap_entry_begin(op->m->map, room.key, &c.entry, room.how);
  if (!op_settled(op, &room, status, CMAP_OK)) {
    CHECK(c.entry.key.data == NULL && c.entry.internal[0] == 0);
    return status;
  }
  c.held = true;
  c.present = room.present;
  c.was = room.was;
  check(&c);
  for (left = 1 + random_below(op->random, MOST_STEPS); left > 0; left--) {
    c.status = CMAP_OK;
    steps[random_below(op->random, sizeof steps / sizeof *steps)](&c);
    if (c.status == CMAP_ENOMEM) {
      status = CMAP_ENOMEM;
    }
    if (!c.held) {
      return status;
    }
    check(&c);
  }
  cmap_entry_release(&c.entry);
  ended(&c);
  return status;
}
