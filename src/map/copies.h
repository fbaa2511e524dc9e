/*
 * Entries that were copied out of held shards, to be used without a lock.
 */
#ifndef CMAP__MAP_COPIES_H
#define CMAP__MAP_COPIES_H

#include "map/map.h"

struct cmap__copies {
  uint64_t *words; /* slots of the map's layout */
  size_t count, capacity;
  size_t bytes; /* of the allocation */
  bool half;    /* behind them lies one of which only the key was copied: it is
                   released when no lock is held any more */
  enum cmap_snapshot_parts parts;
};

/* May keys be copied? Not if they own something that nobody can copy. */
bool cmap__copies_keys(const struct cmap *map);

/* Copies the parts of one entry, of a held shard, to the words of a slot.
 * CMAP_ENOMEM, or what the user's functions say; *half: the key was copied. */
enum cmap_status cmap__copy_entry(const struct cmap__layout *layout,
                                  _Atomic uint64_t *slot, uint64_t *to,
                                  enum cmap_snapshot_parts parts, bool *half);

/* Room for `capacity` entries, of which the `parts` are copied; none yet.
 * CMAP_ENOMEM */
enum cmap_status cmap__copies_init(const struct cmap__layout *layout,
                                   struct cmap__copies *copies, size_t capacity,
                                   enum cmap_snapshot_parts parts);

/* Adds the entries that a cursor shows, of a held shard. CMAP_ENOMEM, or what
 * the user's functions say: some of them were added. */
enum cmap_status cmap__copies_add(const struct cmap__layout *layout,
                                  struct cmap__copies *copies,
                                  struct cmap__cursor *cursor);

/* Copies the entries of a shard that is being visited: both steps. */
enum cmap_status cmap__copies_take(const struct cmap__layout *layout,
                                   const struct cmap__visit *visit,
                                   struct cmap__copies *copies);

/* The slot of copy i. */
static inline _Atomic uint64_t *
cmap__copies_slot(const struct cmap__layout *layout,
                  const struct cmap__copies *copies, size_t i)
{
  return cmap__payload_of(copies->words + i * layout->slot_words);
}

/* Releases the copies from the `first` on; those before were moved away. */
void cmap__copies_free(const struct cmap__layout *layout,
                       struct cmap__copies *copies, size_t first);

#endif
