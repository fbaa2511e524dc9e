#include "reference.h"

int main(void)
{
  so(strcmp(cmap_status_name(CMAP_EDEADLK), "CMAP_EDEADLK") == 0);
  printf("%s\n", cmap_status_text(CMAP_EDEADLK));
  printf("%s\n", cmap_status_text(cmap_status_user(7)));

  /* What was wrong, if the library is built with CMAP_CHECK. */
  cmap_ignore(cmap_get_stats(NULL, NULL)); /* CMAP_EINVAL, whatever it is */
  printf("%s\n", cmap_last_error());       /* map is NULL */

  /* The library that runs is not older than the header. */
  so(cmap_version() >= CMAP_VERSION);
  return 0;
}
