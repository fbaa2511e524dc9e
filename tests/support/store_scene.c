#include "store_scene.h"

#include <stdio.h>
#include <stdlib.h>

#include "numbers.h"
#include "store_actor.h"

#define ACTORS    8
#define SECOND_NS UINT64_C(1000000000)
#define HOUR_NS   (3600 * SECOND_NS)

/* Of the running scene. */
static struct actor actors[ACTORS];

static void check_object(void *object, unsigned number)
{
  if (number != 0)
    CHECK(number <= world.object_count && object == world.objects[number] &&
          tracked_is_alive(object));
}

static void expect(struct actor *actor, const struct act *act)
{
  player_finishes(&actor->player);
  if (actor->outcome > BUILDS - 1 || act->outcome > BUILDS - 1)
    CHECK(actor->outcome == act->outcome);
  else
    CHECK_STATUS((enum cmap_status)actor->outcome,
                 (enum cmap_status)act->outcome);
  if (actor->outcome == CMAP_OK)
    check_object(actor->object, act->object);
}

static void play_call(struct actor *actor, const struct act *act)
{
  actor->act = *act;
  player_give(&actor->player, actor_run, actor);
  if (act_is(act, "ends") || act_is(act, "exits") || act_is(act, "cancels")) {
    player_ends(&actor->player);
  } else if (act->outcome == WAITS) {
    /* On a slow machine "soon" may be over before we look. */
    if (!player_parks(&actor->player))
      CHECK(act->soon && actor->outcome == CMAP_TIMEDOUT);
  } else {
    expect(actor, act);
  }
}

static void play_stats(const char *text)
{
  struct cmap_store_stats s = store_stats(world.stores[0].store);
  const struct {
    const char *name;
    uint64_t value;
  } all[] = {{" objects=", s.objects},     {" hits=", s.hits},
             {" misses=", s.misses},       {" running=", s.running},
             {" waiters=", s.waiters},     {" done=", s.done},
             {" failed=", s.failed},       {" abandoned=", s.abandoned},
             {" overtaken=", s.overtaken}, {" remembered=", s.remembered},
             {" evicted=", s.evicted},     {" expired=", s.expired},
             {" replaced=", s.replaced},   {" removed=", s.removed},
             {" cleared=", s.cleared},     {" cost=", s.cost}};

  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    const char *at = strstr(text, all[i].name);
    if (at != NULL &&
        strtoull(at + strlen(all[i].name), NULL, 10) != all[i].value) {
      fprintf(stderr, "%s is %llu\n", all[i].name,
              (unsigned long long)all[i].value);
      CHECK_NEVER("a statistic is wrong");
    }
  }
}

static void play_own(const struct act *act, const char *text)
{
  char about_whom = act->about >= 'a' ? act->about : 'a';
  struct actor *about = &actors[about_whom - 'a'];
  struct test_store *t = &world.stores[act->place == 'T'];

  if (act_is(act, "stats")) {
    play_stats(text);
  } else if (act_is(act, "alive") || act_is(act, "dead")) {
    CHECK((unsigned)act->number <= world.object_count);
    CHECK(tracked_is_alive(world.objects[act->number]) == act_is(act, "alive"));
  } else if (act_is(act, "len")) {
    CHECK(cmap_store_len(t->store) == (size_t)act->number);
  } else if (act_is(act, "told")) {
    CHECK(atomic_load(&about->told) == 1);
    CHECK_STATUS((enum cmap_status)about->told_status,
                 (enum cmap_status)act->outcome);
    check_object(about->told_object, act->object);
  } else if (act_is(act, "untold")) {
    CHECK(atomic_load(&about->told) == 0);
  } else if (act_is(act, "clock")) {
    atomic_store(&world.clock, (uint64_t)act->number * SECOND_NS);
  } else if (act_is(act, "was")) {
    CHECK((int)about->origin == act->outcome - ORIGINS);
  } else if (act_is(act, "left") || act_is(act, "in")) {
    CHECK((unsigned)act->number <= world.object_count);
    CHECK(atomic_load(&world.left[act->number]) ==
          (act_is(act, "in") ? 0 : act->outcome));
  } else if (act_is(act, "asked")) {
    CHECK(about->asked == atoi(strchr(text, '=') + 1));
  } else if (act_is(act, "trips")) {
    cmap_token_cancel(world.token);
  } else if (act_is(act, "cancel")) {
    CHECK(pthread_cancel(about->player.thread.id) == 0);
  } else {
    CHECK_NEVER("no such act");
  }
}

/* ------------------------------------------------------------------------
 * Scripts
 * ------------------------------------------------------------------------ */

static int status_of(const char *word, int otherwise)
{
  for (int status = CMAP_OK; status >= CMAP_ECANCELED; status--)
    if (strcmp(word, cmap_status_name((enum cmap_status)status) + 5) == 0)
      return status;
  return word[0] >= '0' && word[0] <= '9' ? atoi(word) : otherwise;
}

/* A flag; false if it is no such word. */
static bool read_flag(const char *word, struct act *act)
{
  if (strcmp(word, "try") == 0)
    act->try = true;
  else if (strcmp(word, "soon") == 0)
    act->soon = true;
  else if (strcmp(word, "late") == 0)
    act->late = true;
  else if (strcmp(word, "token") == 0)
    act->token = true;
  else if (strcmp(word, "share") == 0)
    act->flags |= CMAP_SHARE_FAILURE;
  else if (strcmp(word, "retry") == 0)
    act->flags |= CMAP_RETRY_FAILURE;
  else
    return false;
  return true;
}

static void read_word(const char *word, struct act *act)
{
  static const char *const outcomes[] = {
      "builds", "waits",   "YOURS",   "PENDING",  "HIT",     "BUILT",  "WAITED",
      "STALE",  "EVICTED", "EXPIRED", "REPLACED", "DELETED", "CLEARED"};

  if (read_flag(word, act) || strchr(word, '=') != NULL)
    return;
  for (int i = 0; i < (int)(sizeof outcomes / sizeof *outcomes); i++) {
    if (strcmp(word, outcomes[i]) == 0) {
      act->outcome = BUILDS + i;
      return;
    }
  }
  if (word[0] == '#') {
    act->object = (unsigned)atoi(word + 1);
  } else if (strchr("STMN", word[0]) != NULL &&
             (word[1] == 0 || (word[1] >= '0' && word[1] <= '9'))) {
    act->place = word[0];
    act->key = (unsigned)atoi(word + 1);
  } else {
    act->outcome = status_of(word, WAITS + 100);
  }
}

static void read_and_play_act(const char *text)
{
  struct act act = {.place = 'S'};
  char copy[200], *rest = NULL, *word;
  const char *argument;

  CHECK(strlen(text) < sizeof copy);
  strncpy(copy, text, sizeof copy - 1);
  copy[sizeof copy - 1] = 0;
  word = strtok_r(copy, " ", &rest);
  act.who = word[0];
  word = strtok_r(NULL, " ", &rest);
  argument = strchr(word, ':');
  if (argument != NULL) {
    act.about = argument[1];
    act.number = status_of(argument + 1, 0);
  }
  snprintf(act.verb, sizeof act.verb, "%.*s", (int)strcspn(word, ":"), word);
  if (act_is(&act, "builds"))
    act.outcome = BUILDS;
  while ((word = strtok_r(NULL, " ", &rest)) != NULL)
    read_word(word, &act);
  if (act.who == '-')
    play_own(&act, text);
  else if (act_is(&act, "resumes") || act_is(&act, "builds"))
    expect(&actors[act.who - 'a'], &act);
  else
    play_call(&actors[act.who - 'a'], &act);
}

/* ------------------------------------------------------------------------
 * Scenes
 * ------------------------------------------------------------------------ */

/* An object is told of once, when its key is what it is made for. */
static void object_left(struct cmap_key key, void *object,
                        enum cmap_removal reason, void *ctx)
{
  struct tracked *tracked = object;
  uint64_t id;

  (void)ctx;
  memcpy(&id, key.data, sizeof id);
  CHECK(tracked_is_alive(tracked) && tracked->id == id);
  CHECK(atomic_exchange(&world.left[tracked->version],
                        REMOVALS + (int)reason) == 0);
}

static uint64_t scene_clock(void *ctx)
{
  return atomic_load((_Atomic uint64_t *)ctx);
}

/* The number behind a setting; 0 if it is not there. */
static uint64_t setting(const char *settings, const char *name)
{
  const char *at = strstr(settings, name);

  return at == NULL ? 0 : strtoull(at + strlen(name), NULL, 10);
}

static void set_cache(struct cmap_store_options *options, const char *settings)
{
  options->on_remove = object_left;
  options->max_objects = (size_t)setting(settings, "max:");
  options->ttl_ns = setting(settings, "ttl:") * SECOND_NS;
  options->idle_ns = setting(settings, "idle:") * SECOND_NS;
  options->refresh_ns = setting(settings, "stale:") * SECOND_NS;
  if (options->ttl_ns != 0 || options->idle_ns != 0 ||
      options->refresh_ns != 0) {
    options->clock = scene_clock;
    options->clock_ctx = &world.clock;
  }
}

/* Objects that were in a store have left it once; and those alone. */
static void check_left(void)
{
  uint64_t left = 0, told = 0;

  for (unsigned i = 1; i <= world.object_count; i++)
    told += atomic_load(&world.left[i]) != 0;
  for (int i = 0; i < 2; i++) {
    struct cmap_store_stats s = store_stats(world.stores[i].store);
    left += s.evicted + s.expired + s.replaced + s.removed + s.cleared;
    CHECK(s.objects == 0);
  }
  CHECK(left == told);
}

static void scene_open(const char *settings)
{
  memset(&world, 0, sizeof world);
  for (int i = 0; i < 2; i++) {
    test_store_prepare(&world.stores[i], KEYS_U64);
    if (strstr(settings, "share") != NULL)
      world.stores[i].options.flags = CMAP_SHARE_FAILURE;
    if (strstr(settings, "negative") != NULL)
      world.stores[i].options.negative_ns = HOUR_NS;
    world.stores[i].options.object_ctx = &world.stores[0].lives;
    set_cache(&world.stores[i].options, settings);
    test_store_create(&world.stores[i]);
    world.maps[i] = numbers_open();
    for (uint64_t id = 0; id < SCENE_KEYS; id++)
      numbers_put(world.maps[i], id, id);
  }
  assert_status(cmap_token_create(&world.token), CMAP_OK);
  memset(actors, 0, sizeof actors);
  for (unsigned i = 0; i < ACTORS; i++)
    player_begin(&actors[i].player);
}

/* Those that are bound to another thread stay. */
static void abandon_tickets(void)
{
  for (int i = 0; i < 2; i++)
    for (int key = 0; key < SCENE_KEYS; key++)
      cmap_ticket_abandon(&world.tickets[i][key]);
}

/* Each construction has ended in one way. */
static void check_ends(void)
{
  uint64_t ended = 0;

  for (int i = 0; i < 2; i++) {
    struct cmap_store_stats s = store_stats(world.stores[i].store);
    CHECK(s.running == 0 && s.waiters == 0);
    ended += s.done + s.failed + s.abandoned + s.overtaken;
  }
  CHECK(ended == world.begun);
}

/* All ends, whatever has gone wrong; then nothing is left. */
static void scene_close(void)
{
  atomic_store(&world.closing, true);
  abandon_tickets();
  for (unsigned i = 0; i < ACTORS; i++)
    player_let_go(&actors[i].player);
  for (unsigned i = 0; i < ACTORS; i++) {
    player_end(&actors[i].player);
    actor_release(&actors[i]);
  }
  abandon_tickets(); /* of threads that have ended */
  check_ends();
  for (int i = 0; i < 2; i++)
    CHECK_OK(cmap_store_clear(world.stores[i].store));
  check_left();
  CHECK_OK(cmap_token_destroy(world.token));
  for (int i = 1; i >= 0; i--) {
    cmap_destroy(world.maps[i]);
    test_store_close(&world.stores[i]);
  }
}

void store_scene_play(const char *script)
{
  const char *bar = strchr(script, '|');
  char settings[40] = "", *text, *rest = NULL;

  if (bar != NULL)
    snprintf(settings, sizeof settings, "%.*s", (int)(bar - script), script);
  text = strdup(bar ? bar + 1 : script);
  assert_non_null(text);
  scene_open(settings);
  for (char *act = strtok_r(text, ",", &rest); act != NULL;
       act = strtok_r(NULL, ",", &rest)) {
    checks_about(act);
    read_and_play_act(act);
    if (checks_failed()) {
      fprintf(stderr, "scene: %s\n", script);
      break;
    }
  }
  scene_close();
  free(text);
  checks_assert();
}

static void play_state(void **script)
{
  store_scene_play(*script);
}

int store_scenes_run(const char *group, const struct store_scene *scenes,
                     size_t count, const struct CMUnitTest *others,
                     size_t other_count)
{
  struct CMUnitTest *tests = calloc(count + other_count + 1, sizeof *tests);
  int failed;

  if (tests == NULL)
    abort();
  for (size_t i = 0; i < count; i++) {
    union {
      const char *text;
      void *state;
    } script = {.text = scenes[i].script};
    tests[i].name = scenes[i].name;
    tests[i].test_func = play_state;
    tests[i].initial_state = script.state;
  }
  if (other_count > 0)
    memcpy(tests + count, others, other_count * sizeof *others);
  failed =
      _cmocka_run_group_tests(group, tests, count + other_count, NULL, NULL);
  free(tests);
  return failed;
}
