/*
 * Threads that end while they hold a guard, an entry or several keys: their
 * shards stay locked, who waits for them gets CMAP_EABANDONED, the rest of the
 * map goes on, and cmap_destroy frees all that was left behind.
 */
#include "asleep.h"
#include "calls.h"
#include "content.h"
#include "numbers.h"
#include "step.h"
#include "threads.h"

#include <string.h>

#define KEYS   60
#define KEY    UINT64_C(7)
#define ABSENT UINT64_C(1000)

/* What the thread holds when it ends. */
enum left {
  LEFT_READ,
  LEFT_DOWNGRADED,
  LEFT_WRITE,
  LEFT_ENTRY,     /* occupied */
  LEFT_VACANT,    /* of ABSENT */
  LEFT_REMOVED,   /* an entry whose value and key were removed */
  LEFT_REPLACED,  /* several times: old values and a key are kept */
  LEFT_MANY_READ, /* KEY, ABSENT - 1 and KEY + 1, each of two maps */
  LEFT_MANY,      /* the same, to write and as entries; some removed */
  LEFT_SEVERAL,   /* read guards, the same ones more than once */
  LEFTS
};

static const char *const names[LEFTS] = {
    "a read guard",    "a downgraded guard", "a write guard",
    "an entry",        "a vacant entry",     "an entry that was removed",
    "replaced values", "several to read",    "several to write",
    "several guards"};

static bool only_reads(enum left left)
{
  return left == LEFT_READ || left == LEFT_DOWNGRADED ||
         left == LEFT_MANY_READ || left == LEFT_SEVERAL;
}

struct leaver {
  struct test_map *m, *other;
  enum left left;
  struct cmap_read_guard read[20];
  struct cmap_write_guard write;
  struct cmap_entry entry;
  struct cmap_multi many;
};

static void remove_and_fill(struct leaver *l)
{
  struct value_room value;

  CHECK_OK(cmap_entry_remove(&l->entry, NULL));
  for (uint64_t version = 2; version < 5; version++) {
    value_make(l->m, KEY, version, value.bytes);
    CHECK_OK(cmap_entry_or_insert(&l->entry, value.bytes));
    CHECK_OK(cmap_entry_remove(&l->entry, NULL));
  }
}

static void replace(struct leaver *l)
{
  struct key_room room;
  struct value_room value;

  for (uint64_t version = 2; version < 5; version++) {
    value_make(l->m, KEY, version, value.bytes);
    CHECK_OK(cmap_entry_replace_entry(
        &l->entry, key_make(&l->m->spec, KEY, &room), value.bytes, NULL));
  }
}

static void lock_many(struct leaver *l, bool writes)
{
  static const uint64_t ids[6] = {KEY,        KEY + 1, KEY,
                                  ABSENT - 1, ABSENT,  KEY + 2};
  struct cmap_want wants[6];
  struct key_room rooms[6];
  struct value_room value;

  for (size_t i = 0; i < 6; i++) {
    struct test_map *m = i % 2 ? l->other : l->m;
    enum cmap_mode mode = i % 2 ? CMAP_WRITE : CMAP_ENTRY;
    uint64_t id = !writes ? i : ids[i];
    if (writes && ids[i] >= KEYS)
      mode = CMAP_ENTRY;
    wants[i] = (struct cmap_want){m->map, key_make(&m->spec, id, &rooms[i]),
                                  writes ? mode : CMAP_READ, CMAP_OK};
  }
  CHECK_OK(cmap_lock_many(wants, 6, &l->many, NULL));
  if (writes) {
    CHECK_OK(cmap_entry_remove(cmap_multi_entry(&l->many, 0), NULL));
    CHECK_OK(cmap_entry_remove(cmap_multi_entry(&l->many, 1), NULL));
    value_make(l->m, ABSENT, 1, value.bytes);
    CHECK_OK(
        cmap_entry_insert(cmap_multi_entry(&l->many, 4), value.bytes, NULL));
  }
}

/* Takes the guard that is left, and ends. */
static void take(struct leaver *l)
{
  struct cmap *map = l->m->map;
  struct key_room room, absent_room;
  struct cmap_key key = key_make(&l->m->spec, KEY, &room);
  struct cmap_key absent = key_make(&l->m->spec, ABSENT, &absent_room);

  switch (l->left) {
  case LEFT_READ:
    CHECK_OK(cmap_get_ref(map, key, &l->read[0], NULL));
    break;
  case LEFT_DOWNGRADED:
    CHECK_OK(cmap_get_mut(map, key, &l->write, NULL));
    CHECK_OK(cmap_write_guard_downgrade(&l->write, &l->read[0]));
    break;
  case LEFT_WRITE:
    CHECK_OK(cmap_get_mut(map, key, &l->write, NULL));
    break;
  case LEFT_VACANT:
    CHECK_OK(cmap_entry_begin(map, absent, &l->entry, NULL));
    break;
  case LEFT_MANY_READ:
  case LEFT_MANY:
    lock_many(l, l->left == LEFT_MANY);
    break;
  case LEFT_SEVERAL:
    for (size_t i = 0; i < 20; i++)
      CHECK_OK(cmap_get_ref(map, key_make(&l->m->spec, i % 10, &room),
                            &l->read[i], NULL));
    for (size_t i = 0; i < 20; i += 3) {
      if (i != 7 && i != 17)
        cmap_read_guard_release(&l->read[i]);
    }
    break;
  default:
    CHECK_OK(cmap_entry_begin(map, key, &l->entry, NULL));
    if (l->left == LEFT_REMOVED)
      remove_and_fill(l);
    if (l->left == LEFT_REPLACED)
      replace(l);
    break;
  }
}

static void leave(unsigned index, void *ctx)
{
  (void)index;
  take(ctx);
}

static void fill(struct test_map *m)
{
  struct key_room room;
  struct value_room value;

  for (uint64_t id = 0; id < KEYS; id++) {
    value_make(m, id, 1, value.bytes);
    CHECK_OK(cmap_insert(m->map, key_make(&m->spec, id, &room), value.bytes,
                         NULL, NULL, NULL));
  }
}

/* What is left behind is released by nobody else. */
static void release_stale(struct leaver *l)
{
  struct leaver copy = *l;

  for (size_t i = 0; i < 20; i++)
    cmap_read_guard_release(&copy.read[i]);
  cmap_write_guard_release(&copy.write);
  cmap_entry_release(&copy.entry);
  cmap_multi_release(&copy.many);
}

static const struct map_spec specs[] = {
    {.keys = KEYS_U64, .value_size = 8, .shard_groups = 1},
    {.keys = KEYS_U64, .value_size = 300},
    {.keys = KEYS_STRING,
     .value_size = 308,
     .care = VALUES_OWNED,
     .shard_groups = 1},
    {.keys = KEYS_CUSTOM_OWNED, .value_size = 8, .care = VALUES_OWNED},
    {.keys = KEYS_CUSTOM_OWNED,
     .value_size = 308,
     .care = VALUES_UNCOPYABLE,
     .shard_groups = 1},
    {.keys = KEYS_BYTES, .value_size = 0, .hash = HASH_LOW_4},
};
#define SPECS (sizeof specs / sizeof *specs)

/* Each with a look at its allocator: what was held of several maps must not
   come from one of them. */
static void close_both(struct test_map *first, struct test_map *second)
{
  test_map_close(first);
  test_map_close(second);
}

/* Both maps are destroyed, in either order; nothing leaks. */
static void nothing_leaks(void **state)
{
  (void)state;
  for (size_t i = 0; i < SPECS; i++) {
    for (int left = 0; left < LEFTS; left++) {
      for (int order = 0; order < 3; order++) {
        struct test_map m, other;
        struct leaver l = {.m = &m, .other = &other, .left = (enum left)left};
        struct thread thread;
        checks_about(names[left]);
        test_map_open(&m, &specs[i]);
        test_map_open(&other, &specs[order == 2 ? (i + 1) % SPECS : i]);
        fill(&m);
        fill(&other);
        thread_start(&thread, leave, 0, &l);
        thread_join(&thread);
        release_stale(&l);
        if (order == 1)
          close_both(&m, &other);
        else
          close_both(&other, &m);
      }
    }
  }
}

/* The thread that destroys the map may have left guards out itself. */
static void own_guards_are_freed_too(void **state)
{
  (void)state;
  for (size_t i = 0; i < SPECS; i++) {
    for (int left = 0; left < LEFTS; left++) {
      struct test_map m, other;
      struct leaver l = {.m = &m, .other = &other, .left = (enum left)left};
      checks_about(names[left]);
      test_map_open(&m, &specs[i]);
      test_map_open(&other, &specs[i]);
      fill(&m);
      fill(&other);
      take(&l);
      close_both(&m, &other);
      release_stale(&l);
    }
  }
}

/* ------------------------------------------------------------------------
 * Who waits
 * ------------------------------------------------------------------------ */

/* Calls on the shard that is locked for ever, by whoever. */
static void call_in_vain(struct cmap *map, bool reads_go_on)
{
  uint64_t id = KEY;
  struct cmap_key key = cmap_key_u64(&id);
  struct cmap_how soon, try = cmap_how_try();

  for (size_t i = 0; i < calls_count; i++) {
    const struct call *call = &calls[i];
    bool waits = call_has(call, CALL_WRITES) || !reads_go_on;
    if (!call_has(call, CALL_KEYED))
      continue;
    checks_about(call->name);
    CHECK_STATUS(call->run(map, key, NULL),
                 waits ? CMAP_EABANDONED : call->if_present);
    soon = cmap_how_within(UINT64_C(60000000000));
    CHECK_STATUS(call->run(map, key, &soon),
                 waits ? CMAP_EABANDONED : call->if_present);
    CHECK_STATUS(call->run(map, key, &try),
                 waits ? CMAP_BUSY : call->if_present);
  }
  for (size_t i = 0; i < ref_calls_count; i++) {
    checks_about(ref_calls[i].name);
    CHECK_STATUS(ref_calls[i].run(map, key, NULL),
                 reads_go_on ? CMAP_OK : CMAP_EABANDONED);
    CHECK_STATUS(ref_calls[i].run(map, key, &try),
                 reads_go_on ? CMAP_OK : CMAP_BUSY);
  }
}

static void call_elsewhere(unsigned index, void *ctx)
{
  struct leaver *l = ctx;

  (void)index;
  call_in_vain(l->m->map, only_reads(l->left));
}

static struct test_map open_numbers(void)
{
  struct test_map m = {.spec = {.keys = KEYS_U64, .value_size = 8}};

  m.map = calls_map(KEYS);
  return m;
}

/* As KEYS_U64, but with the keys and values of calls.h. */
static void take_number(unsigned index, void *ctx)
{
  struct leaver *l = ctx;
  uint64_t id = KEY;
  struct cmap_key key = cmap_key_u64(&id);
  struct cmap *map = l->m->map;
  struct cmap_want want = {map, key, CMAP_READ, CMAP_OK};

  (void)index;
  switch (l->left) {
  case LEFT_READ:
    CHECK_OK(cmap_get_ref(map, key, &l->read[0], NULL));
    break;
  case LEFT_DOWNGRADED:
    CHECK_OK(cmap_get_mut(map, key, &l->write, NULL));
    CHECK_OK(cmap_write_guard_downgrade(&l->write, &l->read[0]));
    break;
  case LEFT_WRITE:
    CHECK_OK(cmap_get_mut(map, key, &l->write, NULL));
    break;
  case LEFT_ENTRY:
    CHECK_OK(cmap_entry_begin(map, key, &l->entry, NULL));
    break;
  default:
    want.mode = l->left == LEFT_MANY_READ ? CMAP_READ : CMAP_WRITE;
    CHECK_OK(cmap_lock_many(&want, 1, &l->many, NULL));
    break;
  }
}

static const enum left lefts[] = {LEFT_READ,  LEFT_DOWNGRADED, LEFT_WRITE,
                                  LEFT_ENTRY, LEFT_MANY_READ,  LEFT_MANY};

static void calls_that_come_later(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof lefts / sizeof *lefts; i++) {
    struct test_map m = open_numbers();
    struct leaver l = {.m = &m, .left = lefts[i]};
    struct thread thread;
    uint64_t other = calls_other_shard(m.map, KEYS, KEY);
    thread_start(&thread, take_number, 0, &l);
    thread_join(&thread);
    call_in_vain(m.map, only_reads(l.left));
    thread_start(&thread, call_elsewhere, 0, &l);
    thread_join(&thread);
    checks_about("another shard");
    numbers_put(m.map, other, 1);
    CHECK(numbers_get(m.map, other) == 1);
    CHECK(cmap_len(m.map) == KEYS);
    CHECK_STATUS(cmap_clear(m.map, NULL), CMAP_EABANDONED);
    cmap_destroy(m.map);
  }
  checks_assert();
}

struct scene {
  struct leaver l;
  struct step step;
  struct asleep sleepers[3];
};

enum { STEP_HELD = 1, STEP_END };

static void hold_then_end(unsigned index, void *ctx)
{
  struct scene *scene = ctx;

  (void)index;
  take_number(0, &scene->l);
  step_done(&scene->step, STEP_HELD);
  step_wait(&scene->step, STEP_END);
}

static void wait_in_vain(unsigned index, void *ctx)
{
  struct scene *scene = ctx;
  struct cmap *map = scene->l.m->map;
  struct cmap_how how = cmap_how_within(UINT64_C(60000000000));
  CMAP_AUTO(cmap_read_guard, read);
  CMAP_AUTO(cmap_multi, many);
  uint64_t id = KEY, value = 5;
  struct cmap_key key = cmap_key_u64(&id);
  struct cmap_want want = {map, key, CMAP_WRITE, CMAP_OK};

  asleep_here(&scene->sleepers[index]);
  switch (index) {
  case 0:
    CHECK_STATUS(cmap_insert(map, key, &value, NULL, NULL, NULL),
                 CMAP_EABANDONED);
    break;
  case 1:
    CHECK_STATUS(cmap_get_ref(map, key, &read, &how), CMAP_EABANDONED);
    break;
  default:
    CHECK_STATUS(cmap_lock_many(&want, 1, &many, NULL), CMAP_EABANDONED);
    CHECK(want.status == CMAP_EABANDONED);
    break;
  }
}

/* Writers, and readers if there are any to wait, are woken by the end. */
static void calls_that_wait_when_the_thread_ends(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof lefts / sizeof *lefts; i++) {
    struct test_map m = open_numbers();
    struct scene scene = {.l = {.m = &m, .left = lefts[i]}};
    bool reads = only_reads(lefts[i]);
    struct thread threads[4];
    checks_about(names[lefts[i]]);
    step_begin(&scene.step);
    thread_start(&threads[3], hold_then_end, 0, &scene);
    step_wait(&scene.step, STEP_HELD);
    for (unsigned j = 0; j < 3; j++) {
      asleep_begin(&scene.sleepers[j]);
      if (j == 1 && reads)
        continue; /* it would not wait */
      thread_start(&threads[j], wait_in_vain, j, &scene);
      asleep_wait(&scene.sleepers[j]);
    }
    step_done(&scene.step, STEP_END);
    for (unsigned j = 0; j < 4; j++) {
      if (j != 1 || !reads)
        thread_join(&threads[j]);
    }
    step_end(&scene.step);
    cmap_destroy(m.map);
  }
  checks_assert();
}

/* ------------------------------------------------------------------------
 * Thread-specific data
 * ------------------------------------------------------------------------ */

static pthread_key_t specific;

static void release_late(void *ctx)
{
  release_stale(ctx);
}

static void leave_to_destructor(unsigned index, void *ctx)
{
  struct leaver *l = ctx;

  (void)index;
  if (index == 0)
    pthread_setspecific(specific, l);
  take(l);
  if (index == 1)
    pthread_setspecific(specific, l);
}

/* Guards may be released in destructors, whichever of them comes first. */
static void released_by_thread_specific_data(void **state)
{
  (void)state;
  assert_int_equal(pthread_key_create(&specific, release_late), 0);
  for (int left = 0; left < LEFTS; left++) {
    for (unsigned first = 0; first < 2; first++) {
      struct test_map m, other;
      struct leaver l = {.m = &m, .other = &other, .left = (enum left)left};
      struct cmap_how how = cmap_how_try();
      struct thread thread;
      checks_about(names[left]);
      test_map_open(&m, &specs[3]);
      test_map_open(&other, &specs[3]);
      fill(&m);
      fill(&other);
      thread_start(&thread, leave_to_destructor, first, &l);
      thread_join(&thread);
      CHECK_OK(cmap_clear(m.map, &how));
      CHECK_OK(cmap_clear(other.map, &how));
      test_map_close(&m);
      test_map_close(&other);
    }
  }
  pthread_key_delete(specific);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_leaks),
      cmocka_unit_test(own_guards_are_freed_too),
      cmocka_unit_test(calls_that_come_later),
      cmocka_unit_test(calls_that_wait_when_the_thread_ends),
      cmocka_unit_test(released_by_thread_specific_data),
  };

  return cmocka_run_group_tests_name("guards_ended_thread", tests, NULL, NULL);
}
