/*
 * Batches: the single calls, one after the other, behind steps that run ahead
 * of them and ask for the memory that they will need.
 *
 *   0. ask for the key
 *   1. hash the key, and ask for its directory entry
 *   2. ask for the group that the entry leads to, and for the shard's header if
 *      it is to be locked
 *   3. ask for the slot in which the group's tags say that the key is
 *   4. ask for the boxes that the slot names, if the map has any
 *   5. the call
 *
 * What the first steps see may be out of date by the time of the last: then the
 * call takes longer, no more. (Reads of integers are cut in other pieces: see
 * there.) In a small table nothing runs ahead; in one of medium size steps 1
 * and 2 are one, as the directory is near.
 */
#include "map/map.h"

/* Keys between two steps. A processor waits for 10 to 16 lines at a time; it is
 * more because a line may take long, but the ring, the keys and what is asked
 * for must fit into the first cache (docs/design.md). */
#define NEAR 16 /* in a table of medium size, and before boxes */
#define FAR  20
#define STEPS                                                                  \
  3              /* before the call or the boxes, of keys that are in the ring \
                  */
#define RING 128 /* so many can be under way */

/* The depth of directories from which on these are asked for ahead, too: that
 * of some 300,000 pairs of u64. */
#define DEEP 10

_Static_assert(RING > FAR * STEPS + NEAR, "room for all keys under way");

enum batched { GET, CONTAINS, INSERT, REMOVE, FETCH_ADD };

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
struct ahead {
  uint64_t hash;
  uintptr_t at; /* INVALID, or the block, and then the slot, or NOWHERE */
};

#define INVALID 0 /* the key */
#define NOWHERE 1 /* it is in no slot, as far as one sees */

static inline void *value_at(const struct batch *batch, size_t i)
{
  size_t size = batch->map->table.layout.value_size;

  return batch->values == NULL ? NULL : batch->values + i * size;
}

static inline bool is_integer(struct cmap_key key)
{
  return cmap__likely(key.data != NULL) &&
         cmap__likely(key.size == sizeof(uint64_t));
}

/* Is it a key for the shortest ways? */
static inline bool is_plain(const struct batch *batch, struct cmap_key key)
{
  return cmap__likely(batch->plain) && is_integer(key);
}

/* Step 0, for a key that comes `step` later; behind the last there is none. */
static inline void ask_key(const struct batch *batch, size_t i, size_t n)
{
  if (i < n)
    cmap__prefetch(batch->keys[i].data);
}

/* Step 1. */
static inline void ask_entry(const struct batch *batch, size_t i,
                             struct ahead *ahead)
{
  const struct cmap__table *table = &batch->map->table;
  struct cmap__directory_array *array =
      cmap__directory_current(&table->directory);
  struct cmap_key key = batch->keys[i];

  ahead->at = NOWHERE;
  if (is_plain(batch, key)) {
    uint64_t plain;
    memcpy(&plain, key.data, sizeof plain);
    ahead->hash = cmap__hash_u64(&table->layout.hash_key, plain);
  } else if (batch->hashes != NULL) {
    ahead->hash = batch->hashes[i];
  } else {
    if (cmap_hash(batch->map, key, &ahead->hash) != CMAP_OK)
      ahead->at = INVALID;
  }
  if (ahead->at != INVALID)
    cmap__prefetch(cmap__directory_at(array, ahead->hash));
}

/* Step 2. */
static inline void ask_group(const struct batch *batch, struct ahead *ahead,
                             bool writes)
{
  const struct cmap__directory *directory = &batch->map->table.directory;

  if (ahead->at == INVALID)
    return;
  ahead->at = cmap__directory_block(directory, ahead->hash);
  cmap__prefetch(cmap__block_home_group(ahead->at, ahead->hash));
  if (writes)
    cmap__prefetch_write(cmap__directory_shard(directory, ahead->hash));
}

/* Step 3. */
static inline void ask_slot(const struct batch *batch, struct ahead *ahead)
{
  size_t slot_words = batch->map->table.layout.slot_words;
  const struct cmap__group *group;
  const _Atomic uint64_t *words;
  unsigned match, slot;

  if (ahead->at == INVALID)
    return;
  group = cmap__block_home_group(ahead->at, ahead->hash);
  match = cmap__group_match(cmap__load_relaxed(&group->lo), /* a hint */
                            cmap__load_relaxed(&group->hi),
                            cmap__hash_tag(ahead->hash));
  slot = match != 0 ? (unsigned)__builtin_ctz(match)
                    : cmap__preferred_slot(ahead->hash);
  words = cmap__block_home_slots(ahead->at, ahead->hash, slot_words) +
          slot * slot_words;
  cmap__prefetch(words);
  if (slot_words > 2) /* may lie in two lines */
    cmap__prefetch(words + slot_words - 1);
  /* An empty shard has no slots. */
  ahead->at = match != 0 ? (uintptr_t)words : NOWHERE;
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
                             const struct ahead *ahead)
{
  const struct cmap__layout *layout = &batch->map->table.layout;
  const _Atomic uint64_t *slot = (const _Atomic uint64_t *)ahead->at;

  if (ahead->at == INVALID || ahead->at == NOWHERE)
    return;
  if ((layout->kind == CMAP_STRING || layout->kind == CMAP_BYTES) &&
      cmap__key_is_boxed(layout, slot))
    ask_box(cmap__load_relaxed(slot + layout->key_word), 0);
  if (layout->value_boxed && batch->values != NULL)
    ask_box(cmap__load_relaxed(slot + layout->value_word), layout->value_size);
}

/* Step 5. */
static inline enum cmap_status call(const struct batch *batch, size_t i,
                                    const struct ahead *ahead,
                                    enum batched operation)
{
  struct cmap_how hashed = batch->hashed;
  const struct cmap_how *how = batch->how;
  struct cmap_key key = batch->keys[i];
  struct cmap *map = batch->map;
  bool plain = is_plain(batch, key);

  /* They hash in less time than handing the hash over takes. */
  if (!plain && ahead->at != INVALID) {
    hashed.hash = ahead->hash;
    how = &hashed;
  }
  switch (operation) {
  case GET:
    return cmap_get(map, key, value_at(batch, i), how);
  case CONTAINS:
    return cmap_contains(map, key, how);
  case INSERT:
    return cmap_insert(map, key, value_at(batch, i), NULL, NULL, how);
  case FETCH_ADD:
    return cmap_fetch_add(
        map, key, batch->operands == NULL ? 1 : batch->operands[i],
        batch->befores == NULL ? NULL : batch->befores + i, how);
  default:
    return cmap_remove(map, key, value_at(batch, i), how);
  }
}

/* One after the other: a small table is in the caches, near enough for the
 * processor to run ahead by itself. */
CMAP__ALWAYS_INLINE enum cmap_status run_small(const struct batch *batch,
                                               size_t n,
                                               enum cmap_status *statuses,
                                               enum batched operation)
{
  enum cmap_status first = CMAP_OK;
  struct ahead now;

  if (batch->plain && (operation == GET || operation == CONTAINS))
    return cmap__get_word_each(batch->map, batch->keys, n, batch->values,
                               statuses);
  for (size_t i = 0; i < n; i++) {
    ask_entry(batch, i, &now);
    statuses[i] = call(batch, i, &now, operation);
    if (first == CMAP_OK)
      first = statuses[i];
  }
  return first;
}

/* -------------------------------------------------------------------------
 * Reads of maps with CMAP__SHAPE_WORD
 *
 * The third step has the first look at the group's count, and the call the
 * second (cmap__read_ahead): so the group of a hit is searched once.
 * ------------------------------------------------------------------------- */

#define READS 64
_Static_assert(READS > FAR * STEPS, "room for all keys under way");

struct look {
  uint64_t hash;
  struct cmap__read_ahead read;
};

/* Of tables that are in no cache, more lines can be awaited by the second. */
static inline void ask(const void *line, bool deep)
{
  if (deep)
    cmap__prefetch_far(line);
  else
    cmap__prefetch(line);
}

/* Step 1. What is no key is taken for 0 until the call. */
static inline void look_for_entry(const struct batch *batch, size_t i,
                                  struct look *look, bool deep)
{
  const struct cmap__table *table = &batch->map->table;
  uint64_t key = 0;

  if (is_integer(batch->keys[i]))
    memcpy(&key, batch->keys[i].data, sizeof key);
  look->hash = cmap__hash_u64(&table->layout.hash_key, key);
  if (deep)
    cmap__prefetch_far(cmap__directory_at(
        cmap__directory_current(&table->directory), look->hash));
}

/* Step 2. */
static inline void look_for_group(const struct batch *batch, struct look *look,
                                  bool deep)
{
  cmap__read_ahead_group(&batch->map->table, CMAP__SHAPE_WORD, look->hash,
                         &look->read);
  ask(look->read.group, deep);
}

/* Step 3. */
static inline void look_for_slot(const struct batch *batch, struct look *look,
                                 bool deep)
{
  cmap__read_ahead_slot(&batch->map->table, CMAP__SHAPE_WORD, look->hash,
                        &look->read);
  if (look->read.slot != NULL)
    ask(look->read.slot, deep);
}

/* Step 4. */
static inline enum cmap_status look_done(const struct batch *batch, size_t i,
                                         const struct look *look)
{
  struct cmap__probe probe;
  uint64_t value;

  if (CMAP__WRONG(!is_integer(batch->keys[i]),
                  "key is NULL, or not of the size of the map's keys"))
    return CMAP_EINVAL;
  memcpy(probe.words, batch->keys[i].data, sizeof(uint64_t));
  if (cmap__unlikely(!cmap__read_ahead_hit(&batch->map->table, CMAP__SHAPE_WORD,
                                           &probe, &look->read, &value)))
    return cmap__get_word(batch->map, probe.words, look->hash,
                          value_at(batch, i));
  if (batch->values != NULL)
    memcpy(batch->values + i * sizeof value, &value, sizeof value);
  return CMAP_OK;
}

CMAP__ALWAYS_INLINE enum cmap_status run_plain_reads(const struct batch *batch,
                                                     size_t n,
                                                     enum cmap_status *statuses,
                                                     bool deep)
{
  const size_t entries = deep ? FAR : 0, step = deep ? FAR : NEAR;
  enum cmap_status first = CMAP_OK;
  struct look ring[READS];

  for (size_t i = 0; i < n + entries + 2 * step; i++) {
    /* Before the first key these wrap around, beyond n. */
    size_t second = i - entries, third = second - step, last = third - step;

    ask_key(batch, i + step, n);
    if (i < n)
      look_for_entry(batch, i, &ring[i % READS], deep);
    if (second < n)
      look_for_group(batch, &ring[second % READS], deep);
    if (third < n)
      look_for_slot(batch, &ring[third % READS], deep);
    if (last < n) {
      statuses[last] = look_done(batch, last, &ring[last % READS]);
      if (first == CMAP_OK)
        first = statuses[last];
    }
  }
  return first;
}

/* Each in code of its own. */
static CMAP__NOINLINE enum cmap_status
run_medium_plain_reads(const struct batch *batch, size_t n,
                       enum cmap_status *statuses)
{
  return run_plain_reads(batch, n, statuses, false);
}

static CMAP__NOINLINE enum cmap_status
run_deep_plain_reads(const struct batch *batch, size_t n,
                     enum cmap_status *statuses)
{
  return run_plain_reads(batch, n, statuses, true);
}

/* ------------------------------------------------------------------------- */

CMAP__ALWAYS_INLINE enum cmap_status run_batch(struct batch *batch, size_t n,
                                               enum cmap_status *statuses,
                                               enum batched operation)
{
  bool writes = operation != GET && operation != CONTAINS;
  const struct cmap__directory_array *array;
  enum cmap_status first = CMAP_OK;
  struct cmap__patience patience;
  struct ahead ring[RING];
  const uint64_t *unused;
  size_t entries, step; /* keys between the first steps, and the others */
  bool deep, boxes;

  if (CMAP__WRONG(batch->map == NULL, "map is NULL") ||
      !cmap__how_read(batch->how, &patience, &unused) ||
      (n > 0 && (CMAP__WRONG(batch->keys == NULL, "keys is NULL") ||
                 CMAP__MISSING(statuses))) ||
      (n > 0 && operation == INSERT &&
       cmap__value_is_missing(batch->map, batch->values)))
    return CMAP_EINVAL;
  (void)cmap__how_copy(batch->how, &batch->hashed); /* it was read before */
  batch->hashed.flags |= CMAP_HASHED;
  batch->plain =
      batch->map->table.reads == CMAP__SHAPE_WORD && batch->how == NULL;
  array = cmap__directory_current(&batch->map->table.directory);
  if (!array->is_large)
    return run_small(batch, n, statuses, operation);
  deep = cmap__directory_depth(array) >= DEEP;
  if (batch->plain && !writes)
    return (deep ? run_deep_plain_reads : run_medium_plain_reads)(batch, n,
                                                                  statuses);
  entries = deep ? FAR : 0;
  step = deep ? FAR : NEAR;
  boxes = cmap__boxes_exist(&batch->map->table.boxes);
  for (size_t i = 0; i < n + entries + 2 * step + (boxes ? NEAR : 0); i++) {
    /* Before the first key these wrap around, beyond n. */
    size_t second = i - entries, third = second - step, fourth = third - step;
    size_t last = boxes ? fourth - NEAR : fourth;
    ask_key(batch, i + step, n);
    if (i < n)
      ask_entry(batch, i, &ring[i % RING]);
    if (second < n)
      ask_group(batch, &ring[second % RING], writes);
    if (third < n)
      ask_slot(batch, &ring[third % RING]);
    if (boxes && fourth < n)
      ask_boxes(batch, &ring[fourth % RING]);
    if (last < n) {
      statuses[last] = call(batch, last, &ring[last % RING], operation);
      if (first == CMAP_OK)
        first = statuses[last];
    }
  }
  return first;
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

  return run_batch(&batch, n, statuses, CONTAINS);
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
