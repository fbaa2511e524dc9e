#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "clock.h"
#include "fiber.h"
#include "history.h"
#include "kernel.h"
#include "memory.h"
#include "recording.h"
#include "report.h"
#include "schedule.h"
#include "world.h"

enum { KEYS = 8, AT_EXIT = 8, ALL_CLASSES = 0xffff };

/* Counts the runs, so that what a mutex had in another one is void. */
static uint32_t run;

static struct {
  void (*destroy)(void *value);
  bool is_used;
} keys[KEYS];

static struct {
  void *values[KEYS];
  struct {
    void (*end)(void *arg);
    void *arg;
  } at_exit[AT_EXIT];
  unsigned at_exit_count;
} of[FIBER_MAIN + 1];

/* pthread_once, by its control word. */
static struct once {
  const pthread_once_t *control;
  struct stamp stamp; /* of the one who did it */
} onces[16];
static unsigned once_count;

void threads_begin(void)
{
  run++;
  once_count = 0;
  for (unsigned i = 0; i < WORLD_THREADS; i++) {
    for (unsigned key = 0; key < KEYS; key++)
      of[i].values[key] = NULL;
    of[i].at_exit_count = 0;
  }
}

/* -------------------------------------------------------------------------
 * Mutexes: in the memory of the pthread_mutex_t, which begins as zeros
 * ------------------------------------------------------------------------- */

struct mutex {
  uint32_t run;        /* for which the others are valid */
  unsigned owner;      /* + 1; 0: nobody */
  struct stamp *stamp; /* of the last unlock */
};

_Static_assert(sizeof(struct mutex) <= sizeof(pthread_mutex_t), "it fits");

static struct mutex *mutex_of(pthread_mutex_t *mutex)
{
  struct mutex *m = (struct mutex *)(void *)mutex;

  if (m->run != run) {
    m->run = run;
    m->owner = 0;
    m->stamp = memory_take(sizeof *m->stamp);
    *m->stamp = (struct stamp){.fence = 0};
  }
  return m;
}

/* In a step. */
static void take(pthread_mutex_t *mutex)
{
  struct mutex *m = mutex_of(mutex);

  if (m->owner == fiber_self() + 1)
    world_failed(__FILE__, __LINE__, "a mutex is locked by who has it");
  /* Ends: who has it unlocks it, or the scheduler finds that nobody runs. */
  while (m->owner != 0)
    (void)schedule_wait(mutex, ALL_CLASSES, SCHEDULE_NO_DEADLINE);
  m->owner = fiber_self() + 1;
  stamp_join(&clock_of(fiber_self())->now, m->stamp);
}

static void give(pthread_mutex_t *mutex)
{
  struct mutex *m = mutex_of(mutex);

  if (m->owner != fiber_self() + 1)
    world_failed(__FILE__, __LINE__, "a mutex is unlocked by who has it not");
  (void)clock_step();
  *m->stamp = clock_of(fiber_self())->now;
  (void)clock_step();
  m->owner = 0;
  (void)schedule_wake(mutex, ALL_CLASSES, WORLD_THREADS);
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex,
                              const pthread_mutexattr_t *attributes);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex,
                              const pthread_mutexattr_t *attributes)
{
  static const struct mutex none;

  (void)attributes;
  *(struct mutex *)(void *)mutex = none;
  return 0;
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex)
{
  (void)mutex;
  return 0;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
  if (!world_recording)
    return 0;
  world_enter("mutex lock", mutex, -1, WORLD_SITE);
  take(mutex);
  world_leave();
  return 0;
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex)
{
  bool is_free;

  if (!world_recording)
    return 0;
  world_enter("mutex trylock", mutex, -1, WORLD_SITE);
  is_free = mutex_of(mutex)->owner == 0;
  if (is_free)
    take(mutex);
  world_leave();
  return is_free ? 0 : EBUSY;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
  if (!world_recording)
    return 0;
  /* Not before another's step: nobody could see the difference. */
  world_recording = false;
  history_settle();
  report_step("mutex unlock", mutex, -1, WORLD_SITE);
  give(mutex);
  world_leave();
  return 0;
}

/* -------------------------------------------------------------------------
 * Condition variables
 * ------------------------------------------------------------------------- */

static bool wait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                 uint64_t deadline)
{
  bool woken = true;

  give(mutex);
  if (!schedule_once_in(200)) /* else for nothing */
    woken = schedule_wait(condition, ALL_CLASSES, deadline);
  take(mutex);
  return woken;
}

int __wrap_pthread_cond_init(pthread_cond_t *condition,
                             const pthread_condattr_t *attributes);
int __wrap_pthread_cond_init(pthread_cond_t *condition,
                             const pthread_condattr_t *attributes)
{
  (void)condition;
  (void)attributes;
  return 0;
}

int __wrap_pthread_cond_destroy(pthread_cond_t *condition);
int __wrap_pthread_cond_destroy(pthread_cond_t *condition)
{
  (void)condition;
  return 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
  if (!world_recording)
    return 0;
  world_enter("condition wait", condition, -1, WORLD_SITE);
  (void)wait(condition, mutex, SCHEDULE_NO_DEADLINE);
  world_leave();
  return 0;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *condition,
                                  pthread_mutex_t *mutex,
                                  const struct timespec *until);
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition,
                                  pthread_mutex_t *mutex,
                                  const struct timespec *until)
{
  bool woken;

  if (!world_recording)
    return 0;
  world_enter("condition wait", condition, -1, WORLD_SITE);
  woken = wait(condition, mutex,
               (uint64_t)until->tv_sec * 1000000000 + (uint64_t)until->tv_nsec);
  world_leave();
  return woken ? 0 : ETIMEDOUT;
}

static void wake(pthread_cond_t *condition, unsigned n, uintptr_t site)
{
  if (!world_recording)
    return;
  world_enter("condition wake", condition, -1, site);
  (void)schedule_wake(condition, ALL_CLASSES, n);
  world_leave();
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *condition);
int __wrap_pthread_cond_broadcast(pthread_cond_t *condition)
{
  wake(condition, WORLD_THREADS, WORLD_SITE);
  return 0;
}

int __wrap_pthread_cond_signal(pthread_cond_t *condition);
int __wrap_pthread_cond_signal(pthread_cond_t *condition)
{
  wake(condition, 1, WORLD_SITE);
  return 0;
}

/* -------------------------------------------------------------------------
 * Once
 * ------------------------------------------------------------------------- */

enum { ONCE_BEGUN = 1, ONCE_DONE = 2 };

static struct once *once_of(const pthread_once_t *control)
{
  for (unsigned i = 0; i < once_count; i++) {
    if (onces[i].control == control)
      return &onces[i];
  }
  if (once_count == sizeof onces / sizeof *onces)
    abort();
  onces[once_count] = (struct once){.control = control};
  return &onces[once_count++];
}

int __wrap_pthread_once(pthread_once_t *control, void (*act)(void));
int __wrap_pthread_once(pthread_once_t *control, void (*act)(void))
{
  if (!world_recording) {
    if (*control != ONCE_DONE) {
      *control = ONCE_DONE;
      act();
    }
    return 0;
  }
  world_enter("once", control, -1, WORLD_SITE);
  if (*control == PTHREAD_ONCE_INIT) {
    *control = ONCE_BEGUN;
    world_leave();
    act();
    world_enter("once done", control, -1, WORLD_SITE);
    once_of(control)->stamp = clock_of(fiber_self())->now;
    (void)clock_step();
    *control = ONCE_DONE;
    (void)schedule_wake(control, ALL_CLASSES, WORLD_THREADS);
  }
  /* Ends: the other thread goes on. */
  while (*control != ONCE_DONE)
    (void)schedule_wait(control, ALL_CLASSES, SCHEDULE_NO_DEADLINE);
  stamp_join(&clock_of(fiber_self())->now, &once_of(control)->stamp);
  world_leave();
  return 0;
}

/* -------------------------------------------------------------------------
 * The ends of threads
 * ------------------------------------------------------------------------- */

int __wrap_pthread_key_create(pthread_key_t *key, void (*destroy)(void *));
int __wrap_pthread_key_create(pthread_key_t *key, void (*destroy)(void *))
{
  for (unsigned i = 0; i < KEYS; i++) {
    if (!keys[i].is_used) {
      keys[i].is_used = true;
      keys[i].destroy = destroy;
      *key = i;
      return 0;
    }
  }
  return EAGAIN;
}

int __wrap_pthread_key_delete(pthread_key_t key);
int __wrap_pthread_key_delete(pthread_key_t key)
{
  keys[key].is_used = false;
  return 0;
}

int __wrap_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
  of[fiber_self()].values[key] = (void *)(uintptr_t)value;
  return 0;
}

void *__wrap_pthread_getspecific(pthread_key_t key);
void *__wrap_pthread_getspecific(pthread_key_t key)
{
  return of[fiber_self()].values[key];
}

int __wrap___cxa_thread_atexit_impl(void (*end)(void *), void *arg,
                                    void *within);
int __wrap___cxa_thread_atexit_impl(void (*end)(void *), void *arg,
                                    void *within)
{
  unsigned self = fiber_self(), n = of[self].at_exit_count;

  (void)within;
  if (n == AT_EXIT)
    return -1;
  of[self].at_exit[n].end = end;
  of[self].at_exit[n].arg = arg;
  of[self].at_exit_count++;
  return 0;
}

/* One round of the destructors of thread-specific data; false: there was
 * nothing. */
static bool destroy_values(unsigned self)
{
  bool any = false;

  for (unsigned key = 0; key < KEYS; key++) {
    void *value = of[self].values[key];
    if (!keys[key].is_used || keys[key].destroy == NULL || value == NULL)
      continue;
    of[self].values[key] = NULL;
    keys[key].destroy(value);
    any = true;
  }
  return any;
}

void kernel_thread_ends(void)
{
  unsigned self = fiber_self();

  while (of[self].at_exit_count > 0) {
    unsigned n = --of[self].at_exit_count;
    of[self].at_exit[n].end(of[self].at_exit[n].arg);
  }
  for (unsigned round = 0; round < 4 && destroy_values(self); round++)
    continue;
}
