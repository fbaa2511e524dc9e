/*
 * Children of fork, while other threads are about everything that the child
 * must not find half done: writes to the map that it gets, splits and merges of
 * it, waits that are published, guards that are handed over, and threads that
 * begin and end.
 */
#include "bank.h"
#include "child.h"
#include "random.h"
#include "settings.h"

enum { SIDE_KEYS = 40, IN_CIRCLES = 2, OTHERS = IN_CIRCLES + 1 };

static struct {
  struct bank bank;
  struct cmap *side; /* which the child does not use */
} scene;

/* Waits while it holds, so that the detector has something to do. */
static void wait_in_circles(unsigned index, void *ctx)
{
  struct random random;

  (void)ctx;
  random_begin(&random, 100 + index);
  while (!atomic_load(&scene.bank.stop)) {
    uint64_t one = random_below(&random, SIDE_KEYS);
    uint64_t two = random_below(&random, SIDE_KEYS);
    struct cmap_write_guard first = CMAP_INIT, second = CMAP_INIT;
    enum cmap_status status;

    CHECK_OK(cmap_get_mut(scene.side, cmap_key_u64(&one), &first, NULL));
    status = cmap_get_mut(scene.side, cmap_key_u64(&two), &second, NULL);
    CHECK(status == CMAP_OK || status == CMAP_EDEADLK);
    CHECK_OK(cmap_write_guard_release(&second));
    CHECK_OK(cmap_write_guard_release(&first));
  }
}

/* A thread with a guard that is nobody's for a while. */
static void hand_over(unsigned index, void *ctx)
{
  struct cmap_read_guard guard = CMAP_INIT;
  uint64_t key = SIDE_KEYS; /* nobody writes it */

  (void)index;
  (void)ctx;
  for (int i = 0; i < 10; i++) {
    CHECK_OK(cmap_get_ref(scene.side, cmap_key_u64(&key), &guard, NULL));
    CHECK_OK(cmap_read_guard_detach(&guard));
    CHECK_OK(cmap_read_guard_attach(&guard));
    CHECK_OK(cmap_read_guard_release(&guard));
  }
}

static void come_and_go(unsigned index, void *ctx)
{
  while (!atomic_load(&scene.bank.stop)) {
    struct thread thread;
    thread_start(&thread, hand_over, index, ctx);
    thread_join(&thread);
  }
}

/* What the process has in common, in a map of the child's own. */
static void use_new_map(void)
{
  struct cmap_read_guard guard = CMAP_INIT;
  struct cmap_options options;
  struct cmap *map;
  uint64_t key = 1;

  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  CHILD_OK(cmap_create(&options, &map));
  bank_churn(map, 100);
  CHILD_OK(cmap_insert(map, cmap_key_u64(&key), &key, NULL, NULL, NULL));
  CHILD_OK(cmap_freeze(map, NULL));
  CHILD_OK(cmap_get_ref(map, cmap_key_u64(&key), &guard, NULL));
  CHILD_CHECK(cmap_thaw(map) == CMAP_EDEADLK); /* the detector says so */
  CHILD_OK(cmap_read_guard_detach(&guard));
  CHILD_OK(cmap_read_guard_attach(&guard));
  CHILD_OK(cmap_read_guard_release(&guard));
  CHILD_OK(cmap_thaw(map));
  cmap_destroy(map);
}

static void be_child(void *ctx)
{
  struct cmap *map = scene.bank.map;
  const char *broken;
  size_t len;

  (void)ctx;
  use_new_map();
  CHILD_OK(cmap_fork_end(map));
  CHILD_OK(cmap_check(map, &broken, NULL));
  CHILD_CHECK(bank_is_right(map));
  bank_churn(map, 1000);
  CHILD_CHECK(bank_is_right(map));
  CHILD_OK(cmap_reserve(map, 5000, NULL));
  CHILD_OK(cmap_len_exact(map, &len, NULL));
  CHILD_OK(cmap_clear(map, NULL));
  cmap_destroy(map);
  CHILD_CHECK(!checks_failed());
}

static void the_child_has_all(void **state)
{
  struct thread others[OTHERS];
  struct cmap_options options;

  (void)state;
  if (!child_may_allocate)
    skip();
  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  options.shard_groups = 1;
  assert_ok(cmap_create(&options, &scene.side));
  for (uint64_t i = 0; i <= SIDE_KEYS; i++)
    assert_ok(cmap_insert(scene.side, cmap_key_u64(&i), &i, NULL, NULL, NULL));
  bank_begin(&scene.bank);
  for (unsigned i = 0; i < OTHERS; i++)
    thread_start(&others[i], i < IN_CIRCLES ? wait_in_circles : come_and_go, i,
                 NULL);
  for (size_t n = test_scale(300); n > 0; n--) {
    int child;
    assert_ok(cmap_fork_begin(scene.bank.map, NULL));
    child = child_start(be_child, NULL);
    assert_ok(cmap_fork_end(scene.bank.map));
    child_assert(child);
  }
  bank_end(&scene.bank);
  for (unsigned i = 0; i < OTHERS; i++)
    thread_join(&others[i]);
  checks_assert();
  cmap_destroy(scene.side);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_child_has_all),
  };

  return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
