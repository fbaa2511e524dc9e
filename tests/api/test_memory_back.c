/*
 * Memory that maps give back to the system, memory that they have got in
 * advance, and memory in huge pages: shrink_to_fit, CMAP_AUTO_SHRINK, reserve,
 * CMAP_HUGE_PAGES.
 */
#include "checks.h"
#include "counting_alloc.h"
#include "settings.h"
#include "threads.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Sanitizers have memory of their own for each page, and AddressSanitizer keeps
 * what is freed. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#elif defined(__has_feature)
#  if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
enum { SANITIZED = 1 };
#  else
enum { SANITIZED = 0 };
#  endif
#else
enum { SANITIZED = 0 };
#endif

/* Do resident pages tell what the map has? Under valgrind they do not, and such
 * runs are scaled down. */
static bool rss_tells(void)
{
  return !SANITIZED && test_scale(100) >= 50;
}

/* Bytes of this process in memory. */
static size_t rss(void)
{
  FILE *file = fopen("/proc/self/statm", "r");
  size_t total, resident;

  assert_non_null(file);
  assert_int_equal(fscanf(file, "%zu %zu", &total, &resident), 2);
  assert_int_equal(fclose(file), 0);
  return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static struct cmap *make(enum cmap_key_kind kind, unsigned flags)
{
  struct cmap_options options;
  struct cmap *map;

  cmap_options_init(&options, kind, sizeof(uint64_t));
  options.flags = flags;
  assert_ok(cmap_create(&options, &map));
  return map;
}

struct room {
  char text[32];
  uint64_t number;
};

static struct cmap_key key_of(enum cmap_key_kind kind, uint64_t i,
                              struct room *room)
{
  if (kind == CMAP_U64) {
    room->number = i;
    return cmap_key_u64(&room->number);
  }
  (void)snprintf(room->text, sizeof room->text, "key%llu",
                 (unsigned long long)i);
  return cmap_key_string(room->text);
}

static void fill(struct cmap *map, enum cmap_key_kind kind, uint64_t n)
{
  struct room room;

  for (uint64_t i = 0; i < n; i++)
    assert_ok(cmap_insert(map, key_of(kind, i, &room), &i, NULL, NULL, NULL));
}

static void empty(struct cmap *map, enum cmap_key_kind kind, uint64_t n)
{
  struct room room;
  uint64_t value;

  for (uint64_t i = 0; i < n; i++) {
    assert_ok(cmap_remove(map, key_of(kind, i, &room), &value, NULL));
    assert_true(value == i);
  }
}

static void assert_sound(struct cmap *map)
{
  const char *broken = NULL;
  enum cmap_status status = cmap_check(map, &broken, NULL);

  if (status != CMAP_OK)
    fail_msg("%s: %s", cmap_status_name(status), broken ? broken : "");
}

/* With few entries under sanitizers, which are slow. */
static uint64_t many(enum cmap_key_kind kind)
{
  uint64_t n = kind == CMAP_U64 ? 5000000 : 2000000;

  return rss_tells() ? n : n / 100;
}

static void shrink_gives_back(enum cmap_key_kind kind)
{
  struct cmap *map = make(kind, 0);
  uint64_t n = many(kind);
  size_t start = rss(), grown, end;

  fill(map, kind, n);
  grown = rss();
  empty(map, kind, n);
  assert_ok(cmap_shrink_to_fit(map, NULL));
  end = rss();
  assert_sound(map);
  if (rss_tells() && end > start + (grown - start) / 50 + 1024 * 1024)
    fail_msg("from %zu to %zu bytes, and back to %zu", start, grown, end);
  /* It lives on in the same memory. */
  fill(map, kind, n / 4);
  assert_int_equal(cmap_len(map), n / 4);
  assert_sound(map);
  empty(map, kind, n / 4);
  cmap_destroy(map);
}

static void shrink_gives_integers_back(void **state)
{
  (void)state;
  shrink_gives_back(CMAP_U64);
}

static void shrink_gives_strings_back(void **state)
{
  (void)state;
  shrink_gives_back(CMAP_STRING);
}

/* What is left of an emptied map are headers of shards and the directory, also
 * of one whose chunks are small. */
static void little_is_kept(void **state)
{
  struct cmap_stats full = {.size = sizeof full}, left = full;

  (void)state;
  for (uint64_t n = 5000; n <= many(CMAP_U64) / 25; n *= 6) {
    struct cmap *map = make(CMAP_U64, 0);
    fill(map, CMAP_U64, n);
    assert_ok(cmap_get_stats(map, &full));
    empty(map, CMAP_U64, n);
    assert_ok(cmap_shrink_to_fit(map, NULL));
    assert_ok(cmap_get_stats(map, &left));
    assert_int_equal(left.slots, 0);
    /* 64 bytes for each shard that there ever was, two arrays of 16 bytes an
     * entry, and what a map of this size on any machine has in small chunks. */
    if (left.bytes > full.shards * 2 * 64 + full.directory_entries * 3 * 16 +
                         full.bytes / 500 + 96 * 1024)
      fail_msg("%llu entries: from %llu bytes to %llu", (unsigned long long)n,
               (unsigned long long)full.bytes, (unsigned long long)left.bytes);
    fill(map, CMAP_U64, n);
    assert_sound(map);
    assert_ok(cmap_get_stats(map, &left));
    assert_true(left.bytes >= full.bytes / 2);
    cmap_destroy(map);
  }
}

static void a_map_shrinks_by_itself(void **state)
{
  struct cmap *map = make(CMAP_U64, CMAP_AUTO_SHRINK);
  uint64_t n = many(CMAP_U64);
  size_t start = rss(), grown, end;

  (void)state;
  fill(map, CMAP_U64, n);
  grown = rss();
  empty(map, CMAP_U64, n);
  end = rss();
  assert_sound(map);
  if (rss_tells() && end > start + (grown - start) / 10)
    fail_msg("from %zu to %zu bytes, and back to %zu", start, grown, end);
  cmap_destroy(map);
}

/* Inserts and removals in turn neither split nor merge. */
static void shrinking_does_not_flutter(void **state)
{
  struct cmap *map = make(CMAP_U64, CMAP_AUTO_SHRINK);
  struct cmap_stats before = {.size = sizeof before}, after = before;

  (void)state;
  fill(map, CMAP_U64, 20000);
  empty(map, CMAP_U64, 17000);
  for (unsigned round = 0; round < 1000; round++) {
    uint64_t changes;
    if (round == 1)
      assert_ok(cmap_get_stats(map, &before));
    for (uint64_t i = 0; i < 20; i++)
      assert_ok(cmap_insert(map, cmap_key_u64(&i), &i, NULL, NULL, NULL));
    for (uint64_t i = 0; i < 20; i++)
      assert_ok(cmap_remove(map, cmap_key_u64(&i), NULL, NULL));
    assert_ok(cmap_get_stats(map, &after));
    changes = after.splits + after.merges + after.growths -
              (before.splits + before.merges + before.growths);
    if (round > 1)
      assert_true(changes <= 4);
  }
  cmap_destroy(map);
}

/* Values do not move while a guard is out, whatever is removed. */
static void guards_keep_shards(void **state)
{
  struct cmap *map = make(CMAP_U64, CMAP_AUTO_SHRINK);
  CMAP_AUTO(cmap_read_guard, guard);
  struct cmap_how try_only = cmap_how_try();
  uint64_t key = 9999;

  (void)state;
  fill(map, CMAP_U64, 10000);
  assert_ok(cmap_get_ref(map, cmap_key_u64(&key), &guard, NULL));
  for (uint64_t i = 0; i < 9999; i++) {
    enum cmap_status status =
        cmap_remove(map, cmap_key_u64(&i), NULL, &try_only);
    assert_true(status == CMAP_OK || status == CMAP_BUSY);
    assert_true(*(const uint64_t *)guard.value == 9999);
  }
  cmap_read_guard_release(&guard);
  assert_ok(cmap_clear(map, NULL));
  assert_sound(map);
  cmap_destroy(map);
}

enum { READERS = 2, KEPT = 64, WAVE = 20000 };

static struct cmap *shared;
static atomic_bool stop;

/* Permanent keys are found and others are not, whatever becomes of the pages
 * that a late reader looks at. */
static void read_on(unsigned index, void *ctx)
{
  uint64_t i = index;

  (void)ctx;
  while (!atomic_load(&stop)) {
    uint64_t key = i++ % KEPT, absent = UINT64_MAX - i, value = 0;
    CHECK_OK(cmap_get(shared, cmap_key_u64(&key), &value, NULL));
    CHECK(value == ~key);
    CHECK(cmap_get(shared, cmap_key_u64(&absent), NULL, NULL) ==
          CMAP_NOT_FOUND);
  }
}

static void wave_under_readers(struct cmap *map)
{
  struct thread readers[READERS];

  shared = map;
  atomic_store(&stop, false);
  for (uint64_t key = 0; key < KEPT; key++) {
    uint64_t value = ~key;
    assert_ok(
        cmap_insert(shared, cmap_key_u64(&key), &value, NULL, NULL, NULL));
  }
  for (unsigned i = 0; i < READERS; i++)
    thread_start(&readers[i], read_on, i, NULL);
  for (unsigned round = 0; round < test_scale(20); round++) {
    for (uint64_t i = KEPT; i < KEPT + WAVE; i++)
      assert_ok(cmap_insert(shared, cmap_key_u64(&i), &i, NULL, NULL, NULL));
    for (uint64_t i = KEPT; i < KEPT + WAVE; i++)
      assert_ok(cmap_remove(shared, cmap_key_u64(&i), NULL, NULL));
    assert_ok(cmap_shrink_to_fit(shared, NULL));
  }
  atomic_store(&stop, true);
  for (unsigned i = 0; i < READERS; i++)
    thread_join(&readers[i]);
  checks_assert();
  assert_sound(shared);
  cmap_destroy(shared);
}

static void readers_outlive_pages(void **state)
{
  (void)state;
  wave_under_readers(make(CMAP_U64, 0));
}

/* Blocks serve for smaller ones, which late readers of the whole one do not
 * mistake, nor the other way round: where memory is not given back. */
static void readers_outlive_sizes(void **state)
{
  struct counting_alloc alloc;
  struct cmap_options options;
  struct cmap *map;

  (void)state;
  for (unsigned flags = 0; flags <= CMAP_AUTO_SHRINK;
       flags += CMAP_AUTO_SHRINK) {
    counting_alloc_begin(&alloc);
    cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
    options.flags = flags;
    options.allocator = counting_alloc_hook(&alloc);
    assert_ok(cmap_create(&options, &map));
    wave_under_readers(map);
    assert_true(counting_alloc_is_empty(&alloc));
  }
}

static void reserve_needs_no_more(enum cmap_key_kind kind, size_t n,
                                  uint64_t seed)
{
  struct counting_alloc alloc;
  struct cmap_options options;
  struct cmap_stats before = {.size = sizeof before}, after = before;
  struct cmap *map;
  struct room room;

  counting_alloc_begin(&alloc);
  cmap_options_init(&options, kind, sizeof(uint64_t));
  options.allocator = counting_alloc_hook(&alloc);
  assert_ok(cmap_create(&options, &map));
  assert_ok(cmap_reserve(map, n, NULL));
  assert_ok(cmap_get_stats(map, &before));
  counting_alloc_fail_from(&alloc, 1);
  for (size_t i = 0; i < n; i++) {
    uint64_t key =
        (i + seed * UINT64_C(1000000007)) * UINT64_C(0x9e3779b97f4a7c15);
    assert_ok(
        cmap_insert(map, key_of(kind, key, &room), &key, NULL, NULL, NULL));
  }
  assert_int_equal(counting_alloc_failures(&alloc), 0);
  counting_alloc_fail_none(&alloc);
  assert_ok(cmap_get_stats(map, &after));
  assert_true((after.splits - before.splits) * 100 < before.shards);
  /* And not more room than four times what was asked for. */
  assert_true(after.slots <= 4 * (uint64_t)n + 1000);
  cmap_destroy(map);
  assert_true(counting_alloc_is_empty(&alloc));
}

static void reserve_keeps_its_promise(void **state)
{
  static const size_t sizes[] = {1, 100, 530, 3000, 10000, 52000, 300000};

  (void)state;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    for (uint64_t seed = 1; seed <= 1 + test_scale(2); seed++) {
      if (!rss_tells() && sizes[i] > 60000)
        continue; /* it takes its time */
      reserve_needs_no_more(CMAP_U64, sizes[i], seed);
      reserve_needs_no_more(CMAP_STRING, sizes[i], seed);
    }
  }
}

/* -------------------------------------------------------------------------
 * Huge pages
 * ------------------------------------------------------------------------- */

/* Bytes of this process in huge pages. */
static size_t in_huge_pages(void)
{
  FILE *file = fopen("/proc/self/smaps_rollup", "r");
  char line[200];
  size_t kib = 0;

  while (file != NULL && fgets(line, sizeof line, file) != NULL)
    if (sscanf(line, "AnonHugePages: %zu", &kib) == 1)
      break;
  if (file != NULL)
    assert_int_equal(fclose(file), 0);
  return kib * 1024;
}

/* Does the system give huge pages to whoever asks for them, just now? */
static bool huge_pages_are_to_be_had(void)
{
  const size_t size = (size_t)64 << 20;
  size_t before = in_huge_pages(), after;
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  assert_true(memory != MAP_FAILED);
  (void)madvise(memory, size, MADV_HUGEPAGE);
  memset(memory, 1, size);
  after = in_huge_pages();
  assert_int_equal(munmap(memory, size), 0);
  return after >= before + size / 8 * 7;
}

/* Of a map that asks for huge pages most is in them. */
static void huge_pages_are_used(void **state)
{
  struct cmap_stats stats = {.size = sizeof stats};
  size_t before, after;
  struct cmap *map;

  (void)state;
  if (!rss_tells() || !huge_pages_are_to_be_had())
    skip();
  before = in_huge_pages();
  map = make(CMAP_U64, CMAP_HUGE_PAGES);
  fill(map, CMAP_U64, 1000000);
  after = in_huge_pages();
  assert_ok(cmap_get_stats(map, &stats));
  printf("%zu KiB, in huge pages %zu, before %zu\n", (size_t)stats.bytes / 1024,
         after / 1024, before / 1024);
  cmap_destroy(map);
  /* Others may have taken them meanwhile. */
  if (after <= before + stats.bytes / 2 && !huge_pages_are_to_be_had())
    skip();
  assert_true(after > before + stats.bytes / 2);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shrink_gives_integers_back),
      cmocka_unit_test(shrink_gives_strings_back),
      cmocka_unit_test(little_is_kept),
      cmocka_unit_test(a_map_shrinks_by_itself),
      cmocka_unit_test(shrinking_does_not_flutter),
      cmocka_unit_test(guards_keep_shards),
      cmocka_unit_test(readers_outlive_pages),
      cmocka_unit_test(readers_outlive_sizes),
      cmocka_unit_test(reserve_keeps_its_promise),
      cmocka_unit_test(huge_pages_are_used),
  };

  return cmocka_run_group_tests_name("memory_back", tests, NULL, NULL);
}
