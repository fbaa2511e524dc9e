/*
 * Refused memory in a full cache, at every request: a call that puts something
 * in evicts something, whether it gets memory for ghosts or not; or it fails,
 * and the bound holds all the same. Every object leaves once.
 */
#include "settings.h"
#include "store_objects.h"

#define MOST      20
#define CALLS_MAX 2000 /* no test makes more requests than this */

static struct test_store t;
static uint64_t told;

#define KEY(id) cmap_key_u64(&(uint64_t){id})

static void object_left(struct cmap_key key, void *object,
                        enum cmap_removal reason, void *ctx)
{
  (void)key, (void)reason, (void)ctx;
  CHECK(tracked_is_alive(object));
  told++;
}

static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  uint64_t id;

  (void)ctx;
  memcpy(&id, key.data, sizeof id);
  *object = tracked_new(&t.lives, id, 1);
  return CMAP_OK;
}

static enum cmap_status by_put(uint64_t id)
{
  struct tracked *object = tracked_new(&t.lives, id, 1);
  enum cmap_status status =
      cmap_store_put(t.store, KEY(id), object, NULL, NULL);

  if (status != CMAP_OK)
    tracked_destroy(object); /* it is still ours */
  return status;
}

static enum cmap_status by_create(uint64_t id)
{
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_status status =
      cmap_store_get_or_create(t.store, KEY(id), &handle, build, NULL, NULL);

  cmap_handle_release(&handle);
  return status;
}

static enum cmap_status by_refresh(uint64_t id)
{
  return cmap_store_refresh(t.store, KEY(id), NULL, build, NULL, NULL);
}

static enum cmap_status by_ticket(uint64_t id)
{
  struct cmap_ticket ticket = CMAP_INIT;
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_begin outcome;
  enum cmap_status status = cmap_store_begin(t.store, KEY(id), &handle, &ticket,
                                             &outcome, NULL, NULL, NULL);

  if (status == CMAP_OK && outcome == CMAP_YOURS)
    CHECK_OK(
        cmap_ticket_complete(&ticket, tracked_new(&t.lives, id, 1), &handle));
  cmap_handle_release(&handle);
  return status;
}

static enum cmap_status (*const calls[])(uint64_t id) = {by_put, by_create,
                                                         by_refresh, by_ticket};

static uint64_t cost_of(struct cmap_key key, const void *object, void *ctx)
{
  (void)key, (void)object, (void)ctx;
  return 5;
}

static void set_bound(bool by_cost)
{
  test_store_prepare(&t, KEYS_U64);
  t.options.on_remove = object_left;
  if (by_cost) {
    t.options.max_cost = UINT64_C(5) * MOST;
    t.options.cost = cost_of;
  } else {
    t.options.max_objects = MOST;
  }
}

static void call_in_vain(size_t which)
{
  size_t nth = 0, refused;

  do {
    counting_alloc_fail_nth(&t.keys.alloc, ++nth);
    for (uint64_t id = 0; id < 3 * (uint64_t)MOST; id++) {
      enum cmap_status status = calls[which](100 * nth + id);
      CHECK(status == CMAP_OK || status == CMAP_ENOMEM);
      CHECK(cmap_store_len(t.store) <= MOST);
    }
    refused = counting_alloc_failures(&t.keys.alloc);
    counting_alloc_fail_none(&t.keys.alloc);
  } while (refused > 0 && nth < CALLS_MAX && !checks_failed());
  CHECK(nth < CALLS_MAX && cmap_store_len(t.store) == MOST);
}

static void every_request(void **state)
{
  (void)state;
  for (size_t which = 0; which < 2 * sizeof calls / sizeof *calls; which++) {
    struct cmap_store_stats stats;
    told = 0;
    set_bound(which % 2 == 1);
    test_store_create(&t);
    call_in_vain(which / 2);
    CHECK_OK(cmap_store_clear(t.store));
    stats = store_stats(t.store);
    CHECK(stats.evicted + stats.cleared == told && stats.cost == 0);
    test_store_close(&t);
  }
}

/* Without any memory what needs none goes on: expiry and removal. */
static uint64_t show_clock(void *ctx)
{
  return *(uint64_t *)ctx;
}

static void none_at_all(void **state)
{
  uint64_t now = 0;

  (void)state;
  told = 0;
  set_bound(false);
  t.options.ttl_ns = 10;
  t.options.clock = show_clock;
  t.options.clock_ctx = &now;
  test_store_create(&t);
  for (uint64_t id = 0; id < MOST; id++)
    CHECK_OK(by_put(id));
  counting_alloc_fail_from(&t.keys.alloc, 1);
  CHECK_OK(cmap_store_remove(t.store, KEY(1), NULL));
  now = 10;
  CHECK_OK(cmap_store_maintain(t.store, NULL));
  CHECK(cmap_store_len(t.store) == 0 && told == MOST);
  counting_alloc_fail_none(&t.keys.alloc);
  test_store_close(&t);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_request),
      cmocka_unit_test(none_at_all),
  };

  return cmocka_run_group_tests_name("cache_out_of_memory", tests, NULL, NULL);
}
