/*
 * Keys: what is looked for (the probe), how a stored key is compared with it,
 * and how a new key is stored.
 *
 * The comparison is a static inline body with the kind as an argument. Callers
 * on a hot path pass a constant kind, so that each kind is compiled by itself
 * from this one source; others pass layout->kind.
 *
 * Invariants
 *   1. Without the lock, only words of the slot are compared: no pointer is
 *      followed and no user code runs (`locked` is false).
 *   2. Two inline keys of one map are equal if and only if their key words are:
 *      unused bytes are zero and the length is part of the words.
 */
#ifndef CMAP__TABLE_KEY_H
#define CMAP__TABLE_KEY_H

#include <string.h>

#include "sync/seqcount.h"
#include "table/layout.h"

/* Key words of the largest key that lies inline. */
#define CMAP__INLINE_KEY_WORDS ((CMAP__INLINE_KEY_MAX + 1) / 8)

/* A key that is looked for. Lives on the caller's stack. */
struct cmap__probe {
  uint64_t hash;
  struct cmap_key key; /* the caller's */
  bool boxed;          /* STRING, BYTES: longer than inline_key_size */
  /* The key words: of integers, and of STRING and BYTES unless boxed. */
  uint64_t words[CMAP__INLINE_KEY_WORDS];
};

/* A key about to be stored: words of the slot before the value. */
struct cmap__key_image {
  uint64_t words[1 + CMAP__KEY_WORDS_MAX];
};

/*
 * Checks the key against the map's kind and fills the probe, hashing unless
 * `hashed` gives the hash. CMAP_EINVAL if it does not fit.
 */
enum cmap_status cmap__probe_init(const struct cmap__layout *layout,
                                  struct cmap_key key, const uint64_t *hashed,
                                  struct cmap__probe *probe);

/* The hash of the key of a probe, computed. */
uint64_t cmap__probe_hash(const struct cmap__layout *layout,
                          const struct cmap__probe *probe);

/* Word i of a key of `size` bytes, filled with zero. */
static inline uint64_t cmap__key_word_at(const void *data, size_t size,
                                         unsigned i)
{
  const unsigned char *bytes = (const unsigned char *)data + (size_t)8 * i;
  size_t left = size - (size_t)8 * i;
  uint64_t word = 0;

  memcpy(&word, bytes, left < 8 ? left : 8);
  return word;
}

static inline bool cmap__key_is_boxed(const struct cmap__layout *layout,
                                      const _Atomic uint64_t *slot)
{
  unsigned last = layout->key_word + layout->key_words - 1u;

  return cmap__last_byte(cmap__payload_load(slot + last)) == CMAP__KEY_BOXED;
}

/* What the allocator takes for the key's box; 0: it has none. The caller holds
 * the lock, or the slot is a copy. */
size_t cmap__key_box_bytes(const struct cmap__layout *layout,
                           const _Atomic uint64_t *slot);

/* Compares out of line: long strings and custom keys, under the lock. */
bool cmap__key_equal_slow(const struct cmap__layout *layout,
                          const _Atomic uint64_t *slot,
                          const struct cmap__probe *probe);

/* Is the slot's key the one that is looked for? */
CMAP__ALWAYS_INLINE bool cmap__key_equal(const struct cmap__layout *layout,
                                         unsigned kind, bool locked,
                                         const _Atomic uint64_t *slot,
                                         const struct cmap__probe *probe)
{
  switch (kind) {
  case CMAP_U32:
  case CMAP_U64:
    return cmap__payload_load(slot) == probe->words[0];
  case CMAP_FIXED:
    for (unsigned i = 0; i < layout->key_words; i++) {
      if (cmap__payload_load(slot + 1 + i) !=
          cmap__key_word_at(probe->key.data, probe->key.size, i))
        return false;
    }
    return true;
  case CMAP__SHORT_STRING:
    if (cmap__payload_load(slot) != probe->hash)
      return false;
    if (cmap__unlikely(probe->boxed))
      return locked && cmap__key_equal_slow(layout, slot, probe);
    /* All at once: one branch, not one for each word. */
    return ((cmap__payload_load(slot + 1) ^ probe->words[0]) |
            (cmap__payload_load(slot + 2) ^ probe->words[1]) |
            (cmap__payload_load(slot + 3) ^ probe->words[2])) == 0;
  case CMAP_STRING:
  case CMAP_BYTES:
    if (cmap__payload_load(slot) != probe->hash)
      return false;
    if (cmap__unlikely(probe->boxed))
      return locked && cmap__key_equal_slow(layout, slot, probe);
    for (unsigned i = 0; i < layout->key_words; i++) {
      if (cmap__payload_load(slot + 1 + i) != probe->words[i])
        return false;
    }
    return true;
  default:
    return locked && cmap__payload_load(slot) == probe->hash &&
           cmap__key_equal_slow(layout, slot, probe);
  }
}

/* The stored key, for callbacks; valid while the slot is held. */
struct cmap_key cmap__slot_key(const struct cmap__layout *layout,
                               const _Atomic uint64_t *slot);

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
