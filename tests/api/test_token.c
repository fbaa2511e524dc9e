/*
 * Cancellation tokens: calls that wait give up when another thread cancels, on
 * locks and on constructions; those that need not wait go on; nobody is left
 * asleep, and no lock is left behind.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "asleep.h"
#include "calls.h"
#include "settings.h"
#include "store_scene.h"
#include "threads.h"

static const struct store_scene scenes[] = {
    /* Constructions. */
    {"a waiter gives up", "a create S1 builds, b create S1 token waits,"
                          " c create S1 waits, - trips, b resumes ECANCELED,"
                          " a counts:1 S1, a makes #1, c resumes #1,"
                          " b get S1 #1, - stats waiters=0 done=1"},
    {"the constructor sees that nobody waits",
     "a create S1 builds, b create S1 token waits, a counts:1 S1, - trips,"
     " b resumes ECANCELED, a counts:0 S1, a fails:7 7,"
     " - stats failed=1 remembered=0"},
    {"nobody waits any more, and another comes",
     "a create S1 builds, b create S1 token waits, - trips,"
     " b resumes ECANCELED, a fails:7 7, b create S1 builds, b makes #1"},
    {"cancelled before", "a create S1 builds, - trips,"
                         " b create S1 token ECANCELED, a makes #1,"
                         " b create S1 token #1, b create S2 token builds,"
                         " b makes #2"},
    {"with a deadline as well", "a create S1 builds,"
                                " b create S1 token late waits, - trips,"
                                " b resumes ECANCELED, c create S1 token try"
                                " BUSY, a makes #1"},
    {"the deadline comes first", "a create S1 builds,"
                                 " b create S1 token soon waits,"
                                 " b resumes TIMEDOUT, - trips, a makes #1"},
    {"all give up", "a create S1 builds, b create S1 token waits,"
                    " c create S1 token waits, d create S1 token waits,"
                    " e create S1 waits, - trips, b resumes ECANCELED,"
                    " c resumes ECANCELED, d resumes ECANCELED, a makes #1,"
                    " e resumes #1"},
    {"a refresh", "a put S1 #1, a refresh S1 builds, b refresh S1 token waits,"
                  " - trips, b resumes ECANCELED, a makes #2, b get S1 #2"},
    {"a ticket", "a begin S1 YOURS, b create S1 token waits, - trips,"
                 " b resumes ECANCELED, a complete S1 #1, b get S1 #1"},
    {"who builds is not stopped", "a create S1 token builds, - trips,"
                                  " a makes #1, b get S1 #1"},
    {"a status like that is not remembered",
     "negative | a create S1 builds, a fails:ECANCELED ECANCELED,"
     " a create S1 builds, a makes #1, - stats remembered=0"},
    {"a circle is one all the same",
     "a create S1 builds, b create S2 builds, a create S2 token waits,"
     " b create S1 token EDEADLK, - trips, a resumes ECANCELED, b makes #1,"
     " a makes #2"},
    /* Locks. */
    {"a guard", "a lock M1, b lock M1 token waits, - trips,"
                " b resumes ECANCELED, a unlocks, b lock M1, b unlocks"},
    {"guards, some without", "a lock M1, b lock M1 token waits,"
                             " c lock M1 waits, d lock M1 token waits,"
                             " - trips, b resumes ECANCELED,"
                             " d resumes ECANCELED, a unlocks, c resumes,"
                             " c unlocks"},
    {"a guard and a construction",
     "a lock M1, b create S1 builds, c lock M1 token waits,"
     " d create S1 token waits, - trips, c resumes ECANCELED,"
     " d resumes ECANCELED, b makes #1, a unlocks"},
};

static bool is_readable(int fd)
{
  struct pollfd asked = {.fd = fd, .events = POLLIN};

  return poll(&asked, 1, 0) == 1 && (asked.revents & POLLIN) != 0;
}

static void a_descriptor_tells_of_it(void **state)
{
  struct cmap_token *token;
  int fd = -1, again = -1;

  (void)state;
  for (int late = 0; late < 2; late++) {
    assert_status(cmap_token_create(&token), CMAP_OK);
    assert_false(cmap_token_is_canceled(token));
    if (late)
      cmap_token_cancel(token);
    assert_status(cmap_token_fd(token, &fd), CMAP_OK);
    assert_int_equal(is_readable(fd), late);
    cmap_token_cancel(token);
    cmap_token_cancel(token);
    assert_true(cmap_token_is_canceled(token));
    assert_true(is_readable(fd));
    assert_status(cmap_token_fd(token, &again), CMAP_OK);
    assert_int_equal(fd, again);
    assert_status(cmap_token_destroy(token), CMAP_OK);
    assert_false(is_readable(fd)); /* closed */
  }
}

/* Opens the descriptor of a token that was cancelled, and is cancelled itself.
 */
static void open_late(unsigned index, void *token)
{
  int fd = -1, before;

  (void)index;
  CHECK(pthread_cancel(pthread_self()) == 0);
  CHECK_OK(cmap_token_fd(token, &fd));
  CHECK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before) == 0);
  CHECK(is_readable(fd));
}

static void no_mutex_is_left_behind(void **state)
{
  struct cmap_token *token;
  struct thread thread;

  (void)state;
  assert_status(cmap_token_create(&token), CMAP_OK);
  cmap_token_cancel(token);
  thread_start(&thread, open_late, 0, token);
  thread_join(&thread);
  alarm(20);
  assert_status(cmap_token_destroy(token), CMAP_OK);
  alarm(0);
  checks_assert();
}

static void wrong_arguments(void **state)
{
  struct cmap *map = calls_map(1);
  struct cmap_how how = cmap_how_with(NULL);
  struct cmap_token *token;
  uint64_t id = 0, value;
  int fd;

  (void)state;
  assert_status(cmap_token_create(NULL), CMAP_EINVAL);
  assert_status(cmap_token_fd(NULL, &fd), CMAP_EINVAL);
  assert_status(cmap_token_destroy(NULL), CMAP_OK);
  assert_false(cmap_token_is_canceled(NULL));
  cmap_token_cancel(NULL);
  assert_status(cmap_token_create(&token), CMAP_OK);
  assert_status(cmap_token_fd(token, NULL), CMAP_EINVAL);
  assert_status(cmap_get(map, cmap_key_u64(&id), &value, &how), CMAP_EINVAL);
  how.token = token;
  assert_status(cmap_get(map, cmap_key_u64(&id), &value, &how), CMAP_OK);
  /* A program that does not know the member cannot ask for it. */
  how.size = offsetof(struct cmap_how, token);
  assert_status(cmap_get(map, cmap_key_u64(&id), &value, &how), CMAP_EINVAL);
  how.flags = 0;
  assert_status(cmap_get(map, cmap_key_u64(&id), &value, &how), CMAP_OK);
  assert_status(cmap_token_destroy(token), CMAP_OK);
  cmap_destroy(map);
}

/* Threads wait for one lock with a token, over and over, while another one
 * cancels it: nobody stays asleep, whenever that comes. */
#define ROUNDS 300

struct race {
  struct cmap *map;
  struct cmap_token *token;
  atomic_uint canceled;
};

static void wait_for_the_lock(unsigned index, void *ctx)
{
  struct race *race = ctx;
  struct cmap_write_guard guard = CMAP_INIT;
  struct cmap_how how = cmap_how_with(race->token);
  uint64_t id = 0;

  (void)index;
  CHECK_STATUS(cmap_get_mut(race->map, cmap_key_u64(&id), &guard, &how),
               CMAP_ECANCELED);
  atomic_fetch_add(&race->canceled, 1);
}

static void cancel_after(unsigned turns, void *ctx)
{
  struct race *race = ctx;

  for (unsigned i = 0; i < turns; i++)
    sched_yield();
  cmap_token_cancel(race->token);
}

static void cancelling_at_any_moment(void **state)
{
  struct race race = {.map = calls_map(1)};
  struct cmap_write_guard guard = CMAP_INIT;
  size_t rounds = test_scale(ROUNDS);
  uint64_t id = 0;

  (void)state;
  for (size_t round = 0; round < rounds; round++) {
    struct thread threads[4];

    assert_status(cmap_token_create(&race.token), CMAP_OK);
    assert_status(cmap_get_mut(race.map, cmap_key_u64(&id), &guard, NULL),
                  CMAP_OK);
    for (unsigned i = 0; i < 3; i++)
      thread_start(&threads[i], wait_for_the_lock, i, &race);
    thread_start(&threads[3], cancel_after, (unsigned)(round % 8) * 40, &race);
    for (unsigned i = 0; i < 4; i++)
      thread_join(&threads[i]); /* the lock is held all the time */
    cmap_write_guard_release(&guard);
    assert_status(cmap_token_destroy(race.token), CMAP_OK);
  }
  checks_assert();
  assert_int_equal(atomic_load(&race.canceled), 3 * rounds);
  cmap_destroy(race.map);
}

struct sleeper {
  struct race race;
  struct asleep asleep;
};

static void sleep_for_the_lock(unsigned index, void *ctx)
{
  struct sleeper *sleeper = ctx;

  asleep_here(&sleeper->asleep);
  wait_for_the_lock(index, &sleeper->race);
}

/* A token that a call sleeps with is not destroyed. */
static void a_token_in_use_stays(void **state)
{
  struct sleeper sleeper = {.race = {.map = calls_map(1)}};
  struct cmap_write_guard guard = CMAP_INIT;
  struct race *race = &sleeper.race;
  struct thread thread;
  uint64_t id = 0;

  (void)state;
  assert_status(cmap_token_create(&race->token), CMAP_OK);
  assert_status(cmap_get_mut(race->map, cmap_key_u64(&id), &guard, NULL),
                CMAP_OK);
  asleep_begin(&sleeper.asleep);
  thread_start(&thread, sleep_for_the_lock, 0, &sleeper);
  asleep_wait(&sleeper.asleep);
  assert_status(cmap_token_destroy(race->token), CMAP_BUSY);
  assert_false(cmap_token_is_canceled(race->token));
  cmap_token_cancel(race->token);
  thread_join(&thread);
  assert_status(cmap_token_destroy(race->token), CMAP_OK);
  cmap_write_guard_release(&guard);
  cmap_destroy(race->map);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest others[] = {
      cmocka_unit_test(a_token_in_use_stays),
      cmocka_unit_test(a_descriptor_tells_of_it),
      cmocka_unit_test(no_mutex_is_left_behind),
      cmocka_unit_test(wrong_arguments),
      cmocka_unit_test(cancelling_at_any_moment),
  };

  return store_scenes_run("token", scenes, sizeof scenes / sizeof *scenes,
                          others, sizeof others / sizeof *others);
}
