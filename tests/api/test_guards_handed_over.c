/*
 * Guards that are handed over: detached by the thread that took them, attached
 * or released by another. Circles and ended threads are noticed as if that one
 * had taken them.
 */
#include "asleep.h"
#include "numbers.h"
#include "step.h"
#include "threads.h"

#include <string.h>

#define KEY UINT64_C(7)

static struct {
  struct cmap *map, *other;
  struct cmap_read_guard read;
  struct cmap_write_guard write;
  struct step step;
  struct asleep sleeper;
} scene;

static void scene_begin(void)
{
  memset(&scene, 0, sizeof scene);
  scene.map = numbers_open();
  scene.other = numbers_open();
  numbers_put(scene.map, KEY, 1);
  numbers_put(scene.other, KEY, 1);
  step_begin(&scene.step);
  asleep_begin(&scene.sleeper);
}

static void scene_end(void)
{
  step_end(&scene.step);
  cmap_destroy(scene.map);
  cmap_destroy(scene.other);
  checks_assert();
}

static struct cmap_key key(void)
{
  static const uint64_t id = KEY;

  return cmap_key_u64(&id);
}

static enum cmap_status insert(struct cmap *map, bool tries)
{
  struct cmap_how how = cmap_how_try();
  uint64_t value = 2;

  return cmap_insert(map, key(), &value, NULL, NULL, tries ? &how : NULL);
}

static void by_another_thread(thread_fn *run)
{
  struct thread thread;

  thread_start(&thread, run, 0, NULL);
  thread_join(&thread);
}

static void take(bool writes)
{
  if (writes)
    CHECK_OK(cmap_get_mut(scene.map, key(), &scene.write, NULL));
  else
    CHECK_OK(cmap_get_ref(scene.map, key(), &scene.read, NULL));
}

static enum cmap_status detach(bool writes)
{
  return writes ? cmap_write_guard_detach(&scene.write)
                : cmap_read_guard_detach(&scene.read);
}

static enum cmap_status attach(bool writes)
{
  return writes ? cmap_write_guard_attach(&scene.write)
                : cmap_read_guard_attach(&scene.read);
}

static enum cmap_status release(bool writes)
{
  return writes ? cmap_write_guard_release(&scene.write)
                : cmap_read_guard_release(&scene.read);
}

/* ------------------------------------------------------------------------
 * From thread to thread
 * ------------------------------------------------------------------------ */

static bool writes; /* set before threads are started */

static void only_release(unsigned index, void *ctx)
{
  (void)index, (void)ctx;
  CHECK_STATUS(insert(scene.map, true), CMAP_BUSY);
  CHECK_OK(release(writes));
  CHECK_OK(insert(scene.map, true));
}

static void attach_and_use(unsigned index, void *ctx)
{
  struct cmap_write_guard copy = scene.write;
  uint64_t old = 0;

  (void)index, (void)ctx;
  if (writes)
    CHECK_STATUS(cmap_write_guard_remove(&scene.write, &old), CMAP_EINVAL);
  CHECK_OK(attach(writes));
  CHECK_OK(attach(writes));                             /* is its own */
  CHECK_STATUS(insert(scene.map, false), CMAP_EDEADLK); /* waits for itself */
  if (!writes) {
    CHECK_OK(release(false));
    return;
  }
  CHECK_OK(cmap_write_guard_release(&copy)); /* is stale */
  CHECK_STATUS(insert(scene.map, true), CMAP_BUSY);
  CHECK_OK(cmap_write_guard_remove(&scene.write, &old));
  CHECK(old == 1);
}

static void to_another_thread(void **state)
{
  static thread_fn *const runs[] = {only_release, attach_and_use};

  (void)state;
  for (size_t i = 0; i < 4; i++) {
    struct cmap_read_guard read;
    struct cmap_write_guard write;
    writes = i % 2 != 0;
    scene_begin();
    take(writes);
    read = scene.read;
    write = scene.write;
    CHECK_OK(detach(writes));
    CHECK_STATUS(detach(writes), CMAP_EINVAL);
    CHECK_OK(cmap_read_guard_release(&read)); /* copies are stale */
    CHECK_OK(cmap_write_guard_release(&write));
    CHECK_STATUS(insert(scene.map, true), CMAP_BUSY);
    by_another_thread(runs[i / 2]);
    CHECK_OK(insert(scene.map, true));
    CHECK_OK(release(writes));
    CHECK_STATUS(attach(writes), CMAP_EINVAL);
    CHECK_STATUS(detach(writes), CMAP_EINVAL);
    scene_end();
  }
}

static void back_to_the_same_thread(void **state)
{
  (void)state;
  for (int i = 0; i < 4; i++) {
    scene_begin();
    take(i % 2 != 0);
    CHECK_OK(detach(i % 2 != 0));
    if (i < 2)
      CHECK_OK(attach(i % 2 != 0));
    CHECK_OK(release(i % 2 != 0));
    CHECK_OK(insert(scene.map, true));
    scene_end();
  }
  CHECK_STATUS(cmap_read_guard_detach(NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_write_guard_detach(NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_read_guard_attach(NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_write_guard_attach(NULL), CMAP_EINVAL);
  checks_assert();
}

/* In any order of the list of what is nobody's. */
static void many_at_once(void **state)
{
  enum { MANY = 12 };
  struct cmap_read_guard guards[MANY];

  (void)state;
  scene_begin();
  for (size_t i = 0; i < MANY; i++) {
    CHECK_OK(cmap_get_ref(scene.map, key(), &guards[i], NULL));
    CHECK_OK(cmap_read_guard_detach(&guards[i]));
  }
  for (size_t i = 0; i < MANY; i++) {
    CHECK_STATUS(insert(scene.map, true), CMAP_BUSY);
    CHECK_OK(cmap_read_guard_release(&guards[i * 5 % MANY]));
  }
  CHECK_OK(insert(scene.map, true));
  scene_end();
}

enum { ROUNDS = 300, THREADS = 3 };

static struct meeting meeting;
static atomic_uint winners;

/* All try to attach a copy of the same guard; one can. */
static void attach_at_once(unsigned index, void *ctx)
{
  (void)ctx;
  for (unsigned round = 1; round <= ROUNDS; round++) {
    struct cmap_write_guard copy;
    enum cmap_status status;
    if (index == 0) {
      take(true);
      CHECK_OK(detach(true));
    }
    meeting_wait(&meeting);
    copy = scene.write;
    status = cmap_write_guard_attach(&copy);
    CHECK(status == CMAP_OK || status == CMAP_EINVAL);
    winners += status == CMAP_OK;
    meeting_wait(&meeting);
    CHECK(winners == round);
    if (status == CMAP_OK)
      CHECK_OK(cmap_write_guard_release(&copy));
    meeting_wait(&meeting);
  }
}

static void one_of_many_gets_it(void **state)
{
  (void)state;
  scene_begin();
  winners = 0;
  meeting_begin(&meeting, THREADS);
  threads_run(THREADS, attach_at_once, NULL);
  scene_end();
}

/* ------------------------------------------------------------------------
 * Circles
 * ------------------------------------------------------------------------ */

/* Waits for the map, and has the other one. */
static void wait_for_map(unsigned index, void *ctx)
{
  CMAP_AUTO(cmap_write_guard, guard);

  (void)index, (void)ctx;
  CHECK_OK(cmap_get_mut(scene.other, key(), &guard, NULL));
  step_done(&scene.step, 1);
  asleep_here(&scene.sleeper);
  CHECK_OK(insert(scene.map, false));
}

/* A circle is closed over a guard that was attached while it was waited for. */
static void circles_are_found(void **state)
{
  (void)state;
  for (int i = 0; i < 2; i++) {
    struct thread thread;
    scene_begin();
    take(i == 1);
    CHECK_OK(detach(i == 1));
    thread_start(&thread, wait_for_map, 0, NULL);
    step_wait(&scene.step, 1);
    asleep_wait(&scene.sleeper);
    CHECK_OK(attach(i == 1));
    CHECK_STATUS(insert(scene.other, false), CMAP_EDEADLK);
    CHECK_OK(release(i == 1));
    CHECK_OK(insert(scene.other, false));
    thread_join(&thread);
    scene_end();
  }
}

/* ------------------------------------------------------------------------
 * Ended threads
 * ------------------------------------------------------------------------ */

static void take_and_detach(unsigned index, void *ctx)
{
  (void)index, (void)ctx;
  take(writes);
  CHECK_OK(detach(writes));
}

static void attach_and_end(unsigned index, void *ctx)
{
  (void)index, (void)ctx;
  CHECK_OK(attach(writes));
}

static void by_threads_that_end(void **state)
{
  (void)state;
  for (int i = 0; i < 4; i++) {
    writes = i % 2 != 0;
    scene_begin();
    by_another_thread(take_and_detach);
    CHECK_STATUS(insert(scene.map, true), CMAP_BUSY);
    if (i < 2) {
      CHECK_OK(release(writes));
      CHECK_OK(insert(scene.map, false));
    } else {
      by_another_thread(attach_and_end);
      CHECK_STATUS(insert(scene.map, false), CMAP_EABANDONED);
      CHECK_OK(release(writes)); /* there is nothing any more */
    }
    scene_end();
  }
}

/* What a guard that nobody releases has in hand is freed with the map. */
static void destroyed_while_it_is_nobodys(void **state)
{
  struct cmap_options options = {
      .size = sizeof options, .key_kind = CMAP_STRING, .value_size = 2000};
  struct cmap_entry entry = CMAP_INIT;
  struct cmap_write_guard guard = CMAP_INIT;
  static char value[2000];
  struct cmap *map;

  (void)state;
  assert_ok(cmap_create(&options, &map));
  assert_ok(cmap_entry_begin(map,
                             cmap_key_string("a key of some length, so "
                                             "that it lies by itself"),
                             &entry, NULL));
  assert_ok(cmap_entry_or_insert(&entry, value));
  assert_ok(cmap_entry_into_guard(&entry, &guard));
  assert_ok(cmap_write_guard_detach(&guard));
  cmap_destroy(map);
}

/* ------------------------------------------------------------------------
 * Typed; frozen
 * ------------------------------------------------------------------------ */

CMAP_DEFINE(squares, CMAP_U64, uint64_t);

static struct squares_read_guard typed_read;
static struct squares_write_guard typed_write;

static void release_typed(unsigned index, void *ctx)
{
  (void)index, (void)ctx;
  CHECK(*typed_read.value == 36 && *typed_write.value == 49);
  CHECK_OK(squares_read_guard_attach(&typed_read));
  CHECK_OK(squares_write_guard_attach(&typed_write));
  CHECK_OK(squares_read_guard_release(&typed_read));
  CHECK_OK(squares_write_guard_release(&typed_write));
  CHECK(typed_read.value == NULL && typed_write.value == NULL);
}

static void typed(void **state)
{
  struct squares one, two;

  (void)state;
  assert_ok(squares_create(NULL, &one));
  assert_ok(squares_create(NULL, &two));
  assert_ok(squares_insert(one, 6, 36, NULL, NULL, NULL));
  assert_ok(squares_insert(two, 7, 49, NULL, NULL, NULL));
  assert_ok(squares_get_ref(one, 6, &typed_read, NULL));
  assert_ok(squares_get_mut(two, 7, &typed_write, NULL));
  assert_ok(squares_read_guard_detach(&typed_read));
  assert_ok(squares_write_guard_detach(&typed_write));
  by_another_thread(release_typed);
  assert_ok(squares_remove(one, 6, NULL, NULL));
  assert_ok(squares_remove(two, 7, NULL, NULL));
  squares_destroy(one);
  squares_destroy(two);
  checks_assert();
}

static void in_a_frozen_map(void **state)
{
  (void)state;
  scene_begin();
  CHECK_OK(cmap_freeze(scene.map, NULL));
  take(false);
  CHECK_OK(detach(false));
  CHECK_OK(attach(false));
  CHECK_OK(release(false));
  CHECK_OK(cmap_thaw(scene.map));
  scene_end();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(to_another_thread),
      cmocka_unit_test(back_to_the_same_thread),
      cmocka_unit_test(many_at_once),
      cmocka_unit_test(one_of_many_gets_it),
      cmocka_unit_test(circles_are_found),
      cmocka_unit_test(by_threads_that_end),
      cmocka_unit_test(destroyed_while_it_is_nobodys),
      cmocka_unit_test(typed),
      cmocka_unit_test(in_a_frozen_map),
  };

  return cmocka_run_group_tests_name("guards_handed_over", tests, NULL, NULL);
}
