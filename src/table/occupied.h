/*
 * Which entries of a directory name shards that may be occupied: what lets a
 * walk pass over emptied shards without looking at them, however many.
 *
 * Rows of bits. The lowest row has one for each entry; each row above it has
 * one for each word of the row below, set while that word has any. The top row
 * is one word. So the next occupied entry is a few words away.
 *
 * Invariant: a shard whose bits are clear is empty, and its limit is 0, so that
 * the first insert makes room (table/replace.h), which sets them before that. A
 * bit that is set promises nothing.
 *
 * Concurrency: a shard's bits are changed by who holds it exclusively, under
 * the directory's mutex, the lowest row first; anybody reads them. Release and
 * acquire [D4]: who passes over a shard has seen what emptied it.
 */
#ifndef CMAP__TABLE_OCCUPIED_H
#define CMAP__TABLE_OCCUPIED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/atomics.h"

/* The words of all rows for so many entries, a power of two. */
size_t cmap__occupied_words(size_t entries);

/* Changes the bits of n entries, a power of two, from `at` on, a multiple of
 * it. Cost: a word for each 64 of them, and one in each row. */
void cmap__occupied_set(_Atomic size_t *rows, size_t entries, size_t at,
                        size_t n, bool occupied);

/* The first entry from `at` on whose bit is set, or whose bits are just being
 * changed; `entries` if there is none. */
size_t cmap__occupied_next(const _Atomic size_t *rows, size_t entries,
                           size_t at);

#endif
