/* A callback for other values is refused. C compilers only warn of that by
   default. */
/* expect: incompatible (function )?pointer type */
#include <cmap.h>

#pragma GCC diagnostic error "-Wincompatible-pointer-types"
#ifdef __clang__
#  pragma GCC diagnostic error "-Wincompatible-function-pointer-types"
#endif

CMAP_DEFINE(prices, CMAP_STRING, uint64_t);

#ifdef CMAP_TEST_GOOD
typedef uint64_t price;
#else
typedef uint32_t price;
#endif

static enum cmap_status raise(const char *key, price *value, void *ctx)
{
  (void)key;
  (void)ctx;
  *value += 1;
  return CMAP_OK;
}

enum cmap_status raise_one(struct prices prices);

enum cmap_status raise_one(struct prices prices)
{
  return prices_alter(prices, "key", raise, NULL, NULL);
}
