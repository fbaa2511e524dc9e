/*
 * A map, and what all of its operations begin with: a call.
 *
 * A call checks its arguments, prepares the key, locks the key's shard, and
 * looks for the key. Each operation then does its own work on the place and
 * unlocks; what it removed is released after that.
 */
#ifndef CMAP__MAP_MAP_H
#define CMAP__MAP_MAP_H

#include "base/check.h"
#include "cmap.h"
#include "table/aim.h"
#include "table/read.h"
#include "table/shrink.h"
#include "table/value.h"

struct cmap__frozen;

/*
 * Behind a map lies its first block, if that is small (cmap__pool_first_bytes):
 * all that a small map has is one allocation. What comes last of the map shares
 * a cache line with the block's group, and no read or write looks at it.
 */
struct cmap {
  struct cmap__table table;
  /* map/frozen.h; NULL until the first freeze, then const. Atomic, and released
     by the state [F1]. */
  struct cmap__frozen *_Atomic frozen;
  /* Where the next pop begins, while there are no places for parts
     (cmap__grown). */
  _Atomic uint64_t pop;
};

/* The memory of a map with this layout. */
size_t cmap__map_bytes(const struct cmap__layout *layout);

/* Opens the short ways that lock, or closes them. */
void cmap__open_short_ways(struct cmap *map, bool open);

/* Arranges for fork (map/fork.c), when the library is loaded. */
void cmap__fork_watch(void);

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

/* `how` as this library knows it, or that of NULL; false: its size is wrong. */
bool cmap__how_copy(const struct cmap_how *how, struct cmap_how *to);

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

/* May a call with this `how` go a short way, which knows no more of it than
 * these flags? */
CMAP__ALWAYS_INLINE bool cmap__how_is_quick(const struct cmap_how *how)
{
  return how == NULL ||
         (CMAP_CHECK == 0 && how->size == sizeof *how &&
          (how->flags & ~(unsigned)(CMAP_TRY | CMAP_HASHED)) == 0);
}

CMAP__ALWAYS_INLINE const uint64_t *cmap__how_hash(const struct cmap_how *how)
{
  return how != NULL && (how->flags & CMAP_HASHED) != 0 ? &how->hash : NULL;
}

/* Is it a call for the shortest way, of the commonest map? */
CMAP__ALWAYS_INLINE bool cmap__is_word_call(const struct cmap *map,
                                            struct cmap_key key,
                                            const struct cmap_how *how)
{
  /* The load in the middle keeps the compiler from computing two conditions
   * and branching once, which takes longer. */
  return cmap__likely(map != NULL) && cmap__likely(how == NULL) &&
         cmap__likely(key.size == sizeof(uint64_t)) &&
         cmap__likely(cmap__load_relaxed(&map->table.writes) ==
                      CMAP__SHAPE_WORD) &&
         cmap__likely(key.data != NULL);
}

/*
 * After a CMAP__GAP: is the key absent, for a call that has nothing to do then?
 * False: the lock tells; and it tells a thread with a hold that it waits for
 * itself.
 */
CMAP__ALWAYS_INLINE bool cmap__is_surely_absent(const struct cmap *map,
                                                const struct cmap__aim *aim,
                                                uint64_t hash)
{
  return cmap__likely(!cmap__hold_any()) &&
         cmap__aim_is_absent(&map->table, aim, hash);
}

/*
 * After a CMAP__FAR: goes on as a call, with the shard that is locked to write,
 * and looks for the key, unless it is known to be absent: call->found. The key
 * fits the map, and the shard is that of `hash`, its hash: user code that
 * hashes does not run under a lock, and cannot say something else now. The
 * call's patience is not set: it has its lock.
 */
void cmap__call_resume(struct cmap *map, struct cmap_key key, uint64_t hash,
                       struct cmap__shard *shard, bool absent,
                       struct cmap__call *call);

static inline void cmap__call_unlock(const struct cmap__call *call)
{
  cmap__table_unlock(&call->locked);
}

/*
 * Reads the key without a lock where the map and the key allow it: CMAP_OK with
 * the value copied out (NULL: not), or CMAP_NOT_FOUND. CMAP_BUSY: it takes the
 * lock to know. Without CMAP_OK anything may be in `value`.
 */
enum cmap_status cmap__call_read(struct cmap *map,
                                 const struct cmap__call *call, void *value);

/*
 * A hit of a call that would insert, read if possible. CMAP_OK with the value
 * copied out (NULL: not); CMAP_NOT_FOUND: take the lock to write; or why it
 * cannot be read.
 */
enum cmap_status cmap__call_read_hit(struct cmap *map, struct cmap__call *call,
                                     void *value);

/* The same on a frozen map with owned values: a hit consumes *value. */
enum cmap_status cmap__call_frozen_hit(struct cmap *map,
                                       struct cmap__call *call, void *value);

/* The key is present and its shard is locked: copies the value (NULL: not), and
 * unlocks. */
enum cmap_status cmap__call_copy_present(struct cmap *map,
                                         struct cmap__call *call, void *value);

/* For an absent key, under the write lock: finds it a slot, call->place, which
 * may replace the shard. CMAP_ENOMEM. */
enum cmap_status cmap__call_find_slot(struct cmap *map,
                                      struct cmap__call *call);

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
static inline struct cmap__hold *
cmap__call_open_for_user(const struct cmap *map, const struct cmap__call *call)
{
  (void)cmap__seq_open_for_user(&call->place.group->hi);
  return cmap__locked_hold_begin(&map->table, &call->locked);
}

static inline void cmap__call_close_for_user(const struct cmap__call *call,
                                             struct cmap__hold *hold)
{
  _Atomic uint64_t *hi = &call->place.group->hi;

  cmap__locked_hold_end(&call->locked, hold);
  cmap__seq_close(hi, cmap__load_relaxed(hi)); /* we hold the lock */
}

/* Do the value in place and *expected equal each other? The lock is held. */
bool cmap__call_value_equals(const struct cmap *map, struct cmap__call *call,
                             const void *expected);

/* Would a call that copies a value to `out` have to copy the uncopyable? */
static inline bool cmap__cannot_copy(const struct cmap *map, const void *out)
{
  return out != NULL && !map->table.copies_values;
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
  return CMAP__WRONG(value == NULL && map->table.layout.value_size > 0,
                     "value is NULL");
}

/*
 * Calls visit_shard for every shard that has entries, in hash order, each
 * locked in `mode`: a status ends the walk and is returned. visit_shard unlocks
 * with cmap__locked_release when it is done with the shard, so that it can
 * release what it removed after that; what it has not unlocked, the walk does.
 */
struct cmap__visit {
  struct cmap__locked locked;
  /* Entries with lower hashes have been visited, or are not wanted: a shard
     that was merged since then comes twice. */
  uint64_t from;
  uint64_t to;              /* those with higher ones are not wanted */
  struct cmap__ahead ahead; /* of what is visited next */
};

/* The entries of a shard with hashes from `from` to `to`. The groups of one
 * that was emptied are not looked at. */
static inline struct cmap__cursor
cmap__cursor_between(const struct cmap__shard *shard, uint64_t from,
                     uint64_t to)
{
  bool has_any = cmap__shard_count(shard) > 0;
  struct cmap__cursor cursor =
      cmap__cursor_begin(has_any ? shard->block : cmap__block_none());

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

/*
 * The end of an entry that was taken out: its value is take's own, which is
 * called with the copy of its slot, and its key ends after that. NULL: both
 * are destroyed. take's status. No lock is held for it.
 */
enum cmap_status cmap__entry_give(const struct cmap__layout *layout,
                                  uint64_t *words, cmap_value_fn *take,
                                  void *ctx);

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
