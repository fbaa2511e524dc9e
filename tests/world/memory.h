/*
 * Memory of a run, all of it given back at once.
 */
#ifndef CMAP_TEST_WORLD_MEMORY_H
#define CMAP_TEST_WORLD_MEMORY_H

#include <stddef.h>

void memory_begin(void);
void *memory_take(size_t size);

#endif
