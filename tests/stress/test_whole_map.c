/*
 * Calls on the whole map while others write: nothing hangs, nothing permanent
 * is missed, and len_exact and is_empty are exact.
 */
#include "numbers.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

#include <string.h>

/* Ids below are always present. */
#define PERMANENT 50
/* Ids below come and go. */
#define END       600

#define TESTS 3

struct stage {
  struct cmap *maps[2];
  size_t rounds;
  bool churns;
  atomic_uint writing; /* threads whose end ends the others' loops */
};

static bool others_work(struct stage *stage)
{
  return atomic_load_explicit(&stage->writing, memory_order_relaxed) > 0;
}

static void done(struct stage *stage)
{
  atomic_fetch_sub_explicit(&stage->writing, 1, memory_order_relaxed);
}

/* ------------------------------------------------------------------------
 * Everything at once on two maps
 * ------------------------------------------------------------------------ */

static bool is_permanent(struct cmap_key key, void *value, void *ctx)
{
  uint64_t id;

  (void)value;
  (void)ctx;
  memcpy(&id, key.data, sizeof id);
  return id < PERMANENT;
}

static enum cmap_status count_permanent(struct cmap_key key, const void *value,
                                        void *ctx)
{
  uint64_t id;
  uint64_t number;

  memcpy(&id, key.data, sizeof id);
  memcpy(&number, value, sizeof number);
  CHECK(number == random_mix(id));
  *(size_t *)ctx += id < PERMANENT;
  return CMAP_OK;
}

static enum cmap_status same_again(struct cmap_key key, void *value, void *ctx)
{
  uint64_t id;
  uint64_t number;

  (void)ctx;
  memcpy(&id, key.data, sizeof id);
  number = random_mix(id);
  memcpy(value, &number, sizeof number);
  return CMAP_OK;
}

static enum cmap_status conflict(struct cmap_key key, void *value,
                                 const void *from_value, void *ctx)
{
  CHECK(memcmp(value, from_value, sizeof(uint64_t)) == 0);
  return same_again(key, value, ctx);
}

static void write_some(struct cmap *map, struct random *random)
{
  uint64_t id = PERMANENT + random_below(random, END - PERMANENT);
  enum cmap_status status;

  if (random_once_in(random, 2)) {
    numbers_put(map, id, random_mix(id));
  } else {
    status = cmap_remove(map, cmap_key_u64(&id), NULL, NULL);
    CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
  }
}

static void check_clone(struct cmap *map)
{
  struct cmap *copy = NULL;
  size_t permanent = 0;

  CHECK_OK(cmap_clone(map, &copy, NULL));
  CHECK_OK(cmap_view_all(copy, count_permanent, &permanent, NULL));
  CHECK(permanent == PERMANENT);
  cmap_destroy(copy);
}

static void check_lengths(struct cmap *map)
{
  size_t permanent = 0;
  size_t exact = 0;

  CHECK_OK(cmap_len_exact(map, &exact, NULL));
  CHECK(exact >= PERMANENT && exact <= END);
  CHECK(!cmap_is_empty(map));
  CHECK_OK(cmap_view_all(map, count_permanent, &permanent, NULL));
  CHECK(permanent == PERMANENT);
}

static void do_any(struct stage *stage, struct random *random)
{
  unsigned which = (unsigned)random_below(random, 2);
  struct cmap *map = stage->maps[which];
  struct cmap *other = stage->maps[1 - which];
  size_t removed = 0;
  bool equal = false;

  switch (random_below(random, 9)) {
  case 0:
    CHECK_OK(cmap_retain(map, is_permanent, NULL, &removed, NULL));
    CHECK(removed <= END);
    break;
  case 1:
    CHECK_OK(cmap_merge(map, other, NULL, NULL, NULL));
    break;
  case 2:
    CHECK_OK(cmap_merge(map, other, conflict, NULL, NULL));
    break;
  case 3:
    CHECK_OK(cmap_equal(map, other, &equal, NULL));
    break;
  case 4:
    check_clone(map);
    break;
  case 5:
    check_lengths(map);
    break;
  case 6:
    CHECK_OK(cmap_alter_all(map, same_again, NULL, NULL));
    break;
  case 7:
    CHECK_OK(cmap_shrink_to_fit(map, NULL));
    break;
  default:
    for (int i = 0; i < 300; i++) {
      write_some(map, random);
    }
    break;
  }
}

static void act(unsigned index, void *ctx)
{
  struct stage *stage = ctx;
  struct random random;

  random_begin(&random, index);
  for (size_t i = 0; i < stage->rounds; i++) {
    do_any(stage, &random);
  }
}

static void everything_on_two_maps(void **state)
{
  struct stage stage = {.rounds = test_scale(10000)};
  struct soak soak;

  (void)state;
  soak_begin(&soak, TESTS);
  do {
    for (unsigned i = 0; i < 2; i++) {
      stage.maps[i] = numbers_open_small();
      for (uint64_t id = 0; id < PERMANENT; id++) {
        numbers_put(stage.maps[i], id, random_mix(id));
      }
    }
    threads_run(5, act, &stage);
    for (unsigned i = 0; i < 2; i++) {
      check_lengths(stage.maps[i]);
      cmap_destroy(stage.maps[i]);
    }
    checks_assert();
  } while (soak_again(&soak));
}

/* ------------------------------------------------------------------------
 * A key that is handed over: the next is inserted before the last is removed
 * ------------------------------------------------------------------------ */

enum { HANDER, CHURNER, FIRST_LOOKER };

static void hand_over(struct stage *stage)
{
  struct cmap *map = stage->maps[0];

  for (uint64_t id = 0; id < stage->rounds; id++) {
    numbers_put(map, id + 1, 0);
    numbers_drop(map, id);
  }
  done(stage);
}

static void look(struct stage *stage)
{
  while (others_work(stage)) {
    size_t exact = 0;
    for (int i = 0; i < 20; i++) {
      CHECK(!cmap_is_empty(stage->maps[0]));
    }
    CHECK_OK(cmap_len_exact(stage->maps[0], &exact, NULL));
    CHECK(exact >= 1 && exact <= 2);
  }
}

/* Shards are replaced under the eyes of is_empty. */
static void churn(struct stage *stage)
{
  while (others_work(stage) && stage->churns) {
    CHECK_OK(cmap_reserve(stage->maps[0], 60, NULL));
    CHECK_OK(cmap_shrink_to_fit(stage->maps[0], NULL));
  }
}

static void hand_over_or_look(unsigned index, void *ctx)
{
  switch (index) {
  case HANDER:
    hand_over(ctx);
    break;
  case CHURNER:
    churn(ctx);
    break;
  default:
    look(ctx);
    break;
  }
}

/* In many shards, so that a walk over them takes its time; and in few. */
static void never_empty_while_a_key_is_handed_over(void **state)
{
  struct stage stage = {.rounds = test_scale(1000000)};
  struct soak soak;

  (void)state;
  soak_begin(&soak, TESTS);
  do {
    for (int churns = 0; churns < 2; churns++) {
      stage.churns = churns;
      stage.maps[0] = numbers_open_small();
      atomic_init(&stage.writing, 1);
      numbers_put(stage.maps[0], 0, 0);
      assert_ok(cmap_reserve(stage.maps[0], 4000, NULL));
      threads_run(FIRST_LOOKER + 1 + (unsigned)churns, hand_over_or_look,
                  &stage);
      assert_int_equal(cmap_len(stage.maps[0]), 1);
      cmap_destroy(stage.maps[0]);
      checks_assert();
    }
  } while (soak_again(&soak));
}

/* ------------------------------------------------------------------------
 * Clearing against inserting
 * ------------------------------------------------------------------------ */

/* What this thread has inserted is there, or somebody has cleared it: then it
   can be inserted again. */
static void fill(struct stage *stage, unsigned index)
{
  struct cmap *map = stage->maps[0];

  for (size_t i = 0; i < stage->rounds; i++) {
    uint64_t id = 2 * (i % 300) + index;
    uint64_t value = random_mix(id);
    uint64_t present = value;
    enum cmap_status status =
        cmap_insert_new(map, cmap_key_u64(&id), &value, &present, NULL);
    CHECK(status == CMAP_OK || status == CMAP_EXISTS);
    CHECK(present == value);
  }
  done(stage);
}

static void clear(struct stage *stage)
{
  size_t exact = 0;

  while (others_work(stage)) {
    CHECK_OK(cmap_clear(stage->maps[0], NULL));
    CHECK_OK(cmap_len_exact(stage->maps[0], &exact, NULL));
    CHECK(exact <= 600);
    CHECK(cmap_len(stage->maps[0]) <= 600);
  }
}

static void fill_or_clear(unsigned index, void *ctx)
{
  if (index < 2) {
    fill(ctx, index);
  } else {
    clear(ctx);
  }
}

static void clearing_against_inserting(void **state)
{
  struct stage stage = {.rounds = test_scale(600000)};
  struct soak soak;

  (void)state;
  soak_begin(&soak, TESTS);
  do {
    size_t exact = 7;
    stage.maps[0] = numbers_open_small();
    atomic_init(&stage.writing, 2);
    threads_run(3, fill_or_clear, &stage);
    assert_ok(cmap_clear(stage.maps[0], NULL));
    assert_ok(cmap_len_exact(stage.maps[0], &exact, NULL));
    assert_int_equal(exact, 0);
    assert_true(cmap_is_empty(stage.maps[0]));
    cmap_destroy(stage.maps[0]);
  } while (soak_again(&soak));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(everything_on_two_maps),
      cmocka_unit_test(never_empty_while_a_key_is_handed_over),
      cmocka_unit_test(clearing_against_inserting),
  };

  return cmocka_run_group_tests_name("whole_map", tests, NULL, NULL);
}
