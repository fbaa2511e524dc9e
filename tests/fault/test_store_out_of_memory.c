/*
 * Refused memory, at every request of every call of the store: the status says
 * so, the store is as it was, nothing is leaked, every object is destroyed
 * once, and the next try may succeed.
 */
#include "settings.h"
#include "step.h"
#include "store_objects.h"
#include "threads.h"

/* No call makes more requests than this before it succeeds. */
#define MOST_REQUESTS 2000
/* Headers of objects come in chunks of 126: around that, and shards split. */
static const uint64_t fills[] = {0, 1, 10, 11, 21, 43, 125, 126, 127, 400};
#define FILLS (sizeof fills / sizeof *fills)

static const enum key_shape shapes[] = {KEYS_U64, KEYS_U32, KEYS_STRING,
                                        KEYS_BYTES, KEYS_CUSTOM_OWNED};
#define SHAPES (sizeof shapes / sizeof *shapes)

static struct test_store t;
static uint64_t fill; /* the keys 0 ... fill - 1 are there, if not cleared */
/* The store is a cache with a bound that is never reached, and all that is
   found there is to be built anew. */
static bool is_cache;

static struct cmap_key key_of(uint64_t id)
{
  static struct key_room room;

  return key_make(&t.keys.spec, id, &room);
}

static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  (void)ctx;
  *object = tracked_new(&t.lives, key_id(&t.keys.spec, key), 2);
  return CMAP_OK;
}

static enum cmap_status build_not(struct cmap_key key, void **object, void *ctx)
{
  (void)key, (void)object, (void)ctx;
  return (enum cmap_status)USER_STATUS;
}

static enum cmap_status put(uint64_t id, uint64_t version,
                            struct cmap_handle *handle)
{
  struct tracked *object = tracked_new(&t.lives, id, version);
  enum cmap_status status =
      cmap_store_put(t.store, key_of(id), object, handle, NULL);

  if (status != CMAP_OK)
    tracked_destroy(object); /* it is still ours */
  return status;
}

/* ------------------------------------------------------------------------
 * The calls: each with a key that is there, and one that is not
 * ------------------------------------------------------------------------ */

typedef enum cmap_status call_fn(uint64_t id);

static enum cmap_status call_put(uint64_t id)
{
  return put(id, 1, NULL);
}

static enum cmap_status call_put_for_a_handle(uint64_t id)
{
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_status status = put(id, 1, &handle);

  CHECK((status == CMAP_OK) == (handle.object != NULL));
  cmap_handle_release(&handle);
  return status;
}

static enum cmap_status call_create(uint64_t id)
{
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_status status =
      cmap_store_get_or_create(t.store, key_of(id), &handle, build, NULL, NULL);

  CHECK((status == CMAP_OK) == (handle.object != NULL));
  cmap_handle_release(&handle);
  return status;
}

static enum cmap_status call_refresh(uint64_t id)
{
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_status status =
      cmap_store_refresh(t.store, key_of(id), &handle, build, NULL, NULL);

  CHECK((status == CMAP_OK) == (handle.object != NULL));
  cmap_handle_release(&handle);
  return status;
}

static enum cmap_status call_refresh_in_vain(uint64_t id)
{
  enum cmap_status status =
      cmap_store_refresh(t.store, key_of(id), NULL, build_not, NULL, NULL);

  return status == (enum cmap_status)USER_STATUS ? CMAP_OK : status;
}

/* The status comes out, whether it could be remembered or not. */
static enum cmap_status call_create_in_vain(uint64_t id)
{
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_status status = cmap_store_get_or_create(
      t.store, key_of(id), &handle, build_not, NULL, NULL);

  CHECK((status == CMAP_OK) == (handle.object != NULL));
  cmap_handle_release(&handle);
  CHECK(cmap_store_forget(t.store, key_of(id), NULL) == CMAP_OK ||
        status != (enum cmap_status)USER_STATUS ||
        counting_alloc_failures(&t.keys.alloc) > 0);
  return status == (enum cmap_status)USER_STATUS ? CMAP_OK : status;
}

static unsigned told;

static void notify(enum cmap_status status, struct cmap_handle *handle,
                   void *ctx)
{
  (void)ctx;
  CHECK_OK(status);
  cmap_handle_release(handle);
  told++;
}

/* Begins twice: the second is pending, or gets the old object. */
static enum cmap_status call_begin(uint64_t id)
{
  struct cmap_handle handle = CMAP_INIT, other = CMAP_INIT;
  struct cmap_ticket ticket = CMAP_INIT, none = CMAP_INIT;
  enum cmap_begin outcome = (enum cmap_begin)99, second = (enum cmap_begin)99;
  enum cmap_status status = cmap_store_begin(
      t.store, key_of(id), &handle, &ticket, &outcome, notify, NULL, NULL);

  if (status != CMAP_OK) {
    CHECK(handle.object == NULL && ticket.internal[0] == 0 && outcome == 99);
    return status;
  }
  told = 0;
  if (outcome == CMAP_YOURS) {
    status = cmap_store_begin(t.store, key_of(id), &other, &none, &second,
                              notify, NULL, NULL);
    CHECK(second == (status != CMAP_OK      ? (enum cmap_begin)99
                     : other.object != NULL ? CMAP_PRESENT
                                            : CMAP_PENDING));
    CHECK(other.object == NULL || (is_cache && id < fill));
    CHECK_OK(
        cmap_ticket_complete(&ticket, tracked_new(&t.lives, id, 3), &handle));
    CHECK(told == (second == CMAP_PENDING));
    cmap_handle_release(&other);
  }
  CHECK(handle.object != NULL);
  cmap_handle_release(&handle);
  return status;
}

/* Bound, and in vain. */
static enum cmap_status call_bind(uint64_t id)
{
  struct cmap_handle handle = CMAP_INIT;
  struct cmap_ticket ticket = CMAP_INIT;
  enum cmap_begin outcome = CMAP_PRESENT;
  enum cmap_status status = cmap_store_begin(
      t.store, key_of(id), &handle, &ticket, &outcome, NULL, NULL, NULL);

  if (status == CMAP_OK && outcome == CMAP_YOURS) {
    status = cmap_ticket_bind(&ticket);
    CHECK_OK(cmap_ticket_fail(&ticket, (enum cmap_status)USER_STATUS));
    (void)!cmap_store_forget(t.store, key_of(id), NULL);
  }
  cmap_handle_release(&handle);
  return status;
}

static enum cmap_status call_remove(uint64_t id)
{
  enum cmap_status status = cmap_store_remove(t.store, key_of(id), NULL);

  CHECK(status == (id < fill ? CMAP_OK : CMAP_NOT_FOUND));
  if (status == CMAP_OK)
    while (put(id, 1, NULL) != CMAP_OK) /* later requests succeed */
      continue;
  return CMAP_OK;
}

static enum cmap_status see(struct cmap_key key, void *object, void *ctx)
{
  CHECK(key_id(&t.keys.spec, key) == ((struct tracked *)object)->id);
  CHECK(tracked_is_alive(object));
  ++*(size_t *)ctx;
  return CMAP_OK;
}

static enum cmap_status call_for_each(uint64_t id)
{
  size_t seen = 0;
  enum cmap_status status = cmap_store_for_each(t.store, see, &seen);

  (void)id;
  CHECK(status == CMAP_OK ? seen == cmap_store_len(t.store)
                          : seen < cmap_store_len(t.store));
  return status;
}

static enum cmap_status call_shrink(uint64_t id)
{
  (void)id;
  return cmap_store_shrink_to_fit(t.store);
}

static enum cmap_status call_clear(uint64_t id)
{
  size_t before = cmap_store_len(t.store);
  enum cmap_status status = cmap_store_clear(t.store);

  (void)id;
  CHECK(status == CMAP_OK ? cmap_store_len(t.store) == 0
                          : cmap_store_len(t.store) <= before);
  return status;
}

static const struct {
  const char *name;
  call_fn *call;
  bool adds, clears; /* the absent key; all */
} calls[] = {
    {"put", call_put, true, false},
    {"put for a handle", call_put_for_a_handle, true, false},
    {"create", call_create, true, false},
    {"refresh", call_refresh, true, false},
    {"refresh in vain", call_refresh_in_vain, false, false},
    {"create in vain", call_create_in_vain, false, false},
    {"begin", call_begin, true, false},
    {"bind", call_bind, false, false},
    {"remove", call_remove, false, false},
    {"for_each", call_for_each, false, false},
    {"clear", call_clear, false, true},
    {"shrink", call_shrink, false, false},
};
#define CALLS (sizeof calls / sizeof *calls)

/* ------------------------------------------------------------------------
 * Tests
 * ------------------------------------------------------------------------ */

static void check_present(uint64_t id)
{
  struct cmap_handle handle = CMAP_INIT;

  CHECK_OK(cmap_store_get(t.store, key_of(id), &handle, NULL));
  if (handle.object != NULL)
    store_object(&handle, id);
  cmap_handle_release(&handle);
}

/* The keys that were there are, no construction is, and nobody counts wrong. */
static void check_store(size_t len)
{
  struct cmap_store_stats stats = store_stats(t.store);

  for (uint64_t id = 0; id < fill; id++)
    check_present(id);
  CHECK(cmap_store_len(t.store) == len);
  CHECK(stats.running == 0 && stats.waiters == 0 && stats.objects == len);
}

static uint64_t ever_later(void *ctx)
{
  static _Atomic uint64_t time;

  (void)ctx;
  return atomic_fetch_add(&time, 2);
}

static void open_filled(enum key_shape shape, uint64_t count)
{
  test_store_prepare(&t, shape);
  t.options.negative_ns = UINT64_MAX;
  t.options.keys.shard_groups = 1;
  if (is_cache) {
    t.options.max_objects = 1000;
    t.options.refresh_ns = 1;
    t.options.ttl_ns = UINT64_MAX / 2;
    t.options.clock = ever_later;
  }
  test_store_create(&t);
  for (uint64_t id = 0; id < count; id++)
    CHECK_OK(put(id, 1, NULL));
  fill = count;
}

static void fail_each_request(size_t which, uint64_t id)
{
  size_t nth = 0, refused;

  do {
    enum cmap_status status;
    size_t len = cmap_store_len(t.store);
    counting_alloc_fail_nth(&t.keys.alloc, ++nth);
    status = calls[which].call(id);
    refused = counting_alloc_failures(&t.keys.alloc);
    counting_alloc_fail_none(&t.keys.alloc);
    CHECK(status == CMAP_OK || (status == CMAP_ENOMEM && refused > 0));
    /* One request of several may be made in vain. */
    if (calls[which].clears)
      fill = 0;
    else if (calls[which].adds && cmap_store_len(t.store) == len + 1)
      check_present(id), CHECK_OK(cmap_store_remove(t.store, key_of(id), NULL));
    if (!calls[which].clears)
      check_store(len);
    else if (status != CMAP_OK)
      CHECK(call_for_each(0) == CMAP_OK);
  } while (refused > 0 && nth < MOST_REQUESTS && !checks_failed());
  CHECK(nth < MOST_REQUESTS);
}

static void every_request_of_every_call(void **state)
{
  is_cache = *state != NULL;
  for (size_t shape = 0; shape < SHAPES; shape++) {
    for (size_t i = 0; i < FILLS; i++) {
      for (size_t which = 0; which < CALLS && !checks_failed(); which++) {
        checks_about(calls[which].name);
        open_filled(shapes[shape], fills[i]);
        fail_each_request(which, fills[i] + 1);
        if (fill > 0)
          fail_each_request(which, fill / 2);
        test_store_close(&t);
      }
    }
  }
  is_cache = false;
}

static void stores_that_cannot_be_created(void **state)
{
  size_t nth = 0;
  enum cmap_status status;

  (void)state;
  do {
    test_store_prepare(&t, KEYS_STRING);
    counting_alloc_fail_nth(&t.keys.alloc, ++nth);
    status = cmap_store_create(&t.options, &t.store);
    if (status != CMAP_OK) {
      CHECK_STATUS(status, CMAP_ENOMEM);
      CHECK(t.store == NULL);
    }
    test_store_close(&t);
  } while (status != CMAP_OK && nth < MOST_REQUESTS);
  assert_ok(status);
  assert_true(nth > 1);
}

/* There is no memory at all: what needs none goes on. */
static void no_memory_for_anything(void **state)
{
  (void)state;
  for (size_t shape = 0; shape < SHAPES; shape++) {
    struct cmap_handle handle = CMAP_INIT;
    open_filled(shapes[shape], 400);
    counting_alloc_fail_from(&t.keys.alloc, 1);
    check_store(400);
    CHECK_OK(cmap_store_get_or_create(t.store, key_of(1), &handle, build_not,
                                      NULL, NULL));
    cmap_handle_release(&handle);
    for (uint64_t id = 0; id < 400; id++)
      CHECK_OK(cmap_store_remove(t.store, key_of(id), NULL));
    CHECK(cmap_store_len(t.store) == 0);
    counting_alloc_fail_none(&t.keys.alloc);
    test_store_close(&t);
  }
}

/* Keys that cannot be copied, for a reason of their own. */
static void keys_that_are_not_copied(void **state)
{
  (void)state;
  for (size_t which = 0; which < CALLS; which++) {
    enum cmap_status status;
    if (!calls[which].adds)
      continue;
    checks_about(calls[which].name);
    open_filled(KEYS_CUSTOM_OWNED, 50);
    atomic_store(&t.keys.own_lives.clone_status, OTHER_USER_STATUS);
    status = calls[which].call(60);
    CHECK_STATUS(status, (enum cmap_status)OTHER_USER_STATUS);
    CHECK(calls[which].call(20) == CMAP_OK);
    atomic_store(&t.keys.own_lives.clone_status, 0);
    check_store(50);
    test_store_close(&t);
  }
}

/* ------------------------------------------------------------------------
 * A handover without memory
 * ------------------------------------------------------------------------ */

struct handover {
  struct step step;
  enum cmap_status results[3];
};

static enum cmap_status fail_at_step(struct cmap_key key, void **object,
                                     void *ctx)
{
  struct handover *h = ctx;

  (void)key, (void)object;
  step_done(&h->step, 1);
  step_wait(&h->step, 2);
  return (enum cmap_status)USER_STATUS;
}

static void ask(unsigned index, void *ctx)
{
  struct handover *h = ctx;
  struct cmap_handle handle = CMAP_INIT;
  struct key_room room;

  h->results[index] = cmap_store_get_or_create(
      t.store, key_make(&t.keys.spec, 1000, &room), &handle,
      index == 0 ? fail_at_step : build, h, NULL);
  cmap_handle_release(&handle);
}

/* Who goes on uses what the one who failed has left. */
static void handed_on_without_memory(void **state)
{
  static struct handover h;
  struct thread threads[3];
  static struct cmap_handle handles[300];
  size_t held = 0;

  (void)state;
  test_store_open(&t, KEYS_U64);
  CHECK_OK(put(0, 1, NULL));
  fill = 1;
  step_begin(&h.step);
  for (unsigned i = 0; i < 3; i++) {
    thread_start(&threads[i], ask, i, &h);
    step_wait(&h.step, 1);
    store_until_waiting(t.store, key_of(1000), i);
  }
  counting_alloc_fail_from(&t.keys.alloc, 1);
  /* Objects of one key, all in use, until there is no header left. */
  while (held < 300 && put(0, 1, &handles[held]) == CMAP_OK)
    held++;
  CHECK(held > 0 && held < 300);
  step_done(&h.step, 2);
  for (unsigned i = 0; i < 3; i++)
    thread_join(&threads[i]);
  counting_alloc_fail_none(&t.keys.alloc);
  CHECK_STATUS(h.results[0], (enum cmap_status)USER_STATUS);
  CHECK_OK(h.results[1]);
  CHECK_OK(h.results[2]);
  step_end(&h.step);
  while (held > 0)
    cmap_handle_release(&handles[--held]);
  check_store(2);
  CHECK(store_stats(t.store).failed == 1);
  test_store_close(&t);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(stores_that_cannot_be_created),
      cmocka_unit_test(every_request_of_every_call),
      cmocka_unit_test_prestate(every_request_of_every_call, &is_cache),
      cmocka_unit_test(no_memory_for_anything),
      cmocka_unit_test(keys_that_are_not_copied),
      cmocka_unit_test(handed_on_without_memory),
  };

  return cmocka_run_group_tests_name("store_out_of_memory", tests, NULL, NULL);
}
