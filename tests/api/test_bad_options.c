/* Options that cmap_create refuses, and those at the very limit. */
#include "checks.h"
#include "counting_alloc.h"

#include <string.h>

static uint64_t hash(struct cmap_key key, void *ctx)
{
  (void)ctx;
  return key.size;
}

static bool equal(struct cmap_key stored, struct cmap_key key, void *ctx)
{
  (void)ctx;
  return memcmp(stored.data, key.data, key.size) == 0;
}

static enum cmap_status copy_key(struct cmap_key key, void *stored, void *ctx)
{
  (void)ctx;
  memcpy(stored, key.data, key.size);
  return CMAP_OK;
}

static void destroy(void *object, void *ctx)
{
  (void)object;
  (void)ctx;
}

static enum cmap_status clone(const void *value, void *copy, void *ctx)
{
  (void)ctx;
  memcpy(copy, value, 8);
  return CMAP_OK;
}

static struct cmap_options make(enum cmap_key_kind kind)
{
  struct cmap_options options;

  cmap_options_init(&options, kind, 8);
  if (kind == CMAP_FIXED || kind == CMAP_CUSTOM) {
    options.key_size = 8;
  }
  if (kind == CMAP_CUSTOM) {
    options.key_hash = hash;
    options.key_equal = equal;
  }
  return options;
}

static void expect(struct cmap_options options, enum cmap_status expected,
                   int line)
{
  struct counting_alloc counting;
  struct cmap *map = (struct cmap *)&counting;
  enum cmap_status status;

  counting_alloc_begin(&counting);
  if (!options.allocator.alloc && !options.allocator.free) {
    options.allocator = counting_alloc_hook(&counting);
  }
  status = cmap_create(&options, &map);
  if (status == CMAP_OK) {
    cmap_destroy(map);
  } else {
    CHECK(map == NULL);
  }
  if (!counting_alloc_is_empty(&counting)) {
    check_failed(__FILE__, line, "something is left of a refused map");
  }
  check_status(__FILE__, line, "cmap_create", status, expected);
}

#define REFUSED(options)  expect((options), CMAP_EINVAL, __LINE__)
#define ACCEPTED(options) expect((options), CMAP_OK, __LINE__)

static void no_arguments(void **state)
{
  struct cmap_options options = make(CMAP_U64);
  struct cmap *map = NULL;

  (void)state;
  assert_status(cmap_create(NULL, &map), CMAP_EINVAL);
  assert_status(cmap_create(&options, NULL), CMAP_EINVAL);
  assert_null(map);
}

static void sizes_of_the_struct(void **state)
{
  struct {
    struct cmap_options options;
    unsigned char tail[64];
  } large;
  struct cmap *map = NULL;

  (void)state;
  memset(&large, 0, sizeof large);
  large.options = make(CMAP_U64);
  for (size_t i = 0; i < sizeof large.tail; i++) {
    large.options.size = sizeof large;
    large.tail[i] = 1;
    assert_status(cmap_create(&large.options, &map), CMAP_EINVAL);
    large.tail[i] = 0;
  }
  large.options.size = SIZE_MAX;
  assert_status(cmap_create(&large.options, &map), CMAP_EINVAL);
  assert_null(map);
  large.options.size = sizeof large;
  assert_ok(cmap_create(&large.options, &map));
  cmap_destroy(map);
}

static void kinds_and_flags(void **state)
{
  struct cmap_options options;

  (void)state;
  options = make(CMAP_U64);
  options.seed[1] = 1;
  REFUSED(options);
  options.flags = CMAP_FIXED_SEED;
  ACCEPTED(options);
  for (unsigned kind = 0; kind < 100; kind++) {
    options = make(CMAP_U64);
    options.key_kind = kind;
    if (kind == 0 || kind > CMAP_CUSTOM) {
      REFUSED(options);
    }
  }
  for (unsigned kind = CMAP_U32; kind <= CMAP_CUSTOM; kind++) {
    ACCEPTED(make((enum cmap_key_kind)kind));
  }
  for (unsigned bit = 7; bit < 32; bit++) {
    options = make(CMAP_U64);
    options.flags = 1u << bit;
    REFUSED(options);
  }
  options = make(CMAP_U64);
  options.flags = CMAP_HASH_IS_GOOD; /* of which hash? */
  REFUSED(options);
  options.key_hash = hash;
  ACCEPTED(options);
  options.flags |= CMAP_HASH_FAST;
  REFUSED(options);
  options.flags = CMAP_HASH_SIPHASH; /* beside a hash of one's own */
  REFUSED(options);
  options = make(CMAP_STRING);
  options.flags = CMAP_HASH_SIPHASH | CMAP_HASH_FAST;
  REFUSED(options);
  checks_assert();
}

static void key_sizes(void **state)
{
  static const enum cmap_key_kind sized[] = {CMAP_FIXED, CMAP_CUSTOM};
  static const struct {
    enum cmap_key_kind kind;
    size_t size;
    bool right;
  } others[] = {
      {CMAP_U32, 0, true},    {CMAP_U32, 4, true},     {CMAP_U32, 8, false},
      {CMAP_U64, 0, true},    {CMAP_U64, 8, true},     {CMAP_U64, 4, false},
      {CMAP_STRING, 0, true}, {CMAP_STRING, 8, false}, {CMAP_BYTES, 0, true},
      {CMAP_BYTES, 8, false},
  };

  (void)state;
  for (size_t i = 0; i < 2; i++) {
    struct cmap_options options = make(sized[i]);
    for (options.key_size = 1; options.key_size <= 256; options.key_size++) {
      ACCEPTED(options);
    }
    REFUSED(options);
    options.key_size = 0;
    REFUSED(options);
    options.key_size = SIZE_MAX;
    REFUSED(options);
  }
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    struct cmap_options options = make(others[i].kind);
    options.key_size = others[i].size;
    expect(options, others[i].right ? CMAP_OK : CMAP_EINVAL, __LINE__);
  }
  checks_assert();
}

static void inline_sizes(void **state)
{
  struct cmap_options options = make(CMAP_STRING);

  (void)state;
  for (options.inline_key_size = 0; options.inline_key_size <= 63;
       options.inline_key_size++) {
    ACCEPTED(options);
  }
  REFUSED(options);
  options.inline_key_size = SIZE_MAX;
  REFUSED(options);
  options = make(CMAP_U64);
  options.inline_value_size = 1024;
  ACCEPTED(options);
  options.inline_value_size = 1025;
  REFUSED(options);
  options.inline_value_size = SIZE_MAX;
  REFUSED(options);
  checks_assert();
}

static void values(void **state)
{
  struct cmap_options options = make(CMAP_U64);

  (void)state;
  for (size_t align = 0; align <= 300; align++) {
    bool power = align == 0 || (align & (align - 1)) == 0;
    options.value_align = align;
    expect(options, power && align <= 64 ? CMAP_OK : CMAP_EINVAL, __LINE__);
  }
  options = make(CMAP_U64);
  options.value_size = SIZE_MAX;
  REFUSED(options);
  options.value_size = 1 << 20;
  ACCEPTED(options);
  options = make(CMAP_U64);
  options.value_clone = clone; /* who would release the clones? */
  REFUSED(options);
  options.value_destroy = destroy;
  ACCEPTED(options);
  checks_assert();
}

static void shards(void **state)
{
  struct cmap_options options = make(CMAP_U64);

  (void)state;
  for (size_t groups = 0; groups <= 5000; groups++) {
    bool power = groups == 0 || (groups & (groups - 1)) == 0;
    options.shard_groups = groups;
    expect(options, power && groups <= 4096 ? CMAP_OK : CMAP_EINVAL, __LINE__);
  }
  options = make(CMAP_U64);
  options.shard_bytes = 1;
  ACCEPTED(options);
  options.shard_bytes = SIZE_MAX;
  ACCEPTED(options);
  checks_assert();
}

static void custom_keys(void **state)
{
  struct cmap_options options = make(CMAP_CUSTOM);

  (void)state;
  options.key_hash = NULL;
  REFUSED(options);
  options = make(CMAP_CUSTOM);
  options.key_equal = NULL;
  REFUSED(options);
  options = make(CMAP_CUSTOM);
  options.key_copy = copy_key;
  REFUSED(options);
  options.key_destroy = destroy;
  ACCEPTED(options);
  options.key_copy = NULL;
  ACCEPTED(options);
  for (unsigned kind = CMAP_U32; kind < CMAP_CUSTOM; kind++) {
    options = make((enum cmap_key_kind)kind);
    options.key_equal = equal;
    REFUSED(options);
    options = make((enum cmap_key_kind)kind);
    options.key_copy = copy_key;
    options.key_destroy = destroy;
    REFUSED(options);
    options = make((enum cmap_key_kind)kind);
    options.key_hash = hash;
    ACCEPTED(options);
  }
  checks_assert();
}

static void half_an_allocator(void **state)
{
  struct counting_alloc counting;
  struct cmap_allocator hook = counting_alloc_hook(&counting);
  struct cmap_options options = make(CMAP_U64);

  (void)state;
  counting_alloc_begin(&counting);
  options.allocator.alloc = hook.alloc;
  REFUSED(options);
  options.allocator.alloc = NULL;
  options.allocator.free = hook.free;
  REFUSED(options);
  checks_assert();
}

static void more_room_than_there_is(void **state)
{
  struct cmap_options options = make(CMAP_U64);
  struct counting_alloc counting;
  struct cmap *map = NULL;
  enum cmap_status status;

  (void)state;
  counting_alloc_begin(&counting);
  counting_alloc_fail_from(&counting, 100);
  options.allocator = counting_alloc_hook(&counting);
  options.capacity = SIZE_MAX;
  status = cmap_create(&options, &map);
  assert_true(status == CMAP_ENOMEM || status == CMAP_EINVAL);
  assert_null(map);
  assert_true(counting_alloc_is_empty(&counting));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_arguments),
      cmocka_unit_test(sizes_of_the_struct),
      cmocka_unit_test(kinds_and_flags),
      cmocka_unit_test(key_sizes),
      cmocka_unit_test(inline_sizes),
      cmocka_unit_test(values),
      cmocka_unit_test(shards),
      cmocka_unit_test(custom_keys),
      cmocka_unit_test(half_an_allocator),
      cmocka_unit_test(more_room_than_there_is),
  };

  return cmocka_run_group_tests_name("bad_options", tests, NULL, NULL);
}
