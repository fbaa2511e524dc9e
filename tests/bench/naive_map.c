#include "naive_map.h"

#include <pthread.h>
#include <stdlib.h>

/* Places; the tests have far fewer keys. */
#define PLACES 16384

struct place {
  uint64_t key;
  uint64_t value;
  bool used; /* ever, so that searches go on behind it */
  bool present;
};

struct map {
  pthread_mutex_t mutex;
  size_t len; /* this and the next under the mutex */
  struct place places[PLACES];
};

static void *create(size_t keys)
{
  struct map *map = calloc(1, sizeof *map);

  (void)keys;
  if (map != NULL)
    pthread_mutex_init(&map->mutex, NULL);
  return map;
}

static void destroy(void *map)
{
  free(map);
}

static size_t len(void *map)
{
  return ((struct map *)map)->len;
}

/* The key's place, or the first that it could have. */
static struct place *find(struct map *map, uint64_t key)
{
  size_t at = key % PLACES;

  while (map->places[at].used && map->places[at].key != key)
    at = (at + 1) % PLACES;
  return &map->places[at];
}

static void put(struct map *map, uint64_t key, uint64_t value)
{
  struct place *place = find(map, key);

  map->len += !place->present;
  place->key = key;
  place->value = value;
  place->used = place->present = true;
}

static uint64_t apply(struct map *map, uint64_t key, enum op op)
{
  struct place *place = find(map, key);
  bool hit = place->present;

  if (op == OP_INSERT) {
    put(map, key, key);
    return 0;
  }
  if (op == OP_UPDATE && hit)
    place->value++;
  if (op == OP_REMOVE && hit) {
    place->present = false;
    map->len--;
  }
  return hit;
}

static uint64_t all(void *arg, const struct trace *trace, const enum op *op)
{
  struct map *map = arg;
  uint64_t hits = 0;

  for (size_t i = 0; i < trace->count; i++) {
    pthread_mutex_lock(&map->mutex);
    hits += apply(map, trace->keys[i], op ? *op : (enum op)trace->ops[i]);
    pthread_mutex_unlock(&map->mutex);
  }
  return hits;
}

static uint64_t mixed(void *map, const struct trace *trace)
{
  return all(map, trace, NULL);
}

static uint64_t insert(void *map, const struct trace *trace)
{
  enum op op = OP_INSERT;

  all(map, trace, &op);
  return trace->count;
}

static uint64_t drain(void *map, const struct trace *trace)
{
  enum op op = OP_REMOVE;

  return all(map, trace, &op);
}

static uint64_t get(void *arg, const struct trace *trace)
{
  struct map *map = arg;
  uint64_t sum = 0;

  for (size_t i = 0; i < trace->count; i++) {
    const struct place *place;
    pthread_mutex_lock(&map->mutex);
    place = find(map, trace->keys[i]);
    sum += place->present ? place->value : 0;
    pthread_mutex_unlock(&map->mutex);
  }
  return sum;
}

static uint64_t count(void *arg, const struct trace *trace)
{
  struct map *map = arg;

  for (size_t i = 0; i < trace->count; i++) {
    const struct place *place;
    pthread_mutex_lock(&map->mutex);
    place = find(map, trace->keys[i]);
    put(map, trace->keys[i], place->present ? place->value + 1 : 1);
    pthread_mutex_unlock(&map->mutex);
  }
  return trace->count;
}

static uint64_t iterate(void *arg)
{
  struct map *map = arg;
  uint64_t sum = 0;

  pthread_mutex_lock(&map->mutex);
  for (size_t i = 0; i < PLACES; i++)
    sum += map->places[i].present ? map->places[i].value : 0;
  pthread_mutex_unlock(&map->mutex);
  return sum;
}

static uint64_t get_wrong(void *map, const struct trace *trace)
{
  return get(map, trace) + (trace->count > 0);
}

static uint64_t insert_losing(void *map, const struct trace *trace)
{
  struct trace shorter = *trace;

  shorter.count -= shorter.count > 0;
  insert(map, &shorter);
  return trace->count;
}

static uint64_t get_crashing(void *map, const struct trace *trace)
{
  (void)map;
  (void)trace;
  _Exit(3);
}

static uint64_t drain_nothing(void *map, const struct trace *trace)
{
  return get(map, trace) > 0 ? trace->count : 0;
}

#define RIGHT                                                                  \
  .create = create, .destroy = destroy, .len = len, .mixed = mixed,            \
  .count = count, .iterate = iterate

static const struct impl_u64 right = {RIGHT, .get = get, .insert = insert,
                                      .remove = drain};
static const struct impl_u64 wrong_value = {RIGHT, .get = get_wrong,
                                            .insert = insert, .remove = drain};
static const struct impl_u64 loses_key = {
    RIGHT, .get = get, .insert = insert_losing, .remove = drain};
static const struct impl_u64 crashes = {RIGHT, .get = get_crashing,
                                        .insert = insert, .remove = drain};
static const struct impl_u64 never_removes = {
    RIGHT, .get = get, .insert = insert, .remove = drain_nothing};

const struct impl naive_right = {.name = "right", .u64 = &right};
const struct impl naive_right_too = {.name = "right_too", .u64 = &right};
const struct impl naive_wrong_value = {.name = "wrong_value",
                                       .u64 = &wrong_value};
const struct impl naive_loses_key = {.name = "loses_key", .u64 = &loses_key};
const struct impl naive_crashes = {.name = "crashes", .u64 = &crashes};
const struct impl naive_never_removes = {.name = "never_removes",
                                         .u64 = &never_removes};

/* What the harness lists and the tests do not. */
const struct impl *const bench_impls[] = {NULL};
