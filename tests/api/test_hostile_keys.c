/*
 * Keys that somebody chose to collide: what he knows is the code, not the seed.
 *
 * For each family the search as long as for random keys of the same size: the
 * longest probe, added up over maps of different seeds, and the processor's
 * time, at most 1.5 times as much. By default, and with each other hash. Who
 * knows the seed (CMAP_FIXED_SEED) is another matter, and so is a hash of the
 * user's own: the header says so.
 */
#include <string.h>
#include <time.h>

#include "checks.h"
#include "hostile.h"
#include "settings.h"

enum { MAPS = 8, MOST_MAPS = 64 };

/* Sanitizers, and valgrind, have a time of their own. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#  define HAS_TIME false
#elif defined(__has_feature)
#  if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#    define HAS_TIME false
#  endif
#endif
#ifndef HAS_TIME
#  define HAS_TIME true
#endif

static struct hostile_keys hostile, random_keys;

static uint64_t processor_ns(void)
{
  struct timespec now;

  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* What a run over all keys, put in and found, has shown. */
struct cost {
  uint64_t probes; /* groups of the longest search, over all maps */
  uint64_t ns;     /* the least time */
};

static struct cmap_key key_of(const void *bytes, size_t size)
{
  return (struct cmap_key){.data = bytes, .size = size};
}

/* One map with all the keys; `from` is the first one, `step` bytes apart. */
static void run(const struct cmap_options *options, const void *from,
                size_t step, size_t size, size_t count, struct cost *cost)
{
  struct cmap_stats stats = {.size = sizeof stats};
  const unsigned char *bytes = from;
  struct cmap *map = NULL;
  uint64_t begin, time;

  CHECK_OK(cmap_create(options, &map));
  begin = processor_ns();
  for (size_t i = 0; i < count; i++)
    CHECK_OK(
        cmap_insert_new(map, key_of(bytes + i * step, size), &i, NULL, NULL));
  for (size_t i = 0; i < count; i++) {
    size_t value = 0;
    CHECK_OK(cmap_get(map, key_of(bytes + i * step, size), &value, NULL));
    CHECK(value == i);
  }
  time = processor_ns() - begin;
  CHECK_OK(cmap_get_stats(map, &stats));
  cost->probes += stats.longest_probe;
  if (cost->ns == 0 || time < cost->ns)
    cost->ns = time;
  cmap_destroy(map);
}

/* A thousand keys are over in less time than what else the machine does. */
static bool has_time(void)
{
  return HAS_TIME && !test_under_valgrind() && !test_emulated() &&
         test_scale(100) >= 10;
}

static bool is_alike(const struct cost *its, const struct cost *random)
{
  return its->probes * 2 <= random->probes * 3 &&
         (!has_time() || its->ns * 2 <= random->ns * 3);
}

/* By turns, so that what else the machine does meets both. The longest of a
 * few searches varies: where it seems too long more maps decide. */
static void compare(const struct cmap_options *options, const char *name,
                    const void *its, const void *random, size_t step,
                    size_t size, size_t count)
{
  struct cost cost_its = {0, 0}, cost_random = {0, 0};

  for (int i = 0; i < MAPS || (i < MOST_MAPS && i % MAPS != 0) ||
                  (i < MOST_MAPS && !is_alike(&cost_its, &cost_random));
       i++) {
    run(options, its, step, size, count, &cost_its);
    run(options, random, step, size, count, &cost_random);
  }
  checks_assert();
  if (!is_alike(&cost_its, &cost_random))
    fail_msg("%s: probes of %llu groups in %llu ns, random ones %llu in %llu",
             name, (unsigned long long)cost_its.probes,
             (unsigned long long)cost_its.ns,
             (unsigned long long)cost_random.probes,
             (unsigned long long)cost_random.ns);
}

static size_t how_many(void)
{
  size_t count = test_scale(HOSTILE_KEYS);

  return count > HOSTILE_KEYS ? HOSTILE_KEYS : count < 1000 ? 1000 : count;
}

static void families_of_known_hashes(unsigned kind, unsigned flags)
{
  for (unsigned family = 0; family < HOSTILE_FAMILIES; family++) {
    struct cmap_options options;
    assert_true(hostile_family(&hostile, family));
    hostile_random(&random_keys, &hostile);
    if (kind == CMAP_STRING && !hostile.strings)
      continue;
    cmap_options_init(&options, kind, sizeof(size_t));
    if (kind == CMAP_FIXED)
      options.key_size = hostile.size;
    options.flags = flags;
    compare(&options, hostile.name, hostile.bytes, random_keys.bytes,
            HOSTILE_ROOM, hostile.size, how_many());
  }
}

static void bytes_and_strings(void **state)
{
  (void)state;
  families_of_known_hashes(CMAP_BYTES, 0);
  families_of_known_hashes(CMAP_STRING, 0);
}

static void bytes_and_strings_with_the_fast_hash(void **state)
{
  (void)state;
  families_of_known_hashes(CMAP_BYTES, CMAP_HASH_FAST);
  families_of_known_hashes(CMAP_STRING, CMAP_HASH_FAST);
}

static void fixed_keys(void **state)
{
  (void)state;
  families_of_known_hashes(CMAP_FIXED, 0);
  families_of_known_hashes(CMAP_FIXED, CMAP_HASH_SIPHASH);
}

static void patterns(unsigned kind, unsigned flags)
{
  static uint64_t its[HOSTILE_KEYS], random[HOSTILE_KEYS];
  struct cmap_options options;

  cmap_options_init(&options, kind, sizeof(size_t));
  options.flags = flags;
  for (unsigned pattern = 1; pattern < HOSTILE_PATTERNS; pattern++) {
    for (uint64_t i = 0; i < HOSTILE_KEYS; i++) {
      its[i] = hostile_integer(pattern, i);
      random[i] = hostile_integer(0, i);
    }
    compare(&options, hostile_pattern_name(pattern), its, random, sizeof *its,
            sizeof *its, how_many());
  }
}

static void integers(void **state)
{
  (void)state;
  patterns(CMAP_U64, 0);
  patterns(CMAP_U64, CMAP_HASH_SIPHASH);
}

/* The pattern in one word of a key of four, with the others the same; and in
 * two, one of which takes back what the other has changed. */
static void words_of_fixed_keys(void **state)
{
  static uint64_t its[HOSTILE_KEYS][4], random[HOSTILE_KEYS][4];
  struct cmap_options options;

  (void)state;
  cmap_options_init(&options, CMAP_FIXED, sizeof(size_t));
  options.key_size = sizeof *its;
  for (unsigned pattern = 1; pattern < HOSTILE_PATTERNS; pattern++) {
    for (unsigned word = 0; word < 4; word++) {
      memset(its, 0, sizeof its);
      for (uint64_t i = 0; i < HOSTILE_KEYS; i++) {
        its[i][word] = hostile_integer(pattern, i);
        its[i][(word + 1) % 4] = word % 2 ? hostile_integer(pattern, i) : 0;
        for (unsigned k = 0; k < 4; k++)
          random[i][k] = hostile_integer(0, 4 * i + k);
      }
      compare(&options, hostile_pattern_name(pattern), its, random, sizeof *its,
              sizeof *its, how_many());
    }
  }
}

static uint64_t constant(struct cmap_key key, void *ctx)
{
  (void)key, (void)ctx;
  return 42;
}

/* That the measure would see one: the same keys by a hash that they fit. */
static void a_hash_that_collides_is_seen(void **state)
{
  struct cost good = {0, 0}, bad = {0, 0};
  struct cmap_options options;

  (void)state;
  assert_true(hostile_family(&hostile, HOSTILE_JAVA));
  cmap_options_init(&options, CMAP_STRING, sizeof(size_t));
  run(&options, hostile.bytes, HOSTILE_ROOM, hostile.size, 1000, &good);
  options.key_hash = constant;
  run(&options, hostile.bytes, HOSTILE_ROOM, hostile.size, 1000, &bad);
  checks_assert();
  assert_true(bad.probes > 4 * good.probes);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bytes_and_strings),
      cmocka_unit_test(bytes_and_strings_with_the_fast_hash),
      cmocka_unit_test(fixed_keys),
      cmocka_unit_test(integers),
      cmocka_unit_test(words_of_fixed_keys),
      cmocka_unit_test(a_hash_that_collides_is_seen),
  };

  return cmocka_run_group_tests_name("hostile_keys", tests, NULL, NULL);
}
