/* cmap_lock_many: several keys of any maps, all or none. */
#include "asleep.h"
#include "calls.h"
#include "numbers.h"
#include "operations_guards.h"
#include "settings.h"
#include "threads.h"

#include <string.h>

#define KEYS      200
#define KEY       UINT64_C(7)
#define ABSENT    UINT64_C(1000)
#define NO_STATUS ((enum cmap_status)9999)
#define THREADS   4

static void several_keys_on_every_kind_of_map(void **state)
{
  static op_fn *const ops[] = {op_lock_many, op_insert, op_lock_many};

  (void)state;
  op_exercise(ops, sizeof ops / sizeof *ops);
}

static uint64_t number_at(const void *value)
{
  uint64_t number = UINT64_MAX;

  CHECK(value != NULL);
  if (value != NULL)
    memcpy(&number, value, sizeof number);
  return number;
}

static struct cmap_want want(struct cmap *map, const uint64_t *id,
                             enum cmap_mode mode)
{
  struct cmap_want w = {map, cmap_key_u64(id), mode, NO_STATUS};

  return w;
}

static bool is_none(const struct cmap_multi *held)
{
  return held->count == 0 && held->internal[0] == 0 && held->internal[1] == 0;
}

/* No lock is left behind. */
static void check_free(struct cmap *map)
{
  struct cmap_how how = cmap_how_try();

  for (uint64_t id = 0; id < KEYS; id++) {
    uint64_t value = calls_value(cmap_key_u64(&id));
    CHECK_OK(cmap_insert(map, cmap_key_u64(&id), &value, NULL, NULL, &how));
  }
}

static void bad_arguments(void **state)
{
  struct cmap *map = calls_map(KEYS);
  struct cmap_multi held = CMAP_INIT;
  struct cmap_how how = cmap_how_try();
  uint64_t id = KEY, other = KEY + 1;

  (void)state;
  for (int bad = 0; bad < 9; bad++) {
    struct cmap_want w[2] = {want(map, &id, CMAP_READ),
                             want(map, &other, CMAP_ENTRY)};
    enum cmap_status status;
    how = cmap_how_try();
    if (bad == 0)
      w[1].map = NULL;
    if (bad == 1)
      w[1].mode = (enum cmap_mode)0;
    if (bad == 2)
      w[1].mode = (enum cmap_mode)4;
    if (bad == 3)
      w[1].key.size = 7;
    if (bad == 4)
      w[1].key.data = NULL;
    if (bad == 5)
      how.flags |= 16;
    if (bad == 6)
      how.size = 3;
    status = cmap_lock_many(bad == 7 ? NULL : w, bad == 8 ? 0 : 2, &held, &how);
    CHECK_STATUS(status, CMAP_EINVAL);
    CHECK(w[0].status == NO_STATUS && w[1].status == NO_STATUS);
    CHECK_STATUS(cmap_lock_many(w, 2, NULL, NULL), CMAP_EINVAL);
    CHECK(is_none(&held));
  }
  {
    struct cmap_want w = want(map, &id, CMAP_READ);
    CHECK_STATUS(cmap_lock_many(&w, SIZE_MAX, &held, NULL), CMAP_ENOMEM);
    CHECK(is_none(&held));
    /* A wrong hash is no matter here. */
    how = cmap_how_hashed(12345);
    CHECK_OK(cmap_lock_many(&w, 1, &held, &how));
    cmap_multi_release(&held);
  }
  check_free(map);
  CHECK(cmap_len(map) == KEYS);
  cmap_destroy(map);
  checks_assert();
}

static void release_elsewhere(unsigned index, void *ctx)
{
  struct cmap_multi copy = *(struct cmap_multi *)ctx;

  (void)index;
  CHECK(cmap_multi_value(&copy, 0) == NULL);
  CHECK(cmap_multi_entry(&copy, 0) == NULL);
  cmap_multi_release(&copy);
  CHECK(!is_none(&copy)); /* the owner's is still to be released */
}

static void what_holds_nothing(void **state)
{
  struct cmap *map = calls_map(KEYS);
  struct cmap_how how = cmap_how_try();
  struct cmap_multi held = CMAP_INIT, copy;
  uint64_t id = KEY, value = 1;
  struct cmap_want w = want(map, &id, CMAP_ENTRY);
  struct cmap_entry *entry, stale;
  struct thread thread;

  (void)state;
  cmap_multi_release(NULL);
  cmap_multi_release(&held);
  CHECK(cmap_multi_value(NULL, 0) == NULL && cmap_multi_entry(NULL, 0) == NULL);
  CHECK(cmap_multi_value(&held, 0) == NULL);
  CHECK(cmap_multi_entry(&held, 0) == NULL);
  CHECK_OK(cmap_lock_many(&w, 1, &held, NULL));
  copy = held;
  stale = *cmap_multi_entry(&held, 0);
  cmap_multi_release(&held);
  CHECK(is_none(&held));
  cmap_multi_release(&held);
  CHECK(cmap_multi_value(&copy, 0) == NULL);
  CHECK_OK(cmap_lock_many(&w, 1, &held, NULL));
  cmap_multi_release(&copy); /* its record is the new hold's */
  CHECK(is_none(&copy));
  thread_start(&thread, release_elsewhere, 0, &held);
  thread_join(&thread);
  CHECK_STATUS(cmap_insert(map, cmap_key_u64(&id), &value, NULL, NULL, &how),
               CMAP_BUSY);
  entry = cmap_multi_entry(&held, 0);
  cmap_entry_release(entry); /* does nothing */
  CHECK(entry->key.data != NULL && entry->value != NULL);
  CHECK_STATUS(cmap_insert(map, cmap_key_u64(&id), &value, NULL, NULL, &how),
               CMAP_BUSY);
  cmap_multi_release(&held);
  (void)stale; /* its memory is gone: not to be used any more */
  {
    CMAP_AUTO(cmap_multi, scoped);
    CHECK_OK(cmap_lock_many(&w, 1, &scoped, NULL));
  }
  check_free(map);
  cmap_destroy(map);
  checks_assert();
}

static void entries_of_several(void **state)
{
  struct cmap *map = calls_map(KEYS);
  struct cmap_multi held = CMAP_INIT;
  struct cmap_write_guard guard = CMAP_INIT;
  uint64_t ids[3] = {KEY, ABSENT, KEY + 1}, out = 5, value = 6, hash = 0;
  struct cmap_want w[3] = {want(map, &ids[0], CMAP_ENTRY),
                           want(map, &ids[1], CMAP_ENTRY),
                           want(map, &ids[2], CMAP_READ)};
  struct cmap_entry *entry;

  (void)state;
  CHECK_OK(cmap_lock_many(w, 3, &held, NULL));
  CHECK(held.count == 3);
  CHECK(cmap_multi_entry(&held, 2) == NULL);
  CHECK(cmap_multi_entry(&held, 3) == NULL);
  CHECK(cmap_multi_value(&held, 3) == NULL);
  entry = cmap_multi_entry(&held, 0);
  CHECK_OK(cmap_hash(map, cmap_key_u64(&ids[0]), &hash));
  CHECK(cmap_entry_shard_index(entry) == cmap_shard_index(map, hash));
  CHECK_STATUS(cmap_entry_into_guard(entry, &guard), CMAP_EINVAL);
  CHECK_STATUS(cmap_entry_remove_entry(entry, &out, &out), CMAP_EINVAL);
  CHECK(out == 5 && guard.value == NULL && entry->value != NULL);
  CHECK_OK(cmap_entry_remove(entry, &out));
  CHECK(out == calls_value(cmap_key_u64(&ids[0])));
  CHECK(cmap_multi_value(&held, 0) == NULL);
  CHECK_OK(cmap_entry_or_insert(entry, &value));
  CHECK_OK(cmap_entry_remove(entry, NULL));
  entry = cmap_multi_entry(&held, 1);
  CHECK(entry->value == NULL && number_at(entry->key.data) == ABSENT);
  CHECK_OK(cmap_entry_or_insert(entry, &value));
  CHECK(cmap_multi_value(&held, 1) == entry->value);
  cmap_multi_release(&held);
  CHECK(!numbers_has(map, KEY) && numbers_get(map, ABSENT) == value);
  cmap_destroy(map);
  checks_assert();
}

/* The same key up to three times, in all modes: the strongest holds. */
static void the_same_key_several_times(void **state)
{
  struct cmap *map = calls_map(KEYS);
  uint64_t other = KEY + 1;

  (void)state;
  for (unsigned modes = 0; modes < 27; modes++) {
    for (uint64_t id = KEY; id <= ABSENT; id += ABSENT - KEY) {
      struct cmap_multi held = CMAP_INIT;
      struct cmap_want w[4] = {
          want(map, &id, 1 + modes % 3), want(map, &other, CMAP_READ),
          want(map, &id, 1 + modes / 3 % 3), want(map, &id, 1 + modes / 9)};
      enum cmap_mode strongest = w[0].mode;
      enum cmap_status expected;
      for (int i = 2; i < 4; i++)
        strongest = w[i].mode > strongest ? w[i].mode : strongest;
      expected =
          id == ABSENT && strongest != CMAP_ENTRY ? CMAP_NOT_FOUND : CMAP_OK;
      CHECK_STATUS(cmap_lock_many(w, 4, &held, NULL), expected);
      for (size_t i = 0; i < 4; i++)
        CHECK_STATUS(w[i].status, i == 1 ? CMAP_OK : expected);
      for (size_t i = 0; i < 4 && expected == CMAP_OK; i++) {
        if (i == 1)
          continue;
        CHECK(cmap_multi_value(&held, i) == cmap_multi_value(&held, 0));
        CHECK((cmap_multi_value(&held, i) != NULL) == (id == KEY));
        CHECK(cmap_multi_entry(&held, i) == cmap_multi_entry(&held, 0));
        CHECK((cmap_multi_entry(&held, i) != NULL) == (strongest != CMAP_READ));
      }
      if (id == ABSENT && expected == CMAP_OK) {
        CHECK_OK(cmap_entry_or_default(cmap_multi_entry(&held, 2)));
        CHECK(cmap_multi_value(&held, 0) != NULL);
        CHECK(cmap_multi_value(&held, 0) == cmap_multi_value(&held, 3));
        CHECK_OK(cmap_entry_remove(cmap_multi_entry(&held, 0), NULL));
      }
      cmap_multi_release(&held);
      CHECK(cmap_len(map) == KEYS);
      check_free(map);
    }
  }
  cmap_destroy(map);
  checks_assert();
}

/* ------------------------------------------------------------------------
 * All or none
 * ------------------------------------------------------------------------ */

static void missing_keys(void **state)
{
  struct cmap *map = calls_map(KEYS);

  (void)state;
  for (unsigned missing = 1; missing < 64; missing++) {
    struct cmap_multi held = CMAP_INIT;
    struct cmap_want w[6];
    uint64_t ids[6];
    for (unsigned i = 0; i < 6; i++) {
      ids[i] = (missing >> i & 1 ? ABSENT : 0) + 30 * i;
      w[i] = want(map, &ids[i], i % 2 ? CMAP_READ : CMAP_WRITE);
    }
    CHECK_STATUS(cmap_lock_many(w, 6, &held, NULL), CMAP_NOT_FOUND);
    for (unsigned i = 0; i < 6; i++)
      CHECK_STATUS(w[i].status, missing >> i & 1 ? CMAP_NOT_FOUND : CMAP_OK);
    CHECK(is_none(&held));
    check_free(map);
  }
  cmap_destroy(map);
  checks_assert();
}

enum { ALL = 40 };

/* Wants many keys, of which another one, or this thread, holds KEY. */
static void want_all(struct cmap *map, const struct cmap_how *how,
                     enum cmap_mode mode, enum cmap_status expected)
{
  struct cmap_multi held = CMAP_INIT;
  struct cmap_want w[ALL];
  uint64_t ids[ALL];
  size_t failed = 0;

  for (size_t i = 0; i < ALL; i++) {
    ids[i] = KEY + i * 4;
    w[i] = want(map, &ids[i], mode);
  }
  CHECK_STATUS(cmap_lock_many(w, ALL, &held, how), expected);
  for (size_t i = 0; i < ALL; i++) {
    CHECK(w[i].status == expected || w[i].status == CMAP_OK);
    failed += w[i].status == expected;
  }
  CHECK(expected == CMAP_OK ? failed == ALL : failed == 1);
  CHECK(is_none(&held) == (expected != CMAP_OK));
  cmap_multi_release(&held);
}

static void want_all_elsewhere(unsigned index, void *ctx)
{
  struct cmap_how try = cmap_how_try(), soon = cmap_how_within(1000000);
  enum cmap_mode modes[] = {CMAP_READ, CMAP_WRITE, CMAP_ENTRY};

  for (int i = 0; i < 3; i++) {
    bool works = index == 1 && modes[i] == CMAP_READ;
    want_all(ctx, &try, modes[i], works ? CMAP_OK : CMAP_BUSY);
    soon = cmap_how_within(1000000);
    want_all(ctx, &soon, modes[i], works ? CMAP_OK : CMAP_TIMEDOUT);
  }
}

static void a_key_that_is_held(void **state)
{
  struct cmap *map = calls_map(KEYS);
  struct cmap_write_guard write = CMAP_INIT;
  struct cmap_read_guard read = CMAP_INIT;
  struct cmap_how try = cmap_how_try();
  uint64_t id = KEY;
  struct thread thread;

  (void)state;
  CHECK_OK(cmap_get_mut(map, cmap_key_u64(&id), &write, NULL));
  want_all(map, NULL, CMAP_READ, CMAP_EDEADLK);
  want_all(map, NULL, CMAP_WRITE, CMAP_EDEADLK);
  want_all(map, &try, CMAP_ENTRY, CMAP_BUSY);
  thread_start(&thread, want_all_elsewhere, 0, map);
  thread_join(&thread);
  CHECK_OK(cmap_write_guard_downgrade(&write, &read));
  want_all(map, NULL, CMAP_READ, CMAP_OK);
  want_all(map, NULL, CMAP_WRITE, CMAP_EDEADLK);
  thread_start(&thread, want_all_elsewhere, 1, map);
  thread_join(&thread);
  cmap_read_guard_release(&read);
  want_all(map, &try, CMAP_ENTRY, CMAP_OK);
  check_free(map);
  cmap_destroy(map);
  checks_assert();
}

/* ------------------------------------------------------------------------
 * Room for many vacant keys
 * ------------------------------------------------------------------------ */

static void many_vacant(const struct map_spec *spec, uint64_t present, size_t n)
{
  static struct cmap_want w[300];
  static struct key_room rooms[300];
  struct cmap_multi held = CMAP_INIT;
  struct value_room value;
  struct key_room room;
  struct test_map m;

  test_map_open(&m, spec);
  for (uint64_t id = 0; id < present; id++) {
    value_make(&m, id, 1, value.bytes);
    CHECK_OK(cmap_insert(m.map, key_make(spec, id, &room), value.bytes, NULL,
                         NULL, NULL));
  }
  for (size_t i = 0; i < n; i++)
    w[i] = (struct cmap_want){m.map, key_make(spec, present + i, &rooms[i]),
                              CMAP_ENTRY, NO_STATUS};
  CHECK_OK(cmap_lock_many(w, n, &held, NULL));
  for (size_t i = 0; i < n; i++) {
    CHECK_STATUS(w[i].status, CMAP_OK);
    CHECK(cmap_multi_value(&held, i) == NULL);
    if (i % 5 != 4) {
      value_make(&m, present + i, 2, value.bytes);
      CHECK_OK(
          cmap_entry_insert(cmap_multi_entry(&held, i), value.bytes, NULL));
    }
  }
  cmap_multi_release(&held);
  CHECK(cmap_len(m.map) == present + n - n / 5);
  for (uint64_t id = 0; id < present + n; id++) {
    bool there = id < present || (id - present) % 5 != 4;
    CMAP_AUTO(cmap_read_guard, guard);
    CHECK_STATUS(cmap_get_ref(m.map, key_make(spec, id, &room), &guard, NULL),
                 there ? CMAP_OK : CMAP_NOT_FOUND);
    CHECK(!there || value_is(&m, id, id < present ? 1 : 2, guard.value));
  }
  test_map_close(&m);
}

static void room_for_many_vacant_keys(void **state)
{
  static const struct map_spec specs[] = {
      {.keys = KEYS_U64, .value_size = 8, .shard_groups = 1},
      {.keys = KEYS_U64, .value_size = 8},
      {.keys = KEYS_U32, .value_size = 0, .hash = HASH_CONSTANT},
      {.keys = KEYS_U64,
       .value_size = 8,
       .hash = HASH_CONSTANT,
       .shard_groups = 1},
      {.keys = KEYS_STRING,
       .value_size = 300,
       .care = VALUES_OWNED,
       .hash = HASH_LOW_4,
       .shard_groups = 2},
      {.keys = KEYS_CUSTOM_OWNED,
       .value_size = 8,
       .hash = HASH_TOP_16,
       .shard_groups = 1},
  };
  static const size_t counts[] = {1, 2, 3, 9, 10, 11, 12, 22, 40, 100, 300};

  (void)state;
  for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
    checks_about(map_spec_name(&specs[i]));
    for (size_t j = 0; j < sizeof counts / sizeof *counts; j++) {
      for (uint64_t present = 0; present <= 42; present += present < 8 ? 8 : 1)
        many_vacant(&specs[i], present, counts[j]);
      checks_about(map_spec_name(&specs[i]));
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(several_keys_on_every_kind_of_map),
      cmocka_unit_test(bad_arguments),
      cmocka_unit_test(what_holds_nothing),
      cmocka_unit_test(entries_of_several),
      cmocka_unit_test(the_same_key_several_times),
      cmocka_unit_test(missing_keys),
      cmocka_unit_test(a_key_that_is_held),
      cmocka_unit_test(room_for_many_vacant_keys),
  };

  return cmocka_run_group_tests_name("lock_many", tests, NULL, NULL);
}
