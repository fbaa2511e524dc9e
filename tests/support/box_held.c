#include "box_held.h"

#include <string.h>

#include "checks.h"

/* A pattern over all bytes, which no other box has. */
static void fill(const struct box_held *held)
{
  unsigned char *bytes = held->box.data;

  for (size_t i = 0; i < held->size; i++)
    bytes[i] = (unsigned char)(held->seed >> (i % 8 * 8)) ^ (unsigned char)i;
}

bool box_held_is_whole(const struct box_held *held)
{
  const unsigned char *bytes = held->box.data;

  for (size_t i = 0; i < held->size; i++)
    if (bytes[i] !=
        (unsigned char)((held->seed >> (i % 8 * 8)) ^ (unsigned char)i))
      return false;
  return true;
}

bool box_held_take(struct cmap__boxes *boxes, size_t size, size_t align,
                   uint64_t seed, struct box_held *held)
{
  *held =
      (struct box_held){.size = size, .align = align, .seed = random_mix(seed)};
  if (!cmap__box_take(boxes, size, align, &held->box))
    return false;
  CHECK((uintptr_t)held->box.data % (align < 8 ? 8 : align) == 0);
  CHECK((held->box.slab == NULL) == cmap__box_is_large(size));
  fill(held);
  return true;
}

void box_held_give(struct cmap__boxes *boxes, struct box_held *held)
{
  CHECK(box_held_is_whole(held));
  memset(held->box.data, 0xdd, held->size);
  cmap__box_give(boxes, &held->box, held->size, held->align);
  held->box.data = NULL;
}

/* Small, of all sizes, and large ones. */
size_t box_held_size(struct random *random)
{
  switch (random_below(random, 8)) {
  case 0:
    return 1 + (size_t)random_below(random, CMAP__BOX_MOST);
  case 1:
    return CMAP__BOX_MOST - 2 + (size_t)random_below(random, 5);
  case 2:
    return 24 + (size_t)random_below(random, 1000);
  default:
    return 1 + (size_t)random_below(random, 300);
  }
}

size_t box_held_align(struct random *random)
{
  return (size_t)1 << random_below(random, 7);
}
