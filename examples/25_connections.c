/*
 * Connections that are built when somebody asks for them, once for all who ask;
 * a constructor may fail, and the next who asks tries again.
 * Prints
 *     ada: connected
 *     nowhere: no route
 *     ada: connected
 *     closed
 */
#include <cmap.h>
#include <stdio.h>
#include <stdlib.h>

enum { NO_ROUTE = 1 };

static enum cmap_status dial(struct cmap_key host, void **object, void *ctx)
{
  (void)ctx;
  if (strcmp(cmap_key_as_string(host), "nowhere") == 0)
    return cmap_status_user(NO_ROUTE);
  *object = strdup("connected");
  return *object ? CMAP_OK : CMAP_ENOMEM;
}

static void hang_up(void *connection, void *ctx)
{
  (void)ctx;
  free(connection);
  puts("closed");
}

int main(void)
{
  static const char *const hosts[] = {"ada", "nowhere", "ada"};
  struct cmap_store_options options;
  struct cmap_store *store;

  cmap_store_options_init(&options, CMAP_STRING, hang_up);
  if (cmap_store_create(&options, &store) != CMAP_OK)
    return 1;
  for (int i = 0; i < 3; i++) {
    CMAP_AUTO(cmap_handle, handle);
    struct cmap_key host = cmap_key_string(hosts[i]);
    bool there = cmap_store_get_or_create(store, host, &handle, dial, NULL,
                                          NULL) == CMAP_OK;

    printf("%s: %s\n", hosts[i], there ? (char *)handle.object : "no route");
  }
  return cmap_store_destroy(store) != CMAP_OK;
}
