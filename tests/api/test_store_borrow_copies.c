/*
 * Copies of what a thread had borrowed: releasing one does nothing when it was
 * given back, whatever its record, its object and its thread have become.
 */
#include <stdatomic.h>
#include <string.h>

#include "settings.h"
#include "store_objects.h"
#include "threads.h"

static struct test_store t;

static struct tracked *put(uint64_t id)
{
  struct tracked *object = tracked_new(&t.lives, id, 1);

  CHECK_OK(cmap_store_put(t.store, cmap_key_u64(&id), object, NULL, NULL));
  return object;
}

static struct cmap_borrowed borrow(uint64_t id)
{
  struct cmap_borrowed borrowed = CMAP_INIT;

  CHECK_OK(cmap_store_borrow(t.store, cmap_key_u64(&id), &borrowed, NULL));
  CHECK(tracked_is_alive(borrowed.object) &&
        ((struct tracked *)borrowed.object)->id == id);
  return borrowed;
}

static void remove_key(uint64_t id)
{
  CHECK_OK(cmap_store_remove(t.store, cmap_key_u64(&id), NULL));
}

/* Not to what the same record has become either. */
static void what_was_given_back(void **state)
{
  enum { ROOM = 2 }; /* beyond it they are counted */
  struct cmap_borrowed borrowed[ROOM + 1], copy;
  struct tracked *object;

  (void)state;
  test_store_open(&t, KEYS_U64);
  (void)put(1);
  for (int i = 0; i < ROOM; i++)
    borrowed[i] = borrow(1);
  borrowed[ROOM] = borrow(1);
  copy = borrowed[ROOM];
  cmap_borrowed_release(&borrowed[ROOM]);
  object = put(2);
  borrowed[ROOM] = borrow(2);
  CHECK(borrowed[ROOM].internal[1] == copy.internal[1]); /* the record */
  cmap_borrowed_release(&copy);
  CHECK(copy.object == NULL && copy.internal[0] == 0);
  remove_key(2);
  CHECK(tracked_is_alive(object));
  for (int i = 0; i <= ROOM; i++)
    cmap_borrowed_release(&borrowed[i]);
  CHECK(!tracked_is_alive(object));
  test_store_close(&t);
}

static void release_copy(unsigned index, void *ctx)
{
  struct cmap_borrowed copy = *(struct cmap_borrowed *)ctx;

  (void)index;
  cmap_borrowed_release(&copy);
}

/* The object is gone, and its header's page with the system. */
static void what_is_gone(void **state)
{
  enum { OBJECTS = 50000 }; /* most of their headers are in whole pages */
  struct cmap_store_options options;
  struct cmap_store_stats full = {.size = sizeof full}, empty = full;
  struct cmap_borrowed borrowed = CMAP_INIT, copy;
  struct cmap_store *store;

  (void)state;
  /* Only the default allocator's pages are given back. */
  cmap_store_options_init(&options, CMAP_U64, NULL);
  CHECK_OK(cmap_store_create(&options, &store));
  for (uint64_t id = 0; id < OBJECTS; id++)
    CHECK_OK(cmap_store_put(store, cmap_key_u64(&id), &options, NULL, NULL));
  CHECK_OK(
      cmap_store_borrow(store, CMAP_KEY_U64(OBJECTS / 2), &borrowed, NULL));
  copy = borrowed;
  CHECK_OK(cmap_store_get_stats(store, &full));
  cmap_borrowed_release(&borrowed);
  CHECK_OK(cmap_store_clear(store));
  CHECK_OK(cmap_store_shrink_to_fit(store));
  CHECK_OK(cmap_store_get_stats(store, &empty));
  CHECK(empty.bytes < full.bytes / 4);
  threads_run(1, release_copy, &copy);
  cmap_borrowed_release(&copy);
  CHECK_OK(cmap_store_destroy(store));
  checks_assert();
}

/* A thread that has the record of one that has ended releases that one's copy.
 */
static void borrow_with_old_records(unsigned index, void *ctx)
{
  enum { N = 12 }; /* more than records are taken over at a time */
  struct cmap_borrowed *old = ctx;
  struct cmap_borrowed borrowed[N];
  struct tracked *object = put(2);
  unsigned same = 0, with = 0;

  (void)index;
  for (unsigned i = 0; i < N; i++) {
    borrowed[i] = borrow(2);
    if (borrowed[i].internal[1] == old->internal[1]) {
      same++;
      with = i;
    }
  }
  CHECK(same == 1);
  remove_key(2);
  for (unsigned i = 0; i < N; i++)
    if (i != with)
      cmap_borrowed_release(&borrowed[i]);
  cmap_borrowed_release(old);
  CHECK(tracked_is_alive(object));
  cmap_borrowed_release(&borrowed[with]);
  CHECK(!tracked_is_alive(object));
}

static void borrow_counted(unsigned index, void *ctx)
{
  (void)index;
  for (int i = 0; i < 3; i++)
    *(struct cmap_borrowed *)ctx = borrow(1);
}

static void records_of_threads_that_have_ended(void **state)
{
  struct cmap_borrowed old;

  (void)state;
  test_store_open(&t, KEYS_U64);
  (void)put(1);
  threads_run(1, borrow_counted, &old);
  threads_run(1, borrow_with_old_records, &old);
  test_store_close(&t);
}

/* The destructor releases the copy that is being given back with the thread. */
static _Thread_local struct cmap_borrowed left;
static atomic_uint destroyed;

static void release_left(void *object, void *ctx)
{
  (void)object, (void)ctx;
  atomic_fetch_add(&destroyed, 1);
  cmap_borrowed_release(&left);
}

static void leave_last(unsigned counted, void *ctx)
{
  struct cmap_store *store = ctx;

  if (counted) /* until there is no room */
    for (int i = 0; i < 2; i++)
      CHECK_OK(cmap_store_borrow(store, CMAP_KEY_U64(1), &left, NULL));
  CHECK_OK(cmap_store_borrow(store, CMAP_KEY_U64(2), &left, NULL));
  CHECK_OK(cmap_store_remove(store, CMAP_KEY_U64(2), NULL));
}

static void a_destructor_at_the_threads_end(void **state)
{
  struct cmap_store_options options;
  struct cmap_store *store;

  (void)state;
  cmap_store_options_init(&options, CMAP_U64, release_left);
  CHECK_OK(cmap_store_create(&options, &store));
  for (unsigned counted = 0; counted < 2; counted++) {
    struct thread thread;

    CHECK_OK(cmap_store_put(store, CMAP_KEY_U64(1), &options, NULL, NULL));
    CHECK_OK(cmap_store_put(store, CMAP_KEY_U64(2), &options, NULL, NULL));
    atomic_store(&destroyed, 0);
    thread_start(&thread, leave_last, counted, store);
    thread_join(&thread);
    CHECK(atomic_load(&destroyed) == 1);
    CHECK_OK(cmap_store_clear(store));
    CHECK(atomic_load(&destroyed) == 2);
  }
  CHECK_OK(cmap_store_destroy(store));
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_given_back),
      cmocka_unit_test(what_is_gone),
      cmocka_unit_test(records_of_threads_that_have_ended),
      cmocka_unit_test(a_destructor_at_the_threads_end),
  };

  return cmocka_run_group_tests_name("store_borrow_copies", tests, NULL, NULL);
}
