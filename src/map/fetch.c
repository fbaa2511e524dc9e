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
  return small ? cmap__half_of_word(word) : word;
}

CMAP__ALWAYS_INLINE uint64_t integer_to_word(uint64_t integer, bool small)
{
  return small ? cmap__word_of_half((uint32_t)integer) : integer;
}

/* The key is locked and looked for: combines, and unlocks. */
CMAP__ALWAYS_INLINE enum cmap_status
fetch_locked(struct cmap *map, struct cmap__call *call, bool small,
             enum operation operation, uint64_t operand, uint64_t *before)
{
  const struct cmap__layout *layout = &map->table.layout;
  const struct cmap__form form = cmap__form_of(layout, layout->shape);
  _Atomic uint64_t *slot = call->place.slot;
  enum cmap_status status = CMAP_OK;
  uint64_t old = 0;

  if (cmap__likely(call->found)) {
    old = word_to_integer(cmap__value_word(&form, slot), small);
    cmap__value_word_store(
        &form, slot, integer_to_word(combine(operation, old, operand), small));
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
  small = layout->value_size == 4;
  if ((!small && layout->value_size != 8) || layout->owns_values)
    return CMAP_ENOTSUP;
  if (CMAP__WRONG(small && operand > UINT32_MAX && operation != ADD &&
                      operation != SUB,
                  "operand has more than the 4 bytes of the values"))
    return CMAP_EINVAL;
  status = cmap__call_lock(map, &call, CMAP__WRITE);
  if (status != CMAP_OK)
    return status;
  return fetch_locked(map, &call, small, operation, operand, before);
}

/* What the first look at the home group does not decide. The shard is locked.
 */
static CMAP__NOINLINE enum cmap_status
fetch_far(struct cmap *map, struct cmap_key key, uint64_t hash,
          struct cmap__shard *shard, bool absent, enum operation operation,
          uint64_t operand, uint64_t *before)
{
  struct cmap__call call;

  cmap__call_resume(map, key, hash, shard, absent, &call);
  return fetch_locked(map, &call, map->table.layout.value_size == 4, operation,
                      operand, before);
}

/* The short way, as in map/insert.c. */
CMAP__ALWAYS_INLINE enum cmap_status
fetch_as(struct cmap *map, enum cmap__shape shape, struct cmap_key key,
         enum operation operation, uint64_t operand, uint64_t *before,
         const struct cmap_how *how)
{
  const struct cmap__layout *layout = &map->table.layout;
  const struct cmap__form form = cmap__form_of(layout, shape);
  const bool small = shape != CMAP__SHAPE_WORD && layout->value_size == 4;
  struct cmap__probe probe;
  struct cmap__aim aim;
  uint64_t old, fresh;

  if (cmap__unlikely(
          !cmap__probe_fill(layout, shape, key, cmap__how_hash(how), &probe)))
    return fetch_any(map, key, operation, operand, before, how);
  switch (cmap__aim_hit(&map->table, shape, &probe, CMAP__WRITE, NULL, &aim)) {
  case CMAP__HIT:
    old = word_to_integer(cmap__value_word(&form, aim.slot), small);
    cmap__value_word_store(
        &form, aim.slot,
        integer_to_word(combine(operation, old, operand), small));
    break;
  case CMAP__GAP:
    if (cmap__unlikely(!cmap__aim_lock_gap(&aim, probe.hash)))
      return fetch_any(map, key, operation, operand, before, how);
    old = 0;
    fresh = integer_to_word(combine(operation, 0, operand), small);
    if (cmap__unlikely(!cmap__aim_put(layout, shape, &aim, &probe, &fresh)))
      return fetch_far(map, key, probe.hash, aim.shard, true, operation,
                       operand, before);
    break;
  case CMAP__FAR:
    return fetch_far(map, key, probe.hash, aim.shard, false, operation, operand,
                     before);
  default:
    return fetch_any(map, key, operation, operand, before, how);
  }
  cmap__aim_unlock(&aim, CMAP__WRITE);
  if (before != NULL)
    *before = old;
  return CMAP_OK;
}

CMAP__INSTANCES(enum cmap_status, fetch,
                (struct cmap * map, struct cmap_key key,
                 enum operation operation, uint64_t operand, uint64_t *before,
                 const struct cmap_how *how),
                (map, shape, key, operation, operand, before, how))

/* Is it a call for the short ways of some shape? */
static bool is_quick(const struct cmap *map, enum operation operation,
                     uint64_t operand, const struct cmap_how *how)
{
  size_t size;

  if (cmap__unlikely(map == NULL) || cmap__unlikely(!cmap__how_is_quick(how)))
    return false;
  size = map->table.layout.value_size;
  return size == 8 || (size == 4 && (operation == ADD || operation == SUB ||
                                     operand <= UINT32_MAX));
}

/* Not the commonest map, as in map/read.c. */
static CMAP__NOINLINE enum cmap_status
fetch_other(struct cmap *map, struct cmap_key key, enum operation operation,
            uint64_t operand, uint64_t *before, const struct cmap_how *how)
{
  if (!is_quick(map, operation, operand, how))
    return fetch_any(map, key, operation, operand, before, how);
  CMAP__RETURN_INSTANCE(cmap__load_relaxed(&map->table.writes), fetch,
                        (map, key, operation, operand, before, how));
  return fetch_any(map, key, operation, operand, before, how);
}

CMAP__ALWAYS_INLINE enum cmap_status
fetch(struct cmap *map, struct cmap_key key, enum operation operation,
      uint64_t operand, uint64_t *before, const struct cmap_how *how)
{
  if (cmap__unlikely(!cmap__is_word_call(map, key, how)))
    return fetch_other(map, key, operation, operand, before, how);
  return fetch_as(map, CMAP__SHAPE_WORD, key, operation, operand, before, NULL);
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
