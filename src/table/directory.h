/*
 * The directory: from the top bits of a hash to its shard (extendible hashing).
 *
 * An array of 2^D entries, indexed by the top D bits. A shard of depth d <= D
 * is named by 2^(D-d) neighbouring entries. An entry holds the shard's block
 * word, which is all that a lock-free reader needs, and its header, which is
 * all that a locker needs; the two are not read together.
 *
 * Invariants
 *   1. For every hash, the current array names the one live shard that covers
 *      it, or, while that shard is being replaced, its predecessor, whose
 *      groups are busy and whose lock is held.
 *   2. Entries are changed only under the mutex, by the thread that holds the
 *      old and the new shards exclusively.
 *   3. There is at most one array per depth. It is kept until destroy: a late
 *      reader may still index it. It is filled before it becomes current, also
 *      when it is used again.
 *   4. A large array is filled in steps of CMAP__DIRECTORY_STEP entries, each
 *      under the mutex, so that neither a call nor those that wait for it take
 *      longer for a larger map. Each announcement does a step of an array that
 *      has been begun. The entries that are filled follow all changes.
 *
 * Concurrency: readers load `current` and the entry (acquire); a change of an
 * entry ([D2]) or of the array ([D1]) is a release store.
 */
#ifndef CMAP__TABLE_DIRECTORY_H
#define CMAP__TABLE_DIRECTORY_H

#include <pthread.h>

#include "table/occupied.h"
#include "table/shard.h"

/* 2^40 entries are 16 TiB; see the bits of a hash in table/hash.h. Where
 * pointers have 32 bits, 2^27 entries are 1 GiB: the bytes of an array, and of
 * all of them, fit into a size_t. */
#define CMAP__DEPTH_MAX (sizeof(void *) == 8 ? 40u : 27u)

struct cmap__directory_entry {
  _Atomic uintptr_t block;           /* atomic, written under mutex [D2] */
  struct cmap__shard *_Atomic shard; /* the same */
};

/* log2 of an entry's size. */
#define CMAP__ENTRY_LOG2 (sizeof(void *) == 8 ? 4u : 3u)
_Static_assert(sizeof(struct cmap__directory_entry) == 1u << CMAP__ENTRY_LOG2,
               "two words");

/*
 * An array of 2^D entries, with what a reader must know of it. Behind them are
 * D + 1 numbers (cmap__directory_shards_at), and the rows of bits that say
 * which of them may be occupied (cmap__directory_occupied).
 */
struct cmap__directory_array {
  uint32_t shift; /* const: a hash to bytes of entries; see at() */
  bool is_large;  /* const: D is CMAP__PREFETCH_DEPTH or more */
  struct cmap__directory_array *older; /* const: of all arrays, a list */
  CMAP__ALIGNED(sizeof(struct cmap__directory_entry))
  struct cmap__directory_entry entries[];
};

struct cmap__directory {
  pthread_mutex_t mutex;
  size_t filled;         /* under mutex: of `next`, its entries that are */
  _Atomic size_t shards; /* atomic, written under mutex: all of them */
  /* Atomic, written under mutex: odd while entries are being changed. */
  _Atomic uint64_t changes;
  /* What readers look at is, with 64 bits, one cache line: the pointer, and the
     array of depth 0, an entry and a number, which small maps never leave.
     Atomic, written under mutex [D1]. */
  struct cmap__directory_array *_Atomic current;
  struct cmap__directory_array *arrays; /* under mutex: all, newest first */
  CMAP__ALIGNED(sizeof(struct cmap__directory_entry))
  unsigned char first[sizeof(struct cmap__directory_array) +
                      sizeof(struct cmap__directory_entry) + sizeof(size_t)];
  /* Under mutex: the array that is being filled, or NULL. No shard is deeper
     than it. */
  struct cmap__directory_array *next;
};

/*
 * Directories of this depth and more have slots beyond a processor's second
 * cache (2^7 shards of some 12 KiB, where that is 1 MiB). Below it, asking
 * early for the preferred line of the slots costs more than it saves.
 */
#define CMAP__PREFETCH_DEPTH 7

static inline unsigned
cmap__directory_depth(const struct cmap__directory_array *array)
{
  return 64 - CMAP__ENTRY_LOG2 - array->shift;
}

/*
 * Live shards of each depth up to D, and those announced. Under mutex; those of
 * the current array count.
 */
static inline size_t *
cmap__directory_shards_at(struct cmap__directory_array *array)
{
  return (size_t *)(array->entries +
                    ((size_t)1 << cmap__directory_depth(array)));
}

/* The rows of table/occupied.h, of an array of this depth at least: in a map of
 * a few shards, to note what is empty takes as long as to look at it. */
#define CMAP__OCCUPIED_DEPTH 4

static inline _Atomic size_t *
cmap__directory_occupied(struct cmap__directory_array *array)
{
  return (_Atomic size_t *)(cmap__directory_shards_at(array) +
                            cmap__directory_depth(array) + 1);
}

/* The array of a depth; NULL: there is none yet. Mutex held. */
struct cmap__directory_array *
cmap__directory_array_of(const struct cmap__directory *directory,
                         unsigned depth);

/* The entry for a hash: its top D bits, in bytes. */
static inline struct cmap__directory_entry *
cmap__directory_at(struct cmap__directory_array *array, uint64_t hash)
{
  size_t offset = (size_t)(hash >> array->shift) &
                  ~(sizeof(struct cmap__directory_entry) - 1);
  return (void *)((char *)array->entries + offset);
}

static inline struct cmap__directory_array *
cmap__directory_current(const struct cmap__directory *directory)
{
  return cmap__load_acquire(&directory->current); /* [D1] */
}

/* The first hash of the entry behind that of the hash; 0 behind the last. */
static inline uint64_t
cmap__directory_next_hash(const struct cmap__directory *directory,
                          uint64_t hash)
{
  struct cmap__directory_array *array = cmap__directory_current(directory);
  return (hash | ~cmap__depth_mask(cmap__directory_depth(array))) + 1;
}

/* The block that the directory names now for a hash. */
static inline uintptr_t
cmap__directory_block(const struct cmap__directory *directory, uint64_t hash)
{
  struct cmap__directory_array *array = cmap__directory_current(directory);
  return cmap__load_acquire(&cmap__directory_at(array, hash)->block); /* [D2] */
}

/* The shard that the directory names now for a hash. */
static inline struct cmap__shard *
cmap__directory_shard(const struct cmap__directory *directory, uint64_t hash)
{
  struct cmap__directory_array *array = cmap__directory_current(directory);
  return cmap__load_acquire(&cmap__directory_at(array, hash)->shard); /* [D2] */
}

/* Makes a directory of depth 0 that names one live shard of depth 0. */
enum cmap_status cmap__directory_init(struct cmap__directory *directory,
                                      struct cmap__shard *shard);

void cmap__directory_destroy(struct cmap__directory *directory,
                             const struct cmap__layout *layout);

/* Entries that are filled in a step: about as long as a shard is split, and
 * all there are for up to some 500,000 entries in a map. */
#define CMAP__DIRECTORY_STEP ((size_t)2048)

/*
 * Is the directory this deep? If not, does a step towards it; also if there is
 * no memory for it, which the announcement will say.
 */
bool cmap__directory_deepen(struct cmap__directory *directory,
                            const struct cmap__layout *layout, unsigned depth);

/*
 * Announces `count` shards of a depth: deepens the directory to that depth if
 * need be, with as many steps as it takes, and keeps it there until they are
 * withdrawn. CMAP_ENOMEM.
 */
enum cmap_status cmap__directory_announce(struct cmap__directory *directory,
                                          const struct cmap__layout *layout,
                                          unsigned depth, size_t count);

/* Takes back `count` shards of a depth, unused or dead. */
void cmap__directory_withdraw(struct cmap__directory *directory, unsigned depth,
                              size_t count);

/*
 * Lets the directory name `count` announced shards in place of those that
 * covered their hashes. The caller holds all of them, old and new.
 */
void cmap__directory_publish(struct cmap__directory *directory,
                             struct cmap__shard *const *shards, size_t count);

/* Is the directory deep enough for such notes? */
static inline bool
cmap__directory_notes(const struct cmap__directory *directory)
{
  return cmap__directory_depth(cmap__directory_current(directory)) >=
         CMAP__OCCUPIED_DEPTH;
}

/*
 * Notes whether a live shard, which the caller holds exclusively, may be
 * occupied. It may be when it is published, and when an array becomes current.
 */
void cmap__directory_note(struct cmap__directory *directory,
                          const struct cmap__shard *shard, bool occupied);

/*
 * Moves *hash on to the first hash, from it on, whose shard may be occupied;
 * false: there is none. Shards that are passed over were empty at some moment
 * of the call. No lock.
 */
bool cmap__directory_seek(const struct cmap__directory *directory,
                          uint64_t *hash);

/* Would it pass over the shard of this hash, the first one of that? */
static inline bool
cmap__directory_passes(const struct cmap__directory *directory, uint64_t prefix)
{
  uint64_t hash = prefix;
  return !cmap__directory_seek(directory, &hash) || hash != prefix;
}

/* May the directory be this deep, for as many shards as there are? */
bool cmap__directory_may_reach(const struct cmap__directory *directory,
                               unsigned depth);

/* The bytes of its arrays but the first. Locks the mutex. */
size_t cmap__directory_bytes(struct cmap__directory *directory);

/*
 * Halves the directory as often as the depth of the shards allows, if that is
 * at least `least` times. With more than one at least it does a step, which
 * others go on with; else all of it, and nobody waits for more than a step.
 */
void cmap__directory_shrink(struct cmap__directory *directory,
                            const struct cmap__layout *layout, unsigned least);

#endif
