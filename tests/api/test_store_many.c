/*
 * cmap_store_get_many: one call of the constructor for all that is absent, each
 * key built once over all threads, whatever others build, and no two such calls
 * wait for each other.
 */
#include <sched.h>
#include <string.h>

#include "asleep.h"
#include "numbers.h"
#include "random.h"
#include "settings.h"
#include "step.h"
#include "store_objects.h"
#include "store_scene.h"
#include "threads.h"

static const struct store_scene scenes[] = {
    {"all absent", "a many:123 builds, - asked:a =123, a makes #1,"
                   " b get S1 #1, b get S2 #2, b get S3 #3,"
                   " - stats misses=3 hits=3 done=3 running=0"},
    {"some present", "a put S2 #1, a many:123 builds, - asked:a =13,"
                     " a makes #2, a many:123 #2,"
                     " - stats done=2 hits=4 misses=2"},
    {"the same key twice", "a many:1211 builds, - asked:a =12,"
                           " - stats running=2, a makes #1, b get S2 #2,"
                           " - stats done=2"},
    {"all fail", "a many:121 builds, a fails:7 7, a many:12 builds,"
                 " a makes #1, - stats failed=2 done=2"},
    {"some fail", "a many:1231 builds, a makes:1 7, b get S1 #1,"
                  " b get S2 NOT_FOUND, - stats done=1 failed=2"},
    {"without objects", "a many:12 builds, a null EINVAL, - stats failed=2"},
    {"a failure is remembered", "negative | a create S1 builds, a fails:7 7,"
                                " a many:12 builds, - asked:a =2, a makes 7,"
                                " b get S2 #1"},
    {"others wait for them", "a many:12 builds, b create S1 waits,"
                             " c many:23 builds, - asked:c =3, a makes #1,"
                             " b resumes #1, c makes #2, - len:3 S"},
    {"it waits for others", "b create S1 builds, a many:12 builds,"
                            " - asked:a =2, a makes waits, - len:1 S,"
                            " c get S2 #1, b makes #2, a resumes #2"},
    {"who holds something waits", "c lock M1, a many:12 builds,"
                                  " c create S1 waits, a lock M1 EDEADLK,"
                                  " a makes #1, c resumes #1, c unlocks"},
    {"each other's keys", "a many:12 builds, b many:32 builds,"
                          " - asked:b =3, b makes waits, a makes #2,"
                          " b resumes #1, - stats done=3"},
    {"a circle of constructors", "a many:12 builds, b many:34 builds,"
                                 " a create S3 waits, b create S2 EDEADLK,"
                                 " b many:12 EDEADLK, b makes #1,"
                                 " a resumes #1, a makes #3"},
    {"its own key", "a many:12 builds, a create S2 EDEADLK,"
                    " a many:31 builds, - asked:a =3, a makes EDEADLK,"
                    " a makes #2"},
    {"another goes on", "a many:12 builds, b create S2 waits, a fails:7 7,"
                        " b builds, b makes #1, a get S1 NOT_FOUND,"
                        " - stats failed=2 done=1"},
    {"it goes on alone", "b create S1 builds, a many:123 builds, - asked:a =23,"
                         " a makes waits, b fails:7 7, a builds,"
                         " - asked:a =1, a makes #3, - stats failed=1 done=3"},
    {"it fails before that", "b create S1 builds, a many:12 builds,"
                             " b fails:7 7, - stats running=1, a makes builds,"
                             " - asked:a =1, a makes #2, b get S1 #2,"
                             " - stats failed=1 done=2"},
    {"it fails before that, and who is not to wait builds",
     "b create S1 builds, a many:12 try builds, b fails:7 7, a makes builds,"
     " a makes #2"},
    {"another one builds before that",
     "b create S1 builds, a many:12 builds, b fails:7 7, c create S1 builds,"
     " a makes waits, c makes #2, a resumes #2, b get S1 #2"},
    {"a ticket meanwhile",
     "b create S1 builds, a many:12 builds, c begin S1 PENDING, b fails:7 7,"
     " - told:c 7, c begin S1 YOURS, a makes waits, c complete S1 #2,"
     " a resumes #2"},
    {"a failure before that is shared",
     "share | b create S1 builds, a many:12 builds, b fails:7 7, a makes 7"},
    {"a failure before that is remembered",
     "negative | b create S1 builds, a many:12 builds, b fails:7 7, a makes 7,"
     " - stats failed=1 done=1"},
    {"failures are shared", "share | b create S1 builds, a many:12 builds,"
                            " c create S2 waits, a fails:7 waits,"
                            " c resumes 7, b fails:8 8, a resumes 8"},
    {"put comes first", "a many:12 builds, b put S2 #1, a makes #2,"
                        " c get S2 #1, - stats done=1 overtaken=1"},
    {"removed meanwhile", "a many:12 builds, b remove S1, a makes #1,"
                          " c get S1 NOT_FOUND, c get S2 #2"},
    {"not to wait", "b create S1 builds, a many:12 try builds, a makes BUSY,"
                    " b makes #2, a get S2 #1"},
    {"not for long", "b create S1 builds, a many:12 soon builds,"
                     " a makes waits, a resumes TIMEDOUT, b makes #2"},
    {"until it is cancelled", "b create S1 builds, a many:12 token builds,"
                              " a makes waits, - trips, a resumes ECANCELED,"
                              " b makes #2"},
    {"the thread ends", "a many:12 builds, b create S1 waits, a exits,"
                        " b builds, b makes #1, b get S2 NOT_FOUND,"
                        " - stats abandoned=2 running=0"},
    {"it ends, and waits for others",
     "b create S1 builds, c put S3 #1, a many:1232 builds, - asked:a =2,"
     " b counts:0 S1, a exits, b counts:0 S1, b makes #2, b get S2 NOT_FOUND"},
    {"it ends when it goes on", "b create S1 builds, a many:12 builds,"
                                " a makes waits, b fails:7 7, a builds,"
                                " a exits, b get S2 #1, b get S1 NOT_FOUND"},
    {"stale", "stale:10 | a put S1 #1, a put S2 #2, - clock:11,"
              " a many:12 builds, - asked:a =12, b get S1 #1, a makes:1 #3,"
              " b get S1 #3, b get S2 #2, - left:1 REPLACED"},
    {"expired", "ttl:10 | a put S1 #1, - clock:11, a many:12 builds,"
                " - asked:a =12, a makes #2, - left:1 EXPIRED"},
    {"more than there is room for", "max:2 | a many:1234 builds, a makes #1,"
                                    " - stats objects=2 evicted=2"},
};

/* ------------------------------------------------------------------------
 * One thread, keys of all kinds, memory refused
 * ------------------------------------------------------------------------ */

#define N 6

static struct test_store t;
static struct key_room rooms[N];
static unsigned calls;

static enum cmap_status build_odd(const struct cmap_key *keys, size_t n,
                                  void **objects, enum cmap_status *statuses,
                                  void *ctx)
{
  (void)ctx;
  calls++;
  for (size_t i = 0; i < n; i++) {
    uint64_t id = key_id(&t.keys.spec, keys[i]);
    if (id % 2 != 0)
      objects[i] = tracked_new(&t.lives, id, 1);
    else
      statuses[i] = cmap_status_user(40 + (int)id);
  }
  return CMAP_OK;
}

static void ask(struct cmap_handle *handles, enum cmap_status *statuses,
                enum cmap_status *status)
{
  struct cmap_key keys[N];

  for (size_t i = 0; i < N; i++)
    keys[i] = key_make(&t.keys.spec, i, &rooms[i]);
  *status = cmap_store_get_many(t.store, keys, N, handles, statuses, build_odd,
                                NULL, NULL);
}

static void each_has_its_status(void **state)
{
  static const enum key_shape shapes[] = {KEYS_U64, KEYS_STRING};
  struct cmap_handle handles[N];
  enum cmap_status statuses[N], status;

  (void)state;
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    calls = 0;
    test_store_open(&t, shapes[s]);
    ask(handles, statuses, &status);
    assert_int_equal(calls, 1);
    assert_int_equal(status, 40);
    for (size_t i = 0; i < N; i++) {
      assert_int_equal(statuses[i], i % 2 != 0 ? 0 : 40 + i);
      assert_int_equal(handles[i].object != NULL, i % 2);
      assert_int_equal(cmap_handle_origin(&handles[i]),
                       i % 2 != 0 ? CMAP_BUILT : CMAP_HIT);
      cmap_handle_release(&handles[i]);
    }
    test_store_close(&t);
  }
}

static void wrong_arguments(void **state)
{
  struct cmap_how wrong = {.size = 1}, flags = cmap_how_try();
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_status untouched = CMAP_EXISTS;
  uint64_t id = 1;
  struct cmap_key key = cmap_key_u64(&id), none = {NULL, 0};

  (void)state;
  flags.flags = CMAP_SHARE_FAILURE | CMAP_RETRY_FAILURE;
  test_store_open(&t, KEYS_U64);
  assert_status(cmap_store_get_many(NULL, &key, 1, &handle, &untouched,
                                    build_odd, NULL, NULL),
                CMAP_EINVAL);
  assert_status(cmap_store_get_many(t.store, NULL, 1, &handle, &untouched,
                                    build_odd, NULL, NULL),
                CMAP_EINVAL);
  assert_status(cmap_store_get_many(t.store, &key, 1, NULL, &untouched,
                                    build_odd, NULL, NULL),
                CMAP_EINVAL);
  assert_status(cmap_store_get_many(t.store, &key, 1, &handle, NULL, build_odd,
                                    NULL, NULL),
                CMAP_EINVAL);
  assert_status(cmap_store_get_many(t.store, &key, 1, &handle, &untouched, NULL,
                                    NULL, NULL),
                CMAP_EINVAL);
  assert_status(cmap_store_get_many(t.store, &key, 1, &handle, &untouched,
                                    build_odd, NULL, &wrong),
                CMAP_EINVAL);
  assert_status(cmap_store_get_many(t.store, &key, 1, &handle, &untouched,
                                    build_odd, NULL, &flags),
                CMAP_EINVAL);
  assert_int_equal(untouched, CMAP_EXISTS);
  assert_status(
      cmap_store_get_many(t.store, NULL, 0, NULL, NULL, build_odd, NULL, NULL),
      CMAP_OK);
  assert_status(cmap_store_get_many(t.store, &none, 1, &handle, &untouched,
                                    build_odd, NULL, NULL),
                CMAP_EINVAL);
  assert_int_equal(untouched, CMAP_EINVAL); /* of that key */
  test_store_close(&t);
}

/* Each request for memory is refused in turn: what fails for that says so, and
 * nothing is lost. */
static void without_memory(void **state)
{
  struct cmap_handle handles[N];
  enum cmap_status statuses[N], status;
  bool refused = true;

  (void)state;
  /* Ends: with the first call that asks for less. */
  for (size_t nth = 1; refused; nth++) {
    test_store_open(&t, KEYS_STRING);
    counting_alloc_fail_nth(&t.keys.alloc, nth);
    ask(handles, statuses, &status);
    refused = counting_alloc_failures(&t.keys.alloc) != 0;
    counting_alloc_fail_none(&t.keys.alloc);
    for (size_t i = 0; i < N; i++) {
      CHECK(statuses[i] == CMAP_ENOMEM ||
            (int)statuses[i] == (i % 2 != 0 ? 0 : 40 + (int)i));
      CHECK((handles[i].object != NULL) == (statuses[i] == CMAP_OK));
      cmap_handle_release(&handles[i]);
    }
    CHECK(refused || status == cmap_status_user(40));
    test_store_close(&t);
  }
}

/* ------------------------------------------------------------------------
 * Who waits for a batch, and then for another thread
 * ------------------------------------------------------------------------ */

enum { STEP_BUILDS = 1, STEP_WAITED_FOR };

/* Two threads hold the key of a map each, and wait for the store's key. */
struct heir {
  struct circle *circle;
  struct thread thread;
  struct asleep asleep;
  unsigned index; /* of its map */
  enum cmap_status locked, got;
  bool builds;
};

struct circle {
  struct step step;
  struct cmap *maps[2];
  struct heir heirs[2];
};

static enum cmap_status fail_when_waited_for(const struct cmap_key *keys,
                                             size_t n, void **objects,
                                             enum cmap_status *statuses,
                                             void *ctx)
{
  struct circle *circle = ctx;

  (void)keys, (void)n, (void)objects, (void)statuses;
  step_done(&circle->step, STEP_BUILDS);
  step_wait(&circle->step, STEP_WAITED_FOR);
  return cmap_status_user(7);
}

static void build_two(unsigned index, void *ctx)
{
  const uint64_t ids[] = {1, 2};
  struct cmap_key keys[] = {cmap_key_u64(&ids[0]), cmap_key_u64(&ids[1])};
  struct cmap_handle handles[2];
  enum cmap_status statuses[2];

  (void)index;
  CHECK_STATUS(cmap_store_get_many(t.store, keys, 2, handles, statuses,
                                   fail_when_waited_for, ctx, NULL),
               cmap_status_user(7));
}

/* Asks for what the other one has, who waits for this. */
static enum cmap_status build_and_ask(struct cmap_key key, void **object,
                                      void *ctx)
{
  struct cmap_write_guard guard = CMAP_INIT;
  struct heir *heir = ctx;
  uint64_t id = 0;

  heir->builds = true;
  heir->locked = cmap_get_mut(heir->circle->maps[1 - heir->index],
                              cmap_key_u64(&id), &guard, NULL);
  cmap_write_guard_release(&guard);
  *object = tracked_new(&t.lives, cmap_key_as_u64(key), 1);
  return CMAP_OK;
}

static void inherit(unsigned index, void *ctx)
{
  struct circle *circle = ctx;
  struct heir *heir = &circle->heirs[index];
  struct cmap_write_guard guard = CMAP_INIT;
  struct cmap_handle handle = CMAP_INIT;
  uint64_t zero = 0, id = 1;

  asleep_here(&heir->asleep);
  CHECK_OK(
      cmap_get_mut(circle->maps[index], cmap_key_u64(&zero), &guard, NULL));
  heir->got = cmap_store_get_or_create(t.store, cmap_key_u64(&id), &handle,
                                       build_and_ask, heir, NULL);
  cmap_write_guard_release(&guard);
  cmap_handle_release(&handle);
}

/* One of them goes on, and the other now waits for that one: a circle, which
 * one of the two is told of. */
static void a_circle_of_heirs(void **state)
{
  struct circle circle;
  struct thread batch;

  (void)state;
  memset(&circle, 0, sizeof circle);
  test_store_open(&t, KEYS_U64);
  step_begin(&circle.step);
  for (int i = 0; i < 2; i++) {
    circle.maps[i] = numbers_open();
    numbers_put(circle.maps[i], 0, 0);
  }
  thread_start(&batch, build_two, 0, &circle);
  step_wait(&circle.step, STEP_BUILDS);
  for (unsigned i = 0; i < 2; i++) {
    circle.heirs[i].circle = &circle;
    circle.heirs[i].index = i;
    asleep_begin(&circle.heirs[i].asleep);
    thread_start(&circle.heirs[i].thread, inherit, i, &circle);
    asleep_wait(&circle.heirs[i].asleep);
  }
  step_done(&circle.step, STEP_WAITED_FOR);
  thread_join(&batch);
  for (unsigned i = 0; i < 2; i++)
    thread_join(&circle.heirs[i].thread);
  for (unsigned i = 0; i < 2; i++) {
    const struct heir *heir = &circle.heirs[i], *other = &circle.heirs[1 - i];
    CHECK(heir->builds != other->builds);
    if (heir->builds) {
      CHECK_STATUS(heir->got, CMAP_OK);
      CHECK((heir->locked == CMAP_EDEADLK) != (other->got == CMAP_EDEADLK));
    }
  }
  step_end(&circle.step);
  cmap_destroy(circle.maps[0]);
  cmap_destroy(circle.maps[1]);
  test_store_close(&t);
}

/* ------------------------------------------------------------------------
 * Threads with random batches
 * ------------------------------------------------------------------------ */

#define THREADS 4
#define IDS     40
#define ROUNDS  2000

static atomic_uint building[IDS]; /* constructors at work on the key */

static enum cmap_status build_some(const struct cmap_key *keys, size_t n,
                                   void **objects, enum cmap_status *statuses,
                                   void *ctx)
{
  struct random *random = ctx;

  for (size_t i = 0; i < n; i++)
    CHECK(atomic_fetch_add(&building[cmap_key_as_u64(keys[i])], 1) == 0);
  sched_yield();
  for (size_t i = 0; i < n; i++) {
    uint64_t id = cmap_key_as_u64(keys[i]);
    if (random_below(random, 8) == 0)
      statuses[i] = cmap_status_user(1);
    else
      objects[i] = tracked_new(&t.lives, id, 1);
    atomic_fetch_sub(&building[id], 1);
  }
  return CMAP_OK;
}

static void ask_at_random(unsigned index, void *ctx)
{
  size_t rounds = test_scale(ROUNDS);
  struct random random;

  (void)ctx;
  random_begin(&random, index);
  for (size_t round = 0; round < rounds; round++) {
    size_t n = (size_t)(1 + random_below(&random, N));
    struct cmap_handle handles[N];
    enum cmap_status statuses[N];
    struct cmap_key keys[N];
    uint64_t ids[N];

    for (size_t i = 0; i < n; i++) {
      ids[i] = random_below(&random, IDS);
      keys[i] = cmap_key_u64(&ids[i]);
    }
    cmap_ignore(cmap_store_get_many(t.store, keys, n, handles, statuses,
                                    build_some, &random, NULL));
    for (size_t i = 0; i < n; i++) {
      CHECK(statuses[i] == CMAP_OK || statuses[i] == cmap_status_user(1));
      if (statuses[i] == CMAP_OK)
        (void)store_object(&handles[i], ids[i]);
      cmap_handle_release(&handles[i]);
    }
  }
}

/* Keys are absent again as others are evicted. */
static void batches_of_threads(void **state)
{
  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.max_objects = IDS / 2;
  test_store_create(&t);
  threads_run(THREADS, ask_at_random, NULL);
  test_store_close(&t);
}

int main(void)
{
  const struct CMUnitTest others[] = {
      cmocka_unit_test(each_has_its_status),
      cmocka_unit_test(wrong_arguments),
      cmocka_unit_test(without_memory),
      cmocka_unit_test(a_circle_of_heirs),
      cmocka_unit_test(batches_of_threads),
  };

  return store_scenes_run("store_many", scenes, sizeof scenes / sizeof *scenes,
                          others, sizeof others / sizeof *others);
}
