/*
 * Hash functions, the key that seeds them, and the bits of a hash.
 *
 * Every hash is 64 bits, and every part of the table reads its own bits:
 *
 *   63       64-D        31      32-g        15    11 10   8 7        0
 *  +-----------+ - - - - -+---------+ - - - -+--------+------+----------+
 *  | directory |  unread  |  group  | unread |position| over |   tag    |
 *  +-----------+ - - - - -+---------+ - - - -+--------+------+----------+
 *    D <= 40 bits,          g <= 28 bits,      5 bits  3 bits   8 bits
 *    from the top down      from bit 31 down
 *
 *   directory  h >> (64 - D): the entry of a directory of 2^D entries, which
 *              names the shard
 *   group      the home group in a shard of 2^g groups: the top of the lower
 *              half, so that one shift makes it
 *   position   the preferred slot in its group
 *   over       which bit of a group's overflow byte a passing key sets
 *   tag        the byte by which a group is searched; 0 is an empty slot
 *
 * 1. The fields are disjoint while D <= 32 and g <= 16. Beyond that the group
 *    repeats bits that all keys of the shard share, or those of the position:
 *    slower, and still correct.
 * 2. A hash depends only on the key, the data and this version of the library,
 *    not on the processor: words are read as little-endian everywhere.
 * 3. Nothing here has state. The key is const after the map is created.
 *
 * Which keys use which function is key.h's business.
 */
#ifndef CMAP__TABLE_HASH_H
#define CMAP__TABLE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The seed of a map's hashes; any value is allowed, also all zero. */
struct cmap__hash_key {
  uint64_t k0; /* const after create */
  uint64_t k1; /* const after create */
};

/* A product of two 64-bit words. */
struct cmap__hash_product {
  uint64_t low;
  uint64_t high;
};

/*
 * The first 64 bits after the point of the golden ratio and of the square root
 * of 3: odd, with about as many ones as zeros, and chosen by nobody.
 * cmap__hash_u64 needs that B is the larger one.
 */
#define CMAP__HASH_MULTIPLIER_A UINT64_C(0x9e3779b97f4a7c15)
#define CMAP__HASH_MULTIPLIER_B UINT64_C(0xbb67ae8584caa73b)

/*
 * SipHash-1-3 of `size` bytes: for one who does not know the key, its values
 * cannot be told from random ones, nor can colliding data be found. `data`
 * needs no alignment, and may be NULL if size is 0.
 */
uint64_t cmap__hash_siphash13(const struct cmap__hash_key *key,
                              const void *data, size_t size);

/*
 * A fast hash of `size` bytes with evenly spread values. Whoever may choose
 * the data can make collisions, with or without the key. `data` as above.
 */
uint64_t cmap__hash_fast(const struct cmap__hash_key *key, const void *data,
                         size_t size);

/* SipHash-1-3 of a short string, by its words (table/words.h). */
uint64_t cmap__hash_siphash13_words(const struct cmap__hash_key *key,
                                    const uint64_t *words, size_t size);

/* The product by four multiplications of 32-bit halves. */
static inline struct cmap__hash_product cmap__hash_multiply_halves(uint64_t a,
                                                                   uint64_t b)
{
  uint64_t a0 = a & UINT32_MAX;
  uint64_t a1 = a >> 32;
  uint64_t b0 = b & UINT32_MAX;
  uint64_t b1 = b >> 32;

  /* Neither sum overflows: (2^32-1)^2 + 2 * (2^32-1) = 2^64 - 1. */
  uint64_t low = a0 * b0;
  uint64_t middle = a1 * b0 + (low >> 32);
  uint64_t cross = a0 * b1 + (middle & UINT32_MAX);

  return (struct cmap__hash_product){
      .low = (cross << 32) | (low & UINT32_MAX),
      .high = a1 * b1 + (middle >> 32) + (cross >> 32),
  };
}

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 cmap__uint128;
#endif

static inline struct cmap__hash_product cmap__hash_multiply(uint64_t a,
                                                            uint64_t b)
{
#if defined(__x86_64__) && defined(__GNUC__)
  /* The instruction by name: of a 128-bit integer gcc moves the halves about,
   * five instructions for each hash. */
  struct cmap__hash_product product;

  __asm__("mulq %3"
          : "=a"(product.low), "=d"(product.high)
          : "%0"(a), "r"(b)
          : "cc");
  return product;
#elif defined(__SIZEOF_INT128__)
  cmap__uint128 product = (cmap__uint128)a * b;

  return (struct cmap__hash_product){
      .low = (uint64_t)product,
      .high = (uint64_t)(product >> 64),
  };
#else
  return cmap__hash_multiply_halves(a, b);
#endif
}

/* Both halves of the product in one word: every bit of a and b counts. */
static inline uint64_t cmap__hash_fold(uint64_t a, uint64_t b)
{
  struct cmap__hash_product product = cmap__hash_multiply(a, b);

  return product.low ^ product.high;
}

/*
 * The hash of an integer, and the mixer for hashes of the user's own.
 *
 * Two multiplications, one after the other: 11 cycles from x to the result on
 * x86-64. One is not enough for bits that are all used: folding one product
 * (6 cycles) keeps evenly spaced keys evenly spaced, which suits each field
 * alone, but not two together. Pairs of keys that share directory bits and
 * group become up to 1.4 times, pairs that share group and tag up to 1.2 times
 * as frequent as chance has it. What lies between the two in cost (a random
 * multiplier, x in both factors, a rotation after the fold) fares worse on
 * some of test_hash_spread.c's patterns.
 *
 * Before the second multiplication the two halves are masked with different
 * words, and neither product is stuck at 0: x == k0 only makes the first one
 * 0, and the high half is always below multiplier A, hence never equal to B.
 * Only one x makes the second one 0 (where the low half equals k1).
 *
 * The key protects against data that happens to fit the function and against
 * prepared lists of colliding keys. It is no cryptographic promise: whoever
 * sees hashes, or enough of their effects, can compute the key.
 */
static inline uint64_t cmap__hash_u64(const struct cmap__hash_key *key,
                                      uint64_t x)
{
  struct cmap__hash_product product =
      cmap__hash_multiply(x ^ key->k0, CMAP__HASH_MULTIPLIER_A);

  return cmap__hash_fold(product.low ^ key->k1,
                         product.high ^ CMAP__HASH_MULTIPLIER_B);
}

/*
 * The hash of a key of several words, as an integer's: each word but the last
 * is folded into the next one. The first word of a fixed key gives 64 bits of
 * which each depends on all of its own, so that a second word that counts up
 * does not meet those of its neighbours. What is said of cmap__hash_u64 holds.
 */
static inline uint64_t cmap__hash_next_word(const struct cmap__hash_key *key,
                                            uint64_t state, uint64_t word)
{
  return cmap__hash_fold(state ^ word ^ key->k0, CMAP__HASH_MULTIPLIER_A);
}

/* The end of the fast hash: two masked words, and what sizes and key add. */
static inline uint64_t cmap__hash_fast_end(uint64_t a, uint64_t b,
                                           uint64_t rest)
{
  struct cmap__hash_product product = cmap__hash_multiply(a, b);

  return cmap__hash_fold(product.low ^ rest,
                         product.high ^ CMAP__HASH_MULTIPLIER_A);
}

/* The fast hash of up to 16 bytes, by their words (table/words.h). */
static inline uint64_t cmap__hash_fast_words(const struct cmap__hash_key *key,
                                             uint64_t first, uint64_t second,
                                             size_t size)
{
  /* The size tells apart strings that end in bytes of 0. */
  return cmap__hash_fast_end(first ^ key->k0 ^ CMAP__HASH_MULTIPLIER_A,
                             second ^ key->k1 ^ CMAP__HASH_MULTIPLIER_B,
                             key->k1 ^ (uint64_t)size);
}

/*
 * The tag, 1 to 255. 0 becomes 1, so that 1 is twice as frequent as any other
 * tag. A key with tag 1 meets a false match in 2 of 256 slots, the others in 1
 * of 256; on average the chance rises from 1/256 to 1/254.
 */
static inline unsigned cmap__hash_tag(uint64_t hash)
{
  /* Not as a byte: spilled to the stack it would be stored as one and loaded
   * as a word, which waits for the store. */
  unsigned tag = hash & 0xff;

  return tag + (tag == 0);
}

/* The overflow bit as a byte with that one bit set. */
static inline uint8_t cmap__hash_overflow_bit(uint64_t hash)
{
  return (uint8_t)(1u << ((hash >> 8) & 7));
}

/* The preferred position, 0 to 31; the caller scales it to its slots. */
static inline unsigned cmap__hash_position(uint64_t hash)
{
  return (unsigned)((hash >> 11) & 31);
}

#endif
