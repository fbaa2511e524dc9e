/*
 * Every call of the store on one thread, with keys of every kind.
 */
#include <string.h>

#include "random.h"
#include "settings.h"
#include "store_objects.h"

#define IDS 300

static struct test_store t;

struct wish {
  uint64_t id;
  uint64_t version;
  unsigned calls;
};

static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  struct wish *wish = ctx;

  CHECK(key_id(&t.keys.spec, key) == wish->id);
  CHECK(*object == NULL);
  wish->calls++;
  *object = tracked_new(&t.lives, wish->id, wish->version);
  return CMAP_OK;
}

static enum cmap_status build_not(struct cmap_key key, void **object, void *ctx)
{
  (void)key, (void)object, (void)ctx;
  CHECK_NEVER("a constructor that is not needed");
  return CMAP_ENOTSUP;
}

static struct cmap_key key_of(uint64_t id)
{
  static struct key_room room;

  return key_make(&t.keys.spec, id, &room);
}

/* The key has that version. */
static void check_version(uint64_t id, uint64_t version)
{
  struct cmap_handle handle = CMAP_INIT, same = CMAP_INIT, begun = CMAP_INIT;
  struct cmap_ticket ticket = CMAP_INIT;
  enum cmap_begin outcome = CMAP_YOURS;

  CHECK_OK(cmap_store_get(t.store, key_of(id), &handle, NULL));
  CHECK_OK(cmap_store_get_or_create(t.store, key_of(id), &same, build_not, NULL,
                                    NULL));
  CHECK_OK(cmap_store_begin(t.store, key_of(id), &begun, &ticket, &outcome,
                            NULL, NULL, NULL));
  CHECK(outcome == CMAP_PRESENT && ticket.internal[0] == 0);
  CHECK(handle.object == same.object && same.object == begun.object);
  if (!checks_failed())
    CHECK(store_object(&handle, id)->version == version);
  cmap_handle_release(&handle);
  CHECK(handle.object == NULL && handle.internal[0] == 0);
  cmap_handle_release(&handle);
  cmap_handle_release(&same);
  cmap_handle_release(&begun);
}

static void check_absent(uint64_t id)
{
  struct cmap_handle handle = CMAP_INIT;

  CHECK_STATUS(cmap_store_get(t.store, key_of(id), &handle, NULL),
               CMAP_NOT_FOUND);
  CHECK(handle.object == NULL);
  CHECK_STATUS(cmap_store_remove(t.store, key_of(id), NULL), CMAP_NOT_FOUND);
  CHECK_STATUS(cmap_store_forget(t.store, key_of(id), NULL), CMAP_NOT_FOUND);
}

/* Gives the key an object in one of the ways there are. */
static void give(uint64_t id, uint64_t version, bool present, unsigned way)
{
  struct wish wish = {id, version, 0};
  struct cmap_handle handle = CMAP_INIT;
  struct cmap_ticket ticket = CMAP_INIT;
  enum cmap_begin outcome;

  if (way == 0) {
    CHECK_OK(cmap_store_put(t.store, key_of(id),
                            tracked_new(&t.lives, id, version), &handle, NULL));
  } else if (way == 1) {
    CHECK_OK(
        cmap_store_refresh(t.store, key_of(id), &handle, build, &wish, NULL));
    CHECK(wish.calls == 1);
  } else if (present) {
    CHECK_OK(cmap_store_put(t.store, key_of(id),
                            tracked_new(&t.lives, id, version), NULL, NULL));
    return;
  } else if (way == 2) {
    CHECK_OK(cmap_store_get_or_create(t.store, key_of(id), &handle, build,
                                      &wish, NULL));
    CHECK(wish.calls == 1);
  } else {
    CHECK_OK(cmap_store_begin(t.store, key_of(id), &handle, &ticket, &outcome,
                              NULL, NULL, NULL));
    CHECK(outcome == CMAP_YOURS);
    CHECK_OK(cmap_ticket_complete(&ticket, tracked_new(&t.lives, id, version),
                                  &handle));
    CHECK(ticket.internal[0] == 0);
  }
  CHECK(store_object(&handle, id)->version == version);
  cmap_handle_release(&handle);
}

struct seen {
  uint64_t versions[IDS];
  size_t count;
};

static enum cmap_status see(struct cmap_key key, void *object, void *ctx)
{
  struct seen *seen = ctx;
  uint64_t id = key_id(&t.keys.spec, key);

  key_check_stored(&t.keys.spec, key);
  CHECK(id < IDS && seen->versions[id] == 0);
  CHECK(tracked_is_alive(object) && ((struct tracked *)object)->id == id);
  seen->versions[id] = ((struct tracked *)object)->version;
  seen->count++;
  return CMAP_OK;
}

static void check_all(const uint64_t *versions)
{
  static struct seen seen;
  size_t count = 0;

  memset(&seen, 0, sizeof seen);
  CHECK_OK(cmap_store_for_each(t.store, see, &seen));
  CHECK(memcmp(seen.versions, versions, sizeof seen.versions) == 0);
  for (uint64_t id = 0; id < IDS; id++)
    count += versions[id] != 0;
  CHECK(cmap_store_len(t.store) == count && seen.count == count);
  CHECK(store_stats(t.store).objects == count);
}

/* Random calls against an array. */
static void keys_of_a_kind(enum key_shape keys)
{
  static uint64_t versions[IDS];
  struct random random;

  random_begin(&random, keys);
  memset(versions, 0, sizeof versions);
  test_store_open(&t, keys);
  for (size_t i = 1; i <= test_scale(6000) && !checks_failed(); i++) {
    uint64_t id = random_below(&random, IDS);
    if (versions[id] != 0)
      check_version(id, versions[id]);
    else
      check_absent(id);
    if (versions[id] != 0 && random_once_in(&random, 2)) {
      CHECK_OK(cmap_store_remove(t.store, key_of(id), NULL));
      versions[id] = 0;
      check_absent(id);
    } else {
      give(id, i, versions[id] != 0, (unsigned)random_below(&random, 4));
      versions[id] = i;
      check_version(id, i);
    }
    if (random_once_in(&random, 500))
      check_all(versions);
    if (random_once_in(&random, 2000)) {
      CHECK_OK(cmap_store_clear(t.store));
      memset(versions, 0, sizeof versions);
      check_all(versions);
    }
  }
  check_all(versions);
  test_store_close(&t);
}

static void keys_of_all_kinds(void **state)
{
  (void)state;
  for (int keys = 0; keys < KEY_SHAPES; keys++)
    keys_of_a_kind((enum key_shape)keys);
}

/* ------------------------------------------------------------------------
 * Hashes, handles
 * ------------------------------------------------------------------------ */

static void handles_are_copied(void **state)
{
  struct cmap_handle one = CMAP_INIT, two = CMAP_INIT, three = CMAP_INIT;
  struct tracked *object;

  (void)state;
  test_store_open(&t, KEYS_U64);
  object = tracked_new(&t.lives, 5, 1);
  assert_ok(cmap_store_put(t.store, key_of(5), object, &one, NULL));
  assert_ok(cmap_handle_copy(&one, &two));
  assert_ok(cmap_handle_copy(&two, &three));
  assert_ptr_equal(two.object, object);
  assert_ptr_equal(three.object, object);
  assert_ok(cmap_store_remove(t.store, key_of(5), NULL));
  cmap_handle_release(&one);
  cmap_handle_release(&one);
  cmap_handle_release(&three);
  assert_true(tracked_is_alive(object));
  assert_status(cmap_store_destroy(t.store), CMAP_BUSY);
  assert_status(cmap_handle_copy(&three, &one), CMAP_EINVAL);
  cmap_handle_release(&two);
  assert_false(tracked_is_alive(object));
  test_store_close(&t);
}

/* A store whose objects are nobody's to destroy. */
static void no_destructor(void **state)
{
  static int objects[2];
  struct cmap_handle handle = CMAP_INIT;

  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.object_destroy = NULL;
  test_store_create(&t);
  for (int i = 0; i < 2; i++)
    assert_ok(cmap_store_put(t.store, key_of(1), &objects[i], &handle, NULL)),
        assert_ptr_equal(handle.object, &objects[i]),
        cmap_handle_release(&handle);
  test_store_close(&t);
}

static void hashed(void **state)
{
  struct cmap_handle handle = CMAP_INIT;
  struct wish wish = {9, 1, 0};
  struct cmap_how how;
  uint64_t hash;

  (void)state;
  test_store_open(&t, KEYS_U64);
  assert_ok(cmap_store_hash(t.store, key_of(9), &hash));
  how = cmap_how_hashed(hash);
  assert_ok(cmap_store_get_or_create(t.store, key_of(9), &handle, build, &wish,
                                     &how));
  cmap_handle_release(&handle);
  assert_ok(cmap_store_get(t.store, key_of(9), &handle, NULL));
  cmap_handle_release(&handle);
  assert_ok(cmap_store_get(t.store, key_of(9), &handle, &how));
  cmap_handle_release(&handle);
  assert_ok(cmap_store_remove(t.store, key_of(9), &how));
  test_store_close(&t);
}

/* ------------------------------------------------------------------------
 * Statistics
 * ------------------------------------------------------------------------ */

static enum cmap_status build_for_a_while(struct cmap_key key, void **object,
                                          void *ctx)
{
  uint64_t end = test_now() + 2000000;

  while (test_now() < end)
    CHECK(store_stats(t.store).running == 1);
  return build(key, object, ctx);
}

static void time_in_constructors(void **state)
{
  struct cmap_handle handle = CMAP_INIT;
  uint64_t before, all;

  (void)state;
  test_store_open(&t, KEYS_U64);
  for (uint64_t id = 0; id < 3; id++) {
    struct wish wish = {id, 1, 0};
    uint64_t so_far = store_stats(t.store).build_ns;
    before = test_now();
    assert_ok(cmap_store_get_or_create(t.store, key_of(id), &handle,
                                       build_for_a_while, &wish, NULL));
    all = test_now() - before;
    cmap_handle_release(&handle);
    assert_in_range(store_stats(t.store).build_ns - so_far, 2000000, all);
  }
  test_store_close(&t);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keys_of_all_kinds),
      cmocka_unit_test(handles_are_copied),
      cmocka_unit_test(no_destructor),
      cmocka_unit_test(hashed),
      cmocka_unit_test(time_in_constructors),
  };

  return cmocka_run_group_tests_name("store_calls", tests, NULL, NULL);
}
