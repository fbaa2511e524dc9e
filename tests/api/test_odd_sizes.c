/* Keys of 0 bytes and of 1 MiB, values of 0 bytes and of 1 MiB. */
#include "checks.h"
#include "counting_alloc.h"

#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

static struct cmap *open_map(struct counting_alloc *counting,
                             enum cmap_key_kind kind, size_t value_size)
{
  struct cmap_options options;
  struct cmap *map = NULL;

  counting_alloc_begin(counting);
  cmap_options_init(&options, kind, value_size);
  options.allocator = counting_alloc_hook(counting);
  assert_ok(cmap_create(&options, &map));
  return map;
}

static void close_map(struct cmap *map, struct counting_alloc *counting)
{
  cmap_destroy(map);
  assert_true(counting_alloc_is_empty(counting));
  checks_assert();
}

static unsigned char *make_bytes(size_t size, unsigned char first)
{
  unsigned char *bytes = malloc(size + 1);

  assert_non_null(bytes);
  memset(bytes, 'k', size + 1);
  bytes[0] = first;
  return bytes;
}

struct expected {
  struct cmap_key key;
  uint64_t value;
  size_t calls;
};

static enum cmap_status see(struct cmap_key key, const void *value, void *ctx)
{
  struct expected *expected = ctx;

  CHECK(key.size == expected->key.size);
  CHECK(memcmp(key.data, expected->key.data, key.size) == 0);
  CHECK(((const char *)key.data)[key.size] == 0);
  CHECK(memcmp(value, &expected->value, sizeof expected->value) == 0);
  expected->calls++;
  return CMAP_OK;
}

/* Every operation with one key. */
static void use_key(struct cmap *map, struct cmap_key key)
{
  struct expected expected = {.key = key, .value = 3};
  enum cmap_event event = NO_EVENT;
  uint64_t value = 1;
  uint64_t out = 0;
  uint64_t hash = 0;
  struct cmap_how how;

  assert_status(cmap_get(map, key, &out, NULL), CMAP_NOT_FOUND);
  assert_ok(cmap_insert_new(map, key, &value, NULL, NULL));
  value = 2;
  assert_ok(cmap_insert(map, key, &value, &out, &event, NULL));
  assert_int_equal(event, CMAP_UPDATED);
  assert_int_equal(out, 1);
  assert_ok(cmap_fetch_add(map, key, 1, &out, NULL));
  assert_int_equal(out, 2);
  assert_ok(cmap_hash(map, key, &hash));
  how = cmap_how_hashed(hash);
  assert_ok(cmap_get(map, key, &out, &how));
  assert_int_equal(out, 3);
  assert_ok(cmap_view(map, key, see, &expected, NULL));
  assert_ok(cmap_view_all(map, see, &expected, NULL));
  assert_int_equal(expected.calls, 2);
  assert_ok(cmap_remove(map, key, &out, NULL));
  assert_int_equal(out, 3);
  assert_true(cmap_is_empty(map));
}

static void keys_of_every_size(void **state)
{
  static const enum cmap_key_kind kinds[] = {CMAP_STRING, CMAP_BYTES};
  static const size_t sizes[] = {0,  1,  7,   8,    22,   23,    24,      31,
                                 63, 64, 255, 4095, 4096, 65536, MIB - 1, MIB};

  (void)state;
  for (size_t i = 0; i < 2; i++) {
    struct counting_alloc counting;
    struct cmap *map = open_map(&counting, kinds[i], 8);
    for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
      unsigned char *bytes = make_bytes(sizes[j], 'a');
      use_key(map, cmap_key_bytes(bytes, sizes[j]));
      free(bytes);
    }
    close_map(map, &counting);
  }
}

/* Keys that are a part of one another. */
static void keys_of_all_sizes_together(void **state)
{
  struct counting_alloc counting;
  struct cmap *map = open_map(&counting, CMAP_BYTES, 8);
  unsigned char *bytes = calloc(MIB + 3, 1);

  (void)state;
  assert_non_null(bytes);
  for (size_t size = 0; size <= MIB; size = size ? size * 2 : 1) {
    uint64_t value = size;
    assert_ok(
        cmap_insert_new(map, cmap_key_bytes(bytes, size), &value, NULL, NULL));
  }
  assert_int_equal(cmap_len(map), 22);
  for (size_t size = 0; size <= MIB; size = size ? size * 2 : 1) {
    uint64_t value = 99;
    assert_ok(cmap_get(map, cmap_key_bytes(bytes, size), &value, NULL));
    assert_int_equal(value, size);
    assert_status(cmap_contains(map, cmap_key_bytes(bytes, size + 3), NULL),
                  size == 1 ? CMAP_OK : CMAP_NOT_FOUND);
  }
  free(bytes);
  close_map(map, &counting);
}

static void last_byte_of_a_mib(void **state)
{
  struct counting_alloc counting;
  struct cmap *map = open_map(&counting, CMAP_STRING, 0);
  unsigned char *bytes = make_bytes(MIB, 'a');

  (void)state;
  assert_ok(cmap_insert_new(map, cmap_key_bytes(bytes, MIB), NULL, NULL, NULL));
  bytes[MIB - 1] = 'x';
  assert_status(cmap_contains(map, cmap_key_bytes(bytes, MIB), NULL),
                CMAP_NOT_FOUND);
  bytes[MIB - 1] = 0;
  assert_status(cmap_contains(map, cmap_key_bytes(bytes, MIB), NULL),
                CMAP_EINVAL);
  bytes[MIB - 1] = 'k';
  assert_ok(cmap_contains(map, cmap_key_bytes(bytes, MIB), NULL));
  free(bytes);
  close_map(map, &counting);
}

static enum cmap_status fill(struct cmap_key key, void *value, void *ctx)
{
  (void)key;
  memset(value, *(unsigned char *)ctx, MIB);
  return CMAP_OK;
}

static bool is_filled(const unsigned char *value, unsigned char byte)
{
  for (size_t i = 0; i < MIB; i++) {
    if (value[i] != byte) {
      return false;
    }
  }
  return true;
}

static void values_of_a_mib(void **state)
{
  struct counting_alloc counting;
  struct cmap *map = open_map(&counting, CMAP_U64, MIB);
  unsigned char *value = make_bytes(MIB, 'k');
  unsigned char *out = make_bytes(MIB, 0);
  struct cmap *copy = NULL;
  bool equal = false;

  (void)state;
  for (uint64_t id = 0; id < 20; id++) {
    unsigned char byte = (unsigned char)(id + 1);
    memset(value, byte, MIB);
    assert_ok(cmap_insert(map, cmap_key_u64(&id), value, NULL, NULL, NULL));
    byte++;
    assert_ok(cmap_alter(map, cmap_key_u64(&id), fill, &byte, NULL));
  }
  for (uint64_t id = 0; id < 20; id++) {
    assert_ok(cmap_get(map, cmap_key_u64(&id), out, NULL));
    assert_true(is_filled(out, (unsigned char)(id + 2)));
    memset(value, (int)id, MIB);
    assert_ok(cmap_compare_exchange(map, cmap_key_u64(&id), out, value, NULL));
    out[MIB - 1] ^= 1;
    assert_status(
        cmap_compare_exchange(map, cmap_key_u64(&id), out, value, NULL),
        CMAP_MISMATCH);
  }
  assert_ok(cmap_clone(map, &copy, NULL));
  assert_ok(cmap_equal(map, copy, &equal, NULL));
  assert_true(equal);
  cmap_destroy(copy);
  for (uint64_t id = 0; id < 20; id++) {
    assert_ok(cmap_remove(map, cmap_key_u64(&id), out, NULL));
    assert_true(is_filled(out, (unsigned char)id));
  }
  assert_true(cmap_is_empty(map));
  /* Nothing of that size is kept. */
  assert_true(counting_alloc_live_bytes(&counting) < MIB);
  free(value);
  free(out);
  close_map(map, &counting);
}

static void sets_of_every_kind(void **state)
{
  struct counting_alloc counting;
  struct cmap *map = open_map(&counting, CMAP_U32, 0);

  (void)state;
  for (uint32_t id = 0; id < 1000; id++) {
    assert_ok(cmap_insert_new(map, cmap_key_u32(&id), NULL, NULL, NULL));
    assert_status(cmap_insert_new(map, cmap_key_u32(&id), NULL, NULL, NULL),
                  CMAP_EXISTS);
  }
  assert_int_equal(cmap_len(map), 1000);
  for (uint32_t id = 0; id < 2000; id++) {
    assert_status(cmap_remove(map, cmap_key_u32(&id), NULL, NULL),
                  id < 1000 ? CMAP_OK : CMAP_NOT_FOUND);
  }
  assert_true(cmap_is_empty(map));
  close_map(map, &counting);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keys_of_every_size),
      cmocka_unit_test(keys_of_all_sizes_together),
      cmocka_unit_test(last_byte_of_a_mib),
      cmocka_unit_test(values_of_a_mib),
      cmocka_unit_test(sets_of_every_kind),
  };

  return cmocka_run_group_tests_name("odd_sizes", tests, NULL, NULL);
}
