/*
 * Making a table, and locking the shard of a hash.
 */
#include "table/table.h"

#include <unistd.h>

#include "table/replace.h"

/*
 * A shard of a small map is split when this many lockings of either half of it
 * have waited: few enough to be reached in a second of contention, and many
 * enough for a split, some 10 us, not to count.
 */
#define CONTENTION_WAITS  256
/* Shards per processor beyond which more would not meet less. */
#define CONTENTION_SHARDS 8

enum cmap_status cmap__table_init(struct cmap__table *table,
                                  const struct cmap_options *options)
{
  enum cmap_status status = cmap__layout_init(&table->layout, options);
  struct cmap__shard *shard;

  if (status != CMAP_OK)
    return status;
  table->contention_shards =
      CONTENTION_SHARDS * (size_t)sysconf(_SC_NPROCESSORS_ONLN);
  status = cmap__pool_init(&table->pool, &table->layout);
  if (status != CMAP_OK)
    return status;
  shard = cmap__pool_take(&table->pool, &table->layout, CMAP__NO_BLOCK);
  if (shard != NULL) {
    shard->mask = cmap__depth_mask(0);
    shard->prefix = 0;
    cmap__shardlock_write_unlock(&shard->lock);
    status = cmap__directory_init(&table->directory, &table->layout, shard);
    if (status == CMAP_OK)
      return CMAP_OK;
  }
  cmap__pool_destroy(&table->pool, &table->layout);
  return CMAP_ENOMEM;
}

void cmap__table_destroy(struct cmap__table *table)
{
  cmap__directory_destroy(&table->directory, &table->layout);
  cmap__pool_destroy(&table->pool, &table->layout);
}

/* The bit of the hash by which a split of the shard would part its keys. */
static unsigned next_bit(const struct cmap__shard *shard, uint64_t hash)
{
  return (unsigned)(hash >> (63 - cmap__shard_depth(shard))) & 1;
}

/*
 * Counts a wait for a shard that is now held; relaxed: a statistic. One hot
 * key must not split its shard again and again, so that the halves count apart.
 */
static void count_wait(struct cmap__shard *shard, uint64_t hash)
{
  if (cmap__shard_covers(shard, hash))
    cmap__add_relaxed(&shard->waits[next_bit(shard, hash)], 1);
}

/* Splits a shard, held exclusively, whose halves have both been waited for. */
static void relieve(struct cmap__table *table, struct cmap__shard **shard,
                    uint64_t hash)
{
  _Atomic uint16_t *waits = (*shard)->waits;

  if (cmap__load_relaxed(&waits[0]) < CONTENTION_WAITS ||
      cmap__load_relaxed(&waits[1]) < CONTENTION_WAITS)
    return;
  cmap__store_relaxed(&waits[0], 0);
  cmap__store_relaxed(&waits[1], 0);
  if (cmap__load_relaxed(&table->directory.shards) < table->contention_shards)
    /* Without memory it stays as it is. */
    (void)cmap__shard_split(table, shard, hash, cmap__shard_depth(*shard) + 1);
}

/* The lock is not free at once: own holds first, then wait. */
static CMAP__NOINLINE enum cmap_status
lock_slow(struct cmap__shard *shard, uint64_t hash, enum cmap__mode mode,
          const struct cmap__patience *patience, bool *borrowed)
{
  const struct cmap__hold *own = cmap__hold_find(&shard->lock);
  struct cmap__lock_wait wait = {
      .deadline_ns = patience ? patience->deadline_ns : CMAP__NO_DEADLINE,
      .try_only = patience && patience->try_only,
      .already_reads = own != NULL && own->mode == CMAP__READ,
  };
  enum cmap__lock_result result;

  if (own != NULL && (mode == CMAP__WRITE || own->mode == CMAP__WRITE)) {
    /*
     * What we hold does not change: if it covers the hash, it is the hash's
     * home. If not, the directory has moved on, and the caller looks again.
     */
    *borrowed = true;
    if (mode == CMAP__READ || !cmap__shard_covers(shard, hash))
      return CMAP_OK;
    return wait.try_only ? CMAP_BUSY : CMAP_EDEADLK;
  }
  if (mode == CMAP__WRITE)
    result = cmap__shardlock_write_slow(&shard->lock, &wait);
  else
    result = cmap__shardlock_read_slow(&shard->lock, &wait);
  if (wait.waited && result == CMAP__LOCK_OK)
    count_wait(shard, hash);
  switch (result) {
  case CMAP__LOCK_OK:
    return CMAP_OK;
  case CMAP__LOCK_BUSY:
    return CMAP_BUSY;
  case CMAP__LOCK_TIMEDOUT:
    return CMAP_TIMEDOUT;
  default:
    return CMAP_EDEADLK;
  }
}

enum cmap_status cmap__table_lock(struct cmap__table *table, uint64_t hash,
                                  enum cmap__mode mode,
                                  const struct cmap__patience *patience,
                                  struct cmap__locked *locked)
{
  /* Ends: the directory names a shard that does not cover the hash only while
   * another thread replaces it, which that thread finishes without us. */
  for (;;) {
    struct cmap__shard *shard = cmap__directory_shard(&table->directory, hash);
    bool got = mode == CMAP__WRITE ? cmap__shardlock_try_write(&shard->lock)
                                   : cmap__shardlock_try_read(&shard->lock);

    locked->shard = shard;
    locked->mode = mode;
    locked->borrowed = false;
    if (cmap__unlikely(!got)) {
      enum cmap_status status =
          lock_slow(shard, hash, mode, patience, &locked->borrowed);
      if (status != CMAP_OK)
        return status;
    }
    if (cmap__likely(cmap__shard_covers(shard, hash))) {
      if (cmap__unlikely(!got) && mode == CMAP__WRITE)
        relieve(table, &locked->shard, hash);
      return CMAP_OK;
    }
    cmap__table_unlock(locked);
  }
}
