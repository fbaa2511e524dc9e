/*
 * The seeds of maps that do not bring their own.
 *
 * The system is asked once in a process, for a secret; seeds are numbers hashed
 * by it (SipHash). Who learns one of them learns nothing of the others. A
 * forked child goes on with its parent's secret and number: the next maps of
 * both have the same seeds.
 */
#ifndef CMAP__TABLE_SEED_H
#define CMAP__TABLE_SEED_H

#include "table/hash.h"

/* Another seed at each call. False: the system has no random numbers. */
bool cmap__seed_next(struct cmap__hash_key *seed);

#endif
