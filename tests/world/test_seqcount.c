/*
 * The sequence count alone: sections of the library's stores, and of a user's,
 * against all ways to read payload words. What was read between two looks that
 * are alike is what the section before has stored.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>

#include "sync/seqcount.h"
#include "world.h"

enum { WORDS = 9, SECTIONS = 3, READS = 3 };

/* What is played: searches take less of all. */
static unsigned words = WORDS, sections = SECTIONS, reads = READS;

/* What a reader or a writer does wrong. */
static enum {
  NOTHING,
  NO_SECOND_LOOK,
  BUSY_IS_READ,
  NO_SECTION,
  CLOSED_FIRST
} fault;

static _Atomic uint64_t hi;
static _Atomic uint64_t payload[WORDS];

static void begin(void)
{
  hi = CMAP__SEQ_ONE;
  for (unsigned i = 0; i < WORDS; i++)
    payload[i] = 0;
}

/* What the section before this stable count has stored. */
static uint64_t stored_at(uint64_t word)
{
  return word >> 33;
}

static void write(void)
{
  uint64_t word, value = stored_at(cmap__load_relaxed(&hi)) + 1;
  uint64_t *plain = cmap__payload_plain(payload);
  uint64_t bytes[WORDS];

  for (unsigned i = 0; i < words; i++)
    bytes[i] = value;
  if (fault == NO_SECTION)
    cmap__payload_store_bytes(payload, bytes, 8 * words);
  if (fault == CLOSED_FIRST)
    cmap__seq_close(&hi, cmap__seq_open(&hi));
  switch (world_choose(3)) {
  case 0:
    word = cmap__seq_open(&hi);
    cmap__payload_store_bytes(payload, bytes, 8 * words);
    break;
  case 1:
    word = cmap__seq_open(&hi);
    cmap__payload_exchange_bytes(payload, bytes, bytes, 8 * words);
    WORLD_CHECK(fault != NOTHING || bytes[0] == value - 1);
    break;
  default:
    word = cmap__seq_open_for_user(&hi);
    for (unsigned i = 0; i < words; i++)
      plain[i] = value;
  }
  cmap__seq_close(&hi, word);
}

static void read(void)
{
  uint64_t word = cmap__load_acquire(&hi); /* as [Q1] */
  uint64_t value = stored_at(word), got[WORDS], want[WORDS];
  size_t size = 8 * (2 + world_choose(words - 1));
  bool equal = true;

  for (unsigned i = 0; i < words; i++)
    want[i] = got[i] = value;
  if (!cmap__seq_is_stable(word) && fault != BUSY_IS_READ)
    return;
  switch (world_choose(3)) {
  case 0:
    cmap__payload_copy_out(got, payload, words);
    break;
  case 1:
    cmap__payload_copy_bytes(got, payload, size);
    break;
  default:
    equal = cmap__payload_equals_bytes(payload, want, size);
  }
  if (cmap__load_relaxed(&hi) != word && fault != NO_SECOND_LOOK)
    return;
  WORLD_CHECK(equal);
  for (unsigned i = 0; i < words; i++)
    WORLD_CHECK(got[i] == value);
}

static void act(unsigned thread)
{
  for (unsigned i = 0; i < (thread == 0 ? sections : reads); i++) {
    if (thread == 0)
      write();
    else
      read();
  }
}

static const struct scenario scenario = {
    .name = "seqcount", .threads = 2, .begin = begin, .act = act};

static void what_is_read_is_one_state(void **state)
{
  (void)state;
  world_play(&scenario, world_runs());
}

/*
 * One read stores nothing. So it is all the same when its steps are made, but
 * for which stores its loads may return, and these are all there when the
 * writer has ended: no thread need be interrupted. Of less, all interruptions
 * are tried too.
 */
static void it_is_so_in_every_schedule(void **state)
{
  (void)state;
  words = 3; /* a pair and one more */
  reads = 1;
  sections = 2;
  world_search(&scenario, 0);
  for (fault = NO_SECOND_LOOK; fault <= CLOSED_FIRST; fault++)
    assert_true(world_search_fails(&scenario, 0));
  fault = NOTHING;
  words = 2;
  sections = 1;
  world_search(&scenario, UINT_MAX);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_read_is_one_state),
      cmocka_unit_test(it_is_so_in_every_schedule),
  };

  return cmocka_run_group_tests_name("seqcount", tests, NULL, NULL);
}
