/*
 * What a C programmer writes for a cache: a list of what was used last, and
 * GLib's GHashTable that finds its nodes, under one mutex; and the same in 64
 * shards, each with a mutex and its part of the bound.
 */
#include "peers.h"

#include <pthread.h>
#include <stdlib.h>

#include <glib.h>

#include "hash.h"

#define SHARDS 64

struct node {
  uint64_t key;
  void *object;
  struct node *older, *newer; /* in a ring through the shard's own */
};

struct shard {
  pthread_mutex_t mutex; /* guards all below */
  GHashTable *nodes;     /* by their keys, as pointers */
  struct node ends;      /* newer: the oldest; older: the newest */
  size_t count, most;
} __attribute__((aligned(64)));

struct lru {
  size_t shard_count;
  struct shard shards[];
};

static guint hash_of(gconstpointer key)
{
  return (guint)(peer_hash(GPOINTER_TO_SIZE(key)) >> 32);
}

static void *create_lru(size_t shard_count, size_t bound)
{
  struct lru *lru =
      aligned_alloc(64, sizeof *lru + 64 + shard_count * sizeof(struct shard));

  if (lru == NULL)
    return NULL;
  lru->shard_count = shard_count;
  for (size_t i = 0; i < shard_count; i++) {
    struct shard *shard = &lru->shards[i];
    pthread_mutex_init(&shard->mutex, NULL);
    shard->nodes = g_hash_table_new(hash_of, NULL);
    shard->ends.older = shard->ends.newer = &shard->ends;
    shard->count = 0;
    shard->most = (bound + shard_count - 1) / shard_count;
  }
  return lru;
}

static void *create_one(size_t bound)
{
  return create_lru(1, bound);
}

static void *create_sharded(size_t bound)
{
  return create_lru(SHARDS, bound);
}

static void unlink_node(struct node *node)
{
  node->older->newer = node->newer;
  node->newer->older = node->older;
}

static void link_newest(struct shard *shard, struct node *node)
{
  node->newer = &shard->ends;
  node->older = shard->ends.older;
  node->older->newer = node;
  shard->ends.older = node;
}

static void evict_oldest(struct shard *shard)
{
  struct node *oldest = shard->ends.newer;

  unlink_node(oldest);
  g_hash_table_remove(shard->nodes, GSIZE_TO_POINTER(oldest->key));
  free(oldest);
  shard->count--;
}

static void destroy(void *map)
{
  struct lru *lru = map;

  for (size_t i = 0; i < lru->shard_count; i++) {
    struct shard *shard = &lru->shards[i];
    while (shard->count > 0)
      evict_oldest(shard);
    g_hash_table_destroy(shard->nodes);
    pthread_mutex_destroy(&shard->mutex);
  }
  free(lru);
}

static size_t len(void *map)
{
  struct lru *lru = map;
  size_t sum = 0;

  for (size_t i = 0; i < lru->shard_count; i++)
    sum += lru->shards[i].count;
  return sum;
}

/* The object of the key; one that is absent is made if that is wanted. */
static inline bool ask(struct lru *lru, uint64_t key, bool make, void **object)
{
  struct shard *shard =
      &lru->shards[(uint32_t)peer_hash(key) % lru->shard_count];
  struct node *node;
  bool hit;

  pthread_mutex_lock(&shard->mutex);
  node = g_hash_table_lookup(shard->nodes, GSIZE_TO_POINTER(key));
  hit = node != NULL;
  if (hit) {
    unlink_node(node);
    link_newest(shard, node);
  } else if (make) {
    if (shard->count == shard->most)
      evict_oldest(shard);
    node = malloc(sizeof *node);
    if (node == NULL)
      abort();
    node->key = key;
    node->object = GSIZE_TO_POINTER(key | 1);
    link_newest(shard, node);
    g_hash_table_insert(shard->nodes, GSIZE_TO_POINTER(key), node);
    shard->count++;
  }
  *object = node != NULL ? node->object : NULL;
  pthread_mutex_unlock(&shard->mutex);
  return hit;
}

static uint64_t ask_all(void *map, const struct trace *trace, bool make)
{
  uint64_t hits = 0;

  for (size_t i = 0; i < trace->count; i++) {
    void *object;
    hits += ask(map, trace->keys[i], make, &object);
  }
  return hits;
}

static uint64_t get(void *map, const struct trace *trace)
{
  return ask_all(map, trace, false);
}

static uint64_t cache(void *map, const struct trace *trace)
{
  return ask_all(map, trace, true);
}

static uint64_t insert(void *map, const struct trace *trace)
{
  (void)ask_all(map, trace, true);
  return trace->count;
}

static const struct impl_u64 one = {
    .create = create_one,
    .create_cache = create_one,
    .destroy = destroy,
    .len = len,
    .get = get,
    .insert = insert,
    .cache = cache,
};

static const struct impl_u64 sharded = {
    .create = create_sharded,
    .create_cache = create_sharded,
    .destroy = destroy,
    .len = len,
    .get = get,
    .insert = insert,
    .cache = cache,
};

const struct impl bench_impl_lru = {
    .name = "lru",
    .title = "LRU list, GLib",
    .what = "an LRU list and GLib's GHashTable " PEER_VERSION " under a mutex",
    .hash = PEER_HASH_NAME,
    .u64 = &one,
    .shares_only = true,
    .role = ROLE_PEER,
};

const struct impl bench_impl_lru_sharded = {
    .name = "lru_sharded",
    .title = "LRU lists, 64 shards",
    .what = "the same in 64 shards",
    .hash = PEER_HASH_NAME,
    .u64 = &sharded,
    .shares_only = true,
    .role = ROLE_PEER,
};
