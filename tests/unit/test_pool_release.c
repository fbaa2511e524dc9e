/*
 * pool_release.c: pages of free blocks are given back, and counts of groups
 * never go back, whatever happens to the pages.
 */
#include "checks.h"
#include "settings.h"
#include "base/alloc.h"
#include "base/pages.h"
#include "table/layout.h"
#include "table/pool.h"

#include <sys/mman.h>
#include <unistd.h>

enum { SHARDS = 200, LOG2 = 6 };

struct fixture {
  struct cmap__layout layout;
  struct cmap__pool pool;
  struct cmap__shard *shards[SHARDS];
};

static void begin(struct fixture *f, size_t value_size)
{
  struct cmap_options options;

  cmap_options_init(&options, CMAP_U64, value_size);
  options.allocator = cmap__allocator_default;
  assert_ok(cmap__layout_init(&f->layout, &options, NULL));
  assert_ok(cmap__pool_init(&f->pool));
  for (size_t i = 0; i < SHARDS; i++) {
    f->shards[i] = cmap__pool_take(&f->pool, &f->layout, LOG2);
    assert_non_null(f->shards[i]);
  }
}

static void give(struct fixture *f, size_t i)
{
  cmap__shardlock_write_unlock(&f->shards[i]->lock);
  cmap__pool_give(&f->pool, &f->layout, f->shards[i]);
}

static void release_all(struct fixture *f)
{
  while (cmap__pool_release(&f->pool, &f->layout) > 0)
    continue;
}

static uint32_t count_of(const struct cmap__shard *shard, size_t group)
{
  return (uint32_t)(cmap__load_relaxed(
                        &cmap__block_group(shard->block, group)->hi) >>
                    32);
}

/* Lets a group live through some sections. */
static void age(struct cmap__shard *shard, size_t group, uint32_t count)
{
  _Atomic uint64_t *hi = &cmap__block_group(shard->block, group)->hi;

  cmap__store_relaxed(hi, (uint64_t)count << 32);
}

/* Pages of a block that are in memory. */
static size_t resident(const struct cmap__shard *shard)
{
  size_t page = (size_t)sysconf(_SC_PAGESIZE), count = 0;
  uintptr_t begin = (uintptr_t)cmap__block_groups(shard->block);
  unsigned char in[64];

  begin = (begin + page - 1) & ~(page - 1);
  assert_int_equal(mincore((void *)begin, 2 * page, in), 0);
  for (size_t i = 0; i < 2; i++)
    count += in[i] & 1;
  return count;
}

/* Whether a block is new or lives again, its pages are there before it is
 * filled: no fault comes while a shard is locked. */
static void blocks_come_with_their_pages(void **state)
{
  static struct fixture f;
  size_t page = cmap__page_size();
  char *probe = cmap__pages_map(page);
  bool populates;

  (void)state;
  assert_non_null(probe);
  populates = cmap__pages_populate(probe, page);
  cmap__pages_unmap(probe, page);
  if (!populates || page > 4096 || test_emulated())
    skip();
  begin(&f, 8);
  for (size_t i = 0; i < SHARDS; i++) {
    assert_int_equal(resident(f.shards[i]), 2);
    give(&f, i);
  }
  release_all(&f);
  assert_int_equal(resident(f.shards[0]), 0);
  for (size_t i = 0; i < SHARDS; i++) {
    f.shards[i] = cmap__pool_take(&f.pool, &f.layout, LOG2);
    assert_non_null(f.shards[i]);
    assert_int_equal(resident(f.shards[i]), 2);
  }
  for (size_t i = 0; i < SHARDS; i++)
    give(&f, i);
  cmap__pool_destroy(&f.pool);
}

static void counts_never_go_back(void **state)
{
  static struct fixture f;

  (void)state;
  begin(&f, 8);
  for (size_t i = 0; i < SHARDS; i++) {
    age(f.shards[i], 0, 20 + 2 * (uint32_t)i);
    age(f.shards[i], 63, 1000 + 2 * (uint32_t)i);
    give(&f, i);
  }
  release_all(&f);
  assert_int_equal(resident(f.shards[SHARDS - 2]), 0);
  assert_null(cmap__pool_broken(&f.pool)); /* which reads them */
  for (size_t i = 0; i < SHARDS; i++) {
    struct cmap__shard *shard = cmap__pool_take(&f.pool, &f.layout, LOG2);
    for (size_t k = 0; k < SHARDS; k++) {
      if (f.shards[k] != shard)
        continue;
      for (size_t group = 0; group < 64; group++)
        assert_true(count_of(shard, group) >= (group == 63  ? 1000 + 2 * k
                                               : group == 0 ? 20 + 2 * k
                                                            : 0));
      assert_int_equal(count_of(shard, 5) & 1, 0);
    }
    assert_int_equal(shard->high, 0);
    cmap__shardlock_write_unlock(&shard->lock);
  }
  cmap__pool_destroy(&f.pool);
}

/* Counts wrap around: the highest is found by what was counted, not by the
 * number. */
static void high_counts_wrap_around(void **state)
{
  static struct fixture f;
  struct cmap__shard *shard;

  (void)state;
  begin(&f, 8);
  shard = f.shards[SHARDS - 1];
  for (size_t group = 0; group < 64; group++)
    age(shard, group, UINT32_MAX - 101);
  age(shard, 7, 4); /* has wrapped */
  give(&f, SHARDS - 1);
  release_all(&f);
  assert_ptr_equal(cmap__pool_take(&f.pool, &f.layout, LOG2), shard);
  for (size_t group = 0; group < 64; group++)
    assert_int_equal(count_of(shard, group), 4);
  cmap__shardlock_write_unlock(&shard->lock);
  cmap__pool_destroy(&f.pool);
}

/* A block whose groups are far apart keeps its pages, and each group its count:
 * else the lagging ones would come round to a count that a late reader saw. */
static void groups_far_apart_stay(void **state)
{
  static const uint32_t most = UINT32_C(1) << 30;
  static struct fixture f;

  (void)state;
  for (uint32_t more = 0; more <= 2; more += 2) {
    /* Also where the highest wraps around, and lags by the number. */
    for (uint32_t low = 100; low != 0; low = low == 100 ? 0u - most : 0) {
      struct cmap__shard *shard;
      begin(&f, 8);
      shard = f.shards[SHARDS - 1];
      for (size_t group = 0; group < 64; group++)
        age(shard, group, low);
      age(shard, 0, low + most + more);
      for (size_t i = 0; i < SHARDS; i++)
        give(&f, i);
      release_all(&f);
      assert_int_equal(cmap__pool_idle(&f.pool), 0);
      assert_int_equal(resident(f.shards[1]), 0);
      assert_int_equal(resident(shard) > 0, more > 0);
      cmap__pool_grown(&f.pool)->lists.given[LOG2 + 1] =
          shard; /* the rest is left to the destroyer */
      shard->next_free = NULL;
      assert_ptr_equal(cmap__pool_take(&f.pool, &f.layout, LOG2), shard);
      assert_true(count_of(shard, 0) == low + most + more);
      for (size_t group = 1; group < 64; group++)
        assert_true(count_of(shard, group) == (more == 0 ? low + most : low));
      cmap__shardlock_write_unlock(&shard->lock);
      cmap__pool_destroy(&f.pool);
    }
  }
}

/* The same for groups that the next life does not use, whose block is smaller:
 * what lies in the pages that were given back is not asked again. */
static void smaller_lives_keep_counts(void **state)
{
  static struct fixture f;
  struct cmap__shard *shard;

  (void)state;
  begin(&f, 8);
  shard = f.shards[0];
  for (size_t group = 0; group < 64; group++)
    age(shard, group, 100);
  age(shard, 60, 5000);
  give(&f, 0);
  release_all(&f);
  cmap__pool_grown(&f.pool)->source.own_pages =
      false; /* larger blocks are used before new ones */
  assert_ptr_equal(cmap__pool_take(&f.pool, &f.layout, 2), shard);
  assert_int_equal(cmap__block_log2(shard->block), 2);
  give(&f, 0);
  assert_ptr_equal(cmap__pool_take(&f.pool, &f.layout, LOG2), shard);
  for (size_t group = 0; group < 64; group++)
    assert_int_equal(count_of(shard, group), 5000);
  cmap__shardlock_write_unlock(&shard->lock);
  cmap__pool_destroy(&f.pool);
}

/* Each step is short, however much there is to do, and together they do it. */
static void steps_are_short(void **state)
{
  static struct fixture f;
  size_t block, bytes, unused, steps = 0, sum = 0, step;

  (void)state;
  for (size_t value_size = 8; value_size <= 88; value_size += 40) {
    begin(&f, value_size);
    block = cmap__layout_block_bytes(&f.layout, LOG2);
    for (size_t i = 0; i < SHARDS; i++)
      give(&f, i);
    for (steps = sum = 0;; steps++, sum += step) {
      step = cmap__pool_release(&f.pool, &f.layout);
      if (step == 0)
        break;
      assert_true(step <= 64 * 1024 + block);
    }
    assert_true(sum >= SHARDS * block);
    assert_true(steps >= sum / (64 * 1024 + block));
    assert_int_equal(cmap__pool_idle(&f.pool), 0);
    /* What stays are ends of chunks, and what comes before chunks of pages. */
    cmap__pool_bytes(&f.pool, &bytes, &unused);
    assert_true(bytes <= SHARDS * block / 16 + 64 * 1024);
    cmap__pool_destroy(&f.pool);
  }
}

/* Blocks in use keep what is in them, also in pages that they share. */
static void blocks_in_use_stay(void **state)
{
  static struct fixture f;

  (void)state;
  for (size_t value_size = 8; value_size <= 40; value_size += 16) {
    begin(&f, value_size);
    for (size_t i = 0; i < SHARDS; i++) {
      if (i % 3 == 0)
        memset((void *)(uintptr_t)cmap__block_slots(f.shards[i]->block), 0x5a,
               64 * CMAP__GROUP_SLOTS * cmap__layout_slot_bytes(&f.layout));
      else
        give(&f, i);
    }
    release_all(&f);
    for (size_t i = 0; i < SHARDS; i += 3) {
      const unsigned char *bytes =
          (const unsigned char *)(uintptr_t)cmap__block_slots(
              f.shards[i]->block);
      size_t size = 64 * CMAP__GROUP_SLOTS * cmap__layout_slot_bytes(&f.layout);
      for (size_t k = 0; k < size; k++)
        assert_int_equal(bytes[k], 0x5a);
      cmap__shardlock_write_unlock(&f.shards[i]->lock);
    }
    cmap__pool_destroy(&f.pool);
  }
}

static void sums_are_right(void **state)
{
  static struct fixture f;
  size_t bytes, unused, after, unused_after, block, rest;

  (void)state;
  begin(&f, 8);
  block = cmap__layout_block_bytes(&f.layout, LOG2);
  cmap__pool_bytes(&f.pool, &bytes, &unused);
  for (size_t i = SHARDS / 2; i < SHARDS; i++)
    give(&f, i);
  cmap__pool_bytes(&f.pool, &after, &unused_after);
  assert_int_equal(after, bytes);
  assert_int_equal(unused_after, unused + SHARDS / 2 * block);
  release_all(&f);
  rest = cmap__pool_grown(&f.pool)->blocks.left &
         ~((size_t)sysconf(_SC_PAGESIZE) - 1);
  assert_true(rest > 0);
  cmap__pool_bytes(&f.pool, &after, &unused_after);
  assert_int_equal(after, bytes - SHARDS / 2 * block - rest);
  assert_int_equal(unused_after, unused - rest);
  for (size_t i = SHARDS / 2; i < SHARDS; i++)
    f.shards[i] = cmap__pool_take(&f.pool, &f.layout, LOG2);
  cmap__pool_bytes(&f.pool, &after, &unused_after);
  assert_int_equal(after, bytes - rest);
  assert_int_equal(unused_after, unused - rest);
  /* What was never cut comes back when it is. */
  for (; cmap__pool_grown(&f.pool)->blocks.left >= block; rest -= block) {
    cmap__shardlock_write_unlock(
        &cmap__pool_take(&f.pool, &f.layout, LOG2)->lock);
    cmap__pool_bytes(&f.pool, &after, &unused_after);
    assert_int_equal(after, bytes - rest + block);
  }
  for (size_t i = 0; i < SHARDS; i++)
    cmap__shardlock_write_unlock(&f.shards[i]->lock);
  cmap__pool_destroy(&f.pool);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(blocks_come_with_their_pages),
      cmocka_unit_test(counts_never_go_back),
      cmocka_unit_test(high_counts_wrap_around),
      cmocka_unit_test(groups_far_apart_stay),
      cmocka_unit_test(smaller_lives_keep_counts),
      cmocka_unit_test(steps_are_short),
      cmocka_unit_test(blocks_in_use_stay),
      cmocka_unit_test(sums_are_right),
  };

  return cmocka_run_group_tests_name("pool_release", tests, NULL, NULL);
}
