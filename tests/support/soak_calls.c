#include "soak_calls.h"

#include <string.h>

#include "settings.h"

/* Ids: permanent keys with a value of their own, accounts, counters, and keys
 * that come and go. */
enum {
  PERMANENT = 12000,
  ACCOUNTS = 1000,
  COUNTERS = 20,
  FIRST_GUEST = PERMANENT + ACCOUNTS + COUNTERS,
  GUESTS = 20000,
  MONEY = 1000, /* in each account, at first */
  HELD = 3,     /* accounts at once */
  BATCH = 24,
  OBJECTS = 512,
  OBJECTS_BOUND = 200
};

/* A bit for each sixteenth of the hash space, by which also a shard and its
 * sibling lie together in a map of so many shards; and what several calls have
 * in common besides. */
#define PART_ALL      UINT32_C(0xffff)
#define PART_STORE    UINT32_C(0x10000)
#define PART_DETECTOR UINT32_C(0x20000)
#define PART_MALLOC   UINT32_C(0x40000) /* the C library's lock */

const char *const soak_class_names[SOAK_CLASSES] = {
    "reads", "writes", "several", "whole map", "store"};

static uint64_t value_of(uint64_t id)
{
  return random_mix(id);
}

static uint32_t part_of(const struct soak_scene *scene, uint64_t id)
{
  uint64_t hash = 0;

  CHECK_OK(cmap_hash(scene->map, cmap_key_u64(&id), &hash));
  return UINT32_C(1) << (hash >> 60);
}

/* ------------------------------------------------------------------------
 * Kinds of calls: each says what it may lock, and returns its class.
 * ------------------------------------------------------------------------ */

static void locks(struct soak_worker *w, uint32_t parts)
{
  atomic_store(&w->parts, parts);
}

static enum soak_class get(struct soak_scene *s, struct soak_worker *w)
{
  uint64_t id = random_below(&w->random, PERMANENT), value = 0;

  locks(w, SOAK_READS | part_of(s, id));
  CHECK_OK(cmap_get(s->map, cmap_key_u64(&id), &value, NULL));
  CHECK(value == value_of(id));
  return SOAK_READ;
}

static uint64_t guest(struct soak_worker *w)
{
  return FIRST_GUEST + random_below(&w->random, GUESTS);
}

static enum soak_class get_guest(struct soak_scene *s, struct soak_worker *w)
{
  uint64_t id = guest(w), value = 0;
  enum cmap_status status;

  locks(w, SOAK_READS | part_of(s, id));
  status = cmap_get(s->map, cmap_key_u64(&id), &value, NULL);
  CHECK(status == CMAP_OK ? value == value_of(id) : status == CMAP_NOT_FOUND);
  return SOAK_READ;
}

static enum soak_class get_batch(struct soak_scene *s, struct soak_worker *w)
{
  uint64_t ids[BATCH], values[BATCH];
  struct cmap_key keys[BATCH];
  enum cmap_status statuses[BATCH];
  uint32_t parts = SOAK_READS;

  for (unsigned i = 0; i < BATCH; i++) {
    ids[i] = random_below(&w->random, PERMANENT);
    keys[i] = cmap_key_u64(&ids[i]);
    parts |= part_of(s, ids[i]);
  }
  locks(w, parts);
  CHECK_OK(cmap_get_many(s->map, keys, NULL, BATCH, values, statuses, NULL));
  for (unsigned i = 0; i < BATCH; i++)
    CHECK(statuses[i] == CMAP_OK && values[i] == value_of(ids[i]));
  return SOAK_READ;
}

static enum soak_class put_or_remove(struct soak_scene *s,
                                     struct soak_worker *w)
{
  /* A part of the guests at a time: shards grow and shrink. */
  uint64_t wave = test_now() >> 30 & 7;
  uint64_t id = guest(w), value = value_of(id);
  enum cmap_status status;

  locks(w, part_of(s, id));
  if ((id & 7) <= wave) {
    CHECK_OK(cmap_insert(s->map, cmap_key_u64(&id), &value, NULL, NULL, NULL));
  } else {
    status = cmap_remove(s->map, cmap_key_u64(&id), &value, NULL);
    CHECK(status == CMAP_OK ? value == value_of(id) : status == CMAP_NOT_FOUND);
  }
  return SOAK_WRITE;
}

static enum soak_class count(struct soak_scene *s, struct soak_worker *w)
{
  uint64_t id = PERMANENT + ACCOUNTS + random_below(&w->random, COUNTERS);

  locks(w, part_of(s, id));
  CHECK_OK(cmap_fetch_add(s->map, cmap_key_u64(&id), 1, NULL, NULL));
  w->added++;
  return SOAK_WRITE;
}

static enum soak_class guards(struct soak_scene *s, struct soak_worker *w)
{
  CMAP_AUTO(cmap_read_guard, guard);
  uint64_t id = random_below(&w->random, PERMANENT), value;

  locks(w, part_of(s, id));
  CHECK_OK(cmap_get_ref(s->map, cmap_key_u64(&id), &guard, NULL));
  memcpy(&value, guard.value, sizeof value);
  CHECK(value == value_of(id));
  return SOAK_WRITE;
}

static enum soak_class transfer(struct soak_scene *s, struct soak_worker *w)
{
  CMAP_AUTO(cmap_multi, held);
  uint64_t ids[HELD], *values[HELD];
  uint32_t parts = PART_DETECTOR;

  for (unsigned i = 0; i < HELD; i++) {
    ids[i] = PERMANENT + random_below(&w->random, ACCOUNTS);
    parts |= part_of(s, ids[i]);
  }
  locks(w, parts);
  CHECK_OK(cmap_lock_keys(s->map, ids, HELD, CMAP_WRITE, &held, NULL));
  for (unsigned i = 0; i < HELD; i++) {
    values[i] = cmap_multi_value(&held, i);
    if (values[i] == NULL) {
      CHECK_NEVER("an account is missing");
      return SOAK_SEVERAL;
    }
  }
  for (unsigned i = 0; i<HELD && * values[0]> 0; i++) {
    --*values[0];
    ++*values[i];
  }
  return SOAK_SEVERAL;
}

struct walk {
  uint64_t permanent, money;
};

static enum cmap_status look(struct cmap_key key, const void *value, void *ctx)
{
  struct walk *walk = ctx;
  uint64_t id, number;

  memcpy(&id, key.data, sizeof id);
  memcpy(&number, value, sizeof number);
  walk->permanent += id < PERMANENT;
  if (id >= PERMANENT && id < PERMANENT + ACCOUNTS)
    walk->money += number;
  CHECK((id >= PERMANENT && id < FIRST_GUEST) || number == value_of(id));
  return CMAP_OK;
}

static enum soak_class walk(struct soak_scene *s, struct soak_worker *w)
{
  struct walk walk = {0, 0};

  locks(w, PART_ALL | PART_DETECTOR);
  CHECK_OK(cmap_for_each(s->map, 0, 1, look, &walk, NULL));
  CHECK(walk.permanent == PERMANENT); /* each of them once */
  return SOAK_WHOLE;
}

static enum soak_class audit(struct soak_scene *s, struct soak_worker *w)
{
  struct cmap_snapshot *snapshot = NULL;
  struct walk walk = {0, 0};

  locks(w, PART_ALL | PART_DETECTOR | PART_MALLOC);
  CHECK_OK(cmap_snapshot_create(s->map, CMAP_KEYS_AND_VALUES, &snapshot, NULL));
  for (size_t i = 0; i < cmap_snapshot_count(snapshot); i++)
    (void)look(cmap_snapshot_key(snapshot, i), cmap_snapshot_value(snapshot, i),
               &walk);
  cmap_snapshot_destroy(snapshot);
  CHECK(walk.permanent == PERMANENT);
  CHECK(walk.money == (uint64_t)ACCOUNTS * MONEY);
  return SOAK_WHOLE;
}

static enum soak_class shrink(struct soak_scene *s, struct soak_worker *w)
{
  locks(w, PART_ALL | PART_DETECTOR | PART_MALLOC);
  CHECK_OK(cmap_shrink_to_fit(s->map, NULL));
  return SOAK_WHOLE;
}

/* ------------------------------------------------------------------------
 * The store: objects are numbers that are no pointers
 * ------------------------------------------------------------------------ */

static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  struct soak_scene *s = ctx;
  uint64_t id;

  memcpy(&id, key.data, sizeof id);
  atomic_fetch_add(&s->made, 1);
  *object = (void *)(uintptr_t)(id * 2 + 1);
  return CMAP_OK;
}

static void destroy(void *object, void *ctx)
{
  struct soak_scene *s = ctx;

  CHECK((uintptr_t)object % 2 == 1 && (uintptr_t)object / 2 < OBJECTS);
  atomic_fetch_add(&s->destroyed, 1);
}

static enum soak_class use_store(struct soak_scene *s, struct soak_worker *w)
{
  CMAP_AUTO(cmap_handle, handle);
  uint64_t id = random_below(&w->random, OBJECTS);
  enum cmap_status status;

  locks(w, PART_STORE | PART_MALLOC);
  if (random_once_in(&w->random, 8)) {
    status = cmap_store_remove(s->store, cmap_key_u64(&id), NULL);
    CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
  } else {
    CHECK_OK(cmap_store_get_or_create(s->store, cmap_key_u64(&id), &handle,
                                      build, s, NULL));
    CHECK((uintptr_t)handle.object == id * 2 + 1);
  }
  return SOAK_STORE;
}

/* ------------------------------------------------------------------------ */

#define LOTS 100000

static const struct {
  enum soak_class (*call)(struct soak_scene *s, struct soak_worker *w);
  unsigned share; /* of LOTS. Calls on the whole map take a thousand times as
                     long as others */
} kinds[] = {
    {get, 30000},      {get_guest, 20000},
    {get_batch, 5000}, {put_or_remove, 25000},
    {count, 6000},     {guards, 5000},
    {transfer, 4000},  {use_store, 4994},
    {walk, 2},         {audit, 2},
    {shrink, 2},
};

static void call_kind(struct soak_scene *scene, struct soak_worker *w,
                      unsigned kind)
{
  uint64_t begin = test_now();
  enum soak_class class = kinds[kind].call(scene, w);

  /* What it held it has released. */
  atomic_store(&w->parts, 0);
  latency_add(&w->latency[class], test_now() - begin);
  atomic_fetch_add(&w->calls, 1);
}

void soak_call(struct soak_scene *scene, struct soak_worker *w)
{
  unsigned lot = (unsigned)random_below(&w->random, LOTS);
  unsigned kind = 0;

  while (lot >= kinds[kind].share)
    lot -= kinds[kind++].share;
  call_kind(scene, w, kind);
}

void soak_call_each(struct soak_scene *scene, struct soak_worker *w)
{
  for (unsigned kind = 0; kind < sizeof kinds / sizeof *kinds; kind++)
    call_kind(scene, w, kind);
}

size_t soak_map_bytes(const struct soak_scene *scene)
{
  struct cmap_stats stats = {.size = sizeof stats};

  CHECK_OK(cmap_get_stats(scene->map, &stats));
  return (size_t)stats.bytes;
}

size_t soak_store_bytes(const struct soak_scene *scene)
{
  struct cmap_store_stats stats = {.size = sizeof stats};

  CHECK_OK(cmap_store_get_stats(scene->store, &stats));
  return (size_t)stats.bytes;
}

static void put(struct soak_scene *scene, uint64_t id, uint64_t value)
{
  CHECK_OK(
      cmap_insert(scene->map, cmap_key_u64(&id), &value, NULL, NULL, NULL));
}

void soak_begin_scene(struct soak_scene *scene)
{
  struct cmap_options options;
  struct cmap_store_options store = {.size = sizeof store};

  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  options.shard_groups = 4;
  options.flags = CMAP_AUTO_SHRINK;
  CHECK_OK(cmap_create(&options, &scene->map));
  for (uint64_t id = 0; id < PERMANENT; id++)
    put(scene, id, value_of(id));
  for (uint64_t id = PERMANENT; id < PERMANENT + ACCOUNTS; id++)
    put(scene, id, MONEY);
  for (uint64_t id = PERMANENT + ACCOUNTS; id < FIRST_GUEST; id++)
    put(scene, id, 0);
  cmap_options_init(&store.keys, CMAP_U64, 0);
  store.object_destroy = destroy;
  store.object_ctx = scene;
  store.max_objects = OBJECTS_BOUND;
  CHECK_OK(cmap_store_create(&store, &scene->store));
  checks_assert();
}

void soak_end_scene(struct soak_scene *scene)
{
  CHECK_OK(cmap_store_destroy(scene->store));
  cmap_destroy(scene->map);
  CHECK(atomic_load(&scene->made) == atomic_load(&scene->destroyed));
  checks_assert();
}

size_t soak_check(struct soak_scene *scene, const struct soak_worker *workers,
                  unsigned count)
{
  struct walk walk = {0, 0};
  uint64_t added = 0, counted = 0;
  size_t entries = 0;

  CHECK_OK(cmap_check(scene->map, NULL, NULL));
  CHECK_OK(cmap_view_all(scene->map, look, &walk, NULL));
  CHECK_OK(cmap_len_exact(scene->map, &entries, NULL));
  CHECK(walk.permanent == PERMANENT && entries == cmap_len(scene->map));
  CHECK(walk.money == (uint64_t)ACCOUNTS * MONEY);
  for (unsigned i = 0; i < count; i++)
    added += workers[i].added;
  for (uint64_t id = PERMANENT + ACCOUNTS; id < FIRST_GUEST; id++) {
    uint64_t value = 0;
    CHECK_OK(cmap_get(scene->map, cmap_key_u64(&id), &value, NULL));
    counted += value;
  }
  CHECK(added == counted);
  CHECK(cmap_store_len(scene->store) <= OBJECTS_BOUND);
  CHECK_OK(cmap_shrink_to_fit(scene->map, NULL));
  return soak_map_bytes(scene);
}
