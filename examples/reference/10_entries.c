#include "reference.h"

static enum cmap_status add_one(struct cmap_key key, void *value, void *ctx)
{
  (void)key;
  (void)ctx;
  ++*(uint64_t *)value;
  return CMAP_OK;
}

static enum cmap_status refuse(struct cmap_key key, void *value, void *ctx)
{
  (void)key;
  (void)value;
  (void)ctx;
  return cmap_status_user(1);
}

int main(void)
{
  struct cmap *map = words();
  struct cmap_entry entry = CMAP_INIT;
  struct cmap_write_guard guard = CMAP_INIT;
  const uint64_t one = 1, five = 5;
  uint64_t old;

  /* Add one, or begin with one. */
  is(cmap_entry_begin(map, KEY("a"), &entry, NULL), CMAP_OK);
  so(entry.value == NULL); /* vacant */
  so(cmap_entry_shard_index(&entry) < cmap_shard_count(map));
  is(cmap_entry_or_insert(cmap_entry_and_modify(&entry, add_one, NULL), &one),
     CMAP_OK);
  so(*(uint64_t *)entry.value == 1);
  is(cmap_entry_insert(&entry, &five, &old), CMAP_OK);
  so(old == 1 && *(uint64_t *)entry.value == 5);
  is(cmap_entry_replace_entry(&entry, KEY("a"), &one, &old), CMAP_OK);
  /* A callback's status is kept for the next call. */
  is(cmap_entry_status(cmap_entry_and_modify(&entry, refuse, NULL)),
     cmap_status_user(1));
  is(cmap_entry_remove(&entry, &old), CMAP_OK); /* vacant again */
  is(cmap_entry_or_insert_with(&entry, refuse, NULL), cmap_status_user(1));
  is(cmap_entry_or_default(&entry), CMAP_OK);
  so(*(uint64_t *)entry.value == 0);
  is(cmap_entry_into_guard(&entry, &guard), CMAP_OK);
  is(cmap_write_guard_release(&guard), CMAP_OK);

  /* Strings stay with the map; keys of fixed size may be moved out. */
  is(cmap_entry_begin(map, KEY("a"), &entry, NULL), CMAP_OK);
  is(cmap_entry_remove_entry(&entry, &old, &old), CMAP_ENOTSUP);
  is(cmap_entry_release(&entry), CMAP_OK);
  cmap_destroy(map);
  return 0;
}
