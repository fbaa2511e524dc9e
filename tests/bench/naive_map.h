/*
 * Maps for the tests of the benchmark: an array under a mutex, right, and
 * wrong in one way each.
 */
#ifndef CMAP_TEST_NAIVE_MAP_H
#define CMAP_TEST_NAIVE_MAP_H

#include "bench.h"

extern const struct impl naive_right;
extern const struct impl naive_right_too;
extern const struct impl naive_wrong_value; /* get: a sum of 1 too much */
extern const struct impl naive_loses_key;   /* insert: forgets the last */
extern const struct impl naive_crashes;     /* get */
extern const struct impl naive_never_removes;

#endif
