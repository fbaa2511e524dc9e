/* A callback for other values is refused. Some C compilers would only warn of
   that. */
/* expect: incompatible (function )?pointer type */
#include <cmap.h>

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
