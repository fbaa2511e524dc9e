/*
 * The keys and the values of all entries of a block, copied to arrays: of a map
 * where those that are wanted are bytes of one size that lie in the slots.
 */
#ifndef CMAP__MAP_COLUMNS_H
#define CMAP__MAP_COLUMNS_H

#include "table/shard.h"

/* Where the keys, or the values, go. */
struct cmap__column {
  char *to;
  size_t size;   /* bytes of each; 0: they are not wanted */
  size_t offset; /* in the slot */
};

struct cmap__columns {
  struct cmap__column keys;
  struct cmap__column values;
};

/* To copy keys and values there (NULL: not these). False: they are not such
 * bytes, or user code copies them. */
bool cmap__columns_begin(const struct cmap__layout *layout, void *keys,
                         void *values, struct cmap__columns *columns);

/*
 * Copies the entries of the block, whose shard the caller holds; there is room
 * for them and `more`. What is behind the last of them may be written, too, if
 * there is room for a group's. `ahead` is asked for on the way.
 */
void cmap__columns_copy(const struct cmap__layout *layout, uintptr_t block,
                        const struct cmap__columns *columns,
                        struct cmap__ahead ahead, size_t more);

#endif
