/*
 * Guarantee A.1, and that calls on several keys are one moment: thousands of
 * short histories of calls on two keys are recorded, and an order is searched
 * in which one thread alone could have made them (support/linear.h).
 *
 * In half of the runs one more thread makes shards split, merge and grow
 * meanwhile. The kinds of keys go by different ways through the map; in a deep
 * map the steps of batches run ahead.
 *
 * That both keys have one order is what A.1 comes to where two readers see the
 * writes of two others in one order (A.4): on x86 and ARMv8.
 */
#include <stdio.h>
#include <string.h>

#include "linear.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

#define THREADS     3 /* at the most */
#define CALLS       7 /* of each thread in a round */
/* With which the directory is deep enough for batches (src/map/batch.c). */
#define DEEP_SHARDS 128

_Static_assert(THREADS *CALLS <= LINEAR_MAX, "a history holds them");

enum keys { NUMBERS, SHORT_STRINGS, LONG_STRINGS };

/* How a run goes. */
struct plan {
  enum keys keys;
  bool disturbs; /* thread 0 records nothing, but moves the shards */
  bool deep;     /* with so many other keys that batches run ahead */
  unsigned threads;
  size_t rounds;
};

/* A key's bytes. */
struct room {
  uint64_t number;
  char text[120];
};

struct stage {
  const struct plan *plan;
  struct cmap *map;
  struct meeting meeting;
  size_t rounds;
  size_t given_up; /* thread 0 */
  struct room rooms[LINEAR_KEYS];
  struct cmap_key keys[LINEAR_KEYS];
  struct linear_call calls[THREADS][CALLS]; /* owner thread until it meets */
};

static struct cmap_key make_key(enum keys kind, uint64_t id, struct room *room)
{
  room->number = id;
  (void)snprintf(room->text, sizeof room->text, "%0*llu",
                 kind == LONG_STRINGS ? 100 : 1, (unsigned long long)id);
  return kind == NUMBERS ? cmap_key_u64(&room->number)
                         : cmap_key_string(room->text);
}

/* ------------------------------------------------------------------------
 * Recording
 * ------------------------------------------------------------------------ */

static void draw(const struct plan *plan, struct random *random,
                 uint64_t readers, struct linear_call *call)
{
  static const enum linear_kind reads[] = {
      LINEAR_GET,      LINEAR_GET,           LINEAR_GET,  LINEAR_CONTAINS,
      LINEAR_GET_MANY, LINEAR_CONTAINS_MANY, LINEAR_GUARD};

  *call = (struct linear_call){
      .kind = (enum linear_kind)random_below(random, LINEAR_KINDS),
      .key = (unsigned)random_below(random, LINEAR_KEYS),
      .value = random_below(random, 4),
      .expected = random_below(random, 4),
      .out = LINEAR_NONE,
      .other = LINEAR_NONE,
  };
  if (random_below(random, 100) < readers)
    call->kind = reads[random_below(random, sizeof reads / sizeof reads[0])];
  /* A snapshot of many keys takes too long. */
  if (call->kind == LINEAR_SNAPSHOT && plan->deep)
    call->kind = LINEAR_READ_BOTH;
}

static void record(struct stage *stage, unsigned index, struct random *random)
{
  /* In some rounds hardly anything is written, in some hardly anything read. */
  uint64_t readers = random_below(random, 100);

  for (unsigned i = 0; i < CALLS;) {
    struct linear_call *call = &stage->calls[index][i];
    draw(stage->plan, random, readers, call);
    i += linear_make(stage->map, stage->keys, call, i + 1 < CALLS);
  }
}

/* ------------------------------------------------------------------------
 * Runs
 * ------------------------------------------------------------------------ */

/* From the state before the round; gives the state after it. */
static struct linear_state check_round(struct stage *stage,
                                       struct linear_state from)
{
  struct linear_history history = {.count = 0};
  struct linear_state now;

  for (unsigned i = stage->plan->disturbs; i < stage->plan->threads; i++)
    for (unsigned j = 0; j < CALLS; j++) {
      stage->calls[i][j].follows = j > 0;
      history.calls[history.count++] = &stage->calls[i][j];
    }
  for (unsigned i = 0; i < LINEAR_KEYS; i++) {
    now.value[i] = LINEAR_NONE;
    (void)!cmap_get(stage->map, stage->keys[i], &now.value[i], NULL);
  }
  if (!linear_has_order(&history, from, now, &stage->given_up)) {
    if (!checks_failed())
      linear_print(&history, from, now);
    CHECK_NEVER("a history that no single thread could have made");
  }
  return now;
}

static void put_others(struct stage *stage, uint64_t first, uint64_t count)
{
  struct room room;

  for (uint64_t id = first; id < first + count; id++)
    CHECK_OK(cmap_insert(stage->map, make_key(stage->plan->keys, id, &room),
                         &id, NULL, NULL, NULL));
}

/* Makes shards split, grow, merge and shrink with keys of its own. */
static void disturb(struct stage *stage, struct random *random)
{
  uint64_t count = random_below(random, 60);
  struct room room;

  put_others(stage, 100, count);
  if (random_once_in(random, 2))
    CHECK_OK(cmap_reserve(stage->map, 200, NULL));
  for (uint64_t id = 100; id < 100 + count; id++)
    CHECK_OK(cmap_remove(stage->map, make_key(stage->plan->keys, id, &room),
                         NULL, NULL));
  CHECK_OK(cmap_shrink_to_fit(stage->map, NULL));
}

static void act(unsigned index, void *ctx)
{
  struct stage *stage = ctx;
  struct linear_state now = {{LINEAR_NONE, LINEAR_NONE}};
  struct random random;

  random_begin(&random, index);
  for (size_t round = 0; round < stage->rounds; round++) {
    meeting_wait(&stage->meeting);
    if (index == 0 && stage->plan->disturbs)
      disturb(stage, &random);
    else
      record(stage, index, &random);
    meeting_wait(&stage->meeting);
    if (index == 0)
      now = check_round(stage, now);
  }
}

static void run(const struct plan *plan)
{
  static struct stage stage;
  struct cmap_options options;

  memset(&stage, 0, sizeof stage);
  stage.plan = plan;
  stage.rounds = test_scale(plan->rounds);
  cmap_options_init(&options, plan->keys == NUMBERS ? CMAP_U64 : CMAP_STRING,
                    sizeof(uint64_t));
  options.shard_groups = 1;
  assert_ok(cmap_create(&options, &stage.map));
  for (unsigned key = 0; key < LINEAR_KEYS; key++)
    stage.keys[key] = make_key(plan->keys, key + 1, &stage.rooms[key]);
  if (plan->deep)
    put_others(&stage, 1000, 2000);
  meeting_begin(&stage.meeting, plan->threads);
  threads_run(plan->threads, act, &stage);
  assert_true(!plan->deep || cmap_shard_count(stage.map) >= DEEP_SHARDS);
  assert_in_range(stage.given_up, 0, stage.rounds / 100);
  cmap_destroy(stage.map);
}

static void histories_have_an_order(void **state)
{
  struct soak soak;

  (void)state;
  soak_begin(&soak, 2);
  do {
    run(&(struct plan){NUMBERS, false, false, 2, 30000});
    run(&(struct plan){NUMBERS, false, true, 2, 20000});
    run(&(struct plan){SHORT_STRINGS, false, false, 2, 20000});
    run(&(struct plan){LONG_STRINGS, false, false, 2, 10000});
    run(&(struct plan){NUMBERS, false, false, 3, 10000});
    run(&(struct plan){SHORT_STRINGS, false, false, 3, 5000});
  } while (soak_again(&soak));
}

static void histories_while_shards_split(void **state)
{
  struct soak soak;

  (void)state;
  soak_begin(&soak, 2);
  do {
    run(&(struct plan){NUMBERS, true, false, 3, 30000});
    run(&(struct plan){NUMBERS, true, true, 3, 5000});
    run(&(struct plan){SHORT_STRINGS, true, false, 3, 15000});
    run(&(struct plan){LONG_STRINGS, true, false, 3, 10000});
  } while (soak_again(&soak));
}

/* The search itself: histories that have no order, and such that have. */
static void the_search_finds_what_is_wrong(void **state)
{
  struct linear_call calls[] = {
      {.kind = LINEAR_INSERT, .value = 1, .out = LINEAR_NONE, .end = 10},
      {.kind = LINEAR_GET, .out = 1, .begin = 2, .end = 3},
      {.kind = LINEAR_GET, .out = LINEAR_NONE, .begin = 4, .end = 5},
  };
  struct linear_history history = {{&calls[0], &calls[1], &calls[2]}, 3};
  const struct linear_state none = {{LINEAR_NONE, LINEAR_NONE}};
  const struct linear_state one = {{1, LINEAR_NONE}};
  size_t given_up = 0;

  (void)state;
  calls[2].status = CMAP_NOT_FOUND;
  /* Seen, and then not seen. */
  assert_false(linear_has_order(&history, none, one, &given_up));
  calls[2].begin = 2;
  assert_true(linear_has_order(&history, none, one, &given_up));
  /* What was stored is not there in the end. */
  assert_false(linear_has_order(&history, none, none, &given_up));
  /* A thread's calls keep their order. */
  calls[2].follows = true;
  assert_false(linear_has_order(&history, none, one, &given_up));
  /* A value from nowhere. */
  calls[2].follows = false;
  calls[1].out = 2;
  assert_false(linear_has_order(&history, none, one, &given_up));
  /* Half of an exchange. */
  calls[0] = (struct linear_call){.kind = LINEAR_SWAP_VALUES, .end = 10};
  calls[1].begin = 2;
  calls[2] = (struct linear_call){
      .kind = LINEAR_GET, .key = 1, .out = 2, .begin = 4, .end = 5};
  assert_false(linear_has_order(&history, (struct linear_state){{1, 2}},
                                (struct linear_state){{2, 1}}, &given_up));
  calls[2].out = 1;
  assert_true(linear_has_order(&history, (struct linear_state){{1, 2}},
                               (struct linear_state){{2, 1}}, &given_up));
  assert_int_equal(given_up, 0);
}

/* Twenty calls in any order, and an end that none has. */
static void the_search_gives_up(void **state)
{
  struct linear_call calls[20];
  struct linear_history history = {.count = 20};
  const struct linear_state none = {{LINEAR_NONE, LINEAR_NONE}};
  const struct linear_state other = {{20, LINEAR_NONE}};
  size_t given_up = 0;

  (void)state;
  for (unsigned i = 0; i < 20; i++) {
    calls[i] = (struct linear_call){
        .kind = LINEAR_INSERT_MANY, .value = i, .out = LINEAR_NONE, .end = 10};
    history.calls[i] = &calls[i];
  }
  assert_true(linear_has_order(&history, none, other, &given_up));
  assert_int_equal(given_up, 1);
  history.count = 8;
  assert_false(linear_has_order(&history, none, other, &given_up));
  assert_int_equal(given_up, 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_search_finds_what_is_wrong),
      cmocka_unit_test(the_search_gives_up),
      cmocka_unit_test(histories_have_an_order),
      cmocka_unit_test(histories_while_shards_split),
  };

  return cmocka_run_group_tests_name("linearizable", tests, NULL, NULL);
}
