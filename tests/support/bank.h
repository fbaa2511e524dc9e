/*
 * A bank: money moves between accounts, which are renamed and exchanged as
 * well, while other keys come and go and shards split and merge. At every
 * moment there are all accounts, and the whole sum.
 */
#ifndef CMAP_TEST_BANK_H
#define CMAP_TEST_BANK_H

#include "threads.h"

enum { BANK_MOVERS = 2 };

struct bank {
  struct cmap *map;
  atomic_bool stop; /* read by threads of the test's own, too */
  struct thread threads[BANK_MOVERS + 1];
};

/* Opens it, and starts its threads. */
void bank_begin(struct bank *bank);

/* Takes a snapshot: does it have all accounts, and the whole sum? */
bool bank_is_right(struct cmap *map);

/* Adds and removes `n` keys that are no accounts. */
void bank_churn(struct cmap *map, uint64_t n);

/* Ends the threads, and destroys the map. */
void bank_end(struct bank *bank);

#endif
