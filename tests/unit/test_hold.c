/*
 * The records of holds: which one counts, the thread's free list, stale
 * serials, and what becomes of the guards of a thread that ends.
 */
#include "checks.h"
#include "step.h"
#include "threads.h"

#include <string.h>

#include "sync/hold.h"
#include "sync/shardlock.h"

static char object, other_object;

static struct cmap__hold hold_of(const void *what, uint64_t first,
                                 uint64_t last, enum cmap__mode mode)
{
  return (struct cmap__hold){
      .object = what, .first = first, .last = last, .mode = mode};
}

static void a_hold_covers_its_hashes(void **state)
{
  struct cmap__hold hold = hold_of(&object, 100, 200, CMAP__READ);

  (void)state;
  assert_false(cmap__hold_covers(&hold, &object, 99));
  assert_true(cmap__hold_covers(&hold, &object, 100));
  assert_true(cmap__hold_covers(&hold, &object, 200));
  assert_false(cmap__hold_covers(&hold, &object, 201));
  assert_false(cmap__hold_covers(&hold, &other_object, 150));
  hold = hold_of(&object, 0, UINT64_MAX, CMAP__READ);
  assert_true(cmap__hold_covers(&hold, &object, 0));
  assert_true(cmap__hold_covers(&hold, &object, UINT64_MAX));
}

/* A call's hold, with the record that is there for it. */
static struct cmap__hold *begin_call(const void *of, uint64_t first,
                                     uint64_t last, enum cmap__mode mode)
{
  struct cmap__hold *hold, *outer;

  CHECK(cmap__hold_prepare());
  hold = cmap__hold_next();
  outer = hold->outer;
  *hold = hold_of(of, first, last, mode);
  hold->outer = outer;
  ((struct cmap__record *)hold)->ended = NULL;
  cmap__hold_begin(hold);
  return hold;
}

/* A guard's hold, in a record that is not from a list. */
static void begin_guard(struct cmap__record *record, struct cmap__hold hold)
{
  cmap__record_own(record, &cmap__self);
  record->hold = hold;
  cmap__guard_link(&record->hold);
}

static void the_strongest_hold_is_found(void **state)
{
  struct cmap__hold *call, *inner;
  struct cmap__record guard, weak;

  (void)state;
  assert_false(cmap__hold_any());
  assert_null(cmap__hold_find(&object, 5));
  call = begin_call(&object, 0, 9, CMAP__READ);
  assert_true(cmap__hold_any());
  begin_guard(&guard, hold_of(&object, 8, 20, CMAP__WRITE));
  begin_guard(&weak, hold_of(&object, 0, 30, CMAP__READ));
  assert_ptr_equal(cmap__hold_find(&object, 20), &guard.hold);
  assert_ptr_equal(cmap__hold_find(&object, 8), &guard.hold);
  assert_int_equal(cmap__hold_find(&object, 7)->mode, CMAP__READ);
  assert_ptr_equal(cmap__hold_find(&object, 21), &weak.hold);
  assert_null(cmap__hold_find(&object, 31));
  assert_null(cmap__hold_find(&other_object, 8));
  inner = begin_call(&object, 5, 9, CMAP__WRITE);
  assert_ptr_equal(cmap__hold_find(&object, 5), inner);
  cmap__hold_end(inner);
  assert_int_equal(cmap__hold_find(&object, 5)->mode, CMAP__READ);
  cmap__hold_end(call);
  assert_ptr_equal(cmap__hold_find(&object, 5), &weak.hold);
  cmap__guard_unlink(&guard.hold); /* not the latest one */
  assert_ptr_equal(cmap__hold_find(&object, 20), &weak.hold);
  cmap__guard_unlink(&weak.hold);
  assert_false(cmap__hold_any());
}

#define MANY 40

static void guards_end_in_any_order(void **state)
{
  static struct cmap__record guards[MANY];

  (void)state;
  for (unsigned i = 0; i < MANY; i++)
    begin_guard(&guards[i], hold_of(&object, i, i, CMAP__WRITE));
  /* 0, 7, 14 ... 33: every one once, since 7 and 40 have no common divisor. */
  for (unsigned n = 0, i = 0; n < MANY; n++, i = (i + 7) % MANY) {
    assert_ptr_equal(cmap__hold_find(&object, i), &guards[i].hold);
    cmap__guard_unlink(&guards[i].hold);
    assert_null(cmap__hold_find(&object, i));
    assert_int_equal(cmap__hold_any(), n + 1 < MANY);
  }
}

static void records_are_used_again(void **state)
{
  struct cmap__record *records[MANY];
  struct cmap__record *again;
  uintptr_t serial;

  (void)state;
  for (unsigned i = 0; i < MANY; i++) {
    records[i] = cmap__record_take();
    assert_non_null(records[i]);
    assert_ptr_equal(records[i]->owner, cmap__thread_mark());
    assert_int_equal((uintptr_t)records[i] % CMAP__CACHE_LINE, 0);
    for (unsigned j = 0; j < i; j++)
      assert_ptr_not_equal(records[i], records[j]);
    memset(records[i] + 1, 0xee, CMAP__RECORD_BYTES - sizeof *records[i]);
  }
  serial = records[3]->serial;
  cmap__record_give(records[3]);
  again = cmap__record_take();
  assert_ptr_equal(again, records[3]);
  assert_true(again->serial != serial);
  for (unsigned i = 0; i < MANY; i++)
    cmap__record_give(records[i]);
}

/* A thread that takes records, links a guard on each lock, and ends. */
struct leaver {
  struct cmap__shardlock locks[3];
  struct cmap__record *record;
  pthread_key_t key; /* of a destructor that releases them; 0: none */
  bool releases;
  unsigned rounds; /* of the thread's end until they are released */
};

static void link_guards(struct leaver *leaver)
{
  for (unsigned i = 0; i < 3; i++) {
    struct cmap__record *record = cmap__record_take();
    CHECK(record != NULL && record->owner == cmap__thread_mark());
    record->hold = hold_of(leaver, i, i, CMAP__READ);
    record->hold.lock = &leaver->locks[i];
    CHECK(cmap__shardlock_read(&leaver->locks[i], NULL) == CMAP__LOCK_OK);
    cmap__guard_link(&record->hold);
    leaver->record = record;
  }
}

/* The user's destructor of thread-specific data. */
static void release_late(void *ctx)
{
  struct leaver *leaver = ctx;

  if (leaver->rounds-- > 0) {
    pthread_setspecific(leaver->key, leaver);
    return;
  }
  for (unsigned i = 0; i < 3; i++) {
    struct cmap__record *record = cmap__record_orphan(leaver);
    CHECK(record != NULL);
    cmap__shardlock_read_unlock(record->hold.lock);
    cmap__record_give(record);
  }
}

static void leave(unsigned index, void *ctx)
{
  struct leaver *leaver = ctx;

  (void)index;
  if (leaver->releases)
    pthread_setspecific(leaver->key, leaver);
  link_guards(leaver);
}

static void run_leaver(struct leaver *leaver)
{
  struct thread thread;

  thread_start(&thread, leave, 0, leaver);
  thread_join(&thread);
  checks_assert();
}

static bool is_abandoned(const struct cmap__shardlock *lock)
{
  return (cmap__load_relaxed(&lock->word) & CMAP__LOCK_ABANDONED) != 0;
}

static void an_ended_thread_abandons_its_locks(void **state)
{
  struct leaver leaver = {.rounds = 0};
  unsigned found = 0;
  struct cmap__record *record;

  (void)state;
  run_leaver(&leaver);
  for (unsigned i = 0; i < 3; i++)
    assert_true(is_abandoned(&leaver.locks[i]));
  assert_null(leaver.record->owner);
  assert_int_equal(cmap__shardlock_write(&leaver.locks[0], NULL),
                   CMAP__LOCK_GIVEN_UP);
  assert_int_equal(cmap__shardlock_read(&leaver.locks[0], NULL), CMAP__LOCK_OK);
  /* Whoever destroys the object finds them, and they are his. */
  assert_null(cmap__record_orphan(&other_object));
  while ((record = cmap__record_orphan(&leaver)) != NULL) {
    assert_ptr_equal(record->owner, cmap__thread_mark());
    found |= 1u << record->hold.first;
    cmap__record_give(record);
  }
  assert_int_equal(found, 7);
}

#define DEPTH 20

/* A thread that ends in a callback of a callback. */
static void end_in_calls(unsigned index, void *ctx)
{
  struct cmap__shardlock *locks = ctx;

  (void)index;
  for (unsigned round = 0; round < 2; round++) {
    for (unsigned i = 0; i < DEPTH; i++) {
      struct cmap__hold *hold = begin_call(&object, 0, UINT64_MAX, CMAP__WRITE);
      hold->lock = round == 0 || i % 3 == 2 ? NULL : &locks[i];
      if (hold->lock != NULL)
        CHECK(cmap__shardlock_try_write(hold->lock));
    }
    while (round == 0 && cmap__self.calls != NULL)
      cmap__hold_end(cmap__self.calls);
  }
}

static void a_thread_that_ends_in_calls_abandons_them(void **state)
{
  (void)state;
  for (int round = 0; round < 3; round++) {
    struct cmap__shardlock locks[DEPTH] = {{0}};
    struct thread thread;
    thread_start(&thread, end_in_calls, 0, locks);
    thread_join(&thread);
    checks_assert();
    for (unsigned i = 0; i < DEPTH; i++)
      assert_int_equal(is_abandoned(&locks[i]), i % 3 != 2);
  }
}

static void destructors_may_release(void **state)
{
  (void)state;
  for (unsigned rounds = 0; rounds < 2; rounds++) {
    struct leaver leaver = {.rounds = rounds, .releases = true};
    assert_int_equal(pthread_key_create(&leaver.key, release_late), 0);
    run_leaver(&leaver);
    for (unsigned i = 0; i < 3; i++)
      assert_int_equal(cmap__load_relaxed(&leaver.locks[i].word), 0);
    assert_null(cmap__record_orphan(&leaver));
    pthread_key_delete(leaver.key);
  }
}

/* The records of ended threads are not lost: others take them. */
static void take_one(unsigned index, void *ctx)
{
  struct cmap__record **record = ctx;

  (void)index;
  *record = cmap__record_take();
  CHECK(*record != NULL && (*record)->owner == cmap__thread_mark());
  cmap__record_give(*record);
}

static void records_go_to_other_threads(void **state)
{
  struct cmap__record *before = NULL;
  unsigned same = 0;

  (void)state;
  for (int i = 0; i < 50; i++) {
    struct cmap__record *record = NULL;
    struct thread thread;
    thread_start(&thread, take_one, 0, &record);
    thread_join(&thread);
    same += record == before;
    before = record;
  }
  checks_assert();
  /* Whoever comes first gets all there are. */
  assert_true(same >= 40);
}

/* Who takes of them leaves some to the next: two threads that come and go at
 * the same time, again and again, find those of the two before. */
struct pair {
  struct step step;
  struct cmap__record *taken[2];
};

static void take_at_once(unsigned index, void *ctx)
{
  struct pair *pair = ctx;

  if (index == 1)
    step_wait(&pair->step, 1);
  pair->taken[index] = cmap__record_take();
  CHECK(pair->taken[index] != NULL);
  step_done(&pair->step, index + 1);
  step_wait(&pair->step, 2);
  if (pair->taken[index] != NULL)
    cmap__record_give(pair->taken[index]);
}

static void records_serve_any_number_of_threads(void **state)
{
  enum { GENERATIONS = 100, BOUND = 32 };
  struct cmap__record *met[BOUND];
  unsigned count = 0;

  (void)state;
  for (unsigned i = 0; i < GENERATIONS; i++) {
    struct pair pair;

    step_begin(&pair.step);
    threads_run(2, take_at_once, &pair);
    step_end(&pair.step);
    for (unsigned t = 0; t < 2; t++) {
      unsigned at = 0;
      while (at < count && met[at] != pair.taken[t])
        at++;
      if (at == count) {
        assert_true(count < BOUND);
        met[count++] = pair.taken[t];
      }
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_hold_covers_its_hashes),
      cmocka_unit_test(the_strongest_hold_is_found),
      cmocka_unit_test(guards_end_in_any_order),
      cmocka_unit_test(records_are_used_again),
      cmocka_unit_test(an_ended_thread_abandons_its_locks),
      cmocka_unit_test(a_thread_that_ends_in_calls_abandons_them),
      cmocka_unit_test(destructors_may_release),
      cmocka_unit_test(records_go_to_other_threads),
      cmocka_unit_test(records_serve_any_number_of_threads),
  };

  return cmocka_run_group_tests_name("hold", tests, NULL, NULL);
}
