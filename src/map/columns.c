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

/* A block, and where its entries go. */
struct column_copy {
  uintptr_t block;
  size_t slot_size;
  struct cmap__columns columns;
  struct cmap__ahead ahead;
};

/* The slots of the group that are taken. */
static inline unsigned taken_of(uintptr_t block, size_t at)
{
  const struct cmap__group *group = cmap__block_group(block, at);

  /* Relaxed: we hold the lock. */
  return cmap__group_full(cmap__load_relaxed(&group->lo),
                          cmap__load_relaxed(&group->hi));
}

static inline const char *column_slots(const struct column_copy *copy)
{
  return (const char *)cmap__payload_plain(cmap__block_slots(copy->block));
}

/* Copies the slots that are taken. */
static void copy_taken(struct column_copy *copy)
{
  const struct cmap__column keys = copy->columns.keys;
  const struct cmap__column values = copy->columns.values;
  const char *slots = column_slots(copy);
  size_t n = cmap__block_mask(copy->block) + 1, count = 0;

  for (size_t at = 0; at < n; at++) {
    unsigned full = taken_of(copy->block, at);

    cmap__ahead_step(&copy->ahead);
    for (; full != 0; full &= full - 1, count++) {
      const char *slot =
          slots + (unsigned)__builtin_ctz(full) * copy->slot_size;

      if (keys.size > 0)
        memcpy(keys.to + count * keys.size, slot + keys.offset, keys.size);
      if (values.size > 0)
        memcpy(values.to + count * values.size, slot + values.offset,
               values.size);
    }
    slots += CMAP__GROUP_SLOTS * copy->slot_size;
  }
}

/* Copies all slots; what was in those that are taken stays. */
CMAP__ALWAYS_INLINE void copy_columns(const struct column_copy *copy,
                                      size_t key_size, size_t value_size)
{
  const uintptr_t block = copy->block;
  const size_t n = cmap__block_mask(block) + 1, slot_size = copy->slot_size;
  const char *key = column_slots(copy) + copy->columns.keys.offset;
  const ptrdiff_t value = (ptrdiff_t)copy->columns.values.offset -
                          (ptrdiff_t)copy->columns.keys.offset;
  char *keys = copy->columns.keys.to, *values = copy->columns.values.to;
  struct cmap__ahead ahead = copy->ahead;
  size_t count = 0;

  for (size_t at = 0; at < n; at++) {
    const unsigned full = taken_of(block, at);

    cmap__ahead_step(&ahead);
    CMAP__UNROLL
    for (unsigned i = 0; i < CMAP__GROUP_SLOTS; i++, key += slot_size) {
      if (key_size > 0)
        memcpy(keys + count * key_size, key, key_size);
      if (value_size > 0)
        memcpy(values + count * value_size, key + value, value_size);
      count += (full >> i) & 1;
    }
  }
}

/* Has code of its own for the sizes that nearly all have. */
CMAP__ALWAYS_INLINE void copy_columns_of(struct column_copy *copy,
                                         size_t key_size)
{
  switch (copy->columns.values.size) {
  case 0:
    copy_columns(copy, key_size, 0);
    break;
  case 4:
    copy_columns(copy, key_size, 4);
    break;
  case 8:
    copy_columns(copy, key_size, 8);
    break;
  case 16:
    copy_columns(copy, key_size, 16);
    break;
  default:
    copy_taken(copy);
  }
}

void cmap__columns_copy(const struct cmap__layout *layout, uintptr_t block,
                        const struct cmap__columns *columns,
                        struct cmap__ahead ahead, size_t more)
{
  struct column_copy copy = {block, cmap__layout_slot_bytes(layout), *columns,
                             ahead};

  if (cmap__block_is_empty(block))
    return;
  switch (more >= CMAP__GROUP_SLOTS ? columns->keys.size : SIZE_MAX) {
  case 0:
    copy_columns_of(&copy, 0);
    break;
  case 4:
    copy_columns_of(&copy, 4);
    break;
  case 8:
    copy_columns_of(&copy, 8);
    break;
  case 16:
    copy_columns_of(&copy, 16);
    break;
  default:
    copy_taken(&copy);
  }
}
