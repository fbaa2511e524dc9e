#include "reference.h"

int main(void)
{
  struct cmap *map = ages();
  struct cmap_read_guard reader = CMAP_INIT;
  struct cmap_write_guard writer = CMAP_INIT;
  const uint64_t zero = 0;
  enum cmap_event event;
  uint64_t old;

  { /* released at the end of the block */
    CMAP_AUTO(cmap_write_guard, ada);
    is(cmap_get_mut(map, KEY("ada"), &ada, NULL), CMAP_OK);
    ++*(uint64_t *)ada.value;
    /* A write to the same shard, and a small map has only one: */
    is(cmap_remove(map, KEY("bob"), NULL, NULL), CMAP_EDEADLK);
  }

  /* By hand: changed under a write guard, then only read. */
  is(cmap_get_mut(map, KEY("bob"), &writer, NULL), CMAP_OK);
  so(cmap_write_guard_shard_index(&writer) < cmap_shard_count(map));
  is(cmap_write_guard_downgrade(&writer, &reader), CMAP_OK);
  so(*(const uint64_t *)reader.value == 41);
  so(cmap_read_guard_shard_index(&reader) < cmap_shard_count(map));
  is(cmap_read_guard_release(&reader), CMAP_OK);

  /* Nobody comes between the insertion and the guard. */
  is(cmap_get_or_insert_ref(map, KEY("ida"), &zero, &reader, &event, NULL),
     CMAP_OK);
  so(event == CMAP_INSERTED);

  /* A guard that is handed over: detach, give the struct away, attach there. */
  is(cmap_read_guard_detach(&reader), CMAP_OK);
  is(cmap_read_guard_attach(&reader), CMAP_OK);
  is(cmap_read_guard_release(&reader), CMAP_OK);

  is(cmap_get_mut(map, KEY("eve"), &writer, NULL), CMAP_OK);
  is(cmap_write_guard_detach(&writer), CMAP_OK);
  is(cmap_write_guard_attach(&writer), CMAP_OK);
  is(cmap_write_guard_remove(&writer, &old), CMAP_OK);
  so(old == 7);
  is(cmap_write_guard_release(&writer), CMAP_OK); /* holds nothing: allowed */
  is(cmap_get_ref(map, KEY("eve"), &reader, NULL), CMAP_NOT_FOUND);
  cmap_destroy(map);
  return 0;
}
