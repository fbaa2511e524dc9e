/*
 * Every run there is, one after the other: what else is drawn is gone through
 * here, depth first. A run makes the choices of the path, and beyond its end
 * the first of each; search_next() takes the last choice that has another one.
 */
#ifndef CMAP_TEST_WORLD_SEARCH_H
#define CMAP_TEST_WORLD_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

/* Is a search under way? */
extern bool search_on;

/* Begins one, with the path of the first run. */
void search_begin(void);

/* The run's next choice, of n > 0. */
uint64_t search_below(uint64_t n);

/* After a run: the next path. False: there is none, and the search has ended.
 */
bool search_next(void);

#endif
