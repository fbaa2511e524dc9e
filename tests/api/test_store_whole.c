/*
 * Calls on the whole store: for_each, clear, destroy; and destructors of
 * objects, which may use the store.
 */
#include <string.h>
#include <unistd.h>

#include "store_objects.h"
#include "step.h"
#include "threads.h"

#define IDS 500

static struct test_store t;

static void fill(enum key_shape keys, uint64_t count)
{
  struct key_room room;

  test_store_open(&t, keys);
  for (uint64_t id = 0; id < count; id++)
    assert_ok(cmap_store_put(t.store, key_make(&t.keys.spec, id, &room),
                             tracked_new(&t.lives, id, 1), NULL, NULL));
}

/* ------------------------------------------------------------------------
 * for_each, clear
 * ------------------------------------------------------------------------ */

struct walk {
  unsigned seen[2 * IDS];
  size_t count;
  size_t stop_at; /* 0: never */
};

static uint64_t saw(struct walk *walk, struct cmap_key key, void *object)
{
  uint64_t id = key_id(&t.keys.spec, key);

  CHECK(id < 2 * IDS && ++walk->seen[id] == 1);
  CHECK(tracked_is_alive(object) && ((struct tracked *)object)->id == id);
  walk->count++;
  return id;
}

static enum cmap_status stop(struct cmap_key key, void *object, void *ctx)
{
  struct walk *walk = ctx;

  saw(walk, key, object);
  return walk->count == walk->stop_at ? (enum cmap_status)USER_STATUS : CMAP_OK;
}

static enum cmap_status remove_it(struct cmap_key key, void *object, void *ctx)
{
  saw(ctx, key, object);
  CHECK_OK(cmap_store_remove(t.store, key, NULL));
  CHECK(tracked_is_alive(object)); /* until the visit is over */
  CHECK_STATUS(cmap_store_remove(t.store, key, NULL), CMAP_NOT_FOUND);
  return CMAP_OK;
}

static enum cmap_status replace_it(struct cmap_key key, void *object, void *ctx)
{
  uint64_t id = saw(ctx, key, object);

  CHECK_OK(
      cmap_store_put(t.store, key, tracked_new(&t.lives, id, 2), NULL, NULL));
  CHECK(tracked_is_alive(object) && ((struct tracked *)object)->version == 1);
  return CMAP_OK;
}

static enum cmap_status clear_all(struct cmap_key key, void *object, void *ctx)
{
  saw(ctx, key, object);
  CHECK_OK(cmap_store_clear(t.store));
  CHECK(tracked_is_alive(object) && cmap_store_len(t.store) == 0);
  return CMAP_OK;
}

/* Each adds one that is new. */
static enum cmap_status add_one(struct cmap_key key, void *object, void *ctx)
{
  uint64_t id = saw(ctx, key, object) + IDS;
  struct key_room room;

  if (id < 2 * IDS)
    CHECK_OK(cmap_store_put(t.store, key_make(&t.keys.spec, id, &room),
                            tracked_new(&t.lives, id, 1), NULL, NULL));
  return CMAP_OK;
}

static void visits(enum key_shape keys)
{
  static struct walk walk;

  fill(keys, IDS);
  memset(&walk, 0, sizeof walk);
  CHECK_OK(cmap_store_for_each(t.store, stop, &walk));
  CHECK(walk.count == IDS);
  for (size_t at = 1; at <= IDS; at += 83) {
    memset(&walk, 0, sizeof walk);
    walk.stop_at = at;
    CHECK_STATUS(cmap_store_for_each(t.store, stop, &walk),
                 (enum cmap_status)USER_STATUS);
    CHECK(walk.count == at);
  }
  memset(&walk, 0, sizeof walk);
  CHECK_OK(cmap_store_for_each(t.store, replace_it, &walk));
  CHECK(walk.count == IDS && lifetimes_alive(&t.lives) == IDS);
  memset(&walk, 0, sizeof walk);
  CHECK_OK(cmap_store_for_each(t.store, add_one, &walk));
  CHECK(walk.count >= IDS && cmap_store_len(t.store) == 2 * IDS);
  memset(&walk, 0, sizeof walk);
  CHECK_OK(cmap_store_for_each(t.store, remove_it, &walk));
  CHECK(walk.count == 2 * IDS && cmap_store_len(t.store) == 0);
  CHECK(lifetimes_alive(&t.lives) == 0);
  memset(&walk, 0, sizeof walk);
  CHECK_OK(cmap_store_for_each(t.store, stop, &walk));
  CHECK(walk.count == 0);
  test_store_close(&t);

  fill(keys, IDS);
  CHECK_OK(cmap_store_for_each(t.store, clear_all, &walk));
  /* The rest of a shard may have been copied already. */
  CHECK(walk.count >= 1 && cmap_store_len(t.store) == 0);
  CHECK(lifetimes_alive(&t.lives) == 0);
  CHECK_OK(cmap_store_clear(t.store));
  test_store_close(&t);
}

static void visits_of_all_kinds(void **state)
{
  (void)state;
  for (int keys = 0; keys < KEY_SHAPES; keys++)
    if (keys != KEYS_FIXED_3)
      visits((enum key_shape)keys);
}

/* Constructions and failures are no objects. */
static enum cmap_status fail_now(struct cmap_key key, void **object, void *ctx)
{
  (void)key, (void)object, (void)ctx;
  return (enum cmap_status)USER_STATUS;
}

static void visits_objects_only(void **state)
{
  static struct walk walk;
  struct cmap_ticket ticket = CMAP_INIT;
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_begin outcome;
  struct key_room rooms[3];
  struct cmap_key keys[3];

  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.negative_ns = UINT64_MAX;
  test_store_create(&t);
  for (uint64_t id = 0; id < 3; id++)
    keys[id] = key_make(&t.keys.spec, id, &rooms[id]);
  assert_ok(cmap_store_begin(t.store, keys[0], &handle, &ticket, &outcome, NULL,
                             NULL, NULL));
  assert_status(
      cmap_store_get_or_create(t.store, keys[1], &handle, fail_now, NULL, NULL),
      (enum cmap_status)USER_STATUS);
  assert_ok(cmap_store_put(t.store, keys[2], tracked_new(&t.lives, 2, 1), NULL,
                           NULL));
  memset(&walk, 0, sizeof walk);
  assert_ok(cmap_store_for_each(t.store, stop, &walk));
  assert_int_equal(walk.count, 1);
  assert_int_equal(cmap_store_len(t.store), 1);
  cmap_ticket_abandon(&ticket);
  test_store_close(&t);
}

static void drop_key(void *stored, void *ctx)
{
  (void)stored, (void)ctx;
}

static void keys_that_cannot_be_copied(void **state)
{
  struct cmap_store *store = NULL;

  (void)state;
  test_store_prepare(&t, KEYS_CUSTOM);
  t.options.keys.key_destroy = drop_key;
  assert_status(cmap_store_create(&t.options, &store), CMAP_EINVAL);
  assert_null(store);
  t.options.keys.key_destroy = NULL;
  test_store_create(&t);
  test_store_close(&t);
}

/* ------------------------------------------------------------------------
 * Destructors
 * ------------------------------------------------------------------------ */

static unsigned destroyed;

/* Finds no object that is destroyed, and may put and remove. */
static void use_store(void *object, void *ctx)
{
  struct tracked *dying = object;
  uint64_t id = dying->id, other = IDS + id;

  (void)ctx;
  destroyed++;
  tracked_destroy(dying);
  for (uint64_t key = 0; key < 4; key++) {
    struct cmap_handle handle = CMAP_INIT;
    enum cmap_status status =
        cmap_store_get(t.store, cmap_key_u64(&key), &handle, NULL);
    if (status == CMAP_OK)
      CHECK(tracked_is_alive(handle.object));
    else
      CHECK_STATUS(status, CMAP_NOT_FOUND);
    cmap_handle_release(&handle);
  }
  if (id < IDS) {
    CHECK_OK(cmap_store_put(t.store, cmap_key_u64(&other),
                            tracked_new(&t.lives, other, 1), NULL, NULL));
    CHECK_OK(cmap_store_remove(t.store, cmap_key_u64(&other), NULL));
  }
}

static void fill_users(void)
{
  test_store_prepare(&t, KEYS_U64);
  t.options.object_destroy = use_store;
  test_store_create(&t);
  for (uint64_t id = 0; id < 4; id++)
    assert_ok(cmap_store_put(t.store, cmap_key_u64(&id),
                             tracked_new(&t.lives, id, 1), NULL, NULL));
  destroyed = 0;
}

static void destructors_use_the_store(void **state)
{
  struct cmap_handle handle = CMAP_INIT;
  uint64_t id = 0;

  (void)state;
  fill_users();
  assert_ok(cmap_store_remove(t.store, cmap_key_u64(&id), NULL));
  assert_int_equal(destroyed, 2);
  id = 1;
  assert_ok(cmap_store_get(t.store, cmap_key_u64(&id), &handle, NULL));
  assert_ok(cmap_store_put(t.store, cmap_key_u64(&id),
                           tracked_new(&t.lives, 1, 2), NULL, NULL));
  assert_int_equal(destroyed, 2);
  cmap_handle_release(&handle);
  assert_int_equal(destroyed, 4);
  assert_ok(cmap_store_clear(t.store));
  assert_int_equal(destroyed, 10);
  test_store_close(&t);
}

/* The store is still there when its last objects go. */
static void destroy_users(unsigned index, void *ctx)
{
  (void)index, (void)ctx;
  CHECK_OK(cmap_store_destroy(t.store));
}

static void destructors_use_the_store_that_is_destroyed(void **state)
{
  struct thread thread;

  (void)state;
  fill_users();
  thread_start(&thread, destroy_users, 0, NULL);
  thread_join(&thread);
  CHECK(destroyed == 8);
  CHECK(counting_alloc_is_empty(&t.keys.alloc));
  CHECK(lifetimes_balanced(&t.lives));
  checks_assert();
}

static struct cmap_handle kept;

/* As a destructor that has another object in its hands would. */
static void keep_another(void *object, void *ctx)
{
  uint64_t id = 7;

  (void)ctx;
  tracked_destroy(object);
  if (kept.object == NULL && destroyed++ == 0) {
    CHECK_OK(cmap_store_put(t.store, cmap_key_u64(&id),
                            tracked_new(&t.lives, id, 1), &kept, NULL));
    CHECK_OK(cmap_store_remove(t.store, cmap_key_u64(&id), NULL));
  }
}

static void a_destructor_keeps_a_handle(void **state)
{
  uint64_t id = 1;

  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.object_destroy = keep_another;
  test_store_create(&t);
  assert_ok(cmap_store_put(t.store, cmap_key_u64(&id),
                           tracked_new(&t.lives, id, 1), NULL, NULL));
  destroyed = 0;
  assert_status(cmap_store_destroy(t.store), CMAP_BUSY);
  assert_int_equal(cmap_store_len(t.store), 0);
  assert_true(tracked_is_alive(kept.object));
  cmap_handle_release(&kept);
  test_store_close(&t);
}

/* ------------------------------------------------------------------------
 * destroy
 * ------------------------------------------------------------------------ */

static void destroys_objects(void **state)
{
  struct cmap_handle handle = CMAP_INIT;
  struct key_room room;

  (void)state;
  fill(KEYS_U64, IDS);
  assert_ok(
      cmap_store_get(t.store, key_make(&t.keys.spec, 7, &room), &handle, NULL));
  for (int i = 0; i < 3; i++)
    assert_status(cmap_store_destroy(t.store), CMAP_BUSY);
  assert_int_equal(lifetimes_alive(&t.lives), IDS);
  assert_int_equal(cmap_store_len(t.store), IDS);
  cmap_handle_release(&handle);
  test_store_close(&t);
}

static void release_it(unsigned index, void *ctx)
{
  (void)index;
  cmap_handle_release(ctx);
}

static void released_on_another_thread(void **state)
{
  struct cmap_handle handle = CMAP_INIT;
  struct thread thread;
  struct key_room room;

  (void)state;
  fill(KEYS_U64, IDS);
  assert_ok(
      cmap_store_get(t.store, key_make(&t.keys.spec, 7, &room), &handle, NULL));
  assert_ok(cmap_store_remove(t.store, key_make(&t.keys.spec, 7, &room), NULL));
  assert_int_equal(lifetimes_alive(&t.lives), IDS);
  thread_start(&thread, release_it, 0, &handle);
  thread_join(&thread);
  assert_int_equal(lifetimes_alive(&t.lives), IDS - 1);
  assert_null(handle.object);
  test_store_close(&t);
}

/* A refresh is a construction in flight. */
struct refreshing {
  struct step step;
  enum cmap_status status;
};

static enum cmap_status destroy_in_refresh(struct cmap_key key, void **object,
                                           void *ctx)
{
  struct refreshing *r = ctx;

  (void)key;
  r->status = cmap_store_destroy(t.store);
  step_done(&r->step, 1);
  while (r->status == CMAP_OK)
    pause(); /* there is nothing to return to */
  *object = tracked_new(&t.lives, 1, 1);
  return CMAP_OK;
}

static void refresh_and_destroy(unsigned index, void *ctx)
{
  uint64_t id = 1;

  (void)index;
  CHECK_OK(cmap_store_refresh(t.store, cmap_key_u64(&id), NULL,
                              destroy_in_refresh, ctx, NULL));
}

static void destroy_during_refresh(void **state)
{
  static struct refreshing r;
  struct thread thread;

  (void)state;
  test_store_open(&t, KEYS_U64);
  step_begin(&r.step);
  thread_start(&thread, refresh_and_destroy, 0, &r);
  step_wait(&r.step, 1);
  assert_status(r.status, CMAP_BUSY);
  thread_join(&thread);
  step_end(&r.step);
  test_store_close(&t);
}

/* So is a ticket whose thread has ended, until it is used up. */
static void bind_it(unsigned index, void *ctx)
{
  (void)index;
  CHECK_OK(cmap_ticket_bind(ctx));
}

static void destroy_before_an_ended_ticket(void **state)
{
  struct cmap_ticket ticket = CMAP_INIT;
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_begin outcome;
  struct thread thread;
  uint64_t id = 1;

  (void)state;
  test_store_open(&t, KEYS_U64);
  assert_ok(cmap_store_begin(t.store, cmap_key_u64(&id), &handle, &ticket,
                             &outcome, NULL, NULL, NULL));
  thread_start(&thread, bind_it, 0, &ticket);
  thread_join(&thread);
  assert_status(cmap_store_destroy(t.store), CMAP_BUSY);
  cmap_ticket_abandon(&ticket);
  test_store_close(&t);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(visits_of_all_kinds),
      cmocka_unit_test(visits_objects_only),
      cmocka_unit_test(keys_that_cannot_be_copied),
      cmocka_unit_test(destructors_use_the_store),
      cmocka_unit_test(a_destructor_keeps_a_handle),
      cmocka_unit_test(destroys_objects),
      cmocka_unit_test(released_on_another_thread),
      cmocka_unit_test(destroy_before_an_ended_ticket),
      cmocka_unit_test(destroy_during_refresh),
      cmocka_unit_test(destructors_use_the_store_that_is_destroyed),
  };

  return cmocka_run_group_tests_name("store_whole", tests, NULL, NULL);
}
