/*
 * layout.h: the options' rules in cmap.h, and the slots and blocks they make.
 */
#include "layout_fixture.h"

static enum cmap_status any_copy(struct cmap_key key, void *stored, void *ctx)
{
  (void)key;
  (void)stored;
  (void)ctx;
  return CMAP_OK;
}

static void any_destroy(void *object, void *ctx)
{
  (void)object;
  (void)ctx;
}

static enum cmap_status any_clone(const void *value, void *copy, void *ctx)
{
  (void)value;
  (void)copy;
  (void)ctx;
  return CMAP_OK;
}

static bool any_value_equal(const void *a, const void *b, void *ctx)
{
  (void)a;
  (void)b;
  (void)ctx;
  return true;
}

static void *any_alloc(size_t size, size_t align, void *ctx)
{
  (void)size;
  (void)align;
  (void)ctx;
  return NULL;
}

static void any_free(void *memory, size_t size, size_t align, void *ctx)
{
  (void)memory;
  (void)size;
  (void)align;
  (void)ctx;
}

/* -------------------------------------------------------------------------
 * Rules
 * ------------------------------------------------------------------------- */

static void size_field_is_checked(void **state)
{
  union {
    struct cmap_options options;
    unsigned char bytes[sizeof(struct cmap_options) + 16];
  } u;
  struct cmap__layout layout;

  (void)state;
  memset(&u, 0, sizeof u);
  u.options = options_of(CMAP_U64);
  u.options.size = 0;
  assert_refused(u.options);
  u.options.size = sizeof u.options - 1;
  assert_refused(u.options);
  /* Larger, with a tail of zeros, is the struct of a later version. */
  u.options.size = sizeof u;
  assert_ok(cmap__layout_init(&layout, &u.options, &user));
  assert_int_equal(in_force(&layout).size, sizeof u.options);
  u.bytes[sizeof u - 1] = 1;
  assert_refused(u.options);
  u.options.size = sizeof u - 1;
  assert_ok(cmap__layout_init(&layout, &u.options, &user));
  u.options.size = SIZE_MAX; /* not read through to the end */
  assert_refused(u.options);
  assert_status(cmap__layout_init(&layout, NULL, &user), CMAP_EINVAL);
}

static void kinds_and_flags_are_known_ones(void **state)
{
  struct cmap_options o = options_of(CMAP_U64);

  (void)state;
  FOR_EACH_KIND(kind)
  {
    o = options_of((enum cmap_key_kind)kind);
    assert_int_equal(layout_of(&o).kind, kind);
    o.key_kind += 256;
    assert_refused(o);
  }
  o = options_of(CMAP_U64);
  o.key_kind = 0;
  assert_refused(o);
  o.key_kind = CMAP_CUSTOM + 1;
  assert_refused(o);
  for (unsigned bit = 0; bit < 32; bit++) {
    o = options_of(CMAP_U64);
    o.flags = 1u << bit;
    if (o.flags == CMAP_HASH_IS_GOOD)
      o.key_hash = any_hash;
    if (bit >= 7)
      assert_refused(o);
    else
      (void)layout_of(&o);
  }
}

static void key_sizes_fit_the_kind(void **state)
{
  (void)state;
  FOR_EACH_KIND(kind)
  {
    static const size_t sizes[] = {0, 1, 4, 5, 8, 9, 16, 256, 257, SIZE_MAX};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
      struct cmap_options o = options_of((enum cmap_key_kind)kind);
      size_t size = o.key_size = sizes[i];
      bool valid;

      if (kind == CMAP_U32)
        valid = size == 0 || size == 4;
      else if (kind == CMAP_U64)
        valid = size == 0 || size == 8;
      else if (is_string_like(kind))
        valid = size == 0;
      else
        valid = size >= 1 && size <= 256;
      if (valid)
        (void)layout_of(&o);
      else
        assert_refused(o);
    }
  }
}

static void key_functions_go_together(void **state)
{
  (void)state;
  FOR_EACH_KIND(kind)
  {
    bool custom = kind == CMAP_CUSTOM;

    /* Each set of the four functions and two flags. */
    for (unsigned set = 0; set < 64; set++) {
      struct cmap_options o = options_of((enum cmap_key_kind)kind);
      bool hash = set & 1, equal = set & 2, copy = set & 4, destroy = set & 8;
      bool good = set & 16, fast = set & 32;
      bool valid = custom == equal && (hash || !custom) &&
                   (custom || (!copy && !destroy)) && (destroy || !copy) &&
                   (hash || !good) && (!fast || (!hash && !custom));

      o.key_hash = hash ? any_hash : NULL;
      o.key_equal = equal ? any_equal : NULL;
      o.key_copy = copy ? any_copy : NULL;
      o.key_destroy = destroy ? any_destroy : NULL;
      o.flags = (good ? CMAP_HASH_IS_GOOD : 0u) | (fast ? CMAP_HASH_FAST : 0u);
      if (valid)
        (void)layout_of(&o);
      else
        assert_refused(o);
    }
  }
}

static void inline_key_sizes_are_rounded(void **state)
{
  struct cmap_options o;

  (void)state;
  FOR_EACH_KIND(kind)
  {
    for (size_t size = 0; size <= 70; size++) {
      o = options_of((enum cmap_key_kind)kind);
      o.inline_key_size = size;
      if (is_string_like(kind) ? size > 63 : size != 0) {
        assert_refused(o);
        continue;
      }
      struct cmap__layout layout = layout_of(&o);
      if (!is_string_like(kind))
        continue;
      assert_true(layout.inline_key >= size && layout.inline_key >= 23);
      assert_true(layout.inline_key < 31 || layout.inline_key < size + 8);
      assert_int_equal((layout.inline_key + 1) % 8, 0);
      assert_int_equal(layout.key_words, (layout.inline_key + 1) / 8);
      assert_int_equal(in_force(&layout).inline_key_size, layout.inline_key);
    }
  }
  o = options_of(CMAP_STRING);
  assert_int_equal(layout_of(&o).inline_key, 23);
}

static void value_options_are_checked(void **state)
{
  struct cmap_options o;

  (void)state;
  for (size_t align = 0; align <= 256; align++) {
    bool power = (align & (align - 1)) == 0;

    o = options_of(CMAP_U64);
    o.value_align = align;
    if (!power || align > 64) {
      assert_refused(o);
      continue;
    }
    assert_int_equal(in_force_of(&o).value_align, align < 8 ? 8 : align);
  }
  o = options_of(CMAP_U64);
  o.value_size = SIZE_MAX;
  assert_refused(o);
  o.value_size = (size_t)PTRDIFF_MAX;
  assert_refused(o);

  o = options_of(CMAP_U64);
  assert_int_equal(in_force_of(&o).inline_value_size, 256);
  o.inline_value_size = 1024;
  assert_int_equal(in_force_of(&o).inline_value_size, 1024);
  o.inline_value_size = 1025;
  assert_refused(o);

  /* clone needs destroy; destroy and equal stand alone. */
  o = options_of(CMAP_U64);
  o.value_equal = any_value_equal;
  (void)layout_of(&o);
  o.value_clone = any_clone;
  assert_refused(o);
  o.value_destroy = any_destroy;
  (void)layout_of(&o);
  o.value_clone = NULL;
  (void)layout_of(&o);
}

static void shard_sizes_are_checked(void **state)
{
  struct cmap_options o;

  (void)state;
  for (size_t groups = 0; groups <= 4100; groups++) {
    o = options_of(CMAP_U64);
    o.shard_groups = groups;
    o.shard_bytes = SIZE_MAX;
    if ((groups & (groups - 1)) != 0) {
      assert_refused(o);
      continue;
    }
    assert_int_equal(1u << layout_of(&o).block_limit, groups ? groups : 64);
  }
  o.shard_groups = 8192;
  assert_refused(o);
  o.shard_groups = SIZE_MAX / 2 + 1;
  assert_refused(o);
}

/* The upper size is the largest that keeps both bounds, at least one group. */
static void shard_bytes_bound_the_block(void **state)
{
  (void)state;
  for (size_t value = 0; value <= 1024; value += 56) {
    for (size_t bytes = 1; bytes < 1000000; bytes = bytes * 2 + 1) {
      struct cmap_options o = options_of(CMAP_U64);
      struct cmap__layout layout;
      unsigned g;

      o.value_size = value;
      o.inline_value_size = 1024;
      o.shard_groups = 256;
      o.shard_bytes = bytes;
      layout = layout_of(&o);
      g = layout.block_limit;
      assert_true(g <= 8);
      assert_true(g == 0 || cmap__layout_block_bytes(&layout, g) <= bytes);
      assert_true(g == 8 || cmap__layout_block_bytes(&layout, g + 1) > bytes);
    }
  }
}

static void allocators_are_whole(void **state)
{
  struct cmap_options o = options_of(CMAP_U64);

  (void)state;
  o.allocator.alloc = any_alloc;
  assert_refused(o);
  o.allocator.free = any_free;
  (void)layout_of(&o);
  o.allocator.alloc = NULL;
  assert_refused(o);
}

/* -------------------------------------------------------------------------
 * Shapes
 * ------------------------------------------------------------------------- */

static void blocks_have_room(void **state)
{
  struct cmap_options o = options_of(CMAP_BYTES);
  struct cmap__layout layout;

  (void)state;
  o.value_size = 100;
  layout = layout_of(&o);
  for (unsigned g = 0; g < 20; g++) {
    size_t meta = cmap__layout_meta_bytes(g);
    size_t need = meta + ((size_t)11 << g) * cmap__layout_slot_bytes(&layout);
    size_t bytes = cmap__layout_block_bytes(&layout, g);

    assert_int_equal(meta % CMAP__CACHE_LINE, 0);
    assert_true(meta >= (size_t)16 << g);
    assert_true(meta < ((size_t)16 << g) + CMAP__CACHE_LINE);
    assert_int_equal(bytes % CMAP__CACHE_LINE, 0);
    assert_true(bytes >= need && bytes < need + CMAP__CACHE_LINE);
  }
}

static void reads_are_lock_free_where_promised(void **state)
{
  (void)state;
  FOR_EACH_KIND(kind)
  {
    struct cmap_options o = options_of((enum cmap_key_kind)kind);

    assert_int_equal(layout_of(&o).lock_free, kind != CMAP_CUSTOM);
    assert_int_equal(layout_of(&o).owns_anything, is_string_like(kind));
    o.value_destroy = any_destroy;
    assert_int_equal(layout_of(&o).lock_free, kind != CMAP_CUSTOM);
    assert_true(layout_of(&o).owns_anything);
    assert_true(layout_of(&o).owns_values);
    o.value_clone = any_clone;
    assert_false(layout_of(&o).lock_free);
    o = options_of((enum cmap_key_kind)kind);
    o.value_size = CMAP__BOX_MOST + 1;
    assert_false(layout_of(&o).lock_free);
    o.value_size = 257;
    assert_int_equal(layout_of(&o).lock_free, kind != CMAP_CUSTOM);
    assert_true(layout_of(&o).owns_anything);
    assert_false(layout_of(&o).owns_values);
  }
}

static void seeds_are_fixed_or_random(void **state)
{
  struct cmap_options o = options_of(CMAP_U64);
  struct cmap__layout a, b;

  (void)state;
  a = layout_of(&o);
  b = layout_of(&o);
  assert_int_not_equal(a.hash_key.k0, b.hash_key.k0);
  assert_int_equal(in_force(&a).seed[0] | in_force(&a).seed[1], 0);
  o.seed[1] = 4;
  assert_refused(o);
  o.seed[0] = 3;
  assert_refused(o);
  o.flags = CMAP_FIXED_SEED;
  a = layout_of(&o);
  assert_int_equal(a.hash_key.k0, 3);
  assert_int_equal(a.hash_key.k1, 4);
  assert_int_equal(in_force(&a).seed[0], 3);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(size_field_is_checked),
      cmocka_unit_test(kinds_and_flags_are_known_ones),
      cmocka_unit_test(key_sizes_fit_the_kind),
      cmocka_unit_test(key_functions_go_together),
      cmocka_unit_test(inline_key_sizes_are_rounded),
      cmocka_unit_test(value_options_are_checked),
      cmocka_unit_test(shard_sizes_are_checked),
      cmocka_unit_test(shard_bytes_bound_the_block),
      cmocka_unit_test(allocators_are_whole),
      cmocka_unit_test(blocks_have_room),
      cmocka_unit_test(reads_are_lock_free_where_promised),
      cmocka_unit_test(seeds_are_fixed_or_random),
  };

  return cmocka_run_group_tests_name("layout", tests, NULL, NULL);
}
