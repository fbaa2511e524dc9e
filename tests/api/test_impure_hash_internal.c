/*
 * A key_hash that says something else each time, on maps of integers: it spoils
 * results, but never memory, and no entry is lost. Values that own something
 * have no short ways, others do.
 * (Builds that check whole structures, CMAP_CHECK 2, see it and say so.)
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "checks.h"
#include "random.h"

#define KEYS     3000
#define CAPACITY 7
#define GUARD    UINT64_C(0x5afe5afe5afe5afe)

static struct random hashes;
static size_t alive; /* values */

static uint64_t any_hash(struct cmap_key key, void *ctx)
{
  (void)key;
  (void)ctx;
  /* Some bits alike, so that shards part late, and get many sides. */
  return random_next(&hashes) >> random_below(&hashes, 12);
}

static void value_gone(void *value, void *ctx)
{
  (void)ctx;
  free(*(void **)value);
  alive--;
}

static struct cmap *impure_map(enum cmap_key_kind kind, unsigned groups,
                               bool owned)
{
  struct cmap_options options;
  struct cmap *map = NULL;

  cmap_options_init(&options, kind, sizeof(void *));
  options.key_hash = any_hash;
  options.flags = CMAP_HASH_IS_GOOD;
  options.shard_groups = groups;
  if (owned)
    options.value_destroy = value_gone;
  assert_ok(cmap_create(&options, &map));
  return map;
}

static void add(struct cmap *map, struct cmap_key key, bool owned)
{
  void *value = owned ? malloc(1) : map;
  enum cmap_event event = CMAP_UPDATED;
  enum cmap_status status;

  assert_non_null(value);
  status = cmap_insert(map, key, &value, NULL, &event, NULL);
  if (owned) {
    alive++;
    if (status != CMAP_OK)
      value_gone(&value, NULL);
  } else if (status == CMAP_OK && event == CMAP_INSERTED) {
    alive++;
  }
}

static enum cmap_status count(struct cmap_key key, const void *value, void *ctx)
{
  (void)key;
  assert_non_null(*(void *const *)value);
  ++*(size_t *)ctx;
  return CMAP_OK;
}

/* No buffer is written behind its end. */
static void scan_in_pieces(struct cmap *map, size_t key_size)
{
  union {
    char bytes[(CAPACITY + 2) * sizeof(uint64_t)];
    uint64_t align;
  } keys;
  struct cmap_scan_buffer buffer = {
      .size = sizeof buffer, .capacity = CAPACITY, .keys = keys.bytes};
  const uint64_t guard = GUARD;
  uint64_t cursor = 0, seen = 0;

  memcpy(keys.bytes + CAPACITY * key_size, &guard, sizeof guard);
  /* It may never come to its end. */
  for (unsigned i = 0; i < KEYS; i++) {
    enum cmap_status status = cmap_scan(map, &cursor, 0, &buffer, NULL);
    assert_memory_equal(keys.bytes + CAPACITY * key_size, &guard, sizeof guard);
    if (status == CMAP_NOT_FOUND)
      break;
    if (status == CMAP_OK)
      assert_in_range(buffer.count, 1, CAPACITY);
    else
      cursor += UINT64_C(1) << 54;
    seen += buffer.count;
  }
  assert_true(seen > 0);
}

static void misuse(enum cmap_key_kind kind, unsigned groups, bool owned)
{
  struct cmap *map = impure_map(kind, groups, owned);
  size_t seen = 0;
  bool kept = true;

  alive = 0;
  for (uint64_t i = 0; i < KEYS; i++) {
    uint32_t half = (uint32_t)i;
    struct cmap_key key =
        kind == CMAP_U64 ? cmap_key_u64(&i) : cmap_key_u32(&half);
    add(map, key, owned);
    if (i % 5 == 0) {
      bool removed = cmap_remove(map, key, NULL, NULL) == CMAP_OK;
      kept &= removed;
      if (removed && !owned)
        alive--;
    }
  }
  assert_false(kept); /* results are spoilt */
  assert_int_equal(cmap_len(map), alive);
  assert_ok(cmap_view_all(map, count, &seen, NULL));
  assert_int_equal(seen, alive);
  scan_in_pieces(map, kind == CMAP_U64 ? 8 : 4);
  assert_ok(cmap_reserve(map, (size_t)2 * KEYS, NULL));
  assert_int_equal(cmap_len(map), alive);
  assert_ok(cmap_shrink_to_fit(map, NULL));
  assert_int_equal(cmap_len(map), alive);
  cmap_destroy(map);
  if (owned)
    assert_int_equal(alive, 0);
}

static void impure_hashes_never_spoil_memory(void **state)
{
  (void)state;
  if (CMAP_CHECK >= 2)
    skip();
  random_begin(&hashes, 1);
  for (unsigned groups = 1; groups <= 16; groups *= 4) {
    misuse(CMAP_U64, groups, true);
    misuse(CMAP_U32, groups, true);
    misuse(CMAP_U64, groups, false);
    misuse(CMAP_U32, groups, false);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(impure_hashes_never_spoil_memory),
  };

  return cmocka_run_group_tests_name("impure_hash", tests, NULL, NULL);
}
