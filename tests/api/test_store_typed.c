/*
 * The typed layer of stores: every wrapper makes the call that it is named
 * after, with its keys, objects and callbacks.
 */
#include <stdlib.h>
#include <string.h>

#include "checks.h"

#include <cmap.h>

struct page {
  uint64_t number;
};

struct spot {
  int32_t x, y;
};

CMAP_DEFINE_STORE(pages, CMAP_U64, struct page);
CMAP_DEFINE_STORE(files, CMAP_STRING, struct page);
CMAP_DEFINE_STORE(slices, CMAP_BYTES, struct page);
CMAP_DEFINE_STORE(small, CMAP_U32, struct page);
CMAP_DEFINE_STORE_FIXED(spots, struct spot, struct page);

static int destroyed;

static void destroy(void *object, void *ctx)
{
  (void)ctx;
  free(object);
  destroyed++;
}

static struct page *page(uint64_t number)
{
  struct page *page = malloc(sizeof *page);

  if (page == NULL)
    abort();
  page->number = number;
  return page;
}

static enum cmap_status build(uint64_t key, struct page **object, void *ctx)
{
  CHECK(*object == NULL);
  if (ctx != NULL)
    return CMAP_EINVAL;
  *object = page(key);
  return CMAP_OK;
}

static enum cmap_status build_none(uint64_t key, struct page **object,
                                   void *ctx)
{
  (void)key, (void)object, (void)ctx;
  return CMAP_OK;
}

static enum cmap_status add(uint64_t key, struct page *object, void *ctx)
{
  CHECK(object->number == key);
  *(uint64_t *)ctx += key;
  return CMAP_OK;
}

static void told(enum cmap_status status, struct cmap_handle *handle, void *ctx)
{
  (void)status;
  ++*(int *)ctx;
  cmap_handle_release(handle);
}

static struct pages open_pages(void)
{
  struct cmap_store_options options;
  struct pages store = CMAP_INIT;

  cmap_store_options_init(&options, CMAP_U64, destroy);
  options.max_objects = 10;
  assert_ok(pages_create(&options, &store));
  destroyed = 0;
  return store;
}

static void getting(void **state)
{
  struct pages store = open_pages();
  struct pages_handle handle = CMAP_INIT, copy = CMAP_INIT;
  uint64_t wrong = 0, hash;

  (void)state;
  assert_status(pages_get(store, 1, &handle, NULL), CMAP_NOT_FOUND);
  assert_null(handle.object);
  assert_ok(pages_get_or_create(store, 1, &handle, build, NULL, NULL));
  assert_int_equal(handle.object->number, 1);
  assert_int_equal(pages_handle_origin(&handle), CMAP_BUILT);
  assert_ok(pages_handle_copy(&handle, &copy));
  assert_ptr_equal(copy.object, handle.object);
  pages_handle_release(&handle);
  assert_null(handle.object);
  pages_handle_release(&handle);
  pages_handle_release(NULL);
  assert_int_equal(pages_handle_origin(NULL), CMAP_HIT);
  assert_status(pages_destroy(store), CMAP_BUSY);
  pages_handle_release(&copy);
  assert_ok(pages_get(store, 1, &handle, NULL));
  assert_int_equal(handle.object->number, 1);
  pages_handle_release(&handle);
  assert_status(pages_get_or_create(store, 2, &handle, build, &wrong, NULL),
                CMAP_EINVAL);
  assert_status(pages_get_or_create(store, 2, &handle, build_none, NULL, NULL),
                CMAP_EINVAL);
  assert_status(pages_get_or_create(store, 1, &handle, NULL, NULL, NULL),
                CMAP_EINVAL);
  assert_status(pages_get(store, 1, NULL, NULL), CMAP_EINVAL);
  assert_status(pages_handle_copy(NULL, &copy), CMAP_EINVAL);
  assert_status(pages_handle_copy(&handle, &copy), CMAP_EINVAL);
  assert_null(handle.object);
  assert_ok(pages_hash(store, 1, &hash));
  assert_int_equal(pages_waiters(store, 1), 0);
  assert_ok(pages_destroy(store));
  assert_int_equal(destroyed, 1);
}

static void changing(void **state)
{
  struct pages store = open_pages();
  struct pages_handle handle = CMAP_INIT;
  struct cmap_store_stats stats = CMAP_INIT;
  uint64_t sum = 0;

  (void)state;
  assert_ok(pages_put(store, 1, page(1), NULL, NULL));
  assert_ok(pages_put(store, 2, page(2), &handle, NULL));
  assert_int_equal(handle.object->number, 2);
  pages_handle_release(&handle);
  assert_ok(pages_refresh(store, 2, &handle, build, NULL, NULL));
  assert_int_equal(handle.object->number, 2);
  pages_handle_release(&handle);
  assert_ok(pages_refresh(store, 3, NULL, build, NULL, NULL));
  assert_status(pages_refresh(store, 3, NULL, NULL, NULL, NULL), CMAP_EINVAL);
  assert_int_equal(pages_len(store), 3);
  assert_ok(pages_for_each(store, add, &sum));
  assert_int_equal(sum, 6);
  assert_status(pages_for_each(store, NULL, &sum), CMAP_EINVAL);
  assert_ok(pages_remove(store, 1, NULL));
  assert_status(pages_remove(store, 1, NULL), CMAP_NOT_FOUND);
  assert_status(pages_forget(store, 2, NULL), CMAP_NOT_FOUND);
  for (uint64_t key = 10; key < 30; key++)
    assert_ok(pages_put(store, key, page(key), NULL, NULL));
  assert_int_equal(pages_len(store), 10);
  assert_ok(pages_maintain(store, NULL));
  stats.size = sizeof stats;
  assert_ok(pages_get_stats(store, &stats));
  assert_int_equal(stats.objects, 10);
  assert_ok(pages_clear(store));
  assert_ok(pages_reserve(store, 10));
  assert_ok(pages_shrink_to_fit(store));
  assert_int_equal(pages_len(store), 0);
  assert_ok(pages_destroy(store));
  assert_int_equal(destroyed, 24);
}

static void tickets(void **state)
{
  struct pages store = open_pages();
  struct pages_handle handle = CMAP_INIT;
  struct cmap_ticket ticket = CMAP_INIT, none = CMAP_INIT;
  enum cmap_begin outcome;
  int calls = 0;

  (void)state;
  assert_ok(
      pages_begin(store, 1, &handle, &ticket, &outcome, NULL, NULL, NULL));
  assert_int_equal(outcome, CMAP_YOURS);
  assert_null(handle.object);
  assert_ok(
      pages_begin(store, 1, &handle, &none, &outcome, told, &calls, NULL));
  assert_int_equal(outcome, CMAP_PENDING);
  assert_ok(pages_ticket_complete(&ticket, page(1), &handle));
  assert_int_equal(handle.object->number, 1);
  assert_int_equal(calls, 1);
  pages_handle_release(&handle);
  assert_ok(pages_begin(store, 1, &handle, &none, &outcome, NULL, NULL, NULL));
  assert_int_equal(outcome, CMAP_PRESENT);
  assert_int_equal(handle.object->number, 1);
  pages_handle_release(&handle);
  assert_status(pages_ticket_complete(&none, handle.object, &handle),
                CMAP_EINVAL);
  assert_ok(pages_destroy(store));
}

static enum cmap_status by_name(const char *key, struct page **object,
                                void *ctx)
{
  (void)ctx;
  *object = page(strlen(key));
  return CMAP_OK;
}

static enum cmap_status by_slice(struct cmap_key key, struct page **object,
                                 void *ctx)
{
  (void)ctx;
  *object = page(key.size);
  return CMAP_OK;
}

static enum cmap_status by_number(uint32_t key, struct page **object, void *ctx)
{
  (void)ctx;
  *object = page(key);
  return CMAP_OK;
}

static enum cmap_status by_spot(struct spot key, struct page **object,
                                void *ctx)
{
  (void)ctx;
  *object = page((uint64_t)(key.x * 10 + key.y));
  return CMAP_OK;
}

/* One store of each kind of keys, with the same options. */
#define TRY_KIND(name, key, build, expected)                                   \
  do {                                                                         \
    struct name store = CMAP_INIT;                                             \
    CMAP_AUTO(name##_handle, handle);                                          \
    assert_ok(name##_create(&options, &store));                                \
    assert_ok(name##_get_or_create(store, key, &handle, build, NULL, NULL));   \
    assert_int_equal(handle.object->number, expected);                         \
    name##_handle_release(&handle);                                            \
    assert_ok(name##_get(store, key, &handle, NULL));                          \
    name##_handle_release(&handle);                                            \
    assert_ok(name##_destroy(store));                                          \
  } while (0)

static void kinds(void **state)
{
  struct cmap_store_options options = CMAP_INIT;

  (void)state;
  options.size = sizeof options;
  options.keys.size = sizeof options.keys;
  options.object_destroy = destroy;
  TRY_KIND(files, "seven c", by_name, 7);
  TRY_KIND(slices, cmap_key_bytes("abc", 2), by_slice, 2);
  TRY_KIND(small, 9, by_number, 9);
  TRY_KIND(spots, ((struct spot){4, 2}), by_spot, 42);
}

static void options(void **state)
{
  struct cmap_store_options options;
  struct pages store = CMAP_INIT;
  struct spots other = CMAP_INIT;

  (void)state;
  assert_ok(pages_create(NULL, &store));
  assert_ok(pages_destroy(store));
  store.store = NULL;
  assert_ok(pages_destroy(store));
  assert_status(pages_clear(store), CMAP_EINVAL);
  assert_status(pages_create(NULL, NULL), CMAP_EINVAL);
  cmap_store_options_init(&options, CMAP_U32, destroy);
  assert_status(pages_create(&options, &store), CMAP_EINVAL);
  cmap_store_options_init(&options, CMAP_FIXED, destroy);
  options.keys.key_size = 4;
  assert_status(spots_create(&options, &other), CMAP_EINVAL);
  options.keys.key_size = sizeof(struct spot);
  options.size -= 8;
  assert_status(spots_create(&options, &other), CMAP_EINVAL);
  options.size += 8;
  assert_ok(spots_create(&options, &other));
  assert_ok(spots_destroy(other));
  assert_null(store.store);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(getting), cmocka_unit_test(changing),
      cmocka_unit_test(tickets), cmocka_unit_test(kinds),
      cmocka_unit_test(options),
  };

  return cmocka_run_group_tests_name("store_typed", tests, NULL, NULL);
}
