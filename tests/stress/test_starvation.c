/*
 * Neither readers nor writers starve: some threads keep a lock in one mode
 * without a gap, and others, which want it in the other mode, come through a
 * given number of times. That the test ends is what it tests.
 */
#include <string.h>

#include "numbers.h"
#include "settings.h"
#include "threads.h"

#define KEY   UINT64_C(1)
/* Threads that never stop, enough for their holds to overlap. */
#define CROWD 3
#define TESTS 2

struct stage {
  struct cmap *map;
  size_t rounds;
  bool crowd_reads;
  atomic_bool over;
};

/* Keeps the lock for a while; the time does not matter. */
static enum cmap_status linger(struct cmap_key key, const void *value,
                               void *ctx)
{
  uint64_t sum = 0;

  (void)key;
  (void)ctx;
  for (int i = 0; i < 2000; i++) {
    uint64_t number;
    memcpy(&number, value, sizeof number);
    sum += number;
    __asm__ volatile("" : : "r"(sum));
  }
  return CMAP_OK;
}

static enum cmap_status linger_and_add(struct cmap_key key, void *value,
                                       void *ctx)
{
  uint64_t number;

  linger(key, value, ctx);
  memcpy(&number, value, sizeof number);
  number++;
  memcpy(value, &number, sizeof number);
  return CMAP_OK;
}

static void lock_once(struct stage *stage, bool reads)
{
  uint64_t id = KEY;
  struct cmap_key key = cmap_key_u64(&id);

  if (reads) {
    CHECK_OK(cmap_view(stage->map, key, linger, NULL, NULL));
  } else {
    CHECK_OK(cmap_alter(stage->map, key, linger_and_add, NULL, NULL));
  }
}

static void act(unsigned index, void *ctx)
{
  struct stage *stage = ctx;

  if (index == 0) {
    for (size_t i = 0; i < stage->rounds; i++) {
      lock_once(stage, !stage->crowd_reads);
    }
    atomic_store_explicit(&stage->over, true, memory_order_relaxed);
    return;
  }
  while (!atomic_load_explicit(&stage->over, memory_order_relaxed)) {
    lock_once(stage, stage->crowd_reads);
  }
}

static void run(bool crowd_reads)
{
  struct stage stage = {.crowd_reads = crowd_reads};
  struct soak soak;

  stage.rounds = test_scale(3000);
  soak_begin(&soak, TESTS);
  do {
    stage.map = numbers_open();
    atomic_init(&stage.over, false);
    numbers_put(stage.map, KEY, 0);
    threads_run(1 + CROWD, act, &stage);
    if (crowd_reads) {
      assert_int_equal(numbers_get(stage.map, KEY), stage.rounds);
    }
    cmap_destroy(stage.map);
    checks_assert();
  } while (soak_again(&soak));
}

static void a_writer_among_readers(void **state)
{
  (void)state;
  run(true);
}

static void a_reader_among_writers(void **state)
{
  (void)state;
  run(false);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_writer_among_readers),
      cmocka_unit_test(a_reader_among_writers),
  };

  return cmocka_run_group_tests_name("starvation", tests, NULL, NULL);
}
