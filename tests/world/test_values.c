/*
 * One entry's value, written by one thread in any of the ways there are, and
 * read by two in any of theirs: it is whole, was written, and is never older
 * than what the same thread has read before. In a word, in a slot, in a box.
 *
 * And a value that is to be inserted if the key is absent: it is inserted as it
 * was given, whatever the call has seen before of a value that was there.
 */
#include "play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WORDS_MAX = 9, WRITES = 3, READS = 3, KEY = 3 };

struct value {
  uint64_t words[WORDS_MAX];
};

static unsigned words;
static uint64_t written; /* of the writer's books; hidden */

static struct cmap_key key(void)
{
  static const uint64_t number = LOW(KEY);

  return cmap_key_u64(&number);
}

static struct value value_of(uint64_t n)
{
  struct value value;

  for (unsigned i = 0; i < WORDS_MAX; i++)
    value.words[i] = n;
  return value;
}

static void begin(void)
{
  static const unsigned sizes[] = {1, 1, 2, 5, WORDS_MAX};
  struct cmap_options options;
  struct value value = value_of(1);

  words = sizes[world_choose(sizeof sizes / sizeof *sizes)];
  options = play_options(8 * words);
  if (world_choose(3) == 0)
    options.inline_value_size = 8;
  play_begin(&options, 0);
  WORLD_OK(cmap_insert(map, key(), &value, NULL, NULL, NULL));
  written = 1;
  world_hide(&written, sizeof written);
}

/* -------------------------------------------------------------------------
 * Writing
 * ------------------------------------------------------------------------- */

static enum cmap_status next_value(struct cmap_key at, void *value, void *ctx)
{
  uint64_t *to = value;

  (void)at;
  (void)ctx;
  for (unsigned i = 0; i < words; i++)
    to[i]++;
  return CMAP_OK;
}

static bool always(struct cmap_key at, void *value, void *ctx)
{
  (void)at;
  (void)value;
  (void)ctx;
  return true;
}

static void write_guarded(bool scans)
{
  struct cmap_write_guard guard = CMAP_INIT;
  struct cmap_iter iter = CMAP_INIT;

  if (scans) {
    WORLD_OK(cmap_iter_begin(map, CMAP_WRITE, 0, 1, &iter));
    WORLD_OK(cmap_iter_next(&iter, NULL));
    (void)next_value(iter.key, iter.value, NULL);
    WORLD_OK(cmap_iter_release(&iter));
  } else {
    WORLD_OK(cmap_get_mut(map, key(), &guard, NULL));
    (void)next_value(guard.key, guard.value, NULL);
    WORLD_OK(cmap_write_guard_release(&guard));
  }
}

static enum cmap_status to_put(struct cmap_key at, const void *old, void *fresh,
                               void *ctx)
{
  (void)at;
  (void)ctx;
  for (unsigned i = 0; i < words; i++)
    ((uint64_t *)fresh)[i] = ((const uint64_t *)old)[i] + 1;
  return CMAP_OK;
}

static void write_once(void)
{
  struct value before = value_of(written), value = value_of(written + 1);

  written++;
  switch (world_choose(words == 1 ? 11 : 10)) {
  case 0:
    WORLD_OK(cmap_insert(map, key(), &value, NULL, NULL, NULL));
    break;
  case 1:
    WORLD_OK(cmap_alter(map, key(), next_value, NULL, NULL));
    break;
  case 2:
    WORLD_OK(cmap_compare_exchange(map, key(), &before, &value, NULL));
    break;
  case 3:
    WORLD_OK(cmap_swap(map, key(), &value, NULL, NULL));
    WORLD_CHECK(value.words[0] == written - 1);
    break;
  case 4:
    WORLD_OK(cmap_replace_if(map, key(), always, NULL, &value, &before, NULL));
    break;
  case 5:
    write_guarded(false);
    break;
  case 6:
    write_guarded(true);
    break;
  case 7:
    WORLD_OK(cmap_alter_all(map, next_value, NULL, NULL));
    break;
  case 8:
    WORLD_OK(cmap_add_or_update(map, key(), NULL, NULL, next_value, to_put,
                                NULL, NULL));
    break;
  case 9:
    WORLD_OK(cmap_add_or_update_unlocked(map, key(), NULL, NULL, next_value,
                                         to_put, NULL, NULL, NULL));
    break;
  default:
    WORLD_OK(cmap_fetch_add(map, key(), 1, NULL, NULL));
  }
}

/* -------------------------------------------------------------------------
 * Reading
 * ------------------------------------------------------------------------- */

static enum cmap_status copy(struct cmap_key at, const void *value, void *ctx)
{
  struct value *to = ctx;

  (void)at;
  for (unsigned i = 0; i < words; i++)
    to->words[i] = ((const uint64_t *)value)[i];
  return CMAP_OK;
}

static void read_scan(struct value *value)
{
  struct cmap_scan_buffer buffer = {.size = sizeof buffer, .capacity = 1};
  uint64_t cursor = 0;

  buffer.values = value;
  WORLD_OK(cmap_scan(map, &cursor, 0, &buffer, NULL));
  WORLD_CHECK(buffer.count == 1);
}

static void read_once(struct value *value)
{
  struct cmap_read_guard guard = CMAP_INIT;
  enum cmap_event event;

  switch (world_choose(7)) {
  case 0:
    WORLD_OK(cmap_view(map, key(), copy, value, NULL));
    break;
  case 1:
    WORLD_OK(cmap_get_ref(map, key(), &guard, NULL));
    (void)copy(guard.key, guard.value, value);
    WORLD_OK(cmap_read_guard_release(&guard));
    break;
  case 2:
    WORLD_CHECK(cmap_insert_new(map, key(), value, value, NULL) == CMAP_EXISTS);
    break;
  case 3:
    WORLD_OK(cmap_get_or_insert(map, key(), value, &event, NULL));
    WORLD_CHECK(event == CMAP_FOUND);
    break;
  case 4:
    read_scan(value);
    break;
  default:
    WORLD_OK(cmap_get(map, key(), value, NULL));
  }
}

static void act(unsigned thread)
{
  uint64_t latest = 1;

  if (thread == 0) {
    for (unsigned i = 0; i < WRITES; i++)
      write_once();
    return;
  }
  for (unsigned i = 0; i < READS; i++) {
    struct value value = value_of(0);

    read_once(&value);
    for (unsigned j = 1; j < words; j++)
      WORLD_CHECK(value.words[j] == value.words[0]);
    WORLD_CHECK(value.words[0] >= latest);
    latest = value.words[0];
    WORLD_CHECK(latest <= written);
  }
}

/* -------------------------------------------------------------------------
 * Inserting one's own
 * ------------------------------------------------------------------------- */

enum { MINE = 100 };

static bool is_whole(const struct value *value)
{
  for (unsigned i = 1; i < words; i++)
    if (value->words[i] != value->words[0])
      return false;
  return true;
}

static void come_and_go(void)
{
  for (uint64_t n = 2; n < 2 + WRITES; n++) {
    struct value theirs = value_of(n);

    if (world_choose(2) == 0)
      WORLD_OK(cmap_insert(map, key(), &theirs, NULL, NULL, NULL));
    else
      cmap_ignore(cmap_remove(map, key(), NULL, NULL));
  }
}

static void insert_mine(void)
{
  struct value mine = value_of(MINE), there = mine;
  enum cmap_event event = CMAP_FOUND;

  if (world_choose(2) == 0)
    WORLD_OK(cmap_get_or_insert(map, key(), &there, &event, NULL));
  else if (cmap_insert_new(map, key(), &mine, &there, NULL) == CMAP_OK)
    event = CMAP_INSERTED;
  WORLD_CHECK(is_whole(&there) &&
              (there.words[0] == MINE) == (event == CMAP_INSERTED));
  if (cmap_remove(map, key(), &there, NULL) == CMAP_OK)
    WORLD_CHECK(is_whole(&there));
}

static void act_own(unsigned thread)
{
  if (thread == 0) {
    come_and_go();
    return;
  }
  for (unsigned i = 0; i < READS; i++)
    insert_mine();
}

static void own_values_go_in(void **state)
{
  static const struct scenario scenario = {.name = "own values",
                                           .threads = 2,
                                           .begin = begin,
                                           .end = play_end,
                                           .act = act_own};

  (void)state;
  world_play(&scenario, world_runs());
}

static void values_are_whole(void **state)
{
  static const struct scenario scenario = {.name = "values",
                                           .threads = 3,
                                           .begin = begin,
                                           .end = play_end,
                                           .act = act};

  (void)state;
  world_play(&scenario, world_runs());
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_are_whole),
      cmocka_unit_test(own_values_go_in),
  };

  return cmocka_run_group_tests_name("values", tests, NULL, NULL);
}
