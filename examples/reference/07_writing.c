#include "reference.h"

static enum cmap_status length(struct cmap_key key, void *value, void *ctx)
{
  (void)ctx;
  *(uint64_t *)value = key.size;
  return CMAP_OK;
}

static bool odd(struct cmap_key key, void *value, void *ctx)
{
  (void)key;
  (void)ctx;
  return *(uint64_t *)value % 2 == 1;
}

int main(void)
{
  struct cmap *map = words();
  uint64_t value = 1, other = 2, old;
  enum cmap_event event;

  is(cmap_insert(map, KEY("a"), &value, NULL, &event, NULL), CMAP_OK);
  so(event == CMAP_INSERTED);
  is(cmap_insert(map, KEY("a"), &other, &old, &event, NULL), CMAP_OK);
  so(event == CMAP_UPDATED && old == 1);

  /* Only if it is absent. */
  is(cmap_insert_new(map, KEY("a"), &value, &old, NULL), CMAP_EXISTS);
  so(old == 2);
  value = 5;
  is(cmap_get_or_insert(map, KEY("a"), &value, &event, NULL), CMAP_OK);
  so(event == CMAP_FOUND && value == 2);
  is(cmap_get_or_insert_with(map, KEY("abc"), &value, &event, length, NULL,
                             NULL),
     CMAP_OK);
  so(event == CMAP_INSERTED && value == 3);
  /* The same with no lock held while the value is made. */
  is(cmap_get_or_insert_with_unlocked(map, KEY("abcd"), &value, NULL, length,
                                      NULL, NULL),
     CMAP_OK);

  is(cmap_remove_if(map, KEY("abcd"), odd, NULL, NULL, NULL), CMAP_MISMATCH);
  is(cmap_remove_if(map, KEY("abc"), odd, NULL, &old, NULL), CMAP_OK);
  so(old == 3);
  is(cmap_remove_if_equal(map, KEY("a"), &other, NULL), CMAP_OK);
  is(cmap_remove(map, KEY("abcd"), &old, NULL), CMAP_OK);
  is(cmap_remove(map, KEY("abcd"), &old, NULL), CMAP_NOT_FOUND);
  cmap_destroy(map);
  return 0;
}
