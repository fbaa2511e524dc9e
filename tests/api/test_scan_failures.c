/*
 * Scans and for_each that fail: arguments, no memory, shards that others hold.
 * test_scan_copies.c has copies that are refused.
 */
#include "content.h"
#include "numbers.h"
#include "step.h"
#include "threads.h"

#include <string.h>

/* ------------------------------------------------------------------------
 * Arguments
 * ------------------------------------------------------------------------ */

static struct cmap_scan_buffer buffer_of(void *keys, void *values,
                                         size_t capacity)
{
  struct cmap_scan_buffer buffer = CMAP_INIT;

  buffer.size = sizeof buffer;
  buffer.capacity = capacity;
  buffer.keys = keys;
  buffer.values = values;
  return buffer;
}

static enum cmap_status see(struct cmap_key key, const void *value, void *ctx)
{
  (void)key, (void)value;
  ++*(size_t *)ctx;
  return CMAP_OK;
}

static void arguments_that_are_refused(void **state)
{
  const struct map_spec spec = {.keys = KEYS_STRING, .value_size = 8};
  struct cmap *map = numbers_open();
  struct cmap_how how = cmap_how_try(), bad = how, worse = how;
  uint64_t keys[4], cursor = 0, end = 9;
  struct cmap_scan_buffer buffer = buffer_of(keys, NULL, 4), other;
  struct cmap_key text_keys[4];
  struct test_map m;
  size_t calls = 0;

  (void)state;
  numbers_put(map, 1, 2);
  buffer.count = buffer.text_used = 77;
  bad.size = 1;
  worse.flags = 64;
  assert_status(cmap_scan(NULL, &cursor, 0, &buffer, NULL), CMAP_EINVAL);
  assert_status(cmap_scan(map, NULL, 0, &buffer, NULL), CMAP_EINVAL);
  assert_status(cmap_scan(map, &cursor, 0, NULL, NULL), CMAP_EINVAL);
  assert_status(cmap_scan(map, &cursor, 0, &buffer, &bad), CMAP_EINVAL);
  assert_status(cmap_scan(map, &cursor, 0, &buffer, &worse), CMAP_EINVAL);
  other = buffer;
  other.size = 8;
  assert_status(cmap_scan(map, &cursor, 0, &other, NULL), CMAP_EINVAL);
  other = buffer;
  other.size = 0;
  assert_status(cmap_scan(map, &cursor, 0, &other, NULL), CMAP_EINVAL);
  other = buffer;
  other.capacity = 0;
  assert_status(cmap_scan(map, &cursor, 0, &other, NULL), CMAP_EINVAL);
  assert_true(other.count == 77 && other.text_used == 77);
  assert_true(buffer.count == 77 && buffer.text_used == 77 && cursor == 0);
  assert_ok(cmap_scan(map, &cursor, 0, &buffer, &how));
  assert_int_equal(buffer.count, 1);
  assert_int_equal(buffer.text_used, 0);

  /* Keys of text without room for text; without keys none is needed. */
  test_map_open(&m, &spec);
  cursor = 3;
  buffer = buffer_of(text_keys, NULL, 4);
  assert_status(cmap_scan(m.map, &cursor, 0, &buffer, NULL), CMAP_EINVAL);
  buffer.keys = NULL;
  assert_status(cmap_scan(m.map, &cursor, 0, &buffer, NULL), CMAP_NOT_FOUND);
  test_map_close(&m);

  cursor = 5;
  assert_status(cmap_scan_part(0, 1, NULL, &end), CMAP_EINVAL);
  assert_status(cmap_scan_part(0, 1, &cursor, NULL), CMAP_EINVAL);
  assert_status(cmap_scan_part(1, 1, &cursor, &end), CMAP_EINVAL);
  assert_status(cmap_scan_part(0, 0, &cursor, &end), CMAP_EINVAL);
  assert_status(cmap_scan_part(SIZE_MAX, SIZE_MAX, &cursor, &end), CMAP_EINVAL);
  assert_true(cursor == 5 && end == 9);

  assert_status(cmap_for_each(NULL, 0, 1, see, &calls, NULL), CMAP_EINVAL);
  assert_status(cmap_for_each(map, 0, 1, NULL, &calls, NULL), CMAP_EINVAL);
  assert_status(cmap_for_each(map, 1, 1, see, &calls, NULL), CMAP_EINVAL);
  assert_status(cmap_for_each(map, 0, 0, see, &calls, NULL), CMAP_EINVAL);
  assert_status(cmap_for_each(map, 0, 1, see, &calls, &bad), CMAP_EINVAL);
  assert_int_equal(calls, 0);
  assert_ok(cmap_for_each(map, 0, 1, see, &calls, &how));
  assert_int_equal(calls, 1);
  cmap_destroy(map);
}

/* Parts lie end to end, from 0 to the end of the map. */
static void parts_lie_end_to_end(void **state)
{
  static const size_t counts[] = {1, 2, 3, 7, 1000, SIZE_MAX / 3, SIZE_MAX};

  (void)state;
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    size_t n = counts[i];
    uint64_t cursor = 5, end = 5, next = 5;
    assert_ok(cmap_scan_part(0, n, &cursor, &end));
    assert_true(cursor == 0);
    for (size_t part = 1; part < n && part < 2000; part++) {
      next = end;
      assert_ok(cmap_scan_part(part, n, &cursor, &end));
      assert_true(cursor == next && (end > cursor || end == 0));
    }
    assert_ok(cmap_scan_part(n - 1, n, &cursor, &end));
    assert_true(end == 0);
    if (n > 1) {
      assert_ok(cmap_scan_part(n - 2, n, &cursor, &next));
      assert_ok(cmap_scan_part(n - 1, n, &cursor, &end));
      assert_true(cursor == next);
    }
  }
}

/* A huge capacity is no promise of so much memory, and no overflow. */
static void a_capacity_without_bounds(void **state)
{
  const struct map_spec spec = {.keys = KEYS_STRING, .value_size = 8};
  struct cmap_key keys[40];
  char text[4000];
  struct cmap_scan_buffer buffer = buffer_of(keys, NULL, SIZE_MAX);
  struct value_room value;
  struct key_room room;
  struct test_map m;
  uint64_t cursor = 0;
  size_t met = 0;

  (void)state;
  test_map_open(&m, &spec);
  for (uint64_t id = 0; id < 40; id++) {
    value_make(&m, id, id, value.bytes);
    CHECK_OK(cmap_insert(m.map, key_make(&spec, id, &room), value.bytes, NULL,
                         NULL, NULL));
  }
  buffer.text = text;
  for (size_t size = 200; size <= 4000; size += 3800) {
    cursor = 0;
    met = 0;
    buffer.text_size = size;
    while (cmap_scan(m.map, &cursor, 0, &buffer, NULL) == CMAP_OK) {
      CHECK(buffer.text_used <= size);
      met += buffer.count;
    }
    CHECK(met == 40);
  }
  test_map_close(&m);
}

/* ------------------------------------------------------------------------
 * No memory
 * ------------------------------------------------------------------------ */

static const struct map_spec specs[] = {
    {.keys = KEYS_U64, .value_size = 8, .shard_groups = 1},
    {.keys = KEYS_U64, .value_size = 5000},
    {.keys = KEYS_STRING,
     .value_size = 300,
     .care = VALUES_OWNED,
     .shard_groups = 1},
    {.keys = KEYS_CUSTOM_OWNED, .value_size = 308, .care = VALUES_OWNED},
    {.keys = KEYS_BYTES, .value_size = 0, .hash = HASH_LOW_4},
};

static void put_all(struct test_map *m, uint64_t n)
{
  struct value_room value;
  struct key_room room;

  for (uint64_t id = 0; id < n; id++) {
    value_make(m, id, id, value.bytes);
    CHECK_OK(cmap_insert(m->map, key_make(&m->spec, id, &room), value.bytes,
                         NULL, NULL, NULL));
  }
}

/* Every request of a for_each, and of a scan that takes a part of a shard. */
static void no_memory(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
    enum cmap_status status = CMAP_ENOMEM;
    struct test_map m;
    size_t n;
    checks_about(map_spec_name(&specs[i]));
    test_map_open(&m, &specs[i]);
    put_all(&m, 60);
    for (n = 1; status != CMAP_OK && n < 1000; n++) {
      size_t calls = 0;
      counting_alloc_fail_nth(&m.alloc, n);
      status = cmap_for_each(m.map, 0, 1, see, &calls, NULL);
      CHECK(status == CMAP_OK ? calls == 60 : status == CMAP_ENOMEM);
      CHECK(calls < 60 || status == CMAP_OK);
    }
    CHECK(status == CMAP_OK && n > 2);
    /* Less than a shard has: they are looked for, which takes memory. A shard
     * that has no more, by chance, takes none: there are others. */
    for (n = 1; n < 4; n++) {
      struct cmap_scan_buffer buffer = buffer_of(NULL, NULL, 15);
      uint64_t cursor = 0, before;
      if (specs[i].shard_groups != 0)
        buffer.capacity = 1;
      counting_alloc_fail_nth(&m.alloc, n);
      do {
        before = cursor;
        buffer.count = 77;
        status = cmap_scan(m.map, &cursor, 0, &buffer, NULL);
      } while (status == CMAP_OK);
      if (counting_alloc_failures(&m.alloc) > 0) {
        CHECK_STATUS(status, CMAP_ENOMEM);
        CHECK(cursor == before && buffer.count == 77);
      } else {
        CHECK_STATUS(status, CMAP_NOT_FOUND);
        CHECK(n > 1);
      }
    }
    counting_alloc_fail_none(&m.alloc);
    test_map_close(&m);
  }
}

/* ------------------------------------------------------------------------
 * Another thread holds a shard
 * ------------------------------------------------------------------------ */

enum { STEP_HELD = 1, STEP_GO };
enum { NUMBERS = 300, HELD = 7 };

struct held_scene {
  struct cmap *map;
  struct step step;
};

static void hold_one(unsigned index, void *ctx)
{
  struct held_scene *scene = ctx;
  CMAP_AUTO(cmap_write_guard, guard);
  uint64_t id = HELD;

  (void)index;
  CHECK_OK(cmap_get_mut(scene->map, cmap_key_u64(&id), &guard, NULL));
  step_done(&scene->step, STEP_HELD);
  step_wait(&scene->step, STEP_GO);
}

/* What there is comes first; then BUSY or TIMEDOUT, and nothing is lost. */
static void scans_that_would_wait(void **state)
{
  struct held_scene scene = {.map = numbers_open_small()};
  struct cmap_how try = cmap_how_try(), soon;
  unsigned char times[NUMBERS] = {0};
  uint64_t keys[NUMBERS], cursor = 0, at;
  struct cmap_scan_buffer buffer = buffer_of(keys, NULL, NUMBERS);
  struct thread thread;
  enum cmap_status status;
  size_t calls = 0, met = 0;

  (void)state;
  for (uint64_t id = 0; id < NUMBERS; id++)
    numbers_put(scene.map, id, id);
  step_begin(&scene.step);
  thread_start(&thread, hold_one, 0, &scene);
  step_wait(&scene.step, STEP_HELD);
  while ((status = cmap_scan(scene.map, &cursor, 0, &buffer, &try)) ==
         CMAP_OK) {
    for (size_t i = 0; i < buffer.count; i++)
      times[keys[i]]++;
    met += buffer.count;
  }
  CHECK_STATUS(status, CMAP_BUSY);
  CHECK(met < NUMBERS);
  at = cursor;
  buffer.count = 77;
  CHECK_STATUS(cmap_scan(scene.map, &cursor, 0, &buffer, &try), CMAP_BUSY);
  soon = cmap_how_within(50000);
  CHECK_STATUS(cmap_scan(scene.map, &cursor, 0, &buffer, &soon), CMAP_TIMEDOUT);
  CHECK(cursor == at && buffer.count == 77);
  CHECK_STATUS(cmap_for_each(scene.map, 0, 1, see, &calls, &try), CMAP_BUSY);
  CHECK(calls == met);
  soon = cmap_how_within(50000);
  CHECK_STATUS(cmap_for_each(scene.map, 0, 1, see, &calls, &soon),
               CMAP_TIMEDOUT);
  CHECK(calls == 2 * met);
  step_done(&scene.step, STEP_GO);
  while ((status = cmap_scan(scene.map, &cursor, 0, &buffer, NULL)) == CMAP_OK)
    for (size_t i = 0; i < buffer.count; i++)
      times[keys[i]]++;
  CHECK_STATUS(status, CMAP_NOT_FOUND);
  for (size_t id = 0; id < NUMBERS; id++)
    CHECK(times[id] == 1);
  thread_join(&thread);
  step_end(&scene.step);
  cmap_destroy(scene.map);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arguments_that_are_refused),
      cmocka_unit_test(parts_lie_end_to_end),
      cmocka_unit_test(a_capacity_without_bounds),
      cmocka_unit_test(no_memory),
      cmocka_unit_test(scans_that_would_wait),
  };

  return cmocka_run_group_tests_name("scan_failures", tests, NULL, NULL);
}
