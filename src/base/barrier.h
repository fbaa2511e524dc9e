/*
 * A barrier that one thread has all threads of the process pass: membarrier(2).
 */
#ifndef CMAP__BASE_BARRIER_H
#define CMAP__BASE_BARRIER_H

#include <stdbool.h>

/* Prepares the process. False: the system has no such call. */
bool cmap__barrier_init(void);

/*
 * Every other thread of the process passes a full memory barrier while this
 * runs, and so does the caller, before and after. False: the system, which had
 * the call when it was prepared, refuses it now (a filter of system calls):
 * the barrier is passed all the same, but it took CMAP__BARRIER_NAP_NS, and
 * should not be asked for again. In a child of fork it works as before.
 */
bool cmap__barrier_all(void);

/* What a processor has not written after so long, it never will: thousands of
 * times of what its store buffer takes. */
#define CMAP__BARRIER_NAP_NS 10000000

#endif
