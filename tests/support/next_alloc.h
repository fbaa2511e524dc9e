/*
 * For a program that puts its own aligned_alloc before the C library's: the one
 * behind it. No other function will do, since one C library makes them of that
 * one, another not.
 */
#ifndef CMAP_TEST_NEXT_ALLOC_H
#define CMAP_TEST_NEXT_ALLOC_H

#include <stddef.h>

void *next_aligned_alloc(size_t align, size_t size);

#endif
