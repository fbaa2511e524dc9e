/*
 * Scans of slots that are a u64 key and 8 bytes of value: all of a shard.
 */
#ifndef CMAP__MAP_SCAN_PLAIN_H
#define CMAP__MAP_SCAN_PLAIN_H

#include "table/shard.h"

/*
 * Copies the keys and the values of a block's entries (NULL: not these) behind
 * the `count` that are there; there is room. Returns the new count. What is
 * behind the last entry may be written, too, as far as `capacity`. `ahead` is
 * asked for on the way. The caller holds the block's shard.
 */
size_t cmap__scan_plain(uintptr_t block, struct cmap__ahead ahead, char *keys,
                        char *values, size_t count, size_t capacity);

#endif
