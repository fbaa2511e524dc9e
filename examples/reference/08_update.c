#include "reference.h"

static bool below_40(struct cmap_key key, void *value, void *ctx)
{
  (void)key;
  (void)ctx;
  return *(uint64_t *)value < 40;
}

static enum cmap_status birthday(struct cmap_key key, void *value, void *ctx)
{
  (void)key;
  (void)ctx;
  ++*(uint64_t *)value;
  return CMAP_OK;
}

static enum cmap_status one(struct cmap_key key, void *fresh, void *ctx)
{
  (void)key;
  (void)ctx;
  *(uint64_t *)fresh = 1;
  return CMAP_OK;
}

static enum cmap_status twice(struct cmap_key key, const void *old, void *fresh,
                              void *ctx)
{
  (void)key;
  (void)ctx;
  *(uint64_t *)fresh = 2 * *(const uint64_t *)old;
  return CMAP_OK;
}

/* Counts down; what has come to 0 goes. */
static enum cmap_status countdown(struct cmap_key key, const void *old,
                                  void *fresh, enum cmap_action *action,
                                  void *ctx)
{
  (void)key;
  (void)ctx;
  if (old == NULL)
    return CMAP_OK; /* still absent: CMAP_KEEP */
  *(uint64_t *)fresh = *(const uint64_t *)old - 1;
  *action = *(uint64_t *)fresh == 0 ? CMAP_REMOVE : CMAP_PUT;
  return CMAP_OK;
}

int main(void)
{
  struct cmap *map = ages();
  struct cmap_attempts attempts = CMAP_INIT;
  uint64_t expected = 36, value = 37, before;
  enum cmap_event event;

  is(cmap_compare_exchange(map, KEY("ada"), &expected, &value, NULL), CMAP_OK);
  is(cmap_compare_exchange(map, KEY("ada"), &expected, &value, NULL),
     CMAP_MISMATCH);
  is(cmap_replace_if(map, KEY("bob"), below_40, NULL, &value, NULL, NULL),
     CMAP_MISMATCH);
  is(cmap_alter(map, KEY("ada"), birthday, NULL, NULL), CMAP_OK);
  is(cmap_swap(map, KEY("ada"), &value, &event, NULL), CMAP_OK);
  so(event == CMAP_UPDATED && value == 38); /* 37 is in the map again */

  is(cmap_add_or_update(map, KEY("x"), &value, &event, one, twice, NULL, NULL),
     CMAP_OK);
  so(value == 1 && event == CMAP_INSERTED);
  is(cmap_add_or_update_unlocked(map, KEY("x"), &value, NULL, one, twice, NULL,
                                 &attempts, NULL),
     CMAP_OK);
  so(value == 2 && attempts.adds == 0 && attempts.updates == 1);
  is(cmap_compute(map, KEY("x"), &value, &event, countdown, NULL, NULL),
     CMAP_OK);
  so(value == 1 && event == CMAP_UPDATED);
  is(cmap_compute(map, KEY("x"), NULL, &event, countdown, NULL, NULL), CMAP_OK);
  so(event == CMAP_REMOVED);

  is(cmap_fetch_add(map, KEY("n"), 5, &before, NULL), CMAP_OK);
  so(before == 0);                                           /* it was absent */
  is(cmap_fetch_sub(map, KEY("n"), 1, NULL, NULL), CMAP_OK); /* 4 */
  is(cmap_fetch_or(map, KEY("n"), 3, NULL, NULL), CMAP_OK);  /* 7 */
  is(cmap_fetch_and(map, KEY("n"), 6, NULL, NULL), CMAP_OK); /* 6 */
  is(cmap_fetch_max(map, KEY("n"), 9, NULL, NULL), CMAP_OK); /* 9 */
  is(cmap_fetch_min(map, KEY("n"), 8, &before, NULL), CMAP_OK);
  so(before == 9);
  cmap_destroy(map);
  return 0;
}
