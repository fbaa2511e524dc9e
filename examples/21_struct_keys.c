/*
 * Keys that are structs, compared as bytes. A key has no padding: what a gap
 * holds would be a part of it. Here a cell of a map is found by where it is,
 * and the level that would leave a gap of three bytes is as wide as its place.
 * Prints
 *     3 cells, (2,-1) on level 0 has 7, on level 1 none
 */
#include <cmap.h>
#include <stdio.h>

struct place {
  int32_t x;
  int32_t y;
  uint32_t level; /* a uint8_t would be followed by three bytes of anything */
};
CMAP_DEFINE_FIXED(cells, struct place, int);

int main(void)
{
  static const struct place places[] = {{0, 0, 0}, {2, -1, 0}, {2, 1, 1}};
  struct place above = {2, -1, 1};
  struct cells cells = CMAP_INIT;
  int found = 0;
  enum cmap_status status = cells_create(NULL, &cells);

  for (int i = 0; i < 3 && status == CMAP_OK; i++)
    status = cells_put(cells, places[i], 6 + i);
  if (status == CMAP_OK)
    status = cells_find(cells, places[1], &found);
  if (status == CMAP_OK)
    printf("%zu cells, (2,-1) on level 0 has %d, on level 1 %s\n",
           cells_len(cells), found,
           cells_contains(cells, above, NULL) == CMAP_OK ? "one" : "none");
  else
    fprintf(stderr, "%s\n", cmap_status_text(status));
  cells_destroy(cells);
  return status == CMAP_OK ? 0 : 1;
}
