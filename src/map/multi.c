/*
 * cmap_lock_many: several keys of any maps, all or none.
 */
#include "map/multi.h"

#include <stdlib.h>

#include "base/alloc.h"

struct cmap__multi *cmap__multi_of(const struct cmap_multi *held)
{
  struct cmap__held *anchor =
      held == NULL ? NULL : cmap__held_of(held->internal);
  struct cmap__multi *multi = anchor == NULL ? NULL : anchor->multi;
  const struct cmap__held *first;

  if (multi == NULL)
    return NULL;
  /* Of a thread that has ended only the records of locks are taken away, and
   * this one may have its address. */
  first = &multi->keys[multi->order[0].want].held;
  return cmap__record_is_mine(&first->record) ? multi : NULL;
}

static bool want_is_valid(const struct cmap_want *want)
{
  return !CMAP__WRONG(want->map == NULL, "a want's map is NULL") &&
         !CMAP__WRONG(want->mode != CMAP_READ && want->mode != CMAP_WRITE &&
                          want->mode != CMAP_ENTRY,
                      "a want's mode is unknown");
}

static int compare_order(const void *a, const void *b)
{
  const struct cmap__multi_order *x = a;
  const struct cmap__multi_order *y = b;

  if (x->map != y->map)
    return x->map < y->map ? -1 : 1;
  if (x->hash != y->hash)
    return x->hash < y->hash ? -1 : 1;
  if (x->mode != y->mode)
    return x->mode > y->mode ? -1 : 1;
  return x->want < y->want ? -1 : x->want > y->want;
}

/* Not by the allocator of one of the maps: any of them may go first, if the
 * thread ends. */
static void block_free(struct cmap__multi *multi)
{
  cmap__free(&cmap__allocator_default, multi, multi->size, CMAP__CACHE_LINE);
}

/* Makes the record, with the wants checked, hashed and sorted. */
static enum cmap_status multi_new(const struct cmap_want *wants, size_t n,
                                  struct cmap__multi **out)
{
  const size_t each =
      sizeof(struct cmap__multi_key) + sizeof(struct cmap__multi_order);
  struct cmap__multi *multi;
  size_t size;

  if (n > (SIZE_MAX - sizeof *multi) / each)
    return CMAP_ENOMEM;
  for (size_t i = 0; i < n; i++) {
    if (!want_is_valid(&wants[i]))
      return CMAP_EINVAL;
  }
  size = sizeof *multi + n * each;
  multi = cmap__alloc(&cmap__allocator_default, size, CMAP__CACHE_LINE);
  if (multi == NULL)
    return CMAP_ENOMEM;
  multi->size = size;
  multi->count = n;
  multi->order = (void *)(multi->keys + n);
  for (size_t i = 0; i < n; i++) {
    struct cmap__multi_key *key = &multi->keys[i];
    struct cmap *map = wants[i].map;
    enum cmap_status status =
        cmap__probe_init(&map->table.layout, wants[i].key, NULL, &key->probe);
    if (status != CMAP_OK) {
      block_free(multi);
      return status;
    }
    key->mode = wants[i].mode;
    key->same = i;
    key->held.map = NULL; /* not granted yet */
    multi->order[i].map = (uintptr_t)map;
    multi->order[i].hash = key->probe.hash;
    multi->order[i].mode = key->mode;
    multi->order[i].want = i;
  }
  qsort(multi->order, n, sizeof *multi->order, compare_order);
  *out = multi;
  return CMAP_OK;
}

/* Ends all holds that were granted. */
static void multi_release(struct cmap__multi *multi)
{
  /* Nothing becomes visible before all is done: first the groups ... */
  for (size_t i = 0; i < multi->count; i++) {
    struct cmap__held *held = &multi->keys[i].held;
    if (held->map != NULL && held->locked.mode == CMAP__WRITE)
      cmap__held_close(held);
  }
  /* ... then the locks, the last one first: so the lists stay short ... */
  for (size_t i = multi->count; i-- > 0;) {
    struct cmap__held *held = &multi->keys[multi->order[i].want].held;
    if (held->map != NULL && !held->follows)
      cmap__held_unlock(held);
  }
  /* A destructor may release a copy of the user's struct: it is stale now. */
  multi->anchor->multi = NULL;
  cmap__held_give(multi->anchor);
  /* ... then what was removed. */
  for (size_t i = 0; i < multi->count; i++) {
    struct cmap__held *held = &multi->keys[i].held;
    if (held->map != NULL)
      cmap__held_bury(held);
  }
  block_free(multi);
}

void cmap__multi_bury(struct cmap__held *held, const struct cmap *map)
{
  struct cmap__multi *multi = held->multi;
  const struct cmap__shard *shard = held->locked.shard;

  /* Other threads may do the same for other maps: their keys are not read. */
  for (size_t i = 0; i < multi->count; i++) {
    struct cmap__held *other = &multi->keys[multi->order[i].want].held;
    if (multi->order[i].map == (uintptr_t)map && other->map != NULL &&
        other->locked.shard == shard)
      cmap__held_bury(other);
  }
  /* The last one frees it; acquire and release: after all others are done. */
  if (cmap__sub_acq_rel(&multi->locks, 1) == 1) {
    cmap__record_give_back(&multi->anchor->record);
    block_free(multi);
  }
}

/* The wants from `begin` that lie in the shard: to where? */
static size_t end_of_run(const struct cmap__multi *multi, size_t begin,
                         const struct cmap__shard *shard)
{
  size_t end = begin + 1;

  while (end < multi->count &&
         multi->order[end].map == multi->order[begin].map &&
         cmap__shard_covers(shard, multi->order[end].hash))
    end++;
  return end;
}

static struct cmap__multi_key *key_at(struct cmap__multi *multi, size_t place)
{
  return &multi->keys[multi->order[place].want];
}

/* Does the run need the write lock? */
static bool run_writes(struct cmap__multi *multi, size_t begin, size_t end)
{
  for (size_t i = begin; i < end; i++) {
    if (key_at(multi, i)->mode != CMAP_READ)
      return true;
  }
  return false;
}

/* The keys of the run that may have to be stored. */
static size_t count_vacant(struct cmap__multi *multi, size_t begin, size_t end,
                           const struct cmap__layout *layout,
                           const struct cmap__shard *shard)
{
  struct cmap__place place;
  size_t vacant = 0;

  for (size_t i = begin; i < end; i++) {
    const struct cmap__multi_key *key = key_at(multi, i);
    if (key->mode == CMAP_ENTRY &&
        !cmap__shard_find(layout, shard, &key->probe, &place))
      vacant++;
  }
  return vacant;
}

/*
 * Makes room for all vacant keys of the run in its shard, held exclusively. The
 * shard may be replaced by one with a smaller range, and the run by a shorter
 * one.
 */
static enum cmap_status make_room(struct cmap__multi *multi, size_t begin,
                                  size_t *end, struct cmap__table *table,
                                  struct cmap__shard **shard)
{
  const struct cmap__layout *layout = &table->layout;

  /* Ends: each round makes the block larger, its range smaller, or its limit
   * higher, which it does once. */
  for (;;) {
    size_t vacant = count_vacant(multi, begin, *end, layout, *shard);
    size_t need = cmap__shard_count(*shard) + vacant;
    if (vacant == 0 || need <= (*shard)->limit)
      return CMAP_OK;
    if (cmap__shard_enlarge(table, shard, multi->order[begin].hash) != CMAP_OK)
      return need <= cmap__block_slot_count((*shard)->block) ? CMAP_OK
                                                             : CMAP_ENOMEM;
    *end = end_of_run(multi, begin, *shard);
  }
}

/*
 * Locks the shard of the want at `begin`, in the mode that all wants in it
 * need, and makes room in it. *end: behind the last of those.
 */
static enum cmap_status lock_run(struct cmap__multi *multi, size_t begin,
                                 size_t *end, struct cmap *map,
                                 struct cmap__locked *locked)
{
  uint64_t hash = multi->order[begin].hash;
  enum cmap__mode mode =
      run_writes(multi, begin, begin + 1) ? CMAP__WRITE : CMAP__READ;

  /* Ends: the second round is in the write mode. */
  for (;;) {
    enum cmap_status status =
        cmap__table_lock(&map->table, hash, mode, &multi->patience, locked);
    if (status != CMAP_OK)
      return status;
    if (locked->borrowed)
      return multi->patience.try_only ? CMAP_BUSY : CMAP_EDEADLK;
    *end = end_of_run(multi, begin, locked->shard);
    if (mode == CMAP__WRITE || !run_writes(multi, begin, *end))
      break;
    cmap__table_unlock(locked);
    mode = CMAP__WRITE;
  }
  if (mode == CMAP__WRITE) {
    enum cmap_status status =
        make_room(multi, begin, end, &map->table, &locked->shard);
    if (status != CMAP_OK) {
      cmap__table_unlock(locked);
      return status;
    }
  }
  return CMAP_OK;
}

/*
 * Is the key at `place` of the order one that was granted before it in the run,
 * in the same mode or a stronger one? Equal keys have equal hashes, and are
 * neighbours.
 */
static bool find_same(struct cmap__multi *multi, size_t begin, size_t place)
{
  struct cmap__multi_key *key = key_at(multi, place);

  while (place-- > begin && multi->order[place].hash == key->probe.hash) {
    struct cmap__multi_key *other = key_at(multi, place);
    const struct cmap__held *held = &other->held;
    if (held->map != NULL && (held->occupied || held->has_key) &&
        cmap__held_is_key(held, &key->probe)) {
      key->same = multi->order[place].want;
      return true;
    }
  }
  return false;
}

/* Grants the key at `place` of the order; its shard is locked. */
static enum cmap_status grant_key(struct cmap__multi *multi, size_t begin,
                                  size_t place, struct cmap *map,
                                  const struct cmap__locked *locked)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__multi_key *key = key_at(multi, place);
  struct cmap__held *held = &key->held;
  struct cmap__call call = {.locked = *locked};
  enum cmap_status status = CMAP_OK;

  if (find_same(multi, begin, place))
    return CMAP_OK;
  call.found =
      cmap__shard_find(layout, locked->shard, &key->probe, &call.place);
  call.probe.hash = key->probe.hash;
  cmap__held_fill(held, map, &call);
  held->multi = multi;
  held->follows = place > begin;
  cmap__record_own(&held->record, multi->anchor->record.holder);
  cmap__store_relaxed(&held->record.serial,
                      cmap__load_relaxed(&multi->anchor->record.serial));
  if (!held->follows)
    cmap__held_link(held);
  if (call.found) {
    if (key->mode != CMAP_READ)
      cmap__held_open(held, call.place.group);
    return CMAP_OK;
  }
  if (key->mode != CMAP_ENTRY)
    return CMAP_NOT_FOUND;
  status = cmap__key_image_init(layout, &key->probe, &held->key);
  if (status == CMAP_OK) {
    held->has_key = true;
    status = cmap__held_make_box(held);
  }
  return status;
}

/* Grants all keys, or says at which one it failed. */
static enum cmap_status grant_all(struct cmap__multi *multi,
                                  struct cmap_want *wants)
{
  bool missing = false;
  size_t begin = 0;

  while (begin < multi->count) {
    struct cmap_want *want = &wants[multi->order[begin].want];
    struct cmap__locked locked;
    size_t end;
    enum cmap_status status = lock_run(multi, begin, &end, want->map, &locked);

    if (status != CMAP_OK) {
      want->status = status;
      return status;
    }
    for (size_t i = begin; i < end; i++) {
      want = &wants[multi->order[i].want];
      want->status = grant_key(multi, begin, i, want->map, &locked);
      if (want->status == CMAP_NOT_FOUND)
        missing = true;
      else if (want->status != CMAP_OK)
        return want->status;
    }
    begin = end;
  }
  return missing ? CMAP_NOT_FOUND : CMAP_OK;
}

/* Are all locks allowed in strict maps? */
static enum cmap_status ask_all(struct cmap_want *wants, size_t n,
                                const struct cmap__patience *patience)
{
  for (size_t i = 0; i < n; i++) {
    enum cmap__mode mode =
        wants[i].mode == CMAP_READ ? CMAP__READ : CMAP__WRITE;
    wants[i].status = cmap__table_bar(&wants[i].map->table, mode, patience);
    if (wants[i].status != CMAP_OK)
      return wants[i].status;
  }
  return CMAP_OK;
}

enum cmap_status cmap_lock_many(struct cmap_want *wants, size_t n,
                                struct cmap_multi *held,
                                const struct cmap_how *how)
{
  struct cmap__patience patience;
  struct cmap__multi *multi;
  const uint64_t *unused;
  enum cmap_status status;

  if (held != NULL)
    *held = (struct cmap_multi)CMAP_INIT;
  if (CMAP__MISSING(held) || CMAP__MISSING(wants) ||
      CMAP__WRONG(n == 0, "n is 0") || !cmap__how_read(how, &patience, &unused))
    return CMAP_EINVAL;
  status = multi_new(wants, n, &multi);
  if (status != CMAP_OK)
    return status;
  multi->patience = patience;
  multi->patience.grouped = true;
  multi->patience.counted = true;
  multi->anchor = cmap__held_take();
  if (multi->anchor == NULL) {
    block_free(multi);
    return CMAP_ENOMEM;
  }
  multi->anchor->multi = multi;
  for (size_t i = 0; i < n; i++)
    wants[i].status = CMAP_OK;
  status = ask_all(wants, n, &patience);
  if (status == CMAP_OK)
    status = grant_all(multi, wants);
  if (status != CMAP_OK) {
    multi_release(multi);
    return status;
  }
  cmap__store_relaxed(&multi->locks, 0); /* still this thread's alone */
  for (size_t i = 0; i < n; i++) {
    struct cmap__multi_key *key = &multi->keys[i];
    if (key->same != i)
      continue;
    if (!key->held.follows)
      cmap__add_relaxed(&multi->locks, 1);
    key->entry.key = cmap__held_key(&key->held);
    key->entry.value = cmap__held_value(&key->held);
    cmap__held_name(&key->held, key->entry.internal);
  }
  held->count = n;
  cmap__held_name(multi->anchor, held->internal);
  return CMAP_OK;
}

void *cmap_multi_value(const struct cmap_multi *held, size_t i)
{
  struct cmap__multi *multi = cmap__multi_of(held);

  if (multi == NULL || i >= multi->count)
    return NULL;
  return cmap__held_value(cmap__multi_held(multi, i));
}

struct cmap_entry *cmap_multi_entry(const struct cmap_multi *held, size_t i)
{
  struct cmap__multi *multi = cmap__multi_of(held);

  if (multi == NULL || i >= multi->count ||
      multi->keys[multi->keys[i].same].mode == CMAP_READ)
    return NULL;
  return &multi->keys[multi->keys[i].same].entry;
}

enum cmap_status cmap_multi_release(struct cmap_multi *held)
{
  const struct cmap_multi none = CMAP_INIT;
  struct cmap__multi *multi = cmap__multi_of(held);

  if (held == NULL)
    return CMAP_OK;
  if (CMAP__WRONG(multi == NULL && cmap__held_is_foreign(held->internal),
                  "held is another thread's"))
    return CMAP_EINVAL;
  *held = none;
  if (multi != NULL)
    multi_release(multi);
  return CMAP_OK;
}
