/* Keys are moved as bytes, too. */
/* expect: must be trivially copyable */
/* lines: 100 */
#include <cmap.h>

struct name {
#ifndef CMAP_TEST_GOOD
  ~name()
  {
    text = nullptr;
  }
#endif
  char *text;
};

CMAP_DEFINE_SET_FIXED(names, name);
