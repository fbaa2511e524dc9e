/*
 * The table "held x call" of cmap.h, section 9, cell by cell: every kind of
 * hold, of this thread and of another one, against every call that takes a
 * lock, on the same key, on another key of the same shard (present and absent),
 * on a key of another shard, and on another map.
 *
 * A cell says what happens when the call needs the shard that is held. Each
 * (of those with another thread, which take long beside other work, a third) is
 * tried with nothing, with CMAP_TRY and with a deadline; calls that wait begin
 * again just before the release, and go on.
 */
#include "holding.h"
#include "numbers.h"
#include "random.h"
#include "step.h"
#include "threads.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

/* MAY_WAIT: waits where the hold keeps readers without a lock out. */
enum cell { WORKS, MAY_WAIT, WAITS, REFUSED };

enum row { GET, VIEW, REF, WRITES, NO_LOCK, ROWS };
enum column { THIS_READS, THIS_WRITES, OTHER_READS, OTHER_WRITES, COLUMNS };

/* clang-format off */
static const enum cell table[ROWS][COLUMNS] = {
  /*            this thread holds   another thread holds
                read     write      read     write */
  [GET]     = { WORKS,   WORKS,     WORKS,   MAY_WAIT },
  [VIEW]    = { WORKS,   WORKS,     WORKS,   WAITS    },
  [REF]     = { WORKS,   REFUSED,   WORKS,   WAITS    },
  [WRITES]  = { REFUSED, REFUSED,   WAITS,   WAITS    },
  [NO_LOCK] = { WORKS,   WORKS,     WORKS,   WORKS    },
};
/* clang-format on */

static enum way way_to_run;
static enum cmap_status run_way(struct cmap *map, struct cmap_key key,
                                const struct cmap_how *how)
{
  struct holding h = {.map = map};
  enum cmap_status status = holding_call(way_to_run, &h, key, how);

  CHECK(status == CMAP_OK ||
        (!h.read.value && !h.write.value && !h.entry.key.data &&
         h.many.count == 0 && !h.iter.value));
  holding_release(&h);
  return status;
}

struct tabled {
  struct call call;
  enum row if_present, if_absent;
  enum way way; /* of run_way */
};

/* clang-format off */
#define MORE(way, present, absent, row_present, row_absent)                    \
  {{#way, CALL_KEYED, CMAP_##present, CMAP_##absent, run_way}, row_present,    \
   row_absent, way}

static const struct tabled more[] = {
  MORE(GET_REF,           OK, NOT_FOUND, REF,     REF),
  MORE(GET_OR_INSERT_REF, OK, OK,        REF,     WRITES),
  MORE(MANY_READ,         OK, NOT_FOUND, REF,     REF),
  MORE(GET_MUT,           OK, NOT_FOUND, WRITES,  WRITES),
  MORE(ENTRY,             OK, OK,        WRITES,  WRITES),
  MORE(MANY_WRITE,        OK, NOT_FOUND, WRITES,  WRITES),
  MORE(MANY_ENTRY,        OK, OK,        WRITES,  WRITES),
  {{"ITER_READ", 0, CMAP_OK, CMAP_NOT_FOUND, run_way}, REF, REF, ITER_READ},
  {{"ITER_WRITE", CALL_WRITES, CMAP_OK, CMAP_NOT_FOUND, run_way}, WRITES,
   WRITES, ITER_WRITE},
  MORE(ADD_OR_UPDATE,     OK, OK,        WRITES,  WRITES),
  MORE(ADD_UNLOCKED,      OK, OK,        WRITES,  WRITES),
  MORE(RENAME,            OK, NOT_FOUND, WRITES,  WRITES),
  MORE(SWAP_VALUES,       OK, NOT_FOUND, WRITES,  WRITES),
  MORE(NO_LOCK_AT_ALL,    OK, OK,        NO_LOCK, NO_LOCK),
};

static const struct hold_kind {
  const char *name;
  enum column this_thread;
  bool absent; /* of an absent key */
  bool busy;   /* readers without a lock wait */
  enum way way;
} holds[] = {
  {"get_ref",             THIS_READS,  false, false, GET_REF},
  {"get_or_insert_ref",   THIS_READS,  false, false, GET_OR_INSERT_REF},
  {"inserted ref",        THIS_READS,  true,  false, GET_OR_INSERT_REF},
  {"downgrade",           THIS_READS,  false, false, DOWNGRADE},
  {"lock_many to read",   THIS_READS,  false, false, MANY_READ},
  {"iter to read",        THIS_READS,  false, false, ITER_READ},
  {"view",                THIS_READS,  false, false, BY_VIEW},
  {"view_all",            THIS_READS,  false, false, BY_VIEW_ALL},
  {"get_mut",             THIS_WRITES, false, true,  GET_MUT},
  {"occupied entry",      THIS_WRITES, false, true,  ENTRY},
  {"vacant entry",        THIS_WRITES, true,  false, ENTRY},
  {"lock_many to write",  THIS_WRITES, false, true,  MANY_WRITE},
  {"lock_many as entry",  THIS_WRITES, false, true,  MANY_ENTRY},
  {"lock_many as vacant", THIS_WRITES, true,  false, MANY_ENTRY},
  {"iter to write",       THIS_WRITES, false, true,  ITER_WRITE},
  {"and_modify",          THIS_WRITES, false, true,  BY_ENTRY},
  {"or_insert_with",      THIS_WRITES, true,  false, BY_ENTRY},
  {"alter",               THIS_WRITES, false, true,  BY_ALTER},
  {"alter_all",           THIS_WRITES, false, true,  BY_ALTER_ALL},
  {"compute",             THIS_WRITES, false, false, BY_COMPUTE},
  {"compute absent",      THIS_WRITES, true,  false, BY_COMPUTE},
  {"update",              THIS_WRITES, false, false, ADD_OR_UPDATE},
  {"add",                 THIS_WRITES, true,  false, ADD_OR_UPDATE},
  {"make",                THIS_WRITES, true,  false, BY_MAKE},
};
/* clang-format on */

static bool lock_free; /* does the map of this run read without a lock? */

/* The n-th call, with its rows. */
static struct tabled call_at(size_t n)
{
  struct tabled t = {calls[n < calls_count ? n : 0], WRITES, WRITES, 0};

  if (n >= calls_count)
    return more[n - calls_count];
  if (call_has(&t.call, CALL_FREE))
    t.if_present = t.if_absent = lock_free ? GET : VIEW;
  else if (!call_has(&t.call, CALL_WRITES))
    t.if_present = t.if_absent = VIEW;
  if (call_has(&t.call, CALL_MAY_ADD)) {
    t.if_absent = WRITES;
    if (!lock_free && strcmp(t.call.name, "get_or_insert_with_unlocked") != 0)
      t.if_present = WRITES;
  }
  return t;
}

enum where { SAME_KEY, SAME_SHARD, SAME_SHARD_ABSENT, OTHER_SHARD, OTHER_MAP };

struct trial {
  const struct hold_kind *kind;
  struct tabled call;
  enum where where;
  bool other_thread;
  struct cmap *other_map;
  struct step step;
};

enum { STEP_HELD = 1, STEP_TRIED, NO_HOW = 0, TRY, DEADLINE };

#define KEYS   UINT64_C(60)
#define KEY    UINT64_C(7)
#define ABSENT KEYS
#define SHORT  UINT64_C(50000)       /* nanoseconds; must pass */
#define LONG   UINT64_C(60000000000) /* must not */

static uint64_t hash_custom(struct cmap_key key, void *ctx)
{
  uint64_t id;

  (void)ctx;
  memcpy(&id, key.data, sizeof id);
  return id;
}

static bool equal_custom(struct cmap_key stored, struct cmap_key key, void *ctx)
{
  (void)ctx;
  return memcmp(stored.data, key.data, sizeof(uint64_t)) == 0;
}

/* A map for the calls, which reads without a lock or not. */
static struct cmap *open_map(void)
{
  struct cmap_options options;
  struct cmap *map = NULL;

  if (lock_free)
    return calls_map(KEYS);
  cmap_options_init(&options, CMAP_CUSTOM, sizeof(uint64_t));
  options.key_size = sizeof(uint64_t);
  options.key_hash = hash_custom;
  options.key_equal = equal_custom;
  options.shard_groups = 1;
  CHECK_OK(cmap_create(&options, &map));
  for (uint64_t id = 0; id < KEYS; id++)
    numbers_put(map, id, calls_value(cmap_key_u64(&id)));
  return map;
}

static size_t shard_of(struct cmap *map, uint64_t id)
{
  uint64_t hash = 0;

  CHECK_OK(cmap_hash(map, cmap_key_u64(&id), &hash));
  return cmap_shard_index(map, hash);
}

/* The key to call with, given the one that is held; false: there is none. */
static bool find_key(const struct trial *trial, struct cmap *map, uint64_t held,
                     uint64_t *id)
{
  bool same = trial->where != OTHER_SHARD;
  uint64_t end = trial->where == SAME_SHARD_ABSENT ? 10000 : KEYS;

  *id = trial->where == SAME_SHARD_ABSENT ? ABSENT + 1 : 0;
  if (trial->where == SAME_KEY)
    *id = held;
  else if (trial->where != OTHER_MAP)
    while (*id < end &&
           (*id == held || (shard_of(map, *id) == shard_of(map, held)) != same))
      ++*id;
  return *id < end || trial->where == SAME_KEY;
}

static bool is_whole(const struct call *call)
{
  return !call_has(call, CALL_KEYED | CALL_NEAR);
}

static enum cell cell_of(const struct trial *trial, bool absent)
{
  const struct tabled *t = &trial->call;
  unsigned column =
      trial->kind->this_thread + (trial->other_thread ? OTHER_READS : 0);
  enum cell cell = table[absent ? t->if_absent : t->if_present][column];

  if (trial->where == OTHER_MAP ||
      (trial->where == OTHER_SHARD && !is_whole(&t->call)))
    return WORKS;
  return cell == MAY_WAIT ? (trial->kind->busy ? WAITS : WORKS) : cell;
}

/* Makes the call, while the key is held. */
static void try_cell(struct holding *h)
{
  struct trial *trial = h->ctx;
  const struct call *call = &trial->call.call;
  struct cmap *map = trial->where == OTHER_MAP ? trial->other_map : h->map;
  bool absent = trial->where == SAME_SHARD_ABSENT;
  enum cell cell;
  uint64_t id;

  if (trial->where == SAME_KEY)
    absent = trial->kind->absent && trial->kind->way != GET_OR_INSERT_REF;
  if (!find_key(trial, h->map, h->id, &id))
    return;
  cell = cell_of(trial, absent);
  way_to_run = trial->call.way;
  for (int way = cell == WAITS ? TRY : NO_HOW; way <= DEADLINE; way++) {
    struct cmap_how how = way == TRY
                              ? cmap_how_try()
                              : cmap_how_within(cell == WAITS ? SHORT : LONG);
    enum cmap_status free = absent ? call->if_absent : call->if_present;
    enum cmap_status status =
        call->run(map, cmap_key_u64(&id), way == NO_HOW ? NULL : &how);
    if (cell == WORKS)
      CHECK_STATUS(status, free);
    else if (way == TRY)
      CHECK_STATUS(status, CMAP_BUSY);
    else
      CHECK_STATUS(status, cell == WAITS ? CMAP_TIMEDOUT : CMAP_EDEADLK);
    if (call_has(call, CALL_REMOVES) && status == CMAP_OK)
      absent = true;
    else if (status == CMAP_OK || status == CMAP_EXISTS)
      absent = false;
  }
  if (cell == WAITS && call_has(call, CALL_KEYED)) {
    enum cmap_status status;
    step_done(&trial->step, STEP_TRIED); /* it lets go, sooner or later */
    status = call->run(map, cmap_key_u64(&id), NULL);
    CHECK(status == (absent ? call->if_absent : call->if_present) ||
          trial->kind->absent);
  }
}

static void let_another_try(struct holding *h)
{
  struct trial *trial = h->ctx;

  step_done(&trial->step, STEP_HELD);
  step_wait(&trial->step, STEP_TRIED);
  sched_yield(); /* one: beside other work each takes milliseconds */
}

static void take_hold(unsigned index, void *ctx)
{
  struct holding *h = ctx;
  struct trial *trial = h->ctx;
  uint64_t id = trial->kind->absent ? ABSENT : KEY;
  struct cmap_key key = cmap_key_u64(&id);
  enum cmap_status status = holding_call(trial->kind->way, h, key, NULL);

  (void)index;
  CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
  if (trial->kind->way <= ITER_WRITE)
    holding_now(h, key);
  holding_release(h);
  CHECK(h->done);
}

static void run_trial(struct trial *trial)
{
  struct holding h = {.map = open_map(), .then = try_cell, .ctx = trial};
  struct cmap_how how = cmap_how_try();
  static char about[100];
  struct thread thread;

  snprintf(about, sizeof about, "%s under %s of %s thread, where %d",
           trial->call.call.name, trial->kind->name,
           trial->other_thread ? "another" : "this", (int)trial->where);
  checks_about(about);
  trial->other_map = open_map();
  if (trial->other_thread) {
    step_begin(&trial->step);
    h.then = let_another_try;
    thread_start(&thread, take_hold, 0, &h);
    step_wait(&trial->step, STEP_HELD);
    try_cell(&h);
    step_done(&trial->step, STEP_TRIED);
    thread_join(&thread);
    step_end(&trial->step);
  } else {
    take_hold(0, &h);
  }
  CHECK_OK(cmap_clear(h.map, &how)); /* nothing is left locked */
  cmap_destroy(h.map);
  cmap_destroy(trial->other_map);
}

/* state: does another thread hold, and do reads need no lock? */
static void every_cell(void **state)
{
  const bool *setting = *state;
  struct random random;

  random_begin(&random, 0);
  lock_free = setting[1];
  for (size_t k = 0; k < sizeof holds / sizeof *holds; k++) {
    for (size_t n = 0; n < calls_count + sizeof more / sizeof *more; n++) {
      struct trial trial = {
          .kind = &holds[k], .call = call_at(n), .other_thread = setting[0]};
      if (!lock_free && call_has(&trial.call.call, CALL_TWO_MAPS))
        continue; /* they make a second map, with other keys */
      for (int where = SAME_KEY; where <= OTHER_MAP; where++) {
        trial.where = (enum where)where;
        if (random_in_scale(&random) &&
            (!trial.other_thread || random_once_in(&random, 3)) &&
            (!is_whole(&trial.call.call) || where == SAME_KEY ||
             where == OTHER_MAP))
          run_trial(&trial);
      }
    }
  }
  checks_assert();
}

int main(void)
{
  static bool settings[4][2] = {{0, 1}, {1, 1}, {0, 0}, {1, 0}};
  const struct CMUnitTest tests[] = {
      {"this thread holds", every_cell, NULL, NULL, settings[0]},
      {"another thread holds", every_cell, NULL, NULL, settings[1]},
      {"this thread, reads lock", every_cell, NULL, NULL, settings[2]},
      {"another thread, reads lock", every_cell, NULL, NULL, settings[3]},
  };

  return cmocka_run_group_tests_name("held_table", tests, NULL, NULL);
}
