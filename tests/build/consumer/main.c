/* The smallest outside program: what install_consumer.sh builds and runs. */
#include <cmap.h>

#include <stdio.h>

int main(void)
{
  struct cmap_options options;
  cmap_options_init(&options, CMAP_STRING, sizeof(int));
  struct cmap *map = NULL;
  if (cmap_create(&options, &map) != CMAP_OK)
    return 1;

  int value = 42, found = 0;
  struct cmap_key key = cmap_key_string("answer");
  if (cmap_insert(map, key, &value, NULL, NULL, NULL) != CMAP_OK)
    return 1;
  if (cmap_get(map, key, &found, NULL) != CMAP_OK || found != 42)
    return 1;
  cmap_destroy(map);
  puts("consumer ok");
  return 0;
}
