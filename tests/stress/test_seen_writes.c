/*
 * Guarantee A.2: what a thread did before a write happens before what another
 * thread does after a call that saw the write, whatever the call told of it: a
 * value, a status, the end of a walk, or a mere number.
 *
 * One thread stores to a plain variable and writes to the map; the main thread
 * looks until something has changed, and reads the variable. ThreadSanitizer
 * says whether that was ordered; elsewhere only the value does.
 */
#include "numbers.h"
#include "settings.h"
#include "threads.h"

#include <string.h>

/* Enough for a small map to grow and split. */
enum { MANY = 100 };

static struct {
  struct cmap *map;
  void (*write)(struct cmap *map);
  long data; /* plain */
} scene;

/* A key of the map, integer or string. */
static struct cmap_key key_of(struct cmap *map, uint64_t number)
{
  static _Thread_local uint64_t word;
  static _Thread_local char text[64];
  uint64_t hash;

  memset(text, 'x', sizeof text);
  memcpy(text, &number, sizeof number);
  /* Of every two strings one lies in its slot, and one beside it. */
  if (cmap_hash(map, cmap_key_bytes(text, sizeof text), &hash) == CMAP_OK)
    return cmap_key_bytes(text, number % 2 == 0 ? 8 : sizeof text);
  word = number;
  return cmap_key_u64(&word);
}

static void write_insert(struct cmap *map)
{
  uint64_t value = 7;

  CHECK_OK(cmap_insert(map, key_of(map, 0), &value, NULL, NULL, NULL));
}

static void write_insert_long(struct cmap *map)
{
  uint64_t value = 7;

  CHECK_OK(cmap_insert(map, key_of(map, 1), &value, NULL, NULL, NULL));
}

static void write_entry(struct cmap *map)
{
  CMAP_AUTO(cmap_entry, entry);
  uint64_t value = 7;

  CHECK_OK(cmap_entry_begin(map, key_of(map, 0), &entry, NULL));
  CHECK_OK(cmap_entry_or_insert(&entry, &value));
}

static void write_fetch_add(struct cmap *map)
{
  CHECK_OK(cmap_fetch_add(map, key_of(map, 0), 1, NULL, NULL));
}

static void write_many(struct cmap *map)
{
  uint64_t value = 7;

  for (uint64_t i = 0; i < MANY; i++)
    CHECK_OK(cmap_insert(map, key_of(map, i), &value, NULL, NULL, NULL));
}

static void write_remove(struct cmap *map)
{
  CHECK_OK(cmap_remove(map, key_of(map, 0), NULL, NULL));
}

static void write_entry_remove(struct cmap *map)
{
  CMAP_AUTO(cmap_entry, entry);

  CHECK_OK(cmap_entry_begin(map, key_of(map, 0), &entry, NULL));
  CHECK_OK(cmap_entry_remove(&entry, NULL));
}

static void write_clear(struct cmap *map)
{
  CHECK_OK(cmap_clear(map, NULL));
}

static enum cmap_status count_one(struct cmap_key key, const void *value,
                                  void *ctx)
{
  (void)key;
  (void)value;
  ++*(uint64_t *)ctx;
  return CMAP_OK;
}

static uint64_t look_is_empty(struct cmap *map)
{
  return !cmap_is_empty(map);
}

static uint64_t look_len(struct cmap *map)
{
  return cmap_len(map);
}

static uint64_t look_len_exact(struct cmap *map)
{
  size_t len = 0;

  CHECK_OK(cmap_len_exact(map, &len, NULL));
  return len;
}

static uint64_t look_contains(struct cmap *map)
{
  return cmap_contains(map, key_of(map, 0), NULL) == CMAP_OK;
}

static uint64_t look_get(struct cmap *map)
{
  uint64_t value;

  return cmap_get(map, key_of(map, 0), &value, NULL) == CMAP_OK;
}

static uint64_t look_remove_absent(struct cmap *map)
{
  return cmap_remove(map, key_of(map, 0), NULL, NULL) == CMAP_OK;
}

static uint64_t look_scan(struct cmap *map)
{
  struct cmap_scan_buffer buffer = {.size = sizeof buffer, .capacity = MANY};
  uint64_t values[MANY], cursor = 0;

  buffer.values = values;
  return cmap_scan(map, &cursor, 0, &buffer, NULL) == CMAP_OK ? buffer.count
                                                              : 0;
}

static uint64_t look_for_each(struct cmap *map)
{
  uint64_t count = 0;

  CHECK_OK(cmap_for_each(map, 0, 1, count_one, &count, NULL));
  return count;
}

static uint64_t look_view_all(struct cmap *map)
{
  uint64_t count = 0;

  CHECK_OK(cmap_view_all(map, count_one, &count, NULL));
  return count;
}

static uint64_t look_iter(struct cmap *map)
{
  CMAP_AUTO(cmap_iter, iter);
  uint64_t count = 0;

  CHECK_OK(cmap_iter_begin(map, CMAP_READ, 0, 1, &iter));
  while (cmap_iter_next(&iter, NULL) == CMAP_OK)
    count++;
  return count;
}

static uint64_t look_snapshot(struct cmap *map)
{
  struct cmap_snapshot *snapshot = NULL;
  uint64_t count;

  CHECK_OK(cmap_snapshot_create(map, CMAP_KEYS_ONLY, &snapshot, NULL));
  count = cmap_snapshot_count(snapshot);
  cmap_snapshot_destroy(snapshot);
  return count;
}

static uint64_t look_capacity(struct cmap *map)
{
  return cmap_capacity(map);
}

static uint64_t look_shard_count(struct cmap *map)
{
  return cmap_shard_count(map);
}

static struct cmap_stats stats_of(struct cmap *map)
{
  struct cmap_stats stats = {.size = sizeof stats};

  CHECK_OK(cmap_get_stats(map, &stats));
  return stats;
}

static uint64_t look_entries(struct cmap *map)
{
  return stats_of(map).entries;
}

static uint64_t look_bytes(struct cmap *map)
{
  return stats_of(map).bytes;
}

static uint64_t look_growths(struct cmap *map)
{
  return stats_of(map).growths;
}

static uint64_t look_splits(struct cmap *map)
{
  return stats_of(map).splits;
}

typedef uint64_t look_fn(struct cmap *map);
typedef void write_fn(struct cmap *map);

static void run_writer(unsigned index, void *ctx)
{
  (void)index;
  (void)ctx;
  scene.data = 42;
  scene.write(scene.map);
}

/* Looks until something has changed. */
static void see(struct cmap *map, write_fn *write, look_fn *look)
{
  struct thread thread;
  uint64_t before = look(map);
  long data;

  scene.map = map;
  scene.write = write;
  scene.data = 0;
  thread_start(&thread, run_writer, 0, NULL);
  while (look(map) == before)
    ;
  data = scene.data;
  CHECK(data == 42);
  thread_join(&thread);
  cmap_destroy(map);
  checks_assert();
}

static struct cmap *strings_open(void)
{
  struct cmap_options options;
  struct cmap *map = NULL;

  cmap_options_init(&options, CMAP_BYTES, sizeof(uint64_t));
  options.shard_groups = 1;
  CHECK_OK(cmap_create(&options, &map));
  return map;
}

static struct cmap *with_one(struct cmap *map)
{
  write_insert(map);
  return map;
}

/* The calls that tell the presence of an entry, or a number of them. */
static look_fn *const looks[] = {
    look_is_empty, look_len,      look_len_exact, look_contains,
    look_get,      look_scan,     look_for_each,  look_view_all,
    look_iter,     look_snapshot, look_entries,
};

enum { LOOKS = sizeof looks / sizeof *looks };

static void insertions(void **state)
{
  size_t rounds = 1 + test_scale(100) / 100;

  (void)state;
  for (size_t i = 0; i < LOOKS * rounds; i++) {
    look_fn *look = looks[i % LOOKS];
    see(numbers_open_small(), write_insert, look);
    see(numbers_open_small(), write_entry, look);
    see(numbers_open_small(), write_fetch_add, look);
    see(strings_open(), write_insert, look);
    if (look != look_contains && look != look_get)
      see(strings_open(), write_insert_long, look);
  }
}

static void removals(void **state)
{
  size_t rounds = 1 + test_scale(100) / 100;

  (void)state;
  for (size_t i = 0; i < LOOKS * rounds; i++) {
    look_fn *look = looks[i % LOOKS];
    see(with_one(numbers_open_small()), write_remove, look);
    see(with_one(numbers_open_small()), write_entry_remove, look);
    see(with_one(numbers_open_small()), write_clear, look);
    see(with_one(strings_open()), write_remove, look);
    see(with_one(strings_open()), write_clear, look);
  }
}

/* What only tells that storage has changed. */
static void growth(void **state)
{
  static look_fn *const storage[] = {look_capacity, look_shard_count,
                                     look_bytes,    look_growths,
                                     look_splits,   look_len};
  size_t rounds = 1 + test_scale(300) / 100;

  (void)state;
  for (size_t i = 0; i < rounds; i++) {
    for (size_t j = 0; j < sizeof storage / sizeof *storage; j++)
      /* Shards of a single group do not grow. */
      see(storage[j] == look_growths ? numbers_open() : numbers_open_small(),
          write_many, storage[j]);
  }
}

/* A removal that finds nothing, and once something. */
static void absence(void **state)
{
  size_t rounds = 1 + test_scale(900) / 100;

  (void)state;
  for (size_t i = 0; i < rounds; i++)
    see(numbers_open_small(), write_insert, look_remove_absent);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(insertions),
      cmocka_unit_test(removals),
      cmocka_unit_test(growth),
      cmocka_unit_test(absence),
  };

  return cmocka_run_group_tests_name("seen_writes", tests, NULL, NULL);
}
