/*
 * What calls do while another thread holds the lock that they need: TRY,
 * deadlines, and waiting to the end. The lock is held by a callback that
 * waits for a step of the test.
 */
#include "calls.h"
#include "numbers.h"
#include "settings.h"
#include "step.h"
#include "threads.h"

#include <string.h>

#define KEYS 200
#define HELD UINT64_C(7)

enum { STEP_HELD = 1, STEP_LET_GO };

/* The callback that holds the lock. */
enum hold_by { BY_VIEW, BY_ALTER, BY_COMPUTE };

struct holder {
  struct thread thread;
  struct step step;
  struct cmap *map;
  enum hold_by by;
};

static enum cmap_status hold_alter(struct cmap_key key, void *value, void *ctx)
{
  struct holder *holder = ctx;

  (void)key;
  (void)value;
  step_done(&holder->step, STEP_HELD);
  step_wait(&holder->step, STEP_LET_GO);
  return CMAP_OK;
}

static enum cmap_status hold_view(struct cmap_key key, const void *value,
                                  void *ctx)
{
  (void)value;
  return hold_alter(key, NULL, ctx);
}

static enum cmap_status hold_compute(struct cmap_key key, const void *old,
                                     void *fresh, enum cmap_action *action,
                                     void *ctx)
{
  (void)old;
  (void)action;
  return hold_alter(key, fresh, ctx);
}

static void hold(unsigned index, void *ctx)
{
  struct holder *holder = ctx;
  uint64_t id = HELD;
  struct cmap_key key = cmap_key_u64(&id);

  (void)index;
  switch (holder->by) {
  case BY_VIEW:
    CHECK_OK(cmap_view(holder->map, key, hold_view, holder, NULL));
    break;
  case BY_ALTER:
    CHECK_OK(cmap_alter(holder->map, key, hold_alter, holder, NULL));
    break;
  case BY_COMPUTE:
    CHECK_OK(
        cmap_compute(holder->map, key, NULL, NULL, hold_compute, holder, NULL));
    break;
  }
}

/* Another thread holds the lock of HELD's shard from here to let_go. */
static void take_hold(struct holder *holder, struct cmap *map, enum hold_by by)
{
  holder->map = map;
  holder->by = by;
  step_begin(&holder->step);
  thread_start(&holder->thread, hold, 0, holder);
  step_wait(&holder->step, STEP_HELD);
}

static void let_go(struct holder *holder)
{
  step_done(&holder->step, STEP_LET_GO);
  thread_join(&holder->thread);
  step_end(&holder->step);
}

/* Must a call on the held key, which is present, wait? With BY_ALTER its
   group is being written, and even lock-free reads do. */
static bool must_wait(const struct call *call, enum hold_by by)
{
  return by == BY_ALTER || call_has(call, CALL_WRITES) ||
         (by == BY_COMPUTE && !call_has(call, CALL_FREE));
}

/* No call that has failed leaves a lock behind. */
static void check_free(struct cmap *map)
{
  struct cmap_how how = cmap_how_try();

  for (uint64_t id = 0; id < KEYS; id++) {
    uint64_t value = calls_value(cmap_key_u64(&id));
    CHECK_OK(cmap_insert(map, cmap_key_u64(&id), &value, NULL, NULL, &how));
  }
}

typedef struct cmap_how how_fn(void);

/* Every call on the held key: it must end with `status` if it must wait, and
   with the lock free with success. */
static void run_every_call(enum hold_by by, how_fn *choose,
                           enum cmap_status status)
{
  for (size_t i = 0; i < calls_count; i++) {
    const struct call *call = &calls[i];
    struct cmap *map = calls_map(KEYS);
    uint64_t id = HELD;
    struct cmap_key key = cmap_key_u64(&id);
    struct cmap_how how = choose();
    struct holder holder;
    if (!call_has(call, CALL_PASSES)) {
      checks_about(call->name);
      take_hold(&holder, map, by);
      CHECK_STATUS(call->run(map, key, &how),
                   must_wait(call, by) ? status : call->if_present);
      let_go(&holder);
      how = cmap_how_try();
      CHECK_STATUS(call->run(map, key, &how),
                   must_wait(call, by) || !call_has(call, CALL_REMOVES)
                       ? call->if_present
                       : call->if_absent);
      check_free(map);
    }
    cmap_destroy(map);
  }
  checks_assert();
}

static struct cmap_how how_try_until_the_end(void)
{
  struct cmap_how how = cmap_how_until(UINT64_MAX);

  how.flags |= CMAP_TRY;
  return how;
}

static struct cmap_how how_within_a_millisecond(void)
{
  return cmap_how_within(1000000);
}

static struct cmap_how how_passed(void)
{
  return cmap_how_until(1);
}

static struct cmap_token *canceled;

static struct cmap_how how_canceled(void)
{
  return cmap_how_with(canceled);
}

static void a_token_was_canceled(void **state)
{
  (void)state;
  assert_status(cmap_token_create(&canceled), CMAP_OK);
  cmap_token_cancel(canceled);
  run_every_call(BY_ALTER, how_canceled, CMAP_ECANCELED);
  run_every_call(BY_VIEW, how_canceled, CMAP_ECANCELED);
  run_every_call(BY_COMPUTE, how_canceled, CMAP_ECANCELED);
  assert_status(cmap_token_destroy(canceled), CMAP_OK);
}

static void try_never_waits(void **state)
{
  (void)state;
  run_every_call(BY_ALTER, cmap_how_try, CMAP_BUSY);
  run_every_call(BY_VIEW, cmap_how_try, CMAP_BUSY);
  run_every_call(BY_COMPUTE, cmap_how_try, CMAP_BUSY);
  run_every_call(BY_ALTER, how_try_until_the_end, CMAP_BUSY);
}

static void a_deadline_passes(void **state)
{
  (void)state;
  run_every_call(BY_ALTER, how_within_a_millisecond, CMAP_TIMEDOUT);
  run_every_call(BY_VIEW, how_within_a_millisecond, CMAP_TIMEDOUT);
  run_every_call(BY_COMPUTE, how_within_a_millisecond, CMAP_TIMEDOUT);
}

static void a_deadline_has_passed(void **state)
{
  (void)state;
  run_every_call(BY_ALTER, how_passed, CMAP_TIMEDOUT);
  run_every_call(BY_VIEW, how_passed, CMAP_TIMEDOUT);
}

static void a_deadline_is_not_early(void **state)
{
  struct cmap *map = calls_map(KEYS);
  uint64_t id = HELD;
  struct holder holder;

  (void)state;
  take_hold(&holder, map, BY_ALTER);
  for (uint64_t ns = 1000; ns <= 100000000; ns *= 10) {
    uint64_t begin = test_now();
    struct cmap_how how = cmap_how_within(ns);
    uint64_t value = 1;
    CHECK_STATUS(cmap_insert(map, cmap_key_u64(&id), &value, NULL, NULL, &how),
                 CMAP_TIMEDOUT);
    CHECK(test_now() >= begin + ns);
    how = cmap_how_within(ns);
    CHECK_STATUS(cmap_get(map, cmap_key_u64(&id), &value, &how), CMAP_TIMEDOUT);
    CHECK(value == 1);
  }
  let_go(&holder);
  cmap_destroy(map);
  checks_assert();
}

/* Keys of other shards are not held up by anything. */
static void other_shards_go_on(void **state)
{
  (void)state;
  for (size_t i = 0; i < calls_count; i++) {
    const struct call *call = &calls[i];
    struct cmap *map = calls_map(KEYS);
    uint64_t id = calls_other_shard(map, KEYS, HELD);
    struct cmap_how how = cmap_how_try();
    struct holder holder;
    checks_about(call->name);
    take_hold(&holder, map, BY_ALTER);
    if (call_has(call, CALL_KEYED)) {
      CHECK_STATUS(call->run(map, cmap_key_u64(&id), &how), call->if_present);
    }
    let_go(&holder);
    cmap_destroy(map);
  }
  checks_assert();
}

static void some_calls_never_wait(void **state)
{
  static const enum hold_by all[] = {BY_VIEW, BY_ALTER, BY_COMPUTE};

  (void)state;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    struct cmap *map = calls_map(KEYS);
    uint64_t id = HELD;
    uint64_t hash = 0;
    struct cmap_options options;
    struct holder holder;
    options.size = sizeof options;
    take_hold(&holder, map, all[i]);
    CHECK(cmap_len(map) == KEYS);
    CHECK(!cmap_is_empty(map));
    CHECK(cmap_capacity(map) > 0);
    CHECK_OK(cmap_hash(map, cmap_key_u64(&id), &hash));
    CHECK(cmap_shard_index(map, hash) < cmap_shard_count(map));
    CHECK_OK(cmap_get_options(map, &options));
    let_go(&holder);
    cmap_destroy(map);
  }
  checks_assert();
}

/* The callback of compute works on a copy: readers see the value before. */
static void lock_free_reads_go_on_during_compute(void **state)
{
  struct cmap *map = calls_map(KEYS);
  struct holder holder;

  (void)state;
  take_hold(&holder, map, BY_COMPUTE);
  for (uint64_t id = 0; id < KEYS; id++) {
    CHECK(numbers_get(map, id) == calls_value(cmap_key_u64(&id)));
  }
  CHECK(!numbers_has(map, KEYS + 1));
  let_go(&holder);
  cmap_destroy(map);
  checks_assert();
}

struct waiters {
  struct cmap *map;
  const struct call *call;
  struct step started;
  atomic_uint count;
};

static void wait_for_the_lock(unsigned index, void *ctx)
{
  struct waiters *waiters = ctx;
  struct cmap_how how = cmap_how_within(UINT64_C(60000000000));
  uint64_t id = HELD;
  enum cmap_status status;

  step_done(&waiters->started, atomic_fetch_add(&waiters->count, 1) + 1);
  status = waiters->call->run(waiters->map, cmap_key_u64(&id),
                              index % 2 ? &how : NULL);
  CHECK(status == waiters->call->if_present ||
        status == waiters->call->if_absent);
}

/* Whoever waits comes through when the lock is free. */
static void waiters_are_woken(void **state)
{
  enum { WAITERS = 4 };

  (void)state;
  for (size_t i = 0; i < calls_count; i++) {
    struct waiters waiters = {.call = &calls[i]};
    struct thread threads[WAITERS];
    struct holder holder;
    checks_about(calls[i].name);
    waiters.map = calls_map(KEYS);
    atomic_init(&waiters.count, 0);
    step_begin(&waiters.started);
    take_hold(&holder, waiters.map, i % 2 ? BY_ALTER : BY_COMPUTE);
    for (unsigned j = 0; j < WAITERS; j++) {
      thread_start(&threads[j], wait_for_the_lock, j, &waiters);
    }
    step_wait(&waiters.started, WAITERS);
    let_go(&holder);
    for (unsigned j = 0; j < WAITERS; j++) {
      thread_join(&threads[j]);
    }
    step_end(&waiters.started);
    cmap_destroy(waiters.map);
  }
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(try_never_waits),
      cmocka_unit_test(a_deadline_passes),
      cmocka_unit_test(a_deadline_has_passed),
      cmocka_unit_test(a_token_was_canceled),
      cmocka_unit_test(a_deadline_is_not_early),
      cmocka_unit_test(other_shards_go_on),
      cmocka_unit_test(some_calls_never_wait),
      cmocka_unit_test(lock_free_reads_go_on_during_compute),
      cmocka_unit_test(waiters_are_woken),
  };

  return cmocka_run_group_tests_name("waiting", tests, NULL, NULL);
}
