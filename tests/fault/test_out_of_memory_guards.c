/*
 * Refused memory, at every request of guards, entries, several keys at once,
 * add_or_update, iterators and scans: the status says so, the map is as it was,
 * nothing is held or leaked, and the next try may succeed.
 *
 * The library gets the records of guards from aligned_alloc, which the program
 * replaces here.
 */
#include "calls.h"
#include "next_alloc.h"
#include "operations_guards.h"
#include "settings.h"
#include "threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNIVERSE      150
#define MOST_REQUESTS 3000

static const struct map_spec specs[] = {
    {.keys = KEYS_U64, .value_size = 8, .shard_groups = 1},
    {.keys = KEYS_U32, .value_size = 0, .shard_groups = 2},
    {.keys = KEYS_U64, .value_size = 5000, .shard_groups = 1},
    {.keys = KEYS_STRING, .value_size = 4, .shard_groups = 1},
    {.keys = KEYS_STRING,
     .value_size = 300,
     .care = VALUES_OWNED,
     .shard_groups = 1},
    {.keys = KEYS_CUSTOM_OWNED,
     .value_size = 8,
     .care = VALUES_OWNED,
     .shard_groups = 1},
    {.keys = KEYS_CUSTOM_OWNED, .value_size = 308, .care = VALUES_UNCOPYABLE},
    {.keys = KEYS_U64, .value_size = 8, .hash = HASH_CONSTANT},
    {.keys = KEYS_BYTES,
     .value_size = 8,
     .care = VALUES_OWNED,
     .hash = HASH_TOP_16,
     .shard_groups = 1},
};
#define SPECS (sizeof specs / sizeof *specs)

static const size_t fills[] = {0, 9, 10, 11, 12, 21, 43, 100};
#define FILLS (sizeof fills / sizeof *fills)

struct run {
  struct test_map m;
  struct oracle oracle;
  struct random random;
  struct op op;
  uint64_t version;
};

static void begin(struct run *run, const struct map_spec *spec, size_t fill)
{
  test_map_open(&run->m, spec);
  oracle_begin(&run->oracle, UNIVERSE);
  random_begin(&run->random, fill);
  run->op = (struct op){&run->m, &run->oracle, &run->random};
  run->version = 1;
  for (uint64_t id = 0; id < fill; id++) {
    op_insert(&run->op, id, run->version++);
  }
}

static void end(struct run *run)
{
  oracle_check(&run->oracle, &run->m);
  oracle_end(&run->oracle);
  test_map_close(&run->m);
}

/* Fails the first, the second ... request of the operation, until there is
   nothing to refuse. */
static void fail_each_request(struct run *run, op_fn *op, uint64_t id)
{
  size_t nth = 0;
  size_t refused;

  do {
    enum cmap_status status;
    counting_alloc_fail_nth(&run->m.alloc, ++nth);
    status = op(&run->op, id, run->version++);
    refused = counting_alloc_failures(&run->m.alloc);
    counting_alloc_fail_none(&run->m.alloc);
    if (status == CMAP_ENOMEM) {
      oracle_check(&run->oracle, &run->m);
    }
  } while (refused > 0 && nth < MOST_REQUESTS && !checks_failed());
  CHECK(nth < MOST_REQUESTS);
}

static void every_request_of_every_operation(void **state)
{
  static struct run run;
  struct random random;

  (void)state;
  random_begin(&random, 1);
  for (size_t i = 0; i < SPECS; i++) {
    for (size_t j = 0; j < guard_operations_count; j++) {
      for (size_t k = 0; k < FILLS && !checks_failed(); k++) {
        if (!random_in_scale(&random)) {
          continue;
        }
        checks_about(guard_operations[j].name);
        begin(&run, &specs[i], fills[k]);
        for (unsigned round = 0; round < guard_operations[j].weight; round++) {
          /* A key that is absent, and one that is present. */
          fail_each_request(&run, guard_operations[j].run, fills[k] + 1);
          fail_each_request(&run, guard_operations[j].run, fills[k] / 2);
        }
        end(&run);
      }
    }
  }
  checks_assert();
}

static void every_request_in_turn(void **state)
{
  static struct run run;

  (void)state;
  for (size_t i = 0; i < SPECS; i++) {
    checks_about(map_spec_name(&specs[i]));
    begin(&run, &specs[i], 0);
    for (size_t j = 0; j < test_scale(200) && !checks_failed(); j++) {
      const struct operation *operation =
          j % 2 ? operation_draw(&run.random)
                : &guard_operations[random_below(&run.random,
                                                 guard_operations_count)];
      fail_each_request(&run, operation->run,
                        random_below(&run.random, UNIVERSE));
    }
    end(&run);
  }
}

/* Room was made when the entry was taken: then nothing is needed. */
static void a_vacant_entry_is_stored_without_memory(void **state)
{
  (void)state;
  for (size_t i = 0; i < SPECS; i++) {
    struct cmap_entry entry = CMAP_INIT;
    struct value_room value;
    struct key_room room;
    struct test_map m;
    checks_about(map_spec_name(&specs[i]));
    test_map_open(&m, &specs[i]);
    for (uint64_t id = 0; id < UNIVERSE; id++) {
      struct cmap_key key = key_make(&specs[i], id, &room);
      value_make(&m, id, 1, value.bytes);
      CHECK_OK(cmap_entry_begin(m.map, key, &entry, NULL));
      counting_alloc_fail_from(&m.alloc, 1);
      CHECK_OK(cmap_entry_or_insert(&entry, value.bytes));
      for (int again = 0; again < 3; again++) {
        CHECK_OK(cmap_entry_remove(&entry, value.bytes));
        CHECK_OK(cmap_entry_insert(&entry, value.bytes, NULL));
      }
      cmap_entry_release(&entry);
      CHECK(counting_alloc_failures(&m.alloc) == 0);
      counting_alloc_fail_none(&m.alloc);
    }
    CHECK(cmap_len(m.map) == UNIVERSE);
    test_map_close(&m);
  }
}

/* The same of many keys at once. */
static void many_vacant_entries_are_stored_without_memory(void **state)
{
  static struct key_room rooms[UNIVERSE];
  static struct cmap_want wants[UNIVERSE];

  (void)state;
  for (size_t i = 0; i < SPECS; i++) {
    struct cmap_multi held = CMAP_INIT;
    struct value_room value;
    struct test_map m;
    checks_about(map_spec_name(&specs[i]));
    test_map_open(&m, &specs[i]);
    for (uint64_t id = 0; id < UNIVERSE; id++) {
      wants[id] = (struct cmap_want){m.map, key_make(&specs[i], id, &rooms[id]),
                                     CMAP_ENTRY, CMAP_OK};
    }
    CHECK_OK(cmap_lock_many(wants, UNIVERSE, &held, NULL));
    counting_alloc_fail_from(&m.alloc, 1);
    for (uint64_t id = 0; id < UNIVERSE; id++) {
      value_make(&m, id, 1, value.bytes);
      CHECK_OK(cmap_entry_or_insert(cmap_multi_entry(&held, (size_t)id),
                                    value.bytes));
    }
    cmap_multi_release(&held);
    CHECK(counting_alloc_failures(&m.alloc) == 0);
    counting_alloc_fail_none(&m.alloc);
    CHECK(cmap_len(m.map) == UNIVERSE);
    test_map_close(&m);
  }
}

/* A map that was never frozen has nowhere to count its guards. */
static void a_map_is_not_frozen_without_memory(void **state)
{
  (void)state;
  for (size_t i = 0; i < SPECS; i++) {
    struct run run;

    checks_about(map_spec_name(&specs[i]));
    begin(&run, &specs[i], 20);
    counting_alloc_fail_from(&run.m.alloc, 1);
    CHECK_STATUS(cmap_freeze(run.m.map, NULL), CMAP_ENOMEM);
    counting_alloc_fail_none(&run.m.alloc);
    op_insert(&run.op, 21, run.version++);
    CHECK_OK(cmap_freeze(run.m.map, NULL));
    CHECK_OK(cmap_thaw(run.m.map));
    end(&run);
  }
}

/* ------------------------------------------------------------------------
 * Records
 * ------------------------------------------------------------------------ */

static atomic_bool refuse_records;

void *aligned_alloc(size_t align, size_t size)
{
  if (!atomic_load(&refuse_records))
    return next_aligned_alloc(align, size);
  errno = ENOMEM; /* musl's posix_memalign gives it as its own */
  return NULL;
}

#define MOST_GUARDS 5000

static void check_refused(struct test_map *m, struct cmap_key key,
                          const void *value)
{
  struct cmap_how how = cmap_how_try();
  struct cmap_read_guard read = CMAP_INIT;
  struct cmap_write_guard write = CMAP_INIT;
  struct cmap_entry entry = CMAP_INIT;
  struct cmap_multi held = CMAP_INIT, several;
  struct cmap_iter iter = CMAP_INIT;
  struct cmap_want want = {m->map, key, CMAP_ENTRY, CMAP_OK};
  static const uint64_t ids[100];
  enum cmap_event event = NO_EVENT;

  CHECK_STATUS(cmap_get_ref(m->map, key, &read, &how), CMAP_ENOMEM);
  CHECK_STATUS(cmap_get_or_insert_ref(m->map, key, value, &read, &event, &how),
               CMAP_ENOMEM);
  CHECK_STATUS(cmap_get_mut(m->map, key, &write, &how), CMAP_ENOMEM);
  CHECK_STATUS(cmap_entry_begin(m->map, key, &entry, &how), CMAP_ENOMEM);
  CHECK_STATUS(cmap_lock_many(&want, 1, &held, &how), CMAP_ENOMEM);
  memset(&several, 0xa5, sizeof several);
  if (m->spec.keys == KEYS_U64 && m->spec.hash == HASH_DEFAULT) {
    CHECK_STATUS(cmap_lock_keys(m->map, ids, 1, CMAP_ENTRY, &several, &how),
                 CMAP_ENOMEM);
    CHECK_STATUS(cmap_lock_keys(m->map, ids, 100, CMAP_ENTRY, &several, &how),
                 CMAP_ENOMEM);
    CHECK(memcmp(&several, &held, sizeof several) == 0);
  }
  CHECK_STATUS(cmap_iter_begin(m->map, CMAP_READ, 0, 1, &iter), CMAP_ENOMEM);
  CHECK_STATUS(cmap_fork_begin(m->map, &how), CMAP_ENOMEM);
  CHECK_STATUS(cmap_rename(m->map, key, key, &how), CMAP_ENOMEM);
  CHECK_STATUS(cmap_swap_values(m->map, key, key, &how), CMAP_ENOMEM);
  CHECK(read.value == NULL && write.value == NULL && entry.key.data == NULL);
  CHECK(event == NO_EVENT && held.count == 0);
}

/* On a thread of its own, whose records are used up by read guards. */
static void use_up_records(unsigned index, void *ctx)
{
  static struct cmap_read_guard guards[MOST_GUARDS];
  struct test_map *m = ctx;
  struct key_room room, other_room;
  struct cmap_key key = key_make(&m->spec, 3, &room);
  struct cmap_key absent = key_make(&m->spec, 1000, &other_room);
  enum cmap_status status = CMAP_OK;
  struct value_room value;
  size_t n = 0;

  (void)index;
  /* Often enough that the first ones have seats, and no records. */
  for (unsigned i = 0; i < 1000; i++) {
    CHECK_OK(cmap_get_ref(m->map, key, &guards[0], NULL));
    CHECK_OK(cmap_read_guard_release(&guards[0]));
  }
  CHECK_OK(cmap_get_ref(m->map, key, &guards[n++], NULL));
  atomic_store(&refuse_records, true);
  while (status == CMAP_OK && n < MOST_GUARDS) {
    status = cmap_get_ref(m->map, key, &guards[n++], NULL);
  }
  CHECK_STATUS(status, CMAP_ENOMEM);
  n--;
  /* Handed over it needs one; else nothing has changed. */
  status = cmap_read_guard_detach(&guards[0]);
  CHECK(status == CMAP_ENOMEM || status == CMAP_OK);
  if (status == CMAP_OK) { /* it had no seat; to take it back takes another */
    status = cmap_read_guard_attach(&guards[0]);
    CHECK(status == CMAP_ENOMEM || status == CMAP_OK);
  }
  value_make(m, 3, 2, value.bytes);
  check_refused(m, key, value.bytes);
  check_refused(m, absent, value.bytes);
  value_drop(m, value.bytes);
  /* What needs no record goes on; one is enough for the rest. */
  CHECK_OK(cmap_contains(m->map, key, NULL));
  cmap_read_guard_release(&guards[--n]);
  CHECK_OK(cmap_get_ref(m->map, key, &guards[n++], NULL));
  atomic_store(&refuse_records, false);
  CHECK_OK(cmap_read_guard_attach(&guards[0]));
  while (n > 0) {
    cmap_read_guard_release(&guards[--n]);
  }
}

/* What calls back under a lock notes the hold first. */
static void call_without_records(unsigned index, void *ctx)
{
  static struct cmap_write_guard guards[MOST_GUARDS];
  struct cmap *map = ctx, *other = calls_map(MOST_GUARDS);
  enum cmap_status status = CMAP_OK;
  uint64_t id, n = 0;

  (void)index;
  atomic_store(&refuse_records, true);
  for (; status != CMAP_ENOMEM && n < MOST_GUARDS; n++)
    status = cmap_get_mut(other, cmap_key_u64(&n), &guards[n], NULL);
  CHECK_STATUS(status, CMAP_ENOMEM);
  for (size_t i = 0; i < calls_count; i++) {
    checks_about(calls[i].name);
    for (id = 3; id < 1000 && call_has(&calls[i], CALL_CALLBACK); id += 900)
      CHECK_STATUS(calls[i].run(map, cmap_key_u64(&id), NULL), CMAP_ENOMEM);
  }
  CHECK(cmap_len(map) == 20);
  atomic_store(&refuse_records, false);
  while (n > 0)
    cmap_write_guard_release(&guards[--n]);
  cmap_destroy(other);
}

/* Is our aligned_alloc the one that is called? Valgrind puts in its own. */
static bool records_can_be_refused(void)
{
  void *(*volatile take)(size_t, size_t) = aligned_alloc;
  void *memory;

  atomic_store(&refuse_records, true);
  memory = take(64, 64);
  atomic_store(&refuse_records, false);
  free(memory);
  return memory == NULL;
}

static void no_memory_for_records(void **state)
{
  (void)state;
  if (!records_can_be_refused())
    skip();
  for (size_t i = 0; i < SPECS; i++) {
    struct thread thread;
    struct value_room value;
    struct key_room room;
    struct test_map m;
    checks_about(map_spec_name(&specs[i]));
    test_map_open(&m, &specs[i]);
    for (uint64_t id = 0; id < 20; id++) {
      value_make(&m, id, 1, value.bytes);
      CHECK_OK(cmap_insert(m.map, key_make(&specs[i], id, &room), value.bytes,
                           NULL, NULL, NULL));
    }
    thread_start(&thread, use_up_records, 0, &m);
    thread_join(&thread);
    CHECK(cmap_len(m.map) == 20);
    CHECK_OK(cmap_clear(m.map, NULL)); /* nothing is locked */
    test_map_close(&m);
  }
}

static void no_memory_for_the_records_of_calls(void **state)
{
  struct cmap *map;
  struct thread thread;

  (void)state;
  if (!records_can_be_refused())
    skip();
  map = calls_map(20);
  thread_start(&thread, call_without_records, 0, map);
  thread_join(&thread);
  cmap_destroy(map);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_request_of_every_operation),
      cmocka_unit_test(every_request_in_turn),
      cmocka_unit_test(a_vacant_entry_is_stored_without_memory),
      cmocka_unit_test(many_vacant_entries_are_stored_without_memory),
      cmocka_unit_test(a_map_is_not_frozen_without_memory),
      cmocka_unit_test(no_memory_for_records),
      cmocka_unit_test(no_memory_for_the_records_of_calls),
  };

  return cmocka_run_group_tests_name("out_of_memory_guards", tests, NULL, NULL);
}
