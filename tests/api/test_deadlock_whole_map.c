/*
 * Calls that lock a whole map in circles of waits, scene by scene
 * (lock_scene.h): what they have locked to read is lent.
 */
#include "lock_scene.h"

#include <stdio.h>

/* B has more shards than a call on the whole map can lend one by one: with the
 * 32nd it lends all. */
static void lent_all(void **state)
{
  static char script[2000];
  char *end = script;

  (void)state;
  end += sprintf(end, "a write B34,b len B0 parks,");
  for (int i = 0; i < 31; i++)
    end += sprintf(end, "a write B%d,", i);
  (void)sprintf(end, "c insert B33 parks,a write B31,c resumes,a write B32,"
                     "a unlocks,b resumes,d insert B33 try,d insert B0 try");
  lock_scene_play(script);
}

/* name: script; */
static char scenes[] =
    "len: a write B1, b len B0 parks, a look B0, a insert B0, a unlocks,"
    " b resumes, c insert B0 try;"
    "len closes: a write B1, b write L0, a look L0 parks, b len B0 EDEADLK,"
    " c write B0 try, b unlocks, a resumes;"
    /* What a call on the whole map has locked so far is lent. */
    "lent and held: a write B3, b len B0 parks, a write B1, c insert B0 parks,"
    " a unlocks, b resumes, c resumes, d insert B1 try;"
    "len of a holder: b read B0, b write B2, a write B3, b len B0 parks,"
    " a insert B2 EDEADLK, a insert B0 EDEADLK, a write B1, a unlocks,"
    " b resumes, c insert B1 try;"
    "len finds the circle: a write B2, c write B1, b len B0 parks,"
    " a write B0 parks, c unlocks, a resumes, a unlocks, b resumes,"
    " d insert B0 try;"
    "two lend: a write B3, b len B0 parks, c len B0 parks, a write B1,"
    " a unlocks, b resumes, c resumes, d insert B1 try;"
    "lent over a third: a write B3, c write H0, b len B0 parks,"
    " a write H0 parks, c write B1, c unlocks, a resumes, a unlocks,"
    " b resumes, d insert B1 try;"
    "lending has a deadline: a write B3, b len B0 soon parks, a write B1,"
    " b resumes TIMEDOUT, c insert B0 try, c insert B2 try, a unlocks,"
    " c insert B1 try;"
    "lent, and its holder ends: a write B3, b len B0 parks, a write B1,"
    " a ends, b resumes EABANDONED, c insert B0 try, c insert B2 try;"
    /* What is locked to write for a fork is not. */
    "fork: a write B3, b fork B0 parks, a write B1 EDEADLK, a write B5,"
    " a look B1 EDEADLK, c look B1 try BUSY, a unlocks, b resumes,"
    " c insert B1 try;"
    "fork closes: a write B3, b write L0, a look L0 parks, b fork B0 EDEADLK,"
    " c write B0 try, c write B2 try, b unlocks, a resumes;"
    "fork at once: b fork B0, c write B0, b fork B0 try BUSY, a write B1 try;"
    "fork has a deadline: a write B3, b fork B0 soon parks, b resumes TIMEDOUT,"
    " c insert B0 try, c insert B2 try, a insert B4 try;";

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lent_all),
  };
  char *const texts[] = {scenes, NULL};

  return lock_scenes_run("deadlock_whole_map", tests, 1, texts);
}
