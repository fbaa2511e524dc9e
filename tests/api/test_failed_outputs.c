/*
 * Whatever a call was to fill with a hold, a reference or a new map, store or
 * snapshot is empty after it has failed, for whatever reason: so releasing it
 * is right without a look at the status, also if the variable was never
 * initialised. Each call with such an output, plain and typed, and each way in
 * which it can fail here, with 0xA5 in the output before.
 */
#include "numbers.h"

#include <stdio.h>
#include <string.h>

CMAP_DEFINE(typed, CMAP_U64, uint64_t);
CMAP_DEFINE_STORE(objects, CMAP_U64, uint64_t);

/* What the calls of the table get, and make a mistake about. */
static struct cmap *map;
static struct cmap_store *store;
static struct cmap_key key;
static uint64_t number; /* of the key */
static const struct cmap_how *how;
static enum cmap_mode mode;
static size_t part; /* of 2 */
static bool callback;
static uint64_t seven = 7;

/* The inputs of those that turn one thing into another; each holds something
   only where that is meant to succeed. */
static struct cmap_write_guard from_write;
static struct cmap_entry from_entry;
static struct cmap_iter from_iter;
static struct cmap_handle from_handle;
static struct cmap_ticket from_ticket;
static struct typed_write_guard from_typed_write;
static struct typed_entry from_typed_entry;
static struct typed_iter from_typed_iter;
static struct objects_handle from_typed_handle;

static enum cmap_status build(struct cmap_key wanted, void **object, void *ctx)
{
  (void)wanted, (void)ctx;
  *object = NULL; /* CMAP_EINVAL comes of it */
  return CMAP_OK;
}

static enum cmap_status build_typed(uint64_t wanted, uint64_t **object,
                                    void *ctx)
{
  (void)wanted, (void)ctx;
  *object = NULL;
  return CMAP_OK;
}

#define CALL(name, type, call)                                                 \
  static enum cmap_status run_##name(void *out)                                \
  {                                                                            \
    type *it = out;                                                            \
    return call;                                                               \
  }
#define TYPED   ((struct typed){map})
#define OBJECTS ((struct objects){store})

#define CALLS(X)                                                               \
  X(create, struct cmap *, cmap_create(&(struct cmap_options){.size = 1}, it)) \
  X(clone, struct cmap *, cmap_clone(map, it, how))                            \
  X(snapshot, struct cmap_snapshot *,                                          \
    cmap_snapshot_create(map, CMAP_KEYS_ONLY, it, how))                        \
  X(get_ref, struct cmap_read_guard, cmap_get_ref(map, key, it, how))          \
  X(get_mut, struct cmap_write_guard, cmap_get_mut(map, key, it, how))         \
  X(get_or_insert_ref, struct cmap_read_guard,                                 \
    cmap_get_or_insert_ref(map, key, &seven, it, NULL, how))                   \
  X(downgrade, struct cmap_read_guard,                                         \
    cmap_write_guard_downgrade(&from_write, it))                               \
  X(entry_begin, struct cmap_entry, cmap_entry_begin(map, key, it, how))       \
  X(entry_into_guard, struct cmap_write_guard,                                 \
    cmap_entry_into_guard(&from_entry, it))                                    \
  X(lock_many, struct cmap_multi,                                              \
    cmap_lock_many((struct cmap_want[]){{map, key, mode, CMAP_OK}}, 1, it,     \
                   how))                                                       \
  X(iter_begin, struct cmap_iter, cmap_iter_begin(map, mode, part, 2, it))     \
  X(iter_into_read_guard, struct cmap_read_guard,                              \
    cmap_iter_into_read_guard(&from_iter, it))                                 \
  X(iter_into_write_guard, struct cmap_write_guard,                            \
    cmap_iter_into_write_guard(&from_iter, it))                                \
  X(store_create, struct cmap_store *,                                         \
    cmap_store_create(&(struct cmap_store_options){.size = 1}, it))            \
  X(handle_copy, struct cmap_handle, cmap_handle_copy(&from_handle, it))       \
  X(store_get, struct cmap_handle, cmap_store_get(store, key, it, how))        \
  X(store_get_or_create, struct cmap_handle,                                   \
    cmap_store_get_or_create(store, key, it, callback ? build : NULL, NULL,    \
                             how))                                             \
  X(store_refresh, struct cmap_handle,                                         \
    cmap_store_refresh(store, key, it, callback ? build : NULL, NULL, how))    \
  X(store_put, struct cmap_handle, cmap_store_put(store, key, NULL, it, how))  \
  X(store_begin_handle, struct cmap_handle,                                    \
    cmap_store_begin(store, key, it, &(struct cmap_ticket)CMAP_INIT, NULL,     \
                     NULL, NULL, how))                                         \
  X(store_begin_ticket, struct cmap_ticket,                                    \
    cmap_store_begin(store, key, &(struct cmap_handle)CMAP_INIT, it, NULL,     \
                     NULL, NULL, how))                                         \
  X(ticket_complete, struct cmap_handle,                                       \
    cmap_ticket_complete(&from_ticket, callback ? &seven : NULL, it))          \
  X(typed_create, struct typed,                                                \
    typed_create(&(struct cmap_options){.size = 1}, it))                       \
  X(typed_clone, struct typed, typed_clone(TYPED, it, how))                    \
  X(typed_snapshot, struct typed_snapshot,                                     \
    typed_snapshot_create(TYPED, CMAP_KEYS_ONLY, it, how))                     \
  X(typed_get_ref, struct typed_read_guard,                                    \
    typed_get_ref(TYPED, number, it, how))                                     \
  X(typed_get_mut, struct typed_write_guard,                                   \
    typed_get_mut(TYPED, number, it, how))                                     \
  X(typed_get_or_insert_ref, struct typed_read_guard,                          \
    typed_get_or_insert_ref(TYPED, number, 7, it, NULL, how))                  \
  X(typed_downgrade, struct typed_read_guard,                                  \
    typed_write_guard_downgrade(&from_typed_write, it))                        \
  X(typed_entry_begin, struct typed_entry,                                     \
    typed_entry_begin(TYPED, number, it, how))                                 \
  X(typed_entry_into_guard, struct typed_write_guard,                          \
    typed_entry_into_guard(&from_typed_entry, it))                             \
  X(typed_iter_begin, struct typed_iter,                                       \
    typed_iter_begin(TYPED, mode, part, 2, it))                                \
  X(typed_iter_into_read_guard, struct typed_read_guard,                       \
    typed_iter_into_read_guard(&from_typed_iter, it))                          \
  X(typed_iter_into_write_guard, struct typed_write_guard,                     \
    typed_iter_into_write_guard(&from_typed_iter, it))                         \
  X(objects_create, struct objects,                                            \
    objects_create(&(struct cmap_store_options){.size = 1}, it))               \
  X(objects_get, struct objects_handle, objects_get(OBJECTS, number, it, how)) \
  X(objects_get_or_create, struct objects_handle,                              \
    objects_get_or_create(OBJECTS, number, it, callback ? build_typed : NULL,  \
                          NULL, how))                                          \
  X(objects_refresh, struct objects_handle,                                    \
    objects_refresh(OBJECTS, number, it, callback ? build_typed : NULL, NULL,  \
                    how))                                                      \
  X(objects_put, struct objects_handle,                                        \
    objects_put(OBJECTS, number, NULL, it, how))                               \
  X(objects_begin, struct objects_handle,                                      \
    objects_begin(OBJECTS, number, it, &(struct cmap_ticket)CMAP_INIT, NULL,   \
                  NULL, NULL, how))                                            \
  X(objects_ticket_complete, struct objects_handle,                            \
    objects_ticket_complete(&from_ticket, callback ? &seven : NULL, it))       \
  X(objects_handle_copy, struct objects_handle,                                \
    objects_handle_copy(&from_typed_handle, it))

CALLS(CALL)

static const struct {
  const char *name;
  size_t size;
  enum cmap_status (*run)(void *out);
} calls[] = {
#define ROW(name, type, call) {#name, sizeof(type), run_##name},
    CALLS(ROW)};
#define COUNT (sizeof calls / sizeof *calls)

static unsigned failures[COUNT]; /* of each call */

/* Runs the calls; those that succeed are not meant, and end what they took. */
static void all_fail(const char *why)
{
  for (size_t i = 0; i < COUNT; i++) {
    unsigned char out[sizeof(struct typed_iter)];
    enum cmap_status status;
    char about[128];

    memset(out, 0xa5, sizeof out);
    status = calls[i].run(out);
    if (status == CMAP_OK) {
      CHECK_NEVER("it succeeds");
      printf("%s: %s succeeds\n", why, calls[i].name);
      continue;
    }
    failures[i]++;
    for (size_t at = 0; at < calls[i].size; at++) {
      if (out[at] != 0) {
        snprintf(about, sizeof about, "%s: %s", why, calls[i].name);
        printf("%s: byte %zu is %#x\n", about, at, out[at]);
        CHECK_NEVER("an output that is not empty");
        break;
      }
    }
  }
  checks_assert();
}

/* Arguments that are right, but for what the test makes wrong. */
static void all_right(void)
{
  number = 1;
  key = cmap_key_u64(&number);
  how = NULL;
  mode = CMAP_READ;
  part = 0;
  callback = true;
}

static int open_all(void **state)
{
  struct cmap_store_options options;

  (void)state;
  map = numbers_open();
  numbers_put(map, 1, 7);
  cmap_store_options_init(&options, CMAP_U64, NULL);
  assert_ok(cmap_store_create(&options, &store));
  all_right();
  return 0;
}

static int close_all(void **state)
{
  (void)state;
  cmap_destroy(map);
  assert_ok(cmap_store_destroy(store));
  return 0;
}

static void nothing_there(void **state)
{
  struct cmap *const the_map = map;
  struct cmap_store *const the_store = store;

  (void)state;
  map = NULL;
  store = NULL;
  all_fail("no map");
  map = the_map;
  store = the_store;
}

static void wrong_how(void **state)
{
  const struct cmap_how wrong = {.size = sizeof wrong, .flags = 1u << 30};

  (void)state;
  how = &wrong;
  part = 2;
  all_fail("a wrong `how`, or part");
}

/* One call fails with this status. */
static void fails(const char *name, enum cmap_status expected)
{
  unsigned char out[sizeof(struct typed_iter)];
  size_t i = 0;

  while (strcmp(calls[i].name, name) != 0) {
    i++;
  }
  memset(out, 0xa5, sizeof out);
  checks_about(name);
  CHECK_STATUS(calls[i].run(out), expected);
  for (size_t at = 0; at < calls[i].size; at++) {
    CHECK(out[at] == 0);
  }
}

static void wrong_key(void **state)
{
  static const char *const keyed[] = {
      "get_ref",           "get_mut",
      "entry_begin",       "get_or_insert_ref",
      "lock_many",         "store_get",
      "store_refresh",     "store_get_or_create",
      "store_put",         "store_begin_handle",
      "store_begin_ticket"};

  (void)state;
  key = cmap_key_bytes(&number, 3);
  for (size_t i = 0; i < sizeof keyed / sizeof *keyed; i++) {
    fails(keyed[i], CMAP_EINVAL);
  }
  checks_assert();
}

static void absent_keys(void **state)
{
  (void)state;
  number = 2;
  fails("get_ref", CMAP_NOT_FOUND);
  fails("get_mut", CMAP_NOT_FOUND);
  fails("lock_many", CMAP_NOT_FOUND);
  fails("store_get", CMAP_NOT_FOUND);
  fails("store_get_or_create", CMAP_EINVAL);
  fails("store_refresh", CMAP_EINVAL);
  fails("typed_get_ref", CMAP_NOT_FOUND);
  fails("typed_get_mut", CMAP_NOT_FOUND);
  checks_assert();
}

static void what_is_held(void **state)
{
  const struct cmap_how now = cmap_how_try();
  CMAP_AUTO(cmap_write_guard, guard);

  (void)state;
  assert_ok(cmap_get_mut(map, key, &guard, NULL));
  for (int wait = 0; wait < 2; wait++) {
    const enum cmap_status refused = wait ? CMAP_EDEADLK : CMAP_BUSY;

    how = wait ? NULL : &now;
    fails("get_ref", refused);
    fails("get_mut", refused);
    fails("get_or_insert_ref", refused);
    fails("entry_begin", refused);
    fails("lock_many", refused);
    fails("typed_get_ref", refused);
    fails("typed_get_mut", refused);
    fails("typed_get_or_insert_ref", refused);
    fails("typed_entry_begin", refused);
  }
  checks_assert();
}

static void frozen(void **state)
{
  (void)state;
  assert_ok(cmap_freeze(map, NULL));
  fails("get_mut", CMAP_FROZEN);
  fails("entry_begin", CMAP_FROZEN);
  fails("typed_get_mut", CMAP_FROZEN);
  fails("typed_entry_begin", CMAP_FROZEN);
  mode = CMAP_WRITE;
  fails("lock_many", CMAP_FROZEN);
  number = 2;
  fails("get_ref", CMAP_NOT_FOUND);
  fails("get_or_insert_ref", CMAP_FROZEN);
  fails("typed_get_or_insert_ref", CMAP_FROZEN);
  assert_ok(cmap_thaw(map));
  checks_assert();
}

/* Each row of the table, in what was before. */
static void each_has_failed(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNT; i++) {
    if (failures[i] < 2) {
      fail_msg("%s has failed %u times", calls[i].name, failures[i]);
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(nothing_there, open_all, close_all),
      cmocka_unit_test_setup_teardown(wrong_how, open_all, close_all),
      cmocka_unit_test_setup_teardown(wrong_key, open_all, close_all),
      cmocka_unit_test_setup_teardown(absent_keys, open_all, close_all),
      cmocka_unit_test_setup_teardown(what_is_held, open_all, close_all),
      cmocka_unit_test_setup_teardown(frozen, open_all, close_all),
      cmocka_unit_test(each_has_failed),
  };

  return cmocka_run_group_tests_name("failed_outputs", tests, NULL, NULL);
}
