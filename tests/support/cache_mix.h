/*
 * Stores that are caches of every kind, for random calls: bounds, times by a
 * clock that goes on when the test says so, and on_remove, whose account is
 * kept: each object at most once, while it is alive, and as often as the
 * statistics say.
 *
 * Concurrency: any thread; choosing and checking alone.
 */
#ifndef CMAP_TEST_CACHE_MIX_H
#define CMAP_TEST_CACHE_MIX_H

#include "random.h"
#include "store_objects.h"

/* Versions of objects are below. */
#define CACHE_MIX_OBJECTS 131072

/* Sets the options of a store for round `number`; every fourth has none.
   Forgets what on_remove was told if it is the first store of a round. */
void cache_mix_choose(struct test_store *t, uint64_t number, bool first);

/* Do objects of the round have times? Then one may be built while it is there,
   and, if it is evicted meanwhile, a second time. */
bool cache_mix_has_times(uint64_t number);

/* Between calls: time goes on, or what is out of date goes. Never is the bound
   exceeded by more than an object for each thread. */
void cache_mix_step(struct test_store *t, struct random *random,
                    unsigned threads);

/* The stores are cleared, and nobody uses them. */
void cache_mix_check(struct test_store *stores, int count);

#endif
