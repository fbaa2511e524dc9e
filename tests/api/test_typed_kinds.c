/* CMAP_DEFINE: keys of every kind, all sorts of values, options. */
#include "checks.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

/* Globals that the wrappers' parameters must not shadow: -Wshadow says so. */
extern int map, key, value, old, event, how, ctx;
int map, key, value, old, event, how, ctx;

struct point {
  int32_t x;
  int32_t y;
};

/* More than any map puts into a slot by default. */
struct page {
  uint64_t words[512];
};

/* The longest key of fixed size. */
struct long_key {
  uint64_t words[32];
};

struct line {
  alignas(16) uint64_t words[3];
};

enum color { RED = 1, BLUE };
typedef int handler(int);
typedef handler *handler_pointer;

CMAP_DEFINE(u32_map, CMAP_U32, uint32_t);
CMAP_DEFINE(u64_map, CMAP_U64, uint64_t);
CMAP_DEFINE(string_map, CMAP_STRING, uint64_t);
CMAP_DEFINE(bytes_map, CMAP_BYTES, uint64_t);
CMAP_DEFINE_FIXED(point_map, struct point, uint64_t);
CMAP_DEFINE_FIXED(u16_map, uint16_t, uint64_t);
CMAP_DEFINE_FIXED(long_map, struct long_key, uint64_t);

CMAP_DEFINE(char_map, CMAP_U32, char);
CMAP_DEFINE(bool_map, CMAP_U32, bool);
CMAP_DEFINE(color_map, CMAP_STRING, enum color);
CMAP_DEFINE(text_map, CMAP_U64, char *);
CMAP_DEFINE(handler_map, CMAP_STRING, handler_pointer);
CMAP_DEFINE(page_map, CMAP_U64, struct page);
CMAP_DEFINE(line_map, CMAP_U64, struct line);

/* ------------------------------------------------------------------------
 * Keys. Each callback gets the sum of the keys as ctx and adds its own.
 * ------------------------------------------------------------------------ */

static enum cmap_status see_u32(uint32_t k, const uint32_t *v, void *sum)
{
  CHECK(*v == k + 1);
  *(uint64_t *)sum += k;
  return CMAP_OK;
}

static void u32_keys(void **state)
{
  struct u32_map m = CMAP_INIT;
  uint32_t out = 0;
  uint64_t before = 7;
  uint64_t sum = 0;

  (void)state;
  assert_ok(u32_map_create(NULL, &m));
  for (uint32_t i = 0; i < 100; i++)
    assert_ok(u32_map_insert(m, i, i + 1, NULL, NULL, NULL));
  assert_ok(u32_map_get(m, 42, &out, NULL));
  assert_int_equal(out, 43);
  assert_ok(u32_map_view_all(m, see_u32, &sum, NULL));
  assert_int_equal(sum, 4950);
  assert_ok(u32_map_fetch_sub(m, 42, 44, &before, NULL));
  assert_int_equal(before, 43);
  assert_ok(u32_map_get(m, 42, &out, NULL));
  assert_int_equal(out, UINT32_MAX);
  u32_map_destroy(m);
  checks_assert();
}

static bool is_even(uint64_t k, uint64_t *v, void *unused)
{
  (void)unused;
  CHECK(*v == k * k);
  return k % 2 == 0;
}

static void u64_keys(void **state)
{
  struct u64_map m = CMAP_INIT;
  uint64_t before = 7;
  uint64_t out = 0;
  size_t removed = 0;

  (void)state;
  assert_ok(u64_map_create(NULL, &m));
  for (uint64_t i = 0; i < 100; i++)
    assert_ok(u64_map_insert(m, i, i * i, NULL, NULL, NULL));
  assert_ok(u64_map_retain(m, is_even, NULL, &removed, NULL));
  assert_int_equal(removed, 50);
  assert_ok(u64_map_fetch_add(m, UINT64_MAX, 12, &before, NULL));
  assert_int_equal(before, 0);
  assert_ok(u64_map_fetch_sub(m, UINT64_MAX, 2, NULL, NULL));
  assert_ok(u64_map_fetch_and(m, UINT64_MAX, 6, NULL, NULL));
  assert_ok(u64_map_fetch_or(m, UINT64_MAX, 9, NULL, NULL));
  assert_ok(u64_map_fetch_max(m, UINT64_MAX, 20, &before, NULL));
  assert_int_equal(before, 11);
  assert_ok(u64_map_fetch_min(m, UINT64_MAX, 3, &before, NULL));
  assert_int_equal(before, 20);
  assert_ok(u64_map_get(m, UINT64_MAX, &out, NULL));
  assert_int_equal(out, 3);
  u64_map_destroy(m);
  checks_assert();
}

static enum cmap_status see_string(const char *k, const uint64_t *v, void *sum)
{
  CHECK(strlen(k) == *v);
  *(uint64_t *)sum += *v;
  return CMAP_OK;
}

static enum cmap_status make_length(const char *k, uint64_t *v, void *unused)
{
  (void)unused;
  *v = strlen(k);
  return CMAP_OK;
}

/* Of all lengths around the longest that lies in the slot. */
static void string_keys(void **state)
{
  struct string_map m = CMAP_INIT;
  char text[101];
  uint64_t sum = 0;
  uint64_t out = 0;

  (void)state;
  assert_ok(string_map_create(NULL, &m));
  for (size_t n = 0; n <= 100; n++) {
    memset(text, 'x', n);
    text[n] = '\0';
    assert_ok(string_map_get_or_insert_with(m, text, &out, NULL, make_length,
                                            NULL, NULL));
    assert_int_equal(out, n);
  }
  assert_ok(string_map_view_all(m, see_string, &sum, NULL));
  assert_int_equal(sum, 5050);
  /* A slice, by way of the untyped map. */
  assert_ok(cmap_get(m.map, cmap_key_bytes(text + 1, 30), &out, NULL));
  assert_int_equal(out, 30);
  assert_status(string_map_insert(m, NULL, 1, NULL, NULL, NULL), CMAP_EINVAL);
  string_map_destroy(m);
  checks_assert();
}

static enum cmap_status see_bytes(struct cmap_key k, const uint64_t *v,
                                  void *sum)
{
  CHECK(k.size == *v);
  CHECK(((const char *)k.data)[k.size] == '\0');
  *(uint64_t *)sum += *v;
  return CMAP_OK;
}

static void bytes_keys(void **state)
{
  static const char text[] = "a\0b, and a tail that is longer than a slot";
  struct bytes_map m = CMAP_INIT;
  uint64_t sum = 0;
  uint64_t out = 0;

  (void)state;
  assert_ok(bytes_map_create(NULL, &m));
  for (size_t n = 0; n < sizeof text; n++)
    assert_ok(
        bytes_map_insert(m, cmap_key_bytes(text, n), n, NULL, NULL, NULL));
  assert_ok(bytes_map_get(m, cmap_key_bytes(text, 3), &out, NULL));
  assert_int_equal(out, 3);
  assert_ok(bytes_map_view_all(m, see_bytes, &sum, NULL));
  assert_int_equal(sum, sizeof text * (sizeof text - 1) / 2);
  assert_status(bytes_map_contains(m, cmap_key_bytes(NULL, 0), NULL),
                CMAP_EINVAL);
  bytes_map_destroy(m);
  checks_assert();
}

static enum cmap_status see_point(struct point k, const uint64_t *v, void *sum)
{
  CHECK((uint64_t)(k.x * k.y) == *v);
  *(uint64_t *)sum += *v;
  return CMAP_OK;
}

static enum cmap_status see_long(struct long_key k, const uint64_t *v,
                                 void *unused)
{
  (void)unused;
  CHECK(k.words[31] == *v);
  return CMAP_OK;
}

static void fixed_keys(void **state)
{
  struct point_map m = CMAP_INIT;
  struct u16_map small = CMAP_INIT;
  struct long_map large = CMAP_INIT;
  struct cmap_options options = CMAP_INIT;
  struct point point = {3, 4};
  struct long_key key_of_9;
  uint64_t sum = 0;
  uint64_t out = 0;

  (void)state;
  assert_ok(point_map_create(NULL, &m));
  assert_ok(point_map_insert(m, point, 12, NULL, NULL, NULL));
  point.x = 5;
  assert_ok(point_map_insert(m, point, 20, NULL, NULL, NULL));
  assert_ok(point_map_get(m, point, &out, NULL));
  assert_int_equal(out, 20);
  assert_ok(point_map_view_all(m, see_point, &sum, NULL));
  assert_int_equal(sum, 32);
  options.size = sizeof options;
  assert_ok(point_map_get_options(m, &options));
  assert_int_equal(options.key_kind, CMAP_FIXED);
  assert_int_equal(options.key_size, sizeof point);
  assert_ok(u16_map_create(NULL, &small));
  assert_ok(u16_map_fetch_add(small, 65535, 1, NULL, NULL));
  assert_ok(u16_map_contains(small, 65535, NULL));
  assert_status(u16_map_contains(small, 65534, NULL), CMAP_NOT_FOUND);
  memset(&key_of_9, 0, sizeof key_of_9);
  key_of_9.words[31] = 9;
  assert_ok(long_map_create(NULL, &large));
  assert_ok(long_map_insert(large, key_of_9, 9, NULL, NULL, NULL));
  assert_ok(long_map_view_all(large, see_long, NULL, NULL));
  long_map_destroy(large);
  u16_map_destroy(small);
  point_map_destroy(m);
  checks_assert();
}

/* ------------------------------------------------------------------------
 * Values
 * ------------------------------------------------------------------------ */

static int twice(int n)
{
  return 2 * n;
}

static void small_values(void **state)
{
  struct char_map chars = CMAP_INIT;
  struct bool_map bools = CMAP_INIT;
  struct color_map colors = CMAP_INIT;
  struct handler_map handlers = CMAP_INIT;
  handler_pointer function = NULL;
  enum color color = RED;
  bool yes = false;
  char c = 0;

  (void)state;
  assert_ok(char_map_create(NULL, &chars));
  assert_ok(char_map_insert(chars, 1, 'x', NULL, NULL, NULL));
  assert_ok(char_map_get(chars, 1, &c, NULL));
  assert_int_equal(c, 'x');
  assert_status(char_map_fetch_add(chars, 1, 1, NULL, NULL), CMAP_ENOTSUP);
  assert_ok(bool_map_create(NULL, &bools));
  assert_ok(bool_map_insert(bools, 1, true, NULL, NULL, NULL));
  assert_ok(bool_map_get(bools, 1, &yes, NULL));
  assert_true(yes);
  assert_ok(color_map_create(NULL, &colors));
  assert_ok(color_map_insert(colors, "sky", BLUE, NULL, NULL, NULL));
  assert_ok(color_map_remove(colors, "sky", &color, NULL));
  assert_int_equal(color, BLUE);
  assert_ok(handler_map_create(NULL, &handlers));
  assert_ok(handler_map_insert(handlers, "2", twice, NULL, NULL, NULL));
  assert_ok(handler_map_get(handlers, "2", &function, NULL));
  assert_int_equal(function(21), 42);
  handler_map_destroy(handlers);
  color_map_destroy(colors);
  bool_map_destroy(bools);
  char_map_destroy(chars);
}

static void destroy_text(void *text, void *unused)
{
  (void)unused;
  free(*(char **)text);
}

static enum cmap_status clone_text(const void *text, void *copy, void *unused)
{
  (void)unused;
  *(char **)copy = strdup(*(char *const *)text);
  return *(char **)copy ? CMAP_OK : CMAP_ENOMEM;
}

static enum cmap_status see_text(uint64_t k, char *const *text, void *unused)
{
  (void)unused;
  CHECK(strtoull(*text, NULL, 10) == k);
  return CMAP_OK;
}

/* Pointers that the map owns: `const value_type *` is `char *const *`. */
static void owned_values(void **state)
{
  struct text_map m = CMAP_INIT;
  struct cmap_options options = CMAP_INIT;
  char *text = NULL;

  (void)state;
  options.size = sizeof options;
  options.value_destroy = destroy_text;
  options.value_clone = clone_text;
  assert_ok(text_map_create(&options, &m));
  assert_ok(text_map_insert(m, 1, strdup("1"), NULL, NULL, NULL));
  assert_ok(text_map_insert(m, 2, strdup("2"), NULL, NULL, NULL));
  assert_ok(text_map_view_all(m, see_text, NULL, NULL));
  assert_ok(text_map_get(m, 1, &text, NULL));
  assert_string_equal(text, "1");
  free(text);
  assert_ok(text_map_remove(m, 1, &text, NULL));
  assert_string_equal(text, "1");
  free(text);
  text_map_destroy(m);
  checks_assert();
}

static enum cmap_status see_page(uint64_t k, const struct page *page,
                                 void *unused)
{
  (void)unused;
  CHECK(page->words[511] == k);
  return CMAP_OK;
}

static void large_values(void **state)
{
  static struct page page;
  static struct page out;
  struct page_map m = CMAP_INIT;

  (void)state;
  assert_ok(page_map_create(NULL, &m));
  for (uint64_t i = 0; i < 50; i++) {
    page.words[511] = i;
    assert_ok(page_map_insert(m, i, page, NULL, NULL, NULL));
  }
  assert_ok(page_map_get(m, 49, &out, NULL));
  assert_memory_equal(&page, &out, sizeof page);
  assert_ok(page_map_view_all(m, see_page, NULL, NULL));
  page_map_destroy(m);
  checks_assert();
}

static enum cmap_status see_aligned(uint64_t k, const struct line *line,
                                    void *unused)
{
  (void)unused;
  CHECK((uintptr_t)line % alignof(struct line) == 0);
  CHECK(line->words[2] == k);
  return CMAP_OK;
}

static enum cmap_status compute_aligned(uint64_t k, const struct line *before,
                                        struct line *fresh,
                                        enum cmap_action *action, void *unused)
{
  (void)unused;
  CHECK((uintptr_t)before % alignof(struct line) == 0);
  CHECK((uintptr_t)fresh % alignof(struct line) == 0);
  fresh->words[2] = k;
  *action = CMAP_PUT;
  return CMAP_OK;
}

static enum cmap_status make_aligned(uint64_t k, struct line *fresh,
                                     void *unused)
{
  (void)unused;
  CHECK((uintptr_t)fresh % alignof(struct line) == 0);
  fresh->words[2] = k;
  return CMAP_OK;
}

static void aligned_values(void **state)
{
  struct line_map m = CMAP_INIT;
  struct cmap_options options = CMAP_INIT;
  struct line line = {.words = {1, 2, 3}};

  (void)state;
  options.size = sizeof options;
  assert_ok(line_map_create(NULL, &m));
  assert_ok(line_map_get_options(m, &options));
  assert_int_equal(options.value_align, alignof(struct line));
  for (uint64_t i = 0; i < 50; i++) {
    line.words[2] = i;
    assert_ok(line_map_insert(m, i, line, NULL, NULL, NULL));
  }
  assert_ok(line_map_compute(m, 50, &line, NULL, compute_aligned, NULL, NULL));
  assert_ok(line_map_compute(m, 50, &line, NULL, compute_aligned, NULL, NULL));
  assert_ok(line_map_get_or_insert_with(m, 51, &line, NULL, make_aligned, NULL,
                                        NULL));
  assert_ok(line_map_get_or_insert_with_unlocked(m, 52, &line, NULL,
                                                 make_aligned, NULL, NULL));
  assert_ok(line_map_view_all(m, see_aligned, NULL, NULL));
  line_map_destroy(m);
  checks_assert();
}

/* ------------------------------------------------------------------------
 * Options
 * ------------------------------------------------------------------------ */

/* Is a line_map created with these options? */
static enum cmap_status try_line(const struct cmap_options *options)
{
  struct line_map m = CMAP_INIT;
  enum cmap_status status = line_map_create(options, &m);

  assert_int_equal(m.map != NULL, status == CMAP_OK);
  line_map_destroy(m);
  return status;
}

static void options_must_fit(void **state)
{
  struct cmap_options options = CMAP_INIT;
  struct point_map points = CMAP_INIT;
  struct string_map strings = CMAP_INIT;

  (void)state;
  assert_status(try_line(&options), CMAP_EINVAL); /* no size */
  options.size = sizeof options + 8;
  assert_status(try_line(&options), CMAP_EINVAL);
  options.size = sizeof options;
  assert_ok(try_line(&options));
  options.key_kind = CMAP_U64;
  options.key_size = 8;
  options.value_size = sizeof(struct line);
  options.value_align = 16;
  options.capacity = 100;
  assert_ok(try_line(&options));
  options.value_align = 8;
  assert_status(try_line(&options), CMAP_EINVAL);
  options.value_align = 16;
  options.value_size--;
  assert_status(try_line(&options), CMAP_EINVAL);
  options.value_size++;
  options.key_kind = CMAP_U32;
  assert_status(try_line(&options), CMAP_EINVAL);
  options.key_kind = CMAP_U64;
  options.key_size = 4;
  assert_status(try_line(&options), CMAP_EINVAL);
  options.key_size = 8;
  options.flags = 1u << 31;
  assert_status(try_line(&options), CMAP_EINVAL);

  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.key_size = sizeof(struct point);
  assert_ok(point_map_create(&options, &points));
  point_map_destroy(points);
  options.key_size = 1;
  assert_status(point_map_create(&options, &points), CMAP_EINVAL);
  assert_status(string_map_create(&options, &strings), CMAP_EINVAL);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(u32_keys),       cmocka_unit_test(u64_keys),
      cmocka_unit_test(string_keys),    cmocka_unit_test(bytes_keys),
      cmocka_unit_test(fixed_keys),     cmocka_unit_test(small_values),
      cmocka_unit_test(owned_values),   cmocka_unit_test(large_values),
      cmocka_unit_test(aligned_values), cmocka_unit_test(options_must_fit),
  };

  return cmocka_run_group_tests_name("typed_kinds", tests, NULL, NULL);
}
