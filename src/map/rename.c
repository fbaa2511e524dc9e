/*
 * Two keys of one map: rename, swap_values.
 */
#include "map/multi.h"

/* Locks both keys, old_key to write and the other one as `mode`. */
static enum cmap_status lock_two(struct cmap *map, struct cmap_key a,
                                 struct cmap_key b, enum cmap_mode mode,
                                 const struct cmap_how *how,
                                 struct cmap_multi *held)
{
  struct cmap_want wants[2] = {{map, a, CMAP_WRITE, CMAP_OK},
                               {map, b, mode, CMAP_OK}};

  return cmap_lock_many(wants, 2, held, how);
}

/*
 * Moves the entry to the other key, which is vacant. Both groups are busy
 * before the first change, and until the release. The new key is stored before
 * the old one is taken, so that the counts of the two shards never say that the
 * map is empty (cmap_is_empty).
 */
static void move_entry(struct cmap__held *from, struct cmap__held *to)
{
  const struct cmap__layout *layout = cmap__held_layout(from);
  unsigned key_end = (unsigned)layout->key_word + layout->key_words;
  uint64_t value[CMAP__VALUE_WORDS_MAX];
  struct cmap__slot_image image;

  cmap__value_words_load(layout, from->place.slot, value);
  cmap__held_settle(to);
  cmap__shard_put(layout, to->locked.shard, &to->place, true, &to->key, value);
  cmap__shard_take(layout, from->locked.shard, &from->place, true, image.words);
  /* The old key is released afterwards, and the box that is not needed. */
  for (unsigned i = 0; i < key_end; i = cmap__key_next(layout, i))
    from->key.words[i] = image.words[i];
  from->has_key = true;
  from->occupied = false;
  to->has_key = false;
  to->occupied = true;
}

enum cmap_status cmap_rename(struct cmap *map, struct cmap_key old_key,
                             struct cmap_key new_key,
                             const struct cmap_how *how)
{
  struct cmap_multi held;
  struct cmap__multi *multi;
  struct cmap__held *from, *to;
  enum cmap_status status =
      lock_two(map, old_key, new_key, CMAP_ENTRY, how, &held);

  if (status != CMAP_OK)
    return status;
  multi = cmap__multi_of(&held);
  from = cmap__multi_held(multi, 0);
  to = cmap__multi_held(multi, 1);
  if (!from->occupied)
    status = CMAP_NOT_FOUND; /* the same key twice: as an entry */
  else if (to != from && to->occupied)
    status = CMAP_EXISTS;
  else if (to != from)
    move_entry(from, to);
  cmap_multi_release(&held);
  return status;
}

/* Both groups are busy: nobody sees one half. */
static void exchange_values(const struct cmap__held *a,
                            const struct cmap__held *b)
{
  const struct cmap__layout *layout = cmap__held_layout(a);
  uint64_t x[CMAP__VALUE_WORDS_MAX], y[CMAP__VALUE_WORDS_MAX];

  cmap__value_words_load(layout, a->place.slot, x);
  cmap__value_words_load(layout, b->place.slot, y);
  cmap__value_words_store(layout, a->place.slot, y);
  cmap__value_words_store(layout, b->place.slot, x);
}

enum cmap_status cmap_swap_values(struct cmap *map, struct cmap_key a,
                                  struct cmap_key b, const struct cmap_how *how)
{
  struct cmap_multi held;
  struct cmap__multi *multi;
  enum cmap_status status = lock_two(map, a, b, CMAP_WRITE, how, &held);

  if (status != CMAP_OK)
    return status;
  multi = cmap__multi_of(&held);
  exchange_values(cmap__multi_held(multi, 0), cmap__multi_held(multi, 1));
  cmap_multi_release(&held);
  return CMAP_OK;
}
