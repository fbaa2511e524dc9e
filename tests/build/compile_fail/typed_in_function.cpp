/* Functions are not defined in functions; the first and the last error say what
   to do. */
/* expect: CMAP_DEFINE.?stands.?outside.?of.?functions */
/* lines: 40 */
/* ends */
#include <cmap.h>

#ifdef CMAP_TEST_GOOD
CMAP_DEFINE(tally, CMAP_STRING, uint64_t);
#endif

void count();

void count()
{
#ifndef CMAP_TEST_GOOD
  CMAP_DEFINE(tally, CMAP_STRING, uint64_t);
#endif
}
