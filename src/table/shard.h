/*
 * A shard: the part of a map that one reader/writer lock protects.
 *
 * Its header, one cache line, belongs for the life of the map to the memory of
 * one block of 2^g groups with their slots, or to none (an empty shard). In
 * each life it uses a block of that size, or a smaller one that is part of it:
 * the same slots, with the groups next to them. Headers are never freed before
 * the map: a late thread may take the lock of a header that is dead, free or in
 * use for another part of the hash space, finds out by cmap__shard_covers, and
 * lets go.
 *
 * The life of a header:
 *
 *   free   in the pool. Not live; its groups are busy (even counts).
 *   filled its lock is held exclusively by the thread that took it; the groups
 *          are still busy, no directory names it.
 *   live   in the directory; it covers the hashes with its prefix.
 *   dead   replaced: not live any more, its groups busy again; goes back to
 *          the pool.
 *
 * Invariants
 *   1. A live shard holds every entry of its prefix, and no other.
 *   2. count <= slots; when it reaches `limit`, the next insert makes room.
 *   3. A key is in the first group of its probe that had a free slot when it
 *      came; all groups before it have its overflow bit.
 *   4. A header that is not live covers no hash.
 *   5. A shard that walks pass over (table/occupied.h) has no entries, and its
 *      limit is 0.
 *   6. Under a header's lock, a group of its block that is stable says that the
 *      header is live: an old block's groups are closed before its lock is
 *      released, a new one's become stable under its lock.
 */
#ifndef CMAP__TABLE_SHARD_H
#define CMAP__TABLE_SHARD_H

#include "sync/shardlock.h"
#include "table/block.h"
#include "table/chunk.h"
#include "table/key.h"

struct cmap__shard {
  struct cmap__shardlock lock;
  _Atomic uint32_t waiters;  /* atomic: see CMAP__ONE_PARKED */
  uint64_t prefix;           /* under lock: top bits of the hashes it holds */
  uint64_t mask;             /* under lock: which bits those are */
  uintptr_t block;           /* under lock, of its memory: see below */
  _Atomic uint32_t inserted; /* atomic, written under write lock; wraps [N1] */
  _Atomic uint32_t removed;  /* the same; inserted - removed is the count */
  union {
    struct {               /* of a live or filled shard */
      uint32_t limit;      /* under lock: entries before it makes room */
      uint32_t rebuilt_at; /* under lock: `removed` when its block was new */
    };
    struct cmap__shard *next_free; /* of a free one: under the pool's mutex */
  };
  uintptr_t home; /* const: what memory it has, see below; 0: none */
  union {
    uint32_t high; /* of a free one: under the pool's mutex, or owner thread:
                      see CMAP__GIVEN_BACK; 0: nothing of that */
    uint32_t kept_limit; /* of a live one, under lock: 1 more than its limit
                            was, while walks pass over it; else 0 */
  };
  uint32_t floor; /* under lock: with fewer entries a removal shrinks it */
};

/*
 * The bytes of a header, which begins a cache line where it is allocated. The
 * type does not say so: a table, which has one, would be padded to whole lines.
 */
#define CMAP__SHARD_BYTES ((size_t)CMAP__CACHE_LINE)

_Static_assert(sizeof(struct cmap__shard) <= CMAP__SHARD_BYTES,
               "a shard's header is one cache line");

/*
 * A header's memory: the address of the chunk's record that it was cut from,
 * and in the low bits log2 of the groups that it is for.
 */
#define CMAP__HOME_BITS ((uintptr_t)(CMAP__CHUNK_ALIGN - 1))

static inline uintptr_t cmap__home_word(struct cmap__chunk *chunk, unsigned g)
{
  return (uintptr_t)chunk | g;
}

static inline struct cmap__chunk *cmap__home_chunk(uintptr_t home)
{
  return (struct cmap__chunk *)(home & ~CMAP__HOME_BITS);
}

static inline unsigned cmap__home_log2(uintptr_t home)
{
  return (unsigned)(home & CMAP__HOME_BITS);
}

/*
 * The pages of a free block may have been given back to the system, and read as
 * zero since then. Its counts go on from `high` in its next life: the highest
 * that they had, which is even, with this bit.
 */
#define CMAP__GIVEN_BACK 1u

/* Of a header that is not live: no hash has prefix 1 under mask 0. */
#define CMAP__DEAD_PREFIX 1
#define CMAP__DEAD_MASK   0

/*
 * The waiters of a shard. From this bit on: threads that sleep, or are about
 * to, until they have its lock. A free header with any is not taken: the word
 * of its lock could be what they expect, for other reasons, and they would
 * sleep on, in another life of it. Whoever comes too late for the header's end
 * finds that in the directory: it counts itself and then looks there [W1], and
 * who takes a header looks at the count after that header has left the
 * directory [W1]; one of the two sees the other.
 *
 * Below, in 4 bits each, statistics: lockings that had to wait, by the bit of
 * the hash that a split would part them by; no more than CMAP__WAITS_MOST.
 */
#define CMAP__ONE_PARKED UINT32_C(0x100)
#define CMAP__WAITS      UINT32_C(0x0ff)
#define CMAP__WAITS_MOST 4

/* The largest block of a header that has memory, and where that begins. */
static inline uintptr_t cmap__shard_whole_block(const struct cmap__shard *shard)
{
  return cmap__block_word((uintptr_t)cmap__block_slots(shard->block),
                          cmap__home_log2(shard->home));
}

static inline char *cmap__shard_memory(const struct cmap__shard *shard)
{
  return (char *)cmap__block_begin(cmap__shard_whole_block(shard));
}

/* The slot of its group that a key prefers, for its cache line. */
static inline unsigned cmap__preferred_slot(uint64_t hash)
{
  return (cmap__hash_position(hash) * CMAP__GROUP_SLOTS) >> 5;
}

/*
 * Of the empty slots of a group (at least one; `slots` is its first), one that
 * begins in the cache line of the slot that the hash prefers, because that is
 * the line a reader asks for early; else the first. No branch: it would be
 * guessed wrong as often as not. `inverse`: layout->slot_inverse.
 */
CMAP__ALWAYS_INLINE unsigned cmap__choose_slot(size_t words, uint32_t inverse,
                                               const _Atomic uint64_t *slots,
                                               unsigned empty, uint64_t hash)
{
  const unsigned line_words = CMAP__CACHE_LINE / 8;
  unsigned want = cmap__preferred_slot(hash);
  unsigned near;

  if (words <= 2) {
    /* Whole slots in a line: its slots as a mask that begins with those of the
     * line before the group's first. */
    const unsigned n = line_words >> (words - 1);
    unsigned before = (unsigned)((uintptr_t)slots / 8 >> (words - 1)) & (n - 1);

    near = ((1u << n) - 1) << ((want + before) & ~(n - 1)) >> before;
  } else {
    /* The line's first word, and how many slots begin before it and before its
     * end. */
    unsigned before = (unsigned)((uintptr_t)slots / 8) & (line_words - 1);
    unsigned line = (before + want * (unsigned)words) & ~(line_words - 1);
    unsigned last = line + line_words - 1 - before;
    unsigned end = (last * inverse >> CMAP__INVERSE_BITS) + 1;
    unsigned begin = ((last - line_words) * inverse >> CMAP__INVERSE_BITS) + 1;

    begin &= 0u - (line != 0);
    near = (1u << end) - (1u << begin);
  }
  near &= empty;
  return (unsigned)__builtin_ctz(near != 0 ? near : empty);
}

/* Asks for a hash's preferred slot; `slots` are its group's. A slot of more
 * than two words may lie in two lines. */
CMAP__ALWAYS_INLINE void cmap__prefetch_preferred(const _Atomic uint64_t *slots,
                                                  size_t slot_words,
                                                  uint64_t hash)
{
  const char *begin = (const char *)(uintptr_t)slots;

  if (slot_words <= 2) {
    cmap__prefetch(begin + cmap__hash_position(hash) * CMAP__GROUP_SLOTS *
                               slot_words * sizeof(uint64_t) / 32);
  } else {
    begin += cmap__preferred_slot(hash) * slot_words * sizeof(uint64_t);
    cmap__prefetch(begin);
    cmap__prefetch(begin + (slot_words - 1) * sizeof(uint64_t));
  }
}

static inline bool cmap__shard_is_awaited(const struct cmap__shard *shard)
{
  return cmap__load_acquire(&shard->waiters) >= CMAP__ONE_PARKED; /* [W1] */
}

/* The waits of one side; relaxed: a statistic. */
static inline unsigned cmap__shard_waits(const struct cmap__shard *shard,
                                         unsigned side)
{
  return cmap__load_relaxed(&shard->waiters) >> 4 * side & 15;
}

/* The caller holds the shard exclusively, so that none is counted meanwhile. */
static inline void cmap__shard_forget_waits(struct cmap__shard *shard)
{
  (void)cmap__sub_relaxed(&shard->waiters,
                          cmap__load_relaxed(&shard->waiters) & CMAP__WAITS);
}

/* Is this shard, whose lock the caller holds, live and the home of hash? */
static inline bool cmap__shard_covers(const struct cmap__shard *shard,
                                      uint64_t hash)
{
  return (hash & shard->mask) == shard->prefix;
}

/* The number of leading bits that all its hashes share. */
static inline unsigned cmap__shard_depth(const struct cmap__shard *shard)
{
  return shard->mask == 0 ? 0 : 64 - (unsigned)__builtin_ctzll(shard->mask);
}

static inline uint64_t cmap__depth_mask(unsigned depth)
{
  return depth == 0 ? 0 : ~UINT64_C(0) << (64 - depth);
}

/* The number of entries. The caller holds the lock. */
static inline uint32_t cmap__shard_count(const struct cmap__shard *shard)
{
  /* Relaxed: whoever wrote them has released the lock. */
  return cmap__load_relaxed(&shard->inserted) -
         cmap__load_relaxed(&shard->removed);
}

/* A place in a shard that the caller has locked. */
struct cmap__place {
  struct cmap__group *group;
  _Atomic uint64_t *slot;
  unsigned index;  /* of the slot in its group */
  unsigned tag;    /* of the key, for a free slot */
  unsigned probes; /* groups visited on the way */
};

/* The tag of its slot. */
static inline unsigned cmap__place_tag(const struct cmap__place *place)
{
  /* Relaxed: the lock is held. */
  return cmap__group_tag(cmap__load_relaxed(&place->group->lo),
                         cmap__load_relaxed(&place->group->hi), place->index);
}

/*
 * Looks for the key. The caller holds the lock in either mode. If it is not
 * found, only place->probes is written.
 */
bool cmap__shard_find(const struct cmap__layout *layout,
                      const struct cmap__shard *shard,
                      const struct cmap__probe *probe,
                      struct cmap__place *place);

/* The same for the entry whose value is that one word, and whose key has the
 * hash. */
bool cmap__shard_find_word(const struct cmap__layout *layout,
                           const struct cmap__shard *shard, uint64_t hash,
                           uint64_t word, struct cmap__place *place);

/*
 * A free slot for an absent key. The caller holds the write lock. False if
 * the block is full. Sets the overflow bits on the way: harmless if nothing is
 * stored then.
 */
bool cmap__shard_vacancy(const struct cmap__layout *layout,
                         struct cmap__shard *shard, uint64_t hash,
                         struct cmap__place *place);

/*
 * Stores key and value words into a vacant place of a live shard and shows
 * them to readers. value_words are layout->value_words words. `open`: the
 * caller has opened a section on the group, and closes it.
 */
void cmap__shard_put(const struct cmap__layout *layout,
                     struct cmap__shard *shard, const struct cmap__place *place,
                     bool open, const struct cmap__key_image *key,
                     const uint64_t *value);

/*
 * The same, closed, of a key that lies inline and the bytes of a value that
 * does: `hi` is the group's word, `index` the slot, vacant, of the group.
 */
CMAP__ALWAYS_INLINE void
cmap__shard_put_inline(const struct cmap__layout *layout,
                       enum cmap__shape shape, struct cmap__shard *shard,
                       struct cmap__group *group, uint64_t hi,
                       _Atomic uint64_t *slot, unsigned index,
                       const struct cmap__probe *probe, const void *value)
{
  const struct cmap__form form = cmap__form_of(layout, shape);

  cmap__group_open(group, hi);
  /* Before the stores that show the key, as in cmap__shard_put. */
  cmap__store_release(&shard->inserted, /* [N1] */
                      cmap__load_relaxed(&shard->inserted) + 1);
  cmap__key_store(&form, probe, slot);
  cmap__value_store(layout, &form, shape, slot, value);
  cmap__group_close(group, hi, index, cmap__hash_tag(probe->hash));
}

/*
 * Takes an entry out, copying its slot words to `words`. Write lock. `open`:
 * the caller has opened a section on the group, and closes it.
 */
void cmap__shard_take(const struct cmap__layout *layout,
                      struct cmap__shard *shard,
                      const struct cmap__place *place, bool open,
                      uint64_t *words);

/* Takes all entries out of a shard that own nothing. Write lock. */
void cmap__shard_wipe(struct cmap__shard *shard);

/*
 * Copies an entry's slot into a block that is being filled (counts even). The
 * caller owns the block. False: there is no room, and nothing is done.
 */
bool cmap__block_fill(const struct cmap__layout *layout, uintptr_t block,
                      const _Atomic uint64_t *slot, uint64_t hash);

/*
 * Clears the overflow bits that no entry of a live block needs, and moves
 * entries whose own group has room for them by now there: no longer probes than
 * a new block with these entries has. All groups are one section of a write.
 * The write lock is held, and no place in the block is used on.
 */
void cmap__block_rehome(const struct cmap__layout *layout, uintptr_t block);

/* Makes a block's groups busy, or stable again. The write lock is held. */
void cmap__block_close(uintptr_t block);
void cmap__block_publish(uintptr_t block);

/*
 * The first invariant that does not hold in a shard, live or filled, that is
 * held; NULL: all do. Walks all of it.
 */
const char *cmap__shard_broken(const struct cmap__layout *layout,
                               const struct cmap__shard *shard);

/* The same of a live shard that nobody writes to, and of a free one. */
const char *cmap__live_shard_broken(const struct cmap__shard *shard);
const char *cmap__free_shard_broken(const struct cmap__shard *shard);

/* How many groups a search for the hash goes through until it comes to this
 * one; 0: it ends before. The shard is held. */
size_t cmap__shard_probe(const struct cmap__shard *shard, uint64_t hash,
                         const struct cmap__group *group);

/*
 * The block behind the one that is walked, asked for on the way. Blocks lie
 * anywhere, so that without it each of their pages begins with a wait; all
 * lines at once would be more than can be under way (docs/design.md).
 */
struct cmap__ahead {
  uintptr_t line; /* comes next */
  size_t step;    /* bytes for each group that is walked: whole lines, so that
                     some behind the block are asked for, too */
};

/* The lines that are asked for at once, at most. */
#define CMAP__AHEAD_LINES 16

/* To ask for the block `next` while `block` is walked. */
static inline struct cmap__ahead
cmap__ahead_begin(const struct cmap__layout *layout, uintptr_t block,
                  uintptr_t next)
{
  struct cmap__ahead ahead = {0, 0};
  size_t lines;

  if (cmap__block_is_empty(next))
    return ahead;
  lines = cmap__layout_block_bytes(layout, cmap__block_log2(next)) /
          CMAP__CACHE_LINE;
  lines = (lines + cmap__block_mask(block)) >> cmap__block_log2(block);
  ahead.line = cmap__block_begin(next);
  ahead.step = CMAP__CACHE_LINE *
               (lines < CMAP__AHEAD_LINES ? lines : CMAP__AHEAD_LINES);
  return ahead;
}

/* For each group that is walked. */
CMAP__ALWAYS_INLINE void cmap__ahead_step(struct cmap__ahead *ahead)
{
  uintptr_t end = ahead->line + ahead->step;

  for (; ahead->line < end; ahead->line += CMAP__CACHE_LINE)
    cmap__prefetch_far((const void *)ahead->line);
}

/* Walks the entries of a block whose shard the caller holds. */
struct cmap__cursor {
  uintptr_t block;
  uint64_t from; /* entries with lower hashes are passed over, */
  uint64_t to;   /* and those with higher ones than this */
  struct cmap__ahead ahead;
  size_t at;                 /* the group's number */
  struct cmap__group *group; /* if it has slots left */
  _Atomic uint64_t *slots;   /* the first of them */
  unsigned left;             /* its occupied slots not yet met */
};

static inline struct cmap__cursor cmap__cursor_begin(uintptr_t block)
{
  struct cmap__cursor cursor = {
      .block = block, .to = UINT64_MAX, .at = (size_t)-1};
  return cursor;
}

/* To the next group that has entries; false at the end. */
bool cmap__cursor_next_group(const struct cmap__layout *layout,
                             struct cmap__cursor *cursor);

/* Is the entry one that is to be met? */
static inline bool cmap__cursor_wants(const struct cmap__layout *layout,
                                      const struct cmap__cursor *cursor,
                                      const _Atomic uint64_t *slot)
{
  uint64_t hash;

  if (cmap__likely(cursor->from == 0 && cursor->to == UINT64_MAX))
    return true;
  hash = cmap__slot_hash(layout, slot);
  return cursor->from <= hash && hash <= cursor->to;
}

/*
 * The next entry; false at the end. Entries may be taken on the way. The
 * place's tag is not looked up, and is 0.
 */
CMAP__ALWAYS_INLINE bool cmap__cursor_next(const struct cmap__layout *layout,
                                           struct cmap__cursor *cursor,
                                           struct cmap__place *place)
{
  do {
    if (cursor->left == 0 && !cmap__cursor_next_group(layout, cursor))
      return false;
    place->group = cursor->group;
    place->index = (unsigned)__builtin_ctz(cursor->left);
    place->slot = cursor->slots + place->index * layout->slot_words;
    place->tag = 0;
    place->probes = 0;
    cursor->left &= cursor->left - 1;
  } while (!cmap__cursor_wants(layout, cursor, place->slot));
  return true;
}

#endif
