/*
 * Outputs that a call is of use without may be NULL: each such call of the
 * header without all of them, on an absent and on a present key. What is told
 * with a failure is not NULL.
 */
#include "checks.h"

static struct cmap *map;
static uint64_t id = 1, seven = 7;

static enum cmap_status make(struct cmap_key key, void *value, void *ctx)
{
  (void)key, (void)ctx;
  memcpy(value, &seven, sizeof seven);
  return CMAP_OK;
}

static enum cmap_status update(struct cmap_key key, const void *old,
                               void *fresh, void *ctx)
{
  (void)old;
  return make(key, fresh, ctx);
}

static enum cmap_status compute(struct cmap_key key, const void *old,
                                void *fresh, enum cmap_action *action,
                                void *ctx)
{
  (void)old;
  *action = CMAP_PUT;
  return make(key, fresh, ctx);
}

static bool yes(struct cmap_key key, void *value, void *ctx)
{
  (void)key, (void)value, (void)ctx;
  return true;
}

/* Absent first, and present then. */
#define BOTH(call, absent, present)                                            \
  do {                                                                         \
    const struct cmap_key key = cmap_key_u64(&id);                             \
    if (cmap_contains(map, key, NULL) == CMAP_OK)                              \
      CHECK_OK(cmap_remove(map, key, NULL, NULL));                             \
    CHECK_STATUS(call, absent);                                                \
    CHECK_OK(cmap_insert(map, key, &seven, NULL, NULL, NULL));                 \
    CHECK_STATUS(call, present);                                               \
  } while (0)

static void calls_on_one_key(void **state)
{
  uint64_t value = 7;

  (void)state;
  BOTH(cmap_get(map, key, NULL, NULL), CMAP_NOT_FOUND, CMAP_OK);
  BOTH(cmap_insert(map, key, &seven, NULL, NULL, NULL), CMAP_OK, CMAP_OK);
  BOTH(cmap_insert_new(map, key, &seven, NULL, NULL), CMAP_OK, CMAP_EXISTS);
  BOTH(cmap_get_or_insert(map, key, &value, NULL, NULL), CMAP_OK, CMAP_OK);
  BOTH(cmap_get_or_insert_with(map, key, NULL, NULL, make, NULL, NULL), CMAP_OK,
       CMAP_OK);
  BOTH(cmap_get_or_insert_with_unlocked(map, key, NULL, NULL, make, NULL, NULL),
       CMAP_OK, CMAP_OK);
  BOTH(cmap_remove(map, key, NULL, NULL), CMAP_NOT_FOUND, CMAP_OK);
  BOTH(cmap_remove_if(map, key, yes, NULL, NULL, NULL), CMAP_NOT_FOUND,
       CMAP_OK);
  BOTH(cmap_replace_if(map, key, yes, NULL, &seven, NULL, NULL), CMAP_NOT_FOUND,
       CMAP_OK);
  BOTH(cmap_swap(map, key, &value, NULL, NULL), CMAP_OK, CMAP_OK);
  BOTH(cmap_compute(map, key, NULL, NULL, compute, NULL, NULL), CMAP_OK,
       CMAP_OK);
  BOTH(cmap_add_or_update(map, key, NULL, NULL, make, update, NULL, NULL),
       CMAP_OK, CMAP_OK);
  BOTH(cmap_add_or_update_unlocked(map, key, NULL, NULL, make, update, NULL,
                                   NULL, NULL),
       CMAP_OK, CMAP_OK);
  BOTH(cmap_fetch_add(map, key, 1, NULL, NULL), CMAP_OK, CMAP_OK);
  BOTH(cmap_fetch_sub(map, key, 1, NULL, NULL), CMAP_OK, CMAP_OK);
  BOTH(cmap_fetch_and(map, key, 1, NULL, NULL), CMAP_OK, CMAP_OK);
  BOTH(cmap_fetch_or(map, key, 1, NULL, NULL), CMAP_OK, CMAP_OK);
  BOTH(cmap_fetch_max(map, key, 1, NULL, NULL), CMAP_OK, CMAP_OK);
  BOTH(cmap_fetch_min(map, key, 1, NULL, NULL), CMAP_OK, CMAP_OK);
  checks_assert();
}

static void holds_and_walks(void **state)
{
  const struct cmap_key key = cmap_key_u64(&id);
  struct cmap_read_guard reading = CMAP_INIT;
  struct cmap_write_guard writing = CMAP_INIT;
  struct cmap_entry entry = CMAP_INIT;
  struct cmap_iter iter = CMAP_INIT;
  enum cmap_status status;

  (void)state;
  CHECK_OK(cmap_insert(map, key, &seven, NULL, NULL, NULL));
  CHECK_OK(cmap_get_or_insert_ref(map, key, &seven, &reading, NULL, NULL));
  cmap_read_guard_release(&reading);
  CHECK_OK(cmap_get_mut(map, key, &writing, NULL));
  CHECK_OK(cmap_write_guard_remove(&writing, NULL));
  CHECK_OK(cmap_entry_begin(map, key, &entry, NULL));
  CHECK_OK(cmap_entry_insert(&entry, &seven, NULL));
  CHECK_OK(cmap_entry_insert(&entry, &seven, NULL));
  CHECK_OK(cmap_entry_replace_entry(&entry, key, &seven, NULL));
  CHECK_OK(cmap_entry_remove(&entry, NULL));
  CHECK_OK(cmap_entry_insert(&entry, &seven, NULL));
  cmap_entry_release(&entry);
  CHECK_OK(cmap_iter_begin(map, CMAP_WRITE, 0, 1, &iter));
  CHECK_OK(cmap_iter_next(&iter, NULL));
  CHECK_OK(cmap_iter_remove(&iter, NULL));
  cmap_iter_release(&iter);
  CHECK_OK(cmap_check(map, NULL, NULL));
  CHECK_OK(cmap_retain(map, yes, NULL, NULL, NULL));
  CHECK_OK(cmap_insert_many(map, &key, NULL, 1, &seven, &status, NULL));
  CHECK_OK(cmap_get_many(map, &key, NULL, 1, NULL, &status, NULL));
  CHECK_OK(cmap_remove_many(map, &key, NULL, 1, NULL, &status, NULL));
  checks_assert();
}

/* What a call is there for: a value that also goes in, a guard, an answer. */
static void what_may_not(void **state)
{
  const struct cmap_key key = cmap_key_u64(&id);
  uint64_t cursor = 0;

  (void)state;
  CHECK_STATUS(cmap_get_or_insert(map, key, NULL, NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_swap(map, key, NULL, NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_get_ref(map, key, NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_get_mut(map, key, NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_get_or_insert_ref(map, key, &seven, NULL, NULL, NULL),
               CMAP_EINVAL);
  CHECK_STATUS(cmap_entry_begin(map, key, NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_iter_begin(map, CMAP_READ, 0, 1, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_hash(map, key, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_len_exact(map, NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_equal(map, map, NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_clone(map, NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_snapshot_create(map, CMAP_KEYS_ONLY, NULL, NULL),
               CMAP_EINVAL);
  CHECK_STATUS(cmap_scan(map, &cursor, 0, NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_scan_part(0, 1, NULL, &cursor), CMAP_EINVAL);
  CHECK_STATUS(cmap_get_many(map, &key, NULL, 1, NULL, NULL, NULL),
               CMAP_EINVAL);
  checks_assert();
}

/* With a failure the handle is there, and is none. */
static void told(enum cmap_status status, struct cmap_handle *handle, void *ctx)
{
  CHECK_STATUS(status, cmap_status_user(USER_STATUS));
  CHECK(handle != NULL && handle->object == NULL);
  cmap_handle_release(handle);
  ++*(int *)ctx;
}

static void of_stores(void **state)
{
  const struct cmap_key key = cmap_key_u64(&id);
  struct cmap_store_options options;
  struct cmap_handle handle = CMAP_INIT;
  struct cmap_ticket ticket = CMAP_INIT, unused = CMAP_INIT;
  int tellings = 0;
  enum cmap_begin outcome;
  struct cmap_store *store;

  (void)state;
  cmap_store_options_init(&options, CMAP_U64, NULL);
  CHECK_OK(cmap_store_create(&options, &store));
  CHECK_OK(cmap_store_put(store, key, &seven, NULL, NULL));
  CHECK_STATUS(cmap_store_get(store, key, NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(
      cmap_store_begin(store, key, NULL, &ticket, &outcome, NULL, NULL, NULL),
      CMAP_EINVAL);
  CHECK_STATUS(
      cmap_store_begin(store, key, &handle, NULL, &outcome, NULL, NULL, NULL),
      CMAP_EINVAL);
  CHECK_STATUS(
      cmap_store_begin(store, key, &handle, &ticket, NULL, NULL, NULL, NULL),
      CMAP_EINVAL);
  CHECK_OK(cmap_store_remove(store, key, NULL));
  CHECK_OK(cmap_store_begin(store, key, &handle, &ticket, &outcome, NULL, NULL,
                            NULL));
  CHECK(outcome == CMAP_YOURS);
  CHECK_OK(cmap_store_begin(store, key, &handle, &unused, &outcome, told,
                            &tellings, NULL));
  CHECK(outcome == CMAP_PENDING);
  CHECK_OK(cmap_ticket_fail(&ticket, cmap_status_user(USER_STATUS)));
  CHECK(tellings == 1);
  CHECK_OK(cmap_store_destroy(store));
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(calls_on_one_key),
      cmocka_unit_test(holds_and_walks),
      cmocka_unit_test(what_may_not),
      cmocka_unit_test(of_stores),
  };
  struct cmap_options options;
  int failed;

  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  if (cmap_create(&options, &map) != CMAP_OK)
    return 1;
  failed = cmocka_run_group_tests_name("null_outputs", tests, NULL, NULL);
  cmap_destroy(map);
  return failed;
}
