/*
 * Sets: CMAP_DEFINE_SET of each kind of key, and values of no bytes in every
 * call that has a value.
 */
#include "maps.h"

struct spot {
  int32_t x, y;
};

CMAP_DEFINE_SET(u32s, CMAP_U32);
CMAP_DEFINE_SET(u64s, CMAP_U64);
CMAP_DEFINE_SET(names, CMAP_STRING);
CMAP_DEFINE_SET(blobs, CMAP_BYTES);
CMAP_DEFINE_SET_FIXED(spots, struct spot);

enum { COUNT = 300 };

static enum cmap_status add_up(uint32_t key, void *ctx)
{
  *(uint64_t *)ctx += key;
  return CMAP_OK;
}

static bool is_even(uint32_t key, void *ctx)
{
  ++*(uint64_t *)ctx;
  return key % 2 == 0;
}

static struct u32s filled(void)
{
  struct u32s set;

  assert_ok(u32s_create(NULL, &set));
  for (uint32_t i = 0; i < COUNT; i++)
    assert_ok(u32s_add(set, i, NULL));
  return set;
}

static void one_set(void **state)
{
  struct u32s set = filled();
  size_t len = 0, removed = 0;
  uint64_t sum = 0, tested = 0;

  (void)state;
  assert_status(u32s_add(set, 7, NULL), CMAP_EXISTS);
  assert_ok(u32s_contains(set, 7, NULL));
  assert_ok(u32s_remove(set, 7, NULL));
  assert_status(u32s_remove(set, 7, NULL), CMAP_NOT_FOUND);
  assert_status(u32s_contains(set, 7, NULL), CMAP_NOT_FOUND);
  assert_ok(u32s_add(set, 7, NULL));
  assert_ok(u32s_view_all(set, add_up, &sum, NULL));
  assert_ok(u32s_for_each(set, 0, 2, add_up, &sum, NULL));
  assert_ok(u32s_for_each(set, 1, 2, add_up, &sum, NULL));
  assert_true(sum == COUNT * (COUNT - 1));
  assert_ok(u32s_retain(set, is_even, &tested, &removed, NULL));
  assert_int_equal(tested, COUNT);
  assert_int_equal(removed, COUNT / 2);
  assert_ok(u32s_len_exact(set, &len, NULL));
  assert_int_equal(len, COUNT / 2);
  sum = 0;
  assert_ok(u32s_pop(set, 0, 1, add_up, &sum, NULL));
  assert_int_equal(u32s_len(set), COUNT / 2 - 1);
  assert_ok(u32s_drain(set, add_up, &sum, NULL));
  assert_true(sum == COUNT / 2 * (COUNT / 2 - 1));
  assert_true(u32s_is_empty(set));
  assert_status(u32s_view_all(set, NULL, NULL, NULL), CMAP_EINVAL);
  assert_status(u32s_for_each(set, 0, 1, NULL, NULL, NULL), CMAP_EINVAL);
  assert_status(u32s_drain(set, NULL, NULL, NULL), CMAP_EINVAL);
  assert_status(u32s_retain(set, NULL, NULL, NULL, NULL), CMAP_EINVAL);
  u32s_destroy(set);
}

static void walks_and_batches(void **state)
{
  struct u32s set = filled();
  CMAP_AUTO(u32s_iter, iter);
  enum cmap_status statuses[COUNT];
  uint32_t keys[COUNT];
  uint64_t sum = 0;

  (void)state;
  assert_ok(u32s_iter_begin(set, CMAP_WRITE, 0, 1, &iter));
  while (u32s_iter_next(&iter, NULL) == CMAP_OK) {
    sum += iter.key;
    if (iter.key >= 10)
      assert_ok(u32s_iter_remove(&iter));
  }
  assert_true(sum == COUNT * (COUNT - 1) / 2);
  assert_int_equal(u32s_len(set), 10);
  u32s_iter_release(&iter);
  for (uint32_t i = 0; i < COUNT; i++)
    keys[i] = i;
  assert_status(u32s_contains_many(set, keys, COUNT, statuses, NULL),
                CMAP_NOT_FOUND);
  for (uint32_t i = 0; i < COUNT; i++)
    assert_status(statuses[i], i < 10 ? CMAP_OK : CMAP_NOT_FOUND);
  assert_ok(u32s_add_many(set, keys, COUNT, statuses, NULL));
  assert_int_equal(u32s_len(set), COUNT);
  assert_ok(u32s_remove_many(set, keys, COUNT, statuses, NULL));
  assert_int_equal(u32s_len(set), 0);
  u32s_destroy(set);
}

static void two_sets(void **state)
{
  struct u32s set = filled(), copy;
  bool equal = false;

  (void)state;
  assert_ok(u32s_clone(set, &copy, NULL));
  assert_ok(u32s_equal(set, copy, &equal, NULL));
  assert_true(equal);
  assert_ok(u32s_add(copy, COUNT, NULL));
  assert_ok(u32s_equal(set, copy, &equal, NULL));
  assert_false(equal);
  assert_ok(u32s_remove(copy, 0, NULL));
  assert_ok(u32s_merge(copy, set, NULL));
  assert_int_equal(u32s_len(copy), COUNT + 1);
  assert_ok(u32s_freeze(copy, NULL));
  assert_status(u32s_add(copy, 5000, NULL), CMAP_FROZEN);
  assert_ok(u32s_thaw(copy));
  u32s_destroy(copy);
  u32s_destroy(set);
}

static void every_kind(void **state)
{
  const struct spot spot = {3, 4}, other = {4, 3};
  struct u64s a;
  struct names b;
  struct blobs c;
  struct spots d;

  (void)state;
  assert_ok(u64s_create(NULL, &a));
  assert_ok(u64s_add(a, UINT64_MAX, NULL));
  assert_ok(u64s_contains(a, UINT64_MAX, NULL));
  u64s_destroy(a);
  assert_ok(names_create(NULL, &b));
  assert_ok(names_add(b, "a name that does not fit into a slot", NULL));
  assert_ok(names_contains(b, "a name that does not fit into a slot", NULL));
  assert_status(names_add(b, NULL, NULL), CMAP_EINVAL);
  names_destroy(b);
  assert_ok(blobs_create(NULL, &c));
  assert_ok(blobs_add(c, cmap_key_bytes("\0\1", 2), NULL));
  assert_ok(blobs_contains(c, cmap_key_bytes("\0\1", 2), NULL));
  blobs_destroy(c);
  assert_ok(spots_create(NULL, &d));
  assert_ok(spots_add(d, spot, NULL));
  assert_ok(spots_contains(d, spot, NULL));
  assert_status(spots_contains(d, other, NULL), CMAP_NOT_FOUND);
  spots_destroy(d);
}

/* Untyped calls on values of no bytes. */

static struct cmap *no_values(void)
{
  struct cmap_options options;
  struct cmap *map;

  cmap_options_init(&options, CMAP_U64, 0);
  assert_ok(cmap_create(&options, &map));
  return map;
}

static enum cmap_status nothing(struct cmap_key key, void *value, void *ctx)
{
  (void)key;
  (void)value;
  ++*(int *)ctx;
  return CMAP_OK;
}

static enum cmap_status put(struct cmap_key key, const void *old, void *fresh,
                            enum cmap_action *action, void *ctx)
{
  (void)key;
  (void)old;
  (void)fresh;
  (void)ctx;
  *action = CMAP_PUT;
  return CMAP_OK;
}

static void no_bytes(void **state)
{
  struct cmap *map = no_values();
  struct cmap_snapshot *snapshot;
  struct cmap_scan_buffer buffer = {.size = sizeof buffer, .capacity = 8};
  enum cmap_status statuses[2];
  uint64_t keys[8], one = 1, two = 2, cursor = 0;
  struct cmap_key k1 = cmap_key_u64(&one), k2 = cmap_key_u64(&two);
  const struct cmap_key both[2] = {k1, k2};
  enum cmap_event event = CMAP_REMOVED;
  int calls = 0;

  (void)state;
  assert_ok(cmap_insert(map, k1, NULL, NULL, &event, NULL));
  assert_int_equal(event, CMAP_INSERTED);
  assert_ok(cmap_insert(map, k1, NULL, NULL, &event, NULL));
  assert_int_equal(event, CMAP_UPDATED);
  assert_ok(cmap_get(map, k1, NULL, NULL));
  assert_status(cmap_insert_new(map, k1, NULL, NULL, NULL), CMAP_EXISTS);
  assert_ok(cmap_get_or_insert(map, k2, NULL, &event, NULL));
  assert_int_equal(event, CMAP_INSERTED);
  assert_ok(cmap_alter(map, k2, nothing, &calls, NULL));
  assert_ok(cmap_compute(map, k2, NULL, &event, put, NULL, NULL));
  assert_ok(cmap_swap(map, k2, NULL, NULL, NULL));
  assert_ok(cmap_swap_values(map, k1, k2, NULL));
  assert_ok(cmap_remove_if_equal(map, k2, NULL, NULL));
  {
    CMAP_AUTO(cmap_entry, entry);
    assert_ok(cmap_entry_begin(map, k2, &entry, NULL));
    assert_null(entry.value);
    assert_ok(cmap_entry_or_insert(&entry, NULL));
    assert_non_null(entry.value);
  }
  {
    CMAP_AUTO(cmap_read_guard, guard);
    assert_ok(cmap_get_ref(map, k2, &guard, NULL));
    assert_non_null(guard.value);
  }
  assert_ok(cmap_get_many(map, both, NULL, 2, NULL, statuses, NULL));
  assert_ok(cmap_insert_many(map, both, NULL, 2, NULL, statuses, NULL));
  buffer.keys = keys;
  assert_ok(cmap_scan(map, &cursor, 0, &buffer, NULL));
  assert_int_equal(buffer.count, 2);
  assert_int_equal(keys[0] + keys[1], 3);
  assert_ok(cmap_snapshot_create(map, CMAP_KEYS_AND_VALUES, &snapshot, NULL));
  assert_int_equal(cmap_snapshot_count(snapshot), 2);
  cmap_snapshot_destroy(snapshot);
  assert_ok(cmap_remove_many(map, both, NULL, 1, NULL, statuses, NULL));
  assert_ok(cmap_pop(map, 0, 1, nothing, &calls, NULL));
  assert_ok(cmap_drain(map, nothing, &calls, NULL));
  assert_int_equal(calls, 2);
  assert_true(cmap_is_empty(map));
  cmap_destroy(map);
}

static bool yes(struct cmap_key key, void *value, void *ctx)
{
  (void)key;
  (void)value;
  ++*(int *)ctx;
  return true;
}

static enum cmap_status renew(struct cmap_key key, const void *old, void *fresh,
                              void *ctx)
{
  (void)key;
  (void)old;
  (void)fresh;
  ++*(int *)ctx;
  return CMAP_OK;
}

/* Calls that decide, make or hold a value of no bytes. */
static void no_bytes_made_or_held(void **state)
{
  struct cmap *map = no_values();
  uint64_t one = 1, two = 2, three = 3;
  struct cmap_key k1 = cmap_key_u64(&one), k2 = cmap_key_u64(&two);
  struct cmap_key k3 = cmap_key_u64(&three);
  enum cmap_event event = CMAP_REMOVED;
  int calls = 0;

  (void)state;
  assert_ok(
      cmap_get_or_insert_with(map, k1, NULL, &event, nothing, &calls, NULL));
  assert_int_equal(event, CMAP_INSERTED);
  assert_ok(cmap_get_or_insert_with_unlocked(map, k2, NULL, &event, nothing,
                                             &calls, NULL));
  assert_int_equal(event, CMAP_INSERTED);
  assert_int_equal(calls, 2);
  /* All values are equal. */
  assert_ok(cmap_compare_exchange(map, k1, NULL, NULL, NULL));
  assert_status(cmap_compare_exchange(map, k3, NULL, NULL, NULL),
                CMAP_NOT_FOUND);
  assert_ok(cmap_replace_if(map, k1, yes, &calls, NULL, NULL, NULL));
  assert_int_equal(calls, 3);
  assert_ok(
      cmap_add_or_update(map, k1, NULL, &event, nothing, renew, &calls, NULL));
  assert_int_equal(event, CMAP_UPDATED);
  assert_ok(
      cmap_add_or_update(map, k3, NULL, &event, nothing, renew, &calls, NULL));
  assert_int_equal(event, CMAP_INSERTED);
  assert_int_equal(calls, 5);
  assert_ok(cmap_remove_if(map, k3, yes, &calls, NULL, NULL));
  {
    CMAP_AUTO(cmap_write_guard, guard);
    assert_ok(cmap_get_mut(map, k1, &guard, NULL));
    assert_non_null(guard.value);
  }
  {
    CMAP_AUTO(cmap_read_guard, guard);
    assert_ok(cmap_get_or_insert_ref(map, k3, NULL, &guard, &event, NULL));
    assert_int_equal(event, CMAP_INSERTED);
    assert_non_null(guard.value);
  }
  {
    CMAP_AUTO(cmap_entry, entry);
    assert_ok(cmap_remove(map, k3, NULL, NULL));
    assert_ok(cmap_entry_begin(map, k3, &entry, NULL));
    assert_ok(cmap_entry_insert(&entry, NULL, NULL));
    assert_non_null(entry.value);
  }
  {
    struct cmap_want wants[2] = {{map, k1, CMAP_READ, CMAP_OK},
                                 {map, k2, CMAP_WRITE, CMAP_OK}};
    struct cmap_multi held = CMAP_INIT;
    assert_ok(cmap_lock_many(wants, 2, &held, NULL));
    assert_non_null(cmap_multi_value(&held, 0));
    assert_non_null(cmap_multi_value(&held, 1));
    cmap_multi_release(&held);
  }
  assert_int_equal(cmap_len(map), 3);
  assert_ok(cmap_check(map, NULL, NULL));
  cmap_destroy(map);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_set),  cmocka_unit_test(walks_and_batches),
      cmocka_unit_test(two_sets), cmocka_unit_test(every_kind),
      cmocka_unit_test(no_bytes), cmocka_unit_test(no_bytes_made_or_held),
  };

  return cmocka_run_group_tests_name("sets", tests, NULL, NULL);
}
