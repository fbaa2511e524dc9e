/* A value does not go out through a pointer to something else. C compilers only
   warn of that by default. */
/* expect: incompatible pointer type */
#include <cmap.h>

#pragma GCC diagnostic error "-Wincompatible-pointer-types"

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
