/*
 * Tools that look for races in the program around an ordinary libcmap.
 *
 * ThreadSanitizer knows what was compiled with it, and helgrind and DRD know
 * pthreads: to all three what the library's locks order looks like a race. So
 * locks tell them, if one of them is in the process. That costs nothing
 * elsewhere: watched locks have a bit in their word (sync/shardlock.h), which
 * sends every call on them the slow way, where it is told; and maps read under
 * their locks (table/layout.c).
 *
 * A library that is itself compiled with ThreadSanitizer has nothing to tell.
 */
#ifndef CMAP__BASE_WATCH_H
#define CMAP__BASE_WATCH_H

#include <stdbool.h>

/* Is such a tool in the process? The same for as long as it runs. */
bool cmap__watched(void);

/*
 * What this thread did before a release of an address happens before what
 * another does after its acquire of the same, later. Addresses are 8 bytes
 * apart or more; nothing is read or written there. Only if watched.
 */
void cmap__watch_release(const void *address);
void cmap__watch_acquire(const void *address);

#endif
