/*
 * Maps whose allocator refuses beyond a quota: what a map has got, it can use
 * again, whatever shape the entries had that it was got for.
 */
#include "checks.h"
#include "settings.h"

#include <stdlib.h>

#define QUOTA ((size_t)2 << 20)

static size_t used;

static void *quota_alloc(size_t size, size_t align, void *ctx)
{
  void *memory = NULL;

  (void)ctx;
  if (size > QUOTA - used ||
      posix_memalign(&memory, align < sizeof memory ? sizeof memory : align,
                     size) != 0)
    return NULL;
  used += size;
  return memory;
}

static void quota_free(void *memory, size_t size, size_t align, void *ctx)
{
  (void)align;
  (void)ctx;
  used -= size;
  free(memory);
}

static struct cmap *make(enum cmap_key_kind kind, unsigned flags)
{
  struct cmap_options options;
  struct cmap *map;

  cmap_options_init(&options, kind, sizeof(uint64_t));
  options.flags = flags;
  options.allocator.alloc = quota_alloc;
  options.allocator.free = quota_free;
  assert_ok(cmap_create(&options, &map));
  return map;
}

/* Inserts until the quota is used up, or all keys are in. */
static uint64_t fill(struct cmap *map, uint64_t from, uint64_t most)
{
  uint64_t n = 0;

  for (; n < most; n++) {
    uint64_t key = from + n;
    enum cmap_status status =
        cmap_insert(map, cmap_key_u64(&key), &key, NULL, NULL, NULL);
    if (status == CMAP_ENOMEM)
      break;
    assert_ok(status);
  }
  return n;
}

static void take_out(struct cmap *map, uint64_t from, uint64_t n)
{
  for (uint64_t key = from; key < from + n; key++)
    assert_ok(cmap_remove(map, cmap_key_u64(&key), NULL, NULL));
}

enum way { REMOVE, CLEAR, REMOVE_AND_SHRINK, WAYS };

static void refill(unsigned flags, enum way way, uint64_t keep)
{
  struct cmap *map = make(CMAP_U64, flags);
  uint64_t first = fill(map, 0, UINT64_MAX);

  assert_true(first > 50000);
  for (size_t round = 0; round < test_scale(3); round++) {
    uint64_t again;
    if (way == CLEAR)
      assert_ok(cmap_clear(map, NULL));
    else
      take_out(map, keep, first - keep);
    if (way == REMOVE_AND_SHRINK)
      assert_ok(cmap_shrink_to_fit(map, NULL));
    again = fill(map, way == CLEAR ? 0 : keep, first);
    if (way != CLEAR)
      again += keep;
    if (again < first / 10 * 9)
      fail_msg("flags %u, way %d, %llu kept: %llu entries, then %llu", flags,
               (int)way, (unsigned long long)keep, (unsigned long long)first,
               (unsigned long long)again);
    if (again < first)
      first = again;
  }
  cmap_destroy(map);
  assert_int_equal(used, 0);
}

static void an_emptied_map_is_filled_again(void **state)
{
  (void)state;
  for (enum way way = REMOVE; way < WAYS; way++) {
    refill(0, way, 0);
    refill(CMAP_AUTO_SHRINK, way, 0);
  }
}

static void a_map_with_few_entries_is_filled_again(void **state)
{
  (void)state;
  for (uint64_t keep = 10; keep <= 10000; keep *= 10) {
    refill(CMAP_AUTO_SHRINK, REMOVE, keep);
    refill(0, REMOVE_AND_SHRINK, keep);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_emptied_map_is_filled_again),
      cmocka_unit_test(a_map_with_few_entries_is_filled_again),
  };

  return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
