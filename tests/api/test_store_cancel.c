/*
 * A thread that is cancelled while a store runs a callback of its own accord
 * (an object's or a key's destructor, a notice): the cancellation waits until
 * the call is over, whichever call it is, and nothing is lost.
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

static void a_cancellation_waits(unsigned call)
{
  struct thread thread;

  step_begin(&steps);
  test_store_prepare(&t, KEYS_U64);
  t.options.object_destroy = destroy;
  test_store_create(&t);
  armed = false;
  is_over = false;
  thread_start(&thread, work, call, NULL);
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
  for (unsigned call = 0; call < 10; call++)
    a_cancellation_waits(call);
}

/* ------------------------------------------------------------------------
 * Destructors of keys
 * ------------------------------------------------------------------------ */

static void destroy_key(void *stored, void *ctx)
{
  (void)stored, (void)ctx;
  be_cancelled();
}

static enum cmap_status copy_key(struct cmap_key key, void *stored, void *ctx)
{
  (void)ctx;
  memcpy(stored, key.data, key.size);
  return CMAP_OK;
}

static bool same_key(struct cmap_key stored, struct cmap_key key, void *ctx)
{
  (void)ctx;
  return memcmp(stored.data, key.data, key.size) == 0;
}

static uint64_t hash_key(struct cmap_key key, void *ctx)
{
  (void)key, (void)ctx;
  return 7;
}

static void remove_or_clear(unsigned index, void *ctx)
{
  (void)ctx;
  put();
  armed = true;
  if (index == 0)
    CHECK_OK(cmap_store_remove(t.store, KEY, NULL));
  else
    CHECK_OK(cmap_store_clear(t.store));
  call_is_over();
}

static void in_destructors_of_keys(void **state)
{
  (void)state;
  for (unsigned call = 0; call < 2; call++) {
    struct thread thread;
    step_begin(&steps);
    test_store_prepare(&t, KEYS_U64);
    t.options.keys.key_kind = CMAP_CUSTOM;
    t.options.keys.key_size = sizeof(uint64_t);
    t.options.keys.key_hash = hash_key;
    t.options.keys.key_equal = same_key;
    t.options.keys.key_copy = copy_key;
    t.options.keys.key_destroy = destroy_key;
    test_store_create(&t);
    is_over = false;
    thread_start(&thread, remove_or_clear, call, NULL);
    step_wait(&steps, 1);
    assert_int_equal(pthread_cancel(thread.id), 0);
    step_done(&steps, 2);
    thread_join(&thread);
    assert_true(is_over);
    assert_int_equal(cmap_store_len(t.store), 0);
    test_store_close(&t);
    step_end(&steps);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(in_every_call),
      cmocka_unit_test(in_destructors_of_keys),
  };

  return cmocka_run_group_tests_name("store_cancel", tests, NULL, NULL);
}
