/* Counting, walking, clearing, and making room: len ... shrink_to_fit. */
#include "numbers.h"
#include "operations.h"
#include "settings.h"
#include "threads.h"

#include <string.h>

static void whole_map_on_every_kind_of_map(void **state)
{
  static op_fn *const ops[] = {
      op_insert,    op_insert,    op_insert, op_view_all, op_insert, op_insert,
      op_len_exact, op_alter_all, op_insert, op_retain,   op_insert, op_shrink,
      op_insert,    op_reserve,   op_remove, op_insert,   op_clear};

  (void)state;
  op_exercise(ops, sizeof ops / sizeof *ops);
}

static void lengths_of_no_map(void **state)
{
  (void)state;
  assert_int_equal(cmap_len(NULL), 0);
}

static void lengths_follow_every_change(void **state)
{
  struct cmap *map = numbers_open_small();
  size_t exact = 7;

  (void)state;
  assert_true(cmap_is_empty(map));
  for (uint64_t id = 0; id < 500; id++) {
    numbers_put(map, id, id);
    numbers_put(map, id, id + 1);
    assert_int_equal(cmap_len(map), id + 1);
    assert_ok(cmap_len_exact(map, &exact, NULL));
    assert_int_equal(exact, id + 1);
    assert_false(cmap_is_empty(map));
    assert_true(cmap_capacity(map) > 0);
  }
  for (uint64_t id = 0; id < 500; id++) {
    numbers_drop(map, id);
    assert_int_equal(cmap_len(map), 499 - id);
    assert_ok(cmap_len_exact(map, &exact, NULL));
    assert_int_equal(exact, 499 - id);
    assert_int_equal(cmap_is_empty(map), id == 499);
  }
  cmap_destroy(map);
  checks_assert();
}

static size_t shard_of(struct cmap *map, uint64_t id, uint64_t *hash)
{
  assert_ok(cmap_hash(map, cmap_key_u64(&id), hash));
  return cmap_shard_index(map, *hash);
}

static void shards_are_numbered_in_hash_order(void **state)
{
  struct cmap *map = numbers_open_small();
  size_t shards;
  bool seen[1000] = {false};
  size_t different = 0;
  uint64_t hash = 0;

  (void)state;
  assert_int_equal(cmap_shard_index(map, 0), 0);
  assert_int_equal(cmap_shard_index(map, UINT64_MAX),
                   cmap_shard_count(map) - 1);
  for (uint64_t id = 0; id < 1000; id++) {
    numbers_put(map, id, id);
  }
  shards = cmap_shard_count(map);
  assert_in_range(shards, 1000 / 11, 1000);
  for (uint64_t id = 0; id < 1000; id++) {
    size_t shard = shard_of(map, id, &hash);
    assert_true(shard < shards);
    different += !seen[shard];
    seen[shard] = true;
    assert_true(hash == 0 || cmap_shard_index(map, hash - 1) <= shard);
    assert_true(cmap_shard_index(map, hash | (UINT64_MAX >> 1)) >= shard);
  }
  assert_true(different > shards / 2);
  assert_int_equal(cmap_shard_index(map, 0), 0);
  assert_int_equal(cmap_shard_index(map, UINT64_MAX), shards - 1);
  cmap_destroy(map);
}

struct walk {
  uint64_t sum;
  size_t calls;
  size_t stop_after;
};

static enum cmap_status add_up(struct cmap_key key, const void *value,
                               void *ctx)
{
  struct walk *walk = ctx;
  uint64_t number;

  CHECK(key.size == 8);
  memcpy(&number, value, sizeof number);
  walk->sum += number;
  walk->calls++;
  return walk->calls == walk->stop_after ? (enum cmap_status)USER_STATUS
                                         : CMAP_OK;
}

static enum cmap_status add_one(struct cmap_key key, void *value, void *ctx)
{
  enum cmap_status status = add_up(key, value, ctx);
  uint64_t number;

  memcpy(&number, value, sizeof number);
  number++;
  memcpy(value, &number, sizeof number);
  return status;
}

static void walks_end_early(void **state)
{
  struct cmap *map = numbers_open_small();
  struct walk walk = {.stop_after = 33};

  (void)state;
  for (uint64_t id = 0; id < 100; id++) {
    numbers_put(map, id, 1);
  }
  assert_status(cmap_view_all(map, add_up, &walk, NULL),
                (enum cmap_status)USER_STATUS);
  assert_int_equal(walk.calls, 33);
  walk = (struct walk){.stop_after = 40};
  assert_status(cmap_alter_all(map, add_one, &walk, NULL),
                (enum cmap_status)USER_STATUS);
  assert_int_equal(walk.calls, 40);
  walk = (struct walk){.sum = 0};
  assert_ok(cmap_view_all(map, add_up, &walk, NULL));
  assert_int_equal(walk.calls, 100);
  assert_int_equal(walk.sum, 140);
  cmap_destroy(map);
  checks_assert();
}

static bool keep_even(struct cmap_key key, void *value, void *ctx)
{
  uint64_t id;

  memcpy(&id, key.data, sizeof id);
  memcpy(value, &id, sizeof id);
  ++*(size_t *)ctx;
  return id % 2 == 0;
}

static void retain_counts_what_it_removed(void **state)
{
  struct cmap *map = numbers_open_small();
  size_t calls = 0;
  size_t removed = 7;

  (void)state;
  for (uint64_t id = 0; id < 101; id++) {
    numbers_put(map, id, 0);
  }
  assert_ok(cmap_retain(map, keep_even, &calls, &removed, NULL));
  assert_int_equal(calls, 101);
  assert_int_equal(removed, 50);
  assert_int_equal(cmap_len(map), 51);
  for (uint64_t id = 0; id < 101; id++) {
    assert_int_equal(numbers_has(map, id), id % 2 == 0);
    if (id % 2 == 0) {
      assert_int_equal(numbers_get(map, id), id);
    }
  }
  assert_ok(cmap_retain(map, keep_even, &calls, NULL, NULL));
  assert_int_equal(cmap_len(map), 51);
  cmap_destroy(map);
  checks_assert();
}

static void clear_keeps_the_storage(void **state)
{
  struct cmap *map = numbers_open();
  size_t capacity;

  (void)state;
  assert_ok(cmap_clear(map, NULL));
  for (uint64_t id = 0; id < 5000; id++) {
    numbers_put(map, id, 0);
  }
  capacity = cmap_capacity(map);
  assert_true(capacity >= 5000);
  assert_ok(cmap_clear(map, NULL));
  assert_true(cmap_is_empty(map));
  assert_int_equal(cmap_capacity(map), capacity);
  assert_ok(cmap_shrink_to_fit(map, NULL));
  assert_true(cmap_capacity(map) < capacity / 10);
  assert_true(cmap_shard_count(map) < 20);
  numbers_put(map, 1, 2);
  assert_int_equal(numbers_get(map, 1), 2);
  cmap_destroy(map);
  checks_assert();
}

static void reserve_makes_room_at_once(void **state)
{
  struct cmap *map = numbers_open();

  (void)state;
  assert_ok(cmap_reserve(map, 0, NULL));
  assert_ok(cmap_reserve(map, 20000, NULL));
  assert_true(cmap_capacity(map) >= 20000);
  assert_true(cmap_is_empty(map));
  for (uint64_t id = 0; id < 20000; id++) {
    numbers_put(map, id, id);
  }
  assert_ok(cmap_reserve(map, 30000, NULL));
  assert_true(cmap_capacity(map) >= 30000);
  for (uint64_t id = 0; id < 20000; id++) {
    assert_int_equal(numbers_get(map, id), id);
  }
  cmap_destroy(map);
  checks_assert();
}

static void impossible_room_is_refused(void **state)
{
  const struct map_spec spec = {.keys = KEYS_U64, .value_size = 8};
  enum cmap_status status;
  struct test_map m;

  (void)state;
  test_map_open(&m, &spec);
  numbers_put(m.map, 1, 2);
  counting_alloc_fail_from(&m.alloc, 50);
  status = cmap_reserve(m.map, SIZE_MAX, NULL);
  assert_true(status == CMAP_ENOMEM || status == CMAP_EINVAL);
  counting_alloc_fail_none(&m.alloc);
  assert_int_equal(numbers_get(m.map, 1), 2);
  assert_int_equal(cmap_len(m.map), 1);
  test_map_close(&m);
}

/* Down and up again, several times: the map reaches the same size. */
static void a_map_breathes(void **state)
{
  const struct map_spec spec = {.keys = KEYS_U64, .value_size = 8};
  struct test_map m;
  size_t most = 0;

  (void)state;
  test_map_open(&m, &spec);
  for (int breath = 0; breath < 6; breath++) {
    for (uint64_t id = 0; id < 20000; id++) {
      numbers_put(m.map, id, id);
    }
    if (breath == 0) {
      most = counting_alloc_live_bytes(&m.alloc);
    }
    /* What one breath has freed the next one uses. */
    assert_true(counting_alloc_live_bytes(&m.alloc) <= most + most / 2);
    for (uint64_t id = 0; id < 20000; id++) {
      if (id % 100) {
        numbers_drop(m.map, id);
      }
    }
    assert_ok(cmap_shrink_to_fit(m.map, NULL));
    assert_true(cmap_capacity(m.map) < 5000);
    for (uint64_t id = 0; id < 20000; id += 100) {
      assert_int_equal(numbers_get(m.map, id), id);
    }
    assert_int_equal(cmap_len(m.map), 200);
  }
  test_map_close(&m);
}

static void drop_quietly(struct cmap *map, uint64_t id)
{
  enum cmap_status status = cmap_remove(map, cmap_key_u64(&id), NULL, NULL);

  CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
}

/* Threads 0 and 1 write numbers of their own, the others look at the whole. */
static void write_or_walk(unsigned index, void *ctx)
{
  struct cmap *map = ctx;

  for (uint64_t i = 0; i < test_scale(300); i++) {
    struct walk walk = {.sum = 0};
    size_t removed = 0;
    size_t exact = 0;
    uint64_t id = 1000 + index + 2 * (i % 200);
    switch (index) {
    case 0:
    case 1:
      numbers_put(map, id, 1);
      numbers_put(map, id + 400, 1);
      drop_quietly(map, id); /* thread 2 may have been faster */
      break;
    case 2:
      CHECK_OK(cmap_view_all(map, add_up, &walk, NULL));
      CHECK(walk.calls >= 100);
      CHECK_OK(cmap_retain(map, keep_even, &walk.calls, &removed, NULL));
      break;
    default:
      CHECK_OK(cmap_shrink_to_fit(map, NULL));
      CHECK_OK(cmap_len_exact(map, &exact, NULL));
      CHECK(exact >= 100);
      CHECK(!cmap_is_empty(map));
      CHECK_OK(cmap_reserve(map, exact + (size_t)i, NULL));
      break;
    }
  }
}

static void several_threads(void **state)
{
  struct cmap *map = numbers_open_small();

  (void)state;
  for (uint64_t id = 0; id < 200; id += 2) {
    numbers_put(map, id, 1);
  }
  threads_run(4, write_or_walk, map);
  for (uint64_t id = 1000; id < 2000; id++) {
    drop_quietly(map, id);
  }
  assert_int_equal(cmap_len(map), 100);
  cmap_destroy(map);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whole_map_on_every_kind_of_map),
      cmocka_unit_test(lengths_of_no_map),
      cmocka_unit_test(lengths_follow_every_change),
      cmocka_unit_test(shards_are_numbered_in_hash_order),
      cmocka_unit_test(walks_end_early),
      cmocka_unit_test(retain_counts_what_it_removed),
      cmocka_unit_test(clear_keeps_the_storage),
      cmocka_unit_test(reserve_makes_room_at_once),
      cmocka_unit_test(impossible_room_is_refused),
      cmocka_unit_test(a_map_breathes),
      cmocka_unit_test(several_threads),
  };

  return cmocka_run_group_tests_name("whole_map", tests, NULL, NULL);
}
