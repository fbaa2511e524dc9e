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

#include "sync/seqcount.h"
#include "world.h"

enum { WORDS = 9, SECTIONS = 3, READS = 3 };

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

  for (unsigned i = 0; i < WORDS; i++)
    bytes[i] = value;
  switch (world_choose(3)) {
  case 0:
    word = cmap__seq_open(&hi);
    cmap__payload_store_bytes(payload, bytes, sizeof bytes);
    break;
  case 1:
    word = cmap__seq_open(&hi);
    cmap__payload_exchange_bytes(payload, bytes, bytes, sizeof bytes);
    WORLD_CHECK(bytes[0] == value - 1);
    break;
  default:
    word = cmap__seq_open_for_user(&hi);
    for (unsigned i = 0; i < WORDS; i++)
      plain[i] = value;
  }
  cmap__seq_close(&hi, word);
}

static void read(void)
{
  uint64_t word = cmap__load_acquire(&hi); /* as [Q1] */
  uint64_t value = stored_at(word), got[WORDS], want[WORDS];
  size_t size = 8 * (2 + world_choose(WORDS - 1));
  bool equal = true;

  for (unsigned i = 0; i < WORDS; i++)
    want[i] = got[i] = value;
  if (!cmap__seq_is_stable(word))
    return;
  switch (world_choose(3)) {
  case 0:
    cmap__payload_copy_out(got, payload, WORDS);
    break;
  case 1:
    cmap__payload_copy_bytes(got, payload, size);
    break;
  default:
    equal = cmap__payload_equals_bytes(payload, want, size);
  }
  if (cmap__load_relaxed(&hi) != word)
    return;
  WORLD_CHECK(equal);
  for (unsigned i = 0; i < WORDS; i++)
    WORLD_CHECK(got[i] == value);
}

static void act(unsigned thread)
{
  for (unsigned i = 0; i < (thread == 0 ? SECTIONS : READS); i++) {
    if (thread == 0)
      write();
    else
      read();
  }
}

static void what_is_read_is_one_state(void **state)
{
  static const struct scenario scenario = {
      .name = "seqcount", .threads = 2, .begin = begin, .act = act};

  (void)state;
  world_play(&scenario, world_runs());
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_read_is_one_state),
  };

  return cmocka_run_group_tests_name("seqcount", tests, NULL, NULL);
}
