/*
 * Walks over a map that was much fuller: groups of shards that were emptied are
 * not looked at, and what comes into them later is met.
 */
#include "checks.h"
#include "map/shards.h"

#define KEYS 5000

static struct cmap *emptied_map(void)
{
  struct cmap_options options;
  struct cmap *map = NULL;

  cmap_options_init(&options, CMAP_U64, 8);
  assert_ok(cmap_create(&options, &map));
  for (uint64_t i = 0; i < KEYS; i++)
    assert_ok(cmap_insert(map, cmap_key_u64(&i), &i, NULL, NULL, NULL));
  for (uint64_t i = 0; i < KEYS; i++)
    assert_ok(cmap_remove(map, cmap_key_u64(&i), NULL, NULL));
  return map;
}

/* The shards whose groups a walk looks at. */
static size_t walked(const struct cmap *map)
{
  struct cmap__shard_walk walk = cmap__shard_walk_begin(map);
  size_t count = 0;

  while (cmap__shard_walk_next(&walk))
    count += !cmap__block_is_empty(
        cmap__cursor_between(walk.shard, 0, UINT64_MAX).block);
  return count;
}

static enum cmap_status see(struct cmap_key key, const void *value, void *ctx)
{
  assert_memory_equal(key.data, value, sizeof(uint64_t));
  ++*(size_t *)ctx;
  return CMAP_OK;
}

/* What each kind of walk meets. */
static size_t met(struct cmap *map)
{
  uint64_t keys[KEYS], values[KEYS], cursor = 0;
  struct cmap_scan_buffer buffer = {
      .size = sizeof buffer, .capacity = KEYS, .keys = keys, .values = values};
  struct cmap_iter iter = CMAP_INIT;
  size_t viewed = 0, copied = 0, iterated = 0, scanned = 0;

  assert_ok(cmap_view_all(map, see, &viewed, NULL));
  assert_ok(cmap_for_each(map, 0, 1, see, &copied, NULL));
  assert_ok(cmap_iter_begin(map, CMAP_READ, 0, 1, &iter));
  while (cmap_iter_next(&iter, NULL) == CMAP_OK)
    iterated++;
  cmap_iter_release(&iter);
  while (cmap_scan(map, &cursor, 0, &buffer, NULL) == CMAP_OK)
    scanned += buffer.count;
  assert_int_equal(copied, viewed);
  assert_int_equal(iterated, viewed);
  assert_int_equal(scanned, viewed);
  return viewed;
}

static void emptied_shards_are_passed_over(void **state)
{
  struct cmap *map = emptied_map();

  (void)state;
  assert_true(cmap_shard_count(map) > 4);
  assert_int_equal(walked(map), 0);
  assert_int_equal(met(map), 0);
  for (uint64_t i = 0; i < 3; i++) {
    assert_ok(cmap_insert(map, cmap_key_u64(&i), &i, NULL, NULL, NULL));
    assert_in_range(walked(map), 1, i + 1);
    assert_int_equal(met(map), i + 1);
  }
  assert_ok(cmap_clear(map, NULL));
  assert_ok(cmap_clear(map, NULL)); /* there is nothing to wipe */
  assert_int_equal(met(map), 0);
  assert_ok(cmap_check(map, NULL, NULL));
  cmap_destroy(map);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(emptied_shards_are_passed_over),
  };

  return cmocka_run_group_tests_name("emptied", tests, NULL, NULL);
}
