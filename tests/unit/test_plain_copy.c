/*
 * plain_copy.h: entries of plain maps are moved to blocks of every other size,
 * whole and by halves. After each step the whole table is checked.
 */
#include "random.h"
#include "tables.h"
#include "valid.h"

enum { GROUPS_LOG2 = 6 };

struct fixture {
  struct counting_alloc alloc;
  struct tables_setting setting;
  struct cmap__table table;
  uint64_t keys;
};

static size_t slots(int g)
{
  return (size_t)CMAP__GROUP_SLOTS << g;
}

/* A table of one shard with a block of 2^g groups. */
static void begin(struct fixture *f, int g, uint64_t keys)
{
  struct cmap_options options;
  struct cmap__shard *shard;

  counting_alloc_begin(&f->alloc);
  f->setting = (struct tables_setting){CMAP_U64, SPREAD_GOOD, &f->alloc};
  options = tables_options(&f->setting, (size_t)1 << GROUPS_LOG2);
  options.key_hash = NULL; /* plain */
  assert_ok(cmap__table_init(&f->table, &options));
  assert_true(f->table.layout.plain);
  shard = tables_lock(&f->table, 0);
  assert_ok(cmap__shard_resize(&f->table, &shard, g));
  tables_unlock(shard);
  for (f->keys = 0; f->keys < keys; f->keys++)
    assert_ok(tables_put(&f->table, f->keys, ~f->keys));
}

static void check(struct fixture *f)
{
  uint64_t value;

  assert_true(table_is_valid(&f->table));
  assert_int_equal(table_count(&f->table), f->keys);
  for (uint64_t i = 0; i < f->keys; i++) {
    assert_ok(tables_find(&f->table, i, &value));
    assert_true(value == ~i);
  }
}

static void end(struct fixture *f)
{
  tables_close(&f->table);
  assert_true(counting_alloc_is_empty(&f->alloc));
}

/* How many entries are tried in 2^g groups; 0 after the last. */
static uint64_t next_fill(int g, uint64_t fill)
{
  uint64_t next = fill + 1 + slots(g) / 7;

  return next < slots(g) * 11 / 16 ? next : 0;
}

static void blocks_are_copied_to_blocks_of_all_sizes(void **state)
{
  (void)state;
  for (int from = 0; from <= GROUPS_LOG2; from++) {
    for (uint64_t fill = 1; fill != 0; fill = next_fill(from, fill)) {
      for (int to = cmap__block_log2_for(fill); to <= GROUPS_LOG2; to++) {
        struct fixture f;
        struct cmap__shard *shard;
        begin(&f, from, fill);
        shard = tables_lock(&f.table, 0);
        assert_ok(cmap__shard_resize(&f.table, &shard, to));
        tables_unlock(shard);
        check(&f);
        end(&f);
      }
    }
  }
}

static void blocks_of_all_sizes_are_halved(void **state)
{
  (void)state;
  for (int g = 0; g <= GROUPS_LOG2; g++) {
    for (uint64_t fill = 1; fill != 0; fill = next_fill(g, fill)) {
      struct fixture f;
      struct cmap__shard *shard;
      begin(&f, g, fill);
      for (unsigned depth = 1; depth < 4; depth++) {
        uint64_t hash = depth == 2 ? UINT64_MAX : 0;
        shard = tables_lock(&f.table, hash);
        assert_ok(cmap__shard_split(&f.table, &shard, hash,
                                    cmap__shard_depth(shard) + 1));
        tables_unlock(shard);
        check(&f);
      }
      end(&f);
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(blocks_are_copied_to_blocks_of_all_sizes),
      cmocka_unit_test(blocks_of_all_sizes_are_halved),
  };

  return cmocka_run_group_tests_name("plain_copy", tests, NULL, NULL);
}
