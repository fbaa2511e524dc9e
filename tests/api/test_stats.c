/*
 * cmap_get_stats, cmap_dump: each number moves by what a scene does.
 */
#include "asleep.h"
#include "counting_alloc.h"
#include "maps.h"
#include "step.h"
#include "threads.h"

#include <stdio.h>
#include <string.h>

static struct cmap_stats stats_of(struct cmap *map)
{
  struct cmap_stats stats = {.size = sizeof stats};

  assert_ok(cmap_get_stats(map, &stats));
  return stats;
}

static struct cmap *make(enum cmap_key_kind kind, size_t value_size,
                         struct counting_alloc *alloc)
{
  struct cmap_options options;
  struct cmap *map;

  cmap_options_init(&options, kind, value_size);
  if (alloc != NULL) {
    counting_alloc_begin(alloc);
    options.allocator = counting_alloc_hook(alloc);
  }
  assert_ok(cmap_create(&options, &map));
  return map;
}

static void put(struct cmap *map, uint64_t i)
{
  assert_ok(cmap_insert(map, cmap_key_u64(&i), &i, NULL, NULL, NULL));
}

static void arguments(void **state)
{
  struct cmap_stats stats = {.size = sizeof stats};
  struct cmap *map = make(CMAP_U64, 8, NULL);

  (void)state;
  assert_status(cmap_get_stats(NULL, &stats), CMAP_EINVAL);
  assert_status(cmap_get_stats(map, NULL), CMAP_EINVAL);
  stats.size--;
  assert_status(cmap_get_stats(map, &stats), CMAP_EINVAL);
  assert_status(cmap_dump(map, NULL, NULL), CMAP_EINVAL);
  cmap_destroy(map);
}

static void numbers_of_entries(void **state)
{
  struct cmap *map = make(CMAP_U64, 8, NULL);
  struct cmap_stats now = stats_of(map);

  (void)state;
  assert_int_equal(now.entries, 0);
  assert_int_equal(now.shards, 1);
  assert_int_equal(now.slots, 11); /* a group */
  assert_int_equal(now.longest_probe, 0);
  for (uint64_t i = 0; i < 10000; i++)
    put(map, i);
  now = stats_of(map);
  assert_int_equal(now.entries, 10000);
  assert_int_equal(now.shards, cmap_shard_count(map));
  assert_true(now.slots >= 10000 && now.slots <= 30000);
  assert_true(now.longest_probe >= 1 && now.longest_probe <= 64);
  assert_true(now.directory_entries >= now.shards / 2);
  assert_int_equal(now.splits + 1, now.shards);
  assert_true(now.growths >= 3);
  assert_int_equal(now.merges, 0);
  assert_int_equal(now.lock_waits, 0);
  assert_int_equal(now.lock_parks, 0);
  assert_int_equal(now.read_retries, 0);
  assert_int_equal(now.read_locks, 0);
  for (uint64_t i = 0; i < 10000; i++)
    assert_ok(cmap_remove(map, cmap_key_u64(&i), NULL, NULL));
  assert_ok(cmap_shrink_to_fit(map, NULL));
  now = stats_of(map);
  assert_int_equal(now.entries, 0);
  assert_int_equal(now.merges, now.splits);
  cmap_destroy(map);
}

static void whole_locks(void **state)
{
  struct cmap *map = make(CMAP_U64, 8, NULL);
  struct cmap_snapshot *snapshot;
  size_t len;

  (void)state;
  assert_int_equal(stats_of(map).whole_locks, 0);
  assert_ok(cmap_len_exact(map, &len, NULL));
  assert_int_equal(stats_of(map).whole_locks, 1);
  assert_ok(cmap_snapshot_create(map, CMAP_KEYS_ONLY, &snapshot, NULL));
  cmap_snapshot_destroy(snapshot);
  assert_int_equal(stats_of(map).whole_locks, 2);
  assert_ok(cmap_freeze(map, NULL));
  assert_ok(cmap_thaw(map));
  assert_int_equal(stats_of(map).whole_locks, 3);
  cmap_destroy(map);
}

static void rebuilds(void **state)
{
  struct cmap *map = make(CMAP_U64, 8, NULL);

  (void)state;
  for (uint64_t i = 0; i < 100; i++)
    put(map, i);
  for (uint64_t i = 1; i < 100; i++)
    assert_ok(cmap_remove(map, cmap_key_u64(&i), NULL, NULL));
  assert_int_equal(stats_of(map).rebuilds, 0);
  assert_ok(cmap_shrink_to_fit(map, NULL));
  assert_int_equal(stats_of(map).rebuilds, 1);
  cmap_destroy(map);
}

static struct {
  struct cmap *map;
  struct step step;
  struct asleep asleep;
} waiting;

static void wait_for_guard(unsigned index, void *ctx)
{
  uint64_t key = 1;

  (void)index;
  (void)ctx;
  step_wait(&waiting.step, 1);
  asleep_here(&waiting.asleep);
  CHECK_OK(cmap_remove(waiting.map, cmap_key_u64(&key), NULL, NULL));
}

/* A thread that sleeps for a lock is counted; so is a read that takes the lock
 * because a guard keeps its group busy. */
static void waits_and_reads(void **state)
{
  CMAP_AUTO(cmap_write_guard, guard);
  struct cmap_stats now;
  struct thread thread;
  uint64_t key = 1;

  (void)state;
  waiting.map = make(CMAP_U64, 8, NULL);
  step_begin(&waiting.step);
  asleep_begin(&waiting.asleep);
  put(waiting.map, key);
  thread_start(&thread, wait_for_guard, 0, NULL);
  assert_ok(cmap_get_mut(waiting.map, cmap_key_u64(&key), &guard, NULL));
  step_done(&waiting.step, 1);
  asleep_wait(&waiting.asleep);
  (void)stats_of(waiting.map); /* waits for nobody */
  cmap_write_guard_release(&guard);
  thread_join(&thread);
  checks_assert();
  now = stats_of(waiting.map);
  assert_int_equal(now.lock_waits, 1);
  assert_true(now.lock_parks >= 1);
  put(waiting.map, key);
  assert_ok(cmap_get_mut(waiting.map, cmap_key_u64(&key), &guard, NULL));
  /* This thread's own guard: it reads under that. */
  assert_ok(cmap_get(waiting.map, cmap_key_u64(&key), NULL, NULL));
  now = stats_of(waiting.map);
  assert_int_equal(now.read_locks, 1);
  assert_true(now.read_retries > 0);
  cmap_write_guard_release(&guard);
  step_end(&waiting.step);
  cmap_destroy(waiting.map);
}

static void assert_bytes(struct cmap *map, struct counting_alloc *alloc)
{
  double real = (double)counting_alloc_live_bytes(alloc);
  double told = (double)stats_of(map).bytes;

  if (told < real * 0.95 || told > real * 1.05)
    fail_msg("%.0f bytes, and %.0f were allocated", told, real);
}

static void bytes_of_integers(void **state)
{
  struct counting_alloc alloc;
  struct cmap *map = make(CMAP_U64, 8, &alloc);
  uint64_t at = 0;

  (void)state;
  for (uint64_t n = 10; n <= 300000; n *= 3) {
    for (; at < n; at++)
      put(map, at);
    assert_bytes(map, &alloc);
  }
  cmap_destroy(map);
  assert_true(counting_alloc_is_empty(&alloc));
}

/* Keys and values that lie behind pointers, of many sizes. */
static void bytes_of_boxes(void **state)
{
  static const size_t box_sizes[] = {4, 300, 1500};

  (void)state;
  for (size_t v = 0; v < 3; v++) {
    struct counting_alloc alloc;
    struct cmap *map = make(CMAP_STRING, box_sizes[v], &alloc);
    char key[200], value[1500] = {0};
    for (unsigned i = 0; i < 20000; i++) {
      int length = snprintf(key, sizeof key, "%u", i);
      memset(key + length, 'x', i % 150);
      assert_ok(cmap_insert(map, cmap_key_bytes(key, (size_t)length + i % 150),
                            value, NULL, NULL, NULL));
    }
    assert_bytes(map, &alloc);
    cmap_destroy(map);
    assert_true(counting_alloc_is_empty(&alloc));
  }
}

/* A store: its map, the headers of its objects; not the objects. */
static void bytes_of_stores(void **state)
{
  struct cmap_store_stats stats = {.size = sizeof stats};
  struct cmap_store_options options = CMAP_INIT;
  struct counting_alloc alloc;
  struct cmap_store *store;
  double real;

  (void)state;
  counting_alloc_begin(&alloc);
  options.size = sizeof options;
  cmap_options_init(&options.keys, CMAP_U64, 0);
  options.keys.allocator = counting_alloc_hook(&alloc);
  assert_ok(cmap_store_create(&options, &store));
  for (uint64_t i = 0; i < 20000; i++)
    assert_ok(cmap_store_put(store, cmap_key_u64(&i), &alloc, NULL, NULL));
  assert_ok(cmap_store_get_stats(store, &stats));
  assert_int_equal(stats.objects, 20000);
  real = (double)counting_alloc_live_bytes(&alloc);
  if ((double)stats.bytes < real * 0.95 || (double)stats.bytes > real * 1.05)
    fail_msg("%.0f bytes, and %.0f were allocated", (double)stats.bytes, real);
  assert_ok(cmap_store_destroy(store));
  assert_true(counting_alloc_is_empty(&alloc));
}

static void check_line(const char *line, void *ctx)
{
  assert_true(strlen(line) <= 80);
  assert_null(strchr(line, '\n'));
  if (strstr(line, "10000") != NULL)
    ++*(unsigned *)ctx;
}

static void descriptions(void **state)
{
  struct cmap *map = make(CMAP_U64, 8, NULL);
  unsigned found = 0;

  (void)state;
  assert_ok(cmap_dump(map, check_line, &found));
  for (uint64_t i = 0; i < 10000; i++)
    put(map, i);
  assert_ok(cmap_dump(map, check_line, &found));
  assert_int_equal(found, 1);
  cmap_destroy(map);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arguments),       cmocka_unit_test(numbers_of_entries),
      cmocka_unit_test(whole_locks),     cmocka_unit_test(rebuilds),
      cmocka_unit_test(waits_and_reads), cmocka_unit_test(bytes_of_integers),
      cmocka_unit_test(bytes_of_boxes),  cmocka_unit_test(bytes_of_stores),
      cmocka_unit_test(descriptions),
  };

  return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
