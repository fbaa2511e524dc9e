/*
 * What the handlers of fork put right in the child: the mutexes and lists that
 * a process has in common, sleepers, and headers of a map.
 */
#include "asleep.h"
#include "calls.h"
#include "child.h"
#include "map/map.h"
#include "settings.h"
#include "step.h"
#include "threads.h"

enum { CHILDREN = 30 };

/* Things to hold and to wait for: only their addresses are used. */
static int here, there;

static struct cmap__record *hold(const void *object)
{
  struct cmap__record *record = cmap__record_take();

  CHECK(record != NULL);
  record->hold.object = object;
  record->hold.first = 0;
  record->hold.last = UINT64_MAX;
  record->hold.mode = CMAP__WRITE;
  record->hold.lock = NULL;
  cmap__guard_link(&record->hold);
  return record;
}

static void let_go(struct cmap__record *record)
{
  cmap__guard_unlink(&record->hold);
  cmap__record_give(record);
}

/* All that takes the detector's mutex, and that of the records. */
static void use_detector(void)
{
  struct cmap__wait wait = {.object = &there, .mode = CMAP__WRITE};

  CHECK(cmap__deadlock_enter(&wait) == CMAP__LOCK_OK);
  cmap__deadlock_leave(&wait);
}

static void use_records(void)
{
  struct cmap__record *record = hold(&here);

  cmap__record_detach(record);
  CHECK(cmap__record_attach(record, cmap__load_relaxed(&record->serial)));
  let_go(record);
}

static atomic_bool stop;

static void use_both_on(unsigned index, void *ctx)
{
  (void)ctx;
  while (!atomic_load(&stop)) {
    if (index == 0)
      use_detector();
    else
      use_records();
  }
}

static void use_both(void *ctx)
{
  (void)ctx;
  use_detector();
  use_records();
  CHILD_CHECK(!checks_failed());
}

/* Which one of the threads has at nearly any moment. */
static void mutexes(void **state)
{
  struct thread threads[2];

  (void)state;
  atomic_init(&stop, false);
  for (unsigned i = 0; i < 2; i++)
    thread_start(&threads[i], use_both_on, i, NULL);
  for (int i = 0; i < CHILDREN; i++)
    child_assert(child_start(use_both, NULL));
  atomic_store(&stop, true);
  for (unsigned i = 0; i < 2; i++)
    thread_join(&threads[i]);
  checks_assert();
}

/* A thread that holds one thing and waits for the other. */
static struct step step;

static void hold_and_wait(unsigned index, void *ctx)
{
  struct cmap__record *record = hold(&here);
  struct cmap__wait wait = {.object = &there, .mode = CMAP__WRITE};

  (void)index;
  (void)ctx;
  CHECK(cmap__deadlock_enter(&wait) == CMAP__LOCK_OK);
  step_done(&step, 1);
  step_wait(&step, 2);
  cmap__deadlock_leave(&wait);
  let_go(record);
}

/* Would be refused if that thread was there. */
static void wait_for_what_it_held(void *ctx)
{
  struct cmap__wait wait = {.object = &here, .mode = CMAP__WRITE};

  (void)ctx;
  CHILD_CHECK(cmap__deadlock_enter(&wait) == CMAP__LOCK_OK);
  cmap__deadlock_leave(&wait);
}

static void waits(void **state)
{
  struct cmap__record *record = hold(&there);
  struct cmap__wait wait = {.object = &here, .mode = CMAP__WRITE};
  struct thread thread;

  (void)state;
  step_begin(&step);
  thread_start(&thread, hold_and_wait, 0, NULL);
  step_wait(&step, 1);
  assert_int_equal(cmap__deadlock_enter(&wait), CMAP__LOCK_DEADLOCK);
  child_assert(child_start(wait_for_what_it_held, NULL));
  step_done(&step, 2);
  thread_join(&thread);
  let_go(record);
  checks_assert();
  step_end(&step);
}

/* A sleeper of the parent's, and sleepers of the child's for the same word. */
static struct {
  _Atomic uint32_t word;
  struct asleep asleep;
} bed;

static void sleep_until_it_changes(unsigned index, void *ctx)
{
  uint32_t word = *(uint32_t *)ctx;

  (void)index;
  asleep_here(&bed.asleep);
  while (cmap__load_acquire(&bed.word) == word)
    (void)cmap__park_wait(&bed.word, word, 1, CMAP__NO_DEADLINE);
}

static void change_word(struct thread *thread)
{
  asleep_wait(&bed.asleep);
  cmap__add_release(&bed.word, 1);
  cmap__park_wake(&bed.word, 1, CMAP__PARK_ALL);
  thread_join(thread);
}

static void wake_often(void *ctx)
{
  (void)ctx;
  for (uint32_t i = 0; i < 100; i++) {
    uint32_t word = cmap__load_relaxed(&bed.word);
    struct thread thread;

    asleep_begin(&bed.asleep);
    thread_start(&thread, sleep_until_it_changes, 0, &word);
    change_word(&thread);
  }
}

static void sleepers(void **state)
{
  uint32_t word = cmap__load_relaxed(&bed.word);
  struct thread thread;

  (void)state;
  if (!child_may_start_threads())
    skip();
  asleep_begin(&bed.asleep);
  thread_start(&thread, sleep_until_it_changes, 0, &word);
  asleep_wait(&bed.asleep);
  child_assert(child_start(wake_often, NULL));
  change_word(&thread);
}

/* Does something to all headers that are free: of those with a block, and of
 * those without. Returns how many there are. */
static size_t each_free(struct cmap *map, void (*run)(struct cmap__shard *))
{
  const struct cmap__free_lists *free =
      &cmap__pool_grown(&map->table.pool)->lists;
  size_t n = 0;

  for (unsigned i = 0; i < CMAP__POOL_SIZES; i++) {
    struct cmap__shard *lists[] = {free->free[i], free->given[i]};
    for (unsigned k = 0; k < 2; k++)
      for (; lists[k] != NULL; lists[k] = lists[k]->next_free, n++)
        run(lists[k]);
  }
  return n;
}

static void come_late(struct cmap__shard *shard)
{
  assert_true(cmap__shardlock_try_write(&shard->lock));
  (void)cmap__add_relaxed(&shard->waiters, CMAP__ONE_PARKED);
}

static void leave(struct cmap__shard *shard)
{
  (void)cmap__sub_release(&shard->waiters, CMAP__ONE_PARKED);
  cmap__shardlock_write_unlock(&shard->lock);
}

static void must_be_clean(struct cmap__shard *shard)
{
  CHILD_CHECK(cmap__load_relaxed(&shard->lock.word) == 0);
  CHILD_CHECK(!cmap__shard_is_awaited(shard));
}

static void find_clean(void *ctx)
{
  struct cmap *map = ctx;
  struct cmap__shard *shard = cmap__directory_shard(&map->table.directory, 0);

  CHILD_CHECK(cmap__load_relaxed(&shard->lock.word) == CMAP__LOCK_WRITER);
  CHILD_CHECK(!cmap__shard_is_awaited(shard));
  CHILD_CHECK(each_free(map, must_be_clean) > 0);
  CHILD_OK(cmap_fork_end(map));
  for (uint64_t id = 0; id < 3000; id++)
    CHILD_OK(cmap_insert(map, cmap_key_u64(&id), &id, NULL, NULL, NULL));
  cmap_destroy(map);
}

/* Another thread may have the lock of a header that is free: it comes late. */
static void headers(void **state)
{
  struct cmap *map = calls_map(3000);
  struct cmap__shard *live;

  (void)state;
  assert_ok(cmap_clear(map, NULL));
  assert_ok(cmap_shrink_to_fit(map, NULL));
  assert_ok(cmap_fork_begin(map, NULL));
  assert_true(each_free(map, come_late) > 0);
  live = cmap__directory_shard(&map->table.directory, 0);
  (void)cmap__or_relaxed(&live->lock.word, CMAP__LOCK_WRITERS_WAIT);
  (void)cmap__add_relaxed(&live->waiters, CMAP__ONE_PARKED);
  child_assert(child_start(find_clean, map));
  (void)cmap__sub_release(&live->waiters, CMAP__ONE_PARKED);
  (void)each_free(map, leave);
  assert_ok(cmap_fork_end(map));
  cmap_destroy(map);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(mutexes),
      cmocka_unit_test(waits),
      cmocka_unit_test(sleepers),
      cmocka_unit_test(headers),
  };

  return cmocka_run_group_tests_name("fork_internal", tests, NULL, NULL);
}
