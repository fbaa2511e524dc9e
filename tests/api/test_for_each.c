/* cmap_for_each: copies are shown without a lock, to callbacks that may do
   anything. test_scan_failures.c and test_scan_copies.c have what fails. */
#include "content.h"
#include "numbers.h"

#include <string.h>

#define IDS 60

struct met {
  struct test_map *m;
  unsigned times[IDS];
};

static enum cmap_status meet(struct cmap_key key, const void *value, void *ctx)
{
  struct met *met = ctx;
  uint64_t id = key_id(&met->m->spec, key);

  CHECK(id < IDS);
  key_check_stored(&met->m->spec, key);
  CHECK(value_is(met->m, id, id, value));
  met->times[id % IDS]++;
  return CMAP_OK;
}

static void walk_map(const struct map_spec *spec, void *ctx)
{
  struct value_room value;
  struct key_room room;
  struct test_map m;

  (void)ctx;
  checks_about(map_spec_name(spec));
  test_map_open(&m, spec);
  for (uint64_t id = 0; id < IDS; id++) {
    value_make(&m, id, id, value.bytes);
    CHECK_OK(cmap_insert(m.map, key_make(&m.spec, id, &room), value.bytes, NULL,
                         NULL, NULL));
  }
  for (size_t parts = 1; parts <= 7; parts += 2) {
    struct met met = {.m = &m};
    bool copies = spec->care != VALUES_UNCOPYABLE;
    for (size_t part = 0; part < parts; part++)
      CHECK_STATUS(cmap_for_each(m.map, part, parts, meet, &met, NULL),
                   copies ? CMAP_OK : CMAP_ENOTSUP);
    for (uint64_t id = 0; id < IDS; id++)
      CHECK(met.times[id] == copies);
  }
  test_map_close(&m);
}

static void every_kind_of_map(void **state)
{
  (void)state;
  map_spec_each(walk_map, NULL);
}

static void no_key_copy(void *stored, void *ctx)
{
  (void)stored, (void)ctx;
}

static uint64_t any_hash(struct cmap_key key, void *ctx)
{
  (void)key, (void)ctx;
  return 5;
}

static bool any_equal(struct cmap_key stored, struct cmap_key key, void *ctx)
{
  (void)ctx;
  return memcmp(stored.data, key.data, 8) == 0;
}

/* Keys with key_destroy, but without key_copy: the bytes are moved in, and
   cannot be copied out. */
static void keys_that_cannot_be_copied(void **state)
{
  struct cmap_options options;
  struct cmap *map = NULL;
  uint64_t id = 1, value = 2, out[4], cursor = 0;
  struct cmap_scan_buffer buffer = {
      .size = sizeof buffer, .capacity = 4, .keys = out};
  struct met met = {.m = NULL};

  (void)state;
  cmap_options_init(&options, CMAP_CUSTOM, 8);
  options.key_size = 8;
  options.key_hash = any_hash;
  options.key_equal = any_equal;
  options.key_destroy = no_key_copy;
  if (cmap_create(&options, &map) != CMAP_OK)
    return; /* such maps are not made at all */
  assert_ok(cmap_insert(map, cmap_key_u64(&id), &value, NULL, NULL, NULL));
  assert_status(cmap_for_each(map, 0, 1, meet, &met, NULL), CMAP_ENOTSUP);
  assert_status(cmap_scan(map, &cursor, 0, &buffer, NULL), CMAP_ENOTSUP);
  buffer.keys = NULL;
  buffer.values = out;
  assert_ok(cmap_scan(map, &cursor, 0, &buffer, NULL));
  assert_true(buffer.count == 1 && out[0] == 2);
  cmap_destroy(map);
}

static enum cmap_status look_aligned(struct cmap_key key, const void *value,
                                     void *ctx)
{
  (void)key;
  CHECK((uintptr_t)value % 64 == 0);
  ++*(size_t *)ctx;
  return CMAP_OK;
}

/* Copies lie as aligned as values in the map. */
static void values_are_aligned(void **state)
{
  (void)state;
  for (size_t size = 64; size <= 640; size += 576) {
    _Alignas(64) unsigned char value[640] = {1};
    struct cmap_options options;
    struct cmap *map = NULL;
    size_t met = 0;
    cmap_options_init(&options, CMAP_STRING, size);
    options.value_align = 64;
    assert_ok(cmap_create(&options, &map));
    for (char name[] = "a"; name[0] <= 'z'; name[0]++)
      assert_ok(
          cmap_insert(map, cmap_key_string(name), value, NULL, NULL, NULL));
    assert_ok(cmap_for_each(map, 0, 1, look_aligned, &met, NULL));
    assert_int_equal(met, 26);
    cmap_destroy(map);
  }
  checks_assert();
}

/* ------------------------------------------------------------------------
 * Callbacks that write
 * ------------------------------------------------------------------------ */

enum { KEEP = 500, FRESH = 1000000 };

struct writer {
  struct cmap *map;
  unsigned char times[KEEP];
  size_t calls, fresh;
  size_t stop_after; /* 0: never */
  bool drops;
};

/* Whatever it does, no lock is in the way; and nobody else is there. */
static enum cmap_status write_there(struct cmap_key key, const void *value,
                                    void *ctx)
{
  struct cmap_how how = cmap_how_try();
  struct writer *w = ctx;
  uint64_t id, number;

  memcpy(&id, key.data, sizeof id);
  memcpy(&number, value, sizeof number);
  CHECK(number == id + 1);
  w->calls++;
  if (id < KEEP)
    w->times[id]++;
  CHECK_OK(cmap_insert(w->map, key, value, NULL, NULL, &how));
  if (id < KEEP) { /* some that come; they may be met, too */
    for (uint64_t i = 0; i < 10; i++) {
      uint64_t fresh = FRESH + w->fresh++;
      number = fresh + 1;
      CHECK_OK(
          cmap_insert(w->map, cmap_key_u64(&fresh), &number, NULL, NULL, &how));
    }
  }
  if (w->drops)
    CHECK_OK(cmap_remove(w->map, key, NULL, &how));
  if (w->calls % 50 == 0)
    CHECK_OK(cmap_shrink_to_fit(w->map, &how));
  return w->calls == w->stop_after ? (enum cmap_status)USER_STATUS : CMAP_OK;
}

static void callbacks_may_write(void **state)
{
  (void)state;
  for (int drops = 0; drops < 2; drops++) {
    for (size_t parts = 1; parts <= 3; parts += 2) {
      struct writer w = {.map = numbers_open_small(), .drops = drops};
      for (uint64_t id = 0; id < KEEP; id++)
        numbers_put(w.map, id, id + 1);
      for (size_t part = 0; part < parts; part++)
        assert_ok(cmap_for_each(w.map, part, parts, write_there, &w, NULL));
      for (size_t id = 0; id < KEEP; id++) {
        CHECK(w.times[id] == 1);
        CHECK(numbers_has(w.map, id) == !drops);
      }
      CHECK(w.calls <= KEEP + w.fresh);
      cmap_destroy(w.map);
    }
  }
  checks_assert();
}

/* The entries of a shard are released, shown or not. */
static void a_status_ends_the_walk(void **state)
{
  const struct map_spec spec = {
      .keys = KEYS_CUSTOM_OWNED, .value_size = 308, .care = VALUES_OWNED};
  struct value_room value;
  struct key_room room;
  struct test_map m;
  struct writer w = {.map = numbers_open_small(), .stop_after = 33};

  (void)state;
  for (uint64_t id = 0; id < KEEP; id++)
    numbers_put(w.map, id, id + 1);
  assert_status(cmap_for_each(w.map, 0, 1, write_there, &w, NULL),
                (enum cmap_status)USER_STATUS);
  assert_int_equal(w.calls, 33);
  cmap_destroy(w.map);
  test_map_open(&m, &spec);
  for (uint64_t id = 0; id < IDS; id++) {
    value_make(&m, id, id, value.bytes);
    CHECK_OK(cmap_insert(m.map, key_make(&spec, id, &room), value.bytes, NULL,
                         NULL, NULL));
  }
  atomic_store(&m.lives->clone_status, OTHER_USER_STATUS);
  {
    struct met met = {.m = &m};
    CHECK_STATUS(cmap_for_each(m.map, 0, 1, meet, &met, NULL),
                 (enum cmap_status)OTHER_USER_STATUS);
    atomic_store(&m.lives->clone_status, 0);
    CHECK_OK(cmap_for_each(m.map, 0, 1, meet, &met, NULL));
    for (uint64_t id = 0; id < IDS; id++)
      CHECK(met.times[id] == 1);
  }
  test_map_close(&m);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_kind_of_map),
      cmocka_unit_test(keys_that_cannot_be_copied),
      cmocka_unit_test(values_are_aligned),
      cmocka_unit_test(callbacks_may_write),
      cmocka_unit_test(a_status_ends_the_walk),
  };

  return cmocka_run_group_tests_name("for_each", tests, NULL, NULL);
}
