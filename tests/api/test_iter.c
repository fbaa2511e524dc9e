/*
 * Iterators on one thread: every kind of map, both modes, removal, restart
 * and release. test_iter_held.c has what an iterator holds.
 */
#include "content.h"
#include "numbers.h"

#include <string.h>

#define IDS 60

static bool iter_is_init(const struct cmap_iter *iter)
{
  return iter->key.data == NULL && iter->key.size == 0 && iter->value == NULL &&
         iter->internal[0] == 0 && iter->internal[1] == 0;
}

static bool is_at_none(const struct cmap_iter *iter)
{
  return iter->key.data == NULL && iter->key.size == 0 && iter->value == NULL;
}

static void fill(struct test_map *m, uint64_t ids)
{
  struct key_room room;
  struct value_room value;

  for (uint64_t id = 0; id < ids; id++) {
    value_make(m, id, 1, value.bytes);
    CHECK_OK(cmap_insert(m->map, key_make(&m->spec, id, &room), value.bytes,
                         NULL, NULL, NULL));
  }
}

/* Checks all of the present entry; gives its id. */
static uint64_t check_entry(const struct test_map *m,
                            const struct cmap_iter *iter, uint64_t version)
{
  uint64_t id = key_id(&m->spec, iter->key);

  CHECK(id < IDS);
  key_check_stored(&m->spec, iter->key);
  CHECK(iter->value != NULL);
  CHECK(value_is(m, id, version, iter->value));
  return id < IDS ? id : 0;
}

/* Counts the entries of one part by id; and looks at the end twice. */
static void walk_part(const struct test_map *m, enum cmap_mode mode,
                      size_t part, size_t parts, uint64_t version,
                      unsigned *times)
{
  struct cmap_iter iter = CMAP_INIT;
  enum cmap_status status;

  CHECK_OK(cmap_iter_begin(m->map, mode, part, parts, &iter));
  CHECK(is_at_none(&iter));
  while ((status = cmap_iter_next(&iter, NULL)) == CMAP_OK)
    times[check_entry(m, &iter, version)]++;
  CHECK_STATUS(status, CMAP_NOT_FOUND);
  CHECK(is_at_none(&iter));
  CHECK_STATUS(cmap_iter_next(&iter, NULL), CMAP_NOT_FOUND);
  cmap_iter_release(&iter);
  CHECK(iter_is_init(&iter));
}

static void check_once_each(const unsigned *times)
{
  for (uint64_t id = 0; id < IDS; id++)
    CHECK(times[id] == 1);
}

/* Gives every value another version, and checks that all were seen. */
static void change_all(struct test_map *m, uint64_t from, uint64_t to)
{
  CMAP_AUTO(cmap_iter, iter);
  unsigned times[IDS] = {0};
  enum cmap_status status;

  CHECK_OK(cmap_iter_begin(m->map, CMAP_WRITE, 0, 1, &iter));
  while ((status = cmap_iter_next(&iter, NULL)) == CMAP_OK) {
    uint64_t id = check_entry(m, &iter, from);
    times[id]++;
    value_change(m, id, to, iter.value);
    CHECK(value_is(m, id, to, iter.value));
  }
  CHECK_STATUS(status, CMAP_NOT_FOUND);
  check_once_each(times);
}

/* Removes the ids of a residue, with and without getting the value. */
static void remove_some(struct test_map *m, uint64_t residue, uint64_t version)
{
  CMAP_AUTO(cmap_iter, iter);
  enum cmap_status status;
  size_t removed = 0;

  CHECK_OK(cmap_iter_begin(m->map, CMAP_WRITE, 0, 1, &iter));
  while ((status = cmap_iter_next(&iter, NULL)) == CMAP_OK) {
    uint64_t id = check_entry(m, &iter, version);
    struct value_room old;
    bool out = id % 2;
    if (id % 3 != residue)
      continue;
    value_mark(m, &old);
    CHECK_OK(cmap_iter_remove(&iter, out ? old.bytes : NULL));
    removed++;
    CHECK(is_at_none(&iter));
    CHECK(out || value_is_marked(m, &old));
    if (out) {
      CHECK(value_is(m, id, version, old.bytes));
      CHECK(value_is_bounded(m, &old));
      value_drop(m, old.bytes);
      value_mark(m, &old);
    }
    CHECK_STATUS(cmap_iter_remove(&iter, old.bytes), CMAP_EINVAL);
    CHECK(out == false || value_is_marked(m, &old));
  }
  CHECK_STATUS(status, CMAP_NOT_FOUND);
  CHECK(removed == IDS / 3);
}

static void check_residue_is_gone(struct test_map *m, uint64_t residue)
{
  struct key_room room;

  for (uint64_t id = 0; id < IDS; id++)
    CHECK_STATUS(cmap_contains(m->map, key_make(&m->spec, id, &room), NULL),
                 id % 3 == residue ? CMAP_NOT_FOUND : CMAP_OK);
}

static void walk_map(const struct map_spec *spec, void *ctx)
{
  struct test_map m;

  (void)ctx;
  checks_about(map_spec_name(spec));
  test_map_open(&m, spec);
  fill(&m, IDS);
  for (size_t parts = 1; parts <= 7; parts += 3) {
    unsigned reads[IDS] = {0}, writes[IDS] = {0};
    for (size_t part = 0; part < parts; part++) {
      walk_part(&m, CMAP_READ, part, parts, 1, reads);
      walk_part(&m, CMAP_WRITE, parts - 1 - part, parts, 1, writes);
    }
    check_once_each(reads);
    check_once_each(writes);
  }
  change_all(&m, 1, 2);
  remove_some(&m, 1, 2);
  CHECK(cmap_len(m.map) == IDS - IDS / 3);
  check_residue_is_gone(&m, 1);
  test_map_close(&m);
}

static void every_kind_of_map(void **state)
{
  (void)state;
  map_spec_each(walk_map, NULL);
}

static void an_empty_map(void **state)
{
  const struct map_spec spec = {.keys = KEYS_STRING, .value_size = 8};
  struct test_map m;
  unsigned times[IDS] = {0};

  (void)state;
  test_map_open(&m, &spec);
  for (size_t parts = 1; parts <= 7; parts++)
    walk_part(&m, CMAP_READ, parts / 2, parts, 1, times);
  walk_part(&m, CMAP_WRITE, SIZE_MAX - 1, SIZE_MAX, 1, times);
  for (uint64_t id = 0; id < IDS; id++)
    assert_int_equal(times[id], 0);
  test_map_close(&m);
}

/* ------------------------------------------------------------------------
 * Arguments
 * ------------------------------------------------------------------------ */

static void arguments_that_are_refused(void **state)
{
  struct cmap *map = numbers_open();
  struct cmap_iter iter = CMAP_INIT, none = CMAP_INIT;
  struct cmap_read_guard read = CMAP_INIT;
  struct cmap_write_guard write = CMAP_INIT;
  struct cmap_how bad = cmap_how_try();
  uint64_t old = 7;

  (void)state;
  numbers_put(map, 1, 10);
  assert_status(cmap_iter_begin(NULL, CMAP_READ, 0, 1, &iter), CMAP_EINVAL);
  assert_status(cmap_iter_begin(map, CMAP_READ, 0, 1, NULL), CMAP_EINVAL);
  assert_status(cmap_iter_begin(map, CMAP_ENTRY, 0, 1, &iter), CMAP_EINVAL);
  assert_status(cmap_iter_begin(map, (enum cmap_mode)77, 0, 1, &iter),
                CMAP_EINVAL);
  assert_status(cmap_iter_begin(map, CMAP_READ, 1, 1, &iter), CMAP_EINVAL);
  assert_status(cmap_iter_begin(map, CMAP_READ, 0, 0, &iter), CMAP_EINVAL);
  assert_status(cmap_iter_begin(map, CMAP_READ, 7, 7, &iter), CMAP_EINVAL);
  assert_status(cmap_iter_begin(map, CMAP_READ, SIZE_MAX, SIZE_MAX, &iter),
                CMAP_EINVAL);
  assert_true(iter_is_init(&iter));

  /* One that was never begun. */
  assert_status(cmap_iter_next(NULL, NULL), CMAP_EINVAL);
  assert_status(cmap_iter_next(&none, NULL), CMAP_EINVAL);
  assert_status(cmap_iter_remove(NULL, NULL), CMAP_EINVAL);
  assert_status(cmap_iter_remove(&none, &old), CMAP_EINVAL);
  assert_status(cmap_iter_restart(NULL), CMAP_EINVAL);
  assert_status(cmap_iter_restart(&none), CMAP_EINVAL);
  assert_status(cmap_iter_into_read_guard(NULL, &read), CMAP_EINVAL);
  assert_status(cmap_iter_into_read_guard(&none, &read), CMAP_EINVAL);
  assert_status(cmap_iter_into_write_guard(NULL, &write), CMAP_EINVAL);
  assert_status(cmap_iter_into_write_guard(&none, &write), CMAP_EINVAL);
  cmap_iter_release(NULL);
  cmap_iter_release(&none);

  /* At no entry yet; then at one to read, which removes nothing. */
  assert_ok(cmap_iter_begin(map, CMAP_READ, 0, 1, &iter));
  assert_status(cmap_iter_remove(&iter, &old), CMAP_EINVAL);
  assert_status(cmap_iter_into_read_guard(&iter, &read), CMAP_EINVAL);
  bad.size = 3;
  assert_status(cmap_iter_next(&iter, &bad), CMAP_EINVAL);
  bad = cmap_how_try();
  bad.flags = 1024;
  assert_status(cmap_iter_next(&iter, &bad), CMAP_EINVAL);
  assert_ok(cmap_iter_next(&iter, NULL));
  assert_status(cmap_iter_remove(&iter, &old), CMAP_EINVAL);
  assert_status(cmap_iter_into_read_guard(&iter, NULL), CMAP_EINVAL);
  assert_status(cmap_iter_into_write_guard(&iter, &write), CMAP_EINVAL);
  assert_non_null(iter.value);
  assert_status(cmap_iter_next(&iter, NULL), CMAP_NOT_FOUND);
  assert_status(cmap_iter_into_read_guard(&iter, &read), CMAP_EINVAL);
  cmap_iter_release(&iter);

  assert_ok(cmap_iter_begin(map, CMAP_WRITE, 0, 1, &iter));
  assert_ok(cmap_iter_next(&iter, NULL));
  assert_status(cmap_iter_into_read_guard(&iter, &read), CMAP_EINVAL);
  assert_status(cmap_iter_into_write_guard(&iter, NULL), CMAP_EINVAL);
  assert_ok(cmap_iter_remove(&iter, NULL));
  assert_status(cmap_iter_into_write_guard(&iter, &write), CMAP_EINVAL);
  cmap_iter_release(&iter);
  assert_true(read.value == NULL && write.value == NULL && old == 7);
  assert_int_equal(cmap_len(map), 0);
  cmap_destroy(map);
}

/* The hash of `how` is ignored. */
static void a_hash_is_ignored(void **state)
{
  struct cmap *map = numbers_open_small();
  struct cmap_how how = cmap_how_hashed(UINT64_C(0x123456789abcdef));
  CMAP_AUTO(cmap_iter, iter);
  size_t count = 0;

  (void)state;
  for (uint64_t id = 0; id < 100; id++)
    numbers_put(map, id, id);
  assert_ok(cmap_iter_begin(map, CMAP_READ, 0, 1, &iter));
  while (cmap_iter_next(&iter, &how) == CMAP_OK)
    count++;
  assert_int_equal(count, 100);
  cmap_iter_release(&iter);
  cmap_destroy(map);
  checks_assert();
}

/* ------------------------------------------------------------------------
 * Restart and release
 * ------------------------------------------------------------------------ */

static size_t rest_of(struct cmap_iter *iter)
{
  size_t count = 0;

  while (cmap_iter_next(iter, NULL) == CMAP_OK)
    count++;
  return count;
}

static void restart_begins_again(void **state)
{
  struct cmap *map = numbers_open_small();
  struct cmap_how how = cmap_how_try();

  (void)state;
  for (uint64_t id = 0; id < 200; id++)
    numbers_put(map, id, id);
  for (int mode = 0; mode < 2; mode++) {
    CMAP_AUTO(cmap_iter, iter);
    uint64_t first, again;
    size_t all;
    assert_ok(cmap_iter_begin(map, mode ? CMAP_WRITE : CMAP_READ, 1, 3, &iter));
    assert_ok(cmap_iter_restart(&iter)); /* before the first */
    assert_ok(cmap_iter_next(&iter, NULL));
    memcpy(&first, iter.key.data, sizeof first);
    all = 1 + rest_of(&iter);
    assert_true(all > 20 && all < 130);
    assert_ok(cmap_iter_restart(&iter)); /* behind the last */
    assert_true(is_at_none(&iter));
    assert_int_equal(rest_of(&iter), all);
    assert_ok(cmap_iter_restart(&iter));
    for (size_t i = 0; i < all / 2; i++)
      assert_ok(cmap_iter_next(&iter, NULL));
    memcpy(&again, iter.key.data, sizeof again);
    assert_ok(cmap_iter_restart(&iter)); /* at an entry: it lets go */
    assert_true(is_at_none(&iter));
    assert_ok(cmap_insert(map, cmap_key_u64(&again), &again, NULL, NULL, &how));
    assert_ok(cmap_iter_next(&iter, NULL));
    memcpy(&again, iter.key.data, sizeof again);
    assert_int_equal(again, first);
    assert_int_equal(rest_of(&iter), all - 1);
    /* What was removed stays removed; what comes is found. */
    assert_ok(cmap_iter_restart(&iter));
    assert_ok(cmap_iter_next(&iter, NULL));
    if (mode) {
      assert_ok(cmap_iter_remove(&iter, &first));
      assert_ok(cmap_iter_restart(&iter));
      assert_int_equal(rest_of(&iter), all - 1);
      numbers_put(map, first, first);
      assert_ok(cmap_iter_restart(&iter));
      assert_int_equal(rest_of(&iter), all);
    }
    cmap_iter_release(&iter);
    assert_status(cmap_iter_restart(&iter), CMAP_EINVAL);
  }
  cmap_destroy(map);
  checks_assert();
}

static void only_the_first_release_counts(void **state)
{
  struct cmap *map = numbers_open();
  struct cmap_how how = cmap_how_try();
  struct cmap_iter iter = CMAP_INIT, copy, other = CMAP_INIT;
  uint64_t id = 1, old = 7;

  (void)state;
  numbers_put(map, id, 10);
  assert_ok(cmap_iter_begin(map, CMAP_WRITE, 0, 1, &iter));
  assert_ok(cmap_iter_next(&iter, NULL));
  copy = iter;
  assert_status(cmap_insert(map, cmap_key_u64(&id), &id, NULL, NULL, &how),
                CMAP_BUSY);
  cmap_iter_release(&iter);
  assert_true(iter_is_init(&iter));
  assert_ok(cmap_insert(map, cmap_key_u64(&id), &id, NULL, NULL, &how));
  /* Another iterator may be behind the same address by now. */
  assert_ok(cmap_iter_begin(map, CMAP_WRITE, 0, 1, &other));
  assert_ok(cmap_iter_next(&other, NULL));
  assert_status(cmap_iter_next(&copy, NULL), CMAP_EINVAL);
  assert_status(cmap_iter_remove(&copy, &old), CMAP_EINVAL);
  assert_status(cmap_iter_restart(&copy), CMAP_EINVAL);
  cmap_iter_release(&copy);
  assert_true(iter_is_init(&copy));
  cmap_iter_release(&iter);
  assert_status(cmap_insert(map, cmap_key_u64(&id), &id, NULL, NULL, &how),
                CMAP_BUSY);
  assert_non_null(other.value);
  assert_ok(cmap_iter_remove(&other, &old));
  assert_int_equal(old, 1);
  cmap_iter_release(&other);
  assert_ok(cmap_insert(map, cmap_key_u64(&id), &id, NULL, NULL, &how));
  cmap_destroy(map);
}

/* ------------------------------------------------------------------------
 * Destructors
 * ------------------------------------------------------------------------ */

static struct cmap *destructor_map;
static size_t destroyed;

/* Value 0 owns nothing. Any other one is its key: it comes back without. */
static void come_back(void *value, void *ctx)
{
  struct cmap_how how = cmap_how_try();
  const uint64_t nothing = 0;
  uint64_t id;

  (void)ctx;
  memcpy(&id, value, sizeof id);
  if (id == 0 || destructor_map == NULL)
    return;
  destroyed++;
  CHECK_OK(cmap_insert(destructor_map, cmap_key_u64(&id), &nothing, NULL, NULL,
                       &how));
}

/* They run when the shard is left, without a lock; what they insert has the
   place of what was removed, and is not met again. */
static void destructors_may_call_the_library(void **state)
{
  CMAP_AUTO(cmap_iter, iter);
  struct cmap_options options;
  enum cmap_status status;
  size_t met = 0;

  (void)state;
  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  options.value_destroy = come_back;
  options.shard_groups = 1;
  assert_ok(cmap_create(&options, &destructor_map));
  for (uint64_t id = 1; id <= 300; id++)
    numbers_put(destructor_map, id, id);
  destroyed = 0;
  assert_ok(cmap_iter_begin(destructor_map, CMAP_WRITE, 0, 1, &iter));
  while ((status = cmap_iter_next(&iter, NULL)) == CMAP_OK) {
    uint64_t number;
    memcpy(&number, iter.value, sizeof number);
    CHECK(number != 0);
    met++;
    CHECK_OK(cmap_iter_remove(&iter, NULL));
    CHECK(destroyed < met);
  }
  CHECK_STATUS(status, CMAP_NOT_FOUND);
  CHECK(met == 300 && destroyed == 300);
  CHECK(cmap_len(destructor_map) == 300);
  /* Restart and release leave a shard, too. */
  for (int way = 0; way < 2; way++) {
    cmap_iter_release(&iter);
    for (uint64_t id = 1; id <= 300; id++)
      numbers_put(destructor_map, id, id);
    destroyed = 0;
    CHECK_OK(cmap_iter_begin(destructor_map, CMAP_WRITE, 0, 1, &iter));
    CHECK_OK(cmap_iter_next(&iter, NULL));
    CHECK_OK(cmap_iter_remove(&iter, NULL));
    CHECK(destroyed == 0);
    if (way)
      CHECK_OK(cmap_iter_restart(&iter));
    else
      cmap_iter_release(&iter);
    CHECK(destroyed == 1);
  }
  cmap_iter_release(&iter);
  {
    struct cmap *map = destructor_map;
    destructor_map = NULL;
    cmap_destroy(map);
  }
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_kind_of_map),
      cmocka_unit_test(an_empty_map),
      cmocka_unit_test(arguments_that_are_refused),
      cmocka_unit_test(a_hash_is_ignored),
      cmocka_unit_test(restart_begins_again),
      cmocka_unit_test(only_the_first_release_counts),
      cmocka_unit_test(destructors_may_call_the_library),
  };

  return cmocka_run_group_tests_name("iter", tests, NULL, NULL);
}
