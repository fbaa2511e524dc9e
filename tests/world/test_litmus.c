/*
 * The world itself: the usual litmus tests of two threads give the outcomes
 * that C11 allows, all of them, and no others.
 *
 * In the names, the letters are those of the literature: SB is store buffering,
 * MP message passing, LB load buffering, and so on.
 */
#include "litmus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void sb(unsigned thread)
{
  set(thread == 0 ? &x : &y, 1);
  between();
  r[thread] = get(thread == 0 ? &y : &x);
}

static void store_buffering(void **state)
{
  static const struct litmus test = {"SB", sb, 2, 2, 0};
  const char *all = "00 01 10 11", *strong = "01 10 11";

  (void)state;
  litmus(&test, RELAXED, RELAXED, NULL, all);
  litmus(&test, RELEASE, ACQUIRE, NULL, all);
  litmus(&test, SEQ_CST, RELAXED, NULL, all);
  litmus(&test, SEQ_CST, ACQUIRE, NULL, all);
  litmus(&test, RELEASE, SEQ_CST, NULL, all);
  litmus(&test, RELEASE, ACQUIRE, fence_acq_rel, all);
  litmus(&test, SEQ_CST, SEQ_CST, NULL, strong);
  litmus(&test, RELAXED, RELAXED, fence_sc, strong);
}

static void sb_add(unsigned thread)
{
  atomic_fetch_add_explicit(thread == 0 ? &x : &y, 1, o1);
  r[thread] = get(thread == 0 ? &y : &x);
}

static void store_buffering_of_changes(void **state)
{
  static const struct litmus test = {"SB+add", sb_add, 2, 2, 0};

  (void)state;
  litmus(&test, ACQ_REL, ACQUIRE, NULL, "00 01 10 11");
  litmus(&test, SEQ_CST, SEQ_CST, NULL, "01 10 11");
}

static void sb_one(unsigned thread)
{
  set_relaxed(thread == 0 ? &x : &y, 1);
  if (thread == 0)
    fence_sc();
  r[thread] = get_relaxed(thread == 0 ? &y : &x);
}

static void sb_half(unsigned thread)
{
  atomic_store_explicit(thread == 0 ? &x : &y, 1, thread == 0 ? RELAXED : o1);
  if (thread == 0)
    fence_sc();
  r[thread] =
      atomic_load_explicit(thread == 0 ? &y : &x, thread == 0 ? RELAXED : o2);
}

static void fences_beside_accesses(void **state)
{
  static const struct litmus one = {"SB, one fence", sb_one, 2, 2, 0};
  static const struct litmus half = {"SB, fence and accesses", sb_half, 2, 2,
                                     0};

  (void)state;
  litmus(&one, RELAXED, RELAXED, NULL, "00 01 10 11");
  litmus(&half, SEQ_CST, SEQ_CST, NULL, "01 10 11");
  litmus(&half, SEQ_CST, ACQUIRE, NULL, "00 01 10 11");
}

static void mp(unsigned thread)
{
  if (thread == 0) {
    set_relaxed(&x, 1);
    between();
    set(&y, 1);
  } else {
    r[0] = get(&y);
    between();
    r[1] = get_relaxed(&x);
  }
}

static void mp_release_fence(unsigned thread)
{
  if (thread == 0) {
    set_relaxed(&x, 1);
    atomic_thread_fence(RELEASE);
    set_relaxed(&y, 1);
  } else {
    r[0] = get(&y);
    r[1] = get_relaxed(&x);
  }
}

static void mp_acquire_fence(unsigned thread)
{
  if (thread == 0) {
    set_relaxed(&x, 1);
    set(&y, 1);
  } else {
    r[0] = get_relaxed(&y);
    atomic_thread_fence(ACQUIRE);
    r[1] = get_relaxed(&x);
  }
}

static void message_passing(void **state)
{
  static const struct litmus test = {"MP", mp, 2, 2, 0};
  static const struct litmus release = {"MP, release fence", mp_release_fence,
                                        2, 2, 0};
  static const struct litmus acquire = {"MP, acquire fence", mp_acquire_fence,
                                        2, 2, 0};
  const char *all = "00 01 10 11", *strong = "00 01 11";

  (void)state;
  litmus(&test, RELAXED, RELAXED, NULL, all);
  litmus(&test, RELEASE, RELAXED, NULL, all);
  litmus(&test, RELAXED, ACQUIRE, NULL, all);
  litmus(&test, SEQ_CST, RELAXED, NULL, all);
  litmus(&test, RELEASE, ACQUIRE, NULL, strong);
  litmus(&test, SEQ_CST, SEQ_CST, NULL, strong);
  litmus(&test, RELAXED, RELAXED, fence_acq_rel, strong);
  litmus(&release, RELAXED, ACQUIRE, NULL, strong);
  litmus(&release, RELAXED, RELAXED, NULL, all);
  litmus(&acquire, RELEASE, RELAXED, NULL, strong);
  litmus(&acquire, RELAXED, RELAXED, NULL, all);
}

static void lb(unsigned thread)
{
  r[thread] = get(thread == 0 ? &x : &y);
  set(thread == 0 ? &y : &x, 1);
}

/* C11 allows 11 to relaxed accesses. Here no load returns what is stored after
 * it. */
static void load_buffering(void **state)
{
  static const struct litmus test = {"LB", lb, 2, 2, 0};

  (void)state;
  litmus(&test, RELAXED, RELAXED, NULL, "00 01 10");
  litmus(&test, RELEASE, ACQUIRE, NULL, "00 01 10");
}

static void two_plus_two_w(unsigned thread)
{
  set(thread == 0 ? &x : &y, 1);
  between();
  set(thread == 0 ? &y : &x, 2);
}

static void two_writes_and_two(void **state)
{
  static const struct litmus test = {"2+2W", two_plus_two_w, 2, 0, 2};

  (void)state;
  litmus(&test, RELAXED, RELAXED, NULL, "11 12 21 22");
  litmus(&test, RELEASE, ACQUIRE, NULL, "11 12 21 22");
  litmus(&test, SEQ_CST, SEQ_CST, NULL, "12 21 22");
  litmus(&test, RELAXED, RELAXED, fence_sc, "12 21 22");
}

static void r_test(unsigned thread)
{
  if (thread == 0) {
    set(&x, 1);
    between();
    set(&y, 1);
  } else {
    set(&y, 2);
    between();
    r[0] = get(&x);
    r[1] = get_relaxed(&y);
  }
}

/* r0 = 0 and y = 2 at the end: the second thread's store was the later one. */
static void write_after_write_and_read(void **state)
{
  static const struct litmus test = {"R", r_test, 2, 1, 2};

  (void)state;
  litmus(&test, RELAXED, RELAXED, NULL, "011 012 111 112");
  litmus(&test, RELEASE, ACQUIRE, NULL, "011 012 111 112");
  litmus(&test, SEQ_CST, SEQ_CST, NULL, "011 111 112");
  litmus(&test, RELAXED, RELAXED, fence_sc, "011 111 112");
}

static void s_test(unsigned thread)
{
  if (thread == 0) {
    set_relaxed(&x, 2);
    set(&y, 1);
  } else {
    r[0] = get(&y);
    set_relaxed(&x, 1);
  }
}

static void write_and_read_before_write(void **state)
{
  static const struct litmus test = {"S", s_test, 2, 1, 1};

  (void)state;
  litmus(&test, RELAXED, RELAXED, NULL, "01 02 11 12");
  litmus(&test, RELEASE, RELAXED, NULL, "01 02 11 12");
  litmus(&test, RELEASE, ACQUIRE, NULL, "01 02 11");
}

/* -------------------------------------------------------------------------
 * One atomic
 * ------------------------------------------------------------------------- */

static void corr(unsigned thread)
{
  if (thread == 0) {
    set(&x, 1);
    set(&x, 2);
  } else {
    r[0] = get(&x);
    r[1] = get(&x);
  }
}

static void corr_writers(unsigned thread)
{
  if (thread < 2) {
    set(&x, 1 + (int)thread);
  } else {
    r[2 * (thread - 2)] = get(&x);
    r[2 * (thread - 2) + 1] = get(&x);
  }
}

static void cowr(unsigned thread)
{
  set(&x, 1 + (int)thread);
  if (thread == 0)
    r[0] = get(&x);
}

static void add(unsigned thread)
{
  r[thread] = atomic_fetch_add_explicit(&x, 1, o1);
}

static void take_once(unsigned thread)
{
  int none = 0;

  r[thread] =
      atomic_compare_exchange_strong_explicit(&x, &none, 1, o1, RELAXED);
}

static void coherence(void **state)
{
  static const struct litmus reads = {"CoRR", corr, 2, 2, 0};
  static const struct litmus writers = {"CoRR, two writers", corr_writers, 4, 4,
                                        0};
  static const struct litmus own = {"CoWR", cowr, 2, 1, 1};
  static const struct litmus adds = {"add", add, 2, 2, 1};
  static const struct litmus once = {"compare and exchange", take_once, 2, 2,
                                     1};

  (void)state;
  litmus(&reads, RELAXED, RELAXED, NULL, "00 01 02 11 12 22");
  litmus(&reads, SEQ_CST, SEQ_CST, NULL, "00 01 02 11 12 22");
  litmus(&writers, RELAXED, RELAXED, NULL,
         "0000 0001 0002 0011 0012 0021 0022 0100 0101 0102 0111 0112 0121 "
         "0122 0200 0201 0202 0211 0212 0221 0222 1100 1101 1102 1111 1112 "
         "1121 1122 1200 1201 1202 1211 1212 1222 2100 2101 2102 2111 2121 "
         "2122 2200 2201 2202 2211 2212 2221 2222");
  litmus(&own, RELAXED, RELAXED, NULL, "11 12 22");
  litmus(&adds, RELAXED, RELAXED, NULL, "012 102");
  litmus(&once, RELAXED, RELAXED, NULL, "011 101");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(store_buffering),
      cmocka_unit_test(store_buffering_of_changes),
      cmocka_unit_test(fences_beside_accesses),
      cmocka_unit_test(message_passing),
      cmocka_unit_test(load_buffering),
      cmocka_unit_test(two_writes_and_two),
      cmocka_unit_test(write_after_write_and_read),
      cmocka_unit_test(write_and_read_before_write),
      cmocka_unit_test(coherence),
  };

  return cmocka_run_group_tests_name("litmus", tests, NULL, NULL);
}
