/*
 * Rows of bits over a directory's entries: see the header.
 */
#include "table/occupied.h"

#include <limits.h>
#include <stdint.h>

#define WORD_BITS (sizeof(size_t) * CHAR_BIT)

/* The words of the row that has so many bits. */
static size_t words_of(size_t bits)
{
  return (bits + WORD_BITS - 1) / WORD_BITS;
}

size_t cmap__occupied_words(size_t entries)
{
  size_t words = words_of(entries);

  return words == 1 ? 1 : words + cmap__occupied_words(words);
}

void cmap__occupied_set(_Atomic size_t *rows, size_t entries, size_t at,
                        size_t n, bool occupied)
{
  size_t words = words_of(entries);
  _Atomic size_t *word = rows + at / WORD_BITS;

  if (n >= WORD_BITS) {
    n /= WORD_BITS;
    for (size_t i = 0; i < n; i++)
      cmap__store_release(&word[i], occupied ? SIZE_MAX : 0); /* [D4] */
  } else {
    size_t mask = (((size_t)1 << n) - 1) << at % WORD_BITS;
    size_t old = cmap__load_relaxed(word); /* under the mutex */
    size_t fresh = occupied ? old | mask : old & ~mask;
    n = 1;
    if (fresh != old)
      cmap__store_release(word, fresh); /* [D4] */
    if (!occupied && fresh != 0)
      return;
  }
  if (words > 1)
    cmap__occupied_set(rows + words, words, at / WORD_BITS, n, occupied);
}

size_t cmap__occupied_next(const _Atomic size_t *rows, size_t entries,
                           size_t at)
{
  size_t words = words_of(entries);
  size_t i = at / WORD_BITS, word;

  if (at >= entries)
    return entries;
  word = cmap__load_acquire(&rows[i]) & SIZE_MAX << at % WORD_BITS; /* [D4] */
  if (word == 0 && words > 1) {
    i = cmap__occupied_next(rows + words, words, i + 1);
    if (i == words)
      return entries;
    word = cmap__load_acquire(&rows[i]); /* [D4] */
    if (word == 0)                       /* since the row above was read */
      return i * WORD_BITS;
  }
  if (word == 0)
    return entries;
  return i * WORD_BITS + (size_t)__builtin_ctzll(word);
}
