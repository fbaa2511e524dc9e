/*
 * Maps of u64 to u64, for tests where only the operation matters.
 *
 * Failures are recorded by CHECK, so that every thread may call these.
 */
#ifndef CMAP_TEST_NUMBERS_H
#define CMAP_TEST_NUMBERS_H

#include "checks.h"

/* A map with default options; with small shards, which split after some 10
   entries. */
struct cmap *numbers_open(void);
struct cmap *numbers_open_small(void);

/* Inserts or replaces. */
void numbers_put(struct cmap *map, uint64_t key, uint64_t value);

/* The value; a failure if the key is absent. */
uint64_t numbers_get(struct cmap *map, uint64_t key);

bool numbers_has(struct cmap *map, uint64_t key);

/* Removes; a failure if the key is absent. */
void numbers_drop(struct cmap *map, uint64_t key);

#endif
