/* A callback for other keys is refused. Some C compilers would only warn of
   that. */
/* expect: incompatible (function )?pointer type */
#include <cmap.h>

CMAP_DEFINE(prices, CMAP_U64, uint64_t);

#ifdef CMAP_TEST_GOOD
typedef uint64_t price_key;
#else
typedef struct cmap_key price_key;
#endif

static bool is_free(price_key key, uint64_t *value, void *ctx)
{
  (void)key;
  (void)ctx;
  return *value == 0;
}

enum cmap_status keep(struct prices prices);

enum cmap_status keep(struct prices prices)
{
  return prices_retain(prices, is_free, NULL, NULL, NULL);
}
