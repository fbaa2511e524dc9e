/*
 * Threads take strict turns by one entry: whoever finds that it is not its turn
 * lets the entry go and looks again. What each does is what the next waits for,
 * so that a wait for long would be one for nothing. That the test ends is what
 * it tests.
 */
#include <string.h>

#include "numbers.h"
#include "settings.h"
#include "threads.h"

#define KEY UINT64_C(1)

/* Calls of run in the program, which share the soak time. */
#define RUNS 6

struct stage;

/* Adds 1 to the number if it is the turn of the thread with the index. Returns
 * the number before. */
typedef uint64_t turn_fn(const struct stage *stage, unsigned index);

struct stage {
  struct cmap *map;
  unsigned threads;
  uint64_t turns; /* in all */
  turn_fn *turn;
};

static uint64_t take_turn(const struct stage *stage, unsigned index,
                          void *value)
{
  uint64_t number;
  uint64_t next;

  memcpy(&number, value, sizeof number);
  next = number + 1;
  if (number < stage->turns && number % stage->threads == index) {
    memcpy(value, &next, sizeof next);
  }
  return number;
}

static uint64_t by_guard(const struct stage *stage, unsigned index)
{
  uint64_t id = KEY;
  struct cmap_write_guard guard = CMAP_INIT;
  uint64_t number;

  CHECK_OK(cmap_get_mut(stage->map, cmap_key_u64(&id), &guard, NULL));
  number = take_turn(stage, index, guard.value);
  CHECK_OK(cmap_write_guard_release(&guard));
  return number;
}

static uint64_t by_entry(const struct stage *stage, unsigned index)
{
  uint64_t id = KEY;
  struct cmap_entry entry = CMAP_INIT;
  uint64_t number;

  CHECK_OK(cmap_entry_begin(stage->map, cmap_key_u64(&id), &entry, NULL));
  number = take_turn(stage, index, entry.value);
  CHECK_OK(cmap_entry_release(&entry));
  return number;
}

struct caller {
  const struct stage *stage;
  unsigned index;
  uint64_t number;
};

static enum cmap_status alter(struct cmap_key key, void *value, void *ctx)
{
  struct caller *caller = ctx;

  (void)key;
  caller->number = take_turn(caller->stage, caller->index, value);
  return CMAP_OK;
}

static uint64_t by_alter(const struct stage *stage, unsigned index)
{
  uint64_t id = KEY;
  struct caller caller = {.stage = stage, .index = index};

  CHECK_OK(cmap_alter(stage->map, cmap_key_u64(&id), alter, &caller, NULL));
  return caller.number;
}

static void take_turns(unsigned index, void *ctx)
{
  const struct stage *stage = ctx;

  /* Ends: the others take their turns, too. */
  while (stage->turn(stage, index) < stage->turns) {
  }
}

static void run(turn_fn *turn, unsigned threads)
{
  struct stage stage = {.threads = threads, .turn = turn};
  struct soak soak;

  /* With more threads than processors a turn may take a time slice. */
  stage.turns = threads * test_scale(threads > 2 ? 10 : 200);
  soak_begin(&soak, RUNS);
  do {
    stage.map = numbers_open();
    numbers_put(stage.map, KEY, 0);
    threads_run(threads, take_turns, &stage);
    assert_int_equal(numbers_get(stage.map, KEY), stage.turns);
    cmap_destroy(stage.map);
    checks_assert();
  } while (soak_again(&soak));
}

static void by_guards(void **state)
{
  (void)state;
  run(by_guard, 2);
  run(by_guard, 3);
}

static void by_entries(void **state)
{
  (void)state;
  run(by_entry, 2);
  run(by_entry, 3);
}

static void by_callbacks(void **state)
{
  (void)state;
  run(by_alter, 2);
  run(by_alter, 3);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(by_guards),
      cmocka_unit_test(by_entries),
      cmocka_unit_test(by_callbacks),
  };

  return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
