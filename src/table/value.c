/*
 * Boxes, clones and destructors of values.
 */
#include "table/value.h"

void cmap__value_box_give(const struct cmap__layout *layout,
                          const struct cmap__box *box)
{
  cmap__box_give(layout->boxes, box, layout->value_size, layout->value_align);
}

static void give_box(const struct cmap__layout *layout, const uint64_t *words)
{
  struct cmap__box box = cmap__box_of_words(words);

  cmap__value_box_give(layout, &box);
}

/* Room for a value; the words that it will not fill are zero. */
static enum cmap_status image_room(const struct cmap__layout *layout,
                                   struct cmap__value_image *image)
{
  struct cmap__box box;

  if (!layout->value_boxed) {
    image->data = image->words;
    if (layout->value_words > 0)
      image->words[layout->value_words - 1] = 0;
    return CMAP_OK;
  }
  if (!cmap__box_take(layout->boxes, layout->value_size, layout->value_align,
                      &box))
    return CMAP_ENOMEM;
  image->data = box.data;
  cmap__box_to_words(&box, image->words);
  return CMAP_OK;
}

enum cmap_status cmap__value_image_init(const struct cmap__layout *layout,
                                        struct cmap__value_image *image)
{
  enum cmap_status status = image_room(layout, image);

  if (status == CMAP_OK)
    memset(image->data, 0, layout->value_size);
  return status;
}

enum cmap_status cmap__value_image_move(const struct cmap__layout *layout,
                                        const void *value,
                                        struct cmap__value_image *image)
{
  enum cmap_status status = image_room(layout, image);

  if (status == CMAP_OK && layout->value_size > 0)
    memcpy(image->data, value, layout->value_size);
  return status;
}

enum cmap_status cmap__value_image_copy(const struct cmap__layout *layout,
                                        const void *value,
                                        struct cmap__value_image *image)
{
  enum cmap_status status = image_room(layout, image);

  if (status != CMAP_OK)
    return status;
  status = cmap__value_copy_out(layout, value, image->data);
  if (status != CMAP_OK)
    cmap__value_image_drop(layout, image);
  return status;
}

void cmap__value_image_drop(const struct cmap__layout *layout,
                            struct cmap__value_image *image)
{
  if (layout->value_boxed)
    give_box(layout, image->words);
}

void cmap__value_words_release(const struct cmap__layout *layout, void *words,
                               void *out)
{
  const struct cmap__user *user = layout->user;
  void *value = layout->value_boxed
                    ? (void *)(uintptr_t) * (const uint64_t *)words
                    : words;

  if (out != NULL && layout->value_size > 0)
    memcpy(out, value, layout->value_size);
  else if (out == NULL && user->value_destroy != NULL)
    user->value_destroy(value, user->value_ctx);
  if (layout->value_boxed)
    give_box(layout, words);
}

void cmap__slot_words_release(const struct cmap__layout *layout,
                              uint64_t *words, void *value_out)
{
  cmap__value_words_release(layout, cmap__copied_value(layout, words),
                            value_out);
  cmap__key_words_destroy(layout, words);
}

void cmap__slot_words_forget(const struct cmap__layout *layout, uint64_t *words)
{
  if (layout->value_boxed)
    give_box(layout, words + layout->value_word);
  cmap__key_words_destroy(layout, words);
}

enum cmap_status cmap__value_copy_out(const struct cmap__layout *layout,
                                      const void *value, void *out)
{
  const struct cmap__user *user = layout->user;

  if (user->value_clone != NULL)
    return user->value_clone(value, out, user->value_ctx);
  if (layout->value_size > 0)
    memcpy(out, value, layout->value_size);
  return CMAP_OK;
}

bool cmap__value_equal(const struct cmap__layout *layout, const void *a,
                       const void *b)
{
  const struct cmap__user *user = layout->user;

  if (user->value_equal != NULL)
    return user->value_equal(a, b, user->value_ctx);
  return layout->value_size == 0 || memcmp(a, b, layout->value_size) == 0;
}

void cmap__slot_exchange(const struct cmap__layout *layout,
                         const struct cmap__place *place, bool open,
                         const uint64_t *fresh, uint64_t *old)
{
  /* One word changes in one store: readers need no count for it. */
  bool section = !open && layout->value_words > 1;
  uint64_t hi = section ? cmap__seq_open(&place->group->hi) : 0;

  cmap__value_words_load(layout, place->slot, old);
  cmap__value_words_store(layout, place->slot, fresh);
  if (section)
    cmap__seq_close(&place->group->hi, hi);
}
