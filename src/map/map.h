/*
 * A map, and what all of its operations begin with: a call.
 *
 * A call checks its arguments, prepares the key, locks the key's shard, and
 * looks for the key. Each operation then does its own work on the place and
 * unlocks; what it removed is released after that.
 */
#ifndef CMAP__MAP_MAP_H
#define CMAP__MAP_MAP_H

#include "cmap.h"
#include "table/plain_far.h"
#include "table/read.h"
#include "table/short.h"
#include "table/shrink.h"
#include "table/value.h"

struct cmap {
  struct cmap__table table;
  bool copies_values; /* const: values may be copied out */
  bool plain_u64;     /* const: u64 keys with our hash, 8-byte plain values */
  bool short_strings; /* const: CMAP__SHORT_STRING, plain values of 8 bytes */
  /* Atomic: plain_u64 and not frozen, for paths that lock; written by who
     freezes or thaws. A late look costs time, no more. */
  _Atomic bool plain_locks;
};

/* One call on one key. Lives on the stack. */
struct cmap__call {
  struct cmap__probe probe;
  struct cmap__patience patience;
  struct cmap__locked locked; /* valid while locked */
  struct cmap__place place;   /* where the key is, or a free slot */
  bool found;
};

/* A new entry, ready to be stored: its memory is there. */
struct cmap__fresh {
  struct cmap__key_image key;
  struct cmap__value_image value;
};

/* Reads `how`; false if it is not valid. */
bool cmap__how_read(const struct cmap_how *how, struct cmap__patience *patience,
                    const uint64_t **hash);

/* Checks map, key and how, and prepares the key. CMAP_EINVAL. */
enum cmap_status cmap__call_begin(const struct cmap *map, struct cmap_key key,
                                  const struct cmap_how *how,
                                  struct cmap__call *call);

/*
 * Locks the key's shard and looks for the key: call->found. What
 * cmap__table_lock returns; on success the caller unlocks.
 */
enum cmap_status cmap__call_lock(struct cmap *map, struct cmap__call *call,
                                 enum cmap__mode mode);

/*
 * The same with the map's kind, a constant, for fast paths. Searches before it
 * locks: the loads of the search then overlap with each other, where after a
 * locked instruction they would wait for it. What the search saw holds if the
 * group's word is the same under the lock.
 */
CMAP__ALWAYS_INLINE enum cmap_status cmap__call_lock_as(struct cmap *map,
                                                        struct cmap__call *call,
                                                        enum cmap__mode mode,
                                                        unsigned kind)
{
  const struct cmap__layout *layout = &map->table.layout;
  const struct cmap__probe *probe = &call->probe;
  struct cmap__peek peek = cmap__peek(&map->table, kind, probe);

  if (cmap__unlikely(!cmap__table_lock_at_once(&map->table, probe->hash, mode,
                                               &call->locked))) {
    enum cmap_status status = cmap__table_lock(&map->table, probe->hash, mode,
                                               &call->patience, &call->locked);
    if (status != CMAP_OK)
      return status;
  }
  call->found = peek.found;
  call->place = peek.place;
  if (cmap__unlikely(!cmap__peek_holds(&peek, call->locked.shard)))
    call->found =
        cmap__shard_find(layout, call->locked.shard, probe, &call->place);
  return CMAP_OK;
}

/* Is it a call for the fast paths of maps with short strings? */
CMAP__ALWAYS_INLINE bool cmap__is_short_string(const struct cmap *map,
                                               struct cmap_key key,
                                               const struct cmap_how *how)
{
  return map != NULL && how == NULL && map->short_strings && key.data != NULL &&
         key.size <= CMAP__SHORT_SIZE;
}

/*
 * Locks the shard of such a key to write, and looks for it: call->found. If its
 * home group has it, group, slot and index of call->place are set. Unlike with
 * plain keys (cmap__plain_hit) the lock comes first, then the search.
 * CMAP_EINVAL: it is not a string; else what cmap__table_lock returns.
 */
CMAP__ALWAYS_INLINE enum cmap_status
cmap__short_lock(struct cmap *map, struct cmap_key key, struct cmap__call *call)
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__probe *probe = &call->probe;

  if (cmap__unlikely(!cmap__short_probe(layout, key, probe)))
    return CMAP_EINVAL;
  cmap__table_prefetch(&map->table, CMAP__SHORT_SLOT_WORDS, probe->hash);
  if (cmap__unlikely(!cmap__table_lock_at_once(&map->table, probe->hash,
                                               CMAP__WRITE, &call->locked))) {
    enum cmap_status status = cmap__table_lock(
        &map->table, probe->hash, CMAP__WRITE, NULL, &call->locked);
    if (status != CMAP_OK)
      return status;
  }
  call->found =
      cmap__short_find(layout, call->locked.shard, probe, &call->place) ||
      cmap__shard_find(layout, call->locked.shard, probe, &call->place);
  return CMAP_OK;
}

/* May the fast paths of maps with `plain_u64` be tried? */
CMAP__ALWAYS_INLINE bool cmap__is_plain_call(const struct cmap *map,
                                             struct cmap_key key,
                                             const struct cmap_how *how)
{
  /* The load in the middle keeps the compiler from computing two conditions
   * and branching once, which takes longer. */
  return cmap__likely(map != NULL) && cmap__likely(how == NULL) &&
         cmap__likely(key.size == sizeof(uint64_t)) &&
         cmap__likely(cmap__load_relaxed(&map->plain_locks)) &&
         cmap__likely(key.data != NULL);
}

/* What such a path works on: a key whose shard is locked. */
struct cmap__plain {
  uint64_t key, hash;
  struct cmap__locked locked;
  struct cmap__plain_look look;
  uintptr_t block; /* if no slot has the key's tag: of the shard */
};

/*
 * The shortest way to a key that is in its home group, behind the first tag of
 * its own: locks the shard, if that is free, and says where the key is:
 * plain->locked, and of plain->look group, slot and index. False: nothing is
 * held, and the caller tries cmap__plain_lock, or, if look.match is 0,
 * cmap__plain_lock_gap or cmap__plain_is_absent. No address of `plain` may
 * leave the caller: then all of it is registers, where copies through memory
 * cost up to 10 ns.
 *
 * What can be known before the lock is known before it: where the key's slot
 * is, if the tags are right. Behind the lock there are few instructions, and
 * none of them waits for more than the slot itself; few values are alive, so
 * that few registers are saved. The slot is left alone until then: with two
 * threads at one counter no line is asked for that the other one is about to
 * write. Figures in docs/design.md.
 */
CMAP__ALWAYS_INLINE bool cmap__plain_hit(struct cmap *map, const void *key,
                                         enum cmap__mode mode,
                                         struct cmap__plain *plain)
{
  struct cmap__directory_array *array =
      cmap__directory_current(&map->table.directory);
  struct cmap__directory_entry *entry;
  struct cmap__shard *shard;
  uintptr_t block;
  uint64_t again;

  memcpy(&plain->key, key, sizeof plain->key);
  plain->hash = cmap__hash_u64(&map->table.layout.hash_key, plain->key);
  entry = cmap__directory_at(array, plain->hash);
  block = cmap__load_acquire(&entry->block); /* [D2] */
  shard = cmap__load_acquire(&entry->shard); /* [D2] */
  plain->look = cmap__plain_aim(block, plain->hash);
  if (array->is_large) {
    cmap__prefetch_write(shard);
    cmap__prefetch_preferred(plain->look.slots, CMAP__PLAIN_WORDS, plain->hash);
  }
  if (cmap__unlikely(plain->look.match == 0)) {
    plain->locked.shard = shard;
    plain->block = block;
    return false;
  }
  plain->look.index = (unsigned)__builtin_ctz(plain->look.match);
  plain->look.slot = plain->look.slots + plain->look.index * CMAP__PLAIN_WORDS;
  if (cmap__unlikely(mode == CMAP__WRITE
                         ? !cmap__shardlock_try_write(&shard->lock)
                         : !cmap__shardlock_try_read(&shard->lock)))
    return false;
  plain->locked.shard = shard;
  plain->locked.mode = mode;
  plain->locked.borrowed = false;
  memcpy(&again, key, sizeof again); /* one register less */
  /* A live block that has the key is the key's home. Relaxed: we hold the
   * lock. */
  if (cmap__likely(cmap__plain_aim_holds(&plain->look, shard, block)) &&
      cmap__likely(cmap__load_relaxed(plain->look.slot) == again)) {
    cmap__assert_valid(cmap__shard_covers(shard, plain->hash));
    return true;
  }
  cmap__table_unlock(&plain->locked);
  return false;
}

/*
 * After a cmap__plain_hit that was none: is the key absent, for a call that has
 * nothing to do then? False: the lock tells; and it tells a thread with a hold
 * that it waits for itself.
 */
CMAP__ALWAYS_INLINE bool
cmap__plain_is_surely_absent(const struct cmap *map,
                             const struct cmap__plain *plain)
{
  return plain->look.match == 0 && cmap__likely(!cmap__hold_any()) &&
         cmap__plain_is_absent(&map->table, plain->block, plain->hash,
                               &plain->look);
}

/*
 * Locks the shard of plain->key with its hash if it is free, and looks for the
 * key in its home group, whether it is there or not. False: nothing is held;
 * begin anew with a call.
 */
CMAP__ALWAYS_INLINE bool cmap__plain_lock(struct cmap *map,
                                          enum cmap__mode mode,
                                          struct cmap__plain *plain)
{
  if (cmap__unlikely(!cmap__table_lock_at_once(&map->table, plain->hash, mode,
                                               &plain->locked)))
    return false;
  plain->look = cmap__plain_find(plain->locked.shard, plain->hash, plain->key);
  return true;
}

/*
 * The key was not decided by its home group, or has no room there: looks
 * farther, with the shard locked to write. True: `look` says whether the key is
 * there, and if not, names the group to put it in. False: go on with
 * cmap__call_resume.
 */
bool cmap__plain_look_far(struct cmap__shard *shard, uint64_t hash,
                          uint64_t key, struct cmap__plain_look *look);

/* Goes on as a call, with the shard that was locked to write. */
void cmap__call_resume(struct cmap *map, struct cmap_key key, uint64_t hash,
                       struct cmap__shard *shard, struct cmap__call *call);

static inline void cmap__call_unlock(const struct cmap__call *call)
{
  cmap__table_unlock(&call->locked);
}

/*
 * Reads the key without a lock where the map and the key allow it: CMAP_OK with
 * the value words in `words`, or CMAP_NOT_FOUND. CMAP_BUSY: it takes the lock
 * to know.
 */
enum cmap_status cmap__call_read(struct cmap *map,
                                 const struct cmap__call *call,
                                 uint64_t *words);

/* cmap_get in maps with `plain_u64`; the key's 8 bytes and its hash. */
enum cmap_status cmap__get_plain(struct cmap *map, const void *key,
                                 uint64_t hash, void *value);

/* cmap_get of each key, in turn, in such a map; the first status that is not
 * CMAP_OK. `values` may be NULL. */
enum cmap_status cmap__get_plain_each(struct cmap *map,
                                      const struct cmap_key *keys, size_t n,
                                      char *values, enum cmap_status *statuses);

/*
 * For an absent key, under the write lock: makes room (which may replace the
 * shard) and the stored key. Afterwards nothing can fail for want of memory.
 * CMAP_ENOMEM, or key_copy's status: nothing is left to release.
 */
enum cmap_status cmap__call_make_room(struct cmap *map, struct cmap__call *call,
                                      struct cmap__key_image *key);

/* Stores a new entry in the room that was made. */
static inline void cmap__call_put(struct cmap *map, struct cmap__call *call,
                                  const struct cmap__key_image *key,
                                  const struct cmap__value_image *value)
{
  cmap__shard_put(&map->table.layout, call->locked.shard, &call->place, false,
                  key, value->words);
}

/* Room and a new entry in one, where the value is one word. */
enum cmap_status cmap__call_put_word(struct cmap *map, struct cmap__call *call,
                                     uint64_t word);

/* The stored key, for callbacks. */
static inline struct cmap_key cmap__call_key(const struct cmap *map,
                                             const struct cmap__call *call)
{
  return cmap__slot_key(&map->table.layout, call->place.slot);
}

/* The value in place, for callbacks. */
static inline void *cmap__call_value(const struct cmap *map,
                                     const struct cmap__call *call)
{
  return cmap__slot_value(&map->table.layout, call->place.slot);
}

/* The place's group is opened for user code that may change the value, and
 * the hold is recorded; then closed. Write lock. */
static inline void cmap__call_open_for_user(const struct cmap *map,
                                            const struct cmap__call *call,
                                            struct cmap__hold *hold)
{
  (void)cmap__seq_open_for_user(&call->place.group->hi);
  cmap__locked_hold_begin(&map->table, &call->locked, hold);
}

static inline void cmap__call_close_for_user(const struct cmap__call *call,
                                             struct cmap__hold *hold)
{
  _Atomic uint64_t *hi = &call->place.group->hi;

  cmap__hold_end(hold);
  cmap__seq_close(hi, cmap__load_relaxed(hi)); /* we hold the lock */
}

/* Would a call that copies a value to `out` have to copy the uncopyable? */
static inline bool cmap__cannot_copy(const struct cmap *map, const void *out)
{
  return out != NULL && !map->copies_values;
}

static inline void cmap__set_event(enum cmap_event *event, enum cmap_event what)
{
  if (event != NULL)
    *event = what;
}

/* Is a value missing that the map's values need? */
static inline bool cmap__value_is_missing(const struct cmap *map,
                                          const void *value)
{
  return value == NULL && map->table.layout.options.value_size > 0;
}

/*
 * Calls visit_shard for every shard, in hash order, each locked in `mode`: a
 * status ends the walk and is returned. visit_shard unlocks with
 * cmap__locked_release when it is done with the shard, so that it can release
 * what it removed after that; what it has not unlocked, the walk does.
 */
struct cmap__visit {
  struct cmap__locked locked;
  /* Entries with lower hashes have been visited, or are not wanted: a shard
     that was merged since then comes twice. */
  uint64_t from;
  uint64_t to;              /* those with higher ones are not wanted */
  struct cmap__ahead ahead; /* of what is visited next */
};

/* The entries of a shard with hashes from `from` to `to`. */
static inline struct cmap__cursor
cmap__cursor_between(const struct cmap__shard *shard, uint64_t from,
                     uint64_t to)
{
  struct cmap__cursor cursor = cmap__cursor_begin(shard->block);

  if (shard->prefix < from)
    cursor.from = from;
  if (to < (shard->prefix | ~shard->mask))
    cursor.to = to;
  return cursor;
}

/* The entries of the shard that the walk has not met yet. */
static inline struct cmap__cursor
cmap__visit_cursor(const struct cmap__visit *visit)
{
  struct cmap__cursor cursor =
      cmap__cursor_between(visit->locked.shard, visit->from, visit->to);

  cursor.ahead = visit->ahead;
  return cursor;
}

/* A part of a map: the hashes from `first` to `last`. */
struct cmap__range {
  uint64_t first;
  uint64_t last;
};

/* Part `part` of `parts`; false if there is none. */
bool cmap__range_part(size_t part, size_t parts, struct cmap__range *range);

static inline void cmap__locked_release(struct cmap__locked *locked)
{
  cmap__table_unlock(locked);
  locked->borrowed = true; /* not ours to unlock any more */
}

typedef enum cmap_status
cmap__visit_shard(struct cmap *map, struct cmap__visit *visit, void *ctx);
enum cmap_status cmap__map_walk(struct cmap *map, enum cmap__mode mode,
                                const struct cmap_how *how,
                                cmap__visit_shard *visit_shard, void *ctx);

/* The same for a part of the map. */
enum cmap_status cmap__map_walk_range(struct cmap *map, enum cmap__mode mode,
                                      const struct cmap__range *range,
                                      const struct cmap_how *how,
                                      cmap__visit_shard *visit_shard,
                                      void *ctx);

#endif
