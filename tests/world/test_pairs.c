/*
 * Calls on two keys are one moment for those who read them one by one: rename,
 * swap_values, lock_many; is_empty and len_exact beside them. And freeze and
 * thaw; batches.
 */
#include "play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { TURNS = 2, BATCH = 6 };

static uint64_t a, b; /* the keys, in one shard or in two */

static void begin_keys(unsigned fillers)
{
  struct cmap_options options = play_options(sizeof(uint64_t));

  play_begin(&options, fillers);
  a = LOW(1);
  b = world_choose(2) == 0 ? LOW(2) : HIGH(2);
}

/* -------------------------------------------------------------------------
 * Rename
 * ------------------------------------------------------------------------- */

static void begin_rename(void)
{
  begin_keys(world_choose(2) == 0 ? 0 : 7);
  put(a, 1);
}

/* The entry is at a first, and at b when it was renamed; then back again. */
static void act_rename(unsigned thread)
{
  size_t len = 0;

  if (thread == 0) {
    WORLD_OK(cmap_rename(map, cmap_key_u64(&a), cmap_key_u64(&b), NULL));
    return;
  }
  for (unsigned i = 0; i < TURNS; i++) {
    switch (world_choose(thread == 1 ? 2 : 3)) {
    case 0:
      if (get(b) == 1)
        WORLD_CHECK(get(a) == 0);
      break;
    case 1:
      if (get(a) == 0)
        WORLD_CHECK(get(b) == 1);
      break;
    default:
      WORLD_CHECK(!cmap_is_empty(map));
      WORLD_OK(cmap_len_exact(map, &len, NULL));
      WORLD_CHECK(len % 14 == 1);
    }
  }
}

static void a_renamed_entry_is_at_one_place(void **state)
{
  static const struct scenario scenario = {.name = "rename",
                                           .threads = 3,
                                           .begin = begin_rename,
                                           .end = play_end,
                                           .act = act_rename};

  (void)state;
  world_play(&scenario, world_runs());
}

/* -------------------------------------------------------------------------
 * Both values
 * ------------------------------------------------------------------------- */

static bool swaps;

static void begin_both(void)
{
  begin_keys(world_choose(2) == 0 ? 0 : 7);
  swaps = world_choose(2) == 0;
  put(a, 1);
  put(b, 2);
}

static void change_both(void)
{
  struct cmap_want wants[2] = {{map, cmap_key_u64(&a), CMAP_WRITE, CMAP_OK},
                               {map, cmap_key_u64(&b), CMAP_WRITE, CMAP_OK}};
  struct cmap_multi held = CMAP_INIT;

  if (swaps) {
    WORLD_OK(cmap_swap_values(map, cmap_key_u64(&a), cmap_key_u64(&b), NULL));
    return;
  }
  WORLD_OK(cmap_lock_many(wants, 2, &held, NULL));
  *(uint64_t *)cmap_multi_value(&held, 0) = 2;
  *(uint64_t *)cmap_multi_value(&held, 1) = 1;
  WORLD_OK(cmap_multi_release(&held));
}

static void read_both(uint64_t *values)
{
  struct cmap_want wants[2] = {{map, cmap_key_u64(&a), CMAP_READ, CMAP_OK},
                               {map, cmap_key_u64(&b), CMAP_READ, CMAP_OK}};
  struct cmap_multi held = CMAP_INIT;

  WORLD_OK(cmap_lock_many(wants, 2, &held, NULL));
  values[0] = *(const uint64_t *)cmap_multi_value(&held, 0);
  values[1] = *(const uint64_t *)cmap_multi_value(&held, 1);
  WORLD_OK(cmap_multi_release(&held));
}

/* They are 1 and 2 first, and 2 and 1 then. */
static void act_both(unsigned thread)
{
  uint64_t values[2];

  if (thread == 0) {
    change_both();
    return;
  }
  for (unsigned i = 0; i < TURNS; i++) {
    switch (world_choose(3)) {
    case 0:
      if (get(a) == 2)
        WORLD_CHECK(get(b) == 1);
      break;
    case 1:
      if (get(b) == 1)
        WORLD_CHECK(get(a) == 2);
      break;
    default:
      read_both(values);
      WORLD_CHECK(values[0] + values[1] == 3);
    }
  }
}

static void two_values_change_at_once(void **state)
{
  static const struct scenario scenario = {.name = "two values",
                                           .threads = 3,
                                           .begin = begin_both,
                                           .end = play_end,
                                           .act = act_both};

  (void)state;
  world_play(&scenario, world_runs());
}

/* -------------------------------------------------------------------------
 * Freeze
 * ------------------------------------------------------------------------- */

static uint64_t plain; /* of who has frozen the map, and who reads it then */

static unsigned freezers; /* threads that freeze it, one after the other */

static void begin_freeze(void)
{
  begin_both();
  freezers = 1 + (unsigned)world_choose(2);
  plain = 0;
}

static void act_freeze(unsigned thread)
{
  struct cmap_read_guard guard = CMAP_INIT;
  enum cmap_status status;
  uint64_t value = 5;

  if (thread < 2 && (freezers == 2 || thread == 0)) {
    status = cmap_freeze(map, NULL);
    if (freezers == 2 && (status == CMAP_FROZEN || status == CMAP_BUSY))
      return; /* the other one does */
    WORLD_OK(status);
    value = get(a);
    WORLD_CHECK(get(a) == value);
    WORLD_OK(cmap_get_ref(map, cmap_key_u64(&a), &guard, NULL));
    WORLD_CHECK(*(const uint64_t *)guard.value == value);
    WORLD_OK(cmap_read_guard_release(&guard));
    WORLD_OK(cmap_thaw(map));
  } else if (thread == 1) {
    status = cmap_insert(map, cmap_key_u64(&a), &value, NULL, NULL, NULL);
    WORLD_CHECK(status == CMAP_OK || status == CMAP_FROZEN);
    status = cmap_fetch_add(map, cmap_key_u64(&b), 1, NULL, NULL);
    WORLD_CHECK(status == CMAP_OK || status == CMAP_FROZEN);
  } else {
    WORLD_OK(cmap_get_ref(map, cmap_key_u64(&a), &guard, NULL));
    value = *(const uint64_t *)guard.value;
    WORLD_CHECK(value == 1 || value == 5);
    WORLD_CHECK(get(a) == value);
    WORLD_CHECK(*(const uint64_t *)guard.value == value);
    WORLD_OK(cmap_read_guard_release(&guard));
  }
}

static void a_frozen_map_does_not_change(void **state)
{
  static const struct scenario scenario = {.name = "freeze",
                                           .threads = 3,
                                           .begin = begin_freeze,
                                           .end = play_end,
                                           .act = act_freeze};

  (void)state;
  world_play(&scenario, world_runs());
}

/* A frozen map is thawed, and written to at once: read guards of the time
 * before are waited for, as what they show is plain. One may never end. */
static void begin_thaw(void)
{
  begin_both();
  WORLD_OK(cmap_freeze(map, NULL));
}

static void act_thaw(unsigned thread)
{
  struct cmap_read_guard guard = CMAP_INIT;
  enum cmap_status status;
  uint64_t value;

  if (thread == 0) {
    status = cmap_thaw(map);
    WORLD_CHECK(status == CMAP_OK || status == CMAP_EABANDONED);
    value = 5;
    if (status == CMAP_OK)
      status = cmap_insert(map, cmap_key_u64(&a), &value, NULL, NULL, NULL);
    WORLD_CHECK(status == CMAP_OK || status == CMAP_EABANDONED);
    return;
  }
  WORLD_OK(cmap_get_ref(map, cmap_key_u64(&a), &guard, NULL));
  value = *(const uint64_t *)guard.value;
  WORLD_CHECK(value == 1 || value == 5);
  WORLD_CHECK(*(const uint64_t *)guard.value == value);
  if (thread == 1 || world_choose(8) != 0)
    WORLD_OK(cmap_read_guard_release(&guard));
}

static void end_thaw(void)
{
  cmap_destroy(map);
}

static void a_thaw_waits_for_guards(void **state)
{
  static const struct scenario scenario = {.name = "thaw",
                                           .threads = 3,
                                           .begin = begin_thaw,
                                           .end = end_thaw,
                                           .act = act_thaw};

  (void)state;
  world_play(&scenario, world_runs());
}

/* -------------------------------------------------------------------------
 * Batches
 * ------------------------------------------------------------------------- */

static void begin_batch(void)
{
  begin_keys(world_choose(2) == 0 ? 0 : 7);
  for (unsigned i = 0; i < BATCH; i++)
    put(i % 2 == 0 ? LOW(i) : HIGH(i), 1);
}

/* All keys stay; their values grow; others come and make shards split. */
static void act_batch(unsigned thread)
{
  uint64_t numbers[BATCH], values[BATCH], latest[BATCH] = {0};
  enum cmap_status statuses[BATCH];
  struct cmap_key keys[BATCH];

  for (unsigned i = 0; i < BATCH; i++) {
    numbers[i] = i % 2 == 0 ? LOW(i) : HIGH(i);
    keys[i] = cmap_key_u64(&numbers[i]);
    values[i] = 3;
  }
  if (thread == 0 && world_choose(2) == 0) {
    WORLD_OK(cmap_fetch_add_many(map, keys, NULL, BATCH, NULL, NULL, statuses,
                                 NULL));
    WORLD_OK(cmap_insert_many(map, keys, NULL, BATCH, values, statuses, NULL));
    return;
  }
  if (thread == 0) {
    for (unsigned i = 30; i < 34; i++)
      put(LOW(i), 9);
    return;
  }
  for (unsigned turn = 0; turn < TURNS; turn++) {
    WORLD_OK(cmap_get_many(map, keys, NULL, BATCH, values, statuses, NULL));
    for (unsigned i = 0; i < BATCH; i++) {
      WORLD_CHECK(values[i] >= 1 && values[i] <= 3);
      WORLD_CHECK(values[i] >= latest[i]);
      latest[i] = values[i];
    }
  }
}

static void batches_find_what_is_there(void **state)
{
  static const struct scenario scenario = {.name = "batches",
                                           .threads = 2,
                                           .begin = begin_batch,
                                           .end = play_end,
                                           .act = act_batch};

  (void)state;
  world_play(&scenario, world_runs());
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_renamed_entry_is_at_one_place),
      cmocka_unit_test(two_values_change_at_once),
      cmocka_unit_test(a_frozen_map_does_not_change),
      cmocka_unit_test(a_thaw_waits_for_guards),
      cmocka_unit_test(batches_find_what_is_there),
  };

  return cmocka_run_group_tests_name("pairs", tests, NULL, NULL);
}
