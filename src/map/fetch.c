/*
 * Counters: one integer combined with an operand under the write lock.
 *
 * The value is one word of the slot, so that one store changes it: readers
 * need no section.
 */
#include "map/map.h"

enum operation { ADD, SUB, AND, OR, MAX, MIN };

CMAP__ALWAYS_INLINE uint64_t combine(enum operation operation, uint64_t a,
                                     uint64_t b)
{
  switch (operation) {
  case ADD:
    return a + b;
  case SUB:
    return a - b;
  case AND:
    return a & b;
  case OR:
    return a | b;
  case MAX:
    return a > b ? a : b;
  default:
    return a < b ? a : b;
  }
}

/* The integer in a value word, and the word with another integer. */
CMAP__ALWAYS_INLINE uint64_t word_to_integer(uint64_t word, bool small)
{
  uint32_t half;

  if (!small)
    return word;
  memcpy(&half, &word, sizeof half);
  return half;
}

CMAP__ALWAYS_INLINE uint64_t integer_to_word(uint64_t integer, bool small)
{
  uint32_t half = (uint32_t)integer;
  uint64_t word = 0;

  if (!small)
    return integer;
  memcpy(&word, &half, sizeof half);
  return word;
}

/* The key is locked and looked for: combines, and unlocks. */
CMAP__ALWAYS_INLINE enum cmap_status
fetch_locked(struct cmap *map, struct cmap__call *call, bool small,
             enum operation operation, uint64_t operand, uint64_t *before)
{
  unsigned value_word = map->table.layout.value_word;
  enum cmap_status status = CMAP_OK;
  uint64_t old = 0;

  if (cmap__likely(call->found)) {
    _Atomic uint64_t *word = call->place.slot + value_word;
    old = word_to_integer(cmap__load_relaxed(word), small); /* lock held */
    cmap__payload_store(
        word, integer_to_word(combine(operation, old, operand), small));
  } else {
    status = cmap__call_put_word(
        map, call, integer_to_word(combine(operation, 0, operand), small));
  }
  cmap__call_unlock(call);
  if (status == CMAP_OK && before != NULL)
    *before = old;
  return status;
}

/* Any map, any `how`. */
static CMAP__NOINLINE enum cmap_status
fetch_any(struct cmap *map, struct cmap_key key, enum operation operation,
          uint64_t operand, uint64_t *before, const struct cmap_how *how)
{
  const struct cmap__layout *layout;
  struct cmap__call call;
  bool small;
  enum cmap_status status = cmap__call_begin(map, key, how, &call);

  if (status != CMAP_OK)
    return status;
  layout = &map->table.layout;
  small = layout->options.value_size == 4;
  if ((!small && layout->options.value_size != 8) || layout->owns_values)
    return CMAP_ENOTSUP;
  if (small && operand > UINT32_MAX && operation != ADD && operation != SUB)
    return CMAP_EINVAL;
  status = cmap__call_lock(map, &call, CMAP__WRITE);
  if (status != CMAP_OK)
    return status;
  return fetch_locked(map, &call, small, operation, operand, before);
}

/* Maps with `short_strings`, keys of a short string's size. */
static CMAP__NOINLINE enum cmap_status
fetch_short(struct cmap *map, struct cmap_key key, enum operation operation,
            uint64_t operand, uint64_t *before)
{
  struct cmap__call call;
  _Atomic uint64_t *slot;
  uint64_t old;
  enum cmap_status status = cmap__short_lock(map, key, &call);

  if (cmap__unlikely(status != CMAP_OK))
    return status;
  if (cmap__unlikely(!call.found))
    return fetch_locked(map, &call, false, operation, operand, before);
  slot = call.place.slot + CMAP__SHORT_VALUE;
  old = cmap__load_relaxed(slot); /* lock held */
  cmap__payload_store(slot, combine(operation, old, operand));
  cmap__shardlock_write_unlock(&call.locked.shard->lock);
  if (before != NULL)
    *before = old;
  return CMAP_OK;
}

/* The home group of a plain key did not do. The shard is locked. */
static CMAP__NOINLINE enum cmap_status
fetch_far(struct cmap *map, uint64_t key, struct cmap__shard *shard,
          enum operation operation, uint64_t operand, uint64_t *before)
{
  uint64_t hash = cmap__hash_u64(&map->table.layout.hash_key, key);
  struct cmap__plain_look look;
  struct cmap__call call;
  uint64_t old = 0;

  if (!cmap__plain_look_far(shard, hash, key, &look)) {
    cmap__call_resume(map, cmap_key_u64(&key), hash, shard, &call);
    return fetch_locked(map, &call, false, operation, operand, before);
  }
  if (look.found) {
    old = cmap__load_relaxed(look.slot + 1); /* lock held */
    cmap__payload_store(look.slot + 1, combine(operation, old, operand));
  } else {
    (void)cmap__plain_put(shard, &look, hash, key, /* there is room */
                          combine(operation, 0, operand));
  }
  cmap__shardlock_write_unlock(&shard->lock);
  if (before != NULL)
    *before = old;
  return CMAP_OK;
}

/* What the shortest way does not do: a key that is absent, or not found at
 * once. */
static CMAP__NOINLINE enum cmap_status
fetch_again(struct cmap *map, const void *key, enum operation operation,
            uint64_t operand, uint64_t *before)
{
  struct cmap__plain plain;

  memcpy(&plain.key, key, sizeof plain.key);
  /* Anew: not one register more for the shortest way. */
  plain.hash = cmap__hash_u64(&map->table.layout.hash_key, plain.key);
  if (cmap__unlikely(!cmap__plain_lock(map, CMAP__WRITE, &plain)))
    return fetch_any(map, cmap_key_u64(key), operation, operand, before, NULL);
  if (plain.look.found || !plain.look.decided ||
      cmap__unlikely(!cmap__plain_put(plain.locked.shard, &plain.look,
                                      plain.hash, plain.key,
                                      combine(operation, 0, operand))))
    return fetch_far(map, plain.key, plain.locked.shard, operation, operand,
                     before);
  cmap__shardlock_write_unlock(&plain.locked.shard->lock);
  if (before != NULL)
    *before = 0;
  return CMAP_OK;
}

/* No plain call. In a function of its own: what it asks would be asked early
 * in the shortest way, too. */
static CMAP__NOINLINE enum cmap_status
fetch_other(struct cmap *map, struct cmap_key key, enum operation operation,
            uint64_t operand, uint64_t *before, const struct cmap_how *how)
{
  return cmap__is_short_string(map, key, how)
             ? fetch_short(map, key, operation, operand, before)
             : fetch_any(map, key, operation, operand, before, how);
}

CMAP__ALWAYS_INLINE enum cmap_status
fetch(struct cmap *map, struct cmap_key key, enum operation operation,
      uint64_t operand, uint64_t *before, const struct cmap_how *how)
{
  struct cmap__plain plain;
  uint64_t old;

  if (cmap__unlikely(!cmap__is_plain_call(map, key, how)))
    return fetch_other(map, key, operation, operand, before, how);
  if (cmap__unlikely(!cmap__plain_hit(map, key.data, CMAP__WRITE, &plain)))
    return fetch_again(map, key.data, operation, operand, before);
  old = cmap__load_relaxed(plain.look.slot + 1); /* lock held */
  cmap__payload_store(plain.look.slot + 1, combine(operation, old, operand));
  cmap__shardlock_write_unlock(&plain.locked.shard->lock);
  if (before != NULL)
    *before = old;
  return CMAP_OK;
}

CMAP__LTO_INLINE enum cmap_status
cmap_fetch_add(struct cmap *map, struct cmap_key key, uint64_t operand,
               uint64_t *before, const struct cmap_how *how)
{
  return fetch(map, key, ADD, operand, before, how);
}

enum cmap_status cmap_fetch_sub(struct cmap *map, struct cmap_key key,
                                uint64_t operand, uint64_t *before,
                                const struct cmap_how *how)
{
  return fetch(map, key, SUB, operand, before, how);
}

enum cmap_status cmap_fetch_and(struct cmap *map, struct cmap_key key,
                                uint64_t operand, uint64_t *before,
                                const struct cmap_how *how)
{
  return fetch(map, key, AND, operand, before, how);
}

enum cmap_status cmap_fetch_or(struct cmap *map, struct cmap_key key,
                               uint64_t operand, uint64_t *before,
                               const struct cmap_how *how)
{
  return fetch(map, key, OR, operand, before, how);
}

enum cmap_status cmap_fetch_max(struct cmap *map, struct cmap_key key,
                                uint64_t operand, uint64_t *before,
                                const struct cmap_how *how)
{
  return fetch(map, key, MAX, operand, before, how);
}

enum cmap_status cmap_fetch_min(struct cmap *map, struct cmap_key key,
                                uint64_t operand, uint64_t *before,
                                const struct cmap_how *how)
{
  return fetch(map, key, MIN, operand, before, how);
}
