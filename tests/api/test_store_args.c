/*
 * Bad arguments of every call of the store: the status says so, nothing is
 * changed, and outputs stay as they were.
 */
#include <string.h>

#include "store_objects.h"

static struct test_store t;
static uint64_t id = 1;

#define KEY cmap_key_u64(&id)

static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  (void)key;
  CHECK(*object == NULL);
  ++*(int *)ctx;
  *object = tracked_new(&t.lives, id, 1);
  return CMAP_OK;
}

static enum cmap_status visit(struct cmap_key key, void *object, void *ctx)
{
  (void)key, (void)object;
  ++*(int *)ctx;
  return CMAP_OK;
}

/* What an output is set to before a call that must empty it. */
static const struct cmap_handle marked = {(void *)1, {2, 3}};
static const struct cmap_ticket marked_ticket = {{4, 5}};
static const struct cmap_handle no_handle = CMAP_INIT;
static const struct cmap_ticket no_ticket = CMAP_INIT;

struct outputs {
  struct cmap_handle handle;
  struct cmap_ticket ticket;
  enum cmap_begin outcome;
  int calls; /* of a callback */
};

static void outputs_mark(struct outputs *o)
{
  o->handle = marked;
  o->ticket = marked_ticket;
  o->outcome = (enum cmap_begin)99;
  o->calls = 0;
}

static void outputs_check(const struct outputs *o)
{
  CHECK(memcmp(&o->handle, &no_handle, sizeof no_handle) == 0);
  CHECK(memcmp(&o->ticket, &no_ticket, sizeof no_ticket) == 0);
  CHECK(o->outcome == (enum cmap_begin)99);
  CHECK(o->calls == 0);
}

/* Every call that takes a key and a how, with these. */
static void refuse(struct cmap_store *store, struct cmap_key key,
                   const struct cmap_how *how)
{
  struct outputs o;

  outputs_mark(&o);
  CHECK_STATUS(cmap_store_get(store, key, &o.handle, how), CMAP_EINVAL);
  CHECK_STATUS(
      cmap_store_get_or_create(store, key, &o.handle, build, &o.calls, how),
      CMAP_EINVAL);
  CHECK_STATUS(cmap_store_refresh(store, key, &o.handle, build, &o.calls, how),
               CMAP_EINVAL);
  CHECK_STATUS(cmap_store_put(store, key, &o, &o.handle, how), CMAP_EINVAL);
  CHECK_STATUS(cmap_store_remove(store, key, how), CMAP_EINVAL);
  CHECK_STATUS(cmap_store_forget(store, key, how), CMAP_EINVAL);
  CHECK_STATUS(cmap_store_begin(store, key, &o.handle, &o.ticket, &o.outcome,
                                NULL, NULL, how),
               CMAP_EINVAL);
  outputs_check(&o);
}

static void stores_keys_and_hows(void **state)
{
  const uint32_t small = 1;
  const struct cmap_key no_data = {NULL, sizeof id};
  uint64_t hash = 17;
  const struct cmap_how hows[] = {
      {.size = 0},
      {.size = sizeof(struct cmap_how) - 1},
      {.size = sizeof(struct cmap_how), .flags = 8},
      {.size = sizeof(struct cmap_how), .flags = 64},
      {.size = sizeof(struct cmap_how), .flags = 1U << 31},
      {.size = sizeof(struct cmap_how),
       .flags = CMAP_SHARE_FAILURE | CMAP_RETRY_FAILURE},
      {.size = sizeof(struct cmap_how),
       .flags = CMAP_TRY | CMAP_SHARE_FAILURE | CMAP_RETRY_FAILURE},
  };

  (void)state;
  for (int present = 0; present < 2; present++) {
    test_store_open(&t, KEYS_U64);
    if (present)
      assert_ok(cmap_store_put(t.store, KEY, tracked_new(&t.lives, id, 1), NULL,
                               NULL));
    refuse(NULL, KEY, NULL);
    refuse(t.store, no_data, NULL);
    refuse(t.store, cmap_key_u32(&small), NULL);
    refuse(t.store, cmap_key_bytes(&id, 0), NULL);
    for (size_t i = 0; i < sizeof hows / sizeof *hows; i++)
      refuse(t.store, KEY, &hows[i]);
    assert_status(cmap_store_hash(NULL, KEY, &hash), CMAP_EINVAL);
    assert_status(cmap_store_hash(t.store, no_data, &hash), CMAP_EINVAL);
    assert_status(cmap_store_hash(t.store, cmap_key_u32(&small), &hash),
                  CMAP_EINVAL);
    assert_status(cmap_store_hash(t.store, KEY, NULL), CMAP_EINVAL);
    assert_int_equal(hash, 17);
    assert_int_equal(cmap_store_waiters(NULL, KEY), 0);
    assert_int_equal(cmap_store_waiters(t.store, no_data), 0);
    assert_int_equal(cmap_store_waiters(t.store, KEY), 0);
    assert_int_equal(cmap_store_len(t.store), present);
    assert_int_equal(store_stats(t.store).misses, 0);
    test_store_close(&t);
  }
}

static void missing_outputs_and_callbacks(void **state)
{
  struct outputs o;

  (void)state;
  for (int present = 0; present < 2; present++) {
    test_store_open(&t, KEYS_U64);
    if (present)
      assert_ok(cmap_store_put(t.store, KEY, tracked_new(&t.lives, id, 1), NULL,
                               NULL));
    outputs_mark(&o);
    assert_status(cmap_store_get(t.store, KEY, NULL, NULL), CMAP_EINVAL);
    assert_status(
        cmap_store_get_or_create(t.store, KEY, NULL, build, &o.calls, NULL),
        CMAP_EINVAL);
    assert_status(
        cmap_store_get_or_create(t.store, KEY, &o.handle, NULL, &o.calls, NULL),
        CMAP_EINVAL);
    assert_status(
        cmap_store_refresh(t.store, KEY, &o.handle, NULL, &o.calls, NULL),
        CMAP_EINVAL);
    assert_status(cmap_store_put(t.store, KEY, NULL, &o.handle, NULL),
                  CMAP_EINVAL);
    assert_status(cmap_store_begin(t.store, KEY, NULL, &o.ticket, &o.outcome,
                                   NULL, NULL, NULL),
                  CMAP_EINVAL);
    assert_status(cmap_store_begin(t.store, KEY, &o.handle, NULL, &o.outcome,
                                   NULL, NULL, NULL),
                  CMAP_EINVAL);
    assert_status(cmap_store_begin(t.store, KEY, &o.handle, &o.ticket, NULL,
                                   NULL, NULL, NULL),
                  CMAP_EINVAL);
    outputs_check(&o);
    assert_int_equal(cmap_store_len(t.store), present);
    test_store_close(&t);
  }
}

static void whole_store_calls(void **state)
{
  struct cmap_store_stats stats = {.size = sizeof stats - 1};
  const struct cmap_how no_how = {.size = 0};
  int calls = 0;

  (void)state;
  test_store_open(&t, KEYS_U64);
  assert_ok(cmap_store_destroy(NULL));
  assert_status(cmap_store_clear(NULL), CMAP_EINVAL);
  assert_status(cmap_store_shrink_to_fit(NULL), CMAP_EINVAL);
  assert_status(cmap_store_maintain(NULL, NULL), CMAP_EINVAL);
  assert_status(cmap_store_maintain(t.store, &no_how), CMAP_EINVAL);
  assert_int_equal(cmap_store_len(NULL), 0);
  assert_status(cmap_store_for_each(NULL, visit, &calls), CMAP_EINVAL);
  assert_status(cmap_store_for_each(t.store, NULL, &calls), CMAP_EINVAL);
  assert_status(cmap_store_get_stats(NULL, &stats), CMAP_EINVAL);
  assert_status(cmap_store_get_stats(t.store, NULL), CMAP_EINVAL);
  assert_status(cmap_store_get_stats(t.store, &stats), CMAP_EINVAL);
  stats.size = sizeof stats + 8;
  assert_status(cmap_store_get_stats(t.store, &stats), CMAP_EINVAL);
  assert_int_equal(calls, 0);
  test_store_close(&t);
}

static void handles(void **state)
{
  struct cmap_handle none = CMAP_INIT, copy = marked;

  (void)state;
  assert_status(cmap_handle_copy(NULL, &copy), CMAP_EINVAL);
  assert_status(cmap_handle_copy(&none, &copy), CMAP_EINVAL);
  assert_status(cmap_handle_copy(&none, NULL), CMAP_EINVAL);
  assert_memory_equal(&copy, &no_handle, sizeof copy);
  assert_int_equal(cmap_handle_origin(NULL), CMAP_HIT);
  assert_int_equal(cmap_handle_origin(&none), CMAP_HIT);
  cmap_handle_release(NULL);
  cmap_handle_release(&none);
  cmap_handle_release(&none);
}

static void tickets(void **state)
{
  struct cmap_ticket none = CMAP_INIT, ticket = CMAP_INIT;
  struct cmap_handle handle = marked;
  enum cmap_begin outcome;
  int object = 0;

  (void)state;
  test_store_open(&t, KEYS_U64);
  assert_status(cmap_ticket_complete(NULL, &object, &handle), CMAP_EINVAL);
  assert_status(cmap_ticket_complete(&none, &object, &handle), CMAP_EINVAL);
  assert_status(cmap_ticket_fail(NULL, CMAP_EABANDONED), CMAP_EINVAL);
  assert_status(cmap_ticket_fail(&none, CMAP_EABANDONED), CMAP_EINVAL);
  assert_status(cmap_ticket_bind(NULL), CMAP_EINVAL);
  assert_status(cmap_ticket_bind(&none), CMAP_EINVAL);
  assert_status(cmap_ticket_unbind(NULL), CMAP_EINVAL);
  assert_status(cmap_ticket_unbind(&none), CMAP_EINVAL);
  cmap_ticket_abandon(NULL);
  cmap_ticket_abandon(&none);
  assert_ok(cmap_store_begin(t.store, KEY, &handle, &ticket, &outcome, NULL,
                             NULL, NULL));
  assert_status(cmap_ticket_complete(&ticket, NULL, &handle), CMAP_EINVAL);
  assert_status(cmap_ticket_complete(&ticket, &object, NULL), CMAP_EINVAL);
  assert_status(cmap_ticket_fail(&ticket, CMAP_OK), CMAP_EINVAL);
  assert_memory_equal(&handle, &no_handle, sizeof handle);
  assert_int_equal(store_stats(t.store).running, 1);
  /* It is still good. */
  assert_ok(
      cmap_ticket_complete(&ticket, tracked_new(&t.lives, id, 1), &handle));
  cmap_handle_release(&handle);
  test_store_close(&t);
}

/* ------------------------------------------------------------------------
 * Options
 * ------------------------------------------------------------------------ */

static void some_destroy(void *value, void *ctx)
{
  (void)value, (void)ctx;
}

static enum cmap_status some_clone(const void *value, void *copy, void *ctx)
{
  (void)value, (void)copy, (void)ctx;
  return CMAP_OK;
}

static bool some_equal(const void *a, const void *b, void *ctx)
{
  (void)ctx;
  return a == b;
}

static uint64_t some_cost(struct cmap_key key, const void *object, void *ctx)
{
  (void)key, (void)object, (void)ctx;
  return 1;
}

static void spoil(struct cmap_store_options *o, int how)
{
  switch (how) {
  case 0:
    o->size = 0;
    break;
  case 1:
    o->size--;
    break;
  case 2:
    o->flags = CMAP_SHARE_FAILURE | CMAP_RETRY_FAILURE;
    break;
  case 3:
    o->flags = CMAP_SHARE_FAILURE | 1;
    break;
  case 4:
    o->keys.size = 0;
    break;
  case 5:
    o->keys.key_kind = 0;
    break;
  case 6:
    o->keys.key_kind = CMAP_CUSTOM + 1;
    break;
  case 7:
    o->keys.flags = 1U << 30;
    break;
  case 8:
    o->keys.value_size = 8;
    break;
  case 9:
    o->keys.value_destroy = some_destroy;
    break;
  case 10:
    o->keys.value_clone = some_clone;
    break;
  case 11:
    o->keys.value_equal = some_equal;
    break;
  case 12:
    o->keys.key_kind = CMAP_CUSTOM;
    break;
  case 13:
    o->max_objects = 1;
    o->max_cost = 1;
    o->cost = some_cost;
    break;
  case 14:
    o->max_cost = 1;
    break;
  case 15:
    o->cost = some_cost;
    break;
  case 16:
    o->clock_ctx = o;
    break;
  case 17:
    o->max_cost = INT64_MAX / 2 + 1;
    o->cost = some_cost;
    break;
  default:
    o->keys.allocator.free = NULL;
  }
}

static void options(void **state)
{
  struct cmap_store *store = (struct cmap_store *)&t;

  (void)state;
  test_store_prepare(&t, KEYS_U64);
  assert_status(cmap_store_create(NULL, &store), CMAP_EINVAL);
  assert_status(cmap_store_create(&t.options, NULL), CMAP_EINVAL);
  for (int how = 0; how < 19; how++) {
    struct cmap_store_options bad = t.options;
    spoil(&bad, how);
    if (cmap_store_create(&bad, &store) != CMAP_EINVAL)
      fail_msg("option %d is accepted", how);
    assert_null(store);
    store = (struct cmap_store *)&t;
  }
  t.options.max_cost = INT64_MAX / 2; /* the most */
  t.options.cost = some_cost;
  test_store_create(&t);
  test_store_close(&t);
}

/* The default may be named. */
static void options_name_the_default(void **state)
{
  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.flags = CMAP_RETRY_FAILURE;
  test_store_create(&t);
  test_store_close(&t);
}

/* A larger struct of another library's version. */
static void larger_options(void **state)
{
  struct {
    struct cmap_store_options options;
    uint64_t more;
  } larger;

  (void)state;
  memset(&larger, 0, sizeof larger);
  test_store_prepare(&t, KEYS_U64);
  larger.options = t.options;
  larger.options.size = sizeof larger;
  assert_ok(cmap_store_create(&larger.options, &t.store));
  assert_ok(cmap_store_destroy(t.store));
  larger.more = 1;
  assert_status(cmap_store_create(&larger.options, &t.store), CMAP_EINVAL);
  test_store_create(&t);
  test_store_close(&t);
}

/* "All about values must be zero." */
static void options_about_values(void **state)
{
  (void)state;
  for (int how = 0; how < 3; how++) {
    test_store_prepare(&t, KEYS_U64);
    if (how == 0)
      t.options.keys.value_align = 64;
    else if (how == 1)
      t.options.keys.inline_value_size = 1024;
    else
      t.options.keys.value_ctx = &t;
    assert_status(cmap_store_create(&t.options, &t.store), CMAP_EINVAL);
  }
}

/* What lies behind the keys' options is not theirs, whatever they say. */
static void size_of_the_keys_options(void **state)
{
  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.keys.size += 8;
  assert_status(cmap_store_create(&t.options, &t.store), CMAP_EINVAL);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(stores_keys_and_hows),
      cmocka_unit_test(missing_outputs_and_callbacks),
      cmocka_unit_test(whole_store_calls),
      cmocka_unit_test(handles),
      cmocka_unit_test(tickets),
      cmocka_unit_test(options),
      cmocka_unit_test(options_name_the_default),
      cmocka_unit_test(larger_options),
      cmocka_unit_test(options_about_values),
      cmocka_unit_test(size_of_the_keys_options),
  };

  return cmocka_run_group_tests_name("store_args", tests, NULL, NULL);
}
