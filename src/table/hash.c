/*
 * Hash functions of byte strings.
 *
 * Keys are short, so that most of the time of a hash is its beginning and its
 * end. Neither function loops over single bytes: what is left of a string
 * after its whole words is read with a few loads, which never reach outside of
 * it.
 */
#include <string.h>

#include "base/compiler.h"
#include "table/hash.h"
#include "table/words.h"

static inline uint64_t load64(const unsigned char *p)
{
  uint64_t word;

  memcpy(&word, p, sizeof word);
  return cmap__from_le64(word);
}

static inline uint64_t load32(const unsigned char *p)
{
  uint32_t word;

  memcpy(&word, p, sizeof word);
  return cmap__from_le32(word);
}

static inline uint64_t rotate_left(uint64_t x, int bits)
{
  return (x << bits) | (x >> (64 - bits));
}

/* -------------------------------------------------------------------------
 * SipHash-1-3: Aumasson and Bernstein, "SipHash: a fast short-input PRF",
 * 2012, with one round a word and three at the end
 * ------------------------------------------------------------------------- */

struct sip_state {
  uint64_t v0, v1, v2, v3;
};

CMAP__ALWAYS_INLINE void sip_round(struct sip_state *s)
{
  s->v0 += s->v1;
  s->v2 += s->v3;
  s->v1 = rotate_left(s->v1, 13) ^ s->v0;
  s->v3 = rotate_left(s->v3, 16) ^ s->v2;
  s->v0 = rotate_left(s->v0, 32);
  s->v2 += s->v1;
  s->v0 += s->v3;
  s->v1 = rotate_left(s->v1, 17) ^ s->v2;
  s->v3 = rotate_left(s->v3, 21) ^ s->v0;
  s->v2 = rotate_left(s->v2, 32);
}

CMAP__ALWAYS_INLINE void sip_word(struct sip_state *s, uint64_t word)
{
  s->v3 ^= word;
  sip_round(s);
  s->v0 ^= word;
}

/*
 * The last size % 8 bytes of a string, in the low bytes of a word, the others
 * 0. One of three sets of loads, by size; each covers every byte, and where
 * two loads overlap they put the same byte in the same place.
 */
static inline uint64_t sip_tail(const unsigned char *end, size_t size)
{
  unsigned rest = (unsigned)(size & 7);

  /* All 8 bytes before the end, less those of earlier words. Two shifts,
   * because rest == 0 must shift by 64, which one shift cannot. */
  if (cmap__likely(size >= 8))
    return (load64(end - 8) >> 8) >> (56 - 8 * rest);

  if (rest >= 4)
    return load32(end - rest) | load32(end - 4) << (8 * (rest - 4));

  if (rest > 0) {
    uint64_t first = end[-(ptrdiff_t)rest];
    uint64_t middle = end[-(ptrdiff_t)(rest - rest / 2)];
    uint64_t last = end[-1];

    return first | middle << (8 * (rest / 2)) | last << (8 * (rest - 1));
  }
  return 0;
}

static inline struct sip_state sip_begin(const struct cmap__hash_key *key)
{
  /* The constants are the paper's: "somepseudorandomlygeneratedbytes". */
  struct sip_state s = {
      .v0 = key->k0 ^ UINT64_C(0x736f6d6570736575),
      .v1 = key->k1 ^ UINT64_C(0x646f72616e646f6d),
      .v2 = key->k0 ^ UINT64_C(0x6c7967656e657261),
      .v3 = key->k1 ^ UINT64_C(0x7465646279746573),
  };

  return s;
}

static inline uint64_t sip_end(struct sip_state *s)
{
  s->v2 ^= 0xff;
  sip_round(s);
  sip_round(s);
  sip_round(s);
  return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t cmap__hash_siphash13(const struct cmap__hash_key *key,
                              const void *data, size_t size)
{
  const unsigned char *p = data;
  struct sip_state s = sip_begin(key);
  uint64_t last = (uint64_t)size << 56;

  if (size > 0) {
    const unsigned char *end = p + size;

    last |= sip_tail(end, size);
    for (; end - p >= 8; p += 8)
      sip_word(&s, load64(p));
  }
  sip_word(&s, last);
  return sip_end(&s);
}

uint64_t cmap__hash_siphash13_words(const struct cmap__hash_key *key,
                                    const uint64_t *words, size_t size)
{
  struct sip_state s = sip_begin(key);
  size_t whole = size / 8;

  for (size_t i = 0; i < whole; i++)
    sip_word(&s, cmap__from_le64(words[i]));
  sip_word(&s, (uint64_t)size << 56 | cmap__from_le64(words[whole]));
  return sip_end(&s);
}

/* -------------------------------------------------------------------------
 * The fast hash
 *
 * Up to 16 bytes are read as two words, which are masked and multiplied; a
 * second multiplication, as in cmap__hash_u64, mixes both halves of the
 * product. Longer strings first fold all but their last 16 bytes into the
 * masks, 16 bytes a multiplication, in two lanes that do not wait for each
 * other. That a product of masked words depends on both of them as long as
 * neither is 0, and that folding it is a cheap good mixer, is known from the
 * wyhash family.
 *
 * The weakness of the form: data equal to a mask makes the product 0 and hides
 * the other word. By accident that is one word in 2^64, since masks contain
 * random constants even if the key is 0; on purpose it is easy for whoever
 * knows the key.
 * ------------------------------------------------------------------------- */

/*
 * Masks of the words that the lanes multiply by: the first 64 bits after the
 * point of the square roots of 2 (made odd) and 5. With masks all different,
 * words that change places, in a lane or between lanes, change the hash.
 */
#define STEP_A UINT64_C(0x6a09e667f3bcc909)
#define STEP_B UINT64_C(0x3c6ef372fe94f82b)

uint64_t cmap__hash_fast(const struct cmap__hash_key *key, const void *data,
                         size_t size)
{
  const unsigned char *p = data;
  const uint64_t step_a = key->k1 ^ STEP_A;
  const uint64_t step_b = key->k0 ^ STEP_B;
  uint64_t mask_a = key->k0 ^ CMAP__HASH_MULTIPLIER_A;
  uint64_t mask_b = key->k1 ^ CMAP__HASH_MULTIPLIER_B;
  const unsigned char *end;

  if (size <= 16) {
    uint64_t words[CMAP__SHORT_WORDS] = {0};

    if (size > 0)
      (void)cmap__short_words(words, data, size);
    return cmap__hash_fast_words(key, cmap__from_le64(words[0]),
                                 cmap__from_le64(words[1]), size);
  }
  end = p + size;
  for (; end - p > 32; p += 32) {
    mask_a = cmap__hash_fold(load64(p) ^ mask_a, load64(p + 8) ^ step_a);
    mask_b = cmap__hash_fold(load64(p + 16) ^ mask_b, load64(p + 24) ^ step_b);
  }
  if (end - p > 16)
    mask_a = cmap__hash_fold(load64(p) ^ mask_a, load64(p + 8) ^ step_a);
  return cmap__hash_fast_end(load64(end - 16) ^ mask_a,
                             load64(end - 8) ^ mask_b,
                             key->k1 ^ (uint64_t)size);
}
