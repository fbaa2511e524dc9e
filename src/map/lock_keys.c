/*
 * cmap_lock_keys: cmap_lock_many of an array of keys.
 */
#include "base/alloc.h"
#include "map/map.h"

/* So many wants need no memory. */
#define FEW_KEYS 8

/* Key i of an array as the header says. */
static struct cmap_key array_key(const struct cmap__layout *layout,
                                 const void *keys, size_t i)
{
  if (layout->kind == CMAP_STRING)
    return cmap_key_string(((const char *const *)keys)[i]);
  if (layout->kind == CMAP_BYTES)
    return ((const struct cmap_key *)keys)[i];
  return cmap_key_bytes((const char *)keys + i * layout->key_size,
                        layout->key_size);
}

enum cmap_status cmap_lock_keys(struct cmap *map, const void *keys, size_t n,
                                enum cmap_mode mode, struct cmap_multi *held,
                                const struct cmap_how *how)
{
  struct cmap_want few[FEW_KEYS];
  struct cmap_want *wants = few;
  enum cmap_status status;

  if (held != NULL)
    *held = (struct cmap_multi)CMAP_INIT;
  if (CMAP__MISSING(map) || CMAP__MISSING(keys))
    return CMAP_EINVAL;
  if (n > SIZE_MAX / sizeof *wants)
    return CMAP_ENOMEM;
  if (n > FEW_KEYS)
    wants = cmap__alloc(&cmap__allocator_default, n * sizeof *wants, 8);
  if (wants == NULL)
    return CMAP_ENOMEM;
  for (size_t i = 0; i < n; i++)
    wants[i] = (struct cmap_want){map, array_key(&map->table.layout, keys, i),
                                  mode, CMAP_OK};
  status = cmap_lock_many(wants, n, held, how);
  if (wants != few)
    cmap__free(&cmap__allocator_default, wants, n * sizeof *wants, 8);
  return status;
}
