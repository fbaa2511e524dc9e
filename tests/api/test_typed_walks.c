/*
 * CMAP_DEFINE: the wrappers of iterators, for_each, drain, snapshots, batches,
 * freeze, statistics. What the calls do is tested elsewhere; here, that each
 * argument arrives.
 */
#include "maps.h"

struct account {
  int64_t cents;
  int32_t fee;
  int32_t gap;
};

CMAP_DEFINE(bank, CMAP_STRING, struct account);
CMAP_DEFINE(counts, CMAP_U32, uint32_t);

enum { COUNT = 200 };

/* counts of 0 ... COUNT - 1, each with three times its key. */
static struct counts filled(void)
{
  struct counts map;

  assert_ok(counts_create(NULL, &map));
  for (uint32_t i = 0; i < COUNT; i++)
    assert_ok(counts_insert(map, i, 3 * i, NULL, NULL, NULL));
  return map;
}

static enum cmap_status see(uint32_t key, const uint32_t *value, void *ctx)
{
  uint64_t *sum = ctx;

  assert_int_equal(*value, 3 * key);
  *sum += key;
  return CMAP_OK;
}

static enum cmap_status take(uint32_t key, uint32_t *value, void *ctx)
{
  return see(key, value, ctx);
}

static const uint64_t whole_sum = COUNT * (COUNT - 1) / 2;

static void iterators(void **state)
{
  struct counts map = filled();
  CMAP_AUTO(counts_iter, iter);
  enum cmap_status status;
  uint64_t sum = 0;

  (void)state;
  assert_status(counts_iter_begin(map, CMAP_ENTRY, 0, 1, &iter), CMAP_EINVAL);
  assert_status(counts_iter_begin(map, CMAP_READ, 0, 1, NULL), CMAP_EINVAL);
  assert_status(counts_iter_next(NULL, NULL), CMAP_EINVAL);
  for (size_t part = 0; part < 3; part++) {
    assert_ok(counts_iter_begin(map, CMAP_READ, part, 3, &iter));
    while ((status = counts_iter_next(&iter, NULL)) == CMAP_OK)
      assert_ok(see(iter.key, iter.value, &sum));
    assert_status(status, CMAP_NOT_FOUND);
    assert_null(iter.value);
    counts_iter_release(&iter);
  }
  assert_true(sum == whole_sum);

  assert_ok(counts_iter_begin(map, CMAP_WRITE, 0, 1, &iter));
  while ((status = counts_iter_next(&iter, NULL)) == CMAP_OK) {
    uint32_t old = 0;
    if (iter.key % 2 == 0)
      continue;
    assert_ok(counts_iter_remove(&iter, &old));
    assert_int_equal(old, 3 * iter.key);
    assert_null(iter.value);
  }
  assert_int_equal(counts_len(map), COUNT / 2);
  assert_ok(counts_iter_restart(&iter));
  assert_ok(counts_iter_next(&iter, NULL));
  {
    CMAP_AUTO(counts_write_guard, guard);
    uint32_t key = iter.key;
    assert_ok(counts_iter_into_write_guard(&iter, &guard));
    assert_int_equal(guard.key, key);
    assert_int_equal(*guard.value, 3 * key);
    *guard.value = 7;
  }
  assert_status(counts_iter_next(&iter, NULL), CMAP_EINVAL);
  assert_ok(counts_iter_begin(map, CMAP_READ, 0, 1, &iter));
  assert_ok(counts_iter_next(&iter, NULL));
  {
    CMAP_AUTO(counts_read_guard, guard);
    assert_ok(counts_iter_into_read_guard(&iter, &guard));
    assert_int_equal(*guard.value, 7);
  }
  counts_destroy(map);
}

static void walks(void **state)
{
  struct counts map = filled();
  uint64_t sum = 0, popped = 0;

  (void)state;
  assert_status(counts_for_each(map, 0, 1, NULL, NULL, NULL), CMAP_EINVAL);
  assert_ok(counts_for_each(map, 0, 2, see, &sum, NULL));
  assert_ok(counts_for_each(map, 1, 2, see, &sum, NULL));
  assert_true(sum == whole_sum);
  assert_ok(counts_pop(map, 0, 2, take, &popped, NULL));
  assert_ok(counts_pop(map, 1, 2, take, &popped, NULL));
  assert_ok(counts_pop(map, 0, 1, NULL, NULL, NULL));
  assert_status(counts_pop(map, 1, 1, take, NULL, NULL), CMAP_EINVAL);
  assert_int_equal(counts_len(map), COUNT - 3);
  assert_ok(counts_clear(map, NULL));
  counts_destroy(map);
  map = filled();
  assert_status(counts_drain(map, NULL, NULL, NULL), CMAP_EINVAL);
  assert_ok(counts_drain(map, take, &sum, NULL));
  assert_true(sum == 2 * whole_sum);
  assert_int_equal(counts_len(map), 0);
  counts_destroy(map);
}

static void snapshots(void **state)
{
  const struct account account = {5, 6, 7};
  struct bank_snapshot snapshot;
  struct bank map;

  (void)state;
  assert_ok(bank_create(NULL, &map));
  assert_ok(bank_insert(map, "ada", account, NULL, NULL, NULL));
  assert_status(bank_snapshot_create(map, CMAP_KEYS_ONLY, NULL, NULL),
                CMAP_EINVAL);
  assert_ok(bank_snapshot_create(map, CMAP_KEYS_AND_VALUES, &snapshot, NULL));
  assert_int_equal(bank_snapshot_count(snapshot), 1);
  assert_string_equal(bank_snapshot_key(snapshot, 0), "ada");
  assert_int_equal(bank_snapshot_value(snapshot, 0)->fee, 6);
  assert_null(bank_snapshot_key(snapshot, 1));
  assert_null(bank_snapshot_value(snapshot, 1));
  bank_snapshot_destroy(snapshot);
  bank_destroy(map);
}

static void batches(void **state)
{
  enum { N = 150 }; /* more than are under way at once */
  struct counts map;
  uint32_t keys[N], values[N];
  enum cmap_status statuses[N];

  (void)state;
  assert_ok(counts_create(NULL, &map));
  for (uint32_t i = 0; i < N; i++) {
    keys[i] = 1000 + i;
    values[i] = i;
  }
  assert_ok(counts_insert_many(map, keys, N, values, statuses, NULL));
  assert_ok(counts_remove(map, keys[70], NULL, NULL));
  memset(values, 0xff, sizeof values);
  assert_status(counts_get_many(map, keys, N, values, statuses, NULL),
                CMAP_NOT_FOUND);
  for (uint32_t i = 0; i < N; i++) {
    assert_status(statuses[i], i == 70 ? CMAP_NOT_FOUND : CMAP_OK);
    assert_int_equal(values[i], i == 70 ? UINT32_MAX : i);
  }
  assert_status(counts_contains_many(map, keys, N, statuses, NULL),
                CMAP_NOT_FOUND);
  assert_status(counts_remove_many(map, keys, N, values, statuses, NULL),
                CMAP_NOT_FOUND);
  assert_int_equal(values[149], 149);
  assert_int_equal(counts_len(map), 0);
  assert_ok(counts_get_many(map, keys, 0, values, statuses, NULL));
  assert_status(counts_get_many(map, NULL, N, values, statuses, NULL),
                CMAP_EINVAL);
  assert_status(counts_get_many(map, keys, N, values, NULL, NULL), CMAP_EINVAL);
  assert_status(counts_insert_many(map, keys, N, NULL, statuses, NULL),
                CMAP_EINVAL);
  counts_destroy(map);
}

static void count_line(const char *line, void *ctx)
{
  assert_true(strlen(line) <= 80);
  ++*(size_t *)ctx;
}

static void states(void **state)
{
  struct cmap_stats stats = {.size = sizeof stats};
  struct counts map = filled();
  const char *broken = NULL;
  size_t lines = 0;

  (void)state;
  assert_ok(counts_freeze(map, NULL));
  assert_status(counts_insert(map, 1, 1, NULL, NULL, NULL), CMAP_FROZEN);
  assert_ok(counts_thaw(map));
  assert_ok(counts_fork_begin(map, NULL));
  assert_status(counts_insert(map, 1, 1, NULL, NULL, NULL), CMAP_EDEADLK);
  assert_ok(counts_fork_end(map));
  assert_ok(counts_insert(map, 1, 3, NULL, NULL, NULL));
  assert_ok(counts_get_stats(map, &stats));
  assert_int_equal(stats.entries, COUNT);
  assert_ok(counts_dump(map, count_line, &lines));
  assert_true(lines > 5);
  assert_ok(counts_check(map, &broken, NULL));
  assert_null(broken);
  counts_destroy(map);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(iterators), cmocka_unit_test(walks),
      cmocka_unit_test(snapshots), cmocka_unit_test(batches),
      cmocka_unit_test(states),
  };

  return cmocka_run_group_tests_name("typed_walks", tests, NULL, NULL);
}
