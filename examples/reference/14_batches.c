#include "reference.h"

int main(void)
{
  struct cmap *map = words();
  const struct cmap_key keys[] = {KEY("a"), KEY("b"), KEY("a")};
  const uint64_t values[] = {1, 2, 3};
  uint64_t hashes[3], out[3];
  enum cmap_status statuses[3];

  is(cmap_insert_many(map, keys, NULL, 3, values, statuses, NULL), CMAP_OK);
  is(cmap_get_many(map, keys, NULL, 3, out, statuses, NULL), CMAP_OK);
  so(out[0] == 3 && out[1] == 2 && out[2] == 3);

  is(cmap_fetch_add_many(map, keys, NULL, 3, NULL, out, statuses, NULL),
     CMAP_OK); /* 1 each, to "a" twice */
  so(out[0] == 3 && out[2] == 4);

  /* Hashes that are there already. */
  for (int i = 0; i < 3; i++)
    is(cmap_hash(map, keys[i], &hashes[i]), CMAP_OK);
  is(cmap_remove_many(map, keys, hashes, 3, out, statuses, NULL),
     CMAP_NOT_FOUND); /* the first status that is not CMAP_OK */
  so(statuses[0] == CMAP_OK && statuses[2] == CMAP_NOT_FOUND);
  is(cmap_contains_many(map, keys, hashes, 3, statuses, NULL), CMAP_NOT_FOUND);
  cmap_destroy(map);
  return 0;
}
