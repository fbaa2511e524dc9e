/* 0.0 and -0.0 would be two keys. */
/* expect: compared as bytes: no padding, and no floating point */
#include <cmap.h>

struct place {
#ifdef CMAP_TEST_GOOD
  uint32_t x, y;
#else
  float x, y;
#endif
};

CMAP_DEFINE_SET_FIXED(places, place);
