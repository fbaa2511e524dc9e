/*
 * Copies of all entries at one moment.
 */
#include "base/alloc.h"
#include "base/pages.h"
#include "map/all.h"
#include "map/copies.h"

struct cmap_snapshot {
  struct cmap__layout layout; /* of the map, which may be gone */
  struct cmap__user user;     /* the same */
  struct cmap__boxes boxes;   /* of the copies */
  struct cmap__copies copies;
};

/* Rounds of making room, if entries come meanwhile. */
#define ROUNDS 4

/* Room for the entries that there are now, and some, with its pages at hand:
 * others are to wait for the copying only. */
static enum cmap_status make_room_for_copies(const struct cmap *map,
                                             enum cmap_snapshot_parts parts,
                                             struct cmap_snapshot *snapshot)
{
  struct cmap__copies *copies = &snapshot->copies;

  for (int round = 1;; round++) {
    size_t entries = cmap_len(map);
    enum cmap_status status = cmap__copies_init(
        &snapshot->layout, copies, entries + entries / 64 + 16, parts);
    if (status != CMAP_OK)
      return status;
    cmap__pages_touch(copies->words, copies->bytes);
    if (round == ROUNDS || cmap_len(map) <= copies->capacity)
      return CMAP_OK;
    cmap__copies_free(&snapshot->layout, copies, 0);
  }
}

/* Copies all entries of a map that is locked as a whole. */
static enum cmap_status copy_all(const struct cmap *map, size_t entries,
                                 struct cmap_snapshot *snapshot)
{
  const struct cmap__layout *layout = &snapshot->layout;
  struct cmap__copies *copies = &snapshot->copies;
  enum cmap_status status = CMAP_OK;
  uint64_t hash = 0;

  if (entries > copies->capacity) { /* they come faster than room is made */
    cmap__copies_free(layout, copies, 0);
    status = cmap__copies_init(layout, copies, entries, copies->parts);
    if (status != CMAP_OK)
      return status;
  }
  do {
    const struct cmap__shard *shard = cmap__all_next(map, &hash);
    struct cmap__cursor cursor = cmap__cursor_begin(shard->block);

    cursor.ahead = cmap__table_ahead(&map->table, shard, UINT64_MAX);
    status = cmap__copies_add(layout, copies, &cursor);
  } while (status == CMAP_OK && hash != 0);
  return status;
}

static enum cmap_status fill_snapshot(struct cmap *map,
                                      struct cmap_snapshot *snapshot,
                                      enum cmap_snapshot_parts parts,
                                      const struct cmap__patience *patience)
{
  enum cmap_status status = make_room_for_copies(map, parts, snapshot);
  size_t entries;

  if (status == CMAP_OK)
    status = cmap__all_lock(map, patience, &entries);
  if (status == CMAP_OK) {
    status = copy_all(map, entries, snapshot);
    cmap__all_unlock();
  }
  return status;
}

enum cmap_status cmap_snapshot_create(struct cmap *map,
                                      enum cmap_snapshot_parts parts,
                                      struct cmap_snapshot **snapshot,
                                      const struct cmap_how *how)
{
  const struct cmap_allocator *allocator;
  struct cmap__patience patience;
  struct cmap_snapshot *fresh;
  const uint64_t *unused;
  enum cmap_status status;

  if (snapshot != NULL)
    *snapshot = NULL;
  if (CMAP__MISSING(map) || CMAP__MISSING(snapshot) ||
      !cmap__how_read(how, &patience, &unused) ||
      CMAP__WRONG(parts != CMAP_KEYS_AND_VALUES && parts != CMAP_KEYS_ONLY &&
                      parts != CMAP_VALUES_ONLY,
                  "parts is unknown"))
    return CMAP_EINVAL;
  if ((parts != CMAP_KEYS_ONLY && !map->table.copies_values) ||
      (parts != CMAP_VALUES_ONLY && !cmap__copies_keys(map)))
    return CMAP_ENOTSUP;
  allocator = &map->table.layout.allocator;
  fresh = cmap__alloc(allocator, sizeof *fresh, CMAP__CACHE_LINE);
  if (fresh == NULL)
    return CMAP_ENOMEM;
  fresh->layout = map->table.layout;
  fresh->user = *map->table.layout.user;
  fresh->layout.user = &fresh->user;
  allocator = &fresh->layout.allocator;
  cmap__boxes_init(&fresh->boxes, allocator, false);
  fresh->layout.boxes = &fresh->boxes;
  status = fill_snapshot(map, fresh, parts, &patience);
  if (status != CMAP_OK) {
    cmap_snapshot_destroy(fresh);
    return status;
  }
  *snapshot = fresh;
  return CMAP_OK;
}

size_t cmap_snapshot_count(const struct cmap_snapshot *snapshot)
{
  return snapshot == NULL ? 0 : snapshot->copies.count;
}

/* Is there an entry i, with what is asked for? */
static bool has(const struct cmap_snapshot *snapshot, size_t i,
                enum cmap_snapshot_parts without)
{
  return snapshot != NULL && i < snapshot->copies.count &&
         snapshot->copies.parts != without;
}

struct cmap_key cmap_snapshot_key(const struct cmap_snapshot *snapshot,
                                  size_t i)
{
  if (!has(snapshot, i, CMAP_VALUES_ONLY))
    return cmap_key_bytes(NULL, 0);
  return cmap__slot_key(
      &snapshot->layout,
      cmap__copies_slot(&snapshot->layout, &snapshot->copies, i));
}

const void *cmap_snapshot_value(const struct cmap_snapshot *snapshot, size_t i)
{
  if (!has(snapshot, i, CMAP_KEYS_ONLY))
    return NULL;
  return cmap__slot_value(
      &snapshot->layout,
      cmap__copies_slot(&snapshot->layout, &snapshot->copies, i));
}

void cmap_snapshot_destroy(struct cmap_snapshot *snapshot)
{
  struct cmap_allocator allocator;

  if (snapshot == NULL)
    return;
  allocator = snapshot->layout.allocator;
  /* The other boxes go with all their memory. Relaxed: nobody else sees it. */
  snapshot->layout.owns_anything =
      snapshot->layout.has_destructors ||
      cmap__load_relaxed(&snapshot->boxes.large_bytes) > 0;
  cmap__copies_free(&snapshot->layout, &snapshot->copies, 0);
  cmap__boxes_destroy(&snapshot->boxes);
  cmap__free(&allocator, snapshot, sizeof *snapshot, CMAP__CACHE_LINE);
}
