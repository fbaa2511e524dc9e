/* The same in C++. */
/* expect: a value is no array: put a struct around it */
/* lines: 16 */
#include <cmap.h>

#ifdef CMAP_TEST_GOOD
CMAP_DEFINE(names, CMAP_U64, char);
#else
CMAP_DEFINE(names, CMAP_U64, char[8]);
#endif
