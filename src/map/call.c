/*
 * The common steps of operations on one key.
 */
#include "map/map.h"

#include "base/check.h"

#define KNOWN_HOW (CMAP_TRY | CMAP_DEADLINE | CMAP_HASHED | CMAP_TOKEN)

bool cmap__how_copy(const struct cmap_how *how, struct cmap_how *to)
{
  if (how == NULL) {
    memset(to, 0, sizeof *to);
    to->size = sizeof *to;
    return true;
  }
  return !CMAP__WRONG(
      !cmap__struct_read(how, offsetof(struct cmap_how, token), sizeof *to, to),
      "how->size is wrong");
}

/* The member may be one that the program does not know. False: it is to have
 * it, and has not. */
static bool read_token(const struct cmap_how *how, struct cmap_token **token)
{
  bool wanted = (how->flags & CMAP_TOKEN) != 0;

  if (wanted && how->size >= sizeof *how)
    *token = how->token;
  return !CMAP__WRONG(wanted && *token == NULL,
                      "how->flags has CMAP_TOKEN without a token");
}

bool cmap__how_read(const struct cmap_how *how, struct cmap__patience *patience,
                    const uint64_t **hash)
{
  *hash = NULL;
  patience->try_only = false;
  patience->deadline_ns = CMAP__NO_DEADLINE;
  patience->token = NULL;
  patience->freezes = false;
  patience->soon = false;
  patience->counted = false;
  patience->grouped = false;
  if (how == NULL)
    return true;
  if (CMAP__WRONG(!cmap__struct_is_known(how, offsetof(struct cmap_how, token),
                                         sizeof *how),
                  "how->size is wrong") ||
      CMAP__WRONG((how->flags & ~(unsigned)KNOWN_HOW) != 0,
                  "how->flags has an unknown flag") ||
      !read_token(how, &patience->token))
    return false;
  patience->try_only = (how->flags & CMAP_TRY) != 0;
  patience->counted = patience->try_only;
  if (how->flags & CMAP_DEADLINE)
    patience->deadline_ns = how->deadline_ns;
  if (how->flags & CMAP_HASHED)
    *hash = &how->hash;
  return true;
}

enum cmap_status cmap__call_begin(const struct cmap *map, struct cmap_key key,
                                  const struct cmap_how *how,
                                  struct cmap__call *call)
{
  const uint64_t *hash;
  enum cmap_status status;

  if (CMAP__MISSING(map) ||
      cmap__unlikely(!cmap__how_read(how, &call->patience, &hash)))
    return CMAP_EINVAL;
  status = cmap__probe_init(&map->table.layout, key, hash, &call->probe);
  if (CMAP_CHECK >= 1 && status == CMAP_OK && hash != NULL &&
      CMAP__WRONG(*hash != cmap__key_hash(&map->table.layout, call->probe.key),
                  "how->hash is not the key's in this map"))
    return CMAP_EINVAL;
  return status;
}

/*
 * Searches before it locks: the loads of the search then overlap with each
 * other, where after a locked instruction they would wait for it. What the
 * search saw holds if the group's word is the same under the lock.
 */
CMAP__ALWAYS_INLINE enum cmap_status lock_as(struct cmap *map,
                                             enum cmap__shape shape,
                                             struct cmap__call *call,
                                             enum cmap__mode mode)
{
  const struct cmap__layout *layout = &map->table.layout;
  const struct cmap__probe *probe = &call->probe;
  struct cmap__peek peek = cmap__peek(&map->table, shape, probe);

  if (cmap__unlikely(mode == CMAP__READ && call->patience.counted) ||
      cmap__unlikely(!cmap__table_lock_at_once(&map->table, probe->hash, mode,
                                               &call->locked))) {
    enum cmap_status status = cmap__table_lock(&map->table, probe->hash, mode,
                                               &call->patience, &call->locked);
    if (status != CMAP_OK)
      return status;
  } else {
    cmap__section_begin(layout->runs_user_code, &call->locked);
  }
  call->found = peek.found;
  call->place = peek.place;
  if (cmap__unlikely(!cmap__peek_holds(&peek, call->locked.shard)))
    call->found =
        cmap__shard_find(layout, call->locked.shard, probe, &call->place);
  return CMAP_OK;
}

CMAP__INSTANCES(enum cmap_status, lock,
                (struct cmap * map, struct cmap__call *call,
                 enum cmap__mode mode),
                (map, shape, call, mode))

enum cmap_status cmap__call_lock(struct cmap *map, struct cmap__call *call,
                                 enum cmap__mode mode)
{
  enum cmap_status barred =
      mode == CMAP__WRITE ? cmap__table_bar(&map->table, mode, &call->patience)
                          : CMAP_OK;

  if (barred != CMAP_OK)
    return barred;
  CMAP__RETURN_INSTANCE(map->table.layout.shape, lock, (map, call, mode));
  return lock_as(map, CMAP__SHAPE_CUSTOM, call, mode);
}

void cmap__call_resume(struct cmap *map, struct cmap_key key, uint64_t hash,
                       struct cmap__shard *shard, bool absent,
                       struct cmap__call *call)
{
  (void)cmap__probe_init(&map->table.layout, key, &hash, &call->probe);
  call->locked.shard = shard;
  call->locked.mode = CMAP__WRITE;
  call->locked.borrowed = false;
  call->locked.seat = 0;
  cmap__section_begin(map->table.layout.runs_user_code, &call->locked);
  call->place.probes = 0;
  call->found = !absent && cmap__shard_find(&map->table.layout, shard,
                                            &call->probe, &call->place);
}

bool cmap__call_value_equals(const struct cmap *map, struct cmap__call *call,
                             const void *expected)
{
  const struct cmap__layout *layout = &map->table.layout;

  if (layout->user->value_equal != NULL && !call->locked.borrowed)
    cmap__section_begin(true, &call->locked);
  return cmap__value_equal(layout, cmap__call_value(map, call), expected);
}

CMAP__ALWAYS_INLINE enum cmap_status read_as(struct cmap *map,
                                             enum cmap__shape shape,
                                             const struct cmap__call *call,
                                             void *value)
{
  for (unsigned round = 0; round < CMAP__READ_ROUNDS; round++) {
    switch (cmap__read_round(&map->table, shape, &call->probe, value)) {
    case CMAP__READ_HIT:
      return CMAP_OK;
    case CMAP__READ_MISS:
      return CMAP_NOT_FOUND;
    default:
      cmap__count_retry(&map->table.counts);
      cmap__pause();
    }
  }
  cmap__count_up(&map->table.counts.read_locks, 1);
  return CMAP_BUSY;
}

CMAP__INSTANCES(enum cmap_status, read,
                (struct cmap * map, const struct cmap__call *call, void *value),
                (map, shape, call, value))

enum cmap_status cmap__call_read(struct cmap *map,
                                 const struct cmap__call *call, void *value)
{
  const struct cmap__layout *layout = &map->table.layout;

  if (!layout->lock_free || call->probe.large)
    return CMAP_BUSY;
  CMAP__RETURN_INSTANCE(layout->shape, read, (map, call, value));
  return CMAP_BUSY;
}

enum cmap_status cmap__call_find_slot(struct cmap *map, struct cmap__call *call)
{
  struct cmap__table *table = &map->table;
  const struct cmap__layout *layout = &table->layout;
  struct cmap__shard **shard = &call->locked.shard;
  uint64_t hash = call->probe.hash;

  if (cmap__unlikely(cmap__shard_count(*shard) >= (*shard)->limit)) {
    enum cmap_status status = cmap__make_room(table, shard, hash);
    if (status != CMAP_OK)
      return status;
  }
  /* Not before: it may be one that walks pass over, which has no limit. */
  if (cmap__unlikely(cmap__shard_is_worn(*shard, call->place.probes)))
    cmap__shard_rehome(table, *shard);
  return cmap__shard_vacancy(layout, *shard, hash, &call->place) ? CMAP_OK
                                                                 : CMAP_ENOMEM;
}

enum cmap_status cmap__call_make_room(struct cmap *map, struct cmap__call *call,
                                      struct cmap__key_image *key)
{
  enum cmap_status status = cmap__call_find_slot(map, call);

  return status == CMAP_OK
             ? cmap__key_image_init(&map->table.layout, &call->probe, key)
             : status;
}

enum cmap_status cmap__call_put_word(struct cmap *map, struct cmap__call *call,
                                     uint64_t word)
{
  struct cmap__key_image key;
  enum cmap_status status = cmap__call_make_room(map, call, &key);

  if (status == CMAP_OK)
    cmap__shard_put(&map->table.layout, call->locked.shard, &call->place, false,
                    &key, &word);
  return status;
}

enum cmap_status cmap__map_walk_range(struct cmap *map, enum cmap__mode mode,
                                      const struct cmap__range *range,
                                      const struct cmap_how *how,
                                      cmap__visit_shard *visit_shard, void *ctx)
{
  struct cmap__patience patience;
  struct cmap__visit visit;
  const uint64_t *unused;
  uint64_t hash = range->first;

  if (CMAP__MISSING(map) || !cmap__how_read(how, &patience, &unused))
    return CMAP_EINVAL;
  visit.to = range->last;
  do {
    enum cmap_status status = cmap__table_lock_next(
        &map->table, &hash, range->last, mode, &patience, &visit.locked);
    if (status == CMAP_NOT_FOUND)
      return CMAP_OK;
    if (status != CMAP_OK)
      return status;
    visit.from = hash;
    visit.ahead =
        cmap__table_ahead(&map->table, visit.locked.shard, range->last);
    hash = cmap__shard_next_hash(visit.locked.shard);
    status = visit_shard(map, &visit, ctx);
    cmap__table_unlock(&visit.locked);
    if (status != CMAP_OK)
      return status;
  } while (hash != 0 && hash <= range->last);
  return CMAP_OK;
}

enum cmap_status cmap__map_walk(struct cmap *map, enum cmap__mode mode,
                                const struct cmap_how *how,
                                cmap__visit_shard *visit_shard, void *ctx)
{
  const struct cmap__range all = {0, UINT64_MAX};

  return cmap__map_walk_range(map, mode, &all, how, visit_shard, ctx);
}

/* floor(part * 2^64 / parts); part < parts. */
static uint64_t part_begin(size_t part, size_t parts)
{
  if (part == 0) /* without a division, which is a function's */
    return 0;
#ifdef __SIZEOF_INT128__
  return (uint64_t)(((cmap__uint128)part << 64) / parts);
#else
  /* By 32 bits at a time: size_t has no more. */
  uint64_t high = ((uint64_t)part << 32) / parts;
  uint64_t rest = ((uint64_t)part << 32) % parts;
  return high << 32 | (rest << 32) / parts;
#endif
}

bool cmap__range_part(size_t part, size_t parts, struct cmap__range *range)
{
  if (CMAP__WRONG(part >= parts, "part is not below parts"))
    return false;
  range->first = part_begin(part, parts);
  range->last =
      part + 1 == parts ? UINT64_MAX : part_begin(part + 1, parts) - 1;
  return true;
}
