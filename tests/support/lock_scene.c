#include "lock_scene.h"

#include "calls.h"
#include "player.h"
#include "spread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACTORS     LOCK_SCENE_ACTORS
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
  struct player player;
  struct act act; /* the script's; then what came of it, the actor's */
  enum cmap_status status;
  size_t held; /* owner: the actor */
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
  player_finish(&actor->player);
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

/* Begins and ends a fork of the map. */
static enum cmap_status fork_map(struct cmap *map, const struct cmap_how *how)
{
  enum cmap_status status = cmap_fork_begin(map, how);

  return status == CMAP_OK ? cmap_fork_end(map) : status;
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
  if (is(act, "fork"))
    return fork_map(map, how);
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
    player_next_act(&actor->player);
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
  player_enter(&actor->player);
  serve(actor);
  if (atomic_load(&closing))
    (void)unlock(actor);
}

static void expect(struct actor *actor, enum cmap_status status)
{
  player_finishes(&actor->player);
  CHECK_STATUS(actor->status, status);
}

static void play_act(const struct act *act)
{
  struct actor *actor = &actors[act->who - 'a'];

  if (is(act, "resumes")) {
    CHECK(actor->player.parked);
    expect(actor, act->status);
    return;
  }
  actor->act = *act;
  player_give(&actor->player, act_along, actor);
  if (is(act, "ends")) {
    player_ends(&actor->player);
    abandoned |= actor->held > 0;
  } else if (act->parks) {
    /* On a slow machine "soon" may be over before we look. */
    if (!player_parks(&actor->player))
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
  for (unsigned i = 0; i < ACTORS; i++)
    player_begin(&actors[i].player);
}

/* Everybody lets go; then no lock is left behind. */
static void scene_close(void)
{
  struct cmap_how how = cmap_how_try();
  struct cmap *maps[] = {low, high, big};

  atomic_store(&closing, true);
  for (unsigned i = 0; i < ACTORS; i++)
    player_let_go(&actors[i].player);
  for (unsigned i = 0; i < ACTORS; i++)
    player_end(&actors[i].player);
  for (int i = 0; i < 3; i++) {
    CHECK(abandoned || cmap_clear(maps[i], &how) == CMAP_OK);
    cmap_destroy(maps[i]);
  }
}

void lock_scene_play(char *script)
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
  lock_scene_play(*script);
}

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

int lock_scenes_run(const char *group, const struct CMUnitTest *others,
                    size_t other_count, char *const texts[])
{
  struct CMUnitTest tests[60];
  size_t count = other_count;

  memset(tests, 0, sizeof tests);
  memcpy(tests, others, count * sizeof *tests);
  for (; *texts != NULL; texts++)
    count = add_scenes(tests, count, *texts);
  return _cmocka_run_group_tests(group, tests, count, NULL, NULL);
}
