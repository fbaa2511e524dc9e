/*
 * The lock-free read, with the writer's steps put between any two of the
 * reader's loads.
 *
 * One thread plays both: each atomic load of the reader is preceded by a call
 * of interrupt(), which performs as many steps of the writer as the schedule
 * says. All schedules with up to three such interruptions within the bounds
 * below are tried, from each state of the scene; with a smaller scale, one in
 * so many. That is a model checker for table/read.h as it is compiled, under
 * sequential consistency, with the writer's steps as units; the writer in
 * single steps is the affair of docs/model/, and test_read_models.c lets the
 * processor decide.
 */
#include "base/atomics.h"

static void interrupt(void);

#undef cmap__load_relaxed
#undef cmap__load_acquire
#define cmap__load_relaxed(p)                                                  \
  (interrupt(), atomic_load_explicit((p), memory_order_relaxed))
#define cmap__load_acquire(p)                                                  \
  (interrupt(), atomic_load_explicit((p), memory_order_acquire))
#define CMAP__GROUP_BY_WORDS 1

#include "table/aim.h"
#include "table/read.h"
#include "table/value.h"

#include "scenes.h"
#include "settings.h"

enum { INTERRUPTIONS_MAX = 3 };

static struct {
  struct scene scene;
  bool reading;   /* loads are the reader's */
  unsigned loads; /* of this read so far */
  unsigned n;     /* interruptions */
  struct {
    unsigned load;  /* before which */
    unsigned steps; /* how many */
  } at[INTERRUPTIONS_MAX];
  uint64_t schedules; /* met so far; the seed says where it begins */
  size_t stride;      /* one in so many is tried */
} now;

static void interrupt(void)
{
  if (!now.reading)
    return;
  now.loads++;
  for (unsigned i = 0; i < now.n; i++) {
    if (now.at[i].load != now.loads)
      continue;
    now.reading = false;
    for (unsigned step = 0; step < now.at[i].steps; step++)
      scene_step(&now.scene);
    now.reading = true;
  }
}

static void begin_reading(void)
{
  now.reading = true;
  now.loads = 0;
}

static bool read_rounds(const struct cmap__table *table,
                        const struct cmap__probe *probe, uint64_t *value)
{
  const enum cmap__shape shape = table->layout.shape;
  enum cmap__read_result result = CMAP__READ_AGAIN;

  /* Ends: each interruption spoils one round at the most. */
  for (unsigned round = 0; result == CMAP__READ_AGAIN; round++) {
    if (round > INTERRUPTIONS_MAX) {
      CHECK_NEVER("a read without a writer must end");
      break;
    }
    result = cmap__read_round(table, shape, probe, value);
  }
  now.reading = false;
  return result == CMAP__READ_HIT;
}

static bool read_by_schedule(const struct cmap__table *table,
                             const struct cmap__probe *probe, uint64_t *value)
{
  begin_reading();
  return read_rounds(table, probe, value);
}

/* The fast path first, which knows the home group alone. */
static bool read_home_by_schedule(const struct cmap__table *table,
                                  const struct cmap__probe *probe,
                                  uint64_t *value)
{
  const enum cmap__shape shape = table->layout.shape;
  enum cmap__read_result result;

  begin_reading();
  result = cmap__read_home(table, shape, probe, true, value);
  if (result == CMAP__READ_AGAIN)
    return read_rounds(table, probe, value);
  now.reading = false;
  return result == CMAP__READ_HIT;
}

/* In pieces, as a batch reads; what is no hit is read anew. */
static bool read_ahead_by_schedule(const struct cmap__table *table,
                                   const struct cmap__probe *probe,
                                   uint64_t *value)
{
  const enum cmap__shape shape = table->layout.shape;
  struct cmap__read_ahead ahead;

  begin_reading();
  cmap__read_ahead_group(table, shape, probe->hash, &ahead);
  cmap__read_ahead_slot(table, shape, probe->hash, &ahead);
  if (!cmap__read_ahead_hit(table, shape, probe, &ahead, value))
    return read_rounds(table, probe, value);
  now.reading = false;
  return true;
}

/* What a writer has seen before it locks, and may use if it still holds. */
static bool peek_by_schedule(const struct cmap__table *table,
                             const struct cmap__probe *probe, uint64_t *value)
{
  struct cmap__table *writable = (struct cmap__table *)(uintptr_t)table;
  struct cmap__locked locked;
  struct cmap__place place;
  struct cmap__peek peek;
  bool found;

  begin_reading();
  peek = cmap__peek(table, table->layout.shape, probe);
  now.reading = false;
  CHECK_OK(cmap__table_lock(writable, probe->hash, CMAP__WRITE, NULL, &locked));
  found = cmap__shard_find(&table->layout, locked.shard, probe, &place);
  if (cmap__peek_holds(&peek, locked.shard)) {
    CHECK(peek.found == found);
    if (found) {
      CHECK(peek.place.slot == place.slot);
      CHECK(peek.place.group == place.group);
      CHECK(peek.place.index == place.index);
      CHECK(peek.place.tag == place.tag);
    }
  }
  if (found)
    memcpy(value, cmap__slot_value(&table->layout, place.slot),
           table->layout.value_size);
  cmap__table_unlock(&locked);
  return found;
}

/* Where a writer's short way expects the key, before it locks. */
static struct cmap__aim aim_at(const struct cmap__table *table, uint64_t hash)
{
  struct cmap__aim aim;

  (void)cmap__aim_gap((struct cmap__table *)(uintptr_t)table,
                      table->layout.shape, hash, &aim);
  return aim;
}

/* It locks the shard that the directory named then: what it has seen is true if
 * it still holds, and in no other shard. */
static bool aim_by_schedule(const struct cmap__table *table,
                            const struct cmap__probe *probe, uint64_t *value)
{
  const struct cmap__layout *layout = &table->layout;
  struct cmap__aim aim;

  begin_reading();
  aim = aim_at(table, probe->hash);
  now.reading = false;
  CHECK(cmap__aim_try_lock(&aim, CMAP__WRITE, NULL));
  if (cmap__aim_holds(&aim)) {
    size_t first = cmap__block_home(aim.block, probe->hash) * CMAP__GROUP_SLOTS;
    unsigned match = aim.match;

    CHECK(match == cmap__group_match_hash(cmap__load_relaxed(&aim.group->lo),
                                          aim.hi, probe->hash));
    for (; match != 0; match &= match - 1) {
      const _Atomic uint64_t *slot =
          cmap__block_slots(aim.block) +
          (first + (unsigned)__builtin_ctz(match)) * layout->slot_words;
      if (cmap__key_equal(layout, layout->shape, NULL, 0, slot, probe)) {
        CHECK(cmap__shard_covers(aim.shard, probe->hash));
        CHECK(cmap__directory_shard(&table->directory, probe->hash) ==
              aim.shard);
      }
    }
  }
  cmap__aim_unlock(&aim, CMAP__WRITE);
  return read_by_schedule(table, probe, value);
}

/* It found no tag, and locks where it looked: then the key is absent. */
static bool gap_by_schedule(const struct cmap__table *table,
                            const struct cmap__probe *probe, uint64_t *value)
{
  struct cmap__place place;
  struct cmap__aim aim;

  begin_reading();
  aim = aim_at(table, probe->hash);
  now.reading = false;
  if (aim.match == 0 && cmap__aim_lock_gap(&aim, probe->hash)) {
    CHECK(cmap__directory_shard(&table->directory, probe->hash) == aim.shard);
    CHECK(!cmap__shard_find(&table->layout, aim.shard, probe, &place));
    cmap__aim_unlock(&aim, CMAP__WRITE);
  }
  return read_by_schedule(table, probe, value);
}

/* It found no tag, and says without the lock that the key is absent. */
static bool absent_by_schedule(const struct cmap__table *table,
                               const struct cmap__probe *probe, uint64_t *value)
{
  struct cmap__aim aim;

  begin_reading();
  aim = aim_at(table, probe->hash);
  if (aim.match != 0 || !cmap__aim_is_absent(table, &aim, probe->hash))
    return read_rounds(table, probe, value);
  now.reading = false;
  return false;
}

/* One schedule from one state of the scene, for both keys. */
static void try_schedule(unsigned period, unsigned phase)
{
  static scene_read *const reads[] = {
      read_by_schedule,      peek_by_schedule,   aim_by_schedule,
      gap_by_schedule,       absent_by_schedule, read_home_by_schedule,
      read_ahead_by_schedule};
  size_t n = sizeof reads / sizeof *reads;

  if (now.stride > 1 && now.schedules++ % now.stride != 0)
    return;
  /* The last two read values from slots only, and the last one whole words. */
  if (now.scene.table.layout.value_boxed)
    n -= 2;
  else if (now.scene.table.layout.packed)
    n--;
  for (unsigned key = K0; key < SCENE_KEYS; key++) {
    for (size_t i = 0; i < n; i++) {
      while (now.scene.steps % period != phase)
        scene_step(&now.scene);
      scene_check(&now.scene, (enum scene_key)key, reads[i]);
    }
  }
}

/* What is tried: all loads up to one, all numbers of steps up to one. */
struct range {
  unsigned interruptions;
  unsigned loads;
  unsigned steps;
};

/* Chooses interruption number now.n, and those after it. */
static void try_from(const struct range *range, unsigned first, unsigned period,
                     unsigned phase)
{
  unsigned n = now.n++;

  for (unsigned load = first; load <= range->loads; load++) {
    now.at[n].load = load;
    for (unsigned steps = 1; steps <= range->steps; steps++) {
      now.at[n].steps = steps;
      if (now.n == range->interruptions)
        try_schedule(period, phase);
      else
        try_from(range, load + 1, period, phase);
    }
  }
  now.n--;
}

static void try_all(enum scene_kind kind, enum scene_boxes boxes,
                    unsigned period)
{
  now.schedules = test_seed();
  /* A round that is not disturbed has 8 loads, with a second group 14, with
     its value some more. */
  static const struct range ranges[] = {{1, 24, 16}, {2, 20, 8}, {3, 14, 2}};

  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
    const struct range *range = &ranges[i];

    /* ThreadSanitizer is slow, and learns little from one thread. */
    now.stride = (CMAP__TSAN ? 500 : 100) / test_scale(100);
    if (boxes != SCENE_NO_BOXES) /* six scenes more, of slower steps */
      now.stride = 16 * now.stride + 1;
    scene_begin(&now.scene, kind, boxes);
    for (unsigned phase = 0; phase < period; phase++) {
      now.n = 0;
      try_from(range, 1, period, phase);
    }
    scene_end(&now.scene);
    checks_assert();
  }
}

static void keys_are_found_through_split_and_merge(void **state)
{
  (void)state;
  try_all(SCENE_SPLIT, SCENE_NO_BOXES, SCENE_SPLIT_PERIOD);
}

static void keys_are_found_through_rebuilds(void **state)
{
  (void)state;
  try_all(SCENE_REBUILD, SCENE_NO_BOXES, SCENE_REBUILD_PERIOD);
}

static void keys_are_found_as_they_come_home(void **state)
{
  (void)state;
  try_all(SCENE_REHOME, SCENE_NO_BOXES, SCENE_REHOME_PERIOD);
}

static void boxes_are_followed_while_they_are_the_slots(void **state)
{
  (void)state;
  for (int boxes = SCENE_BOXED_KEYS; boxes <= SCENE_ALL_BOXED; boxes++) {
    try_all(SCENE_SPLIT, (enum scene_boxes)boxes, SCENE_SPLIT_PERIOD);
    try_all(SCENE_REBUILD, (enum scene_boxes)boxes, SCENE_REBUILD_PERIOD);
    try_all(SCENE_REHOME, (enum scene_boxes)boxes, SCENE_REHOME_PERIOD);
  }
}

static void halves_of_a_word_are_found(void **state)
{
  (void)state;
  try_all(SCENE_SPLIT, SCENE_PACKED, SCENE_SPLIT_PERIOD);
  try_all(SCENE_REBUILD, SCENE_PACKED, SCENE_REBUILD_PERIOD);
  try_all(SCENE_REHOME, SCENE_PACKED, SCENE_REHOME_PERIOD);
}

/* What the tests above rest on: few blocks, which change their parts. */
static void scenes_move_the_keys(void **state)
{
  enum { BLOCKS = 8 };
  struct {
    uintptr_t block;
    bool home_of[SCENE_KEYS]; /* alone */
  } met[BLOCKS] = {{0}};
  struct scene *scene = &now.scene;
  unsigned changed = 0;

  (void)state;
  scene_begin(scene, SCENE_SPLIT, SCENE_NO_BOXES);
  for (unsigned step = 0; step < 10 * SCENE_SPLIT_PERIOD; step++) {
    const struct cmap__directory *directory = &scene->table.directory;
    uintptr_t homes[SCENE_KEYS] = {
        cmap__directory_block(directory, 0),
        cmap__directory_block(directory, UINT64_C(1) << 63)};

    for (unsigned key = K0; key < SCENE_KEYS && homes[K0] != homes[K1]; key++) {
      unsigned i = 0;

      while (met[i].block != 0 && met[i].block != homes[key])
        assert_true(++i < BLOCKS);
      met[i].block = homes[key];
      met[i].home_of[key] = true;
    }
    scene_step(scene);
  }
  for (unsigned i = 0; i < BLOCKS; i++)
    changed += met[i].home_of[K0] && met[i].home_of[K1];
  assert_int_equal(changed, 2);
  assert_int_equal(met[2].block, 0);
  scene_end(scene);

  scene_begin(scene, SCENE_REBUILD, SCENE_NO_BOXES);
  for (unsigned step = 0; step < 60 * SCENE_REBUILD_PERIOD; step++)
    scene_step(scene);
  assert_in_range(scene->displaced, 5, 45);
  scene_end(scene);

  scene_begin(scene, SCENE_REHOME, SCENE_NO_BOXES);
  for (unsigned step = 0; step < 60 * SCENE_REHOME_PERIOD; step++)
    scene_step(scene);
  assert_in_range(scene->came_home, 5, scene->displaced);
  scene_end(scene);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(scenes_move_the_keys),
      cmocka_unit_test(keys_are_found_through_split_and_merge),
      cmocka_unit_test(keys_are_found_through_rebuilds),
      cmocka_unit_test(keys_are_found_as_they_come_home),
      cmocka_unit_test(boxes_are_followed_while_they_are_the_slots),
      cmocka_unit_test(halves_of_a_word_are_found),
  };

  return cmocka_run_group_tests_name("read_schedules", tests, NULL, NULL);
}
