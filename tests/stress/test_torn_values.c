/*
 * Values that are changed under the eyes of lock-free readers: each read gives
 * one whole version, and never an older one than the read before.
 *
 * Each key has one writer, whose versions count up; so that a reader which
 * sees a version again that it has seen replaced is a failure too.
 */
#include "content.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

/* Few keys: most lie in the same groups. */
#define KEYS 6
enum { WRITERS = 2, READERS = 2 };

struct stage {
  struct test_map m;
  size_t rounds;       /* const */
  atomic_uint writing; /* writers that are not done */
};

static enum cmap_status set_version(struct cmap_key key, void *value, void *ctx)
{
  struct stage *stage = ctx;
  struct test_map *m = &stage->m;
  uint64_t id = key_id(&m->spec, key);
  uint64_t version = 0;

  CHECK(value_is_whole(m, id, value, &version));
  value_change(m, id, version + 1, value);
  return CMAP_OK;
}

static bool set_version_and_refuse(struct cmap_key key, void *value, void *ctx)
{
  set_version(key, value, ctx);
  return false;
}

static enum cmap_status put_version(struct cmap_key key, const void *old,
                                    void *fresh, enum cmap_action *action,
                                    void *ctx)
{
  struct stage *stage = ctx;
  struct test_map *m = &stage->m;
  uint64_t id = key_id(&m->spec, key);
  uint64_t version = 0;

  CHECK(value_is_whole(m, id, old, &version));
  value_make(m, id, version + 1, fresh);
  *action = CMAP_PUT;
  return CMAP_OK;
}

/* Brings the value of the key to the next version, in one of many ways. */
static void write_next(struct stage *stage, uint64_t id, uint64_t version,
                       unsigned way)
{
  struct test_map *m = &stage->m;
  struct value_room value;
  struct value_room before;
  struct key_room room;
  struct cmap_key key = key_make(&m->spec, id, &room);

  switch (way) {
  case 0:
    value_make(m, id, version, value.bytes);
    CHECK_OK(cmap_insert(m->map, key, value.bytes, NULL, NULL, NULL));
    break;
  case 1:
    CHECK_OK(cmap_alter(m->map, key, set_version, stage, NULL));
    break;
  case 2:
    CHECK_OK(cmap_compute(m->map, key, NULL, NULL, put_version, stage, NULL));
    break;
  case 3:
    value_make(m, id, version, value.bytes);
    CHECK_OK(cmap_swap(m->map, key, value.bytes, NULL, NULL));
    CHECK(value_is(m, id, version - 1, value.bytes));
    value_drop(m, value.bytes);
    break;
  case 4:
    value_make(m, id, version - 1, before.bytes);
    value_make(m, id, version, value.bytes);
    CHECK_OK(
        cmap_compare_exchange(m->map, key, before.bytes, value.bytes, NULL));
    value_drop(m, before.bytes);
    break;
  case 5:
    CHECK_STATUS(
        cmap_remove_if(m->map, key, set_version_and_refuse, stage, NULL, NULL),
        CMAP_MISMATCH);
    break;
  default: /* not there for a moment */
    CHECK_OK(cmap_remove(m->map, key, NULL, NULL));
    value_make(m, id, version, value.bytes);
    CHECK_OK(cmap_insert_new(m->map, key, value.bytes, NULL, NULL));
    break;
  }
}

static void write(struct stage *stage, unsigned index, struct random *random)
{
  uint64_t versions[KEYS] = {0};

  for (size_t i = 0; i < stage->rounds; i++) {
    uint64_t id = random_below(random, KEYS / WRITERS) * WRITERS + index;
    write_next(stage, id, ++versions[id], (unsigned)random_below(random, 7));
  }
  atomic_fetch_sub_explicit(&stage->writing, 1, memory_order_relaxed);
}

static void read_on(struct stage *stage, struct random *random)
{
  struct test_map *m = &stage->m;
  uint64_t last[KEYS] = {0};
  struct value_room value;
  struct key_room room;

  while (atomic_load_explicit(&stage->writing, memory_order_relaxed) > 0) {
    uint64_t id = random_below(random, KEYS);
    uint64_t version = 0;
    enum cmap_status status =
        cmap_get(m->map, key_make(&m->spec, id, &room), value.bytes, NULL);
    if (status == CMAP_NOT_FOUND) {
      continue; /* between its removal and its insertion */
    }
    CHECK_STATUS(status, CMAP_OK);
    CHECK(value_is_whole(m, id, value.bytes, &version));
    CHECK(version >= last[id]);
    last[id] = version;
    value_drop(m, value.bytes);
  }
}

static void act(unsigned index, void *ctx)
{
  struct random random;

  random_begin(&random, index);
  if (index < WRITERS) {
    write(ctx, index, &random);
  } else {
    read_on(ctx, &random);
  }
}

static const struct map_spec specs[] = {
    {.keys = KEYS_U64, .value_size = 64},
    {.keys = KEYS_U64, .value_size = 200},
    {.keys = KEYS_U64, .value_size = 8},
    {.keys = KEYS_U32, .value_size = 12},
    {.keys = KEYS_FIXED_16, .value_size = 256},
    {.keys = KEYS_BYTES, .value_size = 64},
    {.keys = KEYS_U64, .value_size = 1000}, /* in boxes */
    {.keys = KEYS_BYTES, .value_size = 300, .shard_groups = 1},
    {.keys = KEYS_U64, .value_size = 64, .care = VALUES_OWNED},
    {.keys = KEYS_CUSTOM_OWNED, .value_size = 64, .hash = HASH_CONSTANT},
};

static void run(const struct map_spec *spec)
{
  static struct stage stage;
  struct value_room value;
  struct key_room room;

  test_map_open(&stage.m, spec);
  stage.rounds = test_scale(400000);
  atomic_init(&stage.writing, WRITERS);
  for (uint64_t id = 0; id < KEYS; id++) {
    value_make(&stage.m, id, 0, value.bytes);
    assert_ok(cmap_insert(stage.m.map, key_make(spec, id, &room), value.bytes,
                          NULL, NULL, NULL));
  }
  threads_run(WRITERS + READERS, act, &stage);
  assert_int_equal(cmap_len(stage.m.map), KEYS);
  test_map_close(&stage.m);
}

static void values_are_whole(void **state)
{
  struct soak soak;

  (void)state;
  soak_begin(&soak, 1);
  do {
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
      run(&specs[i]);
    }
  } while (soak_again(&soak));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_are_whole),
  };

  return cmocka_run_group_tests_name("torn_values", tests, NULL, NULL);
}
