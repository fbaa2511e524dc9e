/* cmap_insert, cmap_insert_new, cmap_get_or_insert and its forms. */
#include "numbers.h"
#include "operations.h"
#include "settings.h"
#include "threads.h"

#include <string.h>

static void inserts_on_every_kind_of_map(void **state)
{
  static op_fn *const ops[] = {op_insert, op_insert_new, op_remove};

  (void)state;
  op_exercise(ops, sizeof ops / sizeof *ops);
}

static void get_or_insert_on_every_kind_of_map(void **state)
{
  static op_fn *const ops[] = {op_get_or_insert, op_get_or_insert_with,
                               op_get_or_insert_unlocked, op_remove};

  (void)state;
  op_exercise(ops, sizeof ops / sizeof *ops);
}

static void insert_says_what_it_did(void **state)
{
  struct cmap *map = numbers_open();
  enum cmap_event event = NO_EVENT;
  uint64_t key = 5;
  uint64_t value = 50;
  uint64_t old = 1;

  (void)state;
  assert_ok(cmap_insert(map, cmap_key_u64(&key), &value, &old, &event, NULL));
  assert_int_equal(event, CMAP_INSERTED);
  assert_int_equal(old, 1);
  value = 51;
  assert_ok(cmap_insert(map, cmap_key_u64(&key), &value, &old, &event, NULL));
  assert_int_equal(event, CMAP_UPDATED);
  assert_int_equal(old, 50);
  assert_int_equal(numbers_get(map, 5), 51);
  assert_int_equal(cmap_len(map), 1);
  cmap_destroy(map);
}

static enum cmap_status stored_object(struct cmap_key key, const void *value,
                                      void *ctx)
{
  struct tracked_key stored;

  (void)value;
  memcpy(&stored, key.data, sizeof stored);
  *(struct tracked **)ctx = stored.object;
  return CMAP_OK;
}

static void a_present_entry_keeps_its_key(void **state)
{
  const struct map_spec spec = {.keys = KEYS_CUSTOM_OWNED, .value_size = 8};
  struct value_room value;
  struct key_room room;
  struct cmap_key key = key_make(&spec, 3, &room);
  struct tracked *first = NULL;
  struct tracked *then = NULL;
  struct test_map m;

  (void)state;
  test_map_open(&m, &spec);
  value_make(&m, 3, 1, value.bytes);
  assert_ok(cmap_insert(m.map, key, value.bytes, NULL, NULL, NULL));
  assert_ok(cmap_view(m.map, key, stored_object, &first, NULL));
  assert_ok(cmap_insert(m.map, key, value.bytes, NULL, NULL, NULL));
  assert_ok(cmap_swap(m.map, key, value.bytes, NULL, NULL));
  assert_ok(cmap_view(m.map, key, stored_object, &then, NULL));
  assert_non_null(first);
  assert_ptr_equal(first, then);
  assert_int_equal(lifetimes_alive(m.lives), 1);
  test_map_close(&m);
}

static void a_replaced_value_is_moved_or_destroyed(void **state)
{
  const struct map_spec spec = {
      .keys = KEYS_U64, .value_size = 8, .care = VALUES_UNCOPYABLE};
  struct value_room value;
  struct value_room old;
  struct key_room room;
  struct cmap_key key = key_make(&spec, 3, &room);
  struct test_map m;

  (void)state;
  test_map_open(&m, &spec);
  for (uint64_t version = 1; version <= 3; version++) {
    value_make(&m, 3, version, value.bytes);
    assert_ok(cmap_insert(m.map, key, value.bytes,
                          version == 3 ? old.bytes : NULL, NULL, NULL));
    assert_int_equal(lifetimes_alive(m.lives), version == 3 ? 2 : 1);
  }
  assert_true(value_is(&m, 3, 2, old.bytes));
  value_drop(&m, old.bytes);
  test_map_close(&m);
}

static void insert_new_leaves_what_is_there(void **state)
{
  struct cmap *map = numbers_open();
  uint64_t key = 5;
  uint64_t value = 50;
  uint64_t present = 1;

  (void)state;
  assert_ok(cmap_insert_new(map, cmap_key_u64(&key), &value, &present, NULL));
  assert_int_equal(present, 1);
  value = 51;
  assert_status(
      cmap_insert_new(map, cmap_key_u64(&key), &value, &present, NULL),
      CMAP_EXISTS);
  assert_int_equal(present, 50);
  assert_status(cmap_insert_new(map, cmap_key_u64(&key), &value, NULL, NULL),
                CMAP_EXISTS);
  assert_int_equal(numbers_get(map, 5), 50);
  cmap_destroy(map);
}

static void values_that_cannot_be_copied(void **state)
{
  const struct map_spec spec = {
      .keys = KEYS_U64, .value_size = 8, .care = VALUES_UNCOPYABLE};
  enum cmap_event event = NO_EVENT;
  struct value_room value;
  struct value_room out;
  struct key_room room;
  struct cmap_key key = key_make(&spec, 3, &room);
  struct test_map m;

  (void)state;
  test_map_open(&m, &spec);
  value_make(&m, 3, 1, value.bytes);
  /* It could not be copied out, so it is not inserted either. */
  assert_status(cmap_get_or_insert(m.map, key, value.bytes, &event, NULL),
                CMAP_ENOTSUP);
  assert_int_equal(event, NO_EVENT);
  assert_true(cmap_is_empty(m.map));
  assert_ok(cmap_insert_new(m.map, key, value.bytes, NULL, NULL));
  value_make(&m, 3, 2, value.bytes);
  value_mark(&m, &out);
  assert_status(cmap_insert_new(m.map, key, value.bytes, out.bytes, NULL),
                CMAP_ENOTSUP);
  assert_status(cmap_get_or_insert(m.map, key, value.bytes, &event, NULL),
                CMAP_ENOTSUP);
  assert_true(value_is_marked(&m, &out));
  value_drop(&m, value.bytes);
  test_map_close(&m);
}

struct maker {
  struct cmap *map;
  uint64_t value;
  size_t calls;
  enum cmap_status status;
};

static enum cmap_status make(struct cmap_key key, void *value, void *ctx)
{
  struct maker *maker = ctx;

  CHECK(key.size == 8);
  maker->calls++;
  memcpy(value, &maker->value, sizeof maker->value);
  return maker->status;
}

typedef enum cmap_status with_fn(struct cmap *map, struct cmap_key key,
                                 void *value, enum cmap_event *event,
                                 cmap_value_fn *fn, void *ctx,
                                 const struct cmap_how *how);

static void make_runs_only_if_absent(with_fn *call)
{
  struct cmap *map = numbers_open();
  struct maker maker = {.value = 50, .status = (enum cmap_status)USER_STATUS};
  enum cmap_event event = NO_EVENT;
  uint64_t key = 5;
  uint64_t out = 1;

  assert_status(call(map, cmap_key_u64(&key), &out, &event, make, &maker, NULL),
                (enum cmap_status)USER_STATUS);
  assert_int_equal(event, NO_EVENT);
  assert_int_equal(out, 1);
  assert_int_equal(maker.calls, 1);
  assert_true(cmap_is_empty(map));
  maker.status = CMAP_OK;
  assert_ok(call(map, cmap_key_u64(&key), &out, &event, make, &maker, NULL));
  assert_int_equal(event, CMAP_INSERTED);
  assert_int_equal(out, 50);
  assert_int_equal(maker.calls, 2);
  maker.value = 51;
  assert_ok(call(map, cmap_key_u64(&key), &out, &event, make, &maker, NULL));
  assert_int_equal(event, CMAP_FOUND);
  assert_int_equal(out, 50);
  assert_int_equal(maker.calls, 2);
  assert_ok(call(map, cmap_key_u64(&key), NULL, NULL, make, &maker, NULL));
  cmap_destroy(map);
  checks_assert();
}

static void make_under_the_lock(void **state)
{
  (void)state;
  make_runs_only_if_absent(cmap_get_or_insert_with);
}

static void make_outside_the_lock(void **state)
{
  (void)state;
  make_runs_only_if_absent(cmap_get_or_insert_with_unlocked);
}

struct racer {
  struct test_map *m;
  uint64_t version;
};

/* Makes a value, after somebody else has inserted the same key. */
static enum cmap_status make_too_late(struct cmap_key key, void *value,
                                      void *ctx)
{
  struct racer *racer = ctx;
  struct value_room other;

  value_make(racer->m, 3, 1, other.bytes);
  CHECK_OK(cmap_insert(racer->m->map, key, other.bytes, NULL, NULL, NULL));
  value_make(racer->m, 3, racer->version, value);
  return CMAP_OK;
}

static void a_loser_is_destroyed(void **state)
{
  const struct map_spec spec = {
      .keys = KEYS_CUSTOM_OWNED, .value_size = 300, .care = VALUES_OWNED};
  enum cmap_event event = NO_EVENT;
  struct value_room value;
  struct key_room room;
  struct cmap_key key = key_make(&spec, 3, &room);
  struct test_map m;
  struct racer racer = {&m, 2};

  (void)state;
  test_map_open(&m, &spec);
  assert_ok(cmap_get_or_insert_with_unlocked(m.map, key, value.bytes, &event,
                                             make_too_late, &racer, NULL));
  assert_int_equal(event, CMAP_FOUND);
  assert_true(value_is(&m, 3, 1, value.bytes));
  value_drop(&m, value.bytes);
  assert_int_equal(lifetimes_alive(m.lives), 2); /* the value and its key */
  test_map_close(&m);
}

static void insert_same_keys(unsigned index, void *ctx)
{
  struct op op = {.m = ctx};
  struct value_room value;
  struct value_room old;
  struct key_room room;
  size_t rounds = test_scale(3000);

  for (size_t i = 0; i < rounds; i++) {
    uint64_t id = i % 50;
    uint64_t version = 0;
    enum cmap_event event = NO_EVENT;
    value_make(op.m, id, i + index, value.bytes);
    CHECK_OK(cmap_insert(op.m->map, key_make(&op.m->spec, id, &room),
                         value.bytes, old.bytes, &event, NULL));
    if (event == CMAP_UPDATED) {
      CHECK(value_is_whole(op.m, id, old.bytes, &version));
      value_drop(op.m, old.bytes);
    }
  }
}

static void several_threads_insert(void **state)
{
  static const struct map_spec specs[] = {
      {.keys = KEYS_U64, .value_size = 64, .shard_groups = 1},
      {.keys = KEYS_STRING, .value_size = 300, .care = VALUES_OWNED},
      {.keys = KEYS_CUSTOM_OWNED, .value_size = 8, .care = VALUES_UNCOPYABLE},
  };

  (void)state;
  for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
    struct test_map m;
    test_map_open(&m, &specs[i]);
    threads_run(4, insert_same_keys, &m);
    assert_int_equal(cmap_len(m.map),
                     test_scale(3000) < 50 ? test_scale(3000) : 50);
    test_map_close(&m);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(inserts_on_every_kind_of_map),
      cmocka_unit_test(get_or_insert_on_every_kind_of_map),
      cmocka_unit_test(insert_says_what_it_did),
      cmocka_unit_test(a_present_entry_keeps_its_key),
      cmocka_unit_test(a_replaced_value_is_moved_or_destroyed),
      cmocka_unit_test(insert_new_leaves_what_is_there),
      cmocka_unit_test(values_that_cannot_be_copied),
      cmocka_unit_test(make_under_the_lock),
      cmocka_unit_test(make_outside_the_lock),
      cmocka_unit_test(a_loser_is_destroyed),
      cmocka_unit_test(several_threads_insert),
  };

  return cmocka_run_group_tests_name("insert", tests, NULL, NULL);
}
