/*
 * Threads that merely take and release read guards, and walk, while another
 * one freezes and thaws: what they are shown does not change.
 */
#include "checks.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

#include <sched.h>
#include <stdatomic.h>

#define KEYS 100
enum { READERS = 2, LOOKS = 100 };

struct stage {
  struct cmap *map;
  atomic_bool stop; /* relaxed would do: the joins order all else */
};

/* Plain loads, so that ThreadSanitizer sees them. The two words are alike in
 * every version. */
static void look(const void *value)
{
  const volatile uint64_t *words = value;
  uint64_t first = words[0];

  for (int i = 0; i < LOOKS; i++)
    CHECK(words[i % 2] == first);
}

static void read_by_guards(unsigned index, void *ctx)
{
  struct stage *stage = ctx;
  struct random random;

  random_begin(&random, index);
  while (!atomic_load(&stage->stop)) {
    struct cmap_read_guard guard = CMAP_INIT;
    uint64_t key = random_below(&random, KEYS);
    CHECK_OK(cmap_get_ref(stage->map, cmap_key_u64(&key), &guard, NULL));
    look(guard.value);
    cmap_read_guard_release(&guard);
  }
}

static void read_by_walks(unsigned index, void *ctx)
{
  struct stage *stage = ctx;

  (void)index;
  while (!atomic_load(&stage->stop)) {
    struct cmap_iter iter = CMAP_INIT;
    CHECK_OK(cmap_iter_begin(stage->map, CMAP_READ, 0, 1, &iter));
    for (int i = 0; i < 10 && cmap_iter_next(&iter, NULL) == CMAP_OK; i++)
      look(iter.value);
    cmap_iter_release(&iter);
  }
}

static enum cmap_status put(struct cmap *map, uint64_t key, uint64_t version)
{
  uint64_t value[2] = {version, version};

  return cmap_insert(map, cmap_key_u64(&key), value, NULL, NULL, NULL);
}

static void write_on(unsigned index, void *ctx)
{
  struct stage *stage = ctx;
  struct random random;

  random_begin(&random, index);
  for (uint64_t version = 1; !atomic_load(&stage->stop); version++) {
    enum cmap_status status =
        put(stage->map, random_below(&random, KEYS), version);
    CHECK(status == CMAP_OK || status == CMAP_FROZEN);
  }
}

static void nothing_changes_under_a_guard(void **state)
{
  struct stage stage;
  struct thread threads[READERS + 1];
  struct cmap_options options;

  (void)state;
  cmap_options_init(&options, CMAP_U64, 2 * sizeof(uint64_t));
  assert_ok(cmap_create(&options, &stage.map));
  atomic_init(&stage.stop, false);
  for (uint64_t key = 0; key < KEYS; key++)
    assert_ok(put(stage.map, key, 0));
  thread_start(&threads[0], read_by_guards, 0, &stage);
  thread_start(&threads[1], read_by_walks, 1, &stage);
  thread_start(&threads[2], write_on, 2, &stage);
  for (size_t round = test_scale(30); round > 0; round--) {
    assert_ok(cmap_freeze(stage.map, NULL));
    sched_yield();
    assert_ok(cmap_thaw(stage.map));
    sched_yield();
  }
  atomic_store(&stage.stop, true);
  for (size_t i = 0; i <= READERS; i++)
    thread_join(&threads[i]);
  cmap_destroy(stage.map);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_changes_under_a_guard),
  };

  return cmocka_run_group_tests_name("frozen_guards", tests, NULL, NULL);
}
