/*
 * Batches: the single calls, one after the other, behind two steps that run
 * ahead of them and ask for the memory that they will need.
 *
 *   1. hash the key, and ask for its directory entry
 *   2. ask for the group and the slot that the entry leads to, and for the
 *      shard's header if it is to be locked
 *   3. the call
 *
 * What the first two steps see may be out of date by the time of the third:
 * then the call takes longer, no more.
 */
#include "map/map.h"

/*
 * Keys between two steps. A processor waits for 10 to 16 lines at a time, and
 * each key needs two or three.
 */
#define AHEAD 8
#define RING  (2 * AHEAD)

enum operation { GET, CONTAINS, INSERT, REMOVE };

struct batch {
  struct cmap *map;
  const struct cmap_key *keys;
  const uint64_t *hashes; /* NULL: to be computed */
  char *values;           /* NULL: none; const for INSERT */
  const struct cmap_how *how;
};

/* What the steps know of a key. */
struct ahead {
  struct cmap_how how; /* for the third step */
  bool hashed;         /* the key has a hash; else it is not valid */
};

static inline void *value_at(const struct batch *batch, size_t i)
{
  size_t size = batch->map->table.layout.options.value_size;

  return batch->values == NULL ? NULL : batch->values + i * size;
}

/* Step 1. */
static inline void begin(const struct batch *batch, size_t i,
                         struct ahead *ahead)
{
  const struct cmap__table *table = &batch->map->table;
  struct cmap_key key = batch->keys[i];
  uintptr_t word = cmap__directory_word(&table->directory);

  if (batch->hashes != NULL) {
    ahead->how.hash = batch->hashes[i];
    ahead->hashed = true;
  } else if (batch->map->plain_u64 && key.data != NULL &&
             key.size == sizeof(uint64_t)) {
    uint64_t plain;
    memcpy(&plain, key.data, sizeof plain);
    ahead->how.hash = cmap__hash_u64(&table->layout.hash_key, plain);
    ahead->hashed = true;
  } else {
    ahead->hashed = cmap_hash(batch->map, key, &ahead->how.hash) == CMAP_OK;
  }
  if (ahead->hashed)
    cmap__prefetch(cmap__directory_at(word, ahead->how.hash));
}

/* Step 2. */
static inline void ask(const struct batch *batch, const struct ahead *ahead,
                       bool writes)
{
  const struct cmap__table *table = &batch->map->table;
  uint64_t hash = ahead->how.hash;
  uintptr_t block;
  size_t at, slot;

  if (!ahead->hashed)
    return;
  block = cmap__directory_block(&table->directory, hash);
  at = (size_t)cmap__hash_group(hash) &
       (((size_t)1 << cmap__block_log2(block)) - 1);
  slot = at * CMAP__GROUP_SLOTS + cmap__preferred_slot(hash);
  cmap__prefetch(cmap__block_groups(block) + at);
  cmap__prefetch(cmap__block_slots(block) + slot * table->layout.slot_words);
  if (writes)
    cmap__prefetch_write(cmap__directory_shard(&table->directory, hash));
}

/* Step 3. */
static inline enum cmap_status finish(const struct batch *batch, size_t i,
                                      struct ahead *ahead,
                                      enum operation operation)
{
  struct cmap *map = batch->map;
  struct cmap_key key = batch->keys[i];
  const struct cmap_how *how = batch->how;

  /* Plain maps hash in less time than it takes to hand the hash over. */
  if (ahead->hashed && (!map->plain_u64 || how != NULL)) {
    ahead->how.size = sizeof ahead->how;
    ahead->how.flags = CMAP_HASHED;
    if (how != NULL) {
      ahead->how.flags |= how->flags;
      ahead->how.deadline_ns = how->deadline_ns;
    }
    how = &ahead->how;
  }
  switch (operation) {
  case GET:
    return cmap_get(map, key, value_at(batch, i), how);
  case CONTAINS:
    return cmap_contains(map, key, how);
  case INSERT:
    return cmap_insert(map, key, value_at(batch, i), NULL, NULL, how);
  default:
    return cmap_remove(map, key, value_at(batch, i), how);
  }
}

CMAP__ALWAYS_INLINE enum cmap_status run(const struct batch *batch, size_t n,
                                         enum cmap_status *statuses,
                                         enum operation operation)
{
  bool writes = operation == INSERT || operation == REMOVE;
  enum cmap_status first = CMAP_OK;
  struct cmap__patience patience;
  struct ahead ring[RING];
  const uint64_t *unused;

  if (batch->map == NULL || !cmap__how_read(batch->how, &patience, &unused) ||
      (n > 0 && (batch->keys == NULL || statuses == NULL ||
                 (operation == INSERT &&
                  cmap__value_is_missing(batch->map, batch->values)))))
    return CMAP_EINVAL;
  for (size_t i = 0; i < n + RING; i++) {
    if (i >= RING) {
      size_t k = i - RING;
      statuses[k] = finish(batch, k, &ring[k % RING], operation);
      if (first == CMAP_OK)
        first = statuses[k];
    }
    if (i < n)
      begin(batch, i, &ring[i % RING]);
    if (i >= AHEAD && i - AHEAD < n)
      ask(batch, &ring[(i - AHEAD) % RING], writes);
  }
  return first;
}

enum cmap_status cmap_get_many(struct cmap *map, const struct cmap_key *keys,
                               const uint64_t *hashes, size_t n, void *values,
                               enum cmap_status *statuses,
                               const struct cmap_how *how)
{
  const struct batch batch = {map, keys, hashes, values, how};

  return run(&batch, n, statuses, GET);
}

enum cmap_status cmap_contains_many(struct cmap *map,
                                    const struct cmap_key *keys,
                                    const uint64_t *hashes, size_t n,
                                    enum cmap_status *statuses,
                                    const struct cmap_how *how)
{
  const struct batch batch = {map, keys, hashes, NULL, how};

  return run(&batch, n, statuses, CONTAINS);
}

enum cmap_status cmap_insert_many(struct cmap *map, const struct cmap_key *keys,
                                  const uint64_t *hashes, size_t n,
                                  const void *values,
                                  enum cmap_status *statuses,
                                  const struct cmap_how *how)
{
  /* Only read. */
  const struct batch batch = {map, keys, hashes, (char *)(uintptr_t)values,
                              how};

  return run(&batch, n, statuses, INSERT);
}

enum cmap_status cmap_remove_many(struct cmap *map, const struct cmap_key *keys,
                                  const uint64_t *hashes, size_t n, void *olds,
                                  enum cmap_status *statuses,
                                  const struct cmap_how *how)
{
  const struct batch batch = {map, keys, hashes, olds, how};

  return run(&batch, n, statuses, REMOVE);
}
