/* Iterators, scans, for_each and pop; operations.h says the rest. */
#include "operations_guards.h"

#include <stdlib.h>
#include <string.h>

/* The id of a shown key, which must be one of the oracle's. */
static uint64_t known_id(struct op *op, struct cmap_key key)
{
  uint64_t id = key_id(&op->m->spec, key);

  CHECK(id < op->oracle->universe && oracle_has(op->oracle, id));
  return id;
}

static bool may_run_out(struct op *op, enum cmap_status status)
{
  CHECK(status != CMAP_ENOMEM || counting_alloc_failures(&op->m->alloc) > 0);
  return status == CMAP_ENOMEM;
}

static enum cmap_status remove_here(struct op *op, struct cmap_iter *iter,
                                    uint64_t id)
{
  uint64_t was = oracle_version(op->oracle, id);
  bool out = random_once_in(op->random, 2);
  struct op_room room;
  enum cmap_status status;

  value_mark(op->m, &room.out);
  status = cmap_iter_remove(iter, out ? room.out.bytes : NULL);
  if (status == CMAP_OK) {
    oracle_remove(op->oracle, id);
    if (out)
      op_came_out(op, &room, id, was);
    CHECK(iter->value == NULL && iter->key.data == NULL);
  } else {
    CHECK(value_is_marked(op->m, &room.out));
    op_check_shown(op, id, was, iter->key, iter->value);
  }
  return status;
}

static enum cmap_status write_here(struct op *op, struct cmap_iter *iter,
                                   uint64_t version)
{
  uint64_t id = known_id(op, iter->key);

  op_check_shown(op, id, oracle_version(op->oracle, id), iter->key,
                 iter->value);
  if (random_once_in(op->random, 4))
    return remove_here(op, iter, id);
  if (random_once_in(op->random, 2)) {
    value_change(op->m, id, version, iter->value);
    oracle_put(op->oracle, id, version);
  }
  return CMAP_OK;
}

/* Changes and removes some, in parts. Ends where memory does. */
enum cmap_status op_iter(struct op *op, uint64_t id, uint64_t version)
{
  size_t parts = 1 + (size_t)random_below(op->random, 3);
  size_t len = op->oracle->len, met = 0;

  (void)id;
  for (size_t part = 0; part < parts; part++) {
    CMAP_AUTO(cmap_iter, iter);
    enum cmap_status status =
        cmap_iter_begin(op->m->map, CMAP_WRITE, part, parts, &iter);
    while (status == CMAP_OK &&
           (status = cmap_iter_next(&iter, NULL)) == CMAP_OK) {
      met++;
      status = write_here(op, &iter, version);
    }
    if (may_run_out(op, status))
      return status;
    CHECK_STATUS(status, CMAP_NOT_FOUND);
  }
  CHECK(met == len);
  return CMAP_OK;
}

enum { ROOM = 20 };

/* Checks and releases the entries of a buffer. */
static void take_out(struct op *op, struct cmap_scan_buffer *buffer,
                     bool has_text, size_t key_size)
{
  for (size_t i = 0; i < buffer->count; i++) {
    char *at = (char *)buffer->keys + i * key_size;
    struct cmap_key key = cmap_key_bytes(at, key_size);
    struct value_room value;
    uint64_t id;
    if (has_text)
      memcpy(&key, at, sizeof key);
    id = known_id(op, key);
    key_check_stored(&op->m->spec, key);
    if (op->m->options.key_destroy != NULL)
      op->m->options.key_destroy(at, op->m);
    if (buffer->values == NULL)
      continue;
    memcpy(value.bytes, (char *)buffer->values + i * op->m->spec.value_size,
           op->m->spec.value_size);
    CHECK(value_is(op->m, id, oracle_version(op->oracle, id), value.bytes));
    value_drop(op->m, value.bytes);
  }
}

/* All of the map, with room for 20 entries, which are more than have an equal
   hash, or for all. */
enum cmap_status op_scan(struct op *op, uint64_t id, uint64_t version)
{
  bool has_text =
      op->m->spec.keys == KEYS_STRING || op->m->spec.keys == KEYS_BYTES;
  bool values = op->m->spec.care != VALUES_UNCOPYABLE;
  size_t len = op->oracle->len, met = 0;
  size_t room = map_spec_is_slow(&op->m->spec) ? len + 1 : ROOM;
  struct cmap_options options = {.size = sizeof options};
  enum cmap_status status = cmap_get_options(op->m->map, &options);
  size_t key_size = has_text ? sizeof(struct cmap_key) : options.key_size;
  struct cmap_scan_buffer buffer = {.size = sizeof buffer, .capacity = room};
  uint64_t cursor = 0;

  (void)id;
  (void)version;
  CHECK_OK(status);
  buffer.keys = malloc(room * key_size);
  buffer.values = values ? malloc(room * op->m->spec.value_size + 1) : NULL;
  buffer.text_size = 100 * room;
  buffer.text = malloc(buffer.text_size);
  if (buffer.keys == NULL || buffer.text == NULL ||
      (values && buffer.values == NULL))
    abort();
  do {
    uint64_t before = cursor;
    buffer.count = 0;
    status = cmap_scan(op->m->map, &cursor, 0, &buffer, NULL);
    CHECK(status != CMAP_ENOMEM || (cursor == before && buffer.count == 0));
    take_out(op, &buffer, has_text, key_size);
    met += buffer.count;
  } while (status == CMAP_OK);
  free(buffer.keys);
  free(buffer.values);
  free(buffer.text);
  if (may_run_out(op, status))
    return status;
  CHECK_STATUS(status, CMAP_NOT_FOUND);
  CHECK(met == len);
  return CMAP_OK;
}

struct walk {
  struct op *op;
  size_t met;
};

static enum cmap_status see(struct cmap_key key, const void *value, void *ctx)
{
  struct walk *walk = ctx;
  struct op *op = walk->op;
  uint64_t id = known_id(op, key);

  op_check_shown(op, id, oracle_version(op->oracle, id), key, value);
  walk->met++;
  return CMAP_OK;
}

enum cmap_status op_for_each(struct op *op, uint64_t id, uint64_t version)
{
  bool copies = op->m->spec.care != VALUES_UNCOPYABLE;
  struct walk walk = {op, 0};
  enum cmap_status status = cmap_for_each(op->m->map, 0, 1, see, &walk, NULL);

  (void)id;
  (void)version;
  if (may_run_out(op, status))
    return status;
  CHECK_STATUS(status, copies ? CMAP_OK : CMAP_ENOTSUP);
  CHECK(walk.met == (copies ? op->oracle->len : 0));
  return status;
}

struct pop {
  struct op *op;
  uint64_t first, end; /* of the part; 0: to the end of the map */
  size_t met;
};

static bool is_in_part(const struct pop *pop, struct cmap_key key)
{
  uint64_t hash = 0;

  CHECK_OK(cmap_hash(pop->op->m->map, key, &hash));
  return hash >= pop->first && (pop->end == 0 || hash < pop->end);
}

static enum cmap_status take(struct cmap_key key, void *value, void *ctx)
{
  struct pop *pop = ctx;
  struct op *op = pop->op;
  uint64_t id = known_id(op, key);

  op_check_shown(op, id, oracle_version(op->oracle, id), key, value);
  CHECK(is_in_part(pop, key));
  value_drop(op->m, value);
  oracle_remove(op->oracle, id);
  return ++pop->met % 4 == 0 ? (enum cmap_status)USER_STATUS : CMAP_OK;
}

/* Up to some entries of one part. */
enum cmap_status op_pop(struct op *op, uint64_t id, uint64_t version)
{
  size_t parts = 1 + (size_t)random_below(op->random, 3);
  size_t part = (size_t)random_below(op->random, parts);
  size_t most = 1 + (size_t)(version % 5);
  enum cmap_status status = CMAP_OK;
  struct pop pop = {.op = op};
  struct key_room room;

  (void)id;
  CHECK_OK(cmap_scan_part(part, parts, &pop.first, &pop.end));
  for (size_t i = 0; i < most && status == CMAP_OK; i++) {
    size_t len = op->oracle->len;
    status = cmap_pop(op->m->map, part, parts, take, &pop, NULL);
    CHECK(op->oracle->len == len - (status != CMAP_NOT_FOUND));
  }
  if (status == (enum cmap_status)USER_STATUS)
    CHECK(pop.met == 4);
  else if (status != CMAP_OK)
    CHECK_STATUS(status, CMAP_NOT_FOUND);
  for (id = 0; status == CMAP_NOT_FOUND && id < op->oracle->universe; id++)
    CHECK(!oracle_has(op->oracle, id) ||
          !is_in_part(&pop, key_make(&op->m->spec, id, &room)));
  return status;
}
