/*
 * Strings under holds of the caller's own, and in frozen maps: short ones have
 * paths of their own, longer ones lie in boxes, and in large boxes they are
 * read under the lock.
 */
#include "checks.h"
#include "maps.h"

#include <string.h>

static const char shorter[] = "23 bytes, the longest.."; /* inline */
static const char longer[] = "24 bytes, the shortest.."; /* in a box */
static char huge[9000 + 1];                              /* in a large one */

static struct cmap *open_map(void)
{
  struct cmap_options options;
  struct cmap *map;
  uint64_t value = 1;

  assert_int_equal(sizeof shorter - 1, 23);
  assert_int_equal(sizeof longer - 1, 24);
  memset(huge, 'h', sizeof huge - 1);
  cmap_options_init(&options, CMAP_STRING, sizeof value);
  assert_ok(cmap_create(&options, &map));
  assert_ok(
      cmap_insert(map, cmap_key_string(shorter), &value, NULL, NULL, NULL));
  assert_ok(
      cmap_insert(map, cmap_key_string(longer), &value, NULL, NULL, NULL));
  assert_ok(cmap_insert(map, cmap_key_string(huge), &value, NULL, NULL, NULL));
  return map;
}

static enum cmap_status add_one(struct cmap_key key, void *value, void *ctx)
{
  (void)key, (void)ctx;
  ++*(uint64_t *)value;
  return CMAP_OK;
}

static enum cmap_status get_or_insert(struct cmap *map, const char *text,
                                      enum cmap_event *event)
{
  uint64_t value = 77;
  enum cmap_status status =
      cmap_get_or_insert(map, cmap_key_string(text), &value, event, NULL);

  assert_int_equal(value, status == CMAP_OK ? 1 : 77);
  return status;
}

/* What the thread holds is the only shard. */
static void check_held(struct cmap *map)
{
  struct cmap_key short_key = cmap_key_string(shorter);
  struct cmap_key long_key = cmap_key_string(longer);
  enum cmap_event event = CMAP_INSERTED;
  uint64_t value = 0;

  assert_ok(cmap_get(map, short_key, &value, NULL));
  assert_int_equal(value, 1);
  assert_ok(cmap_get(map, long_key, &value, NULL));
  assert_status(cmap_contains(map, cmap_key_string("absent"), NULL),
                CMAP_NOT_FOUND);
  assert_ok(get_or_insert(map, shorter, &event));
  assert_int_equal(event, CMAP_FOUND);
  event = CMAP_INSERTED;
  assert_ok(get_or_insert(map, longer, &event));
  assert_int_equal(event, CMAP_FOUND);
  value = 0;
  assert_ok(cmap_get(map, cmap_key_string(huge), &value, NULL));
  assert_int_equal(value, 1);
  assert_status(get_or_insert(map, huge, &event), CMAP_EDEADLK);
  assert_status(get_or_insert(map, "absent", &event), CMAP_EDEADLK);
  assert_status(cmap_fetch_add(map, short_key, 1, NULL, NULL), CMAP_EDEADLK);
  assert_status(cmap_fetch_add(map, long_key, 1, NULL, NULL), CMAP_EDEADLK);
  assert_status(cmap_alter(map, short_key, add_one, NULL, NULL), CMAP_EDEADLK);
  assert_status(cmap_insert(map, short_key, &value, NULL, NULL, NULL),
                CMAP_EDEADLK);
  assert_status(cmap_insert(map, long_key, &value, NULL, NULL, NULL),
                CMAP_EDEADLK);
  assert_status(cmap_remove(map, short_key, NULL, NULL), CMAP_EDEADLK);
  assert_status(cmap_remove(map, long_key, NULL, NULL), CMAP_EDEADLK);
}

static void under_a_read_guard(void **state)
{
  struct cmap *map = open_map();
  struct cmap_read_guard guard = CMAP_INIT;

  (void)state;
  assert_ok(cmap_get_ref(map, cmap_key_string(shorter), &guard, NULL));
  check_held(map);
  cmap_read_guard_release(&guard);
  cmap_destroy(map);
}

static void under_a_write_guard(void **state)
{
  struct cmap *map = open_map();
  struct cmap_write_guard guard = CMAP_INIT;
  uint64_t before = 0;

  (void)state;
  assert_ok(cmap_get_mut(map, cmap_key_string(longer), &guard, NULL));
  check_held(map);
  cmap_write_guard_release(&guard);
  assert_ok(cmap_fetch_add(map, cmap_key_string(shorter), 1, &before, NULL));
  assert_int_equal(before, 1);
  assert_ok(cmap_fetch_add(map, cmap_key_string(longer), 1, &before, NULL));
  assert_int_equal(before, 1);
  cmap_destroy(map);
}

static void frozen(void **state)
{
  struct cmap *map = open_map();
  struct cmap_key short_key = cmap_key_string(shorter);
  struct cmap_key long_key = cmap_key_string(longer);
  enum cmap_event event = CMAP_INSERTED;
  uint64_t value = 0;

  (void)state;
  assert_ok(cmap_freeze(map, NULL));
  assert_ok(cmap_get(map, short_key, &value, NULL));
  assert_ok(cmap_get(map, long_key, &value, NULL));
  assert_ok(get_or_insert(map, shorter, &event));
  assert_int_equal(event, CMAP_FOUND);
  assert_ok(get_or_insert(map, longer, &event));
  assert_int_equal(event, CMAP_FOUND);
  assert_ok(get_or_insert(map, huge, &event));
  assert_int_equal(event, CMAP_FOUND);
  assert_status(get_or_insert(map, "absent", &event), CMAP_FROZEN);
  assert_status(cmap_fetch_add(map, short_key, 1, NULL, NULL), CMAP_FROZEN);
  assert_status(cmap_fetch_add(map, long_key, 1, NULL, NULL), CMAP_FROZEN);
  assert_ok(cmap_thaw(map));
  assert_ok(cmap_fetch_add(map, short_key, 1, NULL, NULL));
  cmap_destroy(map);
}

/* A string with a byte of 0 is refused by every path. */
static void bytes_of_zero(void **state)
{
  struct cmap *map = open_map();
  char text[24] = "12345678901234567890123";
  uint64_t value = 0;

  (void)state;
  for (size_t size = 1; size < sizeof text; size++) {
    struct cmap_key key = cmap_key_bytes(text, size);
    char kept = text[size / 2];
    text[size / 2] = '\0';
    assert_status(cmap_get(map, key, &value, NULL), CMAP_EINVAL);
    assert_status(cmap_fetch_add(map, key, 1, NULL, NULL), CMAP_EINVAL);
    assert_status(cmap_get_or_insert(map, key, &value, NULL, NULL),
                  CMAP_EINVAL);
    assert_status(cmap_insert(map, key, &value, NULL, NULL, NULL), CMAP_EINVAL);
    text[size / 2] = kept;
    assert_status(cmap_get(map, key, &value, NULL), CMAP_NOT_FOUND);
  }
  assert_int_equal(cmap_len(map), 3);
  cmap_destroy(map);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(under_a_read_guard),
      cmocka_unit_test(under_a_write_guard),
      cmocka_unit_test(frozen),
      cmocka_unit_test(bytes_of_zero),
  };

  return cmocka_run_group_tests_name("held_strings", tests, NULL, NULL);
}
