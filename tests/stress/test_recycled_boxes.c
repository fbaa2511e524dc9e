/*
 * Readers against the memory of keys and values that is used again and again:
 * long keys and large values (table/box.h) on real threads.
 *
 * Writers replace the values of permanent keys, and insert and remove others,
 * whose keys have many lengths, so that a box is another key's or a value a
 * moment later, of another size; one gives memory back meanwhile, where pages
 * read as zero from then on. A reader always finds a permanent key, and what it
 * finds of any is a whole value of that very key.
 */
#include <string.h>

#include "random.h"
#include "settings.h"
#include "threads.h"

enum { PERMANENT = 8, GUESTS = 64, WRITERS = 2, READERS = 2 };

#define VALUE_MOST 300

struct plan {
  size_t long_key;   /* bytes of a permanent key */
  size_t value_size; /* a multiple of 4, from 8 on */
  size_t shard_groups;
  size_t rounds;
};

struct stage {
  const struct plan *plan;
  struct cmap *map;
  size_t rounds;       /* const */
  atomic_uint writing; /* writers that are not done */
};

struct key_bytes {
  char bytes[700];
};

/* Ids below PERMANENT are always there. Every third of the others lies in its
 * slot. */
static struct cmap_key make_key(const struct plan *plan, uint64_t id,
                                struct key_bytes *room)
{
  size_t size = plan->long_key;

  if (id >= PERMANENT && id % 3 == 0)
    size = 8 + id % 8;
  else if (id >= PERMANENT)
    size = 24 + (size_t)random_mix(id) % (sizeof room->bytes - 24);
  for (size_t i = 0; i < size; i++)
    room->bytes[i] = (char)(i < 8 ? id >> (8 * i) : 'a' + (id + i) % 26);
  return cmap_key_bytes(room->bytes, size);
}

static void make_value(const struct plan *plan, uint64_t id, uint32_t version,
                       uint32_t *words)
{
  words[0] = version;
  for (size_t i = 1; i < plan->value_size / 4; i++)
    words[i] = (uint32_t)random_mix(id * 1000 + i) + version;
}

static bool is_whole(const struct plan *plan, uint64_t id,
                     const uint32_t *words)
{
  uint32_t expected[VALUE_MOST / 4];

  make_value(plan, id, words[0], expected);
  return memcmp(words, expected, plan->value_size) == 0;
}

static void put(struct stage *stage, uint64_t id, uint32_t version)
{
  uint32_t words[VALUE_MOST / 4];
  struct key_bytes room;

  make_value(stage->plan, id, version, words);
  CHECK_OK(cmap_insert(stage->map, make_key(stage->plan, id, &room), words,
                       NULL, NULL, NULL));
}

/* Each has guests of its own. */
static void write_on(struct stage *stage, unsigned index, struct random *random)
{
  struct key_bytes room;

  for (size_t i = 0; i < stage->rounds; i++) {
    uint64_t first = PERMANENT + random_below(random, GUESTS / WRITERS);
    uint64_t end = first + random_below(random, 12);

    for (uint64_t id = first; id < end; id++)
      put(stage, id * WRITERS + index, (uint32_t)i);
    put(stage, random_below(random, PERMANENT), (uint32_t)i);
    for (uint64_t id = first; id < end; id++)
      CHECK_OK(cmap_remove(stage->map,
                           make_key(stage->plan, id * WRITERS + index, &room),
                           NULL, NULL));
    if (random_once_in(random, 8))
      CHECK_OK(cmap_shrink_to_fit(stage->map, NULL));
  }
  atomic_fetch_sub_explicit(&stage->writing, 1, memory_order_relaxed);
}

static void read_on(struct stage *stage, struct random *random)
{
  uint32_t words[VALUE_MOST / 4];
  struct key_bytes room;

  while (atomic_load_explicit(&stage->writing, memory_order_relaxed) > 0) {
    uint64_t id = random_once_in(random, 2)
                      ? random_below(random, PERMANENT)
                      : random_below(random, PERMANENT + 2 * GUESTS);
    enum cmap_status status =
        cmap_get(stage->map, make_key(stage->plan, id, &room), words, NULL);

    CHECK(status == CMAP_OK || (id >= PERMANENT && status == CMAP_NOT_FOUND));
    CHECK(status != CMAP_OK || is_whole(stage->plan, id, words));
  }
}

static void act(unsigned index, void *ctx)
{
  struct random random;

  random_begin(&random, index);
  if (index < WRITERS)
    write_on(ctx, index, &random);
  else
    read_on(ctx, &random);
}

static void run(const struct plan *plan)
{
  static struct stage stage;
  struct cmap_options options;
  const char *broken = NULL;

  stage.plan = plan;
  stage.rounds = test_scale(plan->rounds);
  cmap_options_init(&options, CMAP_BYTES, plan->value_size);
  options.shard_groups = plan->shard_groups;
  assert_ok(cmap_create(&options, &stage.map));
  for (uint64_t id = 0; id < PERMANENT; id++)
    put(&stage, id, 0);
  atomic_init(&stage.writing, WRITERS);
  threads_run(WRITERS + READERS, act, &stage);
  assert_int_equal(cmap_len(stage.map), PERMANENT);
  assert_ok(cmap_check(stage.map, &broken, NULL));
  cmap_destroy(stage.map);
}

static void boxes_are_used_again(void **state)
{
  static const struct plan plans[] = {
      {36, 8, 1, 3000},    /* keys in boxes */
      {8, 300, 1, 3000},   /* values */
      {36, 300, 1, 3000},  /* both */
      {640, 300, 0, 3000}, /* keys of some sizes of boxes, in one shard */
  };
  struct soak soak;

  (void)state;
  soak_begin(&soak, 1);
  do {
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
      run(&plans[i]);
  } while (soak_again(&soak));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(boxes_are_used_again),
  };

  return cmocka_run_group_tests_name("recycled_boxes", tests, NULL, NULL);
}
