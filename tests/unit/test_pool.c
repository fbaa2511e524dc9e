/*
 * pool.h: headers and blocks are handed out, come back, and are used again.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/pages.h"
#include "step.h"
#include "tables.h"
#include "threads.h"
#include "valid.h"

struct fixture {
  struct counting_alloc alloc;
  struct tables_setting setting;
  struct cmap__layout layout;
  struct cmap__user user;
  struct cmap__pool pool;
};

static void begin(struct fixture *f)
{
  struct cmap_options options;

  counting_alloc_begin(&f->alloc);
  f->setting = (struct tables_setting){CMAP_U64, SPREAD_GOOD, &f->alloc};
  options = tables_options(&f->setting, 64);
  assert_ok(cmap__layout_init(&f->layout, &options, &f->user));
  assert_ok(cmap__pool_init(&f->pool));
  assert_int_equal(pool_takes(&f->pool), 0);
}

static void end(struct fixture *f)
{
  assert_int_equal(pool_takes(&f->pool), counting_alloc_live_bytes(&f->alloc));
  cmap__pool_destroy(&f->pool);
  assert_true(counting_alloc_is_empty(&f->alloc));
  checks_assert();
}

static struct cmap__shard *take(struct fixture *f, int g)
{
  struct cmap__shard *shard = cmap__pool_take(&f->pool, &f->layout, g);

  assert_non_null(shard);
  assert_int_equal(shard->mask, CMAP__DEAD_MASK);
  assert_int_equal(shard->prefix, CMAP__DEAD_PREFIX);
  assert_true(cmap__shardlock_is_write_locked(&shard->lock));
  assert_int_equal(cmap__shard_count(shard), 0);
  if (g == CMAP__NO_BLOCK) {
    assert_true(cmap__block_is_empty(shard->block));
    return shard;
  }
  assert_false(cmap__block_is_empty(shard->block));
  assert_int_equal(cmap__block_log2(shard->block), g);
  assert_true(block_is_busy(shard->block));
  for (size_t i = 0; i < (size_t)1 << g; i++) {
    const struct cmap__group *group = cmap__block_groups(shard->block) + i;

    assert_int_equal(group->lo, 0);
    assert_int_equal(group->hi & UINT32_MAX, 0);
  }
  assert_int_equal((uintptr_t)cmap__block_slots(shard->block) % 64, 0);
  return shard;
}

static void give(struct fixture *f, struct cmap__shard *shard)
{
  tables_unlock(shard);
  cmap__pool_give(&f->pool, &f->layout, shard);
}

/* Parts that are out at once do not overlap; a sanitizer sees the ends. */
static void parts_are_whole_and_apart(void **state)
{
  enum { SHARDS = 300 };
  static struct cmap__shard *shards[SHARDS];
  struct fixture f;

  (void)state;
  begin(&f);
  for (int i = 0; i < SHARDS; i++) {
    shards[i] = take(&f, i % 8 - 1);
    if (i % 8 == 0)
      continue;
    memset(cmap__payload_plain(cmap__block_slots(shards[i]->block)), i & 0xff,
           cmap__block_slot_count(shards[i]->block) *
               cmap__layout_slot_bytes(&f.layout));
    for (int j = 0; j < 1 << (i % 8 - 1); j++)
      cmap__block_groups(shards[i]->block)[j].lo = (uint64_t)i;
  }
  for (int i = 0; i < SHARDS; i++) {
    size_t bytes = cmap__block_slot_count(shards[i]->block) *
                   cmap__layout_slot_bytes(&f.layout);
    const unsigned char *slots =
        cmap__payload_plain(cmap__block_slots(shards[i]->block));

    assert_true(cmap__shardlock_is_write_locked(&shards[i]->lock));
    for (size_t b = 0; b < bytes; b++)
      assert_int_equal(slots[b], i & 0xff);
    for (int j = 0; bytes > 0 && j < 1 << (i % 8 - 1); j++)
      assert_int_equal(cmap__block_groups(shards[i]->block)[j].lo, i);
  }
  assert_int_equal(pool_takes(&f.pool), counting_alloc_live_bytes(&f.alloc));
  end(&f);
}

/* The unused rest stays small beside what is used. */
static void little_is_left_over(void **state)
{
  struct fixture f;
  size_t used = 0;

  (void)state;
  begin(&f);
  for (unsigned i = 0; i < 3000; i++) {
    used += 64 + cmap__layout_block_bytes(&f.layout, 2);
    (void)take(&f, 2);
    assert_int_equal(pool_takes(&f.pool), counting_alloc_live_bytes(&f.alloc));
    assert_true(pool_takes(&f.pool) <= used + used / 8 + 2048);
  }
  end(&f);
}

/*
 * A block that comes back is empty and busy, and its counts go on from where
 * they were in its last life.
 */
static void counts_grow_over_all_lives(void **state)
{
  uint64_t count[4] = {0};
  struct cmap__shard *first = NULL;
  struct fixture f;

  (void)state;
  begin(&f);
  for (unsigned life = 0; life < 10; life++) {
    struct cmap__shard *shard = take(&f, 2);
    struct cmap__group *groups = cmap__block_groups(shard->block);

    if (first == NULL)
      first = shard;
    assert_ptr_equal(shard, first);
    for (unsigned i = 0; i < 4; i++)
      assert_int_equal(groups[i].hi >> 32, count[i]);
    cmap__block_publish(shard->block);
    for (unsigned i = 0; i < 4; i++) {
      for (unsigned sections = 0; sections <= i; sections++) {
        uint64_t hi = cmap__seq_open(&groups[i].hi);

        groups[i].lo = UINT64_MAX;
        cmap__seq_close(&groups[i].hi, hi | UINT32_MAX);
      }
    }
    cmap__block_close(shard->block);
    for (unsigned i = 0; i < 4; i++) {
      assert_true(groups[i].hi >> 32 >= count[i] + 2 + 2 * (uint64_t)i);
      count[i] = groups[i].hi >> 32;
    }
    give(&f, shard);
  }
  end(&f);
}

static void sizes_are_kept_apart(void **state)
{
  struct cmap__shard *shards[5];
  struct fixture f;
  size_t bytes;

  (void)state;
  begin(&f);
  for (int g = -1; g < 4; g++)
    shards[g + 1] = take(&f, g);
  for (int g = -1; g < 4; g++)
    give(&f, shards[g + 1]);
  bytes = pool_takes(&f.pool);
  counting_alloc_fail_from(&f.alloc, 1);
  for (int g = 3; g >= -1; g--)
    assert_ptr_equal(take(&f, g), shards[g + 1]);
  assert_int_equal(pool_takes(&f.pool), bytes);
  assert_int_equal(counting_alloc_failures(&f.alloc), 0);
  end(&f);
}

/* Lets every group of a taken block live through `sections` sections. */
static void live(struct cmap__shard *shard, unsigned sections)
{
  struct cmap__group *group = cmap__block_groups(shard->block);
  size_t n = (size_t)1 << cmap__block_log2(shard->block);

  cmap__block_publish(shard->block);
  for (; n > 0; n--, group++) {
    for (unsigned i = 0; i < sections; i++) {
      uint64_t hi = cmap__seq_open(&group->hi);

      group->lo = UINT64_MAX;
      cmap__seq_close(&group->hi, hi | UINT32_MAX);
    }
  }
  cmap__block_close(shard->block);
}

/*
 * A free block serves for any smaller size, at the same address, and for its
 * own again; in all these lives no group's count goes back, and a group that
 * the life does not use is busy.
 */
static void a_larger_block_serves(void **state)
{
  enum { LARGE = 4, GROUPS = 1 << LARGE };
  uint64_t counts[GROUPS] = {0};
  struct cmap__shard *first;
  struct fixture f;
  size_t bytes;

  (void)state;
  begin(&f);
  first = take(&f, LARGE);
  give(&f, first);
  bytes = pool_takes(&f.pool);
  counting_alloc_fail_from(&f.alloc, 1);
  for (unsigned life = 0; life < 20; life++) {
    int g = (int)(life * 7 % (LARGE + 1));
    struct cmap__shard *shard = take(&f, g);
    uintptr_t whole = cmap__shard_whole_block(shard);

    assert_ptr_equal(shard, first);
    assert_ptr_equal(cmap__block_slots(whole), cmap__block_slots(shard->block));
    assert_int_equal(cmap__block_log2(whole), LARGE);
    live(shard, life);
    for (size_t i = 0; i < GROUPS; i++) {
      uint64_t count = cmap__block_group(whole, i)->hi >> 32;

      assert_int_equal(count & 1, 0);
      assert_true(count >= counts[i] + (i < (1u << g) ? 2 + 2 * life : 0));
      counts[i] = count;
    }
    give(&f, shard);
    assert_null(cmap__pool_broken(&f.pool));
  }
  assert_int_equal(pool_takes(&f.pool), bytes);
  assert_null(cmap__pool_take(&f.pool, &f.layout, LARGE + 1));
  end(&f);
}

/* The nearest size is used first; and where no header can be had, one with a
 * block serves for a shard without. */
static void the_nearest_size_serves(void **state)
{
  struct cmap__shard *shards[3];
  struct fixture f;

  (void)state;
  begin(&f);
  for (int i = 0; i < 3; i++)
    shards[i] = take(&f, 2 + i);
  for (int i = 0; i < 3; i++)
    give(&f, shards[i]);
  assert_ptr_equal(take(&f, 3), shards[1]);
  assert_ptr_equal(take(&f, 1), shards[0]);
  counting_alloc_fail_from(&f.alloc, 1);
  for (unsigned i = 0; i < 1000; i++) {
    struct cmap__shard *shard =
        cmap__pool_take(&f.pool, &f.layout, CMAP__NO_BLOCK);

    assert_non_null(shard);
    if (shard != shards[2]) /* headers that were there */
      continue;
    assert_int_equal(cmap__block_log2(shard->block), 0);
    assert_null(cmap__pool_take(&f.pool, &f.layout, CMAP__NO_BLOCK));
    end(&f);
    return;
  }
  fail_msg("the larger block was never used");
}

static void memory_may_be_refused_at_any_time(void **state)
{
  struct fixture f;
  unsigned taken = 0;

  (void)state;
  begin(&f);
  counting_alloc_fail_every(&f.alloc, 2);
  for (unsigned i = 0; i < 200; i++) {
    struct cmap__shard *shard =
        cmap__pool_take(&f.pool, &f.layout, (int)(i % 5) - 1);

    taken += shard != NULL;
    assert_int_equal(pool_takes(&f.pool), counting_alloc_live_bytes(&f.alloc));
  }
  assert_true(taken > 0);
  counting_alloc_fail_from(&f.alloc, 1);
  for (unsigned i = 0; i < 10000 && counting_alloc_failures(&f.alloc) == 0; i++)
    (void)cmap__pool_take(&f.pool, &f.layout, 3);
  assert_null(cmap__pool_take(&f.pool, &f.layout, 3));
  assert_int_not_equal(counting_alloc_failures(&f.alloc), 0);
  counting_alloc_fail_none(&f.alloc);
  (void)take(&f, 3);
  /* A size that no address space has. */
  assert_null(cmap__pool_take(&f.pool, &f.layout, CMAP__POOL_SIZES - 1));
  assert_null(cmap__pool_take(&f.pool, &f.layout, CMAP__POOL_SIZES));
  end(&f);
}

/* With huge pages, chunks that are whole pages are whole huge ones. */
static void large_chunks_are_huge_pages(void **state)
{
  struct tables_setting setting = {CMAP_U64, SPREAD_GOOD, NULL};
  struct cmap_options options = tables_options(&setting, 64);
  struct cmap__layout layout;
  struct cmap__user user;
  struct cmap__pool pool;
  unsigned mapped = 0;

  (void)state;
  options.flags |= CMAP_HUGE_PAGES;
  assert_ok(cmap__layout_init(&layout, &options, &user));
  assert_ok(cmap__pool_init(&pool));
  while (pool_takes(&pool) < (size_t)20 << 20)
    assert_non_null(cmap__pool_take(&pool, &layout, 6));
  assert_non_null(cmap__pool_take(&pool, &layout, 16));
  assert_true(pool_takes(&pool) > cmap__layout_block_bytes(&layout, 16));
  for (struct cmap__chunk *chunk = cmap__pool_grown(&pool)->blocks.chunks;
       chunk != NULL; chunk = chunk->next) {
    assert_true(chunk->mapped || chunk->size < CMAP__HUGE_PAGE);
    if (!chunk->mapped)
      continue;
    mapped++;
    assert_int_equal((uintptr_t)chunk->memory % CMAP__HUGE_PAGE, 0);
    assert_int_equal(chunk->size % CMAP__HUGE_PAGE, 0);
  }
  assert_true(mapped > 5);
  cmap__pool_destroy(&pool);
}

/* -------------------------------------------------------------------------
 * Late lockers
 * ------------------------------------------------------------------------- */

struct late {
  struct cmap__shard *shard;
  enum cmap__mode mode;
  struct step step;
  atomic_bool let_go;
};

/* Has the lock of a free header, finds it dead, and lets go when the one who
   takes the header waits for it. */
static void late_locker(unsigned index, void *ctx)
{
  struct late *late = ctx;
  struct cmap__shardlock *lock = &late->shard->lock;

  (void)index;
  if (late->mode == CMAP__WRITE)
    CHECK(cmap__shardlock_write(lock, NULL) == CMAP__LOCK_OK);
  else
    CHECK(cmap__shardlock_read(lock, NULL) == CMAP__LOCK_OK);
  CHECK(!cmap__shard_covers(late->shard, 0));
  step_done(&late->step, 1);
  /* Ends: pool_take parks, and says so in the word. */
  while ((cmap__load_relaxed(&lock->word) & CMAP__LOCK_WRITERS_WAIT) == 0)
    cmap__pause();
  atomic_store(&late->let_go, true);
  if (late->mode == CMAP__WRITE)
    cmap__shardlock_write_unlock(lock);
  else
    cmap__shardlock_read_unlock(lock);
}

static void late_lockers_are_waited_for(void **state)
{
  (void)state;
  for (unsigned mode = CMAP__READ; mode <= CMAP__WRITE; mode++) {
    struct thread thread;
    struct fixture f;
    struct late late;

    begin(&f);
    late.mode = (enum cmap__mode)mode;
    late.shard = take(&f, 1);
    give(&f, late.shard);
    step_begin(&late.step);
    atomic_init(&late.let_go, false);
    thread_start(&thread, late_locker, 0, &late);
    step_wait(&late.step, 1);
    assert_ptr_equal(take(&f, 1), late.shard);
    assert_true(atomic_load(&late.let_go));
    thread_join(&thread);
    step_end(&late.step);
    end(&f);
  }
}

/* A header that a thread sleeps at, or is about to, is left alone. */
static void awaited_headers_are_left_alone(void **state)
{
  struct cmap__shard *first, *second;
  struct fixture f;

  (void)state;
  begin(&f);
  first = take(&f, 1);
  second = take(&f, 1);
  give(&f, second);
  give(&f, first);
  cmap__add_relaxed(&first->waiters, CMAP__ONE_PARKED);
  assert_ptr_equal(take(&f, 1), second);
  assert_ptr_not_equal(take(&f, 1), first);
  cmap__sub_release(&first->waiters, CMAP__ONE_PARKED);
  assert_ptr_equal(take(&f, 1), first);
  end(&f);
}

/* Threads take and give at once; each has what it took for itself. */
static void exchange(unsigned index, void *ctx)
{
  struct fixture *f = ctx;

  for (unsigned i = 0; i < 2000; i++) {
    int g = (int)(i % 3);
    struct cmap__shard *shard = cmap__pool_take(&f->pool, &f->layout, g);

    CHECK(shard != NULL);
    if (shard == NULL)
      return;
    CHECK(block_is_busy(shard->block));
    shard->limit = index;
    cmap__block_publish(shard->block);
    cmap__block_close(shard->block);
    CHECK(shard->limit == index);
    tables_unlock(shard);
    cmap__pool_give(&f->pool, &f->layout, shard);
  }
}

static void threads_take_and_give(void **state)
{
  struct fixture f;

  (void)state;
  begin(&f);
  threads_run(4, exchange, &f);
  end(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(parts_are_whole_and_apart),
      cmocka_unit_test(little_is_left_over),
      cmocka_unit_test(counts_grow_over_all_lives),
      cmocka_unit_test(sizes_are_kept_apart),
      cmocka_unit_test(a_larger_block_serves),
      cmocka_unit_test(the_nearest_size_serves),
      cmocka_unit_test(memory_may_be_refused_at_any_time),
      cmocka_unit_test(large_chunks_are_huge_pages),
      cmocka_unit_test(late_lockers_are_waited_for),
      cmocka_unit_test(awaited_headers_are_left_alone),
      cmocka_unit_test(threads_take_and_give),
  };

  return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
