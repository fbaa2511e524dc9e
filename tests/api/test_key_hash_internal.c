/*
 * The user's key_hash runs without a lock, and once for a call that nobody is
 * in the way of: also where keys have one hash, so that the first look at a
 * group decides nothing.
 */
#include <string.h>

#include "checks.h"
#include "map/map.h"

#define KEYS 30
#define HASH UINT64_C(0x123456789abcdef0)

static struct cmap *map;
static bool checking; /* cmap_check hashes what it holds */
static unsigned calls;

static uint64_t one_hash(struct cmap_key key, void *ctx)
{
  struct cmap__shard *shard;

  (void)key;
  (void)ctx;
  calls++;
  if (checking)
    return HASH;
  shard = cmap__directory_shard(&map->table.directory, HASH);
  assert_true(cmap__shardlock_try_write(&shard->lock));
  cmap__shardlock_write_unlock(&shard->lock);
  return HASH;
}

static enum cmap_status keep(struct cmap_key key, void *value, void *ctx)
{
  (void)key;
  (void)value;
  (void)ctx;
  return CMAP_OK;
}

static void use(struct cmap_key key, size_t value_size, bool absent)
{
  char value[64] = {0};

  assert_status(cmap_alter(map, key, keep, NULL, NULL),
                absent ? CMAP_NOT_FOUND : CMAP_OK);
  assert_status(cmap_get(map, key, value, NULL),
                absent ? CMAP_NOT_FOUND : CMAP_OK);
  calls = 0;
  assert_ok(cmap_insert(map, key, value, NULL, NULL, NULL));
  assert_in_range(calls, 1, 2); /* in a group that has overflowed: anew */
  assert_ok(cmap_get_or_insert(map, key, value, NULL, NULL));
  assert_status(cmap_insert_new(map, key, value, NULL, NULL), CMAP_EXISTS);
  if (value_size == 8)
    assert_ok(cmap_fetch_add(map, key, 1, NULL, NULL));
  if (absent)
    assert_ok(cmap_remove(map, key, NULL, NULL));
  assert_ok(cmap_insert(map, key, value, NULL, NULL, NULL));
}

static void use_all(enum cmap_key_kind kind, size_t key_size, size_t value_size)
{
  struct cmap_options options;
  char bytes[32];

  cmap_options_init(&options, kind, value_size);
  options.key_size = key_size;
  options.key_hash = one_hash;
  options.flags = CMAP_HASH_IS_GOOD;
  assert_ok(cmap_create(&options, &map));
  for (unsigned round = 0; round < 2; round++)
    for (unsigned i = 0; i < KEYS; i++) {
      memset(bytes, 'a', sizeof bytes);
      bytes[0] = (char)('A' + i);
      use(cmap_key_bytes(bytes, key_size == 0 ? 20 : key_size), value_size,
          round == 0);
    }
  assert_int_equal(cmap_len(map), KEYS);
  checking = true;
  assert_ok(cmap_check(map, NULL, NULL));
  checking = false;
  cmap_destroy(map);
}

static void key_hash_runs_without_a_lock(void **state)
{
  static const size_t values[] = {0, 4, 8, 12, 40};

  (void)state;
  if (CMAP_CHECK >= 2)
    skip(); /* assertions on whole shards hash what those hold */
  for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
    use_all(CMAP_U32, 4, values[i]);
    use_all(CMAP_U64, 8, values[i]);
    use_all(CMAP_FIXED, 16, values[i]);
    use_all(CMAP_FIXED, 23, values[i]);
    use_all(CMAP_STRING, 0, values[i]);
    use_all(CMAP_BYTES, 0, values[i]);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(key_hash_runs_without_a_lock),
  };

  return cmocka_run_group_tests_name("key_hash", tests, NULL, NULL);
}
