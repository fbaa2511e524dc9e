/*
 * Tickets: constructions of event loops, alone and mixed with threads. Scene by
 * scene; store_scene.h explains the scripts.
 */
#include "step.h"
#include "store_scene.h"
#include "threads.h"

static const struct store_scene scenes[] = {
    {"present", "a put S1 #1, b begin S1 #1, - untold:b, - stats hits=1"},
    {"yours", "a begin S1 YOURS, - stats running=1 misses=1, - len:0 S,"
              " b get S1 NOT_FOUND, a complete S1 #1, - len:1 S,"
              " b get S1 #1, - stats running=0 done=1, - untold:a"},
    {"pending", "a begin S1 YOURS, b begin S1 PENDING, c begin S1 PENDING,"
                " - untold:b, b counts:0 S1, a complete S1 #1, - told:b #1,"
                " - told:c #1, - untold:a, - stats misses=3 done=1"},
    {"keys", "a begin S1 YOURS, a begin S2 YOURS, a begin T1 YOURS,"
             " b begin S2 PENDING, c begin T1 PENDING, a complete T1 #1,"
             " - told:c #1, - untold:b, a complete S2 #2, - told:b #2,"
             " a complete S1 #3"},
    {"another thread", "a begin S1 YOURS, b create S1 waits, c begin S1"
                       " PENDING, d complete S1 #1, b resumes #1,"
                       " - told:c #1, a ends, e get S1 #1"},
    {"its thread has ended", "a begin S1 YOURS, a ends, b create S1 waits,"
                             " c complete S1 #1, b resumes #1"},
    {"threads wait", "a begin S1 YOURS, b create S1 waits,"
                     " c create S1 soon waits, d create S1 try BUSY,"
                     " c resumes TIMEDOUT, a counts:1 S1, a complete S1 #1,"
                     " b resumes #1"},
    {"thread builds", "a create S1 builds, b begin S1 PENDING,"
                      " c create S1 waits, a counts:1 S1, a makes #1,"
                      " c resumes #1, - told:b #1"},
    {"begun in a constructor", "a create S1 builds, a begin S1 PENDING,"
                               " a begin S2 YOURS, a makes #1, - told:a #1,"
                               " a complete S2 #2"},
    {"used up", "a begin S1 YOURS, a complete S1 #1, a complete S1 EINVAL,"
                " a ticketfails:7 S1 EINVAL, a binds S1 EINVAL, a abandons S1,"
                " b get S1 #1"},
    /* Failures. */
    {"fails", "a begin S1 YOURS, b begin S1 PENDING, a ticketfails:0 S1 EINVAL,"
              " - untold:b, a ticketfails:7 S1, - told:b 7,"
              " b get S1 NOT_FOUND, b begin S1 YOURS,"
              " - stats running=1 failed=1, b complete S1 #1"},
    {"the library's statuses", "a begin S1 YOURS, b begin S1 PENDING,"
                               " a ticketfails:NOT_FOUND S1,"
                               " - told:b NOT_FOUND"},
    {"fails, retry", "a begin S1 YOURS, b create S1 waits, c begin S1 PENDING,"
                     " a ticketfails:7 S1, b builds, - untold:c, b makes #1,"
                     " - told:c #1"},
    {"fails, retry fails", "a begin S1 YOURS, b create S1 waits,"
                           " c begin S1 PENDING, a ticketfails:7 S1, b builds,"
                           " b fails:8 8, - told:c 8"},
    {"fails, share", "share | a begin S1 YOURS, b create S1 waits,"
                     " c begin S1 PENDING, d create S1 waits,"
                     " a ticketfails:7 S1, b resumes 7, d resumes 7,"
                     " - told:c 7, e create S1 builds, e makes #1"},
    {"this one shares", "a begin S1 share YOURS, b create S1 waits,"
                        " a ticketfails:7 S1, b resumes 7"},
    {"this one retries", "share | a begin S1 retry YOURS, b create S1 waits,"
                         " a ticketfails:7 S1, b builds, b makes #1"},
    {"thread fails", "a create S1 builds, b begin S1 PENDING, a fails:7 7,"
                     " - told:b 7, b begin S1 YOURS, b complete S1 #1"},
    {"remembered", "negative | a begin S1 YOURS, a ticketfails:7 S1,"
                   " a begin S1 7, b create S1 7, b forget S1,"
                   " b begin S1 YOURS, b abandons S1,"
                   " c create S1 builds, c makes #1"},
    {"abandoned", "a begin S1 YOURS, b begin S1 PENDING, c create S1 waits,"
                  " a abandons S1, c builds, c makes #1, - told:b #1,"
                  " - stats abandoned=1 failed=0 done=1"},
    {"abandoned, share", "share | a begin S1 YOURS, b begin S1 PENDING,"
                         " c create S1 waits, a abandons S1,"
                         " c resumes EABANDONED, - told:b EABANDONED"},
    {"left to the end of the scene", "a begin S1 YOURS, b begin S1 PENDING"},
    /* Meanwhile. */
    {"put", "a begin S1 YOURS, b begin S1 PENDING, c create S1 waits,"
            " d put S1 #1, c resumes #1, - told:b #1, a complete S1 #1,"
            " - dead:2, - len:1 S, - stats overtaken=1 done=0"},
    {"put, fails", "a begin S1 YOURS, b begin S1 PENDING, d put S1 #1,"
                   " - told:b #1, a ticketfails:7 S1, d get S1 #1,"
                   " - stats overtaken=1 failed=0"},
    {"put, abandoned", "a begin S1 YOURS, d put S1 #1, a abandons S1,"
                       " d get S1 #1, - stats overtaken=1 abandoned=0"},
    {"removed", "a begin S1 YOURS, b begin S1 PENDING, c create S1 waits,"
                " d remove S1, d create S1 builds, a complete S1 #1,"
                " - told:b #1, c resumes #1, d makes #2, a get S1 #2"},
    {"cleared", "a begin S1 YOURS, b begin S1 PENDING, c clear,"
                " a complete S1 #1, - told:b #1, - len:0 S"},
    {"refreshed", "a begin S1 YOURS, b begin S1 PENDING, c refresh S1 builds,"
                  " c makes #1, - told:b #1, a complete S1 #1, - dead:2"},
    {"destroy", "a begin S1 YOURS, b destroy S BUSY, a abandons S1"},
    {"destroy of what was removed", "a begin S1 YOURS, b remove S1,"
                                    " b destroy S BUSY, a complete S1 #1"},
    /* Begun here. */
    {"waits for itself", "a begin S1 YOURS, a create S1 EDEADLK,"
                         " a create S1 late EDEADLK, a create S1 try BUSY,"
                         " a begin S1 PENDING, a create S2 builds,"
                         " a create S1 EDEADLK, a makes #1, a complete S1 #2,"
                         " - told:a #2, a create S1 #2"},
    {"handed over", "a begin S1 YOURS, a unbinds S1, a create S1 waits,"
                    " b complete S1 #1, a resumes #1"},
    {"taken over", "a begin S1 YOURS, b binds S1, a create S1 waits,"
                   " b create S1 EDEADLK, b complete S1 #1, a resumes #1"},
    {"bound, handed over", "a begin S1 YOURS, a binds S1, b unbinds S1 EINVAL,"
                           " a unbinds S1, a unbinds S1, a create S1 waits,"
                           " b create S1 soon waits, b resumes TIMEDOUT,"
                           " b complete S1 #1, a resumes #1"},
    {"ended, then unbound", "a begin S1 YOURS, a binds S1, a ends,"
                            " b unbinds S1 EABANDONED, b abandons S1,"
                            " b unbinds S1 EINVAL"},
    {"fails, its beginner waits then",
     "a begin S1 YOURS, b create S1 waits, a ticketfails:7 S1, b builds,"
     " a create S1 waits, b makes #1, a resumes #1"},
    {"begun by a thread that has ended",
     "a begin S1 YOURS, a ends, b create S1 soon waits, b resumes TIMEDOUT,"
     " c complete S1 #1"},
    /* Bound. */
    {"bound", "a begin S1 YOURS, a binds S1, a binds S1 EINVAL,"
              " b binds S1 EINVAL, b complete S1 EINVAL,"
              " b ticketfails:7 S1 EINVAL, b abandons S1, b create S1 waits,"
              " a complete S1 #2, b resumes #2"},
    {"bound, fails", "a begin S1 YOURS, b binds S1, b create S1 EDEADLK,"
                     " b ticketfails:7 S1, b create S1 builds, b makes #1"},
    {"bound, other keys", "a begin S1 YOURS, a binds S1, a create S2 builds,"
                          " a create S1 EDEADLK, a makes #1, a complete S1 #2"},
    {"bound inside a constructor", "a create S1 builds, b begin S2 YOURS,"
                                   " a binds S2, a makes #1, a complete S2 #2"},
    {"bound thread ends", "a begin S1 YOURS, a binds S1, b create S1 waits,"
                          " c begin S1 PENDING, a ends, b builds, b makes #1,"
                          " - told:c #1, b complete S1 EABANDONED,"
                          " b complete S1 EINVAL, - dead:2,"
                          " - stats abandoned=1 running=0"},
    {"bound thread ends, share",
     "share | a begin S1 YOURS, b binds S1, c create S1 waits,"
     " d begin S1 PENDING, b ends, c resumes EABANDONED, - told:d EABANDONED,"
     " a ticketfails:7 S1 EABANDONED, a create S1 builds, a makes #1"},
    {"bound thread ends, abandoned then", "a begin S1 YOURS, a binds S1,"
                                          " a ends, b abandons S1,"
                                          " b binds S1 EINVAL,"
                                          " b create S1 builds, b makes #1"},
    {"bound thread ends after put", "a begin S1 YOURS, a binds S1, b put S1 #1,"
                                    " a ends, b get S1 #1,"
                                    " b complete S1 EABANDONED,"
                                    " - stats overtaken=1 abandoned=0"},
    {"two bound, thread ends", "a begin S1 YOURS, a begin S2 YOURS,"
                               " a binds S1, a binds S2, b create S1 waits,"
                               " c create S2 waits, a ends, b builds,"
                               " c builds, b makes #1, c makes #2"},
    {"ends in a constructor", "a begin S1 YOURS, a binds S1,"
                              " a create S2 builds, b create S1 waits,"
                              " c create S2 waits, a exits, b builds,"
                              " c builds, b makes #1, c makes #2"},
    {"bound, ended in another order",
     "a begin S1 YOURS, a begin S2 YOURS, a begin S3 YOURS, a binds S1,"
     " a binds S2, a binds S3, a complete S2 #1, a complete S1 #2,"
     " a create S3 EDEADLK, a complete S3 #3, a create S3 #3"},
};

/* ------------------------------------------------------------------------
 * Notices that use the store
 * ------------------------------------------------------------------------ */

static struct test_store t;
static atomic_uint told;

static void begin_again(enum cmap_status status, struct cmap_handle *handle,
                        void *ctx)
{
  struct cmap_handle again = CMAP_INIT;
  struct cmap_ticket ticket = CMAP_INIT;
  enum cmap_begin outcome;
  uint64_t id = 1;

  CHECK_STATUS(status, (enum cmap_status) * (int *)ctx);
  atomic_fetch_add(&told, 1);
  CHECK_OK(cmap_store_begin(t.store, cmap_key_u64(&id), &again, &ticket,
                            &outcome, NULL, NULL, NULL));
  if (status == CMAP_OK) {
    CHECK(outcome == CMAP_PRESENT && again.object == handle->object);
    cmap_handle_release(handle);
    CHECK_OK(cmap_store_remove(t.store, cmap_key_u64(&id), NULL));
    CHECK(tracked_is_alive(again.object));
  } else {
    CHECK(outcome == CMAP_YOURS);
    CHECK_OK(
        cmap_ticket_complete(&ticket, tracked_new(&t.lives, 1, 1), &again));
  }
  cmap_handle_release(&again);
}

/* No lock is held when a notice is called. */
static void notices_use_the_store(void **state)
{
  struct cmap_ticket ticket = CMAP_INIT, none = CMAP_INIT;
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_begin outcome;
  int expected[] = {7, CMAP_OK};
  uint64_t id = 1;

  (void)state;
  test_store_open(&t, KEYS_U64);
  for (int i = 0; i < 2; i++) {
    if (i == 1)
      assert_ok(cmap_store_clear(t.store));
    assert_ok(cmap_store_begin(t.store, cmap_key_u64(&id), &handle, &ticket,
                               &outcome, NULL, NULL, NULL));
    assert_int_equal(outcome, CMAP_YOURS);
    atomic_store(&told, 0);
    assert_ok(cmap_store_begin(t.store, cmap_key_u64(&id), &handle, &none,
                               &outcome, begin_again, &expected[i], NULL));
    assert_int_equal(outcome, CMAP_PENDING);
    if (i == 0)
      assert_ok(cmap_ticket_fail(&ticket, (enum cmap_status)7));
    else
      assert_ok(
          cmap_ticket_complete(&ticket, tracked_new(&t.lives, 1, 1), &handle));
    assert_int_equal(atomic_load(&told), 1);
    cmap_handle_release(&handle);
  }
  assert_int_equal(cmap_store_len(t.store), 0);
  test_store_close(&t);
}

/* ------------------------------------------------------------------------
 * A thread that ends while another tries to use its ticket
 * ------------------------------------------------------------------------ */

struct ending {
  struct cmap_ticket ticket;
  struct step step;
};

static void bind_and_end(unsigned index, void *ctx)
{
  struct ending *ending = ctx;

  (void)index;
  CHECK_OK(cmap_ticket_bind(&ending->ticket));
  step_done(&ending->step, 1);
}

/* It is the other thread's, or that has ended; nothing is between. */
static void use_while_the_bound_thread_ends(void **state)
{
  static struct ending ending;
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_begin outcome;
  enum cmap_status status;
  struct thread thread;
  uint64_t id = 1;

  (void)state;
  test_store_open(&t, KEYS_U64);
  for (size_t round = 0; round < 100; round++) {
    assert_ok(cmap_store_begin(t.store, cmap_key_u64(&id), &handle,
                               &ending.ticket, &outcome, NULL, NULL, NULL));
    assert_int_equal(outcome, CMAP_YOURS);
    step_begin(&ending.step);
    thread_start(&thread, bind_and_end, 0, &ending);
    step_wait(&ending.step, 1);
    do
      status = cmap_ticket_fail(&ending.ticket, (enum cmap_status)7);
    while (status == CMAP_EINVAL);
    assert_status(status, CMAP_EABANDONED);
    thread_join(&thread);
    step_end(&ending.step);
  }
  test_store_close(&t);
}

/* Who is told of its end uses the ticket up, on the thread that ends. */
static void use_up(enum cmap_status status, struct cmap_handle *handle,
                   void *ctx)
{
  struct cmap_ticket *ticket = ctx;

  (void)handle;
  CHECK_STATUS(status, CMAP_EABANDONED);
  CHECK_STATUS(cmap_ticket_bind(ticket), CMAP_EINVAL);
  CHECK_STATUS(cmap_ticket_unbind(ticket), CMAP_EABANDONED);
  cmap_ticket_abandon(ticket);
  CHECK(ticket->internal[0] == 0);
  atomic_fetch_add(&told, 1);
}

static void begin_bind_and_end(unsigned index, void *ctx)
{
  struct cmap_ticket *ticket = ctx, none = CMAP_INIT;
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_begin outcome;
  uint64_t id = 1;

  (void)index;
  CHECK_OK(cmap_store_begin(t.store, cmap_key_u64(&id), &handle, ticket,
                            &outcome, NULL, NULL, NULL));
  CHECK_OK(cmap_ticket_bind(ticket));
  CHECK_OK(cmap_store_begin(t.store, cmap_key_u64(&id), &handle, &none,
                            &outcome, use_up, ticket, NULL));
  CHECK(outcome == CMAP_PENDING);
}

static void use_up_as_the_bound_thread_ends(void **state)
{
  struct cmap_ticket ticket;
  struct thread thread;

  (void)state;
  atomic_store(&told, 0);
  test_store_open(&t, KEYS_U64);
  for (unsigned round = 1; round <= 3; round++) {
    thread_start(&thread, begin_bind_and_end, 0, &ticket);
    thread_join(&thread);
    CHECK(atomic_load(&told) == round);
  }
  test_store_close(&t);
}

int main(void)
{
  const struct CMUnitTest others[] = {
      cmocka_unit_test(use_up_as_the_bound_thread_ends),
      cmocka_unit_test(notices_use_the_store),
      cmocka_unit_test(use_while_the_bound_thread_ends),
  };

  return store_scenes_run("store_ticket", scenes,
                          sizeof scenes / sizeof *scenes, others,
                          sizeof others / sizeof *others);
}
