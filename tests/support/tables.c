#include "tables.h"

#include <stdio.h>
#include <string.h>

#include "random.h"
#include "base/alloc.h"
#include "table/value.h"

static const char *const kind_names[] = {"",        "u32",   "u64",   "fixed",
                                         "strings", "bytes", "custom"};
static const char *const spread_names[] = {"good hash", "constant hash",
                                           "hash of 32 low bits",
                                           "hash of 16 high bits"};

const char *tables_setting_name(const struct tables_setting *setting)
{
  static char name[64];

  snprintf(name, sizeof name, "%s, %s", kind_names[setting->kind],
           spread_names[setting->spread]);
  return name;
}

/* -------------------------------------------------------------------------
 * Keys
 * ------------------------------------------------------------------------- */

#define FIXED_SIZE 13 /* not a multiple of a word */

static const char *custom_text(struct cmap_key key)
{
  const char *text;

  memcpy(&text, key.data, sizeof text);
  return text;
}

static uint64_t spread_hash(struct cmap_key key, void *ctx)
{
  const struct tables_setting *setting = ctx;
  const unsigned char *bytes = key.data;
  size_t size = key.size;
  uint64_t hash = 1469598103934665603u; /* FNV-1a */

  if (setting->kind == CMAP_CUSTOM) {
    bytes = (const unsigned char *)custom_text(key);
    size = strlen(custom_text(key));
  }
  for (size_t i = 0; i < size; i++)
    hash = (hash ^ bytes[i]) * 1099511628211u;
  hash = random_mix(hash);
  switch (setting->spread) {
  case SPREAD_CONSTANT:
    return UINT64_C(0x5555555555555555);
  case SPREAD_LOW_32:
    return hash & UINT32_MAX;
  case SPREAD_HIGH_16:
    return hash & ~(UINT64_MAX >> 16);
  default:
    return hash;
  }
}

static bool custom_equal(struct cmap_key stored, struct cmap_key key, void *ctx)
{
  (void)ctx;
  return strcmp(custom_text(stored), custom_text(key)) == 0;
}

/* Copies of custom keys come from the setting's allocator, to be counted. */
static enum cmap_status custom_copy(struct cmap_key key, void *stored,
                                    void *ctx)
{
  const struct tables_setting *setting = ctx;
  struct cmap_allocator hook = counting_alloc_hook(setting->alloc);
  const char *text = custom_text(key);
  char *copy = hook.alloc(strlen(text) + 1, 1, hook.ctx);

  if (copy == NULL)
    return CMAP_ENOMEM;
  memcpy(copy, text, strlen(text) + 1);
  memcpy(stored, &copy, sizeof copy);
  return CMAP_OK;
}

static void custom_destroy(void *stored, void *ctx)
{
  const struct tables_setting *setting = ctx;
  struct cmap_allocator hook = counting_alloc_hook(setting->alloc);
  char *text;

  memcpy(&text, stored, sizeof text);
  hook.free(text, strlen(text) + 1, 1, hook.ctx);
}

struct cmap_options tables_options(struct tables_setting *setting,
                                   size_t groups)
{
  struct cmap_options options;

  cmap_options_init(&options, CMAP_U64, 8);
  options.key_kind = setting->kind;
  options.shard_groups = groups;
  options.flags = CMAP_FIXED_SEED;
  options.key_ctx = setting;
  if (setting->kind == CMAP_FIXED)
    options.key_size = FIXED_SIZE;
  if (setting->spread != SPREAD_GOOD)
    options.flags |= CMAP_HASH_IS_GOOD;
  if (setting->spread != SPREAD_GOOD || setting->kind == CMAP_CUSTOM)
    options.key_hash = spread_hash;
  if (setting->kind == CMAP_CUSTOM) {
    options.key_size = sizeof(char *);
    options.key_equal = custom_equal;
    options.key_copy = custom_copy;
    options.key_destroy = custom_destroy;
  }
  if (setting->alloc != NULL)
    options.allocator = counting_alloc_hook(setting->alloc);
  else
    options.allocator = cmap__allocator_default;
  return options;
}

void tables_key(struct tables_key *key, unsigned kind, uint64_t i)
{
  static const size_t lengths[] = {0, 22, 23, 24, 63, 64};
  size_t length = lengths[i % (sizeof lengths / sizeof *lengths)];
  uint32_t small = (uint32_t)i;
  size_t digits;

  memset(key, 0, sizeof *key);
  key->number = i;
  switch (kind) {
  case CMAP_U32:
    memcpy(key->bytes, &small, sizeof small);
    key->key = cmap_key_bytes(key->bytes, sizeof small);
    return;
  case CMAP_U64:
    key->key = cmap_key_u64(&key->number);
    return;
  case CMAP_FIXED:
    memcpy(key->bytes + 1, &i, sizeof i);
    key->key = cmap_key_bytes(key->bytes, FIXED_SIZE);
    return;
  default:
    break;
  }
  if (i > 0) {
    digits = (size_t)snprintf(key->bytes, sizeof key->bytes, "%llu.",
                              (unsigned long long)i);
    if (length < digits)
      length = digits;
    memset(key->bytes + digits, 'x', length - digits);
  }
  if (kind == CMAP_BYTES && i > 0)
    key->bytes[length - 1] = '\0';
  key->key = cmap_key_bytes(key->bytes, length);
  if (kind == CMAP_CUSTOM) {
    key->text = key->bytes;
    key->key = cmap_key_bytes(&key->text, sizeof key->text);
  }
}

/* -------------------------------------------------------------------------
 * Operations
 * ------------------------------------------------------------------------- */

static void probe_of(const struct cmap__table *table, uint64_t i,
                     struct tables_key *key, struct cmap__probe *probe)
{
  tables_key(key, table->layout.kind, i);
  CHECK_OK(cmap__probe_init(&table->layout, key->key, NULL, probe));
}

uint64_t tables_hash(const struct cmap__table *table, uint64_t i)
{
  struct cmap__probe probe;
  struct tables_key key;

  probe_of(table, i, &key, &probe);
  return probe.hash;
}

struct cmap__shard *tables_lock(struct cmap__table *table, uint64_t hash)
{
  struct cmap__locked locked;

  CHECK_OK(cmap__table_lock(table, hash, CMAP__WRITE, NULL, &locked));
  return locked.shard;
}

void tables_unlock(struct cmap__shard *shard)
{
  cmap__shardlock_write_unlock(&shard->lock);
}

/* Write lock held, key absent. */
static enum cmap_status put_locked(struct cmap__table *table,
                                   struct cmap__shard **shard,
                                   const struct cmap__probe *probe,
                                   uint64_t value)
{
  struct cmap__key_image image;
  struct cmap__place place;
  enum cmap_status status = cmap__make_room(table, shard, probe->hash);

  if (status != CMAP_OK)
    return status;
  if (!cmap__shard_vacancy(&table->layout, *shard, probe->hash, &place)) {
    CHECK_NEVER("make_room made no room");
    return CMAP_ENOMEM;
  }
  status = cmap__key_image_init(&table->layout, probe, &image);
  if (status == CMAP_OK)
    cmap__shard_put(&table->layout, *shard, &place, false, &image, &value);
  return status;
}

enum cmap_status tables_put(struct cmap__table *table, uint64_t i,
                            uint64_t value)
{
  enum cmap_status status = CMAP_EXISTS;
  struct cmap__shard *shard;
  struct cmap__probe probe;
  struct cmap__place place;
  struct tables_key key;

  probe_of(table, i, &key, &probe);
  shard = tables_lock(table, probe.hash);
  if (!cmap__shard_find(&table->layout, shard, &probe, &place))
    status = put_locked(table, &shard, &probe, value);
  tables_unlock(shard);
  return status;
}

enum cmap_status tables_take(struct cmap__table *table, uint64_t i)
{
  struct cmap__slot_image image;
  struct cmap__shard *shard;
  struct cmap__probe probe;
  struct cmap__place place;
  struct tables_key key;
  bool found;

  probe_of(table, i, &key, &probe);
  shard = tables_lock(table, probe.hash);
  found = cmap__shard_find(&table->layout, shard, &probe, &place);
  if (found)
    cmap__shard_take(&table->layout, shard, &place, false, image.words);
  tables_unlock(shard);
  if (!found)
    return CMAP_NOT_FOUND;
  cmap__slot_words_release(&table->layout, image.words, NULL);
  return CMAP_OK;
}

enum cmap_status tables_find(struct cmap__table *table, uint64_t i,
                             uint64_t *value)
{
  struct cmap__locked locked;
  struct cmap__probe probe;
  struct cmap__place place;
  struct tables_key key;
  bool found;

  probe_of(table, i, &key, &probe);
  CHECK_OK(cmap__table_lock(table, probe.hash, CMAP__READ, NULL, &locked));
  found = cmap__shard_find(&table->layout, locked.shard, &probe, &place);
  if (found)
    memcpy(value, cmap__slot_value(&table->layout, place.slot), sizeof *value);
  cmap__table_unlock(&locked);
  return found ? CMAP_OK : CMAP_NOT_FOUND;
}

void tables_close(struct cmap__table *table)
{
  uint64_t hash = 0;

  do {
    struct cmap__shard *shard = tables_lock(table, hash);
    struct cmap__cursor cursor = cmap__cursor_begin(shard->block);
    struct cmap__slot_image image;
    struct cmap__place place;

    while (cmap__cursor_next(&table->layout, &cursor, &place)) {
      cmap__shard_take(&table->layout, shard, &place, false, image.words);
      cmap__slot_words_release(&table->layout, image.words, NULL);
    }
    hash = cmap__shard_next_hash(shard);
    tables_unlock(shard);
  } while (hash != 0);
  cmap__table_destroy(table);
}
