/*
 * move.h: entries are moved to blocks of every other size, whole and by halves.
 * After each step the whole table is checked.
 */
#include "table/move.h"
#include "table_room.h"
#include "tables.h"
#include "valid.h"

enum { GROUPS_LOG2 = 6 };

/* Slots with code of their own, and others: with and without a stored hash. */
static const unsigned kinds[] = {CMAP_U64, CMAP_STRING, CMAP_FIXED, CMAP_U32,
                                 CMAP_CUSTOM};

#define KINDS (sizeof kinds / sizeof *kinds)

struct fixture {
  struct counting_alloc alloc;
  struct tables_setting setting;
  struct cmap__table table;
  struct table_room room;
  uint64_t keys;
};

static size_t slots(int g)
{
  return (size_t)CMAP__GROUP_SLOTS << g;
}

/* A table of one shard, of that upper size, with a block of 2^g groups. */
static void begin_empty(struct fixture *f, unsigned kind, size_t upper, int g)
{
  struct cmap_options options;
  struct cmap__shard *shard;

  counting_alloc_begin(&f->alloc);
  f->setting = (struct tables_setting){kind, SPREAD_GOOD, &f->alloc};
  options = tables_options(&f->setting, upper);
  assert_ok(table_begin(&f->table, &f->room, &options));
  shard = tables_lock(&f->table, 0);
  assert_ok(cmap__shard_resize(&f->table, &shard, g));
  tables_unlock(shard);
}

static void begin(struct fixture *f, unsigned kind, int g, uint64_t keys)
{
  begin_empty(f, kind, (size_t)1 << GROUPS_LOG2, g);
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

static void copy_to_all_sizes(unsigned kind)
{
  for (int from = 0; from <= GROUPS_LOG2; from++) {
    for (uint64_t fill = 1; fill != 0; fill = next_fill(from, fill)) {
      for (int to = cmap__block_log2_for((size_t)fill); to <= GROUPS_LOG2;
           to++) {
        struct fixture f;
        struct cmap__shard *shard;
        begin(&f, kind, from, fill);
        shard = tables_lock(&f.table, 0);
        assert_ok(cmap__shard_resize(&f.table, &shard, to));
        tables_unlock(shard);
        check(&f);
        end(&f);
      }
    }
  }
}

static void blocks_are_copied_to_blocks_of_all_sizes(void **state)
{
  (void)state;
  for (size_t i = 0; i < KINDS; i++)
    copy_to_all_sizes(kinds[i]);
}

static void halve_all_sizes(unsigned kind)
{
  for (int g = 0; g <= GROUPS_LOG2; g++) {
    for (uint64_t fill = 1; fill != 0; fill = next_fill(g, fill)) {
      struct fixture f;
      struct cmap__shard *shard;
      begin(&f, kind, g, fill);
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

static void blocks_of_all_sizes_are_halved(void **state)
{
  (void)state;
  for (size_t i = 0; i < KINDS; i++)
    halve_all_sizes(kinds[i]);
}

/* More groups than are noted at once: entry by entry. */
static void large_blocks_are_halved(void **state)
{
  const int large = 10;
  struct cmap__shard *shard;
  struct fixture f;

  (void)state;
  begin_empty(&f, CMAP_U64, (size_t)1 << large, large);
  for (f.keys = 0; f.keys < 5000; f.keys++)
    assert_ok(tables_put(&f.table, f.keys, ~f.keys));
  shard = tables_lock(&f.table, 0);
  assert_ok(cmap__shard_resize(&f.table, &shard, large + 1));
  tables_unlock(shard);
  check(&f);
  shard = tables_lock(&f.table, 0);
  assert_ok(cmap__shard_resize(&f.table, &shard, large));
  assert_ok(cmap__shard_split(&f.table, &shard, 0, 1));
  tables_unlock(shard);
  check(&f);
  end(&f);
}

/* Halves that look even by the first groups, and are not. */
static void a_wrong_guess_finds_room(void **state)
{
  const size_t wanted = slots(GROUPS_LOG2) * 10 / 16;
  size_t sides[2] = {0, 0};
  struct cmap__halving halving = {.hash = 0, .outside = 0, .shift = 63};
  struct cmap__shard *shard;
  struct fixture f;

  (void)state;
  begin_empty(&f, CMAP_U64, (size_t)1 << GROUPS_LOG2, GROUPS_LOG2);
  shard = tables_lock(&f.table, 0);
  tables_unlock(shard);
  for (uint64_t i = 0; sides[0] + sides[1] < wanted; i++) {
    uint64_t hash = tables_hash(&f.table, i);
    size_t side = (size_t)(hash >> 63);
    if (side == 0 && cmap__block_home(shard->block, hash) > 1)
      continue;
    assert_ok(tables_put(&f.table, i, i));
    sides[side]++;
  }
  assert_true(sides[0] < wanted / 8);
  shard = tables_lock(&f.table, 0);
  assert_int_equal(cmap__block_log2(shard->block), GROUPS_LOG2);
  assert_true(cmap__move_looks_even(&f.table.layout, shard->block, &halving));
  assert_ok(cmap__shard_split(&f.table, &shard, 0, 1));
  assert_int_equal(cmap__shard_count(shard), sides[0]);
  tables_unlock(shard);
  assert_true(table_is_valid(&f.table));
  assert_int_equal(table_count(&f.table), wanted);
  end(&f);
}

/* A block above the upper size, three quarters of its entries on one side: that
 * side does not fit into a block of the upper size, to which a guess that the
 * halves are about even would have led. */
static void uneven_halves_find_room(void **state)
{
  const size_t wanted[2] = {12, 3};
  size_t sides[2] = {0, 0};
  struct cmap__shard *shard;
  struct fixture f;

  (void)state;
  begin_empty(&f, CMAP_U64, 1, 1);
  for (uint64_t i = 0; sides[0] + sides[1] < wanted[0] + wanted[1]; i++) {
    size_t side = (size_t)(tables_hash(&f.table, i) >> 63);
    if (sides[side] == wanted[side])
      continue;
    assert_ok(tables_put(&f.table, i, i));
    sides[side]++;
  }
  shard = tables_lock(&f.table, 0);
  assert_int_equal(cmap__block_log2(shard->block), 1);
  assert_ok(cmap__shard_split(&f.table, &shard, 0, 1));
  assert_int_equal(cmap__shard_count(shard), wanted[0]);
  tables_unlock(shard);
  assert_true(table_is_valid(&f.table));
  assert_int_equal(table_count(&f.table), wanted[0] + wanted[1]);
  end(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(blocks_are_copied_to_blocks_of_all_sizes),
      cmocka_unit_test(blocks_of_all_sizes_are_halved),
      cmocka_unit_test(large_blocks_are_halved),
      cmocka_unit_test(a_wrong_guess_finds_room),
      cmocka_unit_test(uneven_halves_find_room),
  };

  return cmocka_run_group_tests_name("move", tests, NULL, NULL);
}
