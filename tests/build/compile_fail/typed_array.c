/* An array cannot be passed by value, and so be no value. */
/* expect: a value is no array: put a struct around it */
/* lines: 13 */
#include <cmap.h>

#ifdef CMAP_TEST_GOOD
struct name {
  char text[8];
};
CMAP_DEFINE(names, CMAP_U64, struct name);
#else
typedef char name[8];
CMAP_DEFINE(names, CMAP_U64, name);
#endif
