/*
 * Guards that a destructor of thread-specific data takes and leaves, in each of
 * the rounds that there are: who waits gets CMAP_EABANDONED.
 *
 * The main thread takes no guard before: the first key is older than any of the
 * library's, so that its destructor is called before the library's in each
 * round. The second is younger; after it the last round is too late, as the
 * header says.
 */
#include "numbers.h"
#include "threads.h"

#include <limits.h>

#define KEY UINT64_C(7)

/* POSIX promises so many rounds. In the last one ThreadSanitizer has given up
 * the thread, and code that it has compiled must not run. */
#if defined(__has_feature)
#  if __has_feature(thread_sanitizer)
#    define THREAD_SANITIZER 1
#  endif
#endif
#if defined(__SANITIZE_THREAD__) || defined(THREAD_SANITIZER)
#  define ROUNDS (_POSIX_THREAD_DESTRUCTOR_ITERATIONS - 1)
#else
#  define ROUNDS _POSIX_THREAD_DESTRUCTOR_ITERATIONS
#endif

static pthread_key_t keys[2];

/* Where the C library does not have it, nobody knows in which round a thread
 * is that had used no guards before: two more are waited for. */
#ifndef _WIN32
extern int __cxa_thread_atexit_impl(void (*end)(void *), void *arg,
                                    void *within) __attribute__((weak));
#else
static int (*const __cxa_thread_atexit_impl)(void) = NULL;
#endif

/* Where a thread first uses guards in such a destructor, the C library keeps
 * some bytes for those of thread-local variables, which it has called before.
 */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
  return "leak:__cxa_thread_atexit_impl";
}

struct late {
  struct cmap *map;
  pthread_key_t key;
  unsigned rounds; /* in the last of them the guard is taken */
  bool writes;
  bool uses_others; /* before the thread ends */
};

static void take_late(void *ctx)
{
  static struct cmap_read_guard read; /* nobody looks at them */
  static struct cmap_write_guard write;
  struct late *late = ctx;
  uint64_t id = KEY;

  if (--late->rounds > 0)
    pthread_setspecific(late->key, late);
  else if (late->writes)
    CHECK_OK(cmap_get_mut(late->map, cmap_key_u64(&id), &write, NULL));
  else
    CHECK_OK(cmap_get_ref(late->map, cmap_key_u64(&id), &read, NULL));
}

static void end_late(unsigned index, void *ctx)
{
  struct late *late = ctx;

  (void)index;
  if (late->uses_others) {
    CMAP_AUTO(cmap_write_guard, other);
    uint64_t id = KEY;
    CHECK_OK(cmap_get_mut(late->map, cmap_key_u64(&id), &other, NULL));
  }
  pthread_setspecific(late->key, late);
}

static void leave_in_round(unsigned rounds, pthread_key_t key, bool writes,
                           bool uses_others)
{
  struct late late = {numbers_open(), key, rounds, writes, uses_others};
  struct cmap_how how = cmap_how_within(UINT64_C(20000000000));
  uint64_t id = KEY, value = 1;
  struct thread thread;

  numbers_put(late.map, KEY, KEY);
  thread_start(&thread, end_late, 0, &late);
  thread_join(&thread);
  CHECK(late.rounds == 0);
  CHECK_STATUS(
      cmap_insert(late.map, cmap_key_u64(&id), &value, NULL, NULL, &how),
      CMAP_EABANDONED);
  cmap_destroy(late.map);
  checks_assert();
}

static void in_every_round(void **state)
{
  (void)state;
  for (unsigned key = 0; key < 2; key++) {
    for (unsigned rounds = 1; rounds <= ROUNDS - key; rounds++) {
      for (unsigned way = 0; way < 4; way++) {
        bool uses_others = way >= 2;
        if (uses_others || __cxa_thread_atexit_impl != NULL ||
            rounds + 2 <= ROUNDS - key)
          leave_in_round(rounds, keys[key], way % 2 != 0, uses_others);
      }
    }
  }
}

/* Takes the library's key. */
static void take_a_guard(unsigned index, void *ctx)
{
  struct cmap *map = numbers_open();

  (void)index, (void)ctx;
  numbers_put(map, KEY, KEY);
  {
    CMAP_AUTO(cmap_write_guard, guard);
    uint64_t id = KEY;
    CHECK_OK(cmap_get_mut(map, cmap_key_u64(&id), &guard, NULL));
  }
  cmap_destroy(map);
}

static int make_keys(void **state)
{
  struct thread thread;

  (void)state;
  assert_int_equal(pthread_key_create(&keys[0], take_late), 0);
  thread_start(&thread, take_a_guard, 0, NULL);
  thread_join(&thread);
  checks_assert();
  assert_int_equal(pthread_key_create(&keys[1], take_late), 0);
  return 0;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(in_every_round),
  };

  return cmocka_run_group_tests_name("guards_late", tests, make_keys, NULL);
}
