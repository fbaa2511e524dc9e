/*
 * What a call is to insert is its caller's, whatever it sees of other threads'
 * values on the way: a value that is inserted goes in as it was given.
 */
#include <string.h>

#include "checks.h"
#include "settings.h"
#include "threads.h"

enum { MOST = 300, OTHERS = 2 };

static const uint64_t id = 7;

struct scene {
  struct cmap *map;
  size_t size;
  atomic_bool ends;
};

static struct cmap_key the_key(void)
{
  return cmap_key_u64(&id);
}

static bool is_all(const unsigned char *bytes, size_t size, unsigned char byte)
{
  for (size_t i = 0; i < size; i++)
    if (bytes[i] != byte)
      return false;
  return true;
}

static void come_and_go(unsigned index, void *ctx)
{
  struct scene *scene = ctx;
  unsigned char theirs[MOST];

  (void)index;
  memset(theirs, 0xaa, sizeof theirs);
  while (!atomic_load(&scene->ends)) {
    CHECK_OK(cmap_insert(scene->map, the_key(), theirs, NULL, NULL, NULL));
    (void)!cmap_remove(scene->map, the_key(), NULL, NULL);
  }
}

static enum cmap_status make_mine(struct cmap_key key, void *value, void *ctx)
{
  struct scene *scene = ctx;

  (void)key;
  memset(value, 0x22, scene->size);
  return (enum cmap_status)USER_STATUS;
}

static void run(size_t size)
{
  struct scene scene = {.size = size};
  struct thread others[OTHERS];
  unsigned char mine[MOST], out[MOST];
  struct cmap_options options;
  enum cmap_event event;

  cmap_options_init(&options, CMAP_U64, size);
  assert_ok(cmap_create(&options, &scene.map));
  atomic_init(&scene.ends, false);
  for (unsigned i = 0; i < OTHERS; i++)
    thread_start(&others[i], come_and_go, i, &scene);
  for (size_t n = test_scale(100000); n > 0; n--) {
    memset(mine, 0x11, size);
    assert_ok(cmap_get_or_insert(scene.map, the_key(), mine, &event, NULL));
    if (event == CMAP_INSERTED) {
      CHECK(is_all(mine, size, 0x11));
      if (cmap_remove(scene.map, the_key(), out, NULL) == CMAP_OK)
        CHECK(is_all(out, size, 0x11) || is_all(out, size, 0xaa));
    } else {
      CHECK(is_all(mine, size, 0xaa));
      (void)!cmap_remove(scene.map, the_key(), NULL, NULL);
    }
    memset(mine, 0x11, size);
    if (cmap_get_or_insert_with(scene.map, the_key(), mine, NULL, make_mine,
                                &scene, NULL) == (enum cmap_status)USER_STATUS)
      CHECK(is_all(mine, size, 0x11));
  }
  atomic_store(&scene.ends, true);
  for (unsigned i = 0; i < OTHERS; i++)
    thread_join(&others[i]);
  cmap_destroy(scene.map);
  checks_assert();
}

static void words(void **state)
{
  (void)state;
  run(32);
}

static void boxes(void **state)
{
  (void)state;
  run(MOST);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(words),
      cmocka_unit_test(boxes),
  };

  return cmocka_run_group_tests_name("own_bytes", tests, NULL, NULL);
}
