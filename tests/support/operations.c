#include "operations.h"

const struct operation operations[] = {
    {"get", op_get, 10},
    {"insert", op_insert, 20},
    {"insert_new", op_insert_new, 12},
    {"get_or_insert", op_get_or_insert, 6},
    {"get_or_insert_with", op_get_or_insert_with, 6},
    {"get_or_insert_with_unlocked", op_get_or_insert_unlocked, 6},
    {"remove", op_remove, 18},
    {"remove_if", op_remove_if, 6},
    {"remove_if_equal", op_remove_if_equal, 6},
    {"compare_exchange", op_compare_exchange, 6},
    {"replace_if", op_replace_if, 6},
    {"swap", op_swap, 8},
    {"compute", op_compute, 12},
    {"alter", op_alter, 6},
    {"fetch_add", op_fetch_add, 6},
    {"view_all", op_view_all, 1},
    {"alter_all", op_alter_all, 1},
    {"retain", op_retain, 1},
    {"clear", op_clear, 1},
    {"reserve", op_reserve, 1},
    {"shrink_to_fit", op_shrink, 3},
    {"clone", op_clone, 1},
    {"merge", op_merge, 2},
    {"len_exact", op_len_exact, 1},
    {"get_many and contains_many", op_get_many, 3},
    {"insert_many", op_insert_many, 4},
    {"remove_many", op_remove_many, 3},
    {"fetch_add_many", op_fetch_add_many, 3},
};
const size_t operations_count = sizeof operations / sizeof *operations;

const struct operation *operation_draw(struct random *random)
{
  unsigned all = 0;
  uint64_t drawn;
  size_t i = 0;

  for (size_t j = 0; j < operations_count; j++) {
    all += operations[j].weight;
  }
  drawn = random_below(random, all);
  while (drawn >= operations[i].weight) {
    drawn -= operations[i].weight;
    i++;
  }
  return &operations[i];
}

void op_prepare(struct op *op, uint64_t id, struct op_room *room)
{
  uint64_t hash = 0;

  room->key = key_make(&op->m->spec, id, &room->key_bytes);
  room->how = &room->how_given;
  switch (random_below(op->random, 5)) {
  case 0:
    CHECK_OK(cmap_hash(op->m->map, room->key, &hash));
    room->how_given = cmap_how_hashed(hash);
    break;
  case 1:
    CHECK_OK(cmap_hash(op->m->map, room->key, &hash));
    room->how_given = cmap_how_hashed(hash);
    room->how_given.flags |= CMAP_TRY;
    break;
  case 2:
    room->how_given = cmap_how_try();
    break;
  case 3:
    room->how_given = cmap_how_within(UINT64_C(60000000000));
    break;
  default:
    room->how = NULL;
    break;
  }
  value_mark(op->m, &room->out);
  room->event = NO_EVENT;
  room->present = oracle_has(op->oracle, id);
  room->was = oracle_version(op->oracle, id);
}

bool op_settled(struct op *op, const struct op_room *room, enum cmap_status got,
                enum cmap_status expected)
{
  struct test_map *m = op->m;

  if (got == CMAP_ENOMEM) {
    CHECK(counting_alloc_failures(&m->alloc) > 0);
  } else {
    CHECK_STATUS(got, expected);
  }
  if (got != CMAP_OK) {
    CHECK(room->event == NO_EVENT);
  }
  if (got != CMAP_OK && got != CMAP_EXISTS && m->spec.value_size <= 256 &&
      m->spec.care == VALUES_PLAIN) {
    CHECK(value_is_marked(m, &room->out));
  }
  return got == expected;
}

void op_came_out(struct op *op, struct op_room *room, uint64_t id,
                 uint64_t version)
{
  bool right = value_is(op->m, id, version, room->out.bytes);

  CHECK(right);
  CHECK(value_is_bounded(op->m, &room->out));
  if (right) {
    value_drop(op->m, room->out.bytes);
  }
}

struct look {
  struct op *op;
  uint64_t id;
  uint64_t old;
  uint64_t fresh;
};

static enum cmap_status look_at(struct cmap_key key, const void *value,
                                void *ctx)
{
  struct look *look = ctx;
  struct op *op = look->op;

  (void)key;
  if (value_is(op->m, look->id, look->fresh, value)) {
    oracle_put(op->oracle, look->id, look->fresh);
  } else {
    CHECK(oracle_has(op->oracle, look->id));
    CHECK(value_is(op->m, look->id, look->old, value));
  }
  return CMAP_OK;
}

void op_adopt(struct op *op, uint64_t id, uint64_t fresh, bool may_be_absent)
{
  struct look look = {.op = op, .id = id, .fresh = fresh};
  struct key_room room;
  struct cmap_key key = key_make(&op->m->spec, id, &room);
  enum cmap_status status;

  look.old = oracle_version(op->oracle, id);
  status = cmap_view(op->m->map, key, look_at, &look, NULL);
  if (status == CMAP_NOT_FOUND) {
    CHECK(may_be_absent || !oracle_has(op->oracle, id));
    oracle_remove(op->oracle, id);
  } else {
    CHECK_STATUS(status, CMAP_OK);
  }
}

struct exercise {
  op_fn *const *ops;
  size_t n;
};

static void exercise_map(const struct map_spec *spec, void *ctx)
{
  enum { IDS = 14, ROUNDS = 40 };
  const struct exercise *exercise = ctx;
  struct test_map m;
  struct oracle oracle;
  struct random random;
  struct op op = {&m, &oracle, &random};

  checks_about(map_spec_name(spec));
  test_map_open(&m, spec);
  oracle_begin(&oracle, IDS);
  random_begin(&random, 0);
  for (uint64_t i = 0; i < ROUNDS * exercise->n; i++) {
    exercise->ops[i % exercise->n](&op, random_below(&random, IDS), i + 1);
  }
  oracle_check(&oracle, &m);
  oracle_end(&oracle);
  test_map_close(&m);
}

void op_exercise(op_fn *const *ops, size_t n)
{
  struct exercise exercise = {ops, n};

  map_spec_each(exercise_map, &exercise);
}
