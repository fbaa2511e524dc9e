/* 0.0 and -0.0 would be two keys. */
/* expect: compared as bytes: no floating point */
#include <cmap.h>

#ifdef CMAP_TEST_GOOD
CMAP_DEFINE_SET_FIXED(places, uint64_t);
#else
CMAP_DEFINE_SET_FIXED(places, double);
#endif
