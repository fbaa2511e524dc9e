/*
 * cmap_freeze and cmap_thaw: nobody writes to a frozen map, nobody hangs, and a
 * freeze that fails leaves no trace.
 */
#include "asleep.h"
#include "calls.h"
#include "step.h"
#include "threads.h"

#include <string.h>

enum { KEYS = 60 };

static const uint64_t present = 7, absent = 1000;

static void every_call(struct cmap *map, const struct cmap_how *how)
{
  for (size_t i = 0; i < calls_count; i++) {
    const struct call *call = &calls[i];
    enum cmap_status status = call->run(map, cmap_key_u64(&present), how);

    checks_about(call->name);
    CHECK(status ==
          (call_has(call, CALL_WRITES) ? CMAP_FROZEN : call->if_present));
    if (!call_has(call, CALL_KEYED) || call_has(call, CALL_NEAR))
      continue;
    status = call->run(map, cmap_key_u64(&absent), how);
    CHECK(status == (call_has(call, CALL_WRITES | CALL_MAY_ADD)
                         ? CMAP_FROZEN
                         : call->if_absent));
  }
  for (size_t i = 0; i < ref_calls_count; i++) {
    checks_about(ref_calls[i].name);
    CHECK(ref_calls[i].run(map, cmap_key_u64(&present), how) ==
          ref_calls[i].if_present);
  }
  checks_about(NULL);
  checks_assert();
}

static void who_writes_is_told(void **state)
{
  struct cmap *map = calls_map(KEYS);
  struct cmap_how try_only = cmap_how_try();
  struct cmap_how soon = cmap_how_within(UINT64_C(60000000000));
  struct cmap_how wrong = {.size = 1};

  (void)state;
  assert_status(cmap_freeze(NULL, NULL), CMAP_EINVAL);
  assert_status(cmap_freeze(map, &wrong), CMAP_EINVAL);
  assert_status(cmap_thaw(NULL), CMAP_EINVAL);
  assert_status(cmap_thaw(map), CMAP_EINVAL);
  assert_ok(cmap_freeze(map, NULL));
  assert_status(cmap_freeze(map, NULL), CMAP_FROZEN);
  every_call(map, NULL);
  every_call(map, &try_only);
  every_call(map, &soon);
  assert_int_equal(cmap_len(map), KEYS);
  assert_ok(cmap_thaw(map));
  assert_status(cmap_thaw(map), CMAP_EINVAL);
  assert_ok(cmap_remove(map, cmap_key_u64(&present), NULL, NULL));
  assert_ok(cmap_freeze(map, &try_only));
  cmap_destroy(map); /* as it is */
}

/* A freezer, and writers that wait while it comes. */
enum { WRITERS = 6 };

static struct {
  struct cmap *map;
  struct step step;
  struct asleep asleep[WRITERS + 1];
  enum cmap_status status[WRITERS + 1];
} scene;

static void write_key(unsigned index, void *ctx)
{
  (void)ctx;
  asleep_here(&scene.asleep[index]);
  scene.status[index] =
      cmap_remove(scene.map, cmap_key_u64(&present), NULL, NULL);
}

static void freeze_map(unsigned index, void *ctx)
{
  (void)ctx;
  asleep_here(&scene.asleep[index]);
  scene.status[index] = cmap_freeze(scene.map, NULL);
}

static void scene_begin(void)
{
  scene.map = calls_map(KEYS);
  for (unsigned i = 0; i <= WRITERS; i++)
    asleep_begin(&scene.asleep[i]);
}

/* Writers sleep for a guard's shard; a freezer comes and sleeps as well; the
 * guard goes: the map is frozen, and each writer has removed the key before or
 * is told so. */
static void writers_that_wait_are_told(bool writes)
{
  struct cmap_read_guard read = CMAP_INIT;
  struct cmap_write_guard write = CMAP_INIT;
  struct thread threads[WRITERS + 1];
  unsigned removed = 0;

  scene_begin();
  if (writes)
    assert_ok(cmap_get_mut(scene.map, cmap_key_u64(&present), &write, NULL));
  else
    assert_ok(cmap_get_ref(scene.map, cmap_key_u64(&present), &read, NULL));
  for (unsigned i = 0; i < WRITERS; i++) {
    thread_start(&threads[i], write_key, i, NULL);
    asleep_wait(&scene.asleep[i]);
  }
  thread_start(&threads[WRITERS], freeze_map, WRITERS, NULL);
  asleep_wait(&scene.asleep[WRITERS]);
  cmap_write_guard_release(&write);
  cmap_read_guard_release(&read);
  for (unsigned i = 0; i <= WRITERS; i++)
    thread_join(&threads[i]);
  assert_ok(scene.status[WRITERS]);
  for (unsigned i = 0; i < WRITERS; i++) {
    if (scene.status[i] == CMAP_OK)
      removed++;
    else if (scene.status[i] != CMAP_NOT_FOUND)
      assert_status(scene.status[i], CMAP_FROZEN);
  }
  assert_true(removed <= 1);
  assert_int_equal(cmap_len(scene.map), KEYS - removed);
  assert_status(
      cmap_insert(scene.map, cmap_key_u64(&absent), &absent, NULL, NULL, NULL),
      CMAP_FROZEN);
  /* No writer's waiting is left: readers come in. */
  assert_ok(run_snapshot(scene.map, cmap_key_u64(&present), NULL));
  assert_ok(run_check(scene.map, cmap_key_u64(&present), NULL));
  assert_ok(cmap_thaw(scene.map));
  assert_ok(cmap_clear(scene.map, NULL));
  cmap_destroy(scene.map);
}

static void writers_behind_a_guard(void **state)
{
  (void)state;
  writers_that_wait_are_told(true);
}

static void writers_behind_a_reader(void **state)
{
  (void)state;
  writers_that_wait_are_told(false);
}

/* What a thread does that holds a guard while another freezes. */
static void freezer_waits_for_guards(void **state)
{
  CMAP_AUTO(cmap_write_guard, guard);
  struct cmap_write_guard second = CMAP_INIT;
  enum cmap_status status;
  struct thread thread;
  uint64_t other;

  (void)state;
  scene_begin();
  other = calls_other_shard(scene.map, KEYS, present);
  assert_ok(cmap_get_mut(scene.map, cmap_key_u64(&present), &guard, NULL));
  thread_start(&thread, freeze_map, 0, NULL);
  asleep_wait(&scene.asleep[0]);
  /* No circle: who would write more does so before the freezer comes to that
   * shard, or is told at once. */
  status = cmap_get_mut(scene.map, cmap_key_u64(&other), &second, NULL);
  assert_true(status == CMAP_OK || status == CMAP_FROZEN);
  cmap_write_guard_release(&second);
  assert_status(cmap_freeze(scene.map, NULL), CMAP_BUSY);
  assert_status(cmap_thaw(scene.map), CMAP_BUSY);
  assert_ok(cmap_get(scene.map, cmap_key_u64(&other), NULL, NULL));
  cmap_write_guard_release(&guard);
  thread_join(&thread);
  assert_ok(scene.status[0]);
  assert_ok(cmap_thaw(scene.map));
  cmap_destroy(scene.map);
}

static void assert_live(struct cmap *map)
{
  for (uint64_t i = 0; i < KEYS; i++) {
    uint64_t value = calls_value(cmap_key_u64(&i));
    struct cmap_how try_only = cmap_how_try();
    assert_ok(
        cmap_insert(map, cmap_key_u64(&i), &value, NULL, NULL, &try_only));
  }
  assert_status(cmap_thaw(map), CMAP_EINVAL);
}

static void leave_guard(unsigned index, void *ctx)
{
  struct cmap_write_guard guard = CMAP_INIT;

  (void)index;
  CHECK_OK(cmap_get_mut(ctx, cmap_key_u64(&present), &guard, NULL));
}

static void hold_guard(unsigned index, void *ctx)
{
  struct cmap_write_guard guard = CMAP_INIT;

  (void)index;
  CHECK_OK(cmap_get_mut(ctx, cmap_key_u64(&present), &guard, NULL));
  step_done(&scene.step, 1);
  step_wait(&scene.step, 2);
  cmap_write_guard_release(&guard);
}

static void freezes_that_fail(void **state)
{
  struct cmap *map = calls_map(KEYS);
  struct cmap_how try_only = cmap_how_try();
  struct cmap_how soon = cmap_how_within(1000000);
  struct cmap_read_guard guard = CMAP_INIT;
  struct thread thread;

  (void)state;
  assert_ok(cmap_get_ref(map, cmap_key_u64(&present), &guard, NULL));
  assert_status(cmap_freeze(map, NULL), CMAP_EDEADLK);
  cmap_read_guard_release(&guard);
  assert_live(map);
  step_begin(&scene.step);
  thread_start(&thread, hold_guard, 0, map);
  step_wait(&scene.step, 1);
  assert_status(cmap_freeze(map, &try_only), CMAP_BUSY);
  assert_status(cmap_freeze(map, &soon), CMAP_TIMEDOUT);
  step_done(&scene.step, 2);
  thread_join(&thread);
  step_end(&scene.step);
  assert_live(map);
  thread_start(&thread, leave_guard, 0, map);
  thread_join(&thread);
  assert_status(cmap_freeze(map, NULL), CMAP_EABANDONED);
  assert_status(cmap_thaw(map), CMAP_EINVAL);
  checks_assert();
  cmap_destroy(map);
}

/* Guards of a frozen map hold nothing, and show the entries. */
static void guards_cost_nothing(void **state)
{
  struct cmap *map = calls_map(KEYS);
  struct cmap_read_guard guards[3];
  CMAP_AUTO(cmap_read_guard, none);
  CMAP_AUTO(cmap_iter, iter);
  uint64_t value = 0;
  size_t count = 0;

  (void)state;
  memset(guards, 0, sizeof guards);
  assert_ok(cmap_freeze(map, NULL));
  for (size_t i = 0; i < 3; i++)
    assert_ok(cmap_get_ref(map, cmap_key_u64(&present), &guards[i], NULL));
  assert_ptr_equal(guards[0].value, guards[2].value);
  memcpy(&value, guards[0].value, sizeof value);
  assert_true(value == calls_value(cmap_key_u64(&present)));
  assert_status(cmap_get_ref(map, cmap_key_u64(&absent), &none, NULL),
                CMAP_NOT_FOUND);
  assert_ok(cmap_iter_begin(map, CMAP_READ, 0, 1, &iter));
  while (cmap_iter_next(&iter, NULL) == CMAP_OK)
    count++;
  assert_int_equal(count, KEYS);
  cmap_iter_release(&iter);
  assert_ok(cmap_iter_begin(map, CMAP_WRITE, 0, 1, &iter));
  assert_status(cmap_iter_next(&iter, NULL), CMAP_FROZEN);
  for (size_t i = 0; i < 3; i++)
    cmap_read_guard_release(&guards[i]);
  assert_ok(cmap_thaw(map));
  assert_live(map);
  cmap_destroy(map);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(who_writes_is_told),
      cmocka_unit_test(writers_behind_a_guard),
      cmocka_unit_test(writers_behind_a_reader),
      cmocka_unit_test(freezer_waits_for_guards),
      cmocka_unit_test(freezes_that_fail),
      cmocka_unit_test(guards_cost_nothing),
  };

  return cmocka_run_group_tests_name("freeze", tests, NULL, NULL);
}
