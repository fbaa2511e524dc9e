#include "reference.h"

static enum cmap_status find(struct cmap_key key, const void *age, void *name)
{
  if (*(const uint64_t *)age < 40)
    return CMAP_OK;
  snprintf(name, 8, "%s", (const char *)key.data);
  return cmap_status_user(1); /* found: the walk ends */
}

/* Entries in place, one after the other. */
static void in_place(struct cmap *map)
{
  CMAP_AUTO(cmap_iter, iter);
  CMAP_AUTO(cmap_read_guard, reader);
  CMAP_AUTO(cmap_write_guard, writer);
  uint64_t old;

  is(cmap_iter_begin(map, CMAP_WRITE, 0, 1, &iter), CMAP_OK);
  is(cmap_iter_next(&iter, NULL), CMAP_OK);
  ++*(uint64_t *)iter.value;
  is(cmap_iter_next(&iter, NULL), CMAP_OK);
  is(cmap_iter_remove(&iter, &old), CMAP_OK);
  is(cmap_iter_restart(&iter), CMAP_OK);
  is(cmap_iter_next(&iter, NULL), CMAP_OK);
  is(cmap_iter_next(&iter, NULL), CMAP_OK);
  is(cmap_iter_next(&iter, NULL), CMAP_NOT_FOUND); /* two are left */
  is(cmap_iter_restart(&iter), CMAP_OK);
  is(cmap_iter_next(&iter, NULL), CMAP_OK);
  is(cmap_iter_into_write_guard(&iter, &writer), CMAP_OK); /* iter has ended */
  is(cmap_write_guard_release(&writer), CMAP_OK);

  is(cmap_iter_begin(map, CMAP_READ, 0, 1, &iter), CMAP_OK);
  is(cmap_iter_next(&iter, NULL), CMAP_OK);
  is(cmap_iter_into_read_guard(&iter, &reader), CMAP_OK);
  is(cmap_iter_release(&iter), CMAP_OK); /* allowed */
}

/* A buffer full at a time, and nothing is held in between. */
static void by_buffer(struct cmap *map)
{
  struct cmap_key keys[100];
  uint64_t values[100], cursor, end;
  char text[2000];
  struct cmap_scan_buffer buffer;
  enum cmap_status status;

  cmap_scan_buffer_init(&buffer, 100, keys, values);
  buffer.text = text;
  buffer.text_size = sizeof text;
  for (size_t part = 0; part < 2; part++) { /* a thread each, if you like */
    is(cmap_scan_part(part, 2, &cursor, &end), CMAP_OK);
    while ((status = cmap_scan(map, &cursor, end, &buffer, NULL)) == CMAP_OK)
      for (size_t i = 0; i < buffer.count; i++)
        printf("%s %d\n", cmap_key_as_string(keys[i]), (int)values[i]);
    is(status, CMAP_NOT_FOUND); /* the end */
  }
}

int main(void)
{
  struct cmap *map = ages();
  char name[8] = "";

  is(cmap_for_each(map, 0, 1, find, name, NULL), cmap_status_user(1));
  so(strcmp(name, "bob") == 0);
  in_place(map);
  by_buffer(map);
  cmap_destroy(map);
  return 0;
}
