/* A plain map is no typed one, and the other way round. */
/* expect: incompatible type */
#include <cmap.h>

CMAP_DEFINE(prices, CMAP_STRING, uint64_t);

enum cmap_status clear(struct cmap *map);

enum cmap_status clear(struct cmap *map)
{
#ifdef CMAP_TEST_GOOD
  struct prices prices = {map};
  return prices_clear(prices, NULL);
#else
  return prices_clear(map, NULL);
#endif
}
