/*
 * Readers against storage that is used again and again: the two models of
 * docs/memory-model.md on real threads, as fast as one thread can replace
 * shards.
 *
 *   split and merge  shards of one group split by a few keys that come, and
 *                    merge when these are gone; a block that was one shard's
 *                    is another's a moment later
 *   rebuild          one shard grows and shrinks, back and forth between the
 *                    same blocks; all keys collide, so that a probe crosses
 *                    groups and each rebuild lays the keys out anew
 *
 * Permanent keys must always be found. One key comes and goes: a read during
 * which it neither came nor went must say how it is.
 */
#include "numbers.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

#define TESTS 2

struct stage {
  struct cmap *map;
  size_t rounds;       /* const */
  uint64_t permanent;  /* const: keys below are always present, and keys from
                          there on come and go, unseen by the readers */
  size_t room;         /* const: what is reserved, to make shards grow; 0:
                          they are split instead */
  atomic_uint changes; /* of the key that comes and goes: two a change, odd
                          while it happens, present after an odd number */
  atomic_bool over;
};

/* The key that comes and goes. */
#define GUEST     UINT64_C(1000000)
/* Keys from here on are never inserted. */
#define ABSENT    UINT64_C(2000000)
/* So many keys more make shards split. */
#define SPLITTING 24

static void change_guest(struct stage *stage)
{
  unsigned changes =
      atomic_load_explicit(&stage->changes, memory_order_relaxed);

  atomic_store(&stage->changes, changes + 1);
  if (changes / 2 % 2 == 0) {
    numbers_put(stage->map, GUEST, 1);
  } else {
    numbers_drop(stage->map, GUEST);
  }
  atomic_store(&stage->changes, changes + 2);
}

static void read_guest(struct stage *stage)
{
  unsigned before = atomic_load(&stage->changes);
  bool present = numbers_has(stage->map, GUEST);

  if (before % 2 == 0 && atomic_load(&stage->changes) == before) {
    CHECK(present == (before / 2 % 2 == 1));
  }
}

static void read_on(struct stage *stage, struct random *random)
{
  uint64_t first = random_next(random);

  while (!atomic_load_explicit(&stage->over, memory_order_relaxed)) {
    for (uint64_t i = 0; i < stage->permanent; i++) {
      uint64_t id = (first + i) % stage->permanent;
      CHECK(numbers_get(stage->map, id) == random_mix(id));
      read_guest(stage);
    }
    CHECK(!numbers_has(stage->map, ABSENT + first % 100));
  }
}

static void split_and_merge(struct stage *stage, struct random *random)
{
  uint64_t end = stage->permanent + SPLITTING;

  for (size_t round = 0; round < stage->rounds; round++) {
    for (uint64_t id = stage->permanent; id < end; id++) {
      numbers_put(stage->map, id, 0);
    }
    if (random_once_in(random, 2)) {
      change_guest(stage);
    }
    for (uint64_t id = stage->permanent; id < end; id++) {
      numbers_drop(stage->map, id);
    }
    CHECK_OK(cmap_shrink_to_fit(stage->map, NULL));
    if (random_once_in(random, 2)) {
      change_guest(stage);
    }
  }
}

/* Between the same two sizes, so that the same blocks come back soon. */
static void rebuild(struct stage *stage, struct random *random)
{
  for (size_t round = 0; round < stage->rounds; round++) {
    uint64_t end = stage->permanent + random_below(random, stage->room / 4);
    CHECK_OK(cmap_reserve(stage->map, stage->room, NULL));
    /* What is removed again leaves gaps: the rest is laid out anew. */
    for (uint64_t id = stage->permanent; id < end; id++) {
      numbers_put(stage->map, id, 0);
    }
    if (random_once_in(random, 2)) {
      change_guest(stage);
    }
    for (uint64_t id = stage->permanent; id < end; id++) {
      numbers_drop(stage->map, id);
    }
    CHECK_OK(cmap_shrink_to_fit(stage->map, NULL));
  }
}

static void act(unsigned index, void *ctx)
{
  struct stage *stage = ctx;
  struct random random;

  random_begin(&random, index);
  if (index > 0) {
    read_on(stage, &random);
    return;
  }
  if (stage->room == 0) {
    split_and_merge(stage, &random);
  } else {
    rebuild(stage, &random);
  }
  atomic_store_explicit(&stage->over, true, memory_order_relaxed);
}

static uint64_t same_hash(struct cmap_key key, void *ctx)
{
  (void)key;
  (void)ctx;
  return 7;
}

static void run(struct stage *stage, struct cmap *map, unsigned readers)
{
  stage->map = map;
  atomic_init(&stage->changes, 0);
  atomic_init(&stage->over, false);
  for (uint64_t id = 0; id < stage->permanent; id++) {
    numbers_put(map, id, random_mix(id));
  }
  threads_run(1 + readers, act, stage);
  cmap_destroy(map);
  checks_assert();
}

/* One reader has a processor of its own; many are interrupted in the middle of
   a probe, and find the storage several lives later. */
static void shards_split_and_merge(void **state)
{
  struct stage stage = {.permanent = 6};
  struct soak soak;

  (void)state;
  stage.rounds = test_scale(20000);
  soak_begin(&soak, TESTS);
  do {
    run(&stage, numbers_open_small(), 1);
    run(&stage, numbers_open_small(), 5);
  } while (soak_again(&soak));
}

static struct cmap *open_colliding(void)
{
  struct cmap_options options;
  struct cmap *map = NULL;

  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  options.key_hash = same_hash;
  assert_ok(cmap_create(&options, &map));
  return map;
}

static void a_shard_is_rebuilt_back_and_forth(void **state)
{
  struct stage few = {.permanent = 30, .room = 100};
  struct stage many = {.permanent = 90, .room = 160};
  struct soak soak;

  (void)state;
  few.rounds = test_scale(15000);
  many.rounds = test_scale(50000);
  soak_begin(&soak, TESTS);
  do {
    run(&few, numbers_open(), 1);
    run(&few, numbers_open(), 2);
    run(&few, open_colliding(), 1);
    run(&many, open_colliding(), 5);
  } while (soak_again(&soak));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shards_split_and_merge),
      cmocka_unit_test(a_shard_is_rebuilt_back_and_forth),
  };

  return cmocka_run_group_tests_name("recycled_blocks", tests, NULL, NULL);
}
