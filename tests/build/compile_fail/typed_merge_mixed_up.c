/* Maps of two names cannot be merged through the typed layer. */
/* expect: incompatible type */
#include <cmap.h>

CMAP_DEFINE(prices, CMAP_STRING, uint64_t);
CMAP_DEFINE(stocks, CMAP_STRING, uint64_t);

enum cmap_status join(struct prices prices, struct stocks stocks);

enum cmap_status join(struct prices prices, struct stocks stocks)
{
#ifdef CMAP_TEST_GOOD
  (void)stocks;
  return prices_merge(prices, prices, NULL, NULL, NULL);
#else
  return prices_merge(prices, stocks, NULL, NULL, NULL);
#endif
}
