/*
 * Boxes in use (table/box.h) that know what is in them.
 */
#ifndef CMAP_TEST_BOX_HELD_H
#define CMAP_TEST_BOX_HELD_H

#include "random.h"
#include "table/box.h"

/* A box in use, and what it was filled with. */
struct box_held {
  struct cmap__box box;
  size_t size, align;
  uint64_t seed;
};

/* Takes a box and fills it, with a pattern that no other `seed` has. False: no
 * memory. On any thread. */
bool box_held_take(struct cmap__boxes *boxes, size_t size, size_t align,
                   uint64_t seed, struct box_held *held);

/* Checks that it is as it was filled, and gives it back. On any thread. */
void box_held_give(struct cmap__boxes *boxes, struct box_held *held);

/* Is it as it was filled? */
bool box_held_is_whole(const struct box_held *held);

/* Sizes that are small, of all classes, and large; and alignments. */
size_t box_held_size(struct random *random);
size_t box_held_align(struct random *random);

#endif
