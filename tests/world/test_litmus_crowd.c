/*
 * The same with three threads and four (IRIW is independent reads of
 * independent writes, WRC write to read causality), release sequences, and the
 * asymmetric fence.
 */
#include "litmus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/syscall.h>
#include <unistd.h>

#include "world.h"

static void iriw(unsigned thread)
{
  if (thread < 2) {
    set(thread == 0 ? &x : &y, 1);
  } else {
    unsigned at = 2 * (thread - 2);
    r[at] = get(thread == 2 ? &x : &y);
    between();
    r[at + 1] = get(thread == 2 ? &y : &x);
  }
}

static void independent_reads(void **state)
{
  static const struct litmus test = {"IRIW", iriw, 4, 4, 0};

  (void)state;
  litmus(&test, RELAXED, RELAXED, NULL, "!");
  litmus(&test, RELEASE, ACQUIRE, NULL, "!");
  litmus(&test, RELAXED, RELAXED, fence_acq_rel, "!");
  litmus(&test, SEQ_CST, ACQUIRE, NULL, "!");
  litmus(&test, SEQ_CST, SEQ_CST, NULL, "!1010");
  litmus(&test, RELAXED, RELAXED, fence_sc, "!1010");
}

static void wrc(unsigned thread)
{
  if (thread == 0) {
    set_relaxed(&x, 1);
  } else if (thread == 1) {
    r[0] = get(&x);
    set(&y, 1);
  } else {
    r[1] = get(&y);
    r[2] = get_relaxed(&x);
  }
}

static void isa2(unsigned thread)
{
  if (thread == 0) {
    set_relaxed(&x, 1);
    set(&y, 1);
  } else if (thread == 1) {
    r[0] = get(&y);
    set(&z, 1);
  } else {
    r[1] = get(&z);
    r[2] = get_relaxed(&x);
  }
}

static void rwc(unsigned thread)
{
  if (thread == 0) {
    set(&x, 1);
  } else if (thread == 1) {
    r[0] = get(&x);
    between();
    r[1] = get(&y);
  } else {
    set(&y, 1);
    between();
    r[2] = get(&x);
  }
}

static void causality(void **state)
{
  static const struct litmus to_read = {"WRC", wrc, 3, 3, 0};
  static const struct litmus chain = {"ISA2", isa2, 3, 3, 0};
  static const struct litmus read_to = {"RWC", rwc, 3, 3, 0};

  (void)state;
  litmus(&to_read, RELAXED, RELAXED, NULL, "!");
  litmus(&to_read, RELEASE, RELAXED, NULL, "!");
  litmus(&to_read, RELEASE, ACQUIRE, NULL, "!110");
  litmus(&chain, RELAXED, ACQUIRE, NULL, "!");
  litmus(&chain, RELEASE, ACQUIRE, NULL, "!110");
  litmus(&read_to, RELEASE, ACQUIRE, NULL, "!");
  litmus(&read_to, RELAXED, RELAXED, fence_sc, "!100");
  litmus(&read_to, SEQ_CST, SEQ_CST, NULL, "!100");
}

static void sequence(unsigned thread)
{
  int one = 1;

  if (thread == 0) {
    set_relaxed(&x, 1);
    atomic_store_explicit(&y, 1, RELEASE);
  } else if (thread == 1) {
    (void)atomic_compare_exchange_strong_explicit(&y, &one, 2, RELAXED,
                                                  RELAXED);
  } else {
    r[0] = atomic_load_explicit(&y, ACQUIRE);
    r[1] = get_relaxed(&x);
  }
}

static void broken_sequence(unsigned thread)
{
  if (thread == 1) {
    if (get_relaxed(&y) == 1)
      set_relaxed(&y, 2);
  } else {
    sequence(thread);
  }
}

static void own_sequence(unsigned thread)
{
  if (thread == 0) {
    set_relaxed(&x, 1);
    atomic_store_explicit(&y, 1, RELEASE);
    set_relaxed(&y, 2);
  } else {
    sequence(2);
  }
}

/* A later store of the same thread does not go on with a release sequence, as
 * in C++20; in C11 it does. */
static void release_sequences(void **state)
{
  static const struct litmus change = {"release sequence", sequence, 3, 2, 0};
  static const struct litmus store = {"broken sequence", broken_sequence, 3, 2,
                                      0};
  static const struct litmus own = {"own sequence", own_sequence, 2, 2, 0};

  (void)state;
  litmus(&change, RELAXED, RELAXED, NULL, "00 01 11 21");
  litmus(&store, RELAXED, RELAXED, NULL, "00 01 11 20 21");
  litmus(&own, RELAXED, RELAXED, NULL, "00 01 11 20 21");
}

/* -------------------------------------------------------------------------
 * The asymmetric fence
 * ------------------------------------------------------------------------- */

static void light(void)
{
  atomic_signal_fence(SEQ_CST);
}

static void asymmetric(unsigned thread)
{
  set_relaxed(thread == 0 ? &x : &y, 1);
  if (thread == 0)
    light();
  else
    between();
  r[thread] = get_relaxed(thread == 0 ? &y : &x);
}

static void by_system_call(void)
{
  (void)syscall(SYS_membarrier, 8, 0, 0); /* PRIVATE_EXPEDITED */
}

static void light_and_heavy_fences(void **state)
{
  static const struct litmus test = {"SB, light and other", asymmetric, 2, 2,
                                     0};

  (void)state;
  litmus(&test, RELAXED, RELAXED, light, "00 01 10 11");
  litmus(&test, RELAXED, RELAXED, fence_sc, "00 01 10 11");
  litmus(&test, RELAXED, RELAXED, world_heavy_fence, "01 10 11");
  litmus(&test, RELAXED, RELAXED, by_system_call, "01 10 11");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(independent_reads),
      cmocka_unit_test(causality),
      cmocka_unit_test(release_sequences),
      cmocka_unit_test(light_and_heavy_fences),
  };

  return cmocka_run_group_tests_name("litmus_crowd", tests, NULL, NULL);
}
