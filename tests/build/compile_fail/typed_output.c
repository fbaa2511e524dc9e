/* A value does not go out through a pointer to something else. Some C compilers
   would only warn of that. */
/* expect: incompatible pointer type */
#include <cmap.h>

CMAP_DEFINE(prices, CMAP_STRING, uint64_t);

#ifdef CMAP_TEST_GOOD
typedef uint64_t price;
#else
typedef uint32_t price;
#endif

enum cmap_status look_up(struct prices prices, price *value);

enum cmap_status look_up(struct prices prices, price *value)
{
  return prices_get(prices, "key", value, NULL);
}
