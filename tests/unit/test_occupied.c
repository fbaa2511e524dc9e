/*
 * occupied.h: the next set bit of rows of bits, against a plain array.
 */
#include <string.h>

#include "checks.h"
#include "random.h"
#include "settings.h"
#include "table/occupied.h"

enum { MOST_LOG2 = 13, MOST = 1 << MOST_LOG2, CHANGES = 2000 };

struct rows {
  _Atomic size_t words[MOST / 16]; /* more than all rows have */
  bool bits[MOST];                 /* the lowest row's */
  size_t entries;
};

static void begin(struct rows *rows, size_t entries)
{
  memset(rows, 0, sizeof *rows);
  rows->entries = entries;
  assert_in_range(cmap__occupied_words(entries), 1,
                  sizeof rows->words / sizeof *rows->words);
}

static void set(struct rows *rows, size_t at, size_t n, bool occupied)
{
  cmap__occupied_set(rows->words, rows->entries, at, n, occupied);
  memset(rows->bits + at, occupied, n);
}

static size_t next(const struct rows *rows, size_t at)
{
  return cmap__occupied_next(rows->words, rows->entries, at);
}

static void assert_all(const struct rows *rows)
{
  size_t expected = rows->entries;

  for (size_t at = rows->entries; at-- > 0;) {
    if (rows->bits[at])
      expected = at;
    assert_int_equal(next(rows, at), expected);
  }
  assert_int_equal(next(rows, rows->entries), rows->entries);
}

static void as_a_plain_array_does(void **state)
{
  static struct rows rows;
  struct random random;

  (void)state;
  random_begin(&random, 1);
  for (unsigned log2 = 1; log2 <= MOST_LOG2; log2++) {
    begin(&rows, (size_t)1 << log2);
    assert_all(&rows);
    for (unsigned i = 0; i < test_scale(CHANGES); i++) {
      unsigned size = (unsigned)random_below(&random, log2 + 1);
      uint64_t at = random_below(&random, rows.entries >> size) << size;
      set(&rows, (size_t)at, (size_t)1 << size,
          random_once_in(&random, 1 + log2 - size));
      at = random_below(&random, rows.entries);
      size = 0;
      while (at + size < rows.entries && !rows.bits[at + size])
        size++;
      assert_int_equal(next(&rows, (size_t)at), at + size);
    }
    assert_all(&rows);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(as_a_plain_array_does),
  };

  return cmocka_run_group_tests_name("occupied", tests, NULL, NULL);
}
