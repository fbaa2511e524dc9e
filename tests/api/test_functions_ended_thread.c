/*
 * Threads that end inside the functions on keys and values that a map was
 * created with: wherever the call is by then, others get what they ask for or
 * CMAP_EABANDONED, and never wait for what does not come.
 */
#include "checks.h"
#include "threads.h"

#include <stdlib.h>
#include <string.h>

#define KEYS   40
#define KEY    UINT64_C(7)
#define ABSENT UINT64_C(1000)

/* ------------------------------------------------------------------------
 * The functions
 * ------------------------------------------------------------------------ */

enum function { HASH, EQUAL, COPY, DESTROY_KEY, CLONE, EQUAL_VALUE, DESTROY };

/* In the how manieth call of a function the calling thread ends; 0: in none. */
static _Thread_local unsigned last;
static _Thread_local enum function ends_in;

static void called(enum function function)
{
  if (function == ends_in && last > 0 && --last == 0)
    pthread_exit(NULL);
}

static uint64_t hash(struct cmap_key key, void *ctx)
{
  uint64_t id;

  (void)ctx;
  called(HASH);
  memcpy(&id, key.data, sizeof id);
  return id * UINT64_C(0x9e3779b97f4a7c15);
}

static bool equal(struct cmap_key stored, struct cmap_key key, void *ctx)
{
  (void)ctx;
  called(EQUAL);
  return memcmp(stored.data, key.data, key.size) == 0;
}

static enum cmap_status copy_key(struct cmap_key key, void *stored, void *ctx)
{
  (void)ctx;
  called(COPY);
  memcpy(stored, key.data, key.size);
  return CMAP_OK;
}

static void destroy_key(void *stored, void *ctx)
{
  (void)stored, (void)ctx;
  called(DESTROY_KEY);
}

static enum cmap_status clone_value(const void *value, void *copy, void *ctx)
{
  (void)ctx;
  called(CLONE);
  memcpy(copy, value, sizeof(uint64_t));
  return CMAP_OK;
}

static bool equal_value(const void *a, const void *b, void *ctx)
{
  (void)ctx;
  called(EQUAL_VALUE);
  return memcmp(a, b, sizeof(uint64_t)) == 0;
}

static void destroy(void *value, void *ctx)
{
  (void)value, (void)ctx;
  called(DESTROY);
}

/* What a call that does not return has allocated is lost; here it is not. */
static char arena[1 << 23];
static size_t used; /* by one thread at a time */

static void *arena_alloc(size_t size, size_t align, void *ctx)
{
  uintptr_t at = ((uintptr_t)arena + used + align - 1) / align * align;

  (void)ctx;
  used = at + size - (uintptr_t)arena;
  return used <= sizeof arena ? (void *)at : NULL;
}

static void arena_free(void *memory, size_t size, size_t align, void *ctx)
{
  (void)memory, (void)size, (void)align, (void)ctx;
}

/* Custom keys, or integers with a hash of the user's; in small shards. */
static struct cmap *open_map(bool custom)
{
  struct cmap_options options = {.size = sizeof options,
                                 .key_kind = custom ? CMAP_CUSTOM : CMAP_U64,
                                 .key_size = sizeof(uint64_t),
                                 .value_size = sizeof(uint64_t),
                                 .shard_groups = 2,
                                 .key_hash = hash,
                                 .value_destroy = destroy,
                                 .value_clone = clone_value,
                                 .value_equal = equal_value,
                                 .allocator = {arena_alloc, arena_free, NULL}};
  struct cmap *map = NULL;

  if (custom) {
    options.key_equal = equal;
    options.key_copy = copy_key;
    options.key_destroy = destroy_key;
  }
  CHECK_OK(cmap_create(&options, &map));
  for (uint64_t id = 0; id < KEYS; id++)
    CHECK_OK(cmap_insert(map, cmap_key_u64(&id), &id, NULL, NULL, NULL));
  return map;
}

/* ------------------------------------------------------------------------
 * Calls
 * ------------------------------------------------------------------------ */

typedef void run_fn(struct cmap *map, struct cmap_key key, uint64_t value);

static void get(struct cmap *map, struct cmap_key key, uint64_t value)
{
  CHECK_OK(cmap_get(map, key, &value, NULL));
}

static void insert(struct cmap *map, struct cmap_key key, uint64_t value)
{
  CHECK_OK(cmap_insert(map, key, &value, NULL, NULL, NULL));
}

static void insert_many(struct cmap *map, struct cmap_key key, uint64_t value)
{
  for (uint64_t id = ABSENT; id < ABSENT + 5 * KEYS; id++)
    insert(map, cmap_key_u64(&id), value);
  insert(map, key, value);
}

static void drop(struct cmap *map, struct cmap_key key, uint64_t value)
{
  (void)value;
  CHECK_OK(cmap_remove(map, key, NULL, NULL));
}

static void drop_if_equal(struct cmap *map, struct cmap_key key, uint64_t value)
{
  CHECK_OK(cmap_remove_if_equal(map, key, &value, NULL));
}

static void exchange(struct cmap *map, struct cmap_key key, uint64_t value)
{
  CHECK_OK(cmap_compare_exchange(map, key, &value, &value, NULL));
}

static enum cmap_status compute_put(struct cmap_key key, const void *old,
                                    void *fresh, enum cmap_action *action,
                                    void *ctx)
{
  struct cmap *map = ctx;
  uint64_t value = 1;

  (void)old;
  CHECK_OK(cmap_get(map, key, &value, NULL)); /* a section in between */
  memcpy(fresh, &value, sizeof value);
  *action = CMAP_PUT;
  return CMAP_OK;
}

static void compute(struct cmap *map, struct cmap_key key, uint64_t value)
{
  CHECK_OK(cmap_compute(map, key, &value, NULL, compute_put, map, NULL));
}

static void guard(struct cmap *map, struct cmap_key key, uint64_t value)
{
  CMAP_AUTO(cmap_write_guard, write);

  (void)value;
  CHECK_OK(cmap_get_mut(map, key, &write, NULL));
  CHECK_OK(cmap_get(map, key, &value, NULL)); /* under the own guard */
}

static void entry(struct cmap *map, struct cmap_key key, uint64_t value)
{
  CMAP_AUTO(cmap_entry, vacant);

  CHECK_OK(cmap_entry_begin(map, key, &vacant, NULL));
  CHECK_OK(cmap_entry_or_insert(&vacant, &value));
}

static enum cmap_status look(struct cmap_key key, const void *value, void *ctx)
{
  (void)key, (void)value, (void)ctx;
  return CMAP_OK;
}

static void each(struct cmap *map, struct cmap_key key, uint64_t value)
{
  (void)key, (void)value;
  CHECK_OK(cmap_for_each(map, 0, 1, look, NULL, NULL));
}

static void iterate(struct cmap *map, struct cmap_key key, uint64_t value)
{
  CMAP_AUTO(cmap_iter, iter);

  (void)key;
  CHECK_OK(cmap_iter_begin(map, CMAP_WRITE, 0, 1, &iter));
  while (cmap_iter_next(&iter, NULL) == CMAP_OK)
    CHECK_OK(cmap_iter_remove(&iter, &value));
}

static void snapshot(struct cmap *map, struct cmap_key key, uint64_t value)
{
  struct cmap_snapshot *all;

  (void)key, (void)value;
  CHECK_OK(cmap_snapshot_create(map, CMAP_KEYS_AND_VALUES, &all, NULL));
  cmap_snapshot_destroy(all);
}

static void compare(struct cmap *map, struct cmap_key key, uint64_t value)
{
  struct cmap *copy;
  bool same = false;

  (void)key, (void)value;
  CHECK_OK(cmap_clone(map, &copy, NULL));
  CHECK_OK(cmap_equal(map, copy, &same, NULL));
  CHECK(same);
  cmap_destroy(copy);
}

static void shrink(struct cmap *map, struct cmap_key key, uint64_t value)
{
  for (uint64_t id = ABSENT; id < ABSENT + 5 * KEYS; id++)
    insert(map, cmap_key_u64(&id), value);
  for (uint64_t id = ABSENT; id < ABSENT + 5 * KEYS; id++)
    drop(map, cmap_key_u64(&id), value);
  CHECK_OK(cmap_shrink_to_fit(map, NULL));
  CHECK_OK(cmap_reserve(map, 10 * KEYS, NULL));
  insert(map, key, value);
}

struct call {
  const char *name;
  run_fn *run;
  uint64_t id;
};

static const struct call calls[] = {
    {"get", get, KEY},
    {"insert", insert, KEY},
    {"insert, absent", insert, ABSENT},
    {"insert many", insert_many, KEY},
    {"remove", drop, KEY},
    {"remove_if_equal", drop_if_equal, KEY},
    {"compare_exchange", exchange, KEY},
    {"compute", compute, KEY},
    {"get_mut", guard, KEY},
    {"entry", entry, ABSENT},
    {"for_each", each, KEY},
    {"iter", iterate, KEY},
    {"snapshot", snapshot, KEY},
    {"clone, equal", compare, KEY},
    {"shrink_to_fit, reserve", shrink, KEY},
};

/* ------------------------------------------------------------------------
 * Every call ends in every call of every function
 * ------------------------------------------------------------------------ */

struct scene {
  struct cmap *map;
  const struct call *call;
  enum function ends_in;
  unsigned last;
  bool returned;
};

static void run_and_end(unsigned index, void *ctx)
{
  struct scene *scene = ctx;

  (void)index;
  ends_in = scene->ends_in;
  last = scene->last;
  scene->call->run(scene->map, cmap_key_u64(&scene->call->id), scene->call->id);
  scene->returned = last > 0;
  last = 0;
}

/* Every key can be had, or is given up. How many are? */
static unsigned count_abandoned(struct cmap *map)
{
  unsigned abandoned = 0;

  for (uint64_t id = 0; id < KEYS; id++) {
    struct cmap_how how = cmap_how_within(UINT64_C(20000000000));
    enum cmap_status status =
        cmap_insert(map, cmap_key_u64(&id), &id, NULL, NULL, &how);
    CHECK(status == CMAP_OK || status == CMAP_EABANDONED);
    abandoned += status == CMAP_EABANDONED;
  }
  return abandoned;
}

/* True if the call has returned before. */
static bool run_scene(struct scene *scene, bool custom, unsigned *abandoned)
{
  struct thread thread;

  used = 0;
  scene->map = open_map(custom);
  scene->returned = false;
  thread_start(&thread, run_and_end, 0, scene);
  thread_join(&thread);
  *abandoned += count_abandoned(scene->map);
  cmap_destroy(scene->map);
  checks_assert();
  return scene->returned;
}

static unsigned run_call(const struct call *call, enum function function,
                         bool custom)
{
  struct scene scene = {.call = call, .ends_in = function, .last = 1};
  unsigned abandoned = 0;

  checks_about(call->name);
  while (!run_scene(&scene, custom, &abandoned))
    scene.last += 1 + scene.last / 8;
  return abandoned;
}

/* Which of the functions are called under a lock? */
static void every_function(void **state)
{
  unsigned abandoned[DESTROY + 1] = {0};

  (void)state;
  for (int kind = 0; kind < 2; kind++) {
    for (int function = HASH; function <= DESTROY; function++) {
      for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        abandoned[function] +=
            run_call(&calls[i], (enum function)function, kind == 0);
    }
  }
  assert_true(abandoned[HASH] > 0 && abandoned[EQUAL] > 0);
  assert_true(abandoned[COPY] > 0 && abandoned[CLONE] > 0);
  assert_true(abandoned[EQUAL_VALUE] > 0);
  assert_int_equal(abandoned[DESTROY_KEY], 0);
  assert_int_equal(abandoned[DESTROY], 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_function),
  };

  return cmocka_run_group_tests_name("functions_ended_thread", tests, NULL,
                                     NULL);
}
