/*
 * A thread that waits to read, and is stopped in its sleep, holds nothing: when
 * the lock becomes free, writers have it.
 *
 * A signal stops it; the handler waits until the test lets it go on.
 */
#include "asleep.h"
#include "numbers.h"
#include "settings.h"
#include "threads.h"

#include <semaphore.h>
#include <signal.h>

#define KEY UINT64_C(1)

struct scene {
  struct cmap *map;
  struct cmap_write_guard held; /* by the main thread */
  struct thread thread;
  struct asleep asleep;
};

static sem_t stopped, go_on;

static void stop(int number)
{
  (void)number;
  (void)sem_post(&stopped);
  while (sem_wait(&go_on) != 0) {
  }
}

static void read_once(unsigned index, void *ctx)
{
  struct scene *scene = ctx;
  struct cmap_read_guard guard = CMAP_INIT;
  uint64_t id = KEY;

  (void)index;
  asleep_here(&scene->asleep);
  CHECK_OK(cmap_get_ref(scene->map, cmap_key_u64(&id), &guard, NULL));
  cmap_read_guard_release(&guard);
}

/* It is the reader's turn, it is stopped, and nobody holds the lock. */
static void begin(struct scene *scene)
{
  struct cmap_write_guard none = CMAP_INIT;
  struct sigaction action = {.sa_handler = stop};
  uint64_t id = KEY;

  assert_int_equal(sem_init(&stopped, 0, 0), 0);
  assert_int_equal(sem_init(&go_on, 0, 0), 0);
  assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
  scene->map = numbers_open();
  numbers_put(scene->map, KEY, 0);
  scene->held = none;
  assert_ok(cmap_get_mut(scene->map, cmap_key_u64(&id), &scene->held, NULL));
  asleep_begin(&scene->asleep);
  thread_start(&scene->thread, read_once, 0, scene);
  asleep_wait_in_kernel(&scene->asleep);
  assert_int_equal(pthread_kill(scene->thread.id, SIGUSR1), 0);
  while (sem_wait(&stopped) != 0) {
  }
  cmap_write_guard_release(&scene->held);
}

static void end(struct scene *scene)
{
  assert_int_equal(sem_post(&go_on), 0);
  thread_join(&scene->thread);
  cmap_destroy(scene->map);
  sem_destroy(&stopped);
  sem_destroy(&go_on);
  checks_assert();
}

static void put(struct scene *scene, uint64_t value, const struct cmap_how *how)
{
  uint64_t id = KEY;

  assert_ok(
      cmap_insert(scene->map, cmap_key_u64(&id), &value, NULL, NULL, how));
  assert_int_equal(numbers_get(scene->map, KEY), value);
}

static void a_try_has_the_lock_at_once(void **state)
{
  struct cmap_how how = cmap_how_try();
  struct scene scene;

  (void)state;
  begin(&scene);
  put(&scene, 1, &how);
  put(&scene, 2, &how);
  end(&scene);
}

/* The deadline is far beyond the time for which a turn is respected. */
static void who_waits_has_it_soon(void **state)
{
  struct cmap_how how = cmap_how_until(test_now() + 20 * UINT64_C(1000000000));
  struct scene scene;

  (void)state;
  begin(&scene);
  put(&scene, 1, &how);
  how = cmap_how_try();
  put(&scene, 2, &how);
  end(&scene);
}

static void a_past_deadline_is_no_reason(void **state)
{
  struct cmap_how how = cmap_how_until(0);
  struct scene scene;

  (void)state;
  begin(&scene);
  put(&scene, 1, &how);
  end(&scene);
}

/* Others that read have it too, while it is the stopped one's turn. */
static void other_readers_have_it(void **state)
{
  struct cmap_how how = cmap_how_try();
  struct cmap_read_guard guard = CMAP_INIT;
  struct scene scene;
  uint64_t id = KEY;

  (void)state;
  begin(&scene);
  assert_ok(cmap_get_ref(scene.map, cmap_key_u64(&id), &guard, &how));
  cmap_read_guard_release(&guard);
  put(&scene, 1, &how);
  end(&scene);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_try_has_the_lock_at_once),
      cmocka_unit_test(who_waits_has_it_soon),
      cmocka_unit_test(a_past_deadline_is_no_reason),
      cmocka_unit_test(other_readers_have_it),
  };

  return cmocka_run_group_tests_name("stopped_reader", tests, NULL, NULL);
}
