#include "maps.h"

#include <stdio.h>
#include <string.h>

#include "content.h"
#include "random.h"
#include "settings.h"

const size_t value_sizes[VALUE_SIZES] = {0, 1, 4, 8, 12, 64, 300, 5000};

static const char *const key_names[KEY_SHAPES] = {
    "u32",    "u64",   "fixed3", "fixed16",     "fixed256",
    "string", "bytes", "custom", "custom-owned"};
static const char *const care_names[VALUE_CARES] = {"plain", "owned",
                                                    "uncopyable"};
static const char *const hash_names[HASH_WAYS] = {
    "default", "fast", "constant", "low4", "good32", "top16"};

/* ------------------------------------------------------------------------
 * Callbacks of the maps; ctx is the struct test_map
 * ------------------------------------------------------------------------ */

static uint64_t hash_key(struct cmap_key key, void *ctx)
{
  const struct test_map *m = ctx;
  uint64_t id = key_id(&m->spec, key);

  switch (m->spec.hash) {
  case HASH_CONSTANT:
    return 42;
  case HASH_LOW_4:
    return id & 15;
  case HASH_GOOD_32:
    return random_mix(id) >> 32;
  case HASH_TOP_16:
    return random_mix(id) & ~(UINT64_MAX >> 16);
  default:
    return random_mix(id);
  }
}

/* The default for keys of that size; it is 12 where a struct of 8 and 4 bytes
 * is (i386). */
enum { DEFAULT_ALIGN = sizeof(struct tracked_key) % 16 == 0 ? 16 : 8 };

static bool key_equal(struct cmap_key stored, struct cmap_key key, void *ctx)
{
  const struct test_map *m = ctx;

  CHECK(stored.size == sizeof(struct tracked_key));
  CHECK((uintptr_t)stored.data % (m->options.key_align == 0
                                      ? DEFAULT_ALIGN
                                      : m->options.key_align) ==
        0);
  return key_id(&m->spec, stored) == key_id(&m->spec, key);
}

static enum cmap_status key_copy(struct cmap_key key, void *stored, void *ctx)
{
  const struct test_map *m = ctx;

  return lifetimes_key_copy(key, stored, m->lives);
}

static void key_destroy(void *stored, void *ctx)
{
  const struct test_map *m = ctx;

  lifetimes_key_destroy(stored, m->lives);
}

/* ------------------------------------------------------------------------
 * Opening and closing
 * ------------------------------------------------------------------------ */

static void choose_keys(struct test_map *m, struct cmap_options *options)
{
  static const unsigned kinds[KEY_SHAPES] = {
      CMAP_U32,    CMAP_U64,   CMAP_FIXED,  CMAP_FIXED, CMAP_FIXED,
      CMAP_STRING, CMAP_BYTES, CMAP_CUSTOM, CMAP_CUSTOM};
  static const size_t sizes[KEY_SHAPES] = {0,
                                           0,
                                           3,
                                           16,
                                           256,
                                           0,
                                           0,
                                           sizeof(struct tracked_key),
                                           sizeof(struct tracked_key)};

  static const size_t aligns[4] = {0, 8, 32, 64};

  options->key_kind = kinds[m->spec.keys];
  options->key_size = sizes[m->spec.keys];
  options->key_ctx = m;
  if (options->key_kind == CMAP_CUSTOM) {
    options->key_hash = hash_key;
    options->key_equal = key_equal;
    options->key_align = aligns[m->spec.value_size / 4 % 4];
  }
  if (m->spec.keys == KEYS_CUSTOM_OWNED) {
    options->key_copy = key_copy;
    options->key_destroy = key_destroy;
  }
}

static void choose_hash(struct test_map *m, struct cmap_options *options)
{
  switch (m->spec.hash) {
  case HASH_DEFAULT:
    break;
  case HASH_FAST:
    options->flags |= CMAP_HASH_FAST;
    break;
  case HASH_GOOD_32:
  case HASH_TOP_16:
    options->flags |= CMAP_HASH_IS_GOOD;
    options->key_hash = hash_key;
    break;
  default:
    options->key_hash = hash_key;
    break;
  }
}

static void prepare(struct test_map *m, const struct map_spec *spec,
                    struct lifetimes *lives)
{
  struct cmap_options *options = &m->options;

  memset(m, 0, sizeof *m);
  m->spec = *spec;
  m->lives = lives;
  counting_alloc_begin(&m->alloc);
  cmap_options_init(options, CMAP_U64, spec->value_size);
  choose_keys(m, options);
  choose_hash(m, options);
  options->shard_groups = spec->shard_groups;
  options->flags |= spec->flags;
  options->value_align = spec->value_align;
  options->inline_key_size = spec->inline_key_size;
  options->inline_value_size = spec->inline_value_size;
  options->capacity = spec->capacity;
  options->seed[0] = spec->seed;
  options->allocator = counting_alloc_hook(&m->alloc);
  if (spec->care != VALUES_PLAIN) {
    options->value_destroy = lifetimes_value_destroy;
    options->value_equal = lifetimes_value_equal;
    options->value_ctx = lives;
  }
  if (spec->care == VALUES_OWNED) {
    options->value_clone = lifetimes_value_clone;
  }
}

void test_map_prepare(struct test_map *m, const struct map_spec *spec)
{
  prepare(m, spec, &m->own_lives);
  lifetimes_begin(&m->own_lives, spec->value_size);
}

void test_map_open(struct test_map *m, const struct map_spec *spec)
{
  test_map_prepare(m, spec);
  assert_ok(cmap_create(&m->options, &m->map));
}

void test_map_open_sibling(struct test_map *sibling, struct test_map *m)
{
  prepare(sibling, &m->spec, m->lives);
  /* Callbacks of one see keys of the other: both count in the same lives. */
  assert_ok(cmap_create(&sibling->options, &sibling->map));
}

void test_map_close(struct test_map *m)
{
  cmap_destroy(m->map);
  m->map = NULL;
  CHECK(counting_alloc_is_empty(&m->alloc));
  if (m->lives == &m->own_lives) {
    CHECK(lifetimes_balanced(m->lives));
    lifetimes_end(m->lives);
    checks_assert();
  }
}

/* ------------------------------------------------------------------------
 * Specs
 * ------------------------------------------------------------------------ */

bool map_spec_is_valid(const struct map_spec *spec)
{
  if (spec->care != VALUES_PLAIN && spec->value_size < sizeof(void *)) {
    return false;
  }
  if (spec->hash == HASH_FAST) {
    return spec->keys == KEYS_STRING || spec->keys == KEYS_BYTES;
  }
  return true;
}

bool map_spec_is_slow(const struct map_spec *spec)
{
  return spec->hash == HASH_CONSTANT || spec->hash == HASH_LOW_4 ||
         spec->hash == HASH_TOP_16;
}

bool map_spec_is_lock_free(const struct map_spec *spec)
{
  return spec->keys <= KEYS_FIXED_256 && spec->value_size <= 256 &&
         spec->care == VALUES_PLAIN;
}

const char *map_spec_name(const struct map_spec *spec)
{
  static char name[80];

  snprintf(name, sizeof name, "%s/%zu/%s/%s/%zu", key_names[spec->keys],
           spec->value_size, care_names[spec->care], hash_names[spec->hash],
           spec->shard_groups);
  return name;
}

struct each {
  void (*run)(const struct map_spec *spec, void *ctx);
  void *ctx;
  struct random random;
  unsigned one_in; /* so many are called for one */
};

static void each_spec(struct map_spec *spec, struct each *each)
{
  if (!map_spec_is_valid(spec)) {
    return;
  }
  spec->shard_groups = spec->shard_groups ? 0 : 1;
  if (random_once_in(&each->random, each->one_in)) {
    each->run(spec, each->ctx);
  }
}

static void each_value(struct map_spec *spec, struct each *each)
{
  for (int size = 0; size < VALUE_SIZES; size++) {
    spec->value_size = value_sizes[size];
    spec->care = VALUES_PLAIN;
    each_spec(spec, each);
  }
  for (int care = VALUES_OWNED; care < VALUE_CARES; care++) {
    spec->care = (enum value_care)care;
    for (spec->value_size = 8; spec->value_size <= 308;
         spec->value_size += 300) {
      each_spec(spec, each);
    }
  }
}

void map_spec_each(void (*run)(const struct map_spec *spec, void *ctx),
                   void *ctx)
{
  struct map_spec spec = {.shard_groups = 0};
  struct each each = {.run = run, .ctx = ctx};

  each.one_in = test_scale(100) < 10 ? 3 : 1;
  random_begin(&each.random, 0);
  for (int keys = 0; keys < KEY_SHAPES; keys++) {
    for (int hash = 0; hash < HASH_WAYS; hash++) {
      spec.keys = (enum key_shape)keys;
      spec.hash = (enum hash_way)hash;
      each_value(&spec, &each);
    }
  }
}
