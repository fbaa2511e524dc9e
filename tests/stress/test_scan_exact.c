/*
 * Walks over a map that never rests: threads insert and remove a million other
 * keys, and shards are split and merged all the time. Every scan, for_each and
 * walk with an iterator meets each permanent key exactly once, and no key
 * twice.
 *
 * Walkers: scans with buffers of 1 to 3,000 entries, for_each, iterators to
 * read and to write, and each of these in parts, by two threads. At the scale
 * 1000 it is 1,000 walks.
 */
#include "numbers.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PERMANENT 10000
/* Keys that come and go: each writer has a quarter of them. */
#define OTHERS    1000000
#define WRITERS   4
/* Keys are spread over all numbers; id < END. */
#define END       (PERMANENT + OTHERS)
#define WALKERS   2
#define TESTS     2

struct stage {
  struct cmap *map;
  size_t walks;         /* of all walkers */
  bool clears;          /* the map is cleared, nothing is permanent */
  atomic_size_t begun;  /* walks */
  atomic_uint walking;  /* walkers that have not ended */
  atomic_size_t writes; /* statistics */
  atomic_size_t met;
  atomic_size_t fewest, most; /* shards that walkers have seen */
};

/* What one walk has met: a bit for each id. Two threads may walk in parts. */
struct meets {
  struct cmap *map;
  size_t parts, part; /* of parts_by_two: this thread's are every second one */
  unsigned way;
  uint64_t random;
  _Atomic uint64_t bits[END / 64 + 1];
};

static uint64_t key_of(uint64_t id)
{
  return random_mix(id);
}

/* The id is the value. */
static void meet(struct meets *meets, uint64_t key, uint64_t id)
{
  uint64_t bit = UINT64_C(1) << id % 64;

  if (id >= END || key_of(id) != key) {
    CHECK_NEVER("a walk shows what is no entry");
    return;
  }
  if (atomic_fetch_or_explicit(&meets->bits[id / 64], bit,
                               memory_order_relaxed) &
      bit)
    CHECK_NEVER("a walk has met a key twice");
}

/* ------------------------------------------------------------------------
 * Ways to walk a part
 * ------------------------------------------------------------------------ */

enum { MOST = 3000 };

static void scan_part(struct meets *meets, size_t part)
{
  static const size_t sizes[] = {1, 2, 7, 50, 400, 1000, MOST};
  struct random random;
  uint64_t cursor, end, *keys, *values;
  size_t capacity;
  enum cmap_status status;

  random_begin(&random, meets->random + part);
  capacity = sizes[random_below(&random, 7)];
  /* Small buffers for a part only: each call looks at a whole shard. */
  if (capacity < 50 && meets->parts < 4)
    capacity = 50;
  keys = malloc(2 * capacity * sizeof *keys);
  if (keys == NULL)
    abort();
  values = keys + capacity;
  CHECK_OK(cmap_scan_part(part, meets->parts, &cursor, &end));
  do {
    struct cmap_scan_buffer buffer = {.size = sizeof buffer,
                                      .capacity = capacity,
                                      .keys = keys,
                                      .values = values};
    status = cmap_scan(meets->map, &cursor, end, &buffer, NULL);
    for (size_t i = 0; status == CMAP_OK && i < buffer.count; i++)
      meet(meets, keys[i], values[i]);
  } while (status == CMAP_OK);
  CHECK_STATUS(status, CMAP_NOT_FOUND);
  free(keys);
}

static enum cmap_status meet_view(struct cmap_key key, const void *value,
                                  void *ctx)
{
  uint64_t number, id;

  memcpy(&number, key.data, sizeof number);
  memcpy(&id, value, sizeof id);
  meet(ctx, number, id);
  return CMAP_OK;
}

static void iterate_part(struct meets *meets, size_t part, enum cmap_mode mode)
{
  CMAP_AUTO(cmap_iter, iter);
  struct cmap_how try = cmap_how_try();
  enum cmap_status status;
  bool patient = false;

  CHECK_OK(cmap_iter_begin(meets->map, mode, part, meets->parts, &iter));
  do {
    status = cmap_iter_next(&iter, patient ? NULL : &try);
    patient = status == CMAP_BUSY; /* it holds nothing in between */
    if (status == CMAP_OK)
      meet_view(iter.key, iter.value, meets);
  } while (status == CMAP_OK || status == CMAP_BUSY);
  CHECK_STATUS(status, CMAP_NOT_FOUND);
}

static void walk_part(struct meets *meets, size_t part)
{
  switch (meets->way) {
  case 0:
    CHECK_OK(
        cmap_for_each(meets->map, part, meets->parts, meet_view, meets, NULL));
    break;
  case 1:
    iterate_part(meets, part, CMAP_READ);
    break;
  case 2:
    iterate_part(meets, part, CMAP_WRITE);
    break;
  default:
    scan_part(meets, part);
    break;
  }
}

static void every_second_part(unsigned index, void *ctx)
{
  struct meets *meets = ctx;

  for (size_t part = index; part < meets->parts; part += 2)
    walk_part(meets, part);
}

/* ------------------------------------------------------------------------
 * The stage
 * ------------------------------------------------------------------------ */

static void walk(struct stage *stage, struct meets *meets, uint64_t number)
{
  struct thread second;
  struct random random;

  random_begin(&random, 1000 + number);
  memset(meets->bits, 0, sizeof meets->bits);
  meets->map = stage->map;
  meets->way = (unsigned)random_below(&random, 7);
  meets->random = random_next(&random);
  meets->parts =
      random_once_in(&random, 3) ? 1 : 2 + (size_t)random_below(&random, 15);
  if (random_once_in(&random, 3)) {
    thread_start(&second, every_second_part, 1, meets);
    every_second_part(0, meets);
    thread_join(&second);
  } else {
    every_second_part(0, meets);
    every_second_part(1, meets);
  }
  for (uint64_t id = 0; id < PERMANENT && !stage->clears; id++) {
    if (!(meets->bits[id / 64] >> id % 64 & 1)) {
      CHECK_NEVER("a walk has missed a permanent key");
      printf("way %u, %zu parts, walk %llu, id %llu\n", meets->way,
             meets->parts, (unsigned long long)number, (unsigned long long)id);
      break;
    }
  }
  for (size_t i = 0; i < END / 64 + 1; i++)
    atomic_fetch_add_explicit(&stage->met,
                              (size_t)__builtin_popcountll(meets->bits[i]),
                              memory_order_relaxed);
}

static void note_shards(struct stage *stage)
{
  size_t shards = cmap_shard_count(stage->map);

  /* Statistics: it does not matter which of two walkers is the last. */
  if (shards < atomic_load(&stage->fewest))
    atomic_store(&stage->fewest, shards);
  if (shards > atomic_load(&stage->most))
    atomic_store(&stage->most, shards);
}

/* A play of some length ends only after shards were split and merged. */
static bool is_over(const struct stage *stage, size_t begun)
{
  struct cmap_stats stats = {.size = sizeof stats};

  if (begun < stage->walks)
    return false;
  CHECK_OK(cmap_get_stats(stage->map, &stats));
  return stage->walks < 100 || (stats.splits > 0 && stats.merges > 0) ||
         begun > 100 * stage->walks;
}

static void walk_on(struct stage *stage)
{
  struct meets *meets = malloc(sizeof *meets);
  size_t number;

  if (meets == NULL)
    abort();
  while (number = atomic_fetch_add(&stage->begun, 1),
         !is_over(stage, number) && !checks_failed()) {
    walk(stage, meets, number);
    note_shards(stage);
  }
  free(meets);
  atomic_fetch_sub(&stage->walking, 1);
}

/* In runs: a stretch of ids comes, or goes; so shards grow, and are merged. */
static void write_on(struct stage *stage, unsigned index)
{
  struct cmap *map = stage->map;
  struct random random;
  size_t writes = 0;

  random_begin(&random, index);
  while (atomic_load_explicit(&stage->walking, memory_order_relaxed) > 0 &&
         !checks_failed()) {
    uint64_t length = 1 + random_below(&random, 20000);
    uint64_t first = random_below(&random, OTHERS / WRITERS - length);
    /* The map grows for a while, and then nearly all goes again. */
    bool grows = writes / (OTHERS / WRITERS) % 2 == 0;
    bool comes = random_below(&random, 8) < (grows ? 7 : 1);
    for (uint64_t i = 0; i < length; i++) {
      uint64_t id = PERMANENT + index * (OTHERS / WRITERS) + first + i;
      uint64_t key = key_of(id);
      enum cmap_status status =
          comes ? cmap_insert(map, cmap_key_u64(&key), &id, NULL, NULL, NULL)
                : cmap_remove(map, cmap_key_u64(&key), NULL, NULL);
      CHECK(status == CMAP_OK || (!comes && status == CMAP_NOT_FOUND));
    }
    writes += (size_t)length;
    if (random_once_in(&random, 4))
      CHECK_OK(cmap_shrink_to_fit(map, NULL));
    if (stage->clears && random_once_in(&random, 8))
      CHECK_OK(cmap_clear(map, NULL));
  }
  atomic_fetch_add(&stage->writes, writes);
}

static void write_or_walk(unsigned index, void *ctx)
{
  if (index < WRITERS)
    write_on(ctx, index);
  else
    walk_on(ctx);
}

static void play(bool clears, size_t walks)
{
  struct stage stage = {.walks = walks, .clears = clears};
  struct soak soak;

  soak_begin(&soak, TESTS);
  do {
    struct cmap_stats stats = {.size = sizeof stats};
    struct cmap_options options;
    cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
    options.shard_groups = 8; /* small ones are replaced more often */
    assert_ok(cmap_create(&options, &stage.map));
    for (uint64_t id = 0; id < PERMANENT && !clears; id++)
      numbers_put(stage.map, key_of(id), id);
    atomic_init(&stage.begun, 0);
    atomic_init(&stage.walking, WALKERS);
    atomic_init(&stage.writes, 0);
    atomic_init(&stage.met, 0);
    atomic_init(&stage.fewest, SIZE_MAX);
    atomic_init(&stage.most, 0);
    threads_run(WRITERS + WALKERS, write_or_walk, &stage);
    printf("%zu walks met %zu entries, %zu writes, %zu to %zu shards\n",
           atomic_load(&stage.begun) - WALKERS, atomic_load(&stage.met),
           atomic_load(&stage.writes), atomic_load(&stage.fewest),
           atomic_load(&stage.most));
    /* What the walks were to bear has happened. */
    assert_ok(cmap_get_stats(stage.map, &stats));
    assert_true(walks < 100 || stats.splits > 0);
    assert_true(walks < 100 || stats.merges > 0);
    cmap_destroy(stage.map);
  } while (soak_again(&soak));
}

static void permanent_keys_once_each(void **state)
{
  (void)state;
  (void)test_seed();
  play(false, test_scale(100));
}

static void no_key_twice_though_the_map_is_cleared(void **state)
{
  (void)state;
  play(true, test_scale(30));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(permanent_keys_once_each),
      cmocka_unit_test(no_key_twice_though_the_map_is_cleared),
  };

  return cmocka_run_group_tests_name("scan_exact", tests, NULL, NULL);
}
