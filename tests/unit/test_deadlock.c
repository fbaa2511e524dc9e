/*
 * The deadlock detector against an oracle: random threads hold and wait for
 * random things, and for each wait a search of another kind (the transitive
 * closure of a matrix) says what must come of it.
 *
 * The threads are real, since holds belong to threads, but no thread parks:
 * between cmap__deadlock_enter and cmap__deadlock_leave it waits for the main
 * thread, which decides about all of them, one step at a time.
 *
 * Things are halves of objects, so that the borders of hashes count, too; the
 * last object has no shard lock, and its readers cannot be let in.
 */
#include "checks.h"
#include "random.h"
#include "settings.h"
#include "step.h"
#include "table_room.h"
#include "tables.h"
#include "threads.h"

#include <sched.h>
#include <string.h>

#include "sync/deadlock.h"

#define THREADS 7
#define OBJECTS 3
#define THINGS  (2 * OBJECTS)
#define ROUNDS  4000
#define STEPS   100
#define MIDDLE  (UINT64_C(1) << 63)

enum what { TAKE_GUARD, TAKE_CALL, DROP, ENTER, LEAVE_WAIT, END };

struct actor {
  struct thread thread;
  struct step go, done;
  unsigned steps;
  enum what what; /* ordered by the steps, as all below */
  struct cmap__hold hold;
  struct cmap__wait wait;
  enum cmap__lock_result result;
  /* The model; owner: the main thread. */
  bool waits, timed;
  unsigned wanted; /* the thing */
  enum cmap__mode mode;
};

static struct actor actors[THREADS];
static char objects[OBJECTS];
static struct cmap__shardlock locks[THINGS];
static unsigned readers[THINGS], writer[THINGS]; /* bits of actors */

/* What was found, so that a run in which nothing happens is seen. */
static size_t refusals, admissions, waits;

/* ------------------------------------------------------------------------
 * Actors
 * ------------------------------------------------------------------------ */

static void begin_call(const struct cmap__hold *what)
{
  struct cmap__hold *hold;
  struct cmap__hold *outer;

  CHECK(cmap__hold_prepare());
  hold = cmap__hold_next();
  outer = hold->outer;
  *hold = *what;
  hold->outer = outer;
  cmap__hold_begin(hold);
}

static void act(struct actor *a, struct cmap__record *holds, size_t *held)
{
  struct cmap__record *record = &holds[*held];

  switch (a->what) {
  case TAKE_GUARD:
  case TAKE_CALL:
    if (a->what == TAKE_GUARD) {
      cmap__record_own(record, &cmap__self);
      record->hold = a->hold;
      cmap__guard_link(&record->hold);
      ++*held;
    } else {
      begin_call(&a->hold);
    }
    break;
  case DROP:
    while (cmap__self.calls != NULL)
      cmap__hold_end(cmap__self.calls);
    while (*held > 0)
      cmap__guard_unlink(&holds[--*held].hold);
    break;
  case ENTER:
    a->result = cmap__deadlock_enter(&a->wait);
    break;
  default:
    cmap__deadlock_leave(&a->wait);
  }
}

static void act_along(unsigned index, void *ctx)
{
  struct actor *a = &actors[index];
  struct cmap__record holds[THINGS];
  size_t held = 0;
  unsigned step = 0;

  (void)ctx;
  for (;;) {
    step_wait(&a->go, ++step);
    if (a->what == END)
      return;
    act(a, holds, &held);
    step_done(&a->done, step);
  }
}

static void tell(struct actor *a, enum what what)
{
  a->what = what;
  step_done(&a->go, ++a->steps);
  if (what == END)
    thread_join(&a->thread);
  else
    step_wait(&a->done, a->steps);
}

/* ------------------------------------------------------------------------
 * The oracle
 * ------------------------------------------------------------------------ */

enum edge { NO_EDGE, SOFT_EDGE, HARD_EDGE };

struct graph {
  bool reach[THREADS][THREADS]; /* over one edge or more */
};

/* Does i wait for what j holds? */
static enum edge edge_of(unsigned i, unsigned j)
{
  const struct actor *a = &actors[i];
  unsigned bit = 1u << j;

  if (((readers[a->wanted] | writer[a->wanted]) & bit) == 0)
    return NO_EDGE;
  if (a->mode == CMAP__WRITE || (writer[a->wanted] & bit) != 0)
    return HARD_EDGE;
  return a->wait.lock == NULL || a->wait.admitted ? NO_EDGE : SOFT_EDGE;
}

/* Of those that wait, and of `me`; without timed ones if only hard. */
static void make_graph(struct graph *g, unsigned me, enum edge least)
{
  memset(g, 0, sizeof *g);
  for (unsigned i = 0; i < THREADS; i++) {
    for (unsigned j = 0; j < THREADS; j++) {
      bool skip_i = least == HARD_EDGE && i != me && actors[i].timed;
      bool skip_j = least == HARD_EDGE && j != me && actors[j].timed;
      g->reach[i][j] = actors[i].waits && actors[j].waits && !skip_i &&
                       !skip_j && edge_of(i, j) >= least;
    }
  }
  for (unsigned k = 0; k < THREADS; k++)
    for (unsigned i = 0; i < THREADS; i++)
      for (unsigned j = 0; j < THREADS; j++)
        g->reach[i][j] |= g->reach[i][k] && g->reach[k][j];
}

/* Is the reader's soft edge a part of a circle through `me`? */
static bool may_admit(const struct graph *g, unsigned me, unsigned reader)
{
  for (unsigned j = 0; j < THREADS; j++) {
    if (actors[reader].waits && actors[j].waits &&
        edge_of(reader, j) == SOFT_EDGE &&
        (reader == me || g->reach[me][reader]) && (j == me || g->reach[j][me]))
      return true;
  }
  return false;
}

/* ------------------------------------------------------------------------
 * Steps
 * ------------------------------------------------------------------------ */

static uint64_t first_of(unsigned thing)
{
  return thing % 2 == 0 ? 0 : MIDDLE;
}

/* A hash of the thing, often the first or the last one. */
static uint64_t hash_of(struct random *random, unsigned thing)
{
  switch (random_below(random, 3)) {
  case 0:
    return first_of(thing);
  case 1:
    return first_of(thing) + (MIDDLE - 1);
  default:
    return first_of(thing) + random_below(random, MIDDLE);
  }
}

/* Takes something, if it is free for that. */
static void take(unsigned i, unsigned thing, enum cmap__mode mode, bool call)
{
  struct actor *a = &actors[i];

  if (writer[thing] != 0 || ((readers[thing] >> i) & 1) != 0 ||
      (mode == CMAP__WRITE && readers[thing] != 0))
    return;
  a->hold = (struct cmap__hold){.object = &objects[thing / 2],
                                .first = first_of(thing),
                                .last = first_of(thing) + (MIDDLE - 1),
                                .mode = mode};
  tell(a, call ? TAKE_CALL : TAKE_GUARD);
  *(mode == CMAP__WRITE ? &writer[thing] : &readers[thing]) |= 1u << i;
}

static void drop(unsigned i)
{
  tell(&actors[i], DROP);
  for (unsigned thing = 0; thing < THINGS; thing++) {
    readers[thing] &= ~(1u << i);
    writer[thing] &= ~(1u << i);
  }
}

static void leave(unsigned i)
{
  tell(&actors[i], LEAVE_WAIT);
  actors[i].waits = actors[i].timed = false;
}

/* What a lock says when a reader is let in. */
static bool turn_is_readers(unsigned thing)
{
  uint32_t word = cmap__load_relaxed(&locks[thing].word);

  return (word & CMAP__LOCK_READERS_NEXT) != 0 &&
         (word & CMAP__LOCK_READERS_WAIT) == 0;
}

/* All locks look awaited by readers, behind a writer. */
static void reset_locks(void)
{
  for (unsigned thing = 0; thing < THINGS; thing++)
    cmap__store_relaxed(&locks[thing].word, CMAP__LOCK_ONE_READER |
                                                CMAP__LOCK_READERS_WAIT |
                                                CMAP__LOCK_WRITERS_WAIT);
}

/* Readers were let in if and only if they `could` be, and no circle is left. */
static void check_admissions(unsigned me, unsigned could,
                             unsigned admitted_before)
{
  struct graph after;
  unsigned admitted = 0;

  make_graph(&after, me, SOFT_EDGE);
  for (unsigned i = 0; i < THREADS; i++) {
    if (actors[i].waits && actors[i].wait.admitted)
      admitted |= 1u << i;
    assert_false(may_admit(&after, me, i));
  }
  admitted &= ~admitted_before;
  assert_int_equal(admitted & ~could, 0);
  assert_int_equal(admitted != 0, could != 0);
  for (unsigned i = 0; i < THREADS; i++) {
    if ((admitted >> i) & 1) {
      assert_true(turn_is_readers(actors[i].wanted));
      admissions++;
    }
  }
}

static void enter(unsigned me, struct random *random)
{
  struct actor *a = &actors[me];
  unsigned could = 0, admitted = 0;
  struct graph hard, soft;

  a->wanted = (unsigned)random_below(random, THINGS);
  a->mode = random_once_in(random, 2) ? CMAP__READ : CMAP__WRITE;
  if ((((readers[a->wanted] | writer[a->wanted]) >> me) & 1) != 0)
    return; /* own holds are the caller's to look for */
  a->waits = true;
  a->timed = random_once_in(random, 3);
  a->wait = (struct cmap__wait){
      .object = &objects[a->wanted / 2],
      .hash = hash_of(random, a->wanted),
      .mode = a->mode,
      .timed = a->timed,
      .lock = a->wanted / 2 == OBJECTS - 1 ? NULL : &locks[a->wanted]};
  make_graph(&hard, me, HARD_EDGE);
  make_graph(&soft, me, SOFT_EDGE);
  for (unsigned i = 0; i < THREADS; i++) {
    could |= may_admit(&soft, me, i) ? 1u << i : 0;
    admitted |= actors[i].waits && actors[i].wait.admitted ? 1u << i : 0;
  }
  reset_locks();
  waits++;
  tell(a, ENTER);
  if (hard.reach[me][me]) {
    assert_int_equal(a->result, CMAP__LOCK_DEADLOCK);
    refusals++;
  } else {
    check_admissions(me, could, admitted);
    assert_int_equal(a->result,
                     a->wait.admitted ? CMAP__LOCK_AGAIN : CMAP__LOCK_OK);
  }
  if (a->result != CMAP__LOCK_OK)
    a->waits = a->timed = false;
}

static void random_step(struct random *random)
{
  unsigned i = (unsigned)random_below(random, THREADS);

  if (actors[i].waits) {
    if (random_once_in(random, 10))
      leave(i);
    return;
  }
  switch (random_below(random, 24)) {
  case 0:
    drop(i);
    break;
  case 1:
  case 2:
    enter(i, random);
    break;
  default:
    take(i, (unsigned)random_below(random, THINGS),
         random_once_in(random, 2) ? CMAP__WRITE : CMAP__READ,
         random_once_in(random, 2));
  }
}

static void all_waits_are_as_the_oracle_says(void **state)
{
  struct random random;

  (void)state;
  random_begin(&random, 0);
  for (unsigned i = 0; i < THREADS; i++) {
    step_begin(&actors[i].go);
    step_begin(&actors[i].done);
    thread_start(&actors[i].thread, act_along, i, NULL);
  }
  /* A few rounds may have none of what is asserted below: then, more. */
  for (size_t round = 0, most = test_scale(ROUNDS);
       round < most || (round < ROUNDS && (refusals == 0 || admissions == 0));
       round++) {
    for (int step = 0; step < STEPS; step++)
      random_step(&random);
    for (unsigned i = 0; i < THREADS; i++) {
      if (actors[i].waits)
        leave(i);
      drop(i);
    }
  }
  for (unsigned i = 0; i < THREADS; i++) {
    tell(&actors[i], END);
    step_end(&actors[i].go);
    step_end(&actors[i].done);
  }
  print_message("%zu waits, %zu refusals, %zu readers let in\n", waits,
                refusals, admissions);
  assert_true(refusals > 0 && admissions > 0);
}

/*
 * Thread 0 has A and waits for B, which thread 1 has, who wants A: a circle,
 * unless thread 0's wait is over and it only has to be told.
 */
static void a_wait_that_is_over_is_none(void **state)
{
  static _Atomic bool over;

  (void)state;
  for (unsigned i = 0; i < 2; i++) {
    step_begin(&actors[i].go);
    step_begin(&actors[i].done);
    actors[i].steps = 0;
    thread_start(&actors[i].thread, act_along, i, NULL);
    take(i, i, CMAP__WRITE, false);
  }
  for (int turn = 0; turn < 2; turn++) {
    over = turn == 1;
    for (unsigned i = 0; i < 2; i++) {
      actors[i].wait = (struct cmap__wait){.object = &objects[0],
                                           .hash = first_of(1 - i),
                                           .mode = CMAP__WRITE,
                                           .over = i == 0 ? &over : NULL};
      tell(&actors[i], ENTER);
      assert_int_equal(actors[i].result,
                       i == 0 || over ? CMAP__LOCK_OK : CMAP__LOCK_DEADLOCK);
    }
    tell(&actors[0], LEAVE_WAIT);
  }
  tell(&actors[1], LEAVE_WAIT);
  for (unsigned i = 0; i < 2; i++) {
    drop(i);
    tell(&actors[i], END);
    step_end(&actors[i].go);
    step_end(&actors[i].done);
    actors[i].steps = 0;
  }
}

/* ------------------------------------------------------------------------
 * Waiting for a shard that is not the key's any more
 * ------------------------------------------------------------------------ */

#define MOVES 300

struct move {
  struct cmap__table table;
  struct table_room room;
  uint64_t hash;
};

static void wait_for_hash(unsigned index, void *ctx)
{
  struct cmap__locked locked;
  struct move *move = ctx;

  (void)index;
  CHECK_OK(
      cmap__table_lock(&move->table, move->hash, CMAP__WRITE, NULL, &locked));
  CHECK(cmap__shard_covers(locked.shard, move->hash));
  cmap__table_unlock(&locked);
}

/* Splits the shard that is awaited, and takes free headers, locked, its own
   among them if the waiter has gone on: it must come to where its hash lives
   now, and none of those may hold it up. */
static void move_once(struct move *move, size_t *reused)
{
  struct cmap__shard *shard = tables_lock(&move->table, 0);
  struct cmap__shard *old = shard, *taken[4];
  struct thread thread;
  size_t n = 0;

  move->hash = UINT64_MAX;
  thread_start(&thread, wait_for_hash, 0, move);
  while ((cmap__load_relaxed(&old->lock.word) & CMAP__LOCK_WRITERS_WAIT) == 0)
    sched_yield();
  for (int i = 0; i < 20; i++)
    sched_yield(); /* from the announcement to sleep */
  assert_ok(cmap__shard_split(&move->table, &shard, 0, 1));
  do {
    taken[n] =
        cmap__pool_take(&move->table.pool, &move->table.layout, CMAP__NO_BLOCK);
    assert_non_null(taken[n]);
  } while (taken[n] != old && ++n < 4);
  *reused += n < 4;
  thread_join(&thread); /* ends: nobody holds its shard */
  for (size_t i = 0; i < 4 && i <= n; i++) {
    taken[i]->mask = CMAP__DEAD_MASK;
    taken[i]->prefix = CMAP__DEAD_PREFIX;
    tables_unlock(taken[i]);
    cmap__pool_give(&move->table.pool, &move->table.layout, taken[i]);
  }
  tables_unlock(shard);
}

static void waiters_follow_their_hash(void **state)
{
  struct tables_setting setting = {CMAP_U64, SPREAD_GOOD, NULL};
  struct cmap_options options = tables_options(&setting, 64);
  size_t reused = 0;

  (void)state;
  for (size_t n = test_scale(MOVES); n > 0; n--) {
    struct move move;
    assert_ok(table_begin(&move.table, &move.room, &options));
    move_once(&move, &reused);
    checks_assert();
    tables_close(&move.table);
  }
  /* How often the waiter had gone on by then: with it there, never. */
  print_message("%zu headers taken again\n", reused);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(waiters_follow_their_hash),
      cmocka_unit_test(a_wait_that_is_over_is_none),
      cmocka_unit_test(all_waits_are_as_the_oracle_says),
  };

  return cmocka_run_group_tests_name("deadlock", tests, NULL, NULL);
}
