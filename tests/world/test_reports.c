/*
 * What the world is to report, it reports.
 */
#include "litmus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

static int plain;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t other = PTHREAD_MUTEX_INITIALIZER;
static int *memory;

static void plain_message(unsigned thread)
{
  if (thread == 0) {
    plain = 1;
    set(&x, 1);
  } else if (get(&x) == 1) {
    WORLD_CHECK(plain == 1);
  }
}

static void plain_under_mutex(unsigned thread)
{
  pthread_mutex_lock(&mutex);
  plain += (int)thread;
  pthread_mutex_unlock(&mutex);
}

static void plain_beside_mutex(unsigned thread)
{
  if (thread == 0)
    pthread_mutex_lock(&mutex);
  plain += (int)thread;
  if (thread == 0)
    pthread_mutex_unlock(&mutex);
}

static void circle(unsigned thread)
{
  pthread_mutex_lock(thread == 0 ? &mutex : &other);
  pthread_mutex_lock(thread == 0 ? &other : &mutex);
  pthread_mutex_unlock(&mutex);
  pthread_mutex_unlock(&other);
}

static void use_freed(unsigned thread)
{
  if (thread == 0) {
    memory = malloc(sizeof *memory);
    if (memory == NULL)
      return;
    *memory = 1;
    free(memory);
    set(&x, 1);
  } else if (get(&x) == 1) {
    (*memory)++;
  }
}

static void never_ends(unsigned thread)
{
  /* Ends: never, that is the test. */
  while (thread == 0 && get_relaxed(&x) == 0)
    continue;
}

static void forget(void)
{
  x = plain = 0;
}

/* Does the world find fault with the scenario? */
static bool fails(void (*act)(unsigned thread), memory_order first,
                  memory_order second)
{
  struct scenario scenario = {
      .name = "a child", .threads = 2, .begin = forget, .act = act};
  int status;
  pid_t child = fork();

  if (child == 0) {
    setenv("CMAP_WORLD_QUIET", "1", 1);
    close(STDERR_FILENO);
    o1 = first;
    o2 = second;
    world_play(&scenario, 2000);
    _exit(0);
  }
  assert_true(child > 0);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status) != 0;
}

static void faults_are_reported(void **state)
{
  (void)state;
  assert_true(fails(plain_message, RELAXED, RELAXED));
  assert_true(fails(plain_message, RELEASE, RELAXED));
  assert_true(fails(plain_message, RELAXED, ACQUIRE));
  assert_false(fails(plain_message, RELEASE, ACQUIRE));
  assert_false(fails(plain_under_mutex, RELAXED, RELAXED));
  assert_true(fails(plain_beside_mutex, RELAXED, RELAXED));
  assert_true(fails(circle, RELAXED, RELAXED));
  assert_true(fails(use_freed, RELEASE, ACQUIRE));
  assert_true(fails(never_ends, RELAXED, RELAXED));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(faults_are_reported),
  };

  return cmocka_run_group_tests_name("reports", tests, NULL, NULL);
}
