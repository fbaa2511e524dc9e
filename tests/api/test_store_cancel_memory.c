/*
 * A thread that is cancelled in the user's allocator, at each request and each
 * free that a store makes in turn: the cancellation waits until the call is
 * over, no lock is left behind and nothing is lost.
 */
#include <pthread.h>

#include "store_objects.h"
#include "threads.h"

#define OBJECTS 300
#define NEVER   0

static struct test_store t;
static struct cmap_allocator below;
static unsigned until;     /* the thread is cancelled; owner: the thread */
static bool was_cancelled; /* the same */
static bool is_over;       /* all calls have returned */

static void count_down(void)
{
  if (until == NEVER || --until > 0)
    return;
  was_cancelled = true;
  CHECK(pthread_cancel(pthread_self()) == 0);
  pthread_testcancel();
}

static void *take(size_t size, size_t align, void *ctx)
{
  (void)ctx;
  count_down();
  return below.alloc(size, align, below.ctx);
}

static void give(void *memory, size_t size, size_t align, void *ctx)
{
  (void)ctx;
  below.free(memory, size, align, below.ctx);
  count_down();
}

static enum cmap_status make(struct cmap_key key, void **made, void *ctx)
{
  (void)ctx;
  *made = tracked_new(&t.lives, cmap_key_as_u64(key), 1);
  return CMAP_OK;
}

static enum cmap_status refuse(struct cmap_key key, void **made, void *ctx)
{
  (void)key, (void)made, (void)ctx;
  return (enum cmap_status)USER_STATUS;
}

static enum cmap_status make_all(const struct cmap_key *keys, size_t n,
                                 void **objects, enum cmap_status *statuses,
                                 void *ctx)
{
  for (size_t i = 0; i < n; i++)
    statuses[i] = make(keys[i], &objects[i], ctx);
  return CMAP_OK;
}

static enum cmap_status see(struct cmap_key key, void *seen, void *ctx)
{
  (void)key, (void)ctx;
  CHECK(tracked_is_alive(seen));
  return CMAP_OK;
}

static void get_many(const struct cmap_key *keys)
{
  struct cmap_handle handles[2];
  enum cmap_status statuses[2];

  CHECK_OK(cmap_store_get_many(t.store, keys, 2, handles, statuses, make_all,
                               NULL, NULL));
  cmap_handle_release(&handles[0]);
  cmap_handle_release(&handles[1]);
}

static void use_ticket(struct cmap_key key)
{
  struct cmap_handle handle = CMAP_INIT;
  struct cmap_ticket ticket = CMAP_INIT, none = CMAP_INIT;
  enum cmap_begin outcome;
  void *object;

  CHECK_OK(cmap_store_begin(t.store, key, &handle, &ticket, &outcome, NULL,
                            NULL, NULL));
  CHECK_OK(cmap_store_begin(t.store, key, &handle, &none, &outcome, NULL, NULL,
                            NULL));
  CHECK_OK(make(key, &object, NULL));
  CHECK_OK(cmap_ticket_complete(&ticket, object, &handle));
  cmap_handle_release(&handle);
}

/* Calls of all kinds. Numbers are keys that no other call has. */
static void work(unsigned index, void *ctx)
{
  const struct cmap_key many[] = {CMAP_KEY_U64(2), CMAP_KEY_U64(3)};
  struct cmap_handle handle = CMAP_INIT;
  uint64_t id;
  int before;

  (void)ctx;
  until = index;
  was_cancelled = false;
  CHECK_OK(cmap_store_get_or_create(t.store, CMAP_KEY_U64(1), &handle, make,
                                    NULL, NULL));
  cmap_handle_release(&handle);
  CHECK_STATUS(cmap_store_get_or_create(t.store, CMAP_KEY_U64(1000), &handle,
                                        refuse, NULL, NULL),
               (enum cmap_status)USER_STATUS);
  CHECK_OK(cmap_store_refresh(t.store, many[0], NULL, make, NULL, NULL));
  get_many(many);
  use_ticket(CMAP_KEY_U64(4));
  for (id = 5; id < OBJECTS; id++)
    CHECK_OK(cmap_store_put(t.store, cmap_key_u64(&id),
                            tracked_new(&t.lives, id, 1), NULL, NULL));
  CHECK_OK(cmap_store_for_each(t.store, see, NULL));
  CHECK_OK(cmap_store_reserve(t.store, 2 * OBJECTS));
  CHECK_OK(cmap_store_clear(t.store));
  CHECK_OK(cmap_store_shrink_to_fit(t.store));
  /* AddressSanitizer does not see that a cancelled stack unwinds. */
  CHECK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before) == 0);
  CHECK(before == PTHREAD_CANCEL_ENABLE);
  until = NEVER;
  is_over = true;
}

static void cancelled_at_each_request(size_t bound)
{
  struct thread thread;

  /* Ends: with the round that has fewer requests. */
  for (unsigned nth = 1; nth == 1 || was_cancelled; nth++) {
    test_store_prepare(&t, KEYS_U64);
    below = t.options.keys.allocator;
    t.options.keys.allocator =
        (struct cmap_allocator){.alloc = take, .free = give};
    t.options.max_objects = bound;
    t.options.negative_ns = UINT64_MAX;
    test_store_create(&t);
    is_over = false;
    thread_start(&thread, work, nth, NULL);
    thread_join(&thread);
    assert_true(is_over);
    assert_int_equal(store_stats(t.store).running, 0);
    test_store_close(&t);
  }
}

static void in_an_allocator(void **state)
{
  (void)state;
  cancelled_at_each_request(0);
  cancelled_at_each_request(20);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(in_an_allocator),
  };

  return cmocka_run_group_tests_name("store_cancel_memory", tests, NULL, NULL);
}
