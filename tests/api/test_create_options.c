/* Creating maps, and what their options come to. */
#include "content.h"
#include "numbers.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

#include <string.h>

static void read_back(const struct cmap *map, struct cmap_options *options)
{
  memset(options, 0xee, sizeof *options);
  options->size = sizeof *options;
  assert_ok(cmap_get_options(map, options));
}

static void defaults_are_filled_in(void **state)
{
  struct cmap *map = numbers_open();
  struct cmap_options options;

  (void)state;
  read_back(map, &options);
  assert_int_equal(options.size, sizeof options);
  assert_int_equal(options.key_kind, CMAP_U64);
  assert_int_equal(options.flags, 0);
  assert_int_equal(options.key_size, 8);
  assert_int_equal(options.value_size, 8);
  assert_int_equal(options.value_align, 8);
  assert_int_equal(options.inline_value_size, 256);
  assert_int_equal(options.shard_groups, 64);
  assert_int_equal(options.shard_bytes, 65536);
  assert_int_equal(options.seed[0], 0);
  assert_int_equal(options.seed[1], 0);
  assert_null(options.key_hash);
  assert_null(options.value_destroy);
  cmap_destroy(map);
}

static void inline_key_sizes_are_rounded(void **state)
{
  static const size_t sizes[][2] = {{0, 23},  {1, 23},  {20, 23}, {23, 23},
                                    {24, 31}, {32, 39}, {62, 63}, {63, 63}};

  (void)state;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    struct cmap_options options;
    struct cmap *map = NULL;
    cmap_options_init(&options, CMAP_STRING, 4);
    options.inline_key_size = sizes[i][0];
    assert_ok(cmap_create(&options, &map));
    read_back(map, &options);
    assert_int_equal(options.inline_key_size, sizes[i][1]);
    cmap_destroy(map);
  }
}

static void what_is_set_is_read_back(void **state)
{
  const struct map_spec spec = {.keys = KEYS_CUSTOM_OWNED,
                                .value_size = 300,
                                .care = VALUES_OWNED,
                                .shard_groups = 2};
  struct cmap_options options;
  struct test_map m;

  (void)state;
  test_map_prepare(&m, &spec);
  m.options.flags = CMAP_FIXED_SEED;
  m.options.seed[0] = 11;
  m.options.seed[1] = 12;
  m.options.value_align = 64;
  m.options.inline_value_size = 500;
  m.options.shard_bytes = 20000;
  assert_ok(cmap_create(&m.options, &m.map));
  read_back(m.map, &options);
  assert_int_equal(options.flags, CMAP_FIXED_SEED);
  assert_int_equal(options.seed[0], 11);
  assert_int_equal(options.seed[1], 12);
  assert_int_equal(options.key_size, sizeof(struct tracked_key));
  assert_int_equal(options.value_size, 300);
  assert_int_equal(options.value_align, 64);
  assert_int_equal(options.inline_value_size, 500);
  assert_int_equal(options.shard_groups, 2);
  assert_int_equal(options.shard_bytes, 20000);
  assert_true(options.key_hash == m.options.key_hash);
  assert_true(options.key_equal == m.options.key_equal);
  assert_true(options.key_copy == m.options.key_copy);
  assert_true(options.key_destroy == m.options.key_destroy);
  assert_ptr_equal(options.key_ctx, m.options.key_ctx);
  assert_true(options.value_destroy == m.options.value_destroy);
  assert_true(options.value_clone == m.options.value_clone);
  assert_true(options.value_equal == m.options.value_equal);
  assert_ptr_equal(options.value_ctx, m.options.value_ctx);
  assert_true(options.allocator.alloc == m.options.allocator.alloc);
  assert_ptr_equal(options.allocator.ctx, m.options.allocator.ctx);
  test_map_close(&m);
}

static uint64_t hash_of_7(const struct cmap *map)
{
  uint64_t key = 7;
  uint64_t hash = 0;

  assert_ok(cmap_hash(map, cmap_key_u64(&key), &hash));
  return hash;
}

static struct cmap *seeded(uint64_t seed)
{
  struct cmap_options options;
  struct cmap *map = NULL;

  cmap_options_init(&options, CMAP_U64, 8);
  options.flags = CMAP_FIXED_SEED;
  options.seed[0] = seed;
  options.seed[1] = 99;
  assert_ok(cmap_create(&options, &map));
  return map;
}

static void seeds_decide_the_hash(void **state)
{
  struct cmap *one = seeded(1);
  struct cmap *same = seeded(1);
  struct cmap *two = seeded(2);
  struct cmap *random = numbers_open();
  struct cmap *other = numbers_open();
  struct cmap *copy = NULL;

  (void)state;
  assert_true(hash_of_7(one) == hash_of_7(same));
  assert_true(hash_of_7(one) != hash_of_7(two));
  assert_true(hash_of_7(random) != hash_of_7(other));
  assert_true(hash_of_7(random) == hash_of_7(random));
  assert_ok(cmap_clone(one, &copy, NULL));
  assert_true(hash_of_7(one) == hash_of_7(copy));
  cmap_destroy(copy);
  assert_ok(cmap_clone(random, &copy, NULL));
  assert_true(hash_of_7(random) == hash_of_7(copy));
  cmap_destroy(copy);
  cmap_destroy(one);
  cmap_destroy(same);
  cmap_destroy(two);
  cmap_destroy(random);
  cmap_destroy(other);
}

static void a_larger_options_struct_with_a_zero_tail(void **state)
{
  struct {
    struct cmap_options options;
    uint64_t unknown[2];
  } larger;
  struct cmap *map = NULL;

  (void)state;
  memset(&larger, 0, sizeof larger);
  cmap_options_init(&larger.options, CMAP_U32, 4);
  larger.options.size = sizeof larger;
  assert_ok(cmap_create(&larger.options, &map));
  cmap_destroy(map);
}

static void an_empty_map_is_small(void **state)
{
  const struct map_spec spec = {.keys = KEYS_U64, .value_size = 8};
  struct test_map m;

  (void)state;
  test_map_open(&m, &spec);
  assert_true(counting_alloc_live_bytes(&m.alloc) < 8192);
  assert_true(counting_alloc_live_bytes(&m.alloc) > 0);
  test_map_close(&m);
}

static void capacity_is_made_at_once(void **state)
{
  struct cmap_options options;
  struct cmap *map = NULL;

  (void)state;
  for (size_t capacity = 1; capacity <= 100000; capacity *= 10) {
    cmap_options_init(&options, CMAP_U64, 8);
    options.capacity = capacity;
    assert_ok(cmap_create(&options, &map));
    assert_true(cmap_capacity(map) >= capacity);
    assert_true(cmap_is_empty(map));
    numbers_put(map, 1, 2);
    cmap_destroy(map);
  }
  checks_assert();
}

static void create_and_destroy(const struct map_spec *spec, void *ctx)
{
  struct value_room value;
  struct key_room room;
  struct test_map m;

  (void)ctx;
  checks_about(map_spec_name(spec));
  test_map_open(&m, spec);
  CHECK(cmap_is_empty(m.map));
  CHECK(cmap_len(m.map) == 0);
  test_map_close(&m);
  test_map_open(&m, spec);
  for (uint64_t id = 0; id < 3; id++) {
    value_make(&m, id, 1, value.bytes);
    CHECK_OK(cmap_insert(m.map, key_make(spec, id, &room), value.bytes, NULL,
                         NULL, NULL));
  }
  test_map_close(&m);
}

static void every_kind_is_created_and_destroyed(void **state)
{
  (void)state;
  map_spec_each(create_and_destroy, NULL);
}

static enum cmap_status view_aligned(struct cmap_key key, const void *value,
                                     void *ctx)
{
  (void)key;
  CHECK((uintptr_t)value % *(size_t *)ctx == 0);
  return CMAP_OK;
}

static enum cmap_status make_aligned(struct cmap_key key, void *value,
                                     void *ctx)
{
  return view_aligned(key, value, ctx);
}

/* In place: values are aligned also where the allocator aligns to no more
   than it must. */
static void values_are_aligned(void **state)
{
  static const size_t sizes[] = {1, 8, 24, 64, 65, 300, 2000};

  (void)state;
  for (size_t align = 1; align <= 64; align *= 2) {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
      const struct map_spec spec = {.keys = KEYS_FIXED_3,
                                    .value_size = sizes[i]};
      struct test_map m;
      struct key_room room;
      test_map_prepare(&m, &spec);
      m.options.value_align = align;
      assert_ok(cmap_create(&m.options, &m.map));
      for (uint64_t id = 0; id < 40; id++) {
        CHECK_OK(cmap_get_or_insert_with(m.map, key_make(&spec, id, &room),
                                         NULL, NULL, make_aligned, &align,
                                         NULL));
      }
      CHECK_OK(cmap_view_all(m.map, view_aligned, &align, NULL));
      test_map_close(&m);
    }
  }
}

static void use_default_memory(unsigned flags)
{
  struct cmap_options options;
  struct cmap *map = NULL;

  cmap_options_init(&options, CMAP_U64, 8);
  options.flags = flags;
  assert_ok(cmap_create(&options, &map));
  for (uint64_t id = 0; id < 30000; id++) {
    numbers_put(map, id, id * 3);
  }
  for (uint64_t id = 0; id < 30000; id++) {
    CHECK(numbers_get(map, id) == id * 3);
  }
  cmap_destroy(map);
  checks_assert();
}

static void without_an_allocator(void **state)
{
  (void)state;
  use_default_memory(0);
  use_default_memory(CMAP_HUGE_PAGES);
}

static void destroying_no_map(void **state)
{
  (void)state;
  cmap_destroy(NULL);
}

static void statuses_have_names_and_texts(void **state)
{
  (void)state;
#define NAMED(name, value, text)                                               \
  assert_int_equal(name, value);                                               \
  assert_string_equal(cmap_status_name(name), #name);                          \
  assert_string_equal(cmap_status_text(name), text);
  CMAP_STATUS_MAP(NAMED)
#undef NAMED
  assert_non_null(cmap_status_name((enum cmap_status)USER_STATUS));
  assert_non_null(cmap_status_text((enum cmap_status)INT_MAX));
  assert_non_null(cmap_status_name((enum cmap_status) - 1000));
  assert_non_null(cmap_status_text((enum cmap_status)INT_MIN));
}

static void create_many(unsigned index, void *ctx)
{
  size_t rounds = test_scale(200);

  (void)ctx;
  for (size_t i = 0; i < rounds; i++) {
    struct cmap *map = numbers_open_small();
    for (uint64_t id = 0; id < 30; id++) {
      numbers_put(map, id, index);
    }
    CHECK(cmap_len(map) == 30);
    cmap_destroy(map);
  }
}

static void several_threads_create_maps(void **state)
{
  (void)state;
  threads_run(4, create_many, NULL);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(defaults_are_filled_in),
      cmocka_unit_test(inline_key_sizes_are_rounded),
      cmocka_unit_test(what_is_set_is_read_back),
      cmocka_unit_test(seeds_decide_the_hash),
      cmocka_unit_test(a_larger_options_struct_with_a_zero_tail),
      cmocka_unit_test(an_empty_map_is_small),
      cmocka_unit_test(capacity_is_made_at_once),
      cmocka_unit_test(every_kind_is_created_and_destroyed),
      cmocka_unit_test(values_are_aligned),
      cmocka_unit_test(without_an_allocator),
      cmocka_unit_test(destroying_no_map),
      cmocka_unit_test(statuses_have_names_and_texts),
      cmocka_unit_test(several_threads_create_maps),
  };

  return cmocka_run_group_tests_name("create_options", tests, NULL, NULL);
}
