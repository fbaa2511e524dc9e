#include "reference.h"

static enum cmap_status older(struct cmap_key name, const void *age, void *than)
{
  printf("%s is %s\n", (const char *)name.data,
         *(const uint64_t *)age > *(const uint64_t *)than ? "older" : "not");
  return CMAP_OK;
}

int main(void)
{
  struct cmap *map = ages();
  uint64_t age = 40;

  is(cmap_view(map, KEY("bob"), older, &age, NULL), CMAP_OK);
  is(cmap_get(map, KEY("ada"), &age, NULL), CMAP_OK);
  so(age == 36);
  is(cmap_contains(map, KEY("ida"), NULL), CMAP_NOT_FOUND);
  cmap_destroy(map);
  return 0;
}
