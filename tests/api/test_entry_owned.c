/*
 * What entries and guards do with values and keys that own something:
 * destructors run after the release, once each; and make callbacks that use
 * their own entry.
 */
#include "content.h"
#include "numbers.h"
#include "random.h"

#include <string.h>

#define KEY    UINT64_C(7)
#define ABSENT UINT64_C(1000)
#define USER   ((enum cmap_status)USER_STATUS)

/* ------------------------------------------------------------------------
 * Destructors that call the map
 * ------------------------------------------------------------------------ */

/* Keys and values are numbers; destructors count, and look at the map. */
struct house {
  struct cmap *map;
  bool held; /* no destructor may run now */
  size_t values, keys;
  uint64_t last_value, last_key; /* the latest that were destroyed */
};

/* A custom key: two with the same id are equal. */
struct house_key {
  uint64_t id, version;
};

static uint64_t hash(struct cmap_key key, void *ctx)
{
  struct house_key house_key;

  (void)ctx;
  memcpy(&house_key, key.data, sizeof house_key);
  return random_mix(house_key.id);
}

static bool equal(struct cmap_key stored, struct cmap_key key, void *ctx)
{
  (void)ctx;
  return memcmp(stored.data, key.data, sizeof(uint64_t)) == 0;
}

static void look_at_the_map(struct house *house)
{
  struct house_key key = {KEY, 0};
  struct cmap_how how = cmap_how_try();
  enum cmap_status status;

  CHECK(!house->held);
  if (house->map == NULL)
    return; /* it is being destroyed */
  status = cmap_get(house->map, cmap_key_bytes(&key, sizeof key), NULL, &how);
  CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
  key.id = ABSENT;
  CHECK_STATUS(
      cmap_remove(house->map, cmap_key_bytes(&key, sizeof key), NULL, &how),
      CMAP_NOT_FOUND);
}

static void destroy_value(void *value, void *ctx)
{
  struct house *house = ctx;

  memcpy(&house->last_value, value, sizeof house->last_value);
  house->values++;
  look_at_the_map(house);
}

static void destroy_key(void *stored, void *ctx)
{
  struct house *house = ctx;
  struct house_key key;

  memcpy(&key, stored, sizeof key);
  house->last_key = key.version;
  house->keys++;
  look_at_the_map(house);
}

static struct cmap_key house_key(struct house_key *room, uint64_t version)
{
  *room = (struct house_key){KEY, version};
  return cmap_key_bytes(room, sizeof *room);
}

static void open_house(struct house *house, size_t value_size)
{
  struct house_key key;
  struct cmap_options options;
  unsigned char value[300] = {1};

  memset(house, 0, sizeof *house);
  cmap_options_init(&options, CMAP_CUSTOM, value_size);
  options.key_size = sizeof(struct house_key);
  options.key_hash = hash;
  options.key_equal = equal;
  options.key_destroy = destroy_key;
  options.key_ctx = house;
  options.value_destroy = destroy_value;
  options.value_ctx = house;
  options.shard_groups = 1;
  assert_ok(cmap_create(&options, &house->map));
  CHECK_OK(
      cmap_insert(house->map, house_key(&key, 1), value, NULL, NULL, NULL));
}

static void close_house(struct house *house, size_t values, size_t keys)
{
  struct cmap *map = house->map;

  house->map = NULL;
  cmap_destroy(map);
  CHECK(house->values == values && house->keys == keys);
}

static void hold(struct house *house, struct cmap_entry *entry)
{
  struct house_key key;

  CHECK_OK(cmap_entry_begin(house->map, house_key(&key, 9), entry, NULL));
  house->held = true;
}

static void let_go(struct house *house, struct cmap_entry *entry)
{
  house->held = false;
  cmap_entry_release(entry);
}

/* In the slot, and behind a pointer. */
static const size_t sizes[] = {8, 300};

static void destructors_run_after_the_release(void **state)
{
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    unsigned char value[300] = {2}, old[300] = {0};
    struct cmap_entry entry = CMAP_INIT;
    struct house house;
    open_house(&house, sizes[i]);
    hold(&house, &entry);
    CHECK_OK(cmap_entry_insert(&entry, value, NULL)); /* 1 goes */
    value[0] = 3;
    CHECK_OK(cmap_entry_insert(&entry, value, old)); /* 2 comes out */
    CHECK(old[0] == 2);
    CHECK_OK(cmap_entry_remove(&entry, NULL)); /* 3 goes */
    value[0] = 4;
    CHECK_OK(cmap_entry_or_insert(&entry, value));
    CHECK_OK(cmap_entry_remove(&entry, old)); /* 4 comes out */
    CHECK(old[0] == 4);
    let_go(&house, &entry);
    CHECK(house.values == 2 && house.keys == 1);
    CHECK(cmap_is_empty(house.map));
    close_house(&house, 2, 1);
  }
  checks_assert();
}

/* Of a guard as well: its end comes before the destructors. */
static void what_a_guard_removes(void **state)
{
  (void)state;
  for (size_t i = 0; i < 4; i++) {
    struct cmap_write_guard guard = CMAP_INIT;
    unsigned char old[300] = {0};
    struct house_key key;
    struct house house;
    bool out = i / 2;
    open_house(&house, sizes[i % 2]);
    CHECK_OK(cmap_get_mut(house.map, house_key(&key, 1), &guard, NULL));
    CHECK_OK(cmap_write_guard_remove(&guard, out ? old : NULL));
    CHECK(guard.value == NULL && guard.internal[0] == 0);
    CHECK(house.values == !out && house.keys == 1 && old[0] == out);
    CHECK(cmap_is_empty(house.map));
    close_house(&house, !out, 1);
  }
  checks_assert();
}

/* A key that was never stored is destroyed as well, after the release. */
static void the_key_of_a_vacant_entry(void **state)
{
  struct cmap_entry entry = CMAP_INIT;
  struct house_key key;
  struct house house;
  uint64_t value = 5;

  (void)state;
  open_house(&house, 8);
  CHECK_OK(cmap_remove(house.map, house_key(&key, 1), &value, NULL));
  hold(&house, &entry);
  let_go(&house, &entry);
  CHECK(house.keys == 2 && house.last_key == 9 && house.values == 0);
  hold(&house, &entry);
  CHECK_OK(cmap_entry_or_insert(&entry, &value));
  let_go(&house, &entry);
  CHECK(house.keys == 2 && house.values == 0);
  close_house(&house, 1, 3);
  checks_assert();
}

static void replaced_keys(void **state)
{
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    unsigned char value[300] = {2}, old[300] = {0};
    struct cmap_entry entry = CMAP_INIT;
    struct house_key key;
    struct house house;
    open_house(&house, sizes[i]);
    hold(&house, &entry);
    memcpy(&key, entry.key.data, sizeof key);
    CHECK(key.version == 1);
    for (uint64_t version = 2; version < 6; version++) {
      CHECK_OK(cmap_entry_replace_entry(&entry, house_key(&key, version), value,
                                        version % 2 ? old : NULL));
      memcpy(&key, entry.key.data, sizeof key);
      CHECK(key.id == KEY && key.version == version);
    }
    let_go(&house, &entry);
    CHECK(house.keys == 4 && house.values == 2);
    hold(&house, &entry);
    memcpy(&key, entry.key.data, sizeof key);
    CHECK(key.version == 5);
    let_go(&house, &entry);
    close_house(&house, 3, 5);
  }
  checks_assert();
}

static void keys_that_are_handed_out(void **state)
{
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    unsigned char old[300] = {0};
    struct cmap_entry entry = CMAP_INIT;
    struct house_key key = {0, 0};
    struct house house;
    open_house(&house, sizes[i]);
    hold(&house, &entry);
    house.held = false; /* the call releases it */
    CHECK_OK(cmap_entry_remove_entry(&entry, &key, i ? old : NULL));
    CHECK(entry.value == NULL && entry.internal[0] == 0);
    CHECK(key.id == KEY && key.version == 1);
    CHECK(house.keys == 0 && house.values == !i && old[0] == i);
    hold(&house, &entry);
    CHECK(entry.value == NULL);
    CHECK_STATUS(cmap_entry_remove_entry(&entry, &key, old), CMAP_NOT_FOUND);
    CHECK(key.version == 1 && entry.key.data != NULL);
    let_go(&house, &entry);
    close_house(&house, !i, 1);
  }
  checks_assert();
}

/* ------------------------------------------------------------------------
 * Statuses of callbacks
 * ------------------------------------------------------------------------ */

static enum cmap_status make_nothing(struct cmap_key key, void *value,
                                     void *ctx)
{
  (void)key;
  (void)value;
  ++*(size_t *)ctx;
  return USER;
}

static const struct map_spec owned[] = {
    {.keys = KEYS_CUSTOM_OWNED, .value_size = 8, .care = VALUES_OWNED},
    {.keys = KEYS_CUSTOM_OWNED, .value_size = 308, .care = VALUES_UNCOPYABLE},
    {.keys = KEYS_STRING, .value_size = 308, .care = VALUES_OWNED},
};

static void statuses_of_callbacks(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
    struct cmap_how how = cmap_how_try();
    struct cmap_entry entry = CMAP_INIT;
    bool custom = owned[i].keys == KEYS_CUSTOM_OWNED;
    struct key_room room;
    struct cmap_key key = key_make(&owned[i], 40, &room);
    struct value_room value;
    struct test_map m;
    size_t made = 0;
    test_map_open(&m, &owned[i]);
    if (custom) {
      atomic_store(&m.lives->clone_status, USER_STATUS);
      CHECK_STATUS(cmap_entry_begin(m.map, key, &entry, NULL), USER);
      CHECK(entry.key.data == NULL && entry.internal[0] == 0);
      atomic_store(&m.lives->clone_status, 0);
    }
    CHECK_OK(cmap_entry_begin(m.map, key, &entry, &how));
    CHECK_STATUS(cmap_entry_or_insert_with(&entry, make_nothing, &made), USER);
    CHECK(made == 1 && entry.value == NULL && entry.key.data != NULL);
    value_make(&m, 40, 1, value.bytes);
    CHECK_OK(cmap_entry_or_insert(&entry, value.bytes));
    CHECK_STATUS(cmap_entry_or_insert_with(&entry, make_nothing, &made),
                 CMAP_OK);
    CHECK(made == 1);
    if (custom) {
      struct tracked_key before, after;
      memcpy(&before, entry.key.data, sizeof before);
      value_make(&m, 40, 2, value.bytes);
      atomic_store(&m.lives->clone_status, USER_STATUS);
      CHECK_STATUS(cmap_entry_replace_entry(&entry, key, value.bytes, NULL),
                   USER);
      atomic_store(&m.lives->clone_status, 0);
      memcpy(&after, entry.key.data, sizeof after);
      CHECK(before.object == after.object);
      CHECK(value_is(&m, 40, 1, entry.value));
      value_drop(&m, value.bytes);
    }
    cmap_entry_release(&entry);
    CHECK(cmap_len(m.map) == 1);
    test_map_close(&m);
  }
}

/* Plain maps never ask for memory here; owned values that must wait for the
   release do, and the entry is as it was if there is none. */
static void no_memory_for_what_must_wait(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
    struct cmap_entry entry = CMAP_INIT;
    struct value_room value, old;
    struct key_room room;
    struct cmap_key key = key_make(&owned[i], 40, &room);
    struct test_map m;
    test_map_open(&m, &owned[i]);
    value_make(&m, 40, 1, value.bytes);
    CHECK_OK(cmap_entry_begin(m.map, key, &entry, NULL));
    CHECK_OK(cmap_entry_or_insert(&entry, value.bytes));
    value_make(&m, 40, 2, value.bytes);
    counting_alloc_fail_from(&m.alloc, 1);
    CHECK_STATUS(cmap_entry_insert(&entry, value.bytes, NULL), CMAP_ENOMEM);
    CHECK_STATUS(cmap_entry_remove(&entry, NULL), CMAP_ENOMEM);
    CHECK_STATUS(cmap_entry_replace_entry(&entry, key, value.bytes, NULL),
                 CMAP_ENOMEM);
    CHECK(value_is(&m, 40, 1, entry.value));
    /* With a place for the old value nothing is needed. */
    CHECK_OK(cmap_entry_insert(&entry, value.bytes, old.bytes));
    CHECK(value_is(&m, 40, 1, old.bytes));
    value_drop(&m, old.bytes);
    CHECK_OK(cmap_entry_remove(&entry, old.bytes));
    CHECK(value_is(&m, 40, 2, old.bytes));
    CHECK_OK(cmap_entry_or_insert(&entry, old.bytes));
    counting_alloc_fail_none(&m.alloc);
    CHECK_OK(cmap_entry_remove(&entry, NULL));
    CHECK(lifetimes_alive(m.lives) > 0); /* until the release */
    cmap_entry_release(&entry);
    CHECK(lifetimes_alive(m.lives) == 0 && cmap_is_empty(m.map));
    test_map_close(&m);
  }
}

/* The same value in and out: an exchange. */
static void the_old_value_in_the_new_ones_place(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
    struct cmap_entry entry = CMAP_INIT;
    struct value_room value;
    struct key_room room;
    struct test_map m;
    test_map_open(&m, &owned[i]);
    CHECK_OK(
        cmap_entry_begin(m.map, key_make(&owned[i], 40, &room), &entry, NULL));
    value_make(&m, 40, 1, value.bytes);
    CHECK_OK(cmap_entry_insert(&entry, value.bytes, value.bytes));
    value_make(&m, 40, 2, value.bytes);
    CHECK_OK(cmap_entry_insert(&entry, value.bytes, value.bytes));
    CHECK(value_is(&m, 40, 2, entry.value));
    CHECK(value_is(&m, 40, 1, value.bytes));
    value_drop(&m, value.bytes);
    cmap_entry_release(&entry);
    test_map_close(&m);
  }
}

/* ------------------------------------------------------------------------
 * An entry in the hands of its own make
 * ------------------------------------------------------------------------ */

enum meddling { FILLS, RELEASES, FILLS_AND_REMOVES, MEDDLINGS };

struct meddler {
  struct cmap_entry *entry;
  enum meddling what;
};

static enum cmap_status meddle(struct cmap_key key, void *value, void *ctx)
{
  struct meddler *meddler = ctx;
  unsigned char bytes[300] = {11};

  (void)key;
  (void)value; /* may be gone */
  if (meddler->what == RELEASES) {
    cmap_entry_release(meddler->entry);
  } else {
    CHECK_OK(cmap_entry_or_insert(meddler->entry, bytes));
    if (meddler->what == FILLS_AND_REMOVES)
      CHECK_OK(cmap_entry_remove(meddler->entry, NULL));
  }
  return CMAP_OK;
}

static void make_that_uses_its_entry(void **state)
{
  (void)state;
  for (size_t i = 0; i < 2 * MEDDLINGS; i++) {
    const struct cmap_entry none = CMAP_INIT;
    struct cmap_entry entry;
    struct meddler meddler = {&entry, (enum meddling)(i / 2)};
    struct cmap_how how = cmap_how_try();
    unsigned char bytes[300] = {22};
    struct cmap_options options;
    struct cmap *map = NULL;
    uint64_t id = KEY;
    enum cmap_status status;
    cmap_options_init(&options, CMAP_U64, sizes[i % 2]);
    assert_ok(cmap_create(&options, &map));
    entry = none;
    CHECK_OK(cmap_entry_begin(map, cmap_key_u64(&id), &entry, NULL));
    status = cmap_entry_or_insert_with(&entry, meddle, &meddler);
    CHECK(status == CMAP_EINVAL || meddler.what == FILLS_AND_REMOVES);
    CHECK((entry.internal[0] == 0) == (meddler.what == RELEASES));
    cmap_entry_release(&entry);
    CHECK(cmap_len(map) == (meddler.what == FILLS || status == CMAP_OK));
    if (meddler.what == FILLS) {
      CHECK_OK(cmap_get(map, cmap_key_u64(&id), bytes, NULL));
      CHECK(bytes[0] == 11);
    }
    CHECK_OK(cmap_insert(map, cmap_key_u64(&id), bytes, NULL, NULL, &how));
    cmap_destroy(map);
  }
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(destructors_run_after_the_release),
      cmocka_unit_test(what_a_guard_removes),
      cmocka_unit_test(the_key_of_a_vacant_entry),
      cmocka_unit_test(replaced_keys),
      cmocka_unit_test(keys_that_are_handed_out),
      cmocka_unit_test(statuses_of_callbacks),
      cmocka_unit_test(no_memory_for_what_must_wait),
      cmocka_unit_test(the_old_value_in_the_new_ones_place),
      cmocka_unit_test(make_that_uses_its_entry),
  };

  return cmocka_run_group_tests_name("entry_owned", tests, NULL, NULL);
}
