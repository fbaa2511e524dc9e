/*
 * What the environment asks of the tests.
 *
 *   CMAP_TEST_SCALE         per cent of the usual loop counts
 *   CMAP_TEST_SEED          seed of all random choices; printed by each test
 *                           program, so that a failing run can be repeated
 *   CMAP_TEST_EMULATED      1: an emulator of another machine runs the tests
 *   CMAP_TEST_SOAK_SECONDS  a stress test program repeats its rounds until
 *                           this time has passed
 */
#ifndef CMAP_TEST_SETTINGS_H
#define CMAP_TEST_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* n by the scale, at least 1; and a time in nanoseconds. */
size_t test_scale(size_t n);
uint64_t test_scale_ns(uint64_t ns);

/* The seed of this process, printed when it is first asked for. */
uint64_t test_seed(void);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t test_now(void);

/* Does valgrind run this process; does an emulator of another machine? */
bool test_under_valgrind(void);
bool test_emulated(void);

/* CMAP_TEST_SOAK_SECONDS, or 0. */
uint64_t test_soak_seconds(void);

/*
 * The time for which one test of a program repeats its rounds:
 *     soak_begin(&soak, number of tests in the program);
 *     do { a round } while (soak_again(&soak));
 */
struct soak {
  uint64_t end; /* as test_now */
};

void soak_begin(struct soak *soak, unsigned tests);
bool soak_again(const struct soak *soak);

#endif
