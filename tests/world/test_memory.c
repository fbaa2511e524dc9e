/*
 * Blocks and boxes that live again, pages that are given back, shards that come
 * and go: beside readers without a lock, and beside walks.
 */
#include "play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

/* Of which a block takes more than a page; and a box's. */
enum { WORDS = 62, KEY = 3, OTHER = 4, TURNS = 2 };

static unsigned words;

static void write(uint64_t key, uint64_t n)
{
  uint64_t value[WORDS];

  for (unsigned i = 0; i < WORDS; i++)
    value[i] = n;
  WORLD_OK(cmap_insert(map, cmap_key_u64(&key), value, NULL, NULL, NULL));
}

static enum cmap_status make_four(struct cmap_key key, void *value, void *ctx)
{
  (void)key;
  (void)ctx;
  for (unsigned i = 0; i < words; i++)
    ((uint64_t *)value)[i] = 4;
  return CMAP_OK;
}

/* By the library's stores, or by the user's own, where the value is to lie. */
static void write_four(uint64_t key)
{
  if (world_choose(2) == 0)
    write(key, 4);
  else
    WORLD_OK(cmap_get_or_insert_with(map, cmap_key_u64(&key), NULL, NULL,
                                     make_four, NULL, NULL));
}

/* 0: it is absent. */
static uint64_t read(uint64_t key)
{
  uint64_t value[WORDS];
  enum cmap_status status = cmap_get(map, cmap_key_u64(&key), value, NULL);

  WORLD_CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
  if (status != CMAP_OK)
    return 0;
  for (unsigned i = 1; i < words; i++)
    WORLD_CHECK(value[i] == value[0]);
  return value[0];
}

static void begin_values(void)
{
  struct cmap_options options;

  words = world_choose(3) == 0 ? 1 : WORDS;
  options = play_options(8 * words);
  options.inline_value_size = world_choose(2) == 0 ? 1024 : 8;
  play_begin(&options, 0);
  write(LOW(KEY), 1);
  for (unsigned i = 20; i < 20 + 9; i++) {
    write(LOW(i), 1);
    write(HIGH(i), 1);
  }
}

/* All but two keys go; what they leave is given back; they come again. */
static void act_values(unsigned thread)
{
  uint64_t latest = 0;

  if (thread == 0) {
    for (unsigned i = 20; i < 20 + 9; i++) {
      (void)cmap_remove(map, CMAP_KEY_U64(LOW(i)), NULL, NULL);
      (void)cmap_remove(map, CMAP_KEY_U64(HIGH(i)), NULL, NULL);
    }
    if (world_choose(2) == 0)
      WORLD_OK(cmap_shrink_to_fit(map, NULL));
    write(LOW(KEY), 2);
    write(HIGH(OTHER), 3);
    if (world_choose(2) == 0)
      WORLD_OK(cmap_shrink_to_fit(map, NULL));
    for (unsigned i = 20; i < 20 + 6; i++) {
      write_four(LOW(i));
      write_four(HIGH(i));
    }
    return;
  }
  for (unsigned i = 0; i < TURNS; i++) {
    uint64_t value = read(LOW(KEY)), other = read(HIGH(OTHER));

    WORLD_CHECK(value == 1 || value == 2);
    WORLD_CHECK(value >= latest);
    WORLD_CHECK(other == 0 || other == 3);
    WORLD_CHECK(other == 0 || read(LOW(KEY)) == 2);
    latest = value;
  }
}

static void readers_bear_memory_that_lives_again(void **state)
{
  static const struct scenario scenario = {.name = "memory",
                                           .threads = 3,
                                           .begin = begin_values,
                                           .end = play_end,
                                           .act = act_values};

  (void)state;
  world_play(&scenario, world_runs());
}

/* -------------------------------------------------------------------------
 * Keys in boxes
 * ------------------------------------------------------------------------- */

static char long_keys[3][48];

static struct cmap_key long_key(unsigned i)
{
  return cmap_key_bytes(long_keys[i], sizeof long_keys[i]);
}

static void begin_boxes(void)
{
  struct cmap_options options;
  uint64_t value = 1;

  cmap_options_init(&options, CMAP_BYTES, sizeof value);
  options.shard_groups = 1;
  for (unsigned i = 0; i < 3; i++)
    memset(long_keys[i], 'a' + (int)i, sizeof long_keys[i]);
  play_begin(&options, 0);
  for (unsigned i = 0; i < 2; i++)
    WORLD_OK(cmap_insert(map, long_key(i), &value, NULL, NULL, NULL));
}

/* A box of one key becomes another's. */
static void act_boxes(unsigned thread)
{
  uint64_t value = 2;

  if (thread == 0) {
    WORLD_OK(cmap_remove(map, long_key(0), NULL, NULL));
    WORLD_OK(cmap_insert(map, long_key(2), &value, NULL, NULL, NULL));
    value = 3;
    WORLD_OK(cmap_insert(map, long_key(0), &value, NULL, NULL, NULL));
    return;
  }
  for (unsigned i = 0; i < TURNS; i++) {
    WORLD_OK(cmap_get(map, long_key(1), &value, NULL));
    WORLD_CHECK(value == 1);
    if (cmap_get(map, long_key(0), &value, NULL) == CMAP_OK)
      WORLD_CHECK(value == 1 || value == 3);
    if (cmap_get(map, long_key(2), &value, NULL) == CMAP_OK)
      WORLD_CHECK(value == 2);
  }
}

static void keys_in_boxes_are_not_mistaken(void **state)
{
  static const struct scenario scenario = {.name = "boxes",
                                           .threads = 3,
                                           .begin = begin_boxes,
                                           .end = play_end,
                                           .act = act_boxes};

  (void)state;
  world_play(&scenario, world_runs());
}

/* -------------------------------------------------------------------------
 * The first boxes
 * ------------------------------------------------------------------------- */

static void begin_heaps(void)
{
  struct cmap_options options = play_options(8 * 5);

  options.inline_value_size = 8;
  words = 5;
  play_begin(&options, 0);
}

/* Each thread takes boxes from a heap of its own, which it makes, and gives
 * others' back. */
static void act_heaps(unsigned thread)
{
  for (unsigned i = 0; i < TURNS; i++) {
    write(LOW(10 * thread + i), 7);
    if (world_choose(3) == 0)
      (void)cmap_remove(map, CMAP_KEY_U64(LOW(10 * !thread + i)), NULL, NULL);
    else if (world_choose(3) == 0)
      WORLD_OK(cmap_shrink_to_fit(map, NULL));
    else
      (void)read(LOW(10 * !thread + i));
  }
}

static void threads_have_heaps(void **state)
{
  static const struct scenario scenario = {.name = "heaps",
                                           .threads = 3,
                                           .begin = begin_heaps,
                                           .end = play_end,
                                           .act = act_heaps};

  (void)state;
  world_play(&scenario, world_runs());
}

/* -------------------------------------------------------------------------
 * Slots
 * ------------------------------------------------------------------------- */

/* Keys of one group and one tag, that differ in what is in the slot alone. */
static uint64_t alias(unsigned i)
{
  return LOW(KEY) | (uint64_t)i << 40;
}

static void begin_slots(void)
{
  struct cmap_options options = play_options(sizeof(uint64_t));

  play_begin(&options, 0);
  put(alias(0), 1);
}

/* A slot of one key becomes another's, and its tag stays. */
static void act_slots(unsigned thread)
{
  unsigned other = 1 + (unsigned)world_choose(3);

  if (thread == 0) {
    WORLD_OK(cmap_remove(map, CMAP_KEY_U64(alias(0)), NULL, NULL));
    for (unsigned i = 1; i < 4; i++)
      put(alias(i), 10 * i);
    WORLD_OK(cmap_remove(map, CMAP_KEY_U64(alias(other)), NULL, NULL));
    put(alias(0), 2);
    return;
  }
  for (unsigned i = 0; i < 2 * TURNS; i++) {
    unsigned n = (unsigned)world_choose(4);
    uint64_t value = get(alias(n));

    WORLD_CHECK(value == 0 || value == 10 * n ||
                (n == 0 && (value == 1 || value == 2)));
  }
}

static void keys_in_slots_are_not_mistaken(void **state)
{
  static const struct scenario scenario = {.name = "slots",
                                           .threads = 3,
                                           .begin = begin_slots,
                                           .end = play_end,
                                           .act = act_slots};

  (void)state;
  world_play(&scenario, world_runs());
}

/* -------------------------------------------------------------------------
 * The directory
 * ------------------------------------------------------------------------- */

enum { DEEP = 28, DEEP_STAYING = 9 };

/* Spread over all hashes. */
static uint64_t spread(unsigned i)
{
  return LOW(i) | (uint64_t)(i * 7 % 16) << 60;
}

static void begin_deep(void)
{
  struct cmap_options options = play_options(sizeof(uint64_t));

  play_begin(&options, 0);
  for (unsigned i = 0; i < DEEP_STAYING; i++)
    put(spread(i), 1);
}

/* The directory is deepened, and halved again. */
static void act_deep(unsigned thread)
{
  if (thread == 0) {
    for (unsigned i = DEEP_STAYING; i < DEEP; i++)
      put(spread(i), 1);
    if (world_choose(2) == 0)
      return;
    for (unsigned i = DEEP_STAYING; i < DEEP; i++)
      WORLD_OK(cmap_remove(map, CMAP_KEY_U64(spread(i)), NULL, NULL));
    WORLD_OK(cmap_shrink_to_fit(map, NULL));
    return;
  }
  for (unsigned i = 0; i < 2 * TURNS; i++) {
    uint64_t key = spread((unsigned)world_choose(DEEP_STAYING));

    if (world_choose(3) == 0)
      WORLD_OK(cmap_fetch_add(map, CMAP_KEY_U64(key), 0, NULL, NULL));
    WORLD_CHECK(get(key) == 1);
  }
}

static void keys_are_found_in_any_directory(void **state)
{
  static const struct scenario scenario = {.name = "directory",
                                           .threads = 3,
                                           .begin = begin_deep,
                                           .end = play_end,
                                           .act = act_deep};

  (void)state;
  world_play(&scenario, world_runs());
}

/* -------------------------------------------------------------------------
 * Walks
 * ------------------------------------------------------------------------- */

enum { STAYING = 6, CAPACITY = 8 };

static bool grows;

static void begin_walks(void)
{
  struct cmap_options options = play_options(sizeof(uint64_t));

  play_begin(&options, 0);
  for (unsigned i = 0; i < STAYING; i++)
    put(i % 2 == 0 ? LOW(i) : HIGH(i), 1);
  grows = world_choose(2) == 0;
  for (unsigned i = 20; i < 27 && !grows; i++)
    put(i % 2 == 0 ? LOW(i) : HIGH(i), 1);
}

static void meet(uint64_t key, unsigned *met)
{
  uint64_t number = (key & ~(UINT64_C(1) << 63)) - 1;

  if (number < STAYING)
    met[number]++;
}

static enum cmap_status meet_one(struct cmap_key key, const void *value,
                                 void *ctx)
{
  WORLD_CHECK(*(const uint64_t *)value == 1);
  meet(cmap_key_as_u64(key), ctx);
  return CMAP_OK;
}

static void walk_by_scan(unsigned *met)
{
  uint64_t keys[CAPACITY], values[CAPACITY], cursor = 0;
  struct cmap_scan_buffer buffer = {.size = sizeof buffer,
                                    .capacity = CAPACITY};
  enum cmap_status status;

  buffer.keys = keys;
  buffer.values = values;
  /* Ends: the cursor moves on. */
  while ((status = cmap_scan(map, &cursor, 0, &buffer, NULL)) == CMAP_OK) {
    for (size_t i = 0; i < buffer.count; i++)
      meet(keys[i], met);
  }
  WORLD_CHECK(status == CMAP_NOT_FOUND);
}

static void act_walks(unsigned thread)
{
  unsigned met[STAYING] = {0};
  struct cmap_iter iter = CMAP_INIT;

  if (thread == 0) {
    for (unsigned i = 20; i < 27; i++) {
      if (grows)
        put(i % 2 == 0 ? LOW(i) : HIGH(i), 1);
      else
        WORLD_OK(cmap_remove(map, CMAP_KEY_U64(i % 2 == 0 ? LOW(i) : HIGH(i)),
                             NULL, NULL));
    }
    if (!grows)
      WORLD_OK(cmap_shrink_to_fit(map, NULL));
    return;
  }
  switch (world_choose(3)) {
  case 0:
    walk_by_scan(met);
    break;
  case 1:
    WORLD_OK(cmap_for_each(map, 0, 1, meet_one, met, NULL));
    break;
  default:
    WORLD_OK(cmap_iter_begin(map, CMAP_READ, 0, 1, &iter));
    while (cmap_iter_next(&iter, NULL) == CMAP_OK)
      (void)meet_one(iter.key, iter.value, met);
    WORLD_OK(cmap_iter_release(&iter));
  }
  for (unsigned i = 0; i < STAYING; i++)
    WORLD_CHECK(met[i] == 1);
}

static void walks_meet_what_stays_once(void **state)
{
  static const struct scenario scenario = {.name = "walks",
                                           .threads = 2,
                                           .begin = begin_walks,
                                           .end = play_end,
                                           .act = act_walks};

  (void)state;
  world_play(&scenario, world_runs());
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(readers_bear_memory_that_lives_again),
      cmocka_unit_test(keys_in_boxes_are_not_mistaken),
      cmocka_unit_test(threads_have_heaps),
      cmocka_unit_test(keys_in_slots_are_not_mistaken),
      cmocka_unit_test(keys_are_found_in_any_directory),
      cmocka_unit_test(walks_meet_what_stays_once),
  };

  return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
