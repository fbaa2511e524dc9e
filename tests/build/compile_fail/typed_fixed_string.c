/* A pointer to characters would be compared by its address. */
/* expect: strings are keys of CMAP_STRING */
#include <cmap.h>

#ifdef CMAP_TEST_GOOD
CMAP_DEFINE(names, CMAP_STRING, int);
#else
CMAP_DEFINE_FIXED(names, const char *, int);
#endif
