/*
 * Threads that end while their iterator is at an entry, or between two shards;
 * and iterators of a map that is destroyed.
 */
#include "asleep.h"
#include "content.h"
#include "next_alloc.h"
#include "numbers.h"
#include "step.h"
#include "threads.h"

#include <stdatomic.h>
#include <stdlib.h>

static const struct map_spec specs[] = {
    {.keys = KEYS_U64, .value_size = 8, .shard_groups = 1},
    {.keys = KEYS_U64, .value_size = 5000},
    {.keys = KEYS_STRING,
     .value_size = 308,
     .care = VALUES_OWNED,
     .shard_groups = 1},
    {.keys = KEYS_CUSTOM_OWNED, .value_size = 8, .care = VALUES_UNCOPYABLE},
};
#define SPECS (sizeof specs / sizeof *specs)
#define IDS   60

/* Where the iterator is when its thread ends. */
enum left {
  LEFT_BEGUN, /* before the first entry */
  LEFT_AT_ONE,
  LEFT_REMOVED, /* behind some that were removed */
  LEFT_BETWEEN, /* a step was refused */
  LEFT_AT_END,
  LEFT_AS_GUARD,
  LEFTS
};

static const char *const names[LEFTS] = {"begun",   "at an entry", "removed",
                                         "between", "at the end",  "a guard"};

struct leaver {
  struct test_map *m;
  enum left left;
  enum cmap_mode mode;
  struct cmap_iter iter;
  struct cmap_read_guard read;
  struct cmap_write_guard write;
};

static void fill(struct test_map *m)
{
  struct key_room room;
  struct value_room value;

  for (uint64_t id = 0; id < IDS; id++) {
    value_make(m, id, 1, value.bytes);
    CHECK_OK(cmap_insert(m->map, key_make(&m->spec, id, &room), value.bytes,
                         NULL, NULL, NULL));
  }
}

static void leave_between(struct leaver *l)
{
  struct cmap_write_guard guard = CMAP_INIT;
  struct key_room room;

  CHECK_OK(
      cmap_get_mut(l->m->map, key_make(&l->m->spec, 7, &room), &guard, NULL));
  while (cmap_iter_next(&l->iter, NULL) == CMAP_OK)
    ;
  cmap_write_guard_release(&guard);
}

static void take(struct leaver *l)
{
  CHECK_OK(cmap_iter_begin(l->m->map, l->mode, 0, 1, &l->iter));
  switch (l->left) {
  case LEFT_BEGUN:
    break;
  case LEFT_BETWEEN:
    leave_between(l);
    break;
  case LEFT_AT_END:
    while (cmap_iter_next(&l->iter, NULL) == CMAP_OK)
      ;
    break;
  default:
    for (int i = 0; i < 5; i++) {
      CHECK_OK(cmap_iter_next(&l->iter, NULL));
      if (l->left == LEFT_REMOVED && l->mode == CMAP_WRITE)
        CHECK_OK(cmap_iter_remove(&l->iter, NULL));
    }
    if (l->left == LEFT_AS_GUARD)
      CHECK_OK(l->mode == CMAP_WRITE
                   ? cmap_iter_into_write_guard(&l->iter, &l->write)
                   : cmap_iter_into_read_guard(&l->iter, &l->read));
    break;
  }
}

static void leave(unsigned index, void *ctx)
{
  (void)index;
  take(ctx);
}

/* cmap_destroy frees what was left, of this thread or of one that has ended;
   what remains of the iterator is harmless. */
static void nothing_leaks(void **state)
{
  (void)state;
  for (size_t i = 0; i < SPECS; i++) {
    for (int left = 0; left < LEFTS; left++) {
      for (unsigned how = 0; how < 4; how++) {
        struct test_map m;
        struct leaver l = {.m = &m,
                           .left = (enum left)left,
                           .mode = how & 1 ? CMAP_WRITE : CMAP_READ};
        struct thread thread;
        checks_about(names[left]);
        test_map_open(&m, &specs[i]);
        fill(&m);
        if (how & 2) {
          thread_start(&thread, leave, 0, &l);
          thread_join(&thread);
        } else {
          take(&l);
        }
        test_map_close(&m);
        cmap_iter_release(&l.iter);
        cmap_read_guard_release(&l.read);
        cmap_write_guard_release(&l.write);
      }
    }
  }
}

/* ------------------------------------------------------------------------
 * Threads that come and go
 * ------------------------------------------------------------------------ */

/* The library gets the records of iterators from here. */
static atomic_size_t requests;

void *aligned_alloc(size_t align, size_t size)
{
  atomic_fetch_add(&requests, 1);
  return next_aligned_alloc(align, size);
}

/* Is it ours that is called? Valgrind puts in its own. */
static bool requests_are_counted(void)
{
  void *(*volatile call)(size_t, size_t) = aligned_alloc;
  size_t before = atomic_load(&requests);

  free(call(64, 64));
  return atomic_load(&requests) > before;
}

static void use_stale(unsigned index, void *ctx)
{
  struct leaver *l = ctx;
  struct cmap_iter copy = l->iter;

  (void)index;
  CHECK_STATUS(cmap_iter_next(&copy, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_iter_restart(&copy), CMAP_EINVAL);
  cmap_iter_release(&copy);
}

/* An iterator that holds nothing is given back by its thread's end, and is
   nobody's then: not even of a thread in the same place. */
static void threads_leave_nothing_behind(void **state)
{
  static const enum left lefts[] = {LEFT_BEGUN, LEFT_BETWEEN, LEFT_AT_END};

  (void)state;
  if (!requests_are_counted())
    skip();
  for (size_t i = 0; i < 3; i++) {
    size_t before = 0;
    struct test_map m;
    checks_about(names[lefts[i]]);
    test_map_open(&m, &specs[0]);
    fill(&m);
    for (int j = 0; j < 100; j++) {
      struct leaver l = {.m = &m, .left = lefts[i], .mode = CMAP_WRITE};
      struct thread thread;
      thread_start(&thread, leave, 0, &l);
      thread_join(&thread);
      thread_start(&thread, use_stale, 0, &l);
      thread_join(&thread);
      if (j == 9)
        before = atomic_load(&requests);
    }
    CHECK(atomic_load(&requests) == before);
    test_map_close(&m);
  }
}

/* ------------------------------------------------------------------------
 * Who waits
 * ------------------------------------------------------------------------ */

enum { STEP_HELD = 1, STEP_END };

struct scene {
  struct cmap *map;
  enum cmap_mode mode;
  struct step step;
  struct asleep sleepers[2];
};

/* The one entry of the map. */
#define KEY UINT64_C(7)

static void hold_then_end(unsigned index, void *ctx)
{
  struct scene *scene = ctx;
  struct cmap_iter iter = CMAP_INIT;

  (void)index;
  CHECK_OK(cmap_iter_begin(scene->map, scene->mode, 0, 1, &iter));
  CHECK_OK(cmap_iter_next(&iter, NULL));
  step_done(&scene->step, STEP_HELD);
  step_wait(&scene->step, STEP_END);
}

static void wait_in_vain(unsigned index, void *ctx)
{
  struct scene *scene = ctx;
  CMAP_AUTO(cmap_iter, iter);
  uint64_t id = KEY, value = 5;

  asleep_here(&scene->sleepers[index]);
  if (index == 0) {
    CHECK_STATUS(
        cmap_insert(scene->map, cmap_key_u64(&id), &value, NULL, NULL, NULL),
        CMAP_EABANDONED);
    return;
  }
  CHECK_OK(cmap_iter_begin(scene->map, CMAP_WRITE, 0, 1, &iter));
  CHECK_STATUS(cmap_iter_next(&iter, NULL), CMAP_EABANDONED);
  CHECK(iter.value == NULL);
  CHECK_STATUS(cmap_iter_next(&iter, NULL), CMAP_EABANDONED);
}

static void those_who_wait_are_told(void **state)
{
  (void)state;
  for (int mode = 0; mode < 2; mode++) {
    struct scene scene = {.map = numbers_open(),
                          .mode = mode ? CMAP_WRITE : CMAP_READ};
    struct cmap_how try = cmap_how_try();
    struct cmap_iter iter = CMAP_INIT;
    struct thread threads[3];
    uint64_t id = KEY;
    numbers_put(scene.map, KEY, 1);
    step_begin(&scene.step);
    thread_start(&threads[2], hold_then_end, 0, &scene);
    step_wait(&scene.step, STEP_HELD);
    for (unsigned i = 0; i < 2; i++) {
      asleep_begin(&scene.sleepers[i]);
      thread_start(&threads[i], wait_in_vain, i, &scene);
      asleep_wait(&scene.sleepers[i]);
    }
    step_done(&scene.step, STEP_END);
    for (unsigned i = 0; i < 3; i++)
      thread_join(&threads[i]);
    /* Who comes later; an iterator to read shares what was held to read. */
    CHECK_STATUS(cmap_remove(scene.map, cmap_key_u64(&id), NULL, NULL),
                 CMAP_EABANDONED);
    CHECK_OK(cmap_iter_begin(scene.map, CMAP_READ, 0, 1, &iter));
    CHECK_STATUS(cmap_iter_next(&iter, &try), mode ? CMAP_BUSY : CMAP_OK);
    CHECK_STATUS(cmap_iter_next(&iter, NULL),
                 mode ? CMAP_EABANDONED : CMAP_NOT_FOUND);
    cmap_iter_release(&iter);
    step_end(&scene.step);
    cmap_destroy(scene.map);
  }
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_leaks),
      cmocka_unit_test(threads_leave_nothing_behind),
      cmocka_unit_test(those_who_wait_are_told),
  };

  return cmocka_run_group_tests_name("iter_ended_thread", tests, NULL, NULL);
}
