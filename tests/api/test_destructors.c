/*
 * Destructors run after the lock is released: they may call the library, also
 * for the key whose value they destroy.
 */
#include "numbers.h"
#include "random.h"

#include <string.h>

#define KEY UINT64_C(7)

/* A map whose destructors look at, and write to, the map itself. */
struct house {
  struct cmap *map;
  bool armed;    /* the next destructor calls the map, and disarms */
  size_t values; /* destructors that ran */
  size_t keys;
  size_t called; /* those of them that called the map */
};

static uint64_t hash(struct cmap_key key, void *ctx)
{
  uint64_t id;

  (void)ctx;
  memcpy(&id, key.data, sizeof id);
  return random_mix(id);
}

static bool equal(struct cmap_key stored, struct cmap_key key, void *ctx)
{
  (void)ctx;
  return memcmp(stored.data, key.data, sizeof(uint64_t)) == 0;
}

/* Every kind of lock on the shard of KEY, which a lock held by this thread
   would refuse. */
static void call_the_map(struct house *house)
{
  struct cmap_how how = cmap_how_try();
  uint64_t id = KEY;
  uint64_t value = 99;
  size_t len = 0;
  enum cmap_status status;

  if (!house->armed) {
    return;
  }
  house->armed = false;
  house->called++;
  status = cmap_contains(house->map, cmap_key_u64(&id), &how);
  CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
  CHECK_OK(
      cmap_insert(house->map, cmap_key_u64(&id), &value, NULL, NULL, &how));
  CHECK_OK(cmap_remove(house->map, cmap_key_u64(&id), NULL, &how));
  CHECK_OK(cmap_len_exact(house->map, &len, &how));
  CHECK_OK(cmap_shrink_to_fit(house->map, &how));
  if (checks_failed()) {
    return; /* a lock is held: waiting for it would not end */
  }
  CHECK_OK(
      cmap_insert(house->map, cmap_key_u64(&id), &value, NULL, NULL, NULL));
}

static void destroy_value(void *value, void *ctx)
{
  struct house *house = ctx;
  uint64_t number;

  memcpy(&number, value, sizeof number);
  CHECK(number != 0);
  house->values++;
  call_the_map(house);
}

static enum cmap_status clone_value(const void *value, void *copy, void *ctx)
{
  (void)ctx;
  memcpy(copy, value, sizeof(uint64_t));
  return CMAP_OK;
}

static void destroy_key(void *stored, void *ctx)
{
  struct house *house = ctx;

  (void)stored;
  house->keys++;
  call_the_map(house);
}

/* Which destructors there are. */
enum { WITH_VALUE = 1, WITH_KEY = 2 };

static void open_house(struct house *house, int with)
{
  struct cmap_options options;

  memset(house, 0, sizeof *house);
  cmap_options_init(&options, CMAP_CUSTOM, sizeof(uint64_t));
  options.key_size = sizeof(uint64_t);
  options.key_hash = hash;
  options.key_equal = equal;
  options.key_ctx = house;
  options.value_ctx = house;
  options.shard_groups = 1;
  if (with & WITH_VALUE) {
    options.value_destroy = destroy_value;
    options.value_clone = clone_value;
  }
  if (with & WITH_KEY) {
    options.key_destroy = destroy_key;
  }
  CHECK_OK(cmap_create(&options, &house->map));
  numbers_put(house->map, KEY, 1);
  for (uint64_t id = 100; id < 130; id++) {
    numbers_put(house->map, id, id);
  }
}

static bool yes(struct cmap_key key, void *value, void *ctx)
{
  (void)key;
  (void)value;
  (void)ctx;
  return true;
}

static bool no(struct cmap_key key, void *value, void *ctx)
{
  return !yes(key, value, ctx);
}

static enum cmap_status put(struct cmap_key key, const void *old, void *fresh,
                            enum cmap_action *action, void *ctx)
{
  uint64_t number = 2;

  (void)key;
  (void)old;
  memcpy(fresh, &number, sizeof number);
  *action = *(enum cmap_action *)ctx;
  return CMAP_OK;
}

/* Makes a value too late: somebody else has inserted the key. */
static enum cmap_status make_late(struct cmap_key key, void *value, void *ctx)
{
  struct house *house = ctx;
  uint64_t number = 5;

  house->armed = false;
  CHECK_OK(cmap_insert(house->map, key, &number, NULL, NULL, NULL));
  memcpy(value, &number, sizeof number);
  house->armed = true;
  return CMAP_OK;
}

static void do_insert(struct house *house, struct cmap_key key)
{
  uint64_t value = 3;

  CHECK_OK(cmap_insert(house->map, key, &value, NULL, NULL, NULL));
}

static void do_remove(struct house *house, struct cmap_key key)
{
  CHECK_OK(cmap_remove(house->map, key, NULL, NULL));
}

static void do_remove_if(struct house *house, struct cmap_key key)
{
  CHECK_OK(cmap_remove_if(house->map, key, yes, NULL, NULL, NULL));
}

static void do_remove_if_equal(struct house *house, struct cmap_key key)
{
  uint64_t value = 1;

  CHECK_OK(cmap_remove_if_equal(house->map, key, &value, NULL));
}

static void do_compare_exchange(struct house *house, struct cmap_key key)
{
  uint64_t expected = 1;
  uint64_t value = 3;

  CHECK_OK(cmap_compare_exchange(house->map, key, &expected, &value, NULL));
}

static void do_replace_if(struct house *house, struct cmap_key key)
{
  uint64_t value = 3;

  CHECK_OK(cmap_replace_if(house->map, key, yes, NULL, &value, NULL, NULL));
}

static void do_compute_put(struct house *house, struct cmap_key key)
{
  enum cmap_action action = CMAP_PUT;

  CHECK_OK(cmap_compute(house->map, key, NULL, NULL, put, &action, NULL));
}

static void do_compute_remove(struct house *house, struct cmap_key key)
{
  enum cmap_action action = CMAP_REMOVE;

  CHECK_OK(cmap_compute(house->map, key, NULL, NULL, put, &action, NULL));
}

static void do_get_or_insert(struct house *house, struct cmap_key key)
{
  uint64_t value = 3;

  CHECK_OK(cmap_get_or_insert(house->map, key, &value, NULL, NULL));
}

static void do_lose_a_race(struct house *house, struct cmap_key key)
{
  uint64_t absent = 8;

  (void)key;
  CHECK_OK(cmap_get_or_insert_with_unlocked(
      house->map, cmap_key_u64(&absent), NULL, NULL, make_late, house, NULL));
}

static void do_retain(struct house *house, struct cmap_key key)
{
  (void)key;
  CHECK_OK(cmap_retain(house->map, no, NULL, NULL, NULL));
}

static void do_clear(struct house *house, struct cmap_key key)
{
  (void)key;
  CHECK_OK(cmap_clear(house->map, NULL));
}

static void do_merge(struct house *house, struct cmap_key key)
{
  struct house other;

  (void)key;
  open_house(&other, WITH_VALUE);
  CHECK_OK(cmap_merge(house->map, other.map, NULL, NULL, NULL));
  cmap_destroy(other.map);
}

struct deed {
  const char *name;
  int destroys; /* WITH_VALUE, WITH_KEY */
  void (*run)(struct house *house, struct cmap_key key);
};

static const struct deed deeds[] = {
    {"insert", WITH_VALUE, do_insert},
    {"remove", WITH_VALUE | WITH_KEY, do_remove},
    {"remove_if", WITH_VALUE | WITH_KEY, do_remove_if},
    {"remove_if_equal", WITH_VALUE | WITH_KEY, do_remove_if_equal},
    {"compare_exchange", WITH_VALUE, do_compare_exchange},
    {"replace_if", WITH_VALUE, do_replace_if},
    {"compute, put", WITH_VALUE, do_compute_put},
    {"compute, remove", WITH_VALUE | WITH_KEY, do_compute_remove},
    {"get_or_insert", WITH_VALUE, do_get_or_insert},
    {"get_or_insert_with_unlocked", WITH_VALUE, do_lose_a_race},
    {"retain", WITH_VALUE | WITH_KEY, do_retain},
    {"clear", WITH_VALUE | WITH_KEY, do_clear},
    {"merge", WITH_VALUE, do_merge},
};

static void run_deeds(int with)
{
  for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++) {
    struct house house;
    uint64_t id = KEY;
    if (!(deeds[i].destroys & with)) {
      continue;
    }
    checks_about(deeds[i].name);
    open_house(&house, with);
    house.armed = true;
    deeds[i].run(&house, cmap_key_u64(&id));
    CHECK(house.called == 1);
    house.armed = false; /* cmap_destroy must not be called back */
    CHECK(with == WITH_KEY ? house.keys > 0 : house.values > 0);
    cmap_destroy(house.map);
  }
  checks_assert();
}

static void value_destructors_call_the_map(void **state)
{
  (void)state;
  run_deeds(WITH_VALUE);
}

static void key_destructors_call_the_map(void **state)
{
  (void)state;
  run_deeds(WITH_KEY);
}

/* Each destructor removes the next entry: the map empties itself. */
static void destroy_next(void *value, void *ctx)
{
  struct house *house = ctx;
  struct cmap_how how = cmap_how_try(); /* never waits for itself */
  uint64_t next;

  memcpy(&next, value, sizeof next);
  house->values++;
  if (next < 50) {
    next++;
    CHECK_OK(cmap_remove(house->map, cmap_key_u64(&next), NULL, &how));
  }
}

static void destructors_remove_in_turn(void **state)
{
  struct house house = {.map = NULL};
  struct cmap_options options;
  uint64_t first = 1;

  (void)state;
  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  options.value_destroy = destroy_next;
  options.value_ctx = &house;
  options.shard_groups = 1;
  assert_ok(cmap_create(&options, &house.map));
  for (uint64_t id = 1; id <= 50; id++) {
    numbers_put(house.map, id, id);
  }
  assert_ok(cmap_remove(house.map, cmap_key_u64(&first), NULL, NULL));
  assert_true(cmap_is_empty(house.map));
  assert_int_equal(house.values, 50);
  cmap_destroy(house.map);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(value_destructors_call_the_map),
      cmocka_unit_test(key_destructors_call_the_map),
      cmocka_unit_test(destructors_remove_in_turn),
  };

  return cmocka_run_group_tests_name("destructors", tests, NULL, NULL);
}
