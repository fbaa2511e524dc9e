/*
 * Random bytes from the system, for what nobody may foresee.
 */
#ifndef CMAP__BASE_RANDOM_H
#define CMAP__BASE_RANDOM_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Fills `bytes`. False if the system has none to give; they are unspecified
 * then. Waits only if the system has just started and its random generator is
 * not seeded yet.
 */
bool cmap__random_bytes(void *bytes, size_t size);

#endif
