/*
 * What a map is made of, before and after it shrinks. Statistics are cheap;
 * the description is for people, the self-check for doubts.
 */
#include <cmap.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

CMAP_DEFINE(squares, CMAP_U64, uint64_t);

static void must(enum cmap_status status)
{
  if (status == CMAP_OK)
    return;
  fprintf(stderr, "%s\n", cmap_status_text(status));
  exit(1);
}

static void print_line(const char *line, void *ctx)
{
  (void)ctx;
  printf("  | %s\n", line);
}

static void report(const char *when, struct squares map)
{
  struct cmap_stats stats = {.size = sizeof stats};
  const char *broken = "nothing";

  must(squares_get_stats(map, &stats));
  if (squares_check(map, &broken, NULL) != CMAP_OK)
    printf("broken: %s\n", broken);
  printf("%s: entries=%" PRIu64 " shards=%s load=%.1f\n", when, stats.entries,
         stats.shards > 1 ? "many" : "one",
         (double)stats.entries / (double)stats.slots);
  must(squares_dump(map, print_line, NULL));
}

int main(void)
{
  struct squares map;

  must(squares_create(NULL, &map));
  for (uint64_t i = 0; i < 100000; i++)
    must(squares_put(map, i, i * i));
  report("grown", map);
  for (uint64_t i = 8; i < 100000; i++)
    must(squares_drop(map, i));
  must(squares_shrink_to_fit(map, NULL)); /* or CMAP_AUTO_SHRINK */
  report("shrunk", map);
  squares_destroy(map);
  return 0;
}
