/*
 * The shape of a map's slots, and the user's functions: fixed at creation.
 *
 * A slot is a row of 64-bit words. The words of the key are word 0 and those
 * from key_word on (cmap__key_next):
 *
 *   [hash]   so that a split need not hash again; keys of one or two words that
 *            are hashed as such do without, as that takes less than a load
 *   key      U32, U64: one word. FIXED, CUSTOM: key_size bytes, zero-filled.
 *            STRING, BYTES: inline_key_size + 1 bytes. The last of them is the
 *            unused length of a key that lies inline (so that it ends the
 *            longest one with 0); CMAP__KEY_BOXED says that the first two words
 *            are a box with the key and a 0 byte behind it (table/box.h), and
 *            that the rest of the last word is its size
 *   padding  up to value_align, or to key_align before the key of CMAP_CUSTOM;
 *            there the value goes, if it fits
 *   value    value_size bytes, zero-filled; or a box with them when they are
 *            more than inline_value_size
 *
 * Key and value of up to 4 bytes each are the halves of one word (PACKED), if
 * the value needs no more alignment.
 *
 * All fields are const after create.
 */
#ifndef CMAP__TABLE_LAYOUT_H
#define CMAP__TABLE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmap.h"
#include "base/compiler.h"
#include "table/box.h"
#include "table/hash.h"
#include "table/words.h"

#define CMAP__KEY_BOXED 0xff

/* Bounds of the options; the header states them. */
#define CMAP__KEY_SIZE_MAX         256
#define CMAP__INLINE_KEY_MIN       23
#define CMAP__INLINE_KEY_MAX       63
#define CMAP__INLINE_VALUE_DEFAULT 256
#define CMAP__INLINE_VALUE_MAX     1024
#define CMAP__KEY_ALIGN_DEFAULT    16
#define CMAP__ALIGN_MAX            64 /* of keys and values */
#define CMAP__SHARD_GROUPS_DEFAULT 64
#define CMAP__SHARD_GROUPS_MAX     4096
#define CMAP__SHARD_BYTES_DEFAULT  65536

/* Words of the largest key, value and slot (with padding) they allow. */
#define CMAP__KEY_WORDS_MAX   (CMAP__KEY_SIZE_MAX / 8)
#define CMAP__VALUE_WORDS_MAX (CMAP__INLINE_VALUE_MAX / 8)
#define CMAP__SLOT_WORDS_MAX                                                   \
  (CMAP__KEY_WORDS_MAX + CMAP__VALUE_WORDS_MAX + 3 * CMAP__ALIGN_MAX / 8)

/*
 * What is compared and hashed alike, and has code of its own: a body of code is
 * compiled once for each of these that it is worth, with the shape as a
 * constant (table/key.h, table/aim.h).
 */
enum cmap__shape {
  CMAP__SHAPE_WORD,    /* PLAIN of U64, and 8 bytes of value */
  CMAP__SHAPE_PLAIN,   /* INTEGER, and a value of up to 8 bytes: two words */
  CMAP__SHAPE_PACKED,  /* key and value of up to 4 bytes each: one word */
  CMAP__SHAPE_INTEGER, /* U32, U64: one word, no hash */
  CMAP__SHAPE_PAIR,    /* FIXED of 9 to 16 bytes: two words, no hash */
  CMAP__SHAPE_SHORT,   /* STRING, BYTES: hash and CMAP__SHORT_WORDS words */
  CMAP__SHAPE_WORDS,   /* all others but CUSTOM: hash and any words */
  CMAP__SHAPE_CUSTOM   /* only the user's functions know: under the lock */
};

/*
 * Instances of a body of code `op`_as, in whose arguments `shape` is one of all
 * shapes that have code of their own but WORD and CUSTOM. Each is a function by
 * itself, so that none saves registers for another.
 */
#define CMAP__INSTANCE(result, op, of, parameters, arguments)                  \
  static CMAP__NOINLINE result op##_##of parameters                            \
  {                                                                            \
    const enum cmap__shape shape = CMAP__SHAPE_##of;                           \
    return op##_as arguments;                                                  \
  }
#define CMAP__INSTANCES(result, op, parameters, arguments)                     \
  CMAP__INSTANCE(result, op, PLAIN, parameters, arguments)                     \
  CMAP__INSTANCE(result, op, INTEGER, parameters, arguments)                   \
  CMAP__INSTANCE(result, op, PACKED, parameters, arguments)                    \
  CMAP__INSTANCE(result, op, PAIR, parameters, arguments)                      \
  CMAP__INSTANCE(result, op, SHORT, parameters, arguments)                     \
  CMAP__INSTANCE(result, op, WORDS, parameters, arguments)

/* Returns what the instance for `which` returns; of other shapes, nothing is
 * done. */
#define CMAP__RETURN_INSTANCE(which, op, arguments)                            \
  do {                                                                         \
    switch (which) {                                                           \
    case CMAP__SHAPE_WORD:                                                     \
    case CMAP__SHAPE_PLAIN:                                                    \
      return op##_PLAIN arguments;                                             \
    case CMAP__SHAPE_INTEGER:                                                  \
      return op##_INTEGER arguments;                                           \
    case CMAP__SHAPE_PACKED:                                                   \
      return op##_PACKED arguments;                                            \
    case CMAP__SHAPE_PAIR:                                                     \
      return op##_PAIR arguments;                                              \
    case CMAP__SHAPE_SHORT:                                                    \
      return op##_SHORT arguments;                                             \
    case CMAP__SHAPE_WORDS:                                                    \
      return op##_WORDS arguments;                                             \
    default:                                                                   \
      break;                                                                   \
    }                                                                          \
  } while (0)

/* How keys are hashed. */
enum cmap__hasher {
  CMAP__HASH_WORDS,   /* as integers are: U32, U64, FIXED */
  CMAP__HASH_SIPHASH, /* STRING, BYTES, and whatever asks for it */
  CMAP__HASH_FAST,    /* CMAP_HASH_FAST */
  CMAP__HASH_USER     /* key_hash */
};

struct cmap__layout {
  uint8_t kind;     /* enum cmap_key_kind */
  uint8_t shape;    /* enum cmap__shape */
  bool strict;      /* CMAP_STRICT */
  uint8_t hasher;   /* enum cmap__hasher */
  bool stores_hash; /* word 0 is the hash */
  bool looks_free;  /* reads need no lock, but of large keys */
  bool lock_free;   /* nor do they take one: nothing watches (base/watch.h) */
  bool value_boxed; /* the slot holds the value's box */
  bool packed;      /* CMAP__SHAPE_PACKED */
  bool runs_user_code;  /* key_hash, key_equal, key_copy or value_clone under
                           the lock */
  bool owns_values;     /* value_destroy is set */
  bool has_destructors; /* of keys or values */
  bool owns_anything;   /* removing may need a destructor or give a box back */
  uint8_t block_limit;  /* log2 of the groups of a shard's upper size */
  uint16_t key_word;    /* index of the first key word */
  uint16_t key_words;
  uint16_t value_word;  /* index of the first value word */
  uint16_t value_words; /* in the slot */
  uint16_t slot_words;
  uint32_t slot_inverse; /* to divide by slot_words, see there */
  /* The options in force, defaults filled in, as they are there. */
  uint8_t key_align;
  uint8_t value_align;
  uint16_t key_size;
  size_t inline_key;         /* inline_key_size */
  struct cmap__boxes *boxes; /* of the table, or what else has its slots */
  struct cmap__hash_key hash_key;
  size_t value_size;
  uint32_t flags;
  uint16_t inline_value; /* inline_value_size */
  uint16_t shard_groups;
  size_t shard_bytes;
  size_t capacity;
  const struct cmap__user *user; /* the functions: its owner's memory */
  struct cmap_allocator allocator;
};

/* The user's functions, most of them NULL. Maps without any share one. */
struct cmap__user {
  uint64_t (*key_hash)(struct cmap_key key, void *ctx);
  bool (*key_equal)(struct cmap_key a, struct cmap_key b, void *ctx);
  enum cmap_status (*key_copy)(struct cmap_key key, void *to, void *ctx);
  void (*key_destroy)(void *key, void *ctx);
  void *key_ctx;
  void (*value_destroy)(void *value, void *ctx);
  enum cmap_status (*value_clone)(const void *value, void *to, void *ctx);
  bool (*value_equal)(const void *a, const void *b, void *ctx);
  void *value_ctx;
};

extern const struct cmap__user cmap__no_user;

/* n / slot_words, of words of one group's slots: n * slot_inverse, without so
 * many bits. */
#define CMAP__INVERSE_BITS 20

/* Words of a box in a slot. */
#define CMAP__BOX_WORDS 2

static inline void cmap__box_to_words(const struct cmap__box *box,
                                      uint64_t *words)
{
  words[0] = (uintptr_t)box->data;
  words[1] = (uintptr_t)box->slab;
}

static inline struct cmap__box cmap__box_of_words(const uint64_t *words)
{
  struct cmap__box box = {(void *)(uintptr_t)words[0],
                          (struct cmap__slab *)(uintptr_t)words[1]};

  return box;
}

/* The word of the key after word i, which is one. */
static inline unsigned cmap__key_next(const struct cmap__layout *layout,
                                      unsigned i)
{
  return i < layout->key_word ? layout->key_word : i + 1;
}

/*
 * Checks the options and derives the layout, hash key included. If there are
 * functions among them, they are in *user from then on.
 * CMAP_EINVAL, or CMAP_ENORANDOM when there is no random seed.
 */
enum cmap_status cmap__layout_init(struct cmap__layout *layout,
                                   const struct cmap_options *options,
                                   struct cmap__user *user);

/* The options in force. */
void cmap__layout_options(const struct cmap__layout *layout,
                          struct cmap_options *options);

/*
 * Structs that begin with their size as the program knows them. It may know
 * less of one than the library, `known` bytes, but its first `first` bytes,
 * which have been there since the struct was published; or more, and what we do
 * not know is zero.
 */
bool cmap__struct_is_known(const void *object, size_t first, size_t known);

/* Is that so, and if it is, copies the struct, and zeros for what is missing,
 * to `to`, whose size becomes `known`. */
bool cmap__struct_read(const void *object, size_t first, size_t known,
                       void *to);

/* Copies as much of the struct `from` as the program knows of `object`, all
 * but the size. False: its size is none that this struct had. */
bool cmap__struct_write(const void *from, size_t first, size_t known,
                        void *object);

/* Where the options of 0.1 that have no default end. */
#define CMAP__OPTIONS_FIRST offsetof(struct cmap_options, value_align)

/* Bytes of a block of 2^g groups, and of its metadata. */
static inline size_t cmap__layout_meta_bytes(unsigned g)
{
  /* Slots begin on a cache line, also behind one to three groups. */
  return cmap__round_up(sizeof(struct cmap__group) << g, CMAP__CACHE_LINE);
}

static inline size_t cmap__layout_slot_bytes(const struct cmap__layout *layout)
{
  return sizeof(uint64_t) * layout->slot_words;
}

/*
 * Of more groups than memory has room for, as many bytes as nobody gets: where
 * size_t has 32 bits it does not hold the true number.
 */
static inline size_t cmap__layout_block_bytes(const struct cmap__layout *layout,
                                              unsigned g)
{
  const uint64_t most = PTRDIFF_MAX & ~(uint64_t)(CMAP__CACHE_LINE - 1);
  uint64_t slots = (uint64_t)CMAP__GROUP_SLOTS << g;
  uint64_t bytes =
      cmap__layout_meta_bytes(g) + slots * cmap__layout_slot_bytes(layout);

  return bytes > most ? (size_t)most
                      : cmap__round_up((size_t)bytes, CMAP__CACHE_LINE);
}

#endif
