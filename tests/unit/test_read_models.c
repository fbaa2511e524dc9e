/*
 * The scenes of docs/model/ on real threads: readers without a lock against
 * one writer that moves entries between the same few blocks.
 *
 * There are more threads than most machines have processors: a reader that is
 * interrupted within a read is what the rules in table/read.h are for.
 */
#include "table/read.h"

#include "scenes.h"
#include "settings.h"
#include "threads.h"

enum { READERS = 5, STEPS = 800000 };

struct play {
  struct scene scene;
  size_t steps;
  atomic_uint readers; /* that have still to read once */
  atomic_bool over;
};

/* As cmap__call_read, but without end: a reader here has no lock to take. */
static bool read_without_lock(const struct cmap__table *table,
                              const struct cmap__probe *probe, uint64_t *value)
{
  const enum cmap__shape shape = table->layout.shape;

  /* Ends: the writer's sections are short, and it does end. */
  for (;;) {
    switch (cmap__read_round(table, shape, probe, value)) {
    case CMAP__READ_HIT:
      return true;
    case CMAP__READ_MISS:
      return false;
    default:
      cmap__pause();
    }
  }
}

static void act(unsigned index, void *ctx)
{
  struct play *play = ctx;

  if (index > 0) {
    for (size_t reads = 0; !atomic_load(&play->over); reads++) {
      scene_check(&play->scene, index % 3 == 1 ? K1 : K0, read_without_lock);
      if (reads == 0)
        atomic_fetch_sub(&play->readers, 1);
    }
    return;
  }
  for (size_t step = 0; step < play->steps && !checks_failed(); step++)
    scene_step(&play->scene);
  /* So that a short play is one, too. */
  while (atomic_load(&play->readers) > 0)
    scene_step(&play->scene);
  atomic_store(&play->over, true);
}

static void perform(enum scene_kind kind, enum scene_boxes boxes, size_t steps)
{
  static struct play play;

  play.steps = test_scale(steps);
  atomic_store(&play.readers, READERS);
  atomic_store(&play.over, false);
  scene_begin(&play.scene, kind, boxes);
  threads_run(1 + READERS, act, &play);
  scene_end(&play.scene);
}

static void keys_are_found_through_split_and_merge(void **state)
{
  (void)state;
  perform(SCENE_SPLIT, SCENE_NO_BOXES, STEPS);
}

static void keys_are_found_through_rebuilds(void **state)
{
  (void)state;
  perform(SCENE_REBUILD, SCENE_NO_BOXES, STEPS);
}

static void keys_are_found_as_they_come_home(void **state)
{
  (void)state;
  perform(SCENE_REHOME, SCENE_NO_BOXES, STEPS);
}

static void boxes_are_followed_while_they_are_the_slots(void **state)
{
  (void)state;
  for (int boxes = SCENE_BOXED_KEYS; boxes <= SCENE_ALL_BOXED; boxes++) {
    perform(SCENE_SPLIT, (enum scene_boxes)boxes, STEPS / 8);
    perform(SCENE_REBUILD, (enum scene_boxes)boxes, STEPS / 8);
    perform(SCENE_REHOME, (enum scene_boxes)boxes, STEPS / 8);
  }
}

static void halves_of_a_word_are_found(void **state)
{
  (void)state;
  perform(SCENE_SPLIT, SCENE_PACKED, STEPS / 8);
  perform(SCENE_REBUILD, SCENE_PACKED, STEPS / 8);
  perform(SCENE_REHOME, SCENE_PACKED, STEPS / 8);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keys_are_found_through_split_and_merge),
      cmocka_unit_test(keys_are_found_through_rebuilds),
      cmocka_unit_test(keys_are_found_as_they_come_home),
      cmocka_unit_test(boxes_are_followed_while_they_are_the_slots),
      cmocka_unit_test(halves_of_a_word_are_found),
  };

  return cmocka_run_group_tests_name("read_models", tests, NULL, NULL);
}
