/* Values are moved as bytes, and their destructors are not called. */
/* expect: must be trivially copyable */
/* lines: 40 */
#include <cmap.h>

#include <string>

#ifdef CMAP_TEST_GOOD
CMAP_DEFINE(names, CMAP_U64, std::string *);
#else
CMAP_DEFINE(names, CMAP_U64, std::string);
#endif
