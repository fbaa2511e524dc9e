/*
 * What an iterator holds, and what it becomes: guards; shards that this or
 * another thread holds; steps that fail and go on; threads that end.
 * test_held_table.c has every call under an iterator, test_iter_circles.c has
 * waits that would never end.
 */
#include "content.h"
#include "numbers.h"
#include "step.h"
#include "threads.h"

#include <string.h>

#define KEYS 300
#define LONG UINT64_C(60000000000)

static struct cmap *open_numbers(void)
{
  struct cmap *map = numbers_open_small();

  for (uint64_t id = 0; id < KEYS; id++)
    numbers_put(map, id, id + 1);
  return map;
}

static uint64_t number_at(const void *at)
{
  uint64_t number;

  memcpy(&number, at, sizeof number);
  return number;
}

/* An iterator at the entry of a key. */
static struct cmap_iter iter_at(struct cmap *map, enum cmap_mode mode,
                                uint64_t id)
{
  struct cmap_iter iter = CMAP_INIT;

  CHECK_OK(cmap_iter_begin(map, mode, 0, 1, &iter));
  do {
    CHECK_OK(cmap_iter_next(&iter, NULL));
  } while (iter.key.data != NULL && number_at(iter.key.data) != id);
  return iter;
}

static bool iter_is_init(const struct cmap_iter *iter)
{
  return iter->key.data == NULL && iter->key.size == 0 && iter->value == NULL &&
         iter->internal[0] == 0 && iter->internal[1] == 0;
}

static enum cmap_status try_insert(struct cmap *map, uint64_t id)
{
  struct cmap_how how = cmap_how_try();
  uint64_t value = id + 1;

  return cmap_insert(map, cmap_key_u64(&id), &value, NULL, NULL, &how);
}

static void check_free(struct cmap *map)
{
  for (uint64_t id = 0; id < KEYS; id++)
    CHECK_OK(try_insert(map, id));
}

static size_t shard_of(struct cmap *map, uint64_t id)
{
  uint64_t hash = 0;

  CHECK_OK(cmap_hash(map, cmap_key_u64(&id), &hash));
  return cmap_shard_index(map, hash);
}

/* What an iterator was, or a copy of it, has no hold on its guard. */
static void check_copy_is_harmless(const struct cmap_iter *original)
{
  struct cmap_iter copy = *original;
  struct cmap_read_guard read = CMAP_INIT;
  struct cmap_write_guard write = CMAP_INIT;
  uint64_t old = 7;

  CHECK_STATUS(cmap_iter_next(&copy, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_iter_remove(&copy, &old), CMAP_EINVAL);
  CHECK_STATUS(cmap_iter_restart(&copy), CMAP_EINVAL);
  CHECK_STATUS(cmap_iter_into_read_guard(&copy, &read), CMAP_EINVAL);
  CHECK_STATUS(cmap_iter_into_write_guard(&copy, &write), CMAP_EINVAL);
  cmap_iter_release(&copy);
  CHECK(iter_is_init(&copy) && old == 7);
}

static void a_read_guard_of_an_iterator(void **state)
{
  struct cmap *map = open_numbers();

  (void)state;
  for (uint64_t id = 0; id < 20; id++) {
    struct cmap_iter iter = iter_at(map, CMAP_READ, id), copy = iter;
    struct cmap_read_guard guard = CMAP_INIT;
    CHECK_OK(cmap_iter_into_read_guard(&iter, &guard));
    CHECK(iter_is_init(&iter));
    CHECK(guard.key.data == copy.key.data && guard.key.size == 8);
    CHECK(guard.value == copy.value && number_at(guard.value) == id + 1);
    CHECK(cmap_read_guard_shard_index(&guard) == shard_of(map, id));
    check_copy_is_harmless(&copy);
    CHECK_STATUS(try_insert(map, id), CMAP_BUSY);
    cmap_read_guard_release(&guard);
    CHECK(guard.value == NULL);
    check_copy_is_harmless(&copy);
    CHECK_OK(try_insert(map, id));
  }
  check_free(map);
  cmap_destroy(map);
  checks_assert();
}

static void a_write_guard_of_an_iterator(void **state)
{
  struct cmap *map = open_numbers();

  (void)state;
  for (uint64_t id = 0; id < 40; id++) {
    struct cmap_iter iter = iter_at(map, CMAP_WRITE, id), copy = iter;
    struct cmap_write_guard guard = CMAP_INIT;
    struct cmap_read_guard weaker = CMAP_INIT;
    uint64_t value = 1000 + id, old = 0;
    CHECK_OK(cmap_iter_into_write_guard(&iter, &guard));
    CHECK(iter_is_init(&iter));
    CHECK(guard.key.data == copy.key.data && guard.value == copy.value);
    CHECK(cmap_write_guard_shard_index(&guard) == shard_of(map, id));
    check_copy_is_harmless(&copy);
    CHECK_STATUS(try_insert(map, id), CMAP_BUSY);
    memcpy(guard.value, &value, sizeof value);
    switch (id % 3) {
    case 0:
      CHECK_OK(cmap_write_guard_downgrade(&guard, &weaker));
      CHECK(number_at(weaker.value) == value);
      CHECK_STATUS(try_insert(map, id), CMAP_BUSY);
      CHECK(numbers_get(map, id) == value);
      cmap_read_guard_release(&weaker);
      break;
    case 1:
      CHECK_OK(cmap_write_guard_remove(&guard, &old));
      CHECK(old == value && !numbers_has(map, id));
      break;
    default:
      cmap_write_guard_release(&guard);
      CHECK(numbers_get(map, id) == value);
      break;
    }
    CHECK(guard.value == NULL);
    check_copy_is_harmless(&copy);
    CHECK_OK(try_insert(map, id));
  }
  check_free(map);
  cmap_destroy(map);
  checks_assert();
}

/* What was removed before is released with the guard. */
static void removed_and_then_a_guard(void **state)
{
  const struct map_spec spec = {
      .keys = KEYS_STRING, .value_size = 308, .care = VALUES_OWNED};
  struct cmap_write_guard guard = CMAP_INIT;
  struct cmap_iter iter = CMAP_INIT;
  struct value_room value;
  struct key_room room;
  struct test_map m;
  size_t alive;

  (void)state;
  test_map_open(&m, &spec);
  for (uint64_t id = 0; id < 50; id++) {
    value_make(&m, id, id, value.bytes);
    CHECK_OK(cmap_insert(m.map, key_make(&spec, id, &room), value.bytes, NULL,
                         NULL, NULL));
  }
  CHECK_OK(cmap_iter_begin(m.map, CMAP_WRITE, 0, 1, &iter));
  alive = lifetimes_alive(m.lives);
  for (int i = 0; i < 5; i++) {
    CHECK_OK(cmap_iter_next(&iter, NULL));
    CHECK_OK(cmap_iter_remove(&iter, NULL));
  }
  CHECK_OK(cmap_iter_next(&iter, NULL));
  CHECK_OK(cmap_iter_into_write_guard(&iter, &guard));
  CHECK_OK(cmap_write_guard_remove(&guard, NULL));
  CHECK(lifetimes_alive(m.lives) == alive - 6);
  CHECK(cmap_len(m.map) == 44);
  test_map_close(&m);
}

/* ------------------------------------------------------------------------
 * Steps that fail
 * ------------------------------------------------------------------------ */

/* Others change the whole map while the iterator is between two shards. */
static void shake(struct cmap *map)
{
  for (uint64_t id = 100000; id < 104000; id++)
    numbers_put(map, id, id + 1);
  for (uint64_t id = 100000; id < 104000; id++)
    numbers_drop(map, id);
  CHECK_OK(cmap_shrink_to_fit(map, NULL));
}

static enum cmap_status walk_on(struct cmap_iter *iter, unsigned char *times,
                                const struct cmap_how *how)
{
  enum cmap_status status;

  while ((status = cmap_iter_next(iter, how)) == CMAP_OK) {
    uint64_t id = number_at(iter->key.data);
    CHECK(id < KEYS && number_at(iter->value) == id + 1);
    if (id < KEYS)
      times[id]++;
  }
  CHECK(iter->key.data == NULL && iter->key.size == 0 && iter->value == NULL);
  return status;
}

static void check_once_each(const unsigned char *times)
{
  for (size_t id = 0; id < KEYS; id++)
    CHECK(times[id] == 1);
}

/* Own guards: EDEADLK, or BUSY; then nothing is held, and nothing is lost. */
static void own_guards_refuse_a_step(void **state)
{
  (void)state;
  for (uint64_t id = 0; id < 40; id++) {
    for (int mode = 0; mode < 2; mode++) {
      struct cmap *map = open_numbers();
      struct cmap_iter iter = CMAP_INIT;
      struct cmap_write_guard write = CMAP_INIT;
      struct cmap_read_guard read = CMAP_INIT;
      struct cmap_how try = cmap_how_try(), until = cmap_how_within(LONG);
      unsigned char times[KEYS] = {0};
      bool reads = id % 2 && mode; /* else the guard is one to write */
      CHECK_OK(
          cmap_iter_begin(map, mode ? CMAP_WRITE : CMAP_READ, 0, 1, &iter));
      CHECK_OK(reads ? cmap_get_ref(map, cmap_key_u64(&id), &read, NULL)
                     : cmap_get_mut(map, cmap_key_u64(&id), &write, NULL));
      CHECK_STATUS(walk_on(&iter, times, NULL), CMAP_EDEADLK);
      CHECK_STATUS(walk_on(&iter, times, &try), CMAP_BUSY);
      CHECK_STATUS(walk_on(&iter, times, &until), CMAP_EDEADLK);
      CHECK(times[id] == 0);
      cmap_write_guard_release(&write);
      cmap_read_guard_release(&read);
      check_free(map); /* the iterator holds nothing */
      shake(map);
      CHECK_STATUS(walk_on(&iter, times, &try), CMAP_NOT_FOUND);
      check_once_each(times);
      cmap_iter_release(&iter);
      check_free(map);
      cmap_destroy(map);
    }
  }
  checks_assert();
}

/* A read guard and an iterator to read share the shard. */
static void own_guards_to_read_do_not(void **state)
{
  struct cmap *map = open_numbers();
  struct cmap_read_guard guard = CMAP_INIT;
  struct cmap_iter iter = CMAP_INIT;
  unsigned char times[KEYS] = {0};
  uint64_t id = 5;

  (void)state;
  CHECK_OK(cmap_get_ref(map, cmap_key_u64(&id), &guard, NULL));
  CHECK_OK(cmap_iter_begin(map, CMAP_READ, 0, 1, &iter));
  CHECK_STATUS(walk_on(&iter, times, NULL), CMAP_NOT_FOUND);
  check_once_each(times);
  CHECK_STATUS(try_insert(map, id), CMAP_BUSY);
  cmap_read_guard_release(&guard);
  check_free(map);
  cmap_iter_release(&iter);
  cmap_destroy(map);
  checks_assert();
}

enum { STEP_HELD = 1, STEP_GO };

struct scene {
  struct cmap *map;
  uint64_t id;
  struct step step;
};

static void hold_one(unsigned index, void *ctx)
{
  struct scene *scene = ctx;
  struct cmap_iter iter = iter_at(scene->map, CMAP_WRITE, scene->id);

  (void)index;
  step_done(&scene->step, STEP_HELD);
  step_wait(&scene->step, STEP_GO);
  cmap_iter_release(&iter);
}

static void another_thread_holds_a_shard(void **state)
{
  (void)state;
  for (uint64_t id = 0; id < 10; id++) {
    struct scene scene = {.map = open_numbers(), .id = id};
    struct cmap_how try = cmap_how_try(), soon;
    struct cmap_iter iter = CMAP_INIT;
    unsigned char times[KEYS] = {0};
    struct thread thread;
    step_begin(&scene.step);
    thread_start(&thread, hold_one, 0, &scene);
    step_wait(&scene.step, STEP_HELD);
    CHECK_OK(cmap_iter_begin(scene.map, id % 2 ? CMAP_WRITE : CMAP_READ, 0, 1,
                             &iter));
    for (int again = 0; again < 2; again++) {
      CHECK_STATUS(walk_on(&iter, times, &try), CMAP_BUSY);
      soon = cmap_how_within(50000);
      CHECK_STATUS(walk_on(&iter, times, &soon), CMAP_TIMEDOUT);
    }
    for (uint64_t seen = 0; seen < KEYS; seen++)
      if (times[seen] > 0)
        CHECK_OK(try_insert(scene.map, seen));
    CHECK(times[id] == 0);
    step_done(&scene.step, STEP_GO);
    if (id % 3 == 0) {
      thread_join(&thread);
      shake(scene.map);
    }
    CHECK_STATUS(walk_on(&iter, times, NULL), CMAP_NOT_FOUND);
    check_once_each(times);
    cmap_iter_release(&iter);
    if (id % 3 != 0)
      thread_join(&thread);
    step_end(&scene.step);
    check_free(scene.map);
    cmap_destroy(scene.map);
  }
  checks_assert();
}

/* ------------------------------------------------------------------------
 * Two iterators of one thread
 * ------------------------------------------------------------------------ */

static void two_iterators_of_one_thread(void **state)
{
  struct cmap *map = open_numbers();

  (void)state;
  for (int modes = 0; modes < 4; modes++) {
    enum cmap_mode first_mode = modes & 1 ? CMAP_WRITE : CMAP_READ;
    enum cmap_mode second_mode = modes & 2 ? CMAP_WRITE : CMAP_READ;
    struct cmap_iter first = iter_at(map, first_mode, 11), second = CMAP_INIT;
    unsigned char times[KEYS] = {0};
    CHECK_OK(cmap_iter_begin(map, second_mode, 0, 1, &second));
    if (modes == 0) {
      CHECK_STATUS(walk_on(&second, times, NULL), CMAP_NOT_FOUND);
    } else {
      CHECK_STATUS(walk_on(&second, times, NULL), CMAP_EDEADLK);
      CHECK(times[11] == 0);
      CHECK(number_at(first.value) == 12);
      cmap_iter_release(&first);
      CHECK_STATUS(walk_on(&second, times, NULL), CMAP_NOT_FOUND);
    }
    check_once_each(times);
    cmap_iter_release(&first);
    cmap_iter_release(&second);
    check_free(map);
  }
  /* Two at one entry, released in either order. */
  for (int order = 0; order < 2; order++) {
    struct cmap_iter a = iter_at(map, CMAP_READ, 11);
    struct cmap_iter b = iter_at(map, CMAP_READ, 11);
    CHECK(a.value == b.value);
    cmap_iter_release(order ? &a : &b);
    CHECK_STATUS(try_insert(map, 11), CMAP_BUSY);
    cmap_iter_release(order ? &b : &a);
    CHECK_OK(try_insert(map, 11));
  }
  cmap_destroy(map);
  checks_assert();
}

/* ------------------------------------------------------------------------
 * A frozen map
 * ------------------------------------------------------------------------ */

/* To read it costs nothing and holds nothing; to write it is refused. */
static void a_frozen_map(void **state)
{
  struct cmap *map = open_numbers();
  struct cmap_read_guard guard = CMAP_INIT;
  struct cmap_iter iter = CMAP_INIT, second = CMAP_INIT;
  unsigned char times[KEYS] = {0};

  (void)state;
  assert_ok(cmap_iter_begin(map, CMAP_READ, 0, 1, &second));
  assert_ok(cmap_freeze(map, NULL));
  assert_ok(cmap_iter_begin(map, CMAP_READ, 0, 1, &iter));
  CHECK_STATUS(walk_on(&iter, times, NULL), CMAP_NOT_FOUND);
  check_once_each(times);
  CHECK_OK(cmap_iter_restart(&iter));
  CHECK_OK(cmap_iter_next(&iter, NULL));
  CHECK_STATUS(cmap_iter_remove(&iter, NULL), CMAP_EINVAL);
  CHECK_OK(cmap_iter_into_read_guard(&iter, &guard));
  CHECK(iter_is_init(&iter) && guard.value != NULL);
  cmap_read_guard_release(&guard);
  assert_ok(cmap_iter_begin(map, CMAP_WRITE, 0, 1, &iter));
  CHECK_STATUS(cmap_iter_next(&iter, NULL), CMAP_FROZEN);
  CHECK_STATUS(cmap_iter_next(&iter, NULL), CMAP_FROZEN);
  assert_ok(cmap_thaw(map));
  /* It was at none, and goes on as if nothing had been. */
  memset(times, 0, sizeof times);
  CHECK_STATUS(walk_on(&iter, times, NULL), CMAP_NOT_FOUND);
  check_once_each(times);
  memset(times, 0, sizeof times);
  CHECK_STATUS(walk_on(&second, times, NULL), CMAP_NOT_FOUND);
  check_once_each(times);
  cmap_iter_release(&iter);
  cmap_iter_release(&second);
  check_free(map);
  cmap_destroy(map);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_read_guard_of_an_iterator),
      cmocka_unit_test(a_write_guard_of_an_iterator),
      cmocka_unit_test(removed_and_then_a_guard),
      cmocka_unit_test(own_guards_refuse_a_step),
      cmocka_unit_test(own_guards_to_read_do_not),
      cmocka_unit_test(another_thread_holds_a_shard),
      cmocka_unit_test(two_iterators_of_one_thread),
      cmocka_unit_test(a_frozen_map),
  };

  return cmocka_run_group_tests_name("iter_held", tests, NULL, NULL);
}
