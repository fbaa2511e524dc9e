/* A plugin with the archive in it. */
#include <cmap.h>

CMAP_DEFINE(numbers, CMAP_U64, uint64_t);

int plugin_open(void);
int plugin_lock(uint64_t timeout_ns);
void plugin_unlock(void);
void plugin_close(void);

static struct numbers map;
static _Thread_local struct numbers_write_guard guard;

int plugin_open(void)
{
  enum cmap_status status = numbers_create(NULL, &map);

  if (status == CMAP_OK)
    status = numbers_insert(map, 1, 1, NULL, NULL, NULL);
  return status;
}

int plugin_lock(uint64_t timeout_ns)
{
  struct numbers_write_guard taken = CMAP_INIT;
  struct cmap_how how = cmap_how_within(timeout_ns);
  enum cmap_status status = numbers_get_mut(map, 1, &taken, &how);

  if (status == CMAP_OK)
    guard = taken;
  return status;
}

void plugin_unlock(void)
{
  numbers_write_guard_release(&guard);
}

void plugin_close(void)
{
  numbers_destroy(map);
}
