/* cmap_compute and cmap_alter. */
#include "numbers.h"
#include "operations.h"
#include "settings.h"
#include "threads.h"

#include <string.h>

static void computes_on_every_kind_of_map(void **state)
{
  static op_fn *const ops[] = {op_compute, op_compute, op_alter,
                               op_insert,  op_compute, op_alter};

  (void)state;
  op_exercise(ops, sizeof ops / sizeof *ops);
}

struct computer {
  enum cmap_action action;
  uint64_t fresh; /* stored in *fresh, whatever the action */
  enum cmap_status status;
  bool had_old;
  uint64_t old;
  size_t calls;
};

static enum cmap_status compute(struct cmap_key key, const void *old,
                                void *fresh, enum cmap_action *action,
                                void *ctx)
{
  struct computer *computer = ctx;

  CHECK(key.size == 8);
  CHECK(*action == CMAP_KEEP);
  computer->calls++;
  computer->had_old = old != NULL;
  if (old) {
    memcpy(&computer->old, old, sizeof computer->old);
    CHECK(memcmp(old, fresh, sizeof computer->old) == 0);
  }
  memcpy(fresh, &computer->fresh, sizeof computer->fresh);
  *action = computer->action;
  return computer->status;
}

struct outcome {
  enum cmap_status status;
  enum cmap_event event;
  uint64_t out;
};

static struct outcome run(struct cmap *map, struct computer *computer)
{
  struct outcome outcome = {CMAP_OK, NO_EVENT, 1};
  uint64_t key = 5;

  computer->calls = 0;
  outcome.status = cmap_compute(map, cmap_key_u64(&key), &outcome.out,
                                &outcome.event, compute, computer, NULL);
  assert_int_equal(computer->calls, 1);
  return outcome;
}

static void compute_with_an_absent_key(void **state)
{
  struct cmap *map = numbers_open();
  struct computer computer = {CMAP_KEEP, 50, CMAP_OK, true, 0, 0};
  struct outcome outcome;

  (void)state;
  outcome = run(map, &computer);
  assert_int_equal(outcome.status, CMAP_NOT_FOUND);
  assert_int_equal(outcome.event, NO_EVENT);
  assert_int_equal(outcome.out, 1);
  assert_false(computer.had_old);
  computer.action = CMAP_REMOVE;
  outcome = run(map, &computer);
  assert_int_equal(outcome.status, CMAP_NOT_FOUND);
  assert_int_equal(outcome.out, 1);
  assert_true(cmap_is_empty(map));
  computer.action = CMAP_PUT;
  computer.status = (enum cmap_status)USER_STATUS;
  outcome = run(map, &computer);
  assert_int_equal(outcome.status, USER_STATUS);
  assert_int_equal(outcome.event, NO_EVENT);
  assert_true(cmap_is_empty(map));
  computer.status = CMAP_OK;
  outcome = run(map, &computer);
  assert_int_equal(outcome.status, CMAP_OK);
  assert_int_equal(outcome.event, CMAP_INSERTED);
  assert_int_equal(outcome.out, 50);
  assert_int_equal(numbers_get(map, 5), 50);
  cmap_destroy(map);
  checks_assert();
}

static void compute_with_a_present_key(void **state)
{
  struct cmap *map = numbers_open();
  struct computer computer = {CMAP_KEEP, 50, CMAP_OK, false, 0, 0};
  struct outcome outcome;

  (void)state;
  numbers_put(map, 5, 40);
  /* What compute has written to *fresh does not matter if it keeps. */
  outcome = run(map, &computer);
  assert_int_equal(outcome.status, CMAP_OK);
  assert_int_equal(outcome.event, CMAP_FOUND);
  assert_int_equal(outcome.out, 40);
  assert_true(computer.had_old);
  assert_int_equal(computer.old, 40);
  assert_int_equal(numbers_get(map, 5), 40);
  computer.action = CMAP_PUT;
  computer.status = (enum cmap_status)USER_STATUS;
  outcome = run(map, &computer);
  assert_int_equal(outcome.status, USER_STATUS);
  assert_int_equal(outcome.out, 1);
  assert_int_equal(numbers_get(map, 5), 40);
  computer.status = CMAP_OK;
  outcome = run(map, &computer);
  assert_int_equal(outcome.event, CMAP_UPDATED);
  assert_int_equal(outcome.out, 50);
  assert_int_equal(numbers_get(map, 5), 50);
  computer.action = CMAP_REMOVE;
  computer.fresh = 77;
  outcome = run(map, &computer);
  assert_int_equal(outcome.status, CMAP_OK);
  assert_int_equal(outcome.event, CMAP_REMOVED);
  assert_int_equal(outcome.out, 50);
  assert_true(cmap_is_empty(map));
  cmap_destroy(map);
  checks_assert();
}

static void an_unknown_action_is_refused(void **state)
{
  struct cmap *map = numbers_open();
  struct computer computer = {(enum cmap_action)3, 50, CMAP_OK, false, 0, 0};
  struct outcome outcome;

  (void)state;
  outcome = run(map, &computer);
  assert_int_equal(outcome.status, CMAP_EINVAL);
  assert_true(cmap_is_empty(map));
  numbers_put(map, 5, 40);
  outcome = run(map, &computer);
  assert_int_equal(outcome.status, CMAP_EINVAL);
  assert_int_equal(outcome.event, NO_EVENT);
  assert_int_equal(outcome.out, 1);
  assert_int_equal(numbers_get(map, 5), 40);
  cmap_destroy(map);
  checks_assert();
}

struct put {
  struct test_map *m;
  uint64_t version;
};

static enum cmap_status put(struct cmap_key key, const void *old, void *fresh,
                            enum cmap_action *action, void *ctx)
{
  struct put *put = ctx;

  (void)old;
  value_make(put->m, key_id(&put->m->spec, key), put->version, fresh);
  *action = CMAP_PUT;
  return CMAP_OK;
}

static void values_that_cannot_be_copied(void **state)
{
  const struct map_spec spec = {
      .keys = KEYS_U64, .value_size = 300, .care = VALUES_UNCOPYABLE};
  struct value_room value;
  struct key_room room;
  struct cmap_key key = key_make(&spec, 3, &room);
  struct test_map m;
  struct put ctx = {&m, 1};

  (void)state;
  test_map_open(&m, &spec);
  for (ctx.version = 1; ctx.version < 4; ctx.version++) {
    assert_ok(cmap_compute(m.map, key, NULL, NULL, put, &ctx, NULL));
    assert_int_equal(lifetimes_alive(m.lives), 1);
  }
  value_make(&m, 3, 3, value.bytes);
  assert_ok(cmap_remove_if_equal(m.map, key, value.bytes, NULL));
  value_drop(&m, value.bytes);
  test_map_close(&m);
}

struct alterer {
  uint64_t value;
  enum cmap_status status;
  size_t calls;
};

static enum cmap_status alter(struct cmap_key key, void *value, void *ctx)
{
  struct alterer *alterer = ctx;

  CHECK(key.size == 8);
  alterer->calls++;
  memcpy(value, &alterer->value, sizeof alterer->value);
  return alterer->status;
}

static void alter_has_no_roll_back(void **state)
{
  struct cmap *map = numbers_open();
  struct alterer alterer = {60, CMAP_OK, 0};
  uint64_t key = 5;

  (void)state;
  assert_status(cmap_alter(map, cmap_key_u64(&key), alter, &alterer, NULL),
                CMAP_NOT_FOUND);
  assert_int_equal(alterer.calls, 0);
  numbers_put(map, 5, 50);
  assert_ok(cmap_alter(map, cmap_key_u64(&key), alter, &alterer, NULL));
  assert_int_equal(alterer.calls, 1);
  assert_int_equal(numbers_get(map, 5), 60);
  alterer.value = 70;
  alterer.status = (enum cmap_status)USER_STATUS;
  assert_status(cmap_alter(map, cmap_key_u64(&key), alter, &alterer, NULL),
                (enum cmap_status)USER_STATUS);
  assert_int_equal(numbers_get(map, 5), 70);
  cmap_destroy(map);
  checks_assert();
}

static enum cmap_status next_version(struct cmap_key key, void *value,
                                     void *ctx)
{
  struct test_map *m = ctx;
  uint64_t id = key_id(&m->spec, key);
  uint64_t version = 0;

  CHECK(value_is_whole(m, id, value, &version));
  value_change(m, id, version + 1, value);
  return CMAP_OK;
}

static enum cmap_status compute_next(struct cmap_key key, const void *old,
                                     void *fresh, enum cmap_action *action,
                                     void *ctx)
{
  struct test_map *m = ctx;
  uint64_t id = key_id(&m->spec, key);
  uint64_t version = 0;

  CHECK(value_is_whole(m, id, old, &version));
  value_make(m, id, version + 1, fresh);
  *action = CMAP_PUT;
  return CMAP_OK;
}

#define CROWD_KEYS 5

static void count_versions(unsigned index, void *ctx)
{
  struct test_map *m = ctx;
  struct key_room room;

  for (size_t i = 0; i < test_scale(4000); i++) {
    struct cmap_key key = key_make(&m->spec, i % CROWD_KEYS, &room);
    if (index % 2) {
      CHECK_OK(cmap_alter(m->map, key, next_version, m, NULL));
    } else {
      CHECK_OK(cmap_compute(m->map, key, NULL, NULL, compute_next, m, NULL));
    }
  }
}

struct sum {
  struct test_map *m;
  uint64_t versions;
};

static enum cmap_status add_version(struct cmap_key key, const void *value,
                                    void *ctx)
{
  struct sum *sum = ctx;
  uint64_t version = 0;

  CHECK(value_is_whole(sum->m, key_id(&sum->m->spec, key), value, &version));
  sum->versions += version;
  return CMAP_OK;
}

/* Every call sees what the one before has made. */
static void several_threads_change_values(void **state)
{
  static const struct map_spec specs[] = {
      {.keys = KEYS_U64, .value_size = 64},
      {.keys = KEYS_CUSTOM, .value_size = 300},
      {.keys = KEYS_STRING, .value_size = 8, .care = VALUES_OWNED},
  };

  (void)state;
  for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
    struct value_room value;
    struct key_room room;
    struct test_map m;
    struct sum sum = {&m, 0};
    test_map_open(&m, &specs[i]);
    for (uint64_t id = 0; id < CROWD_KEYS; id++) {
      value_make(&m, id, 0, value.bytes);
      assert_ok(cmap_insert(m.map, key_make(&specs[i], id, &room), value.bytes,
                            NULL, NULL, NULL));
    }
    threads_run(4, count_versions, &m);
    assert_ok(cmap_view_all(m.map, add_version, &sum, NULL));
    assert_int_equal(sum.versions, 4 * test_scale(4000));
    test_map_close(&m);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(computes_on_every_kind_of_map),
      cmocka_unit_test(compute_with_an_absent_key),
      cmocka_unit_test(compute_with_a_present_key),
      cmocka_unit_test(an_unknown_action_is_refused),
      cmocka_unit_test(values_that_cannot_be_copied),
      cmocka_unit_test(alter_has_no_roll_back),
      cmocka_unit_test(several_threads_change_values),
  };

  return cmocka_run_group_tests_name("compute", tests, NULL, NULL);
}
