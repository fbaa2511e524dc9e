/* A constructor of other objects is refused. Some C compilers would only warn
   of that. */
/* expect: incompatible (function )?pointer type */
#include <cmap.h>

struct page;
struct picture;
CMAP_DEFINE_STORE(pages, CMAP_STRING, struct page);

#ifdef CMAP_TEST_GOOD
typedef struct page made;
#else
typedef struct picture made;
#endif

static enum cmap_status load(const char *key, made **object, void *ctx)
{
  (void)key;
  *object = (made *)ctx;
  return CMAP_OK;
}

enum cmap_status load_one(struct pages pages, struct pages_handle *handle);

enum cmap_status load_one(struct pages pages, struct pages_handle *handle)
{
  return pages_get_or_create(pages, "key", handle, load, NULL, NULL);
}
