/*
 * Reads without a lock against the writer of tests/support/scenes.h, which
 * moves entries between the same few blocks: splits, merges, rebuilds, comings
 * home; with keys and values in slots and in boxes.
 *
 * K0 is always found; what is found is whole, was written, and never older than
 * what the same thread has found before.
 *
 * So it is in many schedules, and in all of one read and two of the writer's
 * steps, from each place of its period. A read stores nothing. So it is all the
 * same when its steps are made, but for which stores its loads may return, and
 * these are all there when the writer has ended: no thread need be interrupted.
 */
#include "table/aim.h"
#include "table/read.h"
#include "table/value.h"

#include "scenes.h"
#include "settings.h"
#include "world.h"

enum { STEPS = 3, READS = 2 };

static struct scene scene;
static bool searching;
static _Thread_local bool met_writer; /* and would begin once more */

static bool read_rounds(const struct cmap__table *table,
                        const struct cmap__probe *probe, uint64_t *value)
{
  enum cmap__read_result result;

  /* Ends: the writer does. */
  do {
    result = cmap__read_round(table, table->layout.shape, probe, value);
    met_writer = result == CMAP__READ_AGAIN;
  } while (met_writer && !searching);
  return result == CMAP__READ_HIT;
}

static bool read_home(const struct cmap__table *table,
                      const struct cmap__probe *probe, uint64_t *value)
{
  enum cmap__read_result result =
      cmap__read_home(table, table->layout.shape, probe, true, value);

  return result == CMAP__READ_AGAIN ? read_rounds(table, probe, value)
                                    : result == CMAP__READ_HIT;
}

/* In pieces, as a batch reads. */
static bool read_ahead(const struct cmap__table *table,
                       const struct cmap__probe *probe, uint64_t *value)
{
  const enum cmap__shape shape = table->layout.shape;
  struct cmap__read_ahead ahead;

  cmap__read_ahead_group(table, shape, probe->hash, &ahead);
  cmap__read_ahead_slot(table, shape, probe->hash, &ahead);
  return cmap__read_ahead_hit(table, shape, probe, &ahead, value) ||
         read_rounds(table, probe, value);
}

/* What a writer sees before it locks: absent, without the lock. */
static bool read_absent(const struct cmap__table *table,
                        const struct cmap__probe *probe, uint64_t *value)
{
  struct cmap__table *writable = (struct cmap__table *)(uintptr_t)table;
  struct cmap__aim aim;

  (void)cmap__aim_gap(writable, table->layout.shape, probe->hash, &aim);
  if (aim.match == 0 && cmap__aim_is_absent(table, &aim, probe->hash))
    return false;
  return read_rounds(table, probe, value);
}

/* What it has seen, it finds under the lock, or knows that it may not be so. */
static bool read_peek(const struct cmap__table *table,
                      const struct cmap__probe *probe, uint64_t *value)
{
  struct cmap__table *writable = (struct cmap__table *)(uintptr_t)table;
  struct cmap__peek peek = cmap__peek(table, table->layout.shape, probe);
  struct cmap__locked locked;
  struct cmap__place place;
  bool found;

  CHECK_OK(cmap__table_lock(writable, probe->hash, CMAP__WRITE, NULL, &locked));
  found = cmap__shard_find(&table->layout, locked.shard, probe, &place);
  if (cmap__peek_holds(&peek, locked.shard)) {
    WORLD_CHECK(peek.found == found);
    WORLD_CHECK(!found || peek.place.slot == place.slot);
  }
  if (found)
    memcpy(value, cmap__slot_value(&table->layout, place.slot),
           8 * SCENE_VALUE_WORDS);
  cmap__table_unlock(&locked);
  return found;
}

static void begin(void)
{
  static const unsigned periods[] = {SCENE_SPLIT_PERIOD, SCENE_REBUILD_PERIOD,
                                     SCENE_REHOME_PERIOD};
  enum scene_kind kind = (enum scene_kind)world_choose(3);
  enum scene_boxes boxes =
      (enum scene_boxes)((searching || world_choose(2)) * world_choose(4));
  uint64_t steps =
      world_choose(searching ? periods[kind] : 2 * SCENE_SPLIT_PERIOD);

  scene_begin(&scene, kind, boxes);
  for (uint64_t i = 0; i < steps; i++)
    scene_step(&scene);
  world_hide(scene.states, sizeof scene.states);
}

static void end(void)
{
  WORLD_CHECK(!checks_failed());
  scene_end(&scene);
}

static void look(enum scene_key key, uint64_t *latest)
{
  /* The first takes the lock; the last two read values from slots only. */
  static scene_read *const reads[] = {read_peek, read_rounds, read_absent,
                                      read_home, read_ahead};
  uint64_t words[SCENE_VALUE_WORDS], n = scene.table.layout.value_boxed ? 3 : 5;
  scene_read *read =
      searching ? reads[1 + world_choose(n - 1)] : reads[world_choose(n)];
  bool hit;

  met_writer = false;
  hit = scene_look(&scene, key, read, words);
  WORLD_CHECK(hit || key != K0 || met_writer);
  if (!hit)
    return;
  for (unsigned i = 1; i < scene_value_words; i++)
    WORLD_CHECK(words[i] == words[0]);
  WORLD_CHECK(words[0] >= latest[key]);
  WORLD_CHECK(words[0] <= scene.states[key].begun);
  latest[key] = words[0];
}

static void act(unsigned thread)
{
  uint64_t latest[SCENE_KEYS] = {0};

  if (thread == 0) {
    for (unsigned i = 0; i < (searching ? 2 : STEPS); i++)
      scene_step(&scene);
  } else if (searching) {
    look(world_choose(2) == 0 ? K1 : K0, latest);
  } else {
    for (unsigned i = 0; i < READS; i++)
      look(world_choose(3) == 0 ? K1 : K0, latest);
  }
}

static void reads_are_whole_and_miss_nothing(void **state)
{
  static const struct scenario scenario = {
      .name = "reads", .threads = 3, .begin = begin, .end = end, .act = act};

  (void)state;
  world_play(&scenario, world_runs());
}

static void so_they_are_in_every_schedule(void **state)
{
  static const struct scenario scenario = {
      .name = "one read", .threads = 2, .begin = begin, .end = end, .act = act};

  (void)state;
  searching = true;
  scene_value_words = 3; /* a pair and one more */
  world_search(&scenario, 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_are_whole_and_miss_nothing),
      cmocka_unit_test(so_they_are_in_every_schedule),
  };

  return cmocka_run_group_tests_name("read", tests, NULL, NULL);
}
