/*
 * Maps for scenarios, small and with keys that lie where the scenario wants
 * them: a key is its own hash.
 */
#ifndef CMAP_TEST_WORLD_PLAY_H
#define CMAP_TEST_WORLD_PLAY_H

#include <cmap.h>

#include "world.h"

/* A scenario's map is in one of two shards or in both: keys of the lower half
 * of all hashes, and of the upper one, by their number from 0 to 99. */
#define LOW(i)  ((uint64_t)(i) + 1)
#define HIGH(i) (LOW(i) | UINT64_C(1) << 63)

extern struct cmap *map; /* the scenario's */

/* Makes it, with shards of one group and these options else; with so many
 * fillers in each half, from LOW(50) on: 7 part the halves. */
void play_begin(const struct cmap_options *options, unsigned fillers);

/* Of integers as keys, and values of so many bytes. */
struct cmap_options play_options(size_t value_size);

/* Checks it and destroys it. */
void play_end(void);

/* Of a map with values of 8 bytes, and no fault. */
void put(uint64_t key, uint64_t value);

/* 0: absent. */
uint64_t get(uint64_t key);

#define WORLD_OK(call) WORLD_CHECK((call) == CMAP_OK)

#endif
