/* Parts of a map: each entry is in exactly one, in that of its hash. */
#include "numbers.h"
#include "random.h"

#include <string.h>

/* floor(part * 2^64 / parts), bit by bit; part < parts. */
static uint64_t part_begin(size_t part, size_t parts)
{
  uint64_t rest = part, begin = 0;

  for (int bit = 0; bit < 64; bit++) {
    bool one = rest >= parts - rest;
    rest = one ? rest - (parts - rest) : 2 * rest;
    begin = 2 * begin + one;
  }
  return begin;
}

/* The part in which a hash lies: the last one that begins at or before it. */
static size_t part_of(uint64_t hash, size_t parts)
{
  size_t part = 0, beyond = parts;

  while (beyond - part > 1) {
    size_t middle = part + (beyond - part) / 2;
    if (part_begin(middle, parts) <= hash)
      part = middle;
    else
      beyond = middle;
  }
  return part;
}

struct count {
  uint64_t id;
  size_t times;
};

static enum cmap_status count_id(struct cmap_key key, const void *value,
                                 void *ctx)
{
  struct count *count = ctx;

  (void)value;
  count->times += memcmp(key.data, &count->id, sizeof count->id) == 0;
  return CMAP_OK;
}

/* How often does part `part` show the key? To scans, iterators and for_each
   it is the same. */
static size_t times_in_part(struct cmap *map, uint64_t id, size_t part,
                            size_t parts)
{
  CMAP_AUTO(cmap_iter, iter);
  uint64_t keys[50], cursor, end;
  struct cmap_scan_buffer buffer = {
      .size = sizeof buffer, .capacity = 50, .keys = keys};
  struct count each = {id, 0};
  size_t times = 0, scanned = 0;

  CHECK_OK(cmap_iter_begin(map, CMAP_READ, part, parts, &iter));
  while (cmap_iter_next(&iter, NULL) == CMAP_OK)
    times += memcmp(iter.key.data, &id, sizeof id) == 0;
  CHECK_OK(cmap_for_each(map, part, parts, count_id, &each, NULL));
  CHECK(each.times == times);
  CHECK_OK(cmap_scan_part(part, parts, &cursor, &end));
  while (cmap_scan(map, &cursor, end, &buffer, NULL) == CMAP_OK)
    for (size_t i = 0; i < buffer.count; i++)
      scanned += keys[i] == id;
  CHECK(scanned == times);
  return times;
}

static uint64_t hash_is_key(struct cmap_key key, void *ctx)
{
  uint64_t id;

  (void)ctx;
  memcpy(&id, key.data, sizeof id);
  return id;
}

/* Keys are their own hashes, at the ends of parts and of the map. */
static struct cmap *open_hash_is_key(void)
{
  struct cmap_options options;
  struct cmap *map = NULL;

  cmap_options_init(&options, CMAP_U64, 0);
  options.flags = CMAP_HASH_IS_GOOD;
  options.key_hash = hash_is_key;
  options.shard_groups = 1;
  assert_ok(cmap_create(&options, &map));
  return map;
}

static const size_t part_counts[] = {1,
                                     2,
                                     3,
                                     4,
                                     5,
                                     6,
                                     7,
                                     64,
                                     1000,
                                     65537,
                                     (size_t)(UINT64_C(1) << 33 | 1),
                                     SIZE_MAX / 3,
                                     SIZE_MAX / 2 + 1,
                                     SIZE_MAX - 1,
                                     SIZE_MAX};
#define PART_COUNTS (sizeof part_counts / sizeof *part_counts)

static void put_set(struct cmap *map, uint64_t id)
{
  CHECK_OK(cmap_insert(map, cmap_key_u64(&id), NULL, NULL, NULL, NULL));
}

static void each_entry_is_in_its_part(void **state)
{
  (void)state;
  for (size_t i = 0; i < PART_COUNTS; i++) {
    size_t parts = part_counts[i];
    struct cmap *map = open_hash_is_key();
    struct random random;
    uint64_t ids[120];
    size_t n = 0;
    random_begin(&random, i);
    ids[n++] = 0;
    ids[n++] = UINT64_MAX;
    ids[n++] = UINT64_MAX - 1;
    /* First hashes of shards; the last ones of parts of three hashes. */
    ids[n++] = UINT64_C(1) << 63;
    ids[n++] = UINT64_C(1) << 61;
    while (n < 100) {
      uint64_t begin = part_begin((size_t)random_below(&random, parts), parts);
      ids[n++] = begin;
      ids[n++] = begin - 1;
      ids[n++] = random_next(&random);
    }
    for (size_t j = 0; j < n; j++)
      put_set(map, ids[j]);
    for (size_t j = 0; j < n; j++) {
      size_t part = part_of(ids[j], parts);
      assert_int_equal(times_in_part(map, ids[j], part, parts), 1);
      if (part > 0)
        assert_int_equal(times_in_part(map, ids[j], part - 1, parts), 0);
      if (part + 1 < parts)
        assert_int_equal(times_in_part(map, ids[j], part + 1, parts), 0);
      if (part != 0)
        assert_int_equal(times_in_part(map, ids[j], 0, parts), 0);
      if (part != parts - 1)
        assert_int_equal(times_in_part(map, ids[j], parts - 1, parts), 0);
    }
    cmap_destroy(map);
  }
  checks_assert();
}

/* Of the first parts, all: each entry once in all. */
static void parts_are_the_whole(void **state)
{
  struct cmap *map = numbers_open_small();

  (void)state;
  for (uint64_t id = 0; id < 1000; id++)
    numbers_put(map, id, id);
  for (size_t parts = 1; parts <= 65; parts += parts < 8 ? 1 : 19) {
    unsigned char times[1000] = {0};
    for (size_t part = 0; part < parts; part++) {
      CMAP_AUTO(cmap_iter, iter);
      assert_ok(cmap_iter_begin(map, part % 2 ? CMAP_READ : CMAP_WRITE, part,
                                parts, &iter));
      while (cmap_iter_next(&iter, NULL) == CMAP_OK) {
        uint64_t id, hash;
        memcpy(&id, iter.key.data, sizeof id);
        times[id]++;
        assert_ok(cmap_hash(map, iter.key, &hash));
        assert_int_equal(part_of(hash, parts), part);
      }
    }
    for (size_t id = 0; id < 1000; id++)
      assert_int_equal(times[id], 1);
  }
  cmap_destroy(map);
  checks_assert();
}

/* Entries come and go, shards split and merge, between two parts. */
static void shards_change_between_parts(void **state)
{
  enum { KEEP = 300, PARTS = 23 };
  struct cmap *map = numbers_open_small();

  (void)state;
  for (uint64_t id = 0; id < KEEP; id++)
    numbers_put(map, id, id);
  for (int round = 0; round < 20; round++) {
    unsigned times[KEEP] = {0};
    for (size_t part = 0; part < PARTS; part++) {
      CMAP_AUTO(cmap_iter, iter);
      for (uint64_t id = 1000; id < 3000; id++) {
        if (part % 2)
          numbers_drop(map, id);
        else
          numbers_put(map, id, id);
      }
      if (part % 2)
        assert_ok(cmap_shrink_to_fit(map, NULL));
      assert_ok(cmap_iter_begin(map, CMAP_READ, part, PARTS, &iter));
      while (cmap_iter_next(&iter, NULL) == CMAP_OK) {
        uint64_t id;
        memcpy(&id, iter.key.data, sizeof id);
        if (id < KEEP)
          times[id]++;
      }
    }
    for (size_t id = 0; id < KEEP; id++)
      assert_int_equal(times[id], 1);
    for (uint64_t id = 1000; id < 3000; id++)
      numbers_drop(map, id);
  }
  cmap_destroy(map);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_entry_is_in_its_part),
      cmocka_unit_test(parts_are_the_whole),
      cmocka_unit_test(shards_change_between_parts),
  };

  return cmocka_run_group_tests_name("iter_parts", tests, NULL, NULL);
}
