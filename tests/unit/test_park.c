/*
 * Parking on a word, on whichever back end was built.
 *
 * A lost wake-up is a hang, which alarm() turns into a failure.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/atomics.h"
#include "sync/park.h"

#define HANG_SECONDS 110
#define MILLISECOND  UINT64_C(1000000)
#define TURNS        20000

static void test_results(void **state)
{
  _Atomic uint32_t word = 7;

  (void)state;
  errno = EDOM; /* is left alone */
  assert_int_equal(cmap__park_wait(&word, 8, 1, CMAP__NO_DEADLINE),
                   CMAP__PARK_CHANGED);
  while (cmap__park_wait(&word, 7, 1, cmap__now_ns() + MILLISECOND) !=
         CMAP__PARK_TIMEDOUT)
    continue; /* woken by nobody: allowed */
  while (cmap__park_wait(&word, 7, 1, 0) != CMAP__PARK_TIMEDOUT)
    continue;
  cmap__park_wake(&word, 1, CMAP__PARK_ALL);
  assert_int_equal(errno, EDOM);
}

/* Two threads take turns: each waits while the word's lowest bit is not its. */
static _Atomic uint32_t turn;

static void take_turns(uint32_t mine)
{
  for (int i = 0; i < TURNS; i++) {
    uint32_t now;

    /* The word alone is shared: relaxed. */
    while (((now = cmap__load_relaxed(&turn)) & 1) != mine)
      cmap__park_wait(&turn, now, 1u << mine, CMAP__NO_DEADLINE);
    cmap__add_relaxed(&turn, 1);
    cmap__park_wake(&turn, 1u << !mine, 1);
  }
}

static void *odd_main(void *unused)
{
  (void)unused;
  take_turns(1);
  return NULL;
}

static void test_turns(void **state)
{
  pthread_t odd;

  (void)state;
  assert_int_equal(pthread_create(&odd, NULL, odd_main, NULL), 0);
  take_turns(0);
  pthread_join(odd, NULL);
  assert_int_equal(turn, 2 * TURNS);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_results),
      cmocka_unit_test(test_turns),
  };

  alarm(HANG_SECONDS);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
