/*
 * Keys: what is looked for (the probe), how a stored key is compared with it,
 * and how a new key is stored.
 *
 * Filling a probe, comparing and storing are inline bodies with the shape as an
 * argument. Callers on a hot path pass a constant, so that each shape is
 * compiled by itself from this one source; others pass layout->shape.
 *
 * Invariants
 *   1. Without the lock no user code runs. A box is looked at after a second
 *      look at the group's count, which says that the pointer and the size
 *      belong to one entry (docs/memory-model.md).
 *   2. Two inline keys of one map are equal if and only if their key words are:
 *      unused bytes are zero and the length is part of the words.
 */
#ifndef CMAP__TABLE_KEY_H
#define CMAP__TABLE_KEY_H

#include <string.h>

#include "sync/seqcount.h"
#include "table/layout.h"

/* A key that is looked for. Lives on the caller's stack. */
struct cmap__probe {
  uint64_t hash;
  struct cmap_key key; /* the caller's */
  bool boxed;          /* STRING, BYTES: longer than inline_key_size */
  bool large;          /* its box is: it is compared under the lock */
  /* The key words, of all keys that lie inline but CUSTOM's. */
  uint64_t words[CMAP__KEY_WORDS_MAX];
};

/* A key about to be stored: the words of a slot that are its key's. */
struct cmap__key_image {
  CMAP__ALIGNED(CMAP__ALIGN_MAX)
  uint64_t words[CMAP__ALIGN_MAX / 8 + CMAP__KEY_WORDS_MAX];
};

/* Where a slot has what, in words: constants where the shape knows. */
struct cmap__form {
  unsigned slot_words;
  unsigned key_word;
  unsigned key_words;
  unsigned value_word;
  unsigned value_words;
  bool packed;
};

CMAP__ALWAYS_INLINE struct cmap__form
cmap__form_of(const struct cmap__layout *layout, enum cmap__shape shape)
{
  const struct cmap__form word = {2, 0, 1, 1, 1, false};
  const struct cmap__form packed = {1, 0, 1, 0, 1, true};
  struct cmap__form form = {layout->slot_words,  layout->key_word,
                            layout->key_words,   layout->value_word,
                            layout->value_words, false};

  switch (shape) {
  case CMAP__SHAPE_WORD:
  case CMAP__SHAPE_PLAIN:
    return word;
  case CMAP__SHAPE_PACKED:
    return packed;
  case CMAP__SHAPE_INTEGER:
  case CMAP__SHAPE_PAIR:
    form.key_word = 0;
    form.key_words = shape == CMAP__SHAPE_PAIR ? 2 : 1;
    break;
  case CMAP__SHAPE_SHORT:
    form.key_word = 1;
    form.key_words = CMAP__SHORT_WORDS;
    break;
  default:
    break;
  }
  return form;
}

/*
 * Checks the key against the map's kind and fills the probe, hashing unless
 * `hashed` gives the hash. CMAP_EINVAL if it does not fit.
 */
enum cmap_status cmap__probe_init(const struct cmap__layout *layout,
                                  struct cmap_key key, const uint64_t *hashed,
                                  struct cmap__probe *probe);

/* The hash of a key that fits, computed. */
uint64_t cmap__key_hash(const struct cmap__layout *layout, struct cmap_key key);

/* The bytes of a word of a fixed key as a number, on any processor. */
CMAP__ALWAYS_INLINE uint64_t
cmap__word_number(const struct cmap__layout *layout, uint64_t word)
{
  if (layout->kind == CMAP_U64 || CMAP__LITTLE_ENDIAN)
    return word;
  return layout->kind == CMAP_U32 ? word >> 32 : cmap__from_le64(word);
}

/* The hash of such words, for layouts with CMAP__HASH_WORDS. */
CMAP__ALWAYS_INLINE uint64_t cmap__hash_of_words(
    const struct cmap__layout *layout, const uint64_t *words, unsigned n)
{
  uint64_t state = 0;

  for (unsigned i = 0; i + 1 < n; i++)
    state = cmap__hash_next_word(&layout->hash_key, state,
                                 cmap__word_number(layout, words[i]));
  return cmap__hash_u64(&layout->hash_key,
                        state ^ cmap__word_number(layout, words[n - 1]));
}

/*
 * The words of a fixed key of `size` bytes, `n` of them. Of its last bytes a
 * word is made in a register: bytes stored into a word that is loaded soon
 * after would make the processor wait.
 */
CMAP__ALWAYS_INLINE void cmap__fixed_words(uint64_t *words, unsigned n,
                                           const void *data, size_t size)
{
  const unsigned char *p = data;
  unsigned unused;

  for (unsigned i = 0; i + 1 < n; i++)
    memcpy(&words[i], p + (size_t)8 * i, 8);
  unused = 8 * (8 * n - (unsigned)size);
  if (n > 1 || size == 8) {
    memcpy(&words[n - 1], p + size - 8, 8);
    words[n - 1] =
        CMAP__LITTLE_ENDIAN ? words[n - 1] >> unused : words[n - 1] << unused;
  } else {
    words[0] = cmap__load_part(p, size);
  }
}

/* The hash of a short string, whose words these are. */
CMAP__ALWAYS_INLINE uint64_t cmap__short_hash(const struct cmap__layout *layout,
                                              struct cmap_key key,
                                              const uint64_t *words)
{
  if (cmap__likely(layout->hasher == CMAP__HASH_SIPHASH))
    return cmap__hash_siphash13_words(&layout->hash_key, words, key.size);
  if (layout->hasher == CMAP__HASH_FAST &&
      cmap__likely(CMAP__LITTLE_ENDIAN && key.size <= 16))
    return cmap__hash_fast_words(&layout->hash_key, words[0], words[1],
                                 key.size);
  return cmap__key_hash(layout, key);
}

/* The rest of the probe of a string that does not lie inline. False: it does
 * not fit the map. */
bool cmap__probe_box(const struct cmap__layout *layout, const uint64_t *hashed,
                     struct cmap__probe *probe);

/*
 * Fills the probe with a key of a shape that has code of its own. `hashed`: its
 * hash, or NULL. False: it does not fit the map; cmap__probe_init says why.
 */
CMAP__ALWAYS_INLINE bool cmap__probe_fill(const struct cmap__layout *layout,
                                          enum cmap__shape shape,
                                          struct cmap_key key,
                                          const uint64_t *hashed,
                                          struct cmap__probe *probe)
{
  const unsigned n = cmap__form_of(layout, shape).key_words;
  uint64_t three[CMAP__SHORT_WORDS]; /* no address of the probe goes out */
  uint64_t *words = probe->words;
  bool zero = false, fixed = false;

  if (cmap__unlikely(key.data == NULL))
    return false;
  probe->key = key;
  probe->boxed = probe->large = false;
  switch (shape) {
  case CMAP__SHAPE_WORD:
    if (cmap__unlikely(key.size != sizeof(uint64_t)))
      return false;
    memcpy(words, key.data, sizeof(uint64_t));
    fixed = true;
    break;
  case CMAP__SHAPE_PLAIN:
  case CMAP__SHAPE_PACKED:
  case CMAP__SHAPE_INTEGER:
  case CMAP__SHAPE_PAIR:
    if (cmap__unlikely(key.size != layout->key_size))
      return false;
    cmap__fixed_words(words, n, key.data, key.size);
    fixed = true;
    break;
  case CMAP__SHAPE_SHORT:
    if (cmap__unlikely(key.size > CMAP__SHORT_SIZE))
      return cmap__probe_box(layout, hashed, probe);
    zero = cmap__short_words(three, key.data, key.size);
    probe->hash = hashed ? *hashed : cmap__short_hash(layout, key, three);
    three[2] |= cmap__last_byte_word((unsigned)(CMAP__SHORT_SIZE - key.size));
    for (unsigned i = 0; i < CMAP__SHORT_WORDS; i++)
      words[i] = cmap__scalar(three[i]);
    break;
  case CMAP__SHAPE_WORDS:
    if (layout->kind == CMAP_STRING || layout->kind == CMAP_BYTES) {
      if (cmap__unlikely(key.size > layout->inline_key))
        return cmap__probe_box(layout, hashed, probe);
      zero = cmap__inline_words(words, n, key.data, key.size);
    } else {
      if (cmap__unlikely(key.size != layout->key_size))
        return false;
      cmap__fixed_words(words, n, key.data, key.size);
      fixed = layout->hasher == CMAP__HASH_WORDS;
    }
    if (!fixed)
      probe->hash = hashed ? *hashed : cmap__key_hash(layout, key);
    break;
  default:
    return false;
  }
  if (fixed)
    probe->hash = hashed ? *hashed : cmap__hash_of_words(layout, words, n);
  /* A string's size must be right, or callbacks would see another key. */
  return cmap__likely(!zero) || layout->kind != CMAP_STRING;
}

static inline bool cmap__key_is_boxed(const struct cmap__layout *layout,
                                      const _Atomic uint64_t *slot)
{
  unsigned last = layout->key_word + layout->key_words - 1u;

  return cmap__last_byte(cmap__payload_load(slot + last)) == CMAP__KEY_BOXED;
}

/* The box of a key that has one. The caller holds the slot. */
static inline struct cmap__box cmap__slot_box(const struct cmap__layout *layout,
                                              const _Atomic uint64_t *slot)
{
  uint64_t words[CMAP__BOX_WORDS];

  for (unsigned i = 0; i < CMAP__BOX_WORDS; i++)
    words[i] = cmap__load_relaxed(slot + layout->key_word + i);
  return cmap__box_of_words(words);
}

/* Compares out of line: keys in boxes and custom keys, under the lock. */
bool cmap__key_equal_slow(const struct cmap__layout *layout,
                          const _Atomic uint64_t *slot,
                          const struct cmap__probe *probe);

/* Without the lock: keys in boxes. `seen` is the group's word at the first
 * look. False also if it has changed. */
bool cmap__key_equal_late(const struct cmap__layout *layout,
                          const _Atomic uint64_t *slot,
                          const struct cmap__probe *probe,
                          const _Atomic uint64_t *hi, uint64_t seen);

/*
 * Is the slot's key the one that is looked for? `hi`: the word of the slot's
 * group, if the lock is not held (else NULL), and `seen` what it was at the
 * first look. False also if it has changed, which the last look will show.
 */
CMAP__ALWAYS_INLINE bool
cmap__key_equal(const struct cmap__layout *layout, enum cmap__shape shape,
                const _Atomic uint64_t *hi, uint64_t seen,
                const _Atomic uint64_t *slot, const struct cmap__probe *probe)
{
  const struct cmap__form form = cmap__form_of(layout, shape);
  const _Atomic uint64_t *key = slot + form.key_word;
  uint64_t differ;

  if (shape > CMAP__SHAPE_PAIR) {
    if (cmap__payload_load(slot) != probe->hash)
      return false;
    if (cmap__unlikely(shape == CMAP__SHAPE_CUSTOM || probe->boxed))
      return hi == NULL
                 ? cmap__key_equal_slow(layout, slot, probe)
                 : shape != CMAP__SHAPE_CUSTOM &&
                       cmap__key_equal_late(layout, slot, probe, hi, seen);
  }
  if (form.packed)
    return cmap__payload_load_half(key, 0) ==
           cmap__half_of_word(probe->words[0]);
  /* All at once: one branch, not one for each word. */
  differ = cmap__payload_load(key) ^ probe->words[0];
  if (form.key_words > 1)
    differ |= cmap__payload_load(key + 1) ^ probe->words[1];
  if (form.key_words > 2)
    differ |= cmap__payload_load(key + 2) ^ probe->words[2];
  for (unsigned i = 3; i < form.key_words; i++)
    differ |= cmap__payload_load(key + i) ^ probe->words[i];
  return differ == 0;
}

/* A value of up to 8 bytes as its word. */
CMAP__ALWAYS_INLINE uint64_t
cmap__word_copy_in(const struct cmap__layout *layout, enum cmap__shape shape,
                   const void *value)
{
  size_t size = layout->value_size;
  uint64_t word = 0;
  uint32_t half;

  if (shape == CMAP__SHAPE_WORD || cmap__likely(size == sizeof word)) {
    memcpy(&word, value, sizeof word);
  } else if (cmap__likely(size == sizeof half)) {
    memcpy(&half, value, sizeof half);
    word = CMAP__LITTLE_ENDIAN ? half : (uint64_t)half << 32;
  } else if (size > 0) {
    word = cmap__load_part(value, size);
  }
  return word;
}

/* The value of a slot, of one word, that the caller holds. */
CMAP__ALWAYS_INLINE uint64_t cmap__value_word(const struct cmap__form *form,
                                              const _Atomic uint64_t *slot)
{
  if (form->packed)
    return cmap__word_of_half(cmap__payload_load_half(slot, 1));
  return cmap__load_relaxed(slot + form->value_word); /* lock held */
}

CMAP__ALWAYS_INLINE void cmap__value_word_store(const struct cmap__form *form,
                                                _Atomic uint64_t *slot,
                                                uint64_t word)
{
  if (form->packed)
    cmap__payload_store_half(slot, 1, cmap__half_of_word(word));
  else
    cmap__payload_store(slot + form->value_word, word);
}

/* The value words of a slot that the caller holds, to and from a value image's.
 */
static inline void cmap__value_words_load(const struct cmap__layout *layout,
                                          const _Atomic uint64_t *slot,
                                          uint64_t *words)
{
  if (layout->packed)
    words[0] = cmap__word_of_half(cmap__payload_load_half(slot, 1));
  else
    for (unsigned i = 0; i < layout->value_words; i++)
      words[i] = cmap__load_relaxed(slot + layout->value_word + i); /* held */
}

static inline void cmap__value_words_store(const struct cmap__layout *layout,
                                           _Atomic uint64_t *slot,
                                           const uint64_t *words)
{
  if (layout->packed)
    cmap__payload_store_half(slot, 1, cmap__half_of_word(words[0]));
  else
    for (unsigned i = 0; i < layout->value_words; i++)
      cmap__payload_store(slot + layout->value_word + i, words[i]);
}

/* Stores a value into a slot, which is in a section or no reader's. */
CMAP__ALWAYS_INLINE void cmap__value_store(const struct cmap__layout *layout,
                                           const struct cmap__form *form,
                                           enum cmap__shape shape,
                                           _Atomic uint64_t *slot,
                                           const void *value)
{
  if (form->value_words == 1)
    cmap__value_word_store(form, slot,
                           cmap__word_copy_in(layout, shape, value));
  else
    cmap__payload_store_bytes(slot + form->value_word, value,
                              layout->value_size);
}

/* Stores the probe's key words into a slot. */
CMAP__ALWAYS_INLINE void cmap__key_store(const struct cmap__form *form,
                                         const struct cmap__probe *probe,
                                         _Atomic uint64_t *slot)
{
  _Atomic uint64_t *key = slot + form->key_word;

  if (form->packed) {
    cmap__payload_store_half(key, 0, cmap__half_of_word(probe->words[0]));
    return;
  }
  if (form->key_word > 0)
    cmap__payload_store(slot, probe->hash);
  cmap__payload_store(key, probe->words[0]);
  if (form->key_words > 1)
    cmap__payload_store(key + 1, probe->words[1]);
  if (form->key_words > 2)
    cmap__payload_store(key + 2, probe->words[2]);
  for (unsigned i = 3; i < form->key_words; i++)
    cmap__payload_store(key + i, probe->words[i]);
}

/* Puts a key that does not lie inline into a new box; its words in a slot. */
bool cmap__key_box(const struct cmap__layout *layout, struct cmap_key key,
                   uint64_t *words);

struct cmap_key cmap__slot_string(const struct cmap__layout *layout,
                                  const _Atomic uint64_t *slot);

/* The stored key, for callbacks; valid while the slot is held. */
static inline struct cmap_key cmap__slot_key(const struct cmap__layout *layout,
                                             const _Atomic uint64_t *slot)
{
  struct cmap_key key = {cmap__payload_plain(slot + layout->key_word),
                         layout->key_size};

  return cmap__likely(key.size != 0) ? key : cmap__slot_string(layout, slot);
}

/* The hash of the key in a slot that is held, of shapes without a stored one.
 */
CMAP__ALWAYS_INLINE uint64_t
cmap__slot_hash_of(const struct cmap__layout *layout, enum cmap__shape shape,
                   const _Atomic uint64_t *slot)
{
  uint64_t words[2];

  /* Relaxed: we hold the lock. */
  words[0] = shape == CMAP__SHAPE_PACKED
                 ? cmap__word_of_half(cmap__payload_load_half(slot, 0))
                 : cmap__load_relaxed(slot);
  if (shape == CMAP__SHAPE_PAIR)
    words[1] = cmap__load_relaxed(slot + 1);
  return cmap__hash_of_words(layout, words, shape == CMAP__SHAPE_PAIR ? 2 : 1);
}

/* The hash of the key in a slot that is held. */
uint64_t cmap__slot_hash(const struct cmap__layout *layout,
                         const _Atomic uint64_t *slot);

/*
 * Makes the stored form of the probe's key, allocating and copying as the kind
 * needs. CMAP_ENOMEM, or key_copy's status.
 */
enum cmap_status cmap__key_image_init(const struct cmap__layout *layout,
                                      const struct cmap__probe *probe,
                                      struct cmap__key_image *image);

/* Releases the stored form of a key, in an image or in a copy of a slot. */
void cmap__key_words_destroy(const struct cmap__layout *layout,
                             uint64_t *words);

#endif
