/*
 * Callbacks of a cache that use it: who is told of an object that has gone asks
 * for the key that its own thread is about to build, or has just built. An
 * error is a wait of a thread for itself, which alarm() ends.
 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "settings.h"
#include "store_objects.h"
#include "threads.h"

enum { HANG_SECONDS = 20 };

/* How a key is asked for. */
enum way { BY_CREATE, BY_REFRESH, BY_TICKET, WAYS };

static struct test_store t;
static struct {
  uint64_t id;
} rooms[16];
static uint64_t seconds;  /* the store's clock */
static uint64_t versions; /* of objects, as they are made */
static enum cmap_removal last_reason;

/* What a callback asks for, if it is told of the object of the key `of`. */
static struct question {
  uint64_t of; /* 0: of all */
  uint64_t id; /* 0: nothing is asked for any more */
  enum way way;
  bool again; /* each time */
  unsigned asked;
  uint64_t version; /* the answer */
} question;

static struct cmap_key key_of(uint64_t id)
{
  rooms[id].id = id;
  return cmap_key_u64(&rooms[id].id);
}

static uint64_t id_of(struct cmap_key key)
{
  uint64_t id;

  memcpy(&id, key.data, sizeof id);
  return id;
}

static uint64_t now(void *ctx)
{
  (void)ctx;
  return seconds;
}

static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  (void)ctx;
  *object = tracked_new(&t.lives, id_of(key), ++versions);
  return CMAP_OK;
}

/* By a ticket that has been bound, so that it is known of no thread that it is
 * the one to complete it. */
static enum cmap_status by_ticket(uint64_t id, struct cmap_handle *handle)
{
  struct cmap_ticket ticket = CMAP_INIT;
  enum cmap_begin outcome = CMAP_PENDING;
  enum cmap_status status = cmap_store_begin(
      t.store, key_of(id), handle, &ticket, &outcome, NULL, NULL, NULL);

  if (status != CMAP_OK || outcome == CMAP_PRESENT)
    return status;
  CHECK(outcome == CMAP_YOURS);
  CHECK_OK(cmap_ticket_bind(&ticket));
  return cmap_ticket_complete(&ticket, tracked_new(&t.lives, id, ++versions),
                              handle);
}

/* The version of the object that comes of it. */
static uint64_t ask(uint64_t id, enum way way)
{
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_status status;
  uint64_t version = 0;

  if (way == BY_TICKET)
    status = by_ticket(id, &handle);
  else if (way == BY_REFRESH)
    status =
        cmap_store_refresh(t.store, key_of(id), &handle, build, NULL, NULL);
  else
    status = cmap_store_get_or_create(t.store, key_of(id), &handle, build, NULL,
                                      NULL);
  CHECK_OK(status);
  if (handle.object != NULL)
    version = store_object(&handle, id)->version;
  cmap_handle_release(&handle);
  return version;
}

/* An object of the key has gone. */
static void gone(uint64_t of)
{
  uint64_t id = question.id;

  if (id == 0 || (question.of != 0 && of != question.of))
    return;
  if (!question.again)
    question.id = 0;
  question.asked++;
  question.version = ask(id, question.way);
}

static void told(struct cmap_key key, void *object, enum cmap_removal reason,
                 void *ctx)
{
  (void)ctx;
  CHECK(tracked_is_alive(object));
  last_reason = reason;
  gone(id_of(key));
}

static void destroy_and_ask(void *object, void *ctx)
{
  uint64_t of = ((struct tracked *)object)->id;

  (void)ctx;
  tracked_destroy(object);
  gone(of);
}

static void prepare(void)
{
  seconds = versions = 0;
  question = (struct question){0};
  test_store_prepare(&t, KEYS_U64);
  t.options.clock = now;
  alarm(HANG_SECONDS);
}

static void begin_with_one(bool by_destroy)
{
  if (by_destroy)
    t.options.object_destroy = destroy_and_ask;
  else
    t.options.on_remove = told;
  test_store_create(&t);
  CHECK(ask(1, BY_CREATE) == 1);
}

/* Nobody asks any more. */
static void finish(void)
{
  question.id = 0;
  test_store_close(&t);
  alarm(0);
}

/* ------------------------------------------------------------------------
 * The key that has expired is loaded again by who is told of it
 * ------------------------------------------------------------------------ */

static void reload(enum way outer, enum way inner, bool by_destroy)
{
  prepare();
  t.options.ttl_ns = 10;
  begin_with_one(by_destroy);
  seconds = 10;
  question.of = question.id = 1;
  question.way = inner;
  /* A refresh builds in any case, the others take what is there. */
  CHECK(ask(1, outer) == (outer == BY_REFRESH ? 3 : 2));
  CHECK(question.asked == 1 && question.version == 2);
  CHECK(by_destroy || outer == BY_REFRESH || last_reason == CMAP_EXPIRED);
  CHECK(ask(1, BY_CREATE) == versions);
  finish();
}

/* Each way to ask, and to ask inside of it, by each who is told. */
static void in_all_ways(void (*scene)(enum way, enum way, bool by_destroy))
{
  for (int outer = 0; outer < WAYS; outer++)
    for (int inner = 0; inner < WAYS; inner++) {
      scene((enum way)outer, (enum way)inner, false);
      scene((enum way)outer, (enum way)inner, true);
    }
}

static void expired_is_reloaded(void **state)
{
  (void)state;
  in_all_ways(reload);
}

/* ------------------------------------------------------------------------
 * The key that is built is asked for by who is told of what has made room
 * ------------------------------------------------------------------------ */

static void evict(enum way outer, enum way inner, bool by_destroy)
{
  prepare();
  t.options.max_objects = 2;
  begin_with_one(by_destroy);
  CHECK(ask(2, BY_CREATE) == 2);
  question.of = 1;
  question.id = 3;
  question.way = inner;
  CHECK(ask(3, outer) == 3);
  CHECK(question.asked == 1);
  CHECK(question.version == (inner == BY_REFRESH ? 4 : 3));
  CHECK(by_destroy || inner == BY_REFRESH || last_reason == CMAP_EVICTED);
  CHECK(cmap_store_len(t.store) == 2);
  CHECK(ask(3, BY_CREATE) == versions);
  finish();
}

static void evicted_for_what_is_asked_for(void **state)
{
  (void)state;
  in_all_ways(evict);
}

static uint64_t cost(struct cmap_key key, const void *object, void *ctx)
{
  (void)object, (void)ctx;
  return id_of(key) == 9 ? 4 : 1;
}

/* One that is dear makes many go, the oldest first, and stays. Without memory
 * to remember them by, the bound holds all the same. */
static void many_are_evicted(void **state)
{
  (void)state;
  for (int without = 0; without < 2; without++) {
    prepare();
    t.options.max_cost = 5;
    t.options.cost = cost;
    t.options.on_remove = told;
    test_store_create(&t);
    for (uint64_t id = 1; id <= 5; id++)
      CHECK(ask(id, BY_CREATE) == id);
    question.id = 9;
    question.again = true;
    if (without)
      counting_alloc_fail_nth(&t.keys.alloc,
                              2); /* the second is the third's that goes */
    CHECK(ask(9, BY_CREATE) == 6);
    CHECK(counting_alloc_failures(&t.keys.alloc) == (size_t)without);
    counting_alloc_fail_none(&t.keys.alloc);
    CHECK(question.asked == 4 && question.version == 6 && versions == 6);
    CHECK(store_stats(t.store).cost == 5);
    CHECK(ask(5, BY_CREATE) == 5);
    finish();
  }
}

/* ------------------------------------------------------------------------
 * Ways of cmap_store_begin
 * ------------------------------------------------------------------------ */

static struct cmap_allocator counted;
static struct cmap_ticket failing; /* fails when memory is given back */
static unsigned notices;

static void *pass_alloc(size_t size, size_t align, void *ctx)
{
  (void)ctx;
  return counted.alloc(size, align, counted.ctx);
}

static void free_and_fail(void *memory, size_t size, size_t align, void *ctx)
{
  struct cmap_ticket ticket = failing;

  (void)ctx;
  counted.free(memory, size, align, counted.ctx);
  failing = (struct cmap_ticket)CMAP_INIT;
  if (ticket.internal[0] != 0)
    CHECK_OK(cmap_ticket_fail(&ticket, CMAP_BUSY));
}

static void notify(enum cmap_status status, struct cmap_handle *handle,
                   void *ctx)
{
  (void)status, (void)ctx;
  cmap_handle_release(handle);
  notices++;
}

/* Of a thread that ends: the last time for which it is called. */
static pthread_key_t late;
#define LATE 3

static void begin_late(void *times)
{
  struct cmap_handle handle = CMAP_INIT;
  struct cmap_ticket ticket = CMAP_INIT, none = CMAP_INIT;
  enum cmap_begin outcome;

  if ((uintptr_t)times > 1) {
    pthread_setspecific(late, (void *)((uintptr_t)times - 1));
    return;
  }
  CHECK_OK(cmap_store_begin(t.store, key_of(1), &handle, &ticket, &outcome,
                            NULL, NULL, NULL));
  CHECK(outcome == CMAP_YOURS);
  failing = ticket;
  CHECK_STATUS(cmap_store_begin(t.store, key_of(1), &handle, &none, &outcome,
                                notify, NULL, NULL),
               CMAP_BUSY);
  CHECK(failing.internal[0] == 0 && notices == 0);
  CHECK(handle.object == NULL && none.internal[0] == 0);
}

static void end_late(unsigned index, void *ctx)
{
  struct cmap_handle handle = CMAP_INIT;

  (void)index, (void)ctx;
  /* So that it has what the library takes away at its end. */
  CHECK_STATUS(cmap_store_get(t.store, key_of(1), &handle, NULL),
               CMAP_NOT_FOUND);
  pthread_setspecific(late, (void *)LATE);
}

/* The construction that is there fails with CMAP_BUSY just before begin joins
 * it, which is when its own, which it does not need, is freed: by a thread that
 * keeps none any more, since it ends. */
static void begin_joins_what_fails_busy(void **state)
{
  struct thread thread;

  (void)state;
  prepare();
  counted = t.options.keys.allocator;
  t.options.keys.allocator =
      (struct cmap_allocator){pass_alloc, free_and_fail, NULL};
  test_store_create(&t);
  notices = 0;
  assert_int_equal(pthread_key_create(&late, begin_late), 0);
  thread_start(&thread, end_late, 0, NULL);
  thread_join(&thread);
  pthread_key_delete(late);
  finish();
}

/* There is no memory to build a stale object anew, wherever that is found: it
 * is present, and stale. */
static void begin_says_stale(void **state)
{
  struct cmap_handle handle = CMAP_INIT;
  struct cmap_ticket ticket = CMAP_INIT;
  enum cmap_begin outcome = CMAP_PRESENT;

  (void)state;
  prepare();
  t.options.refresh_ns = 10;
  test_store_create(&t);
  CHECK(ask(1, BY_CREATE) == 1);
  seconds = 10;
  /* Ends: there is memory enough. */
  for (size_t nth = 1; outcome == CMAP_PRESENT; nth++) {
    CHECK_OK(cmap_store_shrink_to_fit(t.store)); /* the thread keeps nothing */
    counting_alloc_fail_nth(&t.keys.alloc, nth);
    CHECK_OK(cmap_store_begin(t.store, key_of(1), &handle, &ticket, &outcome,
                              NULL, NULL, NULL));
    CHECK(outcome == CMAP_YOURS ? nth > 2
                                : cmap_handle_origin(&handle) == CMAP_STALE);
    cmap_handle_release(&handle);
  }
  counting_alloc_fail_none(&t.keys.alloc);
  cmap_ticket_abandon(&ticket);
  finish();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(expired_is_reloaded),
      cmocka_unit_test(evicted_for_what_is_asked_for),
      cmocka_unit_test(many_are_evicted),
      cmocka_unit_test(begin_joins_what_fails_busy),
      cmocka_unit_test(begin_says_stale),
  };

  return cmocka_run_group_tests_name("store_callbacks", tests, NULL, NULL);
}
