/* Keys of fixed size need their type: CMAP_DEFINE has no place for it. */
/* expect: cmap__key_of_CMAP_FIXED */
#include <cmap.h>

#ifdef CMAP_TEST_GOOD
CMAP_DEFINE_FIXED(prices, uint16_t, uint64_t);
#else
CMAP_DEFINE(prices, CMAP_FIXED, uint64_t);
#endif
