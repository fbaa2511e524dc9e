/*
 * cmap_fork_begin and cmap_fork_end: what they return, what others meet in
 * between, and that the child may use the map whatever the others were about.
 */
#include "asleep.h"
#include "calls.h"
#include "child.h"
#include "step.h"
#include "threads.h"

#include <string.h>
#include <unistd.h>

enum { KEYS = 60 };

static const uint64_t present = 7, absent = 1000;

static struct cmap_key key_of(const uint64_t *id)
{
  return cmap_key_u64(id);
}

/* All that a process can do with a map of calls_map. */
static void use(void *ctx)
{
  struct cmap *map = ctx;
  struct cmap_write_guard guard = CMAP_INIT;
  struct cmap_snapshot *snapshot;
  const char *broken;
  uint64_t value;
  size_t len;

  CHILD_OK(cmap_get(map, key_of(&present), &value, NULL));
  CHILD_CHECK(value == calls_value(key_of(&present)));
  CHILD_OK(cmap_insert(map, key_of(&present), &value, NULL, NULL, NULL));
  CHILD_OK(cmap_get_mut(map, key_of(&present), &guard, NULL));
  CHILD_OK(cmap_write_guard_release(&guard));
  CHILD_OK(cmap_len_exact(map, &len, NULL));
  CHILD_CHECK(len == KEYS);
  CHILD_OK(cmap_snapshot_create(map, CMAP_KEYS_AND_VALUES, &snapshot, NULL));
  CHILD_CHECK(cmap_snapshot_count(snapshot) == KEYS);
  cmap_snapshot_destroy(snapshot);
  for (uint64_t id = absent; id < absent + 1000; id++)
    CHILD_OK(cmap_insert(map, key_of(&id), &id, NULL, NULL, NULL));
  for (uint64_t id = absent; id < absent + 1000; id++)
    CHILD_OK(cmap_remove(map, key_of(&id), NULL, NULL));
  CHILD_OK(cmap_shrink_to_fit(map, NULL));
  CHILD_OK(cmap_reserve(map, 10000, NULL));
  CHILD_OK(cmap_check(map, &broken, NULL));
  CHILD_OK(cmap_freeze(map, NULL));
  CHILD_CHECK(cmap_remove(map, key_of(&present), NULL, NULL) == CMAP_FROZEN);
  CHILD_OK(cmap_thaw(map));
  cmap_destroy(map);
}

static void end_and_use(void *ctx)
{
  CHILD_OK(cmap_fork_end(ctx));
  CHILD_CHECK(cmap_fork_end(ctx) == CMAP_EINVAL);
  use(ctx);
}

static void fork_and_end(struct cmap *map)
{
  int child = child_start(end_and_use, map);

  assert_ok(cmap_fork_end(map));
  child_assert(child);
}

static void arguments(void **state)
{
  struct cmap *map = calls_map(KEYS);
  struct cmap_how wrong = {.size = 1};

  (void)state;
  assert_status(cmap_fork_begin(NULL, NULL), CMAP_EINVAL);
  assert_status(cmap_fork_begin(map, &wrong), CMAP_EINVAL);
  assert_status(cmap_fork_end(NULL), CMAP_EINVAL);
  assert_status(cmap_fork_end(map), CMAP_EINVAL);
  assert_ok(cmap_freeze(map, NULL));
  assert_status(cmap_fork_begin(map, NULL), CMAP_FROZEN);
  assert_ok(cmap_thaw(map));
  assert_ok(cmap_fork_begin(map, NULL));
  fork_and_end(map);
  assert_status(cmap_fork_end(map), CMAP_EINVAL);
  assert_ok(cmap_fork_begin(map, NULL));
  cmap_destroy(map); /* as it is */
}

/* In between, for the thread itself it is a write guard. */
static void own_calls(void **state)
{
  struct cmap *map = calls_map(KEYS);
  struct cmap_how try_only = cmap_how_try();
  struct cmap_read_guard guard = CMAP_INIT;

  (void)state;
  assert_ok(cmap_get_ref(map, key_of(&present), &guard, NULL));
  assert_status(cmap_fork_begin(map, NULL), CMAP_EDEADLK);
  assert_status(cmap_fork_begin(map, &try_only), CMAP_BUSY);
  assert_ok(cmap_read_guard_release(&guard));
  assert_ok(cmap_fork_begin(map, &try_only));
  assert_status(cmap_fork_begin(map, NULL), CMAP_EDEADLK);
  for (size_t i = 0; i < calls_count; i++) {
    const struct call *call = &calls[i];

    checks_about(call->name);
    if (call_has(call, CALL_WRITES)) {
      CHECK_STATUS(call->run(map, key_of(&present), NULL), CMAP_EDEADLK);
      CHECK_STATUS(call->run(map, key_of(&present), &try_only), CMAP_BUSY);
    }
  }
  checks_about(NULL);
  checks_assert();
  fork_and_end(map);
  use(map);
}

/* Others: a guard of theirs is waited for, and refused is refused. */
struct other {
  struct cmap *map, *second;
  struct step step;
  struct asleep asleep;
  enum cmap_status status;
};

static void hold_a_key(unsigned index, void *ctx)
{
  struct other *other = ctx;
  struct cmap_read_guard guard = CMAP_INIT;

  (void)index;
  CHECK_OK(cmap_get_ref(other->map, key_of(&present), &guard, NULL));
  step_done(&other->step, 1);
  step_wait(&other->step, 2);
  CHECK_OK(cmap_read_guard_release(&guard));
}

static void a_guard_of_another_thread(void **state)
{
  struct other other = {.map = calls_map(KEYS)};
  struct cmap_how try_only = cmap_how_try();
  struct cmap_how late = cmap_how_until(1);
  struct thread thread;

  (void)state;
  step_begin(&other.step);
  thread_start(&thread, hold_a_key, 0, &other);
  step_wait(&other.step, 1);
  assert_status(cmap_fork_begin(other.map, &try_only), CMAP_BUSY);
  assert_status(cmap_fork_begin(other.map, &late), CMAP_TIMEDOUT);
  step_done(&other.step, 2);
  assert_ok(cmap_fork_begin(other.map, NULL));
  thread_join(&thread);
  checks_assert();
  fork_and_end(other.map);
  step_end(&other.step);
  use(other.map);
}

/* Threads that sleep for the map when the process is copied. */
enum { WRITE, READ, FREEZE, FORK, SLEEPERS };

static void sleep_for_it(unsigned index, void *ctx)
{
  struct other *other = (struct other *)ctx + index;
  struct cmap *map = other->map;
  size_t len;

  asleep_here(&other->asleep);
  if (index == WRITE) {
    uint64_t value = calls_value(key_of(&present));
    other->status =
        cmap_insert(map, key_of(&present), &value, NULL, NULL, NULL);
  } else if (index == READ) {
    other->status = cmap_len_exact(map, &len, NULL);
  } else if (index == FREEZE) {
    other->status = cmap_freeze(map, NULL);
  } else {
    other->status = cmap_fork_begin(map, NULL);
    CHECK_STATUS(cmap_fork_end(map),
                 other->status == CMAP_OK ? CMAP_OK : CMAP_EINVAL);
  }
}

static void sleepers_are_not_in_the_child(void **state)
{
  struct other others[SLEEPERS];
  struct thread threads[SLEEPERS];
  struct cmap *map;

  (void)state;
  if (!child_may_allocate)
    skip(); /* they start, and may allocate, while the process is copied */
  map = calls_map(KEYS);
  assert_ok(cmap_fork_begin(map, NULL));
  for (unsigned i = 0; i < SLEEPERS; i++) {
    others[i].map = map;
    asleep_begin(&others[i].asleep);
    /* Who comes after the freezer does not wait to write. */
    if (i != FORK) {
      thread_start(&threads[i], sleep_for_it, i, others);
      asleep_wait(&others[i].asleep);
    }
  }
  thread_start(&threads[FORK], sleep_for_it, FORK, others);
  fork_and_end(map);
  for (unsigned i = 0; i < SLEEPERS; i++)
    thread_join(&threads[i]);
  checks_assert();
  assert_true(others[WRITE].status == CMAP_OK ||
              others[WRITE].status == CMAP_FROZEN);
  assert_ok(others[READ].status);
  assert_ok(others[FREEZE].status);
  assert_true(others[FORK].status == CMAP_OK ||
              others[FORK].status == CMAP_FROZEN);
  assert_ok(cmap_thaw(map));
  use(map);
}

/* A circle of two threads and two maps. */
static void hold_and_write(unsigned index, void *ctx)
{
  struct other *other = ctx;
  struct cmap_write_guard guard = CMAP_INIT;
  uint64_t value = calls_value(key_of(&present));

  (void)index;
  asleep_here(&other->asleep);
  CHECK_OK(cmap_get_mut(other->second, key_of(&present), &guard, NULL));
  step_done(&other->step, 1);
  step_wait(&other->step, 2);
  other->status =
      cmap_insert(other->map, key_of(&present), &value, NULL, NULL, NULL);
  CHECK_OK(cmap_write_guard_release(&guard));
}

static void a_circle(void **state)
{
  struct other other = {.map = calls_map(KEYS), .second = calls_map(KEYS)};
  struct thread thread;

  (void)state;
  step_begin(&other.step);
  asleep_begin(&other.asleep);
  thread_start(&thread, hold_and_write, 0, &other);
  step_wait(&other.step, 1);
  assert_ok(cmap_fork_begin(other.map, NULL));
  step_done(&other.step, 2);
  asleep_wait(&other.asleep);
  assert_status(cmap_fork_begin(other.second, NULL), CMAP_EDEADLK);
  fork_and_end(other.map);
  thread_join(&thread);
  checks_assert();
  assert_ok(other.status);
  step_end(&other.step);
  use(other.map);
  use(other.second);
}

static void end_both_and_use(void *ctx)
{
  struct cmap **maps = ctx;

  CHILD_OK(cmap_fork_end(maps[0]));
  use(maps[0]);
  end_and_use(maps[1]);
}

static void two_maps(void **state)
{
  struct cmap *maps[] = {calls_map(KEYS), calls_map(KEYS)};
  int child;

  (void)state;
  assert_ok(cmap_fork_begin(maps[0], NULL));
  assert_ok(cmap_fork_begin(maps[1], NULL));
  child = child_start(end_both_and_use, maps);
  assert_ok(cmap_fork_end(maps[1]));
  use(maps[1]);
  assert_ok(cmap_fork_end(maps[0]));
  use(maps[0]);
  child_assert(child);
}

/* Another thread cannot end it, and its own end gives the map up. */
static void begin_and_end(unsigned index, void *ctx)
{
  struct other *other = ctx;

  (void)index;
  CHECK_OK(cmap_fork_begin(other->map, NULL));
  step_done(&other->step, 1);
  step_wait(&other->step, 2);
}

static void the_thread_ends(void **state)
{
  struct other other = {.map = calls_map(KEYS)};
  struct thread thread;

  (void)state;
  step_begin(&other.step);
  thread_start(&thread, begin_and_end, 0, &other);
  step_wait(&other.step, 1);
  assert_status(cmap_fork_end(other.map), CMAP_EINVAL);
  step_done(&other.step, 2);
  thread_join(&thread);
  checks_assert();
  assert_status(cmap_fork_begin(other.map, NULL), CMAP_EABANDONED);
  assert_status(cmap_remove(other.map, key_of(&present), NULL, NULL),
                CMAP_EABANDONED);
  step_end(&other.step);
  cmap_destroy(other.map);
}

/* Of a map that no other thread uses, the child has what the parent has. */
struct quiet {
  struct cmap *map;
  struct cmap_write_guard guard;
};

static void go_on(void *ctx)
{
  struct quiet *quiet = ctx;

  CHILD_CHECK(cmap_remove(quiet->map, key_of(&present), NULL, NULL) ==
              CMAP_EDEADLK);
  CHILD_OK(cmap_write_guard_release(&quiet->guard));
  use(quiet->map);
}

static void a_map_of_the_thread_alone(void **state)
{
  struct quiet quiet = {.map = calls_map(KEYS)};
  int child;

  (void)state;
  assert_ok(cmap_get_mut(quiet.map, key_of(&present), &quiet.guard, NULL));
  child = child_start(go_on, &quiet);
  go_on(&quiet);
  child_assert(child);
}

static uint64_t hash_in_next_map(void)
{
  struct cmap *map = calls_map(KEYS);
  uint64_t hash = 0;

  (void)!cmap_hash(map, key_of(&present), &hash);
  cmap_destroy(map);
  return hash;
}

static void tell_hash(void *ctx)
{
  const int *pipe_end = ctx;
  uint64_t hash = hash_in_next_map();

  CHILD_CHECK(write(*pipe_end, &hash, sizeof hash) == sizeof hash);
}

/* Who knows the one's hashes does not know the other's. */
static void the_next_maps_have_seeds_of_their_own(void **state)
{
  uint64_t hash, of_child = 0;
  int ends[2], child;

  (void)state;
  (void)hash_in_next_map(); /* the process has its secret */
  assert_int_equal(pipe(ends), 0);
  child = child_start(tell_hash, &ends[1]);
  hash = hash_in_next_map();
  child_assert(child);
  assert_int_equal(read(ends[0], &of_child, sizeof of_child), sizeof of_child);
  close(ends[0]);
  close(ends[1]);
  assert_true(of_child != 0);
  assert_true(of_child != hash);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arguments),
      cmocka_unit_test(own_calls),
      cmocka_unit_test(a_guard_of_another_thread),
      cmocka_unit_test(sleepers_are_not_in_the_child),
      cmocka_unit_test(a_circle),
      cmocka_unit_test(two_maps),
      cmocka_unit_test(the_thread_ends),
      cmocka_unit_test(a_map_of_the_thread_alone),
      cmocka_unit_test(the_next_maps_have_seeds_of_their_own),
  };

  return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
