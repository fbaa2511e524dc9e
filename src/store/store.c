/*
 * Making and destroying a store, and what all its calls begin with.
 */
#include "base/alloc.h"
#include "base/check.h"
#include "store/borrow.h"
#include "store/refresh.h"

#define STORE_FLAGS (CMAP_SHARE_FAILURE | CMAP_RETRY_FAILURE)

static bool are_without_values(const struct cmap_options *keys)
{
  return keys->value_size == 0 && keys->value_align == 0 &&
         keys->inline_value_size == 0 && keys->value_destroy == NULL &&
         keys->value_clone == NULL && keys->value_equal == NULL &&
         keys->value_ctx == NULL;
}

/*
 * The options as we know them, what is missing zero. The program may know less
 * or more of them, and of the part about keys as well: what is behind that
 * begins where it ends.
 */
static bool read_options(const struct cmap_store_options *given,
                         struct cmap_store_options *to)
{
  const size_t begin = offsetof(struct cmap_store_options, keys);
  const size_t known = sizeof *to - offsetof(struct cmap_store_options, flags);
  const unsigned char *bytes = (const unsigned char *)given;
  size_t rest;

  memset(to, 0, sizeof *to);
  if (given->size < begin + CMAP__OPTIONS_FIRST ||
      !cmap__struct_is_known(given, begin + CMAP__OPTIONS_FIRST, given->size) ||
      given->size % sizeof given->size != 0 ||
      given->size - begin < given->keys.size ||
      !cmap__struct_read(&given->keys, CMAP__OPTIONS_FIRST, sizeof to->keys,
                         &to->keys))
    return false;
  bytes += begin + given->keys.size;
  rest = given->size - begin - given->keys.size;
  if (given->keys.size > sizeof to->keys && rest < known)
    return false; /* newer and older than we are */
  for (; rest > known; rest--) {
    if (bytes[rest - 1] != 0)
      return false;
  }
  memcpy((unsigned char *)to + sizeof *to - known, bytes, rest);
  return true;
}

/* What the options say that makes a cache of the store. */
static bool is_cache_valid(const struct cmap_store_options *o)
{
  return !CMAP__WRONG(o->max_objects != 0 && o->max_cost != 0,
                      "options has max_objects and max_cost") &&
         !CMAP__WRONG((o->max_cost != 0) != (o->cost != NULL),
                      "options has one of max_cost and cost") &&
         !CMAP__WRONG(o->max_cost > INT64_MAX / 2,
                      "options->max_cost is above INT64_MAX / 2") &&
         !CMAP__WRONG(o->clock == NULL && o->clock_ctx != NULL,
                      "options has clock_ctx without clock");
}

static bool are_valid(const struct cmap_store_options *o)
{
  return !CMAP__WRONG((o->flags & ~(unsigned)STORE_FLAGS) != 0 ||
                          o->flags == STORE_FLAGS,
                      "options->flags has an unknown flag, or both") &&
         !CMAP__WRONG((o->keys.flags & CMAP_STRICT) != 0,
                      "options->keys.flags has CMAP_STRICT") &&
         !CMAP__WRONG(!are_without_values(&o->keys),
                      "options->keys says something about values") &&
         !CMAP__WRONG(o->keys.key_destroy != NULL && o->keys.key_copy == NULL,
                      "options->keys.key_destroy needs key_copy") &&
         is_cache_valid(o);
}

static void fill(struct cmap_store *store, const struct cmap_store_options *o)
{
  store->destroy = o->object_destroy;
  store->ctx = o->object_ctx;
  store->flags = o->flags;
  store->negative_ns = o->negative_ns;
  store->clock = o->clock;
  store->clock_ctx = o->clock_ctx;
  store->cost = o->cost;
  store->lifetime = o->lifetime;
  store->on_remove = o->on_remove;
  store->life.ttl_ns = o->ttl_ns;
  store->life.idle_ns = o->idle_ns;
  store->life.refresh_ns = o->refresh_ns;
  store->has_times = o->ttl_ns != 0 || o->idle_ns != 0 || o->refresh_ns != 0 ||
                     o->lifetime != NULL;
  store->is_cache = store->has_times || o->max_objects != 0 || o->max_cost != 0;
  store->cache.has_times = store->has_times;
  store->kept_size = store->has_times || o->max_cost != 0
                         ? sizeof(struct cmap__kept)
                     : store->is_cache ? CMAP__KEPT_BY_COUNT
                                       : 0;
  store->headers.in_unit = CMAP__HEADERS_IN_UNIT(store->kept_size);
}

/* The mutexes of a store, or none. */
static bool begin_parts(struct cmap_store *store,
                        const struct cmap_store_options *options)
{
  return cmap__headers_begin(&store->headers) &&
         cmap__failures_begin(&store->failures, options->max_failures) &&
         cmap__refreshes_begin(&store->refreshes) &&
         cmap__cache_begin(store, options);
}

enum cmap_status cmap_store_create(const struct cmap_store_options *given,
                                   struct cmap_store **store)
{
  struct cmap_store_options options;
  struct cmap_store *fresh;
  enum cmap_status status;
  struct cmap *map;

  if (store != NULL)
    *store = NULL;
  if (CMAP__WRONG(given == NULL, "options is NULL") || CMAP__MISSING(store) ||
      CMAP__WRONG(!read_options(given, &options),
                  "options->size, or that of options->keys, is wrong") ||
      !are_valid(&options))
    return CMAP_EINVAL;
  options.keys.value_size = sizeof(uint64_t);
  status = cmap_create(&options.keys, &map);
  if (status != CMAP_OK)
    return status;
  fresh = cmap__alloc_zeroed(&map->table.layout.allocator, sizeof *fresh,
                             CMAP__CACHE_LINE);
  if (fresh == NULL || !begin_parts(fresh, &options)) {
    cmap__free(&map->table.layout.allocator, fresh, sizeof *fresh,
               CMAP__CACHE_LINE);
    cmap_destroy(map);
    return CMAP_ENOMEM;
  }
  fresh->map = map;
  fresh->allocator = map->table.layout.allocator;
  fill(fresh, &options);
  cmap__counts_begin(&fresh->counts, &fresh->allocator);
  *store = fresh;
  return CMAP_OK;
}

/* Each object in the map has one reference; more are handles. */
static bool is_in_use(struct cmap_store *store)
{
  return cmap__counts_sum(&store->counts, CMAP__COUNT_FLIGHTS) != 0 ||
         cmap__counts_sum(&store->counts, CMAP__COUNT_RUNNING) != 0 ||
         cmap__load_acquire(&store->tickets) != 0 ||
         cmap__borrowed_any(store) ||
         cmap__headers_refs(store) != cmap_store_len(store);
}

static void free_spare_flight(struct cmap__count_line *line, void *unused)
{
  (void)unused;
  if (line->flight != NULL)
    cmap__flight_free(line->flight);
}

enum cmap_status cmap_store_destroy(struct cmap_store *store)
{
  struct cmap_allocator allocator;
  enum cmap_status status = CMAP_OK;

  if (store == NULL)
    return CMAP_OK;
  if (is_in_use(store))
    return CMAP_BUSY;
  /* Destructors may use the store: as long as they put something in. */
  do
    status = cmap_store_clear(store);
  while (status == CMAP_OK && cmap_len(store->map) != 0);
  if (status != CMAP_OK || is_in_use(store))
    return CMAP_BUSY; /* a destructor has kept something */
  allocator = store->allocator;
  cmap_destroy(store->map);
  cmap__counts_visit(&store->counts, free_spare_flight, NULL);
  cmap__headers_end(store);
  cmap__cache_end(store);
  cmap__refreshes_end(store);
  cmap__failures_end(&store->failures);
  cmap__counts_end(&store->counts);
  cmap__free(&allocator, store, sizeof *store, CMAP__CACHE_LINE);
  return CMAP_OK;
}

bool cmap__store_how_read(const struct cmap_how *how, struct cmap_how *for_map,
                          unsigned *flags)
{
  struct cmap__patience unused;
  const uint64_t *hash;

  if (!cmap__how_copy(how, for_map))
    return false;
  *flags = for_map->flags & STORE_FLAGS;
  for_map->flags &= ~(unsigned)STORE_FLAGS;
  return !CMAP__WRONG(*flags == STORE_FLAGS,
                      "how->flags has both policies for failures") &&
         cmap__how_read(for_map, &unused, &hash);
}

enum cmap_status cmap__request_begin(struct cmap_store *store,
                                     struct cmap_key key,
                                     const struct cmap_how *how,
                                     struct cmap__request *request)
{
  struct cmap_how for_map = CMAP_INIT;
  enum cmap_status status;
  unsigned flags = 0;

  if (CMAP__MISSING(store))
    return CMAP_EINVAL;
  if (how != NULL && !cmap__store_how_read(how, &for_map, &flags))
    return CMAP_EINVAL;
  status =
      cmap__call_begin(store->map, key, how ? &for_map : NULL, &request->call);
  if (status != CMAP_OK)
    return status;
  request->store = store;
  request->key = key;
  request->batch = 0;
  request->policy.share = flags != 0 ? (flags & CMAP_SHARE_FAILURE) != 0
                                     : (store->flags & CMAP_SHARE_FAILURE) != 0;
  request->policy.negative_ns = store->negative_ns;
  /* The caller's patience is for flights; our locks are held for moments. */
  request->patience = request->call.patience;
  request->call.patience.try_only = false;
  request->call.patience.deadline_ns = CMAP__NO_DEADLINE;
  request->call.patience.token = NULL;
  return CMAP_OK;
}

enum cmap_status cmap_store_hash(const struct cmap_store *store,
                                 struct cmap_key key, uint64_t *hash)
{
  return cmap_hash(store == NULL ? NULL : store->map, key, hash);
}

void cmap__store_lock_hash(struct cmap_store *store, uint64_t hash,
                           struct cmap__locked *locked)
{
  const struct cmap__patience forever = {.deadline_ns = CMAP__NO_DEADLINE};

  /* Ends: as in cmap__request_lock. */
  while (cmap__table_lock(&store->map->table, hash, CMAP__WRITE, &forever,
                          locked) != CMAP_OK)
    cmap__pause();
}

void cmap__request_lock(struct cmap__request *request, enum cmap__mode mode)
{
  /* Ends: these locks are free after a moment, and no user code that may use
   * the library runs under one, so that nothing refuses a wait. */
  while (cmap__call_lock(request->store->map, &request->call, mode) != CMAP_OK)
    cmap__pause();
}

void cmap__store_take(struct cmap_store *store,
                      const struct cmap__locked *locked,
                      const struct cmap__place *place,
                      struct cmap__taken *taken)
{
  struct cmap__table *table = &store->map->table;

  cmap__assert(table->layout.slot_words * sizeof *taken->words <=
               sizeof *taken);
  cmap__shard_take(&table->layout, locked->shard, place, false, taken->words);
  cmap__locked_end_removal(table, locked);
}

uint64_t cmap__store_clock(const struct cmap_store *store)
{
  int cancel = cmap__cancel_disable();
  uint64_t now = store->clock(store->clock_ctx);

  cmap__cancel_restore(cancel);
  return now;
}

void cmap__request_take(struct cmap__request *request)
{
  struct cmap__taken taken;

  cmap__store_take(request->store, &request->call.locked, &request->call.place,
                   &taken);
  cmap__key_words_destroy(&request->store->map->table.layout, taken.words);
}

void cmap__store_count_taken(struct cmap_store *store, size_t bytes)
{
  cmap__count(&store->counts, CMAP__COUNT_BYTES, bytes);
}

void cmap__store_count_given(struct cmap_store *store, size_t bytes)
{
  cmap__count(&store->counts, CMAP__COUNT_BYTES, -(uint64_t)bytes);
}

void *cmap__store_alloc(struct cmap_store *store, size_t size, size_t align)
{
  int cancel = cmap__cancel_disable();
  void *memory = cmap__alloc_zeroed(&store->allocator, size, align);

  cmap__cancel_restore(cancel);
  if (memory != NULL)
    cmap__store_count_taken(store,
                            cmap__alloc_takes(&store->allocator, size, align));
  return memory;
}

void cmap__store_free(struct cmap_store *store, void *memory, size_t size,
                      size_t align)
{
  int cancel = cmap__cancel_disable();

  cmap__free(&store->allocator, memory, size, align);
  cmap__cancel_restore(cancel);
  cmap__store_count_given(store,
                          cmap__alloc_takes(&store->allocator, size, align));
}

void cmap__word_drop(struct cmap_store *store, uint64_t word)
{
  void *pointer = cmap__word_pointer(word);

  if (cmap__word_kind(word) == CMAP__WORD_FLIGHT) {
    cmap__store_relaxed(&((struct cmap__flight *)pointer)->is_out, true);
    cmap__flight_unref(pointer, 1);
  } else {
    cmap__failure_drop(store, pointer);
  }
}

enum cmap_status cmap_store_reserve(struct cmap_store *store, size_t objects)
{
  enum cmap_status status;
  int cancel;

  if (CMAP__MISSING(store))
    return CMAP_EINVAL;
  if (store->is_cache && !store->cache.by_cost && objects > store->cache.most)
    objects = (size_t)store->cache.most;
  cancel = cmap__cancel_disable();
  status = cmap_reserve(store->map, objects, NULL);
  if (status == CMAP_OK && !cmap__headers_reserve(store, objects))
    status = CMAP_ENOMEM;
  cmap__cancel_restore(cancel);
  return status;
}

enum cmap_status cmap_store_shrink_to_fit(struct cmap_store *store)
{
  struct cmap__count_line *line;
  enum cmap_status status;
  int cancel;

  if (CMAP__MISSING(store))
    return CMAP_EINVAL;
  cancel = cmap__cancel_disable();
  (void)cmap__failures_sweep(store, SIZE_MAX);
  line = cmap__count_line(&store->counts);
  if (line != NULL) {
    free_spare_flight(line, NULL);
    line->flight = NULL;
  }
  status = cmap_shrink_to_fit(store->map, NULL);
  cmap__headers_shrink(store);
  cmap__cancel_restore(cancel);
  return status;
}

size_t cmap_store_len(const struct cmap_store *store)
{
  if (store == NULL)
    return 0;
  return cmap__load_acquire(store->is_cache ? &store->cache.count /* [N3] */
                                            : &store->objects);
}

/* If one that began and ended elsewhere meanwhile was seen to end only, the sum
 * is too small. */
static size_t running(const struct cmap__counts *counts)
{
  int64_t sum = (int64_t)cmap__counts_sum(counts, CMAP__COUNT_RUNNING);

  return sum < 0 ? 0 : (size_t)sum;
}

enum cmap_status cmap_store_get_stats(const struct cmap_store *store,
                                      struct cmap_store_stats *stats)
{
  struct cmap_store_stats now = {.size = sizeof now};
  struct cmap_stats map = {.size = sizeof map};
  const struct cmap__counts *counts;
  enum cmap_status status;

  if (CMAP__MISSING(store) || CMAP__MISSING(stats))
    return CMAP_EINVAL;
  counts = &store->counts;
  now.objects = cmap_store_len(store);
  now.hits = cmap__counts_sum(counts, CMAP__COUNT_HITS);
  now.misses = cmap__counts_sum(counts, CMAP__COUNT_MISSES);
  now.done = cmap__counts_sum(counts, CMAP__COUNT_DONE);
  now.failed = cmap__counts_sum(counts, CMAP__COUNT_FAILED);
  now.abandoned = cmap__counts_sum(counts, CMAP__COUNT_ABANDONED);
  now.overtaken = cmap__counts_sum(counts, CMAP__COUNT_OVERTAKEN);
  now.build_ns = cmap__counts_sum(counts, CMAP__COUNT_BUILD_NS);
  now.running = running(counts);
  now.waiters = cmap__load_acquire(&store->waiters);
  status = cmap_get_stats(store->map, &map);
  if (status != CMAP_OK)
    return status;
  now.remembered = cmap__load_relaxed(&store->failures.count);
  now.bytes = sizeof *store + map.bytes +
              cmap__load_relaxed(&store->headers.bytes) +
              cmap__counts_sum(counts, CMAP__COUNT_BYTES);
  now.evicted = cmap__counts_sum(counts, CMAP__COUNT_EVICTED);
  now.expired = cmap__load_acquire(&store->removals[CMAP_EXPIRED]); /* [N3] */
  now.replaced = cmap__load_acquire(&store->removals[CMAP_REPLACED]);
  now.removed = cmap__load_acquire(&store->removals[CMAP_DELETED]);
  now.cleared = cmap__load_acquire(&store->removals[CMAP_CLEARED]);
  now.too_dear = cmap__load_relaxed(&store->too_dear);
  now.cost = store->is_cache ? cmap__load_relaxed(&store->cache.cost) : 0;
  return CMAP__WRONG(
             !cmap__struct_write(&now, offsetof(struct cmap_store_stats, hits),
                                 sizeof now, stats),
             "stats->size is wrong")
             ? CMAP_EINVAL
             : CMAP_OK;
}
