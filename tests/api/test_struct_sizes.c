/*
 * Programs that were compiled with an older header, whose structs end earlier:
 * what they do not know has its default, and of answers they are given what
 * they know. Each struct is in memory of exactly its size.
 */
#include "checks.h"

#include <stdlib.h>
#include <string.h>

#define WORD sizeof(size_t)

/* Can a struct of `known` bytes have been of this size, from `first` on? */
static bool is_part(size_t size, size_t first, size_t known)
{
  return size >= first && size <= known && size % WORD == 0;
}

/* The first bytes of a struct, as a struct of that size; to be freed. Not
 * inlined: the compiler would see that it is shorter than its type. */
static __attribute__((noinline)) void *cut(const void *from, size_t size)
{
  unsigned char *part = malloc(size < WORD ? WORD : size);

  assert_non_null(part);
  memcpy(part, from, size < WORD ? WORD : size);
  memcpy(part, &size, sizeof size);
  return part;
}

static void options(void **state)
{
  const size_t first = offsetof(struct cmap_options, value_align);
  struct cmap_options all, got;

  (void)state;
  cmap_options_init(&all, CMAP_U64, 24);
  for (size_t size = 0; size < sizeof all; size++) {
    struct cmap_options *older = cut(&all, size);
    struct cmap *map = NULL;
    bool is_known = is_part(size, first, sizeof all);

    CHECK_STATUS(cmap_create(older, &map), is_known ? CMAP_OK : CMAP_EINVAL);
    CHECK((map != NULL) == is_known);
    got.size = sizeof got;
    if (is_known) {
      CHECK_STATUS(cmap_get_options(map, &got), CMAP_OK);
      CHECK(got.value_size == 24 && got.value_align == 8);
      CHECK(got.shard_groups == 64 && got.value_destroy == NULL);
    }
    cmap_destroy(map);
    free(older);
  }
  checks_assert();
}

static void options_in_force(void **state)
{
  const size_t first = offsetof(struct cmap_options, value_align);
  struct cmap_options all = {.size = sizeof all};
  struct cmap *map;

  (void)state;
  cmap_options_init(&all, CMAP_STRING, 24);
  assert_ok(cmap_create(&all, &map));
  assert_ok(cmap_get_options(map, &all));
  for (size_t size = 0; size <= sizeof all + 2 * WORD; size++) {
    unsigned char *got = calloc(1, sizeof all + 2 * WORD);
    bool is_known = is_part(size, first, sizeof all);

    assert_non_null(got);
    memset(got, 0xa5, sizeof all + 2 * WORD);
    memcpy(got, &size, sizeof size);
    CHECK_STATUS(cmap_get_options(map, (void *)got),
                 is_known ? CMAP_OK : CMAP_EINVAL);
    if (is_known)
      CHECK(memcmp(got + WORD, (char *)&all + WORD, size - WORD) == 0);
    CHECK(memcmp(got, &size, sizeof size) == 0);
    CHECK(size < WORD || got[is_known ? size : WORD] == 0xa5);
    free(got);
  }
  cmap_destroy(map);
  checks_assert();
}

static void stats(void **state)
{
  struct cmap_options all;
  struct cmap *map;
  uint64_t key = 7;

  (void)state;
  cmap_options_init(&all, CMAP_U64, 8);
  assert_ok(cmap_create(&all, &map));
  assert_ok(cmap_insert(map, cmap_key_u64(&key), &key, NULL, NULL, NULL));
  for (size_t size = 0; size <= sizeof(struct cmap_stats) + WORD; size++) {
    struct cmap_stats zero = {0};
    struct cmap_stats *got =
        cut(&zero, size < sizeof zero ? size : sizeof zero);
    bool is_known = is_part(size, offsetof(struct cmap_stats, shards),
                            sizeof(struct cmap_stats));

    got->size = size;
    CHECK_STATUS(cmap_get_stats(map, got), is_known ? CMAP_OK : CMAP_EINVAL);
    CHECK(!is_known || got->entries == 1);
    free(got);
  }
  cmap_destroy(map);
  checks_assert();
}

/* Options of a store as a program has them that knows `keys_size` bytes of the
 * part about keys, and `rest_size` behind it. */
static struct cmap_store_options *
older_store(const struct cmap_store_options *all, size_t keys_size,
            size_t rest_size)
{
  size_t begin = offsetof(struct cmap_store_options, keys);
  unsigned char *older = calloc(1, begin + keys_size + rest_size);
  size_t size = begin + keys_size + rest_size;

  assert_non_null(older);
  memcpy(older, &size, sizeof size);
  memcpy(older + begin, &all->keys,
         keys_size < sizeof all->keys ? keys_size : sizeof all->keys);
  memcpy(older + begin, &keys_size, sizeof keys_size);
  memcpy(older + begin + keys_size,
         (const char *)all + offsetof(struct cmap_store_options, flags),
         rest_size);
  return (void *)older;
}

static unsigned destroyed;

static void count_destroyed(void *object, void *ctx)
{
  (void)object;
  destroyed += *(unsigned *)ctx;
}

static void store_options(void **state)
{
  const size_t rest = sizeof(struct cmap_store_options) -
                      offsetof(struct cmap_store_options, flags);
  const size_t keys_sizes[] = {offsetof(struct cmap_options, value_align),
                               offsetof(struct cmap_options, key_hash),
                               sizeof(struct cmap_options),
                               sizeof(struct cmap_options) + 2 * WORD};
  struct cmap_store_options all;
  unsigned one = 1, expected = 0;

  (void)state;
  cmap_store_options_init(&all, CMAP_U64, count_destroyed);
  all.object_ctx = &one;
  destroyed = 0;
  for (size_t i = 0; i < sizeof keys_sizes / sizeof *keys_sizes; i++) {
    for (size_t size = 0; size <= rest; size += WORD) {
      struct cmap_store_options *older = older_store(&all, keys_sizes[i], size);
      struct cmap_store *store = NULL;
      uint64_t key = 1;

      if (keys_sizes[i] > sizeof all.keys && size < rest) {
        assert_status(cmap_store_create(older, &store), CMAP_EINVAL);
        free(older);
        continue; /* newer and older at once */
      }
      assert_ok(cmap_store_create(older, &store));
      /* Of a part of destructor and context it would be run without. */
      if (size == rest || size == 0) {
        assert_ok(cmap_store_put(store, cmap_key_u64(&key), &one, NULL, NULL));
        expected += size == rest;
      }
      assert_ok(cmap_store_destroy(store));
      assert_int_equal(destroyed, expected);
      free(older);
    }
  }
}

static void store_stats(void **state)
{
  struct cmap_store_options all;
  struct cmap_store *store;

  (void)state;
  cmap_store_options_init(&all, CMAP_U64, NULL);
  assert_ok(cmap_store_create(&all, &store));
  for (size_t size = 0; size < sizeof(struct cmap_store_stats); size++) {
    struct cmap_store_stats zero = {.objects = 9};
    struct cmap_store_stats *got = cut(&zero, size);
    bool is_known =
        is_part(size, offsetof(struct cmap_store_stats, hits), sizeof zero);

    CHECK_STATUS(cmap_store_get_stats(store, got),
                 is_known ? CMAP_OK : CMAP_EINVAL);
    CHECK(!is_known || got->objects == 0);
    free(got);
  }
  assert_ok(cmap_store_destroy(store));
  checks_assert();
}

static void version(void **state)
{
  (void)state;
  assert_int_equal(cmap_version(), CMAP_VERSION);
  assert_true(CMAP_VERSION >= 1000);
}

/* As it was before there was a token. */
struct older_how {
  size_t size;
  unsigned flags;
  uint64_t hash, deadline_ns;
};

struct older_how older_how_within(uint64_t timeout_ns) CMAP_SYMBOL(how_within);

/* A function that returns one writes no more than there is, and that is taken
 * for what it is. */
static void how(void **state)
{
  struct {
    struct older_how how;
    unsigned char behind[sizeof(struct cmap_how)];
  } room;
  struct cmap_options options;
  struct cmap_how *older;
  struct cmap *map;
  uint64_t id = 1;

  (void)state;
  memset(&room, 0xa5, sizeof room);
  room.how = older_how_within(1000000000);
  for (size_t i = 0; i < sizeof room.behind; i++)
    CHECK(room.behind[i] == 0xa5);
  CHECK(room.how.size == offsetof(struct cmap_how, token));
  CHECK(room.how.flags == CMAP_DEADLINE && room.how.hash == 0);
  CHECK(room.how.deadline_ns <= cmap_deadline(1000000000));
  CHECK(cmap_deadline(UINT64_MAX) == UINT64_MAX - 1);
  cmap_options_init(&options, CMAP_U64, 8);
  CHECK_STATUS(cmap_create(&options, &map), CMAP_OK);
  older = cut(&room.how, sizeof room.how);
  CHECK_STATUS(cmap_contains(map, cmap_key_u64(&id), older), CMAP_NOT_FOUND);
  CHECK_STATUS(cmap_insert(map, cmap_key_u64(&id), &id, NULL, NULL, older),
               CMAP_OK);
  free(older);
  cmap_destroy(map);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(options),     cmocka_unit_test(options_in_force),
      cmocka_unit_test(stats),       cmocka_unit_test(store_options),
      cmocka_unit_test(store_stats), cmocka_unit_test(version),
      cmocka_unit_test(how),
  };

  return cmocka_run_group_tests_name("struct_sizes", tests, NULL, NULL);
}
