/*
 * cmap_lock_keys: keys of every kind, as an array of what they are; few, and
 * so many that their wants need memory. The rest is cmap_lock_many.
 */
#include "numbers.h"
#include "settings.h"
#include "threads.h"

#include <stdio.h>
#include <string.h>

#define MANY 100

CMAP_DEFINE(counts, CMAP_STRING, uint64_t);

struct point {
  uint32_t x, y;
};

static const size_t lengths[] = {1, 2, 8, 9, MANY};
#define LENGTHS (sizeof lengths / sizeof *lengths)

/* Locks the first n keys as entries, stores each key's number, and finds it
   under the key itself. */
static void check_keys(struct cmap *map, const void *keys,
                       const struct cmap_key *same)
{
  for (size_t i = 0; i < LENGTHS; i++) {
    CMAP_AUTO(cmap_multi, held);
    size_t n = lengths[i];

    CHECK_OK(cmap_clear(map, NULL));
    CHECK_STATUS(cmap_lock_keys(map, keys, n, CMAP_WRITE, &held, NULL),
                 CMAP_NOT_FOUND);
    CHECK(held.count == 0);
    CHECK_OK(cmap_lock_keys(map, keys, n, CMAP_ENTRY, &held, NULL));
    CHECK(held.count == n);
    for (uint64_t k = 0; k < n; k++) {
      CHECK(cmap_multi_value(&held, (size_t)k) == NULL);
      CHECK_OK(cmap_entry_insert(cmap_multi_entry(&held, (size_t)k), &k, NULL));
    }
    cmap_multi_release(&held);
    CHECK(cmap_len(map) == n);
    for (uint64_t k = 0; k < n; k++) {
      uint64_t value = UINT64_MAX;
      CHECK_OK(cmap_get(map, same[k], &value, NULL));
      CHECK(value == k);
    }
    CHECK_OK(cmap_lock_keys(map, keys, n, CMAP_READ, &held, NULL));
    CHECK(cmap_multi_entry(&held, 0) == NULL);
    CHECK(cmap_multi_value(&held, n - 1) != NULL);
    CHECK(cmap_multi_value(&held, n) == NULL);
  }
  checks_assert();
}

static struct cmap *make(enum cmap_key_kind kind, size_t key_size)
{
  struct cmap_options options;
  struct cmap *map;

  cmap_options_init(&options, kind, sizeof(uint64_t));
  options.key_size = key_size;
  options.shard_groups = 1;
  assert_ok(cmap_create(&options, &map));
  return map;
}

static void numbers(void **state)
{
  struct cmap *small = make(CMAP_U32, 0), *large = make(CMAP_U64, 0);
  struct cmap *points = make(CMAP_FIXED, sizeof(struct point));
  struct cmap_key of_small[MANY], of_large[MANY], of_points[MANY];
  uint32_t u32[MANY];
  uint64_t u64[MANY];
  struct point point[MANY];

  (void)state;
  for (size_t i = 0; i < MANY; i++) {
    u32[i] = (uint32_t)(7 * i);
    u64[i] = UINT64_C(1) << 40 | i;
    point[i] = (struct point){(uint32_t)i, 5};
    of_small[i] = cmap_key_u32(&u32[i]);
    of_large[i] = cmap_key_u64(&u64[i]);
    of_points[i] = cmap_key_bytes(&point[i], sizeof point[i]);
  }
  check_keys(small, u32, of_small);
  check_keys(large, u64, of_large);
  check_keys(points, point, of_points);
  cmap_destroy(small);
  cmap_destroy(large);
  cmap_destroy(points);
}

static void texts(void **state)
{
  static char text[MANY][40];
  struct cmap *strings = make(CMAP_STRING, 0), *bytes = make(CMAP_BYTES, 0);
  struct cmap_key of_strings[MANY], of_bytes[MANY];
  const char *string[MANY];

  (void)state;
  for (size_t i = 0; i < MANY; i++) {
    snprintf(text[i], sizeof text[i], "%zu%s", i,
             i % 3 ? "" : " with a long tail, beside the slot");
    string[i] = text[i];
    of_strings[i] = cmap_key_string(text[i]);
    of_bytes[i] = cmap_key_bytes(text[i], 12); /* with zeros */
  }
  check_keys(strings, string, of_strings);
  check_keys(bytes, of_bytes, of_bytes);
  string[1] = NULL;
  assert_status(cmap_lock_keys(strings, string, 2, CMAP_ENTRY,
                               &(struct cmap_multi)CMAP_INIT, NULL),
                CMAP_EINVAL);
  cmap_destroy(strings);
  cmap_destroy(bytes);
}

static void statuses(void **state)
{
  const struct cmap_how now = cmap_how_try(), soon = cmap_how_within(1000);
  const struct cmap_how wrong = {.size = 1};
  const uint64_t ids[] = {1, 2, 1};
  struct cmap *map = numbers_open();
  CMAP_AUTO(cmap_write_guard, guard);
  struct cmap_multi held;

  (void)state;
  numbers_put(map, 1, 10);
  numbers_put(map, 2, 20);
  CHECK_STATUS(cmap_lock_keys(NULL, ids, 2, CMAP_WRITE, &held, NULL),
               CMAP_EINVAL);
  CHECK_STATUS(cmap_lock_keys(map, NULL, 2, CMAP_WRITE, &held, NULL),
               CMAP_EINVAL);
  CHECK_STATUS(cmap_lock_keys(map, ids, 0, CMAP_WRITE, &held, NULL),
               CMAP_EINVAL);
  CHECK_STATUS(cmap_lock_keys(map, ids, 2, (enum cmap_mode)9, &held, NULL),
               CMAP_EINVAL);
  CHECK_STATUS(cmap_lock_keys(map, ids, 2, CMAP_WRITE, NULL, NULL),
               CMAP_EINVAL);
  CHECK_STATUS(cmap_lock_keys(map, ids, 2, CMAP_WRITE, &held, &wrong),
               CMAP_EINVAL);
  CHECK_STATUS(cmap_lock_keys(map, ids, SIZE_MAX, CMAP_WRITE, &held, NULL),
               CMAP_ENOMEM);
  CHECK_OK(cmap_get_mut(map, CMAP_KEY_U64(1), &guard, NULL));
  CHECK_STATUS(cmap_lock_keys(map, ids, 2, CMAP_WRITE, &held, &now), CMAP_BUSY);
  CHECK_STATUS(cmap_lock_keys(map, ids, 2, CMAP_WRITE, &held, NULL),
               CMAP_EDEADLK);
  CHECK(held.count == 0 && held.internal[0] == 0);
  cmap_write_guard_release(&guard);
  /* One key twice. */
  CHECK_OK(cmap_lock_keys(map, ids, 3, CMAP_WRITE, &held, &soon));
  CHECK(cmap_multi_value(&held, 0) == cmap_multi_value(&held, 2));
  CHECK(cmap_multi_value(&held, 0) != cmap_multi_value(&held, 1));
  cmap_multi_release(&held);
  CHECK_OK(cmap_freeze(map, NULL));
  CHECK_STATUS(cmap_lock_keys(map, ids, 2, CMAP_WRITE, &held, NULL),
               CMAP_FROZEN);
  CHECK_OK(cmap_thaw(map));
  cmap_destroy(map);
  checks_assert();
}

static struct counts accounts;
static const char *const names[] = {"ada", "bob", "cy", "dee"};

static void move(unsigned index, void *ctx)
{
  (void)ctx;
  for (size_t i = 0; i < test_scale(20000); i++) {
    const char *pair[] = {names[(i + index) % 4], names[(i + 2 * index) % 4]};
    CMAP_AUTO(cmap_multi, held);

    CHECK_OK(counts_lock_keys(accounts, pair, 2, CMAP_WRITE, &held, NULL));
    ++*counts_multi_value(&held, 0);
    --*counts_multi_value(&held, 1);
  }
}

/* Threads that take the keys in any order never wait in a circle. */
static void threads_in_any_order(void **state)
{
  uint64_t sum = 0;

  (void)state;
  assert_ok(counts_create(NULL, &accounts));
  for (size_t i = 0; i < 4; i++)
    assert_ok(counts_put(accounts, names[i], 1000));
  threads_run(4, move, NULL);
  for (size_t i = 0; i < 4; i++) {
    uint64_t count = 0;
    assert_ok(counts_find(accounts, names[i], &count));
    sum += count;
  }
  assert_true(sum == 4000);
  counts_destroy(accounts);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers),
      cmocka_unit_test(texts),
      cmocka_unit_test(statuses),
      cmocka_unit_test(threads_in_any_order),
  };

  return cmocka_run_group_tests_name("lock_keys", tests, NULL, NULL);
}
