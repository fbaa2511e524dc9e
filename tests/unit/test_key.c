/*
 * key.h: the probe, the stored form, and the comparison of both, for all key
 * kinds.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "checks.h"
#include "random.h"
#include "tables.h"

static const size_t lengths[] = {0,  1,  7,  8,  22, 23, 24,
                                 31, 32, 62, 63, 64, 300};

#define LENGTHS (sizeof lengths / sizeof *lengths)

struct fixture {
  struct counting_alloc alloc;
  struct tables_setting setting;
  struct cmap__layout layout;
  struct cmap__user user;
  struct cmap__boxes boxes;
};

static void begin(struct fixture *f, unsigned kind, enum spread spread,
                  size_t inline_key_size)
{
  struct cmap_options options;

  counting_alloc_begin(&f->alloc);
  f->setting.kind = kind;
  f->setting.spread = spread;
  f->setting.alloc = &f->alloc;
  options = tables_options(&f->setting, 0);
  options.inline_key_size = inline_key_size;
  assert_ok(cmap__layout_init(&f->layout, &options, &f->user));
  cmap__boxes_init(&f->boxes, &f->layout.allocator, false);
  f->layout.boxes = &f->boxes;
}

static void end(struct fixture *f)
{
  assert_int_equal(cmap__boxes_used(&f->boxes), 0);
  assert_null(cmap__boxes_broken(&f->boxes));
  cmap__boxes_destroy(&f->boxes);
  assert_true(counting_alloc_is_empty(&f->alloc));
  checks_assert();
}

/* A key in a slot, from its image. */
struct stored {
  struct cmap__key_image image;
};

static const _Atomic uint64_t *slot_of(struct stored *stored)
{
  return cmap__payload_of(stored->image.words);
}

static void store(struct fixture *f, const struct cmap__probe *probe,
                  struct stored *stored)
{
  memset(stored, 0xa5, sizeof *stored);
  assert_ok(cmap__key_image_init(&f->layout, probe, &stored->image));
}

static bool equal(const struct fixture *f, bool locked, struct stored *stored,
                  const struct cmap__probe *probe)
{
  static _Atomic uint64_t stable = CMAP__SEQ_ONE;
  const _Atomic uint64_t *hi = locked ? NULL : &stable;
  bool is_equal = cmap__key_equal(&f->layout, f->layout.shape, hi,
                                  CMAP__SEQ_ONE, slot_of(stored), probe);

  /* Code of its own for short strings finds what the general code finds. */
  if (f->layout.shape == CMAP__SHAPE_SHORT)
    assert_int_equal(cmap__key_equal(&f->layout, CMAP__SHAPE_WORDS, hi,
                                     CMAP__SEQ_ONE, slot_of(stored), probe),
                     is_equal);
  if (probe->boxed && cmap__key_is_boxed(&f->layout, slot_of(stored))) {
    /* Without the lock, no box is looked at in a group that has changed: the
     * pointer may be anything. */
    struct stored changed = *stored;
    changed.image.words[f->layout.key_word] = 0;
    for (uint64_t seen = 2; seen < 4; seen++)
      assert_false(cmap__key_equal(&f->layout, f->layout.shape, &stable,
                                   seen * CMAP__SEQ_ONE, slot_of(&changed),
                                   probe));
  }
  return is_equal;
}

/* -------------------------------------------------------------------------
 * Each kind
 * ------------------------------------------------------------------------- */

enum { KEYS = 60 };

/* Stores the keys, and compares each with each. */
static void check_kind(unsigned kind, enum spread spread)
{
  static struct tables_key keys[KEYS];
  static struct cmap__probe probes[KEYS];
  static struct stored stored[KEYS];
  struct fixture f;

  begin(&f, kind, spread, 0);
  for (unsigned i = 0; i < KEYS; i++) {
    tables_key(&keys[i], kind, i);
    assert_ok(cmap__probe_init(&f.layout, keys[i].key, NULL, &probes[i]));
    store(&f, &probes[i], &stored[i]);
    assert_int_equal(cmap__slot_hash(&f.layout, slot_of(&stored[i])),
                     probes[i].hash);
    if (f.layout.stores_hash)
      assert_int_equal(stored[i].image.words[0], probes[i].hash);
  }
  for (unsigned i = 0; i < KEYS; i++) {
    struct cmap_key key = cmap__slot_key(&f.layout, slot_of(&stored[i]));

    assert_int_equal(key.size, keys[i].key.size);
    if (kind != CMAP_CUSTOM)
      assert_memory_equal(key.data, keys[i].key.data, key.size);
    for (unsigned j = 0; j < KEYS; j++) {
      bool lock_free = kind != CMAP_CUSTOM;

      assert_int_equal(equal(&f, true, &stored[i], &probes[j]), i == j);
      assert_int_equal(equal(&f, false, &stored[i], &probes[j]),
                       i == j && lock_free);
    }
  }
  for (unsigned i = 0; i < KEYS; i++)
    cmap__key_words_destroy(&f.layout, stored[i].image.words);
  end(&f);
}

static void keys_equal_only_themselves(void **state)
{
  (void)state;
  for (unsigned kind = CMAP_U32; kind <= CMAP_CUSTOM; kind++) {
    for (unsigned spread = 0; spread < SPREADS; spread++)
      check_kind(kind, (enum spread)spread);
  }
}

static void sizes_that_do_not_fit_are_refused(void **state)
{
  static const char bytes[300];
  struct cmap__probe probe;
  struct fixture f;

  (void)state;
  for (unsigned kind = CMAP_U32; kind <= CMAP_CUSTOM; kind++) {
    begin(&f, kind, SPREAD_GOOD, 0);
    assert_status(
        cmap__probe_init(&f.layout, cmap_key_bytes(NULL, 0), NULL, &probe),
        CMAP_EINVAL);
    assert_status(
        cmap__probe_init(&f.layout, cmap_key_bytes(NULL, 8), NULL, &probe),
        CMAP_EINVAL);
    if (kind == CMAP_STRING || kind == CMAP_BYTES)
      continue;
    for (size_t size = 0; size < sizeof bytes; size++) {
      if (size != f.layout.key_size)
        assert_status(cmap__probe_init(&f.layout, cmap_key_bytes(bytes, size),
                                       NULL, &probe),
                      CMAP_EINVAL);
    }
  }
  begin(&f, CMAP_BYTES, SPREAD_GOOD, 0);
  assert_status(cmap__probe_init(&f.layout, cmap_key_bytes(bytes, SIZE_MAX),
                                 NULL, &probe),
                CMAP_EINVAL);
}

static void strings_contain_no_zero(void **state)
{
  struct cmap__probe probe;
  struct fixture f;
  char text[300];

  (void)state;
  begin(&f, CMAP_STRING, SPREAD_GOOD, 0);
  for (size_t l = 0; l < LENGTHS; l++) {
    struct cmap_key key = cmap_key_bytes(text, lengths[l]);

    memset(text, 'a', sizeof text);
    assert_ok(cmap__probe_init(&f.layout, key, NULL, &probe));
    for (size_t i = 0; i < lengths[l]; i += 7) {
      text[i] = '\0';
      assert_status(cmap__probe_init(&f.layout, key, NULL, &probe),
                    CMAP_EINVAL);
      text[i] = 'a';
    }
  }
  end(&f);
}

/* A hash that the caller gives is used, and no function is called. */
static void given_hashes_are_used(void **state)
{
  uint64_t hash = UINT64_C(0x123456789abcdef0);

  (void)state;
  for (unsigned kind = CMAP_U32; kind <= CMAP_CUSTOM; kind++) {
    for (unsigned spread = 0; spread < 2; spread++) {
      struct cmap__probe probe;
      struct tables_key key;
      struct fixture f;

      begin(&f, kind, (enum spread)spread, 0);
      tables_key(&key, kind, 5);
      assert_ok(cmap__probe_init(&f.layout, key.key, &hash, &probe));
      assert_int_equal(probe.hash, hash);
      assert_ok(cmap__probe_init(&f.layout, key.key, NULL, &probe));
      assert_int_not_equal(probe.hash, hash);
    }
  }
}

static uint64_t size_hash(struct cmap_key key, void *ctx)
{
  (void)ctx;
  return key.size;
}

/* Hashes of users are mixed with the map's key, unless they are good. */
static void user_hashes_are_mixed(void **state)
{
  struct cmap_options options;
  struct cmap__layout layout;
  struct cmap__user user;
  struct cmap__probe probe;

  (void)state;
  cmap_options_init(&options, CMAP_BYTES, 0);
  options.key_hash = size_hash;
  assert_ok(cmap__layout_init(&layout, &options, &user));
  assert_ok(cmap__probe_init(&layout, cmap_key_bytes("abc", 3), NULL, &probe));
  assert_int_equal(probe.hash, cmap__hash_u64(&layout.hash_key, 3));
  options.flags = CMAP_HASH_IS_GOOD;
  assert_ok(cmap__layout_init(&layout, &options, &user));
  assert_ok(cmap__probe_init(&layout, cmap_key_bytes("abc", 3), NULL, &probe));
  assert_int_equal(probe.hash, 3);
}

static void library_hashes_are_the_right_ones(void **state)
{
  static const unsigned char bytes[8] = {1, 2, 3, 4, 250, 251, 252, 253};
  struct cmap__probe probe;
  struct fixture f;
  uint64_t wide;
  uint32_t narrow;

  (void)state;
  memcpy(&wide, bytes, sizeof wide);
  memcpy(&narrow, bytes, sizeof narrow);
  begin(&f, CMAP_U64, SPREAD_GOOD, 0);
  assert_ok(cmap__probe_init(&f.layout, cmap_key_u64(&wide), NULL, &probe));
  assert_int_equal(probe.hash, cmap__hash_u64(&f.layout.hash_key, wide));
  begin(&f, CMAP_U32, SPREAD_GOOD, 0);
  assert_ok(cmap__probe_init(&f.layout, cmap_key_u32(&narrow), NULL, &probe));
  assert_int_equal(probe.hash, cmap__hash_u64(&f.layout.hash_key, narrow));
  begin(&f, CMAP_BYTES, SPREAD_GOOD, 0);
  assert_ok(
      cmap__probe_init(&f.layout, cmap_key_bytes(bytes, 7), NULL, &probe));
  assert_int_equal(probe.hash,
                   cmap__hash_siphash13(&f.layout.hash_key, bytes, 7));
  f.layout.hasher = CMAP__HASH_FAST;
  assert_ok(
      cmap__probe_init(&f.layout, cmap_key_bytes(bytes, 7), NULL, &probe));
  assert_int_equal(probe.hash, cmap__hash_fast(&f.layout.hash_key, bytes, 7));
}

/* Of every size: as words unless SipHash is asked for, and the same whether it
 * is computed from the caller's key or from the slot. */
static void fixed_keys_are_hashed_as_words(void **state)
{
  unsigned char bytes[40];
  uint64_t seen[2][40];

  (void)state;
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (unsigned char)(7 * i + 1);
  for (size_t size = 1; size <= sizeof bytes; size++) {
    for (unsigned sip = 0; sip < 2; sip++) {
      struct cmap_options options;
      struct cmap__layout layout;
      struct cmap__user user;
      struct cmap__probe probe;
      struct stored stored;

      cmap_options_init(&options, CMAP_FIXED, 0);
      options.key_size = size;
      options.flags = CMAP_FIXED_SEED | (sip ? CMAP_HASH_SIPHASH : 0);
      assert_ok(cmap__layout_init(&layout, &options, &user));
      assert_ok(
          cmap__probe_init(&layout, cmap_key_bytes(bytes, size), NULL, &probe));
      assert_ok(cmap__key_image_init(&layout, &probe, &stored.image));
      assert_int_equal(cmap__slot_hash(&layout, slot_of(&stored)), probe.hash);
      if (sip)
        assert_int_equal(probe.hash,
                         cmap__hash_siphash13(&layout.hash_key, bytes, size));
      seen[sip][size - 1] = probe.hash;
      for (size_t i = 0; i + 1 < size; i++)
        assert_int_not_equal(seen[sip][i], probe.hash);
    }
    assert_int_not_equal(seen[0][size - 1], seen[1][size - 1]);
  }
}

/* -------------------------------------------------------------------------
 * Strings and bytes
 * ------------------------------------------------------------------------- */

static void check_string(struct fixture *f, const char *text, size_t length)
{
  bool boxed = length > f->layout.inline_key;
  struct cmap__probe probe, other;
  struct stored stored;
  struct cmap_key key;
  char copy[301];

  memcpy(copy, text, length);
  assert_ok(
      cmap__probe_init(&f->layout, cmap_key_bytes(copy, length), NULL, &probe));
  assert_int_equal(probe.boxed, boxed);
  store(f, &probe, &stored);
  assert_int_equal(cmap__boxes_used(&f->boxes), boxed);
  assert_int_equal(cmap__key_is_boxed(&f->layout, slot_of(&stored)), boxed);
  /* The stored key is a copy. */
  memset(copy, '#', length);
  key = cmap__slot_key(&f->layout, slot_of(&stored));
  assert_int_equal(key.size, length);
  assert_memory_equal(key.data, text, length);
  assert_int_equal(((const char *)key.data)[length], 0);

  /* Only the very key is equal, whatever the hash claims: not one that is
     longer, shorter, or differs in its last byte. */
  for (size_t l = length > 0 ? length - 1 : 0; l <= length + 1; l++) {
    memset(copy, 'a', sizeof copy);
    assert_ok(cmap__probe_init(&f->layout, cmap_key_bytes(copy, l), &probe.hash,
                               &other));
    assert_int_equal(equal(f, true, &stored, &other), l == length);
    assert_int_equal(equal(f, false, &stored, &other), l == length);
    if (l > 0) {
      copy[l - 1] = 'b';
      assert_ok(cmap__probe_init(&f->layout, cmap_key_bytes(copy, l),
                                 &probe.hash, &other));
      assert_false(equal(f, true, &stored, &other));
      assert_false(equal(f, false, &stored, &other));
    }
  }
  cmap__key_words_destroy(&f->layout, stored.image.words);
  assert_int_equal(cmap__boxes_used(&f->boxes), 0);
}

static void strings_lie_inline_or_in_a_box(void **state)
{
  static const size_t sizes[] = {0, 23, 31, 63};
  char text[300];

  (void)state;
  memset(text, 'a', sizeof text);
  for (unsigned kind = CMAP_STRING; kind <= CMAP_BYTES; kind++) {
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
      struct fixture f;

      begin(&f, kind, SPREAD_GOOD, sizes[s]);
      for (size_t l = 0; l < LENGTHS; l++) {
        if (lengths[l] < sizeof text)
          check_string(&f, text, lengths[l]);
      }
      end(&f);
    }
  }
}

/* A key that lies inline and imitates the words of a box is not equal to it,
   nor does its end free anything. */
static void inline_keys_are_not_taken_for_boxes(void **state)
{
  struct cmap__probe inline_probe, boxed_probe;
  struct stored boxed, stored;
  struct fixture f;
  char text[40];

  (void)state;
  begin(&f, CMAP_BYTES, SPREAD_CONSTANT, 0);
  memset(text, 'a', sizeof text);
  assert_ok(cmap__probe_init(&f.layout, cmap_key_bytes(text, 40), NULL,
                             &boxed_probe));
  store(&f, &boxed_probe, &boxed);
  assert_ok(cmap__probe_init(&f.layout,
                             cmap_key_bytes(boxed.image.words + 1, 23), NULL,
                             &inline_probe));
  store(&f, &inline_probe, &stored);
  assert_int_equal(inline_probe.hash, boxed_probe.hash);
  for (unsigned locked = 0; locked < 2; locked++) {
    assert_false(equal(&f, locked, &boxed, &inline_probe));
    assert_false(equal(&f, locked, &stored, &boxed_probe));
  }
  cmap__key_words_destroy(&f.layout, stored.image.words);
  assert_int_equal(cmap__boxes_used(&f.boxes), 1);
  cmap__key_words_destroy(&f.layout, boxed.image.words);
  end(&f);
}

/* -------------------------------------------------------------------------
 * Bytes of a key that is not a whole number of words; failures
 * ------------------------------------------------------------------------- */

static void fixed_keys_of_every_size_compare_all_bytes(void **state)
{
  (void)state;
  for (size_t size = 1; size <= 256; size += size < 20 ? 1 : 59) {
    unsigned char *bytes = malloc(size);
    struct cmap__probe probe, other;
    struct cmap_options options;
    struct cmap__layout layout;
    struct cmap__user user;
    struct stored stored;

    assert_non_null(bytes);
    memset(bytes, 0xcc, size);
    cmap_options_init(&options, CMAP_FIXED, 0);
    options.key_size = size;
    assert_ok(cmap__layout_init(&layout, &options, &user));
    assert_ok(
        cmap__probe_init(&layout, cmap_key_bytes(bytes, size), NULL, &probe));
    memset(&stored, 0xa5, sizeof stored);
    assert_ok(cmap__key_image_init(&layout, &probe, &stored.image));
    assert_true(cmap__key_equal(&layout, layout.shape, NULL, 0,
                                slot_of(&stored), &probe));
    for (size_t i = 0; i < size; i++) {
      bytes[i] ^= 1;
      assert_ok(cmap__probe_init(&layout, cmap_key_bytes(bytes, size),
                                 &probe.hash, &other));
      assert_false(cmap__key_equal(&layout, layout.shape, NULL, 0,
                                   slot_of(&stored), &other));
      bytes[i] ^= 1;
    }
    free(bytes);
  }
}

static void refused_memory_leaves_nothing(void **state)
{
  static const unsigned kinds[] = {CMAP_STRING, CMAP_BYTES, CMAP_CUSTOM};

  (void)state;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    struct cmap__key_image image;
    struct cmap__probe probe;
    struct tables_key key;
    struct fixture f;

    begin(&f, kinds[i], SPREAD_GOOD, 0);
    tables_key(&key, kinds[i], 5); /* 64 bytes */
    assert_ok(cmap__probe_init(&f.layout, key.key, NULL, &probe));
    counting_alloc_fail_nth(&f.alloc, 1);
    assert_status(cmap__key_image_init(&f.layout, &probe, &image), CMAP_ENOMEM);
    assert_int_equal(counting_alloc_failures(&f.alloc), 1);
    end(&f);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keys_equal_only_themselves),
      cmocka_unit_test(sizes_that_do_not_fit_are_refused),
      cmocka_unit_test(strings_contain_no_zero),
      cmocka_unit_test(given_hashes_are_used),
      cmocka_unit_test(user_hashes_are_mixed),
      cmocka_unit_test(library_hashes_are_the_right_ones),
      cmocka_unit_test(fixed_keys_are_hashed_as_words),
      cmocka_unit_test(strings_lie_inline_or_in_a_box),
      cmocka_unit_test(inline_keys_are_not_taken_for_boxes),
      cmocka_unit_test(fixed_keys_of_every_size_compare_all_bytes),
      cmocka_unit_test(refused_memory_leaves_nothing),
  };

  return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
