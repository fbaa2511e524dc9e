/*
 * A thread that waits, and is stopped in its sleep, holds nothing: when the
 * lock becomes free, others have it.
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

static void write_once(unsigned index, void *ctx)
{
  struct scene *scene = ctx;
  struct cmap_write_guard guard = CMAP_INIT;
  uint64_t id = KEY;

  (void)index;
  asleep_here(&scene->asleep);
  CHECK_OK(cmap_get_mut(scene->map, cmap_key_u64(&id), &guard, NULL));
  cmap_write_guard_release(&guard);
}

static void open_scene(struct scene *scene)
{
  struct sigaction action = {.sa_handler = stop};

  assert_int_equal(sem_init(&stopped, 0, 0), 0);
  assert_int_equal(sem_init(&go_on, 0, 0), 0);
  assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
  scene->map = numbers_open();
  numbers_put(scene->map, KEY, 0);
  asleep_begin(&scene->asleep);
}

/* A thread that waits for the lock, which the caller has, is stopped. */
static void stop_thread(struct scene *scene, void (*run)(unsigned, void *))
{
  thread_start(&scene->thread, run, 0, scene);
  asleep_wait_in_kernel(&scene->asleep);
  assert_int_equal(pthread_kill(scene->thread.id, SIGUSR1), 0);
  while (sem_wait(&stopped) != 0) {
  }
}

/* It is the reader's turn, it is stopped, and nobody holds the lock. */
static void begin(struct scene *scene)
{
  struct cmap_write_guard held = CMAP_INIT;
  uint64_t id = KEY;

  open_scene(scene);
  assert_ok(cmap_get_mut(scene->map, cmap_key_u64(&id), &held, NULL));
  stop_thread(scene, read_once);
  cmap_write_guard_release(&held);
}

/* The same of a writer. */
static void begin_writer(struct scene *scene)
{
  struct cmap_read_guard held = CMAP_INIT;
  uint64_t id = KEY;

  open_scene(scene);
  assert_ok(cmap_get_ref(scene->map, cmap_key_u64(&id), &held, NULL));
  stop_thread(scene, write_once);
  cmap_read_guard_release(&held);
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

static void a_stopped_writer_keeps_nobody(void **state)
{
  struct cmap_how how = cmap_how_until(test_now() + 20 * UINT64_C(1000000000));
  struct cmap_read_guard guard = CMAP_INIT;
  struct scene scene;
  uint64_t id = KEY;

  (void)state;
#ifdef CMAP_LOCK_PTHREAD
  skip(); /* it may be stopped with the mutex in which others wake it */
#endif
  begin_writer(&scene);
  for (int i = 0; i < 2; i++) {
    assert_ok(cmap_get_ref(scene.map, cmap_key_u64(&id), &guard, &how));
    cmap_read_guard_release(&guard);
    how = cmap_how_try();
  }
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
      cmocka_unit_test(a_stopped_writer_keeps_nobody),
  };

  return cmocka_run_group_tests_name("stopped_waiter", tests, NULL, NULL);
}
