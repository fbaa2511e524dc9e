/*
 * Threads that end inside a callback, by pthread_exit and by cancellation: the
 * shard is marked, who waits for it gets CMAP_EABANDONED, and what the call had
 * done by then is what the header says.
 */
#include "asleep.h"
#include "numbers.h"
#include "step.h"
#include "threads.h"

#include <string.h>

#define KEYS   20
#define KEY    UINT64_C(7)
#define ABSENT UINT64_C(1000)
#define FRESH  UINT64_C(4711)

static struct cmap_key key_of(const uint64_t *id)
{
  return cmap_key_bytes(id, sizeof *id);
}

/* ------------------------------------------------------------------------
 * Callbacks that end the thread
 * ------------------------------------------------------------------------ */

static bool cancels;     /* by cancellation; set before threads are started */
static struct step step; /* if waits: 1 in the callback, 2 it may end */
static bool waits;

/* The callback in which the calling thread ends, counted from 1; 0: none. */
static _Thread_local unsigned last;

/* AddressSanitizer does not know that a cancelled thread does not return. */
void __asan_handle_no_return(void) __attribute__((weak));

static void end_in_the_last(void)
{
  if (last == 0 || --last > 0)
    return;
  if (waits) {
    step_done(&step, 1);
    step_wait(&step, 2);
  }
  if (!cancels)
    pthread_exit(NULL);
  pthread_cancel(pthread_self());
  if (__asan_handle_no_return != NULL)
    __asan_handle_no_return();
  pthread_testcancel();
}

static enum cmap_status view(struct cmap_key key, const void *value, void *ctx)
{
  (void)key, (void)value, (void)ctx;
  end_in_the_last();
  return CMAP_OK;
}

static enum cmap_status write(struct cmap_key key, void *value, void *ctx)
{
  const uint64_t fresh = FRESH;

  (void)key, (void)ctx;
  memcpy(value, &fresh, sizeof fresh);
  end_in_the_last();
  return CMAP_OK;
}

static enum cmap_status update(struct cmap_key key, const void *old,
                               void *fresh, void *ctx)
{
  (void)old;
  return write(key, fresh, ctx);
}

static enum cmap_status merge(struct cmap_key key, void *value,
                              const void *from, void *ctx)
{
  (void)from;
  return write(key, value, ctx);
}

static enum cmap_status compute(struct cmap_key key, const void *old,
                                void *fresh, enum cmap_action *action,
                                void *ctx)
{
  (void)old;
  *action = CMAP_PUT;
  return write(key, fresh, ctx);
}

static bool test(struct cmap_key key, void *value, void *ctx)
{
  (void)key, (void)value;
  end_in_the_last();
  return ctx != NULL;
}

/* ------------------------------------------------------------------------
 * Calls
 * ------------------------------------------------------------------------ */

static void run_view(struct cmap *map, struct cmap_key key)
{
  CHECK_OK(cmap_view(map, key, view, NULL, NULL));
}

static void run_alter(struct cmap *map, struct cmap_key key)
{
  CHECK_OK(cmap_alter(map, key, write, NULL, NULL));
}

static void run_alter_within(struct cmap *map, struct cmap_key key)
{
  struct cmap_how how = cmap_how_within(UINT64_C(1) << 40);

  CHECK_OK(cmap_alter(map, key, write, NULL, &how));
}

static void run_compute(struct cmap *map, struct cmap_key key)
{
  CHECK_OK(cmap_compute(map, key, NULL, NULL, compute, NULL, NULL));
}

static void run_add_or_update(struct cmap *map, struct cmap_key key)
{
  CHECK_OK(cmap_add_or_update(map, key, NULL, NULL, write, update, NULL, NULL));
}

static void run_get_or_insert_with(struct cmap *map, struct cmap_key key)
{
  CHECK_OK(cmap_get_or_insert_with(map, key, NULL, NULL, write, NULL, NULL));
}

static void run_replace_if(struct cmap *map, struct cmap_key key)
{
  const uint64_t fresh = FRESH;

  CHECK_OK(cmap_replace_if(map, key, test, map, &fresh, NULL, NULL));
}

static void run_remove_if(struct cmap *map, struct cmap_key key)
{
  CHECK_OK(cmap_remove_if(map, key, test, map, NULL, NULL));
}

static void run_view_all(struct cmap *map, struct cmap_key key)
{
  (void)key;
  CHECK_OK(cmap_view_all(map, view, NULL, NULL));
}

static void run_alter_all(struct cmap *map, struct cmap_key key)
{
  (void)key;
  CHECK_OK(cmap_alter_all(map, write, NULL, NULL));
}

static void run_retain(struct cmap *map, struct cmap_key key)
{
  (void)key;
  CHECK_OK(cmap_retain(map, test, NULL, NULL, NULL));
}

static void run_entry(struct cmap *map, struct cmap_key key)
{
  CMAP_AUTO(cmap_entry, entry);

  CHECK_OK(cmap_entry_begin(map, key, &entry, NULL));
  CHECK_OK(cmap_entry_or_insert_with(cmap_entry_and_modify(&entry, write, NULL),
                                     write, NULL));
}

/* What a call that does not return has allocated is lost; here it is not. */
static void *arena_alloc(size_t size, size_t align, void *ctx)
{
  static _Alignas(64) char arena[1 << 20];
  static size_t used;

  (void)ctx, (void)align;
  used = (used + 63) / 64 * 64;
  assert_true(used + size <= sizeof arena);
  used += size;
  return arena + used - size;
}

static void arena_free(void *memory, size_t size, size_t align, void *ctx)
{
  (void)memory, (void)size, (void)align, (void)ctx;
}

static void run_merge(struct cmap *map, struct cmap_key key)
{
  static struct cmap *from; /* outlives the thread */
  uint64_t value = 1;

  if (from == NULL)
    CHECK_OK(cmap_create(
        &(struct cmap_options){.size = sizeof(struct cmap_options),
                               .key_kind = CMAP_U64,
                               .value_size = sizeof value,
                               .allocator = {arena_alloc, arena_free, NULL}},
        &from));
  CHECK_OK(cmap_insert(from, key, &value, NULL, NULL, NULL));
  CHECK_OK(cmap_merge(map, from, merge, NULL, NULL));
}

/* What is left behind: of the lock, and of the entry at hand. */
struct call {
  const char *name;
  void (*run)(struct cmap *map, struct cmap_key key);
  uint64_t id;
  unsigned last;
  bool reads;       /* only others' writes are kept out */
  bool busy;        /* the entry cannot be read */
  unsigned removed; /* entries */
};

static const struct call calls[] = {
    {"view", run_view, KEY, 1, true, false, 0},
    {"alter", run_alter, KEY, 1, false, true, 0},
    {"alter, with a deadline", run_alter_within, KEY, 1, false, true, 0},
    {"compute", run_compute, KEY, 1, false, false, 0},
    {"compute of an absent key", run_compute, ABSENT, 1, false, false, 0},
    {"add_or_update", run_add_or_update, KEY, 1, false, false, 0},
    {"add_or_update, absent", run_add_or_update, ABSENT, 1, false, false, 0},
    {"get_or_insert_with", run_get_or_insert_with, ABSENT, 1, false, false, 0},
    {"replace_if", run_replace_if, KEY, 1, false, true, 0},
    {"remove_if", run_remove_if, KEY, 1, false, true, 0},
    {"view_all", run_view_all, KEY, 3, true, false, 0},
    {"alter_all", run_alter_all, KEY, KEYS, false, false, 0},
    {"retain", run_retain, KEY, 3, false, false, 2},
    {"retain, the second", run_retain, KEY, 2, false, false, 1},
    {"entry_and_modify", run_entry, KEY, 1, false, true, 0},
    {"entry_or_insert_with", run_entry, ABSENT, 1, false, false, 0},
};

/* ------------------------------------------------------------------------
 * The others
 * ------------------------------------------------------------------------ */

struct scene {
  const struct call *call;
  struct cmap *map;
  struct asleep sleeper;
};

static void end_in_callback(unsigned index, void *ctx)
{
  const struct scene *scene = ctx;

  (void)index;
  last = scene->call->last;
  scene->call->run(scene->map, key_of(&scene->call->id));
  CHECK_NEVER("the thread has not ended");
}

static void wait_in_vain(unsigned index, void *ctx)
{
  struct scene *scene = ctx;
  uint64_t value = 1;

  (void)index;
  asleep_here(&scene->sleeper);
  CHECK_STATUS(cmap_insert(scene->map, key_of(&scene->call->id), &value, NULL,
                           NULL, NULL),
               CMAP_EABANDONED);
}

static void check_what_is_left(const struct scene *scene)
{
  const struct call *call = scene->call;
  const uint64_t id = call->id, key = KEY;
  uint64_t value = 1;
  enum cmap_status status;

  CHECK(cmap_len(scene->map) == KEYS - call->removed);
  /* Whether the key is there or not, these need the lock. */
  CHECK_STATUS(cmap_insert(scene->map, key_of(&key), &key, NULL, NULL, NULL),
               CMAP_EABANDONED);
  CHECK_STATUS(
      cmap_compute(scene->map, key_of(&key), NULL, NULL, compute, NULL, NULL),
      CMAP_EABANDONED);
  status = cmap_view(scene->map, key_of(&id), view, NULL, NULL);
  CHECK(status == (call->reads ? CMAP_OK : CMAP_EABANDONED));
  status = cmap_get(scene->map, key_of(&id), &value, NULL);
  if (call->busy)
    CHECK(status == CMAP_EABANDONED);
  else if (call->removed == 0 && call->last == 1)
    CHECK(status == (id == ABSENT ? CMAP_NOT_FOUND : CMAP_OK));
  if (call->reads)
    CHECK(value == id);
}

static void run_scene(const struct call *call)
{
  struct scene scene = {.call = call, .map = numbers_open()};
  struct thread threads[2];

  checks_about(call->name);
  for (uint64_t id = 0; id < KEYS; id++)
    numbers_put(scene.map, id, id);
  step_begin(&step);
  thread_start(&threads[0], end_in_callback, 0, &scene);
  if (waits) {
    step_wait(&step, 1);
    asleep_begin(&scene.sleeper);
    thread_start(&threads[1], wait_in_vain, 1, &scene);
    asleep_wait(&scene.sleeper);
    step_done(&step, 2);
    thread_join(&threads[1]);
  }
  thread_join(&threads[0]);
  step_end(&step);
  check_what_is_left(&scene);
  cmap_destroy(scene.map);
  checks_assert();
}

static void every_callback(void **state)
{
  (void)state;
  for (int way = 0; way < 4; way++) {
    cancels = way % 2 != 0;
    waits = way >= 2;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
      run_scene(&calls[i]);
  }
  waits = false;
}

/* The callback of a merge is called under the lock of the map merged into. */
static void in_a_merge(void **state)
{
  static const struct call call = {"merge", run_merge, KEY, 1, false, true, 0};

  (void)state;
  cancels = false;
  run_scene(&call);
}

/* ------------------------------------------------------------------------
 * Callbacks in callbacks; what the thread does while it ends
 * ------------------------------------------------------------------------ */

struct nest {
  struct cmap *maps[3];
};

static enum cmap_status alter_next(struct cmap_key key, void *value, void *ctx)
{
  struct cmap *const *maps = ctx;

  if (maps[1] == NULL)
    return write(key, value, NULL);
  return cmap_alter(maps[1], key, alter_next, (void *)(uintptr_t)(maps + 1),
                    NULL);
}

/* The stack of the calls is gone, what they hold is not. */
static void while_it_ends(void *ctx)
{
  struct nest *nest = ctx;
  uint64_t id = KEY, value = 2;

  for (int i = 0; i < 2; i++)
    CHECK_STATUS(
        cmap_insert(nest->maps[i], key_of(&id), &value, NULL, NULL, NULL),
        CMAP_EDEADLK);
  CHECK_OK(cmap_insert(nest->maps[2], key_of(&id), &value, NULL, NULL, NULL));
  CHECK_OK(cmap_alter(nest->maps[2], key_of(&id), write, NULL, NULL));
  CHECK(numbers_get(nest->maps[2], KEY) == FRESH);
}

static void end_deep(unsigned index, void *ctx)
{
  struct nest *nest = ctx;
  struct cmap *maps[3] = {nest->maps[0], nest->maps[1], NULL};
  uint64_t id = KEY;

  (void)index;
  pthread_cleanup_push(while_it_ends, nest);
  last = 1;
  CHECK_OK(cmap_alter(maps[0], key_of(&id), alter_next, maps, NULL));
  CHECK_NEVER("the thread has not ended");
  pthread_cleanup_pop(0);
}

static void in_a_callback_of_a_callback(void **state)
{
  struct nest nest;
  uint64_t id = KEY, value = 1;

  (void)state;
  for (int way = 0; way < 2; way++) {
    struct thread thread;
    cancels = way == 1;
    for (int i = 0; i < 3; i++) {
      nest.maps[i] = numbers_open();
      numbers_put(nest.maps[i], KEY, 1);
    }
    thread_start(&thread, end_deep, 0, &nest);
    thread_join(&thread);
    for (int i = 0; i < 3; i++) {
      CHECK_STATUS(
          cmap_insert(nest.maps[i], key_of(&id), &value, NULL, NULL, NULL),
          i < 2 ? CMAP_EABANDONED : CMAP_OK);
      cmap_destroy(nest.maps[i]);
    }
    checks_assert();
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_callback),
      cmocka_unit_test(in_a_merge),
      cmocka_unit_test(in_a_callback_of_a_callback),
  };

  return cmocka_run_group_tests_name("callbacks_ended_thread", tests, NULL,
                                     NULL);
}
