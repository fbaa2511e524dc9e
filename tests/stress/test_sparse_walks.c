/*
 * Walks over a map of many shards and few entries: threads put a key in, and
 * walk, and must meet it; take it out, walk, and must not. Shards become empty
 * and occupied all the time, so that walks note them as empty, and inserts take
 * that back, while others pass over them.
 */
#include "numbers.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

#include <string.h>

enum { THREADS = 4, FILLING = 20000, KEYS = 64 };

struct stage {
  struct cmap *map;
  size_t rounds; /* of each thread */
};

/* What one walk looks for. */
struct search {
  uint64_t key;
  unsigned met;
};

static enum cmap_status look(struct cmap_key key, const void *value, void *ctx)
{
  struct search *search = ctx;
  uint64_t number, copy;

  memcpy(&number, key.data, sizeof number);
  memcpy(&copy, value, sizeof copy);
  CHECK(number == copy);
  search->met += number == search->key;
  return CMAP_OK;
}

static void iterate(struct cmap *map, enum cmap_mode mode,
                    struct search *search)
{
  CMAP_AUTO(cmap_iter, iter);
  enum cmap_status status;

  CHECK_OK(cmap_iter_begin(map, mode, 0, 1, &iter));
  while ((status = cmap_iter_next(&iter, NULL)) == CMAP_OK)
    look(iter.key, iter.value, search);
  CHECK_STATUS(status, CMAP_NOT_FOUND);
}

static void scan(struct cmap *map, struct search *search)
{
  uint64_t keys[KEYS], values[KEYS], cursor = 0;
  struct cmap_scan_buffer buffer = {
      .size = sizeof buffer, .capacity = KEYS, .keys = keys, .values = values};
  enum cmap_status status;

  while ((status = cmap_scan(map, &cursor, 0, &buffer, NULL)) == CMAP_OK)
    for (size_t i = 0; i < buffer.count; i++)
      look(cmap_key_u64(&keys[i]), &values[i], search);
  CHECK_STATUS(status, CMAP_NOT_FOUND);
}

/* How often the key is met in a walk of some kind. */
static unsigned meetings(struct cmap *map, uint64_t key, struct random *random)
{
  struct search search = {.key = key};

  switch (random_below(random, 5)) {
  case 0:
    iterate(map, CMAP_READ, &search);
    break;
  case 1:
    iterate(map, CMAP_WRITE, &search);
    break;
  case 2:
    scan(map, &search);
    break;
  case 3:
    CHECK_OK(cmap_for_each(map, 0, 1, look, &search, NULL));
    break;
  default:
    CHECK_OK(cmap_view_all(map, look, &search, NULL));
  }
  return search.met;
}

static void come_and_go(unsigned index, void *ctx)
{
  const struct stage *stage = ctx;
  struct random random;

  random_begin(&random, index);
  for (size_t i = 0; i < stage->rounds && !checks_failed(); i++) {
    uint64_t key = random_next(&random) / THREADS * THREADS + index;
    numbers_put(stage->map, key, key);
    if (meetings(stage->map, key, &random) != 1)
      CHECK_NEVER("a walk does not meet a key once that is there");
    numbers_drop(stage->map, key);
    if (meetings(stage->map, key, &random) != 0)
      CHECK_NEVER("a walk meets a key that is gone");
  }
}

/* A map that was much fuller. */
static void play(unsigned flags)
{
  struct stage stage = {.rounds = test_scale(30000)};
  struct cmap_options options;

  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  options.flags = flags;
  options.shard_groups = 4;
  assert_ok(cmap_create(&options, &stage.map));
  for (uint64_t i = 0; i < FILLING; i++)
    numbers_put(stage.map, i, i);
  for (uint64_t i = 0; i < FILLING; i++)
    numbers_drop(stage.map, i);
  threads_run(THREADS, come_and_go, &stage);
  assert_true(cmap_is_empty(stage.map));
  assert_ok(cmap_check(stage.map, NULL, NULL));
  cmap_destroy(stage.map);
}

static void a_key_is_met_while_it_is_there(void **state)
{
  (void)state;
  (void)test_seed();
  play(0);
}

/* Emptied shards are merged meanwhile, and split again. */
static void and_shards_are_merged(void **state)
{
  (void)state;
  (void)test_seed();
  play(CMAP_AUTO_SHRINK);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_key_is_met_while_it_is_there),
      cmocka_unit_test(and_shards_are_merged),
  };

  return cmocka_run_group_tests_name("sparse_walks", tests, NULL, NULL);
}
