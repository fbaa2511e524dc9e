/*
 * cmap_snapshot_create and its kin; cmap_drain.
 */
#include "content.h"
#include "maps.h"
#include "numbers.h"
#include "threads.h"

#include <stdlib.h>
#include <string.h>

enum { IDS = 200 };

static struct test_map m;

static void fill(const struct map_spec *spec)
{
  struct key_room key;
  struct value_room value;

  test_map_open(&m, spec);
  for (uint64_t id = 0; id < IDS; id++) {
    value_make(&m, id, 1, value.bytes);
    assert_ok(cmap_insert(m.map, key_make(spec, id, &key), value.bytes, NULL,
                          NULL, NULL));
  }
}

static void check_parts(const struct map_spec *spec,
                        enum cmap_snapshot_parts parts)
{
  bool has_keys = parts != CMAP_VALUES_ONLY;
  bool has_values = parts != CMAP_KEYS_ONLY;
  struct cmap_snapshot *snapshot = NULL;
  unsigned char seen[IDS] = {0};
  enum cmap_status status = cmap_snapshot_create(m.map, parts, &snapshot, NULL);

  if (has_values && spec->care == VALUES_UNCOPYABLE) {
    CHECK(status == CMAP_ENOTSUP && snapshot == NULL);
    return;
  }
  CHECK_OK(status);
  CHECK(cmap_snapshot_count(snapshot) == IDS);
  for (size_t i = 0; i < IDS; i++) {
    struct cmap_key key = cmap_snapshot_key(snapshot, i);
    const void *value = cmap_snapshot_value(snapshot, i);
    CHECK((key.data != NULL) == has_keys && (value != NULL) == has_values);
    if (has_keys) {
      uint64_t id = key_id(spec, key);
      CHECK(id < IDS && seen[id]++ == 0);
      if (has_values)
        CHECK(value_is(&m, id, 1, value));
    }
  }
  CHECK(cmap_snapshot_key(snapshot, IDS).data == NULL);
  CHECK(cmap_snapshot_value(snapshot, IDS) == NULL);
  cmap_snapshot_destroy(snapshot);
}

static void every_kind(const struct map_spec *spec, void *ctx)
{
  (void)ctx;
  if (map_spec_is_slow(spec))
    return;
  checks_about(map_spec_name(spec));
  fill(spec);
  check_parts(spec, CMAP_KEYS_AND_VALUES);
  check_parts(spec, CMAP_KEYS_ONLY);
  check_parts(spec, CMAP_VALUES_ONLY);
  test_map_close(&m);
}

static void snapshots_of_every_kind(void **state)
{
  (void)state;
  map_spec_each(every_kind, NULL);
}

static const struct map_spec owned = {
    .keys = KEYS_STRING, .value_size = 24, .care = VALUES_OWNED};

static void arguments(void **state)
{
  const struct cmap_how wrong = {.size = 1};
  struct cmap_snapshot *snapshot = NULL;

  (void)state;
  fill(&owned);
  assert_status(cmap_snapshot_create(NULL, CMAP_KEYS_ONLY, &snapshot, NULL),
                CMAP_EINVAL);
  assert_status(cmap_snapshot_create(m.map, CMAP_KEYS_ONLY, NULL, NULL),
                CMAP_EINVAL);
  assert_status(
      cmap_snapshot_create(m.map, (enum cmap_snapshot_parts)3, &snapshot, NULL),
      CMAP_EINVAL);
  assert_status(cmap_snapshot_create(m.map, CMAP_KEYS_ONLY, &snapshot, &wrong),
                CMAP_EINVAL);
  assert_status(cmap_drain(m.map, NULL, NULL, NULL), CMAP_EINVAL);
  assert_null(snapshot);
  assert_int_equal(cmap_snapshot_count(NULL), 0);
  assert_null(cmap_snapshot_key(NULL, 0).data);
  assert_null(cmap_snapshot_value(NULL, 0));
  cmap_snapshot_destroy(NULL);
  test_map_close(&m);
}

/* Where memory runs out there is no snapshot, and nothing is left of it; the
 * map is not locked any more. */
static void no_memory(void **state)
{
  struct cmap_how try_only = cmap_how_try();
  struct cmap_snapshot *snapshot = NULL;
  enum cmap_status status = CMAP_ENOMEM;

  (void)state;
  fill(&owned);
  for (size_t nth = 1; status == CMAP_ENOMEM; nth++) {
    assert_true(nth < 2 * IDS);
    counting_alloc_fail_nth(&m.alloc, nth);
    status = cmap_snapshot_create(m.map, CMAP_KEYS_AND_VALUES, &snapshot, NULL);
    assert_true(status == CMAP_ENOMEM || status == CMAP_OK);
    assert_true((status == CMAP_OK) == (snapshot != NULL));
    counting_alloc_fail_none(&m.alloc);
    if (status == CMAP_ENOMEM) {
      struct key_room key;
      assert_ok(cmap_remove(m.map, key_make(&owned, nth % IDS, &key), NULL,
                            &try_only));
    }
  }
  assert_ok(status);
  cmap_snapshot_destroy(snapshot);
  test_map_close(&m);
}

/* The status of a copy that fails; and the map is not locked any more. */
static void copies_that_fail(void **state)
{
  const struct map_spec specs[] = {
      owned,
      {.keys = KEYS_CUSTOM_OWNED, .value_size = 8, .care = VALUES_PLAIN}};
  struct cmap_how try_only = cmap_how_try();
  struct key_room key;

  (void)state;
  for (size_t i = 0; i < 2; i++) {
    struct cmap_snapshot *snapshot = NULL;

    fill(&specs[i]);
    atomic_store(&m.lives->clone_status, cmap_status_user(9));
    assert_status(
        cmap_snapshot_create(m.map, CMAP_KEYS_AND_VALUES, &snapshot, NULL),
        cmap_status_user(9));
    assert_null(snapshot);
    atomic_store(&m.lives->clone_status, 0);
    assert_ok(
        cmap_remove(m.map, key_make(&specs[i], 5, &key), NULL, &try_only));
    test_map_close(&m);
  }
}

static uint64_t hash_number(struct cmap_key key, void *ctx)
{
  uint64_t number;

  (void)ctx;
  memcpy(&number, key.data, sizeof number);
  return number;
}

static bool equal_numbers(struct cmap_key a, struct cmap_key b, void *ctx)
{
  (void)ctx;
  return memcmp(a.data, b.data, sizeof(uint64_t)) == 0;
}

static void drop_nothing(void *stored, void *ctx)
{
  (void)stored, (void)ctx;
}

/* Keys that own something and cannot be copied. */
static void keys_that_cannot_be_copied(void **state)
{
  struct cmap_snapshot *snapshot = NULL;
  struct cmap_options options;
  uint64_t number = 3;
  struct cmap *map;

  (void)state;
  cmap_options_init(&options, CMAP_CUSTOM, sizeof number);
  options.key_size = sizeof number;
  options.key_hash = hash_number;
  options.key_equal = equal_numbers;
  options.key_destroy = drop_nothing;
  assert_ok(cmap_create(&options, &map));
  assert_ok(cmap_insert(map, cmap_key_u64(&number), &number, NULL, NULL, NULL));
  assert_status(
      cmap_snapshot_create(map, CMAP_KEYS_AND_VALUES, &snapshot, NULL),
      CMAP_ENOTSUP);
  assert_status(cmap_snapshot_create(map, CMAP_KEYS_ONLY, &snapshot, NULL),
                CMAP_ENOTSUP);
  assert_null(snapshot);
  assert_ok(cmap_snapshot_create(map, CMAP_VALUES_ONLY, &snapshot, NULL));
  assert_int_equal(cmap_snapshot_count(snapshot), 1);
  cmap_snapshot_destroy(snapshot);
  cmap_destroy(map);
}

/* Values are clones: the map may go, and the snapshot is still whole. */
static void snapshots_outlive_entries(void **state)
{
  struct cmap_snapshot *snapshot;

  (void)state;
  fill(&owned);
  assert_ok(cmap_snapshot_create(m.map, CMAP_KEYS_AND_VALUES, &snapshot, NULL));
  assert_ok(cmap_clear(m.map, NULL));
  for (size_t i = 0; i < IDS; i++) {
    uint64_t id = key_id(&owned, cmap_snapshot_key(snapshot, i));
    assert_true(value_is(&m, id, 1, cmap_snapshot_value(snapshot, i)));
  }
  cmap_snapshot_destroy(snapshot);
  test_map_close(&m);
}

/* An allocator that lets another thread insert while it is asked for room. */
struct late {
  struct cmap *map;
  uint64_t ids;       /* inserted so far */
  atomic_uint rounds; /* requests for the copies that it still does so at */
  bool refuses;       /* the next one */
};

enum {
  ROUNDS = 4, /* of making room without a lock (src/map/snapshot.c) */
  FENCE = 2 * IDS * sizeof(uint64_t)
};

static void insert_late(unsigned index, void *ctx)
{
  struct late *late = ctx;

  (void)index;
  for (uint64_t end = late->ids + IDS; late->ids < end; late->ids++)
    numbers_put(late->map, late->ids, late->ids);
}

static void *late_alloc(size_t size, size_t align, void *ctx)
{
  struct late *late = ctx;
  unsigned rounds = atomic_load(&late->rounds);
  struct thread thread;
  char *memory;

  if (size >= 2 * IDS * sizeof(uint64_t)) {
    if (rounds > 0) {
      atomic_store(&late->rounds, 0); /* not for what the other thread asks */
      thread_start(&thread, insert_late, 0, late);
      thread_join(&thread);
      atomic_store(&late->rounds, rounds - 1);
    } else if (late->refuses) {
      return NULL;
    }
  }
  memory = aligned_alloc(align, (size + FENCE + align - 1) / align * align);
  if (memory != NULL)
    memset(memory + size, 0xa5, FENCE);
  return memory;
}

static void late_free(void *memory, size_t size, size_t align, void *ctx)
{
  const unsigned char *fence = (unsigned char *)memory + size;

  (void)align;
  (void)ctx;
  for (size_t i = 0; i < FENCE; i++)
    CHECK(fence[i] == 0xa5);
  free(memory);
}

static void check_all(struct late *late)
{
  unsigned char seen[(2 * ROUNDS + 1) * IDS] = {0};
  struct cmap_snapshot *snapshot;

  assert_ok(
      cmap_snapshot_create(late->map, CMAP_KEYS_AND_VALUES, &snapshot, NULL));
  assert_int_equal(cmap_snapshot_count(snapshot), late->ids);
  for (size_t i = 0; i < late->ids; i++) {
    uint64_t value;
    memcpy(&value, cmap_snapshot_value(snapshot, i), sizeof value);
    assert_true(value < late->ids && seen[value]++ == 0);
  }
  cmap_snapshot_destroy(snapshot);
}

/* Room is made without a lock: what comes meanwhile is in the snapshot. If that
 * happens again and again, room is made under the locks. */
static void entries_that_come_meanwhile(void **state)
{
  struct cmap_snapshot *snapshot = NULL;
  struct cmap_how try_only = cmap_how_try();
  struct cmap_options options;
  uint64_t id = 0;

  (void)state;
  for (unsigned rounds = 1; rounds <= ROUNDS; rounds++) {
    struct late late = {.map = NULL};
    cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
    options.allocator = (struct cmap_allocator){late_alloc, late_free, &late};
    assert_ok(cmap_create(&options, &late.map));
    insert_late(0, &late);
    atomic_store(&late.rounds, rounds);
    if (rounds == ROUNDS) {
      late.refuses = true;
      assert_status(
          cmap_snapshot_create(late.map, CMAP_KEYS_AND_VALUES, &snapshot, NULL),
          CMAP_ENOMEM);
      assert_null(snapshot);
      /* It is not locked any more. */
      assert_ok(cmap_remove(late.map, cmap_key_u64(&id), NULL, &try_only));
      numbers_put(late.map, id, id);
      late.refuses = false;
      atomic_store(&late.rounds, rounds);
    }
    check_all(&late);
    assert_int_equal(atomic_load(&late.rounds), 0);
    cmap_destroy(late.map);
  }
  checks_assert();
}

/* What drain gives is the taker's own. */
struct taking {
  const struct map_spec *spec;
  unsigned char seen[IDS];
  size_t count;
  size_t stop_at; /* 0: not */
};

static enum cmap_status take(struct cmap_key key, void *value, void *ctx)
{
  struct cmap_how try_only = cmap_how_try();
  struct taking *taking = ctx;
  uint64_t id = key_id(taking->spec, key);

  CHECK(id < IDS && taking->seen[id]++ == 0);
  CHECK(value_is(&m, id, 1, value));
  value_drop(&m, value);
  CHECK(cmap_contains(m.map, key, NULL) == CMAP_NOT_FOUND);
  /* No lock is held: this thread's own would be one too many here. */
  CHECK(cmap_remove(m.map, key, NULL, &try_only) == CMAP_NOT_FOUND);
  return ++taking->count == taking->stop_at ? cmap_status_user(9) : CMAP_OK;
}

static void drain_kind(const struct map_spec *spec, void *ctx)
{
  struct taking taking = {.spec = spec};
  bool poor = ctx != NULL;

  if (map_spec_is_slow(spec))
    return;
  checks_about(map_spec_name(spec));
  fill(spec);
  if (poor)
    counting_alloc_fail_from(&m.alloc, 1);
  CHECK_OK(cmap_drain(m.map, take, &taking, NULL));
  counting_alloc_fail_none(&m.alloc);
  CHECK(taking.count == IDS);
  CHECK(cmap_len(m.map) == 0);
  test_map_close(&m);
}

static void drains_of_every_kind(void **state)
{
  char poor;

  (void)state;
  map_spec_each(drain_kind, NULL);
  map_spec_each(drain_kind, &poor);
}

/* A status ends it; what was taken out with that entry was given as well. */
static void drains_that_end(void **state)
{
  struct taking taking = {.spec = &owned, .stop_at = 3};
  size_t left;

  (void)state;
  fill(&owned);
  assert_status(cmap_drain(m.map, take, &taking, NULL), cmap_status_user(9));
  left = cmap_len(m.map);
  assert_int_equal(left + taking.count, IDS);
  taking.stop_at = 0;
  assert_ok(cmap_drain(m.map, take, &taking, NULL));
  assert_int_equal(taking.count, IDS);
  test_map_close(&m);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arguments),
      cmocka_unit_test(snapshots_of_every_kind),
      cmocka_unit_test(no_memory),
      cmocka_unit_test(copies_that_fail),
      cmocka_unit_test(keys_that_cannot_be_copied),
      cmocka_unit_test(snapshots_outlive_entries),
      cmocka_unit_test(entries_that_come_meanwhile),
      cmocka_unit_test(drains_of_every_kind),
      cmocka_unit_test(drains_that_end),
  };

  return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
