/*
 * From the user's options to the shape of the slots.
 */
#include "table/layout.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/watch.h"
#include "table/seed.h"

/* No struct of ours will ever be larger: a `size` beyond is a mistake. */
#define STRUCT_SIZE_MAX 4096

#define KNOWN_FLAGS                                                            \
  (CMAP_HASH_IS_GOOD | CMAP_HASH_FAST | CMAP_HASH_SIPHASH | CMAP_FIXED_SEED |  \
   CMAP_HUGE_PAGES | CMAP_AUTO_SHRINK | CMAP_STRICT)

static size_t struct_size(const void *object)
{
  size_t size;

  memcpy(&size, object, sizeof size);
  return size;
}

/* Can it be the size of a struct that has grown since? Compilers round it up to
 * the struct's alignment. */
static bool is_part(size_t size, size_t first)
{
  return size >= first && size % sizeof size == 0;
}

static size_t smaller(size_t a, size_t b)
{
  return a < b ? a : b;
}

bool cmap__struct_is_known(const void *object, size_t first, size_t known)
{
  const unsigned char *bytes = object;
  size_t size = struct_size(object);

  if (size < known && !is_part(size, first))
    return false;
  if (size > STRUCT_SIZE_MAX)
    return false;
  for (size_t i = known; i < size; i++) {
    if (bytes[i] != 0)
      return false;
  }
  return true;
}

bool cmap__struct_read(const void *object, size_t first, size_t known, void *to)
{
  if (!cmap__struct_is_known(object, first, known))
    return false;
  memset(to, 0, known);
  memcpy(to, object, smaller(struct_size(object), known));
  memcpy(to, &known, sizeof known);
  return true;
}

bool cmap__struct_write(const void *from, size_t first, size_t known,
                        void *object)
{
  size_t size = struct_size(object);

  if (size > known || !is_part(size, first))
    return false;
  memcpy((char *)object + sizeof size, (const char *)from + sizeof size,
         size - sizeof size);
  return true;
}

static bool kind_is_string_like(unsigned kind)
{
  return kind == CMAP_STRING || kind == CMAP_BYTES;
}

/* Do the options about keys go together? Sets key_size of the fixed kinds. */
static bool key_options_are_valid(struct cmap_options *o)
{
  bool custom = o->key_kind == CMAP_CUSTOM;
  size_t size = o->key_size;

  switch (o->key_kind) {
  case CMAP_U32:
  case CMAP_U64:
    o->key_size = o->key_kind == CMAP_U32 ? 4 : 8;
    if (CMAP__WRONG(size != 0 && size != o->key_size,
                    "options->key_size is not that of key_kind"))
      return false;
    break;
  case CMAP_FIXED:
  case CMAP_CUSTOM:
    if (CMAP__WRONG(size == 0 || size > CMAP__KEY_SIZE_MAX,
                    "options->key_size is not 1 to 256"))
      return false;
    break;
  case CMAP_STRING:
  case CMAP_BYTES:
    if (CMAP__WRONG(size != 0, "options->key_size is not 0"))
      return false;
    break;
  default:
    return !cmap__blame("options->key_kind is unknown");
  }
  if (CMAP__WRONG(custom && (o->key_equal == NULL || o->key_hash == NULL),
                  "options->key_equal or key_hash is NULL") ||
      CMAP__WRONG(!custom && (o->key_equal != NULL || o->key_copy != NULL ||
                              o->key_destroy != NULL),
                  "options->key_equal, key_copy and key_destroy are for "
                  "CMAP_CUSTOM"))
    return false;
  /* What key_copy makes, somebody must release. */
  if (CMAP__WRONG(o->key_copy != NULL && o->key_destroy == NULL,
                  "options->key_copy needs key_destroy") ||
      CMAP__WRONG((o->flags & CMAP_HASH_IS_GOOD) && o->key_hash == NULL,
                  "CMAP_HASH_IS_GOOD needs options->key_hash"))
    return false;
  return !CMAP__WRONG(
             (o->flags & (CMAP_HASH_FAST | CMAP_HASH_SIPHASH)) &&
                 o->key_hash != NULL,
             "CMAP_HASH_FAST and CMAP_HASH_SIPHASH are not for a key_hash") &&
         !CMAP__WRONG(
             (o->flags & CMAP_HASH_FAST) && (o->flags & CMAP_HASH_SIPHASH),
             "CMAP_HASH_FAST and CMAP_HASH_SIPHASH exclude each other");
}

/*
 * A key's type may be aligned to any power of two that divides its size. Beyond
 * what malloc gives the user says so.
 */
static bool key_align_is_valid(struct cmap_options *o)
{
  if (o->key_kind != CMAP_CUSTOM)
    return !CMAP__WRONG(o->key_align != 0, "options->key_align is not 0");
  if (o->key_align == 0)
    o->key_align = o->key_size % CMAP__KEY_ALIGN_DEFAULT == 0
                       ? CMAP__KEY_ALIGN_DEFAULT
                       : 8;
  if (o->key_align < 8 && cmap__is_power_of_two(o->key_align))
    o->key_align = 8;
  return !CMAP__WRONG(!cmap__is_power_of_two(o->key_align) ||
                          o->key_align > CMAP__ALIGN_MAX,
                      "options->key_align is no power of two up to 64");
}

static bool inline_key_is_valid(struct cmap_options *o)
{
  if (!kind_is_string_like(o->key_kind))
    return !CMAP__WRONG(o->inline_key_size != 0,
                        "options->inline_key_size is not 0");
  if (CMAP__WRONG(o->inline_key_size > CMAP__INLINE_KEY_MAX,
                  "options->inline_key_size is above 63"))
    return false;
  if (o->inline_key_size < CMAP__INLINE_KEY_MIN)
    o->inline_key_size = CMAP__INLINE_KEY_MIN;
  o->inline_key_size = cmap__round_up(o->inline_key_size + 1, 8) - 1;
  return true;
}

static enum cmap__hasher hasher_of(const struct cmap_options *o)
{
  if (o->key_hash != NULL)
    return CMAP__HASH_USER;
  if (!kind_is_string_like(o->key_kind))
    return o->flags & CMAP_HASH_SIPHASH ? CMAP__HASH_SIPHASH : CMAP__HASH_WORDS;
  return o->flags & CMAP_HASH_FAST ? CMAP__HASH_FAST : CMAP__HASH_SIPHASH;
}

/* Two halves of a word; the hash, if it is not an integer's, is a word more. */
static bool may_be_packed(const struct cmap_options *o)
{
  return (o->key_kind == CMAP_U32 ||
          (o->key_kind == CMAP_FIXED && o->key_size <= 4)) &&
         hasher_of(o) == CMAP__HASH_WORDS && o->value_size >= 1 &&
         o->value_size <= 4 &&
         (o->value_align == 0 ||
          (o->value_align <= 4 && cmap__is_power_of_two(o->value_align)));
}

static bool value_options_are_valid(struct cmap_options *o)
{
  if (may_be_packed(o)) {
    o->value_align = 4;
  } else {
    if (o->value_align == 0)
      o->value_align = 8;
    if (o->value_align < 8 && cmap__is_power_of_two(o->value_align))
      o->value_align = 8;
  }
  if (CMAP__WRONG(!cmap__is_power_of_two(o->value_align) ||
                      o->value_align > CMAP__ALIGN_MAX,
                  "options->value_align is no power of two up to 64") ||
      CMAP__WRONG(o->value_size > PTRDIFF_MAX / 2,
                  "options->value_size is too large"))
    return false;
  if (o->inline_value_size == 0)
    o->inline_value_size = CMAP__INLINE_VALUE_DEFAULT;
  if (CMAP__WRONG(o->inline_value_size > CMAP__INLINE_VALUE_MAX,
                  "options->inline_value_size is above 1024"))
    return false;
  /* A pointer would take as much. */
  if (o->inline_value_size < 8)
    o->inline_value_size = 8;
  /* A clone without a destructor would leak every clone the map drops. */
  return !CMAP__WRONG(o->value_clone != NULL && o->value_destroy == NULL,
                      "options->value_clone needs value_destroy");
}

static bool shard_options_are_valid(struct cmap_options *o)
{
  if (o->shard_groups == 0)
    o->shard_groups = CMAP__SHARD_GROUPS_DEFAULT;
  if (o->shard_bytes == 0)
    o->shard_bytes = CMAP__SHARD_BYTES_DEFAULT;
  return !CMAP__WRONG(!cmap__is_power_of_two(o->shard_groups) ||
                          o->shard_groups > CMAP__SHARD_GROUPS_MAX,
                      "options->shard_groups is no power of two up to 4096");
}

static bool seed_is_valid(const struct cmap_options *o)
{
  return !CMAP__WRONG(!(o->flags & CMAP_FIXED_SEED) &&
                          (o->seed[0] != 0 || o->seed[1] != 0),
                      "options->seed needs CMAP_FIXED_SEED");
}

static bool allocator_is_valid(const struct cmap_allocator *a)
{
  return !CMAP__WRONG((a->alloc == NULL) != (a->free == NULL),
                      "options->allocator has one function");
}

static bool hash_key_init(struct cmap__layout *layout,
                          const struct cmap_options *o)
{
  if (o->flags & CMAP_FIXED_SEED) {
    layout->hash_key.k0 = o->seed[0];
    layout->hash_key.k1 = o->seed[1];
    return true;
  }
  return cmap__seed_next(&layout->hash_key);
}

/* The key's place in the slot. */
static void lay_out_key(struct cmap__layout *layout,
                        const struct cmap_options *o)
{
  size_t bytes =
      kind_is_string_like(o->key_kind) ? o->inline_key_size + 1 : o->key_size;

  layout->kind = (uint8_t)o->key_kind;
  layout->hasher = (uint8_t)hasher_of(o);
  layout->key_words = (uint16_t)((bytes + 7) / 8);
  layout->stores_hash =
      layout->hasher != CMAP__HASH_WORDS || layout->key_words > 2;
  layout->key_word = layout->stores_hash ? 1 : 0;
  if (o->key_kind == CMAP_CUSTOM)
    layout->key_word = (uint16_t)(o->key_align / 8);
}

/* The value's place in the slot, the slot's size, the block's upper size. */
static void lay_out_value(struct cmap__layout *layout,
                          const struct cmap_options *o)
{
  size_t align = (o->value_align + 7) / 8;
  size_t words = (o->value_size + 7) / 8;
  size_t end, gap;
  unsigned g = 0;

  layout->value_boxed = o->value_size > o->inline_value_size;
  if (layout->value_boxed || words == 0)
    align = 1;
  if (layout->value_boxed)
    words = CMAP__BOX_WORDS;
  layout->value_words = (uint16_t)words;
  /* Before a key that is aligned to more than a word there may be room. */
  end = (size_t)layout->key_word + layout->key_words;
  gap = cmap__round_up(1, align);
  layout->packed = may_be_packed(o);
  if (layout->packed) {
    layout->value_word = 0;
  } else if (words > 0 && gap + words <= layout->key_word) {
    layout->value_word = (uint16_t)gap;
  } else {
    layout->value_word = (uint16_t)cmap__round_up(end, align);
    end = layout->value_word + words;
  }
  if (o->key_kind == CMAP_CUSTOM && align < o->key_align / 8)
    align = o->key_align / 8;
  layout->slot_words = (uint16_t)cmap__round_up(end, align);
  layout->slot_inverse = (1u << CMAP__INVERSE_BITS) / layout->slot_words + 1;
  while ((size_t)2 << g <= o->shard_groups &&
         cmap__layout_block_bytes(layout, g + 1) <= o->shard_bytes)
    g++;
  layout->block_limit = (uint8_t)g;
}

static enum cmap__shape shape_of(const struct cmap__layout *layout)
{
  if (layout->kind == CMAP_CUSTOM)
    return CMAP__SHAPE_CUSTOM;
  if (kind_is_string_like(layout->kind) &&
      layout->key_words == CMAP__SHORT_WORDS)
    return CMAP__SHAPE_SHORT;
  if (layout->stores_hash)
    return CMAP__SHAPE_WORDS;
  if (layout->key_words == 2)
    return CMAP__SHAPE_PAIR;
  if (layout->packed)
    return CMAP__SHAPE_PACKED;
  if (layout->slot_words != 2 || layout->value_words != 1)
    return CMAP__SHAPE_INTEGER;
  return layout->kind == CMAP_U64 && layout->value_size == 8
             ? CMAP__SHAPE_WORD
             : CMAP__SHAPE_PLAIN;
}

const struct cmap__user cmap__no_user;

/* What is asked for later; not what the layout says otherwise. */
static void keep_options(struct cmap__layout *layout,
                         const struct cmap_options *o, struct cmap__user *user)
{
  bool any = o->key_hash != NULL || o->key_equal != NULL ||
             o->key_copy != NULL || o->key_destroy != NULL ||
             o->key_ctx != NULL || o->value_destroy != NULL ||
             o->value_clone != NULL || o->value_equal != NULL ||
             o->value_ctx != NULL;

  layout->key_align = (uint8_t)o->key_align;
  layout->value_align = (uint8_t)o->value_align;
  layout->key_size = (uint16_t)o->key_size;
  layout->inline_key = o->inline_key_size;
  layout->value_size = o->value_size;
  layout->flags = o->flags;
  layout->inline_value = (uint16_t)o->inline_value_size;
  layout->shard_groups = (uint16_t)o->shard_groups;
  layout->shard_bytes = o->shard_bytes;
  layout->capacity = o->capacity;
  layout->allocator = o->allocator;
  layout->user = any ? user : &cmap__no_user;
  if (any)
    *user =
        (struct cmap__user){o->key_hash,    o->key_equal,   o->key_copy,
                            o->key_destroy, o->key_ctx,     o->value_destroy,
                            o->value_clone, o->value_equal, o->value_ctx};
}

void cmap__layout_options(const struct cmap__layout *layout,
                          struct cmap_options *options)
{
  const struct cmap__user *user = layout->user;
  bool seeded = (layout->flags & CMAP_FIXED_SEED) != 0;

  *options = (struct cmap_options){.size = sizeof *options,
                                   .key_kind = layout->kind,
                                   .flags = layout->flags,
                                   .key_size = layout->key_size,
                                   .key_align = layout->key_align,
                                   .value_size = layout->value_size,
                                   .value_align = layout->value_align,
                                   .inline_key_size = layout->inline_key,
                                   .inline_value_size = layout->inline_value,
                                   .capacity = layout->capacity,
                                   .shard_groups = layout->shard_groups,
                                   .shard_bytes = layout->shard_bytes,
                                   .seed = {seeded ? layout->hash_key.k0 : 0,
                                            seeded ? layout->hash_key.k1 : 0},
                                   .key_hash = user->key_hash,
                                   .key_equal = user->key_equal,
                                   .key_copy = user->key_copy,
                                   .key_destroy = user->key_destroy,
                                   .key_ctx = user->key_ctx,
                                   .value_destroy = user->value_destroy,
                                   .value_clone = user->value_clone,
                                   .value_equal = user->value_equal,
                                   .value_ctx = user->value_ctx,
                                   .allocator = layout->allocator};
}

enum cmap_status cmap__layout_init(struct cmap__layout *layout,
                                   const struct cmap_options *options,
                                   struct cmap__user *user)
{
  struct cmap_options in_force, *o = &in_force;

  if (CMAP__MISSING(options) ||
      CMAP__WRONG(
          !cmap__struct_read(options, CMAP__OPTIONS_FIRST, sizeof *o, o),
          "options->size is wrong"))
    return CMAP_EINVAL;
  if (CMAP__WRONG((o->flags & ~(unsigned)KNOWN_FLAGS & ~CMAP__TYPED_MIXED_UP) !=
                      0,
                  "options->flags has an unknown flag") ||
      CMAP__WRONG((o->flags & CMAP__TYPED_MIXED_UP) != 0,
                  "options do not fit the types of the map") ||
      !key_options_are_valid(o) || !key_align_is_valid(o) ||
      !inline_key_is_valid(o) || !value_options_are_valid(o) ||
      !shard_options_are_valid(o) || !seed_is_valid(o) ||
      !allocator_is_valid(&o->allocator))
    return CMAP_EINVAL;
  if (!hash_key_init(layout, o))
    return CMAP_ENORANDOM;
  keep_options(layout, o, user);
  lay_out_key(layout, o);
  lay_out_value(layout, o);
  layout->runs_user_code = o->key_kind == CMAP_CUSTOM || o->key_hash != NULL ||
                           o->value_clone != NULL;
  layout->owns_values = o->value_destroy != NULL;
  layout->has_destructors = layout->owns_values || o->key_destroy != NULL;
  layout->owns_anything = layout->has_destructors || layout->value_boxed ||
                          kind_is_string_like(o->key_kind);
  layout->looks_free =
      o->key_kind != CMAP_CUSTOM && o->value_clone == NULL &&
      !(layout->value_boxed && cmap__box_is_large(o->value_size));
  layout->lock_free = layout->looks_free && !cmap__watched();
  layout->shape = (uint8_t)shape_of(layout);
  layout->strict = (o->flags & CMAP_STRICT) != 0;
  return CMAP_OK;
}
