#include "spread.h"

#include <stdlib.h>

#include "checks.h"

void spread_ids(struct cmap *map, size_t n, uint64_t *ids, size_t count)
{
  size_t shards = cmap_shard_count(map), found = 0;
  uint64_t *by_shard = malloc(shards * sizeof *by_shard);

  CHECK(by_shard != NULL);
  for (size_t i = 0; i < shards; i++)
    by_shard[i] = n;
  for (uint64_t id = 0, hash; id < n; id++) {
    CHECK_OK(cmap_hash(map, cmap_key_u64(&id), &hash));
    by_shard[cmap_shard_index(map, hash)] = id;
  }
  for (size_t i = 0; i < shards && found < count; i++) {
    if (by_shard[i] < n)
      ids[found++] = by_shard[i];
  }
  CHECK(found == count);
  free(by_shard);
}
