/*
 * Constructors that fail: the policies retry and share, failures that are
 * remembered, threads that end in a constructor; and refresh. Scene by scene;
 * store_scene.h explains the scripts.
 */
#include "settings.h"
#include "store_scene.h"

#define BRIEF_NS (UINT64_C(50) * 1000000)

static const struct store_scene scenes[] = {
    /* Statuses come out as they are. */
    {"user status", "a create S1 builds, a fails:4711 4711,"
                    " a get S1 NOT_FOUND, a create S1 builds, a makes #1,"
                    " - stats misses=3 done=1 failed=1 abandoned=0"},
    {"the library's statuses",
     "a create S1 builds, a fails:NOT_FOUND NOT_FOUND, a create S1 builds,"
     " a fails:BUSY BUSY, a create S1 builds, a fails:TIMEDOUT TIMEDOUT,"
     " a create S1 builds, a fails:EDEADLK EDEADLK, a create S1 builds,"
     " a fails:ENOMEM ENOMEM, a create S1 builds, a fails:EXISTS EXISTS,"
     " a create S1 builds, a fails:EABANDONED EABANDONED, - len:0 S"},
    {"the library's statuses, shared",
     "share | a create S1 builds, b create S1 waits,"
     " a fails:NOT_FOUND NOT_FOUND, b resumes NOT_FOUND, a create S1 builds,"
     " b create S1 late waits, a fails:BUSY BUSY, b resumes BUSY,"
     " a create S1 builds, b create S1 waits, a fails:TIMEDOUT TIMEDOUT,"
     " b resumes TIMEDOUT, a create S1 builds, b create S1 waits,"
     " a fails:EDEADLK EDEADLK, b resumes EDEADLK, - stats failed=4 done=0"},
    /* Retry. */
    {"hands on", "a create S1 builds, b create S1 waits, a fails:7 7, b builds,"
                 " a get S1 NOT_FOUND, a create S1 waits, b fails:8 8,"
                 " a builds, a makes #1, b get S1 #1,"
                 " - stats misses=4 done=1 failed=2 running=0 waiters=0"},
    {"hands on under put", "a create S1 builds, b create S1 waits,"
                           " a fails:7 7, b builds, c create S1 waits,"
                           " a put S1 #1, c resumes #1, b makes #1, - dead:2"},
    {"hands on under remove", "a create S1 builds, b create S1 waits,"
                              " a fails:7 7, b builds, a remove S1,"
                              " c create S1 builds, b makes #1, c makes #2"},
    {"nobody is there", "a create S1 builds, a fails:7 7, b create S1 builds,"
                        " b fails:8 8, c get S1 NOT_FOUND, - len:0 S"},
    {"the next one's deadline", "a create S1 builds, b create S1 soon waits,"
                                " b resumes TIMEDOUT, a fails:7 7,"
                                " c create S1 builds, c makes #1"},
    /* Share. */
    {"shares", "share | a create S1 builds, b create S1 waits,"
               " c create S1 late waits, a fails:7 7, b resumes 7,"
               " c resumes 7, a create S1 builds, a makes #1, b create S1 #1,"
               " - stats misses=4 hits=1 done=1 failed=1"},
    {"shares what was removed", "share | a create S1 builds,"
                                " b create S1 waits, c remove S1,"
                                " c create S1 builds, d create S1 waits,"
                                " a fails:7 7, b resumes 7, c makes #1,"
                                " d resumes #1"},
    {"this call shares", "a create S1 share builds, b create S1 waits,"
                         " a fails:7 7, b resumes 7, a create S1 builds,"
                         " b create S1 share waits, a fails:8 8, b builds,"
                         " c create S1 waits, b fails:9 9, c resumes 9"},
    {"this call retries", "share | a create S1 retry builds,"
                          " b create S1 waits, a fails:7 7, b builds,"
                          " c create S1 retry waits, b fails:8 8,"
                          " c resumes 8"},
    /* Remembered. */
    {"remembers", "negative | a create S1 builds, a fails:7 7,"
                  " b create S1 7, b create S1 try 7, b create S1 soon 7,"
                  " b get S1 NOT_FOUND, b begin S1 7, - len:0 S,"
                  " c create S2 builds, c makes #1,"
                  " - stats failed=1 done=1 objects=1 remembered=1,"
                  " b forget S1, - stats remembered=0"},
    {"remembers until put", "negative | a create S1 builds, a fails:7 7,"
                            " b put S1 #1, a create S1 #1, b remove S1,"
                            " a create S1 builds, a makes #2"},
    {"remembers until forgotten", "negative | a create S1 builds,"
                                  " a fails:NOT_FOUND NOT_FOUND,"
                                  " b create S1 NOT_FOUND, b forget S1,"
                                  " b forget S1 NOT_FOUND,"
                                  " b create S1 builds, b makes #1"},
    {"remembers until removed", "negative | a create S1 builds, a fails:7 7,"
                                " b remove S1 NOT_FOUND, b create S1 builds,"
                                " b fails:8 8, b create S1 8"},
    {"remembers until cleared", "negative | a create S1 builds, a fails:7 7,"
                                " b clear, b create S1 builds, b makes #1"},
    {"remembers until refreshed", "negative | a create S1 builds,"
                                  " a fails:7 7, b refresh S1 builds,"
                                  " b makes #1, a create S1 #1"},
    {"remembers the last", "negative | a create S1 builds, b create S1 waits,"
                           " a fails:7 7, b builds, c create S1 waits,"
                           " b fails:8 8, c builds, c fails:9 9,"
                           " a create S1 9"},
    {"remembers what is shared", "share negative | a create S1 builds,"
                                 " b create S1 waits, a fails:7 7,"
                                 " b resumes 7, c create S1 7"},
    {"does not remember what was removed",
     "negative | a create S1 builds, b remove S1, a fails:7 7,"
     " b create S1 builds, b makes #1"},
    {"does not remember what passes",
     "negative | a create S1 builds, a fails:BUSY BUSY, a create S1 builds,"
     " a fails:TIMEDOUT TIMEDOUT, a create S1 builds,"
     " a fails:EDEADLK EDEADLK, a create S1 builds, a fails:ENOMEM ENOMEM,"
     " a create S1 builds, a fails:FROZEN FROZEN, a create S1 builds,"
     " a fails:EABANDONED EABANDONED, a create S1 builds, a exits,"
     " b create S1 builds, b makes #1"},
    {"does not remember what passes and is shared",
     "share negative | a create S1 builds, b create S1 waits,"
     " a fails:EDEADLK EDEADLK, b resumes EDEADLK, b create S1 builds,"
     " b fails:7 7, a create S1 7"},
    {"destroyed with a failure", "negative | a create S1 builds, a fails:7 7"},
    /* The constructor's thread ends. */
    {"exits", "a create S1 builds, a exits, b get S1 NOT_FOUND,"
              " - stats running=0 abandoned=1 done=0, b create S1 builds,"
              " b makes #1"},
    {"is cancelled", "a create S1 builds, a cancels, b create S1 builds,"
                     " b makes #1, - stats running=0 abandoned=1 done=1"},
    {"exits, retry", "a create S1 builds, b create S1 waits, a exits,"
                     " b builds, c create S1 waits, b cancels, c builds,"
                     " c makes #1, d get S1 #1,"
                     " - stats abandoned=2 waiters=0"},
    {"exits, share", "share | a create S1 builds, b create S1 waits,"
                     " c create S1 waits, a exits, b resumes EABANDONED,"
                     " c resumes EABANDONED, b create S1 builds, b makes #1"},
    {"is cancelled, share", "a create S1 share builds, b create S1 waits,"
                            " a cancels, b resumes EABANDONED"},
    {"exits after put", "a create S1 builds, b create S1 waits, c put S1 #1,"
                        " b resumes #1, a exits, c get S1 #1,"
                        " - stats overtaken=1 abandoned=0"},
    {"fails after put", "a create S1 builds, c put S1 #1, a fails:7 #1,"
                        " - stats overtaken=1 failed=0"},
    {"makes after put", "a create S1 builds, c put S1 #1, a makes #1,"
                        " - dead:2, - stats overtaken=1 done=0"},
    {"exits after remove", "a create S1 builds, b create S1 waits, c remove S1,"
                           " a exits, b builds, b makes #1,"
                           " c get S1 NOT_FOUND"},
    {"exits, nested", "a create S1 builds, a create S2 builds,"
                      " a create T3 builds, b create S1 waits,"
                      " c create S2 waits, d create T3 waits, a exits,"
                      " b builds, c builds, d builds, b makes #1, c makes #2,"
                      " d makes #3"},
    {"is cancelled, nested in refresh",
     "a refresh S1 builds, a create S2 builds, b create S2 waits, a cancels,"
     " b builds, b makes #1, b get S1 NOT_FOUND, - stats running=0"},
    {"a cancelled waiter goes on", "a create S1 builds, b create S1 waits,"
                                   " - cancel:b, a fails:7 7, b builds,"
                                   " c create S1 waits, b cancels, c builds,"
                                   " c makes #1"},
    /* Refresh. */
    {"refresh", "a put S1 #1, b refresh S1 builds, c get S1 #1,"
                " c create S1 #1, - stats running=1, b makes #2, c get S1 #2,"
                " - alive:1, a releases, c releases, - dead:1,"
                " - stats done=1 failed=0 running=0"},
    {"refresh fails", "a put S1 #1, b refresh S1 builds, b fails:7 7,"
                      " c get S1 #1, b refresh S1 builds, b null EINVAL,"
                      " c get S1 #1, b refresh S1 builds, b exits,"
                      " c get S1 #1, - stats failed=2 running=0 objects=1"},
    {"refresh of what is absent", "a refresh S1 builds, b get S1 NOT_FOUND,"
                                  " b create S1 waits, c refresh S1 waits,"
                                  " a makes #1, c resumes #1, b resumes #1,"
                                  " - len:1 S, - stats done=1"},
    {"refresh twice", "a put S1 #1, b refresh S1 builds, c refresh S1 waits,"
                      " d get S1 #1, d create S1 #1, b makes #2,"
                      " c resumes #2, d get S1 #2, - len:1 S,"
                      " - stats done=1 replaced=1"},
    {"refresh twice, fails", "a put S1 #1, b refresh S1 builds,"
                             " c refresh S1 waits, b fails:7 7, c builds,"
                             " d refresh S1 try BUSY, c makes #2,"
                             " d get S1 #2"},
    {"refresh twice, fails for all",
     "share | a put S1 #1, b refresh S1 builds, c refresh S1 waits,"
     " d refresh S1 soon waits, d resumes TIMEDOUT, b fails:7 7,"
     " c resumes 7, d get S1 #1, d refresh S1 builds, d makes #2"},
    {"refresh twice, abandoned", "a put S1 #1, b refresh S1 builds,"
                                 " c refresh S1 waits, b exits, c builds,"
                                 " c makes #2, a get S1 #2"},
    {"refresh beside a construction", "a create S1 builds, b refresh S1 builds,"
                                      " c refresh S1 builds, b makes #1,"
                                      " d get S1 #1, c makes #2, d get S1 #2,"
                                      " a makes #1, - dead:3, - len:1 S,"
                                      " - stats overtaken=1 done=2"},
    {"refresh, removed meanwhile", "a put S1 #1, b refresh S1 builds,"
                                   " a remove S1, b makes #2,"
                                   " c get S1 NOT_FOUND"},
    {"refresh, cleared meanwhile", "a put S1 #1, b refresh S1 builds, a clear,"
                                   " c create S1 builds, b makes #2,"
                                   " c makes #3, c get S1 #3"},
    {"refresh, put meanwhile", "a put S1 #1, b refresh S1 builds,"
                               " c refresh S1 waits, d put S1 #2,"
                               " c resumes #2, b makes #2, - dead:3,"
                               " a get S1 #2, - stats overtaken=1 replaced=1"},
    {"refresh, put twice meanwhile", "a put S1 #1, b refresh S1 builds,"
                                     " d put S1 #2, d put S1 #3, b fails:7 #2,"
                                     " a get S1 #3, a refresh S1 builds,"
                                     " a makes #4, b get S1 #4"},
    {"refresh, again after a removal", "a put S1 #1, b refresh S1 builds,"
                                       " a remove S1, a put S1 #2,"
                                       " c refresh S1 builds, c makes #3,"
                                       " b makes #4, d get S1 #3"},
    {"refresh, destroyed", "a put S1 #1, b refresh S1 builds, a releases,"
                           " c destroy S BUSY, a remove S1, c destroy S BUSY,"
                           " b makes #2, b releases, - dead:1, - dead:2"},
    {"refresh by the constructor", "a create S1 builds, b create S1 waits,"
                                   " a refresh S1 builds, a makes #1,"
                                   " b resumes #1, a makes #1, - dead:2"},
    {"refresh that is abandoned is counted",
     "a put S1 #1, b refresh S1 builds, b exits, - stats abandoned=1"},
};

static enum cmap_status fail_now(struct cmap_key key, void **object, void *ctx)
{
  (void)key, (void)object;
  ++*(int *)ctx;
  return (enum cmap_status)USER_STATUS;
}

/* Asks until the constructor runs again, which is not before the time. */
static void a_failure_is_remembered_for_its_time(void **state)
{
  static struct test_store t;
  uint64_t id = 1, since, before;
  struct cmap_handle handle = CMAP_INIT;
  int calls = 0;

  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.negative_ns = BRIEF_NS;
  test_store_create(&t);
  since = test_now();
  do {
    before = test_now();
    assert_status(cmap_store_get_or_create(t.store, cmap_key_u64(&id), &handle,
                                           fail_now, &calls, NULL),
                  (enum cmap_status)USER_STATUS);
  } while (calls < 2 && before < since + 20 * BRIEF_NS);
  assert_int_equal(calls, 2);
  assert_true(test_now() >= since + BRIEF_NS);
  /* The new failure is remembered anew. */
  assert_status(cmap_store_forget(t.store, cmap_key_u64(&id), NULL), CMAP_OK);
  assert_status(cmap_store_forget(t.store, cmap_key_u64(&id), NULL),
                CMAP_NOT_FOUND);
  test_store_close(&t);
}

static void a_failure_is_remembered_for_ever(void **state)
{
  static struct test_store t;
  uint64_t id = 1;
  struct cmap_handle handle = CMAP_INIT;
  int calls = 0;

  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.negative_ns = UINT64_MAX;
  test_store_create(&t);
  for (int i = 0; i < 3; i++)
    assert_status(cmap_store_get_or_create(t.store, cmap_key_u64(&id), &handle,
                                           fail_now, &calls, NULL),
                  (enum cmap_status)USER_STATUS);
  assert_int_equal(calls, 1);
  test_store_close(&t);
}

static uint64_t show_clock(void *ctx)
{
  return *(const uint64_t *)ctx;
}

/* One call of cmap_store_maintain takes all that are out of date. */
static void failures_go_by_maintenance(void **state)
{
  enum { FAILURES = 100 };
  struct cmap_how at_once = cmap_how_try();
  static struct test_store t;
  struct cmap_handle handle = CMAP_INIT;
  uint64_t now = 1000;
  int calls = 0;

  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.negative_ns = 10;
  t.options.clock = show_clock;
  t.options.clock_ctx = &now;
  test_store_create(&t);
  for (uint64_t id = 0; id < 2 * FAILURES; id++) {
    now += id == FAILURES ? 5 : 0;
    assert_status(cmap_store_get_or_create(t.store, cmap_key_u64(&id), &handle,
                                           fail_now, &calls, NULL),
                  (enum cmap_status)USER_STATUS);
  }
  assert_ok(cmap_store_maintain(t.store, NULL));
  assert_int_equal(store_stats(t.store).remembered, 2 * FAILURES);
  now += 5; /* the first half */
  assert_status(cmap_store_maintain(t.store, &at_once), CMAP_BUSY);
  assert_in_range(store_stats(t.store).remembered, FAILURES + 1,
                  2 * FAILURES - 1);
  assert_ok(cmap_store_maintain(t.store, NULL));
  assert_int_equal(store_stats(t.store).remembered, FAILURES);
  test_store_close(&t);
}

int main(void)
{
  const struct CMUnitTest others[] = {
      cmocka_unit_test(failures_go_by_maintenance),
      cmocka_unit_test(a_failure_is_remembered_for_its_time),
      cmocka_unit_test(a_failure_is_remembered_for_ever),
  };

  return store_scenes_run("store_failures", scenes,
                          sizeof scenes / sizeof *scenes, others,
                          sizeof others / sizeof *others);
}
