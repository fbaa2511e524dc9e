/*
 * A key that is held: what is behind a guard, an entry, and each key of a
 * multi-key hold.
 *
 * The user's struct has only the address of this record and its serial. All
 * else is here, so that the user may copy his struct, release it twice, or
 * leave it to a thread that ends.
 *
 * Invariants
 *   1. Nothing replaces a shard while a key in it is held: values do not move.
 *   2. A vacant key that is held has its stored key (`key`), its box if values
 *      are boxed, and a free slot in its shard: storing it cannot fail.
 *   3. The group of every occupied key that is held to be written is busy, from
 *      the grant until the release, also if the entry was removed meanwhile.
 *      So readers see all that was changed under a hold, or nothing of it.
 *   4. What is removed or replaced is released after the locks.
 */
#ifndef CMAP__MAP_HELD_H
#define CMAP__MAP_HELD_H

#include "map/frozen.h"
#include "map/seat.h"

struct cmap__multi; /* map/multi.h */

enum cmap__corpse_kind {
  CMAP__CORPSE_VALUE, /* the bytes of a value */
  CMAP__CORPSE_KEY,   /* key words */
  CMAP__CORPSE_ENTRY, /* the words of a slot */
  CMAP__CORPSE_SHELL  /* the same, its value was moved out */
};

/* Something to be released after the lock. */
struct cmap__corpse {
  struct cmap__corpse *next;
  size_t size; /* of the allocation */
  enum cmap__corpse_kind kind;
  CMAP__ALIGNED(CMAP__ALIGN_MAX) uint64_t words[];
};

struct cmap__held {
  struct cmap__record record; /* first: of the lock, unless it follows */
  struct cmap *map;
  struct cmap__locked locked;
  struct cmap__place place;   /* of the entry, if occupied */
  struct cmap__multi *multi;  /* NULL: held by itself */
  struct cmap__group *opened; /* made busy by this hold, or NULL */
  struct cmap__corpse *corpses;
  struct cmap__box box; /* for the value of a vacant key; NULL: none */
  uint64_t hash;
  enum cmap_status error; /* of and_modify, not told yet */
  bool occupied;
  bool has_key; /* `key` is an own stored key */
  bool sweep;   /* more groups were made busy than `opened` */
  bool follows; /* of several: another one has the lock of its shard */
  struct cmap__key_image key;
};

_Static_assert(sizeof(struct cmap__held) <= CMAP__RECORD_BYTES,
               "a record has room for it");

/* Which record, of the calling thread, is behind a user's struct? NULL: it
 * holds nothing (any more). */
static inline struct cmap__held *cmap__held_of(const uintptr_t internal[2])
{
  struct cmap__held *held = (struct cmap__held *)internal[0];

  if (cmap__unlikely(held == NULL || cmap__is_seat_name(internal) ||
                     !cmap__record_is_mine(&held->record) ||
                     cmap__load_relaxed(&held->record.serial) != internal[1]))
    return NULL;
  return held;
}

/* Does it hold something for another thread? Only that one can release it. */
static inline bool cmap__held_is_foreign(const uintptr_t internal[2])
{
  const struct cmap__held *held = (const struct cmap__held *)internal[0];
  const void *owner;

  if (cmap__is_seat_name(internal))
    return cmap__seat_is_foreign(internal);
  owner = held == NULL ? NULL : cmap__load_relaxed(&held->record.owner);
  return owner != NULL && owner != cmap__thread_mark() &&
         cmap__load_relaxed(&held->record.serial) == internal[1];
}

/*
 * What is behind a user's struct that is not the calling thread's? CMAP_OK:
 * *held is NULL, there is nothing (any more); or it was nobody's, and is this
 * thread's now. CMAP_EINVAL: it holds something for another thread.
 */
enum cmap_status cmap__held_claim(const uintptr_t internal[2],
                                  struct cmap__held **held);

static inline void cmap__held_name(const struct cmap__held *held,
                                   uintptr_t internal[2])
{
  internal[0] = (uintptr_t)held;
  internal[1] = cmap__load_relaxed(&held->record.serial);
}

static inline const struct cmap__layout *
cmap__held_layout(const struct cmap__held *held)
{
  return &held->map->table.layout;
}

/* A record for one key; NULL: out of memory. */
static inline struct cmap__held *cmap__held_take(void)
{
  return (struct cmap__held *)cmap__record_take();
}

/* Gives back a record that was not used. */
static inline void cmap__held_give(struct cmap__held *held)
{
  cmap__record_give(&held->record);
}

/* What every hold begins with. */
static inline void cmap__held_clear(struct cmap__held *held)
{
  held->multi = NULL;
  held->opened = NULL;
  held->corpses = NULL;
  held->box.data = NULL;
  held->error = CMAP_OK;
  held->has_key = held->sweep = held->follows = false;
}

/*
 * Fills the record after the call has locked the shard and looked for the key;
 * the hold is not linked yet.
 */
static inline void cmap__held_fill(struct cmap__held *held, struct cmap *map,
                                   const struct cmap__call *call)
{
  held->map = map;
  held->locked = call->locked;
  held->hash = call->probe.hash;
  held->occupied = call->found;
  if (call->found)
    held->place = call->place;
  cmap__held_clear(held);
}

/* Notes that this thread holds the shard. */
static inline void cmap__held_link(struct cmap__held *held)
{
  if (CMAP_DETECT) {
    cmap__locked_hold(&held->map->table, &held->locked, &held->record.hold);
    cmap__guard_link(&held->record.hold);
  }
  cmap__section_end(&held->locked);
  held->locked.section = false;
}

/* Makes a group busy for user code until the release. */
static inline void cmap__held_open(struct cmap__held *held,
                                   struct cmap__group *group)
{
  /* Relaxed: we hold the lock. If busy, it is by this hold or its like. */
  if (!cmap__seq_is_stable(cmap__load_relaxed(&group->hi)))
    return;
  (void)cmap__seq_open_for_user(&group->hi);
  if (held->opened == NULL)
    held->opened = group;
  else
    held->sweep = true;
}

/* Fills and links the hold of a key that was hit, of a lock without a seat. */
CMAP__ALWAYS_INLINE void cmap__held_aimed(struct cmap *map,
                                          struct cmap__held *held,
                                          const struct cmap__aim *aim,
                                          uint64_t hash, enum cmap__mode mode)
{
  held->map = map;
  held->locked.shard = aim->shard;
  held->locked.mode = mode;
  held->locked.borrowed = false;
  held->locked.section = false;
  held->locked.seat = 0;
  held->hash = hash;
  held->occupied = true;
  held->place.group = aim->group; /* the tag is for free slots */
  held->place.slot = aim->slot;
  held->place.index = aim->index;
  cmap__held_clear(held);
  cmap__held_link(held);
  if (mode == CMAP__READ) {
    cmap__table_note_read(&map->table, aim->shard, 0);
  } else {
    (void)cmap__seq_open_for_user(&aim->group->hi);
    held->opened = aim->group;
  }
}

/*
 * The short way: takes and links a hold of a present key if all goes as it
 * nearly always does, shows key and value, and names it for the user's struct.
 * Of a hold to read that has a seat, that is all. False: nothing is held, and
 * the caller begins anew with a call.
 */
CMAP__ALWAYS_INLINE bool
cmap__held_as(struct cmap *map, enum cmap__shape shape, struct cmap_key key,
              const struct cmap_how *how, enum cmap__mode mode,
              struct cmap_key *stored, void **value, uintptr_t internal[2])
{
  const struct cmap__layout *layout = &map->table.layout;
  struct cmap__holder *self = &cmap__self;
  struct cmap__held *held = (struct cmap__held *)self->free;
  struct cmap__probe probe;
  struct cmap__aim aim;
  enum cmap__hit hit;

  if (cmap__unlikely(held == NULL) ||
      cmap__unlikely(
          !cmap__probe_fill(layout, shape, key, cmap__how_hash(how), &probe)))
    return false;
  hit = cmap__aim_hit(&map->table, shape, &probe, mode, self, &aim);
  if (cmap__unlikely(hit != CMAP__HIT)) {
    if (hit == CMAP__FAR)
      cmap__aim_unlock(&aim, mode);
    return false;
  }
  if (mode == CMAP__READ && cmap__likely(aim.seat != 0)) {
    cmap__seat_take(self->seats, (unsigned)aim.seat - 1, &map->table, aim.shard,
                    internal);
  } else {
    self->free = held->record.hold.outer;
    cmap__held_aimed(map, held, &aim, probe.hash, mode);
    cmap__held_name(held, internal);
  }
  if (shape == CMAP__SHAPE_WORD) {
    *stored = cmap_key_u64(cmap__payload_plain(aim.slot));
    *value = cmap__payload_plain(aim.slot + 1);
  } else {
    *stored = cmap__slot_key(layout, aim.slot);
    *value = cmap__slot_value(layout, aim.slot);
  }
  return true;
}

/* The same of whatever shape the map has. */
bool cmap__held_other(struct cmap *map, struct cmap_key key,
                      const struct cmap_how *how, enum cmap__mode mode,
                      struct cmap_key *stored, void **value,
                      uintptr_t internal[2]);

CMAP__ALWAYS_INLINE bool
cmap__held_at_once(struct cmap *map, struct cmap_key key,
                   const struct cmap_how *how, enum cmap__mode mode,
                   struct cmap_key *stored, void **value, uintptr_t internal[2])
{
  /* The load in the middle: as in cmap__is_word_call. */
  return cmap__likely(map != NULL) && cmap__likely(how == NULL) &&
                 cmap__likely(key.size == sizeof(uint64_t)) &&
                 cmap__likely(cmap__load_relaxed(&map->table.holds) ==
                              CMAP__SHAPE_WORD)
             ? cmap__held_as(map, CMAP__SHAPE_WORD, key, NULL, mode, stored,
                             value, internal)
             : cmap__held_other(map, key, how, mode, stored, value, internal);
}

/* The value in place; NULL if vacant. */
static inline void *cmap__held_value(const struct cmap__held *held)
{
  return held->occupied
             ? cmap__slot_value(cmap__held_layout(held), held->place.slot)
             : NULL;
}

/* The stored key, of an entry or to be stored. */
struct cmap_key cmap__held_key(struct cmap__held *held);

/* Is the probe's key the one that is held? */
bool cmap__held_is_key(const struct cmap__held *held,
                       const struct cmap__probe *probe);

/* Gets the box for a vacant key, if values are boxed. CMAP_ENOMEM */
enum cmap_status cmap__held_make_box(struct cmap__held *held);

/* Finds a vacant key its slot, in place. */
void cmap__held_settle(struct cmap__held *held);

/* Stores a vacant key with a value's bytes. */
void cmap__held_put(struct cmap__held *held, const void *value);

/* Replaces the value of an occupied key; the old one goes to `old`, or is
 * destroyed after the release. CMAP_ENOMEM */
enum cmap_status cmap__held_replace(struct cmap__held *held, const void *value,
                                    void *old);

/* Removes an occupied key; the same. It is held as a vacant one then. */
enum cmap_status cmap__held_remove(struct cmap__held *held, void *old);

/* Removes an occupied key, which is not held any more then; the same. */
enum cmap_status cmap__held_discard(struct cmap__held *held, void *old);

/* Replaces value and stored key; `probe` is an equal key. CMAP_ENOMEM, or
 * key_copy's status: nothing is changed. */
enum cmap_status cmap__held_replace_entry(struct cmap__held *held,
                                          const struct cmap__probe *probe,
                                          const void *value, void *old);

/* Ends a read hold: of the shard's lock, or of a frozen map. */
static inline void cmap__held_read_unlock(const struct cmap__held *held)
{
  if (cmap__unlikely(held->locked.borrowed))
    cmap__frozen_leave(held->map, &held->record);
  else
    cmap__shardlock_read_unlock(&held->locked.shard->lock);
}

/* The three steps of a release. */
void cmap__held_close(struct cmap__held *held); /* groups become stable */
static inline void cmap__held_unlock(struct cmap__held *held)
{
  cmap__guard_unlink(&held->record.hold);
  if (held->locked.mode == CMAP__WRITE)
    cmap__unlock_after_removal(&held->map->table, held->locked.shard);
  else
    cmap__held_read_unlock(held);
}
void cmap__held_bury(struct cmap__held *held); /* what was removed, without
                                                  the lock */

/* Ends the hold of a key that is held by itself. */
void cmap__held_release(struct cmap__held *held);

#endif
