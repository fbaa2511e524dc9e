/*
 * The queues of a cache, and who is evicted.
 */
#include "store/cache.h"

#include "base/alloc.h"
#include "store/flight.h"

/* The part of the bound that new objects have. By measurement, docs/design.md:
 * a tenth costs more where all is used again at once, a fifth more where not.
 */
#define YOUNG_OF(most) ((most) / 100 * 15 + (most) % 100 * 15 / 100)

/* Objects that are let through before one is evicted that was hit: by threads
 * that hit all of them as fast, it would never end. */
#define PASSED_MAX 256

bool cmap__cache_begin(struct cmap_store *store,
                       const struct cmap_store_options *options)
{
  struct cmap__cache *cache = &store->cache;

  cache->by_cost = options->max_cost != 0;
  cache->most = options->max_objects != 0 ? options->max_objects
                : cache->by_cost          ? options->max_cost
                                          : UINT64_MAX;
  return pthread_mutex_init(&cache->mutex, NULL) == 0;
}

static size_t ghost_bytes(size_t buckets)
{
  return buckets * CMAP__GHOST_WAYS * sizeof(uint16_t);
}

void cmap__cache_end(struct cmap_store *store)
{
  struct cmap__ghosts *ghosts = &store->cache.ghosts;

  if (ghosts->buckets != NULL)
    cmap__store_free(store, ghosts->buckets, ghost_bytes(ghosts->count),
                     CMAP__CACHE_LINE);
  (void)pthread_mutex_destroy(&store->cache.mutex);
}

static struct cmap__queue *queue_of(struct cmap__cache *cache,
                                    const struct cmap__object *header)
{
  return cmap__load_relaxed(&header->queue) == CMAP__QUEUE_MAIN /* mutex held */
             ? &cache->main
             : &cache->young;
}

/* Release: who finds it picked, and lets it go without the mutex, does so after
 * it was taken out of its queue [N8]. */
static void set_queue(struct cmap__object *header, enum cmap__queue_name name)
{
  cmap__store_release(&header->queue, (uint8_t)name);
}

/* The next newer one, which is where a header has room for it. */
static struct cmap__object **next_of(const struct cmap__cache *cache,
                                     struct cmap__object *header)
{
  return cache->has_times ? &cmap__kept(header)->next : &header->next;
}

/* Mutex held, here and below. */
static void push(struct cmap__cache *cache, struct cmap__object *header,
                 enum cmap__queue_name name)
{
  struct cmap__queue *queue;

  set_queue(header, name);
  queue = queue_of(cache, header);
  *next_of(cache, header) = NULL;
  cmap__kept(header)->previous = queue->newest;
  if (queue->newest != NULL)
    *next_of(cache, queue->newest) = header;
  else
    queue->oldest = header;
  queue->newest = header;
  queue->cost += cmap__cache_cost(cache, header);
}

static void unlink_object(struct cmap__cache *cache,
                          struct cmap__object *header)
{
  struct cmap__queue *queue = queue_of(cache, header);
  struct cmap__object *previous = cmap__kept(header)->previous;
  struct cmap__object *next = *next_of(cache, header);

  if (cache->hand == header)
    cache->hand = next;
  if (next != NULL)
    cmap__kept(next)->previous = previous;
  else
    queue->newest = previous;
  if (previous != NULL)
    *next_of(cache, previous) = next;
  else
    queue->oldest = next;
  queue->cost -= cmap__cache_cost(cache, header);
  set_queue(header, CMAP__QUEUE_NONE);
}

/* Relaxed: written under the mutex only; who reads it without the mutex looks
 * again with it [N5]. */
static void set_cost(struct cmap__cache *cache, uint64_t cost)
{
  cmap__store_relaxed(&cache->cost, cost);
}

/* As unlink_object, for good. */
static void leave(struct cmap__cache *cache, struct cmap__object *header)
{
  unlink_object(cache, header);
  set_cost(cache,
           cmap__load_relaxed(&cache->cost) - cmap__cache_cost(cache, header));
  cache->count--;
}

void cmap__cache_add(struct cmap_store *store, struct cmap__object *header,
                     uint64_t hash)
{
  struct cmap__cache *cache = &store->cache;
  bool comes_back;

  if (!store->is_cache)
    return;
  cmap__kept(header)->hash = hash;
  cmap__store_relaxed(&header->used, 0); /* a hint */
  pthread_mutex_lock(&cache->mutex);
  comes_back = cmap__ghost_take(&cache->ghosts, hash);
  push(cache, header, comes_back ? CMAP__QUEUE_MAIN : CMAP__QUEUE_YOUNG);
  set_cost(cache,
           cmap__load_relaxed(&cache->cost) + cmap__cache_cost(cache, header));
  cache->count++;
  pthread_mutex_unlock(&cache->mutex);
}

void cmap__cache_remove(struct cmap_store *store, struct cmap__object *header)
{
  struct cmap__cache *cache = &store->cache;

  if (!store->is_cache)
    return;
  /* In no queue, and no longer in the map: nobody else's. */
  if (cmap__cache_is_picked(header)) {
    set_queue(header, CMAP__QUEUE_NONE);
    return;
  }
  pthread_mutex_lock(&cache->mutex);
  if (cmap__cache_is_picked(header))
    set_queue(header, CMAP__QUEUE_NONE);
  else
    leave(cache, header);
  pthread_mutex_unlock(&cache->mutex);
}

/* The oldest object of `young` gets on, if it was hit; false: it is to go. */
static bool grows_up(struct cmap__cache *cache, struct cmap__object *header)
{
  if (cmap__load_relaxed(&header->used) == 0) /* a hint */
    return false;
  cmap__store_relaxed(&header->used, 0);
  unlink_object(cache, header);
  push(cache, header, CMAP__QUEUE_MAIN);
  return true;
}

/* The same in `main`, where it begins again. */
static bool passes_again(struct cmap__cache *cache, struct cmap__object *header)
{
  uint8_t used = cmap__load_relaxed(&header->used); /* a hint */

  if (used == 0)
    return false;
  cmap__store_relaxed(&header->used, (uint8_t)(used - 1));
  unlink_object(cache, header);
  push(cache, header, CMAP__QUEUE_MAIN);
  return true;
}

/*
 * Asks for what the next ones will need that go from the old end of a queue:
 * the first's place in the map, the second's second part, the third's header.
 * Each was asked for when it was one further.
 */
static void look_ahead(struct cmap_store *store,
                       const struct cmap__queue *queue)
{
  const struct cmap__table *table = &store->map->table;
  struct cmap__object *header = queue->oldest;

  if (header == NULL)
    return;
  cmap__table_prefetch(table, table->layout.slot_words,
                       cmap__kept(header)->hash);
  header = *next_of(&store->cache, header);
  if (header == NULL)
    return;
  cmap__prefetch_write(cmap__kept(header));
  cmap__prefetch_write(*next_of(&store->cache, header));
}

/* Takes the object that is to go out of its queue. There is one. From then on
 * others may end it. */
static struct cmap__object *pick(struct cmap_store *store, uint64_t *hash)
{
  struct cmap__cache *cache = &store->cache;
  uint64_t young = YOUNG_OF(cache->most);
  struct cmap__object *header;
  unsigned passed = 0;
  bool is_young, passes;

  do {
    is_young = cache->main.oldest == NULL ||
               (cache->young.oldest != NULL && cache->young.cost >= young &&
                cache->young.cost > 0);
    header = is_young ? cache->young.oldest : cache->main.oldest;
    passes = is_young ? grows_up(cache, header) : passes_again(cache, header);
    if (passes)
      look_ahead(store, is_young ? &cache->young : &cache->main);
  } while (passes && ++passed < PASSED_MAX);
  /* If it has passed, it is to go all the same. */
  if (is_young && !passes)
    cmap__ghost_put(&cache->ghosts, cmap__kept(header)->hash);
  leave(cache, header);
  *hash = cmap__kept(header)->hash;
  set_queue(header, CMAP__QUEUE_PICKED);
  look_ahead(store, is_young ? &cache->young : &cache->main);
  return header;
}

/* More ghosts, if there are few. No lock is held. */
static void make_ghosts(struct cmap_store *store, size_t objects)
{
  size_t buckets = cmap__ghosts_for(objects);
  void *memory =
      cmap__store_alloc(store, ghost_bytes(buckets), CMAP__CACHE_LINE);
  struct cmap__ghosts *ghosts = &store->cache.ghosts;
  struct cmap__ghosts old = {.buckets = memory, .count = buckets};

  if (memory == NULL)
    return;
  pthread_mutex_lock(&store->cache.mutex);
  if (ghosts->count < buckets) {
    struct cmap__ghosts fresh = old;
    old = *ghosts;
    *ghosts = fresh;
  }
  pthread_mutex_unlock(&store->cache.mutex);
  if (old.buckets != NULL)
    cmap__store_free(store, old.buckets, ghost_bytes(old.count),
                     CMAP__CACHE_LINE);
}

/* Evicts one object, if there is no room. False: there is. */
static bool evict_one(struct cmap_store *store, uint64_t cost,
                      struct cmap__evicted *evicted)
{
  struct cmap__cache *cache = &store->cache;
  struct cmap__object *header = NULL;
  uint64_t hash = 0;
  size_t few = 0;

  pthread_mutex_lock(&cache->mutex);
  if (cmap__cache_is_full(cache, cost)) {
    if (cmap__ghosts_are_few(&cache->ghosts, cache->count))
      few = cache->count;
    header = pick(store, &hash);
  }
  pthread_mutex_unlock(&cache->mutex);
  evicted->header = NULL;
  if (header == NULL)
    return false;
  (void)cmap__store_evict(store, hash, header, CMAP_EVICTED,
                          store->has_times ? cmap__store_now(store) : 0,
                          evicted);
  if (few > 0)
    make_ghosts(store, few);
  return true;
}

static void evicted_free(struct cmap_store *store,
                         const struct cmap__evictions *evictions,
                         struct cmap__evicted *evicted)
{
  if (evicted != &evictions->first)
    cmap__store_free(store, evicted, sizeof *evicted,
                     _Alignof(struct cmap__evicted));
}

/* Evicts one object. False: there is room, or no memory. */
static bool evict_into(struct cmap_store *store, uint64_t cost,
                       struct cmap__evictions *evictions)
{
  struct cmap__evicted *evicted = &evictions->first;
  bool goes_on;

  if (evictions->list != NULL)
    evicted = cmap__store_alloc(store, sizeof *evicted,
                                _Alignof(struct cmap__evicted));
  if (evicted == NULL)
    return false;
  goes_on = evict_one(store, cost, evicted);
  if (evicted->header != NULL) {
    evicted->next = NULL;
    *evictions->end = evicted;
    evictions->end = &evicted->next;
  } else {
    evicted_free(store, evictions, evicted);
  }
  return goes_on;
}

static bool evict_and_tell(struct cmap_store *store, uint64_t cost)
{
  struct cmap__evicted evicted;
  int cancel = cmap__cancel_disable();
  bool goes_on = evict_one(store, cost, &evicted);

  if (evicted.header != NULL)
    cmap__evicted_tell(store, &evicted);
  cmap__cancel_restore(cancel);
  return goes_on;
}

void cmap__cache_make_room(struct cmap_store *store, uint64_t cost,
                           struct cmap__evictions *evictions)
{
  bool goes_on = store->is_cache;

  /* Ends: each round evicts one object, or another thread has taken it. */
  while (goes_on && cmap__cache_is_full(&store->cache, cost))
    goes_on = evictions != NULL ? evict_into(store, cost, evictions)
                                : evict_and_tell(store, cost);
}

/* Will the key have one object more? Without a lock, a hint. */
static bool adds_object(struct cmap__request *r,
                        const struct cmap__flight *flight)
{
  struct cmap__object *present;

  if (flight != NULL)
    return flight->replaces == NULL && !cmap__load_relaxed(&flight->is_out);
  if (cmap__store_peek(r, &present) != CMAP_OK)
    return true;
  cmap__object_unref(present);
  return false;
}

void cmap__store_make_room(struct cmap__request *r,
                           const struct cmap__flight *flight,
                           const struct cmap__object *header,
                           struct cmap__evictions *evictions)
{
  struct cmap__cache *cache = &r->store->cache;
  uint64_t cost = r->store->is_cache ? cmap__cache_cost(cache, header) : 0;

  if (r->store->is_cache && cmap__cache_is_full(cache, cost) &&
      adds_object(r, flight))
    cmap__cache_make_room(r->store, cost, evictions);
}

void cmap__evictions_tell(struct cmap_store *store,
                          struct cmap__evictions *evictions)
{
  struct cmap__evicted *evicted = evictions->list;

  /* Ends: with the list. */
  while (evicted != NULL) {
    struct cmap__evicted *next = evicted->next;

    cmap__evicted_tell(store, evicted);
    evicted_free(store, evictions, evicted);
    evicted = next;
  }
}

/* The object under the hand, which goes on; NULL: there is none. */
static struct cmap__object *next_object(struct cmap__cache *cache)
{
  struct cmap__object *header;

  if (cache->hand == NULL) {
    cache->hand_in_main = !cache->hand_in_main;
    cache->hand =
        cache->hand_in_main ? cache->main.oldest : cache->young.oldest;
  }
  header = cache->hand;
  if (header != NULL)
    cache->hand = *next_of(cache, header);
  return header;
}

size_t cmap__cache_sweep(struct cmap_store *store, uint64_t now, unsigned steps)
{
  struct {
    struct cmap__object *header;
    uint64_t hash;
  } old[CMAP__SWEEP_MAX];
  struct cmap__cache *cache = &store->cache;
  struct cmap__evicted evicted;
  unsigned found = 0;
  size_t count;
  int cancel;

  pthread_mutex_lock(&cache->mutex);
  count = cache->count;
  for (unsigned i = 0; i < steps && i < CMAP__SWEEP_MAX && i < count; i++) {
    struct cmap__object *header = next_object(cache);

    if (header == NULL)
      header = next_object(cache); /* the other queue has them all */
    if (header == NULL)
      break;
    if (cmap__object_age(header, now) != CMAP__EXPIRED)
      continue;
    old[found].header = header;
    old[found++].hash = cmap__kept(header)->hash;
  }
  pthread_mutex_unlock(&cache->mutex);
  cancel = cmap__cancel_disable();
  for (unsigned i = 0; i < found; i++)
    if (cmap__store_evict(store, old[i].hash, old[i].header, CMAP_EXPIRED, now,
                          &evicted))
      cmap__evicted_tell(store, &evicted);
  cmap__cancel_restore(cancel);
  return count;
}
