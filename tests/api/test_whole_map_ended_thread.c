/*
 * Calls on the whole map, one shard of which is held for ever by a thread that
 * has ended.
 */
#include "checks.h"
#include "threads.h"

#include <string.h>

enum { KEYS = 5000, KEY = 7 };

struct left {
  struct cmap *map;
  bool writes;
  struct cmap_read_guard read;
  struct cmap_write_guard write;
};

static void hold_and_end(unsigned index, void *ctx)
{
  struct left *left = ctx;
  uint64_t number = KEY;

  (void)index;
  if (left->writes)
    CHECK_OK(
        cmap_get_mut(left->map, cmap_key_u64(&number), &left->write, NULL));
  else
    CHECK_OK(cmap_get_ref(left->map, cmap_key_u64(&number), &left->read, NULL));
}

static enum cmap_status look(struct cmap_key key, const void *value, void *ctx)
{
  (void)key, (void)value, (void)ctx;
  return CMAP_OK;
}

static enum cmap_status take(struct cmap_key key, void *value, void *ctx)
{
  (void)key, (void)value, (void)ctx;
  return CMAP_OK;
}

static bool keep(struct cmap_key key, void *value, void *ctx)
{
  (void)key, (void)value, (void)ctx;
  return true;
}

static enum cmap_status scan_all(struct cmap *map, const struct cmap_how *how)
{
  uint64_t values[64], cursor = 0;
  struct cmap_scan_buffer buffer = {
      .size = sizeof buffer, .capacity = 64, .values = values};
  enum cmap_status status;

  do {
    status = cmap_scan(map, &cursor, 0, &buffer, how);
  } while (status == CMAP_OK);
  return status == CMAP_NOT_FOUND ? CMAP_OK : status;
}

static void reads(struct cmap *map, enum cmap_status want,
                  const struct cmap_how *how)
{
  struct cmap_snapshot *snapshot = NULL;
  struct cmap *copy = NULL;
  const char *broken = NULL;
  size_t len;

  assert_status(scan_all(map, how), want);
  assert_status(cmap_for_each(map, 0, 1, look, NULL, how), want);
  assert_status(cmap_view_all(map, look, NULL, how), want);
  assert_status(cmap_len_exact(map, &len, how), want);
  assert_status(cmap_check(map, &broken, how), want);
  assert_null(broken);
  assert_status(cmap_snapshot_create(map, CMAP_KEYS_AND_VALUES, &snapshot, how),
                want);
  assert_true((snapshot != NULL) == (want == CMAP_OK));
  cmap_snapshot_destroy(snapshot);
  assert_status(cmap_clone(map, &copy, how), want);
  assert_true((copy != NULL) == (want == CMAP_OK));
  cmap_destroy(copy);
}

static void writes(struct cmap *map, enum cmap_status want,
                   const struct cmap_how *how)
{
  enum cmap_status status;

  assert_status(cmap_alter_all(map, take, NULL, how), want);
  assert_status(cmap_retain(map, keep, NULL, NULL, how), want);
  assert_status(cmap_reserve(map, 100 * KEYS, how), want);
  assert_status(cmap_shrink_to_fit(map, how), want);
  assert_status(cmap_freeze(map, how), want);
  assert_status(cmap_drain(map, take, NULL, how), want);
  do {
    status = cmap_pop(map, 0, 1, take, NULL, how);
  } while (status == CMAP_OK);
  assert_status(status, want);
  assert_status(cmap_clear(map, how), want);
}

static void a_thread_has_ended(bool with_a_write_guard)
{
  struct cmap_how soon = cmap_how_within(UINT64_C(60000000000));
  struct cmap_how try_only = cmap_how_try();
  struct left left = {.writes = with_a_write_guard};
  struct cmap_options options;
  struct thread thread;
  uint64_t number = KEY, value = 0;

  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  assert_ok(cmap_create(&options, &left.map));
  for (uint64_t i = 0; i < KEYS; i++)
    assert_ok(cmap_insert(left.map, cmap_key_u64(&i), &i, NULL, NULL, NULL));
  thread_start(&thread, hold_and_end, 0, &left);
  thread_join(&thread);
  checks_assert();
  if (with_a_write_guard) {
    reads(left.map, CMAP_EABANDONED, NULL);
    reads(left.map, CMAP_EABANDONED, &soon);
    reads(left.map, CMAP_BUSY, &try_only);
  } else {
    reads(left.map, CMAP_OK, NULL);
    reads(left.map, CMAP_OK, &try_only);
  }
  writes(left.map, CMAP_BUSY, &try_only);
  writes(left.map, CMAP_EABANDONED, &soon);
  writes(left.map, CMAP_EABANDONED, NULL);
  /* What is held has not been touched. */
  assert_status(cmap_get(left.map, cmap_key_u64(&number), &value, NULL),
                with_a_write_guard ? CMAP_EABANDONED : CMAP_OK);
  assert_int_equal(value, with_a_write_guard ? 0 : KEY);
  cmap_destroy(left.map);
}

static void with_a_write_guard(void **state)
{
  (void)state;
  a_thread_has_ended(true);
}

static void with_a_read_guard(void **state)
{
  (void)state;
  a_thread_has_ended(false);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(with_a_write_guard),
      cmocka_unit_test(with_a_read_guard),
  };

  return cmocka_run_group_tests_name("whole_map_ended_thread", tests, NULL,
                                     NULL);
}
