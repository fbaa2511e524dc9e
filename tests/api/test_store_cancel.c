/*
 * A thread that is cancelled while a store runs a callback of its own accord
 * (an object's or a key's destructor, a notice, a clock): the cancellation
 * waits until the call is over, whichever call it is, and nothing is lost.
 */
#include <pthread.h>

#include "step.h"
#include "store_objects.h"
#include "threads.h"

/* Steps: 1 a callback runs, 2 its thread has been asked to end. */
static struct step steps;
static struct test_store t;
static bool armed;   /* owner: the thread */
static bool is_over; /* the call has returned */

#define KEY cmap_key_u64(&(uint64_t){1})

/* Waits in the callback, once, and is a cancellation point then. */
static void be_cancelled(void)
{
  if (!armed)
    return;
  armed = false;
  step_done(&steps, 1);
  step_wait(&steps, 2);
  pthread_testcancel();
}

static void destroy(void *object, void *ctx)
{
  (void)ctx;
  be_cancelled();
  tracked_destroy(object);
}

static void told(enum cmap_status status, struct cmap_handle *handle, void *ctx)
{
  (void)status, (void)ctx;
  be_cancelled();
  cmap_handle_release(handle);
}

static struct tracked *object(void)
{
  return tracked_new(&t.lives, 1, 1);
}

static void put(void)
{
  CHECK_OK(cmap_store_put(t.store, KEY, object(), NULL, NULL));
}

/* The constructor's key gets an object by put, so that its own is lost. */
static enum cmap_status overtaken(struct cmap_key key, void **made, void *ctx)
{
  (void)key, (void)ctx;
  put();
  *made = object();
  armed = true;
  return CMAP_OK;
}

static enum cmap_status make(struct cmap_key key, void **made, void *ctx)
{
  (void)key, (void)ctx;
  *made = object();
  armed = true;
  return CMAP_OK;
}

static enum cmap_status see(struct cmap_key key, void *seen, void *ctx)
{
  (void)key, (void)seen, (void)ctx;
  CHECK_OK(cmap_store_remove(t.store, KEY, NULL));
  armed = true;
  return CMAP_OK;
}

static void by_put(void)
{
  put();
  armed = true;
  put();
}

static void by_remove(void)
{
  put();
  armed = true;
  CHECK_OK(cmap_store_remove(t.store, KEY, NULL));
}

static void by_clear(void)
{
  put();
  armed = true;
  CHECK_OK(cmap_store_clear(t.store));
}

static void by_release(void)
{
  struct cmap_handle handle = CMAP_INIT;

  CHECK_OK(cmap_store_put(t.store, KEY, object(), &handle, NULL));
  CHECK_OK(cmap_store_remove(t.store, KEY, NULL));
  armed = true;
  cmap_handle_release(&handle);
}

static void by_refresh(void)
{
  put();
  CHECK_OK(cmap_store_refresh(t.store, KEY, NULL, make, NULL, NULL));
}

static void by_create(void)
{
  static struct cmap_handle handle;

  CHECK_OK(
      cmap_store_get_or_create(t.store, KEY, &handle, overtaken, NULL, NULL));
  cmap_handle_release(&handle);
}

static void by_for_each(void)
{
  put();
  CHECK_OK(cmap_store_for_each(t.store, see, NULL));
}

static void begin(struct cmap_ticket *ticket)
{
  struct cmap_ticket none = CMAP_INIT;
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_begin outcome;

  CHECK_OK(cmap_store_begin(t.store, KEY, &handle, ticket, &outcome, NULL, NULL,
                            NULL));
  CHECK_OK(cmap_store_begin(t.store, KEY, &handle, &none, &outcome, told, NULL,
                            NULL));
}

static void by_complete(void)
{
  struct cmap_ticket ticket = CMAP_INIT;
  struct cmap_handle handle = CMAP_INIT;

  begin(&ticket);
  put();
  armed = true;
  CHECK_OK(cmap_ticket_complete(&ticket, object(), &handle));
  cmap_handle_release(&handle);
}

static void by_notice(void)
{
  struct cmap_ticket ticket = CMAP_INIT;

  begin(&ticket);
  armed = true;
  CHECK_OK(cmap_ticket_fail(&ticket, (enum cmap_status)USER_STATUS));
}

static void by_notice_of_put(void)
{
  struct cmap_ticket ticket = CMAP_INIT;

  begin(&ticket);
  armed = true;
  put();
  cmap_ticket_abandon(&ticket);
}

/* The thread may be cancelled as before; here it is spared that, because
   AddressSanitizer does not see that a cancelled stack unwinds. */
static void call_is_over(void)
{
  int before;

  CHECK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before) == 0);
  CHECK(before == PTHREAD_CANCEL_ENABLE);
  is_over = true;
}

static void work(unsigned index, void *ctx)
{
  static void (*const calls[])(void) = {
      by_put,    by_remove,   by_clear,    by_release, by_refresh,
      by_create, by_for_each, by_complete, by_notice,  by_notice_of_put};

  (void)ctx;
  calls[index]();
  call_is_over();
}

/* Creates the store that is prepared, and lets a thread do the call. */
static void a_cancellation_waits(void (*calls)(unsigned, void *), unsigned call)
{
  struct thread thread;

  step_begin(&steps);
  test_store_create(&t);
  armed = false;
  is_over = false;
  thread_start(&thread, calls, call, NULL);
  step_wait(&steps, 1);
  assert_int_equal(pthread_cancel(thread.id), 0);
  step_done(&steps, 2);
  thread_join(&thread);
  assert_true(is_over);
  assert_ok(cmap_store_clear(t.store));
  assert_int_equal(store_stats(t.store).running, 0);
  test_store_close(&t);
  step_end(&steps);
}

static void in_every_call(void **state)
{
  (void)state;
  for (unsigned call = 0; call < 10; call++) {
    test_store_prepare(&t, KEYS_U64);
    t.options.object_destroy = destroy;
    a_cancellation_waits(work, call);
  }
}

/* ------------------------------------------------------------------------
 * Clocks
 * ------------------------------------------------------------------------ */

static uint64_t tick(void *ctx)
{
  (void)ctx;
  be_cancelled();
  pthread_testcancel(); /* of one that an earlier tick has put off, too */
  return 1;
}

static void ask_for_the_time(unsigned index, void *ctx)
{
  struct cmap_handle handle = CMAP_INIT;

  (void)ctx;
  put();
  armed = true;
  if (index == 0)
    CHECK_OK(cmap_store_get(t.store, KEY, &handle, NULL));
  else /* which evicts the other one */
    CHECK_OK(cmap_store_put(t.store, CMAP_KEY_U64(2), object(), NULL, NULL));
  cmap_handle_release(&handle);
  call_is_over();
}

static void in_clocks(void **state)
{
  (void)state;
  for (unsigned call = 0; call < 2; call++) {
    test_store_prepare(&t, KEYS_U64);
    t.options.max_objects = 1;
    t.options.ttl_ns = 10;
    t.options.clock = tick;
    a_cancellation_waits(ask_for_the_time, call);
  }
}

/* ------------------------------------------------------------------------
 * Destructors of keys
 * ------------------------------------------------------------------------ */

/* Is it there that the thread is cancelled? Owner: the thread */
static bool in_equal, in_copy;

static void destroy_key(void *stored, void *ctx)
{
  (void)stored, (void)ctx;
  be_cancelled();
}

static enum cmap_status copy_key(struct cmap_key key, void *stored, void *ctx)
{
  (void)ctx;
  if (in_copy)
    be_cancelled();
  memcpy(stored, key.data, key.size);
  return CMAP_OK;
}

static bool same_key(struct cmap_key stored, struct cmap_key key, void *ctx)
{
  (void)ctx;
  if (in_equal)
    be_cancelled();
  return memcmp(stored.data, key.data, key.size) == 0;
}

static uint64_t hash_key(struct cmap_key key, void *ctx)
{
  (void)key, (void)ctx;
  return 7;
}

static uint64_t the_time;

static uint64_t clock_of(void *ctx)
{
  (void)ctx;
  return the_time;
}

/* Above the bound if it is put last. */
static uint64_t cost_of(struct cmap_key key, const void *made, void *ctx)
{
  (void)key, (void)made, (void)ctx;
  return armed ? 2 : 1;
}

static enum cmap_status refuse(struct cmap_key key, void **made, void *ctx)
{
  (void)key, (void)made, (void)ctx;
  return (enum cmap_status)USER_STATUS;
}

static void by_remembering(void)
{
  struct cmap_handle handle = CMAP_INIT;

  the_time = 0;
  CHECK_STATUS(
      cmap_store_get_or_create(t.store, KEY, &handle, refuse, NULL, NULL),
      (enum cmap_status)USER_STATUS);
  the_time = 1; /* it is out of date */
  armed = true;
}

static void by_maintain(void)
{
  by_remembering();
  CHECK_OK(cmap_store_maintain(t.store, NULL));
}

static void by_shrink(void)
{
  by_remembering();
  CHECK_OK(cmap_store_shrink_to_fit(t.store));
}

static void destroy_a_key(unsigned index, void *ctx)
{
  static void (*const calls[])(void) = {by_remove, by_clear, by_put,
                                        by_maintain, by_shrink};

  (void)ctx;
  calls[index]();
  call_is_over();
}

static void in_destructors_of_keys(void **state)
{
  (void)state;
  for (unsigned call = 0; call < 5; call++) {
    test_store_prepare(&t, KEYS_U64);
    t.options.keys.key_kind = CMAP_CUSTOM;
    t.options.keys.key_size = sizeof(uint64_t);
    t.options.keys.key_hash = hash_key;
    t.options.keys.key_equal = same_key;
    t.options.keys.key_copy = copy_key;
    t.options.keys.key_destroy = destroy_key;
    t.options.max_cost = 1;
    t.options.cost = cost_of;
    t.options.negative_ns = 1;
    t.options.clock = clock_of;
    a_cancellation_waits(destroy_a_key, call);
  }
}

/* ------------------------------------------------------------------------
 * Comparing and copying keys, under a lock of the store
 * ------------------------------------------------------------------------ */

#define OTHER cmap_key_u64(&(uint64_t){2})

static void compare_by_get(void)
{
  struct cmap_handle handle = CMAP_INIT;

  CHECK_OK(cmap_store_get(t.store, KEY, &handle, NULL));
  cmap_handle_release(&handle);
}

static enum cmap_status just_make(struct cmap_key key, void **made, void *ctx)
{
  (void)key, (void)ctx;
  *made = object();
  return CMAP_OK;
}

static void compare_by_create(void)
{
  struct cmap_handle handle = CMAP_INIT;

  CHECK_OK(
      cmap_store_get_or_create(t.store, OTHER, &handle, just_make, NULL, NULL));
  cmap_handle_release(&handle);
}

static void compare_by_remove(void)
{
  CHECK_OK(cmap_store_remove(t.store, KEY, NULL));
}

static void compare_by_put(void)
{
  CHECK_OK(cmap_store_put(t.store, OTHER, object(), NULL, NULL));
}

static void begin_other(void)
{
  struct cmap_handle handle = CMAP_INIT;
  struct cmap_ticket ticket;
  enum cmap_begin outcome;

  CHECK_OK(cmap_store_begin(t.store, OTHER, &handle, &ticket, &outcome, NULL,
                            NULL, NULL));
  armed = false; /* the ticket's key is another copy */
  CHECK_OK(cmap_ticket_complete(&ticket, object(), &handle));
  cmap_handle_release(&handle);
}

static void compare_waiters(void)
{
  CHECK(cmap_store_waiters(t.store, KEY) == 0);
}

static enum cmap_status just_see(struct cmap_key key, void *seen, void *ctx)
{
  (void)key, (void)ctx;
  CHECK(tracked_is_alive(seen));
  return CMAP_OK;
}

static void visit_all(void)
{
  CHECK_OK(cmap_store_for_each(t.store, just_see, NULL));
}

static void use_keys(unsigned index, void *ctx)
{
  static void (*const calls[])(void) = {
      compare_by_get, compare_by_create, compare_by_remove, compare_by_put,
      begin_other,    compare_waiters,   compare_by_create, compare_by_put,
      begin_other,    visit_all};
  enum { FIRST_COPY = 6 };

  (void)ctx;
  in_equal = in_copy = false;
  put();
  in_equal = index < FIRST_COPY;
  in_copy = !in_equal;
  armed = true;
  calls[index]();
  call_is_over();
  in_equal = in_copy = false;
}

static void in_functions_of_keys(void **state)
{
  (void)state;
  for (unsigned call = 0; call < 10; call++) {
    test_store_prepare(&t, KEYS_U64);
    t.options.keys.key_kind = CMAP_CUSTOM;
    t.options.keys.key_size = sizeof(uint64_t);
    t.options.keys.key_hash = hash_key;
    t.options.keys.key_equal = same_key;
    t.options.keys.key_copy = copy_key;
    t.options.keys.key_destroy = destroy_key;
    a_cancellation_waits(use_keys, call);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(in_every_call),
      cmocka_unit_test(in_clocks),
      cmocka_unit_test(in_destructors_of_keys),
      cmocka_unit_test(in_functions_of_keys),
  };

  return cmocka_run_group_tests_name("store_cancel", tests, NULL, NULL);
}
