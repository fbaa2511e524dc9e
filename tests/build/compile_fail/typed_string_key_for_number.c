/* A string is no number. Some C compilers would only warn of that. */
/* expect: makes integer from pointer|incompatible pointer to integer */
#include <cmap.h>

CMAP_DEFINE(prices, CMAP_U64, uint64_t);

enum cmap_status look_up(struct prices prices, uint64_t *value);

enum cmap_status look_up(struct prices prices, uint64_t *value)
{
#ifdef CMAP_TEST_GOOD
  return prices_get(prices, 42, value, NULL);
#else
  return prices_get(prices, "42", value, NULL);
#endif
}
