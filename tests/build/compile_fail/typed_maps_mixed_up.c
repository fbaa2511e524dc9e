/* A typed map is not another one, though their types are the same. */
/* expect: incompatible type */
#include <cmap.h>

CMAP_DEFINE(prices, CMAP_STRING, uint64_t);
CMAP_DEFINE(stocks, CMAP_STRING, uint64_t);

enum cmap_status look_up(struct stocks stocks, uint64_t *value);

enum cmap_status look_up(struct stocks stocks, uint64_t *value)
{
#ifdef CMAP_TEST_GOOD
  return stocks_get(stocks, "key", value, NULL);
#else
  return prices_get(stocks, "key", value, NULL);
#endif
}
