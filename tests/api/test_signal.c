/*
 * A signal handler that reads the map which the interrupted thread writes to:
 * each call ends, with a value that was there or with CMAP_BUSY. The thread
 * meanwhile makes calls on one key, in that map, and takes guards in another.
 */
#include "checks.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

/* Words of a value: one, or as many as a lock-free read may copy. */
enum { KEYS = 100, WORDS_MOST = 32, HANG_SECONDS = 60 };

static struct {
  struct cmap *map, *other;
  size_t words;
  uint64_t next;     /* of the handler's keys */
  uint64_t progress; /* of the thread */
  volatile sig_atomic_t calls, found, busy;
  volatile sig_atomic_t wrong; /* the number of the first fault */
} scene;

static void fault(int number)
{
  if (scene.wrong == 0)
    scene.wrong = number;
}

/* Every word of a value is the same, and tells the key. */
static void read_one(int signal)
{
  struct cmap_how try_only = cmap_how_try();
  uint64_t key = scene.next++ % KEYS, value[WORDS_MOST] = {0};
  int saved = errno;
  enum cmap_status status;

  (void)signal;
  errno = 4711;
  status = cmap_get(scene.map, cmap_key_u64(&key), value, &try_only);
  scene.calls++;
  if (status == CMAP_OK) {
    scene.found++;
    if (value[0] % KEYS != key)
      fault(1);
    for (size_t i = 1; i < scene.words; i++)
      if (value[i] != value[0])
        fault(2);
  } else if (status == CMAP_BUSY) {
    scene.busy++;
  } else {
    fault(3);
  }
  status = cmap_contains(scene.map, cmap_key_u64(&key), &try_only);
  if (status != CMAP_OK && status != CMAP_BUSY)
    fault(4);
  if (errno != 4711)
    fault(5);
  errno = saved;
}

/* One signal, soon: not again and again, so that the thread gets on. */
static void interrupt_soon(timer_t timer, struct random *random)
{
  struct itimerspec soon = {
      .it_value = {0, (long)(1 + random_below(random, 30000))}};

  assert_int_equal(timer_settime(timer, 0, &soon, NULL), 0);
}

static void fill(uint64_t *value, uint64_t number)
{
  for (size_t i = 0; i < scene.words; i++)
    value[i] = number;
}

/* Calls on one key, without a callback; others come and go, so that the map
 * grows and shrinks under the handler. */
static void write_one(uint64_t round)
{
  uint64_t key = round % KEYS, more = KEYS + round % 3000;
  uint64_t value[WORDS_MOST], old[WORDS_MOST];

  fill(value, key + KEYS * (round % 1000));
  CHECK_OK(cmap_insert(scene.map, cmap_key_u64(&key), value, old, NULL, NULL));
  if (scene.words == 1)
    CHECK_OK(cmap_fetch_add(scene.map, cmap_key_u64(&key), KEYS, old, NULL));
  if (round / 3000 % 2 == 0)
    CHECK_OK(
        cmap_insert(scene.map, cmap_key_u64(&more), value, NULL, NULL, NULL));
  else
    (void)!cmap_remove(scene.map, cmap_key_u64(&more), NULL, NULL);
}

/* The lists of what it holds change, but hold nothing of the handler's map. */
static void hold_others(uint64_t round)
{
  uint64_t key = round % KEYS;
  struct cmap_write_guard guard = CMAP_INIT;
  size_t len;

  assert_ok(cmap_get_mut(scene.other, cmap_key_u64(&key), &guard, NULL));
  assert_ok(cmap_write_guard_release(&guard));
  assert_ok(cmap_len_exact(scene.other, &len, NULL));
}

static void open_maps(size_t words)
{
  struct cmap_options options;

  cmap_options_init(&options, CMAP_U64, words * sizeof(uint64_t));
  options.shard_groups = 1;
  options.flags |= CMAP_AUTO_SHRINK;
  scene.words = words;
  assert_ok(cmap_create(&options, &scene.map));
  assert_ok(cmap_create(&options, &scene.other));
  for (uint64_t key = 0; key < KEYS; key++) {
    uint64_t value[WORDS_MOST];
    fill(value, key);
    assert_ok(
        cmap_insert(scene.map, cmap_key_u64(&key), value, NULL, NULL, NULL));
    assert_ok(
        cmap_insert(scene.other, cmap_key_u64(&key), value, NULL, NULL, NULL));
  }
}

/* Another thread, which has no handler to run, is in the way now and then. */
static atomic_bool stop;

static void write_too(unsigned index, void *ctx)
{
  (void)index;
  (void)ctx;
  for (uint64_t round = 0; !atomic_load(&stop); round++)
    write_one(round);
}

static void handler_reads(size_t words)
{
  struct sigaction action = {.sa_handler = read_one, .sa_flags = SA_RESTART};
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                           .sigev_signo = SIGUSR1};
  struct thread thread;
  struct random random;
  sigset_t set;
  timer_t timer;

  random_begin(&random, words);
  open_maps(words);
  scene.calls = scene.found = scene.busy = scene.wrong = 0;
  assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
  assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
  atomic_init(&stop, false);
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  thread_start(&thread, write_too, 0, NULL);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  alarm(HANG_SECONDS + (unsigned)test_soak_seconds());
  for (size_t n = test_scale(10000); n > 0; n--) {
    interrupt_soon(timer, &random);
    for (uint64_t i = 0; i < 20; i++) {
      write_one(20 * n + i);
      hold_others(20 * n + i);
    }
  }
  alarm(0);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  atomic_store(&stop, true);
  thread_join(&thread);
  checks_assert();
  assert_int_equal(timer_delete(timer), 0);
  print_message("%ld calls in the handler, %ld times busy\n", (long)scene.calls,
                (long)scene.busy);
  assert_int_equal(scene.wrong, 0);
  cmap_destroy(scene.map);
  cmap_destroy(scene.other);
}

static void values_of_a_word(void **state)
{
  (void)state;
  handler_reads(1);
}

static void values_of_many_words(void **state)
{
  (void)state;
  handler_reads(WORDS_MOST);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_of_a_word),
      cmocka_unit_test(values_of_many_words),
  };

  return cmocka_run_group_tests_name("signal", tests, NULL, NULL);
}
