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
 * are freed after a grace period by a thread of call_rcu() that looks for them
 * every 10 ms (URCU_CALL_RCU_RT), as waking it costs those who remove more.
 *
 * The table grows in a thread of ours, not by CDS_LFHT_AUTO_RESIZE. That marks
 * a resize as begun only after it has queued it: if the library's worker is
 * quicker, the mark stays, and the table never grows again (0.13.2 and later;
 * on two processors every second map of 100,000 keys, with gets at a
 * hundredth of their speed).
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

/* Entries are counted in portions, for the threads not to meet at one counter
 * all the time. */
#define PORTION 64

/* Buckets of a new map. */
#define FIRST_SIZE 64

struct map {
  struct cds_lfht *table;
  /* Relaxed, both: an estimate, and who comes too late finds it done. */
  atomic_long count; /* about as many entries as there are */
  atomic_long size;  /* buckets that are there or on their way */
  long wanted;       /* under grow_lock */
  bool growing;      /* the same: queued or being worked on */
  struct map *next;  /* the same: of the queue */
};

struct entry {
  struct cds_lfht_node node; /* first: its address is the entry's */
  uint64_t key;              /* const once in the table */
  _Atomic uint64_t value;    /* relaxed: nothing else is read through it */
  union {                    /* of a removed one */
    struct rcu_head head;
    struct entry *next; /* destroy's own list */
  };
};

static struct entry *entry_of(struct cds_lfht_node *node)
{
  return (struct entry *)node;
}

static int match(struct cds_lfht_node *node, const void *key)
{
  return entry_of(node)->key == *(const uint64_t *)key;
}

static void free_entry(struct rcu_head *head)
{
  free((char *)head - offsetof(struct entry, head));
}

/* What all maps share: the key that makes a thread leave when it ends, and the
 * thread that frees. */
static pthread_key_t leave_key;
static struct call_rcu_data *freer;
static pthread_once_t shared_once = PTHREAD_ONCE_INIT;
static _Thread_local bool registered;

static void leave(void *unused)
{
  (void)unused;
  urcu_qsbr_unregister_thread();
}

static void make_shared(void)
{
  freer = urcu_qsbr_create_call_rcu_data(URCU_CALL_RCU_RT, -1);
  if (freer == NULL || pthread_key_create(&leave_key, leave) != 0)
    abort();
}

/* Before and after a loop. In between, the thread may hold references. */
static void begin(void)
{
  if (registered) {
    urcu_qsbr_thread_online();
    return;
  }
  pthread_once(&shared_once, make_shared);
  pthread_setspecific(leave_key, &registered);
  urcu_qsbr_register_thread();
  urcu_qsbr_set_thread_call_rcu_data(freer);
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

/* Maps that want to grow, and the thread that lets them. */
static pthread_mutex_t grow_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t grow_wanted = PTHREAD_COND_INITIALIZER;
static pthread_cond_t grow_done = PTHREAD_COND_INITIALIZER;
static struct map *grow_queue; /* under grow_lock */
static pthread_once_t grow_once = PTHREAD_ONCE_INIT;

static void *grow_maps(void *unused)
{
  (void)unused;
  pthread_mutex_lock(&grow_lock);
  for (;;) {
    struct map *map = grow_queue;
    long size;
    if (map == NULL) {
      pthread_cond_wait(&grow_wanted, &grow_lock);
      continue;
    }
    grow_queue = map->next;
    do {
      size = map->wanted;
      pthread_mutex_unlock(&grow_lock);
      begin();
      cds_lfht_resize(map->table, (unsigned long)size);
      end();
      pthread_mutex_lock(&grow_lock);
    } while (size != map->wanted);
    map->growing = false;
    pthread_cond_broadcast(&grow_done);
  }
  return NULL;
}

static void start_growing(void)
{
  pthread_t thread;

  if (pthread_create(&thread, NULL, grow_maps, NULL) != 0)
    abort();
  pthread_detach(thread);
}

/* Adds to the estimated number of entries. The aim is a bucket for each, which
 * is a bit more than the library's own. */
static void count_entries(struct map *map, long added)
{
  long count =
      atomic_fetch_add_explicit(&map->count, added, memory_order_relaxed) +
      added;
  long size = atomic_load_explicit(&map->size, memory_order_relaxed);

  if (count <= size)
    return;
  pthread_mutex_lock(&grow_lock);
  while (map->wanted < count)
    map->wanted *= 2;
  atomic_store_explicit(&map->size, map->wanted, memory_order_relaxed);
  if (!map->growing) {
    map->growing = true;
    map->next = grow_queue;
    grow_queue = map;
    pthread_cond_signal(&grow_wanted);
  }
  pthread_mutex_unlock(&grow_lock);
}

static void *create(size_t keys)
{
  struct map *map = calloc(1, sizeof *map);

  (void)keys;
  if (map == NULL)
    return NULL;
  pthread_once(&grow_once, start_growing);
  map->wanted = FIRST_SIZE;
  atomic_init(&map->count, 0);
  atomic_init(&map->size, FIRST_SIZE);
  map->table = cds_lfht_new_flavor(FIRST_SIZE, FIRST_SIZE, 0, 0,
                                   &urcu_qsbr_flavor, NULL);
  if (map->table == NULL) {
    free(map);
    return NULL;
  }
  return map;
}

/* Nobody else uses the map any more; entries that were removed before are
 * freed in their time. */
static void destroy(void *p)
{
  struct map *map = p;
  struct cds_lfht_iter iter;
  struct entry *entry;
  struct entry *removed = NULL;

  pthread_mutex_lock(&grow_lock);
  while (map->growing)
    pthread_cond_wait(&grow_done, &grow_lock);
  pthread_mutex_unlock(&grow_lock);
  begin();
  cds_lfht_first(map->table, &iter);
  while (iter.node != NULL) {
    entry = entry_of(iter.node);
    cds_lfht_next(map->table, &iter);
    cds_lfht_del(map->table, &entry->node);
    entry->next = removed;
    removed = entry;
  }
  end();
  while (removed != NULL) {
    entry = removed->next;
    free(removed);
    removed = entry;
  }
  cds_lfht_destroy(map->table, NULL);
  free(map);
}

static size_t len(void *p)
{
  struct map *map = p;
  long before;
  long after;
  unsigned long n;

  begin();
  cds_lfht_count_nodes(map->table, &before, &n, &after);
  end();
  return n;
}

static inline struct entry *find(struct map *map, const uint64_t *key)
{
  struct cds_lfht_iter iter;
  struct cds_lfht_node *node;

  cds_lfht_lookup(map->table, peer_hash(*key), match, key, &iter);
  node = cds_lfht_iter_get_node(&iter);
  return node == NULL ? NULL : entry_of(node);
}

/* What a loop that writes has at hand. */
struct writer {
  struct map *map;
  struct entry *spare; /* not in the table; NULL: none */
  long added;          /* less those removed; not yet counted */
};

static void flush(struct writer *writer)
{
  count_entries(writer->map, writer->added);
  writer->added = 0;
}

/* Adds an entry with the value; or returns the one that is there. */
static inline struct entry *add(struct writer *writer, uint64_t key,
                                uint64_t value)
{
  struct entry *entry = writer->spare;
  struct cds_lfht_node *node;

  if (entry == NULL)
    entry = malloc(sizeof *entry);
  if (entry == NULL)
    abort();
  entry->key = key;
  atomic_init(&entry->value, value);
  node = cds_lfht_add_unique(writer->map->table, peer_hash(key), match, &key,
                             &entry->node);
  if (node != &entry->node) {
    writer->spare = entry;
    return entry_of(node);
  }
  writer->spare = NULL;
  if (++writer->added == PORTION)
    flush(writer);
  return NULL;
}

static void finish(struct writer *writer)
{
  flush(writer);
  free(writer->spare);
}

static inline void store(struct writer *writer, uint64_t key)
{
  struct entry *present = add(writer, key, key);

  if (present != NULL)
    atomic_store_explicit(&present->value, key, memory_order_relaxed);
}

static inline bool erase(struct writer *writer, const uint64_t *key)
{
  struct entry *entry = find(writer->map, key);

  if (entry == NULL || cds_lfht_del(writer->map->table, &entry->node) != 0)
    return false;
  urcu_qsbr_call_rcu(&entry->head, free_entry);
  if (--writer->added == -PORTION)
    flush(writer);
  return true;
}

static inline bool update(struct map *map, const uint64_t *key)
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
  struct writer writer = {.map = map};

  begin();
  for (size_t i = 0; i < trace->count; i++) {
    store(&writer, trace->keys[i]);
    quiesce(i);
  }
  end();
  finish(&writer);
  return trace->count;
}

static uint64_t drain(void *map, const struct trace *trace)
{
  struct writer writer = {.map = map};
  uint64_t removed = 0;

  begin();
  for (size_t i = 0; i < trace->count; i++) {
    removed += erase(&writer, &trace->keys[i]);
    quiesce(i);
  }
  end();
  finish(&writer);
  return removed;
}

static uint64_t mixed(void *map, const struct trace *trace)
{
  struct writer writer = {.map = map};
  uint64_t hits = 0;

  begin();
  for (size_t i = 0; i < trace->count; i++) {
    const uint64_t *key = &trace->keys[i];
    switch (trace->ops[i]) {
    case OP_GET:
      hits += find(map, key) != NULL;
      break;
    case OP_INSERT:
      store(&writer, *key);
      break;
    case OP_REMOVE:
      hits += erase(&writer, key);
      break;
    default:
      hits += update(map, key);
    }
    quiesce(i);
  }
  end();
  finish(&writer);
  return hits;
}

static uint64_t count(void *map, const struct trace *trace)
{
  struct writer writer = {.map = map};

  begin();
  for (size_t i = 0; i < trace->count; i++) {
    struct entry *present = add(&writer, trace->keys[i], 1);
    if (present != NULL)
      atomic_fetch_add_explicit(&present->value, 1, memory_order_relaxed);
    quiesce(i);
  }
  end();
  finish(&writer);
  return trace->count;
}

/* The whole table is one read section, as a traversal has to be. */
static uint64_t iterate(void *p)
{
  struct map *map = p;
  struct cds_lfht_iter iter;
  uint64_t sum = 0;

  begin();
  cds_lfht_first(map->table, &iter);
  while (iter.node != NULL) {
    sum +=
        atomic_load_explicit(&entry_of(iter.node)->value, memory_order_relaxed);
    cds_lfht_next(map->table, &iter);
  }
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
    .title = "liburcu cds_lfht",
    .what = "cds_lfht of liburcu " PEER_VERSION ", QSBR flavour",
    .hash = PEER_HASH_NAME,
    .u64 = &u64,
};
