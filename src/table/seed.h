/*
 * The seeds of maps that do not bring their own.
 *
 * The system is asked once in a process, for a secret; seeds are numbers hashed
 * by it (SipHash). Who learns one of them learns nothing of the others. A child
 * of fork gets a secret of its own.
 */
#ifndef CMAP__TABLE_SEED_H
#define CMAP__TABLE_SEED_H

#include "table/hash.h"

/* Another seed at each call. False: the system has no random numbers. */
bool cmap__seed_next(struct cmap__hash_key *seed);

/* In a child of fork, whose only thread calls. */
void cmap__seed_forget(void);

#endif
