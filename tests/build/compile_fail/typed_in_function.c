/* Functions are not defined in functions; of the errors, many of gcc, the first
   and the last say what to do. */
/* expect: CMAP_DEFINE.?stands.?outside.?of.?functions */
/* lines: 1700, of clang: 30 */
/* ends */
#include <cmap.h>

#ifdef CMAP_TEST_GOOD
CMAP_DEFINE(tally, CMAP_STRING, uint64_t);
#endif

void count(void);

void count(void)
{
#ifndef CMAP_TEST_GOOD
  CMAP_DEFINE(tally, CMAP_STRING, uint64_t);
#endif
}
