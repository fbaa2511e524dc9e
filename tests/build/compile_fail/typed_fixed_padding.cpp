/* Equal members with different padding would be two keys. */
/* expect: compared as bytes: no padding */
#include <cmap.h>

struct place {
  uint8_t floor;
#ifdef CMAP_TEST_GOOD
  uint8_t zero[3];
#endif
  uint32_t room;
};

CMAP_DEFINE_FIXED(places, place, int);
