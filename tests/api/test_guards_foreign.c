/*
 * Guards, entries, several keys and iterators in the hands of a thread that did
 * not take them: its calls do nothing, and the owner can still use and release
 * what it has.
 */
#include "calls.h"
#include "numbers.h"
#include "threads.h"

#include <string.h>

#define KEYS 100
#define KEY  UINT64_C(7)

/* All that may be held, of which a test takes one. */
struct held {
  struct cmap *map;
  struct cmap_read_guard read;
  struct cmap_write_guard write;
  struct cmap_entry entry;
  struct cmap_multi many;
  struct cmap_iter iter;
};

static struct held held;

/* ------------------------------------------------------------------------
 * The other thread
 * ------------------------------------------------------------------------ */

static void use(void)
{
  struct cmap_read_guard none = CMAP_INIT;
  uint64_t value = 5;

  CHECK_STATUS(cmap_write_guard_downgrade(&held.write, &none), CMAP_EINVAL);
  CHECK_STATUS(cmap_write_guard_remove(&held.write, &value), CMAP_EINVAL);
  CHECK_STATUS(cmap_entry_insert(&held.entry, &value, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_iter_next(&held.iter, NULL), CMAP_EINVAL);
  CHECK(cmap_multi_value(&held.many, 0) == NULL);
  CHECK(cmap_multi_entry(&held.many, 0) == NULL);
  CHECK(value == 5 && none.value == NULL);
}

/* Empty ones may be released. */
static enum cmap_status expected(const uintptr_t internal[2])
{
  return internal[0] == 0 ? CMAP_OK : CMAP_EINVAL;
}

static void use_and_release(unsigned index, void *ctx)
{
  const struct held before = held;

  (void)index;
  (void)ctx;
  for (int i = 0; i < 2; i++) {
    use();
    CHECK_STATUS(cmap_read_guard_release(&held.read),
                 expected(held.read.internal));
    CHECK_STATUS(cmap_write_guard_release(&held.write),
                 expected(held.write.internal));
    CHECK_STATUS(cmap_entry_release(&held.entry),
                 expected(held.entry.internal));
    CHECK_STATUS(cmap_multi_release(&held.many), expected(held.many.internal));
    CHECK_STATUS(cmap_iter_release(&held.iter), expected(held.iter.internal));
    CHECK(memcmp(&held, &before, sizeof held) == 0);
  }
}

static void write_now(unsigned index, void *ctx)
{
  struct cmap_how how = cmap_how_try();
  uint64_t id = KEY, value = 1;

  (void)index;
  CHECK_STATUS(
      cmap_insert(held.map, cmap_key_u64(&id), &value, NULL, NULL, &how),
      *(enum cmap_status *)ctx);
}

static void by_another_thread(thread_fn *run, void *ctx)
{
  struct thread thread;

  thread_start(&thread, run, 0, ctx);
  thread_join(&thread);
}

/* ------------------------------------------------------------------------
 * The owner
 * ------------------------------------------------------------------------ */

static void take_read(void)
{
  uint64_t id = KEY;

  assert_ok(cmap_get_ref(held.map, cmap_key_u64(&id), &held.read, NULL));
}

static void take_write(void)
{
  uint64_t id = KEY;

  assert_ok(cmap_get_mut(held.map, cmap_key_u64(&id), &held.write, NULL));
}

static void take_entry(void)
{
  uint64_t id = KEY;

  assert_ok(cmap_entry_begin(held.map, cmap_key_u64(&id), &held.entry, NULL));
}

static void take_many(void)
{
  uint64_t ids[2] = {KEY, KEY + 1};
  struct cmap_want wants[2] = {
      {held.map, cmap_key_u64(&ids[0]), CMAP_ENTRY, CMAP_OK},
      {held.map, cmap_key_u64(&ids[1]), CMAP_READ, CMAP_OK}};

  assert_ok(cmap_lock_many(wants, 2, &held.many, NULL));
}

static void take_iter(void)
{
  uint64_t id;

  assert_ok(cmap_iter_begin(held.map, CMAP_WRITE, 0, 1, &held.iter));
  do {
    assert_ok(cmap_iter_next(&held.iter, NULL));
    memcpy(&id, held.iter.key.data, sizeof id);
  } while (id != KEY);
}

static void every_hold(void **state)
{
  static void (*const takes[])(void) = {take_read, take_write, take_entry,
                                        take_many, take_iter};
  const struct held none = {.map = NULL};
  enum cmap_status busy = CMAP_BUSY, ok = CMAP_OK;

  (void)state;
  for (size_t i = 0; i < sizeof takes / sizeof *takes; i++) {
    memcpy(&held, &none, sizeof held); /* its padding, too */
    held.map = calls_map(KEYS);
    takes[i]();
    by_another_thread(use_and_release, NULL);
    by_another_thread(write_now, &busy);
    CHECK_OK(cmap_read_guard_release(&held.read));
    CHECK_OK(cmap_write_guard_release(&held.write));
    CHECK_OK(cmap_entry_release(&held.entry));
    CHECK_OK(cmap_multi_release(&held.many));
    CHECK_OK(cmap_iter_release(&held.iter));
    by_another_thread(write_now, &ok);
    cmap_destroy(held.map);
    checks_assert();
  }
}

/* ------------------------------------------------------------------------
 * At once
 * ------------------------------------------------------------------------ */

enum { ROUNDS = 3000 };

static struct {
  pthread_mutex_t mutex;
  struct cmap_write_guard copy; /* under mutex */
} shared = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* Thread 0 takes and releases, the other releases copies meanwhile. */
static void take_or_release(unsigned index, void *ctx)
{
  struct cmap_write_guard guard = CMAP_INIT;
  uint64_t id = KEY;

  (void)ctx;
  for (int i = 0; i < ROUNDS; i++) {
    if (index == 0)
      CHECK_OK(cmap_get_mut(held.map, cmap_key_u64(&id), &guard, NULL));
    pthread_mutex_lock(&shared.mutex);
    if (index == 0)
      shared.copy = guard;
    else
      guard = shared.copy;
    pthread_mutex_unlock(&shared.mutex);
    cmap_write_guard_release(&guard);
  }
}

static void copies_are_released_meanwhile(void **state)
{
  enum cmap_status ok = CMAP_OK;

  (void)state;
  held.map = calls_map(KEYS);
  threads_run(2, take_or_release, NULL);
  by_another_thread(write_now, &ok);
  cmap_destroy(held.map);
  checks_assert();
}

/* ------------------------------------------------------------------------
 * Typed
 * ------------------------------------------------------------------------ */

CMAP_DEFINE(squares, CMAP_U64, uint64_t);

static struct {
  struct squares map;
  struct squares_read_guard read;
  struct squares_write_guard write;
  struct squares_entry entry;
  struct squares_iter iter;
} typed;

static void release_typed(void)
{
  squares_read_guard_release(&typed.read);
  squares_write_guard_release(&typed.write);
  squares_entry_release(&typed.entry);
  squares_iter_release(&typed.iter);
}

static void release_by_another(unsigned index, void *ctx)
{
  (void)index;
  (void)ctx;
  release_typed();
}

static void every_typed_hold(void **state)
{
  (void)state;
  for (int i = 0; i < 4; i++) {
    enum cmap_status busy = CMAP_BUSY, ok = CMAP_OK;
    memset(&typed, 0, sizeof typed);
    assert_ok(squares_create(NULL, &typed.map));
    assert_ok(squares_insert(typed.map, KEY, 49, NULL, NULL, NULL));
    held.map = typed.map.map;
    switch (i) {
    case 0:
      assert_ok(squares_get_ref(typed.map, KEY, &typed.read, NULL));
      break;
    case 1:
      assert_ok(squares_get_mut(typed.map, KEY, &typed.write, NULL));
      break;
    case 2:
      assert_ok(squares_entry_begin(typed.map, KEY, &typed.entry, NULL));
      break;
    default:
      assert_ok(squares_iter_begin(typed.map, CMAP_READ, 0, 1, &typed.iter));
      assert_ok(squares_iter_next(&typed.iter, NULL));
      break;
    }
    by_another_thread(release_by_another, NULL);
    by_another_thread(write_now, &busy);
    CHECK(i != 0 || *typed.read.value == 49);
    CHECK(i != 1 || *typed.write.value == 49);
    CHECK(i != 2 || *typed.entry.value == 49);
    CHECK(i != 3 || *typed.iter.value == 49);
    release_typed();
    CHECK(typed.read.value == NULL && typed.write.value == NULL);
    CHECK(typed.entry.value == NULL && typed.iter.value == NULL);
    by_another_thread(write_now, &ok);
    squares_destroy(typed.map);
    checks_assert();
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_hold),
      cmocka_unit_test(copies_are_released_meanwhile),
      cmocka_unit_test(every_typed_hold),
  };

  return cmocka_run_group_tests_name("guards_foreign", tests, NULL, NULL);
}
