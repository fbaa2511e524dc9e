/*
 * cmap_equal lends the shard that it holds of one map while it waits for one of
 * the other, and looks at nothing in it any more: the entry may be gone.
 */
#include "asleep.h"
#include "checks.h"
#include "threads.h"

#include <string.h>

/* What a key points to: dead when the map has let it go. */
struct thing {
  uint64_t id;
  atomic_bool alive;
};

static struct thing *thing_of(struct cmap_key key)
{
  struct thing *thing;

  memcpy(&thing, key.data, sizeof thing);
  CHECK(atomic_load(&thing->alive));
  return thing;
}

static uint64_t hash_thing(struct cmap_key key, void *ctx)
{
  (void)ctx;
  return thing_of(key)->id;
}

static bool equal_things(struct cmap_key stored, struct cmap_key key, void *ctx)
{
  (void)ctx;
  return thing_of(stored)->id == thing_of(key)->id;
}

static enum cmap_status keep_thing(struct cmap_key key, void *stored, void *ctx)
{
  (void)ctx;
  memcpy(stored, key.data, sizeof(struct thing *));
  return CMAP_OK;
}

static void drop_thing(void *stored, void *ctx)
{
  struct thing *thing;

  (void)ctx;
  memcpy(&thing, stored, sizeof thing);
  atomic_store(&thing->alive, false);
}

static struct cmap_key key_of(struct thing *const *thing)
{
  struct cmap_key key = {thing, sizeof *thing};

  return key;
}

static struct cmap *with_one(struct thing *thing)
{
  struct cmap_options options;
  struct cmap *map = NULL;
  uint64_t value = 1;

  cmap_options_init(&options, CMAP_CUSTOM, sizeof value);
  options.key_size = sizeof thing;
  options.key_hash = hash_thing;
  options.key_equal = equal_things;
  options.key_copy = keep_thing;
  options.key_destroy = drop_thing;
  CHECK_OK(cmap_create(&options, &map));
  CHECK_OK(cmap_insert(map, key_of(&thing), &value, NULL, NULL, NULL));
  return map;
}

struct scene {
  struct cmap *maps[2];
  struct asleep sleeper;
};

static void compare(unsigned index, void *ctx)
{
  struct scene *scene = ctx;
  bool equal;

  (void)index;
  asleep_here(&scene->sleeper);
  CHECK_OK(cmap_equal(scene->maps[0], scene->maps[1], &equal, NULL));
}

/* Whichever of the two maps it holds, and waits for. */
static void a_lent_entry_is_not_looked_at(void **state)
{
  (void)state;
  for (int lower = 0; lower < 2; lower++) {
    struct thing things[3] = {{7, true}, {7, true}, {7, true}};
    struct thing *seven = &things[2];
    struct cmap_write_guard guard = CMAP_INIT;
    struct thread thread;
    struct scene scene;
    bool removed;
    int held;

    for (int i = 0; i < 2; i++)
      scene.maps[i] = with_one(&things[i]);
    /* cmap_equal holds the one at the lower address first. */
    held = (scene.maps[0] < scene.maps[1]) != lower;
    asleep_begin(&scene.sleeper);
    CHECK_OK(cmap_get_mut(scene.maps[held], key_of(&seven), &guard, NULL));
    thread_start(&thread, compare, 0, &scene);
    asleep_wait(&scene.sleeper);
    /* Of the other map; if that is held, the circle would be closed. */
    CHECK_OK(cmap_remove(scene.maps[!held], key_of(&seven), NULL, NULL));
    removed = !atomic_load(&things[!held].alive);
    CHECK_OK(cmap_write_guard_release(&guard));
    thread_join(&thread);
    CHECK(removed);
    for (int i = 0; i < 2; i++)
      cmap_destroy(scene.maps[i]);
    checks_assert();
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_lent_entry_is_not_looked_at),
  };

  return cmocka_run_group_tests_name("equal_lent", tests, NULL, NULL);
}
