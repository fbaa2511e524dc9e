/*
 * A table with keys of a kind and hashes of a spread, which a test makes larger
 * and smaller: of the tests of replace.h.
 */
#ifndef REPLACE_FIXTURE_H
#define REPLACE_FIXTURE_H

#include "table_room.h"
#include "tables.h"
#include "valid.h"

struct fixture {
  struct counting_alloc alloc;
  struct tables_setting setting;
  struct cmap__table table;
  struct table_room room;
  uint64_t keys; /* 0 ... keys - 1 are in, with their number as value */
};

static inline void begin(struct fixture *f, unsigned kind, enum spread spread,
                         size_t groups)
{
  struct cmap_options options;

  counting_alloc_begin(&f->alloc);
  f->setting = (struct tables_setting){kind, spread, &f->alloc};
  options = tables_options(&f->setting, groups);
  assert_ok(table_begin(&f->table, &f->room, &options));
  f->keys = 0;
  checks_about(tables_setting_name(&f->setting));
}

static inline void end(struct fixture *f)
{
  tables_close(&f->table);
  assert_true(counting_alloc_is_empty(&f->alloc));
  checks_assert();
}

/* Every entry is there, no other is, and all invariants hold. */
static inline void check(const struct fixture *f)
{
  struct cmap__table *table = (struct cmap__table *)(uintptr_t)&f->table;
  uint64_t value;

  assert_true(table_is_valid(table));
  assert_int_equal(table_count(table), f->keys);
  for (uint64_t i = 0; i < f->keys; i++) {
    assert_ok(tables_find(table, i, &value));
    assert_int_equal(value, i);
  }
  for (uint64_t i = f->keys; i < f->keys + 20; i++)
    assert_status(tables_find(table, i, &value), CMAP_NOT_FOUND);
  if (checks_failed())
    checks_assert();
}

static inline void put_until(struct fixture *f, uint64_t keys)
{
  for (; f->keys < keys; f->keys++)
    assert_ok(tables_put(&f->table, f->keys, f->keys));
}

static inline void take_until(struct fixture *f, uint64_t keys)
{
  while (f->keys > keys)
    assert_ok(tables_take(&f->table, --f->keys));
}

#define FOR_ALL_SETTINGS(kind, spread)                                         \
  for (unsigned kind = CMAP_U32; kind <= CMAP_CUSTOM; kind++)                  \
    for (unsigned spread = 0; spread < SPREADS; spread++)

#endif
