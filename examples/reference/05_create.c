#include "reference.h"

int main(void)
{
  struct cmap_options options;
  struct cmap *map = NULL;
  const uint32_t port = 80;
  uint64_t hash;

  cmap_options_init(&options, CMAP_U32, sizeof(double));
  is(cmap_create(&options, &map), CMAP_OK);

  /* What is in force, defaults filled in. */
  is(cmap_get_options(map, &options), CMAP_OK);
  so(options.key_size == 4 && options.value_align == 8);

  is(cmap_hash(map, cmap_key_u32(&port), &hash), CMAP_OK);
  is(cmap_hash(map, KEY("http"), &hash), CMAP_OK); /* 4 bytes fit as well */
  is(cmap_hash(map, KEY("https"), &hash), CMAP_EINVAL);
  cmap_destroy(map);
  return 0;
}
