/*
 * words.h and key.h: strings as words, and the probes of short strings.
 */
#include <stdlib.h>
#include <string.h>

#include "checks.h"
#include "random.h"
#include "table/key.h"
#include "tables.h"

/* Key words of different short keys differ: all keys of up to three bytes out
   of a few, which include those that the stored form uses itself. */
static void inline_words_are_unique(void **state)
{
  static const unsigned char letters[] = {0, 1, 20, 22, 23, 'a', 0xff};
  enum { LETTERS = sizeof letters, MOST = 1 + LETTERS + LETTERS * LETTERS * 8 };
  static uint64_t words[MOST][3];
  size_t n = 0;

  (void)state;
  for (size_t size = 0; size <= 3; size++) {
    size_t count = 1;

    for (size_t i = 0; i < size; i++)
      count *= LETTERS;
    for (size_t i = 0; i < count; i++) {
      unsigned char bytes[3] = {letters[i % LETTERS],
                                letters[i / LETTERS % LETTERS],
                                letters[i / LETTERS / LETTERS % LETTERS]};

      assert_true(n < MOST);
      cmap__inline_words(words[n], 3, bytes, size);
      for (size_t j = 0; j < n; j++)
        assert_memory_not_equal(words[j], words[n], sizeof *words);
      n++;
    }
  }
}

/* "", "\0", "\0\0" ... up to the longest: all different, none like a box. */
static void inline_words_tell_lengths_apart(void **state)
{
  static const unsigned char fills[] = {0, 0xff};
  unsigned char bytes[64];

  (void)state;
  for (unsigned n = 3; n <= 8; n++) {
    uint64_t words[64][8] = {{0}};

    for (size_t f = 0; f < sizeof fills; f++) {
      memset(bytes, fills[f], sizeof bytes);
      for (size_t size = 0; size < 8 * n; size++) {
        cmap__inline_words(words[size], n, bytes, size);
        assert_int_not_equal(((unsigned char *)words[size])[8 * n - 1],
                             CMAP__KEY_BOXED);
        for (size_t j = 0; j < size; j++)
          assert_memory_not_equal(words[j], words[size], sizeof *words);
      }
    }
  }
}

/* A copy that ends where its memory ends, so that a sanitizer sees a read
 * beyond it. The caller frees what is returned. */
static unsigned char *copy_of(const void *data, size_t size)
{
  unsigned char *copy = malloc(size + (size == 0));

  assert_non_null(copy);
  if (size > 0)
    memcpy(copy, data, size);
  return copy;
}

/* The words of a short string are its bytes and zeros; each byte of 0 in it is
 * seen, and none behind it. */
static void short_words_are_the_bytes(void **state)
{
  unsigned char data[CMAP__SHORT_SIZE];
  struct random random;

  (void)state;
  random_begin(&random, 1);
  for (size_t size = 0; size <= CMAP__SHORT_SIZE; size++) {
    /* Byte `zero` is 0; none if it is size. */
    for (size_t zero = 0; zero <= size; zero++) {
      uint64_t words[CMAP__SHORT_WORDS], expected[CMAP__SHORT_WORDS] = {0};
      unsigned char *copy;

      for (size_t i = 0; i < size; i++)
        data[i] =
            (unsigned char)(i == zero ? 0 : 1 + random_below(&random, 255));
      memcpy(expected, data, size);
      copy = copy_of(data, size);
      assert_int_equal(cmap__short_words(words, copy, size), zero < size);
      assert_memory_equal(words, expected, sizeof words);
      free(copy);
    }
  }
}

/* Bytes next to those that count: 1 and 0x80 are what carries would come from.
 */
static void zero_bytes_are_told_from_their_neighbours(void **state)
{
  static const unsigned char fills[] = {0x01, 0x7f, 0x80, 0x81, 0xff};
  unsigned char data[CMAP__SHORT_SIZE];
  uint64_t words[CMAP__SHORT_WORDS];

  (void)state;
  for (size_t f = 0; f < sizeof fills; f++) {
    for (size_t size = 0; size <= CMAP__SHORT_SIZE; size++) {
      memset(data, fills[f], sizeof data);
      assert_false(cmap__short_words(words, data, size));
      for (size_t zero = 0; zero < size; zero++) {
        data[zero] = 0;
        assert_true(cmap__short_words(words, data, size));
        data[zero] = fills[f];
      }
    }
  }
}

/* The probe of a short string is what the general way makes of it. */
static void check_probe(const struct cmap__layout *layout, const void *data,
                        size_t size)
{
  struct cmap__probe probe, other;
  struct cmap__layout general = *layout;
  unsigned char *copy = copy_of(data, size);
  struct cmap_key key = cmap_key_bytes(copy, size);
  enum cmap_status status;

  general.shape = CMAP__SHAPE_WORDS;
  status = cmap__probe_init(&general, key, NULL, &other);
  assert_int_equal(cmap__probe_init(layout, key, NULL, &probe), status);
  if (status == CMAP_OK) {
    assert_int_equal(probe.hash, other.hash);
    assert_int_equal(probe.hash, cmap__key_hash(layout, probe.key));
    assert_false(probe.boxed);
    assert_ptr_equal(probe.key.data, copy);
    assert_int_equal(probe.key.size, size);
    assert_memory_equal(probe.words, other.words, 8 * CMAP__SHORT_WORDS);
  }
  free(copy);
}

static void probes_are_those_of_the_general_way(void **state)
{
  static const unsigned flags[] = {0, CMAP_HASH_FAST};
  unsigned char data[CMAP__SHORT_SIZE];
  struct random random;

  (void)state;
  random_begin(&random, 2);
  for (unsigned kind = CMAP_STRING; kind <= CMAP_BYTES; kind++) {
    for (size_t f = 0; f < sizeof flags / sizeof *flags; f++) {
      struct cmap_options options;
      struct cmap__layout layout;
      struct cmap__user user;

      cmap_options_init(&options, kind, 8);
      options.flags = flags[f];
      assert_ok(cmap__layout_init(&layout, &options, &user));
      assert_int_equal(layout.shape, CMAP__SHAPE_SHORT);
      for (size_t size = 0; size <= CMAP__SHORT_SIZE; size++) {
        for (int round = 0; round < 100; round++) {
          for (size_t i = 0; i < size; i++)
            data[i] =
                (unsigned char)random_below(&random, round % 2 == 0 ? 3 : 256);
          check_probe(&layout, data, size);
        }
      }
    }
  }
}

/* Which layouts have which shape. */
static void shapes_follow_from_the_options(void **state)
{
  static const struct {
    unsigned kind, flags;
    size_t key_size, value_size, inline_key_size;
    enum cmap__shape shape;
  } cases[] = {
      {CMAP_U64, 0, 0, 8, 0, CMAP__SHAPE_WORD},
      {CMAP_U64, 0, 0, 4, 0, CMAP__SHAPE_PLAIN},
      {CMAP_U64, 0, 0, 9, 0, CMAP__SHAPE_INTEGER},
      {CMAP_U64, 0, 0, 0, 0, CMAP__SHAPE_INTEGER},
      {CMAP_U64, 0, 0, 2000, 0, CMAP__SHAPE_INTEGER},
      {CMAP_U32, 0, 0, 8, 0, CMAP__SHAPE_PLAIN},
      {CMAP_U32, 0, 0, 0, 0, CMAP__SHAPE_INTEGER},
      {CMAP_U32, 0, 0, 4, 0, CMAP__SHAPE_PACKED},
      {CMAP_U32, CMAP_HASH_SIPHASH, 0, 4, 0, CMAP__SHAPE_WORDS},
      {CMAP_FIXED, 0, 4, 1, 0, CMAP__SHAPE_PACKED},
      {CMAP_FIXED, 0, 5, 4, 0, CMAP__SHAPE_PLAIN},
      {CMAP_FIXED, 0, 8, 8, 0, CMAP__SHAPE_PLAIN},
      {CMAP_U64, CMAP_HASH_SIPHASH, 0, 8, 0, CMAP__SHAPE_WORDS},
      {CMAP_FIXED, 0, 9, 8, 0, CMAP__SHAPE_PAIR},
      {CMAP_FIXED, 0, 16, 24, 0, CMAP__SHAPE_PAIR},
      {CMAP_FIXED, CMAP_HASH_SIPHASH, 16, 8, 0, CMAP__SHAPE_WORDS},
      {CMAP_FIXED, 0, 17, 8, 0, CMAP__SHAPE_WORDS},
      {CMAP_STRING, 0, 0, 8, 0, CMAP__SHAPE_SHORT},
      {CMAP_BYTES, 0, 0, 2000, 23, CMAP__SHAPE_SHORT},
      {CMAP_STRING, 0, 0, 8, 31, CMAP__SHAPE_WORDS},
  };

  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct cmap_options options;
    struct cmap__layout layout;
    struct cmap__user user;

    cmap_options_init(&options, cases[i].kind, cases[i].value_size);
    options.key_size = cases[i].key_size;
    options.flags = cases[i].flags;
    options.inline_key_size = cases[i].inline_key_size;
    assert_ok(cmap__layout_init(&layout, &options, &user));
    assert_int_equal(layout.shape, cases[i].shape);
    assert_int_equal(layout.stores_hash, layout.shape >= CMAP__SHAPE_SHORT);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(inline_words_are_unique),
      cmocka_unit_test(inline_words_tell_lengths_apart),
      cmocka_unit_test(short_words_are_the_bytes),
      cmocka_unit_test(zero_bytes_are_told_from_their_neighbours),
      cmocka_unit_test(probes_are_those_of_the_general_way),
      cmocka_unit_test(shapes_follow_from_the_options),
  };

  return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
