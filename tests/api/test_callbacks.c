/*
 * Statuses of callbacks come out of the call unchanged, and what the callback
 * has ended is as if the call had not been made.
 */
#include "content.h"
#include "numbers.h"

#include <string.h>

#define PRESENT UINT64_C(3)
#define ABSENT  UINT64_C(4)

static const enum cmap_status statuses[] = {(enum cmap_status)1,
                                            (enum cmap_status)OTHER_USER_STATUS,
                                            (enum cmap_status)INT_MAX};
#define STATUSES (sizeof statuses / sizeof *statuses)

static const struct map_spec specs[] = {
    {.keys = KEYS_U64, .value_size = 8},
    {.keys = KEYS_FIXED_256, .value_size = 64},
    {.keys = KEYS_STRING, .value_size = 5000},
    {.keys = KEYS_CUSTOM_OWNED, .value_size = 300, .care = VALUES_OWNED},
    {.keys = KEYS_BYTES, .value_size = 8, .care = VALUES_UNCOPYABLE},
    {.keys = KEYS_U32, .value_size = 0},
};
#define SPECS (sizeof specs / sizeof *specs)

/* A map with PRESENT in version 1, and what the callbacks need. */
struct scene {
  struct test_map m;
  struct key_room room;
  struct cmap_key key;
  struct value_room out;
  enum cmap_event event;
  enum cmap_status status; /* what callbacks return */
  size_t calls;
};

static void begin(struct scene *scene, const struct map_spec *spec,
                  enum cmap_status status, uint64_t id)
{
  struct value_room value;

  checks_about(map_spec_name(spec));
  test_map_open(&scene->m, spec);
  scene->key = key_make(spec, PRESENT, &scene->room);
  value_make(&scene->m, PRESENT, 1, value.bytes);
  CHECK_OK(
      cmap_insert(scene->m.map, scene->key, value.bytes, NULL, NULL, NULL));
  scene->key = key_make(spec, id, &scene->room);
  value_mark(&scene->m, &scene->out);
  scene->event = NO_EVENT;
  scene->status = status;
  scene->calls = 0;
}

static enum cmap_status see_version(struct cmap_key key, const void *value,
                                    void *ctx)
{
  struct test_map *m = ctx;

  CHECK(value_is(m, key_id(&m->spec, key), 1, value));
  return CMAP_OK;
}

/* The map is as it was, the outputs too, and the callback ran n times. */
static void end(struct scene *scene, size_t n)
{
  struct test_map *m = &scene->m;
  struct key_room room;

  CHECK(scene->calls == n);
  CHECK(scene->event == NO_EVENT);
  CHECK(value_is_marked(m, &scene->out));
  CHECK(cmap_len(m->map) == 1);
  CHECK_OK(cmap_view(m->map, key_make(&m->spec, PRESENT, &room), see_version, m,
                     NULL));
  test_map_close(m);
}

static enum cmap_status view(struct cmap_key key, const void *value, void *ctx)
{
  struct scene *scene = ctx;

  CHECK(value_is(&scene->m, key_id(&scene->m.spec, key), 1, value));
  scene->calls++;
  return scene->status;
}

/* Fails before it makes anything: nobody would own it. */
static enum cmap_status make(struct cmap_key key, void *value, void *ctx)
{
  struct scene *scene = ctx;

  (void)value;
  key_id(&scene->m.spec, key);
  scene->calls++;
  return scene->status;
}

static enum cmap_status compute(struct cmap_key key, const void *old,
                                void *fresh, enum cmap_action *action,
                                void *ctx)
{
  (void)old;
  *action = CMAP_REMOVE;
  return make(key, fresh, ctx);
}

static enum cmap_status conflict(struct cmap_key key, void *value,
                                 const void *from_value, void *ctx)
{
  (void)from_value;
  return make(key, value, ctx);
}

static void run_view(struct scene *scene)
{
  CHECK_STATUS(cmap_view(scene->m.map, scene->key, view, scene, NULL),
               scene->status);
}

static void run_view_all(struct scene *scene)
{
  CHECK_STATUS(cmap_view_all(scene->m.map, view, scene, NULL), scene->status);
}

static void run_alter(struct scene *scene)
{
  CHECK_STATUS(cmap_alter(scene->m.map, scene->key, make, scene, NULL),
               scene->status);
}

static void run_alter_all(struct scene *scene)
{
  CHECK_STATUS(cmap_alter_all(scene->m.map, make, scene, NULL), scene->status);
}

static void *out_of(struct scene *scene)
{
  return scene->m.spec.care == VALUES_UNCOPYABLE ? NULL : scene->out.bytes;
}

static void run_compute(struct scene *scene)
{
  CHECK_STATUS(cmap_compute(scene->m.map, scene->key, out_of(scene),
                            &scene->event, compute, scene, NULL),
               scene->status);
}

static void run_make(struct scene *scene)
{
  CHECK_STATUS(cmap_get_or_insert_with(scene->m.map, scene->key, out_of(scene),
                                       &scene->event, make, scene, NULL),
               scene->status);
}

static void run_make_unlocked(struct scene *scene)
{
  CHECK_STATUS(cmap_get_or_insert_with_unlocked(scene->m.map, scene->key,
                                                out_of(scene), &scene->event,
                                                make, scene, NULL),
               scene->status);
}

static void run_merge(struct scene *scene)
{
  bool copies = scene->m.spec.care != VALUES_UNCOPYABLE;
  struct test_map from;
  struct value_room value;

  test_map_open_sibling(&from, &scene->m);
  value_make(&from, PRESENT, 2, value.bytes);
  CHECK_OK(cmap_insert(from.map, scene->key, value.bytes, NULL, NULL, NULL));
  CHECK_STATUS(cmap_merge(scene->m.map, from.map, conflict, scene, NULL),
               copies ? scene->status : CMAP_ENOTSUP);
  scene->calls += !copies;
  test_map_close(&from);
}

static void on_every_map(void (*run)(struct scene *scene), uint64_t id)
{
  static struct scene scene;

  for (size_t i = 0; i < SPECS; i++) {
    for (size_t j = 0; j < STATUSES; j++) {
      begin(&scene, &specs[i], statuses[j], id);
      run(&scene);
      end(&scene, 1);
    }
  }
}

static void statuses_of_views(void **state)
{
  (void)state;
  on_every_map(run_view, PRESENT);
  on_every_map(run_view_all, PRESENT);
}

static void statuses_of_alters(void **state)
{
  (void)state;
  on_every_map(run_alter, PRESENT);
  on_every_map(run_alter_all, PRESENT);
}

static void statuses_of_computes(void **state)
{
  (void)state;
  on_every_map(run_compute, PRESENT);
  on_every_map(run_compute, ABSENT);
}

static void statuses_of_makes(void **state)
{
  (void)state;
  on_every_map(run_make, ABSENT);
  on_every_map(run_make_unlocked, ABSENT);
}

static void statuses_of_conflicts(void **state)
{
  (void)state;
  on_every_map(run_merge, PRESENT);
}

static enum cmap_status put(struct cmap_key key, const void *old, void *fresh,
                            enum cmap_action *action, void *ctx)
{
  struct scene *scene = ctx;

  (void)old;
  value_make(&scene->m, key_id(&scene->m.spec, key), 1, fresh);
  *action = CMAP_PUT;
  return CMAP_OK;
}

static enum cmap_status make_well(struct cmap_key key, void *value, void *ctx)
{
  enum cmap_action action;

  return put(key, NULL, value, &action, ctx);
}

/*
 * value_clone fails: everything that has to copy a value out fails with its
 * status, and leaves no trace.
 */
static void statuses_of_value_clone(void **state)
{
  static const struct map_spec spec = {
      .keys = KEYS_STRING, .value_size = 300, .care = VALUES_OWNED};
  static struct scene scene;
  enum cmap_status status = (enum cmap_status)USER_STATUS;

  (void)state;
  for (uint64_t id = PRESENT; id <= ABSENT; id++) {
    bool found = id == PRESENT;
    struct value_room value;
    struct cmap *map;
    begin(&scene, &spec, CMAP_OK, id);
    map = scene.m.map;
    atomic_store(&scene.m.lives->clone_status, USER_STATUS);
    value_make(&scene.m, id, 1, value.bytes);
    CHECK_STATUS(cmap_get(map, scene.key, scene.out.bytes, NULL),
                 found ? status : CMAP_NOT_FOUND);
    if (found) {
      CHECK_STATUS(
          cmap_insert_new(map, scene.key, value.bytes, scene.out.bytes, NULL),
          status);
    }
    CHECK_STATUS(
        cmap_get_or_insert(map, scene.key, value.bytes, &scene.event, NULL),
        status);
    CHECK(value_is(&scene.m, id, 1, value.bytes));
    CHECK_STATUS(cmap_get_or_insert_with(map, scene.key, scene.out.bytes,
                                         &scene.event, make_well, &scene, NULL),
                 status);
    CHECK_STATUS(cmap_get_or_insert_with_unlocked(map, scene.key,
                                                  scene.out.bytes, &scene.event,
                                                  make_well, &scene, NULL),
                 status);
    CHECK_STATUS(cmap_compute(map, scene.key, scene.out.bytes, &scene.event,
                              put, &scene, NULL),
                 status);
    atomic_store(&scene.m.lives->clone_status, 0);
    value_drop(&scene.m, value.bytes);
    value_mark(&scene.m, &scene.out); /* unspecified after a failed clone */
    end(&scene, 0);
  }
}

/* key_copy fails: nothing is inserted, present keys are not concerned. */
static void statuses_of_key_copy(void **state)
{
  static const struct map_spec spec = {.keys = KEYS_CUSTOM_OWNED,
                                       .value_size = 300};
  static struct scene scene;
  enum cmap_status status = (enum cmap_status)USER_STATUS;
  struct value_room value;
  struct cmap *map;

  (void)state;
  begin(&scene, &spec, CMAP_OK, ABSENT);
  map = scene.m.map;
  atomic_store(&scene.m.lives->clone_status, USER_STATUS);
  value_make(&scene.m, ABSENT, 1, value.bytes);
  CHECK_STATUS(cmap_insert(map, scene.key, value.bytes, scene.out.bytes,
                           &scene.event, NULL),
               status);
  CHECK_STATUS(
      cmap_insert_new(map, scene.key, value.bytes, scene.out.bytes, NULL),
      status);
  CHECK_STATUS(cmap_swap(map, scene.key, value.bytes, &scene.event, NULL),
               status);
  CHECK_STATUS(
      cmap_get_or_insert(map, scene.key, value.bytes, &scene.event, NULL),
      status);
  CHECK_STATUS(cmap_get_or_insert_with(map, scene.key, NULL, &scene.event,
                                       make_well, &scene, NULL),
               status);
  CHECK_STATUS(cmap_get_or_insert_with_unlocked(
                   map, scene.key, NULL, &scene.event, make_well, &scene, NULL),
               status);
  CHECK_STATUS(
      cmap_compute(map, scene.key, NULL, &scene.event, put, &scene, NULL),
      status);
  CHECK(value_is(&scene.m, ABSENT, 1, value.bytes));
  scene.key = key_make(&spec, PRESENT, &scene.room);
  value_make(&scene.m, PRESENT, 1, value.bytes);
  CHECK_OK(cmap_insert(map, scene.key, value.bytes, NULL, NULL, NULL));
  CHECK_OK(cmap_compute(map, scene.key, NULL, NULL, put, &scene, NULL));
  atomic_store(&scene.m.lives->clone_status, 0);
  end(&scene, 0);
}

/* fetch_add with a key that cannot be copied. */
static void a_counter_without_a_key(void **state)
{
  static const struct map_spec spec = {.keys = KEYS_CUSTOM_OWNED,
                                       .value_size = 8};
  struct key_room room;
  struct cmap_key key = key_make(&spec, ABSENT, &room);
  struct test_map m;
  uint64_t before = 77;

  (void)state;
  test_map_open(&m, &spec);
  atomic_store(&m.lives->clone_status, USER_STATUS);
  assert_status(cmap_fetch_add(m.map, key, 1, &before, NULL),
                (enum cmap_status)USER_STATUS);
  assert_int_equal(before, 77);
  assert_true(cmap_is_empty(m.map));
  test_map_close(&m);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(statuses_of_views),
      cmocka_unit_test(statuses_of_alters),
      cmocka_unit_test(statuses_of_computes),
      cmocka_unit_test(statuses_of_makes),
      cmocka_unit_test(statuses_of_conflicts),
      cmocka_unit_test(statuses_of_value_clone),
      cmocka_unit_test(statuses_of_key_copy),
      cmocka_unit_test(a_counter_without_a_key),
  };

  return cmocka_run_group_tests_name("callbacks", tests, NULL, NULL);
}
