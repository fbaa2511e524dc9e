/* The calls that walk, and those on many keys; calls.h says the rest. */
#include "calls.h"

#include <string.h>

static void check_entry(const void *key, const void *value)
{
  uint64_t number;

  memcpy(&number, value, sizeof number);
  CHECK(number == calls_value(cmap_key_bytes(key, sizeof(uint64_t))));
}

/* All of the map, in several calls. */
enum cmap_status run_scan(struct cmap *map, struct cmap_key key,
                          const struct cmap_how *how)
{
  uint64_t keys[7], values[7], cursor = 0;
  enum cmap_status status;

  (void)key;
  do {
    struct cmap_scan_buffer buffer = {
        .size = sizeof buffer, .capacity = 7, .keys = keys, .values = values};
    uint64_t before = cursor;
    status = cmap_scan(map, &cursor, 0, &buffer, how);
    CHECK(status == CMAP_OK ? cursor > before && buffer.count > 0
                            : buffer.count == 0);
    CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND || cursor == before);
    for (size_t i = 0; i < buffer.count; i++)
      check_entry(&keys[i], &values[i]);
  } while (status == CMAP_OK);
  return status == CMAP_NOT_FOUND ? CMAP_OK : status;
}

static enum cmap_status see(struct cmap_key key, const void *value, void *ctx)
{
  (void)ctx;
  check_entry(key.data, value);
  return CMAP_OK;
}

enum cmap_status run_for_each(struct cmap *map, struct cmap_key key,
                              const struct cmap_how *how)
{
  (void)key;
  return cmap_for_each(map, 0, 1, see, NULL, how);
}

/* Every value is written again. */
enum cmap_status run_iter_write(struct cmap *map, struct cmap_key key,
                                const struct cmap_how *how)
{
  CMAP_AUTO(cmap_iter, iter);
  enum cmap_status status = cmap_iter_begin(map, CMAP_WRITE, 0, 1, &iter);

  (void)key;
  if (status != CMAP_OK)
    return status;
  while ((status = cmap_iter_next(&iter, how)) == CMAP_OK) {
    uint64_t value = calls_value(iter.key);
    memcpy(iter.value, &value, sizeof value);
  }
  CHECK(iter.key.data == NULL && iter.value == NULL);
  return status == CMAP_NOT_FOUND ? CMAP_OK : status;
}

enum cmap_status run_snapshot(struct cmap *map, struct cmap_key key,
                              const struct cmap_how *how)
{
  struct cmap_snapshot *snapshot = NULL;
  enum cmap_status status =
      cmap_snapshot_create(map, CMAP_KEYS_AND_VALUES, &snapshot, how);

  (void)key;
  CHECK((status == CMAP_OK) == (snapshot != NULL));
  for (size_t i = 0; i < cmap_snapshot_count(snapshot); i++)
    check_entry(cmap_snapshot_key(snapshot, i).data,
                cmap_snapshot_value(snapshot, i));
  cmap_snapshot_destroy(snapshot);
  return status;
}

enum cmap_status run_check(struct cmap *map, struct cmap_key key,
                           const struct cmap_how *how)
{
  const char *broken = NULL;
  enum cmap_status status = cmap_check(map, &broken, how);

  (void)key;
  CHECK(broken == NULL);
  return status;
}

static enum cmap_status take(struct cmap_key key, void *value, void *ctx)
{
  return see(key, value, ctx);
}

enum cmap_status run_drain(struct cmap *map, struct cmap_key key,
                           const struct cmap_how *how)
{
  (void)key;
  return cmap_drain(map, take, NULL, how);
}

/* All of the map, in two parts. */
enum cmap_status run_pop(struct cmap *map, struct cmap_key key,
                         const struct cmap_how *how)
{
  enum cmap_status status = CMAP_NOT_FOUND;

  (void)key;
  for (size_t part = 0; part < 2 && status == CMAP_NOT_FOUND; part++)
    do {
      status = cmap_pop(map, part, 2, take, NULL, how);
    } while (status == CMAP_OK);
  return status == CMAP_NOT_FOUND ? CMAP_OK : status;
}

/* A batch of one key: what it returns is the key's own status. */
static enum cmap_status same(enum cmap_status status,
                             const enum cmap_status *of_key)
{
  CHECK(status == *of_key);
  return status;
}

enum cmap_status run_get_many(struct cmap *map, struct cmap_key key,
                              const struct cmap_how *how)
{
  enum cmap_status of_key = CMAP_EINVAL;
  uint64_t value = 0;
  enum cmap_status status =
      cmap_get_many(map, &key, NULL, 1, &value, &of_key, how);

  CHECK(value == (status == CMAP_OK ? calls_value(key) : 0));
  return same(status, &of_key);
}

enum cmap_status run_contains_many(struct cmap *map, struct cmap_key key,
                                   const struct cmap_how *how)
{
  enum cmap_status of_key = CMAP_EINVAL;

  return same(cmap_contains_many(map, &key, NULL, 1, &of_key, how), &of_key);
}

enum cmap_status run_insert_many(struct cmap *map, struct cmap_key key,
                                 const struct cmap_how *how)
{
  enum cmap_status of_key = CMAP_EINVAL;
  uint64_t value = calls_value(key);

  return same(cmap_insert_many(map, &key, NULL, 1, &value, &of_key, how),
              &of_key);
}

enum cmap_status run_remove_many(struct cmap *map, struct cmap_key key,
                                 const struct cmap_how *how)
{
  enum cmap_status of_key = CMAP_EINVAL;
  uint64_t old = 0;
  enum cmap_status status =
      cmap_remove_many(map, &key, NULL, 1, &old, &of_key, how);

  CHECK(old == (status == CMAP_OK ? calls_value(key) : 0));
  return same(status, &of_key);
}

enum cmap_status run_fetch_add_many(struct cmap *map, struct cmap_key key,
                                    const struct cmap_how *how)
{
  enum cmap_status of_key = CMAP_EINVAL;
  uint64_t zero = 0;

  return same(
      cmap_fetch_add_many(map, &key, NULL, 1, &zero, NULL, &of_key, how),
      &of_key);
}
