#include "numbers.h"

static struct cmap *open_with(size_t shard_groups)
{
  struct cmap_options options;
  struct cmap *map = NULL;

  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  options.shard_groups = shard_groups;
  CHECK_OK(cmap_create(&options, &map));
  return map;
}

struct cmap *numbers_open(void)
{
  return open_with(0);
}

struct cmap *numbers_open_small(void)
{
  return open_with(1);
}

void numbers_put(struct cmap *map, uint64_t key, uint64_t value)
{
  CHECK_OK(cmap_insert(map, cmap_key_u64(&key), &value, NULL, NULL, NULL));
}

uint64_t numbers_get(struct cmap *map, uint64_t key)
{
  uint64_t value = 0;

  CHECK_OK(cmap_get(map, cmap_key_u64(&key), &value, NULL));
  return value;
}

bool numbers_has(struct cmap *map, uint64_t key)
{
  enum cmap_status status = cmap_contains(map, cmap_key_u64(&key), NULL);

  CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
  return status == CMAP_OK;
}

void numbers_drop(struct cmap *map, uint64_t key)
{
  CHECK_OK(cmap_remove(map, cmap_key_u64(&key), NULL, NULL));
}
