/*
 * Counters that many threads change at once come out exact, and every call
 * sees another number before it.
 */
#include <string.h>

#include "numbers.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

#define THREADS 4
/* Far more than the machine has processors. */
#define CROWD   64

/* Calls of run in the program, which share the soak time. */
#define RUNS 18

typedef void count_fn(struct cmap *map, uint64_t key);

struct stage {
  struct cmap *map;
  size_t keys;
  size_t rounds;
  count_fn *count;
};

static void by_fetch_add(struct cmap *map, uint64_t key)
{
  CHECK_OK(cmap_fetch_add(map, cmap_key_u64(&key), 1, NULL, NULL));
}

static void by_compare_exchange(struct cmap *map, uint64_t key)
{
  struct cmap_key k = cmap_key_u64(&key);
  enum cmap_status status;

  do {
    uint64_t seen = 0;
    uint64_t next = 1;
    status = cmap_get(map, k, &seen, NULL);
    if (status == CMAP_NOT_FOUND) {
      status = cmap_insert_new(map, k, &next, NULL, NULL);
      CHECK(status == CMAP_OK || status == CMAP_EXISTS);
    } else {
      CHECK_STATUS(status, CMAP_OK);
      next = seen + 1;
      status = cmap_compare_exchange(map, k, &seen, &next, NULL);
      CHECK(status == CMAP_OK || status == CMAP_MISMATCH);
    }
    /* Ends: somebody has counted each time, and all counts are finite. */
  } while (status != CMAP_OK);
}

static enum cmap_status add_one(struct cmap_key key, void *value, void *ctx)
{
  uint64_t number;

  (void)key;
  (void)ctx;
  memcpy(&number, value, sizeof number);
  number++;
  memcpy(value, &number, sizeof number);
  return CMAP_OK;
}

static enum cmap_status make_zero(struct cmap_key key, void *value, void *ctx)
{
  (void)key;
  (void)ctx;
  memset(value, 0, sizeof(uint64_t));
  return CMAP_OK;
}

static void by_alter(struct cmap *map, uint64_t key)
{
  struct cmap_key k = cmap_key_u64(&key);

  CHECK_OK(cmap_get_or_insert_with(map, k, NULL, NULL, make_zero, NULL, NULL));
  CHECK_OK(cmap_alter(map, k, add_one, NULL, NULL));
}

static enum cmap_status compute_one(struct cmap_key key, const void *old,
                                    void *fresh, enum cmap_action *action,
                                    void *ctx)
{
  (void)old; /* fresh is a copy of it, or 0 */
  *action = CMAP_PUT;
  return add_one(key, fresh, ctx);
}

static void by_compute(struct cmap *map, uint64_t key)
{
  uint64_t number = 0;

  CHECK_OK(cmap_compute(map, cmap_key_u64(&key), &number, NULL, compute_one,
                        NULL, NULL));
  CHECK(number > 0);
}

/* Takes the count out, and adds it to its own. */
static void by_remove(struct cmap *map, uint64_t key)
{
  struct cmap_key k = cmap_key_u64(&key);
  uint64_t mine = 1;
  uint64_t more = 0;

  while (mine > 0) {
    /* Ends: each pass merges two counts into one. */
    if (cmap_remove(map, k, &more, NULL) == CMAP_OK) {
      mine += more;
    }
    if (cmap_insert_new(map, k, &mine, NULL, NULL) == CMAP_OK) {
      mine = 0;
    }
  }
}

/* Every key is counted the same number of times by each thread. */
static void count(unsigned index, void *ctx)
{
  struct stage *stage = ctx;

  for (size_t i = 0; i < stage->rounds; i++) {
    stage->count(stage->map, random_mix((i + index) % stage->keys));
  }
}

static void run(count_fn *fn, size_t keys, size_t rounds, unsigned threads)
{
  struct stage stage = {.keys = keys, .count = fn};
  size_t times = test_scale(rounds) / keys + 1;
  struct soak soak;

  soak_begin(&soak, RUNS);
  do {
    stage.map = numbers_open();
    stage.rounds = times * keys;
    threads_run(threads, count, &stage);
    for (uint64_t key = 0; key < keys; key++) {
      CHECK(numbers_get(stage.map, random_mix(key)) == times * threads);
    }
    assert_int_equal(cmap_len(stage.map), keys);
    cmap_destroy(stage.map);
    checks_assert();
  } while (soak_again(&soak));
}

/* One hot key, a few, and so many that shards split all the time. */
static void run_all(count_fn *fn, size_t rounds)
{
  run(fn, 1, rounds, THREADS);
  run(fn, 16, rounds, THREADS);
  run(fn, 10000, rounds, THREADS);
}

static void fetch_add(void **state)
{
  (void)state;
  run_all(by_fetch_add, 1600000);
}

static void compare_exchange(void **state)
{
  (void)state;
  run_all(by_compare_exchange, 600000);
}

static void alter(void **state)
{
  (void)state;
  run_all(by_alter, 600000);
}

static void compute(void **state)
{
  (void)state;
  run_all(by_compute, 600000);
}

static void remove_and_insert(void **state)
{
  (void)state;
  run_all(by_remove, 300000);
}

static void a_crowd(void **state)
{
  (void)state;
  run(by_fetch_add, 1, 100000, CROWD);
  run(by_compute, 3, 50000, CROWD);
  run(by_alter, 1000, 50000, CROWD);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fetch_add),
      cmocka_unit_test(compare_exchange),
      cmocka_unit_test(alter),
      cmocka_unit_test(compute),
      cmocka_unit_test(remove_and_insert),
      cmocka_unit_test(a_crowd),
  };

  return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
