/*
 * seqcount.h: the count, the payload words, and writers against a reader.
 */
#include <stdlib.h>

#include "checks.h"
#include "random.h"
#include "settings.h"
#include "sync/seqcount.h"
#include "threads.h"

#define LOW_HALF UINT64_C(0xffffffff)

static uint64_t word_of_count(uint32_t count, uint32_t low)
{
  return (uint64_t)count << 32 | low;
}

static void odd_is_stable(void **state)
{
  (void)state;
  assert_false(cmap__seq_is_stable(0)); /* memory fresh from the system */
  for (uint32_t count = 0; count < 300; count++) {
    assert_int_equal(cmap__seq_is_stable(word_of_count(count, 0)), count % 2);
    assert_int_equal(cmap__seq_is_stable(word_of_count(count, UINT32_MAX)),
                     count % 2);
  }
  assert_true(cmap__seq_is_stable(word_of_count(UINT32_MAX, 0)));
  assert_false(cmap__seq_is_stable(word_of_count(UINT32_MAX - 1, 1)));
}

static void sections_count_up(void **state)
{
  static const uint32_t counts[] = {1, 3, 0x7fffffff, UINT32_MAX - 2};

  (void)state;
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    for (unsigned user = 0; user < 2; user++) {
      _Atomic uint64_t hi = word_of_count(counts[i], 0xabcdef01);
      uint64_t word = user ? cmap__seq_open_for_user(&hi) : cmap__seq_open(&hi);

      assert_int_equal(word, word_of_count(counts[i] + 1, 0xabcdef01));
      assert_int_equal(hi, word);
      assert_false(cmap__seq_is_stable(hi));
      cmap__seq_close(&hi, word ^ 0x55);
      assert_int_equal(hi, word_of_count(counts[i] + 2, 0xabcdef01 ^ 0x55));
      assert_true(cmap__seq_is_stable(hi));
    }
  }
}

/* After 2^32 - 1 comes 0, which is busy, then 1; tags are not touched. */
static void count_wraps(void **state)
{
  _Atomic uint64_t hi = word_of_count(UINT32_MAX, 0x12345678);
  uint64_t word = cmap__seq_open(&hi);

  (void)state;
  assert_int_equal(hi, 0x12345678);
  assert_false(cmap__seq_is_stable(hi));
  cmap__seq_close(&hi, word);
  assert_int_equal(hi, word_of_count(1, 0x12345678));
}

/* -------------------------------------------------------------------------
 * Payload
 * ------------------------------------------------------------------------- */

enum { BYTES_MAX = 150, WORDS_MAX = (BYTES_MAX + 7) / 8 };

static void bytes_come_back(void **state)
{
  unsigned char from[BYTES_MAX + 8], to[BYTES_MAX + 24];
  struct random random;

  (void)state;
  random_begin(&random, 1);
  for (size_t i = 0; i < sizeof from; i++)
    from[i] = (unsigned char)(random_next(&random) | 1);
  for (size_t size = 0; size <= BYTES_MAX; size++) {
    for (size_t shift = 0; shift < 8; shift++) {
      size_t words = (size + 7) / 8;
      uint64_t plain[WORDS_MAX + 2], out[WORDS_MAX + 1];
      _Atomic uint64_t *payload = cmap__payload_of(plain + 1);

      for (size_t i = 0; i < WORDS_MAX + 2; i++)
        plain[i] = UINT64_MAX;
      cmap__payload_store_bytes(payload, from + shift, size);
      assert_memory_equal(cmap__payload_plain(payload), from + shift, size);
      /* The rest of the last word is zero, and nothing else was written. */
      for (size_t i = size; i < 8 * words; i++)
        assert_int_equal(((unsigned char *)(plain + 1))[i], 0);
      assert_int_equal(plain[0], UINT64_MAX);
      for (size_t i = words + 1; i < WORDS_MAX + 2; i++)
        assert_int_equal(plain[i], UINT64_MAX);

      out[words] = 77;
      cmap__payload_copy_out(out, payload, words);
      assert_memory_equal(out, plain + 1, 8 * words);
      assert_int_equal(out[words], 77);

      /* To any address, and not a byte more. */
      memset(to, 0xa5, sizeof to);
      cmap__payload_copy_bytes(to + 8 + shift, payload, size);
      assert_memory_equal(to + 8 + shift, from + shift, size);
      for (size_t i = 0; i < sizeof to; i++)
        assert_true((i - 8 - shift < size) || to[i] == 0xa5);
    }
  }
}

static void words_are_moved(void **state)
{
  uint64_t from[5] = {1, 2, 3, 4, 5};
  uint64_t to[5] = {9, 9, 9, 9, 9};

  (void)state;
  cmap__payload_move(cmap__payload_of(to), cmap__payload_of(from), 0);
  assert_int_equal(to[0], 9);
  cmap__payload_move(cmap__payload_of(to), cmap__payload_of(from), 4);
  assert_memory_equal(to, from, 4 * sizeof *to);
  assert_int_equal(to[4], 9);
  cmap__payload_store(cmap__payload_of(to), 42);
  assert_int_equal(cmap__payload_load(cmap__payload_of(to)), 42);
}

/* -------------------------------------------------------------------------
 * A writer against readers
 * ------------------------------------------------------------------------- */

enum { PAYLOAD_WORDS = 8, SECTIONS = 5000000, GOOD_READS = 100000 };

struct duel {
  _Atomic uint64_t hi;
  uint64_t payload[PAYLOAD_WORDS]; /* all equal, outside a section */
  bool by_user;
  size_t sections;
  atomic_bool written; /* the writer has done its sections */
  atomic_uint readers; /* still to make their good reads */
};

/* One section; all words of the payload and the low half become n. */
static void write_section(struct duel *duel, uint64_t n)
{
  uint64_t word;

  if (duel->by_user) {
    uint64_t *plain = cmap__payload_plain(cmap__payload_of(duel->payload));

    word = cmap__seq_open_for_user(&duel->hi);
    for (unsigned i = 0; i < PAYLOAD_WORDS; i++)
      plain[i] = n;
  } else {
    word = cmap__seq_open(&duel->hi);
    for (unsigned i = 0; i < PAYLOAD_WORDS; i++)
      cmap__payload_store(cmap__payload_of(duel->payload + i), n);
  }
  cmap__seq_close(&duel->hi, (word & ~LOW_HALF) | (n & LOW_HALF));
}

static void writer(struct duel *duel)
{
  uint64_t n = 0;

  /* Ends: readers need no more than a pause between two sections. */
  while (n < duel->sections || atomic_load(&duel->readers) > 0) {
    write_section(duel, ++n);
    if (n >= duel->sections && n % 64 == 0) {
      atomic_store(&duel->written, true);
      for (unsigned i = 0; i < 2000; i++)
        cmap__pause();
    }
  }
}

/* One look; true if it was a good one. *last is what was seen before. */
static bool look(struct duel *duel, uint64_t *last)
{
  uint64_t words[PAYLOAD_WORDS];
  uint64_t hi = cmap__load_acquire(&duel->hi);

  if (!cmap__seq_is_stable(hi))
    return false;
  cmap__payload_copy_out(words, cmap__payload_of(duel->payload), PAYLOAD_WORDS);
  if (cmap__load_relaxed(&duel->hi) != hi)
    return false;
  for (unsigned i = 0; i < PAYLOAD_WORDS; i++)
    CHECK(words[i] == words[0]);
  CHECK((words[0] & LOW_HALF) == (hi & LOW_HALF));
  CHECK(words[0] >= *last);
  *last = words[0];
  return true;
}

static void reader(struct duel *duel)
{
  size_t good = 0;
  uint64_t last = 0;

  while (good < GOOD_READS || !atomic_load(&duel->written)) {
    if (look(duel, &last))
      good++;
    else
      cmap__pause();
  }
  atomic_fetch_sub(&duel->readers, 1);
}

static void take_part(unsigned index, void *ctx)
{
  if (index == 0)
    writer(ctx);
  else
    reader(ctx);
}

static void run_duel(bool by_user)
{
  struct duel *duel = aligned_alloc(64, 256);

  assert_non_null(duel);
  memset(duel, 0, sizeof *duel);
  atomic_init(&duel->hi, CMAP__SEQ_ONE);
  atomic_init(&duel->readers, 2);
  duel->by_user = by_user;
  duel->sections = test_scale(SECTIONS);
  threads_run(3, take_part, duel);
  free(duel);
}

static void sections_are_seen_whole(void **state)
{
  (void)state;
  run_duel(false);
}

static void sections_for_users_are_seen_whole(void **state)
{
  (void)state;
  run_duel(true);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(odd_is_stable),
      cmocka_unit_test(sections_count_up),
      cmocka_unit_test(count_wraps),
      cmocka_unit_test(bytes_come_back),
      cmocka_unit_test(words_are_moved),
      cmocka_unit_test(sections_are_seen_whole),
      cmocka_unit_test(sections_for_users_are_seen_whole),
  };

  return cmocka_run_group_tests_name("seqcount", tests, NULL, NULL);
}
