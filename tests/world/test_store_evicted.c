/*
 * The store with a bound of one or two objects, so that each that comes lets
 * another one go: objects that are picked to go before they are in the map,
 * hits against evictions, removals and puts against both. Each object is
 * destroyed once, after on_remove was told of it once if it was ever in the
 * store; the bound holds.
 */
#include "play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

enum { THREADS = 3, TURNS = 2, KEYS = 3, CONTENT = 7 };

/* Plain memory, freed by its destructor: who uses it too early or too late, or
 * tells of it beside another thread, races. */
struct object {
  uint64_t key, content;
  unsigned told;
};

static struct cmap_store *store;

static struct {
  unsigned built, destroyed, told, most;
  bool all_enter; /* nothing is taken out whose construction runs */
  bool expires;
} books; /* hidden */

static void destroy_object(void *object, void *ctx)
{
  struct object *o = object;

  (void)ctx;
  books.destroyed++;
  WORLD_CHECK(o->content == CONTENT);
  WORLD_CHECK(o->told == 1 || (o->told == 0 && !books.all_enter));
  free(object);
}

static void tell(struct cmap_key key, void *object, enum cmap_removal reason,
                 void *ctx)
{
  struct object *o = object;

  (void)reason;
  (void)ctx;
  books.told++;
  WORLD_CHECK(o->key == cmap_key_as_u64(key) && o->told == 0);
  o->told = 1;
}

static uint64_t cost_of(struct cmap_key key, const void *object, void *ctx)
{
  (void)key;
  (void)object;
  (void)ctx;
  return 1;
}

static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  struct object *o = malloc(sizeof *o);

  (void)ctx;
  WORLD_CHECK(o != NULL);
  o->key = cmap_key_as_u64(key);
  o->content = CONTENT;
  o->told = 0;
  books.built++;
  *object = o;
  return CMAP_OK;
}

static enum cmap_status count_one(struct cmap_key key, void *object, void *ctx)
{
  (void)key;
  (void)object;
  ++*(size_t *)ctx;
  return CMAP_OK;
}

/* As many are in the map as are counted, which are queued. The walk shows none
 * that has expired. */
static void check_len(void)
{
  size_t count = 0, len = cmap_store_len(store);

  WORLD_OK(cmap_store_for_each(store, count_one, &count));
  WORLD_CHECK(count == len || (books.expires && count < len));
  WORLD_CHECK(len <= books.most);
}

static void create(uint64_t key)
{
  struct cmap_handle handle = CMAP_INIT;
  const struct object *object;

  WORLD_OK(cmap_store_get_or_create(store, cmap_key_u64(&key), &handle, build,
                                    NULL, NULL));
  object = handle.object;
  WORLD_CHECK(object->key == key && object->content == CONTENT);
  cmap_handle_release(&handle);
}

static void begin_store(bool all_enter, bool times)
{
  struct cmap_store_options options;
  unsigned most = 1 + (unsigned)world_choose(2);
  uint64_t present = world_choose(3);

  cmap_store_options_init(&options, CMAP_U64, destroy_object);
  options.keys = play_options(0);
  options.on_remove = tell;
  if (world_choose(3) > 0) {
    options.max_objects = most;
  } else {
    options.max_cost = most;
    options.cost = cost_of;
  }
  if (times && world_choose(3) == 0)
    options.ttl_ns = 1000000;
  books.built = books.destroyed = books.told = 0;
  books.most = most;
  books.all_enter = all_enter;
  books.expires = options.ttl_ns != 0;
  world_hide(&books, sizeof books);
  WORLD_OK(cmap_store_create(&options, &store));
  for (uint64_t i = 0; i < present; i++)
    create(LOW(i));
}

/* What comes now lets go of all that is there, if it is still known to the
 * queues. */
static void end(void)
{
  struct cmap_store_stats stats = {.size = sizeof stats};

  check_len();
  for (uint64_t i = 0; i < 2; i++) {
    create(LOW(10 + i));
    check_len();
  }
  WORLD_OK(cmap_store_get_stats(store, &stats));
  WORLD_CHECK(stats.evicted + stats.expired + stats.replaced + stats.removed +
                  stats.cleared ==
              books.told);
  WORLD_OK(cmap_store_destroy(store));
  WORLD_CHECK(books.built == books.destroyed);
}

static uint64_t any_key(void)
{
  static const uint64_t keys[KEYS] = {LOW(0), LOW(1), HIGH(2)};

  return keys[world_choose(KEYS)];
}

static void hit(uint64_t key)
{
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_status status =
      cmap_store_get(store, cmap_key_u64(&key), &handle, NULL);
  const struct object *object = handle.object;

  WORLD_CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
  if (status == CMAP_OK)
    WORLD_CHECK(object->key == key && object->content == CONTENT);
  cmap_handle_release(&handle);
}

/* While others put something in there is one too many for each of them. */
static void check_slack(void)
{
  WORLD_CHECK(cmap_store_len(store) <= books.most + THREADS - 1);
}

static void begin_evicted(void)
{
  begin_store(true, false);
}

static void act_evicted(unsigned thread)
{
  (void)thread;
  for (unsigned i = 0; i < TURNS; i++) {
    if (world_choose(3) == 0)
      hit(any_key());
    else
      create(any_key());
    check_slack();
  }
}

static void objects_make_room_for_others(void **state)
{
  static const struct scenario scenario = {.name = "evicted",
                                           .threads = THREADS,
                                           .begin = begin_evicted,
                                           .end = end,
                                           .act = act_evicted};

  (void)state;
  world_play(&scenario, world_runs());
}

static void begin_taken(void)
{
  begin_store(false, true);
}

static void take_out(uint64_t key)
{
  struct cmap_key k = cmap_key_u64(&key);
  struct cmap_handle handle = CMAP_INIT;
  void *object;

  switch (world_choose(4)) {
  case 0:
    WORLD_OK(build(k, &object, NULL));
    WORLD_OK(cmap_store_put(store, k, object, NULL, NULL));
    break;
  case 1:
    WORLD_OK(cmap_store_refresh(store, k, &handle, build, NULL, NULL));
    cmap_handle_release(&handle);
    break;
  case 2:
    WORLD_OK(cmap_store_clear(store));
    break;
  default:
    (void)!cmap_store_remove(store, k, NULL);
  }
}

static void act_taken(unsigned thread)
{
  for (unsigned i = 0; i < TURNS; i++) {
    uint64_t what = world_choose(3);

    if (thread == 0 || what == 0)
      take_out(any_key());
    else if (what == 1)
      hit(any_key());
    else
      create(any_key());
    check_slack();
  }
}

static void who_takes_one_out_tells_of_it(void **state)
{
  static const struct scenario scenario = {.name = "evicted and taken out",
                                           .threads = THREADS,
                                           .begin = begin_taken,
                                           .end = end,
                                           .act = act_taken};

  (void)state;
  world_play(&scenario, world_runs());
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(objects_make_room_for_others),
      cmocka_unit_test(who_takes_one_out_tells_of_it),
  };

  return cmocka_run_group_tests_name("store_evicted", tests, NULL, NULL);
}
