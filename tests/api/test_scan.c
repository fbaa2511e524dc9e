/*
 * cmap_scan on one thread: every kind of map, buffers of all sizes.
 * test_scan_positions.c chooses the hashes; test_scan_failures.c has what goes
 * wrong.
 */
#include "content.h"
#include "random.h"

#include <stdlib.h>
#include <string.h>

#define IDS 60

static bool has_text(const struct test_map *m)
{
  return m->spec.keys == KEYS_STRING || m->spec.keys == KEYS_BYTES;
}

static size_t key_bytes(const struct test_map *m)
{
  return has_text(m) ? sizeof(struct cmap_key) : m->options.key_size;
}

static void *memory_of(size_t size)
{
  void *memory = malloc(size > 0 ? size : 1);

  assert_non_null(memory);
  return memory;
}

enum { KEYS_WANTED = 1, VALUES_WANTED = 2 };

/* A buffer, each of its arrays in memory of exactly its size. */
static struct cmap_scan_buffer buffer_open(const struct test_map *m,
                                           unsigned wanted, size_t capacity,
                                           size_t text_size)
{
  struct cmap_scan_buffer buffer = CMAP_INIT;

  buffer.size = sizeof buffer;
  buffer.capacity = capacity;
  if (wanted & KEYS_WANTED) {
    buffer.keys = memory_of(capacity * key_bytes(m));
    buffer.text = memory_of(text_size);
    buffer.text_size = text_size;
  }
  if (wanted & VALUES_WANTED)
    buffer.values = memory_of(capacity * m->spec.value_size);
  return buffer;
}

static void buffer_close(struct cmap_scan_buffer *buffer)
{
  free(buffer->keys);
  free(buffer->values);
  free(buffer->text);
}

static struct cmap_key key_at(const struct test_map *m,
                              const struct cmap_scan_buffer *buffer, size_t i)
{
  const char *at = (const char *)buffer->keys + i * key_bytes(m);
  struct cmap_key key = cmap_key_bytes(at, key_bytes(m));

  if (has_text(m))
    memcpy(&key, at, sizeof key);
  return key;
}

/* Versions are ids here, so that a value of 4 bytes or more tells its key's. */
static uint64_t id_of_value(const struct test_map *m, const void *value)
{
  struct value_room aligned;
  uint64_t large;
  uint32_t small;

  memcpy(aligned.bytes, value, m->spec.value_size);
  if (m->spec.care != VALUES_PLAIN) {
    large = tracked_of(aligned.bytes)->id;
  } else if (m->spec.value_size >= 8) {
    memcpy(&large, aligned.bytes, sizeof large);
    large >>= 16;
  } else {
    memcpy(&small, aligned.bytes, sizeof small);
    large = small >> 8;
  }
  CHECK(large < IDS && value_is(m, large, large, aligned.bytes));
  return large < IDS ? large : IDS;
}

/* Is the entry's hash in what the call went over? */
static void check_position(const struct test_map *m, struct cmap_key key,
                           uint64_t from, uint64_t to)
{
  uint64_t hash = 0;

  CHECK_OK(cmap_hash(m->map, key, &hash));
  CHECK(from <= hash && (hash < to || to == UINT64_MAX));
}

/* Checks and releases what a call has put into the buffer. */
static void take_out(struct test_map *m, struct cmap_scan_buffer *buffer,
                     uint64_t from, uint64_t to, unsigned *times)
{
  bool tells = m->spec.value_size >= 4; /* shorter ones may be equal */
  size_t text = 0;

  CHECK(buffer->count >= 1 && buffer->count <= buffer->capacity);
  for (size_t i = 0; i < buffer->count; i++) {
    const unsigned char *value = buffer->values;
    uint64_t id = IDS;
    if (value != NULL)
      value += i * m->spec.value_size;
    if (buffer->keys != NULL) {
      struct cmap_key key = key_at(m, buffer, i);
      id = key_id(&m->spec, key);
      key_check_stored(&m->spec, key);
      check_position(m, key, from, to);
      if (has_text(m)) {
        CHECK(key.data == buffer->text + text);
        text += key.size + 1;
      }
      if (m->spec.keys == KEYS_CUSTOM_OWNED)
        m->options.key_destroy((char *)buffer->keys + i * key_bytes(m), m);
    } else if (value != NULL && tells) {
      id = id_of_value(m, value);
    }
    if (value != NULL && id < IDS) {
      struct value_room aligned;
      if (m->spec.value_size > 0)
        memcpy(aligned.bytes, value, m->spec.value_size);
      CHECK(value_is(m, id, id, aligned.bytes));
      value_drop(m, aligned.bytes);
    }
    times[id]++;
  }
  CHECK(buffer->text_used == text);
}

/* ENOSPC has said what it needs: with one less of either it is the same. */
static void check_needs(struct test_map *m, unsigned wanted, uint64_t cursor,
                        uint64_t end, size_t count, size_t text)
{
  for (unsigned less = 1; less <= 2; less++) {
    struct cmap_scan_buffer buffer;
    uint64_t at = cursor;
    if (less == 2 ? text == 0 : count == 1)
      continue;
    buffer = buffer_open(m, wanted, count - (less == 1), text - (less == 2));
    CHECK_STATUS(cmap_scan(m->map, &at, end, &buffer, NULL), CMAP_ENOSPC);
    CHECK(at == cursor && buffer.count == count && buffer.text_used == text);
    buffer_close(&buffer);
  }
}

/*
 * Scans from *cursor to `end` with buffers of one size, or of what an ENOSPC
 * said. Counts the ids in times[IDS]; those that cannot be told at IDS.
 */
static void scan_to(struct test_map *m, unsigned wanted, size_t capacity,
                    size_t text_size, uint64_t cursor, uint64_t end,
                    unsigned *times)
{
  struct cmap_scan_buffer buffer = buffer_open(m, wanted, capacity, text_size);
  uint64_t last = end == 0 ? UINT64_MAX : end;
  bool exact = false;

  for (;;) {
    uint64_t from = cursor;
    enum cmap_status status = cmap_scan(m->map, &cursor, end, &buffer, NULL);
    size_t count = buffer.count, text = buffer.text_used;
    if (status == CMAP_OK) {
      CHECK(cursor > from && cursor <= last);
      take_out(m, &buffer, from, cursor, times);
      if (exact) {
        CHECK(count == buffer.capacity);
        CHECK(!(wanted & KEYS_WANTED) || text == buffer.text_size);
        buffer_close(&buffer);
        buffer = buffer_open(m, wanted, capacity, text_size);
      }
      exact = false;
      continue;
    }
    CHECK(!exact);
    if (status != CMAP_ENOSPC || exact) {
      CHECK_STATUS(status, CMAP_NOT_FOUND);
      CHECK(cursor == last && count == 0 && text == 0);
      break;
    }
    CHECK(cursor == from);
    CHECK(count > capacity || text > buffer.text_size);
    check_needs(m, wanted, cursor, end, count, text);
    buffer_close(&buffer);
    buffer = buffer_open(m, wanted, count, text);
    exact = true;
  }
  CHECK_STATUS(cmap_scan(m->map, &cursor, end, &buffer, NULL), CMAP_NOT_FOUND);
  CHECK(cursor == last);
  buffer_close(&buffer);
}

static void fill(struct test_map *m)
{
  struct key_room room;
  struct value_room value;

  for (uint64_t id = 0; id < IDS; id++) {
    value_make(m, id, id, value.bytes);
    CHECK_OK(cmap_insert(m->map, key_make(&m->spec, id, &room), value.bytes,
                         NULL, NULL, NULL));
  }
}

static void check_once_each(const struct test_map *m, unsigned wanted,
                            const unsigned *times)
{
  if ((wanted & KEYS_WANTED) ||
      ((wanted & VALUES_WANTED) && m->spec.value_size >= 4)) {
    for (uint64_t id = 0; id < IDS; id++)
      CHECK(times[id] == 1);
    CHECK(times[IDS] == 0);
  } else {
    CHECK(times[IDS] == IDS);
  }
}

static void cannot_copy(struct test_map *m)
{
  struct cmap_scan_buffer buffer =
      buffer_open(m, KEYS_WANTED | VALUES_WANTED, 5, 500);
  uint64_t cursor = 5;

  buffer.count = buffer.text_used = 77;
  CHECK_STATUS(cmap_scan(m->map, &cursor, 0, &buffer, NULL), CMAP_ENOTSUP);
  CHECK(cursor == 5 && buffer.count == 77 && buffer.text_used == 77);
  buffer_close(&buffer);
}

static void scan_map(const struct map_spec *spec, void *ctx)
{
  static const size_t sizes[][2] = {{1, 0},     {1, 91},      {2, 100},
                                    {7, 200},   {1000, 60},   {1000, 700},
                                    {59, 5000}, {60, 100000}, {61, 100000}};
  struct test_map m;

  (void)ctx;
  checks_about(map_spec_name(spec));
  test_map_open(&m, spec);
  fill(&m);
  if (m.options.key_size == 0) {
    struct cmap_options options = {.size = sizeof options};
    CHECK_OK(cmap_get_options(m.map, &options));
    m.options.key_size = options.key_size;
  }
  for (unsigned wanted = 0; wanted < 4; wanted++) {
    if (spec->care == VALUES_UNCOPYABLE && (wanted & VALUES_WANTED)) {
      cannot_copy(&m);
      continue;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
      unsigned times[IDS + 1] = {0};
      size_t parts = 1 + i % 4;
      for (size_t part = 0; part < parts; part++) {
        uint64_t cursor = 5, end = 5;
        CHECK_OK(cmap_scan_part(part, parts, &cursor, &end));
        scan_to(&m, wanted, sizes[i][0], sizes[i][1], cursor, end, times);
      }
      check_once_each(&m, wanted, times);
    }
  }
  test_map_close(&m);
}

static void every_kind_of_map(void **state)
{
  (void)state;
  map_spec_each(scan_map, NULL);
}

#define NUMBERS 1000

/* Scans with a buffer of some capacity, and looks at the bytes behind it.
 * Returns the sum of the keys, or of the values. */
static uint64_t scan_numbers(struct cmap *map, size_t key_size,
                             size_t value_size, size_t capacity)
{
  static unsigned char keys[2 * NUMBERS * 16], values[2 * NUMBERS * 16];
  struct cmap_scan_buffer buffer;
  uint64_t cursor = 0, sum = 0;
  enum cmap_status status;

  memset(keys, 0x5a, sizeof keys);
  memset(values, 0x5a, sizeof values);
  cmap_scan_buffer_init(&buffer, capacity, key_size > 0 ? keys : NULL,
                        value_size > 0 ? values : NULL);
  while ((status = cmap_scan(map, &cursor, 0, &buffer, NULL)) == CMAP_OK) {
    for (size_t at = 0; at < buffer.count; at++) {
      uint32_t number;
      memcpy(&number,
             key_size > 0 ? keys + at * key_size : values + at * value_size,
             sizeof number);
      sum += number;
    }
  }
  assert_status(status, CMAP_NOT_FOUND);
  for (size_t at = capacity * key_size; at < sizeof keys; at++)
    assert_int_equal(keys[at], 0x5a);
  for (size_t at = capacity * value_size; at < sizeof values; at++)
    assert_int_equal(values[at], 0x5a);
  return sum;
}

/* Bytes are copied slot by slot, the unused ones too: nothing is written behind
 * the buffer. */
static void nothing_is_written_behind_the_buffer(void **state)
{
  static const size_t capacities[] = {1,  5,   11,  12,  50,
                                      90, 175, 300, 600, NUMBERS};
  static const size_t sizes[] = {4, 8, 12, 16};
  const uint64_t sum = NUMBERS * (NUMBERS + 1) / 2;

  (void)state;
  for (size_t pair = 0; pair < 16; pair++) {
    size_t key_size = sizes[pair % 4], value_size = sizes[pair / 4];
    struct cmap_options options;
    struct cmap *map;

    cmap_options_init(&options,
                      key_size == 4   ? CMAP_U32
                      : key_size == 8 ? CMAP_U64
                                      : CMAP_FIXED,
                      value_size);
    if (options.key_kind == CMAP_FIXED)
      options.key_size = key_size;
    assert_ok(cmap_create(&options, &map));
    for (uint32_t i = 1; i <= NUMBERS; i++) {
      uint32_t number[4] = {i};
      assert_ok(cmap_insert(map, cmap_key_bytes(number, key_size), number, NULL,
                            NULL, NULL));
    }
    for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
      assert_int_equal(scan_numbers(map, key_size, 0, capacities[i]), sum);
      assert_int_equal(scan_numbers(map, 0, value_size, capacities[i]), sum);
      assert_int_equal(scan_numbers(map, key_size, value_size, capacities[i]),
                       sum);
    }
    cmap_destroy(map);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_kind_of_map),
      cmocka_unit_test(nothing_is_written_behind_the_buffer),
  };

  return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}
