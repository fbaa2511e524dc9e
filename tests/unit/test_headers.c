/*
 * headers.h: headers are taken once, have no references before and after, also
 * when their page was given to the system, and leave no memory behind. An
 * object that got the header of another one is not evicted in its place.
 */
#include <stdlib.h>

#include "checks.h"
#include "counting_alloc.h"
#include "random.h"
#include "store/store.h"

#define MANY 20000

static struct cmap_store *store;
static struct cmap__object *taken[MANY];

static void open_store(struct counting_alloc *alloc)
{
  struct cmap_store_options options;

  cmap_store_options_init(&options, CMAP_U64, NULL);
  if (alloc != NULL) {
    counting_alloc_begin(alloc);
    options.keys.allocator = counting_alloc_hook(alloc);
  }
  assert_ok(cmap_store_create(&options, &store));
}

static int by_address(const void *a, const void *b)
{
  const char *x = *(char *const *)a, *y = *(char *const *)b;

  return (x > y) - (x < y);
}

/* Takes them, uses them, and looks whether they are all different. */
static void take_all(void)
{
  static struct cmap__object *sorted[MANY];

  for (size_t i = 0; i < MANY; i++) {
    taken[i] = cmap__header_take(store);
    assert_non_null(taken[i]);
    assert_true(cmap__header_store(taken[i]) == store);
    assert_int_equal(cmap__load_relaxed(&taken[i]->refs), 0);
    (void)cmap__object_init(store, cmap_key_u64(&(uint64_t){0}), taken[i],
                            taken[i]);
    cmap__object_begin(taken[i], 1);
    sorted[i] = taken[i];
  }
  qsort(sorted, MANY, sizeof *sorted, by_address);
  for (size_t i = 1; i < MANY; i++)
    assert_true(sorted[i] >= sorted[i - 1] + 1);
  assert_int_equal(cmap__headers_refs(store), MANY);
}

static void give(size_t i)
{
  cmap__store_relaxed(&taken[i]->refs, 0);
  cmap__header_give(store, taken[i]);
}

static void shuffle(void)
{
  struct random random;

  random_begin(&random, 1);
  for (size_t i = MANY; i > 1; i--) {
    size_t other = (size_t)random_below(&random, i);
    struct cmap__object *swap = taken[i - 1];
    taken[i - 1] = taken[other];
    taken[other] = swap;
  }
}

static size_t bytes(void)
{
  return cmap__load_relaxed(&store->headers.bytes);
}

static void come_and_go(void **state)
{
  size_t full;

  (void)state;
  open_store(NULL);
  for (int round = 0; round < 4; round++) {
    take_all();
    full = bytes();
    assert_true(full >= MANY * sizeof(struct cmap__object));
    /* They are made 16 pages at a time. */
    assert_true(full <=
                MANY * sizeof(struct cmap__object) * 17 / 16 + (16 + 1) * 4096);
    if (round % 2 == 1)
      shuffle();
    for (size_t i = 0; i < MANY; i++)
      give(i);
    assert_int_equal(cmap__headers_refs(store), 0);
    /* A late reader looks at what was one. */
    for (size_t i = 0; i < MANY; i++)
      assert_int_equal(cmap__load_relaxed(&taken[i]->refs), 0);
    /* What is left: 16 pages, the small extents, and what is known of pages. */
    assert_true(bytes() <= (16 + 16 + 8) * 4096 + full / 16);
    if (round == 2)
      cmap__headers_shrink(store);
    assert_true(round != 2 || bytes() <= (16 + 8) * 4096 + full / 16);
  }
  assert_ok(cmap_store_destroy(store));
}

/* Pages that have some are used up first. */
static void half_of_them(void **state)
{
  size_t full;

  (void)state;
  open_store(NULL);
  take_all();
  full = bytes();
  for (size_t i = 0; i < MANY; i += 2)
    give(i);
  assert_int_equal(bytes(), full);
  for (size_t i = 0; i < MANY; i += 2) {
    taken[i] = cmap__header_take(store);
    (void)cmap__object_init(store, cmap_key_u64(&(uint64_t){0}), taken[i],
                            taken[i]);
    cmap__object_begin(taken[i], 1);
  }
  assert_int_equal(bytes(), full);
  assert_int_equal(cmap__headers_refs(store), MANY);
  for (size_t i = 0; i < MANY; i++)
    give(i);
  assert_ok(cmap_store_destroy(store));
}

/* With an allocator of the user's all of it is kept, and used again. */
static void with_an_allocator(void **state)
{
  struct counting_alloc alloc;
  size_t full;

  (void)state;
  open_store(&alloc);
  for (int round = 0; round < 2; round++) {
    take_all();
    full = bytes();
    assert_true(full <= counting_alloc_live_bytes(&alloc));
    for (size_t i = 0; i < MANY; i++)
      give(i);
    cmap__headers_shrink(store);
    assert_int_equal(bytes(), full);
  }
  counting_alloc_fail_from(&alloc, 1);
  take_all();
  for (size_t i = 0; i < MANY; i++)
    give(i);
  assert_ok(cmap_store_destroy(store));
  assert_true(counting_alloc_is_empty(&alloc));
}

/* Who has picked an object knows its header, which is another one's now. */
static void another_object_is_not_evicted(void **state)
{
  const struct cmap_key key = CMAP_KEY_U64(1);
  struct cmap_handle handle = CMAP_INIT;
  struct cmap_store_options options;
  struct cmap__evicted evicted;
  struct cmap__object *header;
  struct cmap__kept *kept;
  int object;

  (void)state;
  cmap_store_options_init(&options, CMAP_U64, NULL);
  options.max_objects = 1;
  assert_ok(cmap_store_create(&options, &store));
  assert_ok(cmap_store_put(store, key, &object, &handle, NULL));
  header = (struct cmap__object *)handle.internal[0];
  kept = cmap__kept_of(header, store->kept_size);
  cmap_handle_release(&handle);
  assert_false(
      cmap__store_evict(store, kept->hash, header, CMAP_EVICTED, 0, &evicted));
  assert_int_equal(cmap_store_len(store), 1);
  assert_ok(cmap_store_put(store, CMAP_KEY_U64(2), &object, NULL, NULL));
  assert_status(cmap_store_get(store, key, &handle, NULL), CMAP_NOT_FOUND);
  assert_ok(cmap_store_destroy(store));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(come_and_go),
      cmocka_unit_test(half_of_them),
      cmocka_unit_test(with_an_allocator),
      cmocka_unit_test(another_object_is_not_evicted),
  };

  return cmocka_run_group_tests_name("headers", tests, NULL, NULL);
}
