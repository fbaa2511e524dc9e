/*
 * Key kinds: checking, hashing, storing, and the comparisons that are not hot.
 */
#include "table/key.h"

#include "base/check.h"

static uint64_t hash_by_user(const struct cmap__layout *layout,
                             struct cmap_key key)
{
  uint64_t hash = layout->user->key_hash(key, layout->user->key_ctx);

  if (layout->flags & CMAP_HASH_IS_GOOD)
    return hash;
  return cmap__hash_u64(&layout->hash_key, hash);
}

uint64_t cmap__key_hash(const struct cmap__layout *layout, struct cmap_key key)
{
  uint64_t words[CMAP__KEY_WORDS_MAX];

  switch (layout->hasher) {
  case CMAP__HASH_WORDS:
    cmap__fixed_words(words, layout->key_words, key.data, key.size);
    return cmap__hash_of_words(layout, words, layout->key_words);
  case CMAP__HASH_SIPHASH:
    return cmap__hash_siphash13(&layout->hash_key, key.data, key.size);
  case CMAP__HASH_FAST:
    return cmap__hash_fast(&layout->hash_key, key.data, key.size);
  default:
    return hash_by_user(layout, key);
  }
}

bool cmap__probe_box(const struct cmap__layout *layout, const uint64_t *hashed,
                     struct cmap__probe *probe)
{
  struct cmap_key key = probe->key;

  if (key.size > PTRDIFF_MAX ||
      (layout->kind == CMAP_STRING && memchr(key.data, 0, key.size) != NULL))
    return false;
  probe->boxed = true;
  probe->large = cmap__box_is_large(key.size + 1);
  probe->hash = hashed ? *hashed : cmap__key_hash(layout, key);
  return true;
}

/* Keys that cmap__probe_fill refuses: CUSTOM, and what does not fit. */
static enum cmap_status other_probe_init(const struct cmap__layout *layout,
                                         const uint64_t *hashed,
                                         struct cmap__probe *probe)
{
  struct cmap_key key = probe->key;

  switch (layout->kind) {
  case CMAP_CUSTOM:
    if (CMAP__WRONG(key.size != layout->key_size,
                    "key has not the size of this map's keys"))
      return CMAP_EINVAL;
    break;
  case CMAP_STRING:
  case CMAP_BYTES:
    (void)cmap__blame(key.size > PTRDIFF_MAX
                          ? "key is too long"
                          : "key is a string, and has a 0 in it");
    return CMAP_EINVAL;
  default:
    (void)cmap__blame("key has not the size of this map's keys");
    return CMAP_EINVAL;
  }
  probe->hash = hashed ? *hashed : cmap__key_hash(layout, key);
  return CMAP_OK;
}

enum cmap_status cmap__probe_init(const struct cmap__layout *layout,
                                  struct cmap_key key, const uint64_t *hashed,
                                  struct cmap__probe *probe)
{
  bool filled = false;

  switch (layout->shape) {
  case CMAP__SHAPE_WORD:
  case CMAP__SHAPE_PLAIN:
  case CMAP__SHAPE_PACKED:
  case CMAP__SHAPE_INTEGER:
    filled = cmap__probe_fill(layout, CMAP__SHAPE_INTEGER, key, hashed, probe);
    break;
  case CMAP__SHAPE_PAIR:
    filled = cmap__probe_fill(layout, CMAP__SHAPE_PAIR, key, hashed, probe);
    break;
  case CMAP__SHAPE_SHORT:
    filled = cmap__probe_fill(layout, CMAP__SHAPE_SHORT, key, hashed, probe);
    break;
  case CMAP__SHAPE_WORDS:
    filled = cmap__probe_fill(layout, CMAP__SHAPE_WORDS, key, hashed, probe);
    break;
  default:
    break;
  }
  if (cmap__likely(filled))
    return CMAP_OK;
  if (CMAP__WRONG(key.data == NULL, "key is NULL"))
    return CMAP_EINVAL;
  probe->key = key;
  probe->boxed = probe->large = false;
  return other_probe_init(layout, hashed, probe);
}

static bool is_string_like(const struct cmap__layout *layout)
{
  return layout->kind == CMAP_STRING || layout->kind == CMAP_BYTES;
}

struct cmap_key cmap__slot_string(const struct cmap__layout *layout,
                                  const _Atomic uint64_t *slot)
{
  const _Atomic uint64_t *words = slot + layout->key_word;
  struct cmap_key key;
  uint64_t last;

  /* Relaxed: we hold the lock. */
  last = cmap__load_relaxed(words + layout->key_words - 1);
  if (cmap__last_byte(last) == CMAP__KEY_BOXED) {
    key.data = (const void *)(uintptr_t)cmap__load_relaxed(words);
    key.size = cmap__boxed_size(last);
    return key;
  }
  key.size = layout->inline_key - cmap__last_byte(last);
  key.data = cmap__payload_plain(words);
  return key;
}

uint64_t cmap__slot_hash(const struct cmap__layout *layout,
                         const _Atomic uint64_t *slot)
{
  if (layout->stores_hash)
    return cmap__load_relaxed(slot); /* we hold the lock */
  if (layout->shape == CMAP__SHAPE_PAIR)
    return cmap__slot_hash_of(layout, CMAP__SHAPE_PAIR, slot);
  if (layout->packed)
    return cmap__slot_hash_of(layout, CMAP__SHAPE_PACKED, slot);
  return cmap__slot_hash_of(layout, CMAP__SHAPE_INTEGER, slot);
}

bool cmap__key_equal_slow(const struct cmap__layout *layout,
                          const _Atomic uint64_t *slot,
                          const struct cmap__probe *probe)
{
  struct cmap_key stored;

  if (layout->kind == CMAP_CUSTOM)
    return layout->user->key_equal(cmap__slot_key(layout, slot), probe->key,
                                   layout->user->key_ctx);
  if (!cmap__key_is_boxed(layout, slot))
    return false;
  stored = cmap__slot_key(layout, slot);
  return stored.size == probe->key.size &&
         memcmp(stored.data, probe->key.data, stored.size) == 0;
}

bool cmap__key_equal_late(const struct cmap__layout *layout,
                          const _Atomic uint64_t *slot,
                          const struct cmap__probe *probe,
                          const _Atomic uint64_t *hi, uint64_t seen)
{
  const _Atomic uint64_t *words = slot + layout->key_word;
  uint64_t data = cmap__payload_load(words);
  uint64_t last = cmap__payload_load(words + layout->key_words - 1);

  /* Relaxed: behind acquire loads. */
  return last == cmap__boxed_last_word(CMAP__KEY_BOXED, probe->key.size) &&
         !probe->large && cmap__seq_is_stable(seen) &&
         cmap__load_relaxed(hi) == seen &&
         cmap__payload_equals_bytes((const _Atomic uint64_t *)(uintptr_t)data,
                                    probe->key.data, probe->key.size);
}

bool cmap__key_box(const struct cmap__layout *layout, struct cmap_key key,
                   uint64_t *words)
{
  struct cmap__box box;
  _Atomic uint64_t *to;

  if (!cmap__box_take(layout->boxes, key.size + 1, 1, &box))
    return false;
  to = (_Atomic uint64_t *)box.data;
  cmap__payload_store_bytes(to, key.data, key.size);
  if (key.size % 8 == 0) /* else there are zeros behind it */
    cmap__payload_store(to + key.size / 8, 0);
  for (unsigned i = CMAP__BOX_WORDS; i < layout->key_words; i++)
    words[i] = 0;
  cmap__box_to_words(&box, words);
  words[layout->key_words - 1] =
      cmap__boxed_last_word(CMAP__KEY_BOXED, key.size);
  return true;
}

enum cmap_status cmap__key_image_init(const struct cmap__layout *layout,
                                      const struct cmap__probe *probe,
                                      struct cmap__key_image *image)
{
  const struct cmap__user *user = layout->user;
  uint64_t *words = image->words + layout->key_word;

  image->words[0] = probe->hash;
  if (probe->boxed)
    return cmap__key_box(layout, probe->key, words) ? CMAP_OK : CMAP_ENOMEM;
  if (layout->kind != CMAP_CUSTOM) {
    for (unsigned i = 0; i < layout->key_words; i++)
      words[i] = probe->words[i];
    return CMAP_OK;
  }
  words[layout->key_words - 1] = 0;
  if (user->key_copy != NULL)
    return user->key_copy(probe->key, words, user->key_ctx);
  memcpy(words, probe->key.data, probe->key.size);
  return CMAP_OK;
}

void cmap__key_words_destroy(const struct cmap__layout *layout, uint64_t *words)
{
  const struct cmap__user *user = layout->user;

  words += layout->key_word;
  if (is_string_like(layout)) {
    struct cmap__box box = cmap__box_of_words(words);
    if (cmap__last_byte(words[layout->key_words - 1]) == CMAP__KEY_BOXED)
      cmap__box_give(layout->boxes, &box,
                     cmap__boxed_size(words[layout->key_words - 1]) + 1, 1);
  } else if (user->key_destroy != NULL) {
    user->key_destroy(words, user->key_ctx);
  }
}
