/*
 * The half that uses corosync's libcmap. Only its runtime package is needed:
 * what is called of it is declared here.
 */
#include <stddef.h>
#include <stdint.h>

int corosync_get_fails_as_it_should(void);

int cmap_get(uint64_t handle, const char *key, void *value, size_t *length,
             int *type);

enum { CS_ERR_BAD_HANDLE = 9 };

/* No cluster daemon is asked: the handle is looked at first. */
int corosync_get_fails_as_it_should(void)
{
  size_t length = 0;
  int type = 0;
  return cmap_get(12345, "key", NULL, &length, &type) == CS_ERR_BAD_HANDLE;
}
