/*
 * Values: in the slot or in a box, and how they come in and go out.
 *
 * The value words of a slot (layout->value_words) are what the table moves:
 * the value's bytes, or the address of a box with them. An image is a value
 * outside the table that has those words.
 */
#ifndef CMAP__TABLE_VALUE_H
#define CMAP__TABLE_VALUE_H

#include "table/shard.h"

struct cmap__value_image {
  CMAP__ALIGNED(CMAP__ALIGN_MAX) uint64_t words[CMAP__VALUE_WORDS_MAX];
  void *data; /* the value: words, or in the box */
};

/* A slot outside the table: what a removed entry is copied to. */
struct cmap__slot_image {
  CMAP__ALIGNED(CMAP__ALIGN_MAX) uint64_t words[CMAP__SLOT_WORDS_MAX];
};

/* The value of a slot that the caller holds, for callbacks. */
static inline void *cmap__slot_value(const struct cmap__layout *layout,
                                     _Atomic uint64_t *slot)
{
  _Atomic uint64_t *words = slot + layout->value_word;

  if (layout->packed)
    return (char *)cmap__payload_plain(words) + sizeof(uint32_t);
  if (layout->value_boxed)
    return (void *)(uintptr_t)cmap__load_relaxed(words); /* lock held */
  return cmap__payload_plain(words);
}

/* The value words in a copy of a slot, or what is the value of PACKED. */
static inline void *cmap__copied_value(const struct cmap__layout *layout,
                                       uint64_t *slot)
{
  return (char *)(slot + layout->value_word) +
         (layout->packed ? sizeof(uint32_t) : 0);
}

/* A zeroed value. CMAP_ENOMEM. */
enum cmap_status cmap__value_image_init(const struct cmap__layout *layout,
                                        struct cmap__value_image *image);

/* A value with these bytes, moved in. CMAP_ENOMEM. */
enum cmap_status cmap__value_image_move(const struct cmap__layout *layout,
                                        const void *value,
                                        struct cmap__value_image *image);

/* A copy of a value: a clone where there is value_clone, whose status it has.
 */
enum cmap_status cmap__value_image_copy(const struct cmap__layout *layout,
                                        const void *value,
                                        struct cmap__value_image *image);

/* Gives a value's box back, which has none. */
void cmap__value_box_give(const struct cmap__layout *layout,
                          const struct cmap__box *box);

/* Frees the box of an image whose value is not the image's. */
void cmap__value_image_drop(const struct cmap__layout *layout,
                            struct cmap__value_image *image);

/*
 * The end of value words that left the table or never came in: the value is
 * moved to `out`, or destroyed if that is NULL; the box is freed. No lock.
 */
void cmap__value_words_release(const struct cmap__layout *layout, void *words,
                               void *out);

/* The end of a copy of a slot that cmap__shard_take made: key and value. */
void cmap__slot_words_release(const struct cmap__layout *layout,
                              uint64_t *words, void *value_out);

/* The same for an entry whose value's bytes were moved elsewhere. */
void cmap__slot_words_forget(const struct cmap__layout *layout,
                             uint64_t *words);

/* Copies or clones a value to the user's memory; clone's status. */
enum cmap_status cmap__value_copy_out(const struct cmap__layout *layout,
                                      const void *value, void *out);

/* By value_equal, or as bytes. */
bool cmap__value_equal(const struct cmap__layout *layout, const void *a,
                       const void *b);

/*
 * Replaces the value words in a slot; the old ones come out in `old`. Write
 * lock; `open`: the caller has opened a section on the group.
 */
void cmap__slot_exchange(const struct cmap__layout *layout,
                         const struct cmap__place *place, bool open,
                         const uint64_t *fresh, uint64_t *old);

#endif
