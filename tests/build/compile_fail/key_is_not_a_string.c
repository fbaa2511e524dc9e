/* A bare string is no key. */
/* expect: incompatible type.*(cmap_get|struct cmap_key) */
#include <cmap.h>

enum cmap_status look_up(struct cmap *map, int *value);

enum cmap_status look_up(struct cmap *map, int *value)
{
#ifdef CMAP_TEST_GOOD
  return cmap_get(map, cmap_key_string("key"), value, NULL);
#else
  return cmap_get(map, "key", value, NULL);
#endif
}
