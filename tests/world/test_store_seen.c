/*
 * A.2 of the store: what a thread did before it changed the store happens
 * before what another does after a call that tells of the change, be it by a
 * mere number.
 */
#include "play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { LOOKS = 3 };

static struct cmap_store *store;
static long data; /* plain */

static struct cmap_key key(void)
{
  static const uint64_t id = LOW(1);

  return cmap_key_u64(&id);
}

static enum cmap_status build(struct cmap_key at, void **object, void *ctx)
{
  (void)at;
  (void)ctx;
  *object = &data;
  return CMAP_OK;
}

static void write_put(void)
{
  WORLD_OK(cmap_store_put(store, key(), &data, NULL, NULL));
}

static void write_create(void)
{
  struct cmap_handle handle = CMAP_INIT;

  WORLD_OK(cmap_store_get_or_create(store, key(), &handle, build, NULL, NULL));
  cmap_handle_release(&handle);
}

static void write_remove(void)
{
  (void)cmap_store_remove(store, key(), NULL);
}

static void write_clear(void)
{
  WORLD_OK(cmap_store_clear(store));
}

static struct cmap_store_stats stats_of(void)
{
  struct cmap_store_stats stats = {.size = sizeof stats};

  WORLD_OK(cmap_store_get_stats(store, &stats));
  return stats;
}

static uint64_t look_len(void)
{
  return cmap_store_len(store);
}

static uint64_t look_get(void)
{
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_status status = cmap_store_get(store, key(), &handle, NULL);

  cmap_handle_release(&handle);
  return status == CMAP_OK;
}

/* Each number by itself, as any one of them can tell. */
static unsigned number;

static uint64_t look_number(void)
{
  struct cmap_store_stats stats = stats_of();

  return ((const uint64_t[]){stats.objects, stats.done, stats.replaced,
                             stats.removed, stats.cleared})[number];
}

static void (*const writes[])(void) = {write_create, write_put, write_put,
                                       write_remove, write_clear};
static uint64_t (*const looks[])(void) = {look_len, look_get, look_number};

static struct {
  void (*write)(void);
  uint64_t (*look)(void);
  uint64_t before;
} now;

static void begin(void)
{
  struct cmap_store_options options;
  uint64_t way = world_choose(5);

  cmap_store_options_init(&options, CMAP_U64, NULL);
  options.keys = play_options(0);
  WORLD_OK(cmap_store_create(&options, &store));
  if (way >= 2)
    write_put();
  now.write = writes[way];
  number = (unsigned)(world_choose(2) == 0 ? way : world_choose(5));
  now.look = looks[world_choose(3)];
  now.before = now.look();
  data = 0;
}

static void act(unsigned thread)
{
  if (thread == 0) {
    data = 42;
    now.write();
    return;
  }
  for (unsigned i = 0; i < LOOKS; i++) {
    if (now.look() != now.before) {
      WORLD_CHECK(data == 42);
      return;
    }
  }
}

static void end(void)
{
  WORLD_OK(cmap_store_destroy(store));
}

static void what_was_before_a_seen_change_is_known(void **state)
{
  static const struct scenario scenario = {.name = "seen changes of a store",
                                           .threads = 2,
                                           .begin = begin,
                                           .end = end,
                                           .act = act};

  (void)state;
  world_play(&scenario, world_runs());
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_before_a_seen_change_is_known),
  };

  return cmocka_run_group_tests_name("store_seen", tests, NULL, NULL);
}
