/* `how` when nothing has to be waited for: TRY, deadlines, hashes. */
#include "calls.h"
#include "numbers.h"
#include "oracle.h"
#include "settings.h"
#include "threads.h"

#include <string.h>

#define KEYS 100

/* Runs every call, on a present and on an absent key, with each `how`. */
static void run_every_call(void (*choose)(struct cmap *map, struct cmap_key key,
                                          struct cmap_how *how))
{
  for (size_t i = 0; i < calls_count; i++) {
    const struct call *call = &calls[i];
    for (uint64_t id = 0; id <= KEYS; id += KEYS) {
      struct cmap *map = calls_map(KEYS);
      struct cmap_key key = cmap_key_u64(&id);
      struct cmap_how how;
      checks_about(call->name);
      choose(map, key, &how);
      CHECK_STATUS(call->run(map, key, &how),
                   id < KEYS ? call->if_present : call->if_absent);
      if (call_has(call, CALL_KEYED)) {
        bool stays = id < KEYS && !call_has(call, CALL_REMOVES);
        bool comes = id == KEYS && call->if_absent == CMAP_OK;
        CHECK_STATUS(cmap_contains(map, key, NULL),
                     stays || comes ? CMAP_OK : CMAP_NOT_FOUND);
      }
      cmap_destroy(map);
    }
  }
  checks_assert();
}

static void choose_try(struct cmap *map, struct cmap_key key,
                       struct cmap_how *how)
{
  (void)map;
  (void)key;
  *how = cmap_how_try();
}

static void choose_within(struct cmap *map, struct cmap_key key,
                          struct cmap_how *how)
{
  (void)map;
  (void)key;
  *how = cmap_how_within(UINT64_C(1000000000000));
}

/* What need not wait is not late. */
static void choose_passed(struct cmap *map, struct cmap_key key,
                          struct cmap_how *how)
{
  (void)map;
  (void)key;
  *how = cmap_how_until(1);
}

static void choose_hashed(struct cmap *map, struct cmap_key key,
                          struct cmap_how *how)
{
  uint64_t hash = 0;

  assert_ok(cmap_hash(map, key, &hash));
  *how = cmap_how_hashed(hash);
}

static void choose_all(struct cmap *map, struct cmap_key key,
                       struct cmap_how *how)
{
  choose_hashed(map, key, how);
  how->flags |= CMAP_TRY | CMAP_DEADLINE;
  how->deadline_ns = 1;
}

static void choose_nothing(struct cmap *map, struct cmap_key key,
                           struct cmap_how *how)
{
  (void)map;
  (void)key;
  memset(how, 0, sizeof *how);
  how->size = sizeof *how;
  /* Without their flags these mean nothing. */
  how->hash = 12345;
  how->deadline_ns = 1;
}

static void try_on_a_free_map(void **state)
{
  (void)state;
  run_every_call(choose_try);
}

static void a_deadline_far_away(void **state)
{
  (void)state;
  run_every_call(choose_within);
}

static void a_deadline_that_has_passed(void **state)
{
  (void)state;
  run_every_call(choose_passed);
}

static void the_hash_given(void **state)
{
  (void)state;
  run_every_call(choose_hashed);
}

static void all_flags_together(void **state)
{
  (void)state;
  run_every_call(choose_all);
}

static void no_flags(void **state)
{
  (void)state;
  run_every_call(choose_nothing);
}

static void the_helpers_fill_in_how(void **state)
{
  uint64_t before = test_now();
  struct cmap_how how = cmap_how_within(5000000000);

  (void)state;
  assert_int_equal(how.size, sizeof how);
  assert_int_equal(how.flags, CMAP_DEADLINE);
  assert_true(how.deadline_ns >= before + 5000000000);
  assert_true(how.deadline_ns <= test_now() + 5000000000);
  how = cmap_how_within(UINT64_MAX);
  assert_true(how.deadline_ns > before);
  how = cmap_how_until(77);
  assert_int_equal(how.flags, CMAP_DEADLINE);
  assert_int_equal(how.deadline_ns, 77);
  how = cmap_how_try();
  assert_int_equal(how.flags, CMAP_TRY);
  assert_int_equal(how.size, sizeof how);
  how = cmap_how_hashed(42);
  assert_int_equal(how.flags, CMAP_HASHED);
  assert_int_equal(how.hash, 42);
}

static void a_deadline_without_end(void **state)
{
  struct cmap *map = numbers_open();
  struct cmap_how how = cmap_how_within(UINT64_MAX);
  uint64_t key = 5;
  uint64_t value = 6;

  (void)state;
  assert_ok(cmap_insert(map, cmap_key_u64(&key), &value, NULL, NULL, &how));
  how = cmap_how_until(UINT64_MAX);
  assert_ok(cmap_insert(map, cmap_key_u64(&key), &value, NULL, NULL, &how));
  cmap_destroy(map);
}

/* The hash of a key stays, whatever happens to the map. */
static void hashes_stay(const struct map_spec *spec, void *ctx)
{
  enum { IDS = 20 };
  uint64_t hashes[IDS] = {0};
  struct value_room value;
  struct key_room room;
  struct test_map m;

  (void)ctx;
  checks_about(map_spec_name(spec));
  test_map_open(&m, spec);
  for (uint64_t id = 0; id < IDS; id++) {
    struct cmap_key key = key_make(spec, id, &room);
    CHECK_OK(cmap_hash(m.map, key, &hashes[id]));
    if (id > 0) {
      bool same = hashes[id] == hashes[id - 1];
      CHECK(same == (spec->hash == HASH_CONSTANT));
    }
  }
  for (uint64_t id = 0; id < IDS; id++) {
    struct cmap_how how = cmap_how_hashed(hashes[id]);
    value_make(&m, id, 1, value.bytes);
    CHECK_OK(cmap_insert(m.map, key_make(spec, id, &room), value.bytes, NULL,
                         NULL, &how));
  }
  for (uint64_t id = 0; id < IDS; id++) {
    struct cmap_key key = key_make(spec, id, &room);
    uint64_t hash = 0;
    CHECK_OK(cmap_hash(m.map, key, &hash));
    CHECK(hash == hashes[id]);
    CHECK_OK(cmap_contains(m.map, key, NULL));
  }
  test_map_close(&m);
}

static void the_hash_of_a_key_stays(void **state)
{
  (void)state;
  map_spec_each(hashes_stay, NULL);
}

static uint64_t top_of_key(struct cmap_key key, void *ctx)
{
  uint64_t id;

  (void)ctx;
  memcpy(&id, key.data, sizeof id);
  return id << 32 | id;
}

/* A good hash is taken as it is; another one is mixed. */
static void good_hashes_are_not_mixed(void **state)
{
  (void)state;
  for (unsigned flags = 0; flags <= CMAP_HASH_IS_GOOD;
       flags += CMAP_HASH_IS_GOOD) {
    struct cmap_options options;
    struct cmap *map = NULL;
    uint64_t key = 5;
    uint64_t hash = 0;
    cmap_options_init(&options, CMAP_U64, 0);
    options.flags = flags;
    options.key_hash = top_of_key;
    assert_ok(cmap_create(&options, &map));
    assert_ok(cmap_hash(map, cmap_key_u64(&key), &hash));
    assert_int_equal(hash == (UINT64_C(5) << 32 | 5), flags != 0);
    cmap_destroy(map);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(try_on_a_free_map),
      cmocka_unit_test(a_deadline_far_away),
      cmocka_unit_test(a_deadline_that_has_passed),
      cmocka_unit_test(the_hash_given),
      cmocka_unit_test(all_flags_together),
      cmocka_unit_test(no_flags),
      cmocka_unit_test(the_helpers_fill_in_how),
      cmocka_unit_test(a_deadline_without_end),
      cmocka_unit_test(the_hash_of_a_key_stays),
      cmocka_unit_test(good_hashes_are_not_mixed),
  };

  return cmocka_run_group_tests_name("hash_how", tests, NULL, NULL);
}
