/*
 * Concurrency Kit's ck_ht: an open-addressing table for one writer and many
 * readers that take no lock.
 *
 * Reads only: ck 0.7.1 can keep a key twice after removals. Inserts take a
 * mutex, as the table has one writer at a time. When it grows, the old table
 * is freed at once. That is right while nobody reads; with readers beside the
 * writer each of them would have to enter and leave an epoch, so that the
 * reads here are a bit faster than those of a program that also writes.
 */
#include "peers.h"

#include <pthread.h>
#include <stdlib.h>

#include <ck_ht.h>

#include "hash.h"

struct table {
  ck_ht_t ht;
  pthread_mutex_t writer;
};

static void *ck_allocate(size_t size)
{
  return malloc(size);
}

static void *ck_reallocate(void *old, size_t old_size, size_t size, bool defer)
{
  (void)old_size;
  (void)defer;
  return realloc(old, size);
}

static void ck_release(void *memory, size_t size, bool defer)
{
  (void)size;
  (void)defer;
  free(memory);
}

static struct ck_malloc allocator = {
    .malloc = ck_allocate,
    .realloc = ck_reallocate,
    .free = ck_release,
};

/* The table keeps 0 and ~0 for itself. Keys are shifted by one, so that 0,
 * which the benchmark uses, is free; ~0 and ~0 - 1 it does not use. */
static inline uintptr_t stored(uint64_t key)
{
  return key + 1;
}

/* For the table's own rehashing; it has to give what hash_of() does. */
static void hash_stored(ck_ht_hash_t *hash, const void *key, size_t size,
                        uint64_t seed)
{
  (void)size;
  (void)seed;
  hash->value = peer_hash(*(const uintptr_t *)key - 1);
}

static inline ck_ht_hash_t hash_of(uint64_t key)
{
  return (ck_ht_hash_t){.value = peer_hash(key)};
}

static void *create(size_t keys)
{
  struct table *table = malloc(sizeof *table);

  (void)keys;
  if (table == NULL)
    return NULL;
  if (!ck_ht_init(&table->ht, CK_HT_MODE_DIRECT, hash_stored, &allocator, 64,
                  0)) {
    free(table);
    return NULL;
  }
  pthread_mutex_init(&table->writer, NULL);
  return table;
}

static void destroy(void *map)
{
  struct table *table = map;

  pthread_mutex_destroy(&table->writer);
  ck_ht_destroy(&table->ht);
  free(table);
}

static size_t len(void *map)
{
  return ck_ht_count(&((struct table *)map)->ht);
}

static uint64_t get(void *map, const struct trace *trace)
{
  struct table *table = map;
  uint64_t sum = 0;

  for (size_t i = 0; i < trace->count; i++) {
    uint64_t key = trace->keys[i];
    ck_ht_hash_t hash = hash_of(key);
    ck_ht_entry_t entry;
    ck_ht_entry_key_set_direct(&entry, stored(key));
    if (ck_ht_get_spmc(&table->ht, hash, &entry))
      sum += ck_ht_entry_value_direct(&entry);
  }
  return sum;
}

static uint64_t insert(void *map, const struct trace *trace)
{
  struct table *table = map;

  for (size_t i = 0; i < trace->count; i++) {
    uint64_t key = trace->keys[i];
    ck_ht_hash_t hash = hash_of(key);
    ck_ht_entry_t entry;
    if (stored(key) == CK_HT_KEY_EMPTY || stored(key) == CK_HT_KEY_TOMBSTONE)
      abort();
    ck_ht_entry_set_direct(&entry, hash, stored(key), key);
    pthread_mutex_lock(&table->writer);
    if (!ck_ht_set_spmc(&table->ht, hash, &entry))
      abort();
    pthread_mutex_unlock(&table->writer);
  }
  return trace->count;
}

static const struct impl_u64 u64 = {
    .create = create,
    .destroy = destroy,
    .len = len,
    .get = get,
    .insert = insert,
};

const struct impl bench_impl_ck_ht = {
    .name = "ck_ht",
    .title = "ck_ht, filled by one thread",
    .what = "ck_ht of Concurrency Kit " PEER_VERSION ", one writer at a time",
    .hash = PEER_HASH_NAME,
    .u64 = &u64,
    .reads_only = true,
};
