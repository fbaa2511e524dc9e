/* cmap_scan where hashes are chosen: equal ones, the ends, a stored cursor. */
#include "checks.h"
#include "random.h"

#include <string.h>

static uint64_t given_hash(struct cmap_key key, void *ctx)
{
  uint64_t hash;

  (void)ctx;
  memcpy(&hash, key.data, sizeof hash);
  return hash;
}

/* Keys are a hash and a number. */
struct chosen {
  uint64_t hash;
  uint64_t number;
};

static struct cmap *open_chosen(void)
{
  struct cmap_options options;
  struct cmap *map = NULL;

  cmap_options_init(&options, CMAP_FIXED, 0);
  options.key_size = sizeof(struct chosen);
  options.flags = CMAP_HASH_IS_GOOD;
  options.key_hash = given_hash;
  options.shard_groups = 1;
  assert_ok(cmap_create(&options, &map));
  return map;
}

static void put_chosen(struct cmap *map, uint64_t hash, uint64_t number)
{
  struct chosen key = {hash, number};

  assert_ok(cmap_insert(map, cmap_key_bytes(&key, sizeof key), NULL, NULL, NULL,
                        NULL));
}

static enum cmap_status scan_chosen(struct cmap *map, uint64_t *cursor,
                                    uint64_t end, struct chosen *keys,
                                    size_t capacity, size_t *count)
{
  struct cmap_scan_buffer buffer = {
      .size = sizeof buffer, .capacity = capacity, .keys = keys};
  enum cmap_status status = cmap_scan(map, cursor, end, &buffer, NULL);

  *count = buffer.count;
  return status;
}

/* The two highest hashes share a position. */
static void the_ends_of_all_hashes(void **state)
{
  struct cmap *map = open_chosen();
  struct chosen keys[10];
  uint64_t cursor = 0;
  size_t count;

  (void)state;
  put_chosen(map, 0, 1);
  put_chosen(map, 0, 2);
  put_chosen(map, UINT64_MAX, 3);
  put_chosen(map, UINT64_MAX - 1, 4);
  put_chosen(map, UINT64_MAX - 2, 5);
  put_chosen(map, UINT64_C(1) << 63, 6);
  assert_status(scan_chosen(map, &cursor, 0, keys, 1, &count), CMAP_ENOSPC);
  assert_int_equal(count, 2);
  assert_int_equal(cursor, 0);
  assert_ok(scan_chosen(map, &cursor, 0, keys, 2, &count));
  assert_int_equal(count, 2);
  assert_true(keys[0].hash == 0 && keys[1].hash == 0);
  assert_true(keys[0].number + keys[1].number == 3);
  assert_ok(scan_chosen(map, &cursor, 0, keys, 1, &count));
  assert_int_equal(keys[0].number, 6);
  assert_ok(scan_chosen(map, &cursor, 0, keys, 1, &count));
  assert_int_equal(keys[0].number, 5);
  assert_true(cursor < UINT64_MAX);
  assert_status(scan_chosen(map, &cursor, 0, keys, 1, &count), CMAP_ENOSPC);
  assert_int_equal(count, 2);
  assert_ok(scan_chosen(map, &cursor, 0, keys, 2, &count));
  assert_int_equal(count, 2);
  assert_int_equal(keys[0].number + keys[1].number, 7);
  assert_true(cursor == UINT64_MAX);
  for (int again = 0; again < 3; again++) {
    assert_status(scan_chosen(map, &cursor, 0, keys, 10, &count),
                  CMAP_NOT_FOUND);
    assert_int_equal(count, 0);
    assert_true(cursor == UINT64_MAX);
  }
  cursor = 0;
  assert_ok(scan_chosen(map, &cursor, 0, keys, 10, &count));
  assert_int_equal(count, 6);
  /* Only one of the two highest. */
  for (uint64_t hash = UINT64_MAX - 1; hash != 0; hash++) {
    struct chosen key = {hash, hash == UINT64_MAX ? 3 : 4};
    assert_ok(cmap_remove(map, cmap_key_bytes(&key, sizeof key), NULL, NULL));
    cursor = UINT64_MAX - 1;
    assert_ok(scan_chosen(map, &cursor, 0, keys, 1, &count));
    assert_int_equal(keys[0].number, hash == UINT64_MAX ? 4 : 3);
    assert_true(cursor == UINT64_MAX);
    put_chosen(map, key.hash, key.number);
  }
  cmap_destroy(map);
}

/* `end` is not shown, what is right before it is. */
static void the_end_of_a_scan(void **state)
{
  static const uint64_t hashes[] = {0,
                                    1,
                                    99,
                                    100,
                                    101,
                                    UINT64_C(1) << 32,
                                    (UINT64_C(1) << 60) - 1,
                                    UINT64_C(1) << 60,
                                    UINT64_C(1) << 63};
  enum { N = sizeof hashes / sizeof *hashes };
  struct cmap *map = open_chosen();
  struct chosen keys[20];

  (void)state;
  for (size_t i = 0; i < N; i++)
    put_chosen(map, hashes[i], i);
  for (size_t from = 0; from < N; from++) {
    for (size_t to = from; to < N; to++) {
      for (size_t capacity = 1; capacity <= 20; capacity += 3) {
        uint64_t cursor = hashes[from], end = hashes[to];
        size_t count, met = 0;
        if (end == 0)
          continue; /* it means the end of the map */
        while (scan_chosen(map, &cursor, end, keys, capacity, &count) ==
               CMAP_OK) {
          for (size_t i = 0; i < count; i++)
            assert_true(keys[i].number >= from && keys[i].number < to);
          met += count;
        }
        assert_int_equal(met, to - from);
        assert_true(cursor == end);
      }
    }
  }
  cmap_destroy(map);
}

/* Equal hashes among others; exact needs, whatever else is there. */
static void positions_of_several_entries(void **state)
{
  struct cmap *map = open_chosen();
  struct chosen keys[400];
  struct random random;

  (void)state;
  random_begin(&random, 0);
  for (uint64_t i = 0; i < 20; i++)
    for (uint64_t j = 0; j <= i; j++)
      put_chosen(map, random_mix(i), 100 * i + j);
  for (size_t capacity = 1; capacity < 230; capacity += 1 + capacity / 9) {
    unsigned times[2000] = {0};
    uint64_t cursor = 0;
    size_t count;
    for (;;) {
      uint64_t from = cursor;
      size_t room = capacity;
      enum cmap_status status =
          scan_chosen(map, &cursor, 0, keys, room, &count);
      if (status == CMAP_ENOSPC) {
        assert_true(count > room && count <= 20 && cursor == from);
        room = count;
        assert_ok(scan_chosen(map, &cursor, 0, keys, room, &count));
        assert_int_equal(count, room);
      } else if (status != CMAP_OK) {
        assert_status(status, CMAP_NOT_FOUND);
        break;
      }
      assert_true(cursor > from && count <= room);
      for (size_t i = 0; i < count; i++) {
        assert_true(keys[i].hash >= from && keys[i].hash < cursor);
        times[keys[i].number]++;
      }
    }
    for (uint64_t i = 0; i < 20; i++)
      for (uint64_t j = 0; j < 20; j++)
        assert_int_equal(times[100 * i + j], j <= i);
  }
  cmap_destroy(map);
}

/* A cursor is good whatever happened to the map since. */
static void cursors_live_long(void **state)
{
  struct cmap *map = open_chosen();
  struct chosen keys[10];
  unsigned times[200] = {0};
  uint64_t cursor = 0;
  uint64_t more = 1000;
  size_t count;

  (void)state;
  for (uint64_t i = 0; i < 200; i++)
    put_chosen(map, random_mix(i), i);
  while (scan_chosen(map, &cursor, 0, keys, 7, &count) == CMAP_OK) {
    for (size_t i = 0; i < count; i++)
      if (keys[i].number < 200)
        times[keys[i].number]++;
    if (more < 1100) {
      for (uint64_t end = more + 10; more < end; more++)
        for (uint64_t j = 0; j < 20; j++)
          put_chosen(map, random_mix(20 * more + j), 20 * more + j);
    } else {
      for (uint64_t j = 1000 * 20; j < 1100 * 20; j++) {
        struct chosen key = {random_mix(j), j};
        (void)!cmap_remove(map, cmap_key_bytes(&key, sizeof key), NULL, NULL);
      }
      assert_ok(cmap_shrink_to_fit(map, NULL));
    }
  }
  for (size_t i = 0; i < 200; i++)
    assert_int_equal(times[i], 1);
  cmap_destroy(map);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_ends_of_all_hashes),
      cmocka_unit_test(the_end_of_a_scan),
      cmocka_unit_test(positions_of_several_entries),
      cmocka_unit_test(cursors_live_long),
  };

  return cmocka_run_group_tests_name("scan_positions", tests, NULL, NULL);
}
