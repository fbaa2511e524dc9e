/*
 * Deadlocks over constructions, tickets and guards: exactly one thread of a
 * circle gets CMAP_EDEADLK, and nobody hangs. Scene by scene; store_scene.h
 * explains the scripts.
 */
#include "asleep.h"
#include "numbers.h"
#include "settings.h"
#include "step.h"
#include "store_scene.h"
#include "threads.h"

static const struct store_scene scenes[] = {
    /* One thread. */
    {"same key", "a create S1 builds, a create S1 EDEADLK,"
                 " a create S1 late EDEADLK, a create S1 soon EDEADLK,"
                 " a create S1 try BUSY, a get S1 NOT_FOUND, a makes #1,"
                 " b get S1 #1, - stats waiters=0"},
    {"same key, passed on", "a create S1 builds, b create S1 waits,"
                            " a create S1 EDEADLK, a fails:EDEADLK EDEADLK,"
                            " b builds, b makes #1"},
    {"other keys", "a create S1 builds, a create S2 builds,"
                   " a create S3 builds, a create S1 EDEADLK,"
                   " a create S2 EDEADLK, a makes #1, a create S3 #1,"
                   " a makes #2, a makes #3, - len:3 S"},
    {"other store", "a create S1 builds, a create T1 builds,"
                    " a create S1 EDEADLK, a makes #1, a makes #2,"
                    " - len:1 S, - len:1 T"},
    {"refresh of the same key", "a refresh S1 builds, a create S1 EDEADLK,"
                                " a refresh S1 EDEADLK, a makes #1,"
                                " a refresh S1 builds, a create S1 #1,"
                                " a refresh S1 EDEADLK, a makes #2,"
                                " b get S1 #2"},
    {"refreshes in a circle", "a put S1 #1, a put S2 #2, a refresh S1 builds,"
                              " b refresh S2 builds, a refresh S2 waits,"
                              " b refresh S1 EDEADLK, b makes #3,"
                              " a resumes #3, a makes #4, b get S1 #4"},
    {"again after a handover", "a create S1 builds, b create S1 waits,"
                               " a fails:7 7, b builds, b create S1 EDEADLK,"
                               " b makes #1"},
    /* Two threads. */
    {"two keys", "a create S1 builds, b create S2 builds, a create S2 waits,"
                 " b create S1 EDEADLK, b create S1 EDEADLK, b makes #1,"
                 " a resumes #1, a makes #2, b create S1 #2"},
    {"two keys, fails", "a create S1 builds, b create S2 builds,"
                        " a create S2 waits, b create S1 EDEADLK,"
                        " b fails:EDEADLK EDEADLK, a builds, a makes #1,"
                        " a makes #2"},
    {"two keys, exits", "a create S1 builds, b create S2 builds,"
                        " a create S2 waits, b create S1 EDEADLK, b exits,"
                        " a builds, a makes #1, a makes #2"},
    {"two stores", "a create S1 builds, b create T1 builds, a create T1 waits,"
                   " b create S1 EDEADLK, b makes #1, a resumes #1,"
                   " a makes #2"},
    {"guard", "b lock M1, a create S1 builds, b create S1 waits,"
              " a lock M1 EDEADLK, a makes #1, b resumes #1, b unlocks,"
              " a lock M1, a unlocks"},
    {"guard, the other closes", "b lock M1, a create S1 builds, a lock M1"
                                " waits, b create S1 EDEADLK, b unlocks,"
                                " a resumes, a unlocks, a makes #1,"
                                " b create S1 #1"},
    {"guard, passes on", "b lock M1, a create S1 builds, b create S1 waits,"
                         " a lock M1 EDEADLK, a fails:EDEADLK EDEADLK,"
                         " b builds, a lock M1 waits, b makes #1, b unlocks,"
                         " a resumes, a unlocks"},
    {"guard, no circle", "b lock M1, a create S1 builds, c create S1 waits,"
                         " a lock M1 waits, b unlocks, a resumes, a unlocks,"
                         " a makes #1, c resumes #1"},
    {"removed flights count", "b lock M1, a create S1 builds,"
                              " b create S1 waits, c remove S1,"
                              " a lock M1 EDEADLK, a makes #1, b resumes #1,"
                              " b unlocks"},
    {"waiter of another construction", "b lock M1, a create S1 builds,"
                                       " b create S1 waits, c remove S1,"
                                       " c create S1 builds, c lock M1 waits,"
                                       " a makes #1, b resumes #1, b unlocks,"
                                       " c resumes, c unlocks, c makes #2"},
    {"new builder of an old wait",
     "c lock M1, a create S1 builds, b create S1 waits, a fails:7 7, b builds,"
     " c create S1 waits, b lock M1 EDEADLK, b makes #1, c resumes #1,"
     " c unlocks"},
    {"circle closed before the handover",
     "c lock M1, a create S1 builds, c create S1 waits, d create S2 builds,"
     " d lock M1 waits, a create S2 EDEADLK, a makes #1, c resumes #1,"
     " c unlocks, d resumes, d unlocks, d makes #2"},
    /* More. */
    {"three keys", "a create S1 builds, b create S2 builds,"
                   " c create S3 builds, a create S2 waits, b create S3 waits,"
                   " c create S1 EDEADLK, d create S1 waits, c makes #1,"
                   " b resumes #1, b makes #2, a resumes #2, a makes #3,"
                   " d resumes #3"},
    {"keys, stores and maps", "a create S1 builds, b create T2 builds,"
                              " c lock N3, a lock M4, a create T2 waits,"
                              " b lock N3 waits, c create S1 EDEADLK,"
                              " c lock M4 EDEADLK, c unlocks, b resumes,"
                              " b unlocks, b makes #1, a resumes #1,"
                              " a unlocks, a makes #2"},
    {"tree", "a create S1 builds, b create S2 builds, c create S1 waits,"
             " b create S1 waits, d create S2 waits, a create S2 EDEADLK,"
             " a makes #1, b resumes #1, c resumes #1, b makes #2,"
             " d resumes #2"},
    /* Deadlines: such a wait ends, so that there is no circle. */
    {"deadline of another", "a create S1 builds, b create S2 builds,"
                            " a create S2 soon waits, b create S1 waits,"
                            " a resumes TIMEDOUT, a makes #1, b resumes #1,"
                            " b makes #2"},
    {"deadline of the closer", "a create S1 builds, b create S2 builds,"
                               " a create S2 waits, b create S1 late EDEADLK,"
                               " b create S1 try BUSY, b makes #1,"
                               " a resumes #1, a makes #2"},
    /* Tickets count only when bound. */
    {"unbound ticket", "b lock M1, a begin S1 YOURS, b create S1 waits,"
                       " a lock M1 soon waits, a resumes TIMEDOUT,"
                       " a complete S1 #1, b resumes #1, b unlocks"},
    {"bound ticket", "b lock M1, a begin S1 YOURS, a binds S1,"
                     " b create S1 waits, a lock M1 EDEADLK,"
                     " a create S1 EDEADLK, a complete S1 #1, b resumes #1,"
                     " b unlocks, a lock M1, a unlocks"},
    {"bound late", "b lock M1, a begin S1 YOURS, b create S1 waits,"
                   " c binds S1, c lock M1 EDEADLK, c ticketfails:7 S1,"
                   " b builds, b makes #1, b unlocks"},
    {"two tickets", "a begin S1 YOURS, b begin S2 YOURS, a binds S1,"
                    " b binds S2, a create S2 waits, b create S1 EDEADLK,"
                    " b complete S2 #1, a resumes #1, a complete S1 #2"},
};

/*
 * The constructor puts the object itself, for which the holder of the guard
 * waits; then it wants the guard. There is no circle any more, although the
 * holder may not have woken yet.
 */
struct put_first {
  struct test_store t;
  struct cmap *map;
  struct step step;
  struct asleep asleep;
  enum cmap_status status; /* of the guard */
};

static enum cmap_status put_and_lock(struct cmap_key key, void **object,
                                     void *ctx)
{
  struct put_first *p = ctx;
  struct cmap_write_guard guard = CMAP_INIT;

  step_done(&p->step, 1);
  asleep_wait(&p->asleep);
  CHECK_OK(cmap_store_put(p->t.store, key, tracked_new(&p->t.lives, 1, 1), NULL,
                          NULL));
  p->status = cmap_get_mut(p->map, key, &guard, NULL);
  cmap_write_guard_release(&guard);
  *object = tracked_new(&p->t.lives, 1, 2);
  return CMAP_OK;
}

static void wait_with_guard(unsigned index, void *ctx)
{
  struct put_first *p = ctx;
  struct cmap_write_guard guard = CMAP_INIT;
  struct cmap_handle handle = CMAP_INIT;
  uint64_t id = 1;

  (void)index;
  CHECK_OK(cmap_get_mut(p->map, cmap_key_u64(&id), &guard, NULL));
  step_done(&p->step, 2);
  step_wait(&p->step, 3);
  asleep_here(&p->asleep);
  CHECK_OK(cmap_store_get_or_create(p->t.store, cmap_key_u64(&id), &handle,
                                    put_and_lock, p, NULL));
  cmap_write_guard_release(&guard);
  cmap_handle_release(&handle);
}

static enum cmap_status begin_to_build(struct cmap_key key, void **object,
                                       void *ctx)
{
  struct put_first *p = ctx;

  step_done(&p->step, 3);
  return put_and_lock(key, object, ctx);
}

static void no_circle_after_put(void **state)
{
  static struct put_first p;
  uint64_t id = 1;

  (void)state;
  p.map = numbers_open();
  numbers_put(p.map, id, id);
  for (size_t round = 0; round < test_scale(200) && !checks_failed(); round++) {
    struct cmap_handle handle = CMAP_INIT;
    struct thread thread;
    test_store_open(&p.t, KEYS_U64);
    step_begin(&p.step);
    asleep_begin(&p.asleep);
    thread_start(&thread, wait_with_guard, 0, &p);
    step_wait(&p.step, 2);
    CHECK_OK(cmap_store_get_or_create(p.t.store, cmap_key_u64(&id), &handle,
                                      begin_to_build, &p, NULL));
    thread_join(&thread);
    cmap_handle_release(&handle);
    step_end(&p.step);
    test_store_close(&p.t);
    assert_status(p.status, CMAP_OK);
  }
  cmap_destroy(p.map);
}

int main(void)
{
  const struct CMUnitTest others[] = {
      cmocka_unit_test(no_circle_after_put),
  };

  return store_scenes_run("store_deadlock", scenes,
                          sizeof scenes / sizeof *scenes, others,
                          sizeof others / sizeof *others);
}
