/*
 * The short forms of typed maps and sets, each beside its long form; keys by
 * value and out of callbacks; structs that are made ready by a function.
 */
#include "checks.h"

#include <string.h>

CMAP_DEFINE(ages, CMAP_STRING, uint64_t);
CMAP_DEFINE(small, CMAP_U32, uint32_t);
CMAP_DEFINE_SET(names, CMAP_STRING);

#define ENOUGH ((enum cmap_status)USER_STATUS)

static struct ages map;
static struct names set;

static int open_both(void **state)
{
  (void)state;
  assert_ok(ages_create(NULL, &map));
  assert_ok(names_create(NULL, &set));
  return 0;
}

static int close_both(void **state)
{
  (void)state;
  ages_destroy(map);
  names_destroy(set);
  map.map = NULL;
  set.map = NULL;
  return 0;
}

static enum cmap_status add(const char *name, uint64_t *age, void *ctx)
{
  CHECK(strcmp(name, "ada") == 0);
  *age += *(uint64_t *)ctx;
  return CMAP_OK;
}

static enum cmap_status sum(const char *name, const uint64_t *age, void *ctx)
{
  (void)name;
  *(uint64_t *)ctx += *age;
  return *age == 99 ? ENOUGH : CMAP_OK;
}

static bool is_below(const char *name, uint64_t *age, void *ctx)
{
  (void)name;
  return *age < *(uint64_t *)ctx;
}

static void maps(void **state)
{
  uint64_t age = 0, four = 4, total = 0;

  (void)state;
  assert_status(ages_find(map, "ada", &age), CMAP_NOT_FOUND);
  assert_false(ages_has(map, "ada"));
  assert_ok(ages_put(map, "ada", 36));
  assert_true(ages_has(map, "ada"));
  assert_ok(ages_find(map, "ada", &age));
  assert_true(age == 36);
  assert_ok(ages_put(map, "ada", 37));
  assert_status(ages_put_new(map, "ada", 1), CMAP_EXISTS);
  assert_ok(ages_put_new(map, "bob", 41));
  assert_ok(ages_change(map, "ada", add, &four));
  assert_status(ages_change(map, "eve", add, &four), CMAP_NOT_FOUND);
  assert_ok(ages_increase(map, "ada", 10));
  assert_ok(ages_increase(map, "eve", 7));
  assert_ok(ages_get(map, "ada", &age, NULL));
  assert_true(age == 51);
  assert_ok(ages_each(map, sum, &total));
  assert_true(total == 51 + 41 + 7);
  age = 50;
  assert_ok(ages_keep(map, is_below, &age));
  assert_int_equal(ages_len(map), 2);
  ages_drop(map, "bob"); /* without a look at the status */
  assert_status(ages_drop(map, "bob"), CMAP_NOT_FOUND);
  assert_ok(ages_put(map, "old", 99));
  assert_status(ages_each(map, sum, &total), ENOUGH);
  checks_assert();
}

static void guards(void **state)
{
  CMAP_AUTO(ages_read_guard, reader);
  CMAP_AUTO(ages_write_guard, writer);

  (void)state;
  assert_status(ages_read(map, "ada", &reader), CMAP_NOT_FOUND);
  assert_status(ages_write(map, "ada", &writer), CMAP_NOT_FOUND);
  assert_ok(ages_put(map, "ada", 36));
  assert_ok(ages_write(map, "ada", &writer));
  *writer.value = 40;
  assert_ok(ages_write_guard_release(&writer));
  assert_ok(ages_read(map, "ada", &reader));
  assert_true(*reader.value == 40);
}

static enum cmap_status count(const char *name, void *ctx)
{
  (void)name;
  ++*(size_t *)ctx;
  return CMAP_OK;
}

static bool is_not(const char *name, void *ctx)
{
  return strcmp(name, ctx) != 0;
}

static void sets(void **state)
{
  static char bob[] = "bob";
  size_t met = 0;

  (void)state;
  assert_ok(names_put(set, "ada"));
  assert_status(names_put(set, "ada"), CMAP_EXISTS);
  assert_ok(names_put(set, "bob"));
  assert_ok(names_put(set, "eve"));
  assert_true(names_has(set, "eve"));
  names_drop(set, "eve");
  assert_false(names_has(set, "eve"));
  assert_ok(names_each(set, count, &met));
  assert_int_equal(met, 2);
  assert_ok(names_keep(set, is_not, bob));
  assert_true(names_has(set, "ada") && names_len(set) == 1);
}

/* A handle without a map, and a callback that is none. */
static void bad_arguments(void **state)
{
  const struct ages none = CMAP_INIT;
  struct ages_read_guard reader;
  struct ages_write_guard writer;
  uint64_t age;

  (void)state;
  assert_status(ages_find(none, "ada", &age), CMAP_EINVAL);
  assert_status(ages_put(none, "ada", 1), CMAP_EINVAL);
  assert_status(ages_put_new(none, "ada", 1), CMAP_EINVAL);
  assert_status(ages_drop(none, "ada"), CMAP_EINVAL);
  assert_status(ages_increase(none, "ada", 1), CMAP_EINVAL);
  assert_status(ages_read(none, "ada", &reader), CMAP_EINVAL);
  assert_status(ages_write(none, "ada", &writer), CMAP_EINVAL);
  assert_status(ages_each(none, sum, &age), CMAP_EINVAL);
  assert_status(ages_each(map, NULL, NULL), CMAP_EINVAL);
  assert_status(ages_keep(map, NULL, NULL), CMAP_EINVAL);
  assert_status(ages_change(map, "ada", NULL, NULL), CMAP_EINVAL);
  assert_status(ages_put(map, NULL, 1), CMAP_EINVAL);
  assert_false(ages_has(none, "ada"));
  assert_false(names_has((struct names){NULL}, "ada"));
}

static enum cmap_status see(struct cmap_key key, const void *value, void *ctx)
{
  (void)value;
  if (key.size == sizeof(uint32_t))
    *(uint64_t *)ctx += cmap_key_as_u32(key);
  else
    *(uint64_t *)ctx += cmap_key_as_u64(key);
  return CMAP_OK;
}

static uint64_t calls;
static uint64_t once(void)
{
  return ++calls;
}

static void keys(void **state)
{
  struct cmap_options options;
  struct cmap *large;
  struct small small_map;
  uint64_t total = 0, value = 5;
  struct cmap_key key = CMAP_KEY_U64(8); /* good to the end of the block */

  (void)state;
  cmap_options_init(&options, CMAP_U64, sizeof value);
  assert_ok(cmap_create(&options, &large));
  assert_ok(cmap_insert(large, CMAP_KEY_U64(7), &value, NULL, NULL, NULL));
  assert_ok(cmap_insert(large, key, &value, NULL, NULL, NULL));
  assert_ok(cmap_insert(large, CMAP_KEY_U64(UINT64_MAX - once()), &value, NULL,
                        NULL, NULL));
  assert_int_equal(calls, 1);
  assert_ok(cmap_get(large, CMAP_KEY_U64(UINT64_MAX - 1), &value, NULL));
  cmap_remove(large, CMAP_KEY_U64(UINT64_MAX - 1), NULL, NULL);
  assert_ok(cmap_view_all(large, see, &total, NULL));
  assert_true(total == 15);
  cmap_ignore(cmap_clear(large, NULL));
  assert_true(cmap_is_empty(large));
  cmap_destroy(large);

  assert_ok(small_create(NULL, &small_map));
  assert_ok(small_put(small_map, 9, 1));
  assert_ok(cmap_contains(small_map.map, CMAP_KEY_U32(9), NULL));
  total = 0;
  assert_ok(cmap_view_all(small_map.map, see, &total, NULL));
  assert_true(total == 9);
  small_destroy(small_map);
  assert_string_equal(cmap_key_as_string(cmap_key_string("ada")), "ada");
}

/* Whatever was in them before. */
static void init_functions(void **state)
{
  struct cmap_scan_buffer buffer;
  struct cmap_store_stats store_stats;
  struct cmap_stats stats;
  uint64_t values[4], cursor = 0;

  (void)state;
  memset(&buffer, 0xa5, sizeof buffer);
  memset(&stats, 0xa5, sizeof stats);
  memset(&store_stats, 0xa5, sizeof store_stats);
  cmap_scan_buffer_init(&buffer, 4, NULL, values);
  cmap_stats_init(&stats);
  cmap_store_stats_init(&store_stats);
  assert_int_equal(buffer.size, sizeof buffer);
  assert_null(buffer.text);
  assert_true(store_stats.size == sizeof store_stats && !store_stats.bytes);
  assert_ok(ages_put(map, "ada", 36));
  assert_ok(cmap_scan(map.map, &cursor, 0, &buffer, NULL));
  assert_true(buffer.count == 1 && values[0] == 36);
  assert_ok(ages_get_stats(map, &stats));
  assert_true(stats.entries == 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(maps, open_both, close_both),
      cmocka_unit_test_setup_teardown(guards, open_both, close_both),
      cmocka_unit_test_setup_teardown(sets, open_both, close_both),
      cmocka_unit_test_setup_teardown(bad_arguments, open_both, close_both),
      cmocka_unit_test(keys),
      cmocka_unit_test_setup_teardown(init_functions, open_both, close_both),
  };

  return cmocka_run_group_tests_name("typed_short", tests, NULL, NULL);
}
