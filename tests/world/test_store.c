/*
 * The store: one construction in flight whoever asks; handles against removal,
 * replacement and eviction. An object is plain memory, freed by its destructor:
 * who uses it too early or too late races.
 */
#include "play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <stdlib.h>

enum { TURNS = 2 };

struct object {
  uint64_t key, content;
};

static struct cmap_store *store;

static struct {
  unsigned built, destroyed, running;
  bool one_only; /* nothing is removed: no second construction */
} books;         /* hidden */

static void destroy_object(void *object, void *ctx)
{
  (void)ctx;
  books.destroyed++;
  WORLD_CHECK(((struct object *)object)->content == 7);
  free(object);
}

static void *new_object(struct cmap_key key)
{
  struct object *object = malloc(sizeof *object);

  WORLD_CHECK(object != NULL);
  object->key = cmap_key_as_u64(key);
  object->content = 7;
  books.built++;
  return object;
}

static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  (void)ctx;
  if (world_choose(8) == 0)
    return cmap_status_user(9);
  books.running++;
  WORLD_CHECK(books.running == 1 || !books.one_only);
  sched_yield();
  *object = new_object(key);
  books.running--;
  return CMAP_OK;
}

static void begin_store(bool one_only)
{
  struct cmap_store_options options;

  cmap_store_options_init(&options, CMAP_U64, destroy_object);
  options.keys = play_options(0);
  if (world_choose(3) == 0)
    options.flags = CMAP_SHARE_FAILURE;
  if (!one_only && world_choose(2) == 0)
    options.max_objects = 1;
  if (!one_only && world_choose(3) == 0)
    options.ttl_ns = 1000000;
  WORLD_OK(cmap_store_create(&options, &store));
  books.built = books.destroyed = books.running = 0;
  books.one_only = one_only;
  world_hide(&books, sizeof books);
}

static void end(void)
{
  WORLD_OK(cmap_store_destroy(store));
  WORLD_CHECK(books.built == books.destroyed);
}

static void use(const struct cmap_handle *handle, uint64_t key)
{
  const struct object *object = handle->object;

  WORLD_CHECK(object->key == key && object->content == 7);
}

static bool is_failure(enum cmap_status status)
{
  return status == cmap_status_user(9);
}

/* -------------------------------------------------------------------------
 * One construction
 * ------------------------------------------------------------------------- */

static void begin_once(void)
{
  begin_store(true);
}

static void act_once(unsigned thread)
{
  uint64_t key = LOW(1);

  (void)thread;
  for (unsigned i = 0; i < TURNS; i++) {
    struct cmap_handle handle = CMAP_INIT;
    struct cmap_how how = cmap_how_within(50000);
    const struct cmap_how *patience = world_choose(3) == 0 ? &how : NULL;
    enum cmap_status status = cmap_store_get_or_create(
        store, cmap_key_u64(&key), &handle, build, NULL, patience);

    WORLD_CHECK(status == CMAP_OK || is_failure(status) ||
                (status == CMAP_TIMEDOUT && patience != NULL));
    if (status == CMAP_OK)
      use(&handle, key);
    cmap_handle_release(&handle);
  }
}

static void end_once(void)
{
  WORLD_CHECK(books.built <= 1);
  end();
}

static void a_key_is_built_once(void **state)
{
  static const struct scenario scenario = {.name = "once",
                                           .threads = 3,
                                           .begin = begin_once,
                                           .end = end_once,
                                           .act = act_once};

  (void)state;
  world_play(&scenario, world_runs());
}

/* -------------------------------------------------------------------------
 * Handles
 * ------------------------------------------------------------------------- */

static void begin_handles(void)
{
  uint64_t key = LOW(1);

  begin_store(false);
  WORLD_OK(cmap_store_put(store, cmap_key_u64(&key),
                          new_object(cmap_key_u64(&key)), NULL, NULL));
}

static void begin_replaced(void)
{
  uint64_t key = LOW(1);

  begin_store(true);
  WORLD_OK(cmap_store_put(store, cmap_key_u64(&key),
                          new_object(cmap_key_u64(&key)), NULL, NULL));
}

static void change(uint64_t key)
{
  struct cmap_key k = cmap_key_u64(&key);
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_status status = CMAP_OK;

  switch (world_choose(6)) {
  case 0:
    (void)cmap_store_remove(store, k, NULL);
    break;
  case 1:
    WORLD_OK(cmap_store_put(store, k, new_object(k), &handle, NULL));
    break;
  case 2:
    WORLD_OK(cmap_store_clear(store));
    break;
  case 3:
    status = cmap_store_refresh(store, k, &handle, build, NULL, NULL);
    break;
  case 4:
    status = cmap_store_forget(store, k, NULL);
    WORLD_CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
    status = CMAP_OK;
    break;
  default:
    status = cmap_store_get_or_create(store, k, &handle, build, NULL, NULL);
  }
  WORLD_CHECK(status == CMAP_OK || is_failure(status));
  if (handle.object != NULL)
    use(&handle, key);
  cmap_handle_release(&handle);
}

static void act_handles(unsigned thread)
{
  for (unsigned i = 0; i < TURNS; i++) {
    struct cmap_handle handle = CMAP_INIT, other = CMAP_INIT;
    uint64_t key = world_choose(4) == 0 ? HIGH(2) : LOW(1);
    enum cmap_status status;

    if (thread == 0 || world_choose(3) == 0) {
      change(key);
      continue;
    }
    status = cmap_store_get(store, cmap_key_u64(&key), &handle, NULL);
    WORLD_CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
    if (status != CMAP_OK)
      continue;
    use(&handle, key);
    WORLD_OK(cmap_handle_copy(&handle, &other));
    cmap_handle_release(&handle);
    use(&other, key);
    cmap_handle_release(&other);
  }
}

static void objects_live_as_long_as_their_handles(void **state)
{
  static const struct scenario scenario = {.name = "handles",
                                           .threads = 3,
                                           .begin = begin_handles,
                                           .end = end,
                                           .act = act_handles};

  (void)state;
  world_play(&scenario, world_runs());
}

/* One word of the slot, and one header, are several objects' in turn. */
static void act_replaced(unsigned thread)
{
  struct cmap_handle handle = CMAP_INIT;
  uint64_t key = LOW(1);
  struct cmap_key k = cmap_key_u64(&key);

  for (unsigned i = 0; i < TURNS + 1; i++) {
    if (thread == 0) {
      WORLD_OK(cmap_store_put(store, k, new_object(k), NULL, NULL));
    } else {
      WORLD_OK(cmap_store_get(store, k, &handle, NULL));
      use(&handle, key);
      cmap_handle_release(&handle);
    }
  }
}

static void replaced_objects_are_not_mistaken(void **state)
{
  static const struct scenario scenario = {.name = "replaced",
                                           .threads = 3,
                                           .begin = begin_replaced,
                                           .end = end,
                                           .act = act_replaced};

  (void)state;
  world_play(&scenario, world_runs());
}

/* -------------------------------------------------------------------------
 * Statistics: lines that belong to one thread after the other
 * ------------------------------------------------------------------------- */

static void act_counts(unsigned thread)
{
  struct cmap_handle handle = CMAP_INIT;
  uint64_t key = LOW(1);

  (void)thread;
  for (unsigned i = 0; i < TURNS; i++) {
    WORLD_OK(cmap_store_get(store, cmap_key_u64(&key), &handle, NULL));
    cmap_handle_release(&handle);
  }
}

static void end_counts(void)
{
  struct cmap_store_stats stats = {.size = sizeof stats};

  WORLD_OK(cmap_store_get_stats(store, &stats));
  WORLD_CHECK(stats.hits == (uint64_t)3 * TURNS);
  end();
}

static void every_hit_is_counted(void **state)
{
  static const struct scenario scenario = {.name = "counts",
                                           .threads = 3,
                                           .begin = begin_replaced,
                                           .end = end_counts,
                                           .act = act_counts};

  (void)state;
  world_play(&scenario, world_runs());
}

/* -------------------------------------------------------------------------
 * Borrowed objects
 * ------------------------------------------------------------------------- */

static void use_borrowed(uint64_t key)
{
  struct cmap_borrowed borrowed = CMAP_INIT;
  enum cmap_status status =
      cmap_store_borrow(store, cmap_key_u64(&key), &borrowed, NULL);
  const struct object *object = borrowed.object;

  WORLD_CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
  if (status == CMAP_OK)
    WORLD_CHECK(object->key == key && object->content == 7);
  sched_yield();
  if (status == CMAP_OK)
    WORLD_CHECK(object->key == key && object->content == 7);
  cmap_borrowed_release(&borrowed);
}

static void act_borrow(unsigned thread)
{
  for (unsigned i = 0; i < TURNS + 1; i++) {
    uint64_t key = LOW(1);
    struct cmap_key k = cmap_key_u64(&key);

    if (thread == 0 || world_choose(4) == 0) {
      if (world_choose(2) == 0)
        (void)cmap_store_remove(store, k, NULL);
      else
        WORLD_OK(cmap_store_put(store, k, new_object(k), NULL, NULL));
    } else {
      use_borrowed(key);
    }
  }
}

static void objects_live_as_long_as_they_are_borrowed(void **state)
{
  static const struct scenario scenario = {.name = "borrowed",
                                           .threads = 4,
                                           .begin = begin_handles,
                                           .end = end,
                                           .act = act_borrow};

  (void)state;
  world_play(&scenario, world_runs());
}

/* -------------------------------------------------------------------------
 * Tickets: constructions that end on another thread
 * ------------------------------------------------------------------------- */

static struct cmap_ticket ticket; /* of the thread below, and of who ends it */

static void begin_ticket(void)
{
  uint64_t key = LOW(1);
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_begin outcome;

  begin_store(true);
  WORLD_OK(cmap_store_begin(store, cmap_key_u64(&key), &handle, &ticket,
                            &outcome, NULL, NULL, NULL));
  WORLD_CHECK(outcome == CMAP_YOURS);
}

static void act_ticket(unsigned thread)
{
  struct cmap_handle handle = CMAP_INIT;
  uint64_t key = LOW(1);
  enum cmap_status status;

  if (thread == 0 && world_choose(4) == 0) {
    cmap_ticket_abandon(&ticket);
  } else if (thread == 0) {
    WORLD_OK(
        cmap_ticket_complete(&ticket, new_object(cmap_key_u64(&key)), &handle));
  } else {
    status = cmap_store_get_or_create(store, cmap_key_u64(&key), &handle, build,
                                      NULL, NULL);
    WORLD_CHECK(status == CMAP_OK || is_failure(status) ||
                status == CMAP_EABANDONED);
  }
  if (handle.object != NULL)
    use(&handle, key);
  cmap_handle_release(&handle);
}

static void tickets_are_waited_for(void **state)
{
  static const struct scenario scenario = {.name = "tickets",
                                           .threads = 3,
                                           .begin = begin_ticket,
                                           .end = end_once,
                                           .act = act_ticket};

  (void)state;
  world_play(&scenario, world_runs());
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_key_is_built_once),
      cmocka_unit_test(objects_live_as_long_as_their_handles),
      cmocka_unit_test(objects_live_as_long_as_they_are_borrowed),
      cmocka_unit_test(replaced_objects_are_not_mistaken),
      cmocka_unit_test(every_hit_is_counted),
      cmocka_unit_test(tickets_are_waited_for),
  };

  return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
