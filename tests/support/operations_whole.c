/* The operations on the whole map; operations.h says the rest. */
#include "operations.h"

#include <string.h>

/* The statuses of calls that may stop half-way for want of memory. */
static bool whole_settled(struct op *op, enum cmap_status got,
                          enum cmap_status expected)
{
  if (got == CMAP_ENOMEM) {
    CHECK(counting_alloc_failures(&op->m->alloc) > 0);
  } else {
    CHECK_STATUS(got, expected);
  }
  return got == expected;
}

struct walk {
  struct op *op;
  uint64_t version;
  size_t calls;
  size_t stop_after; /* 0: never */
};

static enum cmap_status view_some(struct cmap_key key, const void *value,
                                  void *ctx)
{
  struct walk *walk = ctx;
  struct op *op = walk->op;
  uint64_t id = key_id(&op->m->spec, key);

  walk->calls++;
  CHECK(id < op->oracle->universe && oracle_has(op->oracle, id));
  CHECK(value_is(op->m, id, oracle_version(op->oracle, id), value));
  return walk->calls == walk->stop_after ? (enum cmap_status)USER_STATUS
                                         : CMAP_OK;
}

enum cmap_status op_view_all(struct op *op, uint64_t id, uint64_t version)
{
  struct walk walk = {.op = op};
  size_t len = op->oracle->len;
  enum cmap_status status;

  (void)id;
  walk.stop_after = version % 2 && len ? (size_t)(version % len) + 1 : 0;
  status = cmap_view_all(op->m->map, view_some, &walk, NULL);
  if (whole_settled(op, status,
                    walk.stop_after ? (enum cmap_status)USER_STATUS
                                    : CMAP_OK)) {
    CHECK(walk.calls == (walk.stop_after ? walk.stop_after : len));
  }
  return status;
}

static enum cmap_status alter_each(struct cmap_key key, void *value, void *ctx)
{
  struct walk *walk = ctx;
  struct op *op = walk->op;
  uint64_t id = key_id(&op->m->spec, key);

  walk->calls++;
  CHECK(value_is(op->m, id, oracle_version(op->oracle, id), value));
  value_change(op->m, id, walk->version, value);
  oracle_put(op->oracle, id, walk->version);
  return walk->calls == walk->stop_after ? (enum cmap_status)USER_STATUS
                                         : CMAP_OK;
}

enum cmap_status op_alter_all(struct op *op, uint64_t id, uint64_t version)
{
  struct walk walk = {.op = op, .version = version};
  size_t len = op->oracle->len;
  enum cmap_status status;

  (void)id;
  walk.stop_after = version % 2 && len ? (size_t)(version % len) + 1 : 0;
  status = cmap_alter_all(op->m->map, alter_each, &walk, NULL);
  if (whole_settled(op, status,
                    walk.stop_after ? (enum cmap_status)USER_STATUS
                                    : CMAP_OK)) {
    CHECK(walk.calls == (walk.stop_after ? walk.stop_after : len));
  }
  return status;
}

static bool keeps(uint64_t id, uint64_t version)
{
  return random_mix(id ^ version << 32) % 4 != 0;
}

static bool keep_some(struct cmap_key key, void *value, void *ctx)
{
  struct walk *walk = ctx;
  struct op *op = walk->op;
  uint64_t id = key_id(&op->m->spec, key);

  walk->calls++;
  CHECK(oracle_has(op->oracle, id));
  CHECK(value_is(op->m, id, oracle_version(op->oracle, id), value));
  if (keeps(id, walk->version)) {
    value_change(op->m, id, walk->version, value);
    oracle_put(op->oracle, id, walk->version);
    return true;
  }
  oracle_remove(op->oracle, id);
  return false;
}

enum cmap_status op_retain(struct op *op, uint64_t id, uint64_t version)
{
  struct walk walk = {.op = op, .version = version};
  size_t len = op->oracle->len;
  size_t removed = SIZE_MAX;
  enum cmap_status status;

  (void)id;
  status = cmap_retain(op->m->map, keep_some, &walk, &removed, NULL);
  if (whole_settled(op, status, CMAP_OK)) {
    CHECK(walk.calls == len);
  }
  CHECK(removed == len - op->oracle->len);
  return status;
}

enum cmap_status op_clear(struct op *op, uint64_t id, uint64_t version)
{
  enum cmap_status status;

  (void)id;
  (void)version;
  status = cmap_clear(op->m->map, NULL);
  CHECK_STATUS(status, CMAP_OK);
  oracle_clear(op->oracle);
  return status;
}

enum cmap_status op_reserve(struct op *op, uint64_t id, uint64_t version)
{
  enum hash_way hash = op->m->spec.hash;
  size_t room = (size_t)random_below(op->random, 2 * op->oracle->universe);
  enum cmap_status status;

  (void)id;
  (void)version;
  status = cmap_reserve(op->m->map, room, NULL);
  if (whole_settled(op, status, CMAP_OK) &&
      (hash == HASH_DEFAULT || hash == HASH_FAST)) {
    CHECK(cmap_capacity(op->m->map) >= room);
  }
  return status;
}

enum cmap_status op_shrink(struct op *op, uint64_t id, uint64_t version)
{
  enum cmap_status status = cmap_shrink_to_fit(op->m->map, NULL);

  (void)id;
  (void)version;
  whole_settled(op, status, CMAP_OK);
  return status;
}

enum cmap_status op_clone(struct op *op, uint64_t id, uint64_t version)
{
  bool copies = op->m->spec.care != VALUES_UNCOPYABLE || !op->oracle->len;
  struct cmap *copy = NULL;
  enum cmap_status status;
  bool equal = false;

  (void)id;
  (void)version;
  status = cmap_clone(op->m->map, &copy, NULL);
  if (op->m->spec.care == VALUES_UNCOPYABLE && copies) {
    cmap_destroy(copy); /* an empty map: both answers are right */
    return status;
  }
  if (!whole_settled(op, status, copies ? CMAP_OK : CMAP_ENOTSUP) ||
      status != CMAP_OK) {
    CHECK(!copy);
    return status;
  }
  CHECK(cmap_len(copy) == op->oracle->len);
  if (cmap_equal(copy, op->m->map, &equal, NULL) == CMAP_OK) {
    CHECK(equal);
  }
  cmap_destroy(copy);
  return status;
}

enum cmap_status op_len_exact(struct op *op, uint64_t id, uint64_t version)
{
  size_t len = SIZE_MAX;
  enum cmap_status status = cmap_len_exact(op->m->map, &len, NULL);

  (void)id;
  (void)version;
  if (whole_settled(op, status, CMAP_OK)) {
    CHECK(len == op->oracle->len);
  }
  return status;
}

/* ------------------------------------------------------------------------
 * Merging
 * ------------------------------------------------------------------------ */

#define MERGED 24

static enum cmap_status take_other(struct cmap_key key, void *value,
                                   const void *from_value, void *ctx)
{
  struct walk *walk = ctx;
  struct op *op = walk->op;
  uint64_t id = key_id(&op->m->spec, key);

  walk->calls++;
  CHECK(oracle_has(op->oracle, id));
  CHECK(value_is(op->m, id, oracle_version(op->oracle, id), value));
  CHECK(value_is(op->m, id, walk->version, from_value));
  value_change(op->m, id, walk->version, value);
  return CMAP_OK;
}

/* Fills `from` with n ids, begin, begin + step ...; gives the number that the
   oracle has too. */
static size_t fill_from(struct op *op, struct test_map *from,
                        const uint64_t *ids, uint64_t version)
{
  struct value_room value;
  struct key_room room;
  size_t common = 0;

  for (size_t i = 0; i < MERGED; i++) {
    value_make(from, ids[i], version, value.bytes);
    if (cmap_insert_new(from->map, key_make(&from->spec, ids[i], &room),
                        value.bytes, NULL, NULL) == CMAP_EXISTS) {
      value_drop(from, value.bytes);
    } else {
      common += oracle_has(op->oracle, ids[i]);
    }
  }
  return common;
}

enum cmap_status op_merge(struct op *op, uint64_t id, uint64_t version)
{
  bool copies = op->m->spec.care != VALUES_UNCOPYABLE;
  struct walk walk = {.op = op, .version = version};
  uint64_t ids[MERGED];
  struct test_map from;
  enum cmap_status status;
  bool asks = version % 2;
  size_t common;

  for (size_t i = 0; i < MERGED; i++) {
    ids[i] = (id + random_below(op->random, 40)) % op->oracle->universe;
  }
  test_map_open_sibling(&from, op->m);
  common = fill_from(op, &from, ids, version);
  status =
      cmap_merge(op->m->map, from.map, asks ? take_other : NULL, &walk, NULL);
  if (whole_settled(op, status, copies ? CMAP_OK : CMAP_ENOTSUP)) {
    CHECK(walk.calls == (asks && copies ? common : 0));
  }
  for (size_t i = 0; i < MERGED && copies; i++) {
    if (status == CMAP_OK) {
      oracle_put(op->oracle, ids[i], version);
    } else {
      op_adopt(op, ids[i], version, false);
    }
  }
  test_map_close(&from);
  return status;
}
