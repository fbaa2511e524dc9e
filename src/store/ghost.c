/*
 * Fingerprints of what was evicted.
 */
#include "store/ghost.h"

#include <string.h>

/* The bucket by the upper half of the hash, the fingerprint by the lower. */
static uint16_t *ghost_bucket(struct cmap__ghosts *ghosts, uint64_t hash,
                              uint16_t *mark)
{
  uint64_t at = ((hash >> 32) * (uint64_t)ghosts->count) >> 32;

  *mark = (uint16_t)hash;
  if (*mark == 0)
    *mark = 1;
  return ghosts->buckets[at];
}

void cmap__ghost_put(struct cmap__ghosts *ghosts, uint64_t hash)
{
  uint16_t mark, *bucket;

  if (ghosts->count == 0)
    return;
  bucket = ghost_bucket(ghosts, hash, &mark);
  memmove(bucket + 1, bucket, (CMAP__GHOST_WAYS - 1) * sizeof *bucket);
  bucket[0] = mark;
}

bool cmap__ghost_take(struct cmap__ghosts *ghosts, uint64_t hash)
{
  uint16_t mark, *bucket;

  if (ghosts->count == 0)
    return false;
  bucket = ghost_bucket(ghosts, hash, &mark);
  for (unsigned i = 0; i < CMAP__GHOST_WAYS; i++) {
    if (bucket[i] != mark)
      continue;
    memmove(bucket + i, bucket + i + 1,
            (CMAP__GHOST_WAYS - 1 - i) * sizeof *bucket);
    bucket[CMAP__GHOST_WAYS - 1] = 0;
    return true;
  }
  return false;
}
