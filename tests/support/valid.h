/*
 * Does a structure of the table have the invariants that its header states?
 *
 * For structures that nobody changes meanwhile: a shard that the caller holds,
 * or a table at rest. The first fault is printed to standard error.
 * For tests that are linked with the library's objects only.
 */
#ifndef CMAP_TEST_VALID_H
#define CMAP_TEST_VALID_H

#include "table/table.h"

/*
 * A live shard: each entry lies where its probe finds it, in the hashes that
 * the shard covers, under its tag, behind groups that have its overflow bit;
 * the counts are right; every group is stable.
 */
bool shard_is_valid(const struct cmap__layout *layout,
                    const struct cmap__shard *shard);

/* Are all groups of the block busy? */
bool block_is_busy(uintptr_t block);

/*
 * The directory names exactly the live shards, which cover every hash once;
 * its counts are right; every live shard is valid and unlocked, every free one
 * dead, unlocked and busy.
 */
bool table_is_valid(const struct cmap__table *table);

/* Entries in all live shards. */
size_t table_count(const struct cmap__table *table);

/* Free shards whose block has 2^g groups. */
size_t table_free_count(const struct cmap__table *table, int g);

/* The bytes that a pool has from the allocator. */
static inline size_t pool_takes(const struct cmap__pool *pool)
{
  const struct cmap__grown *grown = cmap__pool_grown(pool);

  return grown == NULL ? 0 : grown->source.bytes;
}

#endif
