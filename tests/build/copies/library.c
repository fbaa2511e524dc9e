/* A library of somebody's that uses the shared libcmap: what a call says that
 * would wait for its own thread. */
#include <cmap.h>

enum cmap_status library_clear(void);

CMAP_DEFINE(numbers, CMAP_U64, uint64_t);

enum cmap_status library_clear(void)
{
  struct numbers map = CMAP_INIT;
  struct numbers_write_guard guard = CMAP_INIT;
  enum cmap_status status = numbers_create(NULL, &map);

  if (status == CMAP_OK)
    status = numbers_insert(map, 1, 1, NULL, NULL, NULL);
  if (status == CMAP_OK)
    status = numbers_get_mut(map, 1, &guard, NULL);
  if (status == CMAP_OK)
    status = numbers_clear(map, NULL);
  numbers_write_guard_release(&guard);
  numbers_destroy(map);
  return status;
}
