/*
 * Copying the entries of a block whose slots are a u64 key and 8 bytes.
 *
 * Each slot is copied, and counted only if it is taken: whether it is, no
 * processor can guess. So what is behind the last entry is written, too.
 */
#include "map/scan_plain.h"

#include "table/shard.h"

#define SLOT_WORDS 2

/* Bytes of a group's slots, and of the lines that are asked for with it. */
#define SLOTS_BYTES (CMAP__GROUP_SLOTS * SLOT_WORDS * sizeof(uint64_t))
#define ASK_BYTES   ((size_t)3 * CMAP__CACHE_LINE)

/* If there is nothing to ask for ahead: how far in this block. */
#define NEAR_BYTES 1024

/* What is asked for while groups are copied: three lines for each. */
struct asking {
  const char *at;
  size_t step;
};

static struct asking asking_begin(uintptr_t block, struct cmap__ahead ahead)
{
  struct asking asking = {(const char *)ahead.line, ahead.step};

  if (ahead.step == 0) {
    asking.at = (const char *)(block & ~CMAP__BLOCK_BITS) + NEAR_BYTES;
    asking.step = SLOTS_BYTES;
  } else if (asking.step > ASK_BYTES) {
    asking.step = ASK_BYTES;
  }
  return asking;
}

CMAP__ALWAYS_INLINE void copy(const _Atomic uint64_t *slot, char *keys,
                              char *values, size_t to)
{
  /* Relaxed: we hold the lock. */
  if (keys != NULL) {
    uint64_t key = cmap__load_relaxed(slot);
    memcpy(keys + to * sizeof key, &key, sizeof key);
  }
  if (values != NULL) {
    uint64_t value = cmap__load_relaxed(slot + 1);
    memcpy(values + to * sizeof value, &value, sizeof value);
  }
}

CMAP__ALWAYS_INLINE size_t copy_block(uintptr_t block, struct asking asking,
                                      char *keys, char *values, size_t count,
                                      size_t capacity)
{
  size_t n = (size_t)1 << cmap__block_log2(block);

  for (size_t at = 0; at < n; at++) {
    const struct cmap__group *group = cmap__block_group(block, at);
    const _Atomic uint64_t *slots =
        cmap__block_slots(block) + at * CMAP__GROUP_SLOTS * SLOT_WORDS;
    /* Relaxed: we hold the lock. */
    unsigned full = cmap__group_full(cmap__load_relaxed(&group->lo),
                                     cmap__load_relaxed(&group->hi));

    cmap__prefetch_far(asking.at);
    cmap__prefetch_far(asking.at + CMAP__CACHE_LINE);
    cmap__prefetch_far(asking.at + (size_t)2 * CMAP__CACHE_LINE);
    asking.at += asking.step;
    if (cmap__likely(count + CMAP__GROUP_SLOTS <= capacity)) {
      CMAP__UNROLL
      for (unsigned i = 0; i < CMAP__GROUP_SLOTS; i++) {
        copy(slots + i * SLOT_WORDS, keys, values, count);
        count += (full >> i) & 1;
      }
      continue;
    }
    for (; full != 0; full &= full - 1)
      copy(slots + (unsigned)__builtin_ctz(full) * SLOT_WORDS, keys, values,
           count++);
  }
  return count;
}

/* Each in code of its own. */
static CMAP__NOINLINE size_t copy_keys(uintptr_t block, struct asking asking,
                                       char *keys, size_t count,
                                       size_t capacity)
{
  return copy_block(block, asking, keys, NULL, count, capacity);
}

static CMAP__NOINLINE size_t copy_values(uintptr_t block, struct asking asking,
                                         char *values, size_t count,
                                         size_t capacity)
{
  return copy_block(block, asking, NULL, values, count, capacity);
}

static CMAP__NOINLINE size_t copy_both(uintptr_t block, struct asking asking,
                                       char *keys, char *values, size_t count,
                                       size_t capacity)
{
  return copy_block(block, asking, keys, values, count, capacity);
}

size_t cmap__scan_plain(uintptr_t block, struct cmap__ahead ahead, char *keys,
                        char *values, size_t count, size_t capacity)
{
  struct asking asking = asking_begin(block, ahead);

  if (cmap__block_is_empty(block))
    return count;
  if (values == NULL)
    return keys == NULL ? copy_block(block, asking, NULL, NULL, count, capacity)
                        : copy_keys(block, asking, keys, count, capacity);
  return keys == NULL ? copy_values(block, asking, values, count, capacity)
                      : copy_both(block, asking, keys, values, count, capacity);
}
