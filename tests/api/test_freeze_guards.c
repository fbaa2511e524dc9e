/*
 * cmap_thaw waits for what is held of the frozen map, however it came to be
 * held: what a guard shows does not change before it is released.
 */
#include "asleep.h"
#include "calls.h"
#include "step.h"
#include "threads.h"

#include <string.h>

enum { KEYS = 60 };

static const uint64_t present = 7;

static struct {
  struct cmap *map, *other;
  struct step step;
  struct asleep thaws, waits;
  enum cmap_status thawed, got;
} scene;

/* How a thread comes to hold the entry of `present`, or an iterator's. */
enum way { GET_REF, GET_OR_INSERT_REF, ITERATOR, ITERATORS_GUARD, WAYS };

struct hold {
  struct cmap_read_guard guard;
  struct cmap_iter iter;
};

static void hold_begin(struct hold *hold, enum way way)
{
  static const struct hold none;

  *hold = none;
  switch (way) {
  case GET_REF:
    CHECK_OK(
        cmap_get_ref(scene.map, cmap_key_u64(&present), &hold->guard, NULL));
    break;
  case GET_OR_INSERT_REF:
    CHECK_OK(cmap_get_or_insert_ref(scene.map, cmap_key_u64(&present), &present,
                                    &hold->guard, NULL, NULL));
    break;
  default:
    CHECK_OK(cmap_iter_begin(scene.map, CMAP_READ, 0, 1, &hold->iter));
    CHECK_OK(cmap_iter_next(&hold->iter, NULL));
    if (way == ITERATORS_GUARD)
      CHECK_OK(cmap_iter_into_read_guard(&hold->iter, &hold->guard));
    break;
  }
}

static void hold_end(struct hold *hold)
{
  cmap_read_guard_release(&hold->guard);
  cmap_iter_release(&hold->iter);
}

static void scene_begin(void)
{
  scene.map = calls_map(KEYS);
  scene.other = calls_map(KEYS);
  scene.thawed = scene.got = CMAP_BUSY;
  step_begin(&scene.step);
  asleep_begin(&scene.thaws);
  asleep_begin(&scene.waits);
  assert_ok(cmap_freeze(scene.map, NULL));
}

static void scene_end(void)
{
  step_end(&scene.step);
  cmap_destroy(scene.map);
  cmap_destroy(scene.other);
  checks_assert();
}

static void thaw_and_write(unsigned index, void *ctx)
{
  uint64_t value = 12345;

  (void)index;
  (void)ctx;
  asleep_here(&scene.thaws);
  scene.thawed = cmap_thaw(scene.map);
  if (scene.thawed == CMAP_OK)
    CHECK_OK(cmap_insert(scene.map, cmap_key_u64(&present), &value, NULL, NULL,
                         NULL));
}

static void thaw_waits(void **state)
{
  (void)state;
  for (int way = 0; way < WAYS; way++) {
    struct cmap_read_guard second = CMAP_INIT;
    struct hold hold;
    struct thread thread;
    uint64_t value = 0;

    scene_begin();
    hold_begin(&hold, (enum way)way);
    assert_status(cmap_thaw(scene.map), CMAP_EDEADLK);
    thread_start(&thread, thaw_and_write, 0, NULL);
    asleep_wait(&scene.thaws);
    /* Reads go on, writers are told, and nobody else thaws. */
    assert_ok(cmap_get_ref(scene.map, cmap_key_u64(&present), &second, NULL));
    assert_status(cmap_thaw(scene.map), CMAP_BUSY);
    assert_status(cmap_freeze(scene.map, NULL), CMAP_BUSY);
    assert_status(cmap_insert(scene.map, cmap_key_u64(&present), &value, NULL,
                              NULL, NULL),
                  CMAP_FROZEN);
    hold_end(&hold);
    /* The second is a lock's, as always: the map may thaw, but not write. */
    memcpy(&value, second.value, sizeof value);
    assert_true(value == calls_value(cmap_key_u64(&present)));
    cmap_read_guard_release(&second);
    thread_join(&thread);
    assert_ok(scene.thawed);
    assert_ok(cmap_get(scene.map, cmap_key_u64(&present), &value, NULL));
    assert_int_equal(value, 12345);
    scene_end();
  }
}

/* What is gone is not waited for, and misses and ends hold nothing. */
static void thaw_does_not_wait(void **state)
{
  static const uint64_t absent = 1000;
  struct cmap_iter iter = CMAP_INIT;
  struct hold hold;

  (void)state;
  scene_begin();
  for (int way = 0; way < WAYS; way++) {
    hold_begin(&hold, (enum way)way);
    hold_end(&hold);
  }
  assert_status(
      cmap_get_ref(scene.map, cmap_key_u64(&absent), &hold.guard, NULL),
      CMAP_NOT_FOUND);
  assert_status(cmap_get_or_insert_ref(scene.map, cmap_key_u64(&absent),
                                       &absent, &hold.guard, NULL, NULL),
                CMAP_FROZEN);
  assert_ok(cmap_iter_begin(scene.map, CMAP_READ, 0, 1, &iter));
  while (cmap_iter_next(&iter, NULL) == CMAP_OK)
    continue;
  assert_ok(cmap_thaw(scene.map));
  cmap_iter_release(&iter);
  assert_ok(cmap_freeze(scene.map, NULL));
  hold_begin(&hold, ITERATOR); /* released by destroy */
  scene_end();
}

/* Holds the other map's entry, and thaws. */
static void thaw_while_holding(unsigned index, void *ctx)
{
  struct cmap_write_guard guard = CMAP_INIT;

  (void)index;
  (void)ctx;
  asleep_here(&scene.thaws);
  CHECK_OK(cmap_get_mut(scene.other, cmap_key_u64(&present), &guard, NULL));
  step_done(&scene.step, 1);
  step_wait(&scene.step, 2);
  scene.thawed = cmap_thaw(scene.map);
  cmap_write_guard_release(&guard);
}

/* A circle: a frozen map's guard, and a lock of another map. */
static void circle_is_refused(void **state)
{
  struct cmap_write_guard other = CMAP_INIT;
  struct hold hold;
  struct thread thread;

  (void)state;
  for (int way = 0; way < WAYS; way++) {
    scene_begin();
    hold_begin(&hold, (enum way)way);
    thread_start(&thread, thaw_while_holding, 0, NULL);
    step_wait(&scene.step, 1);
    step_done(&scene.step, 2);
    asleep_wait(&scene.thaws);
    assert_status(
        cmap_get_mut(scene.other, cmap_key_u64(&present), &other, NULL),
        CMAP_EDEADLK);
    hold_end(&hold);
    thread_join(&thread);
    assert_ok(scene.thawed);
    scene_end();
  }
}

static void leave_hold(unsigned index, void *ctx)
{
  struct hold hold;

  (void)index;
  hold_begin(&hold, *(const enum way *)ctx);
  step_done(&scene.step, 1);
  step_wait(&scene.step, 2);
}

static void ended_threads_are_told(void **state)
{
  (void)state;
  for (int i = 0; i < 2 * WAYS; i++) {
    enum way way = (enum way)(i / 2);
    struct thread holder, thawer;

    scene_begin();
    thread_start(&holder, leave_hold, 0, &way);
    step_wait(&scene.step, 1);
    if (i % 2 == 0) { /* who waits already, and who comes later */
      thread_start(&thawer, thaw_and_write, 0, NULL);
      asleep_wait(&scene.thaws);
    }
    step_done(&scene.step, 2);
    thread_join(&holder);
    if (i % 2 == 0)
      thread_join(&thawer);
    else
      thaw_and_write(0, NULL);
    assert_status(scene.thawed, CMAP_EABANDONED);
    /* It stays frozen. */
    assert_status(cmap_thaw(scene.map), CMAP_EABANDONED);
    assert_ok(cmap_get(scene.map, cmap_key_u64(&present), NULL, NULL));
    assert_status(cmap_freeze(scene.map, NULL), CMAP_FROZEN);
    scene_end();
  }
}

static void release_guard(unsigned index, void *ctx)
{
  (void)index;
  CHECK_OK(cmap_read_guard_release(ctx));
}

/* Thaw also waits for a guard of nobody's, which any thread may end. */
static void handed_over(void **state)
{
  struct hold hold;
  struct thread thawer, other;

  (void)state;
  scene_begin();
  hold_begin(&hold, GET_REF);
  assert_ok(cmap_read_guard_detach(&hold.guard));
  thread_start(&thawer, thaw_and_write, 0, NULL);
  asleep_wait(&scene.thaws);
  thread_start(&other, release_guard, 0, &hold.guard);
  thread_join(&other);
  thread_join(&thawer);
  assert_ok(scene.thawed);
  assert_ok(cmap_freeze(scene.map, NULL));
  hold_begin(&hold, GET_REF);
  assert_ok(cmap_read_guard_detach(&hold.guard));
  scene_end(); /* which frees it */
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(thaw_waits),
      cmocka_unit_test(thaw_does_not_wait),
      cmocka_unit_test(circle_is_refused),
      cmocka_unit_test(handed_over),
      cmocka_unit_test(ended_threads_are_told),
  };

  return cmocka_run_group_tests_name("freeze_guards", tests, NULL, NULL);
}
