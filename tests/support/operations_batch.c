/* Batches: the calls for many keys; operations.h says the rest. */
#include "operations.h"

#include <string.h>

#define MOST_KEYS 6
#define NO_STATUS ((enum cmap_status)9999)
#define MARK      0x5a

/* The arguments of one batch, and what must come of it. */
struct batch {
  struct op_room room; /* for `how` */
  size_t n;
  bool hashed;
  uint64_t ids[MOST_KEYS];
  struct key_room rooms[MOST_KEYS];
  struct cmap_key keys[MOST_KEYS];
  uint64_t hashes[MOST_KEYS];
  enum cmap_status statuses[MOST_KEYS];
  _Alignas(64) unsigned char values[MOST_KEYS * VALUE_ROOM];
};

/* Some keys, the first that of `id`; some may be the same. */
static void make_batch(struct op *op, uint64_t id, struct batch *batch)
{
  op_prepare(op, id, &batch->room);
  batch->n = 1 + (size_t)random_below(op->random, MOST_KEYS);
  batch->hashed = random_once_in(op->random, 2);
  for (size_t i = 0; i < batch->n; i++) {
    batch->ids[i] =
        i == 0 ? id : random_below(op->random, op->oracle->universe);
    if (i > 0 && random_once_in(op->random, 4)) {
      batch->ids[i] = batch->ids[random_below(op->random, i)];
    }
    batch->keys[i] = key_make(&op->m->spec, batch->ids[i], &batch->rooms[i]);
    CHECK_OK(cmap_hash(op->m->map, batch->keys[i], &batch->hashes[i]));
    batch->statuses[i] = NO_STATUS;
  }
  memset(batch->values, MARK, sizeof batch->values);
}

static const uint64_t *hashes_of(const struct batch *batch)
{
  return batch->hashed ? batch->hashes : NULL;
}

static void *value_of(const struct op *op, struct batch *batch, size_t i)
{
  return batch->values + i * op->m->spec.value_size;
}

/* Is value i as make_batch has left it? */
static bool is_untouched(const struct op *op, struct batch *batch, size_t i)
{
  const unsigned char *value = value_of(op, batch, i);
  bool same = true;

  for (size_t j = 0; j < op->m->spec.value_size; j++) {
    same &= value[j] == MARK;
  }
  return same;
}

/* Did key i come to what was foretold? If not, there was no memory for it. */
static bool settled(struct op *op, const struct batch *batch, size_t i,
                    enum cmap_status expected)
{
  if (batch->statuses[i] == CMAP_ENOMEM) {
    CHECK(counting_alloc_failures(&op->m->alloc) > 0);
  } else {
    CHECK_STATUS(batch->statuses[i], expected);
  }
  return batch->statuses[i] == expected;
}

/* The call returned the first status that is not CMAP_OK. Gives CMAP_ENOMEM if
 * it is one of them. */
static enum cmap_status outcome(const struct batch *batch,
                                enum cmap_status returned)
{
  enum cmap_status first = CMAP_OK;
  bool refused = false;

  for (size_t i = 0; i < batch->n; i++) {
    if (first == CMAP_OK) {
      first = batch->statuses[i];
    }
    refused |= batch->statuses[i] == CMAP_ENOMEM;
  }
  CHECK_STATUS(returned, first);
  return refused ? CMAP_ENOMEM : returned;
}

/* Key i of a batch that reads or removes; false if there was no memory. */
static bool came_out(struct op *op, struct batch *batch, size_t i, bool out)
{
  bool present = oracle_has(op->oracle, batch->ids[i]);
  void *value = value_of(op, batch, i);

  if (!settled(op, batch, i, present ? CMAP_OK : CMAP_NOT_FOUND)) {
    return false;
  }
  if (present && out) {
    CHECK(value_is(op->m, batch->ids[i],
                   oracle_version(op->oracle, batch->ids[i]), value));
    value_drop(op->m, value);
  } else {
    CHECK(is_untouched(op, batch, i));
  }
  return true;
}

enum cmap_status op_get_many(struct op *op, uint64_t id, uint64_t version)
{
  struct batch batch;
  enum cmap_status status;
  bool out = version % 2 && op->m->spec.care != VALUES_UNCOPYABLE;

  make_batch(op, id, &batch);
  status = cmap_contains_many(op->m->map, batch.keys, hashes_of(&batch),
                              batch.n, batch.statuses, batch.room.how);
  for (size_t i = 0; i < batch.n; i++) {
    bool present = oracle_has(op->oracle, batch.ids[i]);
    CHECK_STATUS(batch.statuses[i], present ? CMAP_OK : CMAP_NOT_FOUND);
  }
  CHECK_STATUS(outcome(&batch, status), status);
  status =
      cmap_get_many(op->m->map, batch.keys, hashes_of(&batch), batch.n,
                    out ? batch.values : NULL, batch.statuses, batch.room.how);
  for (size_t i = 0; i < batch.n; i++) {
    (void)came_out(op, &batch, i, out);
  }
  return outcome(&batch, status);
}

enum cmap_status op_insert_many(struct op *op, uint64_t id, uint64_t version)
{
  struct batch batch;
  enum cmap_status status;

  make_batch(op, id, &batch);
  for (size_t i = 0; i < batch.n; i++) {
    value_make(op->m, batch.ids[i], version + i, value_of(op, &batch, i));
  }
  status = cmap_insert_many(op->m->map, batch.keys, hashes_of(&batch), batch.n,
                            batch.values, batch.statuses, batch.room.how);
  for (size_t i = 0; i < batch.n; i++) {
    if (settled(op, &batch, i, CMAP_OK)) {
      oracle_put(op->oracle, batch.ids[i], version + i);
    } else {
      value_drop(op->m, value_of(op, &batch, i));
    }
  }
  return outcome(&batch, status);
}

enum cmap_status op_remove_many(struct op *op, uint64_t id, uint64_t version)
{
  struct batch batch;
  enum cmap_status status;
  bool out = version % 2;

  make_batch(op, id, &batch);
  status = cmap_remove_many(op->m->map, batch.keys, hashes_of(&batch), batch.n,
                            out ? batch.values : NULL, batch.statuses,
                            batch.room.how);
  for (size_t i = 0; i < batch.n; i++) {
    if (came_out(op, &batch, i, out)) {
      oracle_remove(op->oracle, batch.ids[i]);
    }
  }
  return outcome(&batch, status);
}

/* Of keys that differ: each becomes its next version. */
enum cmap_status op_fetch_add_many(struct op *op, uint64_t id, uint64_t version)
{
  uint64_t operands[MOST_KEYS], befores[MOST_KEYS], was[MOST_KEYS];
  bool counts = op_counts(op);
  struct batch batch;
  enum cmap_status status;

  make_batch(op, id, &batch);
  for (size_t i = 0; i < batch.n; i++) {
    uint64_t key = batch.ids[i];
    for (size_t j = 0; j < i; j++) {
      if (batch.ids[j] == key) {
        batch.n = i;
      }
    }
    was[i] = counts && oracle_has(op->oracle, key)
                 ? op_as_integer(op, key, oracle_version(op->oracle, key))
                 : 0;
    operands[i] = counts ? op_as_integer(op, key, version + i) - was[i] : 1;
    befores[i] = 17;
  }
  status =
      cmap_fetch_add_many(op->m->map, batch.keys, hashes_of(&batch), batch.n,
                          operands, befores, batch.statuses, batch.room.how);
  for (size_t i = 0; i < batch.n; i++) {
    if (settled(op, &batch, i, counts ? CMAP_OK : CMAP_ENOTSUP) && counts) {
      CHECK(befores[i] == was[i]);
      oracle_put(op->oracle, batch.ids[i], version + i);
    } else {
      CHECK(befores[i] == 17);
    }
  }
  return outcome(&batch, status);
}
