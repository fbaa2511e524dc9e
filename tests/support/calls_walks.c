/* The calls that walk with a cursor; calls.h says the rest. */
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
  CMAP_SCOPED(cmap_iter) iter = CMAP_INIT;
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
