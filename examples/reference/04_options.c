#include "reference.h"

int main(void)
{
  struct cmap_options options;
  struct cmap *map;

  cmap_options_init(&options, CMAP_BYTES, 100);
  options.capacity = 10000;     /* room for so many at once */
  options.inline_key_size = 40; /* so that such keys are read without lock */
  options.flags = CMAP_AUTO_SHRINK;
  is(cmap_create(&options, &map), CMAP_OK);
  cmap_destroy(map);

  options.value_align = 3; /* no power of two */
  is(cmap_create(&options, &map), CMAP_EINVAL);
  printf("%s\n", cmap_last_error());
  return 0;
}
