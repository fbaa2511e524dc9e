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
  cache->most_young = YOUNG_OF(cache->most);
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

/* Is it in a queue? It may be picked at any moment. Acquire: as for is_picked
 * [N8]. */
static bool is_queued(const struct cmap__object *header)
{
  uint8_t name = cmap__load_acquire(&header->queue);

  return name == CMAP__QUEUE_YOUNG || name == CMAP__QUEUE_MAIN;
}

static struct cmap__kept *kept_in(const struct cmap_store *store,
                                  const struct cmap__object *header)
{
  return cmap__kept_of(header, store->kept_size);
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
  header->previous = queue->newest;
  if (queue->newest != NULL)
    *next_of(cache, queue->newest) = header;
  else
    queue->oldest = header;
  queue->newest = header;
  queue->cost += cmap__cache_cost(cache, header);
}

/* It stays named for its queue until the caller names the next: who looks
 * without the mutex takes one that is only moved for queued. */
static void unlink_object(struct cmap__cache *cache,
                          struct cmap__object *header)
{
  struct cmap__queue *queue = queue_of(cache, header);
  struct cmap__object *previous = header->previous;
  struct cmap__object *next = *next_of(cache, header);

  if (cache->hand == header)
    cache->hand = next;
  if (next != NULL)
    next->previous = previous;
  else
    queue->newest = previous;
  if (previous != NULL)
    *next_of(cache, previous) = next;
  else
    queue->oldest = next;
  queue->cost -= cmap__cache_cost(cache, header);
}

/* There are so many objects more, which cost so much more. */
static void change_sums(struct cmap__cache *cache, size_t count, uint64_t cost)
{
  /* Relaxed: written under the mutex only; who reads it without the mutex looks
   * again with it [N5]. */
  cmap__store_relaxed(&cache->cost, cmap__load_relaxed(&cache->cost) + cost);
  cmap__store_release(&cache->count,
                      cmap__load_relaxed(&cache->count) + count); /* [N3] */
}

/* As unlink_object, for good. */
static void leave(struct cmap__cache *cache, struct cmap__object *header)
{
  unlink_object(cache, header);
  change_sums(cache, -(size_t)1, -cmap__cache_cost(cache, header));
}

static void enter_queue(struct cmap_store *store, struct cmap__object *header,
                        uint64_t hash)
{
  struct cmap__cache *cache = &store->cache;
  bool comes_back = cmap__ghost_take(&cache->ghosts, hash);

  kept_in(store, header)->hash = hash;
  cmap__store_relaxed(&header->used, 0); /* a hint */
  push(cache, header, comes_back ? CMAP__QUEUE_MAIN : CMAP__QUEUE_YOUNG);
  change_sums(cache, 1, cmap__cache_cost(cache, header));
}

void cmap__cache_add(struct cmap_store *store, struct cmap__object *header,
                     uint64_t hash)
{
  struct cmap__cache *cache = &store->cache;

  if (is_queued(header))
    return;
  pthread_mutex_lock(&cache->mutex);
  enter_queue(store, header, hash);
  pthread_mutex_unlock(&cache->mutex);
}

void cmap__cache_remove(struct cmap_store *store, struct cmap__object *header)
{
  struct cmap__cache *cache = &store->cache;

  if (!is_queued(header)) { /* and in the map no longer: nobody else's */
    set_queue(header, CMAP__QUEUE_NONE);
    return;
  }
  pthread_mutex_lock(&cache->mutex);
  if (!cmap__cache_is_picked(header))
    leave(cache, header);
  set_queue(header, CMAP__QUEUE_NONE);
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
                       kept_in(store, header)->hash);
  header = *next_of(&store->cache, header);
  if (header == NULL)
    return;
  cmap__prefetch_write(kept_in(store, header));
  cmap__prefetch_write(*next_of(&store->cache, header));
}

/* Takes the object that is to go out of its queue. There is one. From then on
 * others may end it. */
static struct cmap__object *pick(struct cmap_store *store, uint64_t *hash)
{
  struct cmap__cache *cache = &store->cache;
  struct cmap__object *header;
  unsigned passed = 0;
  bool is_young, passes;

  do {
    is_young =
        cache->main.oldest == NULL ||
        (cache->young.oldest != NULL &&
         cache->young.cost >= cache->most_young && cache->young.cost > 0);
    header = is_young ? cache->young.oldest : cache->main.oldest;
    passes = is_young ? grows_up(cache, header) : passes_again(cache, header);
    if (passes)
      look_ahead(store, is_young ? &cache->young : &cache->main);
  } while (passes && ++passed < PASSED_MAX);
  /* If it has passed, it is to go all the same. */
  if (is_young && !passes)
    cmap__ghost_put(&cache->ghosts, kept_in(store, header)->hash);
  leave(cache, header);
  *hash = kept_in(store, header)->hash;
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

/* What is to be evicted, and for what. */
struct eviction {
  uint64_t cost;                 /* of what is to fit */
  struct cmap__object *entering; /* that is it, and is queued when it does; or
                                    NULL */
  uint64_t hash;                 /* its key's */
};

/* Evicts one object, if there is no room. False: there is. */
static bool evict_one(struct cmap_store *store, const struct eviction *eviction,
                      struct cmap__evicted *evicted)
{
  struct cmap__cache *cache = &store->cache;
  struct cmap__object *header = NULL;
  uint64_t hash = 0;
  size_t few = 0;

  pthread_mutex_lock(&cache->mutex);
  if (cmap__cache_is_full(cache, eviction->cost)) {
    size_t count = cmap__load_relaxed(&cache->count); /* mutex held */
    if (cmap__ghosts_are_few(&cache->ghosts, count))
      few = count;
    header = pick(store, &hash);
  }
  if (eviction->entering != NULL && !cmap__cache_is_full(cache, eviction->cost))
    enter_queue(store, eviction->entering, eviction->hash);
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
static bool evict_into(struct cmap_store *store,
                       const struct eviction *eviction,
                       struct cmap__evictions *evictions)
{
  struct cmap__evicted *evicted = &evictions->first;
  bool goes_on;

  if (evictions->list != NULL)
    evicted = cmap__store_alloc(store, sizeof *evicted,
                                _Alignof(struct cmap__evicted));
  if (evicted == NULL)
    return false;
  goes_on = evict_one(store, eviction, evicted);
  if (evicted->header != NULL) {
    evicted->next = NULL;
    *evictions->end = evicted;
    evictions->end = &evicted->next;
  } else {
    evicted_free(store, evictions, evicted);
  }
  return goes_on;
}

static bool evict_and_tell(struct cmap_store *store)
{
  const struct eviction nothing = {.cost = 0};
  struct cmap__evicted evicted;
  int cancel = cmap__cancel_disable();
  bool goes_on = evict_one(store, &nothing, &evicted);

  if (evicted.header != NULL)
    cmap__evicted_tell(store, &evicted);
  cmap__cancel_restore(cancel);
  return goes_on;
}

void cmap__cache_keep_bound(struct cmap_store *store)
{
  bool goes_on = store->is_cache;

  /* Ends: each round evicts one object, or another thread has taken it. */
  while (goes_on && cmap__cache_is_full(&store->cache, 0))
    goes_on = evict_and_tell(store);
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
                           struct cmap__object *header,
                           struct cmap__evictions *evictions)
{
  const struct cmap__cache *cache = &r->store->cache;
  struct eviction eviction = {.hash = r->call.probe.hash};
  bool goes_on;

  if (!r->store->is_cache)
    return;
  eviction.cost = cmap__cache_cost(cache, header);
  if (flight != NULL)
    eviction.entering = header;
  goes_on = (flight != NULL || cmap__cache_is_full(cache, eviction.cost)) &&
            adds_object(r, flight);
  /* Ends: as above. One that is picked at once is no longer here to enter. */
  while (goes_on &&
         (flight != NULL
              ? cmap__load_relaxed(&header->queue) == CMAP__QUEUE_NONE
              : cmap__cache_is_full(cache, eviction.cost)))
    goes_on = evict_into(r->store, &eviction, evictions);
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
  count = cmap__load_relaxed(&cache->count); /* mutex held */
  for (unsigned i = 0; i < steps && i < CMAP__SWEEP_MAX && i < count; i++) {
    struct cmap__object *header = next_object(cache);

    if (header == NULL)
      header = next_object(cache); /* the other queue has them all */
    if (header == NULL)
      break;
    if (cmap__object_age(header, now) != CMAP__EXPIRED)
      continue;
    old[found].header = header;
    old[found++].hash = kept_in(store, header)->hash;
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
