/*
 * Borrowed objects: they live until they are given back, whatever becomes of
 * them in the store, and are destroyed once; threads that end give back what
 * they have; other threads do not.
 */
#include <string.h>

#include "settings.h"
#include "random.h"
#include "step.h"
#include "store_objects.h"
#include "threads.h"

static struct test_store t;

static struct cmap_key key_of(uint64_t id)
{
  static _Thread_local struct key_room room;

  return key_make(&t.keys.spec, id, &room);
}

static struct tracked *put(uint64_t id)
{
  struct tracked *object = tracked_new(&t.lives, id, 1);

  CHECK_OK(cmap_store_put(t.store, key_of(id), object, NULL, NULL));
  return object;
}

static struct cmap_borrowed borrow(uint64_t id)
{
  struct cmap_borrowed borrowed = CMAP_INIT;

  CHECK_OK(cmap_store_borrow(t.store, key_of(id), &borrowed, NULL));
  CHECK(tracked_is_alive(borrowed.object) &&
        ((struct tracked *)borrowed.object)->id == id);
  return borrowed;
}

static void remove_key(uint64_t id)
{
  CHECK_OK(cmap_store_remove(t.store, key_of(id), NULL));
}

/* ------------------------------------------------------------------------
 * One thread
 * ------------------------------------------------------------------------ */

enum { BY_REMOVE, BY_PUT, BY_CLEAR, WAYS };

static void take_out(uint64_t id, int way)
{
  if (way == BY_REMOVE)
    remove_key(id);
  else if (way == BY_PUT)
    (void)put(id);
  else
    CHECK_OK(cmap_store_clear(t.store));
}

static void lives_until_it_is_given_back(void **state)
{
  static const enum key_shape shapes[] = {KEYS_U64, KEYS_STRING,
                                          KEYS_CUSTOM_OWNED};

  (void)state;
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    test_store_open(&t, shapes[s]);
    for (int way = 0; way < WAYS; way++) {
      struct tracked *object = put(7);
      struct cmap_borrowed borrowed = borrow(7);

      CHECK(borrowed.object == object);
      take_out(7, way);
      CHECK(tracked_is_alive(object));
      CHECK_STATUS(cmap_store_destroy(t.store), CMAP_BUSY);
      cmap_borrowed_release(&borrowed);
      CHECK(!tracked_is_alive(object));
      CHECK(borrowed.object == NULL && borrowed.internal[0] == 0);
      cmap_borrowed_release(&borrowed);
    }
    test_store_close(&t);
  }
}

/* More at a time than a thread has room for, of several stores; given back in
 * any order. */
static void as_many_as_one_likes(void **state)
{
  enum { N = 6 };

  (void)state;
  test_store_open(&t, KEYS_U64);
  for (unsigned order = 0; order < 3; order++) {
    struct cmap_borrowed borrowed[N];
    struct tracked *objects[N];

    for (uint64_t i = 0; i < N; i++) {
      objects[i] = put(i % 4);
      borrowed[i] = borrow(i % 4);
    }
    CHECK_OK(cmap_store_clear(t.store));
    for (unsigned i = 0; i < N; i++) {
      unsigned at = order == 0 ? i : order == 1 ? N - 1 - i : (i * 5 + 2) % N;
      CHECK(tracked_is_alive(objects[at]));
      CHECK_STATUS(cmap_store_destroy(t.store), CMAP_BUSY);
      cmap_borrowed_release(&borrowed[at]);
      CHECK(!tracked_is_alive(objects[at]));
    }
  }
  test_store_close(&t);
}

/* The same object twice, beside a handle: the last one destroys it. */
static void beside_others(void **state)
{
  struct cmap_borrowed first, second;
  struct cmap_handle handle = CMAP_INIT;
  struct tracked *object;

  (void)state;
  test_store_open(&t, KEYS_U64);
  for (int last = 0; last < 3; last++) {
    object = put(1);
    first = borrow(1);
    second = borrow(1);
    CHECK_OK(cmap_store_get(t.store, key_of(1), &handle, NULL));
    remove_key(1);
    for (int i = 1; i <= 3; i++) {
      int which = (last + i) % 3;
      CHECK(tracked_is_alive(object));
      if (which == 0)
        cmap_borrowed_release(&first);
      else if (which == 1)
        cmap_borrowed_release(&second);
      else
        cmap_handle_release(&handle);
    }
    CHECK(!tracked_is_alive(object));
  }
  test_store_close(&t);
}

static void nothing_to_borrow(void **state)
{
  struct cmap_how wrong = {.size = 1};
  struct cmap_borrowed borrowed = {.object = &t};

  (void)state;
  test_store_open(&t, KEYS_U64);
  CHECK_STATUS(cmap_store_borrow(t.store, key_of(1), &borrowed, NULL),
               CMAP_NOT_FOUND);
  CHECK(borrowed.object == NULL && borrowed.internal[0] == 0);
  (void)put(1);
  CHECK_STATUS(cmap_store_borrow(NULL, key_of(1), &borrowed, NULL),
               CMAP_EINVAL);
  CHECK_STATUS(cmap_store_borrow(t.store, key_of(1), NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_store_borrow(t.store, key_of(1), &borrowed, &wrong),
               CMAP_EINVAL);
  CHECK_STATUS(
      cmap_store_borrow(t.store, cmap_key_bytes(NULL, 0), &borrowed, NULL),
      CMAP_EINVAL);
  cmap_borrowed_release(NULL);
  CHECK(store_stats(t.store).hits == 0 && store_stats(t.store).misses == 1);
  borrowed = borrow(1);
  cmap_borrowed_release(&borrowed);
  CHECK(store_stats(t.store).hits == 1);
  test_store_close(&t);
}

static uint64_t now;

static uint64_t show_clock(void *ctx)
{
  (void)ctx;
  return now;
}

/* In a cache: a hit is one that counts, and what is over is not there. */
static void in_a_cache(void **state)
{
  struct cmap_borrowed borrowed = CMAP_INIT;
  struct tracked *old;

  (void)state;
  now = 100;
  test_store_prepare(&t, KEYS_U64);
  t.options.max_objects = 10;
  t.options.ttl_ns = 50;
  t.options.refresh_ns = 20;
  t.options.clock = show_clock;
  test_store_create(&t);
  old = put(1);
  for (int i = 0; i < 3; i++) {
    borrowed = borrow(1);
    cmap_borrowed_release(&borrowed);
  }
  for (uint64_t id = 10; id < 20; id++)
    (void)put(id);
  CHECK(tracked_is_alive(old)); /* it was hit */
  now = 125;
  borrowed = borrow(1); /* stale */
  cmap_borrowed_release(&borrowed);
  now = 151;
  CHECK_STATUS(cmap_store_borrow(t.store, key_of(1), &borrowed, NULL),
               CMAP_NOT_FOUND);
  CHECK(!tracked_is_alive(old));
  test_store_close(&t);
}

/* ------------------------------------------------------------------------
 * Several threads
 * ------------------------------------------------------------------------ */

enum { STEP_BORROWED = 1, STEP_REMOVED, STEP_GIVEN_BACK, STEP_OVER };

struct other {
  struct thread thread;
  struct step step;
  struct cmap_borrowed borrowed; /* the other thread's */
};

static void borrow_and_wait(unsigned gives_back, void *ctx)
{
  struct other *other = ctx;

  other->borrowed = borrow(1);
  if (!gives_back) /* more than there is room for, of which one is counted */
    for (int i = 0; i < 2; i++)
      (void)borrow(1);
  step_done(&other->step, STEP_BORROWED);
  step_wait(&other->step, STEP_REMOVED);
  CHECK(tracked_is_alive(other->borrowed.object));
  if (gives_back)
    cmap_borrowed_release(&other->borrowed);
  step_done(&other->step, STEP_GIVEN_BACK);
  step_wait(&other->step, STEP_OVER);
}

static void other_begin(struct other *other, unsigned gives_back)
{
  step_begin(&other->step);
  thread_start(&other->thread, borrow_and_wait, gives_back, other);
  step_wait(&other->step, STEP_BORROWED);
}

static void other_end(struct other *other)
{
  step_done(&other->step, STEP_OVER);
  thread_join(&other->thread);
  step_end(&other->step);
}

/* The last of two threads destroys it. */
static void of_two_threads(void **state)
{
  (void)state;
  test_store_open(&t, KEYS_U64);
  for (int mine_first = 0; mine_first < 2; mine_first++) {
    struct tracked *object = put(1);
    struct cmap_borrowed mine = borrow(1);
    struct other other;

    other_begin(&other, true);
    remove_key(1);
    if (mine_first) {
      cmap_borrowed_release(&mine);
      CHECK(tracked_is_alive(object));
    }
    step_done(&other.step, STEP_REMOVED);
    step_wait(&other.step, STEP_GIVEN_BACK);
    CHECK(tracked_is_alive(object) == !mine_first);
    cmap_borrowed_release(&mine);
    CHECK(!tracked_is_alive(object));
    other_end(&other);
  }
  test_store_close(&t);
}

/* A thread ends that has not given it back. Another one's copy of it is of no
 * use, before as after. */
static void of_a_thread_that_ends(void **state)
{
  (void)state;
  test_store_open(&t, KEYS_U64);
  for (int removed = 0; removed < 2; removed++) {
    struct tracked *object = put(1);
    struct cmap_borrowed copy;
    struct other other;

    other_begin(&other, false);
    copy = other.borrowed;
    cmap_borrowed_release(&copy);
    if (removed)
      remove_key(1);
    step_done(&other.step, STEP_REMOVED);
    step_wait(&other.step, STEP_GIVEN_BACK);
    CHECK(tracked_is_alive(object));
    CHECK_STATUS(cmap_store_destroy(t.store), CMAP_BUSY);
    other_end(&other);
    CHECK(tracked_is_alive(object) == !removed);
    cmap_borrowed_release(&other.borrowed); /* late */
    if (!removed)
      remove_key(1);
    CHECK(!tracked_is_alive(object));
  }
  test_store_close(&t);
}

/* Threads borrow what others take out all the time. */
#define THREADS 4
#define IDS     4
#define ROUNDS  40000

static void borrow_at_random(unsigned index, void *ctx)
{
  struct random random;

  (void)ctx;
  random_begin(&random, index);
  for (size_t left = test_scale(ROUNDS); left > 0 && !checks_failed(); left--) {
    uint64_t id = random_below(&random, IDS);
    struct cmap_borrowed borrowed[3] = {CMAP_INIT, CMAP_INIT, CMAP_INIT};
    size_t count = (size_t)(1 + random_below(&random, 3));

    if (random_once_in(&random, 4))
      (void)put(id);
    if (random_once_in(&random, 8))
      (void)cmap_store_remove(t.store, key_of(id), NULL);
    for (size_t i = 0; i < count; i++) {
      enum cmap_status status =
          cmap_store_borrow(t.store, key_of(id), &borrowed[i], NULL);
      CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
      CHECK((status == CMAP_OK) == (borrowed[i].object != NULL));
    }
    for (size_t i = 0; i < count; i++) {
      if (borrowed[i].object != NULL)
        CHECK(tracked_is_alive(borrowed[i].object) &&
              ((struct tracked *)borrowed[i].object)->id == id);
      cmap_borrowed_release(&borrowed[i]);
    }
  }
}

static void many_threads(void **state)
{
  (void)state;
  test_store_open(&t, KEYS_U64);
  threads_run(THREADS, borrow_at_random, NULL);
  test_store_close(&t);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lives_until_it_is_given_back),
      cmocka_unit_test(as_many_as_one_likes),
      cmocka_unit_test(beside_others),
      cmocka_unit_test(nothing_to_borrow),
      cmocka_unit_test(in_a_cache),
      cmocka_unit_test(of_two_threads),
      cmocka_unit_test(of_a_thread_that_ends),
      cmocka_unit_test(many_threads),
  };

  return cmocka_run_group_tests_name("store_borrow", tests, NULL, NULL);
}
