/* Two arguments in the wrong order: what goes where is said. */
/* expect: (expected|parameter of incompatible type) .struct prices */
/* lines: 40 */
#include <cmap.h>

CMAP_DEFINE(prices, CMAP_STRING, uint64_t);

enum cmap_status look_up(struct prices prices, uint64_t *value);

enum cmap_status look_up(struct prices prices, uint64_t *value)
{
#ifdef CMAP_TEST_GOOD
  return prices_get(prices, "key", value, NULL);
#else
  return prices_get("key", prices, value, NULL);
#endif
}
