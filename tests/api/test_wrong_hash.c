/*
 * Hashes that are not the key's: they spoil results, but never memory. Every
 * status but a crash is right, nothing is leaked, and nothing is released
 * twice. (Builds with assertions refuse them: CMAP_EINVAL.)
 */
#include "content.h"
#include "random.h"
#include "settings.h"

#define IDS 400

struct spoiler {
  struct test_map m;
  struct random random;
};

/* A hash of another key, one with a bit turned, or any number. */
static uint64_t wrong_hash(struct spoiler *spoiler, struct cmap_key key)
{
  struct test_map *m = &spoiler->m;
  struct key_room room;
  uint64_t hash = 0;
  uint64_t id = random_below(&spoiler->random, IDS);

  switch (random_below(&spoiler->random, 4)) {
  case 0:
    return random_next(&spoiler->random);
  case 1:
    CHECK_OK(cmap_hash(m->map, key, &hash));
    return hash ^ UINT64_C(1) << random_below(&spoiler->random, 64);
  case 2:
    return random_once_in(&spoiler->random, 2) ? 0 : UINT64_MAX;
  default:
    CHECK_OK(cmap_hash(m->map, key_make(&m->spec, id, &room), &hash));
    return hash;
  }
}

static enum cmap_status make(struct cmap_key key, void *value, void *ctx)
{
  struct test_map *m = ctx;

  value_make(m, key_id(&m->spec, key), 1, value);
  return CMAP_OK;
}

static enum cmap_status put(struct cmap_key key, const void *old, void *fresh,
                            enum cmap_action *action, void *ctx)
{
  (void)old;
  *action = CMAP_PUT;
  return make(key, fresh, ctx);
}

static void write_one(struct test_map *m, uint64_t id, struct cmap_key key,
                      const struct cmap_how *how, unsigned way)
{
  struct value_room value;
  struct value_room old;
  enum cmap_event event = NO_EVENT;
  enum cmap_status status;

  switch (way) {
  case 0:
    status = cmap_compute(m->map, key, NULL, NULL, put, m, how);
    break;
  case 1:
    status = cmap_get_or_insert_with(m->map, key, NULL, NULL, make, m, how);
    break;
  case 2:
    status = cmap_remove(m->map, key, old.bytes, how);
    if (status == CMAP_OK) {
      value_drop(m, old.bytes);
    }
    break;
  case 3:
    value_make(m, id, 1, value.bytes);
    status = cmap_insert_new(m->map, key, value.bytes, NULL, how);
    if (status != CMAP_OK) {
      value_drop(m, value.bytes);
    }
    break;
  default:
    value_make(m, id, 1, value.bytes);
    status = cmap_insert(m->map, key, value.bytes, old.bytes, &event, how);
    if (status != CMAP_OK) {
      value_drop(m, value.bytes);
    } else if (event == CMAP_UPDATED) {
      value_drop(m, old.bytes);
    }
    break;
  }
  CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND ||
        status == CMAP_EXISTS || status == CMAP_EINVAL);
}

static void read_one(struct test_map *m, uint64_t id, struct cmap_key key,
                     const struct cmap_how *how)
{
  struct value_room value;
  enum cmap_status status = cmap_get(m->map, key, value.bytes, how);

  /* What is found is still the key's own. */
  if (status == CMAP_OK) {
    CHECK(value_is(m, id, 1, value.bytes));
    value_drop(m, value.bytes);
  } else {
    CHECK(status == CMAP_NOT_FOUND || status == CMAP_EINVAL ||
          (status == CMAP_ENOTSUP && m->spec.care == VALUES_UNCOPYABLE));
  }
}

static bool keep_some(struct cmap_key key, void *value, void *ctx)
{
  struct test_map *m = ctx;

  (void)value;
  return key_id(&m->spec, key) % 3 != 0;
}

static enum cmap_status see(struct cmap_key key, const void *value, void *ctx)
{
  struct test_map *m = ctx;

  CHECK(value_is(m, key_id(&m->spec, key), 1, value));
  return CMAP_OK;
}

static void walk_over(struct test_map *m)
{
  struct cmap *copy = NULL;
  size_t len = 0;
  bool equal = false;

  CHECK_OK(cmap_view_all(m->map, see, m, NULL));
  CHECK_OK(cmap_len_exact(m->map, &len, NULL));
  if (m->spec.care != VALUES_UNCOPYABLE) {
    CHECK_OK(cmap_clone(m->map, &copy, NULL));
    CHECK_OK(cmap_equal(m->map, copy, &equal, NULL));
    cmap_destroy(copy);
  }
  CHECK_OK(cmap_retain(m->map, keep_some, m, NULL, NULL));
  CHECK_OK(cmap_shrink_to_fit(m->map, NULL));
  CHECK_OK(cmap_reserve(m->map, IDS, NULL));
}

static void spoil(const struct map_spec *spec, void *ctx)
{
  static struct spoiler spoiler;
  struct test_map *m = &spoiler.m;
  struct key_room room;

  if (spec->value_size > 300 || !random_in_scale(ctx)) {
    return;
  }
  checks_about(map_spec_name(spec));
  test_map_open(m, spec);
  random_begin(&spoiler.random, random_next(ctx));
  for (int i = 0; i < 3000; i++) {
    uint64_t id = random_below(&spoiler.random, IDS);
    struct cmap_key key = key_make(spec, id, &room);
    struct cmap_how how = cmap_how_hashed(wrong_hash(&spoiler, key));
    bool right = random_once_in(&spoiler.random, 3);
    write_one(m, id, key, right ? NULL : &how,
              (unsigned)random_below(&spoiler.random, 9));
    read_one(m, id, key, right ? NULL : &how);
    if (i % 700 == 699) {
      walk_over(m);
    }
  }
  CHECK_OK(cmap_clear(m->map, NULL));
  test_map_close(m);
}

static void wrong_hashes_never_spoil_memory(void **state)
{
  struct random random;

  (void)state;
  random_begin(&random, 1);
  map_spec_each(spoil, &random);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(wrong_hashes_never_spoil_memory),
  };

  return cmocka_run_group_tests_name("wrong_hash", tests, NULL, NULL);
}
