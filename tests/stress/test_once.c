/*
 * Many threads that want the same absent key: it is made once, inserted once,
 * and all get the same value.
 *
 * Each round has fresh keys, which all threads go through at the same time,
 * and which are removed before the next round.
 */
#include <string.h>

#include "content.h"
#include "numbers.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

#define THREADS 4
#define KEYS    64

struct stage {
  struct test_map m;
  struct meeting meeting;
  size_t rounds;          /* const */
  atomic_uint made[KEYS]; /* calls of make in this round */
  atomic_uint winners[KEYS];
  uint64_t got[THREADS][KEYS]; /* the version that came out; own thread's */
};

struct maker {
  struct stage *stage;
  uint64_t version; /* of what this thread makes */
};

static enum cmap_status make(struct cmap_key key, void *value, void *ctx)
{
  struct maker *maker = ctx;
  struct test_map *m = &maker->stage->m;
  uint64_t id = key_id(&m->spec, key);

  atomic_fetch_add_explicit(&maker->stage->made[id], 1, memory_order_relaxed);
  value_make(m, id, maker->version, value);
  return CMAP_OK;
}

typedef void claim_fn(struct stage *stage, struct maker *maker, uint64_t id,
                      uint64_t *version);

/* A value came out: whose is it? */
static void note(struct stage *stage, uint64_t id, void *value,
                 enum cmap_event event, uint64_t *version)
{
  CHECK(value_is_whole(&stage->m, id, value, version));
  value_drop(&stage->m, value);
  if (event == CMAP_INSERTED) {
    atomic_fetch_add_explicit(&stage->winners[id], 1, memory_order_relaxed);
  } else {
    CHECK(event == CMAP_FOUND);
  }
}

static void claim_with(struct stage *stage, struct maker *maker, uint64_t id,
                       uint64_t *version)
{
  enum cmap_event event = NO_EVENT;
  struct value_room value;
  struct key_room room;

  CHECK_OK(cmap_get_or_insert_with(stage->m.map,
                                   key_make(&stage->m.spec, id, &room),
                                   value.bytes, &event, make, maker, NULL));
  note(stage, id, value.bytes, event, version);
}

static void claim_unlocked(struct stage *stage, struct maker *maker,
                           uint64_t id, uint64_t *version)
{
  enum cmap_event event = NO_EVENT;
  struct value_room value;
  struct key_room room;

  CHECK_OK(cmap_get_or_insert_with_unlocked(
      stage->m.map, key_make(&stage->m.spec, id, &room), value.bytes, &event,
      make, maker, NULL));
  note(stage, id, value.bytes, event, version);
}

static void claim_value(struct stage *stage, struct maker *maker, uint64_t id,
                        uint64_t *version)
{
  enum cmap_event event = NO_EVENT;
  struct value_room value;
  struct key_room room;

  value_make(&stage->m, id, maker->version, value.bytes);
  CHECK_OK(cmap_get_or_insert(stage->m.map, key_make(&stage->m.spec, id, &room),
                              value.bytes, &event, NULL));
  note(stage, id, value.bytes, event, version);
}

static void claim_new(struct stage *stage, struct maker *maker, uint64_t id,
                      uint64_t *version)
{
  struct value_room value;
  struct value_room present;
  struct key_room room;
  enum cmap_status status;

  value_make(&stage->m, id, maker->version, value.bytes);
  status = cmap_insert_new(stage->m.map, key_make(&stage->m.spec, id, &room),
                           value.bytes, present.bytes, NULL);
  if (status == CMAP_EXISTS) {
    value_drop(&stage->m, value.bytes);
    note(stage, id, present.bytes, CMAP_FOUND, version);
  } else {
    CHECK_STATUS(status, CMAP_OK);
    atomic_fetch_add_explicit(&stage->winners[id], 1, memory_order_relaxed);
    *version = maker->version;
  }
}

static claim_fn *const claims[] = {claim_with, claim_unlocked, claim_value,
                                   claim_new};

/* Between two meetings thread 0 looks at the round, and prepares the next. */
static void check_round(struct stage *stage, size_t round)
{
  for (uint64_t id = 0; id < KEYS; id++) {
    unsigned made = atomic_exchange(&stage->made[id], 0);
    struct key_room room;
    CHECK(atomic_exchange(&stage->winners[id], 0) == 1);
    CHECK(round % 4 == 0 ? made == 1 : made <= THREADS);
    for (unsigned i = 1; i < THREADS; i++) {
      CHECK(stage->got[i][id] == stage->got[0][id]);
    }
    CHECK_OK(cmap_remove(stage->m.map, key_make(&stage->m.spec, id, &room),
                         NULL, NULL));
  }
  CHECK(cmap_is_empty(stage->m.map));
}

static void claim_all(unsigned index, void *ctx)
{
  struct stage *stage = ctx;
  struct maker maker = {.stage = stage};

  for (size_t round = 0; round < stage->rounds; round++) {
    maker.version = round * THREADS % 0x10000 + index;
    meeting_wait(&stage->meeting);
    for (uint64_t i = 0; i < KEYS; i++) {
      uint64_t id = (i + round) % KEYS;
      claims[round % 4](stage, &maker, id, &stage->got[index][id]);
    }
    meeting_wait(&stage->meeting);
    if (index == 0) {
      check_round(stage, round);
    }
  }
}

static void run(const struct map_spec *spec)
{
  static struct stage stage;

  memset(&stage, 0, sizeof stage);
  test_map_open(&stage.m, spec);
  stage.rounds = test_scale(8000);
  meeting_begin(&stage.meeting, THREADS);
  threads_run(THREADS, claim_all, &stage);
  test_map_close(&stage.m);
}

static void once_per_key(void **state)
{
  static const struct map_spec specs[] = {
      {.keys = KEYS_U64, .value_size = 64, .shard_groups = 1},
      {.keys = KEYS_STRING, .value_size = 8},
      {.keys = KEYS_CUSTOM_OWNED,
       .value_size = 300,
       .care = VALUES_OWNED,
       .shard_groups = 1},
      {.keys = KEYS_U64, .value_size = 8, .hash = HASH_LOW_4},
  };
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
      cmocka_unit_test(once_per_key),
  };

  return cmocka_run_group_tests_name("once", tests, NULL, NULL);
}
