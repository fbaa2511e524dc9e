/*
 * What is known of each 8 bytes of memory in this run: the latest accesses, to
 * find data races, and the atomics in them.
 *
 * A race is two accesses of different threads, one of which writes and one of
 * which is plain, that are not ordered by happens-before. One kind is meant to
 * be: SHADOW_LOOSE, of the functions that are marked CMAP__UNINSTRUMENTED in
 * src/, whose loads may meet plain stores of the user; what they read is thrown
 * away then (docs/memory-model.md).
 *
 * Per 8 bytes some accesses are remembered, not all: a race may be missed, but
 * none is made up.
 */
#ifndef CMAP_TEST_WORLD_SHADOW_H
#define CMAP_TEST_WORLD_SHADOW_H

#include <stddef.h>
#include <stdint.h>

enum shadow_kind {
  SHADOW_READ,
  SHADOW_WRITE,
  SHADOW_ATOMIC_READ,
  SHADOW_ATOMIC_WRITE,
  SHADOW_LOOSE, /* an atomic read that may meet a plain write */
  SHADOW_FREE   /* the memory is given up: nobody may use it any more */
};

struct location;

void shadow_begin(void);

/* The running thread's access. `site`: where, for a report. */
void shadow_access(const volatile void *at, size_t size, enum shadow_kind kind,
                   uintptr_t site);

/* The atomics that begin in the 8 bytes of an address: a list to be changed. */
struct location **shadow_locations(uintptr_t at);

/* The same; NULL: nobody has asked for them yet. */
struct location *shadow_locations_known(uintptr_t at);

#endif
