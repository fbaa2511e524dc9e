/*
 * When turns were given, to readers or writers (sync/shardlock.h, Policy).
 *
 * A lock is one word and has no room for that, and there are seldom two such
 * turns at a time: locks share the entries of a table. An entry says whose it
 * is. So nothing here has to be exact, and nobody waits: of a lock whose entry
 * was overwritten nothing is known.
 */
#ifndef CMAP__SYNC_TURNS_H
#define CMAP__SYNC_TURNS_H

#include <stdbool.h>

struct cmap__shardlock;

/* Readers are about to be given a firm turn, or writers one. */
void cmap__turn_given(const struct cmap__shardlock *lock);

/* Is it known that this was less than CMAP__LOCK_TURN_NS ago? */
bool cmap__turn_is_young(const struct cmap__shardlock *lock);

/* Is it known that this was CMAP__LOCK_TRY_NS ago or more? */
bool cmap__turn_is_old(const struct cmap__shardlock *lock);

#endif
