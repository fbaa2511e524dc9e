#include "reference.h"

static void line(const char *text, void *ctx)
{
  fprintf(ctx, "| %s\n", text);
}

int main(void)
{
  struct cmap *map = ages();
  struct cmap_stats stats;
  const char *broken;

  cmap_stats_init(&stats);
  is(cmap_get_stats(map, &stats), CMAP_OK);
  so(stats.entries == 3 && stats.shards == 1);
  is(cmap_dump(map, line, stdout), CMAP_OK);
  if (cmap_check(map, &broken, NULL) == CMAP_EBROKEN)
    printf("%s\n", broken);
  cmap_destroy(map);
  return 0;
}
