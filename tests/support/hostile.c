#include "hostile.h"

#include <stdlib.h>
#include <string.h>

#include "random.h"

/* Of 2^15 keys, made of 15 choices, the first HOSTILE_KEYS. */
#define CHOICES 15

static uint32_t rotate32(uint32_t x, unsigned bits)
{
  return x << bits | x >> (32 - bits);
}

static uint64_t rotate64(uint64_t x, unsigned bits)
{
  return bits == 0 ? x : x >> bits | x << (64 - bits); /* to the right */
}

/* The inverse of an odd number modulo 2^64: each turn doubles the right bits.
 */
static uint64_t inverse(uint64_t odd)
{
  uint64_t x = odd;

  for (int i = 0; i < 6; i++)
    x *= 2 - odd * x;
  return x;
}

static void put_le(unsigned char *to, uint64_t word, size_t size)
{
  for (size_t i = 0; i < size; i++)
    to[i] = (unsigned char)(word >> (8 * i));
}

static uint64_t get_le(const unsigned char *from, size_t size)
{
  uint64_t word = 0;

  for (size_t i = 0; i < size; i++)
    word |= (uint64_t)from[i] << (8 * i);
  return word;
}

/* ------------------------------------------------------------------------
 * String.hashCode of Java
 * ------------------------------------------------------------------------ */

static uint64_t java(const unsigned char *key, size_t size)
{
  uint32_t hash = 0;

  for (size_t i = 0; i < size; i++)
    hash = hash * 31 + key[i];
  return hash;
}

static void make_java(unsigned char *key, unsigned choice, unsigned stage)
{
  memcpy(key + (size_t)2 * stage, choice ? "BB" : "Aa", 2);
}

/* ------------------------------------------------------------------------
 * FNV-1a: two blocks that lead from one state to the same next one, found by
 * the birthday paradox, stage by stage (Joux's multicollisions)
 * ------------------------------------------------------------------------ */

#define FNV_BLOCK 6
#define FNV_BITS  18

static unsigned char fnv_blocks[CHOICES][2][FNV_BLOCK];

static uint32_t fnv_on(uint32_t hash, const unsigned char *key, size_t size)
{
  for (size_t i = 0; i < size; i++)
    hash = (hash ^ key[i]) * UINT32_C(16777619);
  return hash;
}

static uint64_t fnv(const unsigned char *key, size_t size)
{
  return fnv_on(UINT32_C(2166136261), key, size);
}

static void fnv_block(unsigned char *block, uint64_t n)
{
  for (unsigned i = 0; i < FNV_BLOCK; i++, n >>= 4)
    block[i] = (unsigned char)('a' + (n & 15));
}

static void find_fnv_blocks(void)
{
  static uint32_t seen[1 << FNV_BITS]; /* number + 1 of a block, by its hash */
  uint32_t state = UINT32_C(2166136261);

  for (unsigned stage = 0; stage < CHOICES; stage++) {
    memset(seen, 0, sizeof seen);
    for (uint32_t n = 0;; n++) {
      unsigned char block[FNV_BLOCK], other[FNV_BLOCK];
      uint32_t hash, *slot;
      fnv_block(block, n);
      hash = fnv_on(state, block, FNV_BLOCK);
      slot = &seen[hash >> (32 - FNV_BITS)];
      fnv_block(other, *slot - 1);
      if (*slot != 0 && fnv_on(state, other, FNV_BLOCK) == hash) {
        memcpy(fnv_blocks[stage][0], block, FNV_BLOCK);
        memcpy(fnv_blocks[stage][1], other, FNV_BLOCK);
        state = hash;
        break;
      }
      *slot = n + 1;
    }
  }
}

static void make_fnv(unsigned char *key, unsigned choice, unsigned stage)
{
  if (fnv_blocks[0][0][0] == 0)
    find_fnv_blocks();
  memcpy(key + (size_t)FNV_BLOCK * stage, fnv_blocks[stage][choice], FNV_BLOCK);
}

/* ------------------------------------------------------------------------
 * MurmurHash3_x86_32: a difference of one bit that the next block takes back,
 * whatever the state was (Aumasson and Bernstein, 2012)
 * ------------------------------------------------------------------------ */

#define MURMUR_1 UINT32_C(0xcc9e2d51)
#define MURMUR_2 UINT32_C(0x1b873593)

static uint64_t murmur(const unsigned char *key, size_t size)
{
  uint32_t hash = 12345;

  for (size_t i = 0; i < size; i += 4) {
    uint32_t k = (uint32_t)get_le(key + i, 4) * MURMUR_1;
    hash ^= rotate32(k, 15) * MURMUR_2;
    hash = rotate32(hash, 13) * 5 + UINT32_C(0xe6546b64);
  }
  return hash; /* what follows is one to one */
}

/* The block that is this after it was mixed. */
static uint32_t murmur_block(uint32_t mixed)
{
  uint32_t k = mixed * (uint32_t)inverse(MURMUR_2);

  return rotate32(k, 17) * (uint32_t)inverse(MURMUR_1);
}

static void make_murmur(unsigned char *key, unsigned choice, unsigned stage)
{
  uint32_t bit = choice;

  put_le(key + (size_t)8 * stage, murmur_block(1000 + stage + (bit << 18)), 4);
  put_le(key + (size_t)8 * stage + 4, murmur_block(77 + stage + (bit << 31)),
         4);
}

/* ------------------------------------------------------------------------
 * XXH3_64bits of 32 bytes: a word that equals the secret makes the product 0,
 * and hides the other word
 * ------------------------------------------------------------------------ */

static const unsigned char xxh3_secret[32] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81,
    0x2c, 0xf7, 0x21, 0xad, 0x1c, 0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90,
    0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f};

static uint64_t fold(uint64_t a, uint64_t b)
{
  uint64_t low = (a & UINT32_MAX) * (b & UINT32_MAX);
  uint64_t middle = (a >> 32) * (b & UINT32_MAX) + (low >> 32);
  uint64_t cross = (a & UINT32_MAX) * (b >> 32) + (middle & UINT32_MAX);

  return ((cross << 32) | (low & UINT32_MAX)) ^
         ((a >> 32) * (b >> 32) + (middle >> 32) + (cross >> 32));
}

static uint64_t xxh3(const unsigned char *key, size_t size)
{
  uint64_t hash = size * UINT64_C(0x9e3779b185ebca87);

  for (size_t i = 0; i < size; i += 16)
    hash += fold(get_le(key + i, 8) ^ get_le(xxh3_secret + i, 8),
                 get_le(key + i + 8, 8) ^ get_le(xxh3_secret + i + 8, 8));
  return hash; /* what follows is one to one */
}

static void make_xxh3(unsigned char *key, uint64_t i)
{
  put_le(key, get_le(xxh3_secret, 8), 8);
  put_le(key + 8, i * 3 + 1, 8);
  memset(key + 16, 'x', 16);
}

/* ------------------------------------------------------------------------
 * CityHash64 of 32 bytes: both words that its end mixes are chosen
 * ------------------------------------------------------------------------ */

#define CITY_1 UINT64_C(0xb492b66fbe98f273)
#define CITY_2 UINT64_C(0x9ae16a3b2f90404f)

static uint64_t city(const unsigned char *key, size_t size)
{
  uint64_t factor = CITY_2 + size * 2;
  uint64_t a = get_le(key, 8) * CITY_1, b = get_le(key + 8, 8);
  uint64_t c = get_le(key + size - 8, 8) * factor;
  uint64_t d = get_le(key + size - 16, 8) * CITY_2;
  uint64_t u = rotate64(a + b, 43) + rotate64(c, 30) + d;
  uint64_t v = a + rotate64(b + CITY_2, 18) + c;
  uint64_t x = (u ^ v) * factor, y;

  x ^= x >> 47;
  y = (v ^ x) * factor;
  y ^= y >> 47;
  return y * factor;
}

static void make_city(unsigned char *key, uint64_t i)
{
  uint64_t b = i * 7 + 5, c = 99 * (CITY_2 + 64);
  uint64_t a = 4711 - rotate64(b + CITY_2, 18);
  uint64_t d = 815 - rotate64(a + b, 43);

  put_le(key, a * inverse(CITY_1), 8);
  put_le(key + 8, b, 8);
  put_le(key + 16, d * inverse(CITY_2), 8);
  put_le(key + 24, c * inverse(CITY_2 + 64), 8);
}

/* ------------------------------------------------------------------------ */

static const struct {
  const char *name;
  size_t size;
  bool strings;
  void (*choose)(unsigned char *key, unsigned choice, unsigned stage);
  void (*make)(unsigned char *key, uint64_t i); /* or NULL */
  uint64_t (*hash)(const unsigned char *key, size_t size);
} families[HOSTILE_FAMILIES] = {
    {"Java", (size_t)2 * CHOICES, true, make_java, NULL, java},
    {"FNV-1a", (size_t)FNV_BLOCK *CHOICES, true, make_fnv, NULL, fnv},
    {"Murmur3", (size_t)8 * CHOICES, false, make_murmur, NULL, murmur},
    {"XXH3", 32, false, NULL, make_xxh3, xxh3},
    {"CityHash64", 32, false, NULL, make_city, city},
};

bool hostile_family(struct hostile_keys *keys, unsigned family)
{
  size_t size = families[family].size;
  uint64_t first = 0;
  bool same = true;

  keys->name = families[family].name;
  keys->strings = families[family].strings;
  keys->size = size;
  for (unsigned i = 0; i < HOSTILE_KEYS; i++) {
    unsigned char *key = keys->bytes[i];
    memset(key, 0, HOSTILE_ROOM);
    for (unsigned s = 0; s < CHOICES && families[family].make == NULL; s++)
      families[family].choose(key, i >> s & 1, s);
    if (families[family].make != NULL)
      families[family].make(key, i);
    if (i == 0)
      first = families[family].hash(key, size);
    same = same && families[family].hash(key, size) == first;
  }
  return same;
}

void hostile_random(struct hostile_keys *keys, const struct hostile_keys *like)
{
  struct random random;

  random_begin(&random, 7);
  keys->name = "random";
  keys->strings = like->strings;
  keys->size = like->size;
  for (unsigned i = 0; i < HOSTILE_KEYS; i++) {
    memset(keys->bytes[i], 0, HOSTILE_ROOM);
    for (size_t k = 0; k < like->size; k++)
      keys->bytes[i][k] = (unsigned char)(1 + random_below(&random, 255));
  }
}

/* ------------------------------------------------------------------------
 * Integers
 * ------------------------------------------------------------------------ */

/* hash.h's multipliers. */
#define MULTIPLIER_A UINT64_C(0x9e3779b97f4a7c15)
#define MULTIPLIER_B UINT64_C(0xbb67ae8584caa73b)

const char *hostile_pattern_name(unsigned pattern)
{
  static const char *const names[HOSTILE_PATTERNS] = {
      "random",
      "0, 1, 2 ...",
      "multiples of 4096",
      "multiples of 2^32",
      "multiples of 2^49",
      "multiples of A",
      "multiples of B",
      "multiples of 1/A",
      "of 1/A, in the upper half",
      "of 1/B, in the upper half",
      "i + i * 2^32",
      "three bits set",
      "all but three bits",
      "A plus a multiple of 2^45",
      "squares",
      "bits in the other order"};

  return names[pattern];
}

/* Of the words with three bits set the i-th: there are 41,664. */
static uint64_t three_bits(uint64_t i)
{
  uint64_t c = 2, b = 1;

  while ((c + 1) * c * (c - 1) / 6 <= i)
    c++;
  i -= c * (c - 1) * (c - 2) / 6;
  while ((b + 1) * b / 2 <= i)
    b++;
  i -= b * (b - 1) / 2;
  return UINT64_C(1) << c | UINT64_C(1) << b | UINT64_C(1) << i;
}

static uint64_t reversed(uint64_t x)
{
  uint64_t y = 0;

  for (unsigned i = 0; i < 64; i++)
    y |= (x >> i & 1) << (63 - i);
  return y;
}

uint64_t hostile_integer(unsigned pattern, uint64_t i)
{
  switch (pattern) {
  case 1:
    return i;
  case 2:
    return i << 12;
  case 3:
    return i << 32;
  case 4:
    return i << 49;
  case 5:
    return i * MULTIPLIER_A;
  case 6:
    return i * MULTIPLIER_B;
  case 7:
    return i * inverse(MULTIPLIER_A);
  case 8:
    return (i << 32) * inverse(MULTIPLIER_A);
  case 9:
    return (i << 32) * inverse(MULTIPLIER_B);
  case 10:
    return i | i << 32;
  case 11:
    return three_bits(i);
  case 12:
    return ~three_bits(i);
  case 13:
    return MULTIPLIER_A + (i << 45);
  case 14:
    return i * i;
  case 15:
    return reversed(i);
  default:
    return random_mix(i);
  }
}
