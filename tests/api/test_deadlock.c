/*
 * Deadlocks, scene by scene (lock_scene.h).
 */
#include "lock_scene.h"

#include <stdio.h>

/* A write its own key, and then the next one's; the last closes the ring. */
static void ring_of_sixteen(void **state)
{
  static char script[2000];
  char *end = script;

  (void)state;
  for (int i = 0; i < LOCK_SCENE_ACTORS; i++)
    end += sprintf(end, "%c write B%d,", 'a' + i, i);
  for (int i = 0; i + 1 < LOCK_SCENE_ACTORS; i++)
    end += sprintf(end, "%c write B%d parks,", 'a' + i, i + 1);
  end += sprintf(end, "%c write B0 EDEADLK,", 'a' + LOCK_SCENE_ACTORS - 1);
  for (int i = LOCK_SCENE_ACTORS - 1; i > 0; i--)
    end += sprintf(end, "%c unlocks,%c resumes,", 'a' + i, 'a' + i - 1);
  end[-1] = 0;
  lock_scene_play(script);
}

/* name: script; */
static char scenes[] =
    /* Own holds. */
    "reads nest: a read L0 x100, b write L0 parks, a read L0 x100, a read L1,"
    " a look L0, c look L1 parks, a unlocks, b resumes, b unlocks, c resumes;"
    "own write hold: a write L0, a write L0 EDEADLK, a write L1 EDEADLK,"
    " a read L0 EDEADLK, a entry L9 EDEADLK, a look L0, a insert L0 try BUSY,"
    " a insert L0 late EDEADLK, b insert L0 try BUSY, a write H0;"
    "own read hold: a read L0, a write L0 EDEADLK, a write2 L0 EDEADLK,"
    " a insert L1 EDEADLK, a entry L0 try BUSY, a read L0, b read L0,"
    " b insert L0 EDEADLK, b read2 L0;"
    /* Circles. */
    "two maps: a write L0, b write H0, a write H0 parks, b write L0 EDEADLK,"
    " c insert H0 try BUSY, b write L0 EDEADLK, b unlocks, a resumes;"
    "two shards: a write B0, b write B1, a write B1 parks, b write B0 EDEADLK,"
    " b unlocks, a resumes, a unlocks, b write B0;"
    "three threads: a write B0, b entry B1, c read B2, a insert B1 parks,"
    " b write B2 parks, c look B0 EDEADLK, c unlocks, b resumes, b unlocks,"
    " a resumes;"
    "two holders: a read L0, b read L0, c write H0, a write H0 parks,"
    " c write L0 EDEADLK, c unlocks, a resumes, a unlocks, c write L0 parks,"
    " b unlocks, c resumes;"
    "no circle: a write L0, b insert L0 parks, c write H0, c read L0 parks,"
    " d write H0 parks, a unlocks, c resumes, c unlocks, d resumes, b resumes;"
    "retry succeeds: a write L0, b write H0, a read H0 parks,"
    " b write L0 EDEADLK, b weakens, a resumes, b write L0 parks, a unlocks,"
    " b resumes;"
    /* A reader that only a waiting writer keeps out is let in. */
    "reader closes: a read L0, b write H0, c write L0 parks, a write H0 parks,"
    " b read L0, b unlocks, a resumes, a unlocks, c resumes;"
    "reader is in the circle: a read L0, b write H0, c write L0 parks,"
    " b read L0 parks, a write H0 parks, b resumes, b unlocks, a resumes,"
    " a unlocks, c resumes;"
    "two readers: a read L0, b write H0, d write B0, c write L0 parks,"
    " b read L0 parks, d look L0 parks, a write H0 parks, b resumes,"
    " b unlocks, a resumes, a write B0 parks, d resumes, d unlocks, a resumes,"
    " a unlocks, c resumes;"
    "reader is far off: a read L0, b write H0, e write B0, c write L0 parks,"
    " b look L0 parks, e write H0 parks, a write B0 parks, b resumes,"
    " b unlocks, e resumes, e unlocks, a resumes, a unlocks, c resumes;"
    "writer has a deadline: a read L0, b write H0, c write L0 soon parks,"
    " b read L0 parks, a write H0 parks, b resumes, b unlocks, a resumes,"
    " c resumes TIMEDOUT;"
    "reader and writer: a read L0, b write H0, a read H0 parks,"
    " b write L0 EDEADLK, b look L0, b unlocks, a resumes;";

static char more_scenes[] =
    /* Circles through other holds and calls. */
    "entries: a entry L0, b entry H9, a entry H9 parks, b entry L9 EDEADLK,"
    " b unlocks, a resumes;"
    "many: a write2 B0, b write L0, a write L0 parks, b write B1 EDEADLK,"
    " b look B0 EDEADLK, b unlocks, a resumes;"
    "many halfway: a write B1, b write2 B0 parks, a read B0 EDEADLK,"
    " a unlocks, b resumes, a look B1 try BUSY;"
    "many closes: a write B1, b write L0, a write L0 parks,"
    " b read2 B0 EDEADLK, c write B0 try, b unlocks, a resumes;"
    "callbacks: a alter L0, b alter H0, a insert H0 parks,"
    " b insert L0 EDEADLK, b leaves, a resumes, a leaves;"
    "callbacks that view: a view L0, b view H0, a insert H0 parks, b look L0,"
    " b insert L0 EDEADLK, b leaves, a resumes, a leaves;"
    "equal: a write H0, b equal parks, a read L0, a unlocks, b resumes,"
    " a write H0, b equal parks, a write L0, a unlocks, b resumes;"
    "equal of a holder: b read L0, a write H0, b equal parks,"
    " a write L0 EDEADLK, a unlocks, b resumes;"
    "equal closes: a write H0, b write B0, a write B0 parks, b equal EDEADLK,"
    " c write L0 try, b unlocks, a resumes;"
    /* Deadlines and tries. */
    "closer has a deadline: a write L0, b write H0, a write H0 parks,"
    " b write L0 late EDEADLK, b write L0 try BUSY, b unlocks, a resumes;"
    "other has a deadline: a write L0, b write H0, a write H0 soon parks,"
    " b write L0 parks, a resumes TIMEDOUT, a unlocks, b resumes;"
    "one of three has a deadline: a write B0, b write B1, c write B2,"
    " a write B1 parks, b write B2 soon parks, c write B0 parks,"
    " b resumes TIMEDOUT, b unlocks, a resumes, a unlocks, c resumes;"
    "two circles: a read L0, b read L0, c write H0, a look H0 soon parks,"
    " b look H0 parks, c write L0 EDEADLK, a resumes TIMEDOUT, c unlocks,"
    " b resumes;"
    "tries are busy: a write L0, b write H0, a write H0 parks,"
    " b write L0 try BUSY, b look L0 try BUSY, b unlocks, a resumes;"
    /* Ended threads. */
    "ended writer: a write L0, b write H0, b write L0 parks, c look L0 parks,"
    " d len L0 parks, a ends, b resumes EABANDONED, c resumes EABANDONED,"
    " d resumes EABANDONED, e look L0 EABANDONED, e read L1 late EABANDONED,"
    " e entry L9 EABANDONED, e write L0 try BUSY;"
    "ended reader: a read L0, b write L0 parks, c read L0 parks, a ends,"
    " b resumes EABANDONED, c resumes, d look L0, d read L0 try,"
    " e write L0 EABANDONED, d equal, c insert L0 EDEADLK;"
    "ended many: a write2 B0, a entry L9, b look B1 parks, c read2 B0 parks,"
    " d insert L0 parks, a ends, b resumes EABANDONED, c resumes EABANDONED,"
    " d resumes EABANDONED, b insert B2;";

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ring_of_sixteen),
  };
  char *const texts[] = {scenes, more_scenes, NULL};

  return lock_scenes_run("deadlock", tests, 1, texts);
}
