/* cmap_pop: any one entry, of the whole map or of a part. */
#include "content.h"
#include "numbers.h"
#include "settings.h"
#include "threads.h"

#include <stdlib.h>
#include <string.h>

enum { IDS = 150, ENTRIES = 10000 };

static struct test_map m;

static void fill(const struct map_spec *spec)
{
  struct value_room value;
  struct key_room room;

  test_map_open(&m, spec);
  for (uint64_t id = 0; id < IDS; id++) {
    value_make(&m, id, 1, value.bytes);
    CHECK_OK(cmap_insert(m.map, key_make(spec, id, &room), value.bytes, NULL,
                         NULL, NULL));
  }
}

static enum cmap_status never(struct cmap_key key, void *value, void *ctx)
{
  (void)key, (void)value, (void)ctx;
  CHECK_NEVER("take is called");
  return CMAP_OK;
}

static void arguments(void **state)
{
  struct cmap *map = numbers_open();
  struct cmap_how bad = {.size = 1};

  (void)state;
  assert_status(cmap_pop(map, 0, 1, never, NULL, NULL), CMAP_NOT_FOUND);
  assert_status(cmap_pop(map, 0, 1, NULL, NULL, NULL), CMAP_NOT_FOUND);
  assert_status(cmap_pop(NULL, 0, 1, never, NULL, NULL), CMAP_EINVAL);
  numbers_put(map, 1, 1);
  assert_status(cmap_pop(map, 0, 0, never, NULL, NULL), CMAP_EINVAL);
  assert_status(cmap_pop(map, 1, 1, never, NULL, NULL), CMAP_EINVAL);
  assert_status(cmap_pop(map, 0, 1, never, NULL, &bad), CMAP_EINVAL);
  assert_int_equal(cmap_len(map), 1);
  cmap_destroy(map);
  checks_assert();
}

struct taking {
  const struct map_spec *spec;
  uint64_t cursor, end; /* of the part */
  unsigned char seen[IDS];
  size_t count;
};

static enum cmap_status take(struct cmap_key key, void *value, void *ctx)
{
  struct cmap_how try_only = cmap_how_try();
  struct taking *taking = ctx;
  uint64_t id = key_id(taking->spec, key), hash = 0;

  CHECK(id < IDS && taking->seen[id]++ == 0);
  CHECK(value_is(&m, id, 1, value));
  value_drop(&m, value);
  CHECK_OK(cmap_hash(m.map, key, &hash));
  CHECK(hash >= taking->cursor && hash <= taking->end - 1);
  /* It is gone, and no lock is held. */
  CHECK_STATUS(cmap_remove(m.map, key, NULL, &try_only), CMAP_NOT_FOUND);
  taking->count++;
  return CMAP_OK;
}

/* Pops all of each part. */
static void pop_parts(struct taking *taking, size_t parts)
{
  for (size_t part = 0; part < parts; part++) {
    enum cmap_status status;
    CHECK_OK(cmap_scan_part(part, parts, &taking->cursor, &taking->end));
    do {
      status = cmap_pop(m.map, part, parts, take, taking, NULL);
    } while (status == CMAP_OK);
    CHECK_STATUS(status, CMAP_NOT_FOUND);
  }
}

/* ctx: memory is refused. */
static void pop_kind(const struct map_spec *spec, void *ctx)
{
  static const size_t parts[] = {1, 2, 3, 16, 17, 40};
  size_t step = test_scale(6) < 2 ? 4 : 1; /* fewer under memcheck */

  for (size_t i = 0; i < sizeof parts / sizeof *parts; i += step) {
    struct taking taking = {.spec = spec};
    checks_about(map_spec_name(spec));
    fill(spec);
    if (ctx != NULL)
      counting_alloc_fail_from(&m.alloc, 1);
    pop_parts(&taking, parts[i]);
    counting_alloc_fail_none(&m.alloc);
    CHECK(taking.count == IDS);
    CHECK(cmap_is_empty(m.map));
    CHECK_OK(cmap_check(m.map, NULL, NULL));
    test_map_close(&m);
  }
}

static void every_kind(void **state)
{
  char poor;

  (void)state;
  map_spec_each(pop_kind, NULL);
  map_spec_each(pop_kind, &poor);
}

/* Without take, entries are destroyed; test_map_close counts. */
static void destroy_kind(const struct map_spec *spec, void *ctx)
{
  (void)ctx;
  checks_about(map_spec_name(spec));
  fill(spec);
  for (size_t left = IDS; left-- > IDS / 3;) {
    CHECK_OK(cmap_pop(m.map, 0, 1, NULL, NULL, NULL));
    CHECK(cmap_len(m.map) == left);
  }
  test_map_close(&m);
}

static void entries_are_destroyed(void **state)
{
  (void)state;
  map_spec_each(destroy_kind, NULL);
}

static enum cmap_status refuse(struct cmap_key key, void *value, void *ctx)
{
  (void)key, (void)value, (void)ctx;
  return cmap_status_user(9);
}

static void a_status_of_take(void **state)
{
  struct cmap *map = numbers_open();

  (void)state;
  numbers_put(map, 1, 1);
  assert_status(cmap_pop(map, 0, 1, refuse, NULL, NULL), cmap_status_user(9));
  assert_int_equal(cmap_len(map), 0);
  cmap_destroy(map);
}

/* Shards that are held are passed over while others have entries. */
static void held_shards_come_last(void **state)
{
  struct cmap_how try_only = cmap_how_try();
  struct cmap_how past = cmap_how_until(1);
  struct cmap_read_guard guard = CMAP_INIT;
  struct cmap *map = numbers_open_small();
  const uint64_t key = 7;
  enum cmap_status status;
  size_t count = 0;

  (void)state;
  for (uint64_t id = 0; id < 200; id++)
    numbers_put(map, id, id);
  assert_ok(cmap_get_ref(map, cmap_key_u64(&key), &guard, NULL));
  while ((status = cmap_pop(map, 0, 1, NULL, NULL, NULL)) == CMAP_OK)
    count++;
  assert_status(status, CMAP_EDEADLK);
  assert_true(count > 100);
  assert_int_equal(cmap_len(map), 200 - count);
  assert_status(cmap_pop(map, 0, 1, NULL, NULL, &try_only), CMAP_BUSY);
  assert_true(numbers_has(map, key));
  /* Free locks are taken whatever `how` says. */
  assert_ok(cmap_read_guard_release(&guard));
  assert_ok(cmap_pop(map, 0, 1, NULL, NULL, &try_only));
  /* The shard may have had no other entry. */
  assert_status(cmap_pop(map, 0, 1, NULL, NULL, &past),
                count < 199 ? CMAP_OK : CMAP_NOT_FOUND);
  assert_int_equal(cmap_len(map), count < 199 ? 198 - count : 0);
  cmap_destroy(map);
  checks_assert();
}

static void a_frozen_map(void **state)
{
  struct cmap *map = numbers_open();

  (void)state;
  assert_ok(cmap_freeze(map, NULL));
  assert_status(cmap_pop(map, 0, 1, never, NULL, NULL), CMAP_FROZEN);
  assert_ok(cmap_thaw(map));
  numbers_put(map, 1, 1);
  assert_ok(cmap_freeze(map, NULL));
  assert_status(cmap_pop(map, 0, 1, never, NULL, NULL), CMAP_FROZEN);
  assert_ok(cmap_thaw(map));
  assert_ok(cmap_pop(map, 0, 1, NULL, NULL, NULL));
  cmap_destroy(map);
  checks_assert();
}

/* What each of several threads pops. */
struct crowd {
  struct cmap *map;
  size_t parts;       /* thread i pops part i % parts */
  size_t inserts;     /* of each thread, one before each pop */
  atomic_uint *times; /* each key was popped */
  atomic_size_t next; /* key to be inserted */
};

static enum cmap_status count_key(struct cmap_key key, void *value, void *ctx)
{
  struct crowd *crowd = ctx;
  uint64_t id, copy;

  memcpy(&id, key.data, sizeof id);
  memcpy(&copy, value, sizeof copy);
  CHECK(id == copy);
  atomic_fetch_add_explicit(&crowd->times[id], 1, memory_order_relaxed);
  return CMAP_OK;
}

static void pop_all(unsigned index, void *ctx)
{
  struct crowd *crowd = ctx;
  enum cmap_status status = CMAP_OK;

  for (size_t i = 0; i < crowd->inserts; i++) {
    uint64_t id =
        atomic_fetch_add_explicit(&crowd->next, 1, memory_order_relaxed);
    numbers_put(crowd->map, id, id);
    status = cmap_pop(crowd->map, index % crowd->parts, crowd->parts, count_key,
                      crowd, NULL);
    CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
  }
  do {
    status = cmap_pop(crowd->map, index % crowd->parts, crowd->parts, count_key,
                      crowd, NULL);
  } while (status == CMAP_OK);
  CHECK_STATUS(status, CMAP_NOT_FOUND);
}

static void run_crowd(size_t entries, size_t inserts, size_t parts,
                      unsigned threads, unsigned flags)
{
  size_t all = entries + inserts * threads;
  struct crowd crowd = {.parts = parts, .inserts = inserts};
  struct cmap_options options;

  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  options.flags = flags;
  options.shard_groups = 4;
  assert_ok(cmap_create(&options, &crowd.map));
  crowd.times = calloc(all, sizeof *crowd.times);
  assert_non_null(crowd.times);
  for (uint64_t id = 0; id < entries; id++)
    numbers_put(crowd.map, id, id);
  atomic_init(&crowd.next, entries);
  threads_run(threads, pop_all, &crowd);
  while (cmap_pop(crowd.map, 0, 1, count_key, &crowd, NULL) == CMAP_OK)
    assert_true(inserts > 0); /* else each thread has emptied its part */
  assert_true(cmap_is_empty(crowd.map));
  for (size_t i = 0; i < all; i++)
    assert_int_equal(atomic_load(&crowd.times[i]), 1);
  assert_ok(cmap_check(crowd.map, NULL, NULL));
  free(crowd.times);
  cmap_destroy(crowd.map);
}

static void each_thread_pops_a_part(void **state)
{
  (void)state;
  run_crowd(test_scale(ENTRIES), 0, 4, 4, 0);
  run_crowd(test_scale(ENTRIES), 0, 3, 3, CMAP_AUTO_SHRINK);
}

static void threads_pop_the_same_part(void **state)
{
  (void)state;
  run_crowd(test_scale(ENTRIES), 0, 1, 4, 0);
  run_crowd(test_scale(ENTRIES), 0, 2, 6, CMAP_AUTO_SHRINK);
}

static void pops_beside_inserts(void **state)
{
  (void)state;
  run_crowd(1000, test_scale(5000), 1, 4, 0);
  run_crowd(1000, test_scale(5000), 4, 4, CMAP_AUTO_SHRINK);
}

/* "Insert one, evict any" leaves a map as large as it is with random removals:
 * shards and groups keep their share of the entries. */
static void evictions_do_not_split_shards(void **state)
{
  struct cmap_options options;
  uint64_t id = 0, all = ENTRIES;
  struct cmap *map;
  size_t before;

  (void)state;
  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  options.flags = CMAP_FIXED_SEED;
  options.seed[0] = 5;
  options.capacity = ENTRIES;
  assert_ok(cmap_create(&options, &map));
  before = cmap_capacity(map);
  for (; id < all; id++)
    numbers_put(map, id, id);
  for (all *= 8; id < all; id++) {
    numbers_put(map, id, id);
    assert_ok(cmap_pop(map, 0, 1, NULL, NULL, NULL));
  }
  assert_int_equal(cmap_len(map), ENTRIES);
  assert_true(cmap_capacity(map) <= before + before / 4);
  cmap_destroy(map);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arguments),
      cmocka_unit_test(every_kind),
      cmocka_unit_test(entries_are_destroyed),
      cmocka_unit_test(a_status_of_take),
      cmocka_unit_test(held_shards_come_last),
      cmocka_unit_test(a_frozen_map),
      cmocka_unit_test(each_thread_pops_a_part),
      cmocka_unit_test(threads_pop_the_same_part),
      cmocka_unit_test(pops_beside_inserts),
      cmocka_unit_test(evictions_do_not_split_shards),
  };

  return cmocka_run_group_tests_name("pop", tests, NULL, NULL);
}
