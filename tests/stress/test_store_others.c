/*
 * What goes on beside constructions: gets of other keys while one waits, by
 * state and not by time; constructors that fail every other time, under each
 * policy, with exact numbers; and the object of a key that is refreshed, put
 * and removed while others take references of it.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "settings.h"
#include "step.h"
#include "store_objects.h"
#include "threads.h"

static struct test_store t;

#define KEY(id) cmap_key_u64(&(uint64_t){id})

/* ------------------------------------------------------------------------
 * Other keys
 * ------------------------------------------------------------------------ */

#define OTHERS  1000
#define READERS 6

static struct step step;

static enum cmap_status build_between_steps(struct cmap_key key, void **object,
                                            void *ctx)
{
  (void)key, (void)ctx;
  step_done(&step, 1);
  step_wait(&step, 2);
  *object = tracked_new(&t.lives, OTHERS, 1);
  return CMAP_OK;
}

static void build_or_wait(unsigned index, void *ctx)
{
  struct cmap_handle handle = CMAP_INIT;

  (void)index, (void)ctx;
  CHECK_OK(cmap_store_get_or_create(t.store, KEY(OTHERS), &handle,
                                    build_between_steps, NULL, NULL));
  cmap_handle_release(&handle);
}

static enum cmap_status build_at_once(struct cmap_key key, void **object,
                                      void *ctx)
{
  uint64_t id;

  (void)ctx;
  memcpy(&id, key.data, sizeof id);
  *object = tracked_new(&t.lives, id, 1);
  return CMAP_OK;
}

/* All the calls that other keys may see. */
static void use_others(unsigned index, void *ctx)
{
  struct random random;

  (void)ctx;
  random_begin(&random, index);
  for (uint64_t i = 0; i < OTHERS; i++) {
    struct cmap_handle one = CMAP_INIT, two = CMAP_INIT;
    uint64_t own = OTHERS + 1 + i * READERS + index;
    CHECK_OK(cmap_store_get(t.store, KEY(i), &one, NULL));
    CHECK_OK(cmap_store_get_or_create(t.store, KEY(i), &two, build_at_once,
                                      NULL, NULL));
    CHECK(one.object == two.object);
    cmap_handle_release(&one);
    cmap_handle_release(&two);
    CHECK_OK(cmap_store_get_or_create(t.store, KEY(own), &one, build_at_once,
                                      NULL, NULL));
    cmap_handle_release(&one);
    if (random_once_in(&random, 2))
      CHECK_OK(cmap_store_remove(t.store, KEY(own), NULL));
    CHECK_STATUS(cmap_store_get(t.store, KEY(OTHERS), &one, NULL),
                 CMAP_NOT_FOUND);
  }
}

/* The construction ends when all others have, and never before. */
static void others_while_one_waits(void **state)
{
  struct thread builder, waiters[3], readers[READERS];

  (void)state;
  for (size_t round = 0; round < test_scale(10); round++) {
    test_store_open(&t, KEYS_U64);
    step_begin(&step);
    for (uint64_t id = 0; id < OTHERS; id++)
      CHECK_OK(cmap_store_put(t.store, KEY(id), tracked_new(&t.lives, id, 1),
                              NULL, NULL));
    thread_start(&builder, build_or_wait, 0, NULL);
    step_wait(&step, 1);
    for (unsigned i = 0; i < 3; i++)
      thread_start(&waiters[i], build_or_wait, i, NULL);
    store_until_waiting(t.store, KEY(OTHERS), 3);
    for (unsigned i = 0; i < READERS; i++)
      thread_start(&readers[i], use_others, i, NULL);
    for (unsigned i = 0; i < READERS; i++)
      thread_join(&readers[i]);
    CHECK(cmap_store_waiters(t.store, KEY(OTHERS)) == 3);
    step_done(&step, 2);
    thread_join(&builder);
    for (unsigned i = 0; i < 3; i++)
      thread_join(&waiters[i]);
    step_end(&step);
    test_store_close(&t);
  }
}

/* ------------------------------------------------------------------------
 * Every other construction fails
 * ------------------------------------------------------------------------ */

#define CALLERS 8

/* Callers that all want the key before its first construction ends. */
struct odd {
  unsigned failures; /* const: so many constructions fail, then none */
  atomic_uint calls;
  struct cmap_how how;
  struct odd_caller {
    struct odd *odd;
    unsigned built; /* the number of the construction that it ran; 0: none */
    struct cmap_handle handle;
    enum cmap_status status;
  } callers[CALLERS];
};

/* The n-th construction fails with status n, or makes version n. */
static enum cmap_status fail_at_first(struct cmap_key key, void **object,
                                      void *ctx)
{
  struct odd_caller *caller = ctx;
  unsigned n = atomic_fetch_add(&caller->odd->calls, 1) + 1;

  CHECK(caller->built == 0);
  caller->built = n;
  if (n == 1)
    store_until_waiting(t.store, key, CALLERS - 1);
  if (n <= caller->odd->failures)
    return (enum cmap_status)n;
  *object = tracked_new(&t.lives, 1, n);
  return CMAP_OK;
}

static void call_odd(unsigned index, void *ctx)
{
  struct odd *odd = ctx;
  struct odd_caller *caller = &odd->callers[index];

  caller->odd = odd;
  caller->status =
      cmap_store_get_or_create(t.store, KEY(1), &caller->handle, fail_at_first,
                               caller, odd->how.size ? &odd->how : NULL);
}

/* Each caller's result follows from what it built, and from the policy. */
static void check_odd(struct odd *odd, bool share)
{
  unsigned expected = odd->failures + 1, built = 0;

  if (expected > CALLERS)
    expected = CALLERS;
  if (share)
    expected = 1;
  CHECK(atomic_load(&odd->calls) == expected);
  for (unsigned i = 0; i < CALLERS; i++) {
    struct odd_caller *caller = &odd->callers[i];
    unsigned status = share && odd->failures > 0      ? 1
                      : caller->built > odd->failures ? 0
                                                      : caller->built;
    CHECK_STATUS(caller->status, (enum cmap_status)status);
    if (caller->status == CMAP_OK)
      CHECK(store_object(&caller->handle, 1)->version == odd->failures + 1);
    else
      CHECK(caller->handle.object == NULL);
    built += caller->built != 0;
    cmap_handle_release(&caller->handle);
  }
  CHECK(built == expected);
}

/* Per store, or per call against the store's own policy. */
static void fails_every_other_time(bool share, bool per_call)
{
  size_t rounds = test_scale(150);
  uint64_t done = 0, failed = 0;

  test_store_prepare(&t, KEYS_U64);
  t.options.flags = share != per_call ? CMAP_SHARE_FAILURE : 0;
  test_store_create(&t);
  for (size_t round = 0; round < rounds; round++) {
    struct odd odd = {.failures = (unsigned)(round % (CALLERS + 2))};
    unsigned constructions;
    if (per_call) {
      odd.how.size = sizeof odd.how;
      odd.how.flags = share ? CMAP_SHARE_FAILURE : CMAP_RETRY_FAILURE;
    }
    threads_run(CALLERS, call_odd, &odd);
    check_odd(&odd, share);
    constructions = atomic_load(&odd.calls);
    done += constructions > odd.failures;
    failed += constructions > odd.failures ? constructions - 1 : constructions;
    CHECK(store_stats(t.store).done == done);
    CHECK(store_stats(t.store).failed == failed);
    CHECK_STATUS(cmap_store_remove(t.store, KEY(1), NULL),
                 constructions > odd.failures ? CMAP_OK : CMAP_NOT_FOUND);
  }
  test_store_close(&t);
}

static void retry(void **state)
{
  (void)state;
  fails_every_other_time(false, false);
  fails_every_other_time(false, true);
}

static void share(void **state)
{
  (void)state;
  fails_every_other_time(true, false);
  fails_every_other_time(true, true);
}

/* ------------------------------------------------------------------------
 * References while the key changes
 * ------------------------------------------------------------------------ */

#define TAKERS 3
#define HOT    4

static atomic_uint changers;
static atomic_uint_fast64_t newest[HOT]; /* the version made last */

static enum cmap_status build_next(struct cmap_key key, void **object,
                                   void *ctx)
{
  uint64_t id;

  memcpy(&id, key.data, sizeof id);
  if (random_once_in(ctx, 4))
    return (enum cmap_status)USER_STATUS;
  *object = tracked_new(&t.lives, id, atomic_fetch_add(&newest[id], 1) + 1);
  return CMAP_OK;
}

static void change(struct random *random, uint64_t id)
{
  switch (random_below(random, 5)) {
  case 0:
    CHECK_OK(cmap_store_put(
        t.store, KEY(id),
        tracked_new(&t.lives, id, atomic_fetch_add(&newest[id], 1) + 1), NULL,
        NULL));
    break;
  case 1:
    (void)!cmap_store_remove(t.store, KEY(id), NULL);
    break;
  case 2:
    if (random_once_in(random, 10))
      CHECK_OK(cmap_store_clear(t.store));
    break;
  default:
    (void)!cmap_store_refresh(t.store, KEY(id), NULL, build_next, random, NULL);
  }
}

/* With one changer versions only grow, for every taker. */
static void take(struct random *random, uint64_t *last, bool grows)
{
  uint64_t id = random_below(random, HOT);
  struct cmap_handle handle = CMAP_INIT, copy = CMAP_INIT;
  enum cmap_status status = cmap_store_get(t.store, KEY(id), &handle, NULL);
  uint64_t version;

  if (status != CMAP_OK) {
    CHECK_STATUS(status, CMAP_NOT_FOUND);
    return;
  }
  version = store_object(&handle, id)->version;
  CHECK(!grows || version >= last[id]);
  CHECK(version <= atomic_load(&newest[id]));
  last[id] = version;
  CHECK_OK(cmap_handle_copy(&handle, &copy));
  cmap_handle_release(&handle);
  if (random_once_in(random, 50))
    sched_yield();
  CHECK(store_object(&copy, id)->version == version);
  cmap_handle_release(&copy);
}

static void take_or_change(unsigned index, void *ctx)
{
  unsigned all = *(unsigned *)ctx;
  uint64_t last[HOT] = {0};
  struct random random;

  random_begin(&random, 100 * all + index);
  if (index >= TAKERS) {
    for (size_t i = 0; i < test_scale(150000) && !checks_failed(); i++)
      change(&random, random_below(&random, HOT));
    atomic_fetch_sub(&changers, 1);
  }
  while (atomic_load(&changers) > 0 && !checks_failed())
    for (int i = 0; i < 100; i++)
      take(&random, last, all == 1);
}

static void references(unsigned changing)
{
  test_store_open(&t, KEYS_U64);
  for (int id = 0; id < HOT; id++)
    atomic_store(&newest[id], 0);
  atomic_store(&changers, changing);
  threads_run(TAKERS + changing, take_or_change, &changing);
  test_store_close(&t);
}

static void references_while_the_key_changes(void **state)
{
  struct soak soak;

  (void)state;
  soak_begin(&soak, 1);
  do {
    references(1);
    references(3);
  } while (soak_again(&soak));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(others_while_one_waits),
      cmocka_unit_test(retry),
      cmocka_unit_test(share),
      cmocka_unit_test(references_while_the_key_changes),
  };

  return cmocka_run_group_tests_name("store_others", tests, NULL, NULL);
}
