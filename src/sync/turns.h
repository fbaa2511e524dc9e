/*
 * When firm turns were given, to readers or writers (sync/shardlock.h, Policy).
 *
 * A lock is one word and has no room for that, and there are hardly ever two
 * firm turns at a time: locks share the entries of a table. An entry says whose
 * it is; a lock whose entry is overwritten loses its turn to those who try, as
 * if it had lapsed. So nothing here has to be exact, and nobody waits.
 */
#ifndef CMAP__SYNC_TURNS_H
#define CMAP__SYNC_TURNS_H

#include <stdbool.h>

struct cmap__shardlock;

/* The lock's readers, or writers, are about to be given a firm turn. */
void cmap__turn_given(const struct cmap__shardlock *lock);

/* Was that less than CMAP__LOCK_TURN_NS ago? */
bool cmap__turn_is_young(const struct cmap__shardlock *lock);

#endif
