/* The library cannot let go of its locks when a callback throws: those of
   untyped calls are noexcept. */
/* expect: noexcept|exception spec|no matching function|invalid conversion */
/* lines: 20 */
#include <cmap.h>

enum cmap_status look(struct cmap *map, struct cmap_key key);

#ifdef CMAP_TEST_GOOD
#  define NOEXCEPT noexcept
#else
#  define NOEXCEPT
#endif

static enum cmap_status view(struct cmap_key, const void *, void *) NOEXCEPT
{
  return CMAP_OK;
}

enum cmap_status look(struct cmap *map, struct cmap_key key)
{
  return cmap_view(map, key, view, nullptr, nullptr);
}
