/*
 * A system that gives no random numbers: maps and stores say so, and nothing
 * is left behind; those with a seed of the user's need none.
 */
#include <errno.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "checks.h"
#include "counting_alloc.h"

/* Stands in for the system's in this program, and refuses. */
ssize_t getrandom(void *buffer, size_t size, unsigned flags)
{
  (void)buffer, (void)size, (void)flags;
  errno = EPERM;
  return -1;
}

static struct rlimit files;
static struct counting_alloc counting;

static void allow_device(bool allowed)
{
  struct rlimit limit = files;

  if (!allowed)
    limit.rlim_cur = 0;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static struct cmap_options options_with(unsigned flags)
{
  struct cmap_options options;

  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  options.flags = flags;
  options.allocator = counting_alloc_hook(&counting);
  return options;
}

static void the_device_is_enough(void **state)
{
  struct cmap_options options = options_with(0);
  uint64_t hash_a, hash_b, key = 1;
  struct cmap *a, *b;

  (void)state;
  assert_ok(cmap_create(&options, &a));
  assert_ok(cmap_create(&options, &b));
  assert_ok(cmap_hash(a, cmap_key_u64(&key), &hash_a));
  assert_ok(cmap_hash(b, cmap_key_u64(&key), &hash_b));
  assert_int_not_equal(hash_a, hash_b);
  cmap_destroy(a);
  cmap_destroy(b);
}

static void nothing_is_made_without(void **state)
{
  struct cmap_options options = options_with(0);
  struct cmap_options fixed = options_with(CMAP_FIXED_SEED);
  struct cmap_store_options store_options;
  struct cmap *map = NULL, *copy = NULL, *seeded;
  struct cmap_store *store = NULL;
  uint64_t key = 1;

  (void)state;
  cmap_store_options_init(&store_options, CMAP_U64, NULL);
  store_options.keys.allocator = options.allocator;
  allow_device(false);
  assert_status(cmap_create(&options, &map), CMAP_ENORANDOM);
  assert_null(map);
  assert_status(cmap_store_create(&store_options, &store), CMAP_ENORANDOM);
  assert_null(store);
  assert_ok(cmap_create(&fixed, &seeded));
  allow_device(true);
  cmap_destroy(seeded);

  assert_ok(cmap_create(&options, &map));
  assert_ok(cmap_insert(map, cmap_key_u64(&key), &key, NULL, NULL, NULL));
  allow_device(false);
  assert_ok(cmap_clone(map, &copy, NULL)); /* it has the seed of the map */
  allow_device(true);
  cmap_destroy(map);
  cmap_destroy(copy);
  assert_true(counting_alloc_is_empty(&counting));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      /* Before the process has its secret. */
      cmocka_unit_test(nothing_is_made_without),
      cmocka_unit_test(the_device_is_enough),
  };

  counting_alloc_begin(&counting);
  if (getrlimit(RLIMIT_NOFILE, &files) != 0)
    return 1;
  return cmocka_run_group_tests_name("no_random", tests, NULL, NULL);
}
