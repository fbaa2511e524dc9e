/*
 * liburcu's cds_lfht, a lock-free chained table, with the QSBR flavour.
 *
 * QSBR's readers execute nothing at all to be safe, but each thread has to say
 * now and then that it holds no reference: here after every QUIESCENT
 * operations, and for the time between two loops. The memb flavour needs no
 * such help and costs a few ns a read more; QSBR is the peer's best form.
 *
 * The table's nodes belong to the user and are never changed while they are in
 * it, but their value may be: it is an atomic word, so that overwriting and
 * counting need no new node. Such a write may come just after another thread
 * has removed the node, and counts as done just before that. Nodes removed
 * are freed after a grace period by call_rcu()'s thread.
 */
#include "peers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define _LGPL_SOURCE 1 /* the inline functions */
#include <urcu/urcu-qsbr.h>
#include <urcu/rculfhash.h>

#include "hash.h"

/* A thread lets grace periods end after this many operations: seldom enough
 * to cost nothing, and freed memory waits for some microseconds only. */
#define QUIESCENT 256

struct entry {
  struct cds_lfht_node node;
  uint64_t key;           /* const once in the table */
  _Atomic uint64_t value; /* relaxed: nothing else is read through it */
  union {                 /* of a removed one */
    struct rcu_head head;
    struct entry *next; /* destroy's own list */
  };
};

static struct entry *entry_of(struct cds_lfht_node *node)
{
  return caa_container_of(node, struct entry, node);
}

static int match(struct cds_lfht_node *node, const void *key)
{
  return entry_of(node)->key == *(const uint64_t *)key;
}

static void free_entry(struct rcu_head *head)
{
  free(caa_container_of(head, struct entry, head));
}

/* A thread registers when it first comes, and leaves when it ends. */
static pthread_key_t leave_key;
static pthread_once_t leave_once = PTHREAD_ONCE_INIT;
static _Thread_local bool registered;

static void leave(void *unused)
{
  (void)unused;
  urcu_qsbr_unregister_thread();
}

static void make_leave_key(void)
{
  if (pthread_key_create(&leave_key, leave) != 0)
    abort();
}

/* Before and after a loop. In between, the thread may hold references. */
static void begin(void)
{
  if (registered) {
    urcu_qsbr_thread_online();
    return;
  }
  pthread_once(&leave_once, make_leave_key);
  pthread_setspecific(leave_key, &registered);
  urcu_qsbr_register_thread();
  registered = true;
}

static void end(void)
{
  urcu_qsbr_thread_offline();
}

static inline void quiesce(size_t i)
{
  if (i % QUIESCENT == 0)
    urcu_qsbr_quiescent_state();
}

static void *create(size_t keys)
{
  (void)keys;
  return cds_lfht_new_flavor(64, 64, 0,
                             CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING,
                             &urcu_qsbr_flavor, NULL);
}

/* No other thread of ours uses the map any more, but the one that resizes it
 * does: one grace period for all entries. */
static void destroy(void *map)
{
  struct cds_lfht_iter iter;
  struct entry *entry;
  struct entry *removed = NULL;

  begin();
  cds_lfht_for_each_entry(map, &iter, entry, node)
  {
    cds_lfht_del(map, &entry->node);
    entry->next = removed;
    removed = entry;
  }
  end();
  urcu_qsbr_synchronize_rcu();
  while (removed != NULL) {
    entry = removed->next;
    free(removed);
    removed = entry;
  }
  urcu_qsbr_barrier(); /* entries that were removed before */
  cds_lfht_destroy(map, NULL);
}

static size_t len(void *map)
{
  long before;
  long after;
  unsigned long n;

  begin();
  cds_lfht_count_nodes(map, &before, &n, &after);
  end();
  return n;
}

static inline struct entry *find(void *map, const uint64_t *key)
{
  struct cds_lfht_iter iter;
  struct cds_lfht_node *node;

  cds_lfht_lookup(map, peer_hash(*key), match, key, &iter);
  node = cds_lfht_iter_get_node(&iter);
  return node == NULL ? NULL : entry_of(node);
}

/* Adds *spare with the value, and makes it NULL; or returns the entry that is
 * there and keeps the spare one for the next key. */
static inline struct entry *add_spare(void *map, uint64_t key, uint64_t value,
                                      struct entry **spare)
{
  struct entry *entry = *spare;
  struct cds_lfht_node *node;

  if (entry == NULL)
    entry = malloc(sizeof *entry);
  if (entry == NULL)
    abort();
  entry->key = key;
  atomic_init(&entry->value, value);
  node = cds_lfht_add_unique(map, peer_hash(key), match, &key, &entry->node);
  *spare = node == &entry->node ? NULL : entry;
  return *spare == NULL ? NULL : entry_of(node);
}

static inline void store(void *map, uint64_t key, struct entry **spare)
{
  struct entry *present = add_spare(map, key, key, spare);

  if (present != NULL)
    atomic_store_explicit(&present->value, key, memory_order_relaxed);
}

static inline bool erase(void *map, const uint64_t *key)
{
  struct entry *entry = find(map, key);

  if (entry == NULL || cds_lfht_del(map, &entry->node) != 0)
    return false;
  urcu_qsbr_call_rcu(&entry->head, free_entry);
  return true;
}

static inline bool update(void *map, const uint64_t *key)
{
  struct entry *entry = find(map, key);

  if (entry != NULL)
    atomic_fetch_add_explicit(&entry->value, 1, memory_order_relaxed);
  return entry != NULL;
}

static uint64_t get(void *map, const struct trace *trace)
{
  uint64_t sum = 0;

  begin();
  for (size_t i = 0; i < trace->count; i++) {
    struct entry *entry = find(map, &trace->keys[i]);
    if (entry != NULL)
      sum += atomic_load_explicit(&entry->value, memory_order_relaxed);
    quiesce(i);
  }
  end();
  return sum;
}

static uint64_t insert(void *map, const struct trace *trace)
{
  struct entry *spare = NULL;

  begin();
  for (size_t i = 0; i < trace->count; i++) {
    store(map, trace->keys[i], &spare);
    quiesce(i);
  }
  end();
  free(spare);
  return trace->count;
}

static uint64_t drain(void *map, const struct trace *trace)
{
  uint64_t removed = 0;

  begin();
  for (size_t i = 0; i < trace->count; i++) {
    removed += erase(map, &trace->keys[i]);
    quiesce(i);
  }
  end();
  return removed;
}

static uint64_t mixed(void *map, const struct trace *trace)
{
  struct entry *spare = NULL;
  uint64_t hits = 0;

  begin();
  for (size_t i = 0; i < trace->count; i++) {
    const uint64_t *key = &trace->keys[i];
    switch (trace->ops[i]) {
    case OP_GET:
      hits += find(map, key) != NULL;
      break;
    case OP_INSERT:
      store(map, *key, &spare);
      break;
    case OP_REMOVE:
      hits += erase(map, key);
      break;
    default:
      hits += update(map, key);
    }
    quiesce(i);
  }
  end();
  free(spare);
  return hits;
}

static uint64_t count(void *map, const struct trace *trace)
{
  struct entry *spare = NULL;

  begin();
  for (size_t i = 0; i < trace->count; i++) {
    struct entry *present = add_spare(map, trace->keys[i], 1, &spare);
    if (present != NULL)
      atomic_fetch_add_explicit(&present->value, 1, memory_order_relaxed);
    quiesce(i);
  }
  end();
  free(spare);
  return trace->count;
}

/* The whole table is one read section, as a traversal has to be. */
static uint64_t iterate(void *map)
{
  struct cds_lfht_iter iter;
  struct entry *entry;
  uint64_t sum = 0;

  begin();
  cds_lfht_for_each_entry(map, &iter, entry, node) sum +=
      atomic_load_explicit(&entry->value, memory_order_relaxed);
  end();
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

const struct impl bench_impl_urcu = {
    .name = "urcu",
    .what = "cds_lfht of liburcu " PEER_VERSION ", QSBR flavour",
    .hash = PEER_HASH_NAME,
    .u64 = &u64,
};
