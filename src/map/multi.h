/*
 * Several keys, held at once.
 *
 * One allocation has everything: a struct cmap__multi and a struct
 * cmap__multi_key for each want. The keys are locked in the order of (address
 * of the map, hash), which is the same for all threads: LOCK ORDER 1. Of the
 * keys in one shard the first has the lock, and the others follow it.
 *
 * The user's struct names an anchor, a record of the thread's, so that a stale
 * copy of it is told from a good one.
 */
#ifndef CMAP__MAP_MULTI_H
#define CMAP__MAP_MULTI_H

#include "map/held.h"

/* A want as it is sorted: of equal keys, the one in the strongest mode comes
 * first. */
struct cmap__multi_order {
  uintptr_t map;
  uint64_t hash;
  enum cmap_mode mode;
  size_t want;
};

struct cmap__multi_key {
  struct cmap__held held;
  struct cmap__probe probe;
  struct cmap_entry entry; /* for the user */
  enum cmap_mode mode;
  size_t same; /* the key that this one is; itself, or another */
};

struct cmap__multi {
  size_t size; /* of the allocation */
  size_t count;
  struct cmap__multi_order *order; /* count of them, sorted */
  struct cmap__held *anchor;
  _Atomic size_t locks; /* held, once all are granted; for cmap__multi_bury */
  struct cmap__patience patience;
  struct cmap__multi_key keys[];
};

/* Key i of a hold. */
static inline struct cmap__held *cmap__multi_held(struct cmap__multi *multi,
                                                  size_t i)
{
  return &multi->keys[multi->keys[i].same].held;
}

/* The record behind the user's struct; NULL: it holds nothing. */
struct cmap__multi *cmap__multi_of(const struct cmap_multi *held);

/*
 * What an ended thread, or this one, has left behind of a hold: releases what
 * belongs to the keys of the map, which is being destroyed. `held` has been
 * taken out of the holds.
 */
void cmap__multi_bury(struct cmap__held *held, const struct cmap *map);

#endif
