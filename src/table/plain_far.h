/*
 * Plain entries (table/plain.h) that are not in their home group, because that
 * was full when they came.
 */
#ifndef CMAP__TABLE_PLAIN_FAR_H
#define CMAP__TABLE_PLAIN_FAR_H

#include "table/plain.h"

/* Looks for a key in all groups of its probe. Returns how many of them were
 * full and passed by. The caller holds the shard's lock. */
unsigned cmap__plain_seek(const struct cmap__shard *shard, uint64_t hash,
                          uint64_t key, struct cmap__plain_look *look);

/*
 * Finds the group for an absent key, and sets the overflow bits on the way to
 * it; cmap__plain_put stores it there. False: the block is full. The caller
 * holds the write lock.
 */
bool cmap__plain_make_way(struct cmap__shard *shard, uint64_t hash,
                          struct cmap__plain_look *look);

#endif
