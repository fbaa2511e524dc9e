/* The half that uses this library; corosync.c uses the other libcmap. */
#define _GNU_SOURCE
#include <cmap.h>

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int corosync_get_fails_as_it_should(void);

/* Is the function that this program calls cmap_get in our library? */
static int ours_is_ours(void)
{
  Dl_info info;
  union {
    enum cmap_status (*function)(struct cmap *, struct cmap_key, void *,
                                 const struct cmap_how *);
    void *address;
  } get = {.function = cmap_get};

  if (dladdr(get.address, &info) == 0)
    return 0;
  printf("cmap_get is %s in %s\n", info.dli_sname ? info.dli_sname : "?",
         info.dli_fname);
  return strstr(info.dli_fname, "libcmap.so.0") != NULL;
}

int main(void)
{
  struct cmap_options options;
  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  struct cmap *map = NULL;
  if (cmap_create(&options, &map) != CMAP_OK)
    return 1;

  uint64_t number = 7, value = 49, found = 0;
  struct cmap_key key = cmap_key_u64(&number);
  if (cmap_get(map, key, &found, NULL) != CMAP_NOT_FOUND)
    return 2;
  if (cmap_insert(map, key, &value, NULL, NULL, NULL) != CMAP_OK)
    return 3;
  if (cmap_get(map, key, &found, NULL) != CMAP_OK || found != 49)
    return 4;
  cmap_destroy(map);
  if (!ours_is_ours())
    return 5;
  if (!corosync_get_fails_as_it_should())
    return 6;
  puts("both ok");
  return 0;
}
