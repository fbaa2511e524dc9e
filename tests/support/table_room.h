/*
 * What a map has for its table beside it: the user's functions and, if it is
 * small, the first block.
 */
#ifndef CMAP_TEST_TABLE_ROOM_H
#define CMAP_TEST_TABLE_ROOM_H

#include "table/table.h"

/* Lives as long as the table. */
struct table_room {
  struct cmap__user user;
  CMAP__ALIGNED(CMAP__CACHE_LINE) unsigned char block[1024];
};

/* Makes the table that a map with these options has. */
static inline enum cmap_status table_begin(struct cmap__table *table,
                                           struct table_room *room,
                                           const struct cmap_options *options)
{
  struct cmap__layout layout;
  enum cmap_status status = cmap__layout_init(&layout, options, &room->user);
  size_t slots;

  if (status != CMAP_OK)
    return status;
  slots = cmap__pool_first_bytes(&layout);
  return cmap__table_init(table, &layout,
                          slots == 0 ? NULL : room->block + CMAP__CACHE_LINE);
}

#endif
