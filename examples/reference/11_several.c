#include "reference.h"

int main(void)
{
  struct cmap *map = ages();
  struct cmap_want wants[] = {{map, KEY("ada"), CMAP_WRITE, CMAP_OK},
                              {map, KEY("bob"), CMAP_READ, CMAP_OK},
                              {map, KEY("ida"), CMAP_ENTRY, CMAP_OK}};
  struct cmap_multi held = CMAP_INIT;
  uint64_t value;

  is(cmap_lock_many(wants, 3, &held, NULL), CMAP_OK);
  *(uint64_t *)cmap_multi_value(&held, 0) = 1;
  so(*(const uint64_t *)cmap_multi_value(&held, 1) == 41);
  so(cmap_multi_value(&held, 2) == NULL); /* absent; as an entry: */
  is(cmap_entry_or_default(cmap_multi_entry(&held, 2)), CMAP_OK);
  is(cmap_multi_release(&held), CMAP_OK); /* now others see all of it */

  const char *const both[] = {"ada", "eve"};
  is(cmap_lock_keys(map, both, 2, CMAP_WRITE, &held, NULL), CMAP_OK);
  *(uint64_t *)cmap_multi_value(&held, 1) += 1;
  is(cmap_multi_release(&held), CMAP_OK);

  is(cmap_swap_values(map, KEY("ada"), KEY("bob"), NULL), CMAP_OK);
  is(cmap_rename(map, KEY("bob"), KEY("eve"), NULL), CMAP_EXISTS);
  is(cmap_rename(map, KEY("bob"), KEY("rob"), NULL), CMAP_OK);
  is(cmap_get(map, KEY("rob"), &value, NULL), CMAP_OK);
  so(value == 1);
  cmap_destroy(map);
  return 0;
}
