/*
 * The table: layout, directory and pool of one map, and how a shard is locked.
 */
#ifndef CMAP__TABLE_TABLE_H
#define CMAP__TABLE_TABLE_H

#include "sync/bias.h"
#include "sync/deadlock.h"
#include "table/counts.h"
#include "table/directory.h"
#include "table/pool.h"

/* What may be done to a table (map/freeze.c). */
enum {
  CMAP__TABLE_LIVE,
  CMAP__TABLE_CHANGING, /* is being frozen or thawed: nobody waits to write */
  CMAP__TABLE_FROZEN    /* all shards are locked to read, by nobody */
};

/*
 * In this order: what each locking writes, and what is seldom looked at; what
 * every call reads; what is seldom looked at again, in which a small map's
 * group is the end (map/map.h).
 */
struct cmap__table {
  union {
    struct cmap__shard first; /* the first of the pool's headers */
    unsigned char first_line[CMAP__SHARD_BYTES];
  };
  struct cmap__directory directory;
  struct cmap__layout layout; /* const after create */
  bool copies_values;         /* const: values may be copied out */
  /*
   * Which of the short ways go: an enum cmap__shape, or CMAP__SHAPE_CUSTOM for
   * none. Those that lock are closed while the map is frozen: atomic, written
   * by who freezes or thaws; a late look costs time, no more.
   */
  uint8_t reads;          /* const: reads without a lock */
  _Atomic uint8_t writes; /* writes, where no value owns anything */
  _Atomic uint8_t holds;  /* guards */
  _Atomic unsigned state; /* atomic: one of the above [F1] */
  uint32_t early_shards;  /* const: with fewer, shards split when still small */
  uint32_t contention_shards; /* const: splits for contention stop at so many */
  struct cmap__boxes boxes;
  /* Locks are biased from this moment on, of cmap__now_ns(), and how long they
   * were not before (cmap__table_bias). Atomic, relaxed: guesses. */
  _Atomic uint32_t bias_pause_ns;
  _Atomic uint64_t bias_from_ns;
  struct cmap__table_counts counts;
  struct cmap__pool pool; /* small maps look at it seldom, and write it never */
};

/*
 * Makes an empty table with a layout. `slots` of its first block, or NULL, are
 * the caller's, as cmap__pool_first wants them: they live as long as the table.
 */
enum cmap_status cmap__table_init(struct cmap__table *table,
                                  const struct cmap__layout *layout,
                                  void *slots);

/* Frees all storage; the entries' destructors have run. */
void cmap__table_destroy(struct cmap__table *table);

/* As cmap__pool_bytes and cmap__pool_release, of the pool and the boxes. */
void cmap__table_bytes(struct cmap__table *table, size_t *bytes,
                       size_t *unused);
size_t cmap__table_release(struct cmap__table *table);

/*
 * Around fork, in a thread that has locked all shards to write: in between,
 * nobody changes anything of the table. `alone`: in the child, which has the
 * calling thread only; the shards stay locked.
 */
void cmap__table_stop(struct cmap__table *table);
void cmap__table_go_on(struct cmap__table *table, bool alone);

/* A locked shard. */
struct cmap__locked {
  struct cmap__shard *shard;
  enum cmap__mode mode;
  bool borrowed; /* not to be unlocked: read under a write hold of the calling
                    thread's own, or in a frozen map */
  bool section;  /* it is cmap__self.section */
  int seat;      /* to read, not borrowed: of cmap__read_try */
};

/* How long to wait: what `how` says about it. */
struct cmap__patience {
  bool try_only;
  uint64_t deadline_ns;     /* CMAP__NO_DEADLINE: for ever */
  struct cmap_token *token; /* until it is cancelled; or NULL */
  bool freezes;             /* the caller is the one that freezes the table */
  bool soon;                /* of cmap__lock_wait */
  bool counted; /* a lock to read has no seat: a record is to know of it,
                   or it is a signal handler that tries */
  bool grouped; /* one of several locks of a call, which was asked about
                   cmap__table_bar itself */
};

/* Are all shards locked to read until the caller is done? */
static inline bool cmap__table_is_frozen(const struct cmap__table *table)
{
  return cmap__load_acquire(&table->state) == CMAP__TABLE_FROZEN; /* [F1] */
}

/*
 * Locks the shard that covers `hash`; splits it if it has often been waited
 * for. A read under the thread's own write hold borrows that. CMAP_BUSY,
 * CMAP_TIMEDOUT, CMAP_ECANCELED; CMAP_EDEADLK if waiting would never end;
 * CMAP_EABANDONED if a thread has ended that holds the shard; CMAP_FROZEN.
 */
enum cmap_status cmap__table_lock(struct cmap__table *table, uint64_t hash,
                                  enum cmap__mode mode,
                                  const struct cmap__patience *patience,
                                  struct cmap__locked *locked);

/*
 * Is the lock refused because this thread holds something of the same map
 * (CMAP_STRICT)? Of locks to read only for those that are kept. CMAP_OK,
 * CMAP_EDEADLK, CMAP_BUSY, CMAP_FROZEN.
 */
enum cmap_status cmap__table_bar_slow(const struct cmap__table *table,
                                      enum cmap__mode mode,
                                      const struct cmap__patience *patience);

static inline enum cmap_status
cmap__table_bar(const struct cmap__table *table, enum cmap__mode mode,
                const struct cmap__patience *patience)
{
  return cmap__unlikely(table->layout.strict)
             ? cmap__table_bar_slow(table, mode, patience)
             : CMAP_OK;
}

/*
 * If the user's functions on keys and values may run under the lock (`runs`):
 * notes it for the thread's end. Without memory for that, it is not noted.
 */
static inline void cmap__section_begin(bool runs, struct cmap__locked *locked)
{
  locked->section = cmap__unlikely(runs) && cmap__hold_prepare();
  if (locked->section)
    cmap__self.section = &locked->shard->lock;
}

/* Before the unlock, or when a guard has the lock. */
static inline void cmap__section_end(const struct cmap__locked *locked)
{
  if (cmap__unlikely(locked->section))
    cmap__self.section = NULL;
}

static inline void cmap__table_unlock(const struct cmap__locked *locked)
{
  cmap__section_end(locked);
  if (cmap__unlikely(locked->borrowed))
    return;
  if (locked->mode == CMAP__WRITE)
    cmap__shardlock_write_unlock(&locked->shard->lock);
  else
    cmap__read_end(&locked->shard->lock, locked->seat);
}

/* Others may end the hold, if it is to read. */
static inline void cmap__locked_count(struct cmap__locked *locked)
{
  if (locked->mode == CMAP__READ && !locked->borrowed)
    cmap__read_count(&locked->shard->lock, locked->seat);
  locked->seat = CMAP__READ_COUNTED;
}

/*
 * A shard was locked to read, and found to be the home of what is read. Once in
 * a while that biases its lock: where nearly all that happens to a map under
 * its locks is reads, most locks are biased soon. If writers have to take the
 * bias away again, no lock of the table is biased for a time that is many times
 * what that cost, and twice as long as the last time if that was in vain.
 */
void cmap__table_bias(struct cmap__table *table, struct cmap__shard *shard);

static inline void cmap__table_note_read(struct cmap__table *table,
                                         struct cmap__shard *shard, int seat)
{
  if (cmap__unlikely(seat == 0) &&
      cmap__unlikely(cmap__self.reads_to_bias-- == 0))
    cmap__table_bias(table, shard);
}

/* Takes the bias of a shard's lock away, for a writer. */
void cmap__table_unbias(struct cmap__table *table, struct cmap__shard *shard);

/* One attempt at a shard's lock to write, whatever the lock is like. */
bool cmap__table_try_write(struct cmap__table *table,
                           struct cmap__shard *shard);

/* A hold of the shard that was locked. */
static inline void cmap__locked_hold(const struct cmap__table *table,
                                     const struct cmap__locked *locked,
                                     struct cmap__hold *hold)
{
  struct cmap__shard *shard = locked->shard;

  hold->object = table;
  hold->first = shard->prefix;
  hold->last = shard->prefix | ~shard->mask;
  hold->mode = locked->mode;
  hold->lock = &shard->lock;
}

/* The same in a seat. What is held keeps its range. */
static inline void cmap__seat_show_shard(struct cmap__seats *seats, unsigned i,
                                         const struct cmap__table *table,
                                         const struct cmap__shard *shard)
{
  _Static_assert(offsetof(struct cmap__shard, mask) ==
                     offsetof(struct cmap__shard, prefix) + sizeof(uint64_t),
                 "cmap__seat_show");
  cmap__seat_show(seats, i, table, &shard->prefix);
}

/* User code is about to run under the lock, after a cmap__hold_prepare. NULL:
 * the lock has a seat. */
static inline struct cmap__hold *
cmap__locked_hold_begin(const struct cmap__table *table,
                        const struct cmap__locked *locked)
{
  struct cmap__hold *hold = cmap__hold_next();

  if (locked->seat != 0) {
    cmap__self.seats->calls |= 1u << ((unsigned)locked->seat - 1);
    cmap__seat_show_shard(cmap__self.seats, (unsigned)locked->seat - 1, table,
                          locked->shard);
    return NULL;
  }
  cmap__locked_hold(table, locked, hold);
  cmap__hold_begin(hold);
  return hold;
}

/* It has run, and may have been in sections of its own. */
static inline void cmap__locked_hold_end(const struct cmap__locked *locked,
                                         struct cmap__hold *hold)
{
  if (hold != NULL) {
    cmap__hold_end(hold);
  } else {
    cmap__self.seats->calls &= ~(1u << ((unsigned)locked->seat - 1));
    cmap__seat_hide(cmap__self.seats, (unsigned)locked->seat - 1);
  }
  if (cmap__unlikely(locked->section))
    cmap__self.section = &locked->shard->lock;
}

/* Asks for the lines that a write will need, in a large table. */
CMAP__ALWAYS_INLINE void cmap__table_prefetch(const struct cmap__table *table,
                                              unsigned slot_words,
                                              uint64_t hash)
{
  struct cmap__directory_array *array =
      cmap__directory_current(&table->directory);

  if (array->is_large) {
    const struct cmap__directory_entry *entry = cmap__directory_at(array, hash);
    uintptr_t block = cmap__load_acquire(&entry->block);     /* [D2] */
    cmap__prefetch_write(cmap__load_acquire(&entry->shard)); /* [D2] */
    cmap__prefetch(cmap__block_home_group(block, hash));
    cmap__prefetch_preferred(cmap__block_home_slots(block, hash, slot_words),
                             slot_words, hash);
  }
}

/* A shard has just been locked: if it is the hash's home, it stays so. */
CMAP__ALWAYS_INLINE bool cmap__locked_is_home(struct cmap__table *table,
                                              struct cmap__shard *shard,
                                              uint64_t hash,
                                              enum cmap__mode mode,
                                              struct cmap__locked *locked)
{
  locked->shard = shard;
  locked->mode = mode;
  locked->borrowed = false;
  locked->section = false;
  if (cmap__likely(cmap__shard_covers(shard, hash))) {
    if (mode == CMAP__READ)
      cmap__table_note_read(table, shard, locked->seat);
    return true;
  }
  cmap__table_unlock(locked);
  return false;
}

/* One attempt at what is nearly always the case: free, still the home, and not
 * watched. No section is begun. */
CMAP__ALWAYS_INLINE bool cmap__table_lock_at_once(struct cmap__table *table,
                                                  uint64_t hash,
                                                  enum cmap__mode mode,
                                                  struct cmap__locked *locked)
{
  struct cmap__shard *shard = cmap__directory_shard(&table->directory, hash);

  if (mode == CMAP__WRITE)
    locked->seat = cmap__shardlock_try_write(&shard->lock) ? CMAP__READ_COUNTED
                                                           : CMAP__READ_REFUSED;
  else
    locked->seat = cmap__read_try(&cmap__self, &shard->lock);
  return cmap__likely(locked->seat != CMAP__READ_REFUSED) &&
         cmap__locked_is_home(table, shard, hash, mode, locked);
}

/* The same of any lock, for those who have no other way. */
bool cmap__table_lock_now(struct cmap__table *table, uint64_t hash,
                          enum cmap__mode mode, struct cmap__locked *locked);

/*
 * Lets walks pass over a live shard without entries, until the next insert; and
 * lets them look at it again. The caller holds it exclusively.
 */
void cmap__table_note_empty(struct cmap__table *table,
                            struct cmap__shard *shard);
void cmap__table_note_occupied(struct cmap__table *table,
                               struct cmap__shard *shard);

/*
 * Locks the first shard, from *hash to `last`, that has entries, and moves
 * *hash on to it. Those without, which it comes to, are noted: amortised, it
 * looks at a constant number. One that is borrowed may have none. What
 * cmap__table_lock returns; CMAP_NOT_FOUND: all are empty, and nothing is held.
 */
enum cmap_status cmap__table_lock_next(struct cmap__table *table,
                                       uint64_t *hash, uint64_t last,
                                       enum cmap__mode mode,
                                       const struct cmap__patience *patience,
                                       struct cmap__locked *locked);

/*
 * The first hash behind the shard's range; 0 behind the last shard. The caller
 * holds the shard.
 */
static inline uint64_t cmap__shard_next_hash(const struct cmap__shard *shard)
{
  unsigned depth = cmap__shard_depth(shard);
  return depth == 0 ? 0 : shard->prefix + (UINT64_C(1) << (64 - depth));
}

/*
 * What to ask for while the shard is walked, if the one behind it comes next:
 * that one's block, and at once its header. Nothing in a table that is in the
 * caches, nor if it lies behind the hash `last`. The caller holds the shard.
 */
static inline struct cmap__ahead
cmap__table_ahead(const struct cmap__table *table,
                  const struct cmap__shard *shard, uint64_t last)
{
  struct cmap__directory_array *array =
      cmap__directory_current(&table->directory);
  const struct cmap__directory_entry *entry;
  struct cmap__ahead nothing = {0, 0};
  uint64_t next;

  if (!array->is_large)
    return nothing;
  next = cmap__shard_next_hash(shard);
  if (next == 0 || next > last)
    return nothing;
  entry = cmap__directory_at(array, next);
  cmap__prefetch(cmap__load_acquire(&entry->shard)); /* [D2] */
  return cmap__ahead_begin(&table->layout, shard->block,
                           cmap__load_acquire(&entry->block)); /* [D2] */
}

#endif
