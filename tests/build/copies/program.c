/* A program with the archive in it, that uses some of the functions that the
 * library uses. */
#include <cmap.h>
#include <stdio.h>
#include <unistd.h>

CMAP_DEFINE(counts, CMAP_U64, uint64_t);

enum cmap_status library_clear(void);

int main(void)
{
  struct counts map = CMAP_INIT;
  struct counts_write_guard guard = CMAP_INIT;
  enum cmap_status status;

  alarm(20);
  status = counts_create(NULL, &map);
  if (status == CMAP_OK)
    status = counts_insert(map, 1, 1, NULL, NULL, NULL);
  if (status == CMAP_OK)
    status = counts_get_mut(map, 1, &guard, NULL);
  counts_write_guard_release(&guard);
  counts_destroy(map);
  printf("program %s, library %s\n", cmap_status_name(status),
         cmap_status_name(library_clear()));
  return 0;
}
