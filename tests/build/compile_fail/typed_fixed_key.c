/* A struct is no key of a map with keys of another struct. */
/* expect: incompatible type */
#include <cmap.h>

struct point {
  int32_t x, y;
};

struct range {
  int32_t from, to;
};

CMAP_DEFINE_FIXED(places, struct point, uint64_t);

enum cmap_status look_up(struct places places, uint64_t *value);

enum cmap_status look_up(struct places places, uint64_t *value)
{
#ifdef CMAP_TEST_GOOD
  struct point key = {1, 2};
#else
  struct range key = {1, 2};
#endif
  return places_get(places, key, value, NULL);
}
