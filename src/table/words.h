/*
 * Strings as words: how short ones are read, hashed and stored.
 *
 * The words of a string are its bytes as they lie in memory, filled up with
 * zeros. Nothing outside of the string is read, not even within its page.
 */
#ifndef CMAP__TABLE_WORDS_H
#define CMAP__TABLE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "table/group.h"

/* A short string: what lies inline unless the options say otherwise. */
#define CMAP__SHORT_WORDS 3
#define CMAP__SHORT_SIZE  (8 * CMAP__SHORT_WORDS - 1)

/* `n` bytes, 1 to 7, as the first ones of a word in memory; the others 0. */
static inline uint64_t cmap__load_part(const unsigned char *p, size_t n)
{
  uint64_t word = 0;
  uint32_t first, last;

  if (!CMAP__LITTLE_ENDIAN) {
    memcpy(&word, p, n);
    return word;
  }
  if (n >= 4) {
    memcpy(&first, p, 4);
    memcpy(&last, p + n - 4, 4);
    return first | (uint64_t)last << (8 * (n - 4));
  }
  return p[0] | (uint64_t)p[n / 2] << (8 * (n / 2)) |
         (uint64_t)p[n - 1] << (8 * (n - 1));
}

/* A word whose first 4 bytes in memory are these, and the others 0; and those
 * bytes of a word. */
static inline uint64_t cmap__word_of_half(uint32_t half)
{
  return CMAP__LITTLE_ENDIAN ? half : (uint64_t)half << 32;
}

static inline uint32_t cmap__half_of_word(uint64_t word)
{
  return (uint32_t)(CMAP__LITTLE_ENDIAN ? word : word >> 32);
}

/* A word with `byte` as its last one in memory, and 0 else; and that byte. */
static inline uint64_t cmap__last_byte_word(unsigned byte)
{
  return CMAP__LITTLE_ENDIAN ? (uint64_t)byte << 56 : byte;
}

/* The last word of a key in a box: `mark` in its last byte, and the size. */
static inline uint64_t cmap__boxed_last_word(unsigned mark, size_t size)
{
  return cmap__last_byte_word(mark) |
         (CMAP__LITTLE_ENDIAN ? (uint64_t)size : (uint64_t)size << 8);
}

static inline size_t cmap__boxed_size(uint64_t last)
{
  return (size_t)(CMAP__LITTLE_ENDIAN ? last & (UINT64_MAX >> 8) : last >> 8);
}

static inline unsigned cmap__last_byte(uint64_t word)
{
  return (unsigned)(CMAP__LITTLE_ENDIAN ? word >> 56 : word & 0xff);
}

/*
 * The `n` words of a string that lies inline, its unused length in the last
 * byte. Made in registers: a byte stored into a word that is loaded soon after
 * would make the processor wait. Returns whether a byte of the string is 0.
 */
static inline bool cmap__inline_words(uint64_t *words, unsigned n,
                                      const void *data, size_t size)
{
  const uint64_t ones = UINT64_C(0x0101010101010101);
  const unsigned char *p = data;
  unsigned unused = (unsigned)(8 * n - 1 - size);
  unsigned zero = 0;
  unsigned i = 0;

  for (; size >= 8; size -= 8, p += 8) {
    memcpy(&words[i], p, 8);
    zero |= cmap__zero_bytes(words[i++]);
  }
  if (size > 0) {
    uint64_t behind = CMAP__LITTLE_ENDIAN ? ones << 8 * size : ones >> 8 * size;
    words[i] = cmap__load_part(p, size);
    zero |= cmap__zero_bytes(words[i++] | behind);
  }
  for (; i < n; i++)
    words[i] = 0;
  words[n - 1] |= cmap__last_byte_word(unused);
  return zero != 0;
}

/* Zeros to be read instead of what is not there. */
static const uint64_t cmap__zero_word;

/*
 * `p` if it is wanted, else zeros. Never a branch: whether a byte is wanted
 * depends on a string's length, which no processor foresees, and a wrong guess
 * costs as much as all else that is done to a short string. The empty assembly
 * keeps the compiler from making one.
 */
CMAP__ALWAYS_INLINE const void *cmap__or_zeros(const void *p, bool wanted)
{
  const void *from = wanted ? p : (const void *)&cmap__zero_word;

  __asm__("" : "+r"(from));
  return from;
}

/* Keeps the compiler from making vectors of a few words, which go to memory to
 * be taken apart again. */
CMAP__ALWAYS_INLINE uint64_t cmap__scalar(uint64_t word)
{
  __asm__("" : "+r"(word));
  return word;
}

/* All ones, or 0; no branch either. */
CMAP__ALWAYS_INLINE uint64_t cmap__mask_if(bool condition)
{
  return cmap__scalar(-(uint64_t)condition);
}

/* The last bytes of a string, `n` of them, 0 to 7, as the first ones of a word
 * in memory; little-endian. */
CMAP__ALWAYS_INLINE uint64_t cmap__load_tail(const unsigned char *p, size_t n)
{
  uint32_t four;
  uint16_t two;

  memcpy(&four, cmap__or_zeros(p, (n & 4) != 0), sizeof four);
  memcpy(&two, cmap__or_zeros(p + (n & 4), (n & 2) != 0), sizeof two);
  return four | (uint64_t)two << (8 * (n & 4)) |
         (uint64_t) * (const unsigned char *)cmap__or_zeros(p + (n & 6),
                                                            (n & 1) != 0)
             << (8 * (n & 6));
}

/*
 * The three words of a string of up to CMAP__SHORT_SIZE bytes. Returns whether
 * one of its bytes is 0.
 */
CMAP__ALWAYS_INLINE bool cmap__short_words(uint64_t *words, const void *data,
                                           size_t size)
{
  const uint64_t ones = UINT64_C(0x0101010101010101);
  const unsigned char *p = data;
  size_t whole = size / 8;
  uint64_t first, second, tail, no_first, no_second;

  if (!CMAP__LITTLE_ENDIAN) {
    memset(words, 0, 8 * CMAP__SHORT_WORDS);
    memcpy(words, data, size);
    return memchr(data, 0, size) != NULL;
  }
  tail = cmap__load_tail(p + 8 * whole, size % 8);
  no_first = cmap__mask_if(whole < 1);
  no_second = cmap__mask_if(whole < 2);
  memcpy(&first, cmap__or_zeros(p, whole >= 1), 8);
  memcpy(&second, cmap__or_zeros(p + 8 * (whole / 2), whole >= 2), 8);
  words[0] = cmap__scalar(first | (tail & no_first));
  words[1] = cmap__scalar(second | (tail & no_second & ~no_first));
  words[2] = tail & ~no_second;

  /* Of all that is not in the string no byte shall be 0. A borrow goes from a
   * byte that is 0 to those above it: whether there is one, is exact. */
  first |= ones & no_first;
  second |= ones & no_second;
  tail |= ones << (8 * (size % 8));
  return (((first - ones) & ~first) | ((second - ones) & ~second) |
          ((tail - ones) & ~tail)) &
         ones << 7;
}

#endif
