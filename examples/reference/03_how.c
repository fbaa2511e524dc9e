#include "reference.h"

int main(void)
{
  struct cmap *map = ages();
  struct cmap_how try = cmap_how_try();
  struct cmap_how within = cmap_how_within(50000000); /* 50 ms from now */
  struct cmap_how until = cmap_how_until(within.deadline_ns);
  const char line[] = "bob says hello";
  uint64_t hash, value;

  /* Not to wait, not for longer, and not later than. */
  is(cmap_get(map, KEY("ada"), &value, &try), CMAP_OK);
  is(cmap_get(map, KEY("ada"), &value, &within), CMAP_OK);
  is(cmap_get(map, KEY("ada"), &value, &until), CMAP_OK);

  /* A key is any part of a text; its hash serves for several calls. */
  struct cmap_key bob = cmap_key_bytes(line, 3);
  is(cmap_hash(map, bob, &hash), CMAP_OK);
  struct cmap_how hashed = cmap_how_hashed(hash);
  is(cmap_get(map, bob, &value, &hashed), CMAP_OK);
  so(value == 41);
  cmap_destroy(map);
  return 0;
}
