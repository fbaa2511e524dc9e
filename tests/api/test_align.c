/*
 * Keys and values of types that are aligned to 16 bytes and more: whatever
 * user code is given by whichever call lies where its type may lie.
 *
 * Keys and values are of one type. Its callbacks check every address; the
 * stored key owns something, so that copies of it are destroyed, too.
 */
#include <stdalign.h>

#include "checks.h"

#define KEYS 100

struct wide {
  alignas(64) uint64_t id;
};

static size_t align; /* of keys and values, in this map */

static uint64_t id_at(const void *object)
{
  uint64_t id;

  CHECK((uintptr_t)object % align == 0);
  memcpy(&id, object, sizeof id); /* its type may be aligned to more */
  return id;
}

static uint64_t hash(struct cmap_key key, void *ctx)
{
  (void)ctx;
  return id_at(key.data);
}

static bool equal(struct cmap_key stored, struct cmap_key key, void *ctx)
{
  (void)ctx;
  return id_at(stored.data) == id_at(key.data);
}

static enum cmap_status copy_key(struct cmap_key key, void *stored, void *ctx)
{
  const uint64_t id = id_at(key.data);

  (void)ctx;
  (void)id_at(stored);
  memcpy(stored, &id, sizeof id);
  return CMAP_OK;
}

static void destroy(void *object, void *ctx)
{
  (void)ctx;
  (void)id_at(object);
}

static enum cmap_status clone(const void *value, void *copy, void *ctx)
{
  const uint64_t id = id_at(value);

  (void)ctx;
  (void)id_at(copy);
  memcpy(copy, &id, sizeof id);
  return CMAP_OK;
}

static bool equal_values(const void *a, const void *b, void *ctx)
{
  (void)ctx;
  return id_at(a) == id_at(b);
}

static enum cmap_status view(struct cmap_key key, const void *value, void *ctx)
{
  (void)ctx;
  CHECK(id_at(key.data) == id_at(value));
  return CMAP_OK;
}

/* Makes a value, whatever was there. */
static enum cmap_status make(struct cmap_key key, void *value, void *ctx)
{
  const uint64_t id = id_at(key.data);

  (void)ctx;
  (void)id_at(value);
  memcpy(value, &id, sizeof id);
  return CMAP_OK;
}

static bool agree(struct cmap_key key, void *value, void *ctx)
{
  (void)ctx;
  return id_at(key.data) == id_at(value);
}

static enum cmap_status compute(struct cmap_key key, const void *old,
                                void *fresh, enum cmap_action *action,
                                void *ctx)
{
  if (old != NULL)
    (void)id_at(old);
  *action = CMAP_PUT;
  return make(key, fresh, ctx);
}

static enum cmap_status update(struct cmap_key key, const void *old,
                               void *fresh, void *ctx)
{
  (void)id_at(old);
  return make(key, fresh, ctx);
}

static enum cmap_status conflict(struct cmap_key key, void *value,
                                 const void *from_value, void *ctx)
{
  (void)id_at(from_value);
  return make(key, value, ctx);
}

static struct cmap *open_map(size_t key_align, bool boxed, bool owned)
{
  struct cmap_options options;
  struct cmap *map;

  cmap_options_init(&options, CMAP_CUSTOM, sizeof(struct wide));
  options.key_size = sizeof(struct wide);
  options.key_align = key_align;
  options.key_hash = hash;
  options.key_equal = equal;
  options.value_align = key_align;
  options.value_equal = equal_values;
  options.inline_value_size = boxed ? 8 : 0;
  options.shard_groups = 1;
  if (owned) {
    options.key_copy = copy_key;
    options.key_destroy = destroy;
    options.value_destroy = destroy;
    options.value_clone = clone;
  }
  assert_ok(cmap_create(&options, &map));
  return map;
}

static void calls_on_one_key(struct cmap *map, struct cmap_key key,
                             const struct wide *value)
{
  struct wide out;
  enum cmap_status status;

  CHECK_OK(cmap_get_or_insert_with(map, key, &out, NULL, make, NULL, NULL));
  CHECK_OK(cmap_remove(map, key, NULL, NULL));
  CHECK_OK(
      cmap_get_or_insert_with_unlocked(map, key, &out, NULL, make, NULL, NULL));
  CHECK_OK(cmap_remove(map, key, &out, NULL));
  CHECK_OK(cmap_add_or_update_unlocked(map, key, &out, NULL, make, update, NULL,
                                       NULL, NULL));
  CHECK_OK(cmap_add_or_update_unlocked(map, key, &out, NULL, make, update, NULL,
                                       NULL, NULL));
  CHECK_OK(cmap_compute(map, key, &out, NULL, compute, NULL, NULL));
  CHECK_OK(cmap_remove_if(map, key, agree, NULL, NULL, NULL));
  CHECK_OK(cmap_compute(map, key, &out, NULL, compute, NULL, NULL));
  CHECK_OK(cmap_insert(map, key, value, NULL, NULL, NULL));
  CHECK_OK(cmap_get(map, key, &out, NULL));
  CHECK(out.id == value->id);
  CHECK_OK(cmap_view(map, key, view, NULL, NULL));
  CHECK_OK(cmap_alter(map, key, make, NULL, NULL));
  CHECK_OK(cmap_replace_if(map, key, agree, NULL, value, NULL, NULL));
  CHECK_OK(cmap_compare_exchange(map, key, value, value, NULL));
  status = cmap_insert_new(map, key, value, &out, NULL);
  CHECK_STATUS(status, CMAP_EXISTS);
}

static void holds_of_one_key(struct cmap *map, struct cmap_key key,
                             const struct wide *value)
{
  struct cmap_want want = {map, key, CMAP_ENTRY, CMAP_OK};
  struct cmap_read_guard reading = CMAP_INIT;
  struct cmap_write_guard writing = CMAP_INIT;
  struct cmap_entry entry = CMAP_INIT;
  struct cmap_multi multi = CMAP_INIT;

  CHECK_OK(cmap_get_ref(map, key, &reading, NULL));
  CHECK(id_at(reading.key.data) == id_at(reading.value));
  cmap_read_guard_release(&reading);
  CHECK_OK(cmap_get_mut(map, key, &writing, NULL));
  CHECK(id_at(writing.key.data) == id_at(writing.value));
  CHECK_OK(cmap_write_guard_remove(&writing, NULL));

  CHECK_OK(cmap_entry_begin(map, key, &entry, NULL));
  (void)id_at(entry.key.data);
  CHECK_OK(cmap_entry_or_insert_with(&entry, make, NULL));
  CHECK(id_at(entry.key.data) == id_at(entry.value));
  CHECK_OK(cmap_entry_insert(&entry, value, NULL));
  CHECK_OK(cmap_entry_replace_entry(&entry, key, value, NULL));
  CHECK(id_at(entry.key.data) == id_at(entry.value));
  CHECK_OK(cmap_entry_remove(&entry, NULL));
  (void)id_at(entry.key.data);
  CHECK_OK(cmap_entry_insert(&entry, value, NULL));
  cmap_entry_release(&entry);

  CHECK_OK(cmap_lock_many(&want, 1, &multi, NULL));
  CHECK(id_at(cmap_multi_value(&multi, 0)) == value->id);
  cmap_multi_release(&multi);
}

static void walks(struct cmap *map)
{
  static struct wide keys[KEYS], values[KEYS];
  struct cmap_scan_buffer buffer = {
      .size = sizeof buffer, .capacity = KEYS, .keys = keys, .values = values};
  struct cmap_snapshot *snapshot;
  struct cmap_iter iter = CMAP_INIT;
  uint64_t cursor = 0;

  CHECK_OK(cmap_view_all(map, view, NULL, NULL));
  CHECK_OK(cmap_alter_all(map, make, NULL, NULL));
  CHECK_OK(cmap_for_each(map, 0, 1, view, NULL, NULL));
  CHECK_OK(cmap_scan(map, &cursor, 0, &buffer, NULL));
  for (size_t i = 0; i < buffer.count; i++)
    CHECK(keys[i].id == values[i].id);
  CHECK_OK(cmap_snapshot_create(map, CMAP_KEYS_AND_VALUES, &snapshot, NULL));
  for (size_t i = 0; i < cmap_snapshot_count(snapshot); i++)
    CHECK(id_at(cmap_snapshot_key(snapshot, i).data) ==
          id_at(cmap_snapshot_value(snapshot, i)));
  cmap_snapshot_destroy(snapshot);
  CHECK_OK(cmap_iter_begin(map, CMAP_WRITE, 0, 1, &iter));
  for (int i = 0; i < 3; i++) {
    CHECK_OK(cmap_iter_next(&iter, NULL));
    CHECK(id_at(iter.key.data) == id_at(iter.value));
    CHECK_OK(cmap_iter_remove(&iter, NULL));
  }
  cmap_iter_release(&iter);
}

static void whole_maps(struct cmap *map)
{
  const char *broken = NULL;
  struct cmap *copy;
  bool same = false;
  size_t removed;

  CHECK_OK(cmap_clone(map, &copy, NULL));
  CHECK_OK(cmap_equal(map, copy, &same, NULL));
  CHECK(same);
  CHECK_OK(cmap_merge(copy, map, conflict, NULL, NULL));
  CHECK_OK(cmap_check(copy, &broken, NULL));
  CHECK_OK(cmap_pop(copy, 0, 1, make, NULL, NULL));
  CHECK_OK(cmap_drain(copy, make, NULL, NULL));
  CHECK_OK(cmap_merge(copy, map, NULL, NULL, NULL));
  CHECK_OK(cmap_retain(copy, agree, NULL, &removed, NULL));
  CHECK(removed == 0 && cmap_len(copy) == cmap_len(map));
  CHECK_OK(cmap_clear(copy, NULL));
  CHECK_OK(cmap_shrink_to_fit(map, NULL));
  cmap_destroy(copy);
}

static void run(size_t key_align, bool boxed, bool owned)
{
  struct cmap *map;
  struct wide key, other;

  align = key_align;
  map = open_map(key_align, boxed, owned);
  for (uint64_t id = 0; id < KEYS; id++) {
    const struct cmap_key name = cmap_key_bytes(&key, sizeof key);
    memset(&key, 0, sizeof key);
    key.id = id;
    calls_on_one_key(map, name, &key);
    holds_of_one_key(map, name, &key);
    other = key;
    other.id += KEYS;
    CHECK_OK(
        cmap_rename(map, name, cmap_key_bytes(&other, sizeof other), NULL));
    CHECK_OK(
        cmap_rename(map, cmap_key_bytes(&other, sizeof other), name, NULL));
  }
  walks(map);
  whole_maps(map);
  cmap_destroy(map);
}

static void everything_lies_as_its_type_may(void **state)
{
  (void)state;
  for (size_t key_align = 8; key_align <= 64; key_align *= 2) {
    for (unsigned i = 0; i < 4; i++) {
      run(key_align, i & 1, i & 2);
      checks_assert();
    }
  }
}

/* A type of 16 bytes needs no option, as it needs none of malloc. */
static void sixteen_by_default(void **state)
{
  struct narrow {
    alignas(16) uint64_t id, more;
  } key = {0, 0}, out;
  struct cmap_options options;
  struct cmap *map;

  (void)state;
  align = 16;
  cmap_options_init(&options, CMAP_CUSTOM, 8);
  options.key_size = sizeof key;
  options.key_hash = hash;
  options.key_equal = equal;
  assert_ok(cmap_create(&options, &map));
  for (key.id = 0; key.id < KEYS; key.id++)
    assert_ok(cmap_insert(map, cmap_key_bytes(&key, sizeof key), &key.id, NULL,
                          NULL, NULL));
  for (key.id = 0; key.id < KEYS; key.id++) {
    assert_ok(cmap_get(map, cmap_key_bytes(&key, sizeof key), &out.id, NULL));
    assert_int_equal(out.id, key.id);
  }
  cmap_destroy(map);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(everything_lies_as_its_type_may),
      cmocka_unit_test(sixteen_by_default),
  };

  return cmocka_run_group_tests_name("align", tests, NULL, NULL);
}
