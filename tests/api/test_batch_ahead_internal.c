/*
 * Batches on maps that are large enough for steps to run ahead of the calls:
 * the same as single calls on a second map. Shards of one group make a small
 * map large by that measure.
 */
#include "asleep.h"
#include "content.h"
#include "map/map.h"
#include "maps.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

#include <stdlib.h>
#include <string.h>

/*
 * src/map/batch.c runs ahead from CMAP__PREFETCH_DEPTH on, in two steps, and in
 * three from DEEP on; and in one more where there are boxes.
 */
enum { DEEP = 10, FILL_MAX = 12000, MOST = 1000 };

/* Around once, twice and three times the keys between two steps, and around
 * the ring's size. */
static const size_t sizes[] = {0,  1,  2,  15, 16, 17, 19,  20,  21,  31,  32,
                               33, 39, 40, 41, 45, 46, 48,  49,  59,  60,  61,
                               63, 64, 65, 75, 76, 77, 127, 128, 129, MOST};

static struct test_map a, b; /* batches; single calls */
static uint64_t fill;        /* ids below it are there at first */
static uint64_t versions[FILL_MAX + FILL_MAX / 4];
static struct key_room rooms[MOST];
static struct cmap_key keys[MOST];
static uint64_t ids[MOST], hashes[MOST];
static enum cmap_status statuses[MOST];
static unsigned char *values; /* MOST of them */

static void *value_at(size_t i)
{
  return values + i * a.spec.value_size;
}

static unsigned depth_of_a(void)
{
  return cmap__directory_depth(
      cmap__directory_current(&a.map->table.directory));
}

/* Filled until the directory is as deep. */
static void open_both(const struct map_spec *spec, unsigned depth)
{
  struct key_room key;
  struct value_room value;

  checks_about(map_spec_name(spec));
  test_map_open(&a, spec);
  test_map_open_sibling(&b, &a);
  fill = 0;
  while (depth_of_a() < depth && fill < FILL_MAX) {
    uint64_t id = fill++;
    versions[id] = 1;
    value_make(&a, id, 1, value.bytes);
    assert_ok(cmap_insert(a.map, key_make(spec, id, &key), value.bytes, NULL,
                          NULL, NULL));
    value_make(&b, id, 1, value.bytes);
    assert_ok(cmap_insert(b.map, key_make(spec, id, &key), value.bytes, NULL,
                          NULL, NULL));
  }
  assert_true(depth_of_a() >= depth);
  values = calloc(MOST, spec->value_size + 1);
  assert_non_null(values);
}

static void close_both(void)
{
  assert_ok(cmap_check(a.map, NULL, NULL));
  free(values);
  test_map_close(&b);
  test_map_close(&a);
}

static void choose_keys(struct random *random, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    ids[i] = random_below(random, fill + fill / 4);
    keys[i] = key_make(&a.spec, ids[i], &rooms[i]);
    assert_ok(cmap_hash(a.map, keys[i], &hashes[i]));
  }
}

/* The result of a batch is the first that is not CMAP_OK. */
static void check_first(enum cmap_status result, size_t n)
{
  size_t i = 0;

  while (i < n && statuses[i] == CMAP_OK)
    i++;
  CHECK(result == (i < n ? statuses[i] : CMAP_OK));
}

static void try_get(size_t n, const uint64_t *given)
{
  struct value_room value;

  check_first(cmap_get_many(a.map, keys, given, n, values, statuses, NULL), n);
  for (size_t i = 0; i < n; i++) {
    CHECK(cmap_get(b.map, keys[i], value.bytes, NULL) == statuses[i]);
    if (statuses[i] != CMAP_OK)
      continue;
    CHECK(value_is(&a, ids[i], versions[ids[i]], value_at(i)));
    value_drop(&a, value_at(i));
    value_drop(&b, value.bytes);
  }
}

static void try_contains(size_t n, const uint64_t *given)
{
  check_first(cmap_contains_many(a.map, keys, given, n, statuses, NULL), n);
  for (size_t i = 0; i < n; i++)
    CHECK(cmap_contains(b.map, keys[i], NULL) == statuses[i]);
}

static void try_insert(size_t n, const uint64_t *given, uint64_t version)
{
  struct value_room value;

  for (size_t i = 0; i < n; i++) {
    /* Of equal keys the last one stays. */
    versions[ids[i]] = version + i;
    value_make(&a, ids[i], version + i, value.bytes);
    memcpy(value_at(i), value.bytes, a.spec.value_size);
    value_make(&b, ids[i], version + i, value.bytes);
    CHECK_OK(cmap_insert(b.map, keys[i], value.bytes, NULL, NULL, NULL));
  }
  CHECK_OK(cmap_insert_many(a.map, keys, given, n, values, statuses, NULL));
  for (size_t i = 0; i < n; i++)
    CHECK_OK(statuses[i]);
}

static void try_remove(size_t n, const uint64_t *given)
{
  check_first(cmap_remove_many(a.map, keys, given, n, values, statuses, NULL),
              n);
  for (size_t i = 0; i < n; i++) {
    CHECK(cmap_remove(b.map, keys[i], NULL, NULL) == statuses[i]);
    if (statuses[i] != CMAP_OK)
      continue;
    CHECK(value_is(&a, ids[i], versions[ids[i]], value_at(i)));
    value_drop(&a, value_at(i));
  }
}

static void compare(const struct map_spec *spec, unsigned depth)
{
  struct random random;
  uint64_t version = 2;

  open_both(spec, depth);
  random_begin(&random, spec->keys);
  for (size_t round = 0; round < 2 * sizeof sizes / sizeof *sizes; round++) {
    const uint64_t *given = round % 2 == 0 ? NULL : hashes;
    size_t n = sizes[round / 2];

    /* Where all is slow, every third size; which ones depends on the kind. */
    if (test_scale(100) < 50 && (round / 2 + spec->keys) % 3 != 0)
      continue;
    choose_keys(&random, n);
    try_get(n, given);
    try_remove(n, given);
    try_contains(n, given);
    choose_keys(&random, n);
    try_insert(n, given, version);
    try_get(n, given);
    version += n;
    CHECK(cmap_len(a.map) == cmap_len(b.map));
  }
  close_both();
  checks_assert();
}

static void as_single_calls(void **state)
{
  (void)state;
  for (unsigned shape = 0; shape < KEY_SHAPES; shape++) {
    struct map_spec spec = {.keys = (enum key_shape)shape, .shard_groups = 1};

    spec.value_size = 8;
    compare(&spec, CMAP__PREFETCH_DEPTH);
    compare(&spec, DEEP);
    spec.value_size = 24;
    spec.care = VALUES_OWNED;
    compare(&spec, CMAP__PREFETCH_DEPTH);
    compare(&spec, DEEP);
    spec.value_size = 300; /* in boxes, for which there is one step more */
    spec.care = VALUES_PLAIN;
    compare(&spec, CMAP__PREFETCH_DEPTH);
    compare(&spec, DEEP);
  }
}

/* A value that cannot be cloned: its key fails, the others are served, and its
 * place in the output is left alone. */
static void values_that_fail(void **state)
{
  const struct map_spec spec = {.keys = KEYS_U64,
                                .value_size = 24,
                                .care = VALUES_OWNED,
                                .shard_groups = 1};
  enum cmap_status failure = cmap_status_user(9);
  struct random random;

  (void)state;
  open_both(&spec, DEEP);
  random_begin(&random, 1);
  choose_keys(&random, MOST);
  memset(values, 0x5a, MOST * spec.value_size);
  atomic_store(&a.lives->clone_status, failure);
  (void)!cmap_get_many(a.map, keys, NULL, MOST, values, statuses, NULL);
  atomic_store(&a.lives->clone_status, 0);
  for (size_t i = 0; i < MOST; i++) {
    const unsigned char *bytes = value_at(i);

    assert_status(statuses[i], ids[i] < fill ? failure : CMAP_NOT_FOUND);
    for (size_t byte = 0; byte < spec.value_size; byte++)
      assert_int_equal(bytes[byte], 0x5a);
  }
  close_both();
}

static void try_keys_that_are_not_valid(unsigned depth)
{
  const struct map_spec spec = {
      .keys = KEYS_U64, .value_size = 8, .shard_groups = 1};
  struct random random;

  open_both(&spec, depth);
  random_begin(&random, 2);
  for (unsigned round = 0; round < 2; round++) {
    const uint64_t *given = round == 0 ? NULL : hashes;

    choose_keys(&random, MOST);
    for (size_t i = 0; i < MOST; i++) {
      if (i % 7 == 3)
        keys[i].size = 4;
      if (i % 7 == 5)
        keys[i].data = NULL;
    }
    (void)!cmap_get_many(a.map, keys, given, MOST, values, statuses, NULL);
    for (size_t i = 0; i < MOST; i++)
      assert_status(statuses[i], i % 7 == 3 || i % 7 == 5 ? CMAP_EINVAL
                                 : ids[i] < fill          ? CMAP_OK
                                                          : CMAP_NOT_FOUND);
    (void)!cmap_contains_many(a.map, keys, given, MOST, statuses, NULL);
    for (size_t i = 0; i < MOST; i++)
      assert_status(statuses[i], i % 7 == 3 || i % 7 == 5 ? CMAP_EINVAL
                                 : ids[i] < fill          ? CMAP_OK
                                                          : CMAP_NOT_FOUND);
  }
  close_both();
}

/* They lie between others, which are served. */
static void keys_that_are_not_valid(void **state)
{
  (void)state;
  try_keys_that_are_not_valid(CMAP__PREFETCH_DEPTH);
  try_keys_that_are_not_valid(DEEP);
}

static void read_all(unsigned index, void *ctx)
{
  (void)index;
  asleep_here(ctx);
  (void)!cmap_get_many(a.map, keys, NULL, MOST, values, statuses, NULL);
}

static void try_value_that_is_being_changed(unsigned depth)
{
  const struct map_spec spec = {
      .keys = KEYS_U64, .value_size = 8, .shard_groups = 1};
  struct cmap_write_guard guard = CMAP_INIT;
  struct asleep asleep;
  struct thread reader;
  struct random random;

  open_both(&spec, depth);
  random_begin(&random, 3);
  choose_keys(&random, MOST);
  ids[MOST / 2] = 1;
  keys[MOST / 2] = key_make(&spec, 1, &rooms[MOST / 2]);
  assert_ok(cmap_get_mut(a.map, keys[MOST / 2], &guard, NULL));
  value_change(&a, 1, 7, guard.value);
  asleep_begin(&asleep);
  thread_start(&reader, read_all, 0, &asleep);
  asleep_wait(&asleep);
  value_change(&a, 1, 8, guard.value);
  cmap_write_guard_release(&guard);
  thread_join(&reader);
  assert_status(statuses[MOST / 2], CMAP_OK);
  assert_true(value_is(&a, 1, 8, value_at(MOST / 2)));
  close_both();
}

/* As single reads, batches wait for who changes a value. */
static void a_value_that_is_being_changed(void **state)
{
  (void)state;
  try_value_that_is_being_changed(CMAP__PREFETCH_DEPTH);
  try_value_that_is_being_changed(DEEP);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(as_single_calls),
      cmocka_unit_test(values_that_fail),
      cmocka_unit_test(keys_that_are_not_valid),
      cmocka_unit_test(a_value_that_is_being_changed),
  };

  return cmocka_run_group_tests_name("batch_ahead", tests, NULL, NULL);
}
