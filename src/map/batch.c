/*
 * Batches: the single calls, one after the other, behind steps that run ahead
 * of them and ask for the memory that they will need.
 *
 *   0. ask for the key
 *   1. hash the key, and ask for its directory entry
 *   2. ask for the group that the entry leads to, and for the shard's header if
 *      it is to be locked
 *   3. look at the group, and ask for the slot that its tags name
 *   4. ask for the boxes that the slot names, if the map has any
 *   5. the call
 *
 * What the first steps see may be out of date by the time of the last: then the
 * call takes longer, no more. For a read without a lock the third step is the
 * first look of cmap__read_ahead and the fifth one the second, so that the
 * group of a hit is searched once. In a small table nothing runs ahead; in one
 * of medium size steps 1 and 2 are one, as the directory is near.
 */
#include "map/map.h"

/* Keys between two steps. A processor waits for 10 to 16 lines at a time; it is
 * more because a line may take long, but the ring, the keys and what is asked
 * for must fit into the first cache (docs/design.md). */
#define NEAR     16 /* in a table of medium size */
#define FAR      20
#define FAR_MANY 15 /* with one step more, to boxes */
#define RING     64 /* so many can be under way */

/* The depth of directories from which on these are asked for ahead, too: that
 * of some 300,000 pairs of u64. */
#define DEEP 10

_Static_assert(RING > 3 * NEAR && RING > 3 * FAR && RING > 4 * FAR_MANY,
               "room for all keys under way");

enum batched { GET, INSERT, REMOVE, FETCH_ADD };

struct batch {
  struct cmap *map;
  const struct cmap_key *keys;
  const uint64_t *hashes; /* NULL: to be computed */
  char *values;           /* NULL: none; INSERT only reads them */
  const struct cmap_how *how;
  struct cmap_how hashed; /* the same, for a hash that is known */
  /* Of FETCH_ADD. NULL: 1 each; none */
  const uint64_t *operands;
  uint64_t *befores;
  bool plain; /* CMAP__SHAPE_WORD, no `how`: the shortest ways will do */
};

/* A key under way. */
struct look {
  uint64_t hash;
  struct cmap__read_ahead read;
};

CMAP__ALWAYS_INLINE void *value_at(const struct batch *batch,
                                   enum cmap__shape shape, size_t i)
{
  size_t size = shape == CMAP__SHAPE_WORD ? sizeof(uint64_t)
                                          : batch->map->table.layout.value_size;

  return batch->values == NULL ? NULL : batch->values + i * size;
}

/* NULL: it is not known. */
CMAP__ALWAYS_INLINE const uint64_t *known_hash(const struct batch *batch,
                                               enum cmap__shape shape, size_t i)
{
  return shape == CMAP__SHAPE_WORD || batch->hashes == NULL ? NULL
                                                            : &batch->hashes[i];
}

/* `far`: into the second cache, where more lines can be awaited. */
static inline void ask(const void *line, bool far)
{
  if (far)
    cmap__prefetch_far(line);
  else
    cmap__prefetch(line);
}

/* Step 0, for a key that comes `step` later; behind the last there is none. */
static inline void ask_key(const struct batch *batch, size_t i, size_t n)
{
  if (i < n)
    cmap__prefetch(batch->keys[i].data);
}

/* Step 1. What is no key has any hash, until the call says so. */
CMAP__ALWAYS_INLINE uint64_t hash_at(const struct batch *batch,
                                     enum cmap__shape shape, size_t i)
{
  const uint64_t *known = known_hash(batch, shape, i);
  struct cmap__probe probe;
  uint64_t hash = 0;

  if (known != NULL)
    return *known;
  if (batch->plain)
    shape = CMAP__SHAPE_WORD;
  /* Strings take long to hash: their code need not be here as well. */
  if (shape >= CMAP__SHAPE_SHORT)
    (void)!cmap_hash(batch->map, batch->keys[i], &hash);
  else if (cmap__probe_fill(&batch->map->table.layout, shape, batch->keys[i],
                            NULL, &probe))
    hash = probe.hash;
  return hash;
}

/* Step 2. */
CMAP__ALWAYS_INLINE void ask_group(const struct cmap__table *table,
                                   enum cmap__shape shape, struct look *look,
                                   bool writes, bool far)
{
  cmap__read_ahead_group(table, shape, look->hash, &look->read);
  ask(look->read.group, far);
  if (writes)
    cmap__prefetch_write(cmap__directory_shard(&table->directory, look->hash));
}

/* Step 3. */
CMAP__ALWAYS_INLINE void ask_slot(const struct cmap__table *table,
                                  enum cmap__shape shape, struct look *look,
                                  bool writes, bool far)
{
  const size_t words = cmap__form_of(&table->layout, shape).slot_words;
  const _Atomic uint64_t *slots = look->read.slot;

  cmap__read_ahead_slot(table, shape, look->hash, &look->read);
  if (look->read.slot != NULL) {
    ask(look->read.slot, far);
    if (words > 2) /* may lie in two lines */
      ask(look->read.slot + words - 1, far);
  } else if (writes) {
    cmap__prefetch_preferred(slots, words, look->hash);
  }
}

/* The lines of a box that are asked for; others follow by themselves. */
static inline void ask_box(uint64_t data, size_t size)
{
  const char *box = (const char *)(uintptr_t)data;

  cmap__prefetch(box);
  if (size > CMAP__CACHE_LINE)
    cmap__prefetch(box + CMAP__CACHE_LINE);
}

/* Step 4. The words are hints, and may be anything: to ask for it does no harm.
 */
static inline void ask_boxes(const struct batch *batch,
                             const _Atomic uint64_t *slot)
{
  const struct cmap__layout *layout = &batch->map->table.layout;

  if (slot == NULL)
    return;
  if ((layout->kind == CMAP_STRING || layout->kind == CMAP_BYTES) &&
      cmap__key_is_boxed(layout, slot))
    ask_box(cmap__load_relaxed(slot + layout->key_word), 0);
  if (layout->value_boxed && batch->values != NULL)
    ask_box(cmap__load_relaxed(slot + layout->value_word), layout->value_size);
}

/* Step 5. */
static inline enum cmap_status call(const struct batch *batch, size_t i,
                                    uint64_t hash, enum batched operation)
{
  const struct cmap_how *how = batch->how;
  struct cmap_key key = batch->keys[i];
  struct cmap *map = batch->map;
  struct cmap_how hashed;

  /* These hash in less time than handing the hash over takes. */
  if (!batch->plain) {
    hashed = batch->hashed;
    hashed.hash = hash;
    how = &hashed;
  }
  switch (operation) {
  case GET:
    return cmap_get(map, key, value_at(batch, CMAP__SHAPE_CUSTOM, i), how);
  case INSERT:
    return cmap_insert(map, key, value_at(batch, CMAP__SHAPE_CUSTOM, i), NULL,
                       NULL, how);
  case FETCH_ADD:
    return cmap_fetch_add(
        map, key, batch->operands == NULL ? 1 : batch->operands[i],
        batch->befores == NULL ? NULL : batch->befores + i, how);
  default:
    return cmap_remove(map, key, value_at(batch, CMAP__SHAPE_CUSTOM, i), how);
  }
}

/* A read that the looks do not decide. */
static CMAP__NOINLINE enum cmap_status get_again(const struct batch *batch,
                                                 size_t i, uint64_t hash)
{
  return call(batch, i, hash, GET);
}

/* Step 5 of a read without a lock. */
CMAP__ALWAYS_INLINE enum cmap_status get_ahead(const struct batch *batch,
                                               enum cmap__shape shape, size_t i,
                                               const struct look *look)
{
  const struct cmap__table *table = &batch->map->table;
  struct cmap__probe probe;

  return cmap__likely(cmap__probe_fill(&table->layout, shape, batch->keys[i],
                                       &look->hash, &probe)) &&
                 cmap__likely(cmap__read_ahead_hit(table, shape, &probe,
                                                   &look->read,
                                                   value_at(batch, shape, i)))
             ? CMAP_OK
             : get_again(batch, i, look->hash);
}

/* The same in a small table: at once. */
CMAP__ALWAYS_INLINE enum cmap_status get_near(const struct batch *batch,
                                              enum cmap__shape shape, size_t i)
{
  const struct cmap__table *table = &batch->map->table;
  struct cmap__probe probe;

  if (cmap__unlikely(!cmap__probe_fill(&table->layout, shape, batch->keys[i],
                                       known_hash(batch, shape, i), &probe)))
    return get_again(batch, i, 0);
  switch (
      cmap__read_home(table, shape, &probe, false, value_at(batch, shape, i))) {
  case CMAP__READ_HIT:
    return CMAP_OK;
  case CMAP__READ_MISS:
    return CMAP_NOT_FOUND;
  default:
    return get_again(batch, i, probe.hash);
  }
}

/* One after the other: a small table is in the caches, near enough for the
 * processor to run ahead by itself. */
CMAP__ALWAYS_INLINE enum cmap_status run_small(const struct batch *batch,
                                               enum cmap__shape shape, size_t n,
                                               enum cmap_status *statuses,
                                               enum batched operation)
{
  enum cmap_status first = CMAP_OK;

  for (size_t i = 0; i < n; i++) {
    statuses[i] = shape != CMAP__SHAPE_CUSTOM
                      ? get_near(batch, shape, i)
                      : call(batch, i, hash_at(batch, shape, i), operation);
    if (first == CMAP_OK)
      first = statuses[i];
  }
  return first;
}

/* The steps. `shape`: of a read without a lock; or CMAP__SHAPE_CUSTOM: any
 * operation in any map. `deep`: the directory is asked for ahead, too. */
CMAP__ALWAYS_INLINE enum cmap_status
run_ahead(const struct batch *batch, enum cmap__shape shape, size_t n,
          enum cmap_status *statuses, enum batched operation, const bool deep)
{
  const struct cmap__table *table = &batch->map->table;
  const bool writes = operation != GET, reads = shape != CMAP__SHAPE_CUSTOM;
  const bool boxes =
      shape >= CMAP__SHAPE_SHORT && cmap__boxes_exist(&table->boxes);
  const bool far =
      deep && reads && cmap__form_of(&table->layout, shape).slot_words <= 2;
  const size_t step = !deep ? NEAR : boxes ? FAR_MANY : FAR;
  const size_t to_group = deep ? step : 0, to_call = boxes ? step : 0;
  enum cmap_status first = CMAP_OK;
  struct look ring[RING];

  for (size_t i = 0; i < n + to_group + 2 * step + to_call; i++) {
    /* Before the first key these wrap around, beyond n. */
    size_t second = i - to_group, third = second - step;
    size_t fourth = third - step, last = fourth - to_call;

    ask_key(batch, i + step, n);
    if (i < n) {
      uint64_t hash = hash_at(batch, shape, i);
      ring[i % RING].hash = hash;
      if (deep)
        ask(cmap__directory_at(cmap__directory_current(&table->directory),
                               hash),
            far);
    }
    if (second < n)
      ask_group(table, shape, &ring[second % RING], writes, far);
    if (third < n)
      ask_slot(table, shape, &ring[third % RING], writes, far);
    if (boxes && fourth < n)
      ask_boxes(batch, ring[fourth % RING].read.slot);
    if (last < n) {
      const struct look *look = &ring[last % RING];
      statuses[last] = reads ? get_ahead(batch, shape, last, look)
                             : call(batch, last, look->hash, operation);
      if (first == CMAP_OK)
        first = statuses[last];
    }
  }
  return first;
}

CMAP__ALWAYS_INLINE enum cmap_status run_as(const struct batch *batch,
                                            enum cmap__shape shape, size_t n,
                                            enum cmap_status *statuses,
                                            enum batched operation)
{
  const struct cmap__directory_array *array =
      cmap__directory_current(&batch->map->table.directory);
  bool deep;

  if (!array->is_large)
    return run_small(batch, shape, n, statuses, operation);
  deep = cmap__directory_depth(array) >= DEEP;
  /* Code for each, where that is a tenth of all the instructions. */
  if (shape < CMAP__SHAPE_INTEGER && deep)
    return run_ahead(batch, shape, n, statuses, operation, true);
  if (shape < CMAP__SHAPE_INTEGER)
    return run_ahead(batch, shape, n, statuses, operation, false);
  return run_ahead(batch, shape, n, statuses, operation, deep);
}

#define PARAMETERS                                                             \
  (const struct batch *batch, size_t n, enum cmap_status *statuses)
#define ARGUMENTS (batch, shape, n, statuses, GET)

CMAP__INSTANCE(enum cmap_status, run, WORD, PARAMETERS, ARGUMENTS)
CMAP__INSTANCES(enum cmap_status, run, PARAMETERS, ARGUMENTS)

static CMAP__NOINLINE enum cmap_status run_any(const struct batch *batch,
                                               size_t n,
                                               enum cmap_status *statuses,
                                               enum batched operation)
{
  return run_as(batch, CMAP__SHAPE_CUSTOM, n, statuses, operation);
}

static enum cmap_status run_batch(struct batch *batch, size_t n,
                                  enum cmap_status *statuses,
                                  enum batched operation)
{
  struct cmap__patience patience;
  const uint64_t *unused;

  if (CMAP__WRONG(batch->map == NULL, "map is NULL") ||
      !cmap__how_read(batch->how, &patience, &unused) ||
      (n > 0 && (CMAP__WRONG(batch->keys == NULL, "keys is NULL") ||
                 CMAP__MISSING(statuses))) ||
      (n > 0 && operation == INSERT &&
       cmap__value_is_missing(batch->map, batch->values)))
    return CMAP_EINVAL;
  (void)cmap__how_copy(batch->how, &batch->hashed); /* it was read before */
  batch->hashed.flags |= CMAP_HASHED;
  batch->plain = batch->map->table.reads == CMAP__SHAPE_WORD &&
                 batch->how == NULL && batch->hashes == NULL;
  if (operation == GET && batch->plain)
    return run_WORD(batch, n, statuses);
  /* Whether given hashes are right, only the call tells. */
  if (operation == GET && (CMAP_CHECK == 0 || batch->hashes == NULL))
    CMAP__RETURN_INSTANCE(batch->map->table.reads, run, (batch, n, statuses));
  return run_any(batch, n, statuses, operation);
}

enum cmap_status cmap_get_many(struct cmap *map, const struct cmap_key *keys,
                               const uint64_t *hashes, size_t n, void *values,
                               enum cmap_status *statuses,
                               const struct cmap_how *how)
{
  struct batch batch = {
      .map = map, .keys = keys, .hashes = hashes, .values = values, .how = how};

  return run_batch(&batch, n, statuses, GET);
}

enum cmap_status cmap_contains_many(struct cmap *map,
                                    const struct cmap_key *keys,
                                    const uint64_t *hashes, size_t n,
                                    enum cmap_status *statuses,
                                    const struct cmap_how *how)
{
  struct batch batch = {.map = map, .keys = keys, .hashes = hashes, .how = how};

  return run_batch(&batch, n, statuses, GET);
}

enum cmap_status cmap_insert_many(struct cmap *map, const struct cmap_key *keys,
                                  const uint64_t *hashes, size_t n,
                                  const void *values,
                                  enum cmap_status *statuses,
                                  const struct cmap_how *how)
{
  struct batch batch = {.map = map,
                        .keys = keys,
                        .hashes = hashes,
                        .values = (char *)(uintptr_t)values,
                        .how = how};

  return run_batch(&batch, n, statuses, INSERT);
}

enum cmap_status cmap_remove_many(struct cmap *map, const struct cmap_key *keys,
                                  const uint64_t *hashes, size_t n, void *olds,
                                  enum cmap_status *statuses,
                                  const struct cmap_how *how)
{
  struct batch batch = {
      .map = map, .keys = keys, .hashes = hashes, .values = olds, .how = how};

  return run_batch(&batch, n, statuses, REMOVE);
}

enum cmap_status
cmap_fetch_add_many(struct cmap *map, const struct cmap_key *keys,
                    const uint64_t *hashes, size_t n, const uint64_t *operands,
                    uint64_t *befores, enum cmap_status *statuses,
                    const struct cmap_how *how)
{
  struct batch batch = {.map = map,
                        .keys = keys,
                        .hashes = hashes,
                        .how = how,
                        .operands = operands,
                        .befores = befores};

  return run_batch(&batch, n, statuses, FETCH_ADD);
}
