/*
 * Guarantee A.1: what a few threads did to one key can be put into an order
 * that one thread alone could have done, and that keeps the order of calls of
 * which one returned before the other began.
 *
 * Thousands of short histories are recorded and searched for such an order
 * (Wing and Gong, "Testing and verifying concurrent objects", 1993). Keys are
 * independent, so each key's calls are searched alone. In half of the runs one
 * thread makes shards split, merge and grow meanwhile.
 */
#include <stdlib.h>
#include <string.h>

#include "numbers.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

#define THREADS 3 /* at the most */
#define KEYS    2
#define CALLS   7 /* of each thread in a round */
#define ALL     (THREADS * CALLS)
#define NONE    UINT64_MAX /* the value of an absent key */

enum kind {
  INSERT,
  INSERT_NEW,
  GET,
  CONTAINS,
  REMOVE,
  COMPARE_EXCHANGE,
  FETCH_ADD,
  SWAP,
  KINDS
};

static const char *const names[KINDS] = {
    "insert", "insert_new",       "get",       "contains",
    "remove", "compare_exchange", "fetch_add", "swap"};

/* One call, as its thread saw it. */
struct call {
  enum kind kind;
  unsigned key;
  uint64_t value;    /* given */
  uint64_t expected; /* given */
  uint64_t out;      /* what came out; NONE: nothing */
  enum cmap_status status;
  uint64_t begin; /* ns, before the call */
  uint64_t end;   /* ns, after it */
};

struct stage {
  struct cmap *map;
  struct meeting meeting;
  size_t rounds;
  unsigned threads;
  uint64_t keys[KEYS];
  bool disturbs; /* thread 0 records nothing, but moves the shards */
  struct call calls[THREADS][CALLS]; /* owner thread until it meets */
};

/* ------------------------------------------------------------------------
 * Recording
 * ------------------------------------------------------------------------ */

static void make_call(struct cmap *map, struct cmap_key key, struct call *call)
{
  enum cmap_event event = CMAP_FOUND;
  uint64_t out = NONE;
  uint64_t value = call->value;

  call->begin = test_now();
  switch (call->kind) {
  case INSERT:
    call->status = cmap_insert(map, key, &value, &out, &event, NULL);
    CHECK((event == CMAP_UPDATED) == (out != NONE));
    break;
  case INSERT_NEW:
    call->status = cmap_insert_new(map, key, &value, &out, NULL);
    break;
  case GET:
    call->status = cmap_get(map, key, &out, NULL);
    break;
  case CONTAINS:
    call->status = cmap_contains(map, key, NULL);
    break;
  case REMOVE:
    call->status = cmap_remove(map, key, &out, NULL);
    break;
  case COMPARE_EXCHANGE:
    call->status =
        cmap_compare_exchange(map, key, &call->expected, &value, NULL);
    break;
  case FETCH_ADD:
    call->status = cmap_fetch_add(map, key, value, &out, NULL);
    break;
  default:
    call->status = cmap_swap(map, key, &value, &event, NULL);
    out = event == CMAP_UPDATED ? value : NONE;
    break;
  }
  call->end = test_now();
  call->out = out;
}

static void record(struct stage *stage, unsigned index, struct random *random)
{
  /* In some rounds hardly anything is written, in some hardly anything read. */
  uint64_t readers = random_below(random, 100);

  for (unsigned i = 0; i < CALLS; i++) {
    struct call *call = &stage->calls[index][i];
    unsigned key = (unsigned)random_below(random, KEYS);
    memset(call, 0, sizeof *call);
    call->kind = (enum kind)random_below(random, KINDS);
    if (random_below(random, 100) < readers) {
      call->kind = random_once_in(random, 4) ? CONTAINS : GET;
    }
    call->key = key;
    call->value = random_below(random, 4);
    call->expected = random_below(random, 4);
    make_call(stage->map, cmap_key_u64(&stage->keys[key]), call);
  }
}

/* ------------------------------------------------------------------------
 * Searching
 * ------------------------------------------------------------------------ */

/* Could a map whose key has the value *state have answered so? Goes on to the
   value after the call. */
static bool apply(const struct call *call, uint64_t *state)
{
  uint64_t was = *state;
  bool present = was != NONE;

  switch (call->kind) {
  case INSERT:
  case SWAP:
    *state = call->value;
    return call->status == CMAP_OK && call->out == was;
  case INSERT_NEW:
    if (!present) {
      *state = call->value;
    }
    return call->status == (present ? CMAP_EXISTS : CMAP_OK) &&
           call->out == was;
  case GET:
    return call->status == (present ? CMAP_OK : CMAP_NOT_FOUND) &&
           call->out == was;
  case CONTAINS:
    return call->status == (present ? CMAP_OK : CMAP_NOT_FOUND);
  case REMOVE:
    *state = NONE;
    return call->status == (present ? CMAP_OK : CMAP_NOT_FOUND) &&
           call->out == was;
  case COMPARE_EXCHANGE:
    if (was == call->expected && present) {
      *state = call->value;
      return call->status == CMAP_OK;
    }
    return call->status == (present ? CMAP_MISMATCH : CMAP_NOT_FOUND);
  default:
    *state = (present ? was : 0) + call->value;
    return call->status == CMAP_OK && call->out == (present ? was : 0);
  }
}

struct search {
  const struct call *calls[ALL]; /* of one key */
  unsigned count;
  size_t steps;
};

/* A search that takes longer is given up: it proves nothing. */
#define STEPS 2000000

/* Is there an order of the calls that are not in `done`, from this state? */
static bool find_order(struct search *search, uint32_t done, uint64_t state)
{
  uint64_t first_end = UINT64_MAX;

  if (done == ((uint32_t)1 << search->count) - 1 || ++search->steps > STEPS) {
    return true;
  }
  for (unsigned i = 0; i < search->count; i++) {
    if (!(done >> i & 1) && search->calls[i]->end < first_end) {
      first_end = search->calls[i]->end;
    }
  }
  for (unsigned i = 0; i < search->count; i++) {
    uint64_t next = state;
    /* Only what began before every other call ended can be the next. */
    if (!(done >> i & 1) && search->calls[i]->begin <= first_end &&
        apply(search->calls[i], &next) &&
        find_order(search, done | (uint32_t)1 << i, next)) {
      return true;
    }
  }
  return false;
}

static void print_history(const struct search *search, uint64_t state)
{
  print_error("no order, from value %lld:\n", (long long)state);
  for (unsigned i = 0; i < search->count; i++) {
    const struct call *call = search->calls[i];
    print_error("  %llu-%llu %s(%llu, %llu) -> %s, %lld\n",
                (unsigned long long)call->begin, (unsigned long long)call->end,
                names[call->kind], (unsigned long long)call->value,
                (unsigned long long)call->expected,
                cmap_status_name(call->status), (long long)call->out);
  }
}

static void check_history(struct stage *stage, unsigned key, uint64_t state)
{
  struct search search = {.count = 0};

  for (unsigned i = stage->disturbs; i < stage->threads; i++) {
    for (unsigned j = 0; j < CALLS; j++) {
      if (stage->calls[i][j].key == key) {
        search.calls[search.count++] = &stage->calls[i][j];
      }
    }
  }
  if (!find_order(&search, 0, state)) {
    if (!checks_failed()) {
      print_history(&search, state);
    }
    CHECK_NEVER("a history that no single thread could have made");
  }
}

static uint64_t value_now(struct stage *stage, unsigned key)
{
  uint64_t value = NONE;
  enum cmap_status status =
      cmap_get(stage->map, cmap_key_u64(&stage->keys[key]), &value, NULL);

  CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
  return value;
}

/* Makes shards split, grow, merge and shrink with keys of its own. */
static void disturb(struct stage *stage, struct random *random)
{
  uint64_t count = random_below(random, 60);

  for (uint64_t id = 100; id < 100 + count; id++) {
    numbers_put(stage->map, id, id);
  }
  if (random_once_in(random, 2)) {
    CHECK_OK(cmap_reserve(stage->map, 200, NULL));
  }
  for (uint64_t id = 100; id < 100 + count; id++) {
    numbers_drop(stage->map, id);
  }
  CHECK_OK(cmap_shrink_to_fit(stage->map, NULL));
}

static void act(unsigned index, void *ctx)
{
  struct stage *stage = ctx;
  uint64_t states[KEYS] = {NONE, NONE};
  struct random random;

  random_begin(&random, index);
  for (size_t round = 0; round < stage->rounds; round++) {
    meeting_wait(&stage->meeting);
    if (index == 0 && stage->disturbs) {
      disturb(stage, &random);
    } else {
      record(stage, index, &random);
    }
    meeting_wait(&stage->meeting);
    for (unsigned key = 0; key < KEYS && index == 0; key++) {
      check_history(stage, key, states[key]);
      states[key] = value_now(stage, key);
    }
  }
}

static void run(bool disturbs, unsigned threads, size_t rounds)
{
  static struct stage stage;

  memset(&stage, 0, sizeof stage);
  stage.map = numbers_open_small();
  stage.rounds = test_scale(rounds);
  stage.threads = threads;
  stage.disturbs = disturbs;
  for (unsigned key = 0; key < KEYS; key++) {
    stage.keys[key] = key + 1;
  }
  meeting_begin(&stage.meeting, threads);
  threads_run(threads, act, &stage);
  cmap_destroy(stage.map);
}

static void histories_have_an_order(void **state)
{
  struct soak soak;

  (void)state;
  soak_begin(&soak, 2);
  do {
    run(false, 2, 50000);
    run(false, 3, 20000);
  } while (soak_again(&soak));
}

static void histories_while_shards_split(void **state)
{
  struct soak soak;

  (void)state;
  soak_begin(&soak, 2);
  do {
    run(true, 2, 50000);
    run(true, 3, 20000);
  } while (soak_again(&soak));
}

/* The search itself: a history that has no order, and one that has. */
static void the_search_finds_what_is_wrong(void **state)
{
  struct call calls[3] = {
      {.kind = INSERT, .value = 1, .out = NONE, .begin = 1, .end = 10},
      {.kind = GET, .out = 1, .begin = 2, .end = 3},
      {.kind = GET, .out = NONE, .begin = 4, .end = 5},
  };
  struct search search = {.calls = {&calls[0], &calls[1], &calls[2]},
                          .count = 3};

  (void)state;
  calls[2].status = CMAP_NOT_FOUND;
  assert_false(find_order(&search, 0, NONE)); /* seen, and then not seen */
  calls[2].begin = 2;
  assert_true(find_order(&search, 0, NONE));
  calls[1].out = 2;
  assert_false(find_order(&search, 0, NONE)); /* a value from nowhere */
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_search_finds_what_is_wrong),
      cmocka_unit_test(histories_have_an_order),
      cmocka_unit_test(histories_while_shards_split),
  };

  return cmocka_run_group_tests_name("linearizable", tests, NULL, NULL);
}
