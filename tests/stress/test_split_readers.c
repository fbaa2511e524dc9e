/*
 * Readers while shards split, merge and are rebuilt: a permanent key is never
 * absent, a key that nobody inserts is never present, and every value is whole.
 */
#include <stdatomic.h>

#include "content.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

/* Threads by index. */
enum { WRITERS = 2, SHRINKER = WRITERS, READERS = 2 };
#define THREADS (WRITERS + 1 + READERS)
/* Ids that are never inserted, behind the others. */
#define ABSENT  64

struct stage {
  struct test_map m;
  uint64_t permanent;  /* const: ids below are always present */
  uint64_t end;        /* const: ids below come and go */
  size_t waves;        /* const */
  atomic_uint writing; /* writers that are not done */
};

static bool writers_work(struct stage *stage)
{
  /* Relaxed: only ends the loops of the others. */
  return atomic_load_explicit(&stage->writing, memory_order_relaxed) > 0;
}

static void put(struct stage *stage, uint64_t id, uint64_t version)
{
  struct test_map *m = &stage->m;
  struct value_room value;
  struct key_room room;

  value_make(m, id, version, value.bytes);
  CHECK_OK(cmap_insert(m->map, key_make(&m->spec, id, &room), value.bytes, NULL,
                       NULL, NULL));
}

/* The value of a key that only the calling thread writes. */
static void check_own(struct stage *stage, uint64_t id, bool present,
                      uint64_t version)
{
  struct test_map *m = &stage->m;
  struct value_room value;
  struct key_room room;
  enum cmap_status status =
      cmap_get(m->map, key_make(&m->spec, id, &room), value.bytes, NULL);

  CHECK_STATUS(status, present ? CMAP_OK : CMAP_NOT_FOUND);
  if (status == CMAP_OK) {
    CHECK(value_is(m, id, version, value.bytes));
    value_drop(m, value.bytes);
  }
}

/* Waves: inserts all of this writer's ids, then removes them. */
static void write(struct stage *stage, unsigned index, struct random *random)
{
  struct test_map *m = &stage->m;
  struct key_room room;
  uint64_t first = stage->permanent + index;

  for (size_t wave = 1; wave <= stage->waves; wave++) {
    for (uint64_t id = first; id < stage->end; id += WRITERS) {
      put(stage, id, wave);
      check_own(stage, id, true, wave);
      if (random_once_in(random, 4)) {
        put(stage, random_below(random, stage->permanent), wave);
      }
    }
    for (uint64_t id = first; id < stage->end; id += WRITERS) {
      CHECK_OK(cmap_remove(m->map, key_make(&m->spec, id, &room), NULL, NULL));
      check_own(stage, id, false, 0);
    }
  }
  atomic_fetch_sub_explicit(&stage->writing, 1, memory_order_relaxed);
}

static void shrink(struct stage *stage, struct random *random)
{
  while (writers_work(stage)) {
    CHECK_OK(cmap_shrink_to_fit(stage->m.map, NULL));
    if (random_once_in(random, 16)) {
      CHECK_OK(cmap_reserve(stage->m.map, (size_t)stage->end, NULL));
    }
  }
}

struct walk {
  struct stage *stage;
  size_t permanent; /* permanent ids met */
};

static enum cmap_status meet(struct cmap_key key, const void *value, void *ctx)
{
  struct walk *walk = ctx;
  struct test_map *m = &walk->stage->m;
  uint64_t id = key_id(&m->spec, key);
  uint64_t version = 0;

  CHECK(id < walk->stage->end);
  CHECK(value_is_whole(m, id, value, &version));
  walk->permanent += id < walk->stage->permanent;
  return CMAP_OK;
}

static enum cmap_status see(struct cmap_key key, const void *value, void *ctx)
{
  struct test_map *m = ctx;
  uint64_t version = 0;

  CHECK(value_is_whole(m, key_id(&m->spec, key), value, &version));
  return CMAP_OK;
}

/* What may a read of this id say? */
static void check_status_of(const struct stage *stage, uint64_t id,
                            enum cmap_status status, enum cmap_status found)
{
  if (id < stage->permanent) {
    CHECK_STATUS(status, found);
  } else if (id >= stage->end) {
    CHECK_STATUS(status, CMAP_NOT_FOUND);
  } else {
    CHECK(status == found || status == CMAP_NOT_FOUND);
  }
}

static void read_one(struct stage *stage, uint64_t id, struct random *random)
{
  struct test_map *m = &stage->m;
  struct value_room value;
  struct key_room room;
  struct cmap_key key = key_make(&m->spec, id, &room);
  uint64_t version = 0;
  enum cmap_status status;

  switch (random_below(random, 16)) {
  case 0:
    status = cmap_view(m->map, key, see, m, NULL);
    break;
  case 1:
  case 2:
  case 3:
    status = cmap_contains(m->map, key, NULL);
    break;
  default:
    status = cmap_get(m->map, key, value.bytes, NULL);
    if (status == CMAP_OK) {
      CHECK(value_is_whole(m, id, value.bytes, &version));
      value_drop(m, value.bytes);
    }
    break;
  }
  check_status_of(stage, id, status, CMAP_OK);
}

static void read_on(struct stage *stage, struct random *random)
{
  struct test_map *m = &stage->m;
  struct key_room room;

  while (writers_work(stage)) {
    struct walk walk = {stage, 0};
    for (int i = 0; i < 1000; i++) {
      read_one(stage, random_below(random, stage->end + ABSENT), random);
      read_one(stage, random_below(random, stage->permanent), random);
    }
    if (m->spec.care == VALUES_PLAIN && m->spec.value_size == 0) {
      uint64_t id = random_below(random, stage->permanent);
      CHECK_STATUS(cmap_insert_new(m->map, key_make(&m->spec, id, &room), NULL,
                                   NULL, NULL),
                   CMAP_EXISTS);
    }
    CHECK_OK(cmap_view_all(m->map, meet, &walk, NULL));
    CHECK(walk.permanent == stage->permanent);
  }
}

static void act(unsigned index, void *ctx)
{
  struct stage *stage = ctx;
  struct random random;

  random_begin(&random, index);
  if (index < WRITERS) {
    write(stage, index, &random);
  } else if (index == SHRINKER) {
    shrink(stage, &random);
  } else {
    read_on(stage, &random);
  }
}

/* Small shards split all the time; large ones are rebuilt; with poor hashes
   probes go through many groups. */
static const struct map_spec specs[] = {
    {.keys = KEYS_U64, .value_size = 64, .shard_groups = 1},
    {.keys = KEYS_U64, .value_size = 8, .shard_groups = 1},
    {.keys = KEYS_U32, .value_size = 0, .shard_groups = 1},
    {.keys = KEYS_FIXED_16, .value_size = 64, .shard_groups = 2},
    {.keys = KEYS_STRING, .value_size = 64, .shard_groups = 1},
    {.keys = KEYS_U64, .value_size = 64},
    {.keys = KEYS_U64, .value_size = 64, .hash = HASH_GOOD_32},
    {.keys = KEYS_U64, .value_size = 64, .hash = HASH_LOW_4},
    {.keys = KEYS_FIXED_3,
     .value_size = 12,
     .hash = HASH_CONSTANT,
     .shard_groups = 1},
    {.keys = KEYS_U64, .value_size = 300, .shard_groups = 1},
    {.keys = KEYS_CUSTOM_OWNED,
     .value_size = 64,
     .care = VALUES_OWNED,
     .shard_groups = 1},
};
#define SPECS (sizeof specs / sizeof *specs)

static void run(const struct map_spec *spec)
{
  static struct stage stage;
  bool slow = map_spec_is_slow(spec);

  test_map_open(&stage.m, spec);
  stage.permanent = slow ? 20 : 100;
  stage.end = slow ? 120 : 1500;
  stage.waves = test_scale(slow ? 300 : 150);
  atomic_init(&stage.writing, WRITERS);
  for (uint64_t id = 0; id < stage.permanent; id++) {
    put(&stage, id, 0);
  }
  threads_run(THREADS, act, &stage);
  assert_int_equal(cmap_len(stage.m.map), stage.permanent);
  checks_about(map_spec_name(spec));
  test_map_close(&stage.m);
}

static void readers_while_shards_split(void **state)
{
  struct soak soak;

  (void)state;
  soak_begin(&soak, 1);
  do {
    for (size_t i = 0; i < SPECS; i++) {
      run(&specs[i]);
    }
  } while (soak_again(&soak));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(readers_while_shards_split),
  };

  return cmocka_run_group_tests_name("split_readers", tests, NULL, NULL);
}
