/*
 * Reading one key: get, contains, view.
 */
#include "map/map.h"

/* Under the read lock: copies the value out (NULL: not). */
static CMAP__NOINLINE enum cmap_status
get_locked(struct cmap *map, struct cmap__call *call, void *value)
{
  enum cmap_status status = cmap__call_lock(map, call, CMAP__READ);

  if (status != CMAP_OK)
    return status;
  status = call->found ? CMAP_OK : CMAP_NOT_FOUND;
  if (call->found && value != NULL)
    status = cmap__value_copy_out(&map->table.layout,
                                  cmap__call_value(map, call), value);
  cmap__call_unlock(call);
  return status;
}

/* Any map, any `how`. */
static CMAP__NOINLINE enum cmap_status get_any(struct cmap *map,
                                               struct cmap_key key, void *value,
                                               const struct cmap_how *how)
{
  uint64_t words[CMAP__VALUE_WORDS_MAX];
  struct cmap__call call;
  enum cmap_status status = cmap__call_begin(map, key, how, &call);

  if (status != CMAP_OK)
    return status;
  if (cmap__cannot_copy(map, value))
    return CMAP_ENOTSUP;
  status = cmap__call_read(map, &call, words);
  if (status == CMAP_BUSY)
    return get_locked(map, &call, value);
  if (status == CMAP_OK && value != NULL)
    memcpy(value, words, map->table.layout.options.value_size);
  return status;
}

/* Fills in what a look-up in a map with `plain_u64` needs of a probe. */
CMAP__ALWAYS_INLINE void plain_probe(const struct cmap *map, const void *key,
                                     struct cmap__probe *probe)
{
  memcpy(probe->words, key, sizeof(uint64_t));
  probe->hash = cmap__hash_u64(&map->table.layout.hash_key, probe->words[0]);
}

/* The home group did not know: one more round over as many groups as it takes,
 * before the long way. */
static CMAP__NOINLINE enum cmap_status get_again(struct cmap *map,
                                                 const void *key, void *value)
{
  struct cmap__probe probe;
  uint64_t word;

  plain_probe(map, key, &probe);
  switch (cmap__read_round(&map->table, &cmap__read_plain, &probe, &word)) {
  case CMAP__READ_HIT:
    if (value != NULL)
      memcpy(value, &word, sizeof word);
    return CMAP_OK;
  case CMAP__READ_MISS:
    return CMAP_NOT_FOUND;
  default:
    cmap__count_retry(&map->table.counts);
    return get_any(map, cmap_key_u64(key), value, NULL);
  }
}

/*
 * The commonest map, u64 -> 8 bytes hashed by us, in one function whose only
 * calls are its last: all sizes are constants, and no register is saved.
 */
CMAP__ALWAYS_INLINE enum cmap_status get_plain(struct cmap *map,
                                               const void *key,
                                               const struct cmap__probe *probe,
                                               bool ahead, void *value)
{
  uint64_t word;

  switch (
      cmap__read_home(&map->table, &cmap__read_plain, probe, ahead, &word)) {
  case CMAP__READ_HIT:
    if (value != NULL)
      memcpy(value, &word, sizeof word);
    return CMAP_OK;
  case CMAP__READ_MISS:
    return CMAP_NOT_FOUND;
  default:
    return get_again(map, key, value);
  }
}

enum cmap_status cmap__get_plain(struct cmap *map, const void *key,
                                 uint64_t hash, void *value)
{
  struct cmap__probe probe;

  memcpy(probe.words, key, sizeof(uint64_t));
  probe.hash = hash;
  return get_plain(map, key, &probe, false, value);
}

enum cmap_status cmap__get_plain_each(struct cmap *map,
                                      const struct cmap_key *keys, size_t n,
                                      char *values, enum cmap_status *statuses)
{
  enum cmap_status first = CMAP_OK;

  for (size_t i = 0; i < n; i++) {
    void *value = values == NULL ? NULL : values + i * sizeof(uint64_t);
    struct cmap__probe probe;
    enum cmap_status status;

    if (cmap__unlikely(keys[i].size != sizeof(uint64_t)) ||
        cmap__unlikely(keys[i].data == NULL)) {
      status = CMAP_EINVAL;
    } else {
      plain_probe(map, keys[i].data, &probe);
      status = get_plain(map, keys[i].data, &probe, true, value);
    }
    statuses[i] = status;
    if (first == CMAP_OK)
      first = status;
  }
  return first;
}

/* Maps with `short_strings`, keys of a short string's size. */
static CMAP__NOINLINE enum cmap_status
get_short(struct cmap *map, struct cmap_key key, void *value)
{
  static const struct cmap__read_shape shape = {
      CMAP__SHORT_STRING, CMAP__SHORT_SLOT_WORDS, CMAP__SHORT_VALUE, 1};
  struct cmap__probe probe;
  uint64_t word;

  if (cmap__unlikely(!cmap__short_probe(&map->table.layout, key, &probe)))
    return CMAP_EINVAL;
  switch (cmap__read_home(&map->table, &shape, &probe, true, &word)) {
  case CMAP__READ_HIT:
    if (value != NULL)
      memcpy(value, &word, sizeof word);
    return CMAP_OK;
  case CMAP__READ_MISS:
    return CMAP_NOT_FOUND;
  default:
    return get_any(map, key, value, NULL);
  }
}

/* Not plain. In a function of its own: what it asks would be asked early in the
 * shortest way, too. */
static CMAP__NOINLINE enum cmap_status get_other(struct cmap *map,
                                                 struct cmap_key key,
                                                 void *value,
                                                 const struct cmap_how *how)
{
  return cmap__is_short_string(map, key, how) ? get_short(map, key, value)
                                              : get_any(map, key, value, how);
}

CMAP__LTO_INLINE enum cmap_status cmap_get(struct cmap *map,
                                           struct cmap_key key, void *value,
                                           const struct cmap_how *how)
{
  struct cmap__probe probe;

  /* The load in the middle: as in cmap__is_plain_call. */
  if (cmap__unlikely(map == NULL) || cmap__unlikely(how != NULL) ||
      cmap__unlikely(key.size != sizeof(uint64_t)) ||
      cmap__unlikely(!map->plain_u64) || cmap__unlikely(key.data == NULL))
    return get_other(map, key, value, how);
  plain_probe(map, key.data, &probe);
  return get_plain(map, key.data, &probe, true, value);
}

enum cmap_status cmap_contains(struct cmap *map, struct cmap_key key,
                               const struct cmap_how *how)
{
  return cmap_get(map, key, NULL, how);
}

enum cmap_status cmap_view(struct cmap *map, struct cmap_key key,
                           cmap_view_fn *view, void *ctx,
                           const struct cmap_how *how)
{
  struct cmap__hold hold;
  struct cmap__call call;
  enum cmap_status status = cmap__call_begin(map, key, how, &call);

  if (status != CMAP_OK)
    return status;
  if (view == NULL)
    return CMAP_EINVAL;
  status = cmap__call_lock(map, &call, CMAP__READ);
  if (status != CMAP_OK)
    return status;
  status = CMAP_NOT_FOUND;
  if (call.found) {
    cmap__locked_hold_begin(&map->table, &call.locked, &hold);
    status =
        view(cmap__call_key(map, &call), cmap__call_value(map, &call), ctx);
    cmap__hold_end(&hold);
  }
  cmap__call_unlock(&call);
  return status;
}
