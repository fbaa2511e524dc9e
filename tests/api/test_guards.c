/* Read and write guards of one thread, and of several. */
#include "asleep.h"
#include "calls.h"
#include "numbers.h"
#include "operations_guards.h"
#include "settings.h"
#include "step.h"
#include "threads.h"

#include <sched.h>
#include <string.h>

#define KEYS   200
#define KEY    UINT64_C(7)
#define ABSENT UINT64_C(1000)

static void guards_on_every_kind_of_map(void **state)
{
  static op_fn *const ops[] = {op_insert,           op_get_ref, op_get_mut,
                               op_guard_remove,     op_get_mut, op_insert,
                               op_get_or_insert_ref};

  (void)state;
  op_exercise(ops, sizeof ops / sizeof *ops);
}

/* No lock is left behind. */
static void check_free(struct cmap *map)
{
  struct cmap_how how = cmap_how_try();

  for (uint64_t id = 0; id < KEYS; id++) {
    uint64_t value = calls_value(cmap_key_u64(&id));
    CHECK_OK(cmap_insert(map, cmap_key_u64(&id), &value, NULL, NULL, &how));
  }
  CHECK_OK(cmap_clear(map, &how));
}

static struct cmap_write_guard get_mut(struct cmap *map, uint64_t id)
{
  struct cmap_write_guard guard = CMAP_INIT;

  CHECK_OK(cmap_get_mut(map, cmap_key_u64(&id), &guard, NULL));
  return guard;
}

static struct cmap_read_guard get_ref(struct cmap *map, uint64_t id)
{
  struct cmap_read_guard guard = CMAP_INIT;

  CHECK_OK(cmap_get_ref(map, cmap_key_u64(&id), &guard, NULL));
  return guard;
}

static uint64_t number_at(const void *value)
{
  uint64_t number;

  memcpy(&number, value, sizeof number);
  return number;
}

/* ------------------------------------------------------------------------
 * Arguments
 * ------------------------------------------------------------------------ */

static void bad_arguments(void **state)
{
  struct cmap *map = calls_map(KEYS);
  struct cmap_read_guard read = CMAP_INIT;
  struct cmap_write_guard write = CMAP_INIT;
  enum cmap_event event = NO_EVENT;
  uint64_t id = KEY, value = 1, old = 2;
  struct cmap_key key = cmap_key_u64(&id);
  struct cmap_key null = cmap_key_bytes(NULL, 8);
  struct cmap_key small = cmap_key_bytes(&id, 4);

  (void)state;
  for (; id <= ABSENT; id += ABSENT - KEY) {
    CHECK_STATUS(cmap_get_ref(map, key, NULL, NULL), CMAP_EINVAL);
    CHECK_STATUS(cmap_get_mut(map, key, NULL, NULL), CMAP_EINVAL);
    CHECK_STATUS(cmap_get_or_insert_ref(map, key, &value, NULL, &event, NULL),
                 CMAP_EINVAL);
    CHECK_STATUS(cmap_get_or_insert_ref(map, key, NULL, &read, &event, NULL),
                 CMAP_EINVAL);
  }
  CHECK_STATUS(cmap_get_or_insert_ref(NULL, key, &value, &read, &event, NULL),
               CMAP_EINVAL);
  CHECK_STATUS(cmap_get_mut(map, null, &write, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_get_mut(map, small, &write, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_get_ref(map, small, &read, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_write_guard_downgrade(NULL, &read), CMAP_EINVAL);
  CHECK_STATUS(cmap_write_guard_downgrade(&write, &read), CMAP_EINVAL);
  CHECK_STATUS(cmap_write_guard_remove(NULL, &old), CMAP_EINVAL);
  CHECK_STATUS(cmap_write_guard_remove(&write, &old), CMAP_EINVAL);
  id = KEY;
  write = get_mut(map, KEY);
  CHECK_STATUS(cmap_write_guard_downgrade(&write, NULL), CMAP_EINVAL);
  CHECK(write.value != NULL && number_at(write.value) == calls_value(key));
  cmap_write_guard_release(&write);
  cmap_read_guard_release(NULL);
  cmap_write_guard_release(NULL);
  CHECK(read.value == NULL && event == NO_EVENT && old == 2);
  CHECK(cmap_len(map) == KEYS);
  check_free(map);
  cmap_destroy(map);
  checks_assert();
}

/* What test_bad_args, test_hash_how and test_waiting do to the other calls. */
static void calls_that_keep_the_read_lock(void **state)
{
  struct cmap *map = calls_map(KEYS);
  uint64_t id = KEY, absent = ABSENT, hash = 0;
  struct cmap_key key = cmap_key_u64(&id);
  struct cmap_how how;

  (void)state;
  for (size_t i = 0; i < ref_calls_count; i++) {
    const struct call *call = &ref_calls[i];
    checks_about(call->name);
    CHECK_STATUS(call->run(NULL, key, NULL), CMAP_EINVAL);
    CHECK_STATUS(call->run(map, cmap_key_bytes(&id, 7), NULL), CMAP_EINVAL);
    CHECK_STATUS(call->run(map, cmap_key_bytes(NULL, 8), NULL), CMAP_EINVAL);
    how = cmap_how_try();
    how.size--;
    CHECK_STATUS(call->run(map, key, &how), CMAP_EINVAL);
    how = cmap_how_try();
    how.flags |= 8;
    CHECK_STATUS(call->run(map, key, &how), CMAP_EINVAL);
    how = cmap_how_until(1);
    CHECK_STATUS(call->run(map, key, &how), call->if_present);
    CHECK_OK(cmap_hash(map, key, &hash));
    how = cmap_how_hashed(hash);
    CHECK_STATUS(call->run(map, key, &how), call->if_present);
    how.flags |= CMAP_TRY;
    CHECK_STATUS(call->run(map, key, &how), call->if_present);
    CHECK_STATUS(call->run(map, cmap_key_u64(&absent), NULL), call->if_absent);
    CHECK_STATUS(cmap_remove(map, cmap_key_u64(&absent), NULL, NULL),
                 call->if_absent);
  }
  check_free(map);
  cmap_destroy(map);
  checks_assert();
}

/* ------------------------------------------------------------------------
 * Misuse that is caught
 * ------------------------------------------------------------------------ */

static void released_twice(void **state)
{
  struct cmap *map = calls_map(KEYS);
  struct cmap_how how = cmap_how_try();
  struct cmap_write_guard write = CMAP_INIT, write_copy;
  struct cmap_read_guard read = CMAP_INIT, read_copy;
  uint64_t id = KEY, old = 5;
  struct cmap_key key = cmap_key_u64(&id);

  (void)state;
  cmap_write_guard_release(&write); /* CMAP_INIT */
  cmap_read_guard_release(&read);
  write = write_copy = get_mut(map, KEY);
  cmap_write_guard_release(&write);
  cmap_write_guard_release(&write);
  write = get_mut(map, KEY);
  /* The copy names the record that the new guard has now. */
  cmap_write_guard_release(&write_copy);
  CHECK(write_copy.value == NULL && write_copy.internal[0] == 0);
  CHECK_STATUS(cmap_get_ref(map, key, &read, &how), CMAP_BUSY);
  write_copy = write;
  cmap_write_guard_release(&write);
  CHECK_STATUS(cmap_write_guard_remove(&write_copy, &old), CMAP_EINVAL);
  CHECK_STATUS(cmap_write_guard_downgrade(&write_copy, &read), CMAP_EINVAL);
  CHECK(cmap_write_guard_shard_index(&write_copy) == 0);
  CHECK(old == 5 && read.value == NULL);
  read = read_copy = get_ref(map, KEY);
  cmap_read_guard_release(&read);
  read = get_ref(map, KEY);
  cmap_read_guard_release(&read_copy);
  CHECK_STATUS(cmap_get_mut(map, key, &write, &how), CMAP_BUSY);
  cmap_read_guard_release(&read);
  check_free(map);
  cmap_destroy(map);
  checks_assert();
}

/* The copies of a write guard do not end the read guard that it has become. */
static void copies_of_what_was_downgraded(void **state)
{
  struct cmap *map = calls_map(KEYS);
  struct cmap_how how = cmap_how_try();
  struct cmap_write_guard write = get_mut(map, KEY), copy = write, none;
  struct cmap_read_guard read = CMAP_INIT;
  uint64_t id = KEY;

  (void)state;
  CHECK_OK(cmap_write_guard_downgrade(&write, &read));
  CHECK(write.value == NULL && write.key.data == NULL && !write.internal[0]);
  CHECK(read.key.data == copy.key.data && read.value == copy.value);
  cmap_write_guard_release(&copy);
  cmap_write_guard_release(&write);
  CHECK_STATUS(cmap_get_mut(map, cmap_key_u64(&id), &none, &how), CMAP_BUSY);
  cmap_read_guard_release(&read);
  check_free(map);
  cmap_destroy(map);
  checks_assert();
}

struct stolen {
  struct cmap *a, *b, *c;
  struct cmap_write_guard write; /* of a */
  struct cmap_read_guard read;   /* of b */
};

static void release_elsewhere(unsigned index, void *ctx)
{
  struct stolen *stolen = ctx;
  struct cmap_how how = cmap_how_try();
  struct cmap_write_guard own = get_mut(stolen->c, KEY), write = CMAP_INIT;
  struct cmap_read_guard read = CMAP_INIT;
  uint64_t id = KEY, old = 5;

  (void)index;
  CHECK(cmap_write_guard_shard_index(&stolen->write) == 0);
  CHECK_STATUS(cmap_write_guard_remove(&stolen->write, &old), CMAP_EINVAL);
  CHECK_STATUS(cmap_write_guard_downgrade(&stolen->write, &read), CMAP_EINVAL);
  cmap_write_guard_release(&stolen->write);
  cmap_read_guard_release(&stolen->read);
  CHECK(old == 5 && read.value == NULL);
  CHECK_STATUS(cmap_get_ref(stolen->a, cmap_key_u64(&id), &read, &how),
               CMAP_BUSY);
  CHECK_STATUS(cmap_get_mut(stolen->b, cmap_key_u64(&id), &write, &how),
               CMAP_BUSY);
  CHECK_OK(cmap_get_ref(stolen->b, cmap_key_u64(&id), &read, &how));
  cmap_read_guard_release(&read);
  cmap_write_guard_release(&own);
}

static void another_thread_releases_nothing(void **state)
{
  struct stolen stolen = {
      .a = calls_map(KEYS), .b = calls_map(KEYS), .c = calls_map(KEYS)};
  struct cmap_write_guard write = get_mut(stolen.a, KEY);
  struct cmap_read_guard read = get_ref(stolen.b, KEY);
  struct thread thread;

  (void)state;
  stolen.write = write;
  stolen.read = read;
  thread_start(&thread, release_elsewhere, 0, &stolen);
  thread_join(&thread);
  CHECK(cmap_write_guard_shard_index(&write) < cmap_shard_count(stolen.a));
  cmap_write_guard_release(&write);
  cmap_read_guard_release(&read);
  check_free(stolen.a);
  check_free(stolen.b);
  check_free(stolen.c);
  cmap_destroy(stolen.a);
  cmap_destroy(stolen.b);
  cmap_destroy(stolen.c);
  checks_assert();
}

static void released_by_scope(void **state)
{
  struct cmap *map = calls_map(KEYS);
  uint64_t id = KEY;
  struct cmap_key key = cmap_key_u64(&id);

  (void)state;
  for (int i = 0; i < 3; i++) {
    CMAP_AUTO(cmap_write_guard, guard);
    CHECK_OK(cmap_get_mut(map, key, &guard, NULL));
    if (i == 1)
      cmap_write_guard_release(&guard);
    if (i == 2)
      continue;
  }
  check_free(map);
  numbers_put(map, KEY, 1);
  {
    CMAP_AUTO(cmap_read_guard, read);
    CMAP_AUTO(cmap_read_guard, second);
    CMAP_AUTO(cmap_write_guard, never);
    CHECK_OK(cmap_get_ref(map, key, &read, NULL));
    CHECK_OK(cmap_get_ref(map, key, &second, NULL));
    CHECK_STATUS(cmap_get_mut(map, key, &never, NULL), CMAP_EDEADLK);
  }
  check_free(map);
  cmap_destroy(map);
  checks_assert();
}

/* ------------------------------------------------------------------------
 * What a guard shows
 * ------------------------------------------------------------------------ */

static void shard_index_of_a_guard(void **state)
{
  struct cmap *map = calls_map(KEYS);
  size_t sum = 0;

  (void)state;
  for (uint64_t id = 0; id < KEYS; id++) {
    struct cmap_write_guard write = get_mut(map, id);
    struct cmap_read_guard read = CMAP_INIT;
    uint64_t hash = 0;
    size_t shard;
    CHECK_OK(cmap_hash(map, cmap_key_u64(&id), &hash));
    shard = cmap_shard_index(map, hash);
    CHECK(cmap_write_guard_shard_index(&write) == shard);
    CHECK_OK(cmap_write_guard_downgrade(&write, &read));
    CHECK(cmap_read_guard_shard_index(&read) == shard);
    CHECK(cmap_write_guard_shard_index(&write) == 0);
    cmap_read_guard_release(&read);
    CHECK(cmap_read_guard_shard_index(&read) == 0);
    sum += shard;
  }
  CHECK(sum > 0);
  CHECK(cmap_write_guard_shard_index(NULL) == 0);
  CHECK(cmap_read_guard_shard_index(NULL) == 0);
  cmap_destroy(map);
  checks_assert();
}

/* Two readers, one entry: the same value in place, and nested at will. */
static void guards_nest(void **state)
{
  enum { GUARDS = 60 };
  struct cmap *map = calls_map(KEYS);
  struct cmap_read_guard guards[GUARDS];

  (void)state;
  for (uint64_t i = 0; i < GUARDS; i++)
    guards[i] = get_ref(map, i % 20);
  for (uint64_t i = 0; i < GUARDS; i++) {
    uint64_t id = i % 20;
    CHECK(number_at(guards[i].value) == calls_value(cmap_key_u64(&id)));
    CHECK(guards[i].value == guards[i % 20].value);
    CHECK(guards[i].key.data == guards[i % 20].key.data);
  }
  /* From the middle: neither the first nor the last first. */
  for (size_t i = 0; i < GUARDS; i++)
    cmap_read_guard_release(&guards[(i * 23 + 30) % GUARDS]);
  check_free(map);
  cmap_destroy(map);
  checks_assert();
}

struct fill {
  struct cmap *map;
  size_t busy;
};

/* Grows and shrinks the map around what is held. */
static void fill_around(unsigned index, void *ctx)
{
  struct fill *fill = ctx;
  struct cmap_how how = cmap_how_try();
  enum cmap_status status;

  (void)index;
  for (uint64_t id = 0; id < 5000; id++) {
    uint64_t key = id + ABSENT, value = 1;
    if (cmap_insert(fill->map, cmap_key_u64(&key), &value, NULL, NULL, &how) !=
        CMAP_OK)
      fill->busy++;
  }
  CHECK_STATUS(cmap_reserve(fill->map, 100000, &how), CMAP_BUSY);
  for (uint64_t id = 0; id < 5000; id++) {
    uint64_t key = id + ABSENT;
    (void)!cmap_remove(fill->map, cmap_key_u64(&key), NULL, &how);
  }
  status = cmap_shrink_to_fit(fill->map, &how);
  CHECK(status == CMAP_OK || status == CMAP_BUSY); /* the first shard's lock */
  CHECK(fill->busy > 0 && fill->busy < 5000);
}

static void the_entry_stays_where_it_is(void **state)
{
  (void)state;
  for (int writes = 0; writes < 2; writes++) {
    struct fill fill = {calls_map(KEYS), 0};
    CMAP_AUTO(cmap_write_guard, write);
    CMAP_AUTO(cmap_read_guard, read);
    struct thread thread;
    uint64_t id = KEY;
    write = get_mut(fill.map, KEY);
    if (!writes)
      CHECK_OK(cmap_write_guard_downgrade(&write, &read));
    thread_start(&thread, fill_around, 0, &fill);
    thread_join(&thread);
    CHECK(number_at(writes ? write.value : read.value) ==
          calls_value(cmap_key_u64(&id)));
    CHECK(number_at(writes ? write.key.data : read.key.data) == KEY);
    cmap_write_guard_release(&write);
    cmap_read_guard_release(&read);
    check_free(fill.map);
    cmap_destroy(fill.map);
  }
  checks_assert();
}

/* Readers of all but the entries of one group go on. */
static void read_beside(unsigned index, void *ctx)
{
  enum { MANY = 300, GROUP = 11 };
  struct cmap_how how = cmap_how_try();
  size_t busy = 0;

  (void)index;
  for (uint64_t id = 0; id < MANY; id++) {
    uint64_t seen = 0;
    enum cmap_status status = cmap_get(ctx, cmap_key_u64(&id), &seen, &how);
    CHECK(status == CMAP_BUSY || (status == CMAP_OK && seen == id + 1));
    CHECK(id != KEY || status == CMAP_BUSY);
    busy += status != CMAP_OK;
  }
  /* Those in its group, and those that overflowed from it, or past it: up to
     some 30 were seen. */
  CHECK(busy >= 1 && busy <= 6 * GROUP);
}

static void lock_free_reads_of_another_thread(void **state)
{
  uint64_t fresh = 4242, old = KEY + 1;

  (void)state;
  for (int round = 0; round < 20; round++) {
    struct cmap *map = numbers_open();
    struct cmap_write_guard guard;
    struct cmap_read_guard read = CMAP_INIT;
    struct thread thread;
    for (uint64_t id = 0; id < 300; id++)
      numbers_put(map, id, id + 1);
    guard = get_mut(map, KEY);
    memcpy(guard.value, &fresh, sizeof fresh);
    thread_start(&thread, read_beside, 0, map);
    thread_join(&thread);
    memcpy(guard.value, &old, sizeof old);
    /* A read guard keeps nobody from reading. */
    CHECK_OK(cmap_write_guard_downgrade(&guard, &read));
    for (uint64_t id = 0; id < 300; id++)
      CHECK(numbers_get(map, id) == id + 1);
    cmap_read_guard_release(&read);
    cmap_destroy(map);
  }
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(guards_on_every_kind_of_map),
      cmocka_unit_test(bad_arguments),
      cmocka_unit_test(calls_that_keep_the_read_lock),
      cmocka_unit_test(released_twice),
      cmocka_unit_test(copies_of_what_was_downgraded),
      cmocka_unit_test(another_thread_releases_nothing),
      cmocka_unit_test(released_by_scope),
      cmocka_unit_test(shard_index_of_a_guard),
      cmocka_unit_test(guards_nest),
      cmocka_unit_test(the_entry_stays_where_it_is),
      cmocka_unit_test(lock_free_reads_of_another_thread),
  };

  return cmocka_run_group_tests_name("guards", tests, NULL, NULL);
}
