/*
 * cmap_last_error names the argument, in a library that is built with
 * CMAP_CHECK; each thread has its own.
 */
#include "numbers.h"
#include <pthread.h>

#include <stdio.h>
#include <string.h>

CMAP_DEFINE(typed, CMAP_U64, uint64_t);

static struct cmap *map;
static uint64_t id = 1, value = 7;
static const struct cmap_key short_key = {"abc", 3};

#define KEY cmap_key_u64(&id)

/* The call is refused, and the sentence is this. */
#define SAYS(call, sentence)                                                   \
  do {                                                                         \
    CHECK_STATUS(call, CMAP_EINVAL);                                           \
    if (strcmp(cmap_last_error(), sentence) != 0) {                            \
      printf("%s: \"%s\", not \"%s\"\n", #call, cmap_last_error(), sentence);  \
      CHECK_NEVER("another sentence");                                         \
    }                                                                          \
  } while (0)

static bool is_known(void)
{
  return strstr(cmap_last_error(), "without -DCMAP_CHECK") == NULL;
}

static int open_map(void **state)
{
  (void)state;
  map = numbers_open();
  numbers_put(map, 1, 7);
  return 0;
}

static int close_map(void **state)
{
  (void)state;
  cmap_destroy(map);
  return 0;
}

static void nothing_yet(void **state)
{
  (void)state;
  assert_non_null(cmap_last_error());
  if (is_known()) {
    assert_string_equal(cmap_last_error(), "no argument was wrong");
  }
}

static void arguments(void **state)
{
  const struct cmap_how no_size = {.flags = CMAP_TRY};
  const struct cmap_how unknown = {.size = sizeof unknown, .flags = 1u << 9};
  struct cmap_scan_buffer buffer = {.size = sizeof buffer};
  struct cmap_want want = {map, KEY, (enum cmap_mode)9, CMAP_OK};
  struct cmap_snapshot *snapshot;
  struct cmap_multi several;
  enum cmap_status status;
  uint64_t cursor = 0;

  (void)state;
  if (!is_known()) {
    skip();
  }
  SAYS(cmap_get(NULL, KEY, &value, NULL), "map is NULL");
  SAYS(cmap_get(map, cmap_key_bytes(NULL, 8), &value, NULL), "key is NULL");
  SAYS(cmap_get(map, short_key, &value, NULL),
       "key has not the size of this map's keys");
  SAYS(cmap_get(map, KEY, &value, &no_size), "how->size is wrong");
  SAYS(cmap_get(map, KEY, &value, &unknown), "how->flags has an unknown flag");
  SAYS(cmap_insert(map, KEY, NULL, NULL, NULL, NULL), "value is NULL");
  SAYS(cmap_alter(map, KEY, NULL, NULL, NULL), "alter is NULL");
  SAYS(cmap_len_exact(map, NULL, NULL), "len is NULL");
  SAYS(cmap_merge(map, map, NULL, NULL, NULL),
       "into and from are the same map");
  SAYS(cmap_pop(map, 2, 2, NULL, NULL, NULL), "part is not below parts");
  SAYS(cmap_scan(map, &cursor, 0, &buffer, NULL), "buffer->capacity is 0");
  SAYS(cmap_lock_many(&want, 0, &several, NULL), "n is 0");
  SAYS(cmap_lock_many(&want, 1, &several, NULL), "a want's mode is unknown");
  SAYS(cmap_snapshot_create(map, (enum cmap_snapshot_parts)9, &snapshot, NULL),
       "parts is unknown");
  SAYS(cmap_get_many(map, NULL, NULL, 1, &value, &status, NULL),
       "keys is NULL");
  SAYS(cmap_thaw(map), "map is not frozen");
  SAYS(cmap_fork_end(map),
       "map is NULL, or not locked by cmap_fork_begin of this thread");
  SAYS(typed_get_many((struct typed){map}, NULL, 1, &value, &status, NULL),
       "keys is NULL");
  /* A call that succeeds changes nothing about it. */
  CHECK_OK(cmap_get(map, KEY, &value, NULL));
  assert_string_equal(cmap_last_error(), "keys is NULL");
  checks_assert();
}

static void holds(void **state)
{
  struct cmap_read_guard reader = CMAP_INIT;
  struct cmap_write_guard writer = CMAP_INIT;
  CMAP_AUTO(cmap_entry, entry);
  CMAP_AUTO(cmap_iter, iter);

  (void)state;
  if (!is_known()) {
    skip();
  }
  SAYS(cmap_get_ref(map, KEY, NULL, NULL), "guard is NULL");
  SAYS(cmap_write_guard_remove(&writer, NULL),
       "guard holds nothing, or nothing of this thread");
  SAYS(cmap_read_guard_attach(&reader),
       "guard holds nothing, or nothing of this thread");
  SAYS(cmap_entry_or_default(&entry),
       "entry holds nothing, or nothing of this thread");
  CHECK_OK(cmap_entry_begin(map, KEY, &entry, NULL));
  SAYS(cmap_entry_insert(&entry, NULL, NULL), "value is NULL");
  id = 2;
  SAYS(cmap_entry_replace_entry(&entry, KEY, &value, NULL),
       "key is not the entry's");
  id = 1;
  SAYS(cmap_iter_next(&iter, NULL), "iter is released, or another thread's");
  SAYS(cmap_iter_begin(map, CMAP_ENTRY, 0, 1, &iter),
       "mode is neither CMAP_READ nor CMAP_WRITE");
  CHECK_OK(cmap_iter_begin(map, CMAP_READ, 0, 1, &iter));
  SAYS(cmap_iter_remove(&iter, NULL), "iter is at no entry");
  checks_assert();
}

static void options(void **state)
{
  struct cmap_options o;
  struct cmap *fresh;
  struct typed typed;

  (void)state;
  if (!is_known()) {
    skip();
  }
#define REFUSED(member, wrong, sentence)                                       \
  cmap_options_init(&o, CMAP_U64, 8);                                          \
  o.member = (wrong);                                                          \
  SAYS(cmap_create(&o, &fresh), sentence)
  REFUSED(size, 1, "options->size is wrong");
  REFUSED(key_kind, 77, "options->key_kind is unknown");
  REFUSED(flags, 1u << 20, "options->flags has an unknown flag");
  REFUSED(key_size, 4, "options->key_size is not that of key_kind");
  REFUSED(value_align, 3, "options->value_align is no power of two up to 64");
  REFUSED(seed[1], 3, "options->seed needs CMAP_FIXED_SEED");
  SAYS(cmap_create(NULL, &fresh), "options is NULL");
  cmap_options_init(&o, CMAP_STRING, 8);
  SAYS(typed_create(&o, &typed), "options do not fit the types of the map");
  checks_assert();
}

static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  (void)key, (void)object, (void)ctx;
  return CMAP_OK;
}

static void stores(void **state)
{
  struct cmap_store_options o;
  struct cmap_store *store;
  struct cmap_handle handle = CMAP_INIT;
  struct cmap_ticket ticket = CMAP_INIT;

  (void)state;
  if (!is_known()) {
    skip();
  }
  cmap_store_options_init(&o, CMAP_U64, NULL);
  o.keys.value_size = 8;
  SAYS(cmap_store_create(&o, &store),
       "options->keys says something about values");
  o.keys.value_size = 0;
  assert_ok(cmap_store_create(&o, &store));
  SAYS(cmap_store_get(NULL, KEY, &handle, NULL), "store is NULL");
  SAYS(cmap_store_get(store, KEY, NULL, NULL), "handle is NULL");
  SAYS(cmap_store_get_or_create(store, KEY, &handle, build, NULL, NULL),
       "build has returned CMAP_OK without an object");
  SAYS(cmap_handle_copy(&handle, &handle), "from has no object");
  SAYS(cmap_ticket_fail(&ticket, CMAP_OK), "why is CMAP_OK");
  SAYS(cmap_ticket_bind(&ticket), "ticket is NULL");
  assert_ok(cmap_store_destroy(store));
  checks_assert();
}

static void *other_thread(void *unused)
{
  (void)unused;
  CHECK(strcmp(cmap_last_error(), "no argument was wrong") == 0);
  SAYS(cmap_thaw(NULL), "map is NULL");
  return NULL;
}

static void of_each_thread(void **state)
{
  pthread_t thread;

  (void)state;
  if (!is_known()) {
    skip();
  }
  SAYS(cmap_get_ref(map, KEY, NULL, NULL), "guard is NULL");
  assert_int_equal(pthread_create(&thread, NULL, other_thread, NULL), 0);
  pthread_join(thread, NULL);
  assert_string_equal(cmap_last_error(), "guard is NULL");
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_yet),
      cmocka_unit_test_setup_teardown(arguments, open_map, close_map),
      cmocka_unit_test_setup_teardown(holds, open_map, close_map),
      cmocka_unit_test(options),
      cmocka_unit_test(stores),
      cmocka_unit_test_setup_teardown(of_each_thread, open_map, close_map),
  };

  return cmocka_run_group_tests_name("last_error", tests, NULL, NULL);
}
