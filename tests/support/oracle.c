#include "oracle.h"

#include <stdlib.h>
#include <string.h>

void oracle_begin(struct oracle *oracle, size_t universe)
{
  oracle->universe = universe;
  oracle->len = 0;
  oracle->entries = calloc(universe, sizeof *oracle->entries);
  if (!oracle->entries) {
    abort();
  }
}

void oracle_end(struct oracle *oracle)
{
  free(oracle->entries);
  oracle->entries = NULL;
}

bool oracle_has(const struct oracle *oracle, uint64_t id)
{
  return oracle->entries[id].present;
}

uint64_t oracle_version(const struct oracle *oracle, uint64_t id)
{
  return oracle->entries[id].version;
}

void oracle_put(struct oracle *oracle, uint64_t id, uint64_t version)
{
  oracle->len += !oracle->entries[id].present;
  oracle->entries[id].present = true;
  oracle->entries[id].version = version;
}

void oracle_remove(struct oracle *oracle, uint64_t id)
{
  oracle->len -= oracle->entries[id].present;
  oracle->entries[id].present = false;
}

void oracle_clear(struct oracle *oracle)
{
  for (uint64_t id = 0; id < oracle->universe; id++) {
    oracle_remove(oracle, id);
  }
}

/* ------------------------------------------------------------------------
 * One id
 * ------------------------------------------------------------------------ */

struct viewed {
  const struct oracle *oracle;
  struct test_map *m;
  uint64_t id; /* which one it must be, with cmap_view */
  size_t calls;
  bool *met; /* by id, with cmap_view_all */
};

static enum cmap_status view_one(struct cmap_key key, const void *value,
                                 void *ctx)
{
  struct viewed *viewed = ctx;

  viewed->calls++;
  CHECK(key_id(&viewed->m->spec, key) == viewed->id);
  key_check_stored(&viewed->m->spec, key);
  CHECK(value_is(viewed->m, viewed->id,
                 oracle_version(viewed->oracle, viewed->id), value));
  return CMAP_OK;
}

static enum cmap_status must_not_make(struct cmap_key key, void *value,
                                      void *ctx)
{
  (void)key;
  (void)value;
  (void)ctx;
  CHECK_NEVER("make is called although the key is present");
  return CMAP_ENOSPC;
}

/* A value came out: is it the right one? Drops it. */
static void check_out(const struct oracle *oracle, struct test_map *m,
                      uint64_t id, struct value_room *room)
{
  bool right = value_is(m, id, oracle_version(oracle, id), room->bytes);

  CHECK(right);
  CHECK(value_is_bounded(m, room));
  if (right) {
    value_drop(m, room->bytes);
  }
}

static void check_get(const struct oracle *oracle, struct test_map *m,
                      uint64_t id, struct cmap_key key,
                      const struct cmap_how *how)
{
  bool present = oracle_has(oracle, id);
  bool copies = m->spec.care != VALUES_UNCOPYABLE;
  enum cmap_status status = present ? CMAP_OK : CMAP_NOT_FOUND;
  struct viewed viewed = {.oracle = oracle, .m = m, .id = id};
  struct value_room out;

  CHECK_STATUS(cmap_get(m->map, key, NULL, how), status);
  CHECK_STATUS(cmap_contains(m->map, key, how), status);
  CHECK_STATUS(cmap_view(m->map, key, view_one, &viewed, how), status);
  CHECK(viewed.calls == present);
  value_mark(m, &out);
  if (!copies) {
    if (present) {
      CHECK_STATUS(cmap_get(m->map, key, out.bytes, how), CMAP_ENOTSUP);
      CHECK(value_is_marked(m, &out));
    }
  } else if (CHECK_STATUS(cmap_get(m->map, key, out.bytes, how), status) ==
             CMAP_OK) {
    check_out(oracle, m, id, &out);
  } else if (map_spec_is_lock_free(&m->spec)) {
    CHECK(value_is_marked(m, &out));
  }
}

/* Calls that insert, with a key that is present. */
static void check_hits(const struct oracle *oracle, struct test_map *m,
                       uint64_t id, struct cmap_key key,
                       const struct cmap_how *how)
{
  bool copies = m->spec.care != VALUES_UNCOPYABLE;
  enum cmap_event event = NO_EVENT;
  struct value_room value;
  struct value_room out;

  value_make(m, id, 1, value.bytes);
  CHECK_STATUS(cmap_insert_new(m->map, key, value.bytes, NULL, how),
               CMAP_EXISTS);
  value_mark(m, &out);
  if (copies &&
      CHECK_STATUS(cmap_insert_new(m->map, key, value.bytes, out.bytes, how),
                   CMAP_EXISTS) == CMAP_EXISTS) {
    check_out(oracle, m, id, &out);
  }
  value_drop(m, value.bytes);
  CHECK_OK(cmap_get_or_insert_with(m->map, key, NULL, &event, must_not_make,
                                   NULL, how));
  CHECK(event == CMAP_FOUND);
  value_mark(m, &out);
  if (copies &&
      CHECK_OK(cmap_get_or_insert_with_unlocked(
          m->map, key, out.bytes, NULL, must_not_make, NULL, how)) == CMAP_OK) {
    check_out(oracle, m, id, &out);
  }
}

/* Calls that change or remove, with a key that is absent. */
static void check_misses(struct test_map *m, uint64_t id, struct cmap_key key,
                         const struct cmap_how *how)
{
  struct value_room value;
  struct value_room out;

  value_make(m, id, 1, value.bytes);
  value_mark(m, &out);
  CHECK_STATUS(cmap_remove(m->map, key, out.bytes, how), CMAP_NOT_FOUND);
  CHECK_STATUS(cmap_remove_if_equal(m->map, key, value.bytes, how),
               CMAP_NOT_FOUND);
  CHECK_STATUS(
      cmap_compare_exchange(m->map, key, value.bytes, value.bytes, how),
      CMAP_NOT_FOUND);
  CHECK_STATUS(cmap_alter(m->map, key, must_not_make, NULL, how),
               CMAP_NOT_FOUND);
  CHECK(value_is_marked(m, &out));
  value_drop(m, value.bytes);
}

void oracle_check_id(const struct oracle *oracle, struct test_map *m,
                     uint64_t id)
{
  struct key_room room;
  struct cmap_key key = key_make(&m->spec, id, &room);
  struct cmap_how hashed;
  uint64_t hash = 0;

  CHECK_OK(cmap_hash(m->map, key, &hash));
  hashed = cmap_how_hashed(hash);
  CHECK(cmap_shard_index(m->map, hash) < cmap_shard_count(m->map));
  check_get(oracle, m, id, key, NULL);
  check_get(oracle, m, id, key, &hashed);
  if (oracle_has(oracle, id)) {
    check_hits(oracle, m, id, key, id % 2 ? NULL : &hashed);
  } else {
    check_misses(m, id, key, id % 2 ? NULL : &hashed);
  }
}

/* ------------------------------------------------------------------------
 * The whole map
 * ------------------------------------------------------------------------ */

static enum cmap_status view_each(struct cmap_key key, const void *value,
                                  void *ctx)
{
  struct viewed *viewed = ctx;
  uint64_t id = key_id(&viewed->m->spec, key);

  viewed->calls++;
  key_check_stored(&viewed->m->spec, key);
  if (id >= viewed->oracle->universe) {
    CHECK_NEVER("a key from nowhere");
    return CMAP_OK;
  }
  CHECK(oracle_has(viewed->oracle, id));
  CHECK(!viewed->met[id]);
  viewed->met[id] = true;
  CHECK(value_is(viewed->m, id, oracle_version(viewed->oracle, id), value));
  return CMAP_OK;
}

static void check_walk(const struct oracle *oracle, struct test_map *m,
                       struct cmap *map)
{
  struct viewed viewed = {.oracle = oracle, .m = m};

  viewed.met = calloc(oracle->universe, sizeof *viewed.met);
  if (!viewed.met) {
    abort();
  }
  CHECK_OK(cmap_view_all(map, view_each, &viewed, NULL));
  CHECK(viewed.calls == oracle->len);
  free(viewed.met);
}

void oracle_check_whole(const struct oracle *oracle, struct test_map *m)
{
  size_t exact = SIZE_MAX;
  bool equal = false;

  CHECK(cmap_len(m->map) == oracle->len);
  CHECK_OK(cmap_len_exact(m->map, &exact, NULL));
  CHECK(exact == oracle->len);
  CHECK(cmap_is_empty(m->map) == (oracle->len == 0));
  CHECK(cmap_shard_count(m->map) >= 1);
  check_walk(oracle, m, m->map);
  CHECK_OK(cmap_equal(m->map, m->map, &equal, NULL));
  CHECK(equal);
}

/* Any id that is present, or universe. */
static uint64_t present_id(const struct oracle *oracle)
{
  uint64_t id = 0;

  while (id < oracle->universe && !oracle_has(oracle, id)) {
    id++;
  }
  return id;
}

void oracle_check_clone(const struct oracle *oracle, struct test_map *m)
{
  uint64_t id = present_id(oracle);
  struct cmap *copy = NULL;
  struct key_room room;
  bool equal = false;

  if (m->spec.care == VALUES_UNCOPYABLE) {
    if (oracle->len > 0) {
      CHECK_STATUS(cmap_clone(m->map, &copy, NULL), CMAP_ENOTSUP);
      CHECK(!copy);
    }
    return;
  }
  if (CHECK_OK(cmap_clone(m->map, &copy, NULL)) != CMAP_OK) {
    return;
  }
  CHECK(cmap_len(copy) == oracle->len);
  check_walk(oracle, m, copy);
  CHECK_OK(cmap_equal(m->map, copy, &equal, NULL));
  CHECK(equal);
  equal = false;
  CHECK_OK(cmap_equal(copy, m->map, &equal, NULL));
  CHECK(equal);
  if (id < oracle->universe) {
    CHECK_OK(cmap_remove(copy, key_make(&m->spec, id, &room), NULL, NULL));
    CHECK_OK(cmap_equal(m->map, copy, &equal, NULL));
    CHECK(!equal);
    CHECK_OK(cmap_equal(copy, m->map, &equal, NULL));
    CHECK(!equal);
  }
  cmap_destroy(copy);
}

void oracle_check(const struct oracle *oracle, struct test_map *m)
{
  for (uint64_t id = 0; id < oracle->universe; id++) {
    oracle_check_id(oracle, m, id);
  }
  oracle_check_whole(oracle, m);
  oracle_check_clone(oracle, m);
}

void oracle_check_sample(const struct oracle *oracle, struct test_map *m,
                         struct random *random, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    oracle_check_id(oracle, m, random_below(random, oracle->universe));
  }
  oracle_check_whole(oracle, m);
  oracle_check_clone(oracle, m);
}
