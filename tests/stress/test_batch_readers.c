/*
 * Batches of reads over a map that never rests: counters count on, other
 * entries come and go, and shards of one group are split, rebuilt and merged
 * all the time. Every value that a batch gives is its key's, counters are there
 * and never go back, and the map is large enough for batches to run ahead.
 */
#include "numbers.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

#include <stdio.h>
#include <stdlib.h>

enum {
  COUNTERS = 3000, /* ids below are there all the time */
  OTHERS = 3000,   /* ids above come and go */
  IDS = COUNTERS + OTHERS,
  WRITERS = 2,
  READERS = 2,
  BATCH = 300,
  /* Shards with which the directory is deep enough (src/map/batch.c). */
  SHARDS = 128
};

struct stage {
  struct cmap *map;
  size_t batches;      /* of each reader */
  atomic_uint reading; /* readers that have not ended */
  atomic_size_t found; /* statistics */
};

static uint64_t key_of(uint64_t id)
{
  return random_mix(id);
}

/* The upper half tells the key, the lower half counts. */
static uint64_t first_value(uint64_t id)
{
  return random_mix(id + IDS) << 32;
}

static void count(struct stage *stage, struct random *random)
{
  uint64_t key = key_of(random_below(random, COUNTERS));

  CHECK_OK(cmap_fetch_add(stage->map, cmap_key_u64(&key), 1, NULL, NULL));
}

/* A run of ids of this writer comes, or goes. */
static void come_or_go(struct stage *stage, unsigned index,
                       struct random *random)
{
  bool comes = random_once_in(random, 2);
  uint64_t length = 1 + random_below(random, 500);
  uint64_t first = random_below(random, OTHERS / WRITERS - length);

  for (uint64_t i = 0; i < length; i++) {
    uint64_t id = COUNTERS + index * (OTHERS / WRITERS) + first + i;
    uint64_t key = key_of(id), value = first_value(id);
    enum cmap_status status =
        comes ? cmap_insert(stage->map, cmap_key_u64(&key), &value, NULL, NULL,
                            NULL)
              : cmap_remove(stage->map, cmap_key_u64(&key), NULL, NULL);
    CHECK(status == CMAP_OK || (!comes && status == CMAP_NOT_FOUND));
  }
}

static void write_on(struct stage *stage, unsigned index)
{
  struct random random;

  random_begin(&random, index);
  while (atomic_load(&stage->reading) > 0 && !checks_failed()) {
    for (unsigned i = 0; i < 200; i++)
      count(stage, &random);
    come_or_go(stage, index, &random);
    if (random_once_in(&random, 20))
      CHECK_OK(cmap_shrink_to_fit(stage->map, NULL));
  }
}

/* What a reader has seen of the counters. */
struct seen {
  uint64_t values[COUNTERS];
};

static void check_value(struct seen *seen, uint64_t id, uint64_t value)
{
  CHECK(value >> 32 == first_value(id) >> 32);
  if (id >= COUNTERS)
    return;
  CHECK(value >= seen->values[id]);
  seen->values[id] = value;
}

static size_t read_batch(struct stage *stage, struct random *random,
                         struct seen *seen)
{
  uint64_t ids[BATCH], numbers[BATCH], values[BATCH];
  enum cmap_status statuses[BATCH];
  struct cmap_key keys[BATCH];
  size_t found = 0;

  for (size_t i = 0; i < BATCH; i++) {
    ids[i] = random_below(random, IDS);
    numbers[i] = key_of(ids[i]);
    keys[i] = cmap_key_u64(&numbers[i]);
  }
  (void)!cmap_get_many(stage->map, keys, NULL, BATCH, values, statuses, NULL);
  for (size_t i = 0; i < BATCH; i++) {
    CHECK(statuses[i] == CMAP_OK ||
          (statuses[i] == CMAP_NOT_FOUND && ids[i] >= COUNTERS));
    if (statuses[i] == CMAP_OK)
      check_value(seen, ids[i], values[i]);
    found += statuses[i] == CMAP_OK;
  }
  return found;
}

static void read_on(struct stage *stage, unsigned index)
{
  struct seen *seen = calloc(1, sizeof *seen);
  struct random random;

  if (seen == NULL)
    abort();
  random_begin(&random, index);
  for (size_t i = 0; i < stage->batches && !checks_failed(); i++)
    atomic_fetch_add(&stage->found, read_batch(stage, &random, seen));
  free(seen);
  atomic_fetch_sub(&stage->reading, 1);
}

static void write_or_read(unsigned index, void *ctx)
{
  if (index < WRITERS)
    write_on(ctx, index);
  else
    read_on(ctx, index);
}

static void values_are_their_keys(void **state)
{
  struct stage stage = {.batches = test_scale(100000)};
  struct soak soak;

  (void)state;
  (void)test_seed();
  soak_begin(&soak, 1);
  do {
    struct cmap_stats stats = {.size = sizeof stats};
    struct cmap_options options;
    cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
    options.shard_groups = 1;
    assert_ok(cmap_create(&options, &stage.map));
    for (uint64_t id = 0; id < COUNTERS; id++)
      numbers_put(stage.map, key_of(id), first_value(id));
    assert_true(cmap_shard_count(stage.map) >= SHARDS);
    atomic_init(&stage.reading, READERS);
    atomic_init(&stage.found, 0);
    threads_run(WRITERS + READERS, write_or_read, &stage);
    assert_true(cmap_shard_count(stage.map) >= SHARDS);
    assert_ok(cmap_get_stats(stage.map, &stats));
    printf("%zu values, %llu splits, %llu merges\n", atomic_load(&stage.found),
           (unsigned long long)stats.splits, (unsigned long long)stats.merges);
    cmap_destroy(stage.map);
  } while (soak_again(&soak));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_are_their_keys),
  };

  return cmocka_run_group_tests_name("batch_readers", tests, NULL, NULL);
}
