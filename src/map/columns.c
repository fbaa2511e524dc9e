/*
 * Copying the entries of a block, group by group.
 *
 * Each slot is copied, and counted only if it is taken: whether it is, no
 * processor can guess.
 */
#include "map/columns.h"

#include "table/key.h"
#include "table/value.h"

bool cmap__columns_begin(const struct cmap__layout *layout, void *keys,
                         void *values, struct cmap__columns *columns)
{
  columns->keys =
      (struct cmap__column){keys, keys == NULL ? 0 : layout->key_size,
                            layout->key_word * sizeof(uint64_t)};
  columns->values = (struct cmap__column){
      values, values == NULL ? 0 : layout->value_size,
      layout->packed ? sizeof(uint32_t)
                     : layout->value_word * sizeof(uint64_t)};
  return (keys == NULL ||
          (layout->key_size != 0 && layout->user->key_copy == NULL)) &&
         (values == NULL ||
          (!layout->value_boxed && layout->user->value_clone == NULL));
}

/* A group's slots, and where of these the entries go. */
struct copy {
  const char *slots;
  size_t slot_size;
  unsigned full; /* the slots that are taken */
  struct cmap__columns columns;
};

/* Copies the slots that are taken. */
static void copy_full(struct copy *copy)
{
  struct cmap__column *keys = &copy->columns.keys;
  struct cmap__column *values = &copy->columns.values;

  for (unsigned left = copy->full; left != 0; left &= left - 1) {
    const char *slot =
        copy->slots + (unsigned)__builtin_ctz(left) * copy->slot_size;

    if (keys->size > 0)
      memcpy(keys->to, slot + keys->offset, keys->size);
    if (values->size > 0)
      memcpy(values->to, slot + values->offset, values->size);
    keys->to += keys->size;
    values->to += values->size;
  }
}

/* Copies all slots; what was in those that are taken stays. */
CMAP__ALWAYS_INLINE void copy_all(struct copy *copy, size_t key_size,
                                  size_t value_size)
{
  const char *key = copy->slots + copy->columns.keys.offset;
  const char *value = copy->slots + copy->columns.values.offset;
  char *keys = copy->columns.keys.to, *values = copy->columns.values.to;
  size_t count = 0;

  CMAP__UNROLL
  for (unsigned i = 0; i < CMAP__GROUP_SLOTS; i++) {
    if (key_size > 0)
      memcpy(keys + count * key_size, key, key_size);
    if (value_size > 0)
      memcpy(values + count * value_size, value, value_size);
    key += copy->slot_size;
    value += copy->slot_size;
    count += (copy->full >> i) & 1;
  }
  if (key_size > 0)
    copy->columns.keys.to += count * key_size;
  if (value_size > 0)
    copy->columns.values.to += count * value_size;
}

/* Has code of its own for the sizes that nearly all have. */
CMAP__ALWAYS_INLINE void copy_keys_of(struct copy *copy, size_t key_size)
{
  switch (copy->columns.values.size) {
  case 0:
    copy_all(copy, key_size, 0);
    break;
  case 4:
    copy_all(copy, key_size, 4);
    break;
  case 8:
    copy_all(copy, key_size, 8);
    break;
  case 16:
    copy_all(copy, key_size, 16);
    break;
  default:
    copy_full(copy);
  }
}

static inline void copy_group(struct copy *copy)
{
  switch (copy->columns.keys.size) {
  case 0:
    copy_keys_of(copy, 0);
    break;
  case 4:
    copy_keys_of(copy, 4);
    break;
  case 8:
    copy_keys_of(copy, 8);
    break;
  case 16:
    copy_keys_of(copy, 16);
    break;
  default:
    copy_full(copy);
  }
}

void cmap__columns_copy(const struct cmap__layout *layout, uintptr_t block,
                        const struct cmap__columns *columns,
                        struct cmap__ahead ahead, size_t more)
{
  size_t n = (size_t)1 << cmap__block_log2(block);
  struct copy copy = {
      .slots = (const char *)cmap__payload_plain(cmap__block_slots(block)),
      .slot_size = cmap__layout_slot_bytes(layout),
      .columns = *columns,
  };

  if (cmap__block_is_empty(block))
    return;
  for (size_t at = 0; at < n; at++) {
    const struct cmap__group *group = cmap__block_group(block, at);

    /* Relaxed: we hold the lock. */
    copy.full = cmap__group_full(cmap__load_relaxed(&group->lo),
                                 cmap__load_relaxed(&group->hi));
    cmap__ahead_step(&ahead);
    if (cmap__likely(more >= CMAP__GROUP_SLOTS))
      copy_group(&copy);
    else
      copy_full(&copy);
    copy.slots += CMAP__GROUP_SLOTS * copy.slot_size;
  }
}
