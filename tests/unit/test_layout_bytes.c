/*
 * layout.h: the bytes of a block, also of one that no memory has room for.
 */
#include "checks.h"
#include "table/layout.h"
#include "table/shard.h"

/* However large: a number that wraps round would be granted. */
static void large_blocks_take_more_than_small_ones(void **state)
{
  (void)state;
  for (size_t size = 0; size <= 1024; size = size * 4 + 8) {
    struct cmap_options o;
    struct cmap__layout layout;
    size_t bytes = 0;
    cmap_options_init(&o, CMAP_U64, size);
    o.inline_value_size = size;
    assert_ok(cmap__layout_init(&layout, &o, NULL));
    for (unsigned g = 0; g <= CMAP__BLOCK_LOG2_MAX; g++) {
      size_t next = cmap__layout_block_bytes(&layout, g);
      assert_int_equal(next % CMAP__CACHE_LINE, 0);
      assert_true(next > bytes || next > PTRDIFF_MAX - 2 * CMAP__CACHE_LINE);
      assert_true(next <= PTRDIFF_MAX);
      bytes = next;
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(large_blocks_take_more_than_small_ones),
  };

  return cmocka_run_group_tests_name("layout_bytes", tests, NULL, NULL);
}
