/*
 * Walks over a map that was much fuller: groups of shards that were emptied are
 * not looked at, walks pass over what others have found empty, and what comes
 * into them later is met.
 */
#include <string.h>

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

static uint64_t bytes_of(struct cmap *map)
{
  struct cmap_stats stats = {.size = sizeof stats};

  assert_ok(cmap_get_stats(map, &stats));
  return stats.bytes;
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

/* ------------------------------------------------------------------------
 * Emptied shards that are noted
 * ------------------------------------------------------------------------ */

/* Ways to take an entry that a walk comes to first. */
typedef enum cmap_status take_fn(struct cmap *map);

static enum cmap_status take_by_iterator(struct cmap *map)
{
  CMAP_AUTO(cmap_iter, iter);
  enum cmap_status status;

  assert_ok(cmap_iter_begin(map, CMAP_WRITE, 0, 1, &iter));
  status = cmap_iter_next(&iter, NULL);
  if (status == CMAP_OK)
    assert_ok(cmap_iter_remove(&iter, NULL));
  return status;
}

static enum cmap_status take_by_reading_iterator(struct cmap *map)
{
  struct cmap_iter iter = CMAP_INIT;
  enum cmap_status status;
  uint64_t key = 0;

  assert_ok(cmap_iter_begin(map, CMAP_READ, 0, 1, &iter));
  status = cmap_iter_next(&iter, NULL);
  if (status == CMAP_OK)
    key = *(const uint64_t *)iter.value;
  cmap_iter_release(&iter);
  return status == CMAP_OK ? cmap_remove(map, cmap_key_u64(&key), NULL, NULL)
                           : status;
}

static enum cmap_status take_by_scan(struct cmap *map)
{
  uint64_t key, cursor = 0;
  struct cmap_scan_buffer buffer = {
      .size = sizeof buffer, .capacity = 1, .keys = &key};
  enum cmap_status status = cmap_scan(map, &cursor, 0, &buffer, NULL);

  return status == CMAP_OK ? cmap_remove(map, cmap_key_u64(&key), NULL, NULL)
                           : status;
}

static enum cmap_status take_by_view(struct cmap_key key, const void *value,
                                     void *ctx)
{
  (void)value;
  memcpy(ctx, key.data, sizeof(uint64_t));
  return CMAP_EXISTS;
}

static enum cmap_status take_by_walk(struct cmap *map)
{
  uint64_t key;
  enum cmap_status status = cmap_view_all(map, take_by_view, &key, NULL);

  return status == CMAP_EXISTS
             ? cmap_remove(map, cmap_key_u64(&key), NULL, NULL)
             : CMAP_NOT_FOUND;
}

static enum cmap_status take_by_pop(struct cmap *map)
{
  return cmap_pop(map, 0, 1, NULL, NULL, NULL);
}

static take_fn *const takes[] = {take_by_iterator, take_by_reading_iterator,
                                 take_by_scan, take_by_walk, take_by_pop};
enum { TAKES = sizeof takes / sizeof *takes };

/* The empty shards that a walk from this hash on comes to before it meets an
 * entry. */
static size_t passed(const struct cmap *map, uint64_t hash)
{
  const struct cmap__directory *directory = &map->table.directory;
  size_t count = 0;

  while (cmap__directory_seek(directory, &hash)) {
    const struct cmap__shard *shard = cmap__directory_shard(directory, hash);
    if (cmap__shard_count(shard) > 0)
      break;
    count++;
    hash = cmap__shard_next_hash(shard);
    if (hash == 0)
      break;
  }
  return count;
}

static struct cmap *make_map(unsigned flags)
{
  struct cmap_options options;
  struct cmap *map = NULL;

  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  options.flags = flags;
  options.shard_groups = 4;
  assert_ok(cmap_create(&options, &map));
  for (uint64_t i = 0; i < KEYS; i++)
    assert_ok(cmap_insert(map, cmap_key_u64(&i), &i, NULL, NULL, NULL));
  assert_true(cmap_shard_count(map) > 100);
  return map;
}

/* Walks come to an emptied shard once, and not each of them again. */
static void emptied_shards_are_passed_over_once(void **state)
{
  (void)state;
  for (size_t i = 0; i < 2 * TAKES; i++) {
    struct cmap *map = make_map(i < TAKES ? 0 : CMAP_AUTO_SHRINK);
    size_t capacity = cmap_capacity(map), shards = cmap_shard_count(map);
    size_t count = 0;
    for (size_t k = 0; k < KEYS; k++) {
      count += passed(
          map,
          takes[i % TAKES] == take_by_pop
              ? cmap__load_relaxed(&cmap__pool_grown(&map->table.pool)->pops[0])
              : 0);
      assert_ok(takes[i % TAKES](map));
    }
    assert_status(takes[i % TAKES](map), CMAP_NOT_FOUND);
    assert_true(count <= 2 * shards);
    assert_int_equal(met(map), 0);
    assert_ok(cmap_check(map, NULL, NULL));
    if (i < TAKES) {
      assert_int_equal(passed(map, 0), 0);
      assert_int_equal(cmap_capacity(map), capacity);
    }
    cmap_destroy(map);
  }
}

/* Ways to put in an entry. */
typedef void put_fn(struct cmap *map, struct cmap_key key, uint64_t value);

static void put_insert(struct cmap *map, struct cmap_key key, uint64_t value)
{
  assert_ok(cmap_insert(map, key, &value, NULL, NULL, NULL));
}

static void put_insert_new(struct cmap *map, struct cmap_key key,
                           uint64_t value)
{
  assert_ok(cmap_insert_new(map, key, &value, NULL, NULL));
}

static void put_get_or_insert(struct cmap *map, struct cmap_key key,
                              uint64_t value)
{
  assert_ok(cmap_get_or_insert(map, key, &value, NULL, NULL));
}

static void put_after_reserve(struct cmap *map, struct cmap_key key,
                              uint64_t value)
{
  assert_ok(cmap_reserve(map, KEYS, NULL));
  put_insert(map, key, value);
}

static enum cmap_status compute(struct cmap_key key, const void *old,
                                void *fresh, enum cmap_action *action,
                                void *ctx)
{
  (void)key;
  assert_null(old);
  memcpy(fresh, ctx, sizeof(uint64_t));
  *action = CMAP_PUT;
  return CMAP_OK;
}

static void put_compute(struct cmap *map, struct cmap_key key, uint64_t value)
{
  assert_ok(cmap_compute(map, key, NULL, NULL, compute, &value, NULL));
}

static void put_entry(struct cmap *map, struct cmap_key key, uint64_t value)
{
  CMAP_AUTO(cmap_entry, entry);

  assert_ok(cmap_entry_begin(map, key, &entry, NULL));
  assert_ok(cmap_entry_insert(&entry, &value, NULL));
}

static void put_multi(struct cmap *map, struct cmap_key key, uint64_t value)
{
  struct cmap_want want = {.map = map, .key = key, .mode = CMAP_ENTRY};
  struct cmap_multi held;

  assert_ok(cmap_lock_many(&want, 1, &held, NULL));
  assert_ok(cmap_entry_insert(cmap_multi_entry(&held, 0), &value, NULL));
  cmap_multi_release(&held);
}

static void put_rename(struct cmap *map, struct cmap_key key, uint64_t value)
{
  uint64_t other = UINT64_MAX;

  put_insert(map, cmap_key_u64(&other), value);
  assert_ok(cmap_rename(map, cmap_key_u64(&other), key, NULL));
}

static void put_many(struct cmap *map, struct cmap_key key, uint64_t value)
{
  enum cmap_status status;

  assert_ok(cmap_insert_many(map, &key, NULL, 1, &value, &status, NULL));
}

static void put_merge(struct cmap *map, struct cmap_key key, uint64_t value)
{
  struct cmap *other = NULL;
  struct cmap_options options;

  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  assert_ok(cmap_create(&options, &other));
  put_insert(other, key, value);
  assert_ok(cmap_merge(map, other, NULL, NULL, NULL));
  cmap_destroy(other);
}

static put_fn *const puts_in[] = {
    put_insert,  put_insert_new, put_get_or_insert, put_after_reserve,
    put_compute, put_entry,      put_multi,         put_rename,
    put_many,    put_merge};
enum { PUTS = sizeof puts_in / sizeof *puts_in };

/* Whoever puts an entry into a shard that walks pass over takes that back. */
static void what_comes_into_noted_shards_is_met(void **state)
{
  struct cmap *map = make_map(0);

  (void)state;
  for (uint64_t i = 0; i < 20 * PUTS; i++) {
    assert_ok(cmap_clear(map, NULL));
    assert_int_equal(met(map), 0);
    assert_int_equal(passed(map, 0), 0);
    puts_in[i % PUTS](map, cmap_key_u64(&i), i);
    assert_int_equal(met(map), 1);
    assert_ok(cmap_check(map, NULL, NULL));
  }
  cmap_destroy(map);
}

/* Notes change nothing of what a shard has room for. */
static void noted_shards_keep_their_room(void **state)
{
  struct cmap_options options;
  struct cmap *map = NULL;
  uint64_t bytes;

  (void)state;
  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  options.flags = CMAP_FIXED_SEED;
  options.capacity = KEYS;
  assert_ok(cmap_create(&options, &map));
  bytes = bytes_of(map);
  for (size_t round = 0; round < 3; round++) {
    assert_int_equal(met(map), 0);
    for (uint64_t i = 0; i < KEYS; i++)
      put_insert(map, cmap_key_u64(&i), i);
    assert_int_equal(bytes_of(map), bytes);
    assert_ok(cmap_clear(map, NULL));
  }
  cmap_destroy(map);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(emptied_shards_are_passed_over),
      cmocka_unit_test(emptied_shards_are_passed_over_once),
      cmocka_unit_test(what_comes_into_noted_shards_is_met),
      cmocka_unit_test(noted_shards_keep_their_room),
  };

  return cmocka_run_group_tests_name("emptied", tests, NULL, NULL);
}
