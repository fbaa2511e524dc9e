/*
 * Every call on maps works on the smallest stack that a thread may have.
 */
#include <stdio.h>
#include <string.h>

#include "calls.h"
#include "small_stack.h"

#define KEYS UINT64_C(3000)

/* ------------------------------------------------------------------------
 * Calls with a key, on plain values
 * ------------------------------------------------------------------------ */

static struct cmap *map, *other;
static const struct call *call;

static void call_present(void)
{
  uint64_t id = 7;

  CHECK_STATUS(call->run(map, cmap_key_u64(&id), NULL), call->if_present);
}

static void call_absent(void)
{
  uint64_t id = KEYS + 7;

  CHECK_STATUS(call->run(map, cmap_key_u64(&id), NULL), call->if_absent);
}

static void nothing(void)
{
}

static void each_call(void **state)
{
  (void)state;
  if (!small_stack_works())
    skip();
  on_small_stack("no call at all", nothing);
  for (size_t i = 0; i < calls_count + ref_calls_count; i++) {
    call = i < calls_count ? &calls[i] : &ref_calls[i - calls_count];
    map = calls_map((size_t)KEYS);
    on_small_stack(call->name, call_present);
    cmap_destroy(map);
    map = calls_map((size_t)KEYS);
    on_small_stack(call->name, call_absent);
    cmap_destroy(map);
  }
}

/* ------------------------------------------------------------------------
 * All calls on large values that own something
 * ------------------------------------------------------------------------ */

struct large {
  uint64_t number;
  char bytes[1016];
};

static struct large value, out, old;
static char name[100];

/* A key that lies in a box. */
static struct cmap_key key(uint64_t id)
{
  memset(name, 'k', sizeof name);
  for (size_t i = 0; i < 16; i++)
    name[i] = (char)('a' + (id >> (4 * i) & 15));
  return cmap_key_bytes(name, sizeof name);
}

static void destroy(void *v, void *ctx)
{
  (void)v, (void)ctx;
}

static enum cmap_status clone_value(const void *v, void *copy, void *ctx)
{
  (void)ctx;
  memcpy(copy, v, sizeof(struct large));
  return CMAP_OK;
}

static bool same(const void *a, const void *b, void *ctx)
{
  (void)ctx;
  return memcmp(a, b, sizeof(struct large)) == 0;
}

static enum cmap_status make(struct cmap_key k, void *v, void *ctx)
{
  (void)k, (void)ctx;
  memcpy(v, &value, sizeof value);
  return CMAP_OK;
}

static enum cmap_status update(struct cmap_key k, const void *was, void *v,
                               void *ctx)
{
  (void)was;
  return make(k, v, ctx);
}

static enum cmap_status merge(struct cmap_key k, void *v, const void *from,
                              void *ctx)
{
  (void)from;
  return make(k, v, ctx);
}

static enum cmap_status compute(struct cmap_key k, const void *was, void *fresh,
                                enum cmap_action *action, void *ctx)
{
  *action = CMAP_PUT;
  return update(k, was, fresh, ctx);
}

static enum cmap_status see(struct cmap_key k, const void *v, void *ctx)
{
  (void)k, (void)v, (void)ctx;
  return CMAP_OK;
}

static bool yes(struct cmap_key k, void *v, void *ctx)
{
  (void)k, (void)v, (void)ctx;
  return true;
}

static void line(const char *text, void *ctx)
{
  (void)text, (void)ctx;
}

static void open_and_fill(void)
{
  static struct cmap_options options;

  cmap_options_init(&options, CMAP_BYTES, sizeof(struct large));
  options.inline_value_size = sizeof(struct large);
  options.allocator = small_stack_allocator();
  options.value_destroy = destroy;
  options.value_clone = clone_value;
  options.value_equal = same;
  options.shard_groups = 1;
  options.flags = CMAP_AUTO_SHRINK;
  CHECK_OK(cmap_create(&options, &map));
  CHECK_OK(cmap_get_options(map, &options));
  for (uint64_t id = 0; id < 300; id++)
    CHECK_OK(cmap_insert(map, key(id), &value, NULL, NULL, NULL));
}

/* By each of them shards are split, some of it when the stack is deepest. */
static void insert_many_times(void)
{
  static struct cmap_read_guard read;
  static struct cmap_entry entry;

  for (uint64_t id = 10000; id < 12100; id += 7) {
    CHECK_OK(cmap_insert(map, key(id), &value, NULL, NULL, NULL));
    CHECK_OK(cmap_insert_new(map, key(id + 1), &value, NULL, NULL));
    CHECK_OK(cmap_get_or_insert(map, key(id + 2), &out, NULL, NULL));
    CHECK_OK(cmap_get_or_insert_with_unlocked(map, key(id + 3), &out, NULL,
                                              make, NULL, NULL));
    CHECK_OK(cmap_add_or_update_unlocked(map, key(id + 4), &out, NULL, make,
                                         update, NULL, NULL, NULL));
    CHECK_OK(cmap_compute(map, key(id + 5), &out, NULL, compute, NULL, NULL));
    if (id % 2 == 0) {
      CHECK_OK(
          cmap_get_or_insert_ref(map, key(id + 6), &value, &read, NULL, NULL));
      cmap_read_guard_release(&read);
    } else {
      CHECK_OK(cmap_entry_begin(map, key(id + 6), &entry, NULL));
      CHECK_OK(cmap_entry_or_insert(&entry, &value));
      cmap_entry_release(&entry);
    }
  }
  CHECK_OK(cmap_clear(map, NULL));
  for (uint64_t id = 0; id < 300; id++)
    CHECK_OK(cmap_insert(map, key(id), &value, NULL, NULL, NULL));
}

static void read_and_insert(void)
{
  CHECK_OK(cmap_get(map, key(1), &out, NULL));
  CHECK_OK(cmap_contains(map, key(1), NULL));
  CHECK_OK(cmap_view(map, key(1), see, NULL, NULL));
  CHECK_OK(cmap_insert(map, key(1), &value, &old, NULL, NULL));
  CHECK_STATUS(cmap_insert_new(map, key(1), &value, &out, NULL), CMAP_EXISTS);
  CHECK_OK(cmap_insert_new(map, key(1000), &value, NULL, NULL));
  CHECK_OK(cmap_get_or_insert(map, key(1), &out, NULL, NULL));
  CHECK_OK(cmap_get_or_insert(map, key(1001), &out, NULL, NULL));
  CHECK_OK(
      cmap_get_or_insert_with(map, key(1002), &out, NULL, make, NULL, NULL));
  CHECK_OK(cmap_get_or_insert_with_unlocked(map, key(1003), &out, NULL, make,
                                            NULL, NULL));
}

static void change_and_remove(void)
{
  CHECK_OK(cmap_replace_if(map, key(2), yes, NULL, &value, &old, NULL));
  CHECK_OK(cmap_get(map, key(2), &out, NULL));
  CHECK_OK(cmap_compare_exchange(map, key(2), &out, &value, NULL));
  CHECK_OK(cmap_swap(map, key(2), &out, NULL, NULL));
  CHECK_OK(cmap_compute(map, key(2), &out, NULL, compute, NULL, NULL));
  CHECK_OK(
      cmap_add_or_update(map, key(2), &out, NULL, make, update, NULL, NULL));
  CHECK_OK(cmap_add_or_update_unlocked(map, key(2), &out, NULL, make, update,
                                       NULL, NULL, NULL));
  CHECK_OK(cmap_add_or_update_unlocked(map, key(1004), &out, NULL, make, update,
                                       NULL, NULL, NULL));
  CHECK_OK(cmap_alter(map, key(2), make, NULL, NULL));
  CHECK_OK(cmap_remove(map, key(2), &old, NULL));
  CHECK_OK(cmap_remove_if(map, key(3), yes, NULL, &old, NULL));
  CHECK_OK(cmap_remove_if_equal(map, key(4), &value, NULL));
}

static void hold(void)
{
  static struct cmap_read_guard read;
  static struct cmap_write_guard write;
  static struct cmap_entry entry;
  static struct cmap_key second;
  static char second_name[sizeof name];

  CHECK_OK(cmap_get_or_insert_ref(map, key(1005), &value, &read, NULL, NULL));
  cmap_read_guard_release(&read);
  CHECK_OK(cmap_get_mut(map, key(5), &write, NULL));
  CHECK_OK(cmap_write_guard_downgrade(&write, &read));
  cmap_read_guard_release(&read);
  CHECK_OK(cmap_get_mut(map, key(5), &write, NULL));
  CHECK_OK(cmap_write_guard_remove(&write, &old));
  CHECK_OK(cmap_entry_begin(map, key(5), &entry, NULL));
  CHECK_OK(cmap_entry_or_insert_with(&entry, make, NULL));
  CHECK_OK(cmap_entry_insert(&entry, &value, &old));
  CHECK_OK(cmap_entry_status(cmap_entry_and_modify(&entry, make, NULL)));
  CHECK_OK(cmap_entry_remove(&entry, &old));
  CHECK_OK(cmap_entry_or_insert(&entry, &value));
  CHECK_OK(cmap_entry_remove(&entry, &old));
  CHECK_OK(cmap_entry_or_default(&entry));
  CHECK_OK(cmap_entry_into_guard(&entry, &write));
  cmap_write_guard_release(&write);
  memcpy(second_name, key(1006).data, sizeof name);
  second = cmap_key_bytes(second_name, sizeof name);
  CHECK_OK(cmap_rename(map, key(5), second, NULL));
  CHECK_OK(cmap_swap_values(map, key(6), second, NULL));
}

static void lock_many_and_iterate(void)
{
  static char names[4][sizeof name];
  static struct cmap_want wants[4];
  static struct cmap_multi held;
  static struct cmap_write_guard write;
  static struct cmap_read_guard read;
  static struct cmap_iter iter;

  for (uint64_t i = 0; i < 4; i++) {
    memcpy(names[i], key(10 + i).data, sizeof name);
    wants[i].map = map;
    wants[i].key = cmap_key_bytes(names[i], sizeof name);
    wants[i].mode = i < 2 ? CMAP_ENTRY : CMAP_READ;
  }
  CHECK_OK(cmap_lock_many(wants, 4, &held, NULL));
  CHECK_OK(cmap_entry_insert(cmap_multi_entry(&held, 0), &value, &old));
  CHECK_OK(cmap_entry_remove(cmap_multi_entry(&held, 1), &old));
  cmap_multi_release(&held);
  CHECK_OK(cmap_iter_begin(map, CMAP_WRITE, 0, 1, &iter));
  for (int i = 0; i < 5; i++)
    CHECK_OK(cmap_iter_next(&iter, NULL));
  CHECK_OK(cmap_iter_remove(&iter, &old));
  CHECK_OK(cmap_iter_next(&iter, NULL));
  CHECK_OK(cmap_iter_into_write_guard(&iter, &write));
  cmap_write_guard_release(&write);
  cmap_iter_release(&iter);
  CHECK_OK(cmap_iter_begin(map, CMAP_READ, 0, 1, &iter));
  CHECK_OK(cmap_iter_next(&iter, NULL));
  CHECK_OK(cmap_iter_restart(&iter));
  CHECK_OK(cmap_iter_next(&iter, NULL));
  CHECK_OK(cmap_iter_into_read_guard(&iter, &read));
  cmap_read_guard_release(&read);
  cmap_iter_release(&iter);
}

static void whole(void)
{
  static struct cmap_snapshot *snapshot;
  static struct cmap_stats stats;
  static const char *broken;
  static size_t count;
  static bool equal;

  CHECK_OK(cmap_len_exact(map, &count, NULL));
  CHECK(cmap_capacity(map) >= count && !cmap_is_empty(map));
  CHECK_OK(cmap_view_all(map, see, NULL, NULL));
  CHECK_OK(cmap_alter_all(map, make, NULL, NULL));
  CHECK_OK(cmap_for_each(map, 0, 1, see, NULL, NULL));
  CHECK_OK(cmap_retain(map, yes, NULL, NULL, NULL));
  CHECK_OK(cmap_snapshot_create(map, CMAP_KEYS_AND_VALUES, &snapshot, NULL));
  cmap_snapshot_destroy(snapshot);
  CHECK_OK(cmap_clone(map, &other, NULL));
  CHECK_OK(cmap_equal(map, other, &equal, NULL));
  CHECK_OK(cmap_merge(map, other, merge, NULL, NULL));
  stats.size = sizeof stats;
  CHECK_OK(cmap_get_stats(map, &stats));
  CHECK_OK(cmap_dump(map, line, NULL));
  CHECK_OK(cmap_check(map, &broken, NULL));
  /* The iterator may have removed any of the keys. */
  CHECK_OK(cmap_insert(map, key(20), &value, NULL, NULL, NULL));
  CHECK_OK(cmap_freeze(map, NULL));
  CHECK_OK(cmap_get(map, key(20), &out, NULL));
  CHECK_OK(cmap_thaw(map));
  CHECK_OK(cmap_reserve(map, 5000, NULL));
  CHECK_OK(cmap_shrink_to_fit(map, NULL));
  CHECK_OK(cmap_pop(other, 0, 1, make, NULL, NULL));
  CHECK_OK(cmap_pop(other, 0, 1, NULL, NULL, NULL));
  CHECK_OK(cmap_drain(other, make, NULL, NULL));
  cmap_destroy(other);
}

static void many(void)
{
  static char names[8][sizeof name];
  static struct cmap_key keys[8];
  static struct large values[8], outs[8];
  static enum cmap_status each[8];

  for (uint64_t i = 0; i < 8; i++) {
    memcpy(names[i], key(2000 + i).data, sizeof name);
    keys[i] = cmap_key_bytes(names[i], sizeof name);
  }
  CHECK_OK(cmap_insert_many(map, keys, NULL, 8, values, each, NULL));
  CHECK_OK(cmap_contains_many(map, keys, NULL, 8, each, NULL));
  CHECK_OK(cmap_get_many(map, keys, NULL, 8, outs, each, NULL));
  CHECK_OK(cmap_remove_many(map, keys, NULL, 8, outs, each, NULL));
}

static void clear_and_destroy(void)
{
  CHECK_OK(cmap_clear(map, NULL));
  for (uint64_t id = 0; id < 50; id++)
    CHECK_OK(cmap_insert(map, key(id), &value, NULL, NULL, NULL));
  cmap_destroy(map);
}

static void large_values(void **state)
{
  (void)state;
  if (!small_stack_works())
    skip();
  on_small_stack("create and insert", open_and_fill);
  on_small_stack("insert many times", insert_many_times);
  on_small_stack("read and insert", read_and_insert);
  on_small_stack("change and remove", change_and_remove);
  on_small_stack("hold", hold);
  on_small_stack("lock many and iterate", lock_many_and_iterate);
  on_small_stack("whole", whole);
  on_small_stack("many", many);
  on_small_stack("clear and destroy", clear_and_destroy);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_call),
      cmocka_unit_test(large_values),
  };

  return cmocka_run_group_tests_name("small_stack", tests, NULL, NULL);
}
