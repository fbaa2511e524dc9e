/*
 * layout.c: where keys and values lie in a slot, and how they are aligned.
 */
#include "layout_fixture.h"

static bool is_integer(unsigned kind)
{
  return kind == CMAP_U32 || kind == CMAP_U64;
}

static void key_align_is_checked(void **state)
{
  static const size_t sizes[] = {1, 8, 16, 24, 32, 48, 56, 256};
  struct cmap_options o;

  (void)state;
  for (size_t align = 1; align <= 256; align++) {
    bool power = (align & (align - 1)) == 0;

    o = options_of(CMAP_FIXED);
    o.key_align = align;
    assert_refused(o);
    o = options_of(CMAP_CUSTOM);
    o.key_align = align;
    if (!power || align > 64)
      assert_refused(o);
    else
      assert_int_equal(in_force_of(&o).key_align, align < 8 ? 8 : align);
  }
  /* By default as malloc would. */
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    o = options_of(CMAP_CUSTOM);
    o.key_size = sizes[i];
    assert_int_equal(in_force_of(&o).key_align, sizes[i] % 16 == 0 ? 16 : 8);
  }
  /* A value of a word takes the room before the key. */
  o = options_of(CMAP_CUSTOM);
  o.key_size = 16;
  o.value_size = 8;
  assert_int_equal(layout_of(&o).slot_words, 4);
}

static void check_shape(const struct cmap__layout *layout, size_t key_bytes)
{
  const struct cmap_options in = in_force(layout), *o = &in;
  size_t align = o->value_align;
  bool boxed = o->value_size > o->inline_value_size;
  bool in_slot = !boxed && o->value_size > 0;
  bool custom = o->key_kind == CMAP_CUSTOM;
  unsigned key_end = layout->key_word + layout->key_words;
  unsigned value_end = layout->value_word + layout->value_words;

  assert_int_equal(layout->stores_hash,
                   layout->kind > CMAP_FIXED || key_bytes > 16);
  assert_int_equal(layout->key_word,
                   custom ? o->key_align / 8 : layout->stores_hash);
  assert_int_equal(layout->key_words, (key_bytes + 7) / 8);
  assert_int_equal(layout->value_boxed, boxed);
  assert_int_equal(layout->value_words,
                   boxed ? CMAP__BOX_WORDS : (o->value_size + 7) / 8);
  assert_true(layout->value_word >= key_end ||
              (layout->value_word >= 1 && value_end <= layout->key_word));
  assert_true(layout->slot_words >= key_end);
  assert_true(layout->slot_words >= value_end);
  assert_true(layout->slot_words <= CMAP__SLOT_WORDS_MAX);
  if (custom)
    assert_int_equal(cmap__layout_slot_bytes(layout) % o->key_align, 0);
  if (in_slot) {
    /* Slots begin on a cache line, so that this aligns every value. */
    assert_int_equal(8 * (size_t)layout->value_word % align, 0);
    assert_int_equal(cmap__layout_slot_bytes(layout) % align, 0);
  } else if (!custom) {
    assert_int_equal(layout->slot_words, key_end + layout->value_words);
  }
  assert_true(8u * layout->slot_words < 8u * key_end + o->value_size + 8 +
                                            2 * align +
                                            (custom ? o->key_align : 0));
}

static void slots_have_their_shape(void **state)
{
  static const size_t sizes[] = {0,  1,  7,   8,   9,   12,   16,   63,
                                 64, 65, 255, 256, 257, 1023, 1024, 100000};

  (void)state;
  FOR_EACH_KIND(kind)
  {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
      for (size_t align = 8; align <= 64; align *= 2) {
        for (size_t most = 8; most <= 1024; most *= 2) {
          struct cmap_options o = options_of((enum cmap_key_kind)kind);
          struct cmap__layout layout;

          o.value_size = sizes[i];
          o.value_align = align;
          o.inline_value_size = most;
          if (kind == CMAP_CUSTOM && most > 8)
            o.key_align = 8u << i % 4; /* else the default */
          layout = layout_of(&o);
          check_shape(&layout, is_integer(kind)       ? 8
                               : is_string_like(kind) ? 24
                                                      : 16);
        }
      }
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(key_align_is_checked),
      cmocka_unit_test(slots_have_their_shape),
  };

  return cmocka_run_group_tests_name("layout_shapes", tests, NULL, NULL);
}
