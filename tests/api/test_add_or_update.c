/* cmap_add_or_update and cmap_add_or_update_unlocked. */
#include "calls.h"
#include "numbers.h"
#include "operations_guards.h"
#include "settings.h"
#include "step.h"
#include "threads.h"

#include <string.h>

#define KEY     UINT64_C(7)
#define USER    ((enum cmap_status)USER_STATUS)
#define THREADS 4

static void both_on_every_kind_of_map(void **state)
{
  static op_fn *const ops[] = {op_add_or_update, op_add_or_update_unlocked,
                               op_add_or_update, op_add_or_update_unlocked,
                               op_remove};

  (void)state;
  op_exercise(ops, sizeof ops / sizeof *ops);
}

/* Callbacks that add 1, and what they do besides. */
struct adder {
  struct cmap *map;
  unsigned adds, updates;
  enum cmap_status status;
  unsigned interfere;                   /* so many callbacks are disturbed */
  struct step *step;                    /* by another thread, or */
  void (*disturb)(struct adder *adder); /* by themselves */
};

enum { STEP_CALLED = 1, STEP_DISTURBED };

static enum cmap_status called(struct adder *adder)
{
  if (adder->adds + adder->updates <= adder->interfere) {
    if (adder->step != NULL) {
      step_done(adder->step, STEP_CALLED);
      step_wait(adder->step, STEP_DISTURBED);
    } else {
      adder->disturb(adder);
    }
  }
  return adder->status;
}

static enum cmap_status add(struct cmap_key key, void *value, void *ctx)
{
  struct adder *adder = ctx;
  uint64_t number;

  CHECK(key.size == 8);
  memcpy(&number, value, sizeof number);
  CHECK(number == 0);
  number = 1;
  memcpy(value, &number, sizeof number);
  adder->adds++;
  return called(adder);
}

static enum cmap_status update(struct cmap_key key, const void *old,
                               void *fresh, void *ctx)
{
  struct adder *adder = ctx;
  uint64_t number;

  CHECK(key.size == 8);
  CHECK(memcmp(old, fresh, sizeof number) == 0);
  memcpy(&number, old, sizeof number);
  number++;
  memcpy(fresh, &number, sizeof number);
  adder->updates++;
  return called(adder);
}

struct outcome {
  enum cmap_status status;
  enum cmap_event event;
  uint64_t out;
  struct cmap_attempts attempts;
};

static struct outcome run(struct adder *adder, bool unlocked, unsigned max)
{
  struct outcome o = {CMAP_OK, NO_EVENT, 99, {max, 77, 77}};
  uint64_t id = KEY;
  struct cmap_key key = cmap_key_u64(&id);

  adder->adds = adder->updates = 0;
  o.status = unlocked ? cmap_add_or_update_unlocked(adder->map, key, &o.out,
                                                    &o.event, add, update,
                                                    adder, &o.attempts, NULL)
                      : cmap_add_or_update(adder->map, key, &o.out, &o.event,
                                           add, update, adder, NULL);
  if (unlocked) {
    CHECK(o.attempts.max == max);
    CHECK(o.attempts.adds == adder->adds);
    CHECK(o.attempts.updates == adder->updates);
  }
  return o;
}

static void adds_once_then_updates(void **state)
{
  (void)state;
  for (int unlocked = 0; unlocked < 2; unlocked++) {
    struct adder adder = {.map = numbers_open(), .status = USER};
    struct outcome o = run(&adder, unlocked, 5);
    CHECK_STATUS(o.status, USER);
    CHECK(o.event == NO_EVENT && o.out == 99 && adder.adds == 1);
    CHECK(cmap_is_empty(adder.map));
    adder.status = CMAP_OK;
    o = run(&adder, unlocked, 5);
    CHECK_STATUS(o.status, CMAP_OK);
    CHECK(o.event == CMAP_INSERTED && o.out == 1);
    CHECK(adder.adds == 1 && adder.updates == 0);
    for (uint64_t i = 2; i < 10; i++) {
      adder.status = i % 2 ? CMAP_OK : USER;
      o = run(&adder, unlocked, (unsigned)i % 3);
      CHECK_STATUS(o.status, adder.status);
      CHECK(o.event == (i % 2 ? CMAP_UPDATED : NO_EVENT));
      CHECK(o.out == (i % 2 ? i / 2 + 1 : 99));
      CHECK(numbers_get(adder.map, KEY) == (i + 1) / 2);
      CHECK(adder.adds == 0 && adder.updates == 1);
    }
    cmap_destroy(adder.map);
  }
  checks_assert();
}

static void bad_arguments(void **state)
{
  struct adder adder = {.map = numbers_open()};
  enum cmap_event event = NO_EVENT;
  struct cmap_attempts attempts = CMAP_INIT;
  uint64_t id = KEY, out = 5;
  struct cmap_key key = cmap_key_u64(&id), small = cmap_key_bytes(&id, 5);
  struct cmap_how how = cmap_how_try();

  (void)state;
  how.size = 0;
  for (int i = 0; i < 5; i++) {
    struct cmap *map = i == 0 ? NULL : adder.map;
    struct cmap_key k = i == 1 ? small : key;
    cmap_value_fn *a = i == 2 ? NULL : add;
    cmap_update_fn *u = i == 3 ? NULL : update;
    const struct cmap_how *h = i == 4 ? &how : NULL;
    CHECK_STATUS(cmap_add_or_update(map, k, &out, &event, a, u, &adder, h),
                 CMAP_EINVAL);
    CHECK_STATUS(cmap_add_or_update_unlocked(map, k, &out, &event, a, u, &adder,
                                             &attempts, h),
                 CMAP_EINVAL);
  }
  CHECK(out == 5 && event == NO_EVENT && adder.adds + adder.updates == 0);
  CHECK(cmap_is_empty(adder.map));
  /* All outputs may be NULL. */
  CHECK_OK(cmap_add_or_update(adder.map, key, NULL, NULL, add, update, &adder,
                              NULL));
  CHECK_OK(cmap_add_or_update_unlocked(adder.map, key, NULL, NULL, add, update,
                                       &adder, NULL, NULL));
  CHECK(numbers_get(adder.map, KEY) == 2);
  cmap_destroy(adder.map);
  checks_assert();
}

/* ------------------------------------------------------------------------
 * Conflicts
 * ------------------------------------------------------------------------ */

static void disturb_by_put(struct adder *adder)
{
  uint64_t value = 100 + adder->adds + adder->updates;

  numbers_put(adder->map, KEY, value);
}

static void disturb_by_drop(struct adder *adder)
{
  uint64_t id = KEY;
  enum cmap_status status =
      cmap_remove(adder->map, cmap_key_u64(&id), NULL, NULL);

  CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
}

/* Present and absent in turn: always something else than was seen. */
static void disturb_by_both(struct adder *adder)
{
  if (numbers_has(adder->map, KEY))
    numbers_drop(adder->map, KEY);
  else
    numbers_put(adder->map, KEY, 500);
}

static void disturb_and_undo(struct adder *adder)
{
  uint64_t was = numbers_get(adder->map, KEY);

  numbers_put(adder->map, KEY, was + 1);
  numbers_put(adder->map, KEY, was);
}

static void conflicts_begin_again(void **state)
{
  struct adder adder = {.map = numbers_open(), .interfere = 1};
  struct outcome o;

  (void)state;
  /* Absent at the first look, present at the second. */
  adder.disturb = disturb_by_put;
  o = run(&adder, true, 2);
  CHECK_STATUS(o.status, CMAP_OK);
  CHECK(o.event == CMAP_UPDATED && o.out == 102);
  CHECK(o.attempts.adds == 1 && o.attempts.updates == 1);
  /* Present, then absent. */
  adder.disturb = disturb_by_drop;
  o = run(&adder, true, 0);
  CHECK_STATUS(o.status, CMAP_OK);
  CHECK(o.event == CMAP_INSERTED && o.out == 1);
  CHECK(o.attempts.adds == 1 && o.attempts.updates == 1);
  /* Changed several times. */
  adder.disturb = disturb_by_put;
  adder.interfere = 6;
  o = run(&adder, true, 7);
  CHECK_STATUS(o.status, CMAP_OK);
  CHECK(o.attempts.adds == 0 && o.attempts.updates == 7 && o.out == 107);
  /* "Equal" is not "unchanged". */
  adder.disturb = disturb_and_undo;
  adder.interfere = 1;
  o = run(&adder, true, 1);
  CHECK_STATUS(o.status, CMAP_OK);
  CHECK(o.attempts.updates == 1 && o.out == 108);
  cmap_destroy(adder.map);
  checks_assert();
}

static void as_many_attempts_as_allowed(void **state)
{
  static void (*const ways[])(struct adder * adder) = {disturb_by_put,
                                                       disturb_by_both};

  (void)state;
  for (unsigned i = 0; i < 8; i++) {
    struct adder adder = {.map = numbers_open(), .interfere = 1000000};
    unsigned max = 1 + i / 2 * 3;
    struct outcome o;
    adder.disturb = ways[i % 2];
    o = run(&adder, true, max);
    CHECK_STATUS(o.status, CMAP_BUSY);
    CHECK(o.attempts.adds + o.attempts.updates == max);
    CHECK(o.attempts.adds == (i % 2 ? (max + 1) / 2 : 1));
    CHECK(o.event == NO_EVENT && o.out == 99);
    cmap_destroy(adder.map);
  }
  checks_assert();
}

static bool never_equal(const void *a, const void *b, void *ctx)
{
  (void)a;
  (void)b;
  (void)ctx;
  return false;
}

/* Values that never equal their copy end with the default number. */
static void the_default_of_attempts(void **state)
{
  struct adder adder = {.map = NULL};
  struct cmap_options options;
  struct outcome o;

  (void)state;
  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  options.value_equal = never_equal;
  assert_ok(cmap_create(&options, &adder.map));
  numbers_put(adder.map, KEY, 1);
  o = run(&adder, true, 0);
  CHECK_STATUS(o.status, CMAP_BUSY);
  CHECK(o.attempts.updates == 100000 && o.attempts.adds == 0);
  CHECK(numbers_get(adder.map, KEY) == 1 && o.out == 99);
  cmap_destroy(adder.map);
  checks_assert();
}

static void change_meanwhile(unsigned index, void *ctx)
{
  struct adder *adder = ctx;

  (void)index;
  step_wait(adder->step, STEP_CALLED);
  /* The callback runs outside every lock: nothing is waited for. */
  {
    struct cmap_how how = cmap_how_try();
    uint64_t id = KEY, value = 40;
    CHECK_OK(
        cmap_insert(adder->map, cmap_key_u64(&id), &value, NULL, NULL, &how));
  }
  step_done(adder->step, STEP_DISTURBED);
}

static void another_thread_comes_between(void **state)
{
  (void)state;
  for (int present = 0; present < 2; present++) {
    struct step step;
    struct adder adder = {.map = numbers_open(), .interfere = 1, .step = &step};
    struct thread thread;
    struct outcome o;
    if (present)
      numbers_put(adder.map, KEY, 5);
    step_begin(&step);
    thread_start(&thread, change_meanwhile, 0, &adder);
    o = run(&adder, true, 0);
    thread_join(&thread);
    step_end(&step);
    CHECK_STATUS(o.status, CMAP_OK);
    CHECK(o.event == CMAP_UPDATED && o.out == 41);
    CHECK(o.attempts.adds == !present);
    CHECK(o.attempts.updates == 1u + (present != 0));
    cmap_destroy(adder.map);
  }
  checks_assert();
}

static void insert_in_vain(unsigned index, void *ctx)
{
  struct adder *adder = ctx;
  struct cmap_how how = cmap_how_try();
  uint64_t id = KEY, value = 40;

  (void)index;
  step_wait(adder->step, STEP_CALLED);
  CHECK_STATUS(
      cmap_insert(adder->map, cmap_key_u64(&id), &value, NULL, NULL, &how),
      CMAP_BUSY);
  step_done(adder->step, STEP_DISTURBED);
}

static void nobody_comes_between_under_the_lock(void **state)
{
  (void)state;
  for (int present = 0; present < 2; present++) {
    struct step step;
    struct adder adder = {.map = numbers_open(), .interfere = 1, .step = &step};
    struct thread thread;
    struct outcome o;
    if (present)
      numbers_put(adder.map, KEY, 5);
    step_begin(&step);
    thread_start(&thread, insert_in_vain, 0, &adder);
    o = run(&adder, false, 0);
    thread_join(&thread);
    step_end(&step);
    CHECK_STATUS(o.status, CMAP_OK);
    CHECK(o.out == (present ? 6 : 1));
    CHECK(adder.adds == !present && adder.updates == (present != 0));
    cmap_destroy(adder.map);
  }
  checks_assert();
}

/* ------------------------------------------------------------------------
 * Several threads
 * ------------------------------------------------------------------------ */

static void count(unsigned index, void *ctx)
{
  struct adder adder = {.map = ctx};

  for (size_t i = 0; i < test_scale(5000); i++) {
    uint64_t id = i % 5;
    struct cmap_attempts attempts = CMAP_INIT;
    if (index % 2) {
      CHECK_OK(cmap_add_or_update(ctx, cmap_key_u64(&id), NULL, NULL, add,
                                  update, &adder, NULL));
    } else {
      CHECK_OK(cmap_add_or_update_unlocked(ctx, cmap_key_u64(&id), NULL, NULL,
                                           add, update, &adder, &attempts,
                                           NULL));
    }
  }
  if (index % 2)
    CHECK(adder.adds + adder.updates == test_scale(5000));
}

static void no_update_is_lost(void **state)
{
  struct cmap *map = numbers_open();
  uint64_t sum = 0;

  (void)state;
  threads_run(THREADS, count, map);
  for (uint64_t id = 0; id < cmap_len(map); id++)
    sum += numbers_get(map, id);
  assert_int_equal(sum, THREADS * test_scale(5000));
  cmap_destroy(map);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_on_every_kind_of_map),
      cmocka_unit_test(adds_once_then_updates),
      cmocka_unit_test(bad_arguments),
      cmocka_unit_test(conflicts_begin_again),
      cmocka_unit_test(as_many_attempts_as_allowed),
      cmocka_unit_test(the_default_of_attempts),
      cmocka_unit_test(another_thread_comes_between),
      cmocka_unit_test(nobody_comes_between_under_the_lock),
      cmocka_unit_test(no_update_is_lost),
  };

  return cmocka_run_group_tests_name("add_or_update", tests, NULL, NULL);
}
