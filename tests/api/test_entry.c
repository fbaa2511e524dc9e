/* Entries: look, decide, store, and nobody comes between. */
#include "calls.h"
#include "numbers.h"
#include "operations_guards.h"
#include "settings.h"
#include "step.h"
#include "threads.h"

#include <string.h>

#define KEYS    200
#define KEY     UINT64_C(7)
#define ABSENT  UINT64_C(1000)
#define USER    ((enum cmap_status)USER_STATUS)
#define THREADS 4

static void entries_on_every_kind_of_map(void **state)
{
  static op_fn *const ops[] = {op_entry, op_entry, op_entry, op_insert,
                               op_entry};

  (void)state;
  op_exercise(ops, sizeof ops / sizeof *ops);
}

static struct cmap_entry begin(struct cmap *map, uint64_t id)
{
  struct cmap_entry entry = CMAP_INIT;

  CHECK_OK(cmap_entry_begin(map, cmap_key_u64(&id), &entry, NULL));
  return entry;
}

static uint64_t number_at(const void *value)
{
  uint64_t number = UINT64_MAX;

  CHECK(value != NULL);
  if (value != NULL)
    memcpy(&number, value, sizeof number);
  return number;
}

/* Callbacks; ctx counts how often they were called. */
static enum cmap_status add_one(struct cmap_key key, void *value, void *ctx)
{
  uint64_t number = number_at(value) + 1;

  (void)key;
  memcpy(value, &number, sizeof number);
  ++*(size_t *)ctx;
  return CMAP_OK;
}

static enum cmap_status add_one_and_fail(struct cmap_key key, void *value,
                                         void *ctx)
{
  (void)!add_one(key, value, ctx);
  return USER;
}

static bool is_none(const struct cmap_entry *entry)
{
  return entry->key.data == NULL && entry->key.size == 0 &&
         entry->value == NULL && !entry->internal[0] && !entry->internal[1];
}

/* ------------------------------------------------------------------------
 * Misuse
 * ------------------------------------------------------------------------ */

/* Every call on what holds nothing. */
static void check_refused(struct cmap_entry *entry)
{
  struct cmap_write_guard guard = CMAP_INIT;
  uint64_t id = KEY, value = 3, out = 4;
  struct cmap_key key = cmap_key_u64(&id);
  size_t runs = 0;

  CHECK(cmap_entry_and_modify(entry, add_one, &runs) == entry);
  CHECK_STATUS(cmap_entry_status(entry), CMAP_EINVAL);
  CHECK_STATUS(cmap_entry_or_insert(entry, &value), CMAP_EINVAL);
  CHECK_STATUS(cmap_entry_or_insert_with(entry, add_one, &runs), CMAP_EINVAL);
  CHECK_STATUS(cmap_entry_or_default(entry), CMAP_EINVAL);
  CHECK_STATUS(cmap_entry_insert(entry, &value, &out), CMAP_EINVAL);
  CHECK_STATUS(cmap_entry_remove(entry, &out), CMAP_EINVAL);
  CHECK_STATUS(cmap_entry_remove_entry(entry, &id, &out), CMAP_EINVAL);
  CHECK_STATUS(cmap_entry_replace_entry(entry, key, &value, &out), CMAP_EINVAL);
  CHECK_STATUS(cmap_entry_into_guard(entry, &guard), CMAP_EINVAL);
  CHECK(cmap_entry_shard_index(entry) == 0);
  CHECK(runs == 0 && id == KEY && out == 4 && guard.value == NULL);
  cmap_entry_release(entry);
}

static void check_on_thread(unsigned index, void *ctx)
{
  struct cmap_entry copy = *(struct cmap_entry *)ctx;

  (void)index;
  check_refused(&copy);
  CHECK(!is_none(&copy)); /* the owner's is still to be released */
}

static void an_entry_that_holds_nothing(void **state)
{
  struct cmap *map = calls_map(KEYS);
  struct cmap_how how = cmap_how_try();
  struct cmap_entry entry = CMAP_INIT, copy;
  struct thread thread;

  (void)state;
  check_refused(NULL);
  check_refused(&entry);
  for (uint64_t id = KEY; id <= ABSENT; id += ABSENT - KEY) {
    uint64_t value = 5;
    copy = entry = begin(map, id);
    cmap_entry_release(&entry);
    CHECK(is_none(&entry));
    check_refused(&entry);
    entry = begin(map, id);
    check_refused(&copy); /* its record is the new one's */
    CHECK(is_none(&copy));
    thread_start(&thread, check_on_thread, 0, &entry);
    thread_join(&thread);
    CHECK((entry.value != NULL) == (id == KEY));
    CHECK_STATUS(cmap_insert(map, cmap_key_u64(&id), &value, NULL, NULL, &how),
                 CMAP_BUSY);
    cmap_entry_release(&entry);
    CHECK_OK(cmap_insert(map, cmap_key_u64(&id), &value, NULL, NULL, &how));
  }
  cmap_destroy(map);
  checks_assert();
}

static void bad_arguments(void **state)
{
  struct cmap *map = calls_map(KEYS);
  struct cmap_entry entry = CMAP_INIT;
  uint64_t id = KEY, other = KEY + 1, value = 3, out = 4;
  struct cmap_key key = cmap_key_u64(&id);
  size_t runs = 0;

  (void)state;
  CHECK_STATUS(cmap_entry_begin(NULL, key, &entry, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_entry_begin(map, key, NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_entry_begin(map, cmap_key_bytes(&id, 4), &entry, NULL),
               CMAP_EINVAL);
  CHECK_STATUS(cmap_entry_begin(map, cmap_key_bytes(NULL, 8), &entry, NULL),
               CMAP_EINVAL);
  CHECK(is_none(&entry));
  for (; id <= ABSENT; id += ABSENT - KEY) {
    entry = begin(map, id);
    CHECK_STATUS(cmap_entry_or_insert(&entry, NULL), CMAP_EINVAL);
    CHECK_STATUS(cmap_entry_insert(&entry, NULL, &out), CMAP_EINVAL);
    CHECK_STATUS(cmap_entry_or_insert_with(&entry, NULL, NULL), CMAP_EINVAL);
    CHECK_STATUS(cmap_entry_remove_entry(&entry, NULL, &out), CMAP_EINVAL);
    CHECK_STATUS(cmap_entry_replace_entry(&entry, key, NULL, &out),
                 CMAP_EINVAL);
    CHECK_STATUS(cmap_entry_into_guard(&entry, NULL), CMAP_EINVAL);
    /* A NULL callback is told by the next call. */
    CHECK(cmap_entry_and_modify(&entry, NULL, NULL) == &entry);
    CHECK(cmap_entry_and_modify(&entry, add_one, &runs) == &entry);
    CHECK_STATUS(cmap_entry_or_insert(&entry, &value), CMAP_EINVAL);
    if (id == KEY) {
      CHECK_STATUS(
          cmap_entry_replace_entry(&entry, cmap_key_u64(&other), &value, &out),
          CMAP_EINVAL);
      CHECK_STATUS(cmap_entry_replace_entry(&entry, cmap_key_bytes(&id, 7),
                                            &value, &out),
                   CMAP_EINVAL);
      CHECK(number_at(entry.value) == calls_value(key));
    } else {
      CHECK(entry.value == NULL);
    }
    cmap_entry_release(&entry);
  }
  CHECK(out == 4 && runs == 0 && cmap_len(map) == KEYS);
  cmap_destroy(map);
  checks_assert();
}

/* ------------------------------------------------------------------------
 * Chains
 * ------------------------------------------------------------------------ */

static void count_in_one_expression(void **state)
{
  struct cmap *map = numbers_open_small();
  uint64_t one = 1;
  size_t modified = 0;

  (void)state;
  for (uint64_t i = 0; i < 1000; i++) {
    struct cmap_entry entry = begin(map, i % 100);
    CHECK((entry.value != NULL) == (i >= 100));
    CHECK(number_at(entry.key.data) == i % 100);
    CHECK_OK(cmap_entry_or_insert(
        cmap_entry_and_modify(&entry, add_one, &modified), &one));
    CHECK(number_at(entry.value) == i / 100 + 1);
    cmap_entry_release(&entry);
  }
  CHECK(modified == 900 && cmap_len(map) == 100);
  for (uint64_t i = 0; i < 100; i++)
    CHECK(numbers_get(map, i) == 10);
  cmap_destroy(map);
  checks_assert();
}

enum { FOLLOWERS = 9 };

/* A call that follows and_modify; what it does if no status is kept. */
static enum cmap_status follow(int which, struct cmap_entry *entry,
                               struct cmap_write_guard *guard)
{
  uint64_t id = KEY, value = 99, out = 0;
  size_t runs = 0;

  switch (which) {
  case 0:
    return cmap_entry_or_insert(entry, &value);
  case 8:
    return cmap_entry_status(entry);
  case 1:
    return cmap_entry_or_insert_with(entry, add_one, &runs);
  case 2:
    return cmap_entry_or_default(entry);
  case 3:
    return cmap_entry_insert(entry, &value, &out);
  case 4:
    return cmap_entry_remove(entry, &out);
  case 5:
    return cmap_entry_remove_entry(entry, &out, NULL);
  case 6:
    return cmap_entry_replace_entry(entry, cmap_key_u64(&id), &value, &out);
  default:
    return cmap_entry_into_guard(entry, guard);
  }
}

static void a_status_of_modify_is_kept(void **state)
{
  (void)state;
  for (int which = 0; which < FOLLOWERS; which++) {
    struct cmap *map = numbers_open();
    struct cmap_write_guard guard = CMAP_INIT;
    struct cmap_entry entry;
    size_t runs = 0;
    numbers_put(map, KEY, 5);
    entry = begin(map, KEY);
    cmap_entry_and_modify(
        cmap_entry_and_modify(&entry, add_one_and_fail, &runs),
        add_one_and_fail, &runs);
    CHECK(runs == 1);
    CHECK_STATUS(follow(which, &entry, &guard), USER);
    CHECK(number_at(entry.value) == 6 && guard.value == NULL);
    /* Told once. */
    CHECK_STATUS(follow(which, &entry, &guard), CMAP_OK);
    cmap_entry_release(&entry);
    cmap_write_guard_release(&guard);
    /* Not told at all: it does not come out of the next entry. */
    numbers_put(map, KEY, 5);
    entry = begin(map, KEY);
    cmap_entry_and_modify(&entry, add_one_and_fail, &runs);
    cmap_entry_release(&entry);
    entry = begin(map, KEY);
    CHECK_STATUS(follow(which, &entry, &guard), CMAP_OK);
    cmap_entry_release(&entry);
    cmap_write_guard_release(&guard);
    /* On a vacant entry there is nothing to modify. */
    entry = begin(map, ABSENT);
    cmap_entry_and_modify(&entry, add_one_and_fail, &runs);
    CHECK(runs == 2);
    CHECK_STATUS(follow(which, &entry, &guard),
                 which < 4 || which == 8 ? CMAP_OK : CMAP_NOT_FOUND);
    CHECK((entry.value != NULL) == (which < 4));
    cmap_entry_release(&entry);
    CHECK(numbers_has(map, ABSENT) == (which < 4));
    cmap_destroy(map);
  }
  checks_assert();
}

static enum cmap_status fail_to_make(struct cmap_key key, void *value,
                                     void *ctx)
{
  CHECK(number_at(value) == 0);
  return add_one_and_fail(key, value, ctx);
}

static void remove_and_fill_again(void **state)
{
  struct cmap *map = numbers_open_small();
  uint64_t removed = 0;
  size_t runs = 0;

  (void)state;
  for (uint64_t fill = 0; fill < 60; fill++) {
    struct cmap_entry entry = begin(map, KEY);
    for (uint64_t i = 1; i <= 20; i++) {
      CHECK_STATUS(cmap_entry_remove(&entry, &removed), CMAP_NOT_FOUND);
      CHECK_STATUS(cmap_entry_or_insert_with(&entry, fail_to_make, &runs),
                   USER);
      CHECK(entry.value == NULL);
      CHECK_OK(i % 2 ? cmap_entry_or_insert(&entry, &i)
                     : cmap_entry_insert(&entry, &i, &removed));
      CHECK(number_at(entry.value) == i && number_at(entry.key.data) == KEY);
      CHECK_OK(cmap_entry_remove(&entry, &removed));
      CHECK(removed == i && entry.value == NULL);
      CHECK(number_at(entry.key.data) == KEY);
    }
    if (fill % 2)
      CHECK_OK(cmap_entry_or_insert(&entry, &fill));
    cmap_entry_release(&entry);
    CHECK(numbers_has(map, KEY) == (fill % 2));
    CHECK(cmap_len(map) == fill + fill % 2);
    if (fill % 2)
      numbers_drop(map, KEY);
    numbers_put(map, ABSENT + fill, fill);
  }
  CHECK(runs == 60 * 20);
  cmap_destroy(map);
  checks_assert();
}

/* Room is made for a vacant key, and given up without harm. */
static void vacant_entries_that_stay_vacant(void **state)
{
  struct cmap *map = numbers_open_small();

  (void)state;
  for (uint64_t id = 0; id < 300; id++) {
    for (int i = 0; i < 3; i++) {
      struct cmap_entry entry = begin(map, id);
      CHECK(entry.value == NULL);
      cmap_entry_release(&entry);
      CHECK(!numbers_has(map, id) && cmap_len(map) == id);
    }
    numbers_put(map, id, id);
  }
  cmap_destroy(map);
  checks_assert();
}

static void entry_becomes_a_guard(void **state)
{
  struct cmap *map = calls_map(KEYS);
  struct cmap_how how = cmap_how_try();
  struct cmap_write_guard guard = CMAP_INIT, second = CMAP_INIT;
  struct cmap_entry entry = begin(map, KEY), copy = entry;
  uint64_t id = KEY, hash = 0, value = 3;

  (void)state;
  CHECK_OK(cmap_hash(map, cmap_key_u64(&id), &hash));
  CHECK(cmap_entry_shard_index(&entry) == cmap_shard_index(map, hash));
  CHECK_OK(cmap_entry_into_guard(&entry, &guard));
  CHECK(is_none(&entry));
  CHECK(guard.value == copy.value && guard.key.data == copy.key.data);
  check_refused(&copy);
  CHECK_STATUS(cmap_get_mut(map, cmap_key_u64(&id), &second, &how), CMAP_BUSY);
  memcpy(guard.value, &value, sizeof value);
  cmap_write_guard_release(&guard);
  CHECK(numbers_get(map, KEY) == 3);
  entry = begin(map, ABSENT);
  CHECK_STATUS(cmap_entry_into_guard(&entry, &guard), CMAP_NOT_FOUND);
  CHECK(guard.value == NULL && !is_none(&entry));
  CHECK_OK(cmap_entry_or_default(&entry));
  CHECK_OK(cmap_entry_into_guard(&entry, &guard));
  CHECK(number_at(guard.value) == 0);
  CHECK_OK(cmap_write_guard_remove(&guard, &value));
  CHECK(value == 0 && cmap_len(map) == KEYS);
  cmap_destroy(map);
  checks_assert();
}

/* ------------------------------------------------------------------------
 * Several threads
 * ------------------------------------------------------------------------ */

struct look {
  struct cmap *map;
  uint64_t id;
  enum cmap_status before;
};

/* Nothing of what is done to an entry is seen before the release. */
static void look(unsigned index, void *ctx)
{
  struct look *look = ctx;
  struct cmap_how how = cmap_how_try();
  uint64_t seen = 1;
  enum cmap_status status =
      cmap_get(look->map, cmap_key_u64(&look->id), &seen, &how);

  (void)index;
  CHECK(status == CMAP_BUSY || status == look->before);
  CHECK(seen == 1 ||
        (status == CMAP_OK && seen == calls_value(cmap_key_u64(&look->id))));
}

static void nothing_is_seen_before_the_release(void **state)
{
  struct cmap *map = calls_map(KEYS);
  uint64_t value = 77;

  (void)state;
  for (uint64_t id = KEYS - 50; id < KEYS + 50; id++) {
    struct look at = {map, id, id < KEYS ? CMAP_OK : CMAP_NOT_FOUND};
    struct cmap_entry entry = begin(map, id);
    struct thread thread;
    for (int i = 0; i < 3; i++) {
      if (i == 1)
        CHECK_OK(cmap_entry_insert(&entry, &value, NULL));
      if (i == 2)
        CHECK_OK(cmap_entry_remove(&entry, NULL));
      thread_start(&thread, look, 0, &at);
      thread_join(&thread);
    }
    cmap_entry_release(&entry);
    CHECK(!numbers_has(map, id));
  }
  CHECK(cmap_len(map) == KEYS - 50);
  cmap_destroy(map);
  checks_assert();
}

static void count_words(unsigned index, void *ctx)
{
  uint64_t one = 1;
  size_t runs = 0;

  for (uint64_t i = 0; i < test_scale(5000); i++) {
    struct cmap_entry entry = begin(ctx, (i * 7 + index) % 40);
    CHECK_OK(cmap_entry_or_insert(cmap_entry_and_modify(&entry, add_one, &runs),
                                  &one));
    cmap_entry_release(&entry);
  }
}

static void no_count_is_lost(void **state)
{
  struct cmap *map = numbers_open_small();
  uint64_t sum = 0;

  (void)state;
  threads_run(THREADS, count_words, map);
  for (uint64_t id = 0; id < 40; id++)
    sum += numbers_has(map, id) ? numbers_get(map, id) : 0;
  assert_int_equal(sum, THREADS * test_scale(5000));
  cmap_destroy(map);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(entries_on_every_kind_of_map),
      cmocka_unit_test(an_entry_that_holds_nothing),
      cmocka_unit_test(bad_arguments),
      cmocka_unit_test(count_in_one_expression),
      cmocka_unit_test(a_status_of_modify_is_kept),
      cmocka_unit_test(remove_and_fill_again),
      cmocka_unit_test(vacant_entries_that_stay_vacant),
      cmocka_unit_test(entry_becomes_a_guard),
      cmocka_unit_test(nothing_is_seen_before_the_release),
      cmocka_unit_test(no_count_is_lost),
  };

  return cmocka_run_group_tests_name("entry", tests, NULL, NULL);
}
