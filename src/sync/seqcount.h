/*
 * Sequence counts of bucket groups: what lets a reader look without a lock.
 *
 * Every group has a 32-bit count in the upper half of its metadata word `hi`.
 *
 *   odd    stable: the group may be read
 *   even   busy: it is being written, belongs to a block that was replaced, is
 *          being filled, or is free. Zero is even, so that memory fresh from
 *          the system, or given back to it, reads as free.
 *
 * Invariants
 *   1. A count only grows (modulo 2^32), also over the lives of its block: a
 *      reader that sees the same `hi` twice, odd, saw one life and one state.
 *      What is left: 3 * 2^29 sections during one read (docs/memory-model.md).
 *   2. Only the holder of the shard's exclusive lock, or the one thread that
 *      fills an unpublished block, writes a count or what it protects.
 *   3. Everything a lock-free reader may touch is accessed as atomic words; of
 *      a group, the two are loaded at once, and a tag and the count stored as
 *      the bytes that they are, where that can be (table/group.h).
 *
 * The protocol (no fences, so that ThreadSanitizer and C11 both follow it)
 *
 *   writer                            reader
 *   even count    (relaxed)           hi          (acquire) [Q1]
 *   data words    (release) [Q2]      data words  (acquire) [Q2]
 *   odd count     (release) [Q1]      hi again    (relaxed): same and odd?
 *
 *   If the reader's data load sees a word of the section, it synchronises with
 *   that store, hence sees the even count stored before it or a later one: the
 *   second look differs. If hi was seen odd, all data of that state is seen.
 *
 * A section that is opened for user code needs more: the user's plain stores
 * are no release stores. cmap__seq_open_for_user adds a release fence behind
 * the even count; it is paired with the reader's acquire loads of the data.
 *
 * The count is one word with the tags and the overflow byte, so that a reader
 * compares them all at once.
 */
#ifndef CMAP__SYNC_SEQCOUNT_H
#define CMAP__SYNC_SEQCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/atomics.h"
#include "base/compiler.h"

#define CMAP__SEQ_ONE (UINT64_C(1) << 32)

/* Is this hi word, or its count, that of a stable group? */
static inline bool cmap__seq_is_stable(uint64_t hi)
{
  return (hi & CMAP__SEQ_ONE) != 0;
}

/*
 * Opens a section in which the library writes. Returns hi as it is now: the
 * caller changes tags in it and passes it to cmap__seq_close.
 * Relaxed: the data stores that follow are release stores [Q2].
 */
static inline uint64_t cmap__seq_open(_Atomic uint64_t *hi)
{
  uint64_t word = cmap__load_relaxed(hi) + CMAP__SEQ_ONE;
  cmap__store_relaxed(hi, word);
  return word;
}

/* Opens a section in which the user's plain stores may follow. */
static inline uint64_t cmap__seq_open_for_user(_Atomic uint64_t *hi)
{
  uint64_t word = cmap__seq_open(hi);
  cmap__fence_release();
  return word;
}

/* Closes a section with the tags of `word` ([Q1], to the reader's look). */
static inline void cmap__seq_close(_Atomic uint64_t *hi, uint64_t word)
{
  cmap__store_release(hi, word + CMAP__SEQ_ONE);
}

/*
 * A payload word: part of a slot. The writer stores it inside a section, or
 * alone if one word is all that changes.
 */
static inline void cmap__payload_store(_Atomic uint64_t *to, uint64_t word)
{
  cmap__store_release(to, word); /* [Q2] */
}

static inline uint64_t cmap__payload_load(const _Atomic uint64_t *from)
{
  return cmap__load_acquire(from); /* [Q2] */
}

/*
 * Copies `words` payload words that another thread may be writing. The only
 * functions, this and the next, that ThreadSanitizer does not see: the writer
 * may be user code that stores plainly through a pointer into the slot, inside
 * a section, and what is read then is thrown away after the second look at the
 * count.
 */
CMAP__UNINSTRUMENTED static void
cmap__payload_copy_out(uint64_t *to, const _Atomic uint64_t *from, size_t words)
{
  for (size_t i = 0; i < words; i++)
    to[i] = cmap__load_acquire(from + i); /* [Q2] */
}

/*
 * A payload word of two halves, the first or the second 4 bytes in memory, each
 * of which is accessed by itself: a key and a value. Half a word is handed
 * about as a word that begins with it (table/words.h).
 */
static inline _Atomic uint32_t *cmap__payload_half(const _Atomic uint64_t *word,
                                                   unsigned half)
{
  return (_Atomic uint32_t *)(uintptr_t)word + half;
}

static inline void cmap__payload_store_half(_Atomic uint64_t *to, unsigned half,
                                            uint32_t fresh)
{
  cmap__store_release(cmap__payload_half(to, half), fresh); /* [Q2] */
}

/* As cmap__payload_copy_out. */
CMAP__UNINSTRUMENTED static uint32_t
cmap__payload_load_half(const _Atomic uint64_t *from, unsigned half)
{
  return cmap__load_acquire(cmap__payload_half(from, half)); /* [Q2] */
}

/* Two words that are loaded or stored at once, at any address. */
typedef uint64_t cmap__pair
    __attribute__((vector_size(16), aligned(1), may_alias));

/* The first `n` bytes of a word in memory, 1 to 7, to `to`. By a loop: a call
 * that copies so few takes longer, and its caller saves registers for it. */
static inline void cmap__store_part(void *to, uint64_t word, size_t n)
{
  unsigned char *bytes = to;

  word = cmap__from_le64(word);
  for (size_t i = 0; i < n; i++)
    bytes[i] = (unsigned char)(word >> 8 * i);
}

CMAP__UNINSTRUMENTED static void cmap__copy_pair(void *to, const void *from)
{
  *(cmap__pair *)to = *(const volatile cmap__pair *)from;
}

/*
 * The same to `size` bytes of any memory; the last word may be cut off. Whether
 * a pair is loaded whole is no matter: what was torn is thrown away, too. The
 * fence makes acquire loads of them.
 */
CMAP__UNINSTRUMENTED static void
cmap__payload_copy_bytes(void *to, const _Atomic uint64_t *from, size_t size)
{
  const char *words = (const char *)(uintptr_t)from;
  size_t whole = size & ~(sizeof(uint64_t) - 1), at = 0;
  char *bytes = to;

  if (whole >= sizeof(cmap__pair)) {
    /* A line at a time: one pair takes less than the loop around it. */
    for (; at + 4 * sizeof(cmap__pair) <= whole; at += 4 * sizeof(cmap__pair)) {
      const volatile cmap__pair *pairs =
          (const volatile cmap__pair *)(const void *)(words + at);
      cmap__pair a = pairs[0], b = pairs[1], c = pairs[2], d = pairs[3];
      cmap__pair *out = (cmap__pair *)(void *)(bytes + at);
      out[0] = a;
      out[1] = b;
      out[2] = c;
      out[3] = d;
    }
    for (; at + sizeof(cmap__pair) < whole; at += sizeof(cmap__pair))
      cmap__copy_pair(bytes + at, words + at);
    /* The last one, a word of which may be there already. */
    at = whole - sizeof(cmap__pair);
    cmap__copy_pair(bytes + at, words + at);
  } else if (whole > 0) {
    uint64_t word = cmap__load_acquire(from); /* [Q2] */
    memcpy(to, &word, sizeof word);
  }
  cmap__fence_acquire(); /* [Q2] */
  if (cmap__unlikely(size > whole))
    cmap__store_part(bytes + whole,
                     cmap__load_acquire(from + whole / 8), /* [Q2] */
                     size - whole);
}

/*
 * Are these payload words, `size` bytes and zeros up to a word, the bytes at
 * `with`? At least 8 bytes. As the two above, which others may be writing.
 */
CMAP__UNINSTRUMENTED static bool
cmap__payload_equals_bytes(const _Atomic uint64_t *from, const void *with,
                           size_t size)
{
  const unsigned char *bytes = with;
  const unsigned unused = 8 * (unsigned)(-size % 8); /* bits */
  cmap__pair differ = {0, 0};
  uint64_t word;

  memcpy(&word, bytes + size - 8, sizeof word);
  word = CMAP__LITTLE_ENDIAN ? word >> unused : word << unused;
  differ[0] = word ^ cmap__load_acquire(from + (size - 1) / 8); /* [Q2] */
  for (; size > sizeof(cmap__pair);
       size -= sizeof(cmap__pair), bytes += sizeof(cmap__pair), from += 2)
    differ |= *(const cmap__pair *)bytes ^
              *(const volatile cmap__pair *)(uintptr_t)from;
  cmap__fence_acquire(); /* [Q2] */
  if (size > sizeof word) {
    memcpy(&word, bytes, sizeof word);
    differ[0] |= word ^ cmap__load_acquire(from); /* [Q2] */
  }
  return (differ[0] | differ[1]) == 0;
}

/*
 * Payload words as plain memory, for those who hold the lock: user code, and
 * copies. (Not by a cast from atomic to plain, which compilers warn of.)
 */
static inline void *cmap__payload_plain(const _Atomic uint64_t *words)
{
  return (void *)(uintptr_t)words;
}

/* Plain words of which the caller is the only owner, as payload words. */
static inline _Atomic uint64_t *cmap__payload_of(uint64_t *words)
{
  return (_Atomic uint64_t *)(uintptr_t)words;
}

/* Stores `size` bytes as payload words; the last word is filled with zero. */
static inline void cmap__payload_store_bytes(_Atomic uint64_t *to,
                                             const void *from, size_t size)
{
  const unsigned char *bytes = from;
  size_t whole = size & ~(sizeof(uint64_t) - 1);
  uint64_t word;

  for (size_t at = 0; at < whole; at += sizeof word) {
    memcpy(&word, bytes + at, sizeof word);
    cmap__payload_store(to + at / sizeof word, word);
  }
  if (size > whole) {
    word = 0;
    memcpy(&word, bytes + whole, size - whole);
    cmap__payload_store(to + whole / sizeof word, word);
  }
}

/* The same, while the bytes that were there come out in `old`, which may be
 * `from`. The caller holds the lock. */
static inline void cmap__payload_exchange_bytes(_Atomic uint64_t *to,
                                                const void *from, void *old,
                                                size_t size)
{
  const unsigned char *bytes = from;
  unsigned char *out = old;

  for (size_t n; size > 0; size -= n, bytes += n, out += n) {
    uint64_t before = cmap__load_relaxed(to), word = 0;

    n = size < sizeof word ? size : sizeof word;
    memcpy(&word, bytes, n);
    cmap__payload_store(to++, word);
    memcpy(out, &before, n);
  }
}

/* Copies payload words from one slot to another; the caller owns both. */
static inline void cmap__payload_move(_Atomic uint64_t *to,
                                      const _Atomic uint64_t *from,
                                      size_t words)
{
  /* Relaxed load: under the lock nobody else writes it. */
  for (size_t i = 0; i < words; i++)
    cmap__payload_store(to + i, cmap__load_relaxed(from + i));
}

#endif
