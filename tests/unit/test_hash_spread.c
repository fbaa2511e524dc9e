/*
 * How evenly hashes are spread over the fields that hash.h draws.
 *
 * Keys as programs have them (counters, multiples, pointers, numbered names)
 * are hashed under several hash keys, and their hashes are counted by one
 * field, and by two fields together: keys that share a group must not share
 * tags. The counts are held against chance by a chi-square test, avalanche by
 * the binomial distribution. The limits are those of 7 standard deviations of
 * the normal distribution, one false alarm in 10^12 checks: the tests find
 * structure, and do not disturb anybody by chance.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "random.h"
#include "table/key.h"

enum {
  HASHES = 16384,    /* hashes of one pattern: at least 4 a cell */
  CELL_BITS_MAX = 12 /* cells of the largest field */
};

/* One field of a hash, or two side by side. */
struct field {
  const char *name;
  unsigned shift_a, bits_a;
  unsigned shift_b, bits_b;
  double limit; /* of chi-square with 2^bits - 1 degrees of freedom */
};

/* The limits are by the Wilson-Hilferty approximation for 7 deviations. */
#define LIMIT_3_BITS  76.1
#define LIMIT_5_BITS  123.6
#define LIMIT_6_BITS  177.4
#define LIMIT_8_BITS  447.0
#define LIMIT_10_BITS 1372.6
#define LIMIT_12_BITS 4761.0

static const struct field fields[] = {
    {"directory, 8 bits", 56, 8, 0, 0, LIMIT_8_BITS},
    {"directory, 10 bits", 54, 10, 0, 0, LIMIT_10_BITS},
    {"group, 6 bits", 26, 6, 0, 0, LIMIT_6_BITS},
    {"group, 10 bits", 22, 10, 0, 0, LIMIT_10_BITS},
    {"position", 11, 5, 0, 0, LIMIT_5_BITS},
    {"overflow bit", 8, 3, 0, 0, LIMIT_3_BITS},
    {"tag", 0, 8, 0, 0, LIMIT_8_BITS},
    {"directory and group", 60, 4, 26, 6, LIMIT_10_BITS},
    {"directory and tag", 60, 4, 0, 8, LIMIT_12_BITS},
    {"group and tag", 28, 4, 0, 8, LIMIT_12_BITS},
    {"group and position", 27, 5, 11, 5, LIMIT_10_BITS},
    {"group and overflow bit", 27, 5, 8, 3, LIMIT_8_BITS},
    {"tag and position", 0, 5, 11, 5, LIMIT_10_BITS},
};

static unsigned field_of(const struct field *field, uint64_t hash)
{
  uint64_t a = hash >> field->shift_a & ((UINT64_C(1) << field->bits_a) - 1);
  uint64_t b = hash >> field->shift_b & ((UINT64_C(1) << field->bits_b) - 1);

  return (unsigned)(a << field->bits_b | b);
}

static double chi_square(const struct field *field, const uint64_t *hashes)
{
  static unsigned counts[1 << CELL_BITS_MAX];
  unsigned cells = 1u << (field->bits_a + field->bits_b);
  double expected = (double)HASHES / cells;
  double sum = 0;

  memset(counts, 0, cells * sizeof *counts);
  for (size_t i = 0; i < HASHES; i++)
    counts[field_of(field, hashes[i])]++;
  for (unsigned i = 0; i < cells; i++) {
    double off = counts[i] - expected;

    sum += off * off / expected;
  }
  return sum;
}

static void assert_spread(const char *what, const char *pattern,
                          const struct cmap__hash_key *key,
                          const uint64_t *hashes)
{
  bool uneven = false;

  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    double found = chi_square(&fields[i], hashes);

    if (found > fields[i].limit) {
      print_error("%s of %s, key %016" PRIx64 " %016" PRIx64 ": %s: "
                  "chi-square %.0f, limit %.0f\n",
                  what, pattern, key->k0, key->k1, fields[i].name, found,
                  fields[i].limit);
      uneven = true;
    }
  }
  assert_false(uneven);
}

/* The hash keys of every test: simple ones, which users fix, and random. */
enum { KEYS = 12, FIXED_KEYS = 4 };

static struct cmap__hash_key hash_key(unsigned i)
{
  static const struct cmap__hash_key fixed[FIXED_KEYS] = {
      {0, 0},
      {1, 0},
      {0, UINT64_MAX},
      {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)},
  };
  struct random random;

  if (i < FIXED_KEYS)
    return fixed[i];
  random_begin(&random, i);
  return (struct cmap__hash_key){random_next(&random), random_next(&random)};
}

/* -------------------------------------------------------------------------
 * Integers
 * ------------------------------------------------------------------------- */

static uint64_t pattern_multiple(uint64_t i, unsigned shift)
{
  return i << shift;
}

static uint64_t pattern_step(uint64_t i, unsigned step)
{
  return i * step;
}

static uint64_t pattern_heap(uint64_t i, unsigned step)
{
  return UINT64_C(0x000055d012340010) + i * step;
}

static uint64_t pattern_mapped(uint64_t i, unsigned step)
{
  return UINT64_C(0x00007fff00000000) + i * step;
}

static uint64_t pattern_negative(uint64_t i, unsigned step)
{
  return UINT64_MAX - i * step;
}

/* Few values in the low bits, few in the high ones. */
static uint64_t pattern_two_ends(uint64_t i, unsigned bits)
{
  return (i & ((1u << bits) - 1)) | i >> bits << 48;
}

/* The bits of whole numbers kept as double. */
static uint64_t pattern_double(uint64_t i, unsigned step)
{
  double number = (double)(i * step);
  uint64_t x;

  memcpy(&x, &number, sizeof x);
  return x;
}

/* What hash tables of 32 bits make of names: djb2's 33 times plus. */
static uint64_t pattern_weak_hash(uint64_t i, unsigned unused)
{
  uint32_t hash = 5381;
  char name[24];

  (void)unused;
  snprintf(name, sizeof name, "item%" PRIu64, i);
  for (const char *p = name; *p != '\0'; p++)
    hash = hash * 33 + (unsigned char)*p;
  return hash;
}

static const struct {
  const char *name;
  uint64_t (*at)(uint64_t i, unsigned parameter);
  unsigned parameter;
} integers[] = {
    {"counter", pattern_multiple, 0},
    {"even numbers", pattern_multiple, 1},
    {"multiples of 2^3", pattern_multiple, 3},
    {"multiples of 2^6", pattern_multiple, 6},
    {"multiples of 2^12", pattern_multiple, 12},
    {"multiples of 2^16", pattern_multiple, 16},
    {"multiples of 2^20", pattern_multiple, 20},
    {"multiples of 2^32", pattern_multiple, 32},
    {"multiples of 2^40", pattern_multiple, 40},
    {"highest 16 bits", pattern_multiple, 48},
    {"highest 14 bits", pattern_multiple, 50},
    {"multiples of 10", pattern_step, 10},
    {"multiples of 1000", pattern_step, 1000},
    {"pointers, 16 apart", pattern_heap, 16},
    {"pointers, 48 apart", pattern_heap, 48},
    {"pointers, 4096 apart", pattern_mapped, 4096},
    {"pointers, 65536 apart", pattern_mapped, 65536},
    {"negative numbers", pattern_negative, 1},
    {"two ends, 7 bits low", pattern_two_ends, 7},
    {"doubles", pattern_double, 1},
    {"32-bit hashes", pattern_weak_hash, 0},
};

static void integers_spread(void **state)
{
  static uint64_t hashes[HASHES];

  (void)state;
  for (unsigned k = 0; k < KEYS; k++) {
    const struct cmap__hash_key key = hash_key(k);

    for (size_t n = 0; n < sizeof integers / sizeof *integers; n++) {
      for (uint64_t i = 0; i < HASHES; i++)
        hashes[i] =
            cmap__hash_u64(&key, integers[n].at(i, integers[n].parameter));
      assert_spread("u64", integers[n].name, &key, hashes);
    }
  }
}

/* -------------------------------------------------------------------------
 * Strings
 * ------------------------------------------------------------------------- */

enum { STRING_MAX = 96 };

/* Each writes the i-th string of a pattern and returns its size. */
typedef size_t string_pattern(char *string, unsigned i, size_t parameter);

static size_t string_numbers(char *string, unsigned i, size_t unused)
{
  (void)unused;
  return (size_t)snprintf(string, STRING_MAX, "%u", i);
}

static size_t string_names(char *string, unsigned i, size_t digits)
{
  return (size_t)snprintf(string, STRING_MAX, "user:%0*u", (int)digits, i);
}

static size_t string_paths(char *string, unsigned i, size_t unused)
{
  (void)unused;
  return (size_t)snprintf(string, STRING_MAX,
                          "/usr/share/doc/package-%u/examples/%u.html", i / 64,
                          i % 64);
}

/* Zeros but for two bytes at an offset; the offset is half the parameter. */
static size_t string_sparse(char *string, unsigned i, size_t size)
{
  memset(string, 0, size);
  string[size / 2] = (char)(i & 0xff);
  string[size / 2 + 1] = (char)(i >> 8);
  return size;
}

/* The highest bits of its bytes only, two a byte. */
static size_t string_high_bits(char *string, unsigned i, size_t size)
{
  for (size_t byte = 0; byte < size; byte++)
    string[byte] = (char)(byte < 7 ? (i >> (2 * byte) & 3) << 6 : 0);
  return size;
}

static const struct {
  const char *name;
  string_pattern *write;
  size_t parameter;
} strings[] = {
    {"decimal numbers", string_numbers, 0},
    {"names of 10 bytes", string_names, 5},
    {"names of 16 bytes", string_names, 11},
    {"names of 17 bytes", string_names, 12},
    {"names of 23 bytes", string_names, 18},
    {"paths", string_paths, 0},
    {"3 sparse bytes", string_sparse, 3},
    {"4 sparse bytes", string_sparse, 4},
    {"7 sparse bytes", string_sparse, 7},
    {"8 sparse bytes", string_sparse, 8},
    {"16 sparse bytes", string_sparse, 16},
    {"32 sparse bytes", string_sparse, 32},
    {"64 sparse bytes", string_sparse, 64},
    {"80 sparse bytes", string_sparse, 80},
    {"high bits of 7 bytes", string_high_bits, 7},
    {"high bits of 8 bytes", string_high_bits, 8},
    {"high bits of 40 bytes", string_high_bits, 40},
};

typedef uint64_t string_hash(const struct cmap__hash_key *key, const void *data,
                             size_t size);

static void strings_spread(const char *what, string_hash *hash)
{
  static uint64_t hashes[HASHES];
  char string[STRING_MAX];

  for (unsigned k = 0; k < KEYS; k++) {
    const struct cmap__hash_key key = hash_key(k);

    for (size_t n = 0; n < sizeof strings / sizeof *strings; n++) {
      for (unsigned i = 0; i < HASHES; i++) {
        size_t size = strings[n].write(string, i, strings[n].parameter);

        hashes[i] = hash(&key, string, size);
      }
      assert_spread(what, strings[n].name, &key, hashes);
    }
  }
}

static void fast_strings_spread(void **state)
{
  (void)state;
  strings_spread("fast", cmap__hash_fast);
}

static void siphash13_strings_spread(void **state)
{
  (void)state;
  strings_spread("siphash13", cmap__hash_siphash13);
}

/* -------------------------------------------------------------------------
 * Fixed keys of several words, hashed as integers are (table/key.h)
 * ------------------------------------------------------------------------- */

static uint64_t fixed_hash(const struct cmap__hash_key *key, const void *data,
                           size_t size)
{
  struct cmap__layout layout = {.kind = CMAP_FIXED, .hash_key = *key};
  uint64_t words[(STRING_MAX + 7) / 8];
  unsigned n = (unsigned)(size + 7) / 8;

  cmap__fixed_words(words, n, data, size);
  return cmap__hash_of_words(&layout, words, n);
}

static size_t two_words(char *data, uint64_t a, uint64_t b)
{
  memcpy(data, &a, sizeof a);
  memcpy(data + sizeof a, &b, sizeof b);
  return sizeof a + sizeof b;
}

/* Pairs of ids: a grid of so many columns, wide in steps of so much. */
static size_t pairs_of_grid(char *data, unsigned i, size_t columns)
{
  return two_words(data, i / columns, i % columns);
}

static size_t pairs_of_steps(char *data, unsigned i, size_t step)
{
  return two_words(data, i / 128 * step, i % 128 * step);
}

static size_t pairs_alike(char *data, unsigned i, size_t factor)
{
  return two_words(data, i, i * factor);
}

/* Addresses: a network in front, hosts in the last bytes. */
static size_t pairs_of_hosts(char *data, unsigned i, size_t bits)
{
  return two_words(data, UINT64_C(0x0000b80d01200000), (uint64_t)i << bits);
}

static const struct {
  const char *name;
  string_pattern *write;
  size_t parameter;
} pairs[] = {
    {"grid of 2", pairs_of_grid, 2},
    {"grid of 128", pairs_of_grid, 128},
    {"grid of 8192", pairs_of_grid, 8192},
    {"steps of 2^8", pairs_of_steps, 1 << 8},
    {"steps of 1000", pairs_of_steps, 1000},
    {"steps of 2^32", pairs_of_steps, UINT32_MAX},
    {"the same twice", pairs_alike, 1},
    {"a number and its triple", pairs_alike, 3},
    {"first only", pairs_alike, 0},
    {"hosts", pairs_of_hosts, 0},
    {"hosts, upper bytes", pairs_of_hosts, 48},
};

static void fixed_keys_spread(void **state)
{
  static uint64_t hashes[HASHES];
  char data[STRING_MAX];

  (void)state;
  strings_spread("words", fixed_hash);
  for (unsigned k = 0; k < KEYS; k++) {
    const struct cmap__hash_key key = hash_key(k);

    for (size_t n = 0; n < sizeof pairs / sizeof *pairs; n++) {
      for (unsigned i = 0; i < HASHES; i++)
        hashes[i] =
            fixed_hash(&key, data, pairs[n].write(data, i, pairs[n].parameter));
      assert_spread("words", pairs[n].name, &key, hashes);
    }
  }
}

/* -------------------------------------------------------------------------
 * Avalanche: each bit of the data flips each bit of the hash half the time
 * ------------------------------------------------------------------------- */

enum {
  FLIPS = 4096,
  FLIPS_OFF = 7 * 32 /* 7 standard deviations of sqrt(4096) / 2 */
};

static uint64_t u64_as_string_hash(const struct cmap__hash_key *key,
                                   const void *data, size_t size)
{
  uint64_t x;

  (void)size;
  memcpy(&x, data, sizeof x);
  return cmap__hash_u64(key, x);
}

static void assert_avalanche(const char *what, string_hash *hash, size_t size)
{
  static unsigned flips[8 * STRING_MAX][64];
  unsigned char data[STRING_MAX];
  struct random random;

  memset(flips, 0, sizeof flips);
  random_begin(&random, 1000 + size);
  for (unsigned round = 0; round < FLIPS; round++) {
    const struct cmap__hash_key key = {random_next(&random),
                                       random_next(&random)};

    for (size_t i = 0; i < size; i++)
      data[i] = (unsigned char)random_next(&random);
    uint64_t before = hash(&key, data, size);

    for (size_t bit = 0; bit < 8 * size; bit++) {
      data[bit / 8] ^= (unsigned char)(1u << (bit % 8));
      uint64_t changed = before ^ hash(&key, data, size);

      data[bit / 8] ^= (unsigned char)(1u << (bit % 8));
      for (unsigned out = 0; out < 64; out++)
        flips[bit][out] += (unsigned)(changed >> out & 1);
    }
  }

  for (size_t bit = 0; bit < 8 * size; bit++) {
    for (unsigned out = 0; out < 64; out++) {
      int off = (int)flips[bit][out] - FLIPS / 2;

      if (off > FLIPS_OFF || off < -FLIPS_OFF)
        fail_msg("%s of %zu bytes: bit %zu flips bit %u in %u of %d cases",
                 what, size, bit, out, flips[bit][out], FLIPS);
    }
  }
}

static void bits_avalanche(void **state)
{
  static const size_t sizes[] = {1, 2, 3, 4, 7, 8, 9, 16, 17, 32, 33, 48, 65};

  (void)state;
  assert_avalanche("u64", u64_as_string_hash, 8);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    assert_avalanche("fast", cmap__hash_fast, sizes[i]);
    assert_avalanche("siphash13", cmap__hash_siphash13, sizes[i]);
    assert_avalanche("words", fixed_hash, sizes[i]);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(integers_spread),
      cmocka_unit_test(fast_strings_spread),
      cmocka_unit_test(siphash13_strings_spread),
      cmocka_unit_test(fixed_keys_spread),
      cmocka_unit_test(bits_avalanche),
  };

  return cmocka_run_group_tests_name("hash_spread", tests, NULL, NULL);
}
