/*
 * Calls from inside callbacks. Reading the same map works; writing to it is
 * CMAP_EDEADLK if the key lives in the locked shard, and works if not.
 */
#include "calls.h"
#include "numbers.h"
#include "step.h"
#include "threads.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#define KEYS   200
#define KEY    UINT64_C(7)
#define ABSENT UINT64_C(1000)

/* From which callback the call is made. */
enum from {
  FROM_VIEW,
  FROM_VIEW_ALL,
  FROM_ALTER,
  FROM_ALTER_ALL,
  FROM_REMOVE_IF,
  FROM_REPLACE_IF,
  FROM_COMPUTE,
  FROM_COMPUTE_ABSENT,
  FROM_RETAIN,
  FROM_MAKE,
  FROM_MERGE,
  FROM_MAKE_UNLOCKED, /* without a lock */
  FROMS
};

static const char *const names[FROMS] = {
    "view",      "view_all",   "alter",   "alter_all",
    "remove_if", "replace_if", "compute", "compute of an absent key",
    "retain",    "make",       "merge",   "make without a lock"};

struct entry {
  struct cmap *map;
  enum from from;
  const struct call *call;
  const struct cmap_how *how;
  bool other; /* call with a key of another shard */
  size_t runs;
};

/* Does the call from the callback of `key` return what it must? */
static void check_entry(struct entry *entry, enum cmap_status status,
                        bool absent)
{
  const struct call *call = entry->call;
  enum cmap_status free_status = absent ? call->if_absent : call->if_present;
  bool whole = !call_has(call, CALL_KEYED | CALL_NEAR);
  bool refused = status == CMAP_EDEADLK || (entry->how && status == CMAP_BUSY);

  if (entry->from == FROM_MAKE_UNLOCKED || call_only_reads(call) ||
      (entry->other && !whole)) {
    CHECK_STATUS(status, free_status);
  } else if (call_has(call, CALL_PASSES)) {
    CHECK(refused || status == CMAP_OK);
  } else if (call_has(call, CALL_MAY_ADD) && !absent) {
    /* A hit need not take the write lock. */
    CHECK(refused || status == free_status);
  } else if (!refused) {
    CHECK_STATUS(status, CMAP_EDEADLK);
  }
}

/* Runs in the callback; the first time only, since walks call it often. */
static void enter(struct cmap_key key, struct entry *entry)
{
  uint64_t id;
  bool absent;

  if (entry->runs++ > 0) {
    return;
  }
  memcpy(&id, key.data, sizeof id);
  absent = id >= KEYS;
  if (entry->other) {
    uint64_t hash = 0;
    size_t shard;
    CHECK_OK(cmap_hash(entry->map, key, &hash));
    shard = cmap_shard_index(entry->map, hash);
    for (id = 0; id < KEYS; id++) {
      CHECK_OK(cmap_hash(entry->map, cmap_key_u64(&id), &hash));
      if (cmap_shard_index(entry->map, hash) != shard) {
        break;
      }
    }
    absent = false;
  }
  check_entry(entry,
              entry->call->run(entry->map, cmap_key_u64(&id), entry->how),
              absent);
}

static enum cmap_status in_view(struct cmap_key key, const void *value,
                                void *ctx)
{
  (void)value;
  enter(key, ctx);
  return CMAP_OK;
}

static enum cmap_status in_alter(struct cmap_key key, void *value, void *ctx)
{
  (void)value;
  enter(key, ctx);
  return CMAP_OK;
}

static enum cmap_status in_make(struct cmap_key key, void *value, void *ctx)
{
  uint64_t made = calls_value(key);

  enter(key, ctx);
  memcpy(value, &made, sizeof made);
  return CMAP_OK;
}

static bool in_test(struct cmap_key key, void *value, void *ctx)
{
  (void)value;
  enter(key, ctx);
  return true;
}

static enum cmap_status in_compute(struct cmap_key key, const void *old,
                                   void *fresh, enum cmap_action *action,
                                   void *ctx)
{
  (void)old;
  (void)fresh;
  (void)action;
  enter(key, ctx);
  return CMAP_OK;
}

static enum cmap_status in_merge(struct cmap_key key, void *value,
                                 const void *from_value, void *ctx)
{
  (void)value;
  (void)from_value;
  enter(key, ctx);
  return CMAP_OK;
}

static enum cmap_status merge_one(struct cmap *map, struct entry *entry)
{
  struct cmap *from = numbers_open();
  enum cmap_status status;

  numbers_put(from, KEY, 1);
  status = cmap_merge(map, from, in_merge, entry, NULL);
  cmap_destroy(from);
  return status;
}

/* Makes the call whose callback makes the other call. */
static void begin_entry(struct entry *entry)
{
  struct cmap *map = entry->map;
  uint64_t id = KEY;
  uint64_t absent = ABSENT;
  struct cmap_key key = cmap_key_u64(&id);
  struct cmap_key none = cmap_key_u64(&absent);
  uint64_t value = calls_value(key);

  switch (entry->from) {
  case FROM_VIEW:
    CHECK_OK(cmap_view(map, key, in_view, entry, NULL));
    break;
  case FROM_VIEW_ALL:
    CHECK_OK(cmap_view_all(map, in_view, entry, NULL));
    break;
  case FROM_ALTER:
    CHECK_OK(cmap_alter(map, key, in_alter, entry, NULL));
    break;
  case FROM_ALTER_ALL:
    CHECK_OK(cmap_alter_all(map, in_alter, entry, NULL));
    break;
  case FROM_REMOVE_IF:
    CHECK_OK(cmap_remove_if(map, key, in_test, entry, NULL, NULL));
    break;
  case FROM_REPLACE_IF:
    CHECK_OK(cmap_replace_if(map, key, in_test, entry, &value, NULL, NULL));
    break;
  case FROM_COMPUTE:
    CHECK_OK(cmap_compute(map, key, NULL, NULL, in_compute, entry, NULL));
    break;
  case FROM_COMPUTE_ABSENT:
    CHECK_STATUS(cmap_compute(map, none, NULL, NULL, in_compute, entry, NULL),
                 CMAP_NOT_FOUND);
    break;
  case FROM_RETAIN:
    CHECK_OK(cmap_retain(map, in_test, entry, NULL, NULL));
    break;
  case FROM_MAKE:
    CHECK_OK(
        cmap_get_or_insert_with(map, none, NULL, NULL, in_make, entry, NULL));
    break;
  case FROM_MERGE:
    CHECK_OK(merge_one(map, entry));
    break;
  default:
    CHECK_OK(cmap_get_or_insert_with_unlocked(map, none, NULL, NULL, in_make,
                                              entry, NULL));
    break;
  }
}

/* Afterwards no lock is left behind. */
static void check_free(struct cmap *map)
{
  struct cmap_how how = cmap_how_try();

  for (uint64_t id = 0; id < KEYS; id++) {
    uint64_t value = 0;
    CHECK_OK(cmap_insert(map, cmap_key_u64(&id), &value, NULL, NULL, &how));
  }
  CHECK_OK(cmap_clear(map, &how));
}

static void make_every_call(bool other, const struct cmap_how *how)
{
  for (int from = 0; from < FROMS; from++) {
    for (size_t i = 0; i < calls_count; i++) {
      struct entry entry = {.from = (enum from)from,
                            .call = &calls[i],
                            .how = how,
                            .other = other};
      static char about[80];
      snprintf(about, sizeof about, "%s in a callback of %s", calls[i].name,
               names[from]);
      checks_about(about);
      entry.map = calls_map(KEYS);
      begin_entry(&entry);
      CHECK(entry.runs > 0);
      check_free(entry.map);
      cmap_destroy(entry.map);
    }
  }
  checks_assert();
}

static void calls_on_the_same_key(void **state)
{
  struct cmap_how how = cmap_how_try();

  (void)state;
  make_every_call(false, NULL);
  make_every_call(false, &how);
  how = cmap_how_within(UINT64_C(60000000000));
  make_every_call(false, &how);
}

static void calls_on_another_shard(void **state)
{
  struct cmap_how how = cmap_how_try();

  (void)state;
  make_every_call(true, NULL);
  make_every_call(true, &how);
}

static enum cmap_status set_then_read(struct cmap_key key, void *value,
                                      void *ctx)
{
  struct cmap *map = ctx;
  uint64_t fresh = 4242;
  uint64_t seen = 0;

  CHECK_OK(cmap_get(map, key, &seen, NULL));
  CHECK(seen == calls_value(key));
  memcpy(value, &fresh, sizeof fresh);
  CHECK_OK(cmap_get(map, key, &seen, NULL));
  CHECK(seen == fresh);
  return CMAP_OK;
}

/* Inside alter, reading finds what the callback has made of the value. */
static void alter_reads_what_it_wrote(void **state)
{
  struct cmap *map = calls_map(KEYS);
  uint64_t id = KEY;

  (void)state;
  assert_ok(cmap_alter(map, cmap_key_u64(&id), set_then_read, map, NULL));
  assert_int_equal(numbers_get(map, KEY), 4242);
  cmap_destroy(map);
  checks_assert();
}

struct nest {
  struct cmap *map;
  unsigned depth;
};

static enum cmap_status view_deeper(struct cmap_key key, const void *value,
                                    void *ctx)
{
  struct nest *nest = ctx;

  (void)value;
  if (nest->depth == 0) {
    uint64_t number = 0;
    CHECK_STATUS(cmap_insert(nest->map, key, &number, NULL, NULL, NULL),
                 CMAP_EDEADLK);
    return (enum cmap_status)USER_STATUS;
  }
  nest->depth--;
  return cmap_view(nest->map, key, view_deeper, nest, NULL);
}

static void callbacks_nest(void **state)
{
  struct nest nest = {calls_map(KEYS), 40};
  uint64_t id = KEY;

  (void)state;
  assert_status(
      cmap_view(nest.map, cmap_key_u64(&id), view_deeper, &nest, NULL),
      (enum cmap_status)USER_STATUS);
  check_free(nest.map);
  cmap_destroy(nest.map);
  checks_assert();
}

struct visit {
  struct cmap *map;
  struct step step;
  atomic_bool written;
};

enum { STEP_VIEWING = 1, STEP_WRITER_STARTED };

static void write_same_key(unsigned index, void *ctx)
{
  struct visit *visit = ctx;

  (void)index;
  step_wait(&visit->step, STEP_VIEWING);
  step_done(&visit->step, STEP_WRITER_STARTED);
  numbers_put(visit->map, KEY, 1);
  atomic_store(&visit->written, true);
}

static enum cmap_status see(struct cmap_key key, const void *value, void *ctx)
{
  (void)key;
  (void)value;
  ++*(size_t *)ctx;
  return CMAP_OK;
}

static enum cmap_status read_past_the_writer(struct cmap_key key,
                                             const void *value, void *ctx)
{
  struct visit *visit = ctx;
  struct cmap *copy = NULL;
  size_t len = 0;
  size_t seen = 0;

  (void)value;
  step_done(&visit->step, STEP_VIEWING);
  step_wait(&visit->step, STEP_WRITER_STARTED);
  /* The writer waits from some moment on; whenever that is, we may read. */
  for (int i = 0; i < 200; i++) {
    CHECK_OK(cmap_view(visit->map, key, see, &seen, NULL));
    CHECK_OK(cmap_view_all(visit->map, see, &seen, NULL));
    CHECK_OK(cmap_len_exact(visit->map, &len, NULL));
    sched_yield();
  }
  CHECK_OK(cmap_clone(visit->map, &copy, NULL));
  cmap_destroy(copy);
  CHECK(!atomic_load(&visit->written));
  return CMAP_OK;
}

static void a_reader_reads_past_a_waiting_writer(void **state)
{
  struct visit visit = {.map = calls_map(KEYS)};
  struct thread writer;
  uint64_t id = KEY;

  (void)state;
  atomic_init(&visit.written, false);
  step_begin(&visit.step);
  thread_start(&writer, write_same_key, 0, &visit);
  CHECK_OK(cmap_view(visit.map, cmap_key_u64(&id), read_past_the_writer, &visit,
                     NULL));
  thread_join(&writer);
  assert_int_equal(numbers_get(visit.map, KEY), 1);
  step_end(&visit.step);
  cmap_destroy(visit.map);
  checks_assert();
}

static enum cmap_status write_to_other(struct cmap_key key, void *value,
                                       void *ctx)
{
  uint64_t number;

  memcpy(&number, value, sizeof number);
  CHECK_OK(cmap_insert(ctx, key, &number, NULL, NULL, NULL));
  return CMAP_OK;
}

static void callbacks_write_to_other_maps(void **state)
{
  struct cmap *map = calls_map(KEYS);
  struct cmap *other = numbers_open();
  bool equal = false;

  (void)state;
  assert_ok(cmap_alter_all(map, write_to_other, other, NULL));
  assert_ok(cmap_equal(map, other, &equal, NULL));
  assert_true(equal);
  cmap_destroy(map);
  cmap_destroy(other);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(calls_on_the_same_key),
      cmocka_unit_test(calls_on_another_shard),
      cmocka_unit_test(alter_reads_what_it_wrote),
      cmocka_unit_test(callbacks_nest),
      cmocka_unit_test(a_reader_reads_past_a_waiting_writer),
      cmocka_unit_test(callbacks_write_to_other_maps),
  };

  return cmocka_run_group_tests_name("reentry", tests, NULL, NULL);
}
