/*
 * The limit: libcmap's own table without all that makes it safe.
 *
 * The same hash, the same directory of shards with the same groups of 11 slots,
 * the same search, preferred cache line and prefetch, laid out alike and filled
 * as full. What is missing is what this row is there to weigh: the call into a
 * shared library, the sequence counts with their second look, the second look
 * at the directory, the checks of arguments, and any thought of another thread.
 * It is inlined into the loop, reads only, and belongs to no user.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include "table/group.h"
#include "table/hash.h"

/* A group's metadata without atomics: the words of struct cmap__group. */
struct raw_group {
  uint64_t lo;
  uint64_t hi;
};

struct raw_slot {
  uint64_t key;
  uint64_t value;
};

/* A shard: groups, and behind them CMAP__GROUP_SLOTS slots a group. */
struct raw_shard {
  struct raw_group *groups;
  uint64_t mask; /* groups, less one */
};

struct raw_table {
  struct raw_shard *directory; /* 2^depth shards, by the hash's top bits */
  unsigned shift;              /* 64 - depth */
  struct cmap__hash_key hash_key;
  size_t len;
};

/* The groups of a shard, as in libcmap. */
#define SHARD_GROUPS   64
/* From this depth on libcmap asks for slots early (table/read.h). */
#define PREFETCH_DEPTH 7

static void *zeroed(size_t size)
{
  void *memory = aligned_alloc(64, (size + 63) / 64 * 64);

  if (memory == NULL)
    abort();
  memset(memory, 0, size);
  return memory;
}

/* As many shards as libcmap has for so many keys, at most 13/16 full. */
static void *create(size_t keys)
{
  struct raw_table *table = zeroed(sizeof *table);
  size_t group_bytes =
      sizeof(struct raw_group) + CMAP__GROUP_SLOTS * sizeof(struct raw_slot);
  unsigned depth = 1;

  while (((size_t)SHARD_GROUPS * CMAP__GROUP_SLOTS * 13 / 16) << depth < keys)
    depth++;
  table->shift = 64 - depth;
  table->directory = zeroed(sizeof *table->directory << depth);
  for (size_t i = 0; i < (size_t)1 << depth; i++) {
    table->directory[i].groups = zeroed(SHARD_GROUPS * group_bytes);
    table->directory[i].mask = SHARD_GROUPS - 1;
  }
  /* Any two numbers; they change nothing about the speed. */
  table->hash_key.k0 = bench_key(1);
  table->hash_key.k1 = bench_key(2);
  return table;
}

static void destroy(void *map)
{
  struct raw_table *table = map;

  for (size_t i = 0; i < (size_t)1 << (64 - table->shift); i++)
    free(table->directory[i].groups);
  free(table->directory);
  free(table);
}

/* The slots of a group. */
static inline struct raw_slot *slots_of(const struct raw_shard *shard,
                                        size_t at)
{
  struct raw_slot *slots = (struct raw_slot *)(shard->groups + shard->mask + 1);

  return slots + at * CMAP__GROUP_SLOTS;
}

static size_t len(void *map)
{
  return ((struct raw_table *)map)->len;
}

static unsigned preferred(uint64_t hash)
{
  return (cmap__hash_position(hash) * CMAP__GROUP_SLOTS) >> 5;
}

static unsigned choose(const struct raw_slot *slots, unsigned empty,
                       uint64_t hash)
{
  uintptr_t line = (uintptr_t)&slots[preferred(hash)] / 64;

  for (unsigned left = empty; left != 0; left &= left - 1) {
    unsigned index = (unsigned)__builtin_ctz(left);
    if ((uintptr_t)&slots[index] / 64 == line)
      return index;
  }
  return (unsigned)__builtin_ctz(empty);
}

static void insert_one(struct raw_table *table, uint64_t key)
{
  uint64_t hash = cmap__hash_u64(&table->hash_key, key);
  struct raw_shard *shard = &table->directory[hash >> table->shift];
  size_t at = (size_t)(hash >> 16) & shard->mask;

  for (size_t step = 1;; at = (at + step++) & shard->mask) {
    struct raw_group *group = &shard->groups[at];
    struct raw_slot *slots = slots_of(shard, at);
    unsigned empty = cmap__group_empty(group->lo, group->hi);
    unsigned index;
    uint64_t *word;
    if (empty == 0) {
      group->hi |= (uint64_t)cmap__hash_overflow_bit(hash)
                   << CMAP__OVERFLOW_SHIFT;
      continue;
    }
    index = choose(slots, empty, hash);
    word = index < 8 ? &group->lo : &group->hi;
    *word = cmap__group_with_tag(*word, index, cmap__hash_tag(hash));
    slots[index].key = slots[index].value = key;
    table->len++;
    return;
  }
}

static uint64_t insert(void *map, const struct trace *trace)
{
  for (size_t i = 0; i < trace->count; i++)
    insert_one(map, trace->keys[i]);
  return trace->count;
}

static inline bool find(const struct raw_table *table, uint64_t key,
                        uint64_t *value)
{
  uint64_t hash = cmap__hash_u64(&table->hash_key, key);
  const struct raw_shard *shard = &table->directory[hash >> table->shift];
  size_t at = (size_t)(hash >> 16) & shard->mask;

  for (size_t step = 1;; at = (at + step++) & shard->mask) {
    const struct raw_group *group = &shard->groups[at];
    const struct raw_slot *slots = slots_of(shard, at);
    unsigned match;
    if (table->shift <= 64 - PREFETCH_DEPTH)
      cmap__prefetch(&slots[preferred(hash)]);
    match = cmap__group_match(group->lo, group->hi, cmap__hash_tag(hash));
    for (; match != 0; match &= match - 1) {
      unsigned index = (unsigned)__builtin_ctz(match);
      if (cmap__likely(slots[index].key == key)) {
        *value = slots[index].value;
        return true;
      }
    }
    if (!cmap__group_overflowed(group->hi, hash) || step > shard->mask)
      return false;
  }
}

static uint64_t get(void *map, const struct trace *trace)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < trace->count; i++) {
    uint64_t value;
    if (find(map, trace->keys[i], &value))
      sum += value;
  }
  return sum;
}

static const struct impl_u64 u64 = {
    .create = create,
    .destroy = destroy,
    .len = len,
    .get = get,
    .insert = insert,
};

const struct impl bench_impl_raw = {
    .name = "raw",
    .title = "the bare table, one thread",
    .what = "libcmap's table without safety, inlined: the limit of get, miss",
    .hash = "libcmap's",
    .u64 = &u64,
    .max_threads = 1,
    .reads_only = true,
    .role = ROLE_LIMIT,
};
