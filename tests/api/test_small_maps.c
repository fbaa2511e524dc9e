/*
 * Small maps are one allocation, and a small one; what else a map may have
 * comes when it is needed, and if there is no memory for it then, the map is as
 * it was.
 */
#include "checks.h"
#include "counting_alloc.h"

#include <pthread.h>

/* Entries of one group. */
#define SMALL 11

static struct cmap *make(struct counting_alloc *alloc,
                         const struct cmap_options *options)
{
  struct cmap_options given = *options;
  struct cmap *map;

  counting_alloc_begin(alloc);
  given.allocator = counting_alloc_hook(alloc);
  assert_ok(cmap_create(&given, &map));
  return map;
}

static void put(struct cmap *map, uint64_t from, uint64_t to)
{
  for (; from < to; from++)
    assert_ok(cmap_insert(map, cmap_key_u64(&from), &from, NULL, NULL, NULL));
}

static void assert_has(struct cmap *map, uint64_t n)
{
  uint64_t value;

  for (uint64_t i = 0; i < n; i++) {
    assert_ok(cmap_get(map, cmap_key_u64(&i), &value, NULL));
    assert_int_equal(value, i);
  }
  assert_int_equal(cmap_len(map), n);
  assert_ok(cmap_check(map, NULL, NULL));
}

static size_t bytes_of(struct cmap *map)
{
  struct cmap_stats stats = {.size = sizeof stats};

  assert_ok(cmap_get_stats(map, &stats));
  return (size_t)stats.bytes;
}

static void end(struct cmap *map, struct counting_alloc *alloc)
{
  cmap_destroy(map);
  assert_true(counting_alloc_is_empty(alloc));
}

static void one_allocation_of_700_bytes(void **state)
{
  struct counting_alloc alloc;
  struct cmap_options options;
  struct cmap *map;

  (void)state;
  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  map = make(&alloc, &options);
  put(map, 0, SMALL);
  assert_has(map, SMALL);
  assert_int_equal(alloc.live_blocks, 1);
  assert_int_equal(bytes_of(map), counting_alloc_live_bytes(&alloc));
  if (sizeof(pthread_mutex_t) <= 40) /* that of Linux */
    assert_true(counting_alloc_live_bytes(&alloc) <= 700);
  end(map, &alloc);
}

static void destroy(void *value, void *ctx)
{
  (*(unsigned *)ctx)++;
  *(uint64_t *)value = 0;
}

/* The user's functions lie in the same allocation. */
static void functions_have_room(void **state)
{
  struct counting_alloc alloc;
  struct cmap_options options, in_force;
  unsigned destroyed = 0;
  struct cmap *map;

  (void)state;
  for (size_t value_size = 8; value_size <= 256; value_size += 8) {
    uint64_t value[32] = {0};
    cmap_options_init(&options, CMAP_U64, value_size);
    options.value_destroy = destroy;
    options.value_ctx = &destroyed;
    destroyed = 0;
    map = make(&alloc, &options);
    assert_int_equal(alloc.live_blocks, 1);
    assert_int_equal(bytes_of(map), counting_alloc_live_bytes(&alloc));
    in_force.size = sizeof in_force;
    assert_ok(cmap_get_options(map, &in_force));
    assert_true(in_force.value_destroy == destroy);
    assert_ptr_equal(in_force.value_ctx, &destroyed);
    assert_true(in_force.key_hash == NULL && in_force.value_clone == NULL);
    for (uint64_t i = 0; i < SMALL; i++)
      assert_ok(cmap_insert(map, cmap_key_u64(&i), value, NULL, NULL, NULL));
    end(map, &alloc);
    assert_int_equal(destroyed, SMALL);
  }
}

/* The first entry beyond a group, with each request refused in turn. */
static void refused_growth_loses_nothing(void **state)
{
  struct counting_alloc alloc;
  struct cmap_options options;
  uint64_t last = SMALL;
  struct cmap *map;
  size_t n = 0;

  (void)state;
  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  map = make(&alloc, &options);
  put(map, 0, SMALL);
  for (;;) {
    enum cmap_status status;
    counting_alloc_fail_from(&alloc, ++n);
    status = cmap_insert(map, cmap_key_u64(&last), &last, NULL, NULL, NULL);
    counting_alloc_fail_none(&alloc);
    if (status == CMAP_OK)
      break;
    assert_status(status, CMAP_ENOMEM);
    assert_has(map, SMALL);
    assert_int_equal(bytes_of(map), counting_alloc_live_bytes(&alloc));
  }
  assert_true(n > 1);
  assert_has(map, SMALL + 1);
  end(map, &alloc);
}

static enum cmap_status add(struct cmap_key key, void *value, void *ctx)
{
  (void)key;
  *(uint64_t *)ctx += *(uint64_t *)value;
  return CMAP_OK;
}

/* Pops go round a map that has no place for each part, and one that has got
 * them meanwhile. */
static void pops_need_no_memory(void **state)
{
  struct counting_alloc alloc;
  struct cmap_options options;
  struct cmap *map;

  (void)state;
  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  for (uint64_t entries = SMALL; entries <= 40 * SMALL; entries += 13) {
    uint64_t sum = 0;
    map = make(&alloc, &options);
    put(map, 0, SMALL);
    counting_alloc_fail_from(&alloc, 1);
    for (unsigned i = 0; i < SMALL / 2; i++)
      assert_ok(cmap_pop(map, 0, 1, add, &sum, NULL));
    counting_alloc_fail_none(&alloc);
    put(map, SMALL, entries);
    counting_alloc_fail_from(&alloc, 1);
    while (cmap_pop(map, 0, 1, add, &sum, NULL) == CMAP_OK)
      continue;
    assert_int_equal(sum, entries * (entries - 1) / 2);
    assert_has(map, 0);
    counting_alloc_fail_none(&alloc);
    end(map, &alloc);
  }
}

/* What was shrunk may be back in the block that lies in the map; it is used
 * again as others are. */
static void maps_grow_and_shrink_again(void **state)
{
  struct counting_alloc alloc;
  struct cmap_options options;
  struct cmap *map;
  size_t most = 0;

  (void)state;
  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  map = make(&alloc, &options);
  for (unsigned round = 0; round < 20; round++) {
    put(map, 0, 3000);
    assert_has(map, 3000);
    if (round == 0)
      most = counting_alloc_live_bytes(&alloc);
    assert_ok(cmap_clear(map, NULL));
    assert_ok(cmap_shrink_to_fit(map, NULL));
    put(map, 0, 3);
    assert_has(map, 3);
    assert_true(counting_alloc_live_bytes(&alloc) <= most + most / 2);
  }
  end(map, &alloc);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_allocation_of_700_bytes),
      cmocka_unit_test(functions_have_room),
      cmocka_unit_test(refused_growth_loses_nothing),
      cmocka_unit_test(pops_need_no_memory),
      cmocka_unit_test(maps_grow_and_shrink_again),
  };

  return cmocka_run_group_tests_name("small_maps", tests, NULL, NULL);
}
