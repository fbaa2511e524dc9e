/*
 * Guarantees A.2 and A.3 of cmap.h.
 *
 * A.2: what a thread did before a write happens before what another does after
 * a call that saw the write, whatever the call told of it: a value, a status,
 * a mere number. What it did is a plain store, so that a look without that
 * order is a data race.
 *
 * A.3: of two threads that write, and then read what the other one writes, at
 * least one sees it.
 */
#include "play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

enum { KEY = 3, LOOKS = 3, CURSOR_BUFFER = 40 };

static long data; /* plain */
static bool in_upper;

static struct cmap_key key(void)
{
  static const uint64_t numbers[2] = {LOW(KEY), HIGH(KEY)};

  return cmap_key_u64(&numbers[in_upper]);
}

/* -------------------------------------------------------------------------
 * Writes: of an absent key, and of a present one
 * ------------------------------------------------------------------------- */

static void write_insert(void)
{
  uint64_t value = 7;

  WORLD_OK(cmap_insert(map, key(), &value, NULL, NULL, NULL));
}

static void write_new(void)
{
  uint64_t value = 7;

  WORLD_OK(cmap_insert_new(map, key(), &value, NULL, NULL));
}

static void write_entry(void)
{
  struct cmap_entry entry = CMAP_INIT;
  uint64_t value = 7;

  WORLD_OK(cmap_entry_begin(map, key(), &entry, NULL));
  WORLD_OK(cmap_entry_or_insert(&entry, &value));
  WORLD_OK(cmap_entry_release(&entry));
}

static void write_fetch(void)
{
  WORLD_OK(cmap_fetch_add(map, key(), 7, NULL, NULL));
}

static void write_swap(void)
{
  uint64_t value = 7;

  WORLD_OK(cmap_swap(map, key(), &value, NULL, NULL));
}

/* Makes shards split. */
static void write_many(void)
{
  for (unsigned i = 20; i < 26; i++)
    put(LOW(i), 7);
  write_insert();
}

/* Of a slot's key, in whose place a key of the same tag comes. */
static uint64_t alias(void)
{
  return cmap_key_as_u64(key()) | UINT64_C(1) << 40;
}

static void write_over_alias(void)
{
  WORLD_OK(cmap_remove(map, CMAP_KEY_U64(alias()), NULL, NULL));
  write_insert();
}

static void write_remove(void)
{
  WORLD_OK(cmap_remove(map, key(), NULL, NULL));
}

static void write_entry_remove(void)
{
  struct cmap_entry entry = CMAP_INIT;

  WORLD_OK(cmap_entry_begin(map, key(), &entry, NULL));
  WORLD_OK(cmap_entry_remove(&entry, NULL));
  WORLD_OK(cmap_entry_release(&entry));
}

static void write_clear(void)
{
  WORLD_OK(cmap_clear(map, NULL));
}

/* Makes shards smaller, and two of them one. */
static void write_shrink(void)
{
  for (unsigned i = 50; i < 57; i++) {
    (void)cmap_remove(map, CMAP_KEY_U64(LOW(i)), NULL, NULL);
    (void)cmap_remove(map, CMAP_KEY_U64(HIGH(i)), NULL, NULL);
  }
  write_remove();
  WORLD_OK(cmap_shrink_to_fit(map, NULL));
}

typedef void write_fn(void);

static write_fn *const inserts[] = {write_insert, write_new,  write_entry,
                                    write_fetch,  write_many, write_over_alias,
                                    write_swap};
static write_fn *const removals[] = {write_remove, write_entry_remove,
                                     write_clear, write_shrink};

/* -------------------------------------------------------------------------
 * Looks: a number that changes with the write
 * ------------------------------------------------------------------------- */

static uint64_t look_is_empty(void)
{
  return cmap_is_empty(map);
}

static uint64_t look_len(void)
{
  return cmap_len(map);
}

static uint64_t look_len_exact(void)
{
  size_t len = 0;

  WORLD_OK(cmap_len_exact(map, &len, NULL));
  return len;
}

static uint64_t look_get(void)
{
  uint64_t value;

  return cmap_get(map, key(), &value, NULL) == CMAP_OK;
}

static uint64_t look_contains(void)
{
  return cmap_contains(map, key(), NULL) == CMAP_OK;
}

static uint64_t look_guard(void)
{
  struct cmap_read_guard guard = CMAP_INIT;
  enum cmap_status status = cmap_get_ref(map, key(), &guard, NULL);

  WORLD_OK(cmap_read_guard_release(&guard));
  return status == CMAP_OK;
}

static enum cmap_status count_one(struct cmap_key at, const void *value,
                                  void *ctx)
{
  (void)at;
  (void)value;
  ++*(uint64_t *)ctx;
  return CMAP_OK;
}

static uint64_t look_scan(void)
{
  struct cmap_scan_buffer buffer = {.size = sizeof buffer,
                                    .capacity = CURSOR_BUFFER};
  uint64_t values[CURSOR_BUFFER], cursor = 0;

  buffer.values = values;
  return cmap_scan(map, &cursor, 0, &buffer, NULL) == CMAP_OK ? buffer.count
                                                              : 0;
}

static uint64_t look_for_each(void)
{
  uint64_t count = 0;

  WORLD_OK(cmap_for_each(map, 0, 1, count_one, &count, NULL));
  return count;
}

static uint64_t look_view_all(void)
{
  uint64_t count = 0;

  WORLD_OK(cmap_view_all(map, count_one, &count, NULL));
  return count;
}

static uint64_t look_iter(void)
{
  struct cmap_iter iter = CMAP_INIT;
  uint64_t count = 0;

  WORLD_OK(cmap_iter_begin(map, CMAP_READ, 0, 1, &iter));
  while (cmap_iter_next(&iter, NULL) == CMAP_OK)
    count++;
  WORLD_OK(cmap_iter_release(&iter));
  return count;
}

static uint64_t look_snapshot(void)
{
  struct cmap_snapshot *snapshot = NULL;
  uint64_t count;

  WORLD_OK(cmap_snapshot_create(map, CMAP_KEYS_ONLY, &snapshot, NULL));
  count = cmap_snapshot_count(snapshot);
  cmap_snapshot_destroy(snapshot);
  return count;
}

static uint64_t look_capacity(void)
{
  return cmap_capacity(map);
}

static uint64_t look_shard_count(void)
{
  return cmap_shard_count(map);
}

static uint64_t look_stats(void)
{
  struct cmap_stats stats = {.size = sizeof stats};

  WORLD_OK(cmap_get_stats(map, &stats));
  return stats.entries;
}

/* Numbers of what happened: each by itself, as any one of them can tell. */
static unsigned happened;

static uint64_t look_happened(void)
{
  struct cmap_stats stats = {.size = sizeof stats};

  WORLD_OK(cmap_get_stats(map, &stats));
  return ((const uint64_t[]){stats.growths, stats.splits, stats.merges,
                             stats.rebuilds})[happened];
}

static enum cmap_status keep(struct cmap_key at, void *value, void *ctx)
{
  (void)at;
  (void)value;
  (void)ctx;
  return CMAP_OK;
}

/* A write where the key is there, and no lock where it is not. */
static uint64_t look_alter(void)
{
  return cmap_alter(map, key(), keep, NULL, NULL) == CMAP_OK;
}

typedef uint64_t look_fn(void);

static look_fn *const looks[] = {
    look_is_empty, look_len,      look_len_exact, look_get,
    look_contains, look_guard,    look_scan,      look_for_each,
    look_view_all, look_iter,     look_snapshot,  look_capacity,
    look_alter,    look_stats,    look_happened,  look_shard_count,
    look_len,      look_is_empty, look_get};

/* Where the write and the look are next to each other: at one group, and at
 * what happens to a shard. */
static look_fn *const near_looks[] = {look_get, look_contains, look_alter,
                                      look_guard};
static look_fn *const shard_looks[] = {look_happened, look_capacity,
                                       look_shard_count};

#define ANY_OF(list) ((list)[world_choose(sizeof(list) / sizeof *(list))])

/* -------------------------------------------------------------------------
 * A.2
 * ------------------------------------------------------------------------- */

static struct {
  write_fn *write;
  look_fn *look;
  uint64_t before;
} now;

static void begin_seen(void)
{
  static const unsigned fillers[] = {0, 0, 2, 7};
  struct cmap_options options = play_options(sizeof(uint64_t));
  bool inserts_it = world_choose(2) == 0;

  if (world_choose(4) == 0)
    options.shard_groups = 4; /* shards grow before they split */
  in_upper = world_choose(2) == 0;
  play_begin(&options, fillers[world_choose(4)]);
  happened = (unsigned)world_choose(4);
  now.look = ANY_OF(looks);
  now.write = inserts_it ? ANY_OF(inserts) : ANY_OF(removals);
  switch (world_choose(3)) {
  case 0:
    now.look = ANY_OF(near_looks);
    now.write = inserts_it ? write_over_alias : write_remove;
    break;
  case 1:
    now.look = ANY_OF(shard_looks);
    now.write = inserts_it ? write_many : write_shrink;
    break;
  default:;
  }
  if (inserts_it) {
    if (now.write == write_over_alias)
      put(alias(), 1);
  } else {
    write_insert();
  }
  now.before = now.look();
  data = 0;
}

static void act_seen(unsigned thread)
{
  if (thread == 0) {
    data = 42;
    now.write();
    return;
  }
  for (unsigned i = 0; i < LOOKS; i++) {
    if (now.look() != now.before) {
      WORLD_CHECK(data == 42);
      return;
    }
  }
}

static void what_was_before_a_seen_write_is_known(void **state)
{
  static const struct scenario scenario = {.name = "seen writes",
                                           .threads = 2,
                                           .begin = begin_seen,
                                           .end = play_end,
                                           .act = act_seen};

  (void)state;
  world_play(&scenario, world_runs());
}

/* -------------------------------------------------------------------------
 * A.3
 * ------------------------------------------------------------------------- */

static struct {
  unsigned way;
  bool saw[2];
} both;

static uint64_t key_of(unsigned thread)
{
  return thread == 0 ? LOW(KEY) : HIGH(KEY);
}

static void begin_both(void)
{
  struct cmap_options options = play_options(sizeof(uint64_t));

  play_begin(&options, world_choose(2) == 0 ? 0 : 7);
  both.way = (unsigned)world_choose(6);
  both.saw[0] = both.saw[1] = false;
  if (both.way > 0) {
    put(key_of(0), 1);
    put(key_of(1), 1);
  }
  world_hide(&both, sizeof both);
}

static enum cmap_status set_two(struct cmap_key at, void *value, void *ctx)
{
  (void)at;
  (void)ctx;
  *(uint64_t *)value = 2;
  return CMAP_OK;
}

static void act_both(unsigned thread)
{
  uint64_t mine = key_of(thread), other = key_of(!thread);
  struct cmap_write_guard guard = CMAP_INIT;
  struct cmap_read_guard kept = CMAP_INIT;
  bool unseen;

  switch (both.way) {
  case 0:
    put(mine, 2);
    break;
  case 1:
    WORLD_OK(cmap_alter(map, cmap_key_u64(&mine), set_two, NULL, NULL));
    break;
  case 2:
    WORLD_OK(cmap_fetch_add(map, cmap_key_u64(&mine), 1, NULL, NULL));
    break;
  case 3:
    WORLD_OK(cmap_get_mut(map, cmap_key_u64(&mine), &guard, NULL));
    *(uint64_t *)guard.value = 2;
    WORLD_OK(cmap_write_guard_release(&guard));
    break;
  case 4: /* the write is over, the hold is not */
    WORLD_OK(cmap_get_mut(map, cmap_key_u64(&mine), &guard, NULL));
    *(uint64_t *)guard.value = 2;
    WORLD_OK(cmap_write_guard_downgrade(&guard, &kept));
    break;
  default:
    put(mine, 2);
  }
  unseen = get(other) < 2;
  both.saw[thread] = !unseen;
  WORLD_OK(cmap_read_guard_release(&kept));
}

static void end_both(void)
{
  WORLD_CHECK(both.saw[0] || both.saw[1]);
  play_end();
}

static void of_two_writers_one_sees_the_other(void **state)
{
  static const struct scenario scenario = {.name = "two writers",
                                           .threads = 2,
                                           .begin = begin_both,
                                           .end = end_both,
                                           .act = act_both};

  (void)state;
  world_play(&scenario, world_runs());
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_before_a_seen_write_is_known),
      cmocka_unit_test(of_two_writers_one_sees_the_other),
  };

  return cmocka_run_group_tests_name("seen", tests, NULL, NULL);
}
