/*
 * Key kinds: checking, hashing, storing, and the comparisons that are not hot.
 */
#include "table/key.h"

#include "base/alloc.h"
#include "table/short.h"

static uint64_t hash_bytes(const struct cmap__layout *layout, const void *data,
                           size_t size)
{
  if (layout->options.flags & CMAP_HASH_FAST)
    return cmap__hash_fast(&layout->hash_key, data, size);
  return cmap__hash_siphash13(&layout->hash_key, data, size);
}

static uint64_t hash_by_user(const struct cmap__layout *layout,
                             struct cmap_key key)
{
  uint64_t hash = layout->options.key_hash(key, layout->options.key_ctx);

  if (layout->options.flags & CMAP_HASH_IS_GOOD)
    return hash;
  return cmap__hash_u64(&layout->hash_key, hash);
}

static uint64_t integer_value(const struct cmap__layout *layout, uint64_t word)
{
  uint32_t small;

  if (layout->kind == CMAP_U64)
    return word;
  memcpy(&small, &word, sizeof small);
  return small;
}

static enum cmap_status string_probe_init(const struct cmap__layout *layout,
                                          struct cmap__probe *probe)
{
  struct cmap_key key = probe->key;
  bool zero;

  if (key.size > PTRDIFF_MAX)
    return CMAP_EINVAL;
  probe->boxed = key.size > layout->inline_key;
  if (probe->boxed)
    zero = layout->kind == CMAP_STRING && memchr(key.data, 0, key.size) != NULL;
  else
    zero =
        cmap__inline_words(probe->words, layout->key_words, key.data, key.size);
  /* A string's size must be right, or callbacks would see another key. */
  return zero && layout->kind == CMAP_STRING ? CMAP_EINVAL : CMAP_OK;
}

uint64_t cmap__probe_hash(const struct cmap__layout *layout,
                          const struct cmap__probe *probe)
{
  if (layout->options.key_hash != NULL)
    return hash_by_user(layout, probe->key);
  if (layout->kind == CMAP_U32 || layout->kind == CMAP_U64)
    return cmap__hash_u64(&layout->hash_key,
                          integer_value(layout, probe->words[0]));
  return hash_bytes(layout, probe->key.data, probe->key.size);
}

enum cmap_status cmap__probe_init(const struct cmap__layout *layout,
                                  struct cmap_key key, const uint64_t *hashed,
                                  struct cmap__probe *probe)
{
  enum cmap_status status = CMAP_OK;

  if (cmap__unlikely(key.data == NULL))
    return CMAP_EINVAL;
  if (layout->search == CMAP__SHORT_STRING && key.size <= CMAP__SHORT_SIZE &&
      hashed == NULL)
    return cmap__short_probe(layout, key, probe) ? CMAP_OK : CMAP_EINVAL;
  probe->key = key;
  probe->boxed = false;
  if (layout->kind == CMAP_STRING || layout->kind == CMAP_BYTES) {
    status = string_probe_init(layout, probe);
  } else if (key.size != layout->options.key_size) {
    status = CMAP_EINVAL;
  } else if (layout->kind == CMAP_U32 || layout->kind == CMAP_U64) {
    probe->words[0] = 0;
    memcpy(probe->words, key.data, layout->kind == CMAP_U32 ? 4 : 8);
  }
  if (cmap__unlikely(status != CMAP_OK))
    return status;
  probe->hash = hashed ? *hashed : cmap__probe_hash(layout, probe);
  return CMAP_OK;
}

static bool is_string_like(const struct cmap__layout *layout)
{
  return layout->kind == CMAP_STRING || layout->kind == CMAP_BYTES;
}

/* The two words of a boxed key. */
static struct cmap_key boxed_key(const uint64_t *words)
{
  struct cmap_key key;

  key.data = (const void *)(uintptr_t)words[0];
  key.size = (size_t)words[1];
  return key;
}

struct cmap_key cmap__slot_key(const struct cmap__layout *layout,
                               const _Atomic uint64_t *slot)
{
  const _Atomic uint64_t *words = slot + layout->key_word;
  struct cmap_key key;

  if (is_string_like(layout)) {
    uint64_t copy[CMAP__INLINE_KEY_WORDS];
    unsigned unused;
    for (unsigned i = 0; i < layout->key_words; i++)
      copy[i] = cmap__load_relaxed(words + i); /* we hold the lock */
    unused = cmap__last_byte(copy[layout->key_words - 1]);
    if (unused == CMAP__KEY_BOXED)
      return boxed_key(copy);
    key.size = layout->inline_key - unused;
  } else {
    key.size = layout->options.key_size;
  }
  key.data = cmap__payload_plain(words);
  return key;
}

uint64_t cmap__slot_hash(const struct cmap__layout *layout,
                         const _Atomic uint64_t *slot)
{
  uint64_t word = cmap__load_relaxed(slot); /* we hold the lock */

  if (layout->stores_hash)
    return word;
  if (layout->options.key_hash != NULL)
    return hash_by_user(layout, cmap__slot_key(layout, slot));
  return cmap__hash_u64(&layout->hash_key, integer_value(layout, word));
}

bool cmap__key_equal_slow(const struct cmap__layout *layout,
                          const _Atomic uint64_t *slot,
                          const struct cmap__probe *probe)
{
  struct cmap_key stored;

  if (layout->kind == CMAP_CUSTOM)
    return layout->options.key_equal(cmap__slot_key(layout, slot), probe->key,
                                     layout->options.key_ctx);
  if (!cmap__key_is_boxed(layout, slot))
    return false;
  stored = cmap__slot_key(layout, slot);
  return stored.size == probe->key.size &&
         memcmp(stored.data, probe->key.data, stored.size) == 0;
}

static enum cmap_status box_key(const struct cmap__layout *layout,
                                struct cmap_key key, uint64_t *words)
{
  char *box = cmap__alloc(&layout->options.allocator, key.size + 1, 1);

  if (box == NULL)
    return CMAP_ENOMEM;
  memcpy(box, key.data, key.size);
  box[key.size] = '\0';
  for (unsigned i = 0; i < layout->key_words; i++)
    words[i] = 0;
  words[0] = (uintptr_t)box;
  words[1] = key.size;
  words[layout->key_words - 1] |= cmap__last_byte_word(CMAP__KEY_BOXED);
  return CMAP_OK;
}

enum cmap_status cmap__key_image_init(const struct cmap__layout *layout,
                                      const struct cmap__probe *probe,
                                      struct cmap__key_image *image)
{
  const struct cmap_options *o = &layout->options;
  uint64_t *words = image->words + layout->key_word;

  image->words[0] = probe->hash;
  if (is_string_like(layout) && probe->boxed)
    return box_key(layout, probe->key, words);
  if (layout->kind != CMAP_FIXED && layout->kind != CMAP_CUSTOM) {
    for (unsigned i = 0; i < layout->key_words; i++)
      words[i] = probe->words[i];
    return CMAP_OK;
  }
  words[layout->key_words - 1] = 0;
  if (o->key_copy != NULL)
    return o->key_copy(probe->key, words, o->key_ctx);
  memcpy(words, probe->key.data, probe->key.size);
  return CMAP_OK;
}

void cmap__key_words_destroy(const struct cmap__layout *layout, uint64_t *words)
{
  const struct cmap_options *o = &layout->options;

  words += layout->key_word;
  if (is_string_like(layout)) {
    struct cmap_key key = boxed_key(words);
    if (cmap__last_byte(words[layout->key_words - 1]) == CMAP__KEY_BOXED)
      cmap__free(&o->allocator, (void *)(uintptr_t)words[0], key.size + 1, 1);
  } else if (o->key_destroy != NULL) {
    o->key_destroy(words, o->key_ctx);
  }
}

size_t cmap__key_box_bytes(const struct cmap__layout *layout,
                           const _Atomic uint64_t *slot)
{
  if (!is_string_like(layout) || !cmap__key_is_boxed(layout, slot))
    return 0;
  return cmap__alloc_takes(&layout->options.allocator,
                           cmap__slot_key(layout, slot).size + 1, 1);
}
