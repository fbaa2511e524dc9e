/* The same of a set. */
/* expect: strings are keys of CMAP_STRING */
#include <cmap.h>

#ifdef CMAP_TEST_GOOD
CMAP_DEFINE_SET(names, CMAP_STRING);
#else
CMAP_DEFINE_SET_FIXED(names, unsigned char *);
#endif
