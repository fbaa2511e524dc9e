/*
 * Keys of a map of u64 that lie in different shards, in the order of their
 * hashes.
 *
 * Failures are recorded by CHECK.
 */
#ifndef CMAP_TEST_SPREAD_H
#define CMAP_TEST_SPREAD_H

#include <stddef.h>
#include <stdint.h>

#include "cmap.h"

/*
 * One key of each of the first `count` shards that have any of the keys 0 to
 * n - 1: a split may leave one of the two shards without.
 */
void spread_ids(struct cmap *map, size_t n, uint64_t *ids, size_t count);

#endif
