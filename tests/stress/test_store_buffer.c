/*
 * Guarantee A.3: one thread inserts x and then gets y, another inserts y and
 * then gets x: at least one of them finds the other's key. The same for what
 * else a write and a read can be, and for removals: both cannot find.
 *
 * A processor with store buffers breaks this unless the write ends with a full
 * barrier. Each round has fresh keys; the threads meet before it, in shared
 * memory that neither the map nor the kernel touches.
 *
 * Where others keep the processors busy a meeting takes a thousand times as
 * long, and the rounds show little, since the threads do not run at once: each
 * run ends after a second, with the rounds it has made.
 */
#include "numbers.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

#include <stdlib.h>

#define RUN_NS UINT64_C(1000000000)

/* What a thread writes, and how it looks for what the other wrote. */
enum writing { BY_INSERT, BY_INSERT_NEW, BY_FETCH_ADD, BY_COMPUTE, BY_REMOVE };
enum reading { BY_GET, BY_CONTAINS };

struct stage {
  struct cmap *map;
  struct meeting meeting;
  size_t rounds;
  uint64_t end; /* as test_now */
  bool over[2]; /* of even and odd rounds: written by thread 0 before the
                   meeting, read behind it */
  enum writing writing;
  enum reading reading;
  size_t made[2];          /* rounds; each its own thread's, like found */
  unsigned char *found[2]; /* by round */
};

/* Keys of one round, scattered over the map. */
static uint64_t key_of(size_t round, unsigned thread)
{
  return random_mix(2 * round + thread);
}

static enum cmap_status put(struct cmap_key key, const void *old, void *fresh,
                            enum cmap_action *action, void *ctx)
{
  (void)key;
  (void)old;
  (void)fresh;
  (void)ctx;
  *action = CMAP_PUT;
  return CMAP_OK;
}

static void write(const struct stage *stage, uint64_t key)
{
  struct cmap_key k = cmap_key_u64(&key);
  uint64_t value = 1;

  switch (stage->writing) {
  case BY_INSERT:
    CHECK_OK(cmap_insert(stage->map, k, &value, NULL, NULL, NULL));
    break;
  case BY_INSERT_NEW:
    CHECK_OK(cmap_insert_new(stage->map, k, &value, NULL, NULL));
    break;
  case BY_FETCH_ADD:
    CHECK_OK(cmap_fetch_add(stage->map, k, 1, NULL, NULL));
    break;
  case BY_COMPUTE:
    CHECK_OK(cmap_compute(stage->map, k, NULL, NULL, put, NULL, NULL));
    break;
  default:
    CHECK_OK(cmap_remove(stage->map, k, NULL, NULL));
    break;
  }
}

static bool read(const struct stage *stage, uint64_t key)
{
  struct cmap_key k = cmap_key_u64(&key);
  uint64_t value = 0;
  enum cmap_status status = stage->reading == BY_GET
                                ? cmap_get(stage->map, k, &value, NULL)
                                : cmap_contains(stage->map, k, NULL);

  CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
  return status == CMAP_OK;
}

static void act(unsigned index, void *ctx)
{
  struct stage *stage = ctx;

  for (size_t round = 0; round < stage->rounds; round++) {
    uint64_t mine = key_of(round, index);
    uint64_t other = key_of(round, 1 - index);
    if (index == 0)
      stage->over[round % 2] = round > 0 && test_now() >= stage->end;
    meeting_wait(&stage->meeting);
    if (stage->over[round % 2])
      return;
    stage->made[index] = round + 1;
    write(stage, mine);
    stage->found[index][round] = read(stage, other);
  }
}

static void check_rounds(const struct stage *stage)
{
  CHECK(stage->made[0] > 0 && stage->made[0] == stage->made[1]);
  for (size_t round = 0; round < stage->made[0]; round++) {
    unsigned found = (unsigned)stage->found[0][round] + stage->found[1][round];
    CHECK(stage->writing == BY_REMOVE ? found < 2 : found > 0);
  }
}

static void run(enum writing writing, enum reading reading, size_t shard_groups)
{
  struct stage stage = {.writing = writing, .reading = reading};

  stage.map = shard_groups ? numbers_open_small() : numbers_open();
  stage.rounds = test_scale(150000);
  meeting_begin(&stage.meeting, 2);
  for (unsigned i = 0; i < 2; i++) {
    stage.found[i] = calloc(stage.rounds, 1);
    assert_non_null(stage.found[i]);
  }
  if (writing == BY_REMOVE) {
    for (size_t round = 0; round < stage.rounds; round++) {
      numbers_put(stage.map, key_of(round, 0), 1);
      numbers_put(stage.map, key_of(round, 1), 1);
    }
  }
  stage.end = test_now() + RUN_NS;
  threads_run(2, act, &stage);
  check_rounds(&stage);
  free(stage.found[0]);
  free(stage.found[1]);
  cmap_destroy(stage.map);
  checks_assert();
}

static void never_miss_each_other(void **state)
{
  struct soak soak;

  (void)state;
  soak_begin(&soak, 1);
  do {
    for (int writing = BY_INSERT; writing <= BY_REMOVE; writing++) {
      for (int reading = BY_GET; reading <= BY_CONTAINS; reading++) {
        run((enum writing)writing, (enum reading)reading, 0);
        run((enum writing)writing, (enum reading)reading, 1);
      }
    }
  } while (soak_again(&soak));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(never_miss_each_other),
  };

  return cmocka_run_group_tests_name("store_buffer", tests, NULL, NULL);
}
