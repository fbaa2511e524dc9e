/* Guards of several threads: who waits for whom, and what they see. */
#include "asleep.h"
#include "calls.h"
#include "content.h"
#include "numbers.h"
#include "settings.h"
#include "step.h"
#include "threads.h"

#include <sched.h>
#include <string.h>

#define KEYS    200
#define KEY     UINT64_C(7)
#define THREADS 4

static uint64_t number_at(const void *value)
{
  uint64_t number;

  memcpy(&number, value, sizeof number);
  return number;
}

enum { STEP_HELD = 1, STEP_LET_GO };

/* A thread that holds KEY from hold_begin to hold_end. */
struct holder {
  struct thread thread;
  struct step step;
  struct cmap *map;
  bool writes;
};

static void hold(unsigned index, void *ctx)
{
  struct holder *holder = ctx;
  struct cmap_write_guard write = CMAP_INIT;
  struct cmap_read_guard read = CMAP_INIT;
  uint64_t id = KEY;

  (void)index;
  if (holder->writes)
    CHECK_OK(cmap_get_mut(holder->map, cmap_key_u64(&id), &write, NULL));
  else
    CHECK_OK(cmap_get_ref(holder->map, cmap_key_u64(&id), &read, NULL));
  step_done(&holder->step, STEP_HELD);
  step_wait(&holder->step, STEP_LET_GO);
  cmap_write_guard_release(&write);
  cmap_read_guard_release(&read);
}

static void hold_begin(struct holder *holder, struct cmap *map, bool writes)
{
  holder->map = map;
  holder->writes = writes;
  step_begin(&holder->step);
  thread_start(&holder->thread, hold, 0, holder);
  step_wait(&holder->step, STEP_HELD);
}

static void hold_end(struct holder *holder)
{
  step_done(&holder->step, STEP_LET_GO);
  thread_join(&holder->thread);
  step_end(&holder->step);
}

/* Every call on a key that another thread's guard holds. */
static void run_call(const struct call *call, bool writes, bool waits)
{
  struct cmap *map = calls_map(KEYS);
  struct holder holder;
  struct cmap_how how = cmap_how_try();
  uint64_t id = KEY;
  struct cmap_key key = cmap_key_u64(&id);

  checks_about(call->name);
  hold_begin(&holder, map, writes);
  if (waits) {
    CHECK_STATUS(call->run(map, key, &how), CMAP_BUSY);
    how = cmap_how_within(1000000);
    CHECK_STATUS(call->run(map, key, &how), CMAP_TIMEDOUT);
    how = cmap_how_until(1);
    CHECK_STATUS(call->run(map, key, &how), CMAP_TIMEDOUT);
  } else {
    CHECK_STATUS(call->run(map, key, &how), call->if_present);
  }
  id = calls_other_shard(map, KEYS, KEY);
  if (call_has(call, CALL_KEYED)) {
    how = cmap_how_try();
    CHECK_STATUS(call->run(map, key, &how), call->if_present);
  }
  hold_end(&holder);
  id = KEY;
  CHECK(cmap_len(map) >= KEYS - 1 || call_has(call, CALL_REMOVES));
  how = cmap_how_try();
  numbers_put(map, KEY, calls_value(key));
  CHECK_STATUS(call->run(map, key, &how), call->if_present);
  cmap_destroy(map);
}

static void every_call_on_a_held_key(void **state)
{
  (void)state;
  for (size_t i = 0; i < calls_count; i++) {
    const struct call *call = &calls[i];
    if (call_has(call, CALL_PASSES))
      continue;
    run_call(call, true, true);
    run_call(call, false, call_has(call, CALL_WRITES));
  }
  for (size_t i = 0; i < ref_calls_count; i++) {
    run_call(&ref_calls[i], true, true);
    run_call(&ref_calls[i], false, false);
  }
  checks_assert();
}

/* ------------------------------------------------------------------------
 * Downgrade
 * ------------------------------------------------------------------------ */

enum { STEP_READ = 1, STEP_RELEASED };

struct weaken {
  struct cmap *map;
  struct asleep reader_sleeps, writer_sleeps;
  struct step step;
  atomic_bool written;
};

static void wait_to_read(unsigned index, void *ctx)
{
  struct weaken *weaken = ctx;
  struct cmap_read_guard guard = CMAP_INIT;
  uint64_t id = KEY, value;

  (void)index;
  asleep_here(&weaken->reader_sleeps);
  CHECK_OK(cmap_get_ref(weaken->map, cmap_key_u64(&id), &guard, NULL));
  value = number_at(guard.value);
  CHECK(value == (atomic_load(&weaken->written) ? 3 : 2));
  step_done(&weaken->step, STEP_READ);
  step_wait(&weaken->step, STEP_RELEASED);
  CHECK(number_at(guard.value) == value);
  cmap_read_guard_release(&guard);
}

static void wait_to_write(unsigned index, void *ctx)
{
  struct weaken *weaken = ctx;
  struct cmap_write_guard guard = CMAP_INIT;
  uint64_t id = KEY, value = 3;

  (void)index;
  asleep_here(&weaken->writer_sleeps);
  CHECK_OK(cmap_get_mut(weaken->map, cmap_key_u64(&id), &guard, NULL));
  atomic_store(&weaken->written, true);
  CHECK(number_at(guard.value) == 2);
  memcpy(guard.value, &value, sizeof value);
  cmap_write_guard_release(&guard);
}

/*
 * The reader that waits gets in, and the writer only when the guard has been
 * released. With a writer that waits as well, it is chance whether the reader
 * gets in before it: the writer, once woken, keeps new readers out.
 */
static void run_downgrade(bool writer, bool writer_first)
{
  struct weaken weaken = {.map = calls_map(KEYS)};
  struct cmap_write_guard write = CMAP_INIT;
  struct cmap_read_guard read = CMAP_INIT;
  struct thread threads[2];
  uint64_t id = KEY, value = 2;

  step_begin(&weaken.step);
  asleep_begin(&weaken.reader_sleeps);
  asleep_begin(&weaken.writer_sleeps);
  atomic_init(&weaken.written, false);
  CHECK_OK(cmap_get_mut(weaken.map, cmap_key_u64(&id), &write, NULL));
  for (int i = 0; i < 2; i++) {
    if ((i == 0) == writer_first) {
      if (writer) {
        thread_start(&threads[1], wait_to_write, 0, &weaken);
        asleep_wait(&weaken.writer_sleeps);
      }
    } else {
      thread_start(&threads[0], wait_to_read, 0, &weaken);
      asleep_wait(&weaken.reader_sleeps);
    }
  }
  memcpy(write.value, &value, sizeof value);
  CHECK_OK(cmap_write_guard_downgrade(&write, &read));
  if (!writer)
    step_wait(&weaken.step, STEP_READ);
  for (int i = 0; i < 100; i++)
    sched_yield();
  CHECK(!atomic_load(&weaken.written));
  CHECK(number_at(read.value) == 2);
  cmap_read_guard_release(&read);
  step_done(&weaken.step, STEP_RELEASED);
  thread_join(&threads[0]);
  if (writer)
    thread_join(&threads[1]);
  CHECK(numbers_get(weaken.map, KEY) == (writer ? 3 : 2));
  step_end(&weaken.step);
  cmap_destroy(weaken.map);
}

static void downgrade_lets_a_waiting_reader_in(void **state)
{
  (void)state;
  run_downgrade(false, false);
  run_downgrade(true, false);
  run_downgrade(true, true);
  checks_assert();
}

/* ------------------------------------------------------------------------
 * Many at once
 * ------------------------------------------------------------------------ */

#define CROWD_KEYS 5

struct crowd {
  struct test_map m;
  atomic_uint inserted; /* by get_or_insert_ref */
  atomic_uint removed;
};

/* The next version of a value, by a guard, an entry, or a write guard that
   becomes one to read. */
static void next_versions(unsigned index, void *ctx)
{
  struct crowd *crowd = ctx;
  struct test_map *m = &crowd->m;
  struct key_room room;

  for (size_t i = 0; i < test_scale(3000); i++) {
    uint64_t id = (i + index) % CROWD_KEYS, version = 0, seen = 0;
    struct cmap_key key = key_make(&m->spec, id, &room);
    CMAP_AUTO(cmap_write_guard, write);
    CMAP_AUTO(cmap_read_guard, read);
    if (index % 2) {
      CMAP_AUTO(cmap_entry, entry);
      CHECK_OK(cmap_entry_begin(m->map, key, &entry, NULL));
      CHECK_OK(cmap_entry_into_guard(&entry, &write));
    } else {
      CHECK_OK(cmap_get_mut(m->map, key, &write, NULL));
    }
    CHECK(value_is_whole(m, id, write.value, &version));
    value_change(m, id, version + 1, write.value);
    if (i % 3 == 0) {
      CHECK_OK(cmap_write_guard_downgrade(&write, &read));
      CHECK(value_is_whole(m, id, read.value, &seen));
      CHECK(seen == version + 1);
    }
  }
}

/* Under a read guard the value does not change, and is whole. */
static void look_on(unsigned index, void *ctx)
{
  struct crowd *crowd = ctx;
  struct test_map *m = &crowd->m;
  struct key_room room;

  for (size_t i = 0; i < test_scale(3000); i++) {
    uint64_t id = (i + index) % CROWD_KEYS, before = 0, after = 0;
    CMAP_AUTO(cmap_read_guard, read);
    CHECK_OK(cmap_get_ref(m->map, key_make(&m->spec, id, &room), &read, NULL));
    CHECK(value_is_whole(m, id, read.value, &before));
    sched_yield();
    CHECK(value_is_whole(m, id, read.value, &after));
    CHECK(before == after);
  }
}

static void write_or_look(unsigned index, void *ctx)
{
  if (index < THREADS)
    next_versions(index, ctx);
  else
    look_on(index, ctx);
}

static const struct map_spec specs[] = {
    {.keys = KEYS_U64, .value_size = 64},
    {.keys = KEYS_CUSTOM, .value_size = 300, .shard_groups = 1},
    {.keys = KEYS_STRING, .value_size = 8, .care = VALUES_OWNED},
    {.keys = KEYS_U32, .value_size = 12, .hash = HASH_CONSTANT},
};
#define SPECS (sizeof specs / sizeof *specs)

static void no_change_is_lost(void **state)
{
  (void)state;
  for (size_t i = 0; i < SPECS; i++) {
    static struct crowd crowd;
    struct test_map *m = &crowd.m;
    struct value_room value;
    struct key_room room;
    uint64_t sum = 0;
    checks_about(map_spec_name(&specs[i]));
    test_map_open(m, &specs[i]);
    for (uint64_t id = 0; id < CROWD_KEYS; id++) {
      value_make(m, id, 0, value.bytes);
      CHECK_OK(cmap_insert(m->map, key_make(&m->spec, id, &room), value.bytes,
                           NULL, NULL, NULL));
    }
    threads_run(THREADS + 1, write_or_look, &crowd);
    for (uint64_t id = 0; id < CROWD_KEYS; id++) {
      CMAP_AUTO(cmap_read_guard, read);
      uint64_t version = 0;
      CHECK_OK(
          cmap_get_ref(m->map, key_make(&m->spec, id, &room), &read, NULL));
      CHECK(value_is_whole(m, id, read.value, &version));
      sum += version;
    }
    CHECK(sum == THREADS * test_scale(3000));
    test_map_close(m);
  }
}

/* All threads want the same absent keys: one of them inserts each. */
static void insert_and_remove(unsigned index, void *ctx)
{
  struct crowd *crowd = ctx;
  struct test_map *m = &crowd->m;
  struct value_room value;
  struct key_room room;

  for (uint64_t i = 0; i < test_scale(2000); i++) {
    uint64_t id = i % 50, version = 0;
    struct cmap_key key = key_make(&m->spec, id, &room);
    struct cmap_read_guard read = CMAP_INIT;
    struct cmap_write_guard write = CMAP_INIT;
    enum cmap_event event = NO_EVENT;
    value_make(m, id, index + 1, value.bytes);
    CHECK_OK(
        cmap_get_or_insert_ref(m->map, key, value.bytes, &read, &event, NULL));
    CHECK(value_is_whole(m, id, read.value, &version));
    if (event == CMAP_INSERTED) {
      CHECK(version == index + 1);
      atomic_fetch_add(&crowd->inserted, 1);
    } else {
      CHECK(event == CMAP_FOUND);
      value_drop(m, value.bytes);
    }
    cmap_read_guard_release(&read);
    if (i % 3 == 0 && cmap_get_mut(m->map, key, &write, NULL) == CMAP_OK) {
      CHECK_OK(cmap_write_guard_remove(&write, NULL));
      atomic_fetch_add(&crowd->removed, 1);
    }
  }
}

static void each_absent_key_is_inserted_once(void **state)
{
  (void)state;
  for (size_t i = 0; i < SPECS; i++) {
    static struct crowd crowd;
    checks_about(map_spec_name(&specs[i]));
    test_map_open(&crowd.m, &specs[i]);
    atomic_init(&crowd.inserted, 0);
    atomic_init(&crowd.removed, 0);
    threads_run(THREADS, insert_and_remove, &crowd);
    CHECK(atomic_load(&crowd.removed) > 0);
    CHECK(cmap_len(crowd.m.map) ==
          atomic_load(&crowd.inserted) - atomic_load(&crowd.removed));
    test_map_close(&crowd.m);
  }
}

/* ------------------------------------------------------------------------
 * Groups
 * ------------------------------------------------------------------------ */

#define MANY 600

struct census {
  struct cmap *map;
  size_t shard; /* of keys in it: */
  size_t keys, busy;
};

static void read_all(unsigned index, void *ctx)
{
  struct census *census = ctx;
  struct cmap_how how = cmap_how_try();

  (void)index;
  for (uint64_t id = 0; id < MANY; id += 3) {
    uint64_t hash = 0, seen = 0;
    enum cmap_status status =
        cmap_get(census->map, cmap_key_u64(&id), &seen, &how);
    CHECK_OK(cmap_hash(census->map, cmap_key_u64(&id), &hash));
    CHECK(status == CMAP_BUSY || (status == CMAP_OK && seen == id));
    if (cmap_shard_index(census->map, hash) != census->shard) {
      CHECK_STATUS(status, CMAP_OK);
    } else {
      census->keys++;
      census->busy += status == CMAP_BUSY;
    }
  }
}

/* An entry that is removed and filled again may lie in another group than
   before: both are free for readers after the release. */
static void groups_are_free_after_the_release(void **state)
{
  struct census census = {.map = numbers_open()};
  struct cmap_write_guard guard = CMAP_INIT;
  struct thread thread;
  uint64_t key = 0;

  (void)state;
  for (uint64_t id = 0; id < MANY; id++)
    numbers_put(census.map, id, id);
  for (uint64_t id = 0; id < MANY; id++) {
    struct cmap_entry entry = CMAP_INIT;
    if (id % 3 != 0)
      numbers_drop(census.map, id);
    for (key = id - id % 3; key % 2 == 0 && key < MANY; key += MANY) {
      CHECK_OK(cmap_entry_begin(census.map, cmap_key_u64(&key), &entry, NULL));
      CHECK_OK(cmap_entry_remove(&entry, NULL));
      CHECK_OK(cmap_entry_or_insert(&entry, &key));
      cmap_entry_release(&entry);
    }
  }
  for (key = 0; key < MANY; key += 3) {
    uint64_t away = key + MANY;
    CHECK_OK(
        cmap_rename(census.map, cmap_key_u64(&key), cmap_key_u64(&away), NULL));
    CHECK_OK(
        cmap_rename(census.map, cmap_key_u64(&away), cmap_key_u64(&key), NULL));
  }
  key = 0;
  CHECK_OK(cmap_get_mut(census.map, cmap_key_u64(&key), &guard, NULL));
  census.shard = cmap_write_guard_shard_index(&guard);
  thread_start(&thread, read_all, 0, &census);
  thread_join(&thread);
  CHECK(census.busy >= 1 && census.busy <= census.keys / 3);
  cmap_write_guard_release(&guard);
  cmap_destroy(census.map);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_call_on_a_held_key),
      cmocka_unit_test(downgrade_lets_a_waiting_reader_in),
      cmocka_unit_test(no_change_is_lost),
      cmocka_unit_test(each_absent_key_is_inserted_once),
      cmocka_unit_test(groups_are_free_after_the_release),
  };

  return cmocka_run_group_tests_name("guards_threads", tests, NULL, NULL);
}
