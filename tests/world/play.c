#include "play.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "sync/shardlock.h"

struct cmap *map;

static uint64_t own_hash(struct cmap_key key, void *ctx)
{
  (void)ctx;
  return cmap_key_as_u64(key);
}

static _Atomic long blocks; /* of own_alloc; relaxed: it orders nothing */

static void *own_alloc(size_t size, size_t align, void *ctx)
{
  void *memory = NULL;

  (void)ctx;
  if (align < sizeof memory)
    align = sizeof memory;
  WORLD_CHECK(posix_memalign(&memory, align, size) == 0);
  atomic_fetch_add_explicit(&blocks, 1, memory_order_relaxed);
  return memory;
}

static void own_free(void *memory, size_t size, size_t align, void *ctx)
{
  (void)size;
  (void)align;
  (void)ctx;
  if (memory != NULL)
    atomic_fetch_sub_explicit(&blocks, 1, memory_order_relaxed);
  free(memory);
}

struct cmap_options play_options(size_t value_size)
{
  struct cmap_options options;

  cmap_options_init(&options, CMAP_U64, value_size);
  options.key_hash = own_hash;
  options.flags = CMAP_HASH_IS_GOOD;
  options.shard_groups = 1;
  atomic_store_explicit(&blocks, 0, memory_order_relaxed);
  /* Its memory is zeroed by plain stores, which a thread must know of. */
  if (world_choose(4) == 0)
    options.allocator =
        (struct cmap_allocator){.alloc = own_alloc, .free = own_free};
  return options;
}

void play_begin(const struct cmap_options *options, unsigned fillers)
{
  char value[1024];

  cmap__lock_look_ns = CMAP__NO_DEADLINE; /* a lost wake-up is a hang */
  memset(value, 0, sizeof value);
  WORLD_OK(cmap_create(options, &map));
  for (unsigned i = 0; i < fillers; i++) {
    WORLD_OK(
        cmap_insert(map, CMAP_KEY_U64(LOW(50 + i)), value, NULL, NULL, NULL));
    WORLD_OK(
        cmap_insert(map, CMAP_KEY_U64(HIGH(50 + i)), value, NULL, NULL, NULL));
  }
}

void play_end(void)
{
  WORLD_OK(cmap_check(map, NULL, NULL));
  cmap_destroy(map);
  map = NULL;
  WORLD_CHECK(atomic_load_explicit(&blocks, memory_order_relaxed) == 0);
}

void put(uint64_t key, uint64_t value)
{
  WORLD_OK(cmap_insert(map, CMAP_KEY_U64(key), &value, NULL, NULL, NULL));
}

uint64_t get(uint64_t key)
{
  uint64_t value = 0;
  enum cmap_status status = cmap_get(map, CMAP_KEY_U64(key), &value, NULL);

  WORLD_CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
  return status == CMAP_OK ? value : 0;
}
