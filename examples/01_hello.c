#include <cmap.h>
#include <inttypes.h>
#include <stdio.h>

CMAP_DEFINE(tally, CMAP_STRING, uint64_t); /* struct tally, tally_get ... */

int main(void)
{
  static const char *const words[] = {"to", "be", "or", "not", "to", "be"};
  struct tally tally = CMAP_INIT;
  uint64_t count = 0;
  enum cmap_status status = tally_create(NULL, &tally);

  for (size_t i = 0; i < 6 && status == CMAP_OK; i++)
    status = tally_increase(tally, words[i], 1);
  if (status == CMAP_OK)
    status = tally_find(tally, "be", &count);
  if (status == CMAP_OK)
    printf("%zu words, be: %" PRIu64 "\n", tally_len(tally), count);
  else
    fprintf(stderr, "%s\n", cmap_status_text(status));
  tally_destroy(tally);
  return status == CMAP_OK ? 0 : 1;
}
