/*
 * GLib's GHashTable under one pthread_rwlock_t.
 *
 * Integers are kept as pointers (GSIZE_TO_POINTER), the table's quickest way.
 * A table whose values all equal their keys is kept as a set, at half the
 * memory; no user's map is like that, so values are stored with one bit
 * flipped. The table cannot change a value in place: to count is to look up
 * and to insert.
 */
#include "peers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "hash.h"

struct table {
  pthread_rwlock_t lock;
  GHashTable *hash; /* under lock */
};

/* What is stored for a value, and back. */
static gpointer stored(uint64_t value)
{
  return GSIZE_TO_POINTER(value ^ 1);
}

static uint64_t value_of(gpointer stored)
{
  return GPOINTER_TO_SIZE(stored) ^ 1;
}

static gpointer int_key(uint64_t key)
{
  return GSIZE_TO_POINTER(key);
}

static guint int_hash(gconstpointer key)
{
  return (guint)(peer_hash(GPOINTER_TO_SIZE(key)) >> 32);
}

static struct table *create_table(GHashTable *hash)
{
  struct table *table = malloc(sizeof *table);

  if (table == NULL)
    abort();
  pthread_rwlock_init(&table->lock, NULL);
  table->hash = hash;
  return table;
}

/* No comparison function: pointers are compared in line. */
static void *create(size_t keys)
{
  (void)keys;
  return create_table(g_hash_table_new(int_hash, NULL));
}

static void destroy(void *map)
{
  struct table *table = map;

  g_hash_table_destroy(table->hash);
  pthread_rwlock_destroy(&table->lock);
  free(table);
}

static size_t len(void *map)
{
  struct table *table = map;
  size_t n;

  pthread_rwlock_rdlock(&table->lock);
  n = g_hash_table_size(table->hash);
  pthread_rwlock_unlock(&table->lock);
  return n;
}

static inline bool find(struct table *table, gconstpointer key, uint64_t *value)
{
  gpointer found;
  bool hit;

  pthread_rwlock_rdlock(&table->lock);
  hit = g_hash_table_lookup_extended(table->hash, key, NULL, &found);
  pthread_rwlock_unlock(&table->lock);
  if (hit)
    *value = value_of(found);
  return hit;
}

static inline void store(struct table *table, uint64_t key)
{
  pthread_rwlock_wrlock(&table->lock);
  g_hash_table_insert(table->hash, int_key(key), stored(key));
  pthread_rwlock_unlock(&table->lock);
}

static inline bool erase(struct table *table, uint64_t key)
{
  bool hit;

  pthread_rwlock_wrlock(&table->lock);
  hit = g_hash_table_remove(table->hash, int_key(key));
  pthread_rwlock_unlock(&table->lock);
  return hit;
}

/* Adds 1 to a present value; an absent one is inserted if that is wanted. */
static inline bool add(struct table *table, uint64_t key, bool insert_absent)
{
  uint64_t value = 0;
  gpointer found;
  bool hit;

  pthread_rwlock_wrlock(&table->lock);
  hit = g_hash_table_lookup_extended(table->hash, int_key(key), NULL, &found);
  if (hit)
    value = value_of(found);
  if (hit || insert_absent)
    g_hash_table_insert(table->hash, int_key(key), stored(value + 1));
  pthread_rwlock_unlock(&table->lock);
  return hit;
}

static uint64_t get(void *map, const struct trace *trace)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < trace->count; i++) {
    uint64_t value;
    if (find(map, int_key(trace->keys[i]), &value))
      sum += value;
  }
  return sum;
}

static uint64_t insert(void *map, const struct trace *trace)
{
  for (size_t i = 0; i < trace->count; i++)
    store(map, trace->keys[i]);
  return trace->count;
}

static uint64_t drain(void *map, const struct trace *trace)
{
  uint64_t removed = 0;

  for (size_t i = 0; i < trace->count; i++)
    removed += erase(map, trace->keys[i]);
  return removed;
}

static uint64_t mixed(void *map, const struct trace *trace)
{
  uint64_t hits = 0;

  for (size_t i = 0; i < trace->count; i++) {
    uint64_t key = trace->keys[i];
    uint64_t value;
    switch (trace->ops[i]) {
    case OP_GET:
      hits += find(map, int_key(key), &value);
      break;
    case OP_INSERT:
      store(map, key);
      break;
    case OP_REMOVE:
      hits += erase(map, key);
      break;
    default:
      hits += add(map, key, false);
    }
  }
  return hits;
}

static uint64_t count(void *map, const struct trace *trace)
{
  for (size_t i = 0; i < trace->count; i++)
    add(map, trace->keys[i], true);
  return trace->count;
}

static uint64_t iterate(void *map)
{
  struct table *table = map;
  GHashTableIter iter;
  gpointer value;
  uint64_t sum = 0;

  pthread_rwlock_rdlock(&table->lock);
  g_hash_table_iter_init(&iter, table->hash);
  while (g_hash_table_iter_next(&iter, NULL, &value))
    sum += value_of(value);
  pthread_rwlock_unlock(&table->lock);
  return sum;
}

/*
 * Strings: the table's best form is a set of entries that hold key and value,
 * which can be changed in place. An entry begins with its key, as the strings
 * that are looked up are not terminated.
 */
struct entry {
  struct bench_string key;
  uint64_t value; /* under lock */
  char data[];
};

/* As g_str_hash, GLib's hash of terminated strings: Bernstein's. */
static guint text_hash(gconstpointer key)
{
  const struct bench_string *text = key;
  guint hash = 5381;

  for (size_t i = 0; i < text->size; i++)
    hash = hash * 33 + (unsigned char)text->data[i];
  return hash;
}

static gboolean text_equal(gconstpointer a, gconstpointer b)
{
  const struct bench_string *x = a;
  const struct bench_string *y = b;

  return x->size == y->size && memcmp(x->data, y->data, x->size) == 0;
}

static void *string_create(size_t keys)
{
  (void)keys;
  return create_table(g_hash_table_new_full(text_hash, text_equal, free, NULL));
}

static inline bool find_text(struct table *table,
                             const struct bench_string *text, uint64_t *value)
{
  const struct entry *entry;

  pthread_rwlock_rdlock(&table->lock);
  entry = g_hash_table_lookup(table->hash, text);
  if (entry != NULL)
    *value = entry->value;
  pthread_rwlock_unlock(&table->lock);
  return entry != NULL;
}

/* Adds to the value, a new one being 0, and returns the sum. */
static inline uint64_t add_text(struct table *table,
                                const struct bench_string *text, uint64_t add)
{
  struct entry *entry;
  uint64_t value;

  pthread_rwlock_wrlock(&table->lock);
  entry = g_hash_table_lookup(table->hash, text);
  if (entry == NULL) {
    entry = malloc(sizeof *entry + text->size);
    if (entry == NULL)
      abort();
    memcpy(entry->data, text->data, text->size);
    entry->key.data = entry->data;
    entry->key.size = text->size;
    entry->value = 0;
    g_hash_table_add(table->hash, entry);
  }
  value = entry->value += add;
  pthread_rwlock_unlock(&table->lock);
  return value;
}

static uint64_t string_get(void *map, const struct string_trace *trace)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < trace->count; i++) {
    uint64_t value;
    if (find_text(map, &trace->keys[i], &value))
      sum += value;
  }
  return sum;
}

static uint64_t string_count(void *map, const struct string_trace *trace)
{
  for (size_t i = 0; i < trace->count; i++)
    add_text(map, &trace->keys[i], 1);
  return trace->count;
}

/* There is no entry call. Who expects most keys to be there looks first. */
static uint64_t string_check_insert(void *map, const struct string_trace *trace)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < trace->count; i++) {
    uint64_t value;
    if (!find_text(map, &trace->keys[i], &value))
      value = add_text(map, &trace->keys[i], 0);
    sum += value;
  }
  return sum;
}

static const struct impl_u64 u64 = {
    .create = create,
    .destroy = destroy,
    .len = len,
    .get = get,
    .insert = insert,
    .remove = drain,
    .mixed = mixed,
    .count = count,
    .iterate = iterate,
};

static const struct impl_string string = {
    .create = string_create,
    .destroy = destroy,
    .len = len,
    .get = string_get,
    .count = string_count,
    .entry = string_check_insert,
    .check_insert = string_check_insert,
};

const struct impl bench_impl_glib = {
    .name = "glib",
    .title = "GLib GHashTable, locked",
    .what = "GHashTable of GLib " PEER_VERSION " under a pthread_rwlock_t",
    .hash = PEER_HASH_NAME "; strings: as g_str_hash",
    .u64 = &u64,
    .string = &string,
};
