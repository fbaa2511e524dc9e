/*
 * Deadlocks, scene by scene. A scene is a script: who calls what, one act at a
 * time, and what comes of it ("OK" if it does not say). Actors, a to p, are
 * threads that do what the script says.
 *
 *     a write L0, b write H0, a write H0 parks, b write L0 EDEADLK,
 *     b unlocks, a resumes
 *
 * The next act begins when the last one has returned, or, where the script says
 * "parks", when its wait is published: the library says so (asleep.h). So the
 * script decides which wait closes a circle, and nobody sleeps for a time.
 *
 * When a scene is over, or has gone wrong, all actors let go of what they hold
 * as soon as their calls return, and end: nobody is left for the next scene.
 *
 * Three maps: L and H have one shard each, and L the lower address; B has many
 * shards, and its keys B0, B1, ... lie in different ones, in hash order.
 *
 *   read write entry read2 write2   guards, an entry, cmap_lock_many of this
 *                 key and the next; what they hold stays
 *   insert look equal len           cmap_insert, cmap_view, cmap_equal(H, L),
 *                 which locks a shard of L and then those of H, cmap_len_exact
 *   alter view    the next acts are called by the callback, until "leaves"
 *   weakens       makes a read guard of the write guard that was taken last
 *   unlocks       releases all holds, the first one first
 *   ends          the thread, with all that it holds
 *   resumes       no call: the one that parked has returned
 *   try soon late with CMAP_TRY; a deadline within the scene; one behind it
 */
#include "asleep.h"
#include "calls.h"
#include "spread.h"
#include "step.h"
#include "threads.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACTORS     16
#define HOLDS      220
#define BIG_KEYS   800
#define BIG_IDS    40
#define SMALL_KEYS 4
#define SOON_NS    (UINT64_C(1300) * 1000000)
#define LATE_NS    (UINT64_C(300) * 1000000000)

/* One of them is not CMAP_INIT. */
struct hold {
  struct cmap_read_guard read;
  struct cmap_write_guard write;
  struct cmap_entry entry;
  struct cmap_multi multi;
};

struct act {
  char who, map;
  char verb[10];
  unsigned key, times;
  bool try, soon, late, parks;
  enum cmap_status status;
};

static struct actor {
  struct thread thread;
  struct step go, finished; /* the n-th call */
  unsigned calls;           /* owner: the script */
  unsigned served;          /* owner: the actor */
  atomic_uint over;         /* the last call that is */
  struct act act;           /* ordered by the steps, as the next two */
  enum cmap_status status;
  struct asleep asleep;
  bool parked, ended; /* owner: the script */
  size_t held;        /* owner: the actor */
  struct hold holds[HOLDS];
} actors[ACTORS];

static struct cmap *low, *high, *big; /* const during a scene */
static uint64_t big_ids[BIG_IDS];
static bool abandoned;      /* a thread has ended with what it held */
static atomic_bool closing; /* all let go and end */

static bool is(const struct act *act, const char *verb)
{
  return strcmp(act->verb, verb) == 0;
}

static void finish(struct actor *actor, enum cmap_status status)
{
  actor->status = status;
  atomic_store(&actor->over, actor->served);
  step_done(&actor->finished, actor->served);
}

static void serve(struct actor *actor);

/* The callback of "alter": the next acts are called in here. */
static enum cmap_status stay(struct cmap_key key, void *value, void *ctx)
{
  (void)key, (void)value;
  finish(ctx, CMAP_OK);
  serve(ctx);
  return CMAP_OK;
}

static enum cmap_status stay_to_view(struct cmap_key key, const void *value,
                                     void *ctx)
{
  (void)value;
  return stay(key, NULL, ctx);
}

static enum cmap_status see(struct cmap_key key, const void *value, void *ctx)
{
  (void)key, (void)value, (void)ctx;
  return CMAP_OK;
}

static struct cmap_key key_of(const struct act *act, unsigned n, uint64_t *id)
{
  *id = act->map == 'B' ? big_ids[(act->key + n) % BIG_IDS] : act->key + n;
  return cmap_key_u64(id);
}

static enum cmap_status unlock(struct actor *actor)
{
  for (size_t i = 0; i < actor->held; i++) {
    cmap_read_guard_release(&actor->holds[i].read);
    cmap_write_guard_release(&actor->holds[i].write);
    cmap_entry_release(&actor->holds[i].entry);
    cmap_multi_release(&actor->holds[i].multi);
  }
  actor->held = 0;
  return CMAP_OK;
}

/* Calls that take a hold, which stays; false if it is another call. */
static bool take(struct actor *actor, const struct act *act, struct cmap *map,
                 const struct cmap_how *how, enum cmap_status *status)
{
  struct hold *hold = &actor->holds[actor->held];
  enum cmap_mode mode = is(act, "read2") ? CMAP_READ : CMAP_WRITE;
  uint64_t ids[2];
  struct cmap_key key = key_of(act, 0, &ids[0]);
  struct cmap_want wants[2] = {{map, key_of(act, 1, &ids[1]), mode, CMAP_OK},
                               {map, key, mode, CMAP_OK}};

  if (is(act, "read"))
    *status = cmap_get_ref(map, key, &hold->read, how);
  else if (is(act, "write"))
    *status = cmap_get_mut(map, key, &hold->write, how);
  else if (is(act, "entry"))
    *status = cmap_entry_begin(map, key, &hold->entry, how);
  else if (is(act, "read2") || is(act, "write2"))
    *status = cmap_lock_many(wants, 2, &hold->multi, how);
  else
    return false;
  if (*status == CMAP_OK)
    actor->held++;
  return true;
}

static enum cmap_status perform(struct actor *actor, const struct act *act)
{
  struct cmap *map = act->map == 'B' ? big : act->map == 'H' ? high : low;
  struct cmap_how limited =
      act->try ? cmap_how_try()
               : cmap_how_within(act->soon ? SOON_NS : LATE_NS);
  const struct cmap_how *how =
      act->try || act->soon || act->late ? &limited : NULL;
  struct hold *latest = &actor->holds[actor->held] - 1;
  uint64_t id;
  struct cmap_key key = key_of(act, 0, &id);
  uint64_t value = calls_value(key);
  enum cmap_status status;
  size_t len;
  bool equal;

  if (take(actor, act, map, how, &status))
    return status;
  if (is(act, "insert"))
    return cmap_insert(map, key, &value, NULL, NULL, how);
  if (is(act, "look"))
    return cmap_view(map, key, see, NULL, how);
  if (is(act, "equal"))
    return cmap_equal(high, low, &equal, how);
  if (is(act, "len"))
    return cmap_len_exact(map, &len, how);
  if (is(act, "alter"))
    return cmap_alter(map, key, stay, actor, how);
  if (is(act, "view"))
    return cmap_view(map, key, stay_to_view, actor, how);
  if (is(act, "weakens"))
    return cmap_write_guard_downgrade(&latest->write, &latest->read);
  CHECK(is(act, "unlocks"));
  return unlock(actor);
}

static void serve(struct actor *actor)
{
  for (;;) {
    enum cmap_status status = CMAP_OK;
    struct act act;
    step_wait(&actor->go, ++actor->served);
    if (atomic_load(&closing))
      return;
    act = actor->act;
    if (is(&act, "leaves") || is(&act, "ends"))
      return;
    for (unsigned i = 0; status == CMAP_OK && i < act.times; i++)
      status = perform(actor, &act);
    finish(actor, status);
  }
}

static void act_along(unsigned index, void *ctx)
{
  struct actor *actor = ctx;

  (void)index;
  asleep_here(&actor->asleep);
  serve(actor);
  if (atomic_load(&closing))
    (void)unlock(actor);
}

/* Waits until the actor's call waits (true) or has returned (false). */
static bool until_parked(struct actor *actor, unsigned times)
{
  /* Ends: one or the other comes about. */
  while (asleep_times(&actor->asleep) == times &&
         atomic_load(&actor->over) < actor->calls)
    sched_yield();
  return atomic_load(&actor->over) < actor->calls;
}

static void expect(struct actor *actor, enum cmap_status status)
{
  step_wait(&actor->finished, actor->calls);
  CHECK_STATUS(actor->status, status);
  actor->parked = false;
}

static void play_act(const struct act *act)
{
  struct actor *actor = &actors[act->who - 'a'];
  unsigned times = asleep_times(&actor->asleep);

  if (is(act, "resumes")) {
    CHECK(actor->parked);
    expect(actor, act->status);
    return;
  }
  CHECK(!actor->parked && !actor->ended);
  if (actor->calls == 0)
    thread_start(&actor->thread, act_along, 0, actor);
  actor->act = *act;
  step_done(&actor->go, ++actor->calls);
  if (is(act, "ends")) {
    thread_join(&actor->thread);
    actor->ended = true;
    abandoned |= actor->held > 0;
  } else if (act->parks) {
    actor->parked = true;
    /* On a slow machine "soon" may be over before we look. */
    if (!until_parked(actor, times))
      CHECK(act->soon && actor->status == CMAP_TIMEDOUT);
  } else {
    expect(actor, act->status);
  }
}

static void read_and_play_act(const char *text)
{
  struct act act = {.times = 1};
  const char *last = strrchr(text, ' ') + 1;

  CHECK(sscanf(text, " %c %9s %c%u", &act.who, act.verb, &act.map, &act.key) >=
        2);
  CHECK(act.who >= 'a' && act.who < 'a' + ACTORS);
  act.try = strstr(text, " try") != NULL;
  act.soon = strstr(text, " soon") != NULL;
  act.late = strstr(text, " late") != NULL;
  act.parks = strcmp(last, "parks") == 0;
  if (strstr(text, " x100") != NULL)
    act.times = 100;
  for (int status = CMAP_OK; status >= CMAP_FROZEN; status--)
    if (strcmp(last, cmap_status_name((enum cmap_status)status) + 5) == 0)
      act.status = (enum cmap_status)status;
  play_act(&act);
}

static void scene_open(void)
{
  struct cmap *a = calls_map(SMALL_KEYS), *b = calls_map(SMALL_KEYS);

  low = (uintptr_t)a < (uintptr_t)b ? a : b;
  high = low == a ? b : a;
  big = calls_map(BIG_KEYS);
  spread_ids(big, BIG_KEYS, big_ids, BIG_IDS);
  abandoned = false;
  atomic_store(&closing, false);
  memset(actors, 0, sizeof actors);
  for (unsigned i = 0; i < ACTORS; i++) {
    asleep_begin(&actors[i].asleep);
    step_begin(&actors[i].go);
    step_begin(&actors[i].finished);
  }
}

/* Everybody lets go; then no lock is left behind. */
static void scene_close(void)
{
  struct cmap_how how = cmap_how_try();
  struct cmap *maps[] = {low, high, big};

  atomic_store(&closing, true);
  for (unsigned i = 0; i < ACTORS; i++) {
    CHECK(!actors[i].parked);
    step_done(&actors[i].go, UINT_MAX);
  }
  for (unsigned i = 0; i < ACTORS; i++) {
    if (actors[i].calls > 0 && !actors[i].ended)
      thread_join(&actors[i].thread);
    step_end(&actors[i].go);
    step_end(&actors[i].finished);
  }
  for (int i = 0; i < 3; i++) {
    CHECK(abandoned || cmap_clear(maps[i], &how) == CMAP_OK);
    cmap_destroy(maps[i]);
  }
}

static void play(char *script)
{
  char *rest = NULL;

  scene_open();
  for (char *act = strtok_r(script, ",", &rest);
       act != NULL && !checks_failed(); act = strtok_r(NULL, ",", &rest)) {
    checks_about(act);
    read_and_play_act(act);
  }
  scene_close();
  checks_assert();
}

static void play_state(void **script)
{
  play(*script);
}

/* A write its own key, and then the next one's; the last closes the ring. */
static void ring_of_sixteen(void **state)
{
  static char script[2000];
  char *end = script;

  (void)state;
  for (int i = 0; i < ACTORS; i++)
    end += sprintf(end, "%c write B%d,", 'a' + i, i);
  for (int i = 0; i + 1 < ACTORS; i++)
    end += sprintf(end, "%c write B%d parks,", 'a' + i, i + 1);
  end += sprintf(end, "%c write B0 EDEADLK,", 'a' + ACTORS - 1);
  for (int i = ACTORS - 1; i > 0; i--)
    end += sprintf(end, "%c unlocks,%c resumes,", 'a' + i, 'a' + i - 1);
  end[-1] = 0;
  play(script);
}

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
  play(script);
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

static size_t add_scenes(struct CMUnitTest *tests, size_t count, char *text)
{
  char *rest = NULL;

  for (char *name = strtok_r(text, ":", &rest); name != NULL;
       name = strtok_r(NULL, ":", &rest)) {
    tests[count].name = name;
    tests[count].test_func = play_state;
    tests[count++].initial_state = strtok_r(NULL, ";", &rest);
  }
  return count;
}

int main(void)
{
  struct CMUnitTest tests[60] = {cmocka_unit_test(ring_of_sixteen),
                                 cmocka_unit_test(lent_all)};
  size_t count = add_scenes(tests, 2, scenes);

  count = add_scenes(tests, count, more_scenes);
  return _cmocka_run_group_tests("deadlock", tests, count, NULL, NULL);
}
